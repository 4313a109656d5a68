"""Who is judged, and what is on file about each: derived once per request from the roster.

A request is judged for its parties: the subject with each organisation that it may be acting for, the end user in the
same way, and, for the rules that say so, the host of a copy. What the caller asserts fills what is unknown on file, for
the properties that this caller may assert; a clash is kept as a conflict and the file stands. Where the end user is the
subject again, what was asserted first stands in the same way. Nothing asserted creates a subject.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum, StrEnum
from functools import partial
from typing import Any, Final, TypeVar

from policy_engine.domain.catalogue import Entry
from policy_engine.domain.countries import is_country, suggest
from policy_engine.domain.instants import earliest
from policy_engine.domain.logic import Answer
from policy_engine.domain.persons import ContradictionError, status_at
from policy_engine.domain.request import Assertion, Caller, Request, Subject, SubjectType
from policy_engine.domain.roster import (
    PERSON_PREFIX,
    Account,
    AccountKind,
    Citizenship,
    EmploymentKind,
    Organisation,
    PermanentResidency,
    Person,
    Roster,
    Sector,
    UsStatus,
    UsStatusKind,
)
from policy_engine.domain.rules import Book, Row, Tables
from policy_engine.domain.verdict import CapDraw

E = TypeVar("E", bound=StrEnum)


class Role(StrEnum):
    """In which part of the request a party stands."""

    SUBJECT = "subject"
    END_USER = "end_user"
    HOST = "host"


class Edition(IntEnum):
    """Which meanings of the words a decision is made by.

    Whatever is decided is decided by `LATEST`. A release that gives a word another meaning adds an edition, and a
    replay makes an old record again by the edition that it was written under.
    """

    LISTED_NAMES = 0
    """What is told of a person's listing repeats the text of the list's entry, which is a name."""
    FIRST = 1
    """What is told of a person's listing has the list, the version and the reference."""
    DOUBTS = 2
    """An undated citizenship, a potential listing of an owner, an end user that resells, two places that disagree and
    the scope of a paper are doubts, and a cap has no place for nobody; the generator with the most operations is
    counted."""
    UNSTATED = 3
    """Who left a fact unstated is told that, and a duty to report hangs on a finding that stands for certain."""
    ONE_OF_EACH = 4
    """What a request asserts of somebody holds for the end user too where that is the same one, so that another
    assertion about the same is a conflict."""
    FOR_SOMEBODY = 5
    """An authorisation for no person, or of no nationality, is none also where it is asked for whoever it is for."""


LATEST: Final = max(Edition)


