"""Which sealed tree a size of the whole log belongs to, and what its root is.

The log is sealed year by year: the entries below a size of the whole log end within one year, and the tree of that year
has as many of them as were recorded in it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from policy_engine.ledger.checkpoint import Checkpoint
from policy_engine.ledger.merkle import consistency_proof, tree_root, verify_consistency
from policy_engine.ledger.sealer import published
from policy_engine.ledger.tiles import LogFault, TileHashes, TileReader
from policy_engine.service.sealing.sealed_log import SealedYear, Sealing


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The tree of the year in which the log of a size ends.

    `log_size` counts the entries of the whole log up to its end, `size` those of the year named in the origin, and
    `root` is the root over the latter in base64: the one that a checkpoint of that origin and size has.
    """

    log_size: int
    origin: str
    size: int
    root: str


Trees: TypeAlias = Callable[[int | None], Tree | None]
"""The tree of the newest checkpoint for `None`, or the one when the whole log had a size. `None` where there is none:
nothing is sealed, or not that far, or what is kept of it does not lead to the signed root. Raises `LogUnavailable`."""


def no_trees(_: int | None) -> None:
    """The trees of a log that is not sealed, or whose sealed form is elsewhere."""


class SealedTrees:
    """The trees of a sealed log. An earlier root than the signed one is computed from the hash tiles, and given only
    where it is proved to be the beginning of the signed tree. Is a `Trees`."""

    def __init__(self, sealing: Sealing, newest: Callable[[], SealedYear | None]) -> None:
        self._sealing = sealing
        self._newest = newest

    def __call__(self, size: int | None) -> Tree | None:
        sealed = self._newest()
        if sealed is None:
            return None
        if size is None or size == sealed.end:
            return _tree(sealed.end, sealed.signed.checkpoint, sealed.signed.checkpoint.size)
        year = self._sealing.year_of(size - 1) if 0 < size < sealed.end else None
        if year is None:
            return None
        tiles = self._sealing.tiles(year.year)
        try:
            signed = sealed.signed if year == sealed.year else published(tiles, self._sealing.key(year.year).verifier)
            if signed is None:
                return None
            at = signed.checkpoint
            within = size - year.first_index
            return _tree(size, at, within, None if within == at.size else _root_at(tiles, at, within))
        except (LogFault, OSError, ValueError):
            # The answer is of the database and can be given without a root; `log verify` says what the fault is.
            return None


def _tree(log_size: int, at: Checkpoint, size: int, root: bytes | None = None) -> Tree:
    return Tree(log_size=log_size, origin=at.origin, size=size, root=b64encode(root or at.root).decode("ascii"))


def _root_at(tiles: TileReader, at: Checkpoint, size: int) -> bytes:
    """The root of the tree when it had that size. Raises `InvalidProof`, `LogFault`, `OSError`, and `ValueError` for a
    size that the tree never had."""
    if size > at.size:
        raise ValueError(f"{at.origin} is sealed up to {at.size} entries")
    read = TileHashes(tiles, at.size)
    root = tree_root(size, read)
    proof = consistency_proof(size, at.size, read)
    verify_consistency(old=size, old_root=root, new=at.size, new_root=at.root, proof=proof)
    return root
