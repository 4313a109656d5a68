"""What the laws of the decision are stated with: a question with all that its answer follows from, and ways to change
one thing in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cache, partial
from random import Random
from typing import Final

from policy_engine.decision.conclude import Conclusion
from policy_engine.domain.catalogue import Entry, Weights
from policy_engine.domain.facts import derive
from policy_engine.domain.request import Action, Caller, Place, Request
from policy_engine.domain.roster import (
    Authorisation,
    AuthorisationKind,
    Citizenship,
    Employment,
    EmploymentKind,
    Organisation,
    PermanentResidency,
    PersonEntry,
    Roster,
    RosterRows,
    Sector,
    Stake,
    UsStatus,
    UsStatusKind,
)
from policy_engine.domain.rules import Book
from policy_engine.domain.verdict import Verdict
from policy_engine.formats.documents import parse_document
from policy_engine.formats.faults import Findings
from policy_engine.formats.record import encode_answer, encode_facts, encode_record
from policy_engine.policy.catalogue_file import CatalogueReader
from policy_engine.policy.judge import Judge
from policy_engine.policy.reader import CATALOGUE, canonical_lines, fingerprint_of
from tests.concluding import concluded
from tests.conftest import FILES, judge_for
from tests.worlds import Read, World


@cache
def _catalogues() -> CatalogueReader:
    """With the entries of the shipped catalogue, which are the same in every world."""
    reader, findings = CatalogueReader(), Findings(source=CATALOGUE)
    reader.add(parse_document(FILES[CATALOGUE], CATALOGUE, []), findings)
    assert not findings.faults
    return reader


_lines: Final[dict[int, tuple[Book, bytes]]] = {}
"""By the identity of a book, the book and the lines of its rows."""


def _lines_of(book: Book) -> bytes:
    if id(book) not in _lines:
        _lines[id(book)] = book, canonical_lines(book.rows)
    return _lines[id(book)][1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question, and everything that its answer follows from."""

    book: Book
    rows: RosterRows
    request: Request
    caller: Caller
    at: datetime

    @property
    def roster(self) -> Roster:
        """The roster as known when it is asked, with no memory of an earlier question."""
        return Roster.as_known(self.rows, self.at)


def book_of(read: Read) -> Book:
    """The shipped book with a world's changes, as `read_book` reads it, without reading every file again."""
    base = judge_for(read.enforcement, None).book
    catalogues = _catalogues().copy()
    findings = Findings(source=CATALOGUE)
    catalogues.add(read.catalogue, findings)
    tables = replace(base.tables, catalogue=catalogues.catalogue())
    assert not findings.faults
    fingerprint = fingerprint_of(base.rows, tables, base.settings, base.matcher, lines=_lines_of(base))
    return replace(base, tables=tables, fingerprint=fingerprint)


def asked_of(document: World) -> Asked:
    """The question of a world."""
    read = Read(document)
    return Asked(book=book_of(read), rows=read.rows, request=read.request, caller=read.caller, at=read.at)


def answered(asked: Asked, judge: Judge | None = None, roster: Roster | None = None) -> Conclusion:
    """The whole answer; without a judge and a roster, by new ones that remember nothing."""
    return concluded(judge or Judge(asked.book), roster or asked.roster, asked.request, asked.caller, asked.at)


def verdict(asked: Asked, judge: Judge | None = None) -> Verdict:
    """The verdict alone; without a judge, by the one of the last question if the book is the same."""
    question = derive(asked.request, asked.roster, asked.book, asked.caller, asked.at)
    return (judge or _judge_of(asked.book)).verdict(question)


_last: list[Judge] = []


def _judge_of(book: Book) -> Judge:
    if not _last or _last[0].book is not book:
        _last[:] = [Judge(book)]
    return _last[0]


def allows(asked: Asked) -> bool:
    """Whether the answer is an allow."""
    return verdict(asked).allowed


def bytes_of(told: Conclusion) -> bytes:
    """The answer as it goes out; what differs from one asking to the next, its id, is the same for all."""
    return encode_answer(told.decision)


