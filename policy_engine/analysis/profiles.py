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
from functools import cache, cached_property
from itertools import pairwise, product
from typing import Final

from policy_engine.analysis.dimensions import COUNTRY_AXES, ORGANISED, PEOPLE, Axis, Profile
from policy_engine.analysis.word_reads import asks_of_authorisations, dimensions_read, split, terms_of
from policy_engine.domain.catalogue import Entry
from policy_engine.domain.countries import COUNTRIES, parts_of
from policy_engine.domain.instants import Validity
from policy_engine.domain.places import Places
from policy_engine.domain.roster import Sector
from policy_engine.domain.rules import Book
from policy_engine.domain.words import GATES, VOCABULARY, dimensions
from policy_engine.domain.words.parameters import ANY_REGIME, Named


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabularies:
    """The names that the rules of some books use, by what they name; they become axes and values."""

    tokens: frozenset[str]
    lists: tuple[str, ...]
    consortia: tuple[str, ...]
    statements: tuple[str, ...]
    authorisations: tuple[str, ...]
    purposes: tuple[str, ...]
    exceptions: tuple[str, ...]
    shares: tuple[str, ...]
    parts: tuple[str, ...]
    organisations: tuple[str, ...]
    gateways: tuple[str, ...]
    readings: Mapping[str, ClusterProfile]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterProfile:
    """How a cluster of accounts is read: what its members share, how many they are, how much they exchange in a day,
    and how many hours ago that was."""

    shared: int
    accounts: int
    exchanges_24h: int
    age_hours: int


class _Named:
    """The names that the rules of some books use, while they are collected."""

    def __init__(self) -> None:
        self.tokens: Final[set[str]] = set(dimensions.US)
        self.by_prefix: Final[dict[str, set[str]]] = {
            dimensions.LISTING: set(),
            dimensions.MEMBERSHIP: set(),
            dimensions.STATEMENT: set(),
        }
        self.by_kind: Final[dict[Named, set[str]]] = {kind: set() for kind in Named}
        self.authorisations: Final[set[str]] = set()
        self.kinds_of_any: Final[set[str]] = set()
        self.purposes: Final[set[str]] = set()
        self.parts: Final[set[str]] = set()

    def take_word(self, word: str, parameter: str) -> None:
        """What the word names itself."""
        asked = VOCABULARY[word]
        for kind, name in asked.names(parameter):
            self.by_kind[kind].add(name)
        for regime in asked.named(parameter, Named.AUTHORISATION_REGIME):
            kinds = asked.named(parameter, Named.AUTHORISATION_KIND)
            if regime == ANY_REGIME:
                self.kinds_of_any.update(kinds)
            else:
                self.authorisations.update(f"{regime}/{kind}" for kind in kinds)

    def take_axis(self, axis: str, told: frozenset[str] | None, book: Book, entry: Entry | None) -> None:
        """What a word tells apart on an axis."""
        prefix, _, name = axis.partition(":")
        if axis in COUNTRY_AXES:
            self.tokens.update(told or ())
        elif f"{prefix}:" in self.by_prefix:
            self.by_prefix[f"{prefix}:"].add(name)
        elif axis == dimensions.OWNER_LIST:
            self.by_prefix[dimensions.LISTING].update(told or ())
        elif axis == dimensions.PART:
            self.parts.update(_parts_named(book))
        elif axis == dimensions.PURPOSE and entry is not None:
            self.purposes.update((*entry.purposes, *entry.purposes_needing_review))
            self.purposes.update((told or frozenset()) - {dimensions.NONE})

    def take_book(self, book: Book) -> None:
        """Everything that the rules of a book name."""
        entries = tuple(book.tables.catalogue.entries.values())
        for word, parameter in terms_of(book):
            self.take_word(word, parameter)
            items: tuple[Entry | None, ...] = (None,) if word in GATES else entries
            singles = (parameter,) if asks_of_authorisations(word) else split(word, parameter, ())
            for single, entry in product(singles, items):
                for axis, told in dimensions_read(word, single, book, entry).items():
                    self.take_axis(axis, told, book, entry)
        self.by_kind[Named.ORGANISATION].update(entry.vendor for entry in entries if entry.vendor is not None)


