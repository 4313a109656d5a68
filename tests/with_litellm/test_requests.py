"""What reaches a model through LiteLLM: whom it is denied to never, whom it is allowed to always."""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import Mapping
from typing import Any, Final

import anthropic
import httpx
import openai
import pytest

from tests.with_litellm.conftest import CAROL, KEN, Gateway

PAT: Final = {"Authorization": "Bearer sk-pat"}
"""A citizen of the United States at a company outside of the consortium, to whom mythos-5 is denied."""

CANARY: Final = "canary-7Q"
MESSAGES: Final = [{"role": "user", "content": CANARY}]
CHAT: Final[dict[str, Any]] = {"model": "opus-4.6", "messages": MESSAGES}
TEXT: Final[dict[str, Any]] = {"model": "opus-4.6", "prompt": CANARY}
INPUT: Final[dict[str, Any]] = {"model": "opus-4.6", "input": CANARY}
RERANK: Final[dict[str, Any]] = {"model": "rerank-opus", "query": CANARY, "documents": [CANARY]}
STREAM: Final = {"stream": True}
SOUND: Final = {"file": ("a.wav", b"RIFF" + b"0" * 40, "audio/wav")}
IMAGE: Final = {"image": ("a.png", b"\x89PNG\r\n\x1a\n" + b"0" * 40, "image/png")}

JSON: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "chat": ("/v1/chat/completions", CHAT),
    "chat, streaming": ("/v1/chat/completions", CHAT | STREAM),
    "chat without v1": ("/chat/completions", CHAT),
    "chat as Azure has it": ("/openai/deployments/opus-4.6/chat/completions", {"messages": MESSAGES}),
    "chat as Azure has it, streaming": (
        "/openai/deployments/opus-4.6/chat/completions",
        {"messages": MESSAGES} | STREAM,
    ),
    "chat of an engine": ("/engines/opus-4.6/chat/completions", {"messages": MESSAGES}),
    "text": ("/v1/completions", TEXT),
    "text, streaming": ("/v1/completions", TEXT | STREAM),
    "text without v1": ("/completions", TEXT),
    "text as Azure has it": ("/openai/deployments/opus-4.6/completions", {"prompt": CANARY}),
    "text of an engine": ("/engines/opus-4.6/completions", {"prompt": CANARY}),
    "embeddings": ("/v1/embeddings", INPUT),
    "embeddings without v1": ("/embeddings", INPUT),
    "embeddings as Azure has it": ("/openai/deployments/opus-4.6/embeddings", {"input": CANARY}),
    "embeddings of an engine": ("/engines/opus-4.6/embeddings", {"input": CANARY}),
    "responses": ("/v1/responses", INPUT),
    "responses, streaming": ("/v1/responses", INPUT | STREAM),
    "responses without v1": ("/responses", INPUT),
    "messages": ("/v1/messages", CHAT | {"max_tokens": 5}),
    "messages, streaming": ("/v1/messages", CHAT | STREAM | {"max_tokens": 5}),
    "messages of Anthropic itself": ("/v1/messages", CHAT | {"model": "anthropic-opus", "max_tokens": 5}),
    "generateContent": (
        "/v1beta/models/opus-4.6:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": CANARY}]}]},
    ),
    "images": ("/v1/images/generations", TEXT),
    "images without v1": ("/images/generations", TEXT),
    "speech": ("/v1/audio/speech", INPUT | {"voice": "alloy"}),
    "speech without v1": ("/audio/speech", INPUT | {"voice": "alloy"}),
    "moderations": ("/v1/moderations", INPUT),
    "moderations without v1": ("/moderations", INPUT),
    "rerank": ("/v1/rerank", RERANK),
    "rerank without v1": ("/rerank", RERANK),
    "rerank, second version": ("/v2/rerank", RERANK),
    "pass-through": ("/raw", CHAT),
    "pass-through, streaming": ("/raw", CHAT | STREAM),
}
FORMS: Final[dict[str, tuple[str, dict[str, Any], Mapping[str, Any]]]] = {
    "transcription": ("/v1/audio/transcriptions", {"model": "opus-4.6"}, SOUND),
    "transcription without v1": ("/audio/transcriptions", {"model": "opus-4.6"}, SOUND),
    "edits of images": ("/v1/images/edits", TEXT, IMAGE),
}


