"""The reports that are kept with a proposal, and the one that an approver reads, which is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType, field

from policy_engine.shapes.document import ActorDocument, Document, Instant

Outcomes = Annotated[dict[str, int], Meta(description="How many, by what becomes of them.")]


class CheckReport(Document, frozen=True, kw_only=True):
    """That a book has no fault, and which of its bars can never match."""

    fingerprint: str
    rows: int
    regimes: tuple[str, ...]
    faults: tuple[str, ...]
    never_match: tuple[str, ...]


class CasesReport(Document, frozen=True, kw_only=True):
    """The worked examples, which all hold, and what became of those before, where they could be compared."""

    held: tuple[str, ...]
    failed: tuple[str, ...]
    removed: tuple[str, ...] | UnsetType = UNSET
    changed: tuple[str, ...] | UnsetType = UNSET
    added: tuple[str, ...] | UnsetType = UNSET


class AnswerByRule(Document, frozen=True, kw_only=True):
    """An answer, allow, deny or hold, and the rule and code that decide."""

    decision: str
    rule: str
    code: str


class PlaceInBook(Document, frozen=True, kw_only=True):
    """Models and actions, from an instant until another; null for all time before or after."""

    models: tuple[str, ...]
    actions: tuple[str, ...]
    start: Instant | None = field(name="from")
    end: Instant | None = field(name="to")


class ClauseDocument(Document, frozen=True, kw_only=True):
    """Some of those whose answer changes, in words and by their values."""

    text: str
    values: dict[str, tuple[str, ...]]


class WitnessDocument(Document, frozen=True, kw_only=True):
    """A request that is with another answer, with the members and the instant at which it is."""

    at: Instant
    gateway: str | None
    members: dict[str, object]
    request: dict[str, object]
    old: AnswerByRule
    new: AnswerByRule


class ClassDocument(Document, frozen=True, kw_only=True):
    """Requesters whose answer changes alike. `whole` is false where others with the same answers are elsewhere."""

    old: str
    new: str
    rules: tuple[str, ...]
    reasons: tuple[tuple[AnswerByRule, AnswerByRule], ...]
    where: tuple[PlaceInBook, ...]
    clauses: tuple[ClauseDocument, ...]
    more_clauses: bool
    whole: bool
    witness: WitnessDocument


class DiffDocument(Document, frozen=True, kw_only=True):
    """Whose answer changes from the old book to the new one, exactly, over so many stretches of time."""

    old: str
    new: str
    at: Instant | None
    since: Instant | None
    stretches: int
    changes: dict[str, int]
    differences: tuple[ClassDocument, ...]


class ShareDocument(Document, frozen=True, kw_only=True):
    """The outcomes of a part of what was judged, with ids of some that change."""

    dimension: str
    value: str
    outcomes: Outcomes
    examples: tuple[str, ...] | UnsetType = UNSET


class StandingDocument(Document, frozen=True, kw_only=True):
    """A subject acting for an organisation whose access to a model changes, and the rule and code that decide then.

    `subject` is `type:id`; `organisation` is null for a person who acts for none.
    """

    subject: str
    organisation: str | None
    model: str
    rule: str
    code: str


class AsideDocument(Document, frozen=True, kw_only=True):
    """Decisions that are not among the outcomes."""

    count: int
    examples: tuple[str, ...] | UnsetType = UNSET


class StandingAccessDocument(Document, frozen=True, kw_only=True):
    """Who on file loses or gains a model. `undetermined` had access and would be denied for want of a fact."""

    judged: int
    outcomes: Outcomes
    lost: tuple[StandingDocument, ...] | UnsetType = UNSET
    gained: tuple[StandingDocument, ...] | UnsetType = UNSET
    undetermined: tuple[StandingDocument, ...] | UnsetType = UNSET
    shares: tuple[ShareDocument, ...]


class ImpactDocument(Document, frozen=True, kw_only=True):
    """What the new book changes for recorded decisions and for everybody on file. For who may not see names there are
    none, and counts are rounded down to multiples of `rounded_down_to`."""

    old: str
    new: str
    effective: Instant
    membership_revision: int
    decisions: int
    outcomes: Outcomes
    examples: dict[str, tuple[str, ...]] | UnsetType = UNSET
    not_judged: AsideDocument
    drift: AsideDocument
    shares: tuple[ShareDocument, ...]
    standing_access: StandingAccessDocument
    rounded_down_to: int | UnsetType = UNSET
    names: Annotated[str, Meta(description="What names need.")] | UnsetType = UNSET


class CellDocument(Document, frozen=True, kw_only=True):
    """A value under a name, before and after; null where there was or is none."""

    name: str
    before: str | None
    after: str | None


class ReasonOnRow(Document, frozen=True, kw_only=True):
    """An entry of the changelog of a book: why a rule means something else."""

    rule: str
    date: str
    what: str
    why: str


class RowChangeDocument(Document, frozen=True, kw_only=True):
    """A row that is added, removed or changed, with the values that differ."""

    rule: str
    what: str
    file: str | None
    moved_from: str | UnsetType | None = UNSET
    cells: tuple[CellDocument, ...]
    reasons: tuple[ReasonOnRow, ...]


class FileChangeDocument(Document, frozen=True, kw_only=True):
    """A file without rules, with the values that differ."""

    file: str
    values: tuple[CellDocument, ...]


class BookChangesDocument(Document, frozen=True, kw_only=True):
    """Everything that is written otherwise; `unread` are files that could not be compared."""

    rows: tuple[RowChangeDocument, ...]
    files: tuple[FileChangeDocument, ...]
    other_reasons: tuple[ReasonOnRow, ...]
    unread: tuple[str, ...]


class CaseDifferenceDocument(Document, frozen=True, kw_only=True):
    """A worked example that was removed, changed or added."""

    id: str
    what: str
    title: str
    expects: str
    values: tuple[CellDocument, ...]


class ProposalReportDocument(Document, frozen=True, kw_only=True):
    """What an approver reads: what is written otherwise, whose answer changes, who loses and gains, and which worked
    examples went. A part is null where it cannot be told, and `warnings` say why."""

    proposal: str
    status: str
    fingerprint: str
    base: str
    note: str
    proposed_by: ActorDocument
    proposed_at: Instant
    effective: Instant | None
    approved_by: ActorDocument | None
    in_short: tuple[str, ...]
    warnings: tuple[str, ...]
    changes: BookChangesDocument | None
    cases: tuple[CaseDifferenceDocument, ...] | None
    difference: DiffDocument | None
    impact: ImpactDocument | None


KEPT: Final[Mapping[str, type[Document]]] = {
    "check": CheckReport,
    "cases": CasesReport,
    "diff": DiffDocument,
    "impact": ImpactDocument,
}
"""The reports that are kept with a proposal, by their names."""
