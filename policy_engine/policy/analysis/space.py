"""The declared world: the finite variables that a requester is made of, and which combinations of them are possible.

One requester asks for itself: a natural person employed by one organisation, or by none; an organisation as such; or an
account that stands for nobody on file. There is no end user and no host. Of each kind of fact there is at most one row
on file: one citizenship held and one from earlier, no permanent residency, one owner, one screening result for each
list, one membership for each consortium, one authorisation of each kind from each regime (uncapped and for every
country, or with no place left; for everybody who acts for the holder, a licence for employees alone).

Countries are folded: those that no word of the rules tells apart, at any of the instants looked at, are one class, and
its first member stands for all. So are purposes. Shares are the points at, between and around the thresholds.

Each axis has its values in order, and the first that fits what the axes before it say is its ordinary value. A profile
is possible when every value fits those before it: who has no organisation has no membership, a foreign person is no
citizen of the United States, a part of a country is stated only with the country.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from itertools import pairwise, product
from typing import Final

from policy_engine.domain.catalogue import Entry
from policy_engine.domain.countries import COUNTRIES, parts_of
from policy_engine.domain.instants import Validity
from policy_engine.domain.places import Places
from policy_engine.domain.roster import Sector
from policy_engine.domain.rules import Book
from policy_engine.policy.analysis.axes import (
    ACCOUNT,
    ADDRESS,
    ASSERTION,
    CITIZENSHIP,
    CLAIM,
    CLUSTER,
    CONTRACTOR,
    COUNTRY_AXES,
    DESTINATION,
    EARLIER,
    EMPLOYEE,
    GATEWAY,
    HEADQUARTERS,
    IDENTITY,
    INCORPORATED,
    INDIVIDUAL,
    LISTING,
    MEMBERSHIP,
    NONE,
    NOT_APPLICABLE,
    ORGANISATION,
    ORGANISED,
    OTHER,
    OWNER_HOME,
    OWNER_LIST,
    PAPER,
    PART,
    PEOPLE,
    PLACE,
    PURPOSE,
    REQUESTER,
    RESELLER,
    SECTOR,
    SHARE,
    STATEMENT,
    STRANGER,
    UNFILED,
    UNKNOWN,
    US_STATUS,
    Axis,
    Profile,
)
from policy_engine.policy.analysis.readings import PAPER_WORDS, reading_of, split, terms_of

_US: Final = frozenset({"US"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabularies:
    """The names that the rules of some books use, by what they name; they become axes and values."""

    tokens: frozenset[str]
    lists: tuple[str, ...]
    consortia: tuple[str, ...]
    statements: tuple[str, ...]
    papers: tuple[str, ...]
    purposes: tuple[str, ...]
    exceptions: tuple[str, ...]
    shares: tuple[str, ...]
    parts: tuple[str, ...]
    organisations: tuple[str, ...]
    gateways: tuple[str, ...]
    readings: Mapping[str, Reading]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a cluster of accounts is read: what its members share, how many they are, how much they exchange in a day,
    and how many hours ago that was."""

    shared: int
    accounts: int
    exchanges_24h: int
    age_hours: int