def _sent(gateway: Gateway, way: str, who: dict[str, str]) -> httpx.Response:
    if way in JSON:
        path, body = JSON[way]
        return gateway.client.post(path, headers=who, json=body)
    path, body, files = FORMS[way]
    return gateway.client.post(path, headers=who, data=body, files=files)


@pytest.mark.parametrize("way", [*JSON, *FORMS])
def test_a_way_to_a_model_is_open_to_whom_it_is_allowed_and_to_nobody_else(gateway: Gateway, way: str) -> None:
    allowed = _sent(gateway, way, CAROL)
    assert (allowed.status_code, gateway.provider.reached) == (200, ["opus-4.6"]), allowed.text
    assert 1 <= len(gateway.between.asked) <= 2

    gateway.provider.reached.clear()
    gateway.between.behave()
    denied = _sent(gateway, way, KEN)
    assert (denied.status_code, gateway.provider.reached) == (403, []), denied.text
    assert len(gateway.between.asked) == 1


def test_a_denial_has_the_form_of_the_interface_and_names_its_decision(gateway: Gateway) -> None:
    denied = _sent(gateway, "chat", KEN)
    told = {"type": "request_forbidden", "param": "model", "code": "403"}
    assert denied.json()["error"] == {**told, "message": "This model is not available to your account."}
    assert (denied.headers["x-reason"], bool(denied.headers["x-decision-id"])) == ("NOT_AVAILABLE_ACCOUNT", True)
    anthropics = _sent(gateway, "messages", KEN).json()
    assert (anthropics["type"], anthropics["error"]["type"]) == ("error", "permission_error")


def test_there_are_thirty_ways_and_more() -> None:
    assert len(JSON) + len(FORMS) >= 30


@pytest.mark.parametrize("stream", [False, True])
def test_a_denied_fallback_is_never_reached_and_the_next_answers(gateway: Gateway, stream: bool) -> None:
    for _ in range(50):
        answer = gateway.client.post(
            "/v1/chat/completions", headers=PAT, json={**CHAT, "model": "primary", "stream": stream}
        )
        assert (answer.status_code, "REACHED opus-4.6" in answer.text) == (200, True)
    assert gateway.provider.reached == ["broken-a", "opus-4.6"] * 50
    # One before the call, and one for each of three attempts.
    assert len(gateway.between.asked) == 50 * 4


NAMES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "an alias": ("/v1/chat/completions", {"model": "mythos"}),
    "a hidden alias": ("/v1/chat/completions", {"model": "hidden"}),
    "a pattern": ("/v1/chat/completions", {"model": "wild/mythos-5"}),
    "the deployment's own name": ("/v1/chat/completions", {"model": "openai/mythos-5"}),
    "a list with commas": ("/v1/chat/completions", {"model": "opus-4.6,mythos-5"}),
    "the client's fallbacks": ("/v1/chat/completions", {"model": "primary", "fallbacks": ["mythos-5"]}),
    "the client's fallbacks as objects": (
        "/v1/chat/completions",
        {"model": "primary", "fallbacks": [{"model": "mythos-5", "messages": MESSAGES}]},
    ),
    "a query that beats the body": ("/v1/chat/completions?model=mythos-5", {"model": "opus-4.6"}),
    "a path that beats the body": ("/openai/deployments/mythos-5/chat/completions", {"model": "opus-4.6"}),
}


