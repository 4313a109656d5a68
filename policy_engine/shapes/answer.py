"""The answer to one request, in full and as a requester may be told it, and the answers to a batch."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, UnsetType

from policy_engine.domain.catalogue import Tier
from policy_engine.domain.remedies import ChangeKind
from policy_engine.domain.rules import REGIMES, PublicCode
from policy_engine.shapes.document import Document, Instant, one_of

Decision = Literal["allow", "deny"]
PublicCodeTold = Annotated[str, Meta(extra_json_schema={"enum": [code.value for code in PublicCode]})]
Details = dict[str, str | tuple[str, ...]]


class ReasonDocument(Document, frozen=True, kw_only=True):
    """The deciding finding that comes first, in a sentence for the officer and in one for the requester."""

    code: str
    rule: str
    message: str
    public_code: PublicCodeTold
    public_message: str


class FindingDocument(Document, frozen=True, kw_only=True):
    """A row of the rule book that matched, and what became of it."""

    rule: str
    regime: Annotated[str, Meta(examples=[REGIMES[1]])]
    effect: Annotated[str, Meta(extra_json_schema={"enum": ["permit", "deny", "note"]})]
    state: Annotated[str, Meta(extra_json_schema={"enum": ["deciding", "lifted", "advisory", "suspended", "note"]})]
    hold: bool
    codes: tuple[str, ...]
    citation: str
    message: str
    detail: Annotated[Details, Meta(description="What the codes leave open: owners, percentages, fits.")]
    lifted_by: str | None
    review: Annotated[str, Meta(description="The case that was opened.")] | None

    @property
    def lifters(self) -> tuple[str, ...]:
        """Everything that lifted it, rows by their ids and other conditions as they are written."""
        return self.told("lifted_by") or (() if self.lifted_by is None else (self.lifted_by,))

    @property
    def authorisations(self) -> tuple[str, ...]:
        """Those that the row's own condition found usable, by id."""
        return self.told("authorisations")

    def told(self, name: str) -> tuple[str, ...]:
        """What the detail has under a name."""
        value = self.detail.get(name, ())
        return (value,) if isinstance(value, str) else value


class ChangeDocument(Document, frozen=True, kw_only=True):
    """One change that could lawfully be made, with what it needs."""

    change: Annotated[str, Meta(extra_json_schema={"enum": [kind.value for kind in ChangeKind]})]
    facts: tuple[str, ...] | UnsetType = UNSET
    regime: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    holder: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    action: str | UnsetType = UNSET
    consortium: str | UnsetType = UNSET
    organisation: str | UnsetType = UNSET
    kind_of_statement: str | UnsetType = UNSET
    to: str | UnsetType = UNSET


class RemedyDocument(ChangeDocument, frozen=True, kw_only=True):
    """A change that was tried and leads to allow, together with those in `also` where it is not enough alone."""

    message: str
    then: str
    also: tuple[ChangeDocument, ...] | UnsetType = UNSET


class ObligationDocument(Document, frozen=True, kw_only=True):
    """What is to be done with an answer, and the rule that says so."""

    id: str
    rule: str
    message: str


class ModelDocument(Document, frozen=True, kw_only=True):
    """The model by its id in the catalogue; one that is in none has no tier."""

    id: str
    tier: Annotated[str, Meta(extra_json_schema={"enum": [tier.value for tier in Tier]})] | None


class AnswerDocument(Document, frozen=True, kw_only=True):
    """The full answer, for keys that carry `decisions:explain`. A denial is an answer as an allow is."""

    decision: Decision
    allowed: bool
    hold: Annotated[bool, Meta(description="Whether a person looks at it: a review case is open.")]
    reason: ReasonDocument
    findings: tuple[FindingDocument, ...]
    missing: Annotated[tuple[str, ...], Meta(description="Facts that a deciding rule read and nobody knew.")]
    remedies: tuple[RemedyDocument, ...]
    obligations: tuple[ObligationDocument, ...]
    alternatives: Annotated[tuple[str, ...], Meta(description="Models that the requester may use, by the same rules.")]
    ignored_properties: Annotated[tuple[str, ...], Meta(description="Properties that this key may not assert.")]
    decision_id: str
    decided_at: Instant
    valid_until: Annotated[Instant, Meta(description="Until when an allow may be used again; then ask anew.")]
    policy_version: str
    membership_revision: int
    model: ModelDocument


class ShortReasonDocument(Document, frozen=True, kw_only=True):
    """What a requester is told."""

    public_code: PublicCodeTold
    public_message: str


class ShortObligationDocument(Document, frozen=True, kw_only=True):
    """What is to be done with an answer."""

    id: str
    message: str


class ShortAnswerDocument(Document, frozen=True, kw_only=True):
    """The answer for keys without `decisions:explain`: no rule, no finding, no fact."""

    decision: Decision
    allowed: bool
    hold: bool
    alternatives: tuple[str, ...]
    obligations: tuple[ShortObligationDocument, ...]
    decision_id: str
    decided_at: Instant
    valid_until: Instant
    policy_version: str
    membership_revision: int
    reason: ShortReasonDocument


class RefusedReasonDocument(ShortReasonDocument, frozen=True, kw_only=True):
    """Why an item is refused; the code and the fault for keys that carry `decisions:explain`."""

    code: str | UnsetType = UNSET
    rule: str | UnsetType = UNSET
    message: str | UnsetType = UNSET


class RefusedItemDocument(Document, frozen=True, kw_only=True):
    """A member of a batch that is no request: it is denied, its fault is told, and nothing is recorded of it."""

    decision: Literal["deny"]
    allowed: bool
    hold: bool
    alternatives: tuple[str, ...]
    obligations: tuple[ShortObligationDocument, ...]
    decision_id: None
    decided_at: None
    valid_until: None
    policy_version: None
    membership_revision: None
    reason: RefusedReasonDocument
    error: str | UnsetType = UNSET


ANSWERS: Final = (AnswerDocument, ShortAnswerDocument)
"""What `POST /decide` answers, by the rights of the key."""

ITEMS: Final = (*ANSWERS, RefusedItemDocument)
"""What is answered to a member of a batch."""


class BatchDocument(Document, frozen=True, kw_only=True):
    """The answers in the order of the requests, all decided by one rule book at one instant. With a semantic that ends
    early there are fewer answers than requests."""

    answers: tuple[Annotated[dict[str, object], Meta(extra_json_schema=one_of(*ITEMS))], ...]
