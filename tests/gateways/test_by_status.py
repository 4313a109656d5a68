"""/ext_authz and /forward-auth: 200 is an allow, and nothing but a certain question that the rules allow gets it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import structlog

from policy_engine.domain.gateways import Message
from policy_engine.domain.ports import LogUnavailable
from policy_engine.gateways.asking import ask_each
from policy_engine.service.gate.keyring import Bearer
from policy_engine.service.gate.pools import Busy
from tests.api.service import Service
from tests.gateways.conftest import keyed

CHAT = "/ext_authz/v1/chat/completions"


def _ask(service: Service, headers: Any, path: str = CHAT, method: str = "POST", **more: Any) -> Any:
    return service.client.request(method, path, headers=headers, **more)


def _answers(service: Service) -> list[dict[str, Any]]:
    listed = service.client.get("/decisions", headers=service.key()).json()["decisions"]
    return [one["answer"] for one in listed]


def test_an_allow_is_200_with_the_decision_that_is_on_record(service: Service, headers: dict[str, str]) -> None:
    answer = _ask(service, {**headers, "x-model": "opus-4.6"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["x-decision-id"] == _answers(service)[0]["decision_id"]


def test_a_decision_has_the_fingerprint_of_the_profiles_on_record_and_replays_to_its_bytes(
    service: Service, headers: dict[str, str]
) -> None:
    made = _ask(service, {**headers, "x-model": "opus-4.6"}).headers["x-decision-id"]
    record = service.client.get(f"/decisions/{made}", headers=service.key()).json()
    assert record["caller"]["profile"] == service.parts.profiles.fingerprint
    asked = service.decide({"subject": {"type": "person", "id": "carol"}, "model": "opus-4.6", "action": "infer"})
    plain = service.client.get(f"/decisions/{asked.json()['decision_id']}", headers=service.key()).json()
    assert "profile" not in plain["caller"]
    replayed = service.client.post(f"/decisions/{made}/replay", headers=service.key()).json()
    assert replayed["same"] is True


def test_an_alias_of_the_gateway_is_the_model_that_it_stands_for(service: Service, headers: dict[str, str]) -> None:
    assert _ask(service, {**headers, "x-model": "opus"}).status_code == 200
    assert _answers(service)[0]["model"]["id"] == "opus-4.6"


def test_a_denial_is_403_in_the_words_of_openai(service: Service, headers: dict[str, str]) -> None:
    answer = _ask(service, {**headers, "x-user-id": "ken", "x-model": "mythos-5"})
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("request_forbidden", "model", "model_access_denied")
    assert {"x-reason", "x-decision-id"} <= set(answer.headers)


def test_a_denial_on_a_route_of_anthropics_has_its_form(service: Service, headers: dict[str, str]) -> None:
    answer = _ask(service, {**headers, "x-user-id": "ken", "x-model": "mythos-5"}, "/ext_authz/v1/messages")
    assert answer.status_code == 403
    assert answer.json()["error"]["type"] == "permission_error"


DOUBTS: dict[str, tuple[dict[str, str | list[str]], str, str]] = {
    "no model": ({}, CHAT, "POST"),
    "an empty model": ({"x-model": ""}, CHAT, "POST"),
    "no subject": ({"x-model": "opus-4.6", "x-user-id": ""}, CHAT, "POST"),
    "two lines of the model": ({"x-model": ["opus-4.6", "opus-4.6"]}, CHAT, "POST"),
    "two lines of the subject": ({"x-model": "opus-4.6", "x-user-id": ["carol", "carol"]}, CHAT, "POST"),
    "a model in another case": ({"x-model": "Opus-4.6"}, CHAT, "POST"),
    "a model with a look-alike letter": ({"x-model": "\u043epus-4.6"}, CHAT, "POST"),
    "a list with one denied": ({"x-user-id": "ken", "x-model": "opus-4.6, mythos-5"}, CHAT, "POST"),
    "a list with an empty entry": ({"x-model": "opus-4.6,"}, CHAT, "POST"),
    "no place": ({"x-model": "opus-4.6", "x-geo-country": ""}, CHAT, "POST"),
    "a route that is not listed": ({"x-model": "opus-4.6"}, "/ext_authz/v1/completions", "POST"),
    "a method that is not listed": ({"x-model": "opus-4.6"}, CHAT, "GET"),
    "path and header differ": ({"x-model": "opus-4.6"}, "/ext_authz/models/mythos-5/invoke", "POST"),
    "a query that names another model": ({"x-model": "opus-4.6"}, f"{CHAT}?model=mythos-5", "POST"),
    "a query that names two": ({"x-model": "opus-4.6"}, f"{CHAT}?model=opus-4.6&model=opus-4.6", "POST"),
    "an mcp call without a version": ({"mcp-method": "tools/call", "mcp-name": "ask"}, "/ext_authz/mcp", "POST"),
    "an mcp call of an older version": (
        {"mcp-method": "tools/call", "mcp-name": "ask", "mcp-protocol-version": "2025-11-25"},
        "/ext_authz/mcp",
        "POST",
    ),
    "an mcp tool that is not in the table": (
        {"mcp-method": "tools/call", "mcp-name": "other", "mcp-protocol-version": "2026-07-28"},
        "/ext_authz/mcp",
        "POST",
    ),
    "a version that is no date": (
        {"mcp-method": "tools/call", "mcp-name": "ask", "mcp-protocol-version": "latest"},
        "/ext_authz/mcp",
        "POST",
    ),
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_doubt_is_a_recorded_deny(service: Service, headers: dict[str, str], doubt: str) -> None:
    changed, path, method = DOUBTS[doubt]
    lines = [(name, value) for name, value in headers.items() if name not in changed]
    for name, given in changed.items():
        lines += [(name, one) for one in (given if isinstance(given, list) else [given])]
    before = len(_answers(service))
    sent = [(name.encode(), value.encode()) for name, value in lines]
    answer = service.client.request(method, path, headers=sent)
    assert answer.status_code == 403
    assert "x-decision-id" in answer.headers
    assert len(_answers(service)) > before


@pytest.mark.parametrize(
    "path",
    [
        "/models/opus-4.6/../mythos-5/invoke",
        "/models/opus%2D4.6/invoke",
        "/models/./opus-4.6/invoke",
        "/models//opus-4.6/invoke",
        "/models/opus-4.6;x/invoke",
        "/models/opus-4.6%2f..%2fmythos-5/invoke",
        "/models/opus-4.6/invoke%00",
        "/models\\opus-4.6\\invoke",
    ],
)
def test_a_path_that_programs_read_differently_is_denied(service: Service, headers: dict[str, str], path: str) -> None:
    forwarded = {**headers, "X-Forwarded-Uri": path, "X-Forwarded-Method": "POST"}
    assert _ask(service, forwarded, "/forward-auth", "GET").status_code == 403


def test_the_model_may_be_a_segment_of_the_path(service: Service, headers: dict[str, str]) -> None:
    assert _ask(service, headers, "/ext_authz/models/opus-4.6/invoke").status_code == 200


def test_a_tool_of_mcp_is_the_model_and_action_of_the_table(service: Service, headers: dict[str, str]) -> None:
    call = {**headers, "mcp-method": "tools/call", "mcp-name": "ask", "mcp-protocol-version": "2026-07-28"}
    assert _ask(service, call, "/ext_authz/mcp").status_code == 200
    denied = _ask(service, {**call, "mcp-name": "attack", "x-user-id": "ken"}, "/ext_authz/mcp")
    assert denied.status_code == 403
    assert denied.json()["error"]["code"] == -32001


def test_forward_auth_takes_method_and_target_from_the_proxys_headers_alone(
    service: Service, headers: dict[str, str]
) -> None:
    asked = {**headers, "x-model": "opus-4.6", "X-Forwarded-Uri": "/v1/chat/completions", "X-Forwarded-Method": "POST"}
    assert _ask(service, asked, "/forward-auth?model=mythos-5", "GET").status_code == 200
    without = {name: value for name, value in asked.items() if name != "X-Forwarded-Uri"}
    assert _ask(service, without, "/forward-auth?uri=/v1/chat/completions", "GET").status_code == 403
    differing = {**asked, "X-Original-URI": "/v1/models"}
    assert _ask(service, differing, "/forward-auth", "GET").status_code == 403


def test_the_clients_own_token_never_authenticates_the_gateway(service: Service, headers: dict[str, str]) -> None:
    token = headers["X-Policy-Engine-Key"]
    client = {name: value for name, value in headers.items() if name != "X-Policy-Engine-Key"}
    answer = _ask(service, {**client, "x-model": "opus-4.6", "Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert "x-decision-id" not in answer.headers


def test_two_keys_are_none(service: Service, headers: dict[str, str]) -> None:
    token = headers["X-Policy-Engine-Key"]
    sent = [(name, value) for name, value in {**headers, "x-model": "opus-4.6"}.items()]
    sent.append(("x-policy-engine-key", token))
    assert service.client.post(CHAT, headers=sent).status_code == 401


def test_a_gateway_without_a_profile_is_denied(service: Service) -> None:
    head = {**keyed(service, "elsewhere"), "x-user-id": "carol", "x-model": "opus-4.6", "x-geo-country": "US"}
    assert _ask(service, head).status_code == 403


def test_a_key_without_the_right_is_denied(service: Service) -> None:
    made = service.key("members:read", gateway="headers")
    head = {"X-Policy-Engine-Key": made["Authorization"].removeprefix("Bearer "), "x-model": "opus-4.6"}
    assert _ask(service, head).status_code == 403


BODIES: dict[str, tuple[bytes, dict[str, str]]] = {
    "two members, the denied one last": (b'{"model":"opus-4.6","model":"mythos-5"}', {}),
    "two members, the denied one first": (b'{"model":"mythos-5","model":"opus-4.6"}', {}),
    "a byte-order mark": (b'\xef\xbb\xbf{"model":"opus-4.6"}', {}),
    "an escaped second key": (b'{"model":"opus-4.6","\\u006dodel":"mythos-5"}', {}),
    "a list with one denied": (b'{"model":["opus-4.6","mythos-5"]}', {}),
    "an object": (b'{"model":{"id":"opus-4.6"}}', {}),
    "a number": (b'{"model":5}', {}),
    "fallbacks with one denied": (b'{"model":"opus-4.6","fallbacks":["mythos-5"]}', {}),
    "models with one denied": (b'{"model":"opus-4.6","models":[{"model":"mythos-5"}]}', {}),
    "no JSON": (b"model=opus-4.6", {}),
    "an array": (b'["opus-4.6"]', {}),
    "another content type": (b'{"model":"opus-4.6"}', {"content-type": "text/plain"}),
    "said to be compressed": (b'{"model":"opus-4.6"}', {"content-encoding": "gzip"}),
    "a part of it": (b'{"model":"opus-4.6"}', {"x-envoy-auth-partial-body": "true"}),
    "nested too deep": (b'{"model":"opus-4.6","x":' + b"[" * 60 + b"]" * 60 + b"}", {}),
    "nothing": (b"", {}),
}


@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_programs_read_differently_is_denied(service: Service, body: str) -> None:
    content, more = BODIES[body]
    head = {**keyed(service, "bodies"), "x-user-id": "ken", "content-type": "application/json", **more}
    allowed = service.client.post(CHAT, headers={**head, "x-user-id": "carol"}, content=b'{"model":"opus-4.6"}')
    answer = service.client.post(CHAT, headers=head, content=content)
    assert answer.status_code == 403
    if not more:
        assert allowed.status_code == 200


def test_a_body_of_five_megabytes_is_no_allow(service: Service) -> None:
    head = {**keyed(service, "bodies"), "x-user-id": "carol", "content-type": "application/json"}
    content = json.dumps({"messages": "x" * 5_000_000, "model": "opus-4.6"}).encode()
    answer = service.client.post(CHAT, headers=head, content=content)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"


def test_the_clients_request_id_is_echoed_and_makes_no_retry(service: Service, headers: dict[str, str]) -> None:
    head = {**headers, "x-model": "opus-4.6", "X-Request-ID": "abc"}
    first, second = _ask(service, head), _ask(service, head)
    assert first.headers["x-request-id"] == second.headers["x-request-id"] == "abc"
    assert first.headers["x-decision-id"] != second.headers["x-decision-id"]


def test_where_no_answer_can_be_given_nothing_is_allowed(
    service: Service, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    head = {**headers, "x-model": "opus-4.6"}
    for error, logged in (
        (LogUnavailable("no disk"), False),
        (Busy("a full house"), False),
        (ZeroDivisionError("a fact"), True),
    ):

        def fails(*_: object, _error: Exception = error, **__: object) -> None:
            raise _error

        monkeypatch.setattr(service.parts.gate, "decide", fails)
        with structlog.testing.capture_logs() as lines:
            answer = _ask(service, head)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "authorization_unavailable"
        assert "x-decision-id" not in answer.headers
        assert "a fact" not in answer.text + str(lines)
        assert bool(lines) is logged


def _each(service: Service, gateway: str, *models: str) -> list[bool]:
    token = keyed(service, gateway)["X-Policy-Engine-Key"]
    message = Message(
        method="GET",
        target="/v1/models",
        headers=(("x-user-id", "carol"), ("x-geo-country", "US")),
        models=models,
    )
    bearer = Bearer(token=token, right="decide")
    return [one.allowed for one in asyncio.run(ask_each(service.parts, bearer, message))]


def test_each_of_several_models_has_its_own_answer(service: Service) -> None:
    assert _each(service, "headers", "opus-4.6", "nothing", "\u043epus-4.6", "opus") == [True, False, False, True]


def test_each_of_several_models_is_denied_where_nobody_can_be_asked(service: Service) -> None:
    assert _each(service, "elsewhere", "opus-4.6", "opus") == [False, False]