@pytest.mark.parametrize("name", NAMES)
def test_no_other_name_leads_to_a_denied_model(gateway: Gateway, name: str) -> None:
    path, body = NAMES[name]
    answer = gateway.client.post(path, headers=PAT, json={"messages": MESSAGES, **body})
    assert answer.status_code == 403
    assert gateway.provider.reached == []


BESIDE: Final[dict[str, dict[str, Any]]] = {
    "the id of a deployment": {"deployment_id": "mythos-5"},
    "an engine": {"engine": "mythos-5"},
    "models to fall back to": {"models": ["mythos-5"]},
    "a body written over the provider's": {"extra_body": {"model": "mythos-5"}},
    "models in a body written over the provider's": {"extra_body": {"models": ["opus-4.6", "mythos-5"]}},
    "a query written to the provider's": {"extra_query": {"model": "mythos-5"}},
    "a deployment's settings": {"litellm_params": {"model": "openai/mythos-5"}},
    "a fallback with the id of a deployment": {"fallbacks": [{"model": "opus-4.6", "deployment_id": "mythos-5"}]},
    "a fallback with a body": {"fallbacks": [{"model": "opus-4.6", "extra_body": {"model": "mythos-5"}}]},
    "a tool with a model": {"tools": [{"type": "image_generation", "model": "mythos-5"}]},
    "a body that is a text": {"extra_body": '{"model": "mythos-5"}'},
    "models that are a text": {"models": "mythos-5"},
}
BODIES: Final = {
    "/v1/chat/completions": CHAT,
    "/v1/responses": INPUT,
    "/v1/messages": CHAT | {"max_tokens": 5},
    "/v1/embeddings": INPUT,
    "/v1/completions": TEXT,
    "/v1/images/generations": TEXT,
    "/raw": CHAT,
}


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("what", BESIDE)
def test_a_model_that_is_named_beside_the_allowed_one_is_judged_too(gateway: Gateway, path: str, what: str) -> None:
    answer = gateway.client.post(path, headers=PAT, json={**BODIES[path], **BESIDE[what]})
    assert (answer.status_code, gateway.provider.reached) == (403, []), answer.text


def test_what_is_written_beside_and_names_no_other_model_hinders_nobody(gateway: Gateway) -> None:
    beside = {"extra_body": {"top_k": 5, "model": "opus-4.6"}, "models": ["opus-4.6"], "tools": []}
    answer = gateway.client.post("/v1/chat/completions", headers=PAT, json={**CHAT, **beside})
    assert (answer.status_code, gateway.provider.reached) == (200, ["opus-4.6"]), answer.text


OTHERWISE: Final[dict[str, dict[str, Any]]] = {
    "a list of models": {"model_list": [{"model_name": "opus-4.6", "litellm_params": {"model": "openai/mythos-5"}}]},
    "an address": {"api_base": "http://127.0.0.1:9"},
    "a router": {"user_config": {"model_list": []}},
}


@pytest.mark.parametrize("what", OTHERWISE)
def test_what_litellm_itself_refuses_of_a_client_reaches_nobody(gateway: Gateway, what: str) -> None:
    answer = gateway.client.post("/v1/chat/completions", headers=PAT, json={**CHAT, **OTHERWISE[what]})
    assert answer.status_code >= 400
    assert gateway.provider.reached == []


STRANGE: Final[dict[str, dict[str, Any]]] = {
    "fallbacks that are no list": {"model": "opus-4.6", "fallbacks": "mythos-5"},
    "fallbacks of another form": {"model": "opus-4.6", "fallbacks": [{"opus-4.6": ["mythos-5"]}]},
    "a fallback that is a number": {"model": "opus-4.6", "fallbacks": [5]},
    "a model that is a list": {"model": ["opus-4.6"]},
    "no model": {},
    "a model in another case": {"model": "Opus-4.6"},
    "a model with a look-alike letter": {"model": "\u043epus-4.6"},
    "a key that the body makes up": {"model": "mythos-5", "metadata": {"user_api_key_auth": {"user_id": "carol"}}},
    "a user that the body makes up": {"model": "mythos-5", "user": "carol", "litellm_metadata": {"user_id": "carol"}},
}


