"""Rules as rows: a grant, a bar or a note, each with its own conditions and never a meaning by position.

A row's conditions stand in facets (columns). A facet holds alternatives of conjunctions of words; an empty facet asks
nothing. A bar matches unless a facet is known to fail, a grant or a note only when every facet is known to hold.
`unless` names what lifts a bar. A row is in force in `valid`, outside its `suspended` intervals, and decides only while
`enforced`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from policy_engine.domain.catalogue import Catalogue, OperationsTest
from policy_engine.domain.instants import Validity, earliest
from policy_engine.domain.ownership import OwnershipTest
from policy_engine.domain.places import PartsTest, Places

REGIMES: Final = (
    "engine",
    "us-order",
    "us-itar",
    "us-ear",
    "us-ofac",
    "vendor",
    "consortium",
    "operator",
    "cn-blocking",
)
"""Every regime, in the order in which a deciding finding becomes the reason."""

FACETS: Final = ("action", "item", "party", "place", "ownership", "listing", "purpose", "authorisation")
"""The condition columns of a rule file, in the order in which they are asked: the cheap and static ones first."""

NO_GRANT_RULE: Final = "ENGINE-NO-GRANT"
FAULT_RULE: Final = "ENGINE-FAULT"
NO_BOOK_RULE: Final = "ENGINE-NO-RULE"


class Effect(StrEnum):
    """What a matching row does."""

    PERMIT = "permit"
    DENY = "deny"
    NOTE = "note"


class Enforcement(StrEnum):
    """An advisory row is judged and reported and never decides."""

    ENFORCED = "enforced"
    ADVISORY = "advisory"


class PublicCode(StrEnum):
    """What a requester is told: closed and neutral."""

    ALLOWED = "ALLOWED"
    NOT_AVAILABLE_REGION = "NOT_AVAILABLE_REGION"
    NOT_AVAILABLE_ACCOUNT = "NOT_AVAILABLE_ACCOUNT"
    NOT_AVAILABLE_MODEL = "NOT_AVAILABLE_MODEL"
    PURPOSE_NOT_PERMITTED = "PURPOSE_NOT_PERMITTED"
    VERIFICATION_NEEDED = "VERIFICATION_NEEDED"
    UNDER_REVIEW = "UNDER_REVIEW"
    SUSPENDED = "SUSPENDED"
    INVALID_REQUEST = "INVALID_REQUEST"


REASON_CODES: Final = frozenset(
    """
    US_PERSON FOREIGN_PERSON PERSON_STATUS_UNVERIFIED DEEMED_EXPORT_COUNTRY NATIONALITY_PROSCRIBED
    MEMBER_ACTIVE MEMBERSHIP_NOT_FOUND MEMBERSHIP_EXPIRED MEMBERSHIP_SUSPENDED
    PURPOSE_OK PURPOSE_NOT_PERMITTED PURPOSE_NEEDS_REVIEW PURPOSE_UNDECLARED
    REGION_UNSUPPORTED EMBARGOED_TERRITORY LOCATION_CONFLICT LOCATION_UNKNOWN
    OWNERSHIP_CONTROL OWNERSHIP_UNRESOLVED OWNERSHIP_MINORITY_FLAG
    LISTED_PARTY LISTED_PARTY_UNRESOLVED FALSE_POSITIVE_ON_FILE RESCREEN_REQUIRED STATEMENT_MISSING
    MODEL_UNKNOWN COMMODITY_OK PUBLISHED_OPEN PUBLISHED_NOT_CONTROLLED PUBLISHED_STATUS_UNDETERMINED LICENCE_REQUIRED
    NO_LICENCE_REQUIRED BELOW_THRESHOLD DISTILLED_ORIGIN DISTILLED_RESTRICTED
    LICENCE_APPLIED EXCEPTION_APPLIED EXEMPTION_APPLIED EXCEPTION_NOT_AVAILABLE AUTHORISATION_EXPIRED
    AUTHORISATION_CAP_EXHAUSTED
    AGGREGATE_PATTERN END_USER_UNDISCLOSED ASSERTION_CONFLICT
    OPERATOR_SUSPENSION STAFF_ACCESS DESK_ACCESS
    CONFLICT_OF_LAWS
    ACTION_NOT_PERMITTED SUBJECT_UNKNOWN NO_RULE STALE_DATA ENGINE_FAULT
    """.split()
)
"""The closed list of reason codes; a new one is a release note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One word of a condition, with its parameter ("" when it has none).

    `only_known` reads unknown as no, for a row whose doubt another row answers.
    """

    word: str
    parameter: str = ""
    negated: bool = False
    only_known: bool = False

    @property
    def text(self) -> str:
        name = f"{self.word}:{self.parameter}" if self.parameter else self.word
        if self.word == ROW_WORD:
            name = self.parameter
        return ("known " if self.only_known else "") + ("!" if self.negated else "") + name


ROW_WORD: Final = "row"
"""The word, in `unless`, for a note row that matches; its parameter is the row's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Alternatives of conjunctions; none at all asks nothing and holds."""

    alternatives: tuple[tuple[Term, ...], ...] = ()

    @property
    def text(self) -> str:
        """The canonical spelling, from which the reader gives back the same condition."""
        return " | ".join(" & ".join(term.text for term in alternative) for alternative in self.alternatives)

    @property
    def terms(self) -> tuple[Term, ...]:
        return tuple(term for alternative in self.alternatives for term in alternative)


