"""Every door for gateways in one shape: a key and a question go in, an answer as HTTP tells it comes out.

`ASKED` are the honest questions: who is carol, and may she use opus-4.6? She may, and no mythos-5 without a purpose.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import httpx
from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse, DeniedHttpResponse
from envoy.type.v3.http_status_pb2 import HttpStatus
from google.rpc.code_pb2 import RESOURCE_EXHAUSTED
from google.rpc.status_pb2 import Status

from policy_engine.gateways.grpc_check import CHECK, check
from tests.api.service import Service

GATEWAY: Final = "doors"
"""Whose profile reads every source that the doors have."""

ALLOWED: Final = "opus-4.6"
DENIED: Final = "mythos-5"
CHAT: Final = "/v1/chat/completions"
KEY: Final = "X-Policy-Engine-Key"
PROMPT: Final = "CANARY-PROMPT"
"""Stands wherever a client's prompt could come to a door."""

Content = bytes | Iterator[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A service: how it is asked over HTTP, and over gRPC with the bytes of a message and the lines beside it."""

    request: Callable[..., Any]
    check: Callable[[bytes, list[tuple[str, str]]], CheckResponse]


def in_process(service: Service) -> Reached:
    """The service of a test's own process."""

    def checked(data: bytes, metadata: list[tuple[str, str]]) -> CheckResponse:
        assert service.client.portal is not None
        return service.client.portal.call(check, service.parts, data, metadata, "127.0.0.1")

    return Reached(request=service.client.request, check=checked)


@contextmanager
def at_ports(http: int, grpc_port: int) -> Iterator[Reached]:
    """A service at its two ports."""
    address = f"127.0.0.1:{grpc_port}"
    options = [("grpc.max_send_message_length", -1)]
    with (
        httpx.Client(
            base_url=f"http://127.0.0.1:{http}",
            timeout=60,
            trust_env=False,
            # After a body that is too long the service ends the connection.
            limits=httpx.Limits(max_keepalive_connections=0),
        ) as client,
        grpc.insecure_channel(address, options) as channel,
    ):
        call: Any = channel.unary_unary(CHECK)

        def checked(data: bytes, metadata: list[tuple[str, str]]) -> CheckResponse:
            try:
                return CheckResponse.FromString(call(data, metadata=metadata, timeout=60))
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                    return _TOO_LONG
                raise

        yield Reached(request=client.request, check=checked)


_TOO_LONG: Final = CheckResponse(
    status=Status(code=RESOURCE_EXHAUSTED),
    error_response=DeniedHttpResponse(status=HttpStatus(code=413), body='{"error":{"message":"too long for gRPC"}}'),
)
"""What a message comes to that gRPC itself refuses, which Envoy takes for an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A door. `body` is the honest question, in which `pair` names the model once; `asks` sends a question with a key,
    further lines of the head and, where the door knows one, the target of the client's request."""

    asks: Callable[[Reached, str, Content, list[tuple[str, str]], str], httpx.Response]
    body: bytes
    pair: Callable[[str], bytes] = lambda value: b'"model":' + value.encode()
    targets: bool = True
    by_status: bool = False
    with_target: Callable[[str], bytes] | None = field(default=None)

    def ask(
        self,
        reached: Reached,
        key: str,
        content: Content | None = None,
        lines: Iterable[tuple[str, str]] = (),
        target: str = CHAT,
    ) -> httpx.Response:
        """The answer to the honest question, or to another one."""
        if content is None:
            content = self.body if target == CHAT or self.with_target is None else self.with_target(target)
        return self.asks(reached, key, content, list(lines), target)

    def naming(self, *pairs: bytes) -> bytes:
        """The question with these in the place of the pair that names the model."""
        return self.body.replace(self.pair(f'"{ALLOWED}"'), b",".join(pairs))


def allows(answer: Any) -> bool:
    """Whether an answer of any door is an allow."""
    if answer.status_code != httpx.codes.OK:
        return False
    if not answer.content:
        return "x-decision-id" in answer.headers
    told = answer.json()
    if "result" in told:
        return told["result"]["allow"] is True
    if "answers" in told and "allowed" not in told:
        return all(one["allowed"] for one in told["answers"])
    return told.get("allowed", told.get("decision")) is True


def in_its_dialect(door: Door, answer: Any) -> bool:
    """Whether a refusal is one as the callers of the door read it."""
    told = answer.json()
    if door.by_status:
        return isinstance(told["error"]["message"], str)
    if answer.status_code == httpx.codes.OK:
        return not allows(answer)
    return answer.headers["content-type"] == "application/problem+json" and isinstance(told["type"], str)


# --- the doors --------------------------------------------------------------------------------------------------------

_HEAD: Final = [("x-user-id", "carol"), ("x-geo-country", "US")]
_JSON: Final = ("content-type", "application/json")
_CLIENTS: Final = json.dumps({"messages": [PROMPT], "model": ALLOWED}, separators=(",", ":")).encode()


def _document(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _bearer(path: str) -> Callable[[Reached, str, Content, list[tuple[str, str]], str], httpx.Response]:
    def asks(reached: Reached, key: str, content: Content, lines: list[tuple[str, str]], _: str) -> Any:
        head = [("authorization", f"Bearer {key}"), _JSON, *lines]
        return reached.request("POST", path, headers=head, content=content)

    return asks


def _ext_authz(reached: Reached, key: str, content: Content, lines: list[tuple[str, str]], target: str) -> Any:
    head = [(KEY, key), _JSON, *_HEAD, *lines]
    path = f"/ext_authz{target}"
    # The client would write the path in its one way; on the wire it goes as it is.
    return reached.request("POST", path, headers=head, content=content, extensions={"target": path.encode()})


def _forward_auth(reached: Reached, key: str, content: Content, lines: list[tuple[str, str]], target: str) -> Any:
    told = [("x-forwarded-uri", target), ("x-forwarded-method", "POST")]
    head = [(KEY, key), _JSON, *_HEAD, *told, *lines]
    return reached.request("GET", "/forward-auth", headers=head, content=content)


def _grpc(reached: Reached, key: str, content: Content, lines: list[tuple[str, str]], target: str) -> httpx.Response:
    whole = content if isinstance(content, bytes) else b"".join(content)
    http = AttributeContext.HttpRequest(
        method="POST", path=target, headers=dict([_JSON, *_HEAD, *lines]), raw_body=whole
    )
    asked = CheckRequest(attributes=AttributeContext(request=AttributeContext.Request(http=http)))
    answer = reached.check(asked.SerializeToString(), [(KEY.lower(), key)])
    kind = answer.WhichOneof("http_response")
    assert kind is not None
    told = getattr(answer, kind)
    headers = [(one.header.key, one.header.value) for one in told.headers]
    if answer.status.code == 0:
        assert kind == "ok_response"
        return httpx.Response(200, headers=headers)
    assert kind in {"denied_response", "error_response"}
    return httpx.Response(told.status.code, headers=headers, content=told.body.encode())


def _opa(target: str) -> bytes:
    http = {"method": "POST", "path": target, "headers": dict(_HEAD)}
    named = {"model": ALLOWED} if target == CHAT else {}
    body = {"messages": [PROMPT], **named}
    return _document({"input": {"request": {"http": http}, "consumer": {"id": "carol"}, "parsed_json_body": body}})


def _plugin(target: str) -> bytes:
    named = {"models": [ALLOWED]} if target == CHAT else {}
    return _document({"method": "POST", "target": target, "headers": dict(_HEAD), **named})


_CAROL: Final = {"type": "person", "id": "carol"}
_QUESTION: Final = {"subject": _CAROL, "model": ALLOWED, "action": "infer", "place": {"country": "US"}}

DOORS: Final[dict[str, Door]] = {
    "ext_authz": Door(asks=_ext_authz, body=_CLIENTS, by_status=True),
    "gRPC Check": Door(asks=_grpc, body=_CLIENTS, by_status=True),
    "forward-auth": Door(asks=_forward_auth, body=_CLIENTS, by_status=True),
    "AuthZEN": Door(
        asks=_bearer("/access/v1/evaluation"),
        body=_document(
            {
                "subject": _CAROL,
                "action": {"name": "infer"},
                "resource": {"type": "ai_model", "id": ALLOWED},
                "context": {"prompt": PROMPT},
            }
        ),
        pair=lambda value: b'"id":' + value.encode(),
        targets=False,
    ),
    "OPA": Door(asks=_bearer("/v1/data/policy_engine/decide"), body=_opa(CHAT), with_target=_opa),
    "plugin": Door(
        asks=_bearer("/gateways/decide"),
        body=_plugin(CHAT),
        pair=lambda value: b'"models":' + (value if value.startswith("[") else f"[{value}]").encode(),
        with_target=_plugin,
    ),
    "batch": Door(asks=_bearer("/decide/batch"), body=_document({"requests": [_QUESTION]}), targets=False),
    "decide": Door(
        asks=_bearer("/decide"),
        body=_document(_QUESTION),
        targets=False,
    ),
}
