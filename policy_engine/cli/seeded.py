"""A month of decisions to look at: drawn by a seed, judged and recorded as every other, in an empty database."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from policy_engine.app.builder import build, upgrade
from policy_engine.app.clock import system_clock
from policy_engine.app.settings import Settings
from policy_engine.app.stores import open_members
from policy_engine.cli.demonstration import import_roster
from policy_engine.cli.progress import progress
from policy_engine.domain.request import Caller, Semantic
from policy_engine.formats.request_document import batch_item_of

DAYS: Final = 30
_A_DAY: Final = 12
"""Groups of requests in a day, of which each is decided at one instant."""
_AT_ONCE: Final = 5

_MODELS: Final = (*("mythos-5",) * 4, *("opus-4.6",) * 6, "fable-5", "fable-5", "glm-5.2", "no-such-model")
_PURPOSES: Final = ("defensive_cybersecurity", "defensive_cybersecurity", "pentest_own_product", None)
_ACTIONS: Final = ("infer", "infer", "infer", "infer", "embed", "fine_tune", "download_weights")
_PLACES: Final = ("US", "US", "DE", "JP", "KR", "CN", "IR", None)


class NotEmpty(Exception):
    """The database has members or decisions already; a seeded month is not mixed with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeededMonth:
    """What was recorded: from when to when, how many by the answer, and how many denials by the decisive code."""

    start: datetime
    end: datetime
    allowed: int
    denied: Counter[str]


def seed_month(settings: Settings, *, seed: int) -> SeededMonth:
    """Put the demonstration roster on file a month ago, and decide some 1,800 requests between then and now.

    Raises `NotEmpty`.
    """
    upgrade(settings)
    end = system_clock().replace(minute=0, second=0, microsecond=0)
    start = end - timedelta(days=DAYS)
    with open_members(settings) as members:
        control = members.control()
        if control.revision or control.epoch:
            raise NotEmpty(
                "the database of POLICY_ENGINE_DATABASE_URL is in use, and a month of decisions goes into an empty one:"
                " name another, such as sqlite:///var/seeded.db"
            )
        import_roster(settings, members, start)
        rows = members.snapshot().rows
    subjects = [
        *({"type": "person", "id": person.id} for person in rows.people),
        *({"type": account.kind.value, "id": account.id} for account in rows.accounts),
        {"type": "person", "id": "not-on-file"},
    ]
    drawn = random.Random(seed)  # noqa: S311  a demonstration that comes out the same
    now = [start]
    parts = build(settings, clock=lambda: now[0])
    caller = Caller(id="demo", gateway="main")
    allowed, denied = 0, Counter[str]()
    try:
        instants = list(_instants(drawn, start, end))
        with progress("deciding a month of requests", total=len(instants)) as tell:
            for number, instant in enumerate(instants):
                tell(number)
                now[0] = instant
                items = [batch_item_of(_request(drawn, subjects)) for _ in range(_AT_ONCE)]
                for answer in parts.gate.decide_batch_here(items, Semantic.EXECUTE_ALL, caller).answers:
                    told = json.loads(answer)
                    if told["allowed"]:
                        allowed += 1
                    else:
                        denied[told["reason"]["code"]] += 1
    finally:
        parts.close()
    return SeededMonth(start=start, end=end, allowed=allowed, denied=denied)


def _instants(drawn: random.Random, start: datetime, end: datetime) -> Iterator[datetime]:
    """Instants in the order of time, more of them in the working hours of Europe and America."""
    for day in range((end - start).days):
        hours = sorted(drawn.triangular(0, 24, 14) for _ in range(_A_DAY))
        for hour in hours:
            yield start + timedelta(days=day, seconds=int(hour * 3600), milliseconds=drawn.randrange(1000))


def _request(drawn: random.Random, subjects: list[dict[str, str]]) -> dict[str, object]:
    request: dict[str, object] = {
        "subject": drawn.choice(subjects),
        "model": drawn.choice(_MODELS),
        "action": drawn.choice(_ACTIONS),
    }
    for name, value in (("purpose", drawn.choice(_PURPOSES)), ("place", drawn.choice(_PLACES))):
        if value is not None:
            request[name] = {"country": value} if name == "place" else value
    return request
