"""What gateways are told when grants may have ended."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from policy_engine.shapes.document import Document, Instant


class EndingDocument(Document, frozen=True, kw_only=True, rename={"start": "from"}):
    """A change that may have ended grants: forget what was allowed to these subjects for these models, and ask again.

    It names no fact about anybody.
    """

    index: Annotated[int, Meta(description="The number of the change in the log, which is the id of the event too.")]
    change: Annotated[str, Meta(description="The id of the change, which an auditor finds in the log.")]
    at: Annotated[Instant, Meta(description="When it was recorded.")]
    start: Annotated[Instant, Meta(description="From when it counts: for a book, that may lie ahead.")]
    causes: Annotated[
        tuple[str, ...],
        Meta(description="What ended: `rule`, `freeze`, `membership`, `listing`, `authorisation`, `facts`."),
    ]
    everybody: Annotated[bool, Meta(description="Whether it may be about anybody; `subjects` is not there then.")]
    every_model: Annotated[bool, Meta(description="Whether it may be about any model; `models` is not there then.")]
    subjects: Annotated[
        tuple[str, ...] | UnsetType,
        Meta(
            description="Whom it may be about: `person:ID`, `organisation:ID`, `account:ID` or `service:ID`, as the"
            " subject, the organisation acted for, the end user or the host of a request."
        ),
    ] = UNSET
    models: Annotated[
        tuple[str, ...] | UnsetType,
        Meta(description="Which models it may be about, by their ids in the catalogue."),
    ] = UNSET
