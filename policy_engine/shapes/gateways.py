"""What a gateway's plugin asks, and what it is told."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from policy_engine.shapes.answer import Decision, PublicCodeTold
from policy_engine.shapes.document import Body, Document, Instant

MAX_MODELS: Final = 1_000
"""Models of one question."""

Lines = Annotated[
    dict[str, str | tuple[str, ...]],
    Meta(
        description="Lines of the head of the client's request, by name in small letters; several lines as a list."
        " Those that the gateway's profile names are enough: no other is read."
    ),
]


class GatewayQuestionBody(Body, frozen=True, kw_only=True):
    """May the client of a gateway do this with these models? The gateway's profile says how it is read. It has no place
    for what the client wrote to the model."""

    method: Annotated[str, Meta(description="The method of the client's request.")]
    target: Annotated[str, Meta(description="Its path, and the query where that names a model.")]
    headers: Lines | None = None
    attributes: (
        Annotated[dict[str, str], Meta(description="What the gateway itself found out about its client's key.")] | None
    ) = None
    models: Annotated[
        tuple[str, ...],
        Meta(
            description="Every model that the gateway may use for the request, under its own names. Without one, the"
            " route or the path says which it is.",
            extra_json_schema={"maxItems": MAX_MODELS},
        ),
    ] = ()
    each: Annotated[
        bool, Meta(description="One answer for each of `models`, in their order, instead of up to the first deny.")
    ] = False


class GatewayAnswerDocument(Document, frozen=True, kw_only=True):
    """The decision about one model, which is on record."""

    model: Annotated[
        str | None, Meta(description="As the question named it; none where the question came to no model.")
    ]
    decision: Decision
    decision_id: str | None
    valid_until: Annotated[Instant | None, Meta(description="Until when an allow may be used again, unrecorded.")]
    public_code: PublicCodeTold
    public_message: str
    fault: Annotated[
        str | None, Meta(description="Why it was no question that could be judged, for the gateway's developer.")
    ]


class GatewayAnswersDocument(Document, frozen=True, kw_only=True):
    """`allowed` is true where every model of the question is. A denial is an answer as an allow is."""

    allowed: bool
    answers: tuple[GatewayAnswerDocument, ...]
