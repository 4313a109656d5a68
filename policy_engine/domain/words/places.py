"""Words about places: where the request comes from, where the item goes."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from typing import Final

from policy_engine.domain import logic
from policy_engine.domain.catalogue import Entry
from policy_engine.domain.countries import is_country
from policy_engine.domain.facts import Edition, Party
from policy_engine.domain.instants import earliest
from policy_engine.domain.logic import NO, YES, Answer, Tri, known, unknown, yes
from policy_engine.domain.places import PartDoubt, PartsTest, Site, barred_part, part_of_postcode
from policy_engine.domain.request import Destination, Place
from policy_engine.domain.rules import Book
from policy_engine.domain.words import dimensions, parameters
from policy_engine.domain.words.dimensions import Dimensions, always, by_book, countries
from policy_engine.domain.words.groups import TERRITORIES, column_covers, column_tokens, places_in
from policy_engine.domain.words.items import eccn_on_file, item_of
from policy_engine.domain.words.memory import recall
from policy_engine.domain.words.organisations import establishments
from policy_engine.domain.words.word import HOUSE, PLAIN, Absent, Clause, Fact, ItemPart, own, word


def stated_places(party: Party) -> tuple[tuple[str, str], ...]:
    """The countries stated; that of a part is one of them where it is another than the country beside it."""
    place, destination = party.question.request.place, party.question.request.destination
    if party.question.edition < Edition.DOUBTS:
        place, destination = replace(place, subdivision=None), replace(destination, subdivision=None)
    stated = (
        ("place.country", place.country),
        ("place.subdivision", _another(place.country, place.subdivision)),
        ("place.ip_country", place.ip_country),
        ("destination.country", destination.country),
        ("destination.subdivision", _another(destination.country, destination.subdivision)),
    )
    return tuple((name, country) for name, country in stated if country is not None)


def _another(country: str | None, subdivision: str | None) -> str | None:
    of_part = None if subdivision is None else subdivision.partition("-")[0]
    return None if of_part == country else of_part


def no_place(party: Party) -> bool:
    place = party.question.request.place
    return place.country is None and place.ip_country is None


def unknown_places(party: Party) -> list[str]:
    missing = ["place.country"] if no_place(party) else []
    missing += [name for name, country in stated_places(party) if not is_country(country)]
    return missing + [name for name, country in establishments(party.organisation) if country is None]


def all_places(party: Party) -> list[tuple[str, str]]:
    established = establishments(party.organisation)
    stated = [(name, country) for name, country in stated_places(party) if is_country(country)]
    return [*stated, *((name, country) for name, country in established if country is not None)]


_STATED: Final = replace(PLAIN, dimensions=countries(dimensions.PLACE, dimensions.DESTINATION))
_ALL_PLACES: Final = replace(_STATED, facts=own(Fact.INCORPORATED, Fact.HEADQUARTERS))


def vendor_tokens(book: Book, entry: Entry | None) -> frozenset[str]:
    """The place lists of an item's vendor."""
    vendor = entry.vendor if entry is not None else None
    names = (f"VENDOR:{vendor}:supported", f"VENDOR:{vendor}:unsupported")
    return frozenset(name for name in names if name in book.tables.places.groups)


def unsupported_tokens(test: str, book: Book, entry: Entry | None) -> frozenset[str]:
    """What `unsupported-place` asks of a country that is stated: the vendor's lists, and whether it has parts."""
    return vendor_tokens(book, entry) | {book.tables.parts[test].country}


def _unsupported(test: str, book: Book, entry: Entry | None) -> Dimensions:
    stated = unsupported_tokens(test, book, entry)
    return (
        {dimensions.PART: None}
        | dict.fromkeys((dimensions.PLACE, dimensions.ADDRESS, dimensions.DESTINATION), stated)
        | dict.fromkeys((dimensions.INCORPORATED, dimensions.HEADQUARTERS), vendor_tokens(book, entry))
    )


def _parts(parameter: str, book: Book) -> Dimensions:
    country = frozenset({book.tables.parts[parameter.partition(",")[0]].country})
    return {dimensions.PART: None} | dict.fromkeys(
        (dimensions.PLACE, dimensions.ADDRESS, dimensions.DESTINATION), country
    )


