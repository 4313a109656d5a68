from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from policy_engine.ledger.merkle import EMPTY_ROOT, leaf_hash, verify_consistency
from policy_engine.ledger.note import SigningKey
from policy_engine.ledger.sealer import EntryGap, HistoryDiffers, published, seal
from policy_engine.ledger.tiles import CHECKPOINT, EntryTooLong, LogFault, TileConflict, bundle_of
from policy_engine.ledger.verify import verify_log
from policy_engine.ledger.witness import FileWitness, WitnessRefuses
from tests.ledger import reference
from tests.ledger.logs import KEY, ORIGIN, Memory, cosigned, entry, grow, sealed, some, source


def test_an_empty_log_is_signed() -> None:
    store = Memory()
    sealed_now = seal(key=KEY, store=store, entries=source([]))
    assert sealed_now.added == 0
    assert sealed_now.signed.checkpoint == Checkpoint(origin=ORIGIN, size=0, root=EMPTY_ROOT)
    assert list(store.files) == [CHECKPOINT]


@pytest.mark.slow
@given(steps=st.lists(st.integers(0, 600), min_size=1, max_size=6))
def test_a_log_grown_in_steps_is_that_of_one_step(steps: list[int]) -> None:
    store, size = Memory(), 0
    for step in steps:
        before = published(store, KEY.verifier)
        size += step
        made = seal(key=KEY, store=store, entries=source(some(size)))
        assert made.added == step
        assert made.signed.checkpoint.root == reference.mth(some(size))
        assert published(store, KEY.verifier) == made.signed
        verify_log(store, KEY.verifier, older=[] if before is None else [before.checkpoint])
    once = sealed(size)
    assert store.files.items() >= once.files.items()


def test_a_log_that_does_not_grow_is_not_signed_again() -> None:
    store = sealed(300)
    store.files[CHECKPOINT] = cosigned(store.files[CHECKPOINT])
    before = dict(store.files)
    again = seal(key=KEY, store=store, entries=source(some(300)))
    assert (again.added, again.signed.note) == (0, before[CHECKPOINT])
    assert store.files == before


def test_entries_are_asked_for_from_the_checkpoint_on() -> None:
    store, asked = sealed(300), []

    def entries(start: int) -> Iterator[tuple[int, bytes]]:
        asked.append(start)
        yield 300, entry(300)

    assert seal(key=KEY, store=store, entries=entries).added == 1
    assert asked == [300]


@pytest.mark.parametrize("start", [0, 5, 256])
@pytest.mark.parametrize("shift", [-1, 1])
def test_a_gap_or_a_repetition_among_the_entries_is_refused(start: int, shift: int) -> None:
    store = sealed(start)
    for at in (0, 3, 300):

        def entries(first: int, at: int = at) -> Iterator[tuple[int, bytes]]:
            for index in range(first, first + 400):
                yield index + (shift if index >= first + at else 0), entry(index)

        with pytest.raises(EntryGap):
            seal(key=KEY, store=store, entries=entries)
    last = published(store, KEY.verifier)
    assert last is not None
    assert last.checkpoint.size == start


def test_an_entry_too_long_for_a_bundle_is_refused_by_its_index() -> None:
    with pytest.raises(EntryTooLong, match="entry 1 has 65536 bytes"):
        seal(key=KEY, store=Memory(), entries=source([b"", b"x" * 65536]))


def test_a_tile_with_other_bytes_is_not_overwritten() -> None:
    store = sealed(255)
    store.files["tile/0/000"] = b"\0" * 8192
    with pytest.raises(TileConflict) as caught:
        grow(store, 256)
    assert caught.value.path == "tile/0/000"
    assert open_checkpoint(store.files[CHECKPOINT], KEY.verifier).checkpoint.size == 255


@pytest.mark.parametrize("path", ["tile/entries/001.p/44", "tile/0/001.p/44", "tile/1/000.p/1", CHECKPOINT])
@pytest.mark.parametrize("change", ["missing", "flipped", "short"])
def test_a_log_whose_edge_is_damaged_does_not_grow(path: str, change: str) -> None:
    store = sealed(300)
    data = store.files.pop(path)
    if change == "flipped":
        store.files[path] = data[:30] + bytes([data[30] ^ 1]) + data[31:]
    elif change == "short":
        store.files[path] = data[:-1]
    before = dict(store.files)
    if (path, change) == (CHECKPOINT, "missing"):
        assert grow(store, 400).root == reference.mth(some(400))
        return
    with pytest.raises(LogFault):
        grow(store, 400)
    assert store.files == before


