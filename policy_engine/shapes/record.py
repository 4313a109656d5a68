"""Records of decisions as they stand in the log, and pages of them."""

from __future__ import annotations

from typing import Annotated, cast

from msgspec import UNSET, Meta, Raw, UnsetType

from policy_engine.shapes.answer import AnswerDocument
from policy_engine.shapes.document import Document, Instant


class CallerDocument(Document, frozen=True, kw_only=True):
    """The key that asked, with what it could do then."""

    id: str
    gateway: str | None
    assertable: tuple[str, ...]
    explain: bool


class RecordDocument(Document, frozen=True, kw_only=True):
    """A decision as it was recorded: the answer, what was asked and by whom, and what was on file for each party."""

    v: Annotated[int, Meta(description="The version of the layout.")]
    answer: AnswerDocument
    caller: CallerDocument
    control_epoch: int
    engine: str
    facts: tuple[dict[str, object], ...]
    request: Annotated[dict[str, object], Meta(description="As it was sent, or its digest in `sha256`.")]


def as_recorded(body: bytes) -> RecordDocument:
    """A record as a part of a document: its bytes stand in it as they stand in the log."""
    return cast(RecordDocument, Raw(body))


class CheckpointNamed(Document, frozen=True, kw_only=True):
    """The signed checkpoint that a root is of."""

    origin: str
    size: int


class AsOfDocument(Document, frozen=True, kw_only=True):
    """The log that an answer is of: its size, and the root of the sealed tree in base64 with its checkpoint; null where
    there is no sealed log."""

    size: int
    root: str | None
    checkpoint: CheckpointNamed | UnsetType = UNSET


class UnreadDocument(Document, frozen=True, kw_only=True):
    """How many decisions a filter could not find, since no rule read what it asks for; `more`: at least so many."""

    filter: str
    decisions: int
    more: bool
    why: str


class PageDocument(Document, frozen=True, kw_only=True):
    """Decisions, the newest first, where the next page begins, and the log that they are of. `retired` are years that
    the filters reach into and that are no longer kept."""

    decisions: tuple[RecordDocument, ...]
    next_cursor: str | None
    as_of: AsOfDocument
    retired: tuple[int, ...] | UnsetType = UNSET
    unread: tuple[UnreadDocument, ...] | UnsetType = UNSET


class DifferenceDocument(Document, frozen=True, kw_only=True):
    """A place at which two records differ, as a JSON path; the values are JSON texts, null is a member that is not
    there."""

    path: str
    recorded: str | None
    now: str | None


class ReplayedDocument(Document, frozen=True, kw_only=True):
    """A decision made again with what was known then: whether the bytes are the same, and where they differ."""

    decision_id: str
    same: bool | None
    shortened: bool
    engine: str
    engine_now: str
    differences: tuple[DifferenceDocument, ...]
    obstacle: str | None


class KnownNowDocument(Document, frozen=True, kw_only=True):
    """What a decision would have been at its instant, had everything been known that is known now."""

    decision_id: str
    at: Instant
    policy_version: str
    membership_revision: int
    allowed: bool
    allowed_now: bool | None
    differences: tuple[DifferenceDocument, ...]
    obstacle: str | None