@pytest.mark.parametrize("body", STRANGE)
def test_what_a_client_makes_up_opens_nothing(gateway: Gateway, body: str) -> None:
    answer = gateway.client.post("/v1/chat/completions", headers=PAT, json={"messages": MESSAGES, **STRANGE[body]})
    assert 400 <= answer.status_code < 500, answer.text
    assert gateway.provider.reached == []


@pytest.mark.parametrize("path", ["/v1/chat/../chat/completions", "/v1//chat/completions", "/v1/chat/%63ompletions"])
def test_a_path_that_programs_read_differently_opens_nothing(gateway: Gateway, path: str) -> None:
    with socket.create_connection(("127.0.0.1", httpx.URL(gateway.url).port or 0), timeout=20) as connection:
        body = json.dumps(CHAT).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-carol\r\nconnection: close\r\n"
        connection.sendall(
            f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
        )
        status = connection.recv(100).split()[1]
    assert status.startswith(b"4")
    assert gateway.provider.reached == []


def test_a_line_of_the_head_counts_once_and_where_it_is_named(gateway: Gateway) -> None:
    """The plugin passes on `x-purpose`, which this profile does not read; two lines of it are both told."""
    lines = [("authorization", "Bearer sk-carol"), ("x-purpose", "one"), ("X-Purpose", "two"), ("x-other", "three")]
    gateway.client.post("/v1/chat/completions", headers=httpx.Headers(lines), json=CHAT)
    assert [question["headers"] for question in gateway.between.questions()] == [{"x-purpose": ["one", "two"]}] * 2


def test_a_realtime_session_of_a_denied_model_begins_nothing(gateway: Gateway) -> None:
    port = httpx.URL(gateway.url).port or 0
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        nonce = base64.b64encode(os.urandom(16)).decode()
        connection.sendall(
            f"GET /v1/realtime?model=opus-4.6 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-ken\r\n"
            f"upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n"
            f"sec-websocket-key: {nonce}\r\n\r\n".encode()
        )
        told = b""
        while b"not available" not in told and (chunk := connection.recv(65536)):
            told += chunk
    assert b"not available" in told, told
    assert [question["models"] for question in gateway.between.questions()] == [["opus-4.6"]]
    assert gateway.provider.reached == []


# --- batch files ------------------------------------------------------------------------------------------------------


def _uploaded(gateway: Gateway, *lines: tuple[str, dict[str, Any]]) -> httpx.Response:
    rows = [
        json.dumps({"custom_id": str(number), "method": "POST", "url": url, "body": body})
        for number, (url, body) in enumerate(lines)
    ]
    form = {"purpose": "batch", "custom_llm_provider": "openai"}
    file = {"file": ("batch.jsonl", "\n".join(rows).encode(), "application/jsonl")}
    return gateway.client.post("/v1/files", headers=PAT, data=form, files=file)


def test_a_batch_file_is_judged_line_by_line(gateway: Gateway) -> None:
    allowed = [("/v1/chat/completions", CHAT)] * 40 + [("/v1/embeddings", INPUT)]
    good = _uploaded(gateway, *allowed)
    assert (good.status_code, len(gateway.provider.reached)) == (200, 1), good.text
    # One for the upload, and one for each kind of line.
    asked = [(question["target"], *question["models"]) for question in gateway.between.questions()]
    assert set(asked) == {("/v1/files",), ("/v1/chat/completions", "opus-4.6"), ("/v1/embeddings", "opus-4.6")}
    assert len(asked) < 10

    gateway.provider.reached.clear()
    bad = _uploaded(gateway, *allowed, ("/v1/chat/completions", {**CHAT, "model": "mythos-5"}))
    assert (bad.status_code, gateway.provider.reached) == (403, []), bad.text