def both(told: Conclusion) -> tuple[bytes, bytes]:
    """The answer, and the record with every word that was looked at for each party."""
    reply = bytes_of(told)
    return reply, encode_record(told.decision, encode_facts(told.parties), reply)


# --- one thing changed ------------------------------------------------------------------------------------------------

Change = Callable[[Asked], Asked]


def with_rows(asked: Asked, rows: RosterRows) -> Asked:
    return replace(asked, rows=rows)


def with_request(asked: Asked, request: Request) -> Asked:
    return replace(asked, request=request)


def explained(asked: Asked) -> Asked:
    """The same question by a caller that is told what could lawfully change the answer."""
    return replace(asked, caller=replace(asked.caller, explain=True))


def without_assertions(asked: Asked) -> Asked:
    """The same question with nothing asserted, so that a fact taken from the file is known from nowhere else."""
    request = asked.request
    end_user = None if request.end_user is None else replace(request.end_user, properties=())
    return with_request(asked, replace(request, subject=replace(request.subject, properties=()), end_user=end_user))


def at_the_desk(random: Random, asked: Asked) -> Asked:
    """A release to the same ones instead, where status, citizenships and papers are read."""
    model = random.choice(["technology:4E001.a", "technology:4E001.c", "techdata:usml", "weights:4E091"])
    statuses = tuple(
        replace(row, kind=random.choice([row.kind, row.kind, UsStatusKind.NONE])) for row in asked.rows.us_statuses
    )
    licences = tuple(
        Authorisation(
            id=f"D of {row.id}",
            regime="us-itar" if model == "techdata:usml" else "us-ear",
            kind=AuthorisationKind.LICENCE,
            holder=row.id,
            models=(model,),
            actions=("release",),
            named_users=random.choice([None, 1]),
        )
        for row in asked.rows.organisations
        if some(random, 0.4)
    )
    request = replace(asked.request, model=model, action=Action.RELEASE)
    rows = replace(asked.rows, us_statuses=statuses, authorisations=(*asked.rows.authorisations, *licences))
    return with_request(with_rows(asked, rows), request)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFact:
    """A fact that may be unknown: how it is forgotten, and some of the things that it may turn out to be."""

    name: str
    forget: Change
    learn: tuple[Change, ...]


def open_facts(random: Random, asked: Asked) -> Iterator[OpenFact]:
    """Every open fact of those who ask or host, and of those who own them.

    Left out is what the rules say is no fact of its own: a military end use (an unstated purpose is none), one of
    stated country and address while the other is known, the part of a country other than Ukraine, and a share in an
    organisation of which more than all is held, since the known shares bound an unknown one.
    """
    near = names_near(asked)
    for entry in asked.rows.people:
        if f"person:{entry.id}" in near:
            yield from _facts_of_person(random, asked, entry)
    for organisation in asked.rows.organisations:
        if organisation.id in near:
            yield from _facts_of_organisation(organisation)
    for stake in asked.rows.stakes:
        if stake.owned not in near:
            continue
        rest = 100 - _held(asked, stake)
        if stake.percent is not None and stake.percent <= rest:
            yield OpenFact(
                name=f"share of {stake.owner} in {stake.owned}",
                forget=partial(_with_percent, stake, None),
                learn=tuple(partial(_with_percent, stake, percent) for percent in (rest, min(rest, Decimal(50)))),
            )
    yield OpenFact(
        name="place",
        forget=partial(_with_place, Place()),
        learn=tuple(
            partial(_with_place, place)
            for place in (
                Place(country="IR"),
                Place(ip_country="KP"),
                Place(country="US", ip_country="SY"),
                Place(country="CN"),
                Place(country="UA", postcode="95000"),
            )
        ),
    )
    place = asked.request.place
    if "UA" in (place.country, place.ip_country):
        parts = [("UA-43", None), ("UA-65", None), (None, "83001"), (None, "01001")]
        yield OpenFact(
            name="part of Ukraine",
            forget=partial(_with_place, replace(place, subdivision=None, postcode=None)),
            learn=tuple(
                partial(_with_place, replace(place, subdivision=subdivision, postcode=postcode))
                for subdivision, postcode in parts
            ),
        )
    for name in _lineage(asked):
        yield from _facts_of_entry(asked.book.tables.catalogue.entries[name])
    if asked.request.purpose not in {test.purpose for test in asked.book.tables.military.values()}:
        purposes = ("defensive_cybersecurity", "pentest_own_product", "something_else")
        yield OpenFact(
            name="purpose",
            forget=partial(_with_purpose, None),
            learn=tuple(partial(_with_purpose, purpose) for purpose in purposes),
        )


