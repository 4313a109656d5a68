"""Receipts that can be checked without the log.

A receipt (c2sp.org/tlog-proof@v1, a `.tlog-proof` file) has the index of an entry, the proof that the entry stands
there, and the signed checkpoint, byte for byte. `extra` is carried along and vouched for by nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from policy_engine.ledger.checkpoint import (
    InvalidCheckpoint,
    SignedCheckpoint,
    open_checkpoint,
    parse_decimal,
)
from policy_engine.ledger.merkle import (
    HASH_SIZE,
    MAX_SIZE,
    InvalidProof,
    inclusion_proof,
    leaf_hash,
    verify_inclusion,
)
from policy_engine.ledger.note import (
    MAX_NOTE_SIZE,
    InvalidNote,
    Note,
    VerifierKey,
    decode_base64,
    encode_base64,
)
from policy_engine.ledger.tiles import TileHashes, TileReader

_HEADER: Final = "c2sp.org/tlog-proof@v1"
_MAX_PROOF: Final = 63
_MAX_RECEIPT: Final = 2 * MAX_NOTE_SIZE


class InvalidReceipt(ValueError):
    """The bytes are no receipt, or one that proves nothing under the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """That an entry stands at an index of the tree of a signed checkpoint; nothing of it is verified yet."""

    index: int
    proof: tuple[bytes, ...]
    note: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """The `.tlog-proof` file."""
        extra = [] if self.extra is None else [f"extra {encode_base64(self.extra)}"]
        lines = [_HEADER, *extra, f"index {self.index}", *map(encode_base64, self.proof), ""]
        return "".join(f"{line}\n" for line in lines).encode() + self.note

    @classmethod
    def parse(cls, data: bytes) -> Receipt:
        """Read a receipt, without trusting it. Raises `InvalidReceipt`."""
        head, found, note = data.partition(b"\n\n")
        if len(data) > _MAX_RECEIPT or not found:
            raise InvalidReceipt("the receipt is too long, or has no empty line before the checkpoint")
        try:
            header, *lines = head.decode("ascii").split("\n")
            Note.parse(note)
        except (UnicodeDecodeError, InvalidNote) as error:
            raise InvalidReceipt("the receipt is malformed") from error
        if header != _HEADER or not lines:
            raise InvalidReceipt(f"the receipt does not begin with {_HEADER}")
        extra: bytes | None = None
        if lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0).removeprefix("extra "))
            if extra is None:
                raise InvalidReceipt("the extra data is not canonical base64")
        if not lines or not lines[0].startswith("index "):
            raise InvalidReceipt("the receipt has no index")
        try:
            index = parse_decimal(lines[0].removeprefix("index "))
        except InvalidCheckpoint as error:
            raise InvalidReceipt(f"the index is malformed: {error}") from error
        return cls(index=index, proof=_read_proof(lines[1:]), note=note, extra=extra)

    def verify(self, entry: bytes, key: VerifierKey) -> SignedCheckpoint:
        """Check that the entry stands in the log of a key that is trusted; gives the checkpoint that says so.

        Raises `InvalidReceipt`.
        """
        try:
            signed = open_checkpoint(self.note, key)
        except (InvalidNote, InvalidCheckpoint) as error:
            raise InvalidReceipt(f"the checkpoint is not one of this log: {error}") from error
        at = signed.checkpoint
        try:
            verify_inclusion(leaf=leaf_hash(entry), index=self.index, size=at.size, proof=self.proof, root=at.root)
        except InvalidProof as error:
            raise InvalidReceipt(f"the entry is not proven: {error}") from error
        return signed


def receipt_of(store: TileReader, index: int, signed: SignedCheckpoint, *, extra: bytes | None = None) -> Receipt:
    """The receipt of an entry under a checkpoint, from the tiles.

    Raises `ValueError` for an index that the checkpoint does not cover, `LogFault` and `OSError`.
    """
    size = signed.checkpoint.size
    if not 0 <= index < size <= MAX_SIZE:
        raise ValueError(f"a log of {size} entries has no entry {index}")
    return Receipt(
        index=index, proof=inclusion_proof(index, size, TileHashes(store, size)), note=signed.note, extra=extra
    )


def _read_proof(lines: Sequence[str]) -> tuple[bytes, ...]:
    if len(lines) > _MAX_PROOF:
        raise InvalidReceipt(f"the proof has more than {_MAX_PROOF} hashes")
    hashes: list[bytes] = []
    for line in lines:
        one = decode_base64(line)
        if one is None or len(one) != HASH_SIZE:
            raise InvalidReceipt("a line of the proof is not a hash in canonical base64")
        hashes.append(one)
    return tuple(hashes)
