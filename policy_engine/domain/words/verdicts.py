"""Words about what other rows said; they are answered after those."""

from __future__ import annotations

from policy_engine.domain.countries import is_country
from policy_engine.domain.facts import Party
from policy_engine.domain.logic import NO, Answer, Tri, known, yes
from policy_engine.domain.rules import Term
from policy_engine.domain.words.groups import places_in
from policy_engine.domain.words.places import place_in_excluded_part, vendor_supports


def status_read(party: Party, parameter: str) -> Answer:
    rules = parameter.split(",")
    return known(any(row.id in rules for row in party.question.reached))


def unbarred(party: Party, parameter: str) -> Answer:
    return known(party.question.matched_regimes.isdisjoint(parameter.split(",")))


def barred(party: Party, parameter: str) -> Answer:
    barred = party.question.barred_regimes.get(id(party), frozenset())
    found = tuple(sorted(barred.intersection(parameter.split(","))))
    return yes(("barred_by", found)) if found else NO


def place_conflict(party: Party, parameter: str) -> Answer:
    """Whether one of the rules named bars the stated country and not that of the address, or the other way round.

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


def bars_country(party: Party, term: Term, country: str) -> bool:
    if term.word == "located-in":
        return bool(places_in(party, (country,), term.parameter))
    if term.word == "unsupported-place":
        if not vendor_supports(party, country):
            return True
        test = party.question.tables.parts[term.parameter]
        return country == test.country and place_in_excluded_part(party, term.parameter).value is not Tri.NO
    return False
