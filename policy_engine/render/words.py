"""What every text has: instants and people in a few letters, and lines put together."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import UnsetType

from policy_engine.domain.changes import Actor
from policy_engine.domain.instants import format_instant
from policy_engine.shapes.document import ActorDocument


def who(actor: Actor | ActorDocument | UnsetType | None) -> str:
    """The person, or the key where there is none; nothing for nobody."""
    return actor.person or actor.key if actor else ""


def day(at: datetime) -> str:
    """An instant without the fraction and without the midnight that it does not have."""
    return whole(format_instant(at)).removesuffix("T00:00:00Z")


def second(at: datetime) -> str:
    """An instant to the second, for a table."""
    return f"{format_instant(at)[:19]}Z"


def whole(instant: str) -> str:
    """A written instant without the fraction of a second that it does not have."""
    return instant.replace(".000000Z", "Z")


def together(lines: Iterable[str]) -> str:
    """Lines as one text."""
    return "".join(f"{line}\n" for line in lines)