def _facts_of_person(random: Random, asked: Asked, entry: PersonEntry) -> Iterator[OpenFact]:
    person = entry.id
    yield OpenFact(
        name=f"us_status of {person}",
        forget=partial(_with_us_status, person, None),
        learn=tuple(partial(_with_us_status, person, kind) for kind in (UsStatusKind.NONE, UsStatusKind.CITIZEN)),
    )
    yield OpenFact(
        name=f"citizenships of {person}",
        forget=partial(_with_citizenships, person, None),
        learn=tuple(partial(_with_citizenships, person, held) for held in (("CN",), ("US", "RU"), ("CA",), ())),
    )
    yield OpenFact(
        name=f"permanent_residencies of {person}",
        forget=partial(_with_residencies, person, None),
        learn=tuple(partial(_with_residencies, person, held) for held in (("CN",), ("US", "RU"), ("CA",), ())),
    )
    organisations = [row.id for row in asked.rows.organisations]
    yield OpenFact(
        name=f"employments of {person}",
        forget=partial(_with_employers, person, None),
        learn=tuple(
            partial(_with_employers, person, tuple(random.sample(organisations, k=random.randint(0, 2))))
            for _ in range(3)
        ),
    )


def _facts_of_organisation(organisation: Organisation) -> Iterator[OpenFact]:
    facts: dict[str, tuple[Organisation, list[Organisation]]] = {
        "incorporated": (
            replace(organisation, incorporated=None),
            [replace(organisation, incorporated=country) for country in ("US", "CN", "IR", "RU")],
        ),
        "headquarters": (
            replace(organisation, headquarters=None),
            [replace(organisation, headquarters=country) for country in ("US", "CN", "KP", "BY")],
        ),
        "sector": (replace(organisation, sector=None), [replace(organisation, sector=sector) for sector in Sector]),
        "reseller": (
            replace(organisation, reseller=None),
            [replace(organisation, reseller=reseller) for reseller in (True, False)],
        ),
    }
    for name, (unknown, known) in facts.items():
        yield OpenFact(
            name=f"{name} of {organisation.id}",
            forget=partial(_with_organisation, unknown),
            learn=tuple(partial(_with_organisation, one) for one in known),
        )


def _facts_of_entry(entry: Entry) -> Iterator[OpenFact]:
    yield OpenFact(
        name=f"weights of {entry.id}",
        forget=partial(_with_entry, replace(entry, weights=None)),
        learn=tuple(partial(_with_entry, replace(entry, weights=weights)) for weights in Weights),
    )
    counts = (Decimal("2e26"), Decimal("1e24"))
    yield OpenFact(
        name=f"training_operations of {entry.id}",
        forget=partial(_with_entry, replace(entry, training_operations=None)),
        learn=tuple(partial(_with_entry, replace(entry, training_operations=count)) for count in counts),
    )

    def added(operations: Decimal | None) -> Entry:
        derived = tuple(replace(one, added_operations=operations) for one in entry.derived_from)
        return replace(entry, derived_from=derived)

    if entry.derived_from:
        yield OpenFact(
            name=f"added_operations of {entry.id}",
            forget=partial(_with_entry, added(None)),
            learn=tuple(partial(_with_entry, added(count)) for count in counts),
        )


def names_near(asked: Asked) -> set[str]:
    """Those who ask or host, and those who ever own them, as a listing names them."""
    question = derive(asked.request, asked.roster, asked.book, asked.caller, asked.at)
    near = [name for party in question.parties for name in party.listed_names]
    for name in near:
        near += [stake.owner for stake in asked.rows.stakes if stake.owned == name and stake.owner not in near]
    return set(near)


