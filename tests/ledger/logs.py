"""Logs for the tests: a store in memory, drawn entries, and logs sealed in steps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from policy_engine.ledger.checkpoint import Checkpoint
from policy_engine.ledger.merkle import Frontier
from policy_engine.ledger.note import Note, SigningKey
from policy_engine.ledger.sealer import EntrySource, seal
from policy_engine.ledger.tiles import CHECKPOINT, HEIGHT, WIDTH, Tile, TileConflict, TileStore, bundle_of

VECTORS: Final[dict[str, Any]] = json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))
ORIGIN: Final = "example.com/pdp/audit"
KEY: Final = SigningKey(name=ORIGIN, seed=b"\x11" * 32)
WITNESS: Final = SigningKey(name="witness.example/w1", seed=b"\x22" * 32)


def cosigned(data: bytes) -> bytes:
    """The note with one more signature, by somebody else."""
    note = Note.parse(data)
    return Note(text=note.text, signatures=(*note.signatures, WITNESS.sign(note.text))).encode()


class Memory:
    """A `TileStore` that forgets all when it goes."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def write(self, path: str, data: bytes) -> None:
        if path != CHECKPOINT and self.files.get(path, data) != data:
            raise TileConflict(path)
        self.files[path] = data


def entry(index: int) -> bytes:
    return b'{"seq":%d,"why":"%s"}' % (index, b"x" * (index % 7))


def some(count: int) -> list[bytes]:
    return [entry(index) for index in range(count)]


def source(entries: Sequence[bytes]) -> EntrySource:
    def read(start: int) -> Iterator[tuple[int, bytes]]:
        yield from ((index, entries[index]) for index in range(start, len(entries)))

    return read


def grow(store: TileStore, count: int, key: SigningKey = KEY) -> Checkpoint:
    """Seal the log up to so many entries."""
    return seal(key=key, store=store, entries=source(some(count))).signed.checkpoint


def sealed(*sizes: int) -> Memory:
    """A log that was sealed at each of the sizes."""
    store = Memory()
    for size in sizes:
        grow(store, size)
    return store


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def partial_tiles(size: int) -> Iterator[Tile]:
    """The bundle and the tiles that are not full yet in a tree of that size."""
    level = 0
    while size:
        size, width = divmod(size, WIDTH)
        if width:
            if level == 0:
                yield bundle_of(size, width)
            yield Tile(level=level, index=size, width=width)
        level += 1


def tiles_of(size: int) -> Iterator[Tile]:
    """Every bundle and tile that a tree of that size is represented by, full ones and partial ones."""
    yield from partial_tiles(size)
    full, level = size >> HEIGHT, 0
    while full:
        for index in range(full):
            if level == 0:
                yield bundle_of(index)
            yield Tile(level=level, index=index)
        full, level = full >> HEIGHT, level + 1
