"""Many records in little time: a few requests are decided as the service decides them, and each record is repeated at
other instants under other ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, lru_cache
from random import Random
from typing import Final

from sqlalchemy import Engine, delete, insert, select

from policy_engine.domain.changes import Actor, Change, FreezeDeclared, MembersRecorded
from policy_engine.domain.freezes import Freeze, FreezeScope
from policy_engine.domain.instants import format_instant, parse_instant
from policy_engine.domain.request import Caller
from policy_engine.domain.roster import Authorisation, AuthorisationKind
from policy_engine.formats.change import encode_change
from policy_engine.formats.record_reader import RecordedDecision, read_record
from policy_engine.store.changes import NEXT_INDEX
from policy_engine.store.database import writing
from policy_engine.store.tables import changes, decisions
from tests.service.decisions import DEMO, SHIPPED, asking, demo, record_of

BEGIN: Final = parse_instant("2026-06-01T00:00:00Z")
_NAME: Final = "01TEMPLATE"
_ASKED: Final = "request-of-the-template"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """A decision as it is put into the log."""

    log_index: int
    id: str
    at: datetime
    body: bytes

    @property
    def read(self) -> RecordedDecision:
        return _read(self.body)


@lru_cache(maxsize=8_192)
def _read(body: bytes) -> RecordedDecision:
    return read_record(body)


@cache
def templates() -> tuple[bytes, ...]:
    """Allows and denies of several models, actions, places, gateways and organisations, before, during and after the
    order of June 2026."""
    random = Random(5)
    licences = tuple(
        Authorisation(
            id=f"L-{holder}",
            regime="us-ear",
            kind=AuthorisationKind.LICENCE,
            holder=holder,
            models=("mythos-5", "fable-5"),
            actions=("release", "download_weights", "infer"),
        )
        for holder in ("harbor-cyber", "cedar-university", "keihin-kk")
    )
    roster = demo(rows=replace(DEMO, authorisations=(*DEMO.authorisations, *licences)))
    subjects = """
        alice carol carol carol leila kim yuki ken dara min jiho noor pat pat
        account:key-harbor organisation:beihe-holding organisation:harbor-cyber nobody
    """.split()
    places = [
        {"country": "US"},
        {"country": "US"},
        {"country": "JP"},
        {"country": "CN"},
        {"country": "DE", "ip_country": "RU"},
        {},
    ]
    made = []
    for number in range(150):
        more: dict[str, object] = {"place": random.choice(places)}
        if random.random() < 0.7:
            more["purpose"] = random.choice(["defensive_cybersecurity", "education"])
        if random.random() < 0.4:
            more["request_id"] = _ASKED
        if random.random() < 0.15:
            more["end_user"] = {"type": "organisation", "id": "keihin-kk"}
        if random.random() < 0.15:
            more["destination"] = {"country": "JP", "host": "tokiwa-colo"}
        if random.random() < 0.15:
            more["acting_for"] = random.choice(["harbor-cyber", "alder-bank"])
        request = asking(
            random.choice(subjects),
            random.choice(["mythos-5", "fable-5", "opus-4.6", "opus-4.6", "technology:4E001.a", "no-such-model"]),
            random.choice(["infer", "infer", "release", "release", "download_weights", "licence_determination"]),
            **more,
        )
        caller = Caller(id=f"key-{number % 3}", gateway=random.choice(["main", "batch", None]), explain=number % 2 == 0)
        at = parse_instant(random.choice(["2026-06-01", "2026-06-13T15:00:00Z", "2026-11-20T12:00:00Z"]))
        made.append(record_of(SHIPPED, roster, request, at, caller=caller, name=_NAME))
    return tuple(made)


def again(template: bytes, *, name: str, at: datetime, request_id: str) -> bytes:
    """The record under another id, at another instant, under another request id if it has one."""
    told = _read(template)
    body = template.replace(f'"{_NAME}"'.encode(), f'"{name}"'.encode())
    for field, instant, other in (
        ("decided_at", told.decided_at, at),
        ("valid_until", told.valid_until, at + (told.valid_until - told.decided_at)),
    ):
        old, new = (f'"{field}":"{format_instant(one)}"'.encode() for one in (instant, other))
        body = body.replace(old, new)
    return body.replace(f'"{_ASKED}"'.encode(), f'"{request_id}"'.encode())


def entered(count: int, *, seed: int = 1, first: int = 0, changes_too: bool = True) -> tuple[Entered, ...]:
    """So many decisions with dense log indexes, but for those that changes take. Instants mostly grow, some are equal
    and some go back, as those of processes with different clocks do."""
    random = Random(seed)
    made: list[Entered] = []
    log_index, at = first, BEGIN
    for number in range(count):
        if changes_too and number % 17 == 5:
            log_index += 1
        at += timedelta(seconds=random.choice([0, 0, 7, 300, 7_000, -20]))
        name = f"01D{first + number:08d}"
        body = again(random.choice(templates()), name=name, at=at, request_id=f"r-{number % 40}")
        made.append(Entered(log_index=log_index, id=name, at=at, body=body))
        log_index += 1
    return tuple(made)


def put(engine: Engine, given: Sequence[Entered]) -> None:
    """Put decisions into the log as the log itself would, with a change under every index that they leave out."""
    rows = [_row(one) for one in given]
    with writing(engine) as writer:
        first = writer.execute(select(NEXT_INDEX)).scalar_one()
        free = sorted(set(range(first, given[-1].log_index)) - {one.log_index for one in given})
        writer.execute(insert(decisions), rows)
        if free:
            writer.execute(insert(changes), [_change(number) for number in free])


def lose(engine: Engine, *log_indexes: int) -> None:
    """Take decisions out of an SQLite log behind its back, as nothing but damage or a forger does."""
    with writing(engine) as writer:
        writer.exec_driver_sql("DROP TRIGGER decisions_refuse_delete")
        writer.execute(delete(decisions).where(decisions.c.log_index.in_(log_indexes)))


def _row(one: Entered) -> dict[str, object]:
    told = one.read
    return {
        "log_index": one.log_index,
        "id": one.id,
        "body": one.body,
        "decided_at": one.at,
        "valid_until": told.valid_until,
        "allowed": told.allowed,
        "hold": told.hold,
        "caller": told.caller.id,
        "request_id": None if told.request is None else told.request.request_id,
        "request_digest": one.id,
        "control_epoch": told.control_epoch,
        "attempt": one.log_index + 1,
        "retry_of": None,
    }


def _change(number: int) -> dict[str, object]:
    actor = Actor(key="officer")
    event: MembersRecorded | FreezeDeclared = MembersRecorded(revision=number, added=1, reason="test", digest="sha256:")
    if number % 2:
        scope = FreezeScope(models=("mythos-5",))
        event = FreezeDeclared(
            freeze=Freeze(id=f"freeze-{number}", scope=scope, authority="A", reason="R", start=BEGIN)
        )
    change = Change(id=f"change-{number}", at=BEGIN, actor=actor, epoch=number, event=event)
    return {
        "log_index": number,
        "id": change.id,
        "kind": change.kind,
        "at": change.at,
        "actor": actor.key,
        "person": None,
        "epoch": number,
        "body": encode_change(change),
    }
