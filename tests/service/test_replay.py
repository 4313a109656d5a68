"""A recorded decision is made again byte for byte, or what differs is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_engine import ENGINE_VERSION
from policy_engine.app.builder import Parts
from policy_engine.decision.conclude import NO_BOOK
from policy_engine.domain.decision import Decision
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.request import Caller
from policy_engine.domain.reviews import review_key
from policy_engine.domain.roster import PersonEntry, Roster, RosterRows, UsStatus, UsStatusKind
from policy_engine.domain.rules import NO_BOOK_RULE
from policy_engine.domain.verdict import denied_by_engine
from policy_engine.formats.membership_file import read_members
from policy_engine.formats.record import encode_answer, encode_facts, encode_record, encode_shortened_record
from policy_engine.formats.record_reader import read_record
from policy_engine.formats.request_document import request_of
from policy_engine.policy.cases import Case
from policy_engine.policy.judge import Judge
from policy_engine.service.audit.replay import replay, replay_now
from tests.api.service import copied, serving
from tests.conftest import CASES, judge_of
from tests.laws import asked_of
from tests.service.decisions import DEMO, SHIPPED, Archive, asking, demo, record_of
from tests.worlds import friendly_world, world

ORDER = parse_instant("2026-06-13T15:00:00Z")
NOON = parse_instant("2026-11-20T12:00:00Z")
US = {"country": "US"}
ALICE = asking("alice", "mythos-5", place=US, purpose="defensive_cybersecurity")


def the_people(rows: RosterRows, person: str, kind: UsStatusKind) -> RosterRows:
    """The rows with another US status for one person."""
    others = tuple(row for row in rows.us_statuses if row.person != person)
    return replace(rows, us_statuses=(*others, UsStatus(person=person, kind=kind)))


@pytest.mark.parametrize("explain", [False, True])
def test_the_decision_of_every_case_is_made_again_byte_for_byte(explain: bool) -> None:
    def differing(case: Case) -> bool:
        judge, roster = judge_of(case), case.roster()
        caller = replace(case.caller, explain=explain)
        body = record_of(judge, roster, case.request, case.at, caller=caller)
        past = Archive(rosters={0: case.roster()}, judges={judge.book.fingerprint: Judge(judge.book)})
        replayed = replay(read_record(body), body, past)
        return not replayed.same or replayed.body != body or replayed.differences != ()

    cases = CASES if not explain else CASES[::4]
    assert len(cases) > 70
    assert [case.id for case in cases if differing(case)] == []


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.booleans())
def test_whatever_was_asked_is_decided_again_to_the_same_bytes(seed: int, friendly: bool) -> None:
    random = Random(seed)
    asked = asked_of(friendly_world(random) if friendly else world(random))
    body = record_of(Judge(asked.book), asked.roster, asked.request, asked.at, caller=asked.caller)
    past = Archive(rosters={0: asked.roster}, judges={asked.book.fingerprint: Judge(asked.book)})
    record = read_record(body)
    assert record.request == asked.request
    assert record.caller == asked.caller
    assert replay(record, body, past).same


def test_one_fact_that_is_not_as_it_was_is_named_with_both_values_and_all_that_follows_from_it() -> None:
    body = record_of(SHIPPED, demo(), ALICE, ORDER)
    other = demo(rows=the_people(DEMO, "alice", UsStatusKind.CITIZEN))
    replayed = replay(read_record(body), body, Archive(rosters={1: other}))
    assert not replayed.same
    assert replayed.obstacle is None
    told = {one.path: (one.recorded, one.now) for one in replayed.differences}
    assert told["$.facts[0].known.us_status"] == ('["none"]', '["citizen"]')
    assert told["$.facts[0].words.foreign-person"] == ('"yes"', '"no"')
    recorded, now = told["$.answer.findings[US-COM-2026-06-12]"]
    assert recorded is not None
    assert now is None
    assert "$.answer.membership_revision" not in told
    assert b'"path":"$.facts[0].known.us_status"' in replayed.document()


def test_a_decision_of_another_version_of_the_engine_is_named_as_such_and_not_as_another_decision() -> None:
    body = record_of(SHIPPED, demo(), ALICE, ORDER)
    older = body.replace(f'"engine":"{ENGINE_VERSION}"'.encode(), b'"engine":"0.0.9"')
    replayed = replay(read_record(older), older, Archive(rosters={1: demo()}))
    assert (replayed.same, replayed.engine, replayed.engine_now) == (False, "0.0.9", ENGINE_VERSION)
    assert (replayed.differences, replayed.obstacle) == ((), None)
    assert replayed.body == body


def test_a_book_that_is_not_archived_is_named() -> None:
    body = record_of(SHIPPED, demo(), ALICE, ORDER)
    replayed = replay(read_record(body), body, Archive(rosters={1: demo()}, judges={}))
    assert (replayed.same, replayed.body) == (None, None)
    assert (
        replayed.obstacle == f"the book {SHIPPED.book.fingerprint} is not archived, or cannot be read by this release"
    )


def without_a_book(shortened: bool) -> bytes:
    decision = Decision(
        id="01TEST",
        decided_at=NOON,
        valid_until=NOON,
        request=ALICE,
        caller=Caller(id="key"),
        entry=None,
        verdict=denied_by_engine(NO_BOOK_RULE),
        alternatives=(),
        ignored_properties=(),
        policy_version=NO_BOOK,
        membership_revision=1,
        control_epoch=7,
    )
    reply = encode_answer(decision)
    return (
        encode_shortened_record(decision, "0" * 64, reply)
        if shortened
        else encode_record(decision, encode_facts(()), reply)
    )


def test_a_decision_without_a_book_is_made_again_without_one() -> None:
    body = without_a_book(shortened=False)
    assert replay(read_record(body), body, Archive(rosters={1: demo()})).same


def test_a_shortened_record_cannot_be_decided_again_and_says_so() -> None:
    body = without_a_book(shortened=True)
    replayed = replay(read_record(body), body, Archive(rosters={1: demo()}))
    assert (replayed.same, replayed.shortened) == (None, True)
    assert replayed.obstacle is not None
    assert "digest of its request alone" in replayed.obstacle
    now = replay_now(read_record(body), body, demo(), SHIPPED)
    assert (now.allowed_now, now.obstacle) == (None, replayed.obstacle)


def of_many_employers(parts: Parts) -> str:
    """A person with more employers than a record has room for is on file; the id."""
    names = [f"employer-{number:03d}" for number in range(150)]
    document = {
        "organisations": [{"id": name, "name": name, "kind": "company", "incorporated": "US"} for name in names],
        "people": [{"id": "zoe", "employments": [{"organisation": name, "kind": "employee"} for name in names]}],
    }
    rows = read_members(json.dumps(document).encode(), "many.json")
    parts.members.record(rows, actor="test", reason="test", at=ORDER)
    parts.gate.view.refresh()
    return "zoe"


def test_a_record_that_is_too_long_keeps_its_request_is_found_by_it_and_is_decided_again_to_the_same_bytes(
    migrated: Path, tmp_path: Path
) -> None:
    with serving(copied(migrated, tmp_path), DEMO, at=NOON, published=True) as service:
        person = of_many_employers(service.parts)
        # Nothing remedies a place under an embargo; else remedies would be looked for among all the employers.
        place = {"country": "IR"}
        request = {"subject": {"type": "person", "id": person}, "model": "mythos-5", "action": "infer", "place": place}
        answer = service.decide(request).json()
        assert answer["reason"]["code"] == "ENGINE_FAULT"
        body = service.parts.log.read(answer["decision_id"])
        assert body is not None
        record = read_record(body)
        assert (record.shortened, record.parties, record.request_digest) == (True, (), None)
        assert record.request is not None
        assert record.request.subject.id == person
        found = service.client.get(f"/decisions?subject=person:{person}", headers=service.key()).json()["decisions"]
        assert [one["answer"]["decision_id"] for one in found] == [record.id]
        replayed = replay(record, body, service.parts.past)
        assert (replayed.same, replayed.shortened, replayed.differences) == (True, True, ())
        altered = body.replace(b'"allowed":false', b'"allowed":true').replace(b'"deny"', b'"allow"', 1)
        assert replay(read_record(altered), altered, service.parts.past).same is False
        judge = service.parts.past.judge(record.policy_version, record.control_epoch)
        assert judge is not None
        now = replay_now(record, body, service.parts.past.roster(record.membership_revision), judge)
        assert (now.allowed_now, now.differences) == (False, ())


def test_the_same_content_in_other_bytes_is_not_the_same_record() -> None:
    body = record_of(SHIPPED, demo(), ALICE, ORDER)
    loose = msgspec.json.format(body)
    replayed = replay(read_record(loose), loose, Archive(rosters={1: demo()}))
    assert not replayed.same
    assert replayed.obstacle == "the record says the same in other bytes"


def test_a_decision_by_a_file_that_contradicts_itself_is_made_again_as_the_fault_that_it_was() -> None:
    twice = replace(DEMO, us_statuses=(*DEMO.us_statuses, UsStatus(person="alice", kind=UsStatusKind.CITIZEN)))
    body = record_of(SHIPPED, demo(rows=twice), ALICE, ORDER)
    record = read_record(body)
    assert record.reason_code == "ENGINE_FAULT"
    assert replay(record, body, Archive(rosters={1: demo(rows=twice)})).same


def test_the_review_case_of_a_hold_follows_from_the_cases_closed_by_then() -> None:
    request = asking("carol", "opus-4.6", place=US, acting_for="weser-ag")
    body = record_of(SHIPPED, demo(), request, NOON)
    record = read_record(body)
    held = {finding.rule: finding.review for finding in record.findings if finding.hold and finding.state == "deciding"}
    assert record.hold
    assert all(held.values())
    assert replay(record, body, Archive(rosters={1: demo()})).same
    rule = next(iter(held))
    closed = {7: {review_key(request, record.model, rule).digest: 1}}
    replayed = replay(record, body, Archive(rosters={1: demo()}, closed=closed))
    assert [one.path for one in replayed.differences] == [f"$.answer.findings[{rule}].review"]


def test_an_allow_that_ran_out_with_the_book_is_made_again_to_run_out_then() -> None:
    soon = NOON + timedelta(seconds=1)
    body = record_of(SHIPPED, demo(), asking("pat", "opus-4.6", place=US), NOON, next_book=soon)
    record = read_record(body)
    assert (record.allowed, record.valid_until) == (True, soon)
    assert replay(record, body, Archive(rosters={1: demo()}, next_book=soon)).same
    replayed = replay(record, body, Archive(rosters={1: demo()}))
    assert [one.path for one in replayed.differences] == ["$.answer.valid_until"]


def test_what_is_known_now_says_what_would_have_been_decided_then() -> None:
    body = record_of(SHIPPED, demo(), ALICE, ORDER)
    learnt = demo(revision=5, rows=the_people(DEMO, "alice", UsStatusKind.CITIZEN))
    now = replay_now(read_record(body), body, learnt, SHIPPED)
    assert (now.at, now.membership_revision, now.policy_version) == (ORDER, 5, SHIPPED.book.fingerprint)
    assert not now.allowed
    assert now.allowed_now is False  # the operator's suspension bars everybody that day
    paths = {one.path for one in now.differences}
    assert "$.facts[0].known.us_status" in paths
    assert "$.answer.membership_revision" not in paths
    assert b'"allowed_now":false' in now.document()


def test_nothing_learnt_since_means_nothing_different_whatever_the_revision() -> None:
    body = record_of(SHIPPED, demo(), asking("luc", "opus-4.6", place={"country": "FR"}), NOON)
    now = replay_now(read_record(body), body, demo(revision=9), SHIPPED)
    assert (now.differences, now.obstacle) == ((), None)
    assert now.allowed_now is now.allowed


def test_the_review_case_of_a_hold_is_no_difference_of_what_would_have_been_decided() -> None:
    request = asking("carol", "opus-4.6", place=US, acting_for="weser-ag")
    body = record_of(SHIPPED, demo(), request, NOON, closings={}, epoch=3)
    record = read_record(body)
    rule = next(finding.rule for finding in record.findings if finding.review is not None)
    closings = {review_key(request, record.model, rule).digest: 1}
    second = record_of(SHIPPED, demo(), request, NOON, closings=closings)
    assert second != body
    assert replay_now(read_record(second), second, demo(), SHIPPED).differences == ()


@dataclass(frozen=True)
class Kept:
    """The past that a service keeps."""

    parts: Parts

    def roster(self, revision: int) -> Roster:
        return self.parts.past.roster(revision)

    def judge(self, fingerprint: str, epoch: int) -> Judge | None:
        return self.parts.past.judge(fingerprint, epoch)

    def closings(self, epoch: int) -> Mapping[str, int]:
        return self.parts.past.closings(epoch)

    def until(self, _epoch: int, at: datetime) -> datetime | None:
        return self.parts.gate.view.current().until(at)

    def by_instants(self, fingerprint: str, epoch: int, at: datetime) -> tuple[Judge | None, datetime | None] | None:
        return self.parts.past.by_instants(fingerprint, epoch, at)


def test_what_a_service_recorded_is_made_again_from_what_it_keeps_after_its_members_have_changed(
    migrated: Path, tmp_path: Path
) -> None:
    questions: list[dict[str, Any]] = [
        {"subject": {"type": "person", "id": person}, "model": model, "action": "infer", **more}
        for person in ("alice", "carol", "kim", "ann", "ken", "nobody")
        for model in ("mythos-5", "opus-4.6", "no-model")
        for more in ({"place": US}, {"acting_for": "weser-ag", "purpose": "research"})
    ]
    with serving(copied(migrated, tmp_path), DEMO, published=True) as service:
        ids = [service.decide(question).json()["decision_id"] for question in questions]
        learnt = UsStatus(person="kim", kind=UsStatusKind.CITIZEN, recorded_at=NOON)
        filed = PersonEntry(
            id="kim",
            employments_filed=True,
            us_status_filed=True,
            citizenships_filed=False,
            permanent_residencies_filed=False,
            recorded_at=NOON + timedelta(seconds=1),
        )
        rows = RosterRows(us_statuses=(learnt,), people=(filed,))
        service.parts.members.record(rows, actor="test", reason="test", at=NOON + timedelta(seconds=1))
        service.parts.gate.view.refresh()
        ids += [service.decide(question).json()["decision_id"] for question in questions]
        bodies = [service.parts.log.read(name) for name in ids]
        past = Kept(service.parts)
        records = [(read_record(body), body) for body in bodies if body is not None]
        assert len(records) == len(ids) == 72
        assert len({record.membership_revision for record, _ in records}) == 2
        assert any(record.hold for record, _ in records)
        assert any(record.allowed for record, _ in records)
        replayed = [replay(record, body, past) for record, body in records]
        assert [(one.decision_id, one.differences, one.obstacle) for one in replayed if not one.same] == []


def test_what_a_process_decided_whose_clock_ran_behind_a_freeze_is_made_again_as_now_and_as_it_was_before_that_counted(
    migrated: Path, tmp_path: Path
) -> None:
    url, late = copied(migrated, tmp_path), NOON - timedelta(hours=3)
    asked = {"subject": {"type": "person", "id": "carol"}, "model": "opus-4.6", "action": "infer", "place": US}
    with serving(url, DEMO, published=True, recorded=ORDER) as service:
        headers = service.key(person="dora")
        frozen = service.client.post(
            "/freezes", json={"models": ["opus-4.6"], "authority": "the operator", "reason": "a test"}, headers=headers
        )
        assert frozen.status_code == 201
        service.now[0] = late
        told = service.decide(asked, headers).json()
        assert (told["decision"], told["reason"]["rule"]) == ("deny", frozen.json()["id"])
        body = service.parts.log.read(told["decision_id"])
        assert body is not None
        record = read_record(body)
        assert record.decided_at == late
        assert replay(record, body, service.parts.past).same is True

        book = service.parts.past.judge(record.policy_version, 1)
        assert book is not None
        roster = service.parts.past.roster(record.membership_revision)
        before = record_of(book, roster, request_of(asked), late, caller=record.caller, epoch=record.control_epoch)
        assert read_record(before).allowed
        again = replay(read_record(before), before, service.parts.past)
        assert (again.same, again.differences) == (True, ())

        # What was decided before the freeze is not looked back at as if it had stood then.
        any_time = service.parts.past.judge_of_any_time(record.policy_version, record.control_epoch)
        assert any_time is not None
        assert replay_now(read_record(before), before, roster, any_time).allowed_now is True
