from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.ledger.merkle import HASH_SIZE, leaf_hash
from policy_engine.ledger.tiles import (
    MAX_ENTRY,
    WIDTH,
    Edge,
    EntryTooLong,
    LogFault,
    Tile,
    bundle_of,
    decode_bundle,
    encode_bundle,
    read_entries,
    read_hashes,
)
from tests.ledger import reference
from tests.ledger.logs import VECTORS, Memory, grow, partial_tiles, root_of, sealed, some, tiles_of


@pytest.mark.parametrize("case", VECTORS["tile_paths_c2sp"], ids=lambda case: case["path"])
def test_a_path_is_the_published_one(case: dict[str, int | str]) -> None:
    tile = Tile(level=case["level"], index=int(case["n"]), width=int(case["w"]))  # type: ignore[arg-type]
    assert tile.path == case["path"]
    assert Tile.parse(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "checkpoint",
        "tile/0",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/001",
        "tile/0/x001",
        "tile/0/x001/x001",
        "tile/0/1001",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/entry/000",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/../../checkpoint",
        "../tile/0/000",
        "tile/0/000\n",
        "tile/0/٠٠٠",
        "tile/٠/000",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
    ],
)
def test_what_is_no_path_of_a_tile_is_not_taken_for_one(path: str) -> None:
    assert Tile.parse(path) is None


@given(
    level=st.one_of(st.just("entries"), st.integers(0, 63)), index=st.integers(0, 2**63 - 1), width=st.integers(1, 256)
)
def test_every_path_is_read_as_it_was_written(level: int | str, index: int, width: int) -> None:
    tile = Tile(level=level, index=index, width=width)  # type: ignore[arg-type]
    assert Tile.parse(tile.path) == tile


def test_there_are_no_tiles_out_of_range() -> None:
    for level, index, width in ((64, 0, 1), (-1, 0, 1), (0, -1, 1), (0, 2**63, 1), (0, 0, 0), (0, 0, 257)):
        with pytest.raises(ValueError, match="no "):
            Tile(level=level, index=index, width=width)


def test_a_size_has_the_tiles_of_the_published_example() -> None:
    example = VECTORS["partial_tile_example"]
    tiles = list(tiles_of(example["size"]))
    for level, full, partial in example["levels"]:
        mine = [tile for tile in tiles if tile.level == level]
        assert sorted(tile.index for tile in mine if tile.width == WIDTH) == list(range(full))
        assert [tile.width for tile in mine if tile.width != WIDTH] == [partial]
    assert {tile.level for tile in tiles} == {"entries", 0, 1, 2}
    assert {(tile.index, tile.width) for tile in tiles if tile.level == "entries"} == {
        (tile.index, tile.width) for tile in tiles if tile.level == 0
    }
    assert {tile.path for tile in tiles_of(256)} == {"tile/entries/000", "tile/0/000", "tile/1/000.p/1"}
    assert list(tiles_of(0)) == []
    assert [tile.path for tile in partial_tiles(257)] == ["tile/entries/001.p/1", "tile/0/001.p/1", "tile/1/000.p/1"]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 1000, 65_536, 65_537])
def test_a_log_consists_of_the_tiles_of_its_size(size: int) -> None:
    assert set(sealed(size).files) == {"checkpoint", *(tile.path for tile in tiles_of(size))}


def test_a_tile_knows_what_it_covers() -> None:
    assert (bundle_of(3, 7).start, bundle_of(3, 7).span) == (768, 1)
    assert (Tile(level=0, index=3).start, Tile(level=0, index=3).span) == (768, 1)
    assert (Tile(level=2, index=1).start, Tile(level=2, index=1).span) == (256**3, 256**2)
    assert bundle_of(3, 7).full == bundle_of(3)


