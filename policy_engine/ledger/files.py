"""Files that survive a crash, and the directory that keeps a log in them.

A file is written beside its place, flushed to the disk, renamed, and then the directory that names it is flushed: at
every moment the old bytes stand there or the new ones, and once a write has returned the new ones do. A directory that
is made is flushed into the one above it. The words of the disk are believed; a page cache that lies is out of reach
here, and so is a file system without `fsync` of directories.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from policy_engine.ledger.tiles import CHECKPOINT, Tile, TileConflict

_STAGING: Final = ".staging"
_LOCK: Final = ".lock"
_PARTIAL: Final = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)


Flush = Callable[[int], None]
"""Takes a file descriptor, and returns once what was written through it is on the disk."""


class LogLocked(Exception):
    """Another process or thread writes this log."""


def write_durably(path: Path, data: bytes, *, staging: Path, flush: Flush = os.fsync) -> None:
    """Replace the file, or make it; `staging` is a directory on the same file system. Raises `OSError`.

    The file has one writer at a time. A crash may leave `.<name>.staged` behind in the staging directory, which the
    next write of the file takes away.
    """
    staged = staging / f".{path.name}.staged"
    staged.unlink(missing_ok=True)
    handle = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            flush(file.fileno())
        staged.replace(path)
    except OSError:
        staged.unlink(missing_ok=True)
        raise
    sync_directory(path.parent, flush)


def make_directory(path: Path, flush: Flush = os.fsync) -> None:
    """Make a directory and those above it, as far as they are missing, and flush their names. Raises `OSError`."""
    if not path.is_dir():
        make_directory(path.parent, flush)
        path.mkdir(mode=0o700, exist_ok=True)
        sync_directory(path.parent, flush)


def sync_directory(path: Path, flush: Flush = os.fsync) -> None:
    """Flush the names in a directory to the disk. Raises `OSError`."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flush(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock that this file stands for, against other processes and threads.

    The system lets go of it when the process ends. Raises `LogLocked` where it is held and `wait` is false.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LogLocked(f"{path.name}: the lock is held already") from error
        yield
    finally:
        os.close(handle)


class Directory:
    """A `TileStore` in a directory, laid out as its resources are named; files are readable to their owner only.

    Reading makes nothing and may go on beside the writer. A full tile takes the partial ones before it away.
    """

    def __init__(self, root: Path, *, flush: Flush = os.fsync) -> None:
        self._root = root
        self._flush = flush
        self._settled: set[Path] = set()

    def read(self, path: str) -> bytes | None:
        """What stands under the path; `None` also for a path that no log has. Raises `OSError`."""
        if path != CHECKPOINT and Tile.parse(path) is None:
            return None
        try:
            return (self._root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, path: str, data: bytes) -> None:
        """Put the bytes under the path, durably.

        Raises `TileConflict`, `OSError`, and `ValueError` for a path that no log has.
        """
        tile = Tile.parse(path)
        if tile is None and path != CHECKPOINT:
            raise ValueError(f"`{path}` is not the path of a resource of a log")
        place = self._root / path
        self._settle(place.parent)
        standing = self.read(path)
        if standing == data:
            # An earlier process may have ended between its rename and the flush of the name.
            sync_directory(place.parent, self._flush)
        elif standing is not None and tile is not None:
            raise TileConflict(path)
        else:
            write_durably(place, data, staging=self._staging(), flush=self._flush)
        if tile is not None and tile == tile.full:
            self._drop_partial(place)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Be the only writer, and clear away what a crash has left behind. Raises `LogLocked`, `OSError`."""
        self._settle(self._root)
        with locked(self._root / _LOCK, wait=False):
            shutil.rmtree(self._root / _STAGING, ignore_errors=True)
            self._settled.discard(self._root / _STAGING)
            yield

    def _staging(self) -> Path:
        staging = self._root / _STAGING
        self._settle(staging)
        return staging

    def _settle(self, directory: Path) -> None:
        """Make a directory, and flush its name and those above it, once in the life of this object."""
        if directory in self._settled:
            return
        if directory == self._root:
            make_directory(directory, self._flush)
        else:
            self._settle(directory.parent)
            directory.mkdir(mode=0o700, exist_ok=True)
            # An earlier process may have ended between making it and the flush of its name.
            sync_directory(directory.parent, self._flush)
        self._settled.add(directory)

    @staticmethod
    def _drop_partial(place: Path) -> None:
        partial = place.with_name(f"{place.name}.p")
        try:
            found = list(partial.iterdir())
        except FileNotFoundError:
            return
        for one in found:
            if _PARTIAL.fullmatch(one.name):
                one.unlink(missing_ok=True)
        if all(_PARTIAL.fullmatch(one.name) for one in found):
            partial.rmdir()
