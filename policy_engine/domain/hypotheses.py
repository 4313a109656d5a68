"""What could be so: the inputs of a judgement with one unknown resolved or one paper added, to try out remedies on.

A hypothesis gives a value to what nobody knows, or adds a row; it never takes back what is on file or was stated. A
list that was filed as empty is known to be empty, and what was asserted stands. One value that the rules treat well is
enough for each unknown, because they ask no more than whether the answer could become an allow; which value it was is
never told. Whoever exists only in a hypothesis has an id with a control character, which no id on file has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from policy_engine.domain.catalogue import Catalogue, Tier, Weights, count_operations
from policy_engine.domain.countries import is_country, is_subdivision, parts_of
from policy_engine.domain.facts import Question, Role
from policy_engine.domain.instants import Validity
from policy_engine.domain.ownership import OVERSUBSCRIBED
from policy_engine.domain.persons import status_at
from policy_engine.domain.request import Request, Subject, SubjectType
from policy_engine.domain.roster import (
    PERSON_PREFIX,
    Authorisation,
    AuthorisationKind,
    Citizenship,
    ClusterReading,
    Employment,
    EmploymentKind,
    Membership,
    MembershipStatus,
    Organisation,
    Person,
    Roster,
    Sector,
    Stake,
    Statement,
    StatementKind,
    UsStatus,
    UsStatusKind,
)
from policy_engine.domain.rules import Book

V = TypeVar("V")

_NOBODY: Final = "\0"
"""Begins every id that exists in a hypothesis alone."""

_END_USER: Final = _NOBODY + "end user"
_PAPER: Final = _NOBODY + "paper"
_SHARE: Final = "ownership.share:"


def is_supposed(name: str) -> bool:
    """Whether this exists in a hypothesis alone, so that nothing can be asked of it."""
    return name.startswith(_NOBODY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What is judged, of whom on file, and by which book; who asks and when stay the same."""

    request: Request
    roster: Roster
    book: Book


Hypothesis = Callable[[Inputs], Inputs]


class _Overlay(Mapping[str, V]):
    """A mapping with one entry set; a roster may be too large to copy for each hypothesis."""

    __slots__ = ("_base", "_key", "_value")

    def __init__(self, base: Mapping[str, V], key: str, value: V) -> None:
        self._base, self._key, self._value = base, key, value

    def __getitem__(self, key: str) -> V:
        return self._value if key == self._key else self._base[key]

    def __iter__(self) -> Iterator[str]:
        return iter({**dict.fromkeys(self._base), self._key: None})

    def __len__(self) -> int:
        return len(self._base) + (self._key not in self._base)


# --- rows that could be added -----------------------------------------------------------------------------------------


def _filing(change: Callable[[Roster], Roster]) -> Hypothesis:
    return lambda inputs: replace(inputs, roster=change(inputs.roster))


def _with(roster: Roster, column: str, key: str, value: object) -> Roster:
    """The roster with another value under a key of one of its columns."""
    changed: dict[str, Any] = {column: _Overlay(getattr(roster, column), key, value)}
    return replace(roster, **changed)


def _adding(column: str, key: str, row: object) -> Hypothesis:
    """One row more among those that the roster has in a column under a key."""
    return _filing(lambda roster: _with(roster, column, key, (*getattr(roster, column).get(key, ()), row)))


def with_authorisation(regime: str, kind: str, holder: str, model: str, action: str, at: datetime) -> Hypothesis:
    """An authorisation from the instant on, for every country and any number of persons."""
    row = Authorisation(
        id=_PAPER,
        regime=regime,
        kind=AuthorisationKind(kind),
        holder=holder,
        models=(model,),
        actions=(action,),
        valid=Validity(start=at),
    )
    return _adding("authorisations", holder, row)


def with_membership(consortium: str, organisation: str, at: datetime) -> Hypothesis:
    """An active membership from the instant on."""
    status, valid = MembershipStatus.ACTIVE, Validity(start=at)
    row = Membership(organisation=organisation, consortium=consortium, status=status, valid=valid)
    return _adding("memberships", organisation, row)


def with_statement(kind_of_statement: str, organisation: str, at: datetime) -> Hypothesis:
    """A statement from the instant on."""
    row = Statement(organisation=organisation, kind=StatementKind(kind_of_statement), valid=Validity(start=at))
    return _adding("statements", organisation, row)


