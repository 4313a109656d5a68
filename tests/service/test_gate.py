"""Every door takes one walk: nothing is answered before its record, and what moved meanwhile is decided again."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random

import pytest

from policy_engine.domain.decision import Record
from policy_engine.domain.ports import Appended, AppendOutcome, Key, LogUnavailable
from policy_engine.domain.request import Action, Caller, Semantic, Submitted
from policy_engine.formats.request_document import MalformedRequest, batch_item_of, submitted_of
from policy_engine.policy.judge import Judge
from policy_engine.service.gate import pools, turns
from policy_engine.service.gate.decision_cache import Memory
from policy_engine.service.gate.gate import MAX_ATTEMPTS, BatchReply, Gate, Reply, RequestIdConflict
from policy_engine.service.gate.keyring import Bearer, Unauthenticated
from policy_engine.service.gate.pools import Pool
from policy_engine.service.gate.snapshot import Ground
from policy_engine.service.gate.turns import walked
from tests.laws import asked_of
from tests.service.test_decision_cache import ground_of
from tests.worlds import friendly_world

DOCUMENT = friendly_world(Random(7))
ASKED = asked_of(DOCUMENT)
GROUND = ground_of(ASKED)
SUBMITTED = submitted_of(DOCUMENT["request"])
ITEMS = [batch_item_of(DOCUMENT["request"]), batch_item_of({"colour": "blue"})]
CALLER = Caller(id="test", gateway=ASKED.caller.gateway, assertable=ASKED.caller.assertable)


@dataclass
class Log:
    """A log that says of each record, or of each batch, what comes next; nothing for `None`."""

    says: list[AppendOutcome | None]
    handed: list[tuple[Record, ...]] = field(default_factory=list)
    alive: bool = True

    def check(self) -> None:
        return None

    def append(self, record: Record) -> Future[Appended]:
        future: Future[Appended] = Future()
        outcome = self._next((record,))
        if outcome is not None:
            future.set_result(Appended(outcome=outcome, body=record.body))
        return future

    def append_all(self, records: Sequence[Record]) -> Future[tuple[Appended, ...]]:
        future: Future[tuple[Appended, ...]] = Future()
        outcome = self._next(tuple(records))
        if outcome is not None:
            future.set_result(tuple(Appended(outcome=outcome, body=record.body) for record in records))
        return future

    def read(self, _decision_id: str) -> bytes | None:
        return None

    def _next(self, records: tuple[Record, ...]) -> AppendOutcome | None:
        self.handed.append(records)
        return self.says.pop(0) if self.says else None


@dataclass
class View:
    """Grounds of which each is read when the one before it has moved."""

    grounds: list[Ground]

    def current(self) -> Ground:
        return self.grounds[0]

    def refresh(self) -> Ground:
        if len(self.grounds) > 1:
            self.grounds.pop(0)
        return self.grounds[0]


def gate_of(log: Log, *grounds: Ground) -> Gate:
    def new_id(_: datetime) -> str:
        return f"01{len(log.handed):04d}"

    return Gate(
        view=View(list(grounds) or [GROUND]),  # type: ignore[arg-type]  # a fake of the view, which has no protocol
        log=log,
        clock=lambda: ASKED.at,
        new_id=new_id,
        report_fault=lambda _: None,
    )


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool("tries", threads=1, waiting=1)
    yield pool
    pool.close()


def doors(pool: Pool) -> dict[str, Callable[[Gate], tuple[bytes, ...]]]:
    """Every way to a decision."""
    execute_all = Semantic.EXECUTE_ALL
    return {
        "awaited": lambda gate: (asyncio.run(gate.decide(SUBMITTED, CALLER, pool)).answer,),
        "here": lambda gate: (gate.decide_here(SUBMITTED, CALLER).answer,),
        "batch awaited": lambda gate: asyncio.run(gate.decide_batch(ITEMS, execute_all, CALLER, pool)).answers,
        "batch here": lambda gate: gate.decide_batch_here(ITEMS, execute_all, CALLER).answers,
    }


DOORS = ("awaited", "here", "batch awaited", "batch here")


def test_a_door_that_awaits_and_one_that_does_not_give_the_same_bytes(pool: Pool) -> None:
    told = {name: door(gate_of(Log([AppendOutcome.COMMITTED]))) for name, door in doors(pool).items()}
    assert told["awaited"] == told["here"]
    assert told["batch awaited"] == told["batch here"]
    assert [json.loads(one)["allowed"] for one in told["batch here"]] == [json.loads(told["here"][0])["allowed"], False]


@pytest.mark.parametrize("door", DOORS)
def test_a_synchronous_door_never_answers_before_the_record(
    door: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "COMMIT_SECONDS", 0.02)
    monkeypatch.setattr(pools, "COMMIT_SECONDS", 0.02)
    log = Log([None])
    with pytest.raises(LogUnavailable, match="did not commit in time"):
        doors(pool)[door](gate_of(log))
    assert len(log.handed) == 1


@pytest.mark.parametrize("door", DOORS)
def test_what_is_stale_is_judged_again_on_what_stands_then(door: str, pool: Pool) -> None:
    log = Log([AppendOutcome.STALE, AppendOutcome.STALE, AppendOutcome.COMMITTED])
    later = replace(GROUND, epoch=2)
    answers = doors(pool)[door](gate_of(log, GROUND, later, replace(GROUND, epoch=3)))
    assert [records[0].control_epoch for records in log.handed] == [1, 2, 3]
    # Only what was made last is told.
    assert json.loads(answers[0])["decision_id"] == log.handed[-1][0].id == "010002"


def test_what_was_read_is_known_of_what_was_judged_to_its_end_and_of_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = Log([AppendOutcome.COMMITTED] * 4)
    gate = gate_of(log, replace(GROUND, memory=Memory()))
    for _ in range(2):
        gate.decide_here(SUBMITTED, CALLER)
    judged, remembered = (records[0].reads for records in log.handed)
    assert judged
    assert remembered == judged
    gate_of(log, replace(GROUND, judges=(), memory=Memory())).decide_here(SUBMITTED, CALLER)
    monkeypatch.setattr(Judge, "verdict", lambda *_: 1 / 0)
    gate_of(log, replace(GROUND, memory=Memory())).decide_here(SUBMITTED, CALLER)
    without_a_book, broken_off = log.handed[2][0], log.handed[3][0]
    assert (without_a_book.allowed, without_a_book.reads) == (False, None)
    assert (broken_off.allowed, broken_off.reads) == (False, None)


@pytest.mark.parametrize("door", DOORS)
def test_an_epoch_that_keeps_moving_is_no_answer(door: str, pool: Pool) -> None:
    log = Log([AppendOutcome.STALE] * 99)
    with pytest.raises(LogUnavailable, match="keeps moving"):
        doors(pool)[door](gate_of(log))
    assert len(log.handed) == MAX_ATTEMPTS


def test_a_bearer_is_found_out_anew_on_every_snapshot_at_every_door(pool: Pool) -> None:
    key = Key(
        id="k",
        name="k",
        secret_hash=hashlib.sha256(b"secret").hexdigest(),
        rights=frozenset({"decide"}),
        gateway=None,
        person=None,
        assertable=frozenset(),
        created_at=ASKED.at,
        revoked_at=None,
    )
    bearer = Bearer(token="pe_k_secret", right="decide")
    with_key, without = replace(GROUND, keys={"k": key}), replace(GROUND, epoch=2)
    asked: tuple[Callable[[Gate], Reply | BatchReply], ...] = (
        lambda gate: asyncio.run(gate.decide(SUBMITTED, bearer, pool)),
        lambda gate: gate.decide_here(SUBMITTED, bearer),
        lambda gate: asyncio.run(gate.decide_batch(ITEMS, Semantic.EXECUTE_ALL, bearer, pool)),
        lambda gate: gate.decide_batch_here(ITEMS, Semantic.EXECUTE_ALL, bearer),
    )
    for decide in asked:
        assert decide(gate_of(Log([AppendOutcome.COMMITTED]), with_key)).caller.id == "k"
        log = Log([AppendOutcome.STALE, AppendOutcome.COMMITTED])
        with pytest.raises(Unauthenticated):
            decide(gate_of(log, with_key, without))
        assert len(log.handed) == 1


def test_a_request_id_of_another_request_is_no_decision_alone_and_a_deny_in_a_batch() -> None:
    with pytest.raises(RequestIdConflict):
        gate_of(Log([AppendOutcome.CONFLICT])).decide_here(SUBMITTED, CALLER)
    told = gate_of(Log([AppendOutcome.CONFLICT])).decide_batch_here(ITEMS[:1], Semantic.EXECUTE_ALL, CALLER).answers
    assert [json.loads(one)["decision"] for one in told] == ["deny"]


def test_a_door_that_does_not_ask_for_determinations_never_gets_one() -> None:
    asked = Submitted(request=replace(SUBMITTED.request, action=Action.LICENCE_DETERMINATION), digest="")
    log = Log([AppendOutcome.COMMITTED])
    for step in (gate_of(log).decide_here, gate_of(log).begin, gate_of(log).begin_at_once):
        with pytest.raises(MalformedRequest, match="gives no access"):
            step(asked, CALLER)
    assert log.handed == []
    assert gate_of(log).decide_here(asked, CALLER, determines=True).answer


def test_a_walk_that_would_wait_for_a_loop_has_no_end_without_one() -> None:
    walk = asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="cannot wait for a loop"):
        walked(walk)
    walk.close()