class _Named:
    """The names that the rules of some books use, while they are collected."""

    def __init__(self) -> None:
        self.tokens: Final[set[str]] = set(_US)
        self.by_prefix: Final[dict[str, set[str]]] = {LISTING: set(), MEMBERSHIP: set(), STATEMENT: set()}
        self.papers: Final[set[str]] = set()
        self.kinds_of_any: Final[set[str]] = set()
        self.purposes: Final[set[str]] = set()
        self.parts: Final[set[str]] = set()
        self.by_word: Final[dict[str, set[str]]] = {"claims": set(), "gateway": set(), "organisation": set()}

    def take_word(self, word: str, parameter: str) -> None:
        """What the word names itself."""
        if word in PAPER_WORDS:
            regime, _, kinds = parameter.partition("/")
            if regime == "any":
                self.kinds_of_any.update(kinds.split(","))
            else:
                self.papers.update(f"{regime}/{kind}" for kind in kinds.split(","))
        elif word in self.by_word and parameter:
            self.by_word[word].add(parameter)
        elif word == "purpose":
            self.purposes.add(parameter)

    def take_axis(self, axis: str, told: frozenset[str] | None, book: Book, entry: Entry | None) -> None:
        """What a word tells apart on an axis."""
        prefix, _, name = axis.partition(":")
        if axis in COUNTRY_AXES:
            self.tokens.update(told or ())
        elif f"{prefix}:" in self.by_prefix:
            self.by_prefix[f"{prefix}:"].add(name)
        elif axis == OWNER_LIST:
            self.by_prefix[LISTING].update(told or ())
        elif axis == PART:
            self.parts.update(_parts_named(book))
        elif axis == PURPOSE and entry is not None:
            self.purposes.update((*entry.purposes, *entry.purposes_needing_review))
            self.purposes.update((told or frozenset()) - {NONE})

    def take_book(self, book: Book) -> None:
        """Everything that the rules of a book name."""
        entries = tuple(book.tables.catalogue.entries.values())
        for word, parameter in terms_of(book):
            self.take_word(word, parameter)
            items: tuple[Entry | None, ...] = (None,) if word in ("on-file", "in-catalogue") else entries
            singles = (parameter,) if word in PAPER_WORDS else split(word, parameter, ())
            for single, entry in product(singles, items):
                for axis, told in reading_of(word, single, book, entry).items():
                    self.take_axis(axis, told, book, entry)
        self.by_word["organisation"].update(entry.vendor for entry in entries if entry.vendor is not None)


def vocabularies(books: Sequence[Book]) -> Vocabularies:
    """What the rules of the books name."""
    named = _Named()
    for book in books:
        named.take_book(book)
    for kind in sorted(named.kinds_of_any):
        if not any(paper.endswith(f"/{kind}") for paper in named.papers):
            named.papers.add(f"operator/{kind}")
    return Vocabularies(
        tokens=frozenset(named.tokens | {part.partition("-")[0] for part in named.parts}),
        lists=tuple(sorted(named.by_prefix[LISTING])),
        consortia=tuple(sorted(named.by_prefix[MEMBERSHIP])),
        statements=tuple(sorted(named.by_prefix[STATEMENT])),
        papers=tuple(sorted(named.papers)),
        purposes=tuple(sorted(named.purposes)),
        exceptions=tuple(sorted(named.by_word["claims"])),
        shares=_shares({rule.test.threshold for book in books for rule in book.tables.ownership.values()}),
        parts=tuple(sorted(named.parts)),
        organisations=tuple(sorted(named.by_word["organisation"])),
        gateways=tuple(sorted(named.by_word["gateway"])),
        readings=_readings(books),
    )


def _readings(books: Iterable[Book]) -> dict[str, Reading]:
    """For each pattern test one reading that is just enough for it, and for each age one that is just too old."""
    tests = [test for book in books for test in book.tables.patterns.values()]
    if not tests:
        return {}
    found = {}
    for shared, accounts, exchanges in sorted(
        {(one.min_shared, one.min_accounts, one.min_exchanges_24h) for one in tests}
    ):
        name = f"{accounts} accounts with {exchanges} exchanges and {shared} common traits"
        found[name] = Reading(shared=shared, accounts=accounts, exchanges_24h=exchanges, age_hours=0)
    for hours in sorted({test.max_age_hours for test in tests}):
        found[f"accounts whose reading is older than {hours} hours"] = Reading(
            shared=max(test.min_shared for test in tests),
            accounts=max(test.min_accounts for test in tests),
            exchanges_24h=max(test.min_exchanges_24h for test in tests),
            age_hours=hours + 1,
        )
    return found


