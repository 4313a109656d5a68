"""Doors for gateways that read a status: Envoy's ext_authz over HTTP, and forward-auth for nginx, Traefik, Caddy and
HAProxy.

200 with `x-decision-id` is an allow, and nothing else is. A deny is 403 in the words of the interface that the client
speaks; where no answer can be given it is 503, 401 for a key of the gateway that is not in force, 413 for a body that
is too long. The gateway's key comes in `X-Policy-Engine-Key`; what stands under `Authorization` is its client's.

`/ext_authz/...` takes the client's method and path as they are, behind the prefix. `/forward-auth` takes them from
`X-Forwarded-Method` and `X-Forwarded-Uri`, or `X-Original-Method` and `X-Original-URI`; its own method and query say
nothing, since a proxy may have put its client's there.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from policy_engine.app.builder import Parts
from policy_engine.domain.gateways import Doubt, Message, forwarded
from policy_engine.gateways.asking import (
    BODY_LIMIT,
    RIGHT,
    UNAVAILABLE_CODE,
    Outcome,
    ask,
    denial_body,
    doubted,
    parsed_body,
    profile_of,
)
from policy_engine.http.body import read_body
from policy_engine.http.errors import BodyTooLarge, is_foreseen
from policy_engine.http.reference import Media, audience, described
from policy_engine.http.security import admit, gateway_of
from policy_engine.service.gate.keyring import Bearer, Forbidden, InvalidToken, Unauthenticated
from policy_engine.service.gate.rates import TooMany

EXT_AUTHZ: Final = "/ext_authz"
FORWARD_AUTH: Final = "/forward-auth"
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

Endpoint = Callable[[Request], Awaitable[Response]]

router = audience("gateway")
_log: Final = structlog.get_logger("policy_engine.gateways")

_ALLOWED: Final = Media(
    kinds=("text/plain",),
    meaning="Allowed: every model that the client's request could reach. Without `x-decision-id` it is no allow.",
    headers={
        "x-decision-id": "The decision, or several with commas between.",
        "x-valid-until": "Until when the allow may be reused, unrecorded (RFC 3339).",
    },
)
_DENIED: Final = Media(
    kinds=("application/json",),
    meaning="Denied, in the words of the interface that the client speaks.",
    headers={"x-decision-id": "The decision.", "x-reason": "The public code."},
)
_UNDECIDED: Final = Media(kinds=("application/json",), meaning="No answer can be given, so nothing is allowed.")
_DESCRIBED: Final = described(
    {HTTPStatus.OK: _ALLOWED, HTTPStatus.FORBIDDEN: _DENIED, HTTPStatus.SERVICE_UNAVAILABLE: _UNDECIDED},
    right=RIGHT,
    by_status=True,
)


async def ext_authz(request: Request) -> Response:
    """May the client's request go on? Method and path are the client's own, behind `/ext_authz`."""

    def message(read: Head, body: Mapping[str, object] | None) -> Message:
        raw = request.scope.get("raw_path", request.scope["path"].encode()).decode("latin-1")
        query = request.scope.get("query_string", b"").decode("latin-1")
        if not raw.startswith(f"{EXT_AUTHZ}/"):
            raise Doubt("the path does not begin with the prefix of this door")
        target = raw.removeprefix(EXT_AUTHZ) + (f"?{query}" if query else "")
        return read.message(request.scope["method"], target, body)

    return await _answered(request, message)


async def forward_auth(request: Request) -> Response:
    """May the client's request go on? Method and target are in the headers that the proxy writes."""

    def message(read: Head, body: Mapping[str, object] | None) -> Message:
        method, target = forwarded(read.headers)
        return read.message(method, target, body)

    return await _answered(request, message)


def _every_method(path: str, endpoint: Endpoint, told: str) -> None:
    """Each method is answered alike; the reference tells of one."""
    router.add_api_route(path, endpoint, methods=[told], **_DESCRIBED)
    others = [method for method in METHODS if method != told]
    router.add_api_route(path, endpoint, methods=others, include_in_schema=False, response_class=Response)


_every_method(f"{EXT_AUTHZ}/{{path:path}}", ext_authz, "POST")
_every_method(FORWARD_AUTH, forward_auth, "GET")


