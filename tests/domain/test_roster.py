"""What is known of the rows on file at an instant: corrections, retractions, accounts in their time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from policy_engine.domain.instants import Validity
from policy_engine.domain.request import Caller
from policy_engine.domain.roster import (
    Account,
    AccountKind,
    Authorisation,
    AuthorisationKind,
    Citizenship,
    PersonEntry,
    Roster,
    RosterRows,
)
from policy_engine.formats.membership_file import read_members
from tests.concluding import concluded
from tests.service.decisions import DEMO, SHIPPED, asking

AT = datetime(2026, 5, 15, 15, tzinfo=UTC)
DAY = timedelta(days=1)
SLIP = Citizenship(person="kim", country="KP", recorded_at=AT)


def known(*rows: Citizenship, at: datetime | None = None) -> tuple[Citizenship, ...] | None:
    people = (PersonEntry(id="kim", citizenships_filed=True, recorded_at=AT - DAY),)
    return Roster.as_known(RosterRows(people=people, citizenships=rows), at).people["kim"].citizenships


def retracted(row: Citizenship, at: datetime) -> Citizenship:
    return Citizenship(person=row.person, country=row.country, valid=row.valid, recorded_at=at, retracted=True)


def test_a_retracted_row_counts_no_more_from_its_recording_on_and_counts_as_ever_before() -> None:
    rows = (SLIP, retracted(SLIP, AT + DAY))

    assert known(*rows, at=AT + DAY - timedelta(microseconds=1)) == (SLIP,)
    assert known(*rows, at=AT + DAY) == ()
    assert known(*reversed(rows)) == ()


def test_a_row_that_is_recorded_again_after_its_retraction_counts_again() -> None:
    again = Citizenship(person="kim", country="KP", recorded_at=AT + 2 * DAY)

    assert known(SLIP, retracted(SLIP, AT + DAY), again) == (again,)


def test_a_person_whose_entry_is_retracted_is_not_on_file() -> None:
    entry = PersonEntry(id="kim", recorded_at=AT)
    gone = PersonEntry(id="kim", recorded_at=AT + DAY, retracted=True)

    assert "kim" in Roster.as_known(RosterRows(people=(entry, gone)), AT).people
    assert "kim" not in Roster.as_known(RosterRows(people=(entry, gone))).people


def authorisation(**members: object) -> Authorisation:
    given: dict[str, object] = {
        "id": "D-1",
        "regime": "us-ear",
        "kind": AuthorisationKind.LICENCE,
        "holder": "a",
        "models": ("mythos-5",),
        "actions": ("infer",),
    }
    return Authorisation(**(given | members))  # type: ignore[arg-type]  # the members are those of the row


def test_a_licence_is_for_employees_unless_it_says_otherwise_and_other_papers_are_not() -> None:
    assert authorisation().for_employees_only
    assert not authorisation(employees_only=False).for_employees_only
    assert not authorisation(kind=AuthorisationKind.EXEMPTION).for_employees_only
    assert authorisation(kind=AuthorisationKind.EXCEPTION, employees_only=True).for_employees_only


@pytest.mark.parametrize("member", ["persons", "nationalities", "purposes"])
def test_a_paper_of_another_scope_does_not_replace_the_one_on_file(member: str) -> None:
    assert authorisation(**{member: ("US",)}).key != authorisation().key


SERVICE = Account(id="night-run", kind=AccountKind.SERVICE, organisation="harbor-cyber", person="carol")


def decided(account: Account, at: datetime) -> tuple[str, datetime | None]:
    rows = RosterRows(**{**{name: getattr(DEMO, name) for name in DEMO.__slots__}, "accounts": (account,)})
    request = asking("service:night-run", "opus-4.6", place={"country": "US"})
    told = concluded(SHIPPED, Roster.as_known(rows), request, Caller(id="key", gateway="main"), at)
    return told.verdict.reason.codes[0], None if told.question is None else told.question.horizon.until


def test_an_account_outside_its_interval_is_one_that_is_not_on_file_and_its_answer_ends_with_the_interval() -> None:
    account = Account(
        id=SERVICE.id,
        kind=SERVICE.kind,
        organisation=SERVICE.organisation,
        person=SERVICE.person,
        valid=Validity(start=AT, end=AT + DAY),
    )

    assert decided(SERVICE, AT)[0] == "COMMODITY_OK"
    assert decided(account, AT - DAY) == ("SUBJECT_UNKNOWN", AT)
    assert decided(account, AT) == ("COMMODITY_OK", AT + DAY)
    assert decided(account, AT + DAY)[0] == "SUBJECT_UNKNOWN"


PAPER = """
organisations: [{id: a, incorporated: KR, headquarters: KR, sector: other, reseller: false}]
people:
  - {id: bo, employments: [{organisation: a, kind: employee, from: 2020-01-01}], us_status: [{kind: none}],
     citizenships: [{country: KR, from: 1990-01-01}], permanent_residencies: []}
authorisations:
  - {id: D-1, regime: us-ear, kind: licence, holder: a, models: ['technology:4E001.a'], actions: [release], %s
     from: 2026-05-01}
"""


def test_the_paper_of_the_next_case_lifts_where_nothing_restricts_it() -> None:
    assert "LICENCE_APPLIED" in codes_under("")


@pytest.mark.parametrize("scope", ["persons: [], ", "nationalities: [US], ", "purposes: [bookkeeping], "])
def test_a_paper_for_others_lifts_nothing(scope: str) -> None:
    assert "LICENCE_APPLIED" not in codes_under(scope)


def codes_under(scope: str) -> set[str]:
    rows = read_members((PAPER % scope).encode(), "paper.yaml")
    request = asking("bo", "technology:4E001.a", "release", place={"country": "KR"}, destination={"country": "KR"})
    told = concluded(SHIPPED, Roster.as_known(rows), request, Caller(id="key", gateway="main"), AT)
    return {code for finding in told.verdict.findings for code in finding.codes}
