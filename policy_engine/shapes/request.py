"""What a gateway asks: one request, and a batch of them.

The bounds of a text stand with its schema; `extra` says what the strict reader (`formats.request_document`) asks beside
them: that it is an `identifier`, or what is `told` of one that is written otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import Meta

from policy_engine.domain.request import Action, Semantic, SubjectType
from policy_engine.shapes.document import Body

MAX_TEXT: Final = 1_000
"""Characters of a text that is no identifier."""

MAX_IDENTIFIER: Final = 200
MAX_LIST: Final = 50
"""Members of a list, and properties of a subject."""

MAX_REVISION: Final = 2**63 - 1
MAX_BATCH: Final = 1_000

Text = Annotated[
    str,
    Meta(
        description=f"At most {MAX_TEXT:,} characters, none of them a control or invisible character.",
        extra_json_schema={"maxLength": MAX_TEXT},
    ),
]
Identifier = Annotated[
    str,
    Meta(
        description="An id, matched byte for byte: in normal form C, in one script, without control characters.",
        extra_json_schema={"minLength": 1, "maxLength": MAX_IDENTIFIER},
        extra={"identifier": True},
    ),
]
Country = Annotated[
    str,
    Meta(
        description="ISO 3166-1 alpha-2.",
        examples=["DE"],
        extra_json_schema={"pattern": "^[A-Z]{2}$"},
        extra={"told": "must be an ISO 3166-1 alpha-2 code in capital letters such as DE, not `{}`"},
    ),
]
Subdivision = Annotated[
    str,
    Meta(
        description="ISO 3166-2.",
        examples=["UA-43"],
        extra_json_schema={"pattern": "^[A-Z]{2}-[A-Z0-9]{1,3}$"},
        extra={"told": "must be an ISO 3166-2 code such as UA-43, not `{}`"},
    ),
]
RequestId = Annotated[
    str,
    Meta(
        description="Makes a retry safe: the same request under the same id is decided once.",
        extra_json_schema={"pattern": "^[!-~]{1,128}$"},
        extra={"told": "must be 1 to 128 printable ASCII characters without blanks"},
    ),
]
Revision = Annotated[
    int,
    Meta(
        description="At least as fresh as this membership revision.",
        extra_json_schema={"minimum": 0, "maximum": MAX_REVISION},
    ),
]
Identifiers = Annotated[tuple[Identifier, ...], Meta(extra_json_schema={"maxItems": MAX_LIST})]
Properties = Annotated[
    dict[str, str | tuple[str, ...] | None],
    Meta(
        description="Facts that the caller asserts of the subject: a text each, or a list of texts.",
        extra_json_schema={"maxProperties": MAX_LIST},
    ),
]


class SubjectBody(Body, frozen=True, kw_only=True, omit_defaults=True):
    """A requester or an end user, by type and id; the membership database says the rest."""

    type: SubjectType
    id: Identifier
    properties: Properties | None = None


class PlaceBody(Body, frozen=True, kw_only=True, omit_defaults=True):
    """Evidence of where the requester is."""

    country: Country | None = None
    subdivision: Subdivision | None = None
    postcode: Text | None = None
    ip: Text | None = None
    ip_country: Annotated[
        Text, Meta(description="What a table of addresses says; a text that is no country is none.")
    ] | (None) = None


class DestinationBody(Body, frozen=True, kw_only=True, omit_defaults=True):
    """Where weights or technology would go, and the organisation that would host them."""

    country: Country | None = None
    subdivision: Subdivision | None = None
    postcode: Text | None = None
    host: Identifier | None = None


class ClaimsBody(Body, frozen=True, kw_only=True, omit_defaults=True):
    """What the requester claims."""

    exception: Annotated[Text, Meta(description="A licence exception or exemption.")] | None = None


class RequestBody(Body, frozen=True, kw_only=True, omit_defaults=True):
    """May this subject do this with this model? Only `subject`, `model` and `action` are required; absent and `null`
    are the same: not stated."""

    subject: SubjectBody
    acting_for: Annotated[Identifier, Meta(description="The organisation for which the subject acts.")] | None = None
    model: Annotated[Identifier, Meta(description="An id of the catalogue, or an alias of the gateway.")]
    action: Action
    purpose: Annotated[Text, Meta(description="What it is for, as the catalogue names purposes.")] | None = None
    place: PlaceBody | None = None
    end_user: Annotated[SubjectBody, Meta(description="Who is behind a reseller; judged as well.")] | None = None
    destination: DestinationBody | None = None
    claims: ClaimsBody | None = None
    fallbacks: Annotated[Identifiers, Meta(description="Models to try as alternatives, in this order.")] | None = None
    min_revision: Revision | None = None
    request_id: RequestId | None = None


NESTED: Final[Mapping[str, type[Body]]] = {
    "subject": SubjectBody,
    "end_user": SubjectBody,
    "place": PlaceBody,
    "destination": DestinationBody,
    "claims": ClaimsBody,
}
"""The members of a request that are documents."""

PLAIN: Final = tuple(name for name in RequestBody.__struct_fields__ if name not in NESTED)
"""The members of a request that are values, by the names that they have everywhere."""

_REQUEST_OR_REFUSED: Final = {"anyOf": [{"$ref": "#/components/schemas/RequestBody"}, {}]}


class BatchBody(Body, frozen=True, kw_only=True):
    """Requests that are decided under one rule book at one instant and recorded together. With
    `deny_on_first_deny` or `permit_on_first_permit` it ends with the first such answer."""

    requests: Annotated[
        tuple[Annotated[object, Meta(extra_json_schema=_REQUEST_OR_REFUSED)], ...],
        Meta(
            description="Each as for `POST /decide`; one that is no request is a denied item with its fault.",
            extra_json_schema={"minItems": 1, "maxItems": MAX_BATCH},
        ),
    ]
    semantic: Semantic | None = None
