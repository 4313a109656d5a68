"""The shape in which the Open Policy Agent is asked (`POST /v1/data/...`), for gateways that speak it: Kong and APISIX.

    input.request.http or input.request   method, path, headers, querystring or query, parsed_body
    input.parsed_json_body                the client's JSON body, where the gateway passes it on
    input.consumer                        what the gateway found out about its client: attributes of the profile

What else stands in the input is passed over. Only the shape is that of the other engine: the rules in force decide by
the gateway's profile, and nothing is answered before it is on record. An answer whose `result.allow` is not true is a
deny, and so is an answer without a result: both gateways take it for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from policy_engine.app.builder import Parts
from policy_engine.domain.gateways import Doubt, Message
from policy_engine.domain.ports import LogUnavailable
from policy_engine.formats.request_document import FieldFault, MalformedRequest, parse_object
from policy_engine.gateways.asking import BODY_LIMIT, RIGHT, Outcome, ask, denial_document, doubted
from policy_engine.http.body import read_body
from policy_engine.http.reference import Example, audience, described
from policy_engine.http.security import admitted
from policy_engine.shapes.opa import OpaAnswer, OpaBody

PATH: Final = "/v1/data/policy_engine/decide"

router = audience("gateway")

_INPUT: Final = {
    "request": {
        "http": {"method": "POST", "path": "/v1/chat/completions", "headers": {"x-geo-country": "US"}},
    },
    "consumer": {"id": "carol"},
    "parsed_json_body": {"model": "opus-4.6"},
}


@router.post(
    PATH,
    **described(
        {HTTPStatus.OK: OpaAnswer},
        body=OpaBody,
        problems=(LogUnavailable,),
        right=RIGHT,
        examples=(
            Example(
                name="a gateway with no profile",
                meaning="What no profile of the key's gateway can read is a deny.",
                body={"input": _INPUT},
            ),
        ),
    ),
)
async def decide_as_opa(request: Request) -> Response:
    """Decide what a gateway's input says, by its profile."""
    parts: Parts = request.app.state.parts
    bearer = await admitted(request, parts.ring, parts.pools, RIGHT)
    given = parse_object(await read_body(request, BODY_LIMIT)).get("input")
    if not isinstance(given, Mapping):
        raise MalformedRequest(FieldFault(field="input", message="must be an object"))
    try:
        message = message_of(given, request.client.host if request.client is not None else None)
    except Doubt as doubt:
        return _told(await doubted(parts, bearer, doubt, sent=(PATH,)))
    return _told(await ask(parts, bearer, message))


def message_of(given: Mapping[str, Any], peer: str | None) -> Message:
    """What the gateway passes on. Raises `Doubt` for what is of another type than the gateways send."""
    asked = _object(given, "request")
    http = _object(asked, "http") or asked
    body = given.get("parsed_json_body", http.get("parsed_body"))
    if body is not None and not isinstance(body, Mapping):
        raise Doubt("the body that was passed on is not an object")
    consumer = {name: value for name, value in _object(given, "consumer").items() if isinstance(value, str)}
    return Message(
        method=_text(http, "method"),
        target=_target(_text(http, "path"), http.get("querystring", http.get("query"))),
        headers=tuple(_lines(_object(http, "headers"))),
        body=body,
        attributes=consumer,
        peer=peer,
    )


def _lines(headers: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    for name, given in headers.items():
        for value in given if isinstance(given, list) else [given]:
            if not isinstance(value, str | int) or isinstance(value, bool):
                raise Doubt("a header is neither a text nor a list of texts")
            found.append((name.lower(), str(value)))
    return found


def _target(path: str, query: object) -> str:
    if query in (None, "", {}, []):
        return path
    if isinstance(query, str):
        return f"{path}?{query}"
    if not isinstance(query, Mapping):
        raise Doubt("the query is neither a text nor an object")
    return f"{path}?{urlencode(query, doseq=True)}"


def _object(held: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = held.get(name, {})
    if not isinstance(value, Mapping):
        raise Doubt(f"`{name}` of the input is not an object")
    return value


def _text(held: Mapping[str, Any], name: str) -> str:
    value = held.get(name)
    if not isinstance(value, str):
        raise Doubt(f"`{name}` of the input's request is not a text")
    return value


def _told(outcome: Outcome) -> Response:
    deciding = outcome.deciding
    result: dict[str, object] = {"allow": outcome.allowed, "decision_id": deciding.decision_id}
    if outcome.allowed:
        result["headers"] = {"x-decision-id": deciding.decision_id}
    else:
        # Kong reads `status` and `message`, APISIX `status_code` and `reason`.
        status = int(HTTPStatus.FORBIDDEN)
        message = denial_document(deciding, outcome.answers)
        result |= {"status": status, "status_code": status, "message": message, "reason": message}
        result["headers"] = {"x-reason": deciding.code, "content-type": "application/json"}
    return Response(msgspec.json.encode({"result": result}), media_type="application/json")