@pytest.mark.parametrize("body", [{"messages": MESSAGES}, {**CHAT, "model": ["opus-4.6"]}, {**CHAT, "model": ""}])
def test_a_line_without_a_model_is_denied(gateway: Gateway, body: dict[str, Any]) -> None:
    assert _uploaded(gateway, ("/v1/chat/completions", body)).status_code in {400, 403}
    assert gateway.provider.reached == []


def test_a_batch_is_begun_by_nobody_to_whom_the_routes_model_is_denied(gateway: Gateway) -> None:
    batch = {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    assert gateway.client.post("/v1/batches", headers=PAT, json=batch).status_code == 200
    assert gateway.provider.reached == ["/v1/batches"]
    gateway.provider.reached.clear()
    # LiteLLM without the package of its database would tell a denial here as a bare 500.
    denied = gateway.client.post("/v1/batches", headers=KEN, json=batch)
    told = {"type": "request_forbidden", "param": "model", "code": "403"}
    assert denied.status_code == 403
    assert denied.json()["error"] == {**told, "message": "This model is not available to your account."}
    assert denied.headers["x-decision-id"]
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="sk-ken")
    before = len(gateway.between.asked)
    with pytest.raises(openai.PermissionDeniedError, match="not available to your account"):
        client.batches.create(**batch)
    assert gateway.provider.reached == []
    assert len(gateway.between.asked) == before + 1


# --- lists ------------------------------------------------------------------------------------------------------------

LISTS: Final = ("/v1/models", "/models", "/model/info", "/v1/model/info", "/model_group/info")


@pytest.mark.parametrize("path", LISTS)
def test_a_list_has_what_may_be_used_and_takes_one_question(gateway: Gateway, path: str) -> None:
    answer = gateway.client.get(path, headers=PAT)
    assert answer.status_code == 200, answer.text
    listed = [one.get("id") or one.get("model_name") or one.get("model_group") for one in answer.json()["data"]]
    (question,) = gateway.between.questions()
    assert len(question["models"]) > 200
    told = httpx.post(f"{gateway.engine}/gateways/decide", headers=gateway.key, json=question, timeout=30).json()
    assert listed == [one["model"] for one in told["answers"] if one["decision"] == "allow"]
    assert "opus-4.6" in listed
    assert "mythos-5" not in listed


def test_a_model_that_is_not_listed_is_not_there(gateway: Gateway) -> None:
    assert gateway.client.get("/v1/models/mythos-5", headers=PAT).status_code == 404
    assert gateway.client.get("/v1/models/opus-4.6", headers=PAT).status_code == 200


# --- the clients that people use --------------------------------------------------------------------------------------


def _openai(gateway: Gateway, way: str) -> object:
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="sk-ken")
    match way:
        case "chat":
            return client.chat.completions.create(**CHAT)
        case "chat, streaming":
            return client.chat.completions.create(**CHAT, stream=True)
        case "responses":
            return client.responses.create(**INPUT)
        case _:
            return client.embeddings.create(**INPUT)


@pytest.mark.parametrize("way", ["chat", "chat, streaming", "responses", "embeddings"])
def test_openais_client_is_told_of_a_denial_and_asks_once(gateway: Gateway, way: str) -> None:
    with pytest.raises(openai.PermissionDeniedError, match="not available to your account"):
        _openai(gateway, way)
    assert len(gateway.between.asked) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_anthropics_client_is_told_of_a_denial_and_asks_once(gateway: Gateway, stream: bool) -> None:
    client = anthropic.Anthropic(base_url=gateway.url, auth_token="sk-ken", api_key=None)
    with pytest.raises(anthropic.PermissionDeniedError, match="not available to your account"):
        client.messages.create(**CHAT, max_tokens=5, stream=stream)
    assert len(gateway.between.asked) == 1


