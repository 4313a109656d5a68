from __future__ import annotations

import threading
from pathlib import Path

import pytest

from policy_engine.ledger.files import Directory, LogLocked, locked, write_durably
from policy_engine.ledger.tiles import CHECKPOINT, WIDTH, TileConflict, TileStore, encode_bundle
from policy_engine.ledger.verify import verify_log
from tests.ledger.logs import KEY, Memory, grow, some, tiles_of

FULL = "tile/0/x001/x234/067"
PARTIAL = "tile/0/x001/x234/067.p/8"


@pytest.fixture(params=["directory", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> TileStore:
    return Directory(tmp_path / "new" / "log") if request.param == "directory" else Memory()


def names(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_a_store_gives_what_it_was_given(store: TileStore) -> None:
    for path in (CHECKPOINT, FULL, PARTIAL, "tile/entries/000"):
        assert store.read(path) is None
        store.write(path, path.encode())
        assert store.read(path) == path.encode()
        store.write(path, path.encode())


def test_a_checkpoint_is_replaced_and_a_tile_never(store: TileStore) -> None:
    for path in (CHECKPOINT, PARTIAL, FULL):
        store.write(path, b"one")
    store.write(CHECKPOINT, b"two")
    assert store.read(CHECKPOINT) == b"two"
    with pytest.raises(TileConflict, match=FULL) as caught:
        store.write(FULL, b"two")
    assert caught.value.path == FULL
    assert store.read(FULL) == b"one"


def test_a_partial_tile_is_not_overwritten_either(store: TileStore) -> None:
    store.write(PARTIAL, b"one")
    with pytest.raises(TileConflict, match=PARTIAL):
        store.write(PARTIAL, b"two")


def test_logs_in_memory_and_in_a_directory_are_the_same_bytes(tmp_path: Path) -> None:
    directory, memory = Directory(tmp_path), Memory()
    for size in (1, 255, 300, 513, 700):
        grow(directory, size)
        grow(memory, size)
    verify_log(directory, KEY.verifier)
    for tile in tiles_of(700):
        assert directory.read(tile.path) == memory.files[tile.path]
    assert directory.read(CHECKPOINT) == memory.files[CHECKPOINT]


def test_a_full_tile_takes_the_partial_ones_before_it_away(tmp_path: Path) -> None:
    store = Directory(tmp_path)
    for size in range(1, WIDTH + 3):
        grow(store, size)
    assert names(tmp_path) == {
        CHECKPOINT,
        "tile/0/000",
        "tile/entries/000",
        "tile/1/000.p/1",
        *(f"tile/{level}/001.p/{width}" for level in ("0", "entries") for width in (1, 2)),
    }
    assert verify_log(store, KEY.verifier).signed.checkpoint.size == WIDTH + 2


def test_a_strange_file_beside_partial_tiles_is_left_alone(tmp_path: Path) -> None:
    store = Directory(tmp_path)
    grow(store, 3)
    (tmp_path / "tile/0/000.p/notes.txt").write_text("mine")
    grow(store, WIDTH)
    assert names(tmp_path / "tile/0") == {"000", "000.p/notes.txt"}


@pytest.mark.parametrize("path", ["../secret", "tile/0/../../secret", "secret", "", "/etc/hosts", "tile/0/0", ".lock"])
def test_nothing_outside_the_paths_of_a_log_is_read_or_written(path: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    store = Directory(tmp_path / "log")
    grow(store, 1)
    assert store.read(path) is None
    with pytest.raises(ValueError, match="not the path of a resource"):
        store.write(path, b"")


def test_reading_makes_nothing(tmp_path: Path) -> None:
    assert Directory(tmp_path / "log").read(CHECKPOINT) is None
    assert not (tmp_path / "log").exists()


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    grow(Directory(tmp_path / "log"), 1)
    for path in (tmp_path / "log").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0


def test_a_log_has_one_writer_at_a_time(tmp_path: Path) -> None:
    one, other = Directory(tmp_path / "log"), Directory(tmp_path / "log")
    with one.exclusive(), pytest.raises(LogLocked), other.exclusive():
        pass
    with other.exclusive():
        grow(other, 3)
    assert verify_log(one, KEY.verifier).signed.checkpoint.size == 3


def test_what_a_crash_left_behind_is_cleared_away(tmp_path: Path) -> None:
    store = Directory(tmp_path)
    grow(store, 1)
    (tmp_path / ".staging" / "half").write_bytes(b"half")
    with store.exclusive():
        assert not (tmp_path / ".staging" / "half").exists()
        grow(store, 2)
    assert verify_log(store, KEY.verifier).signed.checkpoint.size == 2


def test_a_write_that_cannot_be_done_leaves_the_old_bytes_and_nothing_else(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.mkdir()
    (place / "inside").write_bytes(b"")
    with pytest.raises(OSError, match="directory"):
        write_durably(place, b"new", staging=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    with pytest.raises(FileNotFoundError):
        write_durably(tmp_path / "other", b"new", staging=tmp_path / "missing")


def test_what_a_crash_left_of_a_write_is_taken_away_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".file.staged").write_bytes(b"half")
    write_durably(tmp_path / "file", b"whole", staging=tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"whole"}
    assert (tmp_path / "file").stat().st_mode & 0o077 == 0


def test_who_waits_for_a_lock_gets_it_afterwards(tmp_path: Path) -> None:
    order: list[str] = []

    def wait() -> None:
        with locked(tmp_path / "lock"):
            order.append("second")

    thread = threading.Thread(target=wait)
    with locked(tmp_path / "lock"):
        thread.start()
        thread.join(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_reader_beside_the_writer_always_finds_a_log_that_verifies(tmp_path: Path) -> None:
    store, reader = Directory(tmp_path), Directory(tmp_path)
    grow(store, 1)
    sizes: list[int] = []
    for size in range(2, 600, 13):
        before = reader.read(CHECKPOINT)
        grow(store, size)
        assert before is not None
        late = Memory()
        late.files = {CHECKPOINT: before}
        sizes.append(verify_log(_Mixed(late, reader), KEY.verifier).signed.checkpoint.size)
    assert sizes == [1, *range(2, 587, 13)]


class _Mixed:
    """The checkpoint that a slow reader took, and the tiles that it finds later."""

    def __init__(self, checkpoint: Memory, tiles: Directory) -> None:
        self._checkpoint = checkpoint
        self._tiles = tiles

    def read(self, path: str) -> bytes | None:
        return self._checkpoint.read(path) if path == CHECKPOINT else self._tiles.read(path)


def test_the_bundles_of_a_directory_are_the_entries(tmp_path: Path) -> None:
    grow(Directory(tmp_path), 300)
    assert (tmp_path / "tile/entries/000").read_bytes() == encode_bundle(some(256))
    assert (tmp_path / "tile/entries/001.p/44").read_bytes() == encode_bundle(some(300)[256:])