class AssertedValueError(ValueError):
    """A property that the caller may assert has a value that no file could hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """An assertion against the file: which property, what was asserted, what is on file."""

    property: str
    asserted: str
    on_file: str


@dataclass(slots=True)
class ValidityTracker:
    """The first instant after `at` at which anything that was read changes."""

    at: datetime
    until: datetime | None = None

    def note(self, change: datetime | None) -> None:
        """Something that was read changes then."""
        if change is not None and (self.until is None or change < self.until):
            self.until = change


@dataclass(slots=True, kw_only=True)
class Question:
    """A request with everything that is the same for all of its parties.

    `reached` holds the ids of the enforced rows in force whose action and item do not fail, `enforced` those of all
    enforced rows in force; `matched_regimes` and `barred_regimes` collect, as the bars are judged, the regimes of which
    a bar matched, and those that bar each party. `places` collects the free places of capped authorisations that were
    read, with how many of that authorisation were free. One in `set_aside`, or not in `only` where that is given, is
    read as taken by somebody else.
    `edition` says by which meanings of the words it is judged: only a replay asks for another than the latest.
    """

    request: Request
    caller: Caller
    at: datetime
    entry: Entry | None
    roster: Roster
    book: Book
    parties: tuple[Party, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    ignored: tuple[str, ...] = ()
    horizon: ValidityTracker
    enforced: frozenset[str] = frozenset()
    reached: tuple[Row, ...] = ()
    fault: str | None = None
    edition: Edition = LATEST
    matched_regimes: frozenset[str] = frozenset()
    barred_regimes: dict[int, frozenset[str]] = field(default_factory=dict)
    places: dict[CapDraw, int] = field(default_factory=dict)
    set_aside: frozenset[CapDraw] = frozenset()
    only: frozenset[CapDraw] | None = None

    @property
    def tables(self) -> Tables:
        return self.book.tables

    def is_free(self, place: CapDraw) -> bool:
        """Whether nobody else is taken to have the place."""
        return place not in self.set_aside and (self.only is None or place in self.only)

    def take_away(self, places: Iterable[CapDraw]) -> None:
        """Have these places taken by somebody else, and forget every answer given so far."""
        self.set_aside = self.set_aside.union(places)
        self.places = {}
        for party in self.parties:
            party.memo.clear()

    def with_only(self, places: Iterable[CapDraw]) -> Question:
        """The same question, not judged yet, in which of all places only these are free."""
        other = replace(
            self,
            horizon=ValidityTracker(self.at),
            matched_regimes=frozenset(),
            barred_regimes={},
            places={},
            only=frozenset(places),
        )
        other.parties = tuple(replace(party, question=other, memo={}) for party in self.parties)
        return other


@dataclass(slots=True, kw_only=True, eq=False)
class Party:
    """One combination that is judged alone: a natural person, if any, acting for an organisation, if any.

    `person_unknown` is an account or service that stands for nobody on file; `organisation` is a record with every
    attribute unknown when it is not on file for whom the person acts. `memo` keeps the answers already given.
    """

    question: Question
    role: Role
    on_file: bool
    subject: Subject | None = None
    person: Person | None = None
    person_unknown: bool = False
    organisation: Organisation | None = None
    acting: Organisation | None = None
    account: Account | None = None
    employment: frozenset[EmploymentKind] = frozenset()
    memo: dict[tuple[str, str], Answer] = field(default_factory=dict)

    @property
    def organisation_id(self) -> str | None:
        return self.organisation.id if self.organisation is not None else None

    @property
    def listed_names(self) -> tuple[str, ...]:
        """The names under which this party may be on a list."""
        names = [] if self.organisation is None else [self.organisation.id]
        if self.person is not None:
            names.append(PERSON_PREFIX + self.person.id)
        return tuple(names)


UNFILED: Final = Organisation(id="")
"""An organisation of which nothing is on file."""


@dataclass(slots=True)
class _Said:
    """What the request asserts, as far as it is read: those on file as they are with it, what clashed, and what was
    passed over."""

    people: dict[str, Person] = field(default_factory=dict)
    organisations: dict[str, Organisation] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    filled: set[tuple[str, str]] = field(default_factory=set)
    """By id of a person or an organisation, the properties that were unknown on file."""

    def hear(self, who: str, assertion: Assertion, against: str | None, *, changed: bool) -> None:
        """An assertion about somebody, what was known against it, and whether it filled in what was not known."""
        if changed:
            self.filled.add((who, assertion.name))
        elif against is not None:
            known = f"unknown, asserted as {against} too" if (who, assertion.name) in self.filled else against
            self.conflicts.append(
                Conflict(property=assertion.name, asserted=", ".join(assertion.values), on_file=known)
            )

    def keep(self, claimed: _Claimed, subject: Subject) -> None:
        """Remember who was filled in, for where the request names the same one again."""
        if claimed.person is not None:
            self.people[claimed.person.id] = claimed.person
        if subject.type is SubjectType.ORGANISATION:
            self.organisations |= {one.id: one for one in claimed.organisations}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claimed:
    """A subject on file with what was asserted filled in."""

    person: Person | None
    person_unknown: bool
    account: Account | None
    organisations: tuple[Organisation, ...]
    employment: tuple[frozenset[EmploymentKind], ...]


def derive(
    request: Request,
    roster: Roster,
    book: Book,
    caller: Caller,
    at: datetime,
    *,
    edition: Edition = LATEST,
) -> Question:
    """The question with its parties, as the roster has them at the instant; a contradiction on file is its `fault`.

    Raises `AssertedValueError` for an assertable property whose value no file could hold.
    """
    question = Question(
        request=request,
        caller=caller,
        at=at,
        entry=book.tables.catalogue.find(request.model, caller.gateway),
        roster=roster,
        book=book,
        horizon=ValidityTracker(at),
        edition=edition,
    )
    said = _Said()
    parties: list[Party] = []
    try:
        for role, subject in ((Role.SUBJECT, request.subject), (Role.END_USER, request.end_user)):
            if subject is not None:
                parties += _parties_of(question, role, subject, said)
    except ContradictionError as error:
        # Met while comparing an assertion with the file: there are no facts to judge by.
        question.fault = str(error)
        return question
    if parties[0].on_file:
        parties += _hosts(question, parties)
    else:
        # For a subject that is not on file nothing else can be judged.
        parties = [party for party in parties if not party.on_file]
        said.conflicts.clear()
    question.parties = tuple(parties)
    question.conflicts = tuple(said.conflicts)
    question.ignored = tuple(sorted(set(said.ignored)))
    return question


def _hosts(question: Question, parties: list[Party]) -> list[Party]:
    """The host once for each organisation that the subject may be acting for, since both may hold a paper."""
    host = question.request.destination.host
    if host is None:
        return []
    organisation = question.roster.organisations.get(host, replace(UNFILED, id=host))
    return [
        Party(question=question, role=Role.HOST, on_file=True, organisation=organisation, acting=party.organisation)
        for party in parties
        if party.role is Role.SUBJECT
    ]


def _parties_of(question: Question, role: Role, subject: Subject, said: _Said) -> list[Party]:
    allowed = [one for one in subject.properties if one.name in question.caller.assertable]
    said.ignored += [one.name for one in subject.properties if one.name not in question.caller.assertable]
    claimed = _on_file(question, subject, said)
    if claimed is None:
        return [Party(question=question, role=role, on_file=False, subject=subject)]
    if role is Role.SUBJECT and question.request.acting_for is not None:
        claimed = _acting_for(question.request.acting_for, claimed, said.conflicts)
    for assertion in allowed:
        claimed = _asserted(question, subject, assertion, claimed, said)
    if question.edition >= Edition.ONE_OF_EACH:
        said.keep(claimed, subject)
    if not claimed.organisations:
        return [_party(question, role, subject, claimed, None, frozenset())]
    return [
        _party(question, role, subject, claimed, organisation, employment)
        for organisation, employment in zip(claimed.organisations, claimed.employment, strict=True)
    ]


def _party(
    question: Question,
    role: Role,
    subject: Subject,
    claimed: _Claimed,
    organisation: Organisation | None,
    employment: frozenset[EmploymentKind],
) -> Party:
    return Party(
        question=question,
        role=role,
        on_file=True,
        subject=subject,
        person=claimed.person,
        person_unknown=claimed.person_unknown,
        organisation=organisation,
        acting=organisation,
        account=claimed.account,
        employment=employment,
    )


def _on_file(question: Question, subject: Subject, said: _Said) -> _Claimed | None:
    roster = question.roster
    match subject.type:
        case SubjectType.PERSON:
            person = said.people.get(subject.id, roster.people.get(subject.id))
            return None if person is None else _person_on_file(question, person)
        case SubjectType.ORGANISATION:
            organisation = said.organisations.get(subject.id, roster.organisations.get(subject.id))
            if organisation is None:
                return None
            return _Claimed(
                person=None,
                person_unknown=False,
                account=None,
                organisations=(organisation,),
                employment=(frozenset(),),
            )
        case SubjectType.ACCOUNT | SubjectType.SERVICE:
            account = roster.accounts.get(subject.id)
            if account is None or account.kind is not AccountKind(subject.type.value):
                return None
            question.horizon.note(account.valid.next_change(question.at))
            if not account.valid.holds(question.at):
                return None
            holder = None
            if account.person is not None:
                holder = said.people.get(account.person, roster.people.get(account.person))
            organisation = roster.organisations.get(account.organisation, replace(UNFILED, id=account.organisation))
            employment = _employment(question, holder).get(organisation.id, frozenset()) if holder else frozenset()
            return _Claimed(
                person=holder,
                person_unknown=holder is None,
                account=account,
                organisations=(organisation,),
                employment=(employment,),
            )


def _employment(question: Question, person: Person) -> dict[str, frozenset[EmploymentKind]]:
    rows = person.employments or ()
    question.horizon.note(earliest((row.valid for row in rows), at=question.at))
    held: dict[str, frozenset[EmploymentKind]] = {}
    for row in rows:
        if row.valid.holds(question.at):
            held[row.organisation] = held.get(row.organisation, frozenset()) | {row.kind}
    return held


def _person_on_file(question: Question, person: Person) -> _Claimed:
    if person.employments is None:
        organisations: tuple[Organisation, ...] = (UNFILED,)
        employment: tuple[frozenset[EmploymentKind], ...] = (frozenset(),)
    else:
        held = _employment(question, person)
        organisations = tuple(
            question.roster.organisations.get(name, replace(UNFILED, id=name)) for name in sorted(held)
        )
        employment = tuple(held[name] for name in sorted(held))
    return _Claimed(
        person=person, person_unknown=False, account=None, organisations=organisations, employment=employment
    )


def _acting_for(named: str, claimed: _Claimed, conflicts: list[Conflict]) -> _Claimed:
    for organisation, employment in zip(claimed.organisations, claimed.employment, strict=True):
        if organisation.id == named:
            return replace(claimed, organisations=(organisation,), employment=(employment,))
    on_file = ", ".join(organisation.id for organisation in claimed.organisations if organisation.id)
    conflicts.append(Conflict(property="acting_for", asserted=named, on_file=on_file or "none"))
    return claimed


def _asserted(question: Question, subject: Subject, assertion: Assertion, claimed: _Claimed, said: _Said) -> _Claimed:
    if assertion.name in _PERSON_PROPERTIES and claimed.person is not None:
        person, against = _PERSON_PROPERTIES[assertion.name](claimed.person, assertion, question.at)
        said.hear(PERSON_PREFIX + person.id, assertion, against, changed=person is not claimed.person)
        return replace(claimed, person=person)
    if assertion.name in _ORGANISATION_PROPERTIES and subject.type is SubjectType.ORGANISATION:
        (organisation,) = claimed.organisations
        filled, against = _fill_organisation(organisation, assertion)
        said.hear(organisation.id, assertion, against, changed=filled is not organisation)
        return replace(claimed, organisations=(filled,))
    said.ignored.append(assertion.name)
    return claimed


def _fill_us_status(person: Person, assertion: Assertion, at: datetime) -> tuple[Person, str | None]:
    kind = _one_of(assertion, UsStatusKind)
    filed = status_at(person, at)
    if filed is not None:
        return person, None if filed is kind else filed.value
    return replace(person, us_statuses=(UsStatus(person=person.id, kind=kind),)), None


def _fill_countries(
    person: Person, assertion: Assertion, at: datetime, row: type[Citizenship | PermanentResidency]
) -> tuple[Person, str | None]:
    """The person with a list of countries that was never filed, or what is on file against what is asserted."""
    countries = _countries(assertion)
    filed: tuple[Citizenship | PermanentResidency, ...] | None = getattr(person, assertion.name)
    if filed is None:
        rows: dict[str, Any] = {assertion.name: tuple(row(person=person.id, country=one) for one in countries)}
        return replace(person, **rows), None
    held = sorted({one.country for one in filed if one.valid.holds(at)})
    return person, None if held == sorted(set(countries)) else ", ".join(held) or "none"


_PERSON_PROPERTIES: Final[dict[str, Callable[[Person, Assertion, datetime], tuple[Person, str | None]]]] = {
    "us_status": _fill_us_status,
    "citizenships": partial(_fill_countries, row=Citizenship),
    "permanent_residencies": partial(_fill_countries, row=PermanentResidency),
}
_ORGANISATION_PROPERTIES: Final = frozenset({"incorporated", "headquarters", "sector"})

ASSERTABLE: Final = frozenset(_PERSON_PROPERTIES) | _ORGANISATION_PROPERTIES
"""Every property that a caller can be allowed to assert."""


def _fill_organisation(organisation: Organisation, assertion: Assertion) -> tuple[Organisation, str | None]:
    name = assertion.name
    told = _one_of(assertion, Sector) if name == "sector" else _country(name, _single(assertion))
    filed: str | None = getattr(organisation, name)
    if filed is None:
        filled: dict[str, Any] = {name: told}
        return replace(organisation, **filled), None
    return organisation, None if filed == told else str(filed)


def _one_of(assertion: Assertion, kinds: type[E]) -> E:
    value = _single(assertion)
    try:
        return kinds(value)
    except ValueError as error:
        raise AssertedValueError(f"property `{assertion.name}` has no value `{value}`") from error


def _single(assertion: Assertion) -> str:
    if assertion.is_list or len(assertion.values) != 1:
        raise AssertedValueError(f"property `{assertion.name}` takes one text, not a list")
    return assertion.values[0]


def _countries(assertion: Assertion) -> tuple[str, ...]:
    if not assertion.is_list:
        raise AssertedValueError(f"property `{assertion.name}` takes a list of country codes")
    return tuple(_country(assertion.name, value) for value in assertion.values)


def _country(name: str, value: str) -> str:
    if is_country(value):
        return value
    meant = suggest(value)
    hint = "" if meant is None else f"; did you mean `{meant}`?"
    raise AssertedValueError(f"property `{name}` takes ISO 3166-1 alpha-2 country codes, not `{value}`{hint}")
