from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_engine.ledger.checkpoint import SignedCheckpoint, cosign, sign_checkpoint
from policy_engine.ledger.merkle import leaf_hash
from policy_engine.ledger.note import KeyType, SigningKey, encode_base64
from policy_engine.ledger.proof import (
    GroupLine,
    InvalidPolicy,
    InvalidReceipt,
    LogLine,
    Policy,
    Receipt,
    WitnessLine,
    receipt_of,
)
from policy_engine.ledger.sealer import published
from tests.ledger.logs import KEY, ORIGIN, VECTORS, Memory, entry, grow, sealed

ALONE = Policy(logs=(LogLine(key=KEY.verifier),))
WITNESSES = [
    SigningKey(name=f"w{number}.example", type=KeyType.COSIGNATURE, seed=bytes([number]) * 32) for number in range(5)
]
LINES = tuple(WitnessLine(name=f"W{number}", key=one.verifier) for number, one in enumerate(WITNESSES))
TWO_GROUPS = Policy(
    logs=ALONE.logs,
    witnesses=LINES,
    groups=(
        GroupLine(name="X", threshold=2, members=("W0", "W1", "W2")),
        GroupLine(name="Y", threshold=1, members=("W3", "W4")),
        GroupLine(name="both", threshold=2, members=("X", "Y")),
    ),
    quorum="both",
)
SIZE = 600


def signed_of(store: Memory) -> SignedCheckpoint:
    signed = published(store, KEY.verifier)
    assert signed is not None
    return signed


@pytest.fixture(scope="module")
def log() -> Memory:
    return sealed(SIZE)


def cosigned(note: bytes, *numbers: int) -> bytes:
    for number in numbers:
        note = cosign(note, KEY.verifier, WITNESSES[number], timestamp=1_767_225_600 + number)
    return note


@settings(max_examples=60)
@given(index=st.integers(0, SIZE - 1), extra=st.none() | st.binary(max_size=40))
def test_a_receipt_of_any_entry_is_read_and_verified(index: int, extra: bytes | None, log: Memory) -> None:
    receipt = receipt_of(log, index, signed_of(log), extra=extra)
    read = Receipt.parse(receipt.encode())
    assert read == receipt
    assert read.verify(entry(index), ALONE) == signed_of(log)
    for other in (entry(index + 1), entry(index) + b" ", b""):
        with pytest.raises(InvalidReceipt, match="not proven"):
            read.verify(other, ALONE)


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
    assert Receipt.parse(receipt.encode()).verify(entry(0), ALONE).checkpoint.size == 1


def test_a_receipt_stays_good_when_the_log_grows() -> None:
    store = sealed(300)
    early = receipt_of(store, 299, signed_of(store))
    grow(store, 700)
    assert early.verify(entry(299), ALONE).checkpoint.size == 300
    assert receipt_of(store, 299, early.verify(entry(299), ALONE)) == early


def test_any_changed_byte_of_a_receipt_is_noticed() -> None:
    store = sealed(7)
    data = receipt_of(store, 3, signed_of(store)).encode()
    for at in range(len(data)):
        for bit in (1, 128):
            changed = data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
            with pytest.raises(InvalidReceipt):
                Receipt.parse(changed).verify(entry(3), ALONE)


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


def test_a_log_that_the_policy_does_not_list_is_not_trusted(log: Memory) -> None:
    receipt = receipt_of(log, 5, signed_of(log))
    impostor = SigningKey(name=ORIGIN, seed=b"\x66" * 32)
    other = SigningKey(name="other.example", seed=KEY.seed)
    for logs in ((), (LogLine(key=impostor.verifier),), (LogLine(key=other.verifier),)):
        with pytest.raises(InvalidReceipt):
            receipt.verify(entry(5), Policy(logs=logs))
    both = Policy(logs=(LogLine(key=impostor.verifier), LogLine(key=KEY.verifier)))
    assert receipt.verify(entry(5), both) == signed_of(log)
    forged = sign_checkpoint(signed_of(log).checkpoint, impostor)
    with pytest.raises(InvalidReceipt):
        replace(receipt, note=forged.note).verify(entry(5), ALONE)


@pytest.mark.parametrize(
    ("numbers", "enough"),
    [((), False), ((0, 1), False), ((3, 4), False), ((0, 3), False), ((0, 2, 4), True), ((0, 1, 2, 3, 4), True)],
)
def test_a_quorum_of_groups_has_to_have_cosigned(numbers: tuple[int, ...], enough: bool, log: Memory) -> None:
    receipt = replace(receipt_of(log, 5, signed_of(log)), note=cosigned(log.files["checkpoint"], *numbers))
    if enough:
        signed = receipt.verify(entry(5), TWO_GROUPS)
        assert {one.key for one in signed.witnessed} == {WITNESSES[number].verifier for number in numbers}
    else:
        with pytest.raises(InvalidReceipt, match="the quorum `both`"):
            receipt.verify(entry(5), TWO_GROUPS)


