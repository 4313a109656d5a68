"""The verification of a whole log from what it publishes, in one pass and in constant memory.

1. The checkpoint is signed by the log's key.
2. The entries of every bundle hash to the tile of level 0 above it, and every full tile to the hash in the tile above.
3. The tiles lead to the root of the checkpoint.
4. The tree begins with every older checkpoint that is handed in.

What this cannot find: a history that the holder of the signing key has written anew from end to end. Only step 4 can,
with a checkpoint that somebody else has kept.

The first fault ends the pass, and is named by path and by the index of the first entry concerned. Entries beyond the
checkpoint are not looked at: they are not published yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from policy_engine.ledger.checkpoint import Checkpoint, InvalidCheckpoint, SignedCheckpoint, open_checkpoint
from policy_engine.ledger.merkle import (
    HASH_SIZE,
    InvalidProof,
    consistency_proof,
    leaf_hash,
    verify_consistency,
)
from policy_engine.ledger.note import InvalidNote, VerifierKey
from policy_engine.ledger.tiles import (
    CHECKPOINT,
    WIDTH,
    Edge,
    LogFault,
    Tile,
    TileHashes,
    TileReader,
    bundle_of,
    decode_bundle,
    read_entries,
    read_hashes,
)

Progress = Callable[[int, int], object]
"""Takes how many entries are verified and how many there are; called after every bundle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A log without fault: its checkpoint, and the sizes of the older checkpoints that it was held against."""

    signed: SignedCheckpoint
    held_against: tuple[int, ...]


def verify_log(
    store: TileReader,
    key: VerifierKey,
    *,
    origin: str | None = None,
    older: Iterable[Checkpoint] = (),
    progress: Progress | None = None,
) -> Verified:
    """Verify everything that the checkpoint in the store covers.

    `older` are checkpoints that are known to be good, from elsewhere; `origin` is the name of the key unless given.
    Raises `LogFault` at the first fault, and `OSError`.
    """
    signed = _signed(store, key, origin)
    now = signed.checkpoint
    kept = tuple(older)
    for one in kept:
        if one.origin != now.origin:
            raise LogFault(CHECKPOINT, None, f"the older checkpoint is that of `{one.origin}`")
        if one.size > now.size:
            raise LogFault(CHECKPOINT, now.size, f"the log has had {one.size} entries before, and now has {now.size}")
    edge = Edge()
    for start in range(0, now.size, WIDTH):
        width = min(WIDTH, now.size - start)
        for tile, hashes in edge.extend(_leaves(store, bundle_of(start // WIDTH, width))):
            _compare(store, tile, hashes)
        if progress is not None:
            progress(edge.size, now.size)
    for tile, hashes in edge.partial():
        _compare(store, tile, hashes)
    if edge.root() != now.root:
        raise LogFault(CHECKPOINT, None, "the tiles lead to another root than the one that was signed")
    _require_grown(store, kept, now)
    return Verified(signed=signed, held_against=tuple(one.size for one in kept))


def _require_grown(store: TileReader, kept: Iterable[Checkpoint], now: Checkpoint) -> None:
    """The log begins with the entries of each older checkpoint."""
    hashes_of = TileHashes(store, now.size)
    for one in kept:
        proof = consistency_proof(one.size, now.size, hashes_of)
        try:
            verify_consistency(old=one.size, old_root=one.root, new=now.size, new_root=now.root, proof=proof)
        except InvalidProof as error:
            raise LogFault(
                CHECKPOINT, None, f"the first {one.size} entries are not those of the older checkpoint"
            ) from error


def _signed(store: TileReader, key: VerifierKey, origin: str | None) -> SignedCheckpoint:
    data = store.read(CHECKPOINT)
    if data is None:
        raise LogFault(CHECKPOINT, None, "there is no checkpoint")
    try:
        return open_checkpoint(data, key, origin=origin)
    except (InvalidNote, InvalidCheckpoint) as error:
        raise LogFault(CHECKPOINT, None, str(error)) from error


def _leaves(store: TileReader, bundle: Tile) -> list[bytes]:
    """The hashes of the entries of a bundle; they have to be those of the tile of level 0."""
    hashes = read_hashes(store, Tile(level=0, index=bundle.index, width=bundle.width))
    try:
        leaves = [leaf_hash(entry) for entry in read_entries(store, bundle)]
    except LogFault as fault:
        # An entry that is missing or put in ends the bundle too early or too late; the place is where it first differs.
        readable = bundle.width if fault.index is None else fault.index - bundle.start
        data = store.read(bundle.path) if readable else None
        if data is not None:
            begin = decode_bundle(data, bundle_of(bundle.index, readable), whole=False)
            _require_leaves(bundle, [leaf_hash(entry) for entry in begin], hashes[: readable * HASH_SIZE])
        raise
    _require_leaves(bundle, leaves, hashes)
    return leaves


def _require_leaves(bundle: Tile, leaves: list[bytes], hashes: bytes) -> None:
    if b"".join(leaves) != hashes:
        position = next(at for at, (one, other) in enumerate(zip(leaves, _each(hashes), strict=True)) if one != other)
        raise LogFault(bundle.path, bundle.start + position, "the entry does not hash to the tile of level 0")


def _compare(store: TileReader, tile: Tile, hashes: bytes) -> None:
    if tile.level == 0:
        return
    standing = read_hashes(store, tile)
    if standing != hashes:
        differs = (one != other for one, other in zip(_each(standing), _each(hashes), strict=True))
        position = next(at for at, one in enumerate(differs) if one)
        raise LogFault(tile.path, tile.start + position * tile.span, "the hash is not that of the full tile below")


def _each(hashes: bytes) -> Iterable[bytes]:
    return (hashes[at : at + HASH_SIZE] for at in range(0, len(hashes), HASH_SIZE))
