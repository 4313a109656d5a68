"""What the door of the Authorization API asks of whatever stands behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from policy_engine.domain.request import Semantic
from policy_engine.gateways.authzen.questions import Item, Search


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """The answer to one evaluation; `context` is what else is told, and is left out where it is empty."""

    decision: bool
    context: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Results of a search from a place on: ids, or names of actions, and the place after them; `None`: no more.

    A place is any text of the world's own; it reaches clients only in a token that they can neither read nor make.
    """

    names: tuple[str, ...]
    next_place: str | None


class World(Protocol):
    """Somebody's subjects, resources and rules, for one caller."""

    async def evaluate(self, items: Sequence[Item], semantic: Semantic) -> tuple[Evaluated, ...]:
        """The answers in the order of the items, up to the one after which the semantic stops. What is no question is
        a deny."""
        ...

    async def search(self, search: Search, *, after: str | None, limit: int | None) -> Found:
        """Those for which an evaluation is true, in an order that stays, after a place, and at most `limit`."""
        ...
