"""Authorization/Check: a status of 0 is an allow on record, and every other answer sets another status."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from envoy.config.core.v3.base_pb2 import HeaderValue
from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse

from policy_engine.gateways.grpc_check import CannotListen, check, listening
from tests.api.service import Service, copied
from tests.gateways.conftest import demonstration, keyed

CHAT: Final = "/v1/chat/completions"
CAROL: Final = {"x-user-id": "carol", "x-geo-country": "US"}
KEY: Final = "x-policy-engine-key"

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def service(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for all tests of this file: none of them changes what another one finds."""
    with demonstration(copied(migrated, tmp_path_factory.mktemp("check"))) as running:
        yield running


@pytest.fixture
def token(service: Service) -> str:
    """The key of the gateway whose profile reads headers."""
    return keyed(service, "headers")["X-Policy-Engine-Key"]


@pytest.fixture
def ask(service: Service, token: str) -> Ask:
    """Asks as a gateway does whose address is this machine's."""

    def asked(data: bytes, metadata: list[tuple[str, str]] | None = None, peer: str = "127.0.0.1") -> Any:
        lines = [(KEY, token)] if metadata is None else metadata
        assert service.client.portal is not None
        answer = service.client.portal.call(check, service.parts, data, lines, peer)
        return CheckResponse.FromString(answer.SerializeToString())

    return asked


def request(
    headers: dict[str, str] | None = None, *, path: str = CHAT, method: str = "POST", **http: Any
) -> CheckRequest:
    """A CheckRequest of a client's request."""
    made = AttributeContext.HttpRequest(method=method, path=path, headers=headers or {}, **http)
    return CheckRequest(attributes=AttributeContext(request=AttributeContext.Request(http=made)))


def sent(headers: dict[str, str] | None = None, **more: Any) -> bytes:
    data: bytes = request(headers, **more).SerializeToString()
    return data


def head_of(answer: Any) -> dict[str, str]:
    kind = answer.WhichOneof("http_response")
    return {one.header.key: one.header.value for one in getattr(answer, kind).headers}


def is_denied(answer: Any, status: int = 403) -> bool:
    assert answer.status.code != 0
    assert answer.WhichOneof("http_response") == "denied_response"
    assert answer.denied_response.status.code == status
    assert head_of(answer)["content-type"] == "application/json"
    assert json.loads(answer.denied_response.body)["error"]
    return True


def test_an_allow_is_status_0_with_the_decision_that_is_on_record(service: Service, ask: Ask) -> None:
    answer = ask(sent({**CAROL, "x-model": "opus-4.6"}))
    assert (answer.status.code, answer.WhichOneof("http_response")) == (0, "ok_response")
    recorded = service.client.get(f"/decisions/{head_of(answer)['x-decision-id']}", headers=service.key()).json()
    assert recorded["answer"]["allowed"] is True


def test_a_clients_lines_under_our_names_do_not_go_on_with_an_allow(ask: Ask) -> None:
    answer = ask(sent({**CAROL, "x-model": "opus-4.6"}))
    told = set(head_of(answer)) | set(answer.ok_response.headers_to_remove)
    assert told == {"x-decision-id", "x-valid-until", "x-obligations"}


def test_a_denial_is_our_403_with_our_body_and_its_type(ask: Ask) -> None:
    answer = ask(sent({**CAROL, "x-user-id": "ken", "x-model": "mythos-5"}))
    assert is_denied(answer)
    assert {"x-reason", "x-decision-id"} <= set(head_of(answer))
    assert json.loads(answer.denied_response.body)["error"]["code"] == "model_access_denied"


@pytest.mark.parametrize(
    "metadata",
    [[], [(KEY, "pe_none_none")], [(KEY, "GIVEN"), (KEY, "GIVEN")], [("authorization", "Bearer GIVEN")]],
    ids=["no key", "an unknown key", "two keys", "a key under another name"],
)
def test_without_one_key_in_the_calls_metadata_nothing_is_allowed(
    ask: Ask, token: str, metadata: list[tuple[str, str]]
) -> None:
    lines = [(name, value.replace("GIVEN", token)) for name, value in metadata]
    assert is_denied(ask(sent({**CAROL, "x-model": "opus-4.6"}), lines), 401)


