"""What was judged before on the same ground, so that the same question costs once between two changes.

An answer depends on the question, the caller, the members, the book with its freezes, and the instant. All but the last
are the ground and the key. Of the instant only this much matters: which dated rows hold then, and how old a reading is.
So an answer stands from the instant at which it was given up to the next edge of any dated row on the ground, or up to
the instant at which something that it read changes, whichever comes first; never before it was given. With another
ground nothing is remembered.

Not remembered is what takes a place on a cap, what the engine could not judge, and a deny that is explained.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import Final

from policy_engine.domain.catalogue import Entry
from policy_engine.domain.request import Caller, Request
from policy_engine.domain.reviews import ReviewNeeded
from policy_engine.domain.verdict import Verdict
from policy_engine.service.standing import Ground

KEPT: Final = 50_000
"""So many answers are remembered; then it is begun anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What was judged: everything of a decision but its id and its instants.

    `facts` are those of its record; `valid_until` is when anything changes that the verdict read, and `changes_at` when
    anything does that was read at all.
    """

    verdict: Verdict
    reviews: tuple[ReviewNeeded, ...]
    entry: Entry | None
    alternatives: tuple[str, ...]
    ignored: tuple[str, ...]
    facts: bytes
    valid_until: datetime | None
    changes_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    remembered: Remembered
    since: datetime
    until: datetime | None


class Memory:
    """Answers on the ground that was met last."""

    def __init__(self) -> None:
        self._ground: Ground | None = None
        self._kept: dict[object, _Kept] = {}

    def find(self, ground: Ground, request: Request, caller: Caller, at: datetime) -> Remembered | None:
        """What was judged of the question, where that still stands."""
        if ground is not self._ground:
            return None
        kept = self._kept.get(_key(request, caller))
        if kept is None or at < kept.since or (kept.until is not None and at >= kept.until):
            return None
        return kept.remembered

    def keep(self, ground: Ground, request: Request, caller: Caller, at: datetime, judged: Remembered) -> None:
        """Remember what was judged at an instant."""
        if ground is not self._ground:
            self._ground, self._kept = ground, {}
        if len(self._kept) >= KEPT:
            self._kept = {}
        place = bisect_right(ground.edges, at)
        edge = ground.edges[place] if place < len(ground.edges) else None
        untils = [one for one in (edge, judged.changes_at, ground.until(at)) if one is not None]
        self._kept[_key(request, caller)] = _Kept(remembered=judged, since=at, until=min(untils, default=None))


_asked: Final = attrgetter(*(one.name for one in fields(Request) if one.name not in ("request_id", "min_revision")))
"""All that is asked: under which id, and how fresh the members have to be, changes no answer."""


def _key(request: Request, caller: Caller) -> object:
    return _asked(request), caller.gateway, caller.assertable, caller.explain
