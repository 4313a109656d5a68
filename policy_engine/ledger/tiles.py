"""Tiles and entry bundles, and where they are kept, as c2sp.org/tlog-tiles v0.1.0 says.

1. A tile has up to 256 hashes. Those of level 0 are leaf hashes; one of level n is the root over a full tile of the
   level below. An entry bundle has the entries of one tile of level 0, each after its length in two bytes, big-endian,
   so that an entry is at most 65,535 bytes long.
2. Paths are `tile/<level>/<n>` and `tile/entries/<n>`, where n is written in groups of three digits, all but the last
   after an `x`. A tile that is not full yet ends in `.p/<width>`. The checkpoint stands under `checkpoint`.
3. What stands under the path of a tile never changes. Another width has another path, and a partial tile may go once
   the full one is there; who misses it takes the beginning of the full one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from policy_engine.ledger.merkle import HASH_SIZE, MAX_SIZE, Frontier, full_root

CHECKPOINT: Final = "checkpoint"
"""The path of the checkpoint."""

WIDTH: Final = 256
"""How many hashes or entries a full tile has."""

MAX_ENTRY: Final = 65_535
"""Bytes of the longest entry."""

HEIGHT: Final = 8
"""How many levels of the tree one level of tiles spans."""

_ENTRIES: Final[Literal["entries"]] = "entries"
_LENGTH_SIZE: Final = 2
_PATH: Final = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<n>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)
_MAX_LEVEL: Final = 63


class EntryTooLong(ValueError):
    """An entry that no bundle can hold."""


class LogFault(Exception):
    """What is kept of a log is not what its formats, its tree or its checkpoint say.

    `path` is the resource at fault. `index` is that of the first entry concerned, where one can be named.
    """

    def __init__(self, path: str, index: int | None, reason: str) -> None:
        self.path = path
        self.index = index
        self.reason = reason
        super().__init__(f"{path}: {reason}" if index is None else f"{path}: entry {index}: {reason}")


class TileReader(Protocol):
    """Where the resources of one log are read."""

    def read(self, path: str) -> bytes | None:
        """What stands under the path, or `None`. Raises `OSError`."""
        ...


class TileStore(TileReader, Protocol):
    """Where the resources of one log are read and written."""

    def write(self, path: str, data: bytes) -> None:
        """Put the bytes under the path: all or nothing, and durable on return.

        Raises `TileConflict` where other bytes stand under the path of a tile, and `OSError`.
        """
        ...


class TileConflict(Exception):
    """Other bytes already stand under the path of a tile, which never changes."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"{path}: other bytes stand here already, and a tile is never overwritten")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """The name of a tile, or of an entry bundle where the level is `entries`. Raises `ValueError` out of range."""

    level: int | Literal["entries"]
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        if self.level != _ENTRIES and not 0 <= self.level <= _MAX_LEVEL:
            raise ValueError(f"there is no level {self.level} of tiles")
        if not 0 <= self.index <= MAX_SIZE or not 0 < self.width <= WIDTH:
            raise ValueError(f"there is no tile {self.index} of width {self.width}")

    @property
    def path(self) -> str:
        """The path in the log."""
        digits = str(self.index)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        number = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{self.level}/{number}{partial}"

    @property
    def full(self) -> Tile:
        """The full tile that this one is or will be."""
        return Tile(level=self.level, index=self.index)

    @property
    def span(self) -> int:
        """How many entries one hash of the tile covers."""
        return 1 if self.level == _ENTRIES else int(WIDTH**self.level)

    @property
    def start(self) -> int:
        """The index of the first entry that the tile covers."""
        return self.index * WIDTH * self.span

    @classmethod
    def parse(cls, path: str) -> Tile | None:
        """The tile that this is the path of, or `None`."""
        match = _PATH.fullmatch(path)
        if match is None:
            return None
        level, number, width = match["level"], int(match["n"].replace("x", "").replace("/", "")), match["width"]
        if (level != _ENTRIES and int(level) > _MAX_LEVEL) or int(width or 1) >= WIDTH or number > MAX_SIZE:
            return None
        tile = cls(level=_ENTRIES if level == _ENTRIES else int(level), index=number, width=int(width or WIDTH))
        return tile if tile.path == path else None


def bundle_of(index: int, width: int = WIDTH) -> Tile:
    """The name of an entry bundle."""
    return Tile(level=_ENTRIES, index=index, width=width)


def _levels(size: int) -> Iterator[tuple[int, int]]:
    """Each level with the number of its hashes."""
    level = 0
    while size:
        yield level, size
        level, size = level + 1, size // WIDTH


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """The bytes of an entry bundle. Raises `EntryTooLong`."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise EntryTooLong(f"an entry has {len(entry)} bytes, and the most is {MAX_ENTRY}")
        parts += (len(entry).to_bytes(_LENGTH_SIZE, "big"), entry)
    return b"".join(parts)


def decode_bundle(data: bytes, bundle: Tile, *, whole: bool = True) -> list[bytes]:
    """The entries of a bundle; unless `whole`, more may follow them. Raises `LogFault`."""
    entries: list[bytes] = []
    at = 0
    for position in range(bundle.width):
        begin = at + _LENGTH_SIZE
        at = begin + int.from_bytes(data[at:begin], "big")
        if at > len(data):
            raise LogFault(bundle.path, bundle.start + position, "the bundle ends within or before the entry")
        entries.append(data[begin:at])
    if whole and at != len(data):
        raise LogFault(bundle.path, None, "there are bytes after the last entry of the bundle")
    return entries


