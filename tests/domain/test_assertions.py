"""What a request asserts of somebody holds wherever it names that one; two assertions that differ are a conflict."""

from __future__ import annotations

from typing import Final

import pytest

from policy_engine.domain.facts import LATEST, Edition, Question, Role, derive
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.request import Action, Assertion, Caller, Request, Subject, SubjectType
from policy_engine.domain.roster import Roster
from policy_engine.formats.membership_file import read_members
from policy_engine.policy.judge import Judge
from policy_engine.policy.reader import read_book
from tests.policy.books import book

AT: Final = parse_instant("2026-11-20T12:00:00Z")
ROSTER: Final = Roster.as_known(
    read_members(
        b"""
organisations:
  - {id: acme, incorporated: null, headquarters: US, sector: other, reseller: false}
people:
  - {id: ana, employments: [{organisation: acme, kind: employee}]}
  - {id: ben, employments: [{organisation: acme, kind: employee}], us_status: [{kind: citizen}]}
accounts:
  - {id: key-ana, kind: account, organisation: acme, person: ana}
""",
        "members",
    )
)
JUDGE: Final = Judge(read_book(book()))


def subject(kind: str, name: str, **asserted: str) -> Subject:
    properties = tuple(Assertion(name=one, values=(value,), is_list=False) for one, value in asserted.items())
    return Subject(type=SubjectType(kind), id=name, properties=properties)


def question(first: Subject, second: Subject, *, edition: Edition = LATEST) -> Question:
    caller = Caller(id="key", gateway="main", assertable=frozenset({"us_status", "incorporated"}))
    request = Request(subject=first, end_user=second, model="alpha-1", action=Action.INFER)
    return derive(request, ROSTER, JUDGE.book, caller, AT, edition=edition)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (subject("person", "ana", us_status="national"), subject("person", "ana", us_status="none")),
        (subject("account", "key-ana", us_status="national"), subject("person", "ana", us_status="none")),
        (subject("person", "ana", us_status="national"), subject("account", "key-ana", us_status="none")),
        (subject("organisation", "acme", incorporated="US"), subject("organisation", "acme", incorporated="CN")),
    ],
)
def test_two_assertions_about_one_that_differ_are_a_conflict_that_says_the_file_has_neither(
    first: Subject, second: Subject
) -> None:
    (conflict,) = question(first, second).conflicts
    assert conflict.on_file == f"unknown, asserted as {first.properties[0].values[0]} too"
    assert conflict.asserted == second.properties[0].values[0]


def test_the_same_assertion_twice_is_none() -> None:
    one = subject("person", "ana", us_status="none")
    assert question(one, one).conflicts == ()


def test_what_is_asserted_of_the_subject_is_known_of_the_end_user_who_is_the_same() -> None:
    asked = question(subject("person", "ana", us_status="none"), subject("person", "ana"))
    statuses = {
        party.role: [row.kind for row in party.person.us_statuses or ()] for party in asked.parties if party.person
    }
    assert statuses[Role.END_USER] == statuses[Role.SUBJECT] != []


def test_an_assertion_about_one_says_nothing_of_another() -> None:
    asked = question(subject("person", "ben", us_status="none"), subject("person", "ana", us_status="national"))
    (conflict,) = asked.conflicts
    assert (conflict.asserted, conflict.on_file) == ("none", "citizen")


def test_a_record_of_before_is_made_again_as_it_was_made_then() -> None:
    first, second = subject("person", "ana", us_status="national"), subject("person", "ana", us_status="none")
    assert question(first, second, edition=Edition.UNSTATED).conflicts == ()
