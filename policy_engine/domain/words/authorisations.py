"""Words about authorisations, statements and claims."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import wraps
from typing import Final

from policy_engine.domain.facts import Edition, Party, Role
from policy_engine.domain.in_force import authorisation_in_force
from policy_engine.domain.instants import earliest
from policy_engine.domain.logic import NO, Answer, known, yes
from policy_engine.domain.persons import deemed_countries, itar_countries
from policy_engine.domain.roster import Authorisation, EmploymentKind, Person
from policy_engine.domain.verdict import CapDraw
from policy_engine.domain.words import dimensions, parameters
from policy_engine.domain.words.dimensions import Dimensions, always, by_parameter
from policy_engine.domain.words.items import item_of
from policy_engine.domain.words.organisations import host_of
from policy_engine.domain.words.persons import note_countries
from policy_engine.domain.words.places import received_in
from policy_engine.domain.words.word import (
    HOUSE,
    PLAIN,
    Absent,
    Clause,
    Fact,
    FactRead,
    Word,
    own,
    word,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorisations:
    """Authorisations that name holder, regime, kind, model, action and country, by what they are worth now."""

    usable: tuple[Authorisation, ...]
    ended: tuple[Authorisation, ...]
    full: tuple[Authorisation, ...]


def authorisations_on_file(party: Party, parameter: str, *, host_too: bool, whoever: bool = False) -> Authorisations:
    """The authorisations that fit the request; `parameter` is regime/kind, either of them `any` or a comma list.

    With `whoever` also those that are not for the natural person.

    Raises `ItemUnknown` where an authorisation would have to name a model that is in no catalogue.
    """
    question = party.question
    regime, _, kinds = parameter.partition("/")
    wanted = kinds.split(",")
    holders = [party.acting.id] if party.acting is not None else []
    host = host_of(party)
    if host_too and host is not None:
        holders.append(host.id)
    fitting = [
        row
        for holder in dict.fromkeys(holders)
        for row in question.roster.authorisations.get(holder, ())
        if regime in ("any", row.regime) and row.kind.value in wanted and fits(party, row, whoever=whoever)
    ]
    rows = [
        row
        for name in dict.fromkeys(row.id for row in fitting)
        for row in question.roster.authorisations_by_id.get(name, ())
    ]
    question.horizon.note(earliest((row.valid for row in (*fitting, *rows)), at=question.at))
    in_force = [row for row in fitting if row.valid.holds(question.at) and counts(party, row, fitting)]
    usable = tuple(row for row in in_force if has_place(party, row))
    return Authorisations(
        usable=usable,
        ended=tuple(row for row in fitting if row.valid.ended(question.at)),
        full=tuple(row for row in in_force if row not in usable),
    )


def counts(party: Party, row: Authorisation, fitting: Collection[Authorisation]) -> bool:
    """Whether the row is the one that counts of those in force under its id, every one of which must fit as it does."""
    question = party.question
    rows = [one for one in question.roster.authorisations_by_id.get(row.id, (row,)) if one.valid.holds(question.at)]
    return authorisation_in_force(rows, question.at) == row and all(one in fitting for one in rows)


def fits(party: Party, row: Authorisation, *, whoever: bool = False) -> bool:
    if item_of(party).id not in row.models or party.question.request.action.value not in row.actions:
        return False
    if row.countries is not None and received_in(party) not in row.countries:
        return False
    if party.question.edition < Edition.DOUBTS:
        # A paper of then that says more than was judged then did not count.
        return (row.persons, row.nationalities, row.employees_only, row.purposes) == (None, None, None, None)
    return in_scope(party, row, whoever=whoever)


def in_scope(party: Party, row: Authorisation, *, whoever: bool = False) -> bool:
    """Whether the paper is known to be for the purpose and for everybody who acts (15 CFR 750.7(a), (a)(3))."""
    if row.purposes is not None and party.question.request.purpose not in row.purposes:
        return False
    if whoever:
        # A paper for no person, or of no nationality, is nobody's, so that its holder has none by it.
        for_nobody = () in (row.persons, row.nationalities)
        return not for_nobody or party.question.edition < Edition.FOR_SOMEBODY
    return all(_is_for(one, row) for one in _who_acts(party))


def _is_for(party: Party, row: Authorisation) -> bool:
    """The organisation itself is meant by a paper for its employees, and not by one for some persons or nationals."""
    person = party.person
    if person is None:
        named = row.persons is not None or row.nationalities is not None
        return not named and not (row.for_employees_only and party.person_unknown)
    if row.persons is not None and person.id not in row.persons:
        return False
    if row.nationalities is not None and not _national_of(party, person, row):
        return False
    return not row.for_employees_only or EmploymentKind.EMPLOYEE in party.employment


def _national_of(party: Party, person: Person, row: Authorisation) -> bool:
    """Every country that counts is one of the paper's: under the ITAR every one held, else the most recent one."""
    note_countries(party, person)
    at = party.question.at
    held = itar_countries(person, at) if row.regime == "us-itar" else deemed_countries(person, at)
    return not held.missing and bool(held.countries) and set(held.countries) <= set(row.nationalities or ())


