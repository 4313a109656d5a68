"""A change as canonical bytes: what is stored, hashed and exported, beside the decisions in the same log.

Version 1, a JSON object in UTF-8, members sorted by name, no insignificant white space:

    {
      "actor":  {"key", "person"}: the key that did it, and the natural person that the key is bound to, or null
      "at":     when
      "epoch":  the control epoch that it brought
      "event":  what happened, by the fields of its kind
      "id":     the change's own id
      "kind":   a name such as `freeze.declared`; it keeps its meaning for ever
      "v":      1
    }

Instants are RFC 3339 in UTC. What is long (a book's files, a report, rows for the roster) is kept apart under the
SHA-256 of its bytes, and the event names that.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final

import msgspec

from policy_engine.domain.changes import KINDS, Actor, Change

CHANGE_VERSION: Final = 1

_encoder: Final = msgspec.json.Encoder(order="sorted")


class ChangeFault(ValueError):
    """The bytes are no change of a version that is known."""


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    v: int
    id: str
    at: datetime
    actor: Actor
    epoch: int
    kind: str
    event: msgspec.Raw


def encode_change(change: Change) -> bytes:
    """The canonical bytes."""
    return _encoder.encode(
        {
            "v": CHANGE_VERSION,
            "id": change.id,
            "at": change.at,
            "actor": change.actor,
            "epoch": change.epoch,
            "kind": change.kind,
            "event": change.event,
        }
    )


def decode_change(data: bytes) -> Change:
    """The change in canonical bytes. Raises `ChangeFault`."""
    try:
        envelope = msgspec.json.decode(data, type=_Envelope)
        kind = KINDS.get(envelope.kind)
        if envelope.v != CHANGE_VERSION or kind is None:
            raise ChangeFault(f"`{envelope.kind}` in version {envelope.v} is not known to this release")
        event = msgspec.json.decode(envelope.event, type=kind)
    except msgspec.MsgspecError as error:
        raise ChangeFault(str(error)) from error
    return Change(id=envelope.id, at=envelope.at, actor=envelope.actor, epoch=envelope.epoch, event=event)


def digest_of(data: bytes) -> str:
    """The name under which long content is kept: `sha256:` and 64 hex digits."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