def _parts_named(book: Book) -> set[str]:
    """Every part of a country that some test or group names, and one for all the rest of each such country."""
    found = {part for test in book.tables.parts.values() for part in test.subdivisions}
    countries = {test.country for test in book.tables.parts.values()}
    for group in book.tables.places.groups.values():
        found |= {
            member.subdivision
            for member in group.members
            if member.subdivision is not None and member.country in countries
        }
    return found | {part for country in countries for part in sorted(parts_of(country) - found)[:1]}


def _shares(thresholds: Iterable[Decimal]) -> tuple[str, ...]:
    """One share below, at and above each threshold."""
    bounds = sorted({Decimal(0), *thresholds, Decimal(100)})
    points: set[Decimal] = set()
    for lower, upper in pairwise(bounds):
        points |= {(lower + upper) / 2, upper}
    return tuple(f"{point.normalize():f}" for point in sorted(points))


def edges(validities: Iterable[Validity]) -> list[datetime]:
    """Every instant at which one of them begins or ends, in order."""
    return sorted({edge for validity in validities for edge in (validity.start, validity.end) if edge is not None})


def place_edges(book: Book) -> list[datetime]:
    """Every instant at which a country group, or the reading of one country as another, changes."""
    places = book.tables.places
    members = (member.valid for group in places.groups.values() for member in group.members)
    return edges((*members, *(rule.valid for rule in places.treat_as)))


def _times(books: Iterable[Book], instants: Iterable[datetime]) -> Iterator[tuple[Book, datetime]]:
    """Each book with one of the instants for each time in which none of its country groups changes."""
    for book in books:
        changes = place_edges(book)
        yield from ((book, at) for at in {bisect_right(changes, at): at for at in instants}.values())


def _members(places: Places, group: str, at: datetime) -> frozenset[str]:
    """The countries that are in a group as a whole; none where there is no such group."""
    if group not in places.groups:
        return frozenset()
    candidates = {member.country for member in places.groups[group].members}
    candidates.update(rule.country for rule in places.treat_as)
    return frozenset(country for country in candidates if places.in_group(country, group, at).inside)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryClass:
    """Countries that no rule tells apart; the first stands for all."""

    members: tuple[str, ...]

    @property
    def representative(self) -> str:
        return self.members[0]