def test_the_hashes_of_every_tile_are_roots_by_the_definition() -> None:
    entries = some(1000)
    store = Memory()
    grow(store, 1000)
    for tile in tiles_of(1000):
        if tile.level != "entries":
            hashes = read_hashes(store, tile)
            for at in range(tile.width):
                begin = tile.start + at * tile.span
                expected = reference.mth(entries[begin : begin + tile.span])
                assert hashes[at * HASH_SIZE : (at + 1) * HASH_SIZE] == expected


@given(entries=st.lists(st.binary(max_size=300), min_size=1, max_size=WIDTH))
def test_entries_come_out_of_a_bundle_as_they_went_in(entries: list[bytes]) -> None:
    bundle = bundle_of(0, len(entries))
    data = encode_bundle(entries)
    assert decode_bundle(data, bundle) == entries
    assert decode_bundle(data + b"more", bundle, whole=False) == entries
    with pytest.raises(LogFault, match="after the last entry"):
        decode_bundle(data + b"\0", bundle)
    for cut in (1, 2, len(data)):
        if cut <= len(data):
            with pytest.raises(LogFault, match="ends within"):
                decode_bundle(data[:-cut], bundle)


def test_an_entry_is_at_most_65535_bytes_long() -> None:
    longest = b"x" * MAX_ENTRY
    data = encode_bundle([b"", longest])
    assert data[:4] == b"\0\0\xff\xff"
    assert decode_bundle(data, bundle_of(0, 2)) == [b"", longest]
    with pytest.raises(EntryTooLong):
        encode_bundle([longest + b"x"])


def test_a_cut_bundle_names_the_entry_at_which_it_ends() -> None:
    data = encode_bundle([b"aa", b"bb", b"cc"])
    for kept, index in ((11, 770), (9, 770), (8, 770), (7, 769), (1, 768), (0, 768)):
        with pytest.raises(LogFault) as caught:
            decode_bundle(data[:kept], bundle_of(3, 3))
        assert (caught.value.path, caught.value.index) == ("tile/entries/003.p/3", index)


def test_a_partial_tile_that_has_gone_is_the_beginning_of_the_full_one() -> None:
    store = sealed(256)
    assert read_entries(store, bundle_of(0, 5)) == some(5)
    assert read_hashes(store, Tile(level=0, index=0, width=5)) == b"".join(map(leaf_hash, some(5)))
    del store.files["tile/entries/000"], store.files["tile/0/000"]
    with pytest.raises(LogFault, match="the bundle is missing"):
        read_entries(store, bundle_of(0, 5))
    with pytest.raises(LogFault, match="the tile is missing"):
        read_hashes(store, Tile(level=0, index=0, width=5))


def test_a_tile_of_another_length_is_a_fault() -> None:
    for width, path in ((5, "tile/0/000.p/5"), (5, "tile/0/000"), (256, "tile/0/000")):
        for size in (0, 5 * HASH_SIZE - 1, 256 * HASH_SIZE + 1):
            store = Memory()
            store.files[path] = b"\0" * size
            with pytest.raises(LogFault) as caught:
                read_hashes(store, Tile(level=0, index=0, width=width))
            assert caught.value.path == path


@given(steps=st.lists(st.integers(0, 300), max_size=6))
def test_an_edge_has_the_root_of_its_leaves_whatever_the_steps(steps: list[int]) -> None:
    leaves = [leaf_hash(entry) for entry in some(sum(steps))]
    edge = Edge()
    for step in steps:
        end = edge.size + step
        while edge.size < end:
            chunk = leaves[edge.size : min(end, edge.size - edge.size % WIDTH + WIDTH)]
            list(edge.extend(chunk))
    assert edge.root() == root_of(leaves)
    assert [tile for tile, _ in edge.partial()] == [
        tile for tile in partial_tiles(len(leaves)) if tile.level != "entries"
    ]


def test_an_edge_takes_leaves_up_to_the_end_of_a_tile() -> None:
    edge = Edge()
    list(edge.extend([leaf_hash(b"")]))
    with pytest.raises(ValueError, match="more leaves"):
        list(edge.extend([leaf_hash(b"")] * WIDTH))
