from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.ledger.note import (
    MAX_NOTE_SIZE,
    MAX_SIGNATURES,
    InvalidKey,
    InvalidNote,
    Note,
    Signature,
    SigningKey,
    VerifierKey,
    decode_base64,
    encode_base64,
    open_note,
    sign_note,
)
from tests.ledger.logs import KEY, VECTORS

TEXT = b"a line\n\nand another\n"
OTHER = SigningKey(name="other.example", seed=b"\x33" * 32)


def names(data: bytes, *keys: VerifierKey) -> list[str]:
    return [one.name for one in open_note(data, keys).signers]


def reworked(data: bytes, value: bytes) -> bytes:
    """The note with another value in its only signature."""
    note = Note.parse(data)
    (one,) = note.signatures
    return Note(text=note.text, signatures=(Signature(name=one.name, key_id=one.key_id, value=value),)).encode()


@pytest.mark.parametrize("case", VECTORS["signed_notes"], ids=lambda case: case["what"])
def test_a_published_note_opens_with_its_published_key(case: dict[str, str]) -> None:
    key = VerifierKey.parse(case["vkey"])
    assert key.name == case["name"]
    assert key.encode() == case["vkey"]
    opened = open_note(case["note"].encode(), [key])
    assert opened.signers == (key,)
    assert opened.note.encode() == case["note"].encode()
    if "skey" in case:
        signer = SigningKey.parse(case["skey"])
        assert signer.encode() == case["skey"]
        assert signer.verifier == key
        assert b"\x01" + signer.seed == decode_base64(case["seed_b64"])
        assert key.key_id.hex() == case["key_id_hex"]
        assert sign_note(opened.note.text, signer) == case["note"].encode()


def test_a_published_pair_of_keys_is_one_key() -> None:
    log = VECTORS["tessera_log"]
    assert SigningKey.parse(log["skey"]).verifier.encode() == log["vkey"]


@pytest.mark.parametrize("number", range(len(VECTORS["bad_notes"])))
def test_a_published_bad_note_is_refused(number: int) -> None:
    case = VECTORS["bad_notes"][number]
    with pytest.raises(InvalidNote):
        open_note(case["note"].encode(), [VerifierKey.parse(case["vkey"])])


def test_the_text_ends_at_the_last_empty_line() -> None:
    note = sign_note(TEXT, KEY)
    assert open_note(note, [KEY.verifier]).note.text == TEXT
    assert note.startswith(TEXT + b"\n" + "\N{EM DASH} ".encode())


def test_signatures_by_unknown_keys_are_ignored() -> None:
    note = sign_note(TEXT, OTHER, KEY)
    same_name = SigningKey(name=KEY.name, seed=b"\x44" * 32).verifier
    same_key = SigningKey(name="renamed.example", seed=KEY.seed).verifier
    assert names(note, KEY.verifier) == [KEY.name]
    assert names(note, KEY.verifier, same_name, same_key) == [KEY.name]
    assert names(note, KEY.verifier, OTHER.verifier) == [OTHER.name, KEY.name]
    for strangers in ((same_name,), (same_key,), ()):
        with pytest.raises(InvalidNote, match="no known key"):
            names(note, *strangers)


def test_one_bad_signature_by_a_known_key_spoils_the_note() -> None:
    good, forged = Note.parse(sign_note(TEXT, KEY)), Note.parse(sign_note(b"other\n", OTHER))
    for signatures in ((*good.signatures, *forged.signatures), (*forged.signatures, *good.signatures)):
        note = Note(text=TEXT, signatures=signatures).encode()
        assert names(note, KEY.verifier) == [KEY.name]
        with pytest.raises(InvalidNote, match=r"other\.example is not good"):
            names(note, KEY.verifier, OTHER.verifier)
    second = Note.parse(sign_note(b"other\n", KEY)).signatures
    with pytest.raises(InvalidNote, match="is not good"):
        names(Note(text=TEXT, signatures=(*good.signatures, *second)).encode(), KEY.verifier)


def test_a_key_that_signs_twice_counts_once() -> None:
    note = Note.parse(sign_note(TEXT, KEY))
    assert names(Note(text=TEXT, signatures=note.signatures * 2).encode(), KEY.verifier) == [KEY.name]


def test_a_hundred_signatures_are_read_and_no_more() -> None:
    keys = [SigningKey(name=f"k{number}.example", seed=bytes([number]) * 32) for number in range(MAX_SIGNATURES + 1)]
    assert len(names(sign_note(TEXT, *keys[:MAX_SIGNATURES]), *(key.verifier for key in keys))) == MAX_SIGNATURES
    with pytest.raises(InvalidNote, match="more than 100 signatures"):
        names(sign_note(TEXT, *keys), *(key.verifier for key in keys))
    with pytest.raises(InvalidNote, match="more than 1000000 bytes"):
        open_note(sign_note(b"x" * MAX_NOTE_SIZE + b"\n", KEY), [KEY.verifier])


@pytest.mark.parametrize("character", [*map(chr, range(0x20)), "\x7f"])
def test_a_control_character_other_than_a_newline_is_refused(character: str) -> None:
    text = f"a{character}b\n".encode()
    if character in "\n\x7f":
        assert names(sign_note(text, KEY), KEY.verifier) == [KEY.name]
    else:
        with pytest.raises(InvalidNote, match="control character"):
            sign_note(text, KEY)
        with pytest.raises(InvalidNote, match="control character"):
            open_note(Note(text=text, signatures=(KEY.sign(text),)).encode(), [KEY.verifier])


