"""The documents of policy administration: books and their approval, freezes, reviews, simulation."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from policy_engine.shapes.document import (
    ActorDocument,
    Body,
    Document,
    GivenInstant,
    Instant,
    RowsDocument,
    Sentences,
    WithdrawalDocument,
)
from policy_engine.shapes.problem import FaultDocument
from policy_engine.shapes.record import AsRecorded

Files = Annotated[
    dict[str, str], Meta(description="The files of a book's folder by their names relative to it, worked examples too.")
]
Members = Annotated[
    dict[str, object],
    Meta(
        description="A membership document (`members export` gives one).",
        extra_json_schema={"$ref": "#/components/schemas/MembershipDocument"},
    ),
]
Names = tuple[Annotated[str, Meta(extra_json_schema={"minLength": 1})], ...]


class BookBody(Body, frozen=True, kw_only=True):
    """The files of a book's folder, worked examples included, by their names relative to it."""

    files: Files


class ProposalBody(Body, frozen=True, kw_only=True):
    """A book to propose: its `files`, or in `rollback_to` the fingerprint of an archived one."""

    files: Files | None = None
    rollback_to: str | None = None
    note: Sentences
    effective: Annotated[GivenInstant, Meta(description="From when on; as soon as it is approved where absent.")] | (
        None
    ) = None
    since: (
        Annotated[GivenInstant, Meta(description="From when on recorded decisions are judged again; 30 days back.")]
        | None
    ) = None
    withdraws: Annotated[tuple[str, ...], Meta(description="Approved proposals, not yet in force, that it ends.")] = ()


class ApprovalBody(Body, frozen=True, kw_only=True):
    """An approval may say something; `cases` is the digest of the report about the worked examples, where some go or
    change."""

    note: Sentences | None = None
    cases: str | None = None


class WithdrawalBody(Body, frozen=True, kw_only=True):
    """Why what waits for another person is taken back."""

    reason: Sentences | None = None


class FreezeBody(Body, frozen=True, kw_only=True):
    """What to freeze, by whose authority, why and until when; `all` freezes everything. Several names of a kind are
    each frozen; names of two kinds freeze what is both."""

    models: Names | None = None
    countries: Names | None = None
    organisations: Names | None = None
    gateways: Names | None = None
    all: bool = False
    authority: Sentences
    reason: Sentences
    until: GivenInstant | None = None


class LiftBody(Body, frozen=True, kw_only=True):
    """Why a freeze is to be lifted; the second person may leave it out."""

    reason: Sentences | None = None


class CloseBody(Body, frozen=True, kw_only=True):
    """How a case is to end. A release with `members` asks for it; without, it confirms what another person asked, by
    the digest of the `rows` that were shown."""

    outcome: Literal["refuse", "release"]
    rationale: Sentences | None = None
    members: Members | None = None
    rows: str | None = None


class SimulationBody(Body, frozen=True, kw_only=True):
    """A request, and what is supposed beside what stands. Without `at` it is now; without `known_at` what was known at
    the instant counts."""

    request: Annotated[dict[str, object], Meta(description="As for `POST /decide`.")]
    at: GivenInstant | None = None
    known_at: GivenInstant | None = None
    book: Annotated[str, Meta(description="The fingerprint of an archived book.")] | None = None
    members: Members | None = None
    freezes: Annotated[bool, Meta(description="Whether the freezes that stand count.")] = True


class BookFilesDocument(Document, frozen=True, kw_only=True):
    """An archived book: its files as they were accepted, worked examples included."""

    fingerprint: str
    files: dict[str, str]


class CheckedCasesDocument(Document, frozen=True, kw_only=True):
    """What became of the worked examples; where there is a book in force, which of its examples go, change or come."""

    passed: int
    failed: tuple[str, ...]
    removed: tuple[str, ...] | UnsetType = UNSET
    changed: tuple[str, ...] | UnsetType = UNSET
    added: tuple[str, ...] | UnsetType = UNSET