class Domain:
    """The axes for some books at some instants."""

    def __init__(self, books: Sequence[Book], instants: Sequence[datetime]) -> None:
        self.books: Final = tuple(books)
        self._times: Final = tuple(_times(books, instants))
        self.names: Final = vocabularies(books)
        self._signatures: dict[tuple[str, str], tuple[bool, ...]] = {}
        self._named_by: dict[str, list[frozenset[str]]] = {}
        self._countries_read: dict[str, list[tuple[str, ...]]] = {}
        self._solved: dict[tuple[object, ...], dict[str, str] | None] = {}
        self._chains_named: Final[dict[tuple[str, ...], list[tuple[str, ...]]]] = {}
        self._ordinary: Final[dict[tuple[str | None, ...], dict[str, str]]] = {}
        self.classes: Final = self._fold(self.names.tokens)
        self.class_of: Final = {one.representative: one for one in self.classes}
        self.axes: Final = self._axes()
        self.order: Final = {axis.name: index for index, axis in enumerate(self.axes)}
        self.index: Final = [{value: place for place, value in enumerate(axis.values)} for axis in self.axes]

    def representative(self, country: str) -> str:
        """The country that stands for the class of this one."""
        return self._representatives[country]

    @cached_property
    def _representatives(self) -> Mapping[str, str]:
        return {member: one.representative for one in self.classes for member in one.members}

    @cached_property
    def countries(self) -> tuple[str, ...]:
        """Every country of every class, in order."""
        return tuple(sorted(member for one in self.classes for member in one.members))

    def _signature(self, country: str, token: str) -> tuple[bool, ...]:
        """In each book and at each instant, whether the country is the one named or in the group named: as itself,
        and as each law reads it."""
        key = (country, token)
        found = self._signatures.get(key)
        if found is None:
            named = self._named(token)
            found = self._signatures[key] = tuple(
                read in inside for inside, reads in zip(named, self._reads(country), strict=True) for read in reads
            )
        return found

    def _named(self, token: str) -> list[frozenset[str]]:
        """In each time, the countries that are named or in the group named."""
        found = self._named_by.get(token)
        if found is None:
            found = self._named_by[token] = [
                _members(book.tables.places, token, at) if ":" in token else frozenset({token})
                for book, at in self._times
            ]
        return found

    def _reads(self, country: str) -> list[tuple[str, ...]]:
        """In each time, the country as itself and as each law reads it."""
        found = self._countries_read.get(country)
        if found is None:
            found = self._countries_read[country] = [
                (
                    country,
                    *(
                        book.tables.places.read_as(country, law, at)
                        for law in sorted({rule.law for rule in book.tables.places.treat_as})
                    ),
                )
                for book, at in self._times
            ]
        return found

    def _fold(self, tokens: frozenset[str]) -> tuple[CountryClass, ...]:
        ordered = sorted(tokens)
        alike: dict[tuple[tuple[bool, ...], ...], list[str]] = {}
        for country in sorted(COUNTRIES):
            alike.setdefault(tuple(self._signature(country, token) for token in ordered), []).append(country)
        classes = [CountryClass(members=tuple(members)) for members in alike.values()]
        return tuple(sorted(classes, key=lambda one: (one.members != ("US",), -len(one.members), one.members)))

    def _axes(self) -> tuple[Axis, ...]:
        names = self.names
        countries = tuple(one.representative for one in self.classes)
        listings = tuple(
            f"{whose} {kind}"
            for whose in ("organisation", "person")
            for kind in ("confirmed", "potential", "outdated", "cleared")
        )
        return (
            _axis(REQUESTER, EMPLOYEE, CONTRACTOR, INDIVIDUAL, UNFILED, ORGANISATION, ACCOUNT, STRANGER),
            _axis(IDENTITY, OTHER, *names.organisations, NOT_APPLICABLE),
            _axis(US_STATUS, "us", "foreign", UNKNOWN, NOT_APPLICABLE),
            _axis(CITIZENSHIP, *countries, UNKNOWN, NOT_APPLICABLE),
            _axis(EARLIER, NONE, *countries, NOT_APPLICABLE),
            _axis(INCORPORATED, *countries, UNKNOWN, NOT_APPLICABLE),
            _axis(HEADQUARTERS, *countries, UNKNOWN, NOT_APPLICABLE),
            _axis(PLACE, *countries, UNKNOWN),
            _axis(PART, NONE, *names.parts),
            _axis(ADDRESS, UNKNOWN, *countries),
            _axis(DESTINATION, UNKNOWN, *countries),
            _axis(SHARE, NONE, *names.shares, UNKNOWN, NOT_APPLICABLE),
            _axis(OWNER_HOME, *countries, UNKNOWN, NOT_APPLICABLE),
            _axis(OWNER_LIST, NONE, *names.lists, NOT_APPLICABLE),
            *(_axis(LISTING + name, NONE, *listings) for name in names.lists),
            *(_axis(MEMBERSHIP + name, NONE, "active", "ended", "suspended") for name in names.consortia),
            *(_axis(STATEMENT + name, NONE, "on file") for name in names.statements),
            *(_axis(PAPER + name, NONE, "held", "ended", "full") for name in names.papers),
            _axis(PURPOSE, NONE, *names.purposes, OTHER),
            _axis(CLAIM, NONE, *names.exceptions, OTHER),
            _axis(SECTOR, *(kind.value for kind in reversed(Sector)), UNKNOWN, NOT_APPLICABLE),
            _axis(RESELLER, "no", "yes", UNKNOWN, NOT_APPLICABLE),
            _axis(CLUSTER, NONE, *names.readings),
            _axis(ASSERTION, "consistent", "conflicting"),
            _axis(GATEWAY, NONE, *names.gateways),
        )

    def folded(self, axis: int, told: frozenset[str] | None) -> tuple[tuple[int, ...], ...]:
        """The values of an axis in classes within which a word that tells these apart cannot see a difference."""
        name, values = self.axes[axis].name, self.axes[axis].values
        if told is None:
            return tuple((index,) for index in range(len(values)))
        alike: dict[object, list[int]] = {}
        for index, value in enumerate(values):
            key: object
            if name in COUNTRY_AXES and value in self.class_of:
                key = tuple(self._signature(value, token) for token in sorted(told))
            elif name in COUNTRY_AXES or value in told or value == NOT_APPLICABLE:
                key = value
            else:
                key = ()
            alike.setdefault(key, []).append(index)
        return tuple(tuple(indexes) for indexes in alike.values())

    def fits(self, name: str, value: str, chosen: Profile) -> bool:
        """Whether the value is possible beside what the axes before it say."""
        rule = _FITTING.get(name) or _FITTING.get(f"{name.partition(':')[0]}:")
        return rule is None or rule(value, chosen)

    def complete(self, choices: Mapping[str, Sequence[str]]) -> dict[str, str] | None:
        """The first possible profile whose named axes have one of the values given, the rest being ordinary; or
        `None` when no profile has them."""
        named = tuple(choices)
        chains = self._chains_named.get(named)
        if chains is None:
            chains = self._chains_named[named] = [one for one in self._chains if not choices.keys().isdisjoint(one)]
        for requester in choices.get(REQUESTER) or self.axes[self.order[REQUESTER]].values:
            chosen = {REQUESTER: requester}
            for chain in chains:
                solved = self._solve(chain, choices, requester)
                if solved is None:
                    break
                chosen |= solved
            else:
                return self._rounded_off(chosen)
        return None

    def _solve(
        self, chain: tuple[str, ...], choices: Mapping[str, Sequence[str]], requester: str
    ) -> dict[str, str] | None:
        """The first possible values of a chain, which no other chain has a say in; remembered by what may be chosen."""
        key = (chain, requester, *(tuple(choices[name]) if name in choices else None for name in chain))
        if key not in self._solved:
            chosen = {REQUESTER: requester}
            self._solved[key] = chosen if self._choose(chain, choices, chosen) else None
        return self._solved[key]

    @cached_property
    def _chains(self) -> tuple[tuple[str, ...], ...]:
        """The axes by what they decide of each other once the requester is chosen."""
        chained = {name for chain in _CHAINS for name in chain}
        single = (axis.name for axis in self.axes if axis.name not in chained and axis.name != REQUESTER)
        return (*_CHAINS, *((name,) for name in single))

    def _choose(self, chain: Sequence[str], choices: Mapping[str, Sequence[str]], chosen: dict[str, str]) -> bool:
        if not chain:
            return True
        name, *rest = chain
        for value in choices.get(name) or self.axes[self.order[name]].values:
            if self.fits(name, value, chosen):
                chosen[name] = value
                if choices.keys().isdisjoint(rest) or self._choose(rest, choices, chosen):
                    return True
                del chosen[name]
        return False

    def _rounded_off(self, chosen: Mapping[str, str]) -> dict[str, str]:
        """The profile with an ordinary value on every axis that is not chosen."""
        key = tuple(chosen.get(name) for name in _DECIDING)
        found = self._ordinary.get(key)
        if found is None:
            found = {name: chosen[name] for name in _DECIDING if name in chosen}
            for axis in self.axes:
                if axis.name not in found:
                    found[axis.name] = next(value for value in axis.values if self.fits(axis.name, value, found))
            found = self._ordinary[key] = {axis.name: found[axis.name] for axis in self.axes}
        return {**found, **chosen}

    def assignment(self, profile: Profile) -> list[int]:
        """The profile as numbers, in the order of the axes."""
        return [self.index[place][profile[axis.name]] for place, axis in enumerate(self.axes)]

    def possible(self, profile: Profile) -> bool:
        """Whether every value fits those before it."""
        return all(self.fits(axis.name, profile[axis.name], profile) for axis in self.axes)


