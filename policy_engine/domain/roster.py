"""The membership database as the engine sees it: dated rows about organisations, people, accounts and papers.

Every row has two times: when it was true (`valid`, half-open) and when it was recorded (`recorded_at`; `None` counts as
always known). Corrections add and never overwrite: among rows with the same `key` the one recorded last, as known at an
instant, replaces the others. A row that is `retracted` was never true: what it replaces counts no more from its
`recorded_at` on, and neither does itself. `Roster.as_known` draws that line once; what is left is indexed by what a
decision asks.

A person's list that is `None` was never filed and is unknown; an empty one is known to be empty.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final, TypeVar, dataclass_transform

from policy_engine.domain.instants import ALWAYS, Validity
from policy_engine.domain.layers import Watched, changed
from policy_engine.domain.spelling import one_spelling

PERSON_PREFIX = "person:"


class UsStatusKind(StrEnum):
    """Standing under 8 USC 1324b(a)(3) and 15 CFR 772.1; `none` is known not to be any of the others."""

    CITIZEN = "citizen"
    NATIONAL = "national"
    LAWFUL_PERMANENT_RESIDENT = "lawful_permanent_resident"
    REFUGEE_ADMITTED = "refugee_admitted"
    ASYLEE_GRANTED = "asylee_granted"
    TEMPORARY_RESIDENT = "temporary_resident_1160_1255a"
    NONE = "none"


class EmploymentKind(StrEnum):
    """An exemption for employees does not reach contractors."""

    EMPLOYEE = "employee"
    CONTRACTOR = "contractor"


class AccountKind(StrEnum):
    """Accounts and services belong to an organisation and may stand for a person."""

    ACCOUNT = "account"
    SERVICE = "service"


class MembershipStatus(StrEnum):
    """Standing of a member in its consortium."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class ListingStatus(StrEnum):
    """What screening found: the party itself, perhaps the party, or somebody else."""

    CONFIRMED = "confirmed"
    POTENTIAL = "potential"
    CLEARED = "cleared"


class AuthorisationKind(StrEnum):
    """Papers that lift or grant."""

    LICENCE = "licence"
    EXCEPTION = "exception"
    EXEMPTION = "exemption"

    @classmethod
    def _missing_(cls, value: object) -> AuthorisationKind | None:
        """`license` is understood too."""
        told = one_spelling(value) if isinstance(value, str) else None
        return next((one for one in cls if one.value == told), None)


class StatementKind(StrEnum):
    """Papers on file for an organisation.

    `tsr_assurance` is the written assurance of 15 CFR 740.6(a), `screening_734_20` that the organisation screens under
    15 CFR 734.20.
    """

    UVL = "uvl"
    STA_CONSIGNEE = "sta_consignee"
    SUPP8_740 = "supp8_740"
    MOFCOM_ORDER = "mofcom_order"
    TSR_ASSURANCE = "tsr_assurance"
    SCREENING_734_20 = "screening_734_20"


class Sector(StrEnum):
    """Of an organisation, for procurement policy."""

    GOVERNMENT = "government"
    CRITICAL_INFRASTRUCTURE = "critical_infrastructure"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A row with the instant of its recording; one that is `retracted` takes back what stands under the key."""

    recorded_at: datetime | None = None
    retracted: bool = False

    @property
    def key(self) -> Hashable:
        """What tells one row of a kind from another."""
        return _KEYS[type(self)](self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dated(Recorded):
    """A row with an interval in which it is true."""

    valid: Validity = ALWAYS


R = TypeVar("R", bound=Recorded)
_KEYS: Final[dict[type, Callable[[Any], Hashable]]] = {}


@dataclass_transform(frozen_default=True, kw_only_default=True)
def _row(*key: str) -> Callable[[type[R]], type[R]]:
    """A kind of row with the attributes that are its key."""

    def kind(declared: type[R]) -> type[R]:
        made = dataclass(frozen=True, slots=True, kw_only=True)(declared)
        _KEYS[made] = attrgetter(*key)
        # The canonical form is in the order of the fields, and what every row has stands last in it.
        own = made.__dataclass_fields__
        for name in ("valid", "recorded_at", "retracted"):
            if name in own:
                own[name] = own.pop(name)
        return made

    return kind


@_row("id")
class Organisation(Recorded):
    """A legal entity. Countries are ISO 3166-1 alpha-2; `None` is unknown."""

    id: str
    name: str | None = None
    kind: str | None = None
    incorporated: str | None = None
    headquarters: str | None = None
    contract_country: str | None = None
    sector: Sector | None = None
    reseller: bool | None = None
    identifiers: tuple[tuple[str, str | None], ...] | None = None
    aliases: tuple[str, ...] | None = None


@_row("id")
class PersonEntry(Recorded):
    """That a person is on file, and which of the person's lists were ever filed (an unfiled list is unknown)."""

    id: str
    employments_filed: bool = False
    us_status_filed: bool = False
    citizenships_filed: bool = False
    permanent_residencies_filed: bool = False