def _who_acts(party: Party) -> list[Party]:
    """The party; for the host of a copy those for whom it would be, since a host is no natural person."""
    if party.role is not Role.HOST:
        return [party]
    subjects = [one for one in party.question.parties if one.role is Role.SUBJECT]
    return [one for one in subjects if one.acting is party.acting]


def has_place(party: Party, row: Authorisation) -> bool:
    """Whether the named user of the party has drawn on the cap already, or fewer different persons than the cap have.

    A place that is free is noted in the question. A party without a natural person has no place under a cap on named
    users, since places are counted by person.
    """
    if row.named_users is None:
        return True
    question = party.question
    draws = question.roster.draws.get(row.id, ())
    question.horizon.note(min((draw.at for draw in draws if draw.at > question.at), default=None))
    drawn = {draw.person for draw in draws if draw.at <= question.at}
    if question.edition < Edition.DOUBTS:
        # Once a subject that names nobody had a place while one was free, and a host had nobody of its own.
        return len(drawn) < row.named_users or (party.person is not None and party.person.id in drawn)
    person = named_user(party)
    if person is None or person.id in drawn:
        return person is not None
    place = CapDraw(authorisation=row.id, person=person.id)
    if len(drawn) >= row.named_users or not question.is_free(place):
        return False
    question.places[place] = row.named_users - len(drawn)
    return True


def named_user(party: Party) -> Person | None:
    """Who takes a place of a cap: the party's natural person, and for a host the one whose copy it would host."""
    if party.role is not Role.HOST:
        return party.person
    return next((one.person for one in party.question.parties if one.role is Role.SUBJECT), None)


def authorisation_answer(rows: tuple[Authorisation, ...]) -> Answer:
    if not rows:
        return NO
    detail: list[tuple[str, str | tuple[str, ...]]] = [("authorisations", tuple(sorted(row.id for row in rows)))]
    conditions = tuple(condition for row in rows for condition in row.conditions)
    if conditions:
        detail.append(("conditions", conditions))
    return yes(*detail)


_COLUMNS: Final = ("authorisation", "party")
_SCOPE: Final = Clause(
    what="an authorisation covers the persons, nationals and purposes that it names, and a licence the employees of its"
    " holder",
    source="15 CFR 750.7(a)",
    checked=True,
)
_CLAIM: Final = replace(PLAIN, absent=Absent.REQUEST, dimensions=always({dimensions.CLAIM: None}))


def _authorisation_dimensions(authorisation: str) -> Dimensions:
    """A licence is for employees (15 CFR 750.7(a)(3)), and a place of a cap is for a natural person."""
    return {
        dimensions.AUTHORISATION + authorisation: None,
        dimensions.REQUESTER: frozenset({dimensions.CONTRACTOR, dimensions.ACCOUNT}),
    }