def _columns(_: str, book: Book, entry: Entry | None) -> Dimensions:
    return dict.fromkeys((dimensions.PLACE, dimensions.DESTINATION), column_tokens(book, entry) | dimensions.US)


_PLACE: Final = ("place",)
_OF_PARTY_TOO: Final = ("place", "party")


_UNSUPPORTED_PLACE: Final = replace(_ALL_PLACES, item=ItemPart.VENDOR_PLACES, dimensions=_unsupported)


@word(
    _PLACE,
    parameters.PLACES,
    replace(
        _ALL_PLACES,
        dimensions=countries(
            dimensions.PLACE,
            dimensions.ADDRESS,
            dimensions.DESTINATION,
            dimensions.INCORPORATED,
            dimensions.HEADQUARTERS,
        ),
    ),
    HOUSE,
    example="located-in:CU,IR,KP",
)
def located_in(party: Party, parameter: str) -> Answer:
    """A stated place, the place of the address, the destination, the country of a stated part, or the incorporation or
    headquarters of the organisation judged is one of these; unknown where no place is stated, no establishment is on
    file, or a code is not that of a country."""
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
    """Whether a place of the request is in a part of a country that the vendor's list leaves out."""
    group = _excluded_parts(party)
    return recall(party, in_part, f"{test},{group}") if group else NO


def _excluded_parts(party: Party) -> str | None:
    group = f"VENDOR:{item_of(party).vendor}:excluded-parts"
    return group if group in party.question.tables.places.groups else None


@word(_PLACE, parameters.PARTS_TEST, _UNSUPPORTED_PLACE, HOUSE, example="unsupported-place:UA")
def unsupported_place(party: Party, parameter: str) -> Answer:
    """One of those places is not on the place list of the model's vendor, or is in an excluded part."""
    hits = [(name, country) for name, country in all_places(party) if not vendor_supports(party, country)]
    part = excluded_part(party, parameter)
    if hits:
        named = yes(("place", tuple(f"{name}={country}" for name, country in hits)))
        return logic.any_of((named, part)) if part.value is Tri.YES else named
    missing = unknown_places(party)
    return logic.any_of((unknown(*missing) if missing else NO, part))


@word(_PLACE, parameters.PARTS_TEST, replace(_STATED, dimensions=by_book(_parts)), HOUSE, example="in-part:UA")
def in_part(party: Party, parameter: str) -> Answer:
    """The place of the request, or the destination, is in a barred part of a country. Subdivision and postcode are
    checked one by one; unknown where the country is stated without either, where a subdivision code does not exist, or
    where the two disagree.

    `parameter` is a parts test, and after a comma the group whose parts count instead of the test's own.
    """
    request = party.question.request
    if party.question.edition < Edition.DOUBTS:
        return _in_part(party, parameter, "place", _place_site(request.place))
    sites = {"place": _place_site(request.place), "destination": _destination_site(request.destination)}
    return logic.any_of(_in_part(party, parameter, name, site) for name, site in sites.items())


def place_in_excluded_part(party: Party, test: str) -> Answer:
    """As `excluded_part`, of the place of the request alone."""
    if party.question.edition < Edition.DOUBTS:
        return excluded_part(party, test)
    group = _excluded_parts(party)
    return _in_part(party, f"{test},{group}", "place", _place_site(party.question.request.place)) if group else NO


def _in_part(party: Party, parameter: str, name: str, site: Site) -> Answer:
    test, _, group = parameter.partition(",")
    question = party.question
    parts = question.tables.parts[test]
    barred = set(parts.subdivisions)
    if group:
        members = question.tables.places.groups[group].members
        question.horizon.note(earliest((member.valid for member in members), at=question.at))
        barred = {one.subdivision for one in members if one.subdivision is not None and one.valid.holds(question.at)}
    part = (_part_before if question.edition < Edition.DOUBTS else barred_part)(parts, barred, site)
    if part is None:
        return NO
    return unknown(f"{name}.{part.value}") if isinstance(part, PartDoubt) else yes(("subdivision", part))


