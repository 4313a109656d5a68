"""Checkpoints: what a log promises about its tree, as c2sp.org/tlog-checkpoint v1.0.0 says.

The body has an origin, a tree size, a root in base64, and perhaps extension lines; none of them is empty:

    pdp.example.com/audit/acme/2026
    70000
    Kua7EQdhEPMTg8PW2tm/d6CIvHoeiXFyOCJr3iI2g7c=

1. The size is decimal without leading zeros, and 0 only with the root of the empty tree. There is one way to write a
   checkpoint, so its bytes are its identity.
2. A log signs with Ed25519 under a key whose name is its origin. Others may have signed under an origin that is not
   their key name; such a checkpoint can be opened by naming the origin.
3. A witness adds a cosignature with a time (c2sp.org/tlog-cosignature v1), which covers the whole body.

Extension lines are read and kept, and never written by this project: no tree vouches for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from policy_engine.ledger.merkle import EMPTY_ROOT, HASH_SIZE, MAX_SIZE
from policy_engine.ledger.note import (
    InvalidKey,
    KeyType,
    Note,
    Opened,
    SigningKey,
    VerifierKey,
    Vouched,
    decode_base64,
    encode_base64,
    open_note,
    sign_note,
)

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\ud800-\udfff]")


class InvalidCheckpoint(ValueError):
    """The text is no checkpoint, or not the one of the log that was named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The body. Raises `InvalidCheckpoint` for what the format excludes."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for line in (self.origin, *self.extensions):
            if not line or _CONTROL.search(line):
                raise InvalidCheckpoint("a line of a checkpoint is empty or has a control character")
        if not 0 <= self.size <= MAX_SIZE:
            raise InvalidCheckpoint(f"{self.size} is no tree size")
        if len(self.root) != HASH_SIZE:
            raise InvalidCheckpoint(f"a root has {len(self.root)} bytes instead of {HASH_SIZE}")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise InvalidCheckpoint("the root is not that of the empty tree")

    def encode(self) -> bytes:
        """The text that is signed."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines).encode()

    @classmethod
    def parse(cls, text: bytes) -> Checkpoint:
        """Read a body. Raises `InvalidCheckpoint`."""
        try:
            lines = text.decode("utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise InvalidCheckpoint("the checkpoint is not UTF-8") from error
        if len(lines) < 4 or lines.pop():
            raise InvalidCheckpoint("a checkpoint has three lines or more, and each ends in a newline")
        origin, size, root, *extensions = lines
        decoded = decode_base64(root)
        if decoded is None:
            raise InvalidCheckpoint("the root is not canonical base64")
        return cls(origin=origin, size=parse_decimal(size), root=decoded, extensions=tuple(extensions))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCheckpoint:
    """A checkpoint that its log has signed. `note` is the whole of it, byte for byte; `witnessed` who cosigned."""

    checkpoint: Checkpoint
    note: bytes
    witnessed: tuple[Vouched, ...] = ()


def parse_decimal(text: str) -> int:
    """A whole number from 0 to 2**63-1 without leading zeros. Raises `InvalidCheckpoint`."""
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_SIZE:
        raise InvalidCheckpoint("a number is not decimal, has leading zeros or is too large")
    return int(text)


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> SignedCheckpoint:
    """Sign as the log. Raises `InvalidKey` unless it is an Ed25519 key with the origin as its name."""
    if key.type is not KeyType.ED25519 or key.name != checkpoint.origin:
        raise InvalidKey("a log signs with an Ed25519 key whose name is its origin")
    return SignedCheckpoint(checkpoint=checkpoint, note=sign_note(checkpoint.encode(), key))


def open_checkpoint(
    data: bytes, key: VerifierKey, *, origin: str | None = None, witnesses: Iterable[VerifierKey] = ()
) -> SignedCheckpoint:
    """Verify a signed checkpoint of the log with this key, and the cosignatures of the witnesses that are known.

    `origin` is the name of the key unless given. Whether enough witnesses have cosigned is for the caller to judge. The
    log's own signature has to be there. Raises `InvalidNote`, `InvalidCheckpoint`, and `InvalidKey` for keys of another
    type.
    """
    known = tuple(witnesses)
    if key.type is not KeyType.ED25519 or any(one.type is not KeyType.COSIGNATURE for one in known):
        raise InvalidKey("a log has an Ed25519 key and a witness a cosignature key")
    opened = open_note(data, (key, *known))
    if all(one.key != key for one in opened.vouched):
        raise InvalidCheckpoint("the log has not signed the checkpoint")
    checkpoint = Checkpoint.parse(opened.note.text)
    if checkpoint.origin != (key.name if origin is None else origin):
        raise InvalidCheckpoint("the checkpoint is that of another log")
    return SignedCheckpoint(checkpoint=checkpoint, note=data, witnessed=_of_witnesses(opened, key))


def cosign(data: bytes, log: VerifierKey, witness: SigningKey, *, timestamp: int, origin: str | None = None) -> bytes:
    """The signed checkpoint with one more line: the witness has seen it at that time, in seconds since 1970 UTC.

    The checkpoint is verified first. Whether it is consistent with what the witness saw before is for the caller to
    check and to persist, before it hands out the cosignature. Raises as `open_checkpoint` does.
    """
    if witness.type is not KeyType.COSIGNATURE:
        raise InvalidKey("a witness has a cosignature key")
    open_checkpoint(data, log, origin=origin)
    note = Note.parse(data)
    return Note(text=note.text, signatures=(*note.signatures, witness.sign(note.text, timestamp))).encode()


def _of_witnesses(opened: Opened, key: VerifierKey) -> tuple[Vouched, ...]:
    return tuple(one for one in opened.vouched if one.key != key)
