"""What a service says of itself, without a key."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from policy_engine.shapes.document import Document


class AliveDocument(Document, frozen=True, kw_only=True):
    """The process serves."""

    status: Annotated[str, Meta(extra_json_schema={"const": "alive"})]


class ReadyDocument(Document, frozen=True, kw_only=True):
    """It can decide. `alarms` say what somebody has to look at, while decisions go on."""

    status: Annotated[str, Meta(extra_json_schema={"const": "ready"})]
    alarms: tuple[str, ...] | UnsetType = UNSET


class IndexDocument(Document, frozen=True, kw_only=True):
    """What this is, and where its reference is."""

    name: str
    what: str
    engine: str
    reference: str
    openapi: str
    alive: str
    ready: str