def with_end_user(question: Question) -> Hypothesis:
    """An end user on file to whom nothing is attached, in the consortium that the model asks for, if any."""
    company = Organisation(
        id=_END_USER, incorporated="US", headquarters="US", contract_country="US", sector=Sector.OTHER, reseller=False
    )
    consortium = None if question.entry is None else question.entry.consortium

    def apply(inputs: Inputs) -> Inputs:
        named = replace(inputs.request, end_user=Subject(type=SubjectType.ORGANISATION, id=_END_USER))
        filed = replace(inputs, request=named, roster=_with(inputs.roster, "organisations", _END_USER, company))
        return filed if consortium is None else with_membership(consortium, _END_USER, question.at)(filed)

    return apply


# --- unknowns that could be resolved ----------------------------------------------------------------------------------


def resolutions(path: str, question: Question) -> tuple[Hypothesis, ...]:
    """The hypotheses that resolve a fact, named as in `missing`; none where only a change of the file could.

    Everybody in the question for whom the fact is unknown is filled in at once: a path does not say who it is.
    """
    if path.startswith(_SHARE):
        return _share(path, question)
    found = _RESOLUTIONS.get(path)
    return () if found is None else tuple(found(question))


def _people(
    question: Question, unknown: Callable[[Person], bool], fill: Callable[[Person], Person]
) -> Iterable[Hypothesis]:
    """Fill each person for whom it is unknown, and a person for each account that stands for nobody on file."""
    people = {party.person.id for party in question.parties if party.person is not None and unknown(party.person)}
    accounts = {party.account.id for party in question.parties if party.account is not None and party.person_unknown}

    def filled(roster: Roster) -> Roster:
        names = set(people)
        for account in sorted(accounts):
            roster, holder = _with_holder(roster, account)
            names.add(holder)
        for name in sorted(names):
            # A holder may be there only with another hypothesis.
            if name in roster.people:
                roster = _with(roster, "people", name, fill(roster.people[name]))
        return roster

    if people or accounts:
        yield _filing(filled)


def _with_holder(roster: Roster, account_id: str) -> tuple[Roster, str]:
    account = roster.accounts[account_id]
    if account.person is not None and account.person in roster.people:
        return roster, account.person
    name = account.person or _NOBODY + account_id
    employment = Employment(person=name, organisation=account.organisation, kind=EmploymentKind.EMPLOYEE)
    holder = Person(id=name, employments=(employment,), us_statuses=None, citizenships=None, permanent_residencies=None)
    filed = _with(roster, "people", name, holder)
    return _with(filed, "accounts", account_id, replace(account, person=name)), name


def _us_status(question: Question) -> Iterable[Hypothesis]:
    at = question.at
    # Who is known to be no citizen may still be a protected person (8 USC 1324b(a)(3)), which no other fact denies.
    foreign = {
        party.person.id
        for party in question.parties
        if party.person is not None
        and party.person.citizenships is not None
        and not any(row.country == "US" and row.valid.holds(at) for row in party.person.citizenships)
    }

    def fill(person: Person) -> Person:
        kind = UsStatusKind.ASYLEE_GRANTED if person.id in foreign else UsStatusKind.CITIZEN
        row = UsStatus(person=person.id, kind=kind, valid=Validity(start=at))
        return replace(person, us_statuses=(*(person.us_statuses or ()), row))

    return _people(question, lambda person: status_at(person, at) is None, fill)


def _citizenships(question: Question) -> Iterable[Hypothesis]:
    for country in ("CA", "GB"):

        def fill(person: Person, country: str = country) -> Person:
            # The most recent one counts under the EAR, so it begins last.
            row = Citizenship(person=person.id, country=country, valid=Validity(start=question.at))
            return replace(person, citizenships=(row,))

        yield from _people(question, lambda person: person.citizenships is None, fill)


def _residencies(question: Question) -> Iterable[Hypothesis]:
    return _people(
        question,
        lambda person: person.permanent_residencies is None,
        lambda person: replace(person, permanent_residencies=()),
    )


def _organisations(
    question: Question, names: Iterable[str], fill: Callable[[Organisation], Organisation]
) -> Iterable[Hypothesis]:
    """Fill each organisation; where it is not on file for whom a person acts, the person turns out to act for none."""
    known = sorted(set(names) - {""})
    unemployed = sorted(
        party.person.id
        for party in question.parties
        if party.person is not None and party.person.employments is None and party.organisation_id == ""
    )

    def filled(roster: Roster) -> Roster:
        for name in known:
            filed = roster.organisations.get(name, Organisation(id=name))
            roster = _with(roster, "organisations", name, fill(filed))
        for name in unemployed:
            roster = _with(roster, "people", name, replace(roster.people[name], employments=()))
        return roster

    if known or unemployed:
        yield _filing(filled)


def _judged(question: Question, unknown: Callable[[Organisation], bool]) -> list[str]:
    organisations = [party.organisation for party in question.parties if party.organisation is not None]
    return [organisation.id for organisation in organisations if unknown(organisation)]


