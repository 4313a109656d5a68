"""Profiles in words: a cube as a phrase that a compliance officer can read, with the countries counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from policy_engine.policy.analysis import axes
from policy_engine.policy.analysis.diagram import Cube
from policy_engine.policy.analysis.space import Domain

NAMED: Final = 4
"""So many countries are named; of more, the number is told."""

_COUNTRY_PHRASES: Final[Mapping[str, str]] = {
    axes.CITIZENSHIP: "citizens of {}",
    axes.EARLIER: "once citizens of {}",
    axes.INCORPORATED: "organisation incorporated in {}",
    axes.HEADQUARTERS: "organisation headquartered in {}",
    axes.PLACE: "place stated in {}",
    axes.ADDRESS: "network address in {}",
    axes.DESTINATION: "going to {}",
    axes.OWNER_HOME: "owner headquartered in {}",
}

_PHRASES: Final[Mapping[tuple[str, str], str]] = {
    (axes.REQUESTER, axes.EMPLOYEE): "employees",
    (axes.REQUESTER, axes.CONTRACTOR): "contractors",
    (axes.REQUESTER, axes.INDIVIDUAL): "people who act for no organisation",
    (axes.REQUESTER, axes.UNFILED): "people whose employment was never filed",
    (axes.REQUESTER, axes.ORGANISATION): "organisations as such",
    (axes.REQUESTER, axes.ACCOUNT): "accounts that stand for nobody on file",
    (axes.REQUESTER, axes.STRANGER): "requesters who are not on file",
    (axes.IDENTITY, axes.OTHER): "acting for an organisation that no rule names",
    (axes.GATEWAY, axes.NONE): "through no gateway that a rule names",
    (axes.US_STATUS, "us"): "US persons",
    (axes.US_STATUS, "foreign"): "foreign persons",
    (axes.US_STATUS, axes.UNKNOWN): "US status unknown",
    (axes.US_STATUS, axes.NOT_APPLICABLE): "no natural person on file",
    (axes.CITIZENSHIP, axes.UNKNOWN): "citizenship unknown",
    (axes.CITIZENSHIP, axes.NOT_APPLICABLE): "no natural person on file",
    (axes.EARLIER, axes.NONE): "no earlier citizenship",
    (axes.PLACE, axes.UNKNOWN): "place not stated",
    (axes.PART, axes.NONE): "part of the country not stated",
    (axes.ADDRESS, axes.UNKNOWN): "network address not placed",
    (axes.DESTINATION, axes.UNKNOWN): "no destination stated",
    (axes.SHARE, axes.NONE): "no owner on file",
    (axes.SHARE, axes.UNKNOWN): "an owner with an unknown share",
    (axes.OWNER_HOME, axes.UNKNOWN): "owner's headquarters unknown",
    (axes.OWNER_LIST, axes.NONE): "owner on no list",
    (axes.PURPOSE, axes.NONE): "purpose not stated",
    (axes.PURPOSE, axes.OTHER): "a purpose that no model names",
    (axes.CLAIM, axes.NONE): "no exception claimed",
    (axes.CLAIM, axes.OTHER): "another exception claimed",
    (axes.RESELLER, "yes"): "reseller",
    (axes.RESELLER, "no"): "no reseller",
    (axes.RESELLER, axes.UNKNOWN): "unknown whether a reseller",
    (axes.CLUSTER, axes.NONE): "no suspicious cluster of accounts",
    (axes.ASSERTION, "consistent"): "nothing asserted against the file",
    (axes.ASSERTION, "conflicting"): "asserting what the file contradicts",
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
    if name in axes.COUNTRY_AXES:
        return _countries_in_words(domain, name, given)
    every = domain.axes[domain.order[name]].values
    left = [value for value in every if value not in set(given) and value != axes.NOT_APPLICABLE]
    if (name, *left) == (axes.REQUESTER, axes.STRANGER):
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
    ordered = sorted(values, key=lambda value: value == axes.NOT_APPLICABLE)
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
    if value == axes.NOT_APPLICABLE:
        return "no owner on file" if name in (axes.OWNER_HOME, axes.OWNER_LIST) else "no organisation on file"
    if name == axes.SHARE:
        return f"an owner with {_share(domain, value)}"
    kind, _, parameter = name.partition(":")
    template = _TEMPLATES.get((kind, value)) or _TEMPLATES.get((kind, ""), f"{name.replace('_', ' ')} {{value}}")
    return template.format(
        value=value.replace("_", " "), of=parameter.replace("/", " "), country=value.partition("-")[0]
    )


_TEMPLATES: Final[Mapping[tuple[str, str], str]] = {
    ("listing", axes.NONE): "not on {of}",
    ("listing", ""): "{value} on {of}",
    ("membership", axes.NONE): "no membership of {of}",
    ("membership", ""): "{value} membership of {of}",
    ("statement", axes.NONE): "no {of} statement",
    ("statement", ""): "{of} statement on file",
    ("paper", axes.NONE): "no {of}",
    ("paper", "held"): "{of} held",
    ("paper", "ended"): "{of} ended",
    ("paper", "full"): "{of} with no place left",
    (axes.OWNER_LIST, ""): "owner on {value}",
    (axes.PART, ""): "in {value}",
    (axes.IDENTITY, ""): "acting for {value}",
    (axes.GATEWAY, ""): "through the gateway {value}",
    (axes.CLUSTER, ""): "account in a cluster of {value}",
    (axes.PURPOSE, ""): "purpose {value}",
    (axes.CLAIM, ""): "claiming {value}",
    (axes.SECTOR, ""): "sector {value}",
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
