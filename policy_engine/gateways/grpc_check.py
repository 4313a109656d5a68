"""Envoy's ext_authz over gRPC: `envoy.service.auth.v3.Authorization/Check`, on a port of its own beside the HTTP one.

An answer whose status is 0 is an allow, and so is one that leaves its status out: Envoy takes both alike, whatever else
the answer holds. Here each answer is built by one of three functions, and the two that are no allow set a status.

What is judged, and what a client is told, is as over HTTP. The gateway's key is in the metadata of the call
(`initial_metadata`) and never in the head of its client's request; `context_extensions` of the route are the profile's
attributes. Where no answer can be given it is `error_response`, which Envoy answers with its `status_on_error`.

Raw messages come in, since a client's bytes may make a message that is none: that is a deny on record too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

import grpc
from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from envoy.service.auth.v3.external_auth_pb2 import (
    CheckRequest,
    CheckResponse,
    DeniedHttpResponse,
    OkHttpResponse,
)
from envoy.type.v3.http_status_pb2 import HttpStatus
from google.protobuf.message import DecodeError
from google.rpc.code_pb2 import PERMISSION_DENIED, UNAVAILABLE
from google.rpc.status_pb2 import Status
from starlette.responses import Response

from policy_engine.app.builder import Parts
from policy_engine.domain.gateways import Doubt, Message
from policy_engine.gateways.asking import BODY_LIMIT, RIGHT, Outcome, ask, doubted, parsed_body, profile_of
from policy_engine.gateways.by_status import TOLD, told, unavailable
from policy_engine.http.errors import BodyTooLarge
from policy_engine.http.security import GATEWAY_KEY, admit, gateway_with
from policy_engine.http.tracing import TRACEPARENT
from policy_engine.service.gate.keyring import Bearer

SERVICE: Final = "envoy.service.auth.v3.Authorization"
CHECK: Final = f"/{SERVICE}/Check"

MESSAGE_LIMIT: Final = BODY_LIMIT + 512 * 1024
"""Bytes of a CheckRequest: a body, and a head and context beside it. Envoy takes the refusal of a longer one for an
error."""

AT_ONCE: Final = 1_000
"""Calls in work at once; what would wait behind them is past Envoy's patience anyway."""

GRACE_SECONDS: Final = 2.0
"""For calls that are in work when the service ends."""


class CannotListen(OSError):
    """The port for gRPC cannot be had."""


@asynccontextmanager
async def listening(parts: Parts, host: str, port: int) -> AsyncIterator[str]:
    """Answer on that port (0: one that the system chooses) until the end; gives the address with the port. Raises
    `CannotListen`."""
    server = grpc.aio.server(
        maximum_concurrent_rpcs=AT_ONCE,
        options=(
            # Two services on one port would each get a part of the calls.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", MESSAGE_LIMIT),
        ),
    )
    server.add_generic_rpc_handlers((_handler(parts),))
    shown = f"[{host}]" if ":" in host else host
    try:
        taken = server.add_insecure_port(f"{shown}:{port}")
    except RuntimeError as error:
        raise CannotListen(f"port {port} of {host} cannot be listened on for gRPC") from error
    await server.start()
    try:
        yield f"{shown}:{taken}"
    finally:
        await server.stop(GRACE_SECONDS)


