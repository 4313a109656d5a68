"""Whole logs that were published or accepted elsewhere are made again, byte for byte, from their keys and entries."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest

from policy_engine.ledger.checkpoint import open_checkpoint
from policy_engine.ledger.merkle import inclusion_proof, leaf_hash, verify_inclusion
from policy_engine.ledger.note import SigningKey, VerifierKey, encode_base64
from policy_engine.ledger.sealer import seal
from policy_engine.ledger.tiles import CHECKPOINT, WIDTH, Tile, TileHashes
from policy_engine.ledger.verify import verify_log
from tests.ledger import reference
from tests.ledger.logs import KEY, VECTORS, Memory, source

OWN: Final[dict[str, Any]] = VECTORS["own_log_70000"]
OWN_ENTRIES: Final = [
    b'{"decision":"%s","seq":%d,"sub":"u%d"}' % (b"deny" if index % 7 else b"allow", index, index % 97)
    for index in range(OWN["size"])
]
TESSERA: Final[dict[str, Any]] = VECTORS["tessera_log"]
TESSERA_ENTRIES: Final = [text.encode() for text in TESSERA["entries"]]


@pytest.fixture(scope="module")
def own() -> Memory:
    """The log of 70,000 entries, sealed in two steps that end within tiles."""
    store = Memory()
    seal(key=KEY, store=store, entries=source(OWN_ENTRIES[:12_345]))
    seal(key=KEY, store=store, entries=source(OWN_ENTRIES))
    return store


def test_seventy_thousand_entries_are_sealed_to_the_root_that_other_programs_accepted(own: Memory) -> None:
    assert OWN_ENTRIES[0].decode() == OWN["entry_0"]
    assert KEY.verifier.encode() == OWN["vkey"]
    checkpoint = open_checkpoint(own.files[CHECKPOINT], VerifierKey.parse(OWN["vkey"])).checkpoint
    assert (checkpoint.size, encode_base64(checkpoint.root)) == (OWN["size"], OWN["root_b64"])
    assert encode_base64(reference.mth(OWN_ENTRIES)) == OWN["root_b64"]


def test_the_log_of_seventy_thousand_entries_is_verified_and_proves_its_edges(own: Memory) -> None:
    verified = verify_log(own, VerifierKey.parse(OWN["vkey"]))
    checkpoint = verified.signed.checkpoint
    hashes = TileHashes(own, checkpoint.size)
    for index in (0, 255, 256, 65_535, 65_536, 69_887, 69_999):
        verify_inclusion(
            leaf=leaf_hash(OWN_ENTRIES[index]),
            index=index,
            size=checkpoint.size,
            proof=inclusion_proof(index, checkpoint.size, hashes),
            root=checkpoint.root,
        )


def test_seventy_thousand_entries_stand_in_the_tiles_of_the_published_example(own: Memory) -> None:
    example = VECTORS["partial_tile_example"]
    assert example["size"] == OWN["size"]
    assert example["levels"] == [[0, 273, 112], [1, 1, 17], [2, 0, 1]]
    tiles = [tile for path in own.files if (tile := Tile.parse(path)) is not None]
    assert {tile.level for tile in tiles} == {"entries", 0, 1, 2}
    for level, full, partial in [["entries", 273, 112], *example["levels"]]:
        mine = [tile for tile in tiles if tile.level == level]
        assert sorted(tile.index for tile in mine if tile.width == WIDTH) == list(range(full))
        # Those of the first step stand there too: a partial tile is never taken away.
        assert partial in {tile.width for tile in mine if tile.index == full}


def test_a_log_of_tessera_is_grown_to_the_same_checkpoints_and_tiles_one_entry_at_a_time() -> None:
    key, store = SigningKey.parse(TESSERA["skey"]), Memory()
    assert key.verifier.encode() == TESSERA["vkey"]
    bundle, tile = (bytes.fromhex(TESSERA[f"tile_{level}_000_p_15_hex"]) for level in ("entries", 0))
    for size, published in enumerate(TESSERA["checkpoints"]):
        # Ed25519 has one signature for a key and a text.
        assert seal(key=key, store=store, entries=source(TESSERA_ENTRIES[:size])).signed.note == published.encode()
        assert verify_log(store, key.verifier).signed.checkpoint.size == size
        if size:
            assert store.files[f"tile/0/000.p/{size}"] == tile[: 32 * size]
            assert bundle.startswith(store.files[f"tile/entries/000.p/{size}"])
    assert len(TESSERA["checkpoints"]) == len(TESSERA_ENTRIES) + 1
    assert store.files["tile/entries/000.p/15"] == bundle


def test_a_log_as_tessera_published_it_is_verified_against_each_of_its_older_checkpoints() -> None:
    key = VerifierKey.parse(TESSERA["vkey"])
    store = Memory()
    store.files = {
        CHECKPOINT: TESSERA["checkpoints"][15].encode(),
        "tile/0/000.p/15": bytes.fromhex(TESSERA["tile_0_000_p_15_hex"]),
        "tile/entries/000.p/15": bytes.fromhex(TESSERA["tile_entries_000_p_15_hex"]),
    }
    older = [open_checkpoint(note.encode(), key).checkpoint for note in TESSERA["checkpoints"]]
    assert verify_log(store, key, older=older).held_against == tuple(range(16))


def test_every_vector_of_the_file_is_asked_for_by_a_test() -> None:
    texts = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py")]
    asked = {name for text in texts for name in re.findall(r'VECTORS\["(\w+)"\]', text)}
    assert asked == set(VECTORS) - {"_sources"}