def _held(asked: Asked, stake: Stake) -> Decimal:
    """What the others hold in the organisation at the instant, as far as known."""
    rows = (row for row in asked.rows.stakes if row.owned == stake.owned and row.valid.holds(asked.at))
    return sum((row.percent or Decimal(0) for row in rows if row.key != stake.key), Decimal(0))


def _lineage(asked: Asked) -> list[str]:
    """The entry asked for and all that it was made from."""
    catalogue = asked.book.tables.catalogue
    entry = catalogue.find(asked.request.model, asked.caller.gateway)
    names = [] if entry is None else [entry.id]
    for name in names:
        entry = catalogue.entries[name]
        names += [one.teacher for one in entry.taught_by] + [one.base for one in entry.derived_from]
    return list(dict.fromkeys(names))


def _with_us_status(person: str, kind: UsStatusKind | None, asked: Asked) -> Asked:
    rows = _refiled(asked, person, lambda entry: replace(entry, us_status_filed=kind is not None))
    kept = tuple(row for row in rows.us_statuses if row.person != person)
    filed = () if kind is None else (UsStatus(person=person, kind=kind),)
    return with_rows(asked, replace(rows, us_statuses=kept + filed))


def _with_citizenships(person: str, countries: tuple[str, ...] | None, asked: Asked) -> Asked:
    rows = _refiled(asked, person, lambda entry: replace(entry, citizenships_filed=countries is not None))
    kept = tuple(row for row in rows.citizenships if row.person != person)
    filed = tuple(Citizenship(person=person, country=country) for country in countries or ())
    return with_rows(asked, replace(rows, citizenships=kept + filed))


def _with_residencies(person: str, countries: tuple[str, ...] | None, asked: Asked) -> Asked:
    rows = _refiled(asked, person, lambda entry: replace(entry, permanent_residencies_filed=countries is not None))
    kept = tuple(row for row in rows.permanent_residencies if row.person != person)
    filed = tuple(PermanentResidency(person=person, country=country) for country in countries or ())
    return with_rows(asked, replace(rows, permanent_residencies=kept + filed))


def _with_employers(person: str, employers: tuple[str, ...] | None, asked: Asked) -> Asked:
    rows = _refiled(asked, person, lambda entry: replace(entry, employments_filed=employers is not None))
    kept = tuple(row for row in rows.employments if row.person != person)
    kind = EmploymentKind.EMPLOYEE
    filed = tuple(Employment(person=person, organisation=name, kind=kind) for name in employers or ())
    return with_rows(asked, replace(rows, employments=kept + filed))


def _refiled(asked: Asked, person: str, refile: Callable[[PersonEntry], PersonEntry]) -> RosterRows:
    people = tuple(refile(entry) if entry.id == person else entry for entry in asked.rows.people)
    return replace(asked.rows, people=people)


def _with_organisation(organisation: Organisation, asked: Asked) -> Asked:
    rows = tuple(organisation if row.id == organisation.id else row for row in asked.rows.organisations)
    return with_rows(asked, replace(asked.rows, organisations=rows))


def _with_percent(stake: Stake, percent: Decimal | None, asked: Asked) -> Asked:
    rows = tuple(replace(row, percent=percent) if row.key == stake.key else row for row in asked.rows.stakes)
    return with_rows(asked, replace(asked.rows, stakes=rows))


def _with_place(place: Place, asked: Asked) -> Asked:
    return with_request(asked, replace(asked.request, place=place))


def _with_purpose(purpose: str | None, asked: Asked) -> Asked:
    return with_request(asked, replace(asked.request, purpose=purpose))


def _with_entry(entry: Entry, asked: Asked) -> Asked:
    tables = asked.book.tables
    catalogue = replace(tables.catalogue, entries={**tables.catalogue.entries, entry.id: entry})
    return replace(asked, book=replace(asked.book, tables=replace(tables, catalogue=catalogue)))


def some(random: Random, chance: float) -> bool:
    """Whether something that has this chance comes to pass."""
    return random.random() < chance