def test_a_key_in_the_head_of_the_clients_request_is_the_clients_and_opens_nothing(ask: Ask, token: str) -> None:
    head = {**CAROL, "x-model": "opus-4.6", KEY: token, "authorization": f"Bearer {token}"}
    assert is_denied(ask(sent(head), []), 401)


def test_a_key_without_the_right_is_denied(service: Service, ask: Ask) -> None:
    made = service.key("members:read", gateway="headers")["Authorization"].removeprefix("Bearer ")
    assert is_denied(ask(sent({**CAROL, "x-model": "opus-4.6"}), [(KEY, made)]))


def test_context_extensions_of_the_route_are_the_attributes_of_the_profile(ask: Ask) -> None:
    asked = request({**CAROL, "x-model": "mythos-5"})
    assert is_denied(ask(asked.SerializeToString()))
    asked.attributes.context_extensions["purpose"] = "defensive_cybersecurity"
    assert ask(asked.SerializeToString()).status.code == 0
    asked.attributes.request.http.headers["x-purpose"] = "research"
    assert is_denied(ask(asked.SerializeToString()))


def _raw(*lines: tuple[str, bytes]) -> bytes:
    asked = request()
    asked.attributes.request.http.header_map.headers.extend(
        HeaderValue(key=name, raw_value=value) for name, value in lines
    )
    data: bytes = asked.SerializeToString()
    return data


RAW: Final = (("x-user-id", b"carol"), ("x-geo-country", b"US"), ("x-model", b"opus-4.6"))


def test_raw_lines_of_a_head_are_read_each_by_itself(ask: Ask) -> None:
    assert ask(_raw(*RAW)).status.code == 0
    assert is_denied(ask(_raw(*RAW, ("x-model", b"opus-4.6"))))
    assert is_denied(ask(_raw(*RAW, ("X-Model", b"opus-4.6"))))
    assert is_denied(ask(_raw(*RAW[:2], ("x-model", b"opus-4.6\xff"))))


def _both_heads() -> bytes:
    asked = CheckRequest.FromString(_raw(*RAW))
    asked.attributes.request.http.headers["x-model"] = "opus-4.6"
    data: bytes = asked.SerializeToString()
    return data


def _both_values() -> bytes:
    asked = CheckRequest.FromString(_raw(*RAW))
    asked.attributes.request.http.header_map.headers[2].value = "mythos-5"
    data: bytes = asked.SerializeToString()
    return data


