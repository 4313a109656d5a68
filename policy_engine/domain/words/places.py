"""Words about places: where the request comes from, where the item goes."""

from __future__ import annotations

from policy_engine.domain import logic
from policy_engine.domain.countries import COUNTRIES
from policy_engine.domain.facts import Party
from policy_engine.domain.instants import earliest
from policy_engine.domain.logic import NO, YES, Answer, Tri, known, unknown, yes
from policy_engine.domain.places import part_of_postcode
from policy_engine.domain.words.groups import column_covers, places_in
from policy_engine.domain.words.items import eccn_on_file, item_of
from policy_engine.domain.words.memory import recall
from policy_engine.domain.words.organisations import establishments


def stated_places(party: Party) -> tuple[tuple[str, str], ...]:
    place, destination = party.question.request.place, party.question.request.destination
    stated = (
        ("place.country", place.country),
        ("place.ip_country", place.ip_country),
        ("destination.country", destination.country),
    )
    return tuple((name, country) for name, country in stated if country is not None)


def no_place(party: Party) -> bool:
    place = party.question.request.place
    return place.country is None and place.ip_country is None


def unknown_places(party: Party) -> list[str]:
    missing = ["place.country"] if no_place(party) else []
    missing += [name for name, country in stated_places(party) if country not in COUNTRIES]
    return missing + [name for name, country in establishments(party.organisation) if country is None]


def all_places(party: Party) -> list[tuple[str, str]]:
    established = establishments(party.organisation)
    stated = [(name, country) for name, country in stated_places(party) if country in COUNTRIES]
    return [*stated, *((name, country) for name, country in established if country is not None)]


def located_in(party: Party, parameter: str) -> Answer:
    hits = [(name, country) for name, country in all_places(party) if places_in(party, (country,), parameter)]
    if hits:
        return yes(("place", tuple(f"{name}={country}" for name, country in hits)))
    missing = unknown_places(party)
    return unknown(*missing) if missing else NO


def vendor_supports(party: Party, country: str) -> bool:
    """A vendor without a list of places leaves none out."""
    supported, unsupported = (f"VENDOR:{item_of(party).vendor}:{name}" for name in ("supported", "unsupported"))
    groups = party.question.tables.places.groups
    if supported in groups:
        return bool(places_in(party, (country,), supported))
    return unsupported not in groups or not places_in(party, (country,), unsupported)


def excluded_part(party: Party, test: str) -> Answer:
    """Whether the place of the request is in a part of a country that the vendor's list leaves out."""
    excluded = f"VENDOR:{item_of(party).vendor}:excluded-parts"
    if excluded not in party.question.tables.places.groups:
        return NO
    return recall(party, "in-part", f"{test},{excluded}", in_part)


def unsupported_place(party: Party, parameter: str) -> Answer:
    hits = [(name, country) for name, country in all_places(party) if not vendor_supports(party, country)]
    part = excluded_part(party, parameter)
    if hits:
        named = yes(("place", tuple(f"{name}={country}" for name, country in hits)))
        return logic.any_of((named, part)) if part.value is Tri.YES else named
    missing = unknown_places(party)
    return logic.any_of((unknown(*missing) if missing else NO, part))


def in_part(party: Party, parameter: str) -> Answer:
    """`parameter` is a parts test, and after a comma the group whose parts count instead of the test's own."""
    name, _, group = parameter.partition(",")
    question = party.question
    test = question.tables.parts[name]
    barred = set(test.subdivisions)
    if group:
        members = question.tables.places.groups[group].members
        question.horizon.note(earliest((member.valid for member in members), at=question.at))
        barred = {one.subdivision for one in members if one.subdivision is not None and one.valid.holds(question.at)}
    place = question.request.place
    if place.subdivision is not None:
        part: str | None = place.subdivision
    elif place.postcode is not None:
        part = part_of_postcode(test, place.country or place.ip_country, place.postcode)
    else:
        part = None
    if part is not None:
        return yes(("subdivision", part)) if part in barred else NO
    if test.country in (place.country, place.ip_country):
        return unknown("place.subdivision")
    return NO


def received_in(party: Party) -> str | None:
    request = party.question.request
    country = request.destination.country or request.place.country
    return country if country in COUNTRIES else None


def receives_abroad(party: Party, _: str) -> Answer:
    country = received_in(party)
    if country is None:
        return unknown("place.country")
    return yes(("country", country)) if country != "US" else NO


def receives_in(party: Party, parameter: str) -> Answer:
    country = received_in(party)
    if country is None:
        return unknown("place.country")
    return yes(("country", country)) if places_in(party, (country,), parameter) else NO


def destination_known(party: Party, _: str) -> Answer:
    return unknown("place.country") if received_in(party) is None else YES


def place_stated(party: Party, _: str) -> Answer:
    return known(bool(stated_places(party)))


def column_destination(party: Party, _: str) -> Answer:
    country = received_in(party)
    if country is None:
        return unknown("place.country")
    if country == "US":
        return NO
    if recall(party, "eccn-on-file", "", eccn_on_file).value is not Tri.YES:
        return unknown("model.eccn")
    read = party.question.tables.places.read_as(country, "EAR", party.question.at)
    return yes(("country", country)) if column_covers(party, read) else NO
