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


REASON_MEANINGS: Final[Mapping[str, str]] = {
    "US_PERSON": "The person is a US person by standing on file.",
    "FOREIGN_PERSON": "The person, or the organisation, is known to be foreign in the sense of the rule.",
    "PERSON_STATUS_UNVERIFIED": "Nobody has filed the standing in law on which the rule turns.",
    "DEEMED_EXPORT_COUNTRY": "Technology released to the person counts as exported to a country that needs a licence.",
    "NATIONALITY_PROSCRIBED": "A citizenship or residency is barred, past ones included where the rule says so.",
    "MEMBER_ACTIVE": "The organisation acting is an active member of the model's consortium.",
    "MEMBERSHIP_NOT_FOUND": "It is no member.",
    "MEMBERSHIP_EXPIRED": "Its membership has ended, or has not begun.",
    "MEMBERSHIP_SUSPENDED": "Its membership is suspended.",
    "PURPOSE_OK": "The purpose is one of the model's.",
    "PURPOSE_NOT_PERMITTED": "The purpose is not one of them, or one that a rule bars.",
    "PURPOSE_NEEDS_REVIEW": "A person has to look at this purpose first.",
    "PURPOSE_UNDECLARED": "No purpose was stated, and the rule turns on it.",
    "REGION_UNSUPPORTED": "The vendor does not offer the model at a place of the request or of the organisation.",
    "EMBARGOED_TERRITORY": "A place is under a comprehensive embargo.",
    "LOCATION_CONFLICT": "The stated place and the address say different things, of which a rule bars one.",
    "LOCATION_UNKNOWN": "No place is known on which the rule turns.",
    "OWNERSHIP_CONTROL": "Owners that count own or control the organisation.",
    "OWNERSHIP_UNRESOLVED": "Unknown shares, or a tangle too large, leave open whether they do.",
    "OWNERSHIP_MINORITY_FLAG": "They own a part that a person should know of.",
    "LISTED_PARTY": "A party stands on a list of sanctioned or restricted parties, confirmed.",
    "LISTED_PARTY_UNRESOLVED": "A possible match with a list waits for a person.",
    "FALSE_POSITIVE_ON_FILE": "A match was looked at and cleared for this version of the entry.",
    "RESCREEN_REQUIRED": "The entry has changed since it was cleared, or a screening is due.",
    "STATEMENT_MISSING": "A statement or assurance that the rule asks for is not on file.",
    "MODEL_UNKNOWN": "The model is no catalogue id and no alias of the calling gateway.",
    "COMMODITY_OK": "The model is generally available.",
    "PUBLISHED_OPEN": "The weights are published, so that the rules on access to them do not apply.",
    "PUBLISHED_NOT_CONTROLLED": "Published weights or technology are not subject to the regime.",
    "PUBLISHED_STATUS_UNDETERMINED": "Nobody has decided whether the weights are published.",
    "LICENCE_REQUIRED": "A licence is needed, and none on file lifts the bar.",
    "NO_LICENCE_REQUIRED": "The export rules ask for no licence here.",
    "BELOW_THRESHOLD": "The training operations are known and under the threshold.",
    "DISTILLED_ORIGIN": "The model was made from the outputs of another; said for the record.",
    "DISTILLED_RESTRICTED": "The operator's policy on distilled models bars it, or the release of outputs for it.",
    "LICENCE_APPLIED": "A licence on file carries or lifts.",
    "EXCEPTION_APPLIED": "A licence exception, or an exception of a programme, lifts.",
    "EXEMPTION_APPLIED": "An exemption lifts.",
    "EXCEPTION_NOT_AVAILABLE": "The exception that the request claims is not to be had here.",
    "AUTHORISATION_EXPIRED": "There was such an authorisation, and it has ended.",
    "AUTHORISATION_CAP_EXHAUSTED": "There is one, and it has no place left for this person.",
    "AGGREGATE_PATTERN": "Accounts that belong together ask in a pattern that a rule bars.",
    "END_USER_UNDISCLOSED": "A reseller has not named who is behind the request.",
    "ASSERTION_CONFLICT": "What the caller asserts contradicts what is on file.",
    "OPERATOR_SUSPENSION": "The operator has suspended the model, or frozen what was asked for.",
    "STAFF_ACCESS": "Staff of the vendor administer their own model.",
    "DESK_ACCESS": "The export desk asks what the export rules say.",
    "CONFLICT_OF_LAWS": "Obeying the bar may break a law of another country; a person decides.",
    "ACTION_NOT_PERMITTED": "No rule grants this, and none bars it.",
    "SUBJECT_UNKNOWN": "Nobody of this id is on file.",
    "NO_RULE": "No book is in force, or the regime has no rule.",
    "STALE_DATA": "A list is older than the policy allows.",
    "ENGINE_FAULT": "The engine could not judge; the doubt is a deny.",
}
"""What each reason code says; the page of the rule book has it as a table."""