def test_a_witness_that_cosigns_twice_counts_once(log: Memory) -> None:
    note = cosigned(cosigned(log.files["checkpoint"], 0, 3), 0)
    with pytest.raises(InvalidReceipt, match="the quorum"):
        TWO_GROUPS.open(note)


def test_one_bad_cosignature_by_a_known_witness_spoils_the_checkpoint(log: Memory) -> None:
    note = cosigned(log.files["checkpoint"], 0, 1, 3)
    line = WITNESSES[4].sign(b"other\n", 5).line.encode()
    TWO_GROUPS.open(note)
    with pytest.raises(InvalidReceipt, match=r"w4\.example is not good"):
        TWO_GROUPS.open(note + line)


def test_a_published_cosigned_checkpoint_satisfies_its_witness() -> None:
    case = VECTORS["cosignature_v1"]
    note = case["note"].encode()
    only = replace(ALONE, witnesses=LINES[:1], quorum="W0")
    with pytest.raises(InvalidReceipt, match="the quorum `W0`"):
        only.open(note)
    assert ALONE.open(note).checkpoint.size == 1


def test_a_policy_is_written_as_the_format_says() -> None:
    policy = replace(TWO_GROUPS, logs=(LogLine(key=KEY.verifier, url="https://log.example/"),))
    assert policy.encode().decode() == (
        f"log {KEY.verifier.encode()} https://log.example/\n"
        + "".join(f"witness W{number} {one.verifier.encode()}\n" for number, one in enumerate(WITNESSES))
        + "group X 2 W0 W1 W2\ngroup Y 1 W3 W4\ngroup both 2 X Y\nquorum both\n"
    )
    assert ALONE.encode().decode() == f"log {KEY.verifier.encode()}\nquorum none\n"


@pytest.mark.parametrize(
    "change",
    [
        {"quorum": "nobody"},
        {"quorum": ""},
        {"logs": (*ALONE.logs, *ALONE.logs)},
        {"logs": (*ALONE.logs, LogLine(key=SigningKey(name="renamed.example", seed=KEY.seed).verifier))},
        {"logs": (LogLine(key=WITNESSES[0].verifier),)},
        {"logs": (LogLine(key=KEY.verifier, url="two words"),)},
        {"logs": (LogLine(key=KEY.verifier, url=""),)},
        {"logs": (LogLine(key=SigningKey(name="a\x7fb", seed=KEY.seed).verifier),)},
        {"witnesses": (*LINES, WitnessLine(name="again", key=WITNESSES[0].verifier))},
        {"witnesses": (*LINES[1:], WitnessLine(name="W0", key=KEY.verifier))},
        {"witnesses": (*LINES, WitnessLine(name="W0", key=SigningKey.generate("a", KeyType.COSIGNATURE).verifier))},
        {"witnesses": LINES[1:]},
        {"witnesses": (*LINES[1:], replace(LINES[0], name="none"))},
        {"witnesses": (*LINES[1:], replace(LINES[0], name="two words"))},
        {"groups": (*TWO_GROUPS.groups, GroupLine(name="more", threshold=1, members=("W0",)))},
        {"groups": (*TWO_GROUPS.groups, GroupLine(name="X", threshold=1, members=("both",)))},
        {"groups": (*TWO_GROUPS.groups, GroupLine(name="more", threshold=1, members=("none",)))},
        {"groups": (*TWO_GROUPS.groups, GroupLine(name="more", threshold=1, members=("more",)))},
        {"groups": (*TWO_GROUPS.groups, GroupLine(name="more", threshold=0, members=("both",)))},
        {"groups": (*TWO_GROUPS.groups, GroupLine(name="more", threshold=2, members=("both",)))},
        {"groups": (*TWO_GROUPS.groups, GroupLine(name="more", threshold=2, members=("both", "both")))},
        {"groups": (*TWO_GROUPS.groups, GroupLine(name="more", threshold=1, members=()))},
        {"groups": TWO_GROUPS.groups[::-1]},
    ],
)
def test_a_policy_that_the_format_excludes_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidPolicy):
        replace(TWO_GROUPS, **change)  # type: ignore[arg-type]


def test_a_receipt_keeps_its_checkpoint_byte_for_byte(log: Memory) -> None:
    note = cosigned(log.files["checkpoint"], 1)
    receipt = Receipt(index=5, proof=(leaf_hash(b""),), note=note)
    assert Receipt.parse(receipt.encode()).note == note