def _incorporated(question: Question) -> Iterable[Hypothesis]:
    names = _judged(question, lambda one: one.incorporated is None)
    yield from _organisations(question, names, lambda one: replace(one, incorporated=one.headquarters or "US"))
    yield from _organisations(question, names, lambda one: replace(one, incorporated="US"))


def _headquarters(question: Question) -> Iterable[Hypothesis]:
    names = _judged(question, lambda one: one.headquarters is None)
    on_file = question.roster.organisations
    for stake in _stakes_above(question):
        owner = on_file.get(stake.owner)
        if not stake.owner.startswith(PERSON_PREFIX) and (owner is None or owner.headquarters is None):
            names.append(stake.owner)
    yield from map(
        _forgetting, _organisations(question, names, lambda one: replace(one, headquarters=one.incorporated or "US"))
    )
    yield from map(_forgetting, _organisations(question, names, lambda one: replace(one, headquarters="US")))


def _forgetting(hypothesis: Hypothesis) -> Hypothesis:
    """What is remembered of a roster's ownership rests on the shares and on the headquarters of the owners."""

    forget = _filing(lambda roster: replace(roster, memo={}))
    return lambda inputs: forget(hypothesis(inputs))


def _sector(question: Question) -> Iterable[Hypothesis]:
    names = _judged(question, lambda one: one.sector is None)
    return _organisations(question, names, lambda one: replace(one, sector=Sector.OTHER))


def _reseller(question: Question) -> Iterable[Hypothesis]:
    names = _judged(question, lambda one: one.reseller is None)
    return _organisations(question, names, lambda one: replace(one, reseller=False))


def _stakes_above(question: Question) -> Iterator[Stake]:
    """Every share in force above the organisations that are judged."""
    pending = sorted({party.organisation_id for party in question.parties if party.organisation_id is not None})
    passed = set(pending)
    while pending:
        for stake in question.roster.owners.get(pending.pop(), ()):
            if not stake.valid.holds(question.at):
                continue
            yield stake
            if stake.owner not in passed:
                passed.add(stake.owner)
                pending.append(stake.owner)


def _share(path: str, question: Question) -> tuple[Hypothesis, ...]:
    """The share turns out to be nothing, or the least of its range: every test asks whether owners hold enough.

    Shares whose least total too much contradict each other, so that none of them is a fact on file.
    """
    stake = next((one for one in _stakes_above(question) if f"{_SHARE}{one.owner}>{one.owned}" == path), None)
    if stake is None:
        return ()
    at, owner, owned = question.at, stake.owner, stake.owned

    def settled(roster: Roster) -> Roster:
        rows = roster.owners[owned]
        wrong = sum((_least(row) for row in rows if row.valid.holds(at)), Decimal(0)) > OVERSUBSCRIBED
        known = tuple(
            replace(row, percent=Decimal(0) if wrong else _least(row), minimum=None, maximum=None)
            if row.owner == owner and row.valid.holds(at) and (row.percent is None or wrong)
            else row
            for row in rows
        )
        return _with(roster, "owners", owned, known)

    return (_forgetting(_filing(settled)),)


def _least(stake: Stake) -> Decimal:
    return stake.percent if stake.percent is not None else stake.minimum or Decimal(0)


def _place_country(question: Question) -> Iterable[Hypothesis]:
    place = question.request.place
    if place.country is not None:
        return
    if place.ip_country is not None:
        countries: list[str | None] = [place.ip_country]
    else:
        acting = [party.organisation for party in question.parties if party.organisation is not None]
        countries = [country for one in acting for country in (one.incorporated, one.headquarters)] + ["US"]
    for country in dict.fromkeys(countries):
        if country is not None and is_country(country):
            yield _stating("place", country=country)


def _place_subdivision(question: Question) -> Iterable[Hypothesis]:
    place = question.request.place
    for part in _unbarred_parts(question, place.subdivision, (place.country, place.ip_country)):
        yield _stating("place", subdivision=part)


def _destination_subdivision(question: Question) -> Iterable[Hypothesis]:
    destination = question.request.destination
    for part in _unbarred_parts(question, destination.subdivision, (destination.country,)):
        yield _stating("destination", subdivision=part)


def _unbarred_parts(question: Question, stated: str | None, countries: Collection[str | None]) -> Iterable[str]:
    """A part that no rule names of each country that is asked for one. What is stated and names nothing is no fact."""
    if stated is not None and is_subdivision(stated):
        return
    tables = question.tables
    named = {part for test in tables.parts.values() for part in test.subdivisions}
    named |= {member.subdivision or "" for group in tables.places.groups.values() for member in group.members}
    for country in sorted({test.country for test in tables.parts.values()}.intersection(countries)):
        yield from sorted(parts_of(country) - named)[:1]


