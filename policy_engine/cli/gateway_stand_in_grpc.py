"""The engine's stand-in over gRPC, for a gateway that asks as Envoy does: `Authorization/Check`.

It needs the packages of `requirements/grpc.txt`, as the engine's own port for gRPC does, so it is imported where it is
asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final

import grpc
from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse
from envoy.type.v3.http_status_pb2 import HttpStatus
from google.protobuf.message import DecodeError
from google.rpc.code_pb2 import INTERNAL, PERMISSION_DENIED
from google.rpc.status_pb2 import Status

from policy_engine.cli.gateway_dialects import KEY, MESSAGES, CallFails, Dialect, Lines, Question, Reply, Seen, read
from policy_engine.cli.remote import ServiceUnavailable
from policy_engine.domain.gateways import Doubt, Message, Profile
from policy_engine.formats.request_document import parse_object

SERVICE: Final = "envoy.service.auth.v3.Authorization"
CHECK: Final = f"/{SERVICE}/Check"
_MOST_BYTES: Final = 16 * 1024 * 1024
_THREADS: Final = 16


Answer = Callable[[Question], Reply | str]


@dataclass(slots=True)
class ListeningGrpc:
    """A server of `Check` on an address, which can be taken down and up again.

    `answer` gives the answer to a question, one by a status or the name of one of `MESSAGES`, or raises `CallFails`.
    """

    address: tuple[str, int]
    profile: Profile
    answer: Answer
    _server: Any = None

    def up(self) -> None:
        """Listen. Raises `ServiceUnavailable` where the address cannot be had."""
        if self._server is not None:
            return
        host, port = self.address
        shown = f"[{host}]" if ":" in host else host
        options = (("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", _MOST_BYTES))
        server = grpc.server(ThreadPoolExecutor(_THREADS), options=options)
        handlers: dict[str, Any] = {"Check": grpc.unary_unary_rpc_method_handler(self._checked)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        try:
            taken = server.add_insecure_port(f"{shown}:{port}")
        except RuntimeError as error:
            raise ServiceUnavailable(
                f"port {port} of {host} cannot be listened on for gRPC: name another with --stand-in-grpc, and point"
                " the gateway at it"
            ) from error
        self.address = (host, taken)
        server.start()
        self._server = server

    def down(self) -> None:
        """Listen no more, and end what is connected."""
        server, self._server = self._server, None
        if server is not None:
            server.stop(0).wait()

    def _checked(self, data: bytes, context: Any) -> bytes:
        lines = tuple(
            (name.lower(), value) for name, value in context.invocation_metadata() or () if isinstance(value, str)
        )
        try:
            answer = self.answer(question_over_grpc(data, lines, self.profile))
        except CallFails:
            context.abort(grpc.StatusCode.INTERNAL, "")
            raise
        return WRONG[answer] if isinstance(answer, str) else answer_over_grpc(answer)


def question_over_grpc(data: bytes, metadata: Lines, profile: Profile) -> Question:
    """The question in a CheckRequest, with the lines that came beside it."""
    key = tuple(value for name, value in metadata if name == KEY)
    seen = Seen(method="POST", target=CHECK, headers=metadata, body=data)
    question = Question(dialect=Dialect.GRPC, seen=seen, key=key, passed=())
    try:
        attributes = CheckRequest.FromString(data).attributes
    except DecodeError:
        return read(question, _no_message, profile)
    http = attributes.request.http
    raw = ((one.key, one.value or one.raw_value.decode("utf-8", "replace")) for one in http.header_map.headers)
    passed = tuple((name.lower(), value) for name, value in (*http.headers.items(), *raw))
    body = http.raw_body or http.body.encode()

    def message() -> Message:
        return Message(
            method=http.method,
            target=http.path,
            headers=passed,
            body=parse_object(body) if body and profile.reads_bodies else None,
            attributes=dict(attributes.context_extensions),
        )

    return read(replace(question, passed=passed), message, profile)


def _no_message() -> Message:
    raise Doubt("what was sent is not a CheckRequest")


# --- answers ----------------------------------------------------------------------------------------------------------


_OVERWRITE: Final = HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD


def answer_over_grpc(reply: Reply) -> bytes:
    """An answer by a status, as `Check` tells it."""
    lines = [
        HeaderValueOption(header=HeaderValue(key=name, value=value), append_action=_OVERWRITE)
        for name, value in reply.headers
    ]
    if reply.status == HTTPStatus.OK:
        made = CheckResponse(status=Status(), ok_response=OkHttpResponse(headers=lines))
    else:
        denied = DeniedHttpResponse(status=HttpStatus(code=reply.status), headers=lines, body=reply.body.decode())
        made = CheckResponse(status=Status(code=PERMISSION_DENIED), denied_response=denied)
    data: bytes = made.SerializeToString()
    return data


_DENIED: Final = DeniedHttpResponse(status=HttpStatus(code=403), body="denied")
_LINE: Final = HeaderValueOption(header=HeaderValue(key="x-a", value="b"))
WRONG: Final[dict[str, bytes]] = dict(
    zip(
        MESSAGES,
        (
            b"",
            CheckResponse(denied_response=_DENIED).SerializeToString(),
            CheckResponse(status=Status(), ok_response=OkHttpResponse(headers=[_LINE])).SerializeToString(),
            CheckResponse(status=Status(code=INTERNAL)).SerializeToString(),
            b"\xff\xff",
        ),
        strict=True,
    )
)
"""The bytes of each of `MESSAGES`."""
