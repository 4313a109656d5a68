from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_engine.ledger.checkpoint import SignedCheckpoint, sign_checkpoint
from policy_engine.ledger.merkle import leaf_hash
from policy_engine.ledger.note import SigningKey, encode_base64
from policy_engine.ledger.proof import InvalidReceipt, Receipt, receipt_of
from policy_engine.ledger.sealer import published
from tests.ledger.logs import KEY, ORIGIN, Memory, cosigned, entry, grow, sealed

SIZE = 600


def signed_of(store: Memory) -> SignedCheckpoint:
    signed = published(store, KEY.verifier)
    assert signed is not None
    return signed


@pytest.fixture(scope="module")
def log() -> Memory:
    return sealed(SIZE)


@settings(max_examples=60)
@given(index=st.integers(0, SIZE - 1), extra=st.none() | st.binary(max_size=40))
def test_a_receipt_of_any_entry_is_read_and_verified(index: int, extra: bytes | None, log: Memory) -> None:
    receipt = receipt_of(log, index, signed_of(log), extra=extra)
    read = Receipt.parse(receipt.encode())
    assert read == receipt
    assert read.verify(entry(index), KEY.verifier) == signed_of(log)
    for other in (entry(index + 1), entry(index) + b" ", b""):
        with pytest.raises(InvalidReceipt, match="not proven"):
            read.verify(other, KEY.verifier)


def test_a_receipt_is_written_as_the_format_says() -> None:
    store = sealed(3)
    receipt = receipt_of(store, 2, signed_of(store), extra=b"more")
    sibling = encode_base64(receipt.proof[0])
    assert receipt.encode() == (
        f"c2sp.org/tlog-proof@v1\nextra bW9yZQ==\nindex 2\n{sibling}\n\n".encode() + store.files["checkpoint"]
    )


def test_a_receipt_of_the_only_entry_needs_no_hashes() -> None:
    store = sealed(1)
    receipt = receipt_of(store, 0, signed_of(store))
    assert receipt.encode().startswith(b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + ORIGIN.encode())
    assert Receipt.parse(receipt.encode()).verify(entry(0), KEY.verifier).checkpoint.size == 1


def test_a_receipt_stays_good_when_the_log_grows() -> None:
    store = sealed(300)
    early = receipt_of(store, 299, signed_of(store))
    grow(store, 700)
    assert early.verify(entry(299), KEY.verifier).checkpoint.size == 300
    assert receipt_of(store, 299, early.verify(entry(299), KEY.verifier)) == early


def test_any_changed_byte_of_a_receipt_is_noticed() -> None:
    store = sealed(7)
    data = receipt_of(store, 3, signed_of(store)).encode()
    for at in range(len(data)):
        for bit in (1, 128):
            changed = data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
            with pytest.raises(InvalidReceipt):
                Receipt.parse(changed).verify(entry(3), KEY.verifier)


def test_no_receipt_is_made_for_what_the_checkpoint_does_not_cover(log: Memory) -> None:
    for index in (-1, SIZE, SIZE + 1):
        with pytest.raises(ValueError, match="has no entry"):
            receipt_of(log, index, signed_of(log))


@pytest.mark.parametrize(
    "head",
    [
        "",
        "c2sp.org/tlog-proof@v2\nindex 0\n",
        "c2sp.org/tlog-proof@v1\n",
        "c2sp.org/tlog-proof@v1\nextra AA==\n",
        "c2sp.org/tlog-proof@v1\nextra AB==\nindex 0\n",
        "c2sp.org/tlog-proof@v1\nindex 0\nextra AA==\n",
        "c2sp.org/tlog-proof@v1\nextra AA==\nextra AA==\nindex 0\n",
        "c2sp.org/tlog-proof@v1\nindex 00\n",
        "c2sp.org/tlog-proof@v1\nindex -1\n",
        "c2sp.org/tlog-proof@v1\nindex\n",
        "c2sp.org/tlog-proof@v1\nindex 0 \n",
        "c2sp.org/tlog-proof@v1\nindex 9223372036854775808\n",
        "c2sp.org/tlog-proof@v1\nindex 0\nindex 0\n",
        "c2sp.org/tlog-proof@v1\nindex 0\nAA==\n",
        "c2sp.org/tlog-proof@v1\r\nindex 0\r\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n" + (encode_base64(b"\0" * 32) + "\n") * 64,
        "é\nindex 0\n",
    ],
)
def test_a_malformed_receipt_is_refused(head: str) -> None:
    note = sealed(1).files["checkpoint"]
    with pytest.raises(InvalidReceipt):
        Receipt.parse(head.encode() + b"\n" + note)


def test_a_receipt_without_a_signed_note_is_refused() -> None:
    for tail in (b"", b"no note", b"x" * 3_000_000):
        with pytest.raises(InvalidReceipt):
            Receipt.parse(b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + tail)


def test_a_receipt_with_too_much_beside_the_proof_is_refused() -> None:
    receipt = Receipt(index=0, proof=(), note=sealed(1).files["checkpoint"], extra=b"x" * 1_500_000)
    with pytest.raises(InvalidReceipt, match="too long"):
        Receipt.parse(receipt.encode())
    assert Receipt.parse(replace(receipt, extra=b"x" * 1_000_000).encode()).index == 0


def test_a_log_of_another_key_is_not_trusted(log: Memory) -> None:
    receipt = receipt_of(log, 5, signed_of(log))
    impostor = SigningKey(name=ORIGIN, seed=b"\x66" * 32)
    other = SigningKey(name="other.example", seed=KEY.seed)
    for key in (impostor, other):
        with pytest.raises(InvalidReceipt):
            receipt.verify(entry(5), key.verifier)
    assert receipt.verify(entry(5), KEY.verifier) == signed_of(log)
    forged = sign_checkpoint(signed_of(log).checkpoint, impostor)
    with pytest.raises(InvalidReceipt):
        replace(receipt, note=forged.note).verify(entry(5), KEY.verifier)


def test_a_receipt_keeps_its_checkpoint_byte_for_byte(log: Memory) -> None:
    note = cosigned(log.files["checkpoint"])
    receipt = Receipt(index=5, proof=(leaf_hash(b""),), note=note)
    assert Receipt.parse(receipt.encode()).note == note
