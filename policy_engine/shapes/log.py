"""The documents of the sealed log: its years, legal holds, and years that are retired."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from policy_engine.shapes.administration import Names
from policy_engine.shapes.document import ActorDocument, Body, Document, Instant, Sentences


class HoldBody(Body, frozen=True, kw_only=True):
    """What to hold, and why; `all` holds everything. A record is held that has any one of the names."""

    decisions: Names | None = None
    organisations: Names | None = None
    subjects: Annotated[Names, Meta(description="Such as `person:alice`.")] | None = None
    models: Names | None = None
    all: bool = False
    reason: Sentences


class ReleaseBody(Body, frozen=True, kw_only=True):
    """Why a hold is released."""

    reason: Sentences


class RetirementBody(Body, frozen=True, kw_only=True):
    """Which year is retired, and why."""

    year: int
    reason: Sentences


class HoldDocument(Document, frozen=True, kw_only=True):
    """A legal hold; `records` says with its placing how many records it holds then."""

    id: str
    status: Annotated[str, Meta(extra_json_schema={"enum": ["held", "released"]})]
    scope: str
    decisions: tuple[str, ...]
    organisations: tuple[str, ...]
    subjects: tuple[str, ...]
    models: tuple[str, ...]
    all: bool
    reason: str
    placed_by: ActorDocument
    placed_at: Instant
    released_by: ActorDocument | None
    released_at: Instant | None
    release_reason: str | None
    records: int | UnsetType = UNSET


class HoldsDocument(Document, frozen=True, kw_only=True):
    """Every hold, by its id."""

    holds: tuple[HoldDocument, ...]


class RetiredDocument(Document, frozen=True, kw_only=True):
    """A year whose records are no longer kept, with the checkpoint in which it ended."""

    year: int
    first_index: int
    size: int
    decisions: int
    checkpoint: str
    key: str
    reason: str
    retired_by: ActorDocument
    retired_at: Instant
    retirement: Annotated[str, Meta(description="The entry of the log that says so.")]


class YearDocument(Document, frozen=True, kw_only=True):
    """A year's log: where it begins, and the key that verifies its checkpoints."""

    year: int
    first_index: int
    key: str
    retired_at: Instant | None
    retirement: str | None


class YearsDocument(Document, frozen=True, kw_only=True):
    """The years of the log."""

    years: tuple[YearDocument, ...]