def _part_before(test: PartsTest, barred: Container[str], site: Site) -> str | PartDoubt | None:
    """As `barred_part` was, for replays: the subdivision silenced the postcode, and any code was taken for a part."""
    part = site.subdivision
    if part is None and site.postcode is not None:
        part = part_of_postcode(test, site.country or site.address, site.postcode)
    if part is not None:
        return part if part in barred else None
    return PartDoubt.SUBDIVISION if test.country in (site.country, site.address) else None


def _place_site(place: Place) -> Site:
    return Site(country=place.country, address=place.ip_country, subdivision=place.subdivision, postcode=place.postcode)


def _destination_site(destination: Destination) -> Site:
    return Site(country=destination.country, subdivision=destination.subdivision, postcode=destination.postcode)


def received_in(party: Party) -> str | None:
    """The country that receives the item: that of the destination where one is stated, else that of the place."""
    request = party.question.request
    country = request.destination.country if _destination_stated(party) else request.place.country
    return country if country is not None and is_country(country) else None


def _destination_stated(party: Party) -> bool:
    destination = party.question.request.destination
    return any(one is not None for one in (destination.country, destination.subdivision, destination.postcode))


def _unknown_receiver(party: Party) -> Answer:
    return unknown("destination.country" if _destination_stated(party) else "place.country")


@word(
    _OF_PARTY_TOO,
    None,
    replace(_STATED, dimensions=always({dimensions.PLACE: dimensions.US, dimensions.DESTINATION: dimensions.US})),
    TERRITORIES,
    example="receives-abroad",
)
def receives_abroad(party: Party, _: str) -> Answer:
    """The item goes to a country other than the US and its territories: the destination, else the stated place."""
    country = received_in(party)
    if country is None:
        return _unknown_receiver(party)
    return NO if in_the_us(party, country) else yes(("country", country))


def in_the_us(party: Party, country: str) -> bool:
    """15 CFR 772.1 and 22 CFR 120.60 count the territories as the United States; the groups say which they are."""
    return party.question.tables.places.read_as(country, "EAR", party.question.at) == "US"


@word(_OF_PARTY_TOO, parameters.PLACES, _STATED, HOUSE, example="receives-in:EAR:US,EAR:A:5")
def receives_in(party: Party, parameter: str) -> Answer:
    """The item goes to one of these: the destination, else the stated place."""
    country = received_in(party)
    if country is None:
        return _unknown_receiver(party)
    return yes(("country", country)) if places_in(party, (country,), parameter) else NO


@word(
    _PLACE,
    None,
    replace(
        _STATED,
        dimensions=always({dimensions.PLACE: dimensions.NOTHING, dimensions.DESTINATION: dimensions.NOTHING}),
    ),
    HOUSE,
    example="destination-known",
)
def destination_known(party: Party, _: str) -> Answer:
    """It is known where the item goes: the destination, else the stated place."""
    return _unknown_receiver(party) if received_in(party) is None else YES


@word(
    _OF_PARTY_TOO,
    None,
    replace(
        _STATED,
        absent=Absent.REQUEST,
        dimensions=always(
            {
                dimensions.PLACE: dimensions.NOTHING,
                dimensions.ADDRESS: dimensions.NOTHING,
                dimensions.DESTINATION: dimensions.NOTHING,
            }
        ),
    ),
    HOUSE,
    example="place-stated & receives-in:BY",
)
def place_stated(party: Party, _: str) -> Answer:
    """Some place is stated: country, address or destination."""
    place, destination = party.question.request.place, party.question.request.destination
    stated = (place.country, place.ip_country, destination.country)
    return known(any(country is not None for country in stated))


@word(
    _PLACE,
    None,
    replace(_STATED, item=ItemPart.COLUMNS, dimensions=_columns),
    Clause(
        what="an item needs a licence to go where a column of its ECCN covers the country",
        source="15 CFR 734.13(a)(1), 738.4; Supp. 1 to Part 738",
        checked=True,
    ),
    example="column-destination",
)
def column_destination(party: Party, _: str) -> Answer:
    """The item goes abroad to a country that a column of its ECCN covers."""
    country = received_in(party)
    if country is None:
        return _unknown_receiver(party)
    if in_the_us(party, country):
        return NO
    if recall(party, eccn_on_file).value is not Tri.YES:
        return unknown("model.eccn")
    read = party.question.tables.places.read_as(country, "EAR", party.question.at)
    return yes(("country", country)) if column_covers(party, read) else NO
