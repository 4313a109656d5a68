"""The documents of changes of members, and of what is on file."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, field

from policy_engine.shapes.administration import Members
from policy_engine.shapes.document import (
    ActorDocument,
    Body,
    Digest,
    Document,
    GivenInstant,
    Instant,
    RowsDocument,
    Sentences,
    WithdrawalDocument,
)


class EditAction(StrEnum):
    """What is done with a row."""

    SUSPEND = "suspend"
    RESUME = "resume"
    END = "end"
    CORRECT = "correct"
    RETRACT = "retract"


class EditBody(Body, frozen=True, kw_only=True):
    """One edit: what is done with which row, at what instant, and the members of a correction as they are written."""

    action: EditAction
    kind: Annotated[str, Meta(description="The kind of row.", examples=["membership"])]
    name: Annotated[tuple[str, ...], Meta(description="The values that name the row.")]
    at: GivenInstant | None = None
    begins: Annotated[GivenInstant, Meta(description="Of several rows the one that begins then.")] | None = None
    changes: tuple[tuple[str, str], ...] = ()


class ChangeBody(Body, frozen=True, kw_only=True):
    """A membership document, as JSON in `members` or as the text of a file in `document` with its name in `source`, or
    `edits` of single rows; why it is to be recorded; and whether it is only to be looked at."""

    edits: tuple[EditBody, ...] | None = None
    members: Members | None = None
    document: str | None = None
    source: str | None = None
    reason: Sentences | None = None
    dry_run: bool = False


class ChangeApprovalBody(Body, frozen=True, kw_only=True):
    """The digest of what was shown, and what there is to say about it."""

    shown: str | None = None
    note: Sentences | None = None


class WideningDocument(Document, frozen=True, kw_only=True):
    """A row that may widen what somebody may do, and why; it waits for a second person."""

    row: str
    why: str


class EffectDocument(Document, frozen=True, kw_only=True):
    """Somebody who gains or loses a model, from when on, and the rule and code that decide then."""

    subject: str
    organisation: str | None
    model: str
    since: Instant = field(name="from")
    rule: str
    code: str
    assumed: tuple[str, ...]


class EffectsDocument(Document, frozen=True, kw_only=True):
    """What comes of a change for those whom it touches. Of very many `gained` and `lost` name the first alone."""

    touched: int
    judged: int
    left_out: int
    at: tuple[Instant, ...]
    gains: int
    losses: int
    gained: tuple[EffectDocument, ...]
    lost: tuple[EffectDocument, ...]


class ListedChangeDocument(Document, frozen=True, kw_only=True):
    """A change of members: who proposed it, why, and where it is. A preview has no id and was recorded nowhere."""

    id: str | None
    status: Annotated[
        str,
        Meta(
            extra_json_schema={"enum": ["preview", "nothing_new", "waits", "in_force", "stale", "withdrawn"]},
        ),
    ]
    at_once: Annotated[str, Meta(description="Why it is on file without a second person.")] | UnsetType | None = UNSET
    reason: str | UnsetType = UNSET
    added: Annotated[int, Meta(description="Rows that it adds.")] | UnsetType = UNSET
    proposed_by: ActorDocument | UnsetType = UNSET
    proposed_at: Instant | UnsetType = UNSET
    approved_by: ActorDocument | UnsetType | None = UNSET
    approved_at: Instant | UnsetType | None = UNSET
    withdrawn: WithdrawalDocument | UnsetType | None = UNSET


class ChangeFileDocument(ListedChangeDocument, frozen=True, kw_only=True):
    """A change with its rows and, while it waits, with what would come of it. `shown` is the digest of what is told
    here, by which it is approved; `stale` says why it can no longer be."""

    needs_second_person: bool | UnsetType = UNSET
    widens: tuple[WideningDocument, ...] | UnsetType = UNSET
    rows: RowsDocument
    state_after: Annotated[tuple[str, ...], Meta(description="The rows as they would stand.")] | UnsetType = UNSET
    effects: EffectsDocument | UnsetType = UNSET
    shown: Digest | UnsetType = UNSET
    stale: str | UnsetType | None = UNSET


class ChangesDocument(Document, frozen=True, kw_only=True):
    """Every change of members, the newest first."""

    changes: tuple[ListedChangeDocument, ...]


class OnFileDocument(Document, frozen=True, kw_only=True):
    """What is on file about somebody, as a membership document; at an instant, and as known at another, where these
    were asked for."""

    kind: str
    id: str
    at: Instant | None
    known_at: Instant | None
    membership_revision: int
    members: Members