@_row("person", "organisation", "kind", "valid.start")
class Employment(Dated):
    """A person works for an organisation."""

    person: str
    organisation: str
    kind: EmploymentKind


@_row("person", "kind", "valid.start")
class UsStatus(Dated):
    """A person's standing in US law."""

    person: str
    kind: UsStatusKind


@_row("person", "country", "valid.start")
class Citizenship(Dated):
    """A person is a citizen of a country."""

    person: str
    country: str


@_row("person", "country", "valid.start")
class PermanentResidency(Dated):
    """A person is a permanent resident of a country."""

    person: str
    country: str


@_row("id")
class Account(Dated):
    """A key or a service of an organisation, perhaps of one person, perhaps in a cluster of accounts.

    Outside its interval an account is like one that is not on file. It has one interval: a later row replaces it.
    """

    id: str
    kind: AccountKind
    organisation: str
    person: str | None = None
    gateway: str | None = None
    cluster: str | None = None


@_row("id")
class Consortium(Recorded):
    """A group of organisations with access to a model."""

    id: str
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """What a member may use for nothing: an amount, exact, for each period (such as `month`)."""

    amount: Decimal
    period: str


@_row("organisation", "consortium", "valid.start")
class Membership(Dated):
    """An organisation is a member of a consortium. `seats` and `credit` are for the account; no rule reads them."""

    organisation: str
    consortium: str
    status: MembershipStatus
    seats: int | None = None
    credit: Credit | None = None


@_row("owner", "owned", "valid.start")
class Stake(Dated):
    """A share of an organisation or a person (`person:<id>`) in an organisation, from 0 to 100, exact.

    It is `percent`, or lies from `minimum` to `maximum`, both included, `None` being open on that side. All three
    `None` is an unknown share.
    """

    owner: str
    owned: str
    percent: Decimal | None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    evidence: str | None = None


@_row(
    "id",
    "regime",
    "kind",
    "holder",
    "models",
    "actions",
    "countries",
    "named_users",
    "conditions",
    "persons",
    "nationalities",
    "for_employees_only",
    "purposes",
    "valid.start",
)
class Authorisation(Dated):
    """A licence, exception or exemption: who holds it, for which models and actions, and for whom.

    `countries`, `persons` (ids), `nationalities` (countries) and `purposes` restrict it; `None` is any. `named_users`
    caps the number of different persons that may draw on it; `None` is no cap. `employees_only` as it is filed; where
    it is `None` the kind decides, see `for_employees_only`.
    """

    id: str
    regime: str
    kind: AuthorisationKind
    holder: str
    models: tuple[str, ...]
    actions: tuple[str, ...]
    countries: tuple[str, ...] | None = None
    named_users: int | None = None
    conditions: tuple[str, ...] = ()
    persons: tuple[str, ...] | None = None
    nationalities: tuple[str, ...] | None = None
    employees_only: bool | None = None
    purposes: tuple[str, ...] | None = None

    @property
    def for_employees_only(self) -> bool:
        """15 CFR 750.7(a)(3): a licence is for the holder's employees, unless it says otherwise."""
        return self.kind is AuthorisationKind.LICENCE if self.employees_only is None else self.employees_only


@_row("authorisation", "person", "at")
class Draw(Recorded):
    """A person took a place of an authorisation at an instant. What a cap has used is counted from these."""

    authorisation: str
    person: str
    at: datetime


@_row("party", "list", "entry", "entry_version", "reference", "cleared_version", "valid.start")
class Listing(Dated):
    """A screening result: a party (organisation id or `person:<id>`) against one entry of one list.

    `programmes` are those of the entry, `requirement` its licence requirement in the list's own words.
    """

    party: str
    list: str
    entry: str | None
    entry_version: str | None
    reference: str | None
    status: ListingStatus
    cleared_version: str | None = None
    programmes: tuple[str, ...] | None = None
    requirement: str | None = None