class Head:
    """The head of a gateway's request. What cannot be decoded reads as no name of anything."""

    def __init__(self, request: Request) -> None:
        self._peer = request.client.host if request.client is not None else None
        self.headers = tuple(
            (name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
            for name, value in request.scope["headers"]
        )

    def message(self, method: str, target: str, body: Mapping[str, object] | None) -> Message:
        return Message(method=method, target=target, headers=self.headers, body=body, peer=self._peer)


_Made = Callable[[Head, Mapping[str, object] | None], Message]


async def _answered(request: Request, message: _Made) -> Response:
    parts: Parts = request.app.state.parts
    try:
        bearer = await admit(gateway_of(request, RIGHT), parts.ring, parts.pools)
        return told(await _asked(parts, bearer, request, message))
    except ClientDisconnect:
        raise
    except Exception as error:  # noqa: BLE001  whatever went wrong is no allow, and is told in the client's words
        return unavailable(error)


async def _asked(parts: Parts, bearer: Bearer, request: Request, message: _Made) -> Outcome:
    head = Head(request)
    profile = profile_of(parts, bearer)
    try:
        body = None
        if profile is not None and profile.reads_bodies:
            data = await read_body(request, BODY_LIMIT)
            if data:
                body = await parsed_body(parts, data, head.headers)
        made = message(head, body)
    except Doubt as doubt:
        return await doubted(parts, bearer, doubt, sent=(request.scope["method"], request.scope["path"]))
    return await ask(parts, bearer, made)


# --- telling ----------------------------------------------------------------------------------------------------------

TOLD: Final = ("x-decision-id", "x-valid-until", "x-obligations")
"""The headers of an allow, which a gateway may pass on; a client's own lines of these names are none of ours."""

_NO_STORE: Final = {"cache-control": "no-store"}


def told(outcome: Outcome) -> Response:
    """What a gateway that reads a status is told."""
    if outcome.allowed:
        headers = {"x-decision-id": ",".join(one.decision_id for one in outcome.told if one.decision_id)}
        until = min((one.valid_until for one in outcome.told if one.valid_until), default=None)
        if until is not None:
            headers["x-valid-until"] = until
        obliged = [name for one in outcome.told for name in one.obligations]
        if obliged:
            headers["x-obligations"] = ",".join(dict.fromkeys(obliged))
        return Response(status_code=HTTPStatus.OK, headers=headers | _NO_STORE, media_type="text/plain")
    deciding = outcome.deciding
    headers = {"x-reason": deciding.code, **_NO_STORE}
    if deciding.decision_id is not None:
        headers["x-decision-id"] = deciding.decision_id
    return Response(
        denial_body(deciding, outcome.answers),
        status_code=HTTPStatus.FORBIDDEN,
        headers=headers,
        media_type="application/json",
    )


_REFUSED: Final[Mapping[type[Exception], tuple[HTTPStatus, str, str]]] = {
    Unauthenticated: (HTTPStatus.UNAUTHORIZED, "gateway_unauthenticated", "The gateway has no key that is in force."),
    InvalidToken: (HTTPStatus.UNAUTHORIZED, "gateway_unauthenticated", "The gateway's token is not valid."),
    Forbidden: (HTTPStatus.FORBIDDEN, "gateway_forbidden", "The gateway's key carries no right to ask."),
    BodyTooLarge: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", "The request is too long to be judged."),
}
_CHALLENGE: Final = "X-Policy-Engine-Key"
_CHALLENGES: Final[Mapping[type[Exception], str]] = {InvalidToken: f'{_CHALLENGE} error="invalid_token"'}


def unavailable(error: Exception) -> Response:
    """What is told where no answer can be given. An error that nobody foresaw is logged by its class alone."""
    refused = _REFUSED.get(type(error))
    status = HTTPStatus.SERVICE_UNAVAILABLE
    # Too many questions are told as no answer too: with 429 a client would think that it asked too often itself.
    headers = {**_NO_STORE, "retry-after": str(error.seconds if isinstance(error, TooMany) else 1)}
    code, message, kind = UNAVAILABLE_CODE, "Authorization is not available, so nothing is allowed.", "server_error"
    if refused is not None:
        status, code, message = refused
        headers, kind = dict(_NO_STORE), "request_forbidden"
        if status is HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = _CHALLENGES.get(type(error), _CHALLENGE)
    elif not is_foreseen(error):
        _log.error("unforeseen error", error=type(error).__name__)
    document = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    content = json.dumps(document, separators=(",", ":"))
    return Response(content, status_code=status, headers=headers, media_type="application/json")


AT_THE_DOOR: Final[Mapping[str, Endpoint]] = {f"{EXT_AUTHZ}/": ext_authz, FORWARD_AUTH: forward_auth}
"""What is answered before the framework is asked, by the beginning of its path."""
