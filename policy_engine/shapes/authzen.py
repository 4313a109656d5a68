"""The documents of the Authorization API 1.0 of OpenID AuthZEN. Members that are not declared are passed over."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from policy_engine.shapes.document import Body, Document

_OPEN = {"additionalProperties": True}

Entity = Annotated[
    dict[str, object],
    Meta(
        description="`type` and `id`, and `properties` where any are stated.",
        extra_json_schema={"required": ["type"], "properties": {"type": {"type": "string"}, "id": {"type": "string"}}},
    ),
]
Named = Annotated[
    dict[str, object],
    Meta(
        description="The action by its `name`.",
        extra_json_schema={"required": ["name"], "properties": {"name": {"type": "string"}}},
    ),
]
Context = Annotated[
    dict[str, object],
    Meta(
        description="Where from and what for: `country`, `ip_country`, `purpose`, `acting_for`, `end_user`.",
    ),
]
PageAsked = Annotated[dict[str, object], Meta(description="`limit`, and the `token` of the page before.")]


class EvaluationBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """May this subject do this with this model?"""

    subject: Entity
    action: Named
    resource: Entity
    context: Context | None = None


class EvaluationsBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """Several questions; what an item leaves out is taken from the request."""

    subject: Entity | None = None
    action: Named | None = None
    resource: Entity | None = None
    context: Context | None = None
    evaluations: (
        Annotated[
            tuple[object, ...],
            Meta(description="Objects of the four members above; an item that is none is answered false."),
        ]
        | None
    ) = None
    options: Annotated[dict[str, object], Meta(description="`evaluations_semantic`.")] | None = None


class SearchBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """For which subjects, models or actions is an evaluation true? What is searched for has no `id`."""

    subject: Entity
    resource: Entity
    action: Named | None = None
    context: Context | None = None
    page: PageAsked | None = None


class EvaluationAnswer(Document, frozen=True, kw_only=True):
    """The decision, and in `context` its record's id, the public code and until when an allow may be reused."""

    decision: bool
    context: dict[str, object] | UnsetType = UNSET


class EvaluationsAnswer(Document, frozen=True, kw_only=True):
    """The decisions in the order of their questions, up to where the semantic stopped."""

    evaluations: tuple[EvaluationAnswer, ...]


class PageAnswer(Document, frozen=True, kw_only=True):
    """Where the results go on; an empty token: nowhere."""

    next_token: str
    count: int


class ResultDocument(Document, frozen=True, kw_only=True):
    """One that was found: a subject or a model by type and id, an action by its name."""

    type: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET


class SearchAnswer(Document, frozen=True, kw_only=True):
    """What was found, in an order that stays."""

    results: tuple[ResultDocument, ...]
    page: PageAnswer | UnsetType = UNSET


class WellKnownDocument(Document, frozen=True, kw_only=True):
    """What this decision point offers, and where."""

    policy_decision_point: str
    access_evaluation_endpoint: str
    access_evaluations_endpoint: str
    search_subject_endpoint: str
    search_resource_endpoint: str
    search_action_endpoint: str
