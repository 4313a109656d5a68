"""The Python client fails closed, asks again only where that is safe, and reuses an allow no longer than it holds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from policy_engine_client import (
    UNAVAILABLE,
    Answer,
    AsyncPolicyEngine,
    Party,
    Place,
    PolicyEngine,
    PolicyMiddleware,
    Question,
)
from policy_engine_client.client import now

from policy_engine.formats.membership_file import read_members
from tests.api.service import Service, copied, serving
from tests.client.documents import PAGE, source
from tests.conftest import POLICIES
from tests.gateways.served import at_a_port, http, misbehaving

CAROL = Question(subject=Party(type="person", id="carol"), model="opus-4.6", action="infer", place=Place(country="US"))
ALLOW: dict[str, Any] = {
    "decision": "allow",
    "allowed": True,
    "hold": False,
    "alternatives": [],
    "obligations": [],
    "decision_id": "01",
    "decided_at": "2026-11-30T12:00:00Z",
    "valid_until": "2999-01-01T00:00:00Z",
    "policy_version": "sha256:x",
    "membership_revision": 1,
    "reason": {"public_code": "ALLOWED", "public_message": "Allowed."},
}


def _ask_waiting(url: str, question: Question, **more: Any) -> Answer:
    with PolicyEngine(url, "pe_x_y", **more) as client:
        return client.decide(question)


def _ask_awaiting(url: str, question: Question, **more: Any) -> Answer:
    async def asked() -> Answer:
        async with AsyncPolicyEngine(url, "pe_x_y", **more) as client:
            return await client.decide(question)

    return asyncio.run(asked())


ASKING = {"waiting": _ask_waiting, "awaiting": _ask_awaiting}


@pytest.fixture(params=ASKING)
def ask(request: pytest.FixtureRequest) -> Callable[..., Answer]:
    """One question of each of the two clients."""
    return ASKING[request.param]


@pytest.fixture(scope="module")
def service(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    roster = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")
    with serving(copied(migrated, tmp_path_factory.mktemp("client")), roster, published=True, at=now()) as running:
        yield running


def test_the_clients_documents_are_those_that_the_engine_declares() -> None:
    assert PAGE.read_text(encoding="utf-8") == source(), "python -m tests.client.documents writes them anew"


def test_an_answer_of_the_engine_is_read_as_it_is(service: Service) -> None:
    key = service.key("decide")["Authorization"].removeprefix("Bearer ")
    with at_a_port(service.client.app) as base, PolicyEngine(base, key, timeout=10) as client:
        allowed = client.decide(CAROL)
        denied = client.decide(Question(subject=Party(type="person", id="ken"), model="mythos-5", action="infer"))
    assert allowed.allowed
    assert not denied.allowed
    assert denied.decision_id
    assert denied.reason.public_code != UNAVAILABLE


WRONG = {
    "an error": http(500, b'{"allowed":true}'),
    "a key that is not in force": http(401, json.dumps(ALLOW).encode()),
    "a redirection": http(302, b"", "location: http://127.0.0.1:1/"),
    "created": http(201, json.dumps(ALLOW).encode()),
    "nothing": http(204),
    "garbage": http(200, b"<html>welcome</html>"),
    "a list": http(200, b"[true]"),
    "a text for true": http(200, json.dumps({**ALLOW, "allowed": "false"}).encode()),
    "one for true": http(200, json.dumps({**ALLOW, "allowed": 1}).encode()),
    "two things": http(200, json.dumps({**ALLOW, "decision": "deny"}).encode()),
    "an expired allow": http(200, json.dumps({**ALLOW, "valid_until": "2026-01-01T00:00:00Z"}).encode()),
    "an instant without a zone": http(200, json.dumps({**ALLOW, "valid_until": "2999-01-01T00:00:00"}).encode()),
    "an instant that is none": http(200, json.dumps({**ALLOW, "valid_until": None}).encode()),
    "a part of it": http(200, json.dumps({"allowed": True, "decision": "allow"}).encode()),
    "a connection that ends": b"",
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_certain_allow_is_a_deny(ask: Callable[..., Answer], what: str) -> None:
    with misbehaving(WRONG[what]) as (url, _):
        answer = ask(url, CAROL, timeout=2.0)
    assert answer.allowed is False
    assert answer.reason.public_code == UNAVAILABLE
    assert ask("http://127.0.0.1:1", CAROL).allowed is False


def test_the_same_answer_without_a_fault_is_an_allow(ask: Callable[..., Answer]) -> None:
    with misbehaving(http(200, json.dumps(ALLOW).encode())) as (url, _):
        assert ask(url, CAROL).allowed is True


def test_an_engine_that_hangs_is_a_deny(ask: Callable[..., Answer]) -> None:
    with misbehaving(b"", hang=True) as (url, one):
        assert ask(url, CAROL, timeout=0.2).allowed is False
        assert one.asked == 1


def test_only_a_question_with_an_id_is_asked_again(ask: Callable[..., Answer]) -> None:
    with misbehaving(http(503)) as (url, one):
        assert ask(url, CAROL, retries=2).allowed is False
        assert one.asked == 1
    again = Question(subject=CAROL.subject, model="opus-4.6", action="infer", request_id="r-1")
    with misbehaving(http(503)) as (url, one):
        assert ask(url, again, retries=2).allowed is False
        assert one.asked == 3


def test_an_allow_is_used_again_until_it_ends_and_a_deny_never() -> None:
    at = [datetime.fromisoformat("2026-11-30T12:00:00Z")]
    until = (at[0] + timedelta(seconds=30)).isoformat()
    allow = http(200, json.dumps({**ALLOW, "valid_until": until}).encode())
    with misbehaving(allow) as (url, one), PolicyEngine(url, "k", cache=10, clock=lambda: at[0]) as client:
        assert client.decide(CAROL).allowed
        assert client.decide(CAROL).allowed
        assert one.asked == 1
        other = Question(subject=Party(type="person", id="dave"), model="opus-4.6", action="infer")
        assert client.decide(other).allowed
        assert one.asked == 2
        client.cache.forget()
        assert client.decide(CAROL).allowed
        assert one.asked == 3
        at[0] += timedelta(seconds=30)
        assert not client.decide(CAROL).allowed
        assert one.asked == 4
    denied = {**ALLOW, "allowed": False, "decision": "deny"}
    with misbehaving(http(200, json.dumps(denied).encode())) as (url, one), PolicyEngine(url, "k", cache=10) as client:
        assert not client.decide(CAROL).allowed
        assert not client.decide(CAROL).allowed
        assert one.asked == 2


# --- the middleware ---------------------------------------------------------------------------------------------------


def _through(url: str, question: Question | None, path: str = "/v1/chat") -> httpx.Response:
    inner = FastAPI()

    @inner.get("/{path:path}")
    async def reached() -> str:
        return "reached"

    async def asked() -> httpx.Response:
        async with AsyncPolicyEngine(url, "k", timeout=0.5) as client:
            app = PolicyMiddleware(
                inner,
                client=client,
                question=lambda _: question,
                open_paths=frozenset({"/livez"}),
            )
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as http_client:
                return await http_client.get(path)

    return asyncio.run(asked())


def test_the_middleware_lets_through_what_is_allowed_and_nothing_else() -> None:
    with misbehaving(http(200, json.dumps(ALLOW).encode())) as (url, _):
        assert _through(url, CAROL).json() == "reached"
        assert _through(url, None).status_code == 403
    with misbehaving(http(200, json.dumps({**ALLOW, "allowed": False, "decision": "deny"}).encode())) as (url, _):
        refused = _through(url, CAROL)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_access_denied")
        assert _through(url, CAROL, "/livez").json() == "reached"
    down = _through("http://127.0.0.1:1", CAROL)
    assert (down.status_code, down.json()["error"]["code"]) == (503, "authorization_unavailable")
