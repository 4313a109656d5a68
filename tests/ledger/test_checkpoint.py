from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.ledger.checkpoint import (
    Checkpoint,
    InvalidCheckpoint,
    open_checkpoint,
    parse_decimal,
    sign_checkpoint,
)
from policy_engine.ledger.merkle import EMPTY_ROOT, MAX_SIZE, leaf_hash
from policy_engine.ledger.note import (
    InvalidKey,
    InvalidNote,
    Note,
    SigningKey,
    VerifierKey,
    encode_base64,
    sign_note,
)
from tests.ledger.logs import KEY, ORIGIN, VECTORS, WITNESS

ROOT = leaf_hash(b"hello world")
CHECKPOINT = Checkpoint(origin=ORIGIN, size=1, root=ROOT)


def test_a_body_is_that_of_the_go_checksum_database() -> None:
    text = VECTORS["sumdb_tlog"]["format_tree"].encode()
    checkpoint = Checkpoint(origin="go.sum database tree", size=123456789012, root=ROOT)
    assert checkpoint.encode() == text
    assert Checkpoint.parse(text) == checkpoint


def test_a_published_checkpoint_opens_under_the_origin_that_it_names() -> None:
    case = VECTORS["signed_notes"][3]
    key = VerifierKey.parse(case["vkey"])
    signed = open_checkpoint(case["note"].encode(), key, origin="go.sum database tree")
    assert signed.checkpoint.size == 35225469
    with pytest.raises(InvalidCheckpoint, match="another log"):
        open_checkpoint(case["note"].encode(), key)


def test_a_published_cosigned_checkpoint_opens_with_the_key_of_its_log() -> None:
    case = VECTORS["cosignature_v1"]
    note, log = case["note"].encode(), VerifierKey.parse(case["log_vkey"])
    assert log == KEY.verifier
    opened = open_checkpoint(note, log)
    assert (opened.checkpoint.size, opened.note) == (1, note)
    assert note.startswith(sign_checkpoint(opened.checkpoint, KEY).note)


def test_a_witness_alone_does_not_make_a_checkpoint() -> None:
    text = CHECKPOINT.encode()
    note = Note(text=text, signatures=(WITNESS.sign(text),)).encode()
    with pytest.raises(InvalidNote, match="no known key"):
        open_checkpoint(note, KEY.verifier)


def test_a_log_signs_with_the_key_of_its_origin() -> None:
    with pytest.raises(InvalidKey):
        sign_checkpoint(CHECKPOINT, SigningKey(name="other.example", seed=KEY.seed))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "\n",
        "{origin}\n1\n",
        "{origin}\n1\n{root}",
        "\n1\n{root}\n",
        "{origin}\n01\n{root}\n",
        "{origin}\n+1\n{root}\n",
        "{origin}\n 1\n{root}\n",
        "{origin}\n1_0\n{root}\n",
        "{origin}\n-1\n{root}\n",
        "{origin}\n\n{root}\n",
        "{origin}\n0x1\n{root}\n",
        "{origin}\n１\n{root}\n",
        "{origin}\n9223372036854775808\n{root}\n",
        "{origin}\n99999999999999999999999\n{root}\n",
        "{origin}\n0\n{root}\n",
        "{origin}\n00\n{empty}\n",
        "{origin}\n1\n{root}=\n",
        "{origin}\n1\n{short}\n",
        "{origin}\n1\n{long}\n",
        "{origin}\n1\n \n",
        "{origin}\n1\n{root}\n\n",
        "{origin}\n1\n{root}\nmore\n\n",
        "{origin}\n1\n{root}\r\n",
        "{origin}\n1\n{root}\nmore\tand more\n",
    ],
)
def test_a_body_that_is_not_canonical_is_refused(body: str) -> None:
    text = body.format(
        origin=ORIGIN,
        root=encode_base64(ROOT),
        empty=encode_base64(EMPTY_ROOT),
        short=encode_base64(ROOT[:31]),
        long=encode_base64(ROOT + b"\0"),
    )
    with pytest.raises(InvalidCheckpoint):
        Checkpoint.parse(text.encode())


def test_a_root_with_stray_bits_is_refused() -> None:
    text = encode_base64(ROOT)
    assert text.endswith("0=")
    with pytest.raises(InvalidCheckpoint, match="canonical"):
        Checkpoint.parse(f"{ORIGIN}\n1\n{text[:-2]}1=\n".encode())
    with pytest.raises(InvalidCheckpoint, match="UTF-8"):
        Checkpoint.parse(b"\xff\n1\n" + text.encode() + b"\n")


def test_extension_lines_are_kept() -> None:
    text = CHECKPOINT.encode() + b"one\ntwo\n"
    assert Checkpoint.parse(text).extensions == ("one", "two")
    assert Checkpoint.parse(text).encode() == text
    signed = sign_note(text, KEY)
    assert open_checkpoint(signed, KEY.verifier).checkpoint.extensions == ("one", "two")


def test_a_signed_text_that_is_no_checkpoint_is_refused() -> None:
    with pytest.raises(InvalidCheckpoint):
        open_checkpoint(sign_note(b"a note\n", KEY), KEY.verifier)


def test_values_that_no_checkpoint_has_are_refused() -> None:
    for change in (
        {"origin": ""},
        {"origin": "a\nb"},
        {"origin": "\ud800"},
        {"size": -1},
        {"size": MAX_SIZE + 1},
        {"size": 0},
        {"root": ROOT[:31]},
        {"extensions": ("",)},
    ):
        with pytest.raises(InvalidCheckpoint):
            replace(CHECKPOINT, **change)


@given(size=st.integers(0, MAX_SIZE), root=st.binary(min_size=32, max_size=32))
def test_every_checkpoint_is_read_as_it_was_written(size: int, root: bytes) -> None:
    checkpoint = Checkpoint(origin=ORIGIN, size=size, root=root if size else EMPTY_ROOT)
    signed = sign_checkpoint(checkpoint, KEY)
    assert open_checkpoint(signed.note, KEY.verifier) == signed
    assert parse_decimal(str(size)) == size


def test_any_changed_byte_of_a_checkpoint_is_noticed() -> None:
    data = sign_checkpoint(CHECKPOINT, KEY).note
    for at in range(len(data)):
        with pytest.raises(InvalidNote):
            open_checkpoint(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], KEY.verifier)