DECIDED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    REQUESTER: (),
    CITIZENSHIP: (REQUESTER, US_STATUS),
    EARLIER: (REQUESTER, US_STATUS, CITIZENSHIP),
    PART: (PLACE,),
    OWNER_HOME: (REQUESTER, SHARE),
    OWNER_LIST: (REQUESTER, SHARE),
}
"""The axes that decide what fits on an axis, with those that decide them, where it is not the requester alone."""

_CHAINS: Final = ((US_STATUS, CITIZENSHIP, EARLIER), (PLACE, PART), (SHARE, OWNER_HOME, OWNER_LIST))

_DECIDING: Final = (REQUESTER, US_STATUS, CITIZENSHIP, PLACE, SHARE)


def _axis(name: str, *values: str) -> Axis:
    return Axis(name=name, values=values)


def _of_organisation(value: str, chosen: Profile) -> bool:
    return (value == NOT_APPLICABLE) == (chosen[REQUESTER] not in ORGANISED)


def _of_record(value: str, chosen: Profile) -> bool:
    """Of an organisation of which nothing is filed, everything is unknown."""
    return value == UNKNOWN if chosen[REQUESTER] == UNFILED else _of_organisation(value, chosen)


def _us_status(value: str, chosen: Profile) -> bool:
    return (value == NOT_APPLICABLE) == (chosen[REQUESTER] not in PEOPLE)


