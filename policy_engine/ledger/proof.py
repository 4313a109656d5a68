"""Receipts that can be checked without the log, and the policy that says whose word is enough.

A receipt (c2sp.org/tlog-proof@v1, a `.tlog-proof` file) has the index of an entry, the proof that the entry stands
there, and the signed checkpoint, byte for byte. `extra` is carried along and vouched for by nobody.

A policy (c2sp.org/tlog-policy) lists the keys of logs and witnesses, groups of witnesses, and the quorum. A checkpoint
is good when one of the logs has signed it and the quorum has cosigned it. No key stands in it twice, so nobody is
counted twice.
"""

from __future__ import annotations

import re
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
    InvalidKey,
    InvalidNote,
    KeyType,
    Note,
    VerifierKey,
    decode_base64,
    encode_base64,
)
from policy_engine.ledger.tiles import TileHashes, TileReader

_HEADER: Final = "c2sp.org/tlog-proof@v1"
_NONE: Final = "none"
_MAX_PROOF: Final = 63
_MAX_RECEIPT: Final = 2 * MAX_NOTE_SIZE
_UNFIT: Final = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")


class InvalidReceipt(ValueError):
    """The bytes are no receipt, or one that proves nothing under the policy."""


class InvalidPolicy(ValueError):
    """The policy cannot be written down, or names what it does not define."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A log that is trusted; its origin is the name of its key."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessLine:
    """A witness under the name that groups and the quorum call it by."""

    name: str
    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLine:
    """So many of the members, which are witnesses or groups named before, have to have cosigned."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Whose signatures make a checkpoint good. Raises `InvalidPolicy`. `quorum` is a name, or `none`."""

    logs: tuple[LogLine, ...]
    witnesses: tuple[WitnessLine, ...] = ()
    groups: tuple[GroupLine, ...] = ()
    quorum: str = _NONE

    def __post_init__(self) -> None:
        self._require_keys()
        defined = {_NONE}
        for witness in self.witnesses:
            _define(witness.name, defined)
        for group in self.groups:
            self._require_group(group, frozenset(defined))
            _define(group.name, defined)
        if self.quorum not in defined:
            raise InvalidPolicy(f"the quorum `{self.quorum}` is not defined")

    def _require_keys(self) -> None:
        for kind, lines in ((KeyType.ED25519, self.logs), (KeyType.COSIGNATURE, self.witnesses)):
            if any(line.key.type is not kind for line in lines):
                raise InvalidPolicy("a log has an Ed25519 key and a witness a cosignature key")
            if len({line.key.public for line in lines}) != len(lines):
                raise InvalidPolicy("a key stands in the policy twice")
            if any(_UNFIT.search(line.key.name) for line in lines):
                raise InvalidPolicy("the name of a key is unfit for a policy")
            if any(line.url is not None and (not line.url or _UNFIT.search(line.url)) for line in lines):
                raise InvalidPolicy("an address is empty or has spaces")

    def _require_group(self, group: GroupLine, defined: frozenset[str]) -> None:
        if not set(group.members) <= defined - {_NONE}:
            raise InvalidPolicy(f"the group `{group.name}` has a member that is not defined before it")
        used = [member for line in self.groups for member in line.members]
        if any(used.count(member) > 1 for member in group.members):
            raise InvalidPolicy(f"a member of the group `{group.name}` stands in a group twice")
        if not 1 <= group.threshold <= len(group.members):
            raise InvalidPolicy(f"the group `{group.name}` has {len(group.members)} members")

    def encode(self) -> bytes:
        """The policy file."""
        lines = [_words("log", log.key.encode(), log.url) for log in self.logs]
        lines += [_words("witness", one.name, one.key.encode(), one.url) for one in self.witnesses]
        lines += [_words("group", group.name, str(group.threshold), *group.members) for group in self.groups]
        return "".join([*lines, _words("quorum", self.quorum)]).encode()

    def open(self, note: bytes) -> SignedCheckpoint:
        """Verify a signed checkpoint. Raises `InvalidReceipt`."""
        reason = "no log of the policy has signed the checkpoint"
        for log in self.logs:
            try:
                signed = open_checkpoint(note, log.key, witnesses=[one.key for one in self.witnesses])
            except (InvalidNote, InvalidCheckpoint, InvalidKey) as error:
                reason = str(error)
                continue
            if self._satisfied({one.key for one in signed.witnessed}):
                return signed
            reason = f"the quorum `{self.quorum}` has not cosigned the checkpoint"
        raise InvalidReceipt(reason)

    def _satisfied(self, keys: set[VerifierKey]) -> bool:
        present = {_NONE} | {one.name for one in self.witnesses if one.key in keys}
        for group in self.groups:
            if len(present.intersection(group.members)) >= group.threshold:
                present.add(group.name)
        return self.quorum in present


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

    def verify(self, entry: bytes, policy: Policy) -> SignedCheckpoint:
        """Check that the entry stands in a log that the policy trusts; gives the checkpoint that says so.

        Raises `InvalidReceipt`.
        """
        signed = policy.open(self.note)
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
            raise InvalidReceipt("a line of the proof is no hash in canonical base64")
        hashes.append(one)
    return tuple(hashes)


def _define(name: str, defined: set[str]) -> None:
    if not name or _UNFIT.search(name) or name in defined:
        raise InvalidPolicy(f"the name `{name}` is taken or unfit")
    defined.add(name)


def _words(*words: str | None) -> str:
    return " ".join(word for word in words if word is not None) + "\n"
