"""Words about what other rows said; they are answered after those."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from policy_engine.domain.catalogue import Entry
from policy_engine.domain.countries import is_country
from policy_engine.domain.facts import Party
from policy_engine.domain.logic import NO, Answer, Tri, known, yes
from policy_engine.domain.rules import Book, Term
from policy_engine.domain.words import dimensions, parameters
from policy_engine.domain.words.dimensions import Dimensions, tokens
from policy_engine.domain.words.groups import places_in
from policy_engine.domain.words.places import place_in_excluded_part, unsupported_tokens, vendor_supports
from policy_engine.domain.words.word import HOUSE, PLAIN, Absent, ItemPart, Looks, word


def bars_country(party: Party, term: Term, country: str) -> bool:
    if term.word == "located-in":
        return bool(places_in(party, (country,), term.parameter))
    if term.word == "unsupported-place":
        if not vendor_supports(party, country):
            return True
        test = party.question.tables.parts[term.parameter]
        return country == test.country and place_in_excluded_part(party, term.parameter).value is not Tri.NO
    return False


_ROWS: Final = replace(PLAIN, absent=Absent.REQUEST, looks=Looks.AT_ROWS_REACHED)


def _compared(parameter: str, book: Book, entry: Entry | None) -> Dimensions:
    """The countries that the place conditions of the rules named tell apart, as `bars_country` reads them."""
    rules = parameter.split(",")
    read: set[str] = set()
    for term in (term for row in book.rows if row.id in rules for term in row.facet("place").terms):
        if term.word == "located-in":
            read |= tokens(term.parameter)
        elif term.word == "unsupported-place":
            read |= unsupported_tokens(term.parameter, book, entry)
    compared = frozenset(read)
    return {dimensions.PLACE: compared, dimensions.PART: None, dimensions.ADDRESS: compared}


_PLACE_CONFLICT: Final = replace(_ROWS, item=ItemPart.VENDOR_PLACES, dimensions=_compared)
_UNBARRED_BY: Final = replace(_ROWS, looks=Looks.AT_BARS_MATCHED)
_BARRED_BY: Final = replace(_ROWS, looks=Looks.AT_BARS_STANDING)


@word(("place",), parameters.RULES, _PLACE_CONFLICT, HOUSE, example="place-conflict:VENDOR-REGION,OFAC-EMBARGO")
def place_conflict(party: Party, parameter: str) -> Answer:
    """Stated country and address are known and differ, and one of these rules, being in force and reaching the item,
    bars the one and not the other.

    An address whose country is not known differs from nothing: the place is unknown, and the place rules bar for that.
    """
    place = party.question.request.place
    if place.country is None or place.ip_country is None or place.country == place.ip_country:
        return NO
    if not (is_country(place.country) and is_country(place.ip_country)):
        return NO
    named = parameter.split(",")
    for row in party.question.reached:
        if row.id not in named:
            continue
        for term in row.facet("place").terms:
            stated, address = (bars_country(party, term, country) for country in (place.country, place.ip_country))
            if stated != address:
                stricter = place.country if stated else place.ip_country
                return yes(
                    ("stated", place.country), ("address", place.ip_country), ("stricter", stricter), ("rule", row.id)
                )
    return NO


@word(("party",), parameters.RULES, _ROWS, HOUSE, example="us-person & status-read-by:ITAR-RELEASE")
def status_read_by(party: Party, parameter: str) -> Answer:
    """One of these rules is in force and reaches the action and the item."""
    rules = parameter.split(",")
    return known(any(row.id in rules for row in party.question.reached))


@word(("party",), parameters.REGIMES, _UNBARRED_BY, HOUSE, example="unbarred-by:us-ear,us-order")
def unbarred_by(party: Party, parameter: str) -> Answer:
    """No enforced bar of these regimes matched; one that was lifted has matched."""
    return known(party.question.matched_regimes.isdisjoint(parameter.split(",")))


@word(("party",), parameters.REGIMES, _BARRED_BY, HOUSE, example="barred-by:us-ear,vendor")
def barred_by(party: Party, parameter: str) -> Answer:
    """An enforced bar of these regimes stands against this party and was not lifted."""
    barred = party.question.barred_regimes.get(id(party), frozenset())
    found = tuple(sorted(barred.intersection(parameter.split(","))))
    return yes(("barred_by", found)) if found else NO