def test_a_checkpoint_of_another_log_or_key_is_not_continued() -> None:
    for key in (SigningKey(name=ORIGIN, seed=b"\x66" * 32), SigningKey(name="other.example", seed=KEY.seed)):
        store = sealed(3)
        with pytest.raises(LogFault):
            seal(key=key, store=store, entries=source(some(4)))


def test_a_signed_checkpoint_that_the_tiles_do_not_lead_to_is_not_continued() -> None:
    store = sealed(3)
    store.files[CHECKPOINT] = sign_checkpoint(Checkpoint(origin=ORIGIN, size=3, root=leaf_hash(b"")), KEY).note
    with pytest.raises(LogFault, match="another root"):
        grow(store, 4)


class Fading(Memory):
    """A store that gives a resource right once and wrong ever after."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.reads = 0

    def read(self, path: str) -> bytes | None:
        data = super().read(path)
        if path == self.path and data is not None:
            self.reads += 1
            if self.reads > 1:
                return bytes([data[0] ^ 1]) + data[1:]
        return data


@pytest.mark.parametrize(
    ("begin", "end", "path"), [(0, 5, "tile/0/000.p/5"), (300, 600, "tile/1/000.p/2"), (300, 600, "tile/0/002.p/88")]
)
def test_the_edge_is_read_again_before_it_is_signed(begin: int, end: int, path: str) -> None:
    store = Fading(path)
    grow(store, begin)
    before = store.files[CHECKPOINT]
    with pytest.raises(LogFault, match="when they are read again"):
        grow(store, end)
    assert store.files[CHECKPOINT] == before


def test_the_new_tree_is_proven_from_the_published_one_before_it_is_signed() -> None:
    store = Fading("tile/0/001")
    grow(store, 300)
    before = store.files[CHECKPOINT]
    with pytest.raises(HistoryDiffers, match="first 300 entries"):
        grow(store, 600)
    assert store.files[CHECKPOINT] == before


def test_a_log_that_was_seen_longer_is_not_signed_shorter() -> None:
    seen = grow(Memory(), 300)
    for store in (Memory(), sealed(200)):
        before = dict(store.files).get(CHECKPOINT)
        with pytest.raises(HistoryDiffers, match="300 entries was seen before, and this one has 299"):
            seal(key=KEY, store=store, entries=source(some(299)), previous=seen)
        assert store.files.get(CHECKPOINT) == before
        assert seal(key=KEY, store=store, entries=source(some(300)), previous=seen).signed.checkpoint == seen


def test_a_log_that_was_seen_with_other_entries_is_not_signed() -> None:
    seen = grow(Memory(), 300)
    entries = some(400)
    entries[299] = b"other"
    for previous_size in (0, 200):
        store = sealed(previous_size) if previous_size else Memory()
        with pytest.raises(HistoryDiffers, match="first 300 entries"):
            seal(key=KEY, store=store, entries=source(entries), previous=seen)
    other = Checkpoint(origin="other.example", size=seen.size, root=seen.root)
    with pytest.raises(HistoryDiffers, match=r"other\.example"):
        seal(key=KEY, store=Memory(), entries=source(some(300)), previous=other)


def test_a_witness_is_asked_before_anything_is_signed(tmp_path: Path) -> None:
    witness = FileWitness.create(tmp_path / "witness", origin=ORIGIN)
    store = Memory()
    for size in (0, 5, 5, 256, 300, 700):
        sealed_now = seal(
            key=KEY, store=store, entries=source(some(size)), previous=witness.latest(), approve=witness.check
        )
        assert witness.latest() == sealed_now.signed.checkpoint
    before = dict(store.files)
    with pytest.raises(WitnessRefuses):
        seal(key=KEY, store=Memory(), entries=source([b"other"] * 800), approve=witness.check)
    with pytest.raises(HistoryDiffers):
        seal(key=KEY, store=Memory(), entries=source(some(699)), previous=witness.latest(), approve=witness.check)
    assert store.files == before


def test_whoever_refuses_stops_the_signature() -> None:
    class Refused(Exception):
        pass

    def refuse(size: int, root: bytes, proof: tuple[bytes, ...]) -> None:
        raise Refused(size, root, proof)

    store, seen = sealed(5), grow(Memory(), 3)
    with pytest.raises(Refused) as caught:
        seal(key=KEY, store=store, entries=source(some(9)), previous=seen, approve=refuse)
    size, root, proof = caught.value.args
    verify_consistency(old=3, old_root=seen.root, new=size, new_root=root, proof=proof)
    assert open_checkpoint(store.files[CHECKPOINT], KEY.verifier).checkpoint.size == 5
    assert bundle_of(0, 9).path in store.files
    assert grow(store, 9).size == 9