def vocabularies(books: Sequence[Book]) -> Vocabularies:
    """What the rules of the books name."""
    named = _Named()
    for book in books:
        named.take_book(book)
    for kind in sorted(named.kinds_of_any):
        if not any(authorisation.endswith(f"/{kind}") for authorisation in named.authorisations):
            named.authorisations.add(f"operator/{kind}")
    return Vocabularies(
        tokens=frozenset(named.tokens | {part.partition("-")[0] for part in named.parts}),
        lists=tuple(sorted(named.by_prefix[dimensions.LISTING])),
        consortia=tuple(sorted(named.by_prefix[dimensions.MEMBERSHIP])),
        statements=tuple(sorted(named.by_prefix[dimensions.STATEMENT])),
        authorisations=tuple(sorted(named.authorisations)),
        purposes=tuple(sorted(named.purposes | named.by_kind[Named.PURPOSE])),
        exceptions=tuple(sorted(named.by_kind[Named.EXCEPTION])),
        shares=_shares({rule.test.threshold for book in books for rule in book.tables.ownership.values()}),
        parts=tuple(sorted(named.parts)),
        organisations=tuple(sorted(named.by_kind[Named.ORGANISATION])),
        gateways=tuple(sorted(named.by_kind[Named.GATEWAY])),
        readings=_readings(books),
    )


