"""A witness in a file of its own: it remembers the last tree it has seen, and refuses any that does not begin with it.

The file stands outside the database and outside the directory of the tiles, best on another disk: whoever puts an old
database or an old directory back does not put this one back with them. It holds the body of a checkpoint
(c2sp.org/tlog-checkpoint) without signatures; its first line is the origin.

1. The file is made once, for an empty log. A file that is missing or unreadable later is a refusal, never a beginning.
2. `check` looks and remembers under one lock, and has flushed what it remembers before it returns (the rules of
   c2sp.org/tlog-witness against a witness that is rolled back or asked twice at once).
3. A tree is refused when it is smaller, has another root at the same size, or comes with a proof that does not lead
   from the remembered tree to it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from policy_engine.ledger.checkpoint import Checkpoint, InvalidCheckpoint
from policy_engine.ledger.files import Flush, locked, make_directory, sync_directory, write_durably
from policy_engine.ledger.merkle import EMPTY_ROOT, InvalidProof, verify_consistency

_MAX_FILE: Final = 65_536


class WitnessRefuses(Exception):
    """The tree does not follow from the one that the witness has seen."""


class WitnessUnreadable(Exception):
    """What the witness remembers is missing, damaged or about another log."""


class FileWitness:
    """The witness of one log. Every call raises `WitnessUnreadable` and `OSError`."""

    def __init__(self, path: Path, *, origin: str, flush: Flush = os.fsync) -> None:
        """The witness that remembers in this file; `path` with `.lock` at its end is its lock."""
        self._path = path
        self._lock = path.with_name(f"{path.name}.lock")
        self._origin = origin
        self._flush = flush

    @classmethod
    def create(cls, path: Path, *, origin: str, flush: Flush = os.fsync) -> FileWitness:
        """A new witness, which has seen the empty log. Raises `FileExistsError`: a witness is not begun twice."""
        witness = cls(path, origin=origin, flush=flush)
        make_directory(path.parent, flush)
        with locked(witness._lock):
            if path.exists():
                raise FileExistsError(f"{path.name}: the witness has begun already")
            witness._remember(Checkpoint(origin=origin, size=0, root=EMPTY_ROOT))
        return witness

    def latest(self) -> Checkpoint:
        """The last tree that it has seen."""
        try:
            with self._path.open("rb") as file:
                seen = Checkpoint.parse(file.read(_MAX_FILE))
        except FileNotFoundError as error:
            raise WitnessUnreadable(f"{self._path.name}: what the witness has seen is missing") from error
        except InvalidCheckpoint as error:
            raise WitnessUnreadable(f"{self._path.name}: {error}") from error
        if seen.origin != self._origin:
            raise WitnessUnreadable(f"{self._path.name}: the witness is that of another log")
        return seen

    def check(self, size: int, root: bytes, proof: tuple[bytes, ...]) -> None:
        """Remember a tree that begins with the last one seen, from which the proof leads to it; durable on return.

        Size and root are those that the log is about to sign: no proof tells one size from another by itself.
        Raises `WitnessRefuses`, and then remembers what it did before.
        """
        with locked(self._lock):
            seen = self.latest()
            if size < seen.size:
                raise WitnessRefuses(f"a log of {seen.size} entries was seen before, and this one has {size}")
            try:
                verify_consistency(old=seen.size, old_root=seen.root, new=size, new_root=root, proof=proof)
            except InvalidProof as error:
                raise WitnessRefuses(f"the log does not begin with the {seen.size} entries seen before") from error
            if size > seen.size:
                self._remember(Checkpoint(origin=self._origin, size=size, root=root))
            else:
                # The process that remembered it may have ended before the name was flushed.
                sync_directory(self._path.parent, self._flush)

    def _remember(self, seen: Checkpoint) -> None:
        write_durably(self._path, seen.encode(), staging=self._path.parent, flush=self._flush)
