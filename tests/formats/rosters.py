"""Rosters that a membership file may hold: every kind of row, corrections included, nothing contradictory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Final, TypeVar

from hypothesis import strategies as st

from policy_engine.domain.countries import COUNTRIES
from policy_engine.domain.instants import Validity
from policy_engine.domain.request import Action
from policy_engine.domain.roster import (
    Account,
    AccountKind,
    Authorisation,
    AuthorisationKind,
    Citizenship,
    ClusterReading,
    Consortium,
    Credit,
    Draw,
    Employment,
    EmploymentKind,
    Listing,
    ListingStatus,
    Membership,
    MembershipStatus,
    Organisation,
    PermanentResidency,
    PersonEntry,
    Recorded,
    RosterRows,
    Sector,
    Stake,
    Statement,
    StatementKind,
    UsStatus,
    UsStatusKind,
)
from policy_engine.formats.fields import free_text_fault, name_fault

R = TypeVar("R", bound=Recorded)
T = TypeVar("T")
D = TypeVar("D", UsStatus, Membership, Employment, Listing, Statement)

TRICKY: Final = (
    *(
        "NO",
        "no",
        "y",
        "null",
        "~",
        "true",
        "NaN",
        "Infinity",
        ".inf",
        "1",
        "1e5",
        "0x1f",
        "007",
        "1_000",
        "12:30",
        "=",
    ),
    *("-", "- a", "2026-01-01", "a: b", "a #b", "#a", "[a]", "{a", "a, b", "'", '"', "\\", "\\n", "@a", "`a`", "%a"),
    *("*a", "&a", "!a", "|", ">", "?", "<<", "北河控股", "a b", "É", "𝄞", "a" * 200),
)
"""Texts that a careless writer of YAML would change."""

ORGANISATIONS: Final = ("NO", "1e5", "a: b", "北河控股")
PEOPLE: Final = ("null", "2026-01-01", "- a")
CONSORTIA: Final = ("glasswing", "y")
AUTHORISATIONS: Final = ("D-1", "007")
CLUSTERS: Final = ("c-9", "#a")
"""Ids that every drawn roster has, so that any row may name any of them."""

FIRST: Final = datetime.min.replace(tzinfo=UTC)
INSTANTS: Final = st.datetimes(max_value=datetime(9998, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - given one
AFTER_ALL: Final = datetime(9999, 1, 1, tzinfo=UTC)
RECORDED: Final = st.none() | INSTANTS
CODES: Final = st.sampled_from(["NO", *sorted(COUNTRIES)])
COUNTS: Final = st.none() | st.integers(0, 2**63 - 1)


def _is_name(text: str) -> bool:
    return name_fault(text) is None and not text.startswith("person:")


def _is_text(text: str) -> bool:
    return free_text_fault(text) is None


def _drawn(choices: Iterable[str], fits: Callable[[str], bool]) -> st.SearchStrategy[str]:
    """One of the choices, or any text that fits; a choice in place of one that does not, since a roster has so many
    texts that of those in which each fits by chance only one in thirteen is left."""
    fitting = [text for text in choices if fits(text)]
    anything = st.text(max_size=12).map(lambda text: text if fits(text) else fitting[len(text) % len(fitting)])
    return st.sampled_from(fitting) | anything


NAMES: Final = _drawn(TRICKY, _is_name)
"""Ids, and other names that are compared byte for byte."""
TEXTS: Final = _drawn([*TRICKY, " a ", "a\u200cb"], _is_text)
"""Texts for people to read."""


def distinct(values: st.SearchStrategy[T]) -> st.SearchStrategy[tuple[T, ...]]:
    """A few values, none twice."""
    return st.lists(values, max_size=3, unique=True).map(tuple)


def once(rows: Iterable[R]) -> tuple[R, ...]:
    """The rows without those that share a key and an instant of recording."""
    return tuple({(row.key, row.recorded_at): row for row in rows}.values())


def some(rows: st.SearchStrategy[R]) -> st.SearchStrategy[tuple[R, ...]]:
    """A few rows of one kind."""
    return st.lists(rows, max_size=3).map(once)


def interval(one: datetime | None, other: datetime | None) -> Validity:
    """The two instants as an interval that ends after it has begun."""
    if one is None or other is None or one < other:
        return Validity(start=one, end=other)
    return Validity(start=other, end=one) if other < one else Validity(start=one)


INTERVALS: Final = st.builds(interval, RECORDED, RECORDED)


def in_turn(rows: Iterable[D], group: Callable[[D], object]) -> tuple[D, ...]:
    """The rows with intervals that follow each other within a group, so that what they say cannot clash."""
    kept: list[D] = []
    ends: dict[object, datetime | None] = {}
    for row in sorted(rows, key=lambda row: row.valid.start or FIRST):
        end = ends.get(group(row), FIRST)
        if end is not None and (row.valid.start or FIRST) >= end:
            kept.append(row)
            ends[group(row)] = row.valid.end
    return tuple(kept)


def ranged(row: Stake, bounds: tuple[Decimal | None, Decimal | None]) -> Stake:
    """The share as one that is known to lie between two bounds, either of them open."""
    known = sorted(bound for bound in bounds if bound is not None)
    minimum, maximum = known if len(known) > 1 else bounds
    return replace(row, percent=None, minimum=minimum, maximum=maximum)


def as_filed(row: Authorisation) -> Authorisation:
    """What holds for the kind anyway is not filed."""
    return (
        row if row.employees_only is not (row.kind is AuthorisationKind.LICENCE) else replace(row, employees_only=None)
    )


def some_taken_back(rows: RosterRows, kinds: Iterable[str]) -> RosterRows:
    """The rows, and after everything else a retraction of the first of some kinds."""
    taken_back = {}
    for name in kinds:
        held = getattr(rows, name)
        taken_back[name] = (*held, *(replace(row, recorded_at=AFTER_ALL, retracted=True) for row in held[:1]))
    return replace(rows, **taken_back)


ORGANISATION: Final = st.sampled_from(ORGANISATIONS)
PERSON: Final = st.sampled_from(PEOPLE)
PARTY: Final = ORGANISATION | PERSON.map(lambda person: f"person:{person}")
SHARES: Final = st.decimals(2, 100, places=2) | st.decimals(2, 100, places=30)
RANGES: Final = st.tuples(st.none() | SHARES, st.none() | SHARES).filter(lambda pair: pair[0] != pair[1])
AMOUNTS: Final = st.decimals(0, 10**12, places=2)
SCHEMES: Final = NAMES.filter(lambda name: len(name) <= 100)

ROSTERS: Final = st.builds(
    RosterRows,
    organisations=some(
        st.builds(
            Organisation,
            id=ORGANISATION,
            name=st.none() | TEXTS,
            kind=st.none() | TEXTS,
            incorporated=st.none() | CODES,
            headquarters=st.none() | CODES,
            contract_country=st.none() | CODES,
            sector=st.none() | st.sampled_from(Sector),
            reseller=st.none() | st.booleans(),
            identifiers=st.none()
            | st.dictionaries(SCHEMES, st.none() | NAMES, max_size=2).map(lambda found: tuple(found.items())),
            aliases=st.none() | distinct(TEXTS),
            recorded_at=RECORDED,
        )
    ).map(lambda rows: once([*(Organisation(id=id_) for id_ in ORGANISATIONS), *rows])),
    people=some(
        st.builds(
            PersonEntry,
            id=PERSON,
            employments_filed=st.booleans(),
            us_status_filed=st.booleans(),
            citizenships_filed=st.booleans(),
            permanent_residencies_filed=st.booleans(),
            recorded_at=RECORDED,
        )
    ).map(lambda rows: once([*(PersonEntry(id=id_) for id_ in PEOPLE), *rows])),
    employments=some(
        st.builds(
            Employment,
            person=PERSON,
            organisation=ORGANISATION,
            kind=st.sampled_from(EmploymentKind),
            valid=INTERVALS,
            recorded_at=RECORDED,
        )
    ).map(lambda rows: in_turn(rows, lambda row: (row.person, row.organisation, row.kind))),
    us_statuses=some(
        st.builds(UsStatus, person=PERSON, kind=st.sampled_from(UsStatusKind), valid=INTERVALS, recorded_at=RECORDED)
    ).map(lambda rows: in_turn(rows, lambda row: row.person)),
    citizenships=some(st.builds(Citizenship, person=PERSON, country=CODES, valid=INTERVALS, recorded_at=RECORDED)),
    permanent_residencies=some(
        st.builds(PermanentResidency, person=PERSON, country=CODES, valid=INTERVALS, recorded_at=RECORDED)
    ),
    accounts=some(
        st.builds(
            Account,
            id=NAMES,
            kind=st.sampled_from(AccountKind),
            organisation=ORGANISATION,
            person=st.none() | PERSON,
            gateway=st.none() | NAMES,
            cluster=st.none() | st.sampled_from(CLUSTERS),
            valid=INTERVALS,
            recorded_at=RECORDED,
        )
    ),
    consortia=st.tuples(
        *(st.builds(Consortium, id=st.just(id_), name=st.none() | TEXTS, recorded_at=RECORDED) for id_ in CONSORTIA)
    ),
    memberships=some(
        st.builds(
            Membership,
            organisation=ORGANISATION,
            consortium=st.sampled_from(CONSORTIA),
            status=st.sampled_from(MembershipStatus),
            seats=COUNTS,
            credit=st.none() | st.builds(Credit, amount=AMOUNTS, period=NAMES),
            valid=INTERVALS,
            recorded_at=RECORDED,
        )
    ).map(lambda rows: in_turn(rows, lambda row: (row.organisation, row.consortium))),
    stakes=some(
        st.builds(
            Stake,
            owner=PARTY,
            owned=ORGANISATION,
            percent=st.none() | SHARES,
            evidence=st.none() | TEXTS,
            valid=INTERVALS,
            recorded_at=RECORDED,
        )
        .filter(lambda row: row.owner != row.owned)
        .flatmap(lambda row: st.just(row) | RANGES.map(partial(ranged, row)))
    ),
    authorisations=st.tuples(
        *(
            st.builds(
                Authorisation,
                id=st.just(id_),
                regime=NAMES,
                kind=st.sampled_from(AuthorisationKind),
                holder=ORGANISATION,
                models=distinct(NAMES),
                actions=distinct(st.sampled_from([action.value for action in Action])),
                countries=st.none() | distinct(CODES),
                named_users=COUNTS,
                conditions=distinct(TEXTS),
                persons=st.none() | distinct(PERSON),
                nationalities=st.none() | distinct(CODES),
                employees_only=st.none() | st.booleans(),
                purposes=st.none() | distinct(NAMES),
                valid=INTERVALS,
                recorded_at=RECORDED,
            ).map(as_filed)
            for id_ in AUTHORISATIONS
        )
    ),
    draws=some(
        st.builds(Draw, authorisation=st.sampled_from(AUTHORISATIONS), person=PERSON, at=INSTANTS, recorded_at=RECORDED)
    ),
    listings=some(
        st.builds(
            Listing,
            party=PARTY,
            list=NAMES,
            entry=st.none() | TEXTS,
            entry_version=st.none() | NAMES,
            reference=st.none() | TEXTS,
            status=st.sampled_from(ListingStatus),
            cleared_version=st.none() | NAMES,
            programmes=st.none() | distinct(TEXTS),
            requirement=st.none() | TEXTS,
            valid=INTERVALS,
            recorded_at=RECORDED,
        )
    ).map(lambda rows: in_turn(rows, lambda row: (row.party, row.list, row.entry))),
    statements=some(
        st.builds(
            Statement,
            organisation=ORGANISATION,
            kind=st.sampled_from(StatementKind),
            valid=INTERVALS,
            recorded_at=RECORDED,
        )
    ).map(lambda rows: in_turn(rows, lambda row: (row.organisation, row.kind))),
    clusters=st.tuples(
        *(
            st.builds(
                ClusterReading,
                id=st.just(id_),
                shared=st.none() | distinct(NAMES),
                accounts=COUNTS,
                exchanges_24h=COUNTS,
                as_of=INSTANTS,
                recorded_at=RECORDED,
            )
            for id_ in CLUSTERS
        )
    ),
)


def _only_filed(rows: RosterRows) -> RosterRows:
    """Without rows in lists that nobody filed, for which a file has no shape."""
    filed = {
        name: {entry.id for entry in rows.people if getattr(entry, name)}
        for name in ("employments_filed", "us_status_filed", "citizenships_filed", "permanent_residencies_filed")
    }
    return replace(
        rows,
        employments=tuple(row for row in rows.employments if row.person in filed["employments_filed"]),
        us_statuses=tuple(row for row in rows.us_statuses if row.person in filed["us_status_filed"]),
        citizenships=tuple(row for row in rows.citizenships if row.person in filed["citizenships_filed"]),
        permanent_residencies=tuple(
            row for row in rows.permanent_residencies if row.person in filed["permanent_residencies_filed"]
        ),
    )


KINDS: Final = tuple(column.name for column in fields(RosterRows))
NAMED_BY_OTHERS: Final = ("organisations", "people", "consortia", "authorisations", "clusters")


def rosters(*, taken_back: Iterable[str] = KINDS) -> st.SearchStrategy[RosterRows]:
    """Any roster that a file may hold, with retractions among the rows of some kinds."""
    kinds = st.sets(st.sampled_from(sorted(taken_back)), max_size=3).map(sorted)
    return st.builds(some_taken_back, ROSTERS.map(_only_filed), kinds)
