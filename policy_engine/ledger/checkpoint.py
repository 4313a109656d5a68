"""Checkpoints: what a log promises about its tree, as c2sp.org/tlog-checkpoint v1.0.0 says.

The body has an origin, a tree size, a root in base64, and perhaps extension lines; none of them is empty:

    pdp.example.com/audit/acme/2026
    70000
    Kua7EQdhEPMTg8PW2tm/d6CIvHoeiXFyOCJr3iI2g7c=

1. The size is decimal without leading zeros, and 0 only with the root of the empty tree. There is one way to write a
   checkpoint, so its bytes are its identity.
2. A log signs with Ed25519 under a key whose name is its origin. Others may have signed under an origin that is not
   their key name; such a checkpoint can be opened by naming the origin.
3. Cosignatures of witnesses (c2sp.org/tlog-cosignature v1) may stand beside the signature, and are not looked at.

Extension lines are read and kept, and never written by this project: no tree vouches for them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from policy_engine.ledger.merkle import EMPTY_ROOT, HASH_SIZE, MAX_SIZE
from policy_engine.ledger.note import (
    InvalidKey,
    SigningKey,
    VerifierKey,
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
            raise InvalidCheckpoint(f"{self.size} is not a tree size")
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
    """A checkpoint that its log has signed. `note` is the whole of it, byte for byte."""

    checkpoint: Checkpoint
    note: bytes


def parse_decimal(text: str) -> int:
    """A whole number from 0 to 2**63-1 without leading zeros. Raises `InvalidCheckpoint`."""
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_SIZE:
        raise InvalidCheckpoint("a number is not decimal, has leading zeros or is too large")
    return int(text)


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> SignedCheckpoint:
    """Sign as the log. Raises `InvalidKey` unless the name of the key is the origin."""
    if key.name != checkpoint.origin:
        raise InvalidKey("a log signs with a key whose name is its origin")
    return SignedCheckpoint(checkpoint=checkpoint, note=sign_note(checkpoint.encode(), key))


def open_checkpoint(data: bytes, key: VerifierKey, *, origin: str | None = None) -> SignedCheckpoint:
    """Verify a signed checkpoint of the log with this key; signatures by others, such as witnesses, are ignored.

    `origin` is the name of the key unless given. Raises `InvalidNote` and `InvalidCheckpoint`.
    """
    checkpoint = Checkpoint.parse(open_note(data, (key,)).note.text)
    if checkpoint.origin != (key.name if origin is None else origin):
        raise InvalidCheckpoint("the checkpoint is that of another log")
    return SignedCheckpoint(checkpoint=checkpoint, note=data)