@_row("organisation", "kind", "valid.start")
class Statement(Dated):
    """A paper of an organisation on file."""

    organisation: str
    kind: StatementKind


@_row("id", "shared", "accounts", "exchanges_24h", "as_of")
class ClusterReading(Recorded):
    """What the detector said of a cluster of accounts at an instant."""

    id: str
    shared: tuple[str, ...] | None
    accounts: int | None
    exchanges_24h: int | None
    as_of: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterRows:
    """Every row ever recorded, corrections and corrected alike, by kind. One operator, no order."""

    organisations: tuple[Organisation, ...] = ()
    people: tuple[PersonEntry, ...] = ()
    employments: tuple[Employment, ...] = ()
    us_statuses: tuple[UsStatus, ...] = ()
    citizenships: tuple[Citizenship, ...] = ()
    permanent_residencies: tuple[PermanentResidency, ...] = ()
    accounts: tuple[Account, ...] = ()
    consortia: tuple[Consortium, ...] = ()
    memberships: tuple[Membership, ...] = ()
    stakes: tuple[Stake, ...] = ()
    authorisations: tuple[Authorisation, ...] = ()
    draws: tuple[Draw, ...] = ()
    listings: tuple[Listing, ...] = ()
    statements: tuple[Statement, ...] = ()
    clusters: tuple[ClusterReading, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A natural person with the dated rows on file; a list that is `None` is unknown."""

    id: str
    employments: tuple[Employment, ...] | None
    us_statuses: tuple[UsStatus, ...] | None
    citizenships: tuple[Citizenship, ...] | None
    permanent_residencies: tuple[PermanentResidency, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """The rows as known at one instant, indexed by what a decision asks. Valid time is still in the rows."""

    organisations: Mapping[str, Organisation]
    people: Mapping[str, Person]
    accounts: Mapping[str, Account]
    consortia: Mapping[str, Consortium]
    memberships: Mapping[str, tuple[Membership, ...]]
    owners: Mapping[str, tuple[Stake, ...]]
    authorisations: Mapping[str, tuple[Authorisation, ...]]
    draws: Mapping[str, tuple[Draw, ...]]
    listings: Mapping[str, tuple[Listing, ...]]
    statements: Mapping[str, tuple[Statement, ...]]
    clusters: Mapping[str, tuple[ClusterReading, ...]]
    authorisations_by_id: Mapping[str, tuple[Authorisation, ...]]
    """The authorisations by their id, whoever holds them."""
    revision: int = 0
    memo: dict[Hashable, object] = field(default_factory=dict, compare=False, repr=False)
    """Room for results that follow from this roster alone (ownership); bounded by whoever uses it."""
    turn: AbstractContextManager[object] = field(default_factory=nullcontext, compare=False, repr=False)
    """Entered while something long is found out for `memo`. Where it is a lock, whoever asks the same at the same time
    waits for that, and does not find it out again beside it."""

    @staticmethod
    def as_known(rows: RosterRows, known_at: datetime | None = None, revision: int = 0) -> Roster:
        """The roster as it was known at `known_at`, or with everything that was ever recorded when `None`."""
        return Known.of(rows, known_at).roster(revision)


Read = tuple[str, str]
"""Something of a roster that is read by name: one of `WATCHED`, and the name in it."""

WATCHED: Final = (
    "people",
    "accounts",
    "memberships",
    "authorisations",
    "authorisations_by_id",
    "draws",
    "statements",
    "clusters",
)
"""What a roster tells of by name. Not here is what ownership follows from, which is found out once for all who ask, and
consortia, which hardly ever change."""


class Reads:
    """What of `WATCHED` is read of a roster, which is `watching`."""

    def __init__(self, roster: Roster) -> None:
        self._names: set[Read] = set()
        self._all = False
        views: dict[str, Any] = {view: self._watched(view, getattr(roster, view)) for view in WATCHED}
        self.watching = replace(roster, **views)

    def by_name(self) -> frozenset[Read] | None:
        """The names that were asked for, found or not; `None` once somebody has gone through all of them."""
        return None if self._all else frozenset(self._names)

    def _watched(self, view: str, held: Mapping[str, Any]) -> Watched[str, Any]:
        def note(name: str | None) -> None:
            if name is None:
                self._all = True
            else:
                self._names.add((view, name))

        return Watched(held, note)


def touched_by(rows: RosterRows) -> frozenset[Read] | None:
    """What reads otherwise once rows are recorded; `None` where it is not told by name."""
    if any(getattr(rows, section) for section in (*OF_OWNERSHIP, "consortia")):
        return None
    read: set[Read] = {("people", row.id) for row in rows.people} | {("accounts", row.id) for row in rows.accounts}
    for view, (section, whom) in VIEWS.items():
        of = attrgetter(whom)
        read |= {("people" if section in OF_PERSONS else view, of(row)) for row in getattr(rows, section)}
    return frozenset(read)


OF_PERSONS: Final = ("employments", "us_statuses", "citizenships", "permanent_residencies")
"""The sections whose rows are part of a person."""

BY_ID: Final = ("organisations", "people", "accounts", "consortia")
"""The sections with one row for each id."""

VIEWS: Final[Mapping[str, tuple[str, str]]] = {
    **{section: (section, "person") for section in OF_PERSONS},
    "memberships": ("memberships", "organisation"),
    "stakes": ("stakes", "owned"),
    "authorisations": ("authorisations", "holder"),
    "authorisations_by_id": ("authorisations", "id"),
    "draws": ("draws", "authorisation"),
    "listings": ("listings", "party"),
    "statements": ("statements", "organisation"),
    "clusters": ("clusters", "id"),
}
"""The views of sections with several rows about the same: each with its section, and the field that says about what.
The field is part of the section's key."""

OF_OWNERSHIP: Final = ("organisations", "stakes", "listings")
"""The sections from which it follows who owns whom, and whether that counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The rows as known, and what retractions took back: what a roster is made of, and what later rows are added to.

    `one` has the sections of `BY_ID` by id, `many` the `VIEWS` by whom their rows are about, and `taken_back` the
    retractions that count, by section and key.
    """

    one: Mapping[str, Mapping[str, Any]]
    many: Mapping[str, Mapping[str, tuple[Any, ...]]]
    people: Mapping[str, Person]
    taken_back: Mapping[tuple[str, Hashable], Recorded]

    @staticmethod
    def of(rows: RosterRows, known_at: datetime | None = None) -> Known:
        """What is known of all rows at an instant, or of whatever was recorded."""
        taken_back: dict[tuple[str, Hashable], Recorded] = {}
        held: dict[str, list[Any]] = {}
        for column in fields(rows):
            latest = _last_recorded(getattr(rows, column.name), known_at)
            held[column.name] = [row for row in latest if not row.retracted]
            taken_back |= {(column.name, row.key): row for row in latest if row.retracted}
        one = {section: {row.id: row for row in held[section]} for section in BY_ID}
        many = {view: _grouped(held[section], field) for view, (section, field) in VIEWS.items()}
        people = {entry.id: person_of(entry, many) for entry in one["people"].values()}
        return Known(one=one, many=many, people=people, taken_back=taken_back)

    def with_rows(self, rows: RosterRows) -> Known:
        """What is known with rows that were recorded since, at the cost of these alone."""
        news = {column.name: self._news(column.name, getattr(rows, column.name)) for column in fields(rows)}
        one = {
            section: changed(held, {row.id: None if row.retracted else row for row in news[section].values()})
            for section, held in self.one.items()
        }
        many = {
            view: changed(held, _groups_after(held, news[VIEWS[view][0]].values(), attrgetter(VIEWS[view][1])))
            for view, held in self.many.items()
        }
        touched = {row.id for row in news["people"].values()}
        touched |= {row.person for section in OF_PERSONS for row in news[section].values()}
        entries = {name: one["people"].get(name) for name in touched}
        people = {name: None if entry is None else person_of(entry, many) for name, entry in entries.items()}
        took_back: dict[tuple[str, Hashable], Recorded | None] = {
            (section, key): row if row.retracted else None for section, new in news.items() for key, row in new.items()
        }
        gone = {key: row for key, row in took_back.items() if row is not None or key in self.taken_back}
        return Known(
            one=one,
            many=many,
            people=changed(self.people, people),
            taken_back=changed(self.taken_back, gone),
        )

    def _news(self, section: str, rows: Iterable[Any]) -> dict[Hashable, Any]:
        """By key the rows that count from now on, retractions among them."""
        news: dict[Hashable, Any] = {}
        for row in rows:
            before = news.get(row.key) or self._row(section, row) or self.taken_back.get((section, row.key))
            if before is None or _is_later(row.recorded_at, before.recorded_at):
                news[row.key] = row
        return news

    def _row(self, section: str, row: Any) -> Any:
        """The row that counts under the same key."""
        if section in BY_ID:
            return self.one[section].get(row.id)
        group = self.many[section].get(attrgetter(VIEWS[section][1])(row), ())
        return next((one for one in group if one.key == row.key), None)

    def roster(self, revision: int) -> Roster:
        """What a decision asks."""
        return Roster(
            organisations=self.one["organisations"],
            people=self.people,
            accounts=self.one["accounts"],
            consortia=self.one["consortia"],
            memberships=self.many["memberships"],
            owners=self.many["stakes"],
            authorisations=self.many["authorisations"],
            draws=self.many["draws"],
            listings=self.many["listings"],
            statements=self.many["statements"],
            clusters=self.many["clusters"],
            authorisations_by_id=self.many["authorisations_by_id"],
            revision=revision,
        )


def _groups_after(
    held: Mapping[str, tuple[Any, ...]], news: Iterable[Any], of: Callable[[Any], str]
) -> dict[str, tuple[Any, ...] | None]:
    """The groups in which rows are new, as they are afterwards; `None` for one that has no rows left."""
    groups: dict[str, dict[Hashable, Any]] = {}
    for row in news:
        name = of(row)
        group = groups.setdefault(name, {one.key: one for one in held.get(name, ())})
        if row.retracted:
            group.pop(row.key, None)
        else:
            group[row.key] = row
    return {name: in_order(group.values()) or None for name, group in groups.items()}


def person_of(entry: PersonEntry, many: Mapping[str, Mapping[str, tuple[Any, ...]]]) -> Person:
    """A person with the rows of each section that was filed."""

    def filed(section: str, is_filed: bool) -> tuple[Any, ...] | None:
        return many[section].get(entry.id, ()) if is_filed else None

    return Person(
        id=entry.id,
        employments=filed("employments", entry.employments_filed),
        us_statuses=filed("us_statuses", entry.us_status_filed),
        citizenships=filed("citizenships", entry.citizenships_filed),
        permanent_residencies=filed("permanent_residencies", entry.permanent_residencies_filed),
    )


def with_rows(rows: RosterRows, more: RosterRows) -> RosterRows:
    """The rows of both."""
    added: dict[str, Any] = {
        column.name: (*getattr(rows, column.name), *getattr(more, column.name)) for column in fields(rows)
    }
    return RosterRows(**added)


def latest_known(rows: Iterable[R], known_at: datetime | None) -> list[R]:
    """Of each key the row recorded last among those known at the instant, unless it is a retraction; an undated row is
    the oldest."""
    return [row for row in _last_recorded(rows, known_at) if not row.retracted]


def _last_recorded(rows: Iterable[R], known_at: datetime | None) -> list[R]:
    """As `latest_known`, with the retractions."""
    best: dict[Hashable, R] = {}
    for row in rows:
        recorded = row.recorded_at
        if known_at is not None and recorded is not None and recorded > known_at:
            continue
        held = best.get(row.key)
        if held is None or _is_later(recorded, held.recorded_at):
            best[row.key] = row
    return list(best.values())


def _is_later(one: datetime | None, other: datetime | None) -> bool:
    """Whether what was recorded at one instant counts before what was recorded at the other; undated is the oldest."""
    if one is None:
        return False
    return other is None or one > other


def in_order(group: Iterable[R]) -> tuple[R, ...]:
    """Rows about the same, in an order that does not depend on the order of the file."""
    rows = tuple(group)
    return tuple(sorted(rows, key=lambda row: repr(row.key))) if len(rows) > 1 else rows


def _grouped(rows: Iterable[R], field: str) -> dict[str, tuple[R, ...]]:
    """The rows by the field that says whom they are about."""
    of = attrgetter(field)
    groups: defaultdict[str, list[R]] = defaultdict(list)
    for row in rows:
        groups[of(row)].append(row)
    return {name: in_order(group) for name, group in groups.items()}
