"""A search by what was on file finds whom the members of that time say it of, whatever rules read, and nobody else."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Engine

from policy_engine.domain.instants import ALWAYS, Validity, parse_instant
from policy_engine.domain.request import SubjectType
from policy_engine.domain.roster import Citizenship, Listing, ListingStatus, Roster, RosterRows
from policy_engine.formats.record_reader import RecordedDecision
from policy_engine.formats.request_document import MalformedRequest
from policy_engine.render.export import export
from policy_engine.service.audit import inspect as inspecting
from policy_engine.service.audit.inspect import Inspector
from policy_engine.service.audit.on_file import FACTS, MembersThen, read_on_file
from policy_engine.store.database import open_database
from policy_engine.store.decision_index import Filters, Indexer, marks_of
from policy_engine.store.desk_log import DeskLog
from policy_engine.store.index_search import DecisionIndex
from policy_engine.store.member_history import MemberHistory
from policy_engine.store.members import Members
from tests.records import Entered, entered, put
from tests.service.decisions import DEMO, demo

GIVEN: Final = entered(400)
"""Records that name membership revision 1."""


def listed(party: str, status: ListingStatus) -> Listing:
    cleared = "1" if status is ListingStatus.CLEARED else None
    return Listing(
        party=party, list="EL", entry=None, entry_version="1", reference=None, status=status, cleared_version=cleared
    )


ROWS: Final = replace(
    DEMO,
    listings=(
        *DEMO.listings,
        listed("harbor-cyber", ListingStatus.POTENTIAL),
        listed("person:ken", ListingStatus.CONFIRMED),
        listed("alder-bank", ListingStatus.CLEARED),
    ),
)
ROSTER: Final = demo(rows=ROWS)
LATE: Final = parse_instant("2026-12-01")


@dataclass(frozen=True, slots=True)
class Room:
    engine: Engine
    inspector: Inspector

    def then(self, text: str) -> MembersThen:
        return MembersThen(MemberHistory(self.engine), read_on_file(text))

    def found(self, text: str, filters: Filters | None = None) -> list[str]:
        page = self.inspector.page(filters or Filters(), limit=1_000, cursor=None, then=self.then(text))
        assert page.next_cursor is None
        return [one.id for one in page.decisions]


@pytest.fixture(scope="module")
def room(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    path = tmp_path_factory.mktemp("on-file") / "a.db"
    shutil.copyfile(migrated, path)
    engine = open_database(f"sqlite:///{path}")
    members = Members(engine)
    members.record(ROWS, actor="test", reason="test", at=parse_instant("2026-05-01"))
    put(engine, GIVEN)
    # What is recorded and taken back later was not known to any of the decisions.
    leila = next(row for row in DEMO.citizenships if row.person == "leila")
    later = RosterRows(
        citizenships=(
            replace(leila, retracted=True, recorded_at=LATE),
            Citizenship(person="carol", country="KP", valid=ALWAYS, recorded_at=LATE),
        )
    )
    members.record(later, actor="test", reason="test", at=LATE)
    Indexer(engine).catch_up(10**6)
    yield Room(
        engine,
        Inspector(index=DecisionIndex(engine), indexer=Indexer(engine), desk_log=DeskLog(engine), cursor_key=b"k"),
    )
    engine.dispose()


def persons_of(told: RecordedDecision) -> set[str]:
    found = set()
    assert told.request is not None
    for one in (told.request.subject, told.request.end_user):
        if one is not None and one.type is SubjectType.PERSON:
            found.add(one.id)
        elif one is not None and one.id in ROSTER.accounts:
            found.add(ROSTER.accounts[one.id].person or "")
    return found


def says(told: RecordedDecision, name: str, value: str, roster: Roster = ROSTER) -> bool:  # noqa: PLR0911
    """As a person would look it up in the roster of then."""
    at = told.decided_at
    people = [roster.people[one] for one in persons_of(told) if one in roster.people]
    organisations = {one for kind, one in marks_of(told) if kind == "organisation"}
    match name:
        case "citizenship":
            return any(row.country == value and row.valid.holds(at) for one in people for row in one.citizenships or ())
        case "residency":
            return any(
                row.country == value and row.valid.holds(at)
                for one in people
                for row in one.permanent_residencies or ()
            )
        case "us-status":
            return any(row.kind == value and row.valid.holds(at) for one in people for row in one.us_statuses or ())
        case "employment":
            return any(
                row.organisation == value and row.valid.holds(at) for one in people for row in one.employments or ()
            )
        case "membership":
            return any(
                row.consortium == value and row.valid.holds(at)
                for one in organisations
                for row in roster.memberships.get(one, ())
            )
        case "listing":
            return any(
                row.list == value and row.valid.holds(at) and row.status is not ListingStatus.CLEARED
                for one in {*organisations, *(f"person:{person.id}" for person in people)}
                for row in roster.listings.get(one, ())
            )
        case _:
            return any(
                getattr(roster.organisations.get(one), name, None) == value
                for one in organisations
                if one in roster.organisations
            )


VALUES: Final = {
    "citizenship": {row.country for row in DEMO.citizenships},
    "residency": {row.country for row in DEMO.permanent_residencies} | {"SE"},
    "us-status": {row.kind.value for row in DEMO.us_statuses},
    "employment": {row.organisation for row in DEMO.employments},
    "membership": {row.consortium for row in DEMO.memberships},
    "listing": {row.list for row in ROWS.listings},
    "headquarters": {row.headquarters for row in DEMO.organisations if row.headquarters is not None},
    "incorporated": {row.incorporated for row in DEMO.organisations if row.incorporated is not None},
}


def newest_first(given: list[Entered]) -> list[str]:
    return [one.id for one in sorted(given, key=lambda one: (one.at, one.log_index), reverse=True)]


@pytest.mark.parametrize("name", FACTS)
def test_every_fact_finds_what_the_roster_of_then_says_of_those_whom_the_decision_was_about(
    room: Room, name: str
) -> None:
    found = 0
    for value in sorted(VALUES[name]):
        expected = newest_first([one for one in GIVEN if says(one.read, name, value)])
        assert room.found(f"{name}:{value}") == expected, value
        found += len(expected)
    assert found > 0


def test_denied_citizens_are_found_whose_citizenship_no_rule_read(room: Room) -> None:
    by_rules = room.inspector.page(Filters(decision="deny", citizenship_country="CN"), limit=1_000, cursor=None)
    on_file = room.found("citizenship:CN", Filters(decision="deny"))
    assert {one.id for one in by_rules.decisions} < set(on_file)


def test_what_was_recorded_or_taken_back_afterwards_changes_nothing(room: Room) -> None:
    country = next(row.country for row in DEMO.citizenships if row.person == "leila")
    of_leila = {one.id for one in GIVEN if "leila" in persons_of(one.read)}
    assert of_leila
    assert of_leila <= set(room.found(f"citizenship:{country}"))
    assert room.found("citizenship:KP") == newest_first([one for one in GIVEN if says(one.read, "citizenship", "KP")])


def test_a_citizenship_counts_while_it_was_true(room: Room) -> None:
    then = room.then("citizenship:JP")
    record = next(one for one in GIVEN if then.holds(one.body)).read
    (person,) = persons_of(record)
    rows = MemberHistory(room.engine).versions("citizenships", [person])
    ended = [
        replace(one, row=replace(one.row, valid=Validity(start=None, end=record.decided_at)))
        for one in rows
        if isinstance(one.row, Citizenship)
    ]
    then._rows[person] = tuple(ended)
    assert not any(then._on_file(person, record) for _ in ended)
    earlier = replace(record, decided_at=record.decided_at - timedelta(microseconds=1))
    assert then._on_file(person, earlier)


def test_pages_and_counts_are_of_the_same_decisions(room: Room) -> None:
    whole = room.found("employment:harbor-cyber")
    then = room.then("employment:harbor-cyber")
    pages: list[str] = []
    cursor = None
    while True:
        page = room.inspector.page(Filters(), limit=7, cursor=cursor, then=then)
        pages += [one.id for one in page.decisions]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert pages == whole
    counted = room.inspector.statistics(Filters(), ["reason"], then)
    reasons = Counter(one.read.reason_code for one in GIVEN if one.id in set(whole))
    assert ({count.values[0]: count.number for count in counted.counts}, counted.total) == (reasons, len(whole))
    chunks = export(room.inspector.index, Filters(), size=counted.as_of.size, form="jsonl", keep=then.holds)
    assert b"".join(chunk.data for chunk in chunks) == b"".join(one.body + b"\n" for one in GIVEN if one.id in whole)


def test_a_page_for_which_much_had_to_be_looked_at_ends_early_with_a_cursor(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = room.found("employment:harbor-cyber")
    monkeypatch.setattr(inspecting, "LOOKED_AT", 10)
    then = room.then("employment:harbor-cyber")
    first = room.inspector.page(Filters(), limit=1_000, cursor=None, then=then)
    assert first.next_cursor is not None
    assert [one.id for one in first.decisions] == whole[: len(first.decisions)]
    assert len(first.decisions) <= 10


def test_a_cursor_belongs_to_what_was_asked(room: Room) -> None:
    cursor = room.inspector.page(Filters(), limit=1, cursor=None, then=room.then("employment:harbor-cyber")).next_cursor
    for then in (None, room.then("employment:alder-bank")):
        with pytest.raises(MalformedRequest, match="other filters"):
            room.inspector.page(Filters(), limit=1, cursor=cursor, then=then)


def test_more_candidates_than_can_be_named_are_looked_for_among_all_decisions(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = room.found("employment:harbor-cyber")
    monkeypatch.setattr("policy_engine.service.audit.on_file.MOST_NAMED", 1)
    assert room.then("employment:harbor-cyber").candidates is None
    assert room.found("employment:harbor-cyber") == whole


def test_bytes_that_are_no_record_are_about_nobody(room: Room) -> None:
    assert not room.then("citizenship:CN").holds(b"{}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("CN", "such as citizenship:CN"),
        ("citizen:CN", "did you mean `citizenship:CN`?"),
        ("citizenship", "is a fact and its value"),
        ("citizenship:UK", "did you mean `GB`?"),
        ("citizenship:", "is not an ISO 3166-1"),
        ("us-status:citzen", "citizen"),
        ("employment:a\x00", "on_file"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_can(text: str, told: str) -> None:
    with pytest.raises(MalformedRequest) as caught:
        read_on_file(text)
    (fault,) = caught.value.faults
    assert told in f"{fault.field} {fault.message}"


def test_an_id_that_no_row_ever_named_is_refused_and_not_found_in_silence(room: Room) -> None:
    for text in ("employment:harbour-cyber", "membership:glaswing", "listing:sdn"):
        with pytest.raises(MalformedRequest, match="no row of the members ever named"):
            room.then(text)