def _about_authorisations(
    *, host_too: bool, whoever: bool, obtainable: bool, example: str
) -> Callable[[Callable[[Authorisations], tuple[Authorisation, ...]]], Word]:
    """Makes a word of which authorisations it asks for: whose, for whom, and whether one that is obtained counts."""
    reads = replace(
        PLAIN,
        absent=Absent.CLOSED,
        facts=(FactRead(fact=Fact.AUTHORISATIONS, host_too=host_too, whoever=whoever),),
        dimensions=by_parameter(_authorisation_dimensions),
        obtainable=Fact.AUTHORISATIONS if obtainable else None,
    )

    def made(which: Callable[[Authorisations], tuple[Authorisation, ...]]) -> Word:
        @wraps(which)
        def answer(party: Party, parameter: str) -> Answer:
            return authorisation_answer(
                which(authorisations_on_file(party, parameter, host_too=host_too, whoever=whoever))
            )

        return word(_COLUMNS, parameters.AUTHORISATIONS, reads, _SCOPE, example=example)(answer)

    return made


@_about_authorisations(host_too=False, whoever=False, obtainable=True, example="holds:us-order/licence")
def holds(authorisations: Authorisations) -> tuple[Authorisation, ...]:
    """The organisation acting holds an authorisation in force, with a place left for the natural person, that names the
    model, the action and, if it lists countries, where the item goes, and is known to be for the purpose and the
    person. A licence is for employees unless it says otherwise; a cap on named users has no place for a subject without
    a natural person."""
    return authorisations.usable


@_about_authorisations(host_too=False, whoever=True, obtainable=False, example="organisation-holds:us-itar/licence")
def organisation_holds(authorisations: Authorisations) -> tuple[Authorisation, ...]:
    """The organisation acting holds such an authorisation, whichever persons it is for."""
    return authorisations.usable


@_about_authorisations(host_too=True, whoever=False, obtainable=True, example="holds-or-host:us-ear/licence")
def holds_or_host(authorisations: Authorisations) -> tuple[Authorisation, ...]:
    """The organisation acting or the host holds such an authorisation."""
    return authorisations.usable


@_about_authorisations(host_too=False, whoever=False, obtainable=False, example="authorisation-ended:us-order/licence")
def authorisation_ended(authorisations: Authorisations) -> tuple[Authorisation, ...]:
    """Such an authorisation of the organisation acting existed and has ended."""
    return authorisations.ended


@_about_authorisations(
    host_too=True, whoever=False, obtainable=False, example="authorisation-ended-or-host:us-ear/licence"
)
def authorisation_ended_or_host(authorisations: Authorisations) -> tuple[Authorisation, ...]:
    """Such an authorisation of the organisation acting or the host existed and has ended."""
    return authorisations.ended


@_about_authorisations(host_too=True, whoever=False, obtainable=False, example="authorisation-full:us-ear/licence")
def authorisation_full(authorisations: Authorisations) -> tuple[Authorisation, ...]:
    """Such an authorisation is in force and its cap has no place left for the natural person, or the subject has no
    natural person whose place could be counted."""
    return authorisations.full


_STATEMENT: Final = replace(
    PLAIN,
    absent=Absent.CLOSED,
    facts=own(Fact.STATEMENTS),
    dimensions=by_parameter(lambda kind: {dimensions.STATEMENT + kind: None}),
    obtainable=Fact.STATEMENTS,
)


@word(_COLUMNS, parameters.STATEMENT, _STATEMENT, HOUSE, example="statement:uvl")
def statement(party: Party, parameter: str) -> Answer:
    """A statement of this kind is in force for the organisation."""
    if party.organisation is None:
        return NO
    rows = [row for row in party.question.roster.statements.get(party.organisation.id, ()) if row.kind == parameter]
    party.question.horizon.note(earliest((row.valid for row in rows), at=party.question.at))
    return known(any(row.valid.holds(party.question.at) for row in rows))


@word(_COLUMNS, parameters.EXCEPTION, _CLAIM, HOUSE, example="claims:STA")
def claims(party: Party, parameter: str) -> Answer:
    """The request claims this exception, or any when none is named."""
    claimed = party.question.request.exception
    return known(claimed is not None and parameter in ("", claimed))