def _readings(books: Iterable[Book]) -> dict[str, ClusterProfile]:
    """For each pattern test one reading that is just enough for it, and for each age one that is just too old."""
    tests = [test for book in books for test in book.tables.patterns.values()]
    if not tests:
        return {}
    found = {}
    for shared, accounts, exchanges in sorted(
        {(one.min_shared, one.min_accounts, one.min_exchanges_24h) for one in tests}
    ):
        name = f"{accounts} accounts with {exchanges} exchanges and {shared} common traits"
        found[name] = ClusterProfile(shared=shared, accounts=accounts, exchanges_24h=exchanges, age_hours=0)
    for hours in sorted({test.max_age_hours for test in tests}):
        found[f"accounts whose reading is older than {hours} hours"] = ClusterProfile(
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
        self._signature: Final = cache(self._signature_of)
        self._named: Final = cache(self._named_by)
        self._reads: Final = cache(self._read_as)
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

    def _signature_of(self, country: str, token: str) -> tuple[bool, ...]:
        """In each book and at each instant, whether the country is the one named or in the group named: as itself,
        and as each law reads it."""
        both = zip(self._named(token), self._reads(country), strict=True)
        return tuple(read in inside for inside, reads in both for read in reads)

    def _named_by(self, token: str) -> list[frozenset[str]]:
        """In each time, the countries that are named or in the group named."""
        return [
            _members(book.tables.places, token, at) if ":" in token else frozenset({token}) for book, at in self._times
        ]

    def _read_as(self, country: str) -> list[tuple[str, ...]]:
        """In each time, the country as itself and as each law reads it."""
        found = []
        for book, at in self._times:
            places = book.tables.places
            laws = sorted({rule.law for rule in places.treat_as})
            found.append((country, *(places.read_as(country, law, at) for law in laws)))
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
            _axis(
                dimensions.REQUESTER,
                dimensions.EMPLOYEE,
                dimensions.CONTRACTOR,
                dimensions.INDIVIDUAL,
                dimensions.UNFILED,
                dimensions.ORGANISATION,
                dimensions.ACCOUNT,
                dimensions.STRANGER,
            ),
            _axis(dimensions.IDENTITY, dimensions.OTHER, *names.organisations, dimensions.NOT_APPLICABLE),
            _axis(dimensions.US_STATUS, "us", "foreign", dimensions.UNKNOWN, dimensions.NOT_APPLICABLE),
            _axis(dimensions.CITIZENSHIP, *countries, dimensions.UNKNOWN, dimensions.NOT_APPLICABLE),
            _axis(dimensions.EARLIER, dimensions.NONE, *countries, dimensions.NOT_APPLICABLE),
            _axis(dimensions.INCORPORATED, *countries, dimensions.UNKNOWN, dimensions.NOT_APPLICABLE),
            _axis(dimensions.HEADQUARTERS, *countries, dimensions.UNKNOWN, dimensions.NOT_APPLICABLE),
            _axis(dimensions.PLACE, *countries, dimensions.UNKNOWN),
            _axis(dimensions.PART, dimensions.NONE, *names.parts),
            _axis(dimensions.ADDRESS, dimensions.UNKNOWN, *countries),
            _axis(dimensions.DESTINATION, dimensions.UNKNOWN, *countries),
            _axis(dimensions.SHARE, dimensions.NONE, *names.shares, dimensions.UNKNOWN, dimensions.NOT_APPLICABLE),
            _axis(dimensions.OWNER_HOME, *countries, dimensions.UNKNOWN, dimensions.NOT_APPLICABLE),
            _axis(dimensions.OWNER_LIST, dimensions.NONE, *names.lists, dimensions.NOT_APPLICABLE),
            *(_axis(dimensions.LISTING + name, dimensions.NONE, *listings) for name in names.lists),
            *(
                _axis(dimensions.MEMBERSHIP + name, dimensions.NONE, "active", "ended", "suspended")
                for name in names.consortia
            ),
            *(_axis(dimensions.STATEMENT + name, dimensions.NONE, "on file") for name in names.statements),
            *(
                _axis(dimensions.AUTHORISATION + name, dimensions.NONE, "held", "ended", "full")
                for name in names.authorisations
            ),
            _axis(dimensions.PURPOSE, dimensions.NONE, *names.purposes, dimensions.OTHER),
            _axis(dimensions.CLAIM, dimensions.NONE, *names.exceptions, dimensions.OTHER),
            _axis(
                dimensions.SECTOR,
                *(kind.value for kind in reversed(Sector)),
                dimensions.UNKNOWN,
                dimensions.NOT_APPLICABLE,
            ),
            _axis(dimensions.RESELLER, "no", "yes", dimensions.UNKNOWN, dimensions.NOT_APPLICABLE),
            _axis(dimensions.CLUSTER, dimensions.NONE, *names.readings),
            _axis(dimensions.ASSERTION, "consistent", "conflicting"),
            _axis(dimensions.GATEWAY, dimensions.NONE, *names.gateways),
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
            elif name in COUNTRY_AXES or value in told or value == dimensions.NOT_APPLICABLE:
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
        for requester in choices.get(dimensions.REQUESTER) or self.axes[self.order[dimensions.REQUESTER]].values:
            chosen = {dimensions.REQUESTER: requester}
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
            chosen = {dimensions.REQUESTER: requester}
            self._solved[key] = chosen if self._choose(chain, choices, chosen) else None
        return self._solved[key]

    @cached_property
    def _chains(self) -> tuple[tuple[str, ...], ...]:
        """The axes by what they decide of each other once the requester is chosen."""
        chained = {name for chain in _CHAINS for name in chain}
        single = (axis.name for axis in self.axes if axis.name not in chained and axis.name != dimensions.REQUESTER)
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
    dimensions.REQUESTER: (),
    dimensions.CITIZENSHIP: (dimensions.REQUESTER, dimensions.US_STATUS),
    dimensions.EARLIER: (dimensions.REQUESTER, dimensions.US_STATUS, dimensions.CITIZENSHIP),
    dimensions.PART: (dimensions.PLACE,),
    dimensions.OWNER_HOME: (dimensions.REQUESTER, dimensions.SHARE),
    dimensions.OWNER_LIST: (dimensions.REQUESTER, dimensions.SHARE),
}
"""The axes that decide what fits on an axis, with those that decide them, where it is not the requester alone."""

