"""What every declared document is made of.

From a declaration come the strict reader of what is sent, the writer of what is answered, the client's view of it, and
its schema in `/openapi.json`. A field that may be left out has a default; one that is not always answered is `UNSET`
where it is not.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from policy_engine.domain.changes import Actor
from policy_engine.domain.desk import Withdrawal
from policy_engine.domain.instants import format_instant

MAX_TEXT: Final = 4_000
"""Characters of a note, a reason or a rationale."""

Instant = Annotated[
    str,
    Meta(
        description="An RFC 3339 instant in UTC with six digits of a second.",
        examples=["2026-06-20T15:00:00.000000Z"],
        extra_json_schema={"format": "date-time"},
    ),
]
GivenInstant = Annotated[
    str,
    Meta(
        description="An RFC 3339 instant with a zone, or a date, which is 00:00:00Z of that day.",
        examples=["2026-06-20T15:00:00Z"],
    ),
]
Sentences = Annotated[
    str,
    Meta(
        description=f"For the record: at most {MAX_TEXT:,} characters, in lines, without control characters.",
        extra_json_schema={"maxLength": MAX_TEXT},
    ),
]
Digest = Annotated[
    str,
    Meta(description="`sha256:` and 64 hexadecimal digits.", extra_json_schema={"pattern": "^sha256:[0-9a-f]{64}$"}),
]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A document that is sent. A member that is not declared is refused."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document that is answered. A client passes over members that it does not know."""


class ActorDocument(Document, frozen=True, kw_only=True):
    """The key with which something was done, and the person to whom it is bound."""

    key: str
    person: str | None


class WithdrawalDocument(Document, frozen=True, kw_only=True):
    """Who took back what waited for another person, when and why."""

    by: ActorDocument
    at: Instant
    reason: str


class RowDocument(Document, frozen=True, kw_only=True):
    """A row of the members, in words and by its fields."""

    kind: str
    text: str
    row: dict[str, object]


class RowsDocument(Document, frozen=True, kw_only=True):
    """Rows of the members as they are, or will be, recorded, and the digest of all of them by which they are
    confirmed."""

    digest: Digest
    count: int
    rows: tuple[RowDocument, ...]


D = TypeVar("D", bound=Document)


def document_of(shape: type[D], *held: object, **told: Any) -> D:
    """The document of what is held: a field that is not told is taken from the first of these that has it by its name.

    An instant becomes its text, and who did something the document of that. Raises `TypeError` where a field that must
    be there is neither told nor held.
    """
    for name in shape.__struct_fields__:
        source = next((one for one in held if hasattr(one, name)), None)
        if name not in told and source is not None:
            told[name] = getattr(source, name)
    return shape(**{name: _document(value) for name, value in told.items()})


def _document(value: object) -> object:
    match value:
        case datetime():
            return format_instant(value)
        case Actor():
            return ActorDocument(key=value.key, person=value.person)
        case Withdrawal():
            return document_of(WithdrawalDocument, value, by=value.actor)
    return value


def one_of(*shapes: type[msgspec.Struct]) -> dict[str, object]:
    """What a schema says of a member that is one of several documents."""
    return {"anyOf": [{"$ref": f"#/components/schemas/{shape.__name__}"} for shape in shapes]}
