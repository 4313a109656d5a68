"""The tamper matrix: what anybody finds who has the public key, and what only an older checkpoint finds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_engine.ledger.checkpoint import Checkpoint, sign_checkpoint
from policy_engine.ledger.merkle import EMPTY_ROOT, leaf_hash
from policy_engine.ledger.note import SigningKey, VerifierKey
from policy_engine.ledger.sealer import HistoryDiffers, seal
from policy_engine.ledger.tiles import CHECKPOINT, HEIGHT, WIDTH, LogFault, Tile, bundle_of, encode_bundle
from policy_engine.ledger.verify import verify_log
from tests.ledger.logs import KEY, ORIGIN, Memory, grow, sealed, some, source, tiles_of

OLD, SIZE = 1000, 1300


@pytest.fixture(scope="module")
def older() -> Checkpoint:
    return grow(Memory(), OLD)


@pytest.fixture(scope="module")
def clean() -> Memory:
    return sealed(OLD, SIZE)


def copy(store: Memory) -> Memory:
    other = Memory()
    other.files = dict(store.files)
    return other


@pytest.fixture
def store(clean: Memory) -> Memory:
    return copy(clean)


def fault(store: Memory, *older: Checkpoint, key: VerifierKey = KEY.verifier) -> tuple[str, int | None]:
    """Path and index of the fault that there has to be."""
    with pytest.raises(LogFault) as caught:
        verify_log(store, key, older=older)
    assert str(caught.value).startswith(caught.value.path)
    return caught.value.path, caught.value.index


def flip(store: Memory, path: str, at: int, bit: int = 1) -> None:
    data = bytearray(store.files[path])
    data[at] ^= bit
    store.files[path] = bytes(data)


def test_a_clean_log_verifies_and_is_held_against_older_checkpoints(clean: Memory, older: Checkpoint) -> None:
    seen: list[tuple[int, int]] = []
    empty = Checkpoint(origin=ORIGIN, size=0, root=EMPTY_ROOT)
    verified = verify_log(
        clean,
        KEY.verifier,
        older=[older, grow(Memory(), SIZE), empty],
        progress=lambda done, of: seen.append((done, of)),
    )
    assert verified.signed.checkpoint.size == SIZE
    assert verified.signed.note == clean.files[CHECKPOINT]
    assert verified.held_against == (OLD, SIZE, 0)
    assert seen == [(done, SIZE) for done in (256, 512, 768, 1024, 1280, 1300)]


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 512, 65_536, 65_537])
def test_a_log_of_any_size_verifies(size: int) -> None:
    assert verify_log(sealed(size), KEY.verifier).signed.checkpoint.size == size


def test_a_byte_flipped_in_a_bundle_is_found_at_its_entry(store: Memory) -> None:
    path = bundle_of(2).path
    before = sum(2 + len(entry) for entry in some(515)[512:])
    flip(store, path, before + 2)
    assert fault(store) == (path, 515)


def test_a_byte_flipped_in_a_tile_of_leaves_is_found_at_its_entry(store: Memory) -> None:
    flip(store, "tile/0/003", 32 * 17 + 5)
    assert fault(store) == ("tile/entries/003", 3 * 256 + 17)


def test_a_byte_flipped_in_a_tile_above_is_found_at_the_first_entry_below(store: Memory) -> None:
    flip(store, "tile/1/000.p/5", 32 * 3 + 31)
    assert fault(store) == ("tile/1/000.p/5", 3 * 256)


def test_a_byte_flipped_in_a_full_tile_above_is_found_at_the_first_entry_below() -> None:
    store = sealed(WIDTH**2)
    flip(store, "tile/1/000", 32 * 200)
    assert fault(store) == ("tile/1/000", 200 * WIDTH)


def test_a_byte_flipped_anywhere_in_any_resource_is_found() -> None:
    clean = sealed(7)
    verify_log(clean, KEY.verifier)
    for path, data in clean.files.items():
        for at in range(len(data)):
            for bit in (1, 128):
                store = copy(clean)
                flip(store, path, at, bit)
                found, _ = fault(store)
                assert (found == CHECKPOINT) == (path == CHECKPOINT)


@given(data=st.data())
def test_a_byte_flipped_in_a_long_log_is_found_near_its_place(data: st.DataObject, clean: Memory) -> None:
    tile = data.draw(st.sampled_from(list(tiles_of(SIZE))))
    at = data.draw(st.integers(0, len(clean.files[tile.path]) - 1))
    store = copy(clean)
    flip(store, tile.path, at, 1 << data.draw(st.integers(0, 7)))
    path, index = fault(store)
    assert path in {tile.path, bundle_of(tile.index, tile.width).path}
    assert index is None or tile.start <= index < tile.start + tile.width * tile.span


@given(data=st.data(), cut=st.integers(1, 400))
def test_a_truncated_or_padded_resource_is_found(data: st.DataObject, cut: int, clean: Memory) -> None:
    tile = data.draw(st.sampled_from(list(tiles_of(SIZE))))
    for changed in (clean.files[tile.path][:-cut], clean.files[tile.path] + b"\0" * cut):
        store = copy(clean)
        store.files[tile.path] = changed
        assert fault(store)[0] == tile.path


def test_a_last_bundle_cut_by_40_bytes_is_found_at_the_first_entry_lost(store: Memory) -> None:
    path = bundle_of(SIZE // 256, SIZE % 256).path
    store.files[path] = store.files[path][:-40]
    kept, index = len(store.files[path]), SIZE // 256 * 256
    for entry in some(SIZE)[index:]:
        kept -= 2 + len(entry)
        if kept < 0:
            break
        index += 1
    assert fault(store) == (path, index)


def test_every_resource_that_is_missing_is_missed(clean: Memory) -> None:
    for tile in tiles_of(SIZE):
        store = copy(clean)
        del store.files[tile.path]
        assert fault(store) == (tile.path, tile.start)
    store = copy(clean)
    del store.files[CHECKPOINT]
    assert fault(store) == (CHECKPOINT, None)


def test_entries_that_are_deleted_swapped_or_put_in_are_found(store: Memory) -> None:
    def deleted(entries: list[bytes]) -> None:
        del entries[40]

    def swapped(entries: list[bytes]) -> None:
        entries[40], entries[41] = entries[41], entries[40]

    def put_in(entries: list[bytes]) -> None:
        entries.insert(40, b"new")

    changes: list[Callable[[list[bytes]], None]] = [deleted, swapped, put_in]
    for change in changes:
        damaged = copy(store)
        entries = some(256)
        change(entries)
        damaged.files["tile/entries/000"] = encode_bundle(entries)
        assert fault(damaged) == ("tile/entries/000", 40)


def test_bundles_that_are_swapped_are_found(store: Memory) -> None:
    files = store.files
    files["tile/entries/001"], files["tile/entries/002"] = files["tile/entries/002"], files["tile/entries/001"]
    assert fault(store) == ("tile/entries/001", 256)
    files["tile/0/001"], files["tile/0/002"] = files["tile/0/002"], files["tile/0/001"]
    assert fault(store) == ("tile/1/000.p/5", 256)


def test_a_size_edited_in_the_checkpoint_is_found(store: Memory) -> None:
    store.files[CHECKPOINT] = store.files[CHECKPOINT].replace(b"\n1300\n", b"\n1299\n")
    assert fault(store) == (CHECKPOINT, None)


def test_a_checkpoint_by_another_key_is_refused(store: Memory) -> None:
    thief = SigningKey(name=ORIGIN, seed=b"\x66" * 32)
    signed = sign_checkpoint(verify_log(store, KEY.verifier).signed.checkpoint, thief)
    assert fault(store, key=thief.verifier) == (CHECKPOINT, None)
    store.files[CHECKPOINT] = signed.note
    assert fault(store) == (CHECKPOINT, None)


def test_a_checkpoint_of_another_log_by_the_same_key_is_refused(store: Memory) -> None:
    with pytest.raises(LogFault, match="another log"):
        verify_log(store, KEY.verifier, origin="other.example")


def test_a_checkpoint_that_the_tiles_do_not_lead_to_is_refused(store: Memory) -> None:
    store.files[CHECKPOINT] = sign_checkpoint(Checkpoint(origin=ORIGIN, size=SIZE, root=leaf_hash(b"")), KEY).note
    assert fault(store) == (CHECKPOINT, None)


def test_tiles_rewritten_to_fit_a_changed_entry_do_not_fit_the_signature(store: Memory) -> None:
    forged = rewritten(490)
    for path, data in forged.files.items():
        if path != CHECKPOINT:
            store.files[path] = data
    assert fault(store) == (CHECKPOINT, None)


def rewritten(index: int) -> Memory:
    """The log as the holder of the key would have made it with another entry at the index."""
    entries = some(SIZE)
    entries[index] = entries[index].replace(b"seq", b"SEQ")
    forged = Memory()
    seal(key=KEY, store=forged, entries=source(entries))
    return forged


def test_an_insider_who_signs_everything_anew_is_found_only_by_an_older_checkpoint(older: Checkpoint) -> None:
    forged = rewritten(490)
    assert verify_log(forged, KEY.verifier).signed.checkpoint.size == SIZE
    assert fault(forged, older) == (CHECKPOINT, None)
    with pytest.raises(HistoryDiffers):
        seal(key=KEY, store=forged, entries=source(some(SIZE)), previous=older)


def test_an_insider_who_changes_what_came_after_the_older_checkpoint_is_not_found(older: Checkpoint) -> None:
    verify_log(rewritten(OLD), KEY.verifier, older=[older])


@settings(max_examples=20)
@given(index=st.integers(0, OLD - 1) | st.just(OLD - 1))
def test_any_entry_that_an_older_checkpoint_covers_is_held(index: int, older: Checkpoint) -> None:
    assert fault(rewritten(index), older) == (CHECKPOINT, None)


def test_a_log_that_was_cut_back_and_signed_is_found_by_an_older_checkpoint(older: Checkpoint) -> None:
    short = sealed(OLD - 1)
    verify_log(short, KEY.verifier)
    assert fault(short, older) == (CHECKPOINT, OLD - 1)


def test_an_older_checkpoint_is_that_of_the_same_log(store: Memory, older: Checkpoint) -> None:
    other = Checkpoint(origin="other.example", size=older.size, root=older.root)
    assert fault(store, other) == (CHECKPOINT, None)


def test_what_lies_beyond_the_checkpoint_is_not_looked_at(store: Memory) -> None:
    store.files[bundle_of(5).path] = store.files.pop(bundle_of(5, 20).path) + b"\xff\xff not written yet"
    store.files["tile/0/005"] = store.files.pop("tile/0/005.p/20") + b"\0" * 32 * (256 - 20)
    verify_log(store, KEY.verifier)


def test_a_hash_of_a_tile_spans_what_the_height_says() -> None:
    assert Tile(level=1, index=0).span == 1 << HEIGHT