_CHAINS: Final = (
    (dimensions.US_STATUS, dimensions.CITIZENSHIP, dimensions.EARLIER),
    (dimensions.PLACE, dimensions.PART),
    (dimensions.SHARE, dimensions.OWNER_HOME, dimensions.OWNER_LIST),
)

_DECIDING: Final = (
    dimensions.REQUESTER,
    dimensions.US_STATUS,
    dimensions.CITIZENSHIP,
    dimensions.PLACE,
    dimensions.SHARE,
)


def _axis(name: str, *values: str) -> Axis:
    return Axis(name=name, values=values)


def _applies(value: str, applies: bool) -> bool:
    """Whether a value fits where the axis applies, or where it does not."""
    return (value == dimensions.NOT_APPLICABLE) != applies


def _of_organisation(value: str, chosen: Profile) -> bool:
    return _applies(value, chosen[dimensions.REQUESTER] in ORGANISED)


def _of_record(value: str, chosen: Profile) -> bool:
    """Of an organisation of which nothing is filed, everything is unknown."""
    unfiled = chosen[dimensions.REQUESTER] == dimensions.UNFILED
    return value == dimensions.UNKNOWN if unfiled else _of_organisation(value, chosen)


def _of_person(value: str, chosen: Profile) -> bool:
    return _applies(value, chosen[dimensions.REQUESTER] in PEOPLE)


def _citizenship(value: str, chosen: Profile) -> bool:
    return _of_person(value, chosen) and not (value == "US" and chosen[dimensions.US_STATUS] == "foreign")


def _earlier(value: str, chosen: Profile) -> bool:
    return _applies(value, chosen[dimensions.CITIZENSHIP] not in (dimensions.UNKNOWN, dimensions.NOT_APPLICABLE))


def _of_owner(value: str, chosen: Profile) -> bool:
    return _applies(value, chosen[dimensions.SHARE] not in (dimensions.NONE, dimensions.NOT_APPLICABLE))


def _part(value: str, chosen: Profile) -> bool:
    return value == dimensions.NONE or value.partition("-")[0] == chosen[dimensions.PLACE]


def _listing(value: str, chosen: Profile) -> bool:
    whose = ORGANISED if value.startswith("organisation ") else PEOPLE
    return value == dimensions.NONE or chosen[dimensions.REQUESTER] in whose


def _held(value: str, chosen: Profile) -> bool:
    return value == dimensions.NONE or chosen[dimensions.REQUESTER] in ORGANISED


_WITH_ACCOUNTS: Final = frozenset({dimensions.EMPLOYEE, dimensions.CONTRACTOR, dimensions.ACCOUNT})


def _clustered(value: str, chosen: Profile) -> bool:
    return value == dimensions.NONE or chosen[dimensions.REQUESTER] in _WITH_ACCOUNTS


def _asserted(value: str, chosen: Profile) -> bool:
    return value == "consistent" or chosen[dimensions.REQUESTER] != dimensions.STRANGER


_FITTING: Final[Mapping[str, Callable[[str, Profile], bool]]] = {
    **dict.fromkeys((dimensions.IDENTITY, dimensions.SHARE), _of_organisation),
    **dict.fromkeys(
        (dimensions.INCORPORATED, dimensions.HEADQUARTERS, dimensions.SECTOR, dimensions.RESELLER), _of_record
    ),
    dimensions.US_STATUS: _of_person,
    dimensions.CITIZENSHIP: _citizenship,
    dimensions.EARLIER: _earlier,
    **dict.fromkeys((dimensions.OWNER_HOME, dimensions.OWNER_LIST), _of_owner),
    dimensions.PART: _part,
    dimensions.LISTING: _listing,
    **dict.fromkeys((dimensions.MEMBERSHIP, dimensions.STATEMENT, dimensions.AUTHORISATION), _held),
    dimensions.CLUSTER: _clustered,
    dimensions.ASSERTION: _asserted,
}
"""What fits beside the axes before, by axis or by the prefix of a family of axes."""
