"""Words about the natural person: US status, and the countries that a release is deemed to go to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from policy_engine.domain import logic
from policy_engine.domain.catalogue import Entry
from policy_engine.domain.facts import Edition, Party
from policy_engine.domain.instants import earliest
from policy_engine.domain.logic import NO, YES, Answer, Tri, known, unknown, yes
from policy_engine.domain.persons import US_PERSON_KINDS, deemed_countries, itar_countries, status_at
from policy_engine.domain.roster import (
    Citizenship,
    PermanentResidency,
    Person,
    UsStatusKind,
)
from policy_engine.domain.rules import Book
from policy_engine.domain.words import dimensions, parameters
from policy_engine.domain.words.dimensions import Dimensions, always, by_parameter, tokens
from policy_engine.domain.words.groups import column_covers, column_tokens, places_in
from policy_engine.domain.words.items import eccn_on_file
from policy_engine.domain.words.memory import recall
from policy_engine.domain.words.organisations import foreign_organisation
from policy_engine.domain.words.word import PLAIN, Clause, Fact, ItemPart, own, word


def status(party: Party) -> UsStatusKind | None:
    person = party.person
    if person is None:
        return None
    party.question.horizon.note(earliest((row.valid for row in person.us_statuses or ()), at=party.question.at))
    return status_at(person, party.question.at)


_STANDING: Final = replace(
    PLAIN,
    facts=own(Fact.US_STATUS),
    dimensions=always({dimensions.REQUESTER: frozenset({dimensions.ACCOUNT}), dimensions.US_STATUS: None}),
)
_ITAR_FACTS: Final = (Fact.CITIZENSHIPS, Fact.PAST_CITIZENSHIPS, Fact.PERMANENT_RESIDENCIES)


def _deemed(countries: frozenset[str], incorporated: frozenset[str]) -> Dimensions:
    return {
        dimensions.REQUESTER: frozenset({dimensions.ACCOUNT}),
        dimensions.US_STATUS: None,
        dimensions.CITIZENSHIP: countries,
        dimensions.INCORPORATED: incorporated | dimensions.US,
    }


def _deemed_by_columns(_: str, book: Book, entry: Entry | None) -> Dimensions:
    covered = column_tokens(book, entry)
    return _deemed(covered, covered)


def _itar_dimensions(parameter: str) -> Dimensions:
    return {
        dimensions.REQUESTER: frozenset({dimensions.ACCOUNT}),
        dimensions.CITIZENSHIP: tokens(parameter),
        dimensions.EARLIER: tokens(parameter),
    }


_DEEMED_READS: Final = replace(
    _STANDING, facts=own(Fact.US_STATUS, Fact.CITIZENSHIPS, Fact.PERMANENT_RESIDENCIES, Fact.INCORPORATED)
)
_DEEMED_IN: Final = replace(
    _DEEMED_READS, dimensions=by_parameter(lambda parameter: _deemed(tokens(parameter), tokens(parameter)))
)
_US_PERSON: Final = Clause(
    what="a US person is a citizen, a national, a lawful permanent resident, or one admitted or granted as 8 USC"
    " 1324b(a)(3) says; everybody else is a foreign person",
    source="15 CFR 772.1; 22 CFR 120.62, 120.63; 8 USC 1324b(a)(3)",
    checked=False,
)
_DEEMED_EXPORT: Final = Clause(
    what="a release is deemed to go to the most recent country of citizenship or permanent residency; one to an"
    " organisation to where it is incorporated",
    source="15 CFR 734.13(b), 734.14(b)",
    checked=True,
)
_EVERY_COUNTRY: Final = Clause(
    what="every citizenship ever held counts, and every permanent residency held now",
    source="22 CFR 120.50(b)",
    checked=True,
)
_PARTY: Final = ("party",)


def _standing(party: Party) -> UsStatusKind | Answer:
    """The standing of the natural person, or the answer where there is none, or none is on file."""
    if party.person is None:
        return unknown("person.us_status") if party.person_unknown else NO
    return status(party) or unknown("person.us_status")


_ITAR_WITHIN: Final = replace(_STANDING, facts=own(*_ITAR_FACTS), dimensions=by_parameter(_itar_dimensions))
_DEEMED_COVERED: Final = replace(_DEEMED_READS, item=ItemPart.COLUMNS, dimensions=_deemed_by_columns)
_DEEMED_KNOWN: Final = replace(_DEEMED_READS, dimensions=always(_deemed(dimensions.NOTHING, dimensions.NOTHING)))


@word(_PARTY, None, _STANDING, _US_PERSON, example="foreign-person")
def foreign_person(party: Party, _: str) -> Answer:
    """The natural person is a foreign person by US status; unknown for an account or service with no person on file; no
    for an organisation as such."""
    kind = _standing(party)
    return kind if isinstance(kind, Answer) else known(kind not in US_PERSON_KINDS)


@word(_PARTY, None, _STANDING, _US_PERSON, example="us-person")
def us_person(party: Party, _: str) -> Answer:
    """The natural person is a US person by US status."""
    kind = _standing(party)
    if isinstance(kind, Answer):
        return kind
    return yes(("us_status", kind.value)) if kind in US_PERSON_KINDS else NO


def note_countries(party: Party, person: Person) -> None:
    rows: tuple[Citizenship | PermanentResidency, ...] = (
        *(person.citizenships or ()),
        *(person.permanent_residencies or ()),
    )
    party.question.horizon.note(earliest((row.valid for row in rows), at=party.question.at))


@word(
    _PARTY,
    parameters.PLACES,
    replace(
        _STANDING,
        facts=own(Fact.US_STATUS, *_ITAR_FACTS),
        dimensions=by_parameter(lambda parameter: {dimensions.US_STATUS: None, **_itar_dimensions(parameter)}),
    ),
    _EVERY_COUNTRY,
    example="itar-national:ITAR:126.1(d)(1)",
)
def itar_national(party: Party, parameter: str) -> Answer:
    """A foreign natural person who ever was a citizen, or now is a permanent resident, of one of these."""
    foreign = recall(party, foreign_person)
    if foreign.value is Tri.NO:
        return NO
    if party.person is None:
        return unknown("person.us_status", "person.citizenships", "person.permanent_residencies")
    note_countries(party, party.person)
    held = itar_countries(party.person, party.question.at)
    law = parameter.partition(":")[0]
    read = {
        country: party.question.tables.places.read_as(country, law, party.question.at) for country in held.countries
    }
    hits = places_in(party, held.countries, parameter)
    if hits:
        country = yes(("countries", tuple(read[hit] for hit in hits)))
    else:
        country = unknown(*held.missing) if held.missing else NO
    return logic.all_of((foreign, country))


@word(_PARTY, parameters.PLACES, _ITAR_WITHIN, _EVERY_COUNTRY, example="itar-within:ITAR:126.18(d)(2)")
def itar_within(party: Party, parameter: str) -> Answer:
    """A natural person of whom every country is one of these: every citizenship ever held, and every permanent
    residency held now."""
    if party.person is None:
        return unknown("person.citizenships", "person.permanent_residencies") if party.person_unknown else NO
    note_countries(party, party.person)
    held = itar_countries(party.person, party.question.at)
    if held.missing:
        return unknown(*held.missing)
    return known(bool(held.countries) and len(places_in(party, held.countries, parameter)) == len(held.countries))


@dataclass(frozen=True, slots=True, kw_only=True)
class Deemed:
    """A natural person or an organisation: whether foreign, and where a release to it is deemed to go and why."""

    foreign: Answer
    countries: tuple[str, ...] = ()
    basis: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    undated: tuple[str, ...] = ()
    cases: tuple[tuple[int, ...], ...] = ()

    def whether(self, inside: Sequence[str], *, every: bool) -> Answer | None:
        """Whether any, or every, country of what the countries come to is inside; unknown while the cases differ,
        `None` for yes."""
        places = [place for place, country in enumerate(self.countries) if country in inside]
        cases = self.cases or (tuple(range(len(self.countries))),)
        quantifier = all if every else any
        held = {quantifier(place in places for place in case) for case in cases}
        if len(held) > 1:
            return unknown(*self.undated)
        return None if held == {True} else NO


def deemed_parts(party: Party) -> list[Deemed]:
    found: list[Deemed] = []
    question = party.question
    read = question.tables.places.read_as
    if party.person is not None:
        note_countries(party, party.person)
        deemed = deemed_countries(party.person, question.at, undated_first=question.edition < Edition.DOUBTS)
        found.append(
            Deemed(
                foreign=recall(party, foreign_person),
                countries=tuple(read(country, "EAR", question.at) for country in deemed.countries),
                basis=deemed.basis,
                missing=deemed.missing,
                undated=deemed.undated,
                cases=deemed.cases,
            )
        )
    elif party.person_unknown:
        unfiled = ("person.citizenships", "person.permanent_residencies")
        found.append(Deemed(foreign=recall(party, foreign_person), missing=unfiled))
    if party.organisation is not None:
        foreign = recall(party, foreign_organisation)
        incorporated = party.organisation.incorporated
        if incorporated is None:
            found.append(Deemed(foreign=foreign, missing=("organisation.incorporated",)))
        else:
            country = read(incorporated, "EAR", question.at)
            found.append(Deemed(foreign=foreign, countries=(country,), basis=(f"incorporation in {incorporated}",)))
    return [one for one in found if one.foreign.value is not Tri.NO]


@word(_PARTY, None, _DEEMED_COVERED, _DEEMED_EXPORT, example="deemed-covered")
def deemed_covered(party: Party, _: str) -> Answer:
    """A release is deemed to go to a country that a column of the item's ECCN covers: for the natural person the most
    recent country of citizenship or permanent residency, unknown where one of several has no start date; for the
    organisation the country of its incorporation."""
    classified = recall(party, eccn_on_file).value is Tri.YES
    answers = []
    for deemed in deemed_parts(party):
        if deemed.missing:
            covered = unknown(*deemed.missing)
        elif not classified:
            covered = unknown("model.eccn")
        else:
            hits = tuple(country for country in deemed.countries if column_covers(party, country))
            covered = deemed.whether(hits, every=False) or yes(("deemed_country", hits), ("basis", deemed.basis))
        answers.append(logic.all_of((deemed.foreign, covered)))
    return logic.any_of(answers)


@word(_PARTY, None, _DEEMED_KNOWN, _DEEMED_EXPORT, example="deemed-known")
def deemed_known(party: Party, _: str) -> Answer:
    """The party is a foreign person, and the country that a release is deemed to go to is known."""
    return logic.any_of(
        unknown(*deemed.missing, *deemed.undated)
        if deemed.missing or deemed.undated
        else logic.all_of((deemed.foreign, yes(("deemed_country", deemed.countries), ("basis", deemed.basis))))
        for deemed in deemed_parts(party)
    )


@word(_PARTY, parameters.PLACES, _DEEMED_IN, _DEEMED_EXPORT, example="!deemed-in:EAR:E:1,EAR:E:2")
def deemed_in(party: Party, parameter: str) -> Answer:
    """A release to the party is deemed to go to one of these."""
    answers = []
    for deemed in deemed_parts(party):
        if deemed.missing:
            inside = unknown(*deemed.missing)
        else:
            hits = places_in(party, deemed.countries, parameter)
            inside = deemed.whether(hits, every=False) or yes(("deemed_country", hits))
        answers.append(logic.all_of((deemed.foreign, inside)))
    return logic.any_of(answers)


@word(_PARTY, parameters.PLACES, _DEEMED_IN, _DEEMED_EXPORT, example="deemed-within:EAR:US,EAR:A:5")
def deemed_within(party: Party, parameter: str) -> Answer:
    """Every country that a release to the party is deemed to go to is one of these."""
    answers = []
    for deemed in deemed_parts(party):
        if deemed.missing:
            answers.append(unknown(*deemed.missing))
        else:
            inside = places_in(party, deemed.countries, parameter)
            answers.append(deemed.whether(inside, every=True) or YES)
    return logic.all_of(answers)