def test_both_clients_are_answered_where_it_is_allowed(gateway: Gateway) -> None:
    chat = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="sk-carol").chat.completions.create(**CHAT)
    assert chat.choices[0].message.content == "REACHED opus-4.6"
    client = anthropic.Anthropic(base_url=gateway.url, auth_token="sk-carol", api_key=None)
    assert client.messages.create(**CHAT, max_tokens=5).content[0].text == "REACHED opus-4.6"


# --- the engine away --------------------------------------------------------------------------------------------------

UNTIL: Final = "2999-01-01T00:00:00Z"


def _answer(**changes: object) -> bytes:
    allow = {
        "model": "opus-4.6",
        "decision": "allow",
        "decision_id": "01K",
        "valid_until": UNTIL,
        "public_code": "ALLOWED",
        "public_message": "Allowed.",
        "fault": None,
    }
    return json.dumps({"allowed": True, "answers": [{**allow, **changes}]}).encode()


WRONG: Final[dict[str, tuple[int, str, bytes]]] = {
    "garbage": (200, "application/json", b"\x00garbage"),
    "nothing": (200, "application/json", b""),
    "a text for a truth value": (200, "application/json", _answer().replace(b"true", b'"true"')),
    "the word false": (200, "application/json", _answer().replace(b"true", b'"false"')),
    "an allow without its decision": (200, "application/json", _answer(decision_id=None)),
    "an allow that has ended": (200, "application/json", _answer(valid_until="2026-01-01T00:00:00Z")),
    "an allow for another model": (200, "application/json", _answer(model="fable-5")),
    "an allow that says deny": (200, "application/json", _answer(decision="deny")),
    "no answer among the answers": (200, "application/json", b'{"allowed": true, "answers": []}'),
    "a page": (200, "text/html", _answer()),
    "201": (201, "application/json", _answer()),
    "204": (204, "application/json", b""),
    "302": (302, "application/json", _answer()),
    "400": (400, "application/json", _answer()),
    "401": (401, "application/json", _answer()),
    "404": (404, "application/json", _answer()),
    "429": (429, "application/json", _answer()),
    "500": (500, "application/json", _answer()),
    "503": (503, "application/json", _answer()),
}


@pytest.mark.parametrize("fault", ["silence", "a reset", *WRONG])
def test_without_an_answer_that_counts_nothing_is_allowed(gateway: Gateway, fault: str) -> None:
    gateway.between.silent = fault == "silence"
    gateway.between.resets = fault == "a reset"
    gateway.between.answers = WRONG.get(fault)
    answer = gateway.client.post("/v1/chat/completions", headers=CAROL, json=CHAT)
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "server_error")
    assert answer.elapsed.total_seconds() < 1.5
    assert gateway.provider.reached == []


def test_an_answer_that_counts_is_one(gateway: Gateway) -> None:
    """The right form of what the others get wrong: the first question is answered so, and the second is another."""
    gateway.between.answers = (200, "application/json", _answer())
    answer = gateway.client.post("/raw", headers=CAROL, json=CHAT)
    assert (answer.status_code, gateway.provider.reached) == (200, ["opus-4.6"])


def test_a_list_is_empty_of_everything_while_the_engine_is_away(gateway: Gateway) -> None:
    gateway.between.silent = True
    assert gateway.client.get("/v1/models", headers=PAT).status_code == 503


# --- prompts ----------------------------------------------------------------------------------------------------------


def test_what_a_client_wrote_is_in_no_question_and_nowhere_at_the_engine(gateway: Gateway) -> None:
    for way in (*JSON, *FORMS):
        _sent(gateway, way, CAROL)
        _sent(gateway, way, KEN)
    gateway.client.post(f"/v1/chat/completions?note={CANARY}", headers=CAROL, json=CHAT)
    assert gateway.between.asked
    assert not any(CANARY.encode() in question for question in gateway.between.asked)
    files = [file for file in gateway.engine_folder.rglob("*") if file.is_file()]
    assert any(file.name == "engine.db" for file in files)
    assert [file.name for file in files if CANARY.encode() in file.read_bytes()] == []