class CheckedDocument(Document, frozen=True, kw_only=True):
    """What a check of a book found; `fingerprint` is null where it cannot be read."""

    ok: bool
    fingerprint: str | None
    faults: tuple[FaultDocument, ...]
    cases: CheckedCasesDocument


class ReportDocument(Document, frozen=True, kw_only=True):
    """A report of a proposal: what it is about, in a sentence, and the digest of its bytes."""

    name: str
    summary: str
    digest: str


class ProposalDocument(Document, frozen=True, kw_only=True):
    """A proposal: where it is, and the summaries of its reports. `withdrawn_by` is the proposal that ended it,
    `withdrawn` the person who took it back; `cases` the digest by which lost worked examples were acknowledged."""

    id: str
    status: Annotated[str, Meta(extra_json_schema={"enum": ["proposed", "scheduled", "put_in_force", "withdrawn"]})]
    fingerprint: str
    base: Annotated[str, Meta(description="The book that it was compared with; `none` where there was none.")]
    rollback: bool
    note: str
    effective: Instant | None
    withdraws: tuple[str, ...]
    proposed_by: ActorDocument
    proposed_at: Instant
    approved_by: ActorDocument | None
    approved_at: Instant | None
    in_force: Instant | None
    cases: str | None
    withdrawn_by: str | None
    withdrawn: WithdrawalDocument | None
    reports: tuple[ReportDocument, ...]


class ProposalsDocument(Document, frozen=True, kw_only=True):
    """Every proposal, the newest first."""

    proposals: tuple[ProposalDocument, ...]


class InForceDocument(Document, frozen=True, kw_only=True):
    """A book, since when it is in force, and by whom."""

    fingerprint: str
    since: Instant
    via: str
    proposal: str | None
    proposed_by: ActorDocument | None
    approved_by: ActorDocument | None
    recorded_by: ActorDocument


class FreezeDocument(Document, frozen=True, kw_only=True):
    """A freeze: its scope, and where it is."""

    id: str
    status: Annotated[str, Meta(extra_json_schema={"enum": ["frozen", "lift_asked", "lifted", "expired"]})]
    models: tuple[str, ...]
    countries: tuple[str, ...]
    organisations: tuple[str, ...]
    gateways: tuple[str, ...]
    all: bool
    authority: str
    reason: str
    start: Instant = field(name="from")
    until: Instant | None
    declared_by: ActorDocument
    lift_asked_by: ActorDocument | None
    lift_reason: str | None
    lifted_by: ActorDocument | None
    lifted_at: Instant | None


class FreezesDocument(Document, frozen=True, kw_only=True):
    """Every freeze, the newest first."""

    freezes: tuple[FreezeDocument, ...]


class PolicyDocument(Document, frozen=True, kw_only=True):
    """Everything that stands: the book in force, those to come and before, proposals, freezes."""

    in_force: InForceDocument | None
    scheduled: tuple[InForceDocument, ...]
    history: tuple[InForceDocument, ...]
    proposals: tuple[ProposalDocument, ...]
    freezes: tuple[FreezeDocument, ...]


class ReviewDocument(Document, frozen=True, kw_only=True):
    """A case: what it is about, and where it is. `rows` are those of a release that is asked for or done."""

    id: str
    status: str
    subject: str
    model: str
    action: str
    purpose: str | None
    rule: str
    decision_id: str
    opened_at: Instant
    due_at: Instant
    asked_by: ActorDocument | None
    asked_at: Instant | None
    closed_by: ActorDocument | None
    closed_at: Instant | None
    rationale: str | None
    membership_revision: int | None
    rows: RowsDocument | None


class ReviewFileDocument(ReviewDocument, frozen=True, kw_only=True):
    """A case with the held decision as it was recorded, what lifts the rule, and rows that would clear a listing."""

    lifts: str
    clearance: str | None
    decision: AsRecorded


class ReviewsDocument(Document, frozen=True, kw_only=True):
    """Cases, the oldest first, and where the next page begins."""

    reviews: tuple[ReviewDocument, ...]
    next_cursor: str | None
