"""Country groups in force at an instant, territories read as part of another country, and parts of countries.

A country is ISO 3166-1 alpha-2 and a part ISO 3166-2. Under the EAR and the ITAR Hong Kong is read as China (85 FR
83788, E.O. 13936); in the vendors' and OFAC's groups it is a place of its own. An unknown country is never "in no
group": who asks about it gets unknown.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import cached_property

from policy_engine.domain.countries import is_subdivision
from policy_engine.domain.instants import ALWAYS, Validity


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMember:
    """A country, or a part of it, in a group for a time."""

    country: str
    subdivision: str | None = None
    valid: Validity = ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryGroup:
    """A named list of places with its source; `checked` says that the members were compared with the source."""

    name: str
    label: str
    source: str
    checked: bool
    members: tuple[GroupMember, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TreatAs:
    """A law (`law` is the first part of a group's name, such as EAR) reads one place as another."""

    country: str
    read_as: str
    law: str
    source: str
    valid: Validity = ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class PostcodeRule:
    """Postcodes of so many digits, written in one of these countries, lie in a part by their first digits."""

    digits: int
    countries: tuple[str, ...]
    prefixes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsTest:
    """Parts of a country that are barred, and how to tell them from a postcode."""

    name: str
    country: str
    subdivisions: tuple[str, ...]
    postcodes: tuple[PostcodeRule, ...]

    @property
    def countries(self) -> frozenset[str]:
        """The country, and those that write postcodes of their own for its parts."""
        return frozenset({self.country, *(country for rule in self.postcodes for country in rule.countries)})


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMembership:
    """Whether a place is in a group now, and when that changes next."""

    inside: bool
    changes_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Places:
    """The country groups of a book. `compared` has the readings of which somebody said whether they were compared with
    their source."""

    groups: Mapping[str, CountryGroup]
    treat_as: tuple[TreatAs, ...] = ()
    compared: Mapping[TreatAs, bool] = field(default_factory=dict)

    @cached_property
    def _wholes(self) -> Mapping[str, Mapping[str, tuple[Validity, ...]]]:
        """By group and country, when the country as a whole is in the group."""
        return {
            name: {
                country: tuple(
                    member.valid for member in group.members if member.country == country and member.subdivision is None
                )
                for country in {member.country for member in group.members}
            }
            for name, group in self.groups.items()
        }

    def read_as(self, country: str, law: str, at: datetime) -> str:
        """The country as that law reads it at the instant."""
        for rule in self.treat_as:
            if rule.law == law and rule.country == country and rule.valid.holds(at):
                return rule.read_as
        return country

    def times_in(self, country: str, group: str, at: datetime) -> tuple[Validity, ...]:
        """When a country, read as the group's law reads it at the instant, is in the group as a whole."""
        return self._wholes[group].get(self.read_as(country, group.partition(":")[0], at), ())

    def in_group(self, country: str, group: str, at: datetime) -> GroupMembership:
        """Whether a country as a whole is in the group at the instant. Raises `KeyError` for no such group."""
        law = group.partition(":")[0]
        changes = [rule.valid.next_change(at) for rule in self.treat_as if rule.law == law and rule.country == country]
        times = self.times_in(country, group, at)
        changes += [valid.next_change(at) for valid in times]
        return GroupMembership(
            inside=any(valid.holds(at) for valid in times),
            changes_at=min((change for change in changes if change is not None), default=None),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What is stated about where something is: the country, that of its network address, the part and the postcode."""

    country: str | None
    address: str | None = None
    subdivision: str | None
    postcode: str | None


class PartDoubt(Enum):
    """Which of the things stated, or not stated, leaves open whether a site is in a barred part."""

    SUBDIVISION = "subdivision"
    POSTCODE = "postcode"


def barred_part(test: PartsTest, barred: Container[str], site: Site) -> str | PartDoubt | None:
    """The barred part that a site is in, what leaves it open, or `None` where it is in none.

    Each thing stated is held against the lists for itself:

    - a subdivision that is barred bars, whatever stands beside it;
    - a subdivision is known only if ISO 3166-2 has it. One that names nothing says nothing, and in a country in which
      parts of the test's country are written with its own postcodes it leaves open which part is meant;
    - a postcode in a barred part bars, unless a known subdivision says another part: the two disagree;
    - that the site is elsewhere in the test's country is known by a subdivision of it that does not disagree with the
      stated country, or, where none is stated, by a postcode that can be read as one of it.

    Where nothing stated names the test's country the site is in none of its parts.
    """
    named = site.subdivision if site.subdivision is not None and is_subdivision(site.subdivision) else None
    if named is not None and named in barred:
        return named
    countries = [country for country in (site.country, site.address) if country is not None]
    postcode = site.postcode or ""
    by_postcode = next(
        (part for country in countries if (part := part_of_postcode(test, country, postcode)) in barred), None
    )
    if by_postcode is not None:
        return by_postcode if named is None else PartDoubt.SUBDIVISION
    stated = {*countries, *([] if site.subdivision is None else [site.subdivision.partition("-")[0]])}
    misnamed = site.subdivision is not None and named is None
    if test.country not in stated and not (misnamed and not stated.isdisjoint(test.countries)):
        return None
    of_country = (site.country or site.address or test.country) == test.country
    readable = part_of_postcode(test, test.country, postcode) is not None
    if site.subdivision is not None:
        if named is None or not of_country or not named.startswith(f"{test.country}-"):
            return PartDoubt.SUBDIVISION
        return None if readable or not postcode else PartDoubt.POSTCODE
    return None if of_country and readable else PartDoubt.SUBDIVISION


def part_of_postcode(test: PartsTest, country: str | None, postcode: str) -> str | None:
    """The barred part a postcode lies in, "" when it lies elsewhere, or `None` when it cannot be read.

    Blanks and hyphens are passed over; a postcode with another number of digits than the tables know for the country
    proves nothing.
    """
    digits = postcode.replace(" ", "").replace("-", "")
    readable = False
    for rule in test.postcodes:
        if country not in rule.countries or len(digits) != rule.digits or not (digits.isascii() and digits.isdigit()):
            continue
        readable = True
        for prefix, part in rule.prefixes:
            if digits.startswith(prefix):
                return part
    return "" if readable else None
