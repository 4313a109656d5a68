"""Words about the natural person: US status, and the countries that a release is deemed to go to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from policy_engine.domain import logic
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
from policy_engine.domain.words.groups import column_covers, places_in
from policy_engine.domain.words.items import eccn_on_file
from policy_engine.domain.words.memory import recall
from policy_engine.domain.words.organisations import foreign_organisation


def status(party: Party) -> UsStatusKind | None:
    person = party.person
    if person is None:
        return None
    party.question.horizon.note(earliest((row.valid for row in person.us_statuses or ()), at=party.question.at))
    return status_at(person, party.question.at)


def foreign_person(party: Party, _: str) -> Answer:
    if party.person is None:
        return unknown("person.us_status") if party.person_unknown else NO
    kind = status(party)
    if kind is None:
        return unknown("person.us_status")
    return known(kind not in US_PERSON_KINDS)


def us_person(party: Party, _: str) -> Answer:
    if party.person is None:
        return unknown("person.us_status") if party.person_unknown else NO
    kind = status(party)
    if kind is None:
        return unknown("person.us_status")
    return yes(("us_status", kind.value)) if kind in US_PERSON_KINDS else NO


def note_countries(party: Party, person: Person) -> None:
    rows: tuple[Citizenship | PermanentResidency, ...] = (
        *(person.citizenships or ()),
        *(person.permanent_residencies or ()),
    )
    party.question.horizon.note(earliest((row.valid for row in rows), at=party.question.at))


def itar_national(party: Party, parameter: str) -> Answer:
    foreign = recall(party, "foreign-person", "", foreign_person)
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


def itar_within(party: Party, parameter: str) -> Answer:
    """Every country of which the natural person ever was a citizen, or now is a permanent resident, is one of these."""
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
                foreign=recall(party, "foreign-person", "", foreign_person),
                countries=tuple(read(country, "EAR", question.at) for country in deemed.countries),
                basis=deemed.basis,
                missing=deemed.missing,
                undated=deemed.undated,
                cases=deemed.cases,
            )
        )
    elif party.person_unknown:
        unfiled = ("person.citizenships", "person.permanent_residencies")
        found.append(Deemed(foreign=recall(party, "foreign-person", "", foreign_person), missing=unfiled))
    if party.organisation is not None:
        foreign = recall(party, "foreign-organisation", "", foreign_organisation)
        incorporated = party.organisation.incorporated
        if incorporated is None:
            found.append(Deemed(foreign=foreign, missing=("organisation.incorporated",)))
        else:
            country = read(incorporated, "EAR", question.at)
            found.append(Deemed(foreign=foreign, countries=(country,), basis=(f"incorporation in {incorporated}",)))
    return [one for one in found if one.foreign.value is not Tri.NO]


def deemed_covered(party: Party, _: str) -> Answer:
    classified = recall(party, "eccn-on-file", "", eccn_on_file).value is Tri.YES
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


def deemed_known(party: Party, _: str) -> Answer:
    return logic.any_of(
        unknown(*deemed.missing, *deemed.undated)
        if deemed.missing or deemed.undated
        else logic.all_of((deemed.foreign, yes(("deemed_country", deemed.countries), ("basis", deemed.basis))))
        for deemed in deemed_parts(party)
    )


def deemed_in(party: Party, parameter: str) -> Answer:
    answers = []
    for deemed in deemed_parts(party):
        if deemed.missing:
            inside = unknown(*deemed.missing)
        else:
            hits = places_in(party, deemed.countries, parameter)
            inside = deemed.whether(hits, every=False) or yes(("deemed_country", hits))
        answers.append(logic.all_of((deemed.foreign, inside)))
    return logic.any_of(answers)


def deemed_within(party: Party, parameter: str) -> Answer:
    answers = []
    for deemed in deemed_parts(party):
        if deemed.missing:
            answers.append(unknown(*deemed.missing))
        else:
            inside = places_in(party, deemed.countries, parameter)
            answers.append(deemed.whether(inside, every=True) or YES)
    return logic.all_of(answers)
