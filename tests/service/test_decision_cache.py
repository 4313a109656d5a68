"""An answer that is remembered is, byte for byte, the one that would be given anew."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_engine.decision.conclude import Judgement
from policy_engine.domain.changes import Actor
from policy_engine.domain.decision import Record
from policy_engine.domain.desk import Desk, InForce
from policy_engine.domain.facts import AssertedValueError
from policy_engine.domain.ports import Appended, AppendOutcome
from policy_engine.domain.request import Action, Caller, Request, Subject, SubjectType
from policy_engine.domain.roster import OF_OWNERSHIP, Known, Read, Roster, RosterRows, touched_by, with_rows
from policy_engine.domain.rules import NO_BOOK_RULE
from policy_engine.domain.verdict import denied_by_engine
from policy_engine.formats.request_document import MalformedRequest, request_of, submitted_of
from policy_engine.policy.judge import Judge
from policy_engine.service.gate import decision_cache
from policy_engine.service.gate.decision_cache import KEPT_BYTES, MOST_BYTES, Memory, Remembered
from policy_engine.service.gate.gate import Gate
from policy_engine.service.gate.snapshot import Edges, Ground, edges_of_books, edges_of_members
from tests.laws import Asked, asked_of, some
from tests.test_properties import instants_of
from tests.worlds import Read as Drawn
from tests.worlds import friendly_world, world

randoms = st.integers(0, 2**32).map(Random)
MICROSECOND = timedelta(microseconds=1)
LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)


@dataclass
class Written:
    """A log that takes every record."""

    alive: bool = True
    bodies: list[bytes] = field(default_factory=list)

    def check(self) -> None:
        return None

    def append(self, record: Record) -> Future[Appended]:
        self.bodies.append(record.body)
        future: Future[Appended] = Future()
        future.set_result(Appended(outcome=AppendOutcome.COMMITTED, body=record.body))
        return future

    def append_all(self, records: Sequence[Record]) -> Future[tuple[Appended, ...]]:
        future: Future[tuple[Appended, ...]] = Future()
        future.set_result(tuple(self.append(record).result() for record in records))
        return future

    def read(self, _decision_id: str) -> bytes | None:
        return None


@dataclass
class View:
    """One ground for ever."""

    ground: Ground

    def current(self) -> Ground:
        return self.ground

    def refresh(self) -> Ground:
        return self.ground


def ground_of(asked: Asked) -> Ground:
    book = InForce(
        fingerprint=asked.book.fingerprint, archive="", start=LONG_AGO, via="founding", actor=Actor(key="test")
    )
    judges = ((book, Judge(asked.book)),)
    return Ground(
        roster=Roster.as_known(asked.rows, revision=1),
        epoch=1,
        desk=Desk(books=(book,)),
        judges=judges,
        edges=Edges().with_(edges_of_members(asked.rows) | edges_of_books(judges)),
    )


@dataclass
class Asker:
    """A gate whose clock and ids are given with each question."""

    ground: Ground
    log: Written = field(default_factory=Written)
    now: datetime = LONG_AGO
    number: int = 0
    gate: Gate = field(init=False)

    def __post_init__(self) -> None:
        self.gate = Gate(
            view=View(self.ground),  # type: ignore[arg-type]  # a fake of the view, which has no protocol
            log=self.log,
            clock=lambda: self.now,
            new_id=lambda _: f"01{self.number:04d}",
            report_fault=lambda _: None,
        )

    def ask(self, document: Mapping[str, Any], caller: Caller, at: datetime, number: int) -> bytes | str:
        self.now, self.number = at, number
        try:
            return self.gate.begin(submitted_of(document), caller).answer + b"\n" + self.log.bodies[-1]
        except (MalformedRequest, AssertedValueError) as error:
            return str(error)


def moments(random: Random, asked: Asked) -> Iterator[datetime]:
    """Instants at and around edges, some of them earlier than the one before, and some shortly after one another."""
    edges = sorted(set(instants_of(asked)))
    edges = [edge for edge in edges if edge.year > 2024] or [asked.at]
    for _ in range(6):
        edge = random.choice([asked.at, random.choice(edges)])
        yield edge - MICROSECOND
        yield edge
        yield edge + timedelta(seconds=random.choice([0, 1, 40]))
        yield asked.at


@settings(max_examples=60)
@given(randoms)
def test_whatever_was_asked_before_the_answer_and_the_record_are_those_of_one_who_remembers_nothing(
    random: Random,
) -> None:
    document = friendly_world(random) if some(random, 0.7) else world(random)
    asked = asked_of(document)
    caller = replace(asked.caller, explain=some(random, 0.5))
    ground = ground_of(asked)
    remembering = Asker(ground)
    others = [caller, replace(caller, gateway="another"), replace(caller, explain=not caller.explain)]
    numbers = count()
    for at in moments(random, asked):
        request = dict(document["request"])
        if some(random, 0.3):
            request["request_id"] = f"gw-{random.randrange(9)}"
        who = random.choice([caller, caller, *others])
        number = next(numbers)
        anew = Asker(replace(ground, roster=Roster.as_known(asked.rows, revision=1), memory=Memory()))
        assert remembering.ask(request, who, at, number) == anew.ask(request, who, at, number)


def test_an_allow_that_is_asked_for_again_is_remembered_and_on_another_ground_it_is_not() -> None:
    random = Random(7)
    found = 0
    while found < 5:
        document = friendly_world(random)
        asked = asked_of(document)
        ground = ground_of(asked)
        asker = Asker(ground)
        told = asker.ask(document["request"], asked.caller, asked.at, 1)
        if not isinstance(told, bytes) or b'"allowed":true' not in told:
            continue
        found += 1
        memory = ground.memory
        request = request_of(document["request"])
        later = asked.at + MICROSECOND
        edges = [edge for run in ground.edges.runs for edge in run if edge > asked.at]
        if memory.find(request, asked.caller, asked.at, epoch=1) is None:
            # It takes a place on a cap.
            assert any(row.named_users is not None for row in asked.rows.authorisations)
            continue
        assert not edges or memory.find(request, asked.caller, edges[0], epoch=1) is None
        assert memory.find(request, asked.caller, asked.at - MICROSECOND, epoch=1) is None
        assert later in edges or memory.find(request, asked.caller, later, epoch=1) is not None


ASKED = Request(subject=Subject(type=SubjectType.PERSON, id="carol"), model="opus-4.6", action=Action.INFER)
DENIED = Remembered(
    judgement=Judgement(
        verdict=denied_by_engine(NO_BOOK_RULE),
        reviews=(),
        entry=None,
        alternatives=(),
        remedies=(),
        ignored=(),
        until=None,
        changes_at=None,
    ),
    facts=b"",
)
NOBODY = Caller(id="test")


def large(number: int, size: int) -> Request:
    """A request that takes as much memory as it says, half of it in many short texts."""
    words = tuple(f"{number}-{place}" for place in range(size // 2 // 70))
    return replace(ASKED, request_id=None, fallbacks=words, model=f"{number}" + "m" * (size // 2))


def test_what_is_remembered_is_bounded_by_what_it_takes_and_not_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = KEPT_BYTES // 4
    monkeypatch.setattr(decision_cache, "KEPT_BYTES", bound)
    memory = Memory()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(113):
            facts = bytes(200_000)
            memory.keep(large(number, 234_000), NOBODY, LONG_AGO, replace(DENIED, facts=facts), until=None, epoch=1)
            assert memory.weight <= bound
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert memory.find(large(112, 234_000), NOBODY, LONG_AGO, epoch=1) is not None
    assert memory.find(large(0, 234_000), NOBODY, LONG_AGO, epoch=1) is None
    assert taken <= 1.1 * bound


def test_what_weighs_too_much_is_not_remembered_and_pushes_nothing_out() -> None:
    memory = Memory()
    memory.keep(ASKED, NOBODY, LONG_AGO, DENIED, until=None, epoch=1)
    memory.keep(large(1, 2 * MOST_BYTES), NOBODY, LONG_AGO, DENIED, until=None, epoch=1)
    assert memory.find(large(1, 2 * MOST_BYTES), NOBODY, LONG_AGO, epoch=1) is None
    assert memory.find(ASKED, NOBODY, LONG_AGO, epoch=1) is DENIED


def remembered(memory: Memory, epoch: int) -> bytes | None:
    found = memory.find(ASKED, NOBODY, LONG_AGO, epoch=epoch)
    return None if found is None else found.facts


def keep(memory: Memory, epoch: int, facts: bytes, *reads: Read) -> None:
    judged = replace(DENIED, facts=facts, reads=frozenset(reads))
    memory.keep(ASKED, NOBODY, LONG_AGO, judged, until=None, epoch=epoch)


def test_an_answer_stands_until_something_changes_that_it_read_by_name() -> None:
    memory = Memory()
    keep(memory, 1, b"first", ("people", "carol"), ("memberships", "harbor-cyber"))
    memory.change(frozenset({("people", "dara"), ("accounts", "carol")}), epoch=2)
    assert (remembered(memory, 1), remembered(memory, 2)) == (b"first", b"first")
    memory.change(frozenset({("memberships", "harbor-cyber")}), epoch=3)
    assert (remembered(memory, 1), remembered(memory, 3)) == (b"first", None)
    keep(memory, 3, b"second", ("people", "carol"))
    memory.change(None, epoch=4)
    assert (remembered(memory, 3), remembered(memory, 4)) == (b"second", None)


def test_an_answer_that_went_through_everybody_stands_on_its_own_ground_alone() -> None:
    memory = Memory()
    memory.keep(ASKED, NOBODY, LONG_AGO, replace(DENIED, facts=b"first", reads=None), until=None, epoch=1)
    assert (remembered(memory, 1), remembered(memory, 2)) == (b"first", None)


def test_what_was_judged_on_the_ground_of_before_does_not_stand_on_the_next_where_it_read_what_changed() -> None:
    memory = Memory()
    memory.change(frozenset({("people", "carol")}), epoch=2)
    keep(memory, 1, b"late", ("people", "carol"))
    assert remembered(memory, 2) is None
    keep(memory, 2, b"now", ("people", "carol"))
    assert (remembered(memory, 1), remembered(memory, 2)) == (None, b"now")


def test_when_more_has_changed_than_is_known_by_name_nothing_of_before_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policy_engine.service.gate.decision_cache.MOST_CHANGED", 3)
    memory = Memory()
    keep(memory, 1, b"first", ("people", "carol"))
    memory.change(frozenset({("people", "a"), ("people", "b")}), epoch=2)
    assert remembered(memory, 2) == b"first"
    memory.change(frozenset({("people", "c"), ("people", "d")}), epoch=3)
    assert remembered(memory, 3) is None


def changed_rows(random: Random, rows: RosterRows, at: datetime) -> RosterRows:
    """A few rows of a section taken back, ended, given to somebody else, or recorded for the first time."""
    names = [one.name for one in fields(rows) if one.name not in (*OF_OWNERSHIP, "consortia")]
    filed = [name for name in names if getattr(rows, name)] or names
    others = world(random)
    made: dict[str, Any] = {}
    for name in {random.choice(filed), random.choice(names)}:
        there = [*getattr(rows, name), *getattr(Drawn(others).rows, name)]
        made[name] = tuple(
            replace(row, recorded_at=at, retracted=some(random, 0.5))
            for row in random.sample(there, min(2, len(there)))
        )
    return RosterRows(**made)


@settings(max_examples=150)
@given(randoms)
def test_after_any_change_of_members_the_answer_is_that_of_one_who_remembers_nothing(random: Random) -> None:
    document = friendly_world(random) if some(random, 0.8) else world(random)
    asked = asked_of(document)
    known, ground, rows = Known.of(asked.rows), ground_of(asked), asked.rows
    ground = replace(ground, roster=known.roster(1))
    caller = replace(asked.caller, explain=False)
    for number in range(6):
        told = Asker(ground).ask(document["request"], caller, asked.at, number)
        anew = replace(ground, roster=Roster.as_known(rows, revision=ground.roster.revision), memory=Memory())
        assert told == Asker(anew).ask(document["request"], caller, asked.at, number)
        new = changed_rows(random, rows, asked.at - timedelta(days=9) + timedelta(minutes=number))
        known, rows = known.with_rows(new), with_rows(rows, new)
        ground.memory.change(touched_by(new), epoch=ground.epoch + 1)
        edges = Edges().with_(edges_of_members(rows) | edges_of_books(ground.judges))
        following = replace(known.roster(number + 2), memo=ground.roster.memo)
        ground = replace(ground, roster=following, epoch=ground.epoch + 1, edges=edges)


def test_most_changes_of_others_leave_an_answer_standing() -> None:
    random, stood = Random(11), 0
    for _ in range(40):
        document = friendly_world(random)
        asked = asked_of(document)
        ground = ground_of(asked)
        Asker(ground).ask(document["request"], replace(asked.caller, explain=False), asked.at, 1)
        ground.memory.change(frozenset({("people", "somebody-else"), ("memberships", "elsewhere")}), epoch=2)
        request, caller = request_of(document["request"]), replace(asked.caller, explain=False)
        stood += ground.memory.find(request, caller, asked.at, epoch=2) is not None
    assert stood > 20
