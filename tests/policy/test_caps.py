"""A place of a cap is taken whenever the answer would have been another without it, by whatever word it was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings

from policy_engine.domain.facts import derive
from policy_engine.domain.instants import Validity
from policy_engine.domain.request import Action, Caller, Destination, Place, Request, Subject, SubjectType
from policy_engine.domain.roster import (
    Account,
    AccountKind,
    Authorisation,
    AuthorisationKind,
    Citizenship,
    Draw,
    Employment,
    EmploymentKind,
    Listing,
    ListingStatus,
    Organisation,
    PersonEntry,
    Roster,
    RosterRows,
    Sector,
    UsStatus,
    UsStatusKind,
)
from policy_engine.domain.rules import FACETS, Condition, Effect, Row, Term
from policy_engine.domain.verdict import Verdict
from policy_engine.policy.judge import Judge
from policy_engine.policy.reader import read_book
from tests.laws import Asked, asked_of, at_the_desk, some
from tests.policy.books import BAR, GRANT, NOTE, book, sheet
from tests.randoms import RANDOMS
from tests.worlds import friendly_world

AT: Final = datetime(2026, 8, 1, 12, tzinfo=UTC)
EMPTY: Final = dict.fromkeys(("action", "item", "place", "authorisation"), "")


def an_organisation(name: str) -> Organisation:
    return Organisation(id=name, incorporated="US", headquarters="US", sector=Sector.OTHER, reseller=False)


def a_roster(*people: str, cap: int = 1, papers: Sequence[str] = ("L-1",), holder: str = "works") -> RosterRows:
    """Employees of `works`, a host `farm`, and licences with a cap that name everything asked here."""
    return RosterRows(
        organisations=(an_organisation("works"), an_organisation("farm")),
        people=tuple(
            PersonEntry(
                id=name,
                employments_filed=True,
                us_status_filed=True,
                citizenships_filed=True,
                permanent_residencies_filed=True,
            )
            for name in people
        ),
        employments=tuple(
            Employment(person=name, organisation="works", kind=EmploymentKind.EMPLOYEE) for name in people
        ),
        us_statuses=tuple(UsStatus(person=name, kind=UsStatusKind.CITIZEN) for name in people),
        citizenships=tuple(Citizenship(person=name, country="US") for name in people),
        accounts=(Account(id="key", kind=AccountKind.ACCOUNT, organisation="works", person=None),),
        authorisations=tuple(
            Authorisation(
                id=name,
                regime="vendor",
                kind=AuthorisationKind.LICENCE,
                holder=holder,
                models=("alpha-1",),
                actions=("infer",),
                named_users=cap,
            )
            for name in papers
        ),
    )


def a_request(person: str, *, end_user: str | None = None, host: str | None = None) -> Request:
    return Request(
        subject=Subject(type=SubjectType.PERSON, id=person),
        model="alpha-1",
        action=Action.INFER,
        place=Place(country="US"),
        destination=Destination(host=host),
        end_user=None if end_user is None else Subject(type=SubjectType.PERSON, id=end_user),
    )


def told(rules: Sequence[Mapping[str, str]], rows: RosterRows, request: Request) -> Verdict:
    judge = Judge(read_book(book(rules=sheet(*rules))))
    return judge.verdict(derive(request, Roster.as_known(rows, AT), judge.book, Caller(id="gateway"), AT))


def takes(verdict: Verdict) -> list[tuple[str, str]]:
    assert verdict.allowed
    return [(draw.authorisation, draw.person) for draw in verdict.draws]


BARRED: Final = {**BAR, **EMPTY, "id": "BARRED", "item": "kind:model"}
BY_A_NOTE: Final = [GRANT, {**BARRED, "unless": "PAPERS"}, NOTE]
BY_A_WORD: Final = [GRANT, {**BARRED, "unless": "holds:vendor/licence"}]
BY_HOST_OR_OWN: Final = [GRANT, {**BARRED, "unless": "holds-or-host:any/licence"}]
BY_A_FACET: Final = [GRANT, {**BARRED, "authorisation": "!holds:vendor/licence"}]
BY_ENDED: Final = [GRANT, {**BARRED, "authorisation": "authorisation-full:vendor/licence"}]
BY_A_GRANT: Final = [{**GRANT, "authorisation": "holds-or-host:vendor/licence"}]


@pytest.mark.parametrize("rules", [BY_A_NOTE, BY_A_WORD, BY_HOST_OR_OWN, BY_A_FACET, BY_ENDED, BY_A_GRANT])
def test_each_way_of_reading_a_paper_takes_a_place(rules: list[Mapping[str, str]]) -> None:
    assert takes(told(rules, a_roster("ann"), a_request("ann"))) == [("L-1", "ann")]


@pytest.mark.parametrize("rules", [BY_A_NOTE, BY_A_WORD, BY_HOST_OR_OWN, BY_A_FACET, BY_ENDED, BY_A_GRANT])
def test_past_the_cap_each_way_of_reading_a_paper_denies(rules: list[Mapping[str, str]]) -> None:
    rows = replace(a_roster("ann", "bo"), draws=(Draw(authorisation="L-1", person="bo", at=AT),))
    assert not told(rules, rows, a_request("ann")).allowed
    assert takes(told(rules, rows, a_request("bo"))) == []


def test_a_licence_that_lifts_a_bar_on_the_host_takes_a_place_for_the_person_who_asks() -> None:
    rules = [GRANT, {**BARRED, "judges": "parties and host", "listing": "listed:EL", "unless": "PAPERS"}]
    rules.append({**NOTE, "authorisation": "holds-or-host:vendor/licence"})
    listed = Listing(
        party="farm", list="EL", entry="Farm", entry_version="1", reference=None, status=ListingStatus.CONFIRMED
    )
    rows = replace(a_roster("ann", "bo", holder="farm"), listings=(listed,))
    assert not told(rules, replace(rows, authorisations=()), a_request("ann", host="farm")).allowed
    assert takes(told(rules, rows, a_request("ann", host="farm"))) == [("L-1", "ann")]
    used = replace(rows, draws=(Draw(authorisation="L-1", person="ann", at=AT),))
    assert not told(rules, used, a_request("bo", host="farm")).allowed
    assert takes(told(rules, used, a_request("ann", host="farm"))) == []


def test_the_subject_and_the_end_user_each_take_a_place() -> None:
    rows = a_roster("ann", "bo", cap=2)
    assert takes(told(BY_A_GRANT, rows, a_request("ann", end_user="bo"))) == [("L-1", "ann"), ("L-1", "bo")]


def test_two_persons_of_one_request_cannot_share_the_last_place() -> None:
    rules = [*BY_A_GRANT, {**BARRED, "authorisation": "authorisation-full:vendor/licence", "codes": "LOCATION_UNKNOWN"}]
    verdict = told(rules, a_roster("ann", "bo", cap=1), a_request("ann", end_user="bo"))
    assert not verdict.allowed
    assert [finding.rule for finding in verdict.deciding] == ["BARRED"]


def test_two_persons_of_one_request_take_the_last_places_of_two_licences_where_those_serve_both() -> None:
    rows = a_roster("ann", "bo", cap=1, papers=("L-1", "L-2"))
    assert takes(told(BY_A_GRANT, rows, a_request("ann", end_user="bo"))) == [("L-1", "ann"), ("L-2", "bo")]


def test_where_a_paper_without_a_cap_serves_as_well_no_place_is_taken() -> None:
    rows = a_roster("ann")
    open_paper = replace(rows.authorisations[0], id="L-2", named_users=None)
    both = replace(rows, authorisations=(*rows.authorisations, open_paper))
    for rules in (BY_A_NOTE, BY_A_WORD, BY_A_GRANT):
        assert takes(told(rules, both, a_request("ann"))) == []


def test_of_two_papers_with_places_one_is_drawn_on() -> None:
    assert takes(told(BY_A_GRANT, a_roster("ann", papers=("L-2", "L-1")), a_request("ann"))) == [("L-1", "ann")]


@pytest.mark.parametrize(
    "subject", [Subject(type=SubjectType.ORGANISATION, id="works"), Subject(type=SubjectType.ACCOUNT, id="key")]
)
def test_a_cap_on_named_users_has_no_place_for_one_that_names_nobody(subject: Subject) -> None:
    rows = a_roster("ann", cap=5)
    # For everybody, so that nothing but the cap keeps it from one of whom nobody knows whether it is an employee.
    capped = replace(rows.authorisations[0], employees_only=False)
    uncapped = replace(capped, named_users=None)
    request = replace(a_request("ann"), subject=subject)
    for rules in (BY_A_NOTE, BY_A_WORD, BY_HOST_OR_OWN, BY_A_FACET, BY_ENDED, BY_A_GRANT):
        assert not told(rules, replace(rows, authorisations=(capped,)), request).allowed
        assert told(rules, replace(rows, authorisations=(uncapped,)), request).allowed


# --- the law, over generated worlds -----------------------------------------------------------------------------------


def reading(name: str, effect: Effect, like: Row, *, unless: str = "", asks: str = "", negated: bool = False) -> Row:
    facets = {"authorisation": asks} if asks else {}
    return replace(
        like,
        id=name,
        effect=effect,
        valid=Validity(),
        suspended=(),
        facets=tuple(
            Condition(alternatives=((Term(word=facets[facet], parameter="any/licence", negated=negated),),))
            if facet in facets
            else Condition()
            for facet in FACETS
        ),
        unless=Condition(alternatives=((Term(word=unless, parameter="any/licence"),),)) if unless else Condition(),
    )


@pytest.mark.slow
@settings(max_examples=120)
@given(RANDOMS)
def test_an_allow_holds_with_no_other_places_than_those_that_it_took(random: Random) -> None:
    asked = capped(random, asked_of(friendly_world(random)))
    question = derive(asked.request, asked.roster, asked.book, asked.caller, asked.at)
    verdict = Judge(asked.book).verdict(question)
    drawn = {(draw.authorisation, draw.person) for draw in verdict.draws}
    assert verdict.allowed or not drawn
    if not verdict.allowed:
        return
    held = {(draw.authorisation, draw.person) for draw in asked.rows.draws}
    assert drawn.isdisjoint(held)
    users = {party.person.id for party in question.parties if party.person is not None}
    # Everybody else's place is gone: what is left is what this answer took, and what its persons had before.
    full = [
        replace(
            paper, named_users=len({person for name, person in drawn | held if name == paper.id and person in users})
        )
        for paper in asked.rows.authorisations
        if paper.named_users is not None
    ]
    kept = [Draw(authorisation=name, person=person, at=asked.at) for name, person in drawn | held if person in users]
    rest = [paper for paper in asked.rows.authorisations if paper.named_users is None]
    rows = replace(asked.rows, authorisations=(*rest, *full), draws=tuple(kept))
    again = replace(asked, rows=rows)
    other = Judge(again.book).verdict(derive(again.request, again.roster, again.book, again.caller, again.at))
    assert other.allowed
    assert other.draws == ()
    for paper in asked.rows.authorisations:
        taken = {person for name, person in drawn | held if name == paper.id}
        assert paper.named_users is None or not drawn or len(taken) <= max(paper.named_users, len(held))


def capped(random: Random, asked: Asked) -> Asked:
    """The question with most papers capped, some places taken, and rows that read papers in every way."""
    if some(random, 0.5):
        asked = at_the_desk(random, asked)
    model, action = asked.request.model, asked.request.action.value
    papers = tuple(
        replace(
            paper,
            named_users=random.choice([None, 1, 1, 2, 2]),
            models=(*paper.models, model),
            actions=(*paper.actions, action),
            countries=None,
            valid=Validity(),
        )
        for paper in asked.rows.authorisations
    )
    people = [entry.id for entry in asked.rows.people]
    draws = tuple(
        Draw(authorisation=paper.id, person=random.choice(people), at=datetime(2020, 1, 1, tzinfo=UTC))
        for paper in papers
        if some(random, 0.3)
    )
    organisations = [row.id for row in asked.rows.organisations]
    host = random.choice(organisations) if some(random, 0.5) else None
    request = replace(asked.request, destination=replace(asked.request.destination, host=host))
    bar = next(row for row in asked.book.rows if row.effect is Effect.DENY and row.regime == "operator")
    plain = replace(bar, codes=(replace(bar.codes[0], code="LICENCE_REQUIRED", condition=Condition()),))
    wanted = [
        reading("BY-WORD", Effect.DENY, plain, unless="holds-or-host"),
        reading("BY-OWN-WORD", Effect.DENY, plain, unless="holds"),
        reading("BY-NEGATION", Effect.DENY, plain, asks="holds-or-host", negated=True),
        reading("BY-FULLNESS", Effect.DENY, plain, asks="authorisation-full"),
        replace(reading("ON-THE-HOST", Effect.DENY, plain, unless="holds-or-host"), judges_host=True),
    ]
    rows = tuple(row for row in wanted if some(random, 0.3))
    return replace(
        asked,
        rows=replace(asked.rows, authorisations=papers, draws=draws),
        request=request,
        book=replace(asked.book, rows=(*asked.book.rows, *rows)),
    )