REASON_CODES: Final = frozenset(REASON_MEANINGS)
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


REPORT_PREFIX: Final = "report:"
"""What the id of an obligation to report to an authority begins with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obligation:
    """Something that the caller must do; `codes` ties it to some of the row's codes, empty to all.

    What has to be reported hangs on a finding that stands for certain: a doubt is nothing that an authority asks about.
    """

    id: str
    message: str
    codes: tuple[str, ...] = ()

    @property
    def for_certain_alone(self) -> bool:
        return self.id.startswith(REPORT_PREFIX)


class _Remembering:
    """Where a row keeps what follows from its conditions: a book asks that of each row many times, and a row made of it
    by `replace` begins without."""

    __slots__ = ("_words",)
    _words: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(_Remembering):
    """One rule. `line` is where it stands in the file of its regime.

    `messages` and `public_messages` have the sentences of single codes, for the officer and for the requester;
    `message` and `public_message` are for every other code. `checked` says whether the row was compared with what it
    cites, and is `None` where nobody said.
    """

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
    messages: tuple[tuple[str, str], ...] = ()
    public_messages: tuple[tuple[str, str], ...] = ()
    checked: bool | None = None
    line: int = 0

    def facet(self, name: str) -> Condition:
        """The condition in a column."""
        return self.facets[FACETS.index(name)]

    @property
    def terms(self) -> tuple[Term, ...]:
        """Every term of the row's conditions, of what lifts it and of its codes."""
        conditions = (*self.facets, self.unless, *(rule.condition for rule in self.codes))
        return tuple(term for condition in conditions for term in condition.terms)

    @property
    def words(self) -> frozenset[str]:
        """Every word that the row's conditions use, `unless` and codes included."""
        try:
            return self._words
        except AttributeError:
            found = frozenset(term.word for term in self.terms)
            object.__setattr__(self, "_words", found)
            return found

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


def spelt(text: str) -> str:
    """A text of a list without what its spelling adds: case, blanks, a full stop at its end."""
    return " ".join(text.split()).rstrip(".").casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What a licence requirement of an entry of a list reaches, where that is less than every item.

    `eccn` are the classifications that it reaches; where it names none, it reaches every item that has one but EAR99
    and those whose third to fifth digits are 999.
    """

    text: str
    eccn: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LawSource:
    """Where a table of law comes from, and whether it was compared with that."""

    text: str
    checked: bool


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
    `programmes` has, by ownership test and list, the programmes of a list's entry under which an owner counts; a list
    that is not there counts under every one. `requirements` are by their text, as `spelt` makes it. `sources` are by
    the names of table and entry, such as `ownership/ofac-50`.
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
    programmes: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    requirements: Mapping[str, Requirement] = field(default_factory=dict)
    sources: Mapping[str, LawSource] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BookSettings:
    """What an operator decides where the law is open, and how long an allow may be reused (seconds)."""

    max_age_classified: Decimal = Decimal(5)
    max_age_other: Decimal = Decimal(30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Everything that can change an answer, under one fingerprint (`sha256:` and 64 hex digits)."""

    rows: tuple[Row, ...]
    tables: Tables
    settings: BookSettings
    matcher: str
    fingerprint: str

    def row(self, rule_id: str) -> Row | None:
        """The row with this id."""
        return next((row for row in self.rows if row.id == rule_id), None)