def _handler(parts: Parts) -> grpc.GenericRpcHandler:
    async def checked(data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        lines = [(name, value) for name, value in context.invocation_metadata() or () if isinstance(value, str)]
        parents = [value for name, value in lines if name == TRACEPARENT]
        with parts.spans.door(CHECK.strip("/"), parents[0] if len(parents) == 1 else None) as span:
            span.tell({"rpc.system": "grpc", "rpc.service": SERVICE, "rpc.method": "Check"})
            answer: bytes = (await check(parts, data, lines, _address(context.peer()))).SerializeToString()
            return answer

    # Both ways plain bytes, so that no message fails before it is looked at here.
    return grpc.method_handlers_generic_handler(SERVICE, {"Check": grpc.unary_unary_rpc_method_handler(checked)})


async def check(parts: Parts, data: bytes, metadata: Iterable[tuple[str, str]], peer: str) -> CheckResponse:
    """The answer to a CheckRequest, durable. `metadata` are the lines that came with the call, `peer` is the address
    from which it came. Raises nothing but the end of the call."""
    try:
        presented = gateway_with([value for name, value in metadata if name == GATEWAY_KEY], RIGHT)
        bearer = await admit(presented, parts.ring, parts.pools)
        outcome = await _asked(parts, bearer, data, peer)
    except Exception as error:  # noqa: BLE001  whatever went wrong is no allow, and is told in the client's words
        return _not_answered(unavailable(error))
    return _allowed(told(outcome)) if outcome.allowed else _denied(told(outcome))


async def _asked(parts: Parts, bearer: Bearer, data: bytes, peer: str) -> Outcome:
    try:
        message = await _message(parts, bearer, data, peer)
    except Doubt as doubt:
        return await doubted(parts, bearer, doubt, sent=(CHECK,))
    return await ask(parts, bearer, message)


async def _message(parts: Parts, bearer: Bearer, data: bytes, peer: str) -> Message:
    try:
        attributes = CheckRequest.FromString(data).attributes
    except DecodeError as error:
        raise Doubt("what was sent is not a CheckRequest") from error
    http = attributes.request.http
    headers = _headers(http)
    profile = profile_of(parts, bearer)
    reads = profile is not None and profile.reads_bodies
    return Message(
        method=http.method,
        target=http.path,
        headers=headers,
        body=await _body(parts, http, headers) if reads else None,
        attributes=dict(attributes.context_extensions),
        peer=peer,
    )


def _headers(http: AttributeContext.HttpRequest) -> tuple[tuple[str, str], ...]:
    """All lines of the head. Envoy writes either a map, in which lines of one name are joined by commas, or with
    `encode_raw_headers` each line by itself."""
    if http.headers and http.header_map.headers:
        raise Doubt("the head comes in two forms, which may differ")
    lines = [(name.lower(), value) for name, value in http.headers.items()]
    for line in http.header_map.headers:
        if line.value and line.raw_value:
            raise Doubt("a line of the head comes in two forms, which may differ")
        lines.append((line.key.lower(), line.value or line.raw_value.decode("utf-8", "surrogateescape")))
    return tuple(lines)


async def _body(
    parts: Parts, http: AttributeContext.HttpRequest, headers: tuple[tuple[str, str], ...]
) -> Mapping[str, object] | None:
    if http.body and http.raw_body:
        raise Doubt("the body comes in two forms, which may differ")
    data = http.raw_body or http.body.encode("utf-8")
    if len(data) > BODY_LIMIT:
        raise BodyTooLarge(f"at most {BODY_LIMIT} bytes are read")
    if not data:
        return None
    return await parsed_body(parts, data, headers)


def _address(peer: str) -> str:
    """The address in gRPC's word for the other end, such as `ipv4:192.0.2.1:4711` or `ipv6:%5B2001:db8::1%5D:4711`;
    what is in no such form stays as it is, and is no address."""
    kind, _, rest = unquote(peer).partition(":")
    host, _, _ = rest.rpartition(":")
    return host.strip("[]") if kind in {"ipv4", "ipv6"} else peer


# --- telling ----------------------------------------------------------------------------------------------------------

_OVERWRITE: Final = HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD


def _allowed(reply: Response) -> CheckResponse:
    """The one answer that leaves its status at 0. What the client put under our names does not go on."""
    ours = {name: value for name, value in reply.headers.items() if name in TOLD}
    return CheckResponse(
        status=Status(),
        ok_response=OkHttpResponse(
            headers=_lines(ours.items()), headers_to_remove=[name for name in TOLD if name not in ours]
        ),
    )


def _denied(reply: Response) -> CheckResponse:
    """A deny of the rules, of the client's request, or of the gateway's key."""
    return CheckResponse(status=Status(code=PERMISSION_DENIED), denied_response=_reply(reply))


def _not_answered(reply: Response) -> CheckResponse:
    """What is told where the walk raised: a refusal as a denial, and else an error."""
    if reply.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return _denied(reply)
    return CheckResponse(status=Status(code=UNAVAILABLE), error_response=_reply(reply))


def _reply(reply: Response) -> DeniedHttpResponse:
    # Its length is the gateway's to say.
    lines = _lines((name, value) for name, value in reply.headers.items() if name != "content-length")
    return DeniedHttpResponse(
        status=HttpStatus(code=reply.status_code), headers=lines, body=bytes(reply.body).decode("utf-8")
    )


def _lines(headers: Iterable[tuple[str, str]]) -> list[HeaderValueOption]:
    return [
        HeaderValueOption(header=HeaderValue(key=name, value=value), append_action=_OVERWRITE)
        for name, value in headers
    ]