def read_entries(store: TileReader, bundle: Tile) -> list[bytes]:
    """The entries of a bundle, from the full one where the partial one has gone. Raises `LogFault`, `OSError`."""
    data = store.read(bundle.path)
    if data is not None:
        return decode_bundle(data, bundle)
    data = None if bundle == bundle.full else store.read(bundle.full.path)
    if data is None:
        raise LogFault(bundle.path, bundle.start, "the bundle is missing")
    return decode_bundle(data, bundle, whole=False)


def read_hashes(store: TileReader, tile: Tile) -> bytes:
    """The hashes of a tile, from the full one where the partial one has gone. Raises `LogFault`, `OSError`."""
    used, data = tile, store.read(tile.path)
    if data is None and tile != tile.full:
        used, data = tile.full, store.read(tile.full.path)
    if data is None:
        raise LogFault(tile.path, tile.start, "the tile is missing")
    require_form(data, used)
    return data[: tile.width * HASH_SIZE]


def require_form(data: bytes, tile: Tile) -> None:
    """Raises `LogFault` for bytes that cannot be the tile or bundle: cut off, or with something after the end."""
    if tile.level == _ENTRIES:
        decode_bundle(data, tile)
    elif len(data) != tile.width * HASH_SIZE:
        raise LogFault(tile.path, None, f"the tile has {len(data)} bytes instead of {tile.width * HASH_SIZE}")


class TileHashes:
    """A `HashReader` over the tiles of a tree of a given size. Tiles once read are kept, so use one for a few proofs.

    Calls raise `LogFault` and `OSError`.
    """

    __slots__ = ("_read", "_size", "_store")

    def __init__(self, store: TileReader, size: int) -> None:
        self._store = store
        self._size = size
        self._read: dict[tuple[int, int], bytes] = {}

    def __call__(self, height: int, index: int) -> bytes:
        level, below = divmod(height, HEIGHT)
        first = index << below
        number, at = divmod(first, WIDTH)
        hashes = self._tile(level, number)[at * HASH_SIZE : (at + (1 << below)) * HASH_SIZE]
        if len(hashes) != HASH_SIZE << below:
            raise ValueError(f"a tree of {self._size} leaves has no complete subtree {index} of height {height}")
        return full_root(hashes)

    def _tile(self, level: int, number: int) -> bytes:
        if (level, number) not in self._read:
            width = min(WIDTH, (self._size >> level * HEIGHT) - number * WIDTH)
            self._read[level, number] = read_hashes(self._store, Tile(level=level, index=number, width=width))
        return self._read[level, number]


class Edge:
    """The right edge of a growing tree in tiles: at every level, the hashes of the tile that is not full yet."""

    __slots__ = ("_levels", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._levels: list[bytes] = []

    @classmethod
    def load(cls, store: TileReader, size: int, *, within: int | None = None) -> Edge:
        """The edge of the tree of that size, as its tiles have it. Raises `LogFault` and `OSError`.

        Where a tree of that size was never signed it has no tiles of its own: `within` is the size of a larger one,
        from whose tiles it is taken.
        """
        edge = cls()
        edge._size = size
        for level, count in _levels(size):
            index, width = divmod(count, WIDTH)
            held = min(WIDTH, ((within or size) >> level * HEIGHT) - index * WIDTH)
            hashes = read_hashes(store, Tile(level=level, index=index, width=held)) if width else b""
            edge._levels.append(hashes[: width * HASH_SIZE])
        return edge

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return self._size

    @property
    def leaves(self) -> bytes:
        """The leaf hashes of the last tile of level 0, where that is not full."""
        return self._levels[0] if self._levels else b""

    def extend(self, leaves: Iterable[bytes]) -> Iterator[tuple[Tile, bytes]]:
        """Add leaf hashes, at most up to the end of the tile; yields the tiles that become full, from level 0 upwards.

        Raises `ValueError` for hashes beyond the end of the tile.
        """
        added = b"".join(leaves)
        level, self._size = 0, self._size + len(added) // HASH_SIZE
        while True:
            if level == len(self._levels):
                self._levels.append(b"")
            hashes = self._levels[level] = self._levels[level] + added
            if len(hashes) < WIDTH * HASH_SIZE:
                return
            if len(hashes) > WIDTH * HASH_SIZE:
                raise ValueError("there are more leaves than the tile has room for")
            self._levels[level] = b""
            yield Tile(level=level, index=(self._size >> (level + 1) * HEIGHT) - 1), hashes
            level, added = level + 1, full_root(hashes)

    def partial(self) -> Iterator[tuple[Tile, bytes]]:
        """The tiles that are not full yet, from level 0 upwards."""
        for level, hashes in enumerate(self._levels):
            if hashes:
                index = self._size >> (level + 1) * HEIGHT
                yield Tile(level=level, index=index, width=len(hashes) // HASH_SIZE), hashes

    def root(self) -> bytes:
        """The root of the tree."""
        frontier = Frontier()
        for level in reversed(range(len(self._levels))):
            hashes = self._levels[level]
            for at in range(0, len(hashes), HASH_SIZE):
                frontier.append(hashes[at : at + HASH_SIZE], level * HEIGHT)
        return frontier.root()