def _citizenship(value: str, chosen: Profile) -> bool:
    foreign_american = value == "US" and chosen[US_STATUS] == "foreign"
    return (value == NOT_APPLICABLE) == (chosen[REQUESTER] not in PEOPLE) and not foreign_american


def _earlier(value: str, chosen: Profile) -> bool:
    return (value == NOT_APPLICABLE) == (chosen[CITIZENSHIP] in (UNKNOWN, NOT_APPLICABLE))


def _of_owner(value: str, chosen: Profile) -> bool:
    return (value == NOT_APPLICABLE) == (chosen[SHARE] in (NONE, NOT_APPLICABLE))


def _part(value: str, chosen: Profile) -> bool:
    return value == NONE or value.partition("-")[0] == chosen[PLACE]


def _listing(value: str, chosen: Profile) -> bool:
    return value == NONE or chosen[REQUESTER] in (ORGANISED if value.startswith("organisation ") else PEOPLE)


def _held(value: str, chosen: Profile) -> bool:
    return value == NONE or chosen[REQUESTER] in ORGANISED


def _clustered(value: str, chosen: Profile) -> bool:
    return value == NONE or chosen[REQUESTER] in (EMPLOYEE, CONTRACTOR, ACCOUNT)


def _asserted(value: str, chosen: Profile) -> bool:
    return value == "consistent" or chosen[REQUESTER] != STRANGER


_FITTING: Final[Mapping[str, Callable[[str, Profile], bool]]] = {
    **dict.fromkeys((IDENTITY, SHARE), _of_organisation),
    **dict.fromkeys((INCORPORATED, HEADQUARTERS, SECTOR, RESELLER), _of_record),
    US_STATUS: _us_status,
    CITIZENSHIP: _citizenship,
    EARLIER: _earlier,
    **dict.fromkeys((OWNER_HOME, OWNER_LIST), _of_owner),
    PART: _part,
    LISTING: _listing,
    **dict.fromkeys((MEMBERSHIP, STATEMENT, PAPER), _held),
    CLUSTER: _clustered,
    ASSERTION: _asserted,
}
"""What fits beside the axes before, by axis or by the prefix of a family of axes."""
