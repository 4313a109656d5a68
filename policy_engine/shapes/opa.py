"""The documents in which the Open Policy Agent is asked and answers. Members that are not declared are passed over."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from policy_engine.shapes.document import Body, Document


class OpaBody(Body, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """What a gateway knows of its client's request."""

    input: Annotated[
        dict[str, object], Meta(description="`request` with method, path and headers, `consumer`, `parsed_json_body`.")
    ]


class OpaAnswer(Document, frozen=True, kw_only=True):
    """Whether the request may go on, and what its client is told where it may not."""

    result: Annotated[
        dict[str, object],
        Meta(
            description="`allow`, `decision_id`, `headers`; for a deny `status` and `message`.",
            extra_json_schema={"required": ["allow"], "properties": {"allow": {"type": "boolean"}}},
        ),
    ]