def _purpose(question: Question) -> Iterable[Hypothesis]:
    if question.request.purpose is None and question.entry is not None:
        for purpose in question.entry.purposes:
            yield _stating(purpose=purpose)


def _acting_for(question: Question) -> Iterable[Hypothesis]:
    if question.request.acting_for is None:
        names = {party.organisation_id or "" for party in question.parties if party.role is Role.SUBJECT}
        for name in sorted(names - {""}):
            yield _stating(acting_for=name)


def _stating(part: str | None = None, **told: Any) -> Hypothesis:
    """The request with these stated, of itself or of a part of it; what else is stated by then stays."""

    def apply(inputs: Inputs) -> Inputs:
        request = inputs.request
        changed = told if part is None else {part: replace(getattr(request, part), **told)}
        return replace(inputs, request=replace(request, **changed))

    return apply


def _reading(question: Question, name: str) -> Iterable[Hypothesis]:
    """A quiet reading: a fresh one, or the last with the measure that it lacks."""
    clusters = sorted(
        {party.account.cluster for party in question.parties if party.account is not None and party.account.cluster}
    )
    at = question.at

    def quiet(roster: Roster) -> Roster:
        for cluster in clusters:
            past = [row for row in roster.clusters.get(cluster, ()) if row.as_of <= at]
            row = ClusterReading(id=cluster, shared=(), accounts=0, exchanges_24h=0, as_of=at)
            if past and name != "as_of":
                last = max(past, key=lambda row: row.as_of)
                lacking: dict[str, Any] = {name: getattr(row, name)} if getattr(last, name) is None else {}
                row = replace(last, **lacking)
            roster = _with(roster, "clusters", cluster, (row,))
        return roster

    if clusters:
        yield _filing(quiet)


def _cataloguing(names: Iterable[str], **told: Any) -> Hypothesis:
    """The catalogue with these said of some of its entries."""

    def apply(inputs: Inputs) -> Inputs:
        tables = inputs.book.tables
        entries = dict(tables.catalogue.entries)
        entries |= {name: replace(entries[name], **told) for name in names}
        return replace(inputs, book=replace(inputs.book, tables=replace(tables, catalogue=Catalogue(entries=entries))))

    return apply


def _weights(question: Question) -> Iterable[Hypothesis]:
    if question.entry is not None and question.entry.weights in (None, Weights.UNDETERMINED):
        for weights in (Weights.UNPUBLISHED, Weights.PUBLISHED):
            yield _cataloguing([question.entry.id], weights=weights)


def _training_operations(question: Question) -> Iterable[Hypothesis]:
    if question.entry is None:
        return
    catalogue, tests = question.tables.catalogue, question.tables.operations.values()
    counted = {name for test in tests for name in count_operations(question.entry, catalogue, test).counted}
    names = sorted(name for name in counted if catalogue.entries[name].training_operations is None)
    if names:
        yield _cataloguing(names, training_operations=Decimal(0))


def _eccn(question: Question) -> Iterable[Hypothesis]:
    if question.entry is not None and question.entry.eccn is None:
        for eccn in sorted(question.tables.eccn_columns):
            yield _cataloguing([question.entry.id], eccn=eccn)


def _tier(question: Question) -> Iterable[Hypothesis]:
    if question.entry is not None and question.entry.tier is None:
        for tier in Tier:
            yield _cataloguing([question.entry.id], tier=tier)


_RESOLUTIONS: Final[Mapping[str, Callable[[Question], Iterable[Hypothesis]]]] = {
    "person.us_status": _us_status,
    "person.citizenships": _citizenships,
    "person.permanent_residencies": _residencies,
    "organisation.incorporated": _incorporated,
    "organisation.headquarters": _headquarters,
    "organisation.sector": _sector,
    "organisation.reseller": _reseller,
    "place.country": _place_country,
    "place.subdivision": _place_subdivision,
    "destination.subdivision": _destination_subdivision,
    "purpose": _purpose,
    "acting_for": _acting_for,
    "cluster.as_of": lambda question: _reading(question, "as_of"),
    "cluster.shared": lambda question: _reading(question, "shared"),
    "cluster.accounts": lambda question: _reading(question, "accounts"),
    "cluster.exchanges_24h": lambda question: _reading(question, "exchanges_24h"),
    "model.weights": _weights,
    "model.training_operations": _training_operations,
    "model.eccn": _eccn,
    "model.tier": _tier,
}