DOUBTS: Final[dict[str, bytes]] = {
    "nothing": b"",
    "no message": b"\xff\xfe\x00",
    "a text that is no UTF-8": sent({**CAROL, "x-model": "opus-4.6"}).replace(b"carol", b"car\xffl"),
    "a head in two forms": _both_heads(),
    "a line in two forms": _both_values(),
    "names that differ in case alone": sent({**CAROL, "x-model": "opus-4.6", "X-Model": "opus-4.6"}),
    "a route that is not listed": sent({**CAROL, "x-model": "opus-4.6"}, path="/v1/other"),
    "no path": sent({**CAROL, "x-model": "opus-4.6"}, path=""),
    "a path that programs read differently": sent(CAROL, path="/models/opus-4.6/../opus-4.6/invoke"),
    "two lines that were joined": sent({**CAROL, "x-user-id": "carol,carol", "x-model": "opus-4.6"}),
    "a list with one denied": sent({**CAROL, "x-model": "opus-4.6,mythos-5"}),
    "a megabyte of headers": sent({**CAROL, **{f"x-{n}": "x" * 1000 for n in range(1000)}}),
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_doubt_is_a_deny_on_record(service: Service, ask: Ask, doubt: str) -> None:
    answer = ask(DOUBTS[doubt])
    assert is_denied(answer)
    recorded = service.client.get(f"/decisions/{head_of(answer)['x-decision-id']}", headers=service.key()).json()
    assert recorded["answer"]["allowed"] is False


BODY: Final = b'{"model":"opus-4.6"}'
JSON: Final = {**CAROL, "content-type": "application/json"}
BODIES: Final[dict[str, dict[str, Any]]] = {
    "two forms": {"body": BODY.decode(), "raw_body": BODY},
    "two models": {"raw_body": b'{"model":"opus-4.6","model":"mythos-5"}'},
    "two models, the other way": {"raw_body": b'{"model":"mythos-5","model":"opus-4.6"}'},
    "a byte-order mark": {"raw_body": b"\xef\xbb\xbf" + BODY},
    "a denied fallback": {"raw_body": b'{"model":"opus-4.6","fallbacks":["mythos-5"]}'},
    "bytes that are no text": {"raw_body": BODY + b"\xff"},
    "nothing": {},
}


@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_programs_read_differently_is_denied(service: Service, ask: Ask, body: str) -> None:
    bodies = [(KEY, keyed(service, "bodies")["X-Policy-Engine-Key"])]
    assert ask(sent(JSON, raw_body=BODY), bodies).status.code == 0
    assert ask(sent(JSON, body=BODY.decode()), bodies).status.code == 0
    assert is_denied(ask(sent(JSON, **BODIES[body]), bodies))
    assert is_denied(ask(sent({**JSON, "x-envoy-auth-partial-body": "true"}, raw_body=BODY), bodies))


def test_a_body_past_the_limit_is_no_allow(service: Service, ask: Ask) -> None:
    bodies = [(KEY, keyed(service, "bodies")["X-Policy-Engine-Key"])]
    long = b'{"messages":"' + b"x" * 1_048_576 + b'","model":"opus-4.6"}'
    assert is_denied(ask(sent(JSON, raw_body=long), bodies), 413)


def test_trusted_proxies_are_held_against_the_address_of_the_call(service: Service, ask: Ask) -> None:
    proxied = [(KEY, keyed(service, "proxied")["X-Policy-Engine-Key"])]
    asked = sent({**CAROL, "x-model": "opus-4.6"})
    assert ask(asked, proxied, peer="10.1.2.3").status.code == 0
    assert is_denied(ask(asked, proxied, peer="192.0.2.1"))
    assert is_denied(ask(asked, proxied, peer="unix:/run/envoy"))


def test_an_mcp_call_is_denied_in_the_words_of_json_rpc(ask: Ask) -> None:
    call = {**CAROL, "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "ask"}
    assert ask(sent(call, path="/mcp")).status.code == 0
    denied = ask(sent({**call, "mcp-name": "attack"}, path="/mcp"))
    assert json.loads(denied.denied_response.body)["error"] == {
        "code": -32001,
        "message": "We need to know what you want to use this model for before it is available.",
        "data": {"code": "VERIFICATION_NEEDED", "decision_id": head_of(denied)["x-decision-id"]},
    }


def test_a_port_that_is_taken_is_an_error(service: Service) -> None:
    async def listened(port: int) -> None:
        async with listening(service.parts, "127.0.0.1", port):
            raise AssertionError("it listens")

    assert service.client.portal is not None
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(CannotListen):
        service.client.portal.call(listened, other.getsockname()[1])


BREAKS: Final = {"ids": ("gate", "_new_id"), "keys": ("ring", "current")}


@pytest.mark.parametrize("part", BREAKS)
def test_what_breaks_in_the_engine_is_an_error_with_a_status_and_no_word_of_what_broke(
    service: Service, ask: Ask, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def boom(*_: object, **__: object) -> None:
        raise RuntimeError("CANARY")

    whose, what = BREAKS[part]
    monkeypatch.setattr(getattr(service.parts, whose), what, boom)
    answer = ask(sent({**CAROL, "x-model": "opus-4.6"}))
    assert answer.status.code != 0
    assert answer.WhichOneof("http_response") == "error_response"
    assert answer.error_response.status.code == 503
    assert b"CANARY" not in answer.SerializeToString()


# --- 1,000 random requests --------------------------------------------------------------------------------------------

NAMES: Final = (
    *CAROL,
    "x-model",
    "x-purpose",
    "x-end-user",
    "mcp-method",
    KEY,
    "authorization",
    ":path",
    "",
    "x y",
    "é",
)
VALUES: Final = (
    *("carol", "ken", "US", "KP", "opus-4.6", "mythos-5", "opus", "defensive_cybersecurity", "keihin-kk", ""),
    *("opus-4.6,mythos-5", "Opus-4.6", "\u043epus-4.6", "\x00", "\n", "\u202e", "x" * 5_000, "1\ud7ff", "*", "-"),
)
PATHS: Final = (
    *(CHAT, "/v1/embeddings", "/models/opus-4.6/invoke", "/models/mythos-5/invoke", "/mcp", "", "*", "/%2e%2e/x"),
    *("/v1/chat/completions?model=mythos-5", "/v1//chat", "\x00", "http://x/v1/chat/completions"),
)


def random_request(draw: random.Random) -> bytes:
    """Half of them near an allow, so that the bound is tried from both sides."""
    near = draw.random() < 0.5
    asked = request({**CAROL, "x-model": "opus-4.6"} if near else {}, path=CHAT if near else draw.choice(PATHS))
    http = asked.attributes.request.http
    if not near:
        http.method = draw.choice(("POST", "GET", "", "post", "\x00"))
    for _ in range(draw.choice((0, 0, 1, 2, 5))):
        http.headers[draw.choice(NAMES)] = draw.choice(VALUES)
    for _ in range(draw.choice((0, 0, 0, 0, 3))):
        http.header_map.headers.add(
            key=draw.choice(NAMES), value=draw.choice(("", "", "US")), raw_value=draw.randbytes(draw.randrange(9))
        )
    if draw.random() < 0.02:
        http.headers.update({f"x-{n}": str(n) for n in range(5_000)})
    if draw.random() < 0.1:
        asked.attributes.context_extensions.update({draw.choice(VALUES): draw.choice(VALUES) for _ in range(3)})
    if draw.random() < 0.2:
        http.raw_body = draw.choice((BODY, draw.randbytes(50), b"[" * 10_000, b'{"model":"mythos-5"}'))
    data = bytearray(asked.SerializeToString())
    if draw.random() < 0.2:
        for _ in range(draw.randrange(1, 4)):
            data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data[: draw.randrange(len(data))] if draw.random() < 0.05 else data)


def test_of_1000_random_requests_none_is_an_error_and_none_is_an_allow_that_is_not_on_record(
    service: Service, ask: Ask
) -> None:
    draw = random.Random(20260728)
    keys = [[(KEY, keyed(service, name)["X-Policy-Engine-Key"])] for name in ("headers", "bodies")]
    allowed: list[str] = []
    kinds: dict[str, int] = {}
    for _ in range(1_000):
        answer = ask(random_request(draw), draw.choice(keys))
        kind = answer.WhichOneof("http_response")
        kinds[kind] = kinds.get(kind, 0) + 1
        if answer.status.code == 0:
            assert kind == "ok_response"
            allowed.append(head_of(answer)["x-decision-id"])
        else:
            assert is_denied(answer)
    auditor = service.key()
    for decision in allowed:
        recorded = service.client.get(f"/decisions/{decision}", headers=auditor).json()
        assert recorded["answer"]["allowed"] is True
        assert recorded["answer"]["model"]["id"] == "opus-4.6"
    assert set(kinds) == {"ok_response", "denied_response"}
    assert min(kinds.values()) > 50