@pytest.mark.parametrize("text", [b"\xff\n", b"\xed\xa0\x80\n", b"no end", b"", b"\n"])
def test_a_text_that_no_note_can_have_is_not_signed(text: bytes) -> None:
    with pytest.raises(InvalidNote):
        sign_note(text, KEY)


def test_a_note_without_keys_is_not_signed() -> None:
    with pytest.raises(InvalidNote, match="needs a signature"):
        sign_note(TEXT)


@pytest.mark.parametrize(
    "line",
    [
        "- {name} {value}",
        "\N{EM DASH}{name} {value}",
        "\N{EM DASH} {name}  {value}",
        "\N{EM DASH} {name} {value} ",
        "\N{EM DASH} {name} {value}=",
        "\N{EM DASH} {name} ",
        "\N{EM DASH} {name} AAAA",
        "\N{EM DASH} {name} AAAAAA==",
        "\N{EM DASH}  {value}",
        "\N{EM DASH} a+b {value}",
        "\N{EM DASH} a\N{NO-BREAK SPACE}b {value}",
        "\N{EM DASH} a\N{IDEOGRAPHIC SPACE}b {value}",
        "\N{EM DASH} {name} {url}",
        "",
    ],
)
def test_a_malformed_signature_line_spoils_the_note(line: str) -> None:
    note = Note.parse(sign_note(TEXT, KEY))
    value = encode_base64(note.signatures[0].key_id + note.signatures[0].value)
    url = base64.urlsafe_b64encode(b"\xff" * 68).decode()
    data = note.encode() + line.format(name=KEY.name, value=value, url=url).encode() + b"\n"
    with pytest.raises(InvalidNote):
        open_note(data, [KEY.verifier])


def test_base64_is_canonical() -> None:
    assert decode_base64("AA==") == b"\0"
    for text in ("AB==", "AA=", "AA", "A A=", "AA==\n", "AA==AA==", "é"):
        assert decode_base64(text) is None


def test_any_changed_byte_of_a_note_is_noticed() -> None:
    data = sign_note(TEXT, KEY)
    for at in range(len(data)):
        for bit in (1, 0x20, 0x80):
            with pytest.raises(InvalidNote):
                open_note(data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :], [KEY.verifier])


def test_a_signature_of_another_length_is_refused() -> None:
    note = sign_note(TEXT, KEY)
    (good,) = Note.parse(note).signatures
    for value in (good.value[:-1], good.value + b"\0", b"\0"):
        with pytest.raises(InvalidNote, match="wrong length"):
            open_note(reworked(note, value), [KEY.verifier])


def test_keys_that_collide_are_told_apart_by_nobody() -> None:
    class Twin(VerifierKey):
        @property
        def key_id(self) -> bytes:
            return KEY.verifier.key_id

    twin = Twin(name=KEY.name, public=OTHER.verifier.public)
    with pytest.raises(InvalidKey, match="the same key id"):
        open_note(sign_note(TEXT, KEY), [KEY.verifier, twin])


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\N{NO-BREAK SPACE}b", "a\nb", "a\x00b", "a\ud800"])
def test_a_name_that_no_key_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidKey):
        SigningKey(name=name, seed=b"\x11" * 32)
    with pytest.raises(InvalidKey):
        VerifierKey(name=name, public=b"\x11" * 32)


def test_a_key_has_32_bytes() -> None:
    for size in (0, 31, 33):
        with pytest.raises(InvalidKey):
            SigningKey(name="a", seed=b"\x11" * size)
        with pytest.raises(InvalidKey):
            VerifierKey(name="a", public=b"\x11" * size)


def test_any_changed_character_of_a_key_is_noticed() -> None:
    texts: list[tuple[type[VerifierKey | SigningKey], str]] = [
        (VerifierKey, KEY.verifier.encode()),
        (SigningKey, KEY.encode()),
    ]
    for kind, text in texts:
        assert kind.parse(text).encode() == text
        for at in range(len(text)):
            for other in ("", "A", "+", "x" + text[at]):
                changed = text[:at] + other + text[at + 1 :]
                if changed != text:
                    with pytest.raises(InvalidKey):
                        kind.parse(changed)


def test_a_key_of_another_type_is_not_understood() -> None:
    for kind in (0x00, 0x02, 0x04, 0x05, 0x06, 0xFF):
        text = f"a+00000000+{encode_base64(bytes([kind]) + b'0' * 32)}"
        with pytest.raises(InvalidKey, match=f"0x{kind:02x}"):
            VerifierKey.parse(text)


def test_a_secret_is_in_no_text_but_its_own() -> None:
    key = SigningKey.generate("a.example")
    assert "seed" not in repr(key)
    assert SigningKey.parse(key.encode()) == key
    assert SigningKey.generate("a.example") != key
    with pytest.raises(InvalidKey) as caught:
        SigningKey.parse(key.encode()[:-4] + "AAAA")
    assert key.encode()[-20:-4] not in str(caught.value)


@given(text=st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]) | st.just("\n"), min_size=1))
def test_every_text_comes_out_of_a_note_as_it_went_in(text: str) -> None:
    data = f"{text}\n".encode()
    if data == b"\n\n":
        return
    opened = open_note(sign_note(data, KEY, OTHER), [OTHER.verifier])
    assert opened.note.text == data