ANYTHING: Final = Condition()


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRule:
    """When a matching row gives a reason code.

    With a condition, when that is known to hold; with `on_unknown`, when the row stands on an unknown and the
    condition is unknown; with `beside`, only next to that other code.
    """

    code: str
    condition: Condition = ANYTHING
    on_unknown: bool = False
    beside: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Obligation:
    """Something that the caller must do; `codes` ties it to some of the row's codes, empty to all."""

    id: str
    message: str
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One rule. `line` is where it stands in the file of its regime."""

    id: str
    regime: str
    effect: Effect
    hold: bool
    judges_host: bool
    facets: tuple[Condition, ...]
    unless: Condition
    codes: tuple[CodeRule, ...]
    public_code: PublicCode
    obligations: tuple[Obligation, ...]
    valid: Validity
    suspended: tuple[Validity, ...]
    enforcement: Enforcement
    citation: str
    message: str
    public_message: str
    line: int = 0

    def facet(self, name: str) -> Condition:
        """The condition in a column."""
        return self.facets[FACETS.index(name)]

    @property
    def words(self) -> frozenset[str]:
        """Every word that the row's conditions use, `unless` and codes included."""
        conditions = (*self.facets, self.unless, *(rule.condition for rule in self.codes))
        return frozenset(term.word for condition in conditions for term in condition.terms)

    def suspended_at(self, at: datetime) -> bool:
        """Whether a suspension interval covers the instant."""
        return any(interval.holds(at) for interval in self.suspended)

    def next_change(self, at: datetime) -> datetime | None:
        """The first instant after `at` at which the row goes on, off, into suspension or out of it."""
        return earliest((self.valid, *self.suspended), at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipRule:
    """An ownership test and whose shares count.

    Exactly one of `listed` (owners with a confirmed listing on one of the lists, people too), `headquartered_in` and
    `headquartered_outside` (organisations by headquarters, against a country group) is set. `own_establishment` also
    counts an organisation that is itself incorporated or headquartered in the group. Owners on the lists of
    `supplement_lists` alone reach only items of `supplement_eccn`.
    """

    test: OwnershipTest
    listed: tuple[str, ...] = ()
    headquartered_in: str | None = None
    headquartered_outside: str | None = None
    own_establishment: bool = False
    supplement_lists: tuple[str, ...] = ()
    supplement_eccn: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlColumn:
    """A column of the Commerce Country Chart: the countries or groups it covers, or all but some."""

    name: str
    everywhere_except: tuple[str, ...] | None = None
    covers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MilitaryTest:
    """Military end use and users (15 CFR 744.21): list, purpose, and the countries and items reached."""

    name: str
    list: str
    purpose: str
    any_item_countries: tuple[str, ...]
    supplement_countries: tuple[str, ...]
    supplement_eccn: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternTest:
    """When a cluster of accounts shows an aggregate pattern; every bound is "at least", the age "older than"."""

    name: str
    min_shared: int
    min_accounts: int
    min_exchanges_24h: int
    max_age_hours: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The parameters of law that words refer to by name.

    `lists` are the lists of parties that the book knows, by code, with their titles; they change no answer.
    """

    places: Places
    catalogue: Catalogue
    lists: Mapping[str, str] = field(default_factory=dict)
    ownership: Mapping[str, OwnershipRule] = field(default_factory=dict)
    operations: Mapping[str, OperationsTest] = field(default_factory=dict)
    columns: Mapping[str, ControlColumn] = field(default_factory=dict)
    eccn_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    military: Mapping[str, MilitaryTest] = field(default_factory=dict)
    patterns: Mapping[str, PatternTest] = field(default_factory=dict)
    parts: Mapping[str, PartsTest] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator decides where the law is open, and how long an allow may be reused (seconds)."""

    max_age_classified: Decimal = Decimal(5)
    max_age_other: Decimal = Decimal(30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Everything that can change an answer, under one fingerprint (`sha256:` and 64 hex digits)."""

    rows: tuple[Row, ...]
    tables: Tables
    settings: Settings
    matcher: str
    fingerprint: str

    def row(self, rule_id: str) -> Row | None:
        """The row with this id."""
        return next((row for row in self.rows if row.id == rule_id), None)
