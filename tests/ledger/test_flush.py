"""What is flushed to the disk, and when; and what happens when a flush fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from policy_engine.ledger.checkpoint import Checkpoint
from policy_engine.ledger.files import Directory
from policy_engine.ledger.merkle import leaf_hash
from policy_engine.ledger.sealer import published, seal
from policy_engine.ledger.tiles import CHECKPOINT
from policy_engine.ledger.verify import verify_log
from policy_engine.ledger.witness import FileWitness
from tests.ledger.logs import KEY, ORIGIN, Memory, grow, some, source

TILE = "tile/0/x001/x234/067"


class FlushFails(OSError):
    """What a failing disk raises."""


class Flushes:
    """Flushes, and notes what: for a file its name and bytes, for a directory the names in it."""

    def __init__(self, failing: int = 0) -> None:
        self.failing = failing
        self.seen: list[tuple[Path, bytes | set[str]]] = []

    def __call__(self, handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        self.seen.append((path, {one.name for one in path.iterdir()} if path.is_dir() else path.read_bytes()))
        if len(self.seen) == self.failing:
            raise FlushFails
        os.fsync(handle)


@pytest.mark.parametrize("path", [CHECKPOINT, TILE])
def test_a_write_flushes_the_bytes_under_another_name_and_then_the_name(path: str, tmp_path: Path) -> None:
    flush = Flushes()
    store = Directory(tmp_path, flush=flush)
    store.write(path, b"first")
    (file, data), (directory, names) = flush.seen[-2:]
    assert (file.parent, data) == (tmp_path / ".staging", b"first")
    assert directory == (tmp_path / path).parent
    assert (tmp_path / path).name in names


def test_the_name_of_every_directory_is_flushed_before_anything_is_in_it(tmp_path: Path) -> None:
    flush = Flushes()
    root = tmp_path / "a" / "log"
    Directory(root, flush=flush).write(TILE, b"first")
    named = [path / name for path, names in flush.seen if isinstance(names, set) for name in names]
    for place in (root.parent, root, *(root / TILE).parents):
        if tmp_path in place.parents:
            assert place in named
            first = next(at for at, (path, names) in enumerate(flush.seen) if path == place.parent)
            assert all(at > first for at, (path, _) in enumerate(flush.seen) if path == place)


def test_a_directory_that_an_earlier_process_made_is_flushed_too(tmp_path: Path) -> None:
    (tmp_path / TILE).parent.mkdir(parents=True)
    flush = Flushes()
    Directory(tmp_path, flush=flush).write(TILE, b"first")
    flushed = [path for path, _ in flush.seen]
    for place in (tmp_path, tmp_path / "tile", tmp_path / "tile/0", tmp_path / "tile/0/x001"):
        assert place in flushed


def test_the_same_bytes_written_again_flush_the_name_again(tmp_path: Path) -> None:
    Directory(tmp_path).write(TILE, b"first")
    flush = Flushes()
    Directory(tmp_path, flush=flush).write(TILE, b"first")
    assert flush.seen[-1][0] == (tmp_path / TILE).parent


def test_a_witness_has_flushed_what_it_answers_for(tmp_path: Path) -> None:
    place, flush = tmp_path / "w" / "witness", Flushes()
    witness = FileWitness.create(place, origin=ORIGIN, flush=flush)
    assert tmp_path in [path for path, _ in flush.seen]
    for _ in range(2):
        flush.seen.clear()
        witness.check(1, leaf_hash(b""), ())
        assert flush.seen[-1][0] == place.parent
    expected = Checkpoint(origin=ORIGIN, size=1, root=leaf_hash(b"")).encode()
    flush.seen.clear()
    other = FileWitness.create(tmp_path / "other", origin=ORIGIN, flush=flush)
    other.check(1, leaf_hash(b""), ())
    assert flush.seen[-2][1] == expected


@pytest.mark.parametrize(("begin", "end"), [(0, 1), (254, 257)])
def test_a_flush_that_fails_anywhere_leaves_a_log_to_go_on_with(begin: int, end: int, tmp_path: Path) -> None:
    failed = 0
    while True:
        at = failed + 1
        root = tmp_path / str(at)
        memory = FileWitness.create(root / "witness", origin=ORIGIN)
        if begin:
            seal(key=KEY, store=Directory(root / "log"), entries=source(some(begin)), approve=memory.check)
        flush = Flushes(failing=at)
        witness = FileWitness(root / "witness", origin=ORIGIN, flush=flush)
        store = Directory(root / "log", flush=flush)
        try:
            seal(key=KEY, store=store, entries=source(some(end)), previous=witness.latest(), approve=witness.check)
        except FlushFails:
            failed += 1
        else:
            break
        between = published(Directory(root / "log"), KEY.verifier)
        assert between is None or between.checkpoint in (grow(Memory(), begin), grow(Memory(), end))
        now = seal(
            key=KEY, store=store, entries=source(some(end)), previous=witness.latest(), approve=witness.check
        ).signed.checkpoint
        assert verify_log(store, KEY.verifier, older=[memory.latest()]).signed.checkpoint == now
        assert now.size == end
    assert failed > 10
