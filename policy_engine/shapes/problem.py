"""What is answered where something is not done (RFC 9457, `application/problem+json`). A denial is never one."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from policy_engine.shapes.document import Digest, Document, Instant


class FaultDocument(Document, frozen=True, kw_only=True):
    """One thing that is wrong: in a field of the body or a parameter (`field`, empty for the whole body), or in a file
    that was sent (`file`, `line`, `column`, `cell`) with what to do about it (`remedy`)."""

    field: str | UnsetType = UNSET
    file: str | UnsetType = UNSET
    line: int | UnsetType = UNSET
    column: int | UnsetType = UNSET
    cell: str | UnsetType = UNSET
    message: str
    remedy: str | UnsetType = UNSET


class ProblemDocument(Document, frozen=True, kw_only=True):
    """Why something is not done. `type` names the kind, and the kind says which of the other members there are."""

    type: Annotated[str, Meta(description="A relative reference whose last part names the problem.")]
    title: str
    status: int
    errors: Annotated[tuple[FaultDocument, ...], Meta(description="Every fault that was found.")] | UnsetType = UNSET
    year: Annotated[int, Meta(description="The year of the log that is retired.")] | UnsetType = UNSET
    retired_at: Instant | UnsetType = UNSET
    retirement: Annotated[str, Meta(description="The entry of the log that retired it.")] | UnsetType = UNSET
    cases: Annotated[Digest, Meta(description="The report that an approval has to name.")] | UnsetType = UNSET
    removed: Annotated[tuple[str, ...], Meta(description="Worked examples that go.")] | UnsetType = UNSET
    changed: Annotated[tuple[str, ...], Meta(description="Worked examples that say something else.")] | UnsetType = (
        UNSET
    )
    detail: str | UnsetType = UNSET
