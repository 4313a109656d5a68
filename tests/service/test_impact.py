"""What another book would change is what a plain loop over the records counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from itertools import product
from typing import Any, Final

import msgspec
import pytest

from policy_engine.domain.facts import derive
from policy_engine.domain.instants import Validity, parse_instant
from policy_engine.domain.request import Action, Caller, Place, Request, Subject, SubjectType
from policy_engine.domain.roster import Roster, UsStatusKind
from policy_engine.domain.rules import ANYTHING, FACETS, CodeRule, Condition, Row, Term
from policy_engine.domain.verdict import Verdict
from policy_engine.formats.record_reader import read_record
from policy_engine.formats.request_document import request_of
from policy_engine.policy.judge import Judge
from policy_engine.render.impact_text import impact_text
from policy_engine.service.administration.impact import ImpactOutcome, as_json, impact, standing_access
from policy_engine.shapes.reports import ImpactDocument
from tests.concluding import decided
from tests.service.decisions import DEMO, SHIPPED, asking, demo, record_of, with_row
from tests.service.test_replay import the_people, without_a_book

EARLY: Final = parse_instant("2026-11-20T12:00:00Z")
EFFECTIVE: Final = parse_instant("2026-12-01T00:00:00Z")
LATER: Final = parse_instant("2026-12-02T00:00:00Z")
ORDER: Final = "US-COM-2026-12-01"


def an_order(models: tuple[str, ...], effective: datetime = EFFECTIVE) -> Row:
    """The order of June again, for other models, from another day, and lifted by nothing."""
    june = SHIPPED.book.row("US-COM-2026-06-12")
    assert june is not None
    item = Condition(alternatives=tuple((Term(word="model", parameter=model),) for model in models))
    facets = tuple(item if name == "item" else facet for name, facet in zip(FACETS, june.facets, strict=True))
    return replace(june, id=ORDER, facets=facets, unless=ANYTHING, valid=Validity(start=effective), suspended=())


NEW: Final = Judge(with_row(SHIPPED.book, an_order(("opus-4.6", "sonnet-4.6"))))
PEOPLE: Final = sorted(DEMO.people, key=lambda person: person.id)
PLACES: Final[tuple[dict[str, str], ...]] = ({"country": "US"}, {"country": "DE"}, {})


@cache
def asked_so_far() -> tuple[bytes, ...]:
    """Everybody asks for three models from three places, half of them twice."""
    requests = [
        asking(person.id, model, place=place, request_id=f"r-{index}")
        for index, (person, model, place) in enumerate(
            product(PEOPLE, ("opus-4.6", "mythos-5", "nobody-knows"), PLACES)
        )
    ]
    bodies = [
        record_of(SHIPPED, demo(), request, EARLY, name=f"01A{index:05}") for index, request in enumerate(requests)
    ]
    again = [
        record_of(SHIPPED, demo(), replace(request, request_id="again"), EARLY, name=f"01B{index:05}")
        for index, request in enumerate(requests[::2])
    ]
    return (*bodies, *again)


def plain(body: bytes, old: Judge, new: Judge, roster: Roster, effective: datetime) -> tuple[str, Verdict, Verdict]:
    """The outcome of one record, by whole answers."""
    record = read_record(body)
    assert record.request is not None
    at = max(record.decided_at, effective)
    was = decided(old, roster, record.request, record.caller, at).verdict
    now = decided(new, roster, record.request, record.caller, at).verdict
    bars = [finding for finding in now.deciding if finding.rule != "ENGINE-NO-GRANT"]
    if not now.allowed and set(now.missing) - set(was.missing) and all(bar.missing for bar in bars):
        return "undetermined", was, now
    if was.allowed != now.allowed:
        return ("allow_to_deny" if was.allowed else "deny_to_allow"), was, now
    if was.hold != now.hold:
        return "hold_changed", was, now
    if (was.reason.rule, was.reason_code) != (now.reason.rule, now.reason_code):
        return "reason_changed", was, now
    return "unchanged", was, now


def report_of(bodies: Sequence[bytes], new: Judge = NEW, old: Judge = SHIPPED, **more: Any) -> ImpactDocument:
    wanted: dict[str, Any] = {"effective": EFFECTIVE, "roster_now": demo(), **more}
    return impact(new, old, bodies, lambda _: demo(), **wanted)


def counted(report: ImpactDocument) -> dict[str, int]:
    return {outcome: count for outcome, count in report.outcomes.items() if count}


def named(report: ImpactDocument) -> dict[str, tuple[str, ...]]:
    """The outcomes of which there are examples."""
    return {outcome: ids for outcome, ids in (report.examples or {}).items() if ids}


def test_an_order_changes_exactly_what_a_plain_loop_counts_whole_and_part_by_part() -> None:
    report = report_of(asked_so_far())
    whole: Counter[str] = Counter()
    parts: Counter[tuple[str, str, str]] = Counter()
    for body in asked_so_far():
        outcome, was, now = plain(body, SHIPPED, NEW, demo(), EFFECTIVE)
        whole[outcome] += 1
        record = read_record(body)
        assert record.request is not None
        person = demo().people[record.request.subject.id]
        employers = {row.organisation for row in person.employments or () if row.valid.holds(EFFECTIVE)}
        countries = {demo().organisations[name].headquarters or "?" for name in employers}
        citizenships = {row.country for row in person.citizenships or ()}
        found = {
            "organisation": employers or {"(none)"},
            "organisation_country": countries or {"(none)"},
            "citizenship_country": citizenships if person.citizenships is not None else {"(unknown)"},
            "place_country": {record.request.place.country or "(unknown)"},
            "model": {record.request.model},
            "action": {"infer"},
            "rule": {one.rule for one in (was if now.allowed and not was.allowed else now).deciding},
        }
        for dimension, values in found.items():
            for value in values:
                parts[dimension, value, outcome] += 1
    assert report.decisions == len(asked_so_far())
    assert report.not_judged.count == 0
    assert counted(report) == dict(whole)
    assert {
        (share.dimension, share.value, outcome): count
        for share in report.shares
        for outcome, count in share.outcomes.items()
        if count
    } == dict(parts)
    assert {"allow_to_deny", "undetermined", "reason_changed", "unchanged"} <= set(whole)


def test_a_rule_that_goes_gives_back_what_it_barred_and_is_named_as_what_made_the_difference() -> None:
    bodies = [record_of(NEW, demo(), asking("alice", "opus-4.6", place=PLACES[0]), LATER)]
    report = report_of(bodies, new=SHIPPED, old=NEW)
    assert counted(report) == {"deny_to_allow": 1}
    assert [share.value for share in report.shares if share.dimension == "rule"] == [ORDER]
    assert named(report) == {ImpactOutcome.GAINED: ("01TEST",)}


def test_the_same_book_changes_nothing() -> None:
    report = report_of(asked_so_far(), new=Judge(SHIPPED.book))
    assert counted(report) == {"unchanged": len(asked_so_far())}
    assert report.drift.count == 0
    assert named(report) == {}
    standing = report.standing_access
    assert (standing.lost, standing.gained, standing.undetermined) == ((), (), ())
    assert {outcome for outcome, count in standing.outcomes.items() if count} == {"unchanged"}


def test_a_fact_that_nobody_knew_then_is_undetermined_and_not_lost_unless_a_known_bar_stands_beside_it() -> None:
    kim = record_of(SHIPPED, demo(), asking("kim", "opus-4.6", place=PLACES[0]), EARLY)
    assert read_record(kim).allowed
    assert counted(report_of([kim])) == {"undetermined": 1}
    closed = replace(
        an_order(("opus-4.6",)),
        id="OPERATOR-CLOSED",
        regime="operator",
        facets=tuple(ANYTHING if name == "party" else facet for name, facet in zip(FACETS, NEW_FACETS, strict=True)),
        codes=(replace(an_order(()).codes[0], code="OPERATOR_SUSPENSION", condition=ANYTHING),),
    )
    both = Judge(with_row(NEW.book, closed))
    assert counted(report_of([kim], new=both)) == {"allow_to_deny": 1}


NEW_FACETS: Final = an_order(("opus-4.6",)).facets


def test_a_decision_is_judged_by_what_was_known_of_its_facts_and_not_by_what_is_known_now() -> None:
    body = record_of(SHIPPED, demo(revision=1), asking("alice", "opus-4.6", place=PLACES[0]), EARLY)
    rosters = {1: demo(revision=1), 2: demo(revision=2, rows=the_people(DEMO, "alice", UsStatusKind.CITIZEN))}
    learnt = record_of(SHIPPED, rosters[2], asking("alice", "opus-4.6", place=PLACES[0]), EARLY, name="01LATER")
    report = impact(NEW, SHIPPED, [body, learnt], rosters.__getitem__, effective=EFFECTIVE, roster_now=rosters[2])
    assert counted(report) == {"allow_to_deny": 1, "unchanged": 1}
    assert named(report) == {ImpactOutcome.LOST: ("01TEST",)}
    assert ("person:alice", "opus-4.6") not in {(one.subject, one.model) for one in report.standing_access.lost or ()}


def test_a_decision_made_after_the_effective_instant_is_judged_at_its_own() -> None:
    over = replace(an_order(("opus-4.6",)), valid=Validity(start=EFFECTIVE, end=LATER))
    short = Judge(with_row(SHIPPED.book, over))
    request = asking("alice", "opus-4.6", place=PLACES[0])
    before, within, after = (
        record_of(SHIPPED, demo(), request, at) for at in (EARLY, LATER - timedelta(microseconds=1), LATER)
    )
    assert counted(report_of([before], new=short)) == {"allow_to_deny": 1}
    assert counted(report_of([within], new=short)) == {"allow_to_deny": 1}
    assert counted(report_of([after], new=short)) == {"unchanged": 1}


def test_the_same_request_at_two_instants_is_judged_at_both() -> None:
    over = replace(an_order(("opus-4.6",)), valid=Validity(start=EFFECTIVE, end=LATER))
    request = asking("alice", "opus-4.6", place=PLACES[0])
    within, after = (record_of(SHIPPED, demo(), request, at) for at in (LATER - timedelta(microseconds=1), LATER))
    report = report_of([within, after], new=Judge(with_row(SHIPPED.book, over)))
    assert counted(report) == {"allow_to_deny": 1, "unchanged": 1}


def test_the_same_request_is_judged_for_each_caller_by_what_that_caller_may_assert() -> None:
    request = request_of(
        {
            "subject": {"type": "person", "id": "kim", "properties": {"us_status": "citizen"}},
            "model": "opus-4.6",
            "action": "infer",
            "place": {"country": "US"},
        }
    )
    may = Caller(id="one", gateway="main", assertable=frozenset({"us_status"}))
    bodies = [
        record_of(SHIPPED, demo(), request, EARLY, caller=one) for one in (may, replace(may, assertable=frozenset()))
    ]
    assert counted(report_of(bodies)) == {"unchanged": 1, "undetermined": 1}


def test_a_hold_that_comes_and_a_code_that_changes_are_told_apart_from_the_decision() -> None:
    ken = record_of(SHIPPED, demo(), asking("ken", "opus-4.6", place={"country": "JP"}), EARLY)
    record = read_record(ken)
    row = SHIPPED.book.row(record.reason_rule)
    assert row is not None
    assert not record.allowed
    assert not record.hold
    held = Judge(with_row(SHIPPED.book, replace(row, hold=True)))
    assert counted(report_of([ken], new=held)) == {"hold_changed": 1}
    recoded = Judge(with_row(SHIPPED.book, replace(row, codes=(CodeRule(code="OPERATOR_SUSPENSION"),))))
    assert counted(report_of([ken], new=recoded)) == {"reason_changed": 1}


def test_members_are_read_once_for_the_revisions_at_hand_and_only_a_few_are_held() -> None:
    read: list[int] = []

    def roster_at(revision: int) -> Roster:
        read.append(revision)
        return demo(revision)

    revisions = (1, 1, 2, 1, 3, 4, 5, 5, 1)
    bodies = [
        record_of(
            SHIPPED, demo(revision), asking("alice", "opus-4.6", place={"country": "US", "postcode": str(index)}), EARLY
        )
        for index, revision in enumerate(revisions)
    ]
    impact(NEW, SHIPPED, bodies, roster_at, effective=EFFECTIVE, roster_now=demo())
    assert read == [1, 2, 3, 4, 5, 1]


def test_drift_is_what_the_old_book_answers_otherwise_than_was_recorded() -> None:
    june = record_of(
        SHIPPED, demo(), asking("alice", "fable-5", place=PLACES[0]), parse_instant("2026-06-13T15:00:00Z")
    )
    same = record_of(SHIPPED, demo(), asking("alice", "opus-4.6", place=PLACES[0]), EARLY, name="01SAME")
    report = report_of([june, same], new=Judge(SHIPPED.book))
    assert (report.drift.count, report.drift.examples) == (1, ("01TEST",))
    assert counted(report) == {"unchanged": 2}


def test_records_that_cannot_be_judged_are_counted_and_named_and_stop_nothing() -> None:
    good = record_of(SHIPPED, demo(), asking("alice", "opus-4.6", place=PLACES[0]), EARLY)
    report = report_of([without_a_book(shortened=True), b'{"v":2}', good])
    assert (report.decisions, report.not_judged.count) == (3, 2)
    first, second = report.not_judged.examples or ()
    assert first == "01TEST"
    assert second.startswith("$.v: version 2")
    assert sum(counted(report).values()) == 1


def test_standing_access_asks_everybody_on_file_for_every_model_and_says_who_loses_it() -> None:
    standing = standing_access(NEW, SHIPPED, demo(), at=EFFECTIVE)
    lost, judged = [], 0
    roster = demo()
    asking_now: list[tuple[Subject, str | None, str | None, str | None]] = []
    for person in PEOPLE:
        held: Sequence[str | None] = sorted(
            {row.organisation for row in DEMO.employments if row.person == person.id and row.valid.holds(EFFECTIVE)}
        )
        asking_now += [(Subject(type=SubjectType.PERSON, id=person.id), name, name, None) for name in held or [None]]
    asking_now += [
        (Subject(type=SubjectType(account.kind.value), id=account.id), account.organisation, None, account.gateway)
        for account in DEMO.accounts
    ]
    for subject, organisation, acting_for, gateway in asking_now:
        for entry in SHIPPED.book.tables.catalogue.entries.values():
            if entry.kind.value != "model":
                continue
            judged += 1
            place = roster.organisations[organisation].headquarters if organisation else None
            request = Request(
                subject=subject,
                model=entry.id,
                action=Action.INFER,
                acting_for=acting_for,
                purpose=next(iter(entry.purposes), None),
                place=Place(country=place),
            )
            caller = Caller(id="", gateway=gateway)
            was, now = (
                judge.verdict(derive(request, roster, judge.book, caller, EFFECTIVE)) for judge in (SHIPPED, NEW)
            )
            if was.allowed and not now.allowed:
                lost.append((f"{subject.type}:{subject.id}", organisation, entry.id))
    assert standing.judged == judged
    assert sorted(
        (one.subject, one.organisation, one.model) for one in (*(standing.lost or ()), *(standing.undetermined or ()))
    ) == sorted(lost)
    assert {one.subject for one in standing.undetermined or ()} >= {"person:kim", "account:key-alder"}
    assert ("person:alice", "opus-4.6", ORDER, "FOREIGN_PERSON") in {
        (one.subject, one.model, one.rule, one.code) for one in standing.lost or ()
    }
    assert standing.gained == ()
    by_country = {share.value: share for share in standing.shares if share.dimension == "organisation_country"}
    assert by_country["US"].outcomes[ImpactOutcome.LOST] == sum(
        1
        for one in standing.lost or ()
        if one.organisation and roster.organisations[one.organisation].headquarters == "US"
    )


def barred_for(word: str, parameter: str) -> Judge:
    """A book that bars opus-4.6 for whoever the word fits."""
    party = Condition(alternatives=((Term(word=word, parameter=parameter),),))
    facets = tuple(party if name == "party" else facet for name, facet in zip(FACETS, NEW_FACETS, strict=True))
    codes = (CodeRule(code="OPERATOR_SUSPENSION"),)
    return Judge(with_row(SHIPPED.book, replace(an_order(()), facets=facets, codes=codes)))


def lost_under(new: Judge) -> set[tuple[str, str | None, str]]:
    standing = standing_access(new, SHIPPED, demo(), at=EFFECTIVE)
    return {(one.subject, one.organisation, one.model) for one in standing.lost or ()}


def test_somebody_with_two_employers_has_standing_access_for_each() -> None:
    lost = lost_under(barred_for("organisation", "prairie-retail"))
    assert ("person:ann", "prairie-retail", "opus-4.6") in lost
    assert {organisation for _, organisation, _ in lost} == {"prairie-retail"}


def test_an_account_has_standing_access_through_its_own_gateway() -> None:
    lost = lost_under(barred_for("gateway", "main"))
    assert ("account:key-prairie", "prairie-retail", "opus-4.6") in lost
    assert {subject.partition(":")[0] for subject, _, _ in lost} == {"account", "service"}
    assert lost_under(barred_for("gateway", "elsewhere")) == set()


def test_a_report_has_ids_and_no_name_of_any_organisation() -> None:
    report = report_of(asked_so_far())
    told = impact_text(report) + as_json(report).decode()
    assert "harbor-cyber" in told
    names = [one.name for one in DEMO.organisations if one.name is not None and one.name.lower() != one.id]
    assert len(names) > 20
    assert [name for name in names if name in told] == []


def test_a_report_is_the_same_bytes_each_time_and_its_text_says_what_its_document_counts() -> None:
    report, again = report_of(asked_so_far()), report_of(list(asked_so_far()))
    assert as_json(report) == as_json(again)
    document = msgspec.json.decode(as_json(report))
    assert document["outcomes"] == report.outcomes
    assert document["standing_access"]["lost"][0]["rule"] == ORDER
    assert f"Recorded decisions: {len(asked_so_far())}" in impact_text(report)
    assert "allow becomes deny" in impact_text(report)
    assert ORDER in impact_text(report)


@pytest.mark.parametrize("examples", [0, 2])
def test_there_are_no_more_examples_than_asked_for(examples: int) -> None:
    report = report_of(asked_so_far(), examples=examples)
    assert max(len(ids) for ids in (report.examples or {}).values()) == examples
    assert max(len(share.examples or ()) for share in report.shares) == examples


def test_progress_is_told_of_both_parts() -> None:
    told: list[tuple[str, int]] = []
    report_of(asked_so_far(), progress=lambda part, done: told.append((part, done)))
    assert ("decisions", len(asked_so_far())) in told
    assert told[-1][0] == "standing access"
