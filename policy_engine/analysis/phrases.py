"""Profiles in words: a cube as a phrase that a compliance officer can read, with the countries counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from policy_engine.analysis.diagram import Cube
from policy_engine.analysis.dimensions import COUNTRY_AXES
from policy_engine.analysis.profiles import Domain
from policy_engine.domain.words import dimensions

NAMED: Final = 4
"""So many countries are named; of more, the number is told."""

_COUNTRY_PHRASES: Final[Mapping[str, str]] = {
    dimensions.CITIZENSHIP: "citizens of {}",
    dimensions.EARLIER: "once citizens of {}",
    dimensions.INCORPORATED: "organisation incorporated in {}",
    dimensions.HEADQUARTERS: "organisation headquartered in {}",
    dimensions.PLACE: "place stated in {}",
    dimensions.ADDRESS: "network address in {}",
    dimensions.DESTINATION: "going to {}",
    dimensions.OWNER_HOME: "owner headquartered in {}",
}

_PHRASES: Final[Mapping[tuple[str, str], str]] = {
    (dimensions.REQUESTER, dimensions.EMPLOYEE): "employees",
    (dimensions.REQUESTER, dimensions.CONTRACTOR): "contractors",
    (dimensions.REQUESTER, dimensions.INDIVIDUAL): "people who act for no organisation",
    (dimensions.REQUESTER, dimensions.UNFILED): "people whose employment was never filed",
    (dimensions.REQUESTER, dimensions.ORGANISATION): "organisations as such",
    (dimensions.REQUESTER, dimensions.ACCOUNT): "accounts that stand for nobody on file",
    (dimensions.REQUESTER, dimensions.STRANGER): "requesters who are not on file",
    (dimensions.IDENTITY, dimensions.OTHER): "acting for an organisation that no rule names",
    (dimensions.GATEWAY, dimensions.NONE): "through no gateway that a rule names",
    (dimensions.US_STATUS, "us"): "US persons",
    (dimensions.US_STATUS, "foreign"): "foreign persons",
    (dimensions.US_STATUS, dimensions.UNKNOWN): "US status unknown",
    (dimensions.US_STATUS, dimensions.NOT_APPLICABLE): "no natural person on file",
    (dimensions.CITIZENSHIP, dimensions.UNKNOWN): "citizenship unknown",
    (dimensions.CITIZENSHIP, dimensions.NOT_APPLICABLE): "no natural person on file",
    (dimensions.EARLIER, dimensions.NONE): "no earlier citizenship",
    (dimensions.PLACE, dimensions.UNKNOWN): "place not stated",
    (dimensions.PART, dimensions.NONE): "part of the country not stated",
    (dimensions.ADDRESS, dimensions.UNKNOWN): "network address not placed",
    (dimensions.DESTINATION, dimensions.UNKNOWN): "no destination stated",
    (dimensions.SHARE, dimensions.NONE): "no owner on file",
    (dimensions.SHARE, dimensions.UNKNOWN): "an owner with an unknown share",
    (dimensions.OWNER_HOME, dimensions.UNKNOWN): "owner's headquarters unknown",
    (dimensions.OWNER_LIST, dimensions.NONE): "owner on no list",
    (dimensions.PURPOSE, dimensions.NONE): "purpose not stated",
    (dimensions.PURPOSE, dimensions.OTHER): "a purpose that no model names",
    (dimensions.CLAIM, dimensions.NONE): "no exception claimed",
    (dimensions.CLAIM, dimensions.OTHER): "another exception claimed",
    (dimensions.RESELLER, "yes"): "reseller",
    (dimensions.RESELLER, "no"): "no reseller",
    (dimensions.RESELLER, dimensions.UNKNOWN): "unknown whether a reseller",
    (dimensions.CLUSTER, dimensions.NONE): "no suspicious cluster of accounts",
    (dimensions.ASSERTION, "consistent"): "nothing asserted against the file",
    (dimensions.ASSERTION, "conflicting"): "asserting what the file contradicts",
}


def countries_of(domain: Domain, values: Iterable[str]) -> tuple[str, ...]:
    """All countries of the classes that the values stand for."""
    classes = (domain.class_of[value] for value in values if value in domain.class_of)
    return tuple(sorted(member for one in classes for member in one.members))


def cube_in_words(domain: Domain, cube: Cube) -> str:
    """The profiles of a cube; "everybody" for all."""
    phrases = []
    for position, indexes in cube:
        axis = domain.axes[position]
        phrases.append(axis_in_words(domain, axis.name, [axis.values[index] for index in sorted(indexes)]))
    return ", ".join(dict.fromkeys(phrases)) or "everybody"


def axis_in_words(domain: Domain, name: str, values: Iterable[str]) -> str:
    """The values that an axis may have; where it may have nearly all, those that it may not have."""
    given = list(values)
    if name in COUNTRY_AXES:
        return _countries_in_words(domain, name, given)
    every = domain.axes[domain.order[name]].values
    left = [value for value in every if value not in set(given) and value != dimensions.NOT_APPLICABLE]
    if (name, *left) == (dimensions.REQUESTER, dimensions.STRANGER):
        return "everybody on file"
    if len(given) > 2 and 0 < len(left) <= 2:
        return f"not ({' or '.join(_value_in_words(domain, name, value) for value in left)})"
    return _joined(domain, name, given)


def _countries_in_words(domain: Domain, name: str, given: Sequence[str]) -> str:
    countries = countries_of(domain, given)
    rest = [value for value in given if value not in domain.class_of]
    phrases = [_COUNTRY_PHRASES[name].format(_counted(domain, countries))] if countries else []
    return " or ".join([*phrases, _joined(domain, name, rest)] if rest else phrases)


def _joined(domain: Domain, name: str, values: Sequence[str]) -> str:
    """The values in words, those that say that there is nothing of the kind last."""
    ordered = sorted(values, key=lambda value: value == dimensions.NOT_APPLICABLE)
    return " or ".join(dict.fromkeys(_value_in_words(domain, name, value) for value in ordered))


def _counted(domain: Domain, countries: tuple[str, ...]) -> str:
    every = domain.countries
    if countries == every:
        return "any country"
    told = frozenset(countries)
    left = [country for country in every if country not in told]
    if len(countries) <= NAMED:
        return ", ".join(countries)
    if len(left) <= NAMED:
        return f"any country but {', '.join(left)} ({len(countries)} countries)"
    return f"{len(countries)} countries ({', '.join(countries[: NAMED - 1])}, …)"


def _value_in_words(domain: Domain, name: str, value: str) -> str:
    known = _PHRASES.get((name, value))
    if known is not None:
        return known
    if value == dimensions.NOT_APPLICABLE:
        return (
            "no owner on file" if name in (dimensions.OWNER_HOME, dimensions.OWNER_LIST) else "no organisation on file"
        )
    if name == dimensions.SHARE:
        return f"an owner with {_share(domain, value)}"
    kind, _, parameter = name.partition(":")
    template = _TEMPLATES.get((kind, value)) or _TEMPLATES.get((kind, ""), f"{name.replace('_', ' ')} {{value}}")
    return template.format(
        value=value.replace("_", " "), of=parameter.replace("/", " "), country=value.partition("-")[0]
    )


_TEMPLATES: Final[Mapping[tuple[str, str], str]] = {
    ("listing", dimensions.NONE): "not on {of}",
    ("listing", ""): "{value} on {of}",
    ("membership", dimensions.NONE): "no membership of {of}",
    ("membership", ""): "{value} membership of {of}",
    ("statement", dimensions.NONE): "no {of} statement",
    ("statement", ""): "{of} statement on file",
    ("paper", dimensions.NONE): "no {of}",
    ("paper", "held"): "{of} held",
    ("paper", "ended"): "{of} ended",
    ("paper", "full"): "{of} with no place left",
    (dimensions.OWNER_LIST, ""): "owner on {value}",
    (dimensions.PART, ""): "in {value}",
    (dimensions.IDENTITY, ""): "acting for {value}",
    (dimensions.GATEWAY, ""): "through the gateway {value}",
    (dimensions.CLUSTER, ""): "account in a cluster of {value}",
    (dimensions.PURPOSE, ""): "purpose {value}",
    (dimensions.CLAIM, ""): "claiming {value}",
    (dimensions.SECTOR, ""): "sector {value}",
}
"""By kind of axis and value, "" for every other value."""


def _share(domain: Domain, value: str) -> str:
    """A share stands for itself when it is a bound, and for all between its neighbours otherwise."""
    points = [Decimal(point) for point in domain.names.shares]
    place = points.index(Decimal(value))
    if place % 2:
        return f"{value} %"
    lower = points[place - 1] if place else Decimal(0)
    return f"more than {lower:f} and less than {points[place + 1]:f} %"
