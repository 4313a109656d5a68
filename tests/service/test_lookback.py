"""The lookback finds the allows that a rule would deny with today's facts, and tells what it could not judge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from policy_engine.domain.instants import Validity, parse_instant
from policy_engine.domain.roster import Listing, ListingStatus, RosterRows
from policy_engine.domain.rules import NO_GRANT_RULE, Effect
from policy_engine.formats.request_document import MalformedRequest
from policy_engine.policy.judge import Judge
from policy_engine.service.audit.lookback import LOOKED_AT_ONCE, FoundAllow, Looked, NotJudged, Told, lookback
from policy_engine.store.desk_log import DeskLog
from tests.api.sealed import Sealed, sealed_service
from tests.records import Entered, put
from tests.service.decisions import DEMO, SHIPPED, Archive, asking, demo, record_of, with_row
from tests.store.conftest import Store

BEGIN: Final = parse_instant("2026-11-20T12:00:00Z")
END: Final = parse_instant("2026-11-21T12:00:00Z")
US: Final = {"country": "US"}


@pytest.fixture
def sealed(migrated: Path, tmp_path: Path) -> Iterator[Sealed]:
    with sealed_service(migrated, tmp_path, at=BEGIN) as made:
        yield made


def looked(sealed: Sealed, rule: str, *, judge: Judge | None = None) -> list[Told]:
    parts = sealed.parts
    roster = parts.desk.view.refresh().roster
    return list(lookback(parts.desk_log, parts.past, roster, rule=rule, start=BEGIN, end=END, judge=judge))


def carol_is_listed(sealed: Sealed) -> str:
    """A rule that bars carol once it is known that her organisation was listed all the time."""
    employer = next(row.organisation for row in DEMO.employments if row.person == "carol")
    listing = Listing(
        party=employer,
        list="EL",
        entry="X",
        entry_version="1",
        reference="90 FR 1",
        status=ListingStatus.CONFIRMED,
        valid=Validity(start=parse_instant("2026-01-01"), end=None),
    )
    sealed.parts.members.record(RosterRows(listings=(listing,)), actor="t", reason="t", at=sealed.service.now[0])
    sealed.parts.gate.view.refresh()
    answer = sealed.officer.decide()
    return str(next(one["rule"] for one in answer["findings"] if "LISTED_PARTY" in one["codes"]))


def test_an_allow_that_a_rule_would_deny_with_what_is_known_now_is_found_and_no_other(sealed: Sealed) -> None:
    first = sealed.decide()
    sealed.decide(subject={"type": "person", "id": "nobody"})
    sealed.at(BEGIN + timedelta(hours=1))
    second = sealed.decide()
    sealed.at(BEGIN + timedelta(hours=2))
    rule = carol_is_listed(sealed)
    told = looked(sealed, rule)
    found = [one for one in told if isinstance(one, FoundAllow)]
    assert [one.decision_id for one in found] == [first, second]
    assert all(rule in one.rules and "LISTED_PARTY" in one.codes for one in found)
    assert (found[0].subject, found[0].model, found[0].action) == ("person:carol", "mythos-5", "infer")
    assert told[-1] == Looked(decisions=4, allows=2, at=sealed.service.now[0], known=True)


def test_before_the_facts_were_known_nothing_is_found(sealed: Sealed) -> None:
    sealed.decide()
    told = looked(sealed, "VENDOR-REGION")
    assert [type(one) for one in told] == [Looked]


def test_a_grant_that_is_gone_is_found_under_the_name_of_the_engine(sealed: Sealed) -> None:
    name = sealed.decide()
    bars = tuple(row for row in SHIPPED.book.rows if row.effect is not Effect.PERMIT)
    told = looked(sealed, NO_GRANT_RULE, judge=Judge(replace(SHIPPED.book, rows=bars)))
    assert [one.decision_id for one in told if isinstance(one, FoundAllow)] == [name]
    assert looked(sealed, NO_GRANT_RULE)[:-1] == []


def test_the_period_is_half_open(sealed: Sealed) -> None:
    sealed.decide()
    sealed.at(END)
    sealed.decide()
    assert looked(sealed, "VENDOR-REGION")[-1] == Looked(decisions=1, allows=1, at=BEGIN, known=True)


def test_a_rule_that_no_book_had_is_refused_also_of_an_empty_period(sealed: Sealed) -> None:
    with pytest.raises(MalformedRequest, match="NO-SUCH-RULE"):
        looked(sealed, "NO-SUCH-RULE")
    with pytest.raises(MalformedRequest, match="NO-SUCH-RULE"):
        looked(sealed, "NO-SUCH-RULE", judge=SHIPPED)
    sealed.decide()
    with pytest.raises(MalformedRequest, match="NO-SUCH-RULE"):
        looked(sealed, "NO-SUCH-RULE")


def test_a_period_that_ends_before_it_begins_is_refused(sealed: Sealed) -> None:
    parts = sealed.parts
    roster = parts.desk.view.refresh().roster
    with pytest.raises(MalformedRequest, match="before `from`"):
        lookback(parts.desk_log, parts.past, roster, rule="VENDOR-REGION", start=END, end=BEGIN)


def test_a_rule_of_a_given_book_is_known(sealed: Sealed) -> None:
    sealed.decide()
    row = replace(SHIPPED.book.rows[0], id="NO-SUCH-RULE")
    last = looked(sealed, "NO-SUCH-RULE", judge=Judge(with_row(SHIPPED.book, row)))[-1]
    assert isinstance(last, Looked)
    assert last.known


def _put(store: Store, *bodies: tuple[str, bytes]) -> DeskLog:
    engine = store.open()
    put(engine, [Entered(log_index=at, id=name, at=BEGIN, body=body) for at, (name, body) in enumerate(bodies)])
    return DeskLog(engine)


def test_what_cannot_be_judged_again_is_told_and_not_passed_over(sqlite_store: Store) -> None:
    request = asking("carol", "mythos-5", place=US, purpose="defensive_cybersecurity")
    whole = record_of(SHIPPED, demo(), request, BEGIN, name="01A")
    lost = record_of(SHIPPED, demo(), request, BEGIN, name="01B").replace(
        SHIPPED.book.fingerprint.encode(), b"sha256:" + b"0" * 64
    )
    log = _put(sqlite_store, ("01A", whole), ("01B", lost))
    told = list(lookback(log, Archive(rosters={1: demo()}), demo(), rule="VENDOR-REGION", start=BEGIN, end=END))
    assert [one.decision_id for one in told if isinstance(one, NotJudged)] == ["01B"]
    assert told[-1] == Looked(decisions=2, allows=2, at=BEGIN, known=True)


def test_how_far_it_has_come_is_told_on_the_way(sqlite_store: Store) -> None:
    request = asking("carol", "mythos-5", place=US, purpose="defensive_cybersecurity")
    count = 2 * LOOKED_AT_ONCE + 5
    bodies = [(f"01{at:05d}", record_of(SHIPPED, demo(), request, BEGIN, name=f"01{at:05d}")) for at in range(count)]
    log = _put(sqlite_store, *bodies)
    told = list(lookback(log, Archive(rosters={1: demo()}), demo(), rule="VENDOR-REGION", start=BEGIN, end=END))
    assert [one.decisions for one in told if isinstance(one, Looked)] == [LOOKED_AT_ONCE, 2 * LOOKED_AT_ONCE, count]
