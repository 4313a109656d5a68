"""Signed notes and their keys, as c2sp.org/signed-note v1.0.0 says.

1. A note is text that ends in a newline, an empty line, and signature lines: em dash, key name, base64 of key id and
   signature. Text and signatures part at the last empty line. All of it is UTF-8 without control characters other than
   newlines.
2. Whoever opens a note ignores signatures by keys that it does not know; name and key id together tell a key. One bad
   signature by a known key spoils the note. A note without a good signature by a known key is refused.
3. A note may have up to 100 signatures, as in golang.org/x/mod/sumdb/note, and up to a million bytes.
4. Base64 is that of RFC 4648 section 4 and canonical: there is one way to write a value.
5. Keys are of Ed25519 (type 0x01), and no other type is understood.

Nothing of a note counts before it has been opened with trusted keys.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

MAX_SIGNATURES: Final = 100
MAX_NOTE_SIZE: Final = 1_000_000

_KEY_SIZE: Final = 32
_ED25519_SIZE: Final = 64
_ID_SIZE: Final = 4
_ED25519: Final = b"\x01"
"""The type of key, as c2sp.org/signed-note numbers it."""
_SKEY_PREFIX: Final = "PRIVATE+KEY+"
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")


class InvalidNote(ValueError):
    """The bytes are no signed note, or not one that the known keys vouch for."""


class InvalidKey(ValueError):
    """The text is no key, or a key that cannot do what is asked."""


def encode_base64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648 section 4)."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes | None:
    """The bytes that this is the only base64 text of; `None` for any other text."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if encode_base64(data) == text else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature line: what follows the key id is `value`."""

    name: str
    key_id: bytes
    value: bytes

    @property
    def line(self) -> str:
        return f"\N{EM DASH} {self.name} {encode_base64(self.key_id + self.value)}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """The public half of a key. Raises `InvalidKey` for a name or a length that the format excludes."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        _require_name(self.name)
        if len(self.public) != _KEY_SIZE:
            raise InvalidKey(f"a public key has {len(self.public)} bytes instead of {_KEY_SIZE}")

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256 over name, newline, type and public key."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_ID_SIZE]

    def encode(self) -> str:
        """The text to share with whoever shall verify (a `vkey`)."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(_ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read a `vkey`. Raises `InvalidKey`."""
        name, key_id, public = _key_parts(text, "vkey")
        key = cls(name=name, public=public)
        if key.key_id.hex() != key_id:
            raise InvalidKey("the key id of the vkey is not that of its key")
        return key

    def require(self, text: bytes, signature: Signature) -> None:
        """Verify a signature line of this key over the text of a note. Raises `InvalidNote`."""
        if len(signature.value) != _ED25519_SIZE:
            raise InvalidNote(f"the signature of {self.name} has a wrong length")
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature.value, text)
        except (InvalidSignature, ValueError) as error:
            raise InvalidNote(f"the signature of {self.name} is not good") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """The secret half of a key: `seed` is the 32-byte private key of RFC 8032, and is kept out of every text."""

    name: str
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _require_name(self.name)
        if len(self.seed) != _KEY_SIZE:
            raise InvalidKey(f"a private key has {len(self.seed)} bytes instead of {_KEY_SIZE}")

    @classmethod
    def generate(cls, name: str) -> SigningKey:
        """A new key from the randomness of the system."""
        return cls(name=name, seed=Ed25519PrivateKey.generate().private_bytes_raw())

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        public = Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()
        return VerifierKey(name=self.name, public=public)

    def encode(self) -> str:
        """The secret as text (an `skey`, as golang.org/x/mod/sumdb/note writes it)."""
        secret = encode_base64(_ED25519 + self.seed)
        return f"{_SKEY_PREFIX}{self.name}+{self.verifier.key_id.hex()}+{secret}"

    @classmethod
    def parse(cls, text: str) -> SigningKey:
        """Read an `skey`. Raises `InvalidKey`, which never repeats the text."""
        if not text.startswith(_SKEY_PREFIX):
            raise InvalidKey(f"an skey begins with {_SKEY_PREFIX}")
        name, key_id, seed = _key_parts(text.removeprefix(_SKEY_PREFIX), "skey")
        key = cls(name=name, seed=seed)
        if key.verifier.key_id.hex() != key_id:
            raise InvalidKey("the key id of the skey is not that of its key")
        return key

    def sign(self, text: bytes) -> Signature:
        """Sign the text of a note."""
        value = Ed25519PrivateKey.from_private_bytes(self.seed).sign(text)
        return Signature(name=self.name, key_id=self.verifier.key_id, value=value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A note taken apart, not verified."""

    text: bytes
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        return self.text + b"\n" + "".join(signature.line for signature in self.signatures).encode()

    @classmethod
    def parse(cls, data: bytes) -> Note:
        """Take a note apart without trusting it. Raises `InvalidNote`."""
        if len(data) > MAX_NOTE_SIZE:
            raise InvalidNote(f"the note has more than {MAX_NOTE_SIZE} bytes")
        text, found, lines = _decoded(data).rpartition("\n\n")
        if not found or not lines.endswith("\n"):
            raise InvalidNote("the note has no signature lines after an empty line")
        signatures = lines.removesuffix("\n").split("\n")
        if len(signatures) > MAX_SIGNATURES:
            raise InvalidNote(f"the note has more than {MAX_SIGNATURES} signatures")
        return cls(text=f"{text}\n".encode(), signatures=tuple(map(_read_signature, signatures)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A note that the known keys vouch for; each key stands once in `signers`, in the order of its first line."""

    note: Note
    signers: tuple[VerifierKey, ...]


def sign_note(text: bytes, *keys: SigningKey) -> bytes:
    """A note with the signatures of Ed25519 keys, in their order. Raises `InvalidNote` for a text that is none."""
    if not text.endswith(b"\n") or _decoded(text) == "\n":
        raise InvalidNote("the text of a note ends in a newline")
    if not keys:
        raise InvalidNote("a note needs a signature")
    return Note(text=text, signatures=tuple(key.sign(text) for key in keys)).encode()


def open_note(data: bytes, keys: Iterable[VerifierKey]) -> Opened:
    """Verify a note with the keys that are trusted. Raises `InvalidNote`, and `InvalidKey` for keys that collide."""
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for key in keys:
        if known.setdefault((key.name, key.key_id), key) != key:
            raise InvalidKey(f"two keys of {key.name} have the same key id")
    note = Note.parse(data)
    signers: dict[VerifierKey, None] = {}
    for signature in note.signatures:
        signer = known.get((signature.name, signature.key_id))
        if signer is not None:
            signer.require(note.text, signature)
            signers[signer] = None
    if not signers:
        raise InvalidNote("no known key has signed the note")
    return Opened(note=note, signers=tuple(signers))


def _decoded(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidNote("the note is not UTF-8") from error
    if _CONTROL.search(text):
        raise InvalidNote("the note has a control character")
    return text


def _read_signature(line: str) -> Signature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "\N{EM DASH}":
        raise InvalidNote("a signature line is malformed")
    value = decode_base64(parts[2])
    if value is None or len(value) <= _ID_SIZE or name_fault(parts[1]) is not None:
        raise InvalidNote("a signature line is malformed")
    return Signature(name=parts[1], key_id=value[:_ID_SIZE], value=value[_ID_SIZE:])


def name_fault(name: str) -> str | None:
    """What is wrong with the name of a key, in a sentence; `None` if nothing."""
    if not name or "+" in name or any(character.isspace() for character in name):
        return "a key name is not empty and has neither spaces nor `+`"
    if _CONTROL.search(name):
        return "a key name is UTF-8 without control characters"
    return None


def _require_name(name: str) -> None:
    fault = name_fault(name)
    if fault is not None:
        raise InvalidKey(fault)


def _key_parts(text: str, what: str) -> tuple[str, str, bytes]:
    """Name, key id in hex, and key of the text of a key."""
    parts = text.split("+", 2)
    data = decode_base64(parts[2]) if len(parts) == 3 else None
    if data is None or len(data) != 1 + _KEY_SIZE:
        raise InvalidKey(f"the {what} is malformed")
    if data[:1] != _ED25519:
        raise InvalidKey(f"the {what} is of type 0x{data[0]:02x}, which is not understood")
    return parts[0], parts[1], data[1:]
