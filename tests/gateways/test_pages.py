"""What the pages of AuthZEN, of the Open Policy Agent's shape and of Python print is what works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from policy_engine.app.clock import system_clock
from policy_engine.formats.membership_file import read_members
from tests.api.service import Service, copied, serving
from tests.conftest import POLICIES, ROOT
from tests.gateways.pages import PAGES, blocks
from tests.gateways.served import at_a_port


@pytest.fixture(scope="module")
def service(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service with the profile of the page of the Open Policy Agent's shape."""
    folder = tmp_path_factory.mktemp("pages")
    profiles = folder / "gateways.yaml"
    profiles.write_text(blocks(PAGES / "opa.md")["gateways.yaml"], encoding="utf-8")
    roster = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")
    url = copied(migrated, folder)
    with serving(url, roster, published=True, gateways=profiles, at=system_clock()) as running:
        yield running


def _run(block: str, page: str, **environment: str) -> str:
    """What the program of a page prints."""
    told = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'client'}", **environment}
    command = [sys.executable, "-c", blocks(PAGES / page)[block]]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=told)  # noqa: S603  the page's own
    return done.stdout.strip()


def test_the_question_of_the_page_of_authzen_is_allowed(service: Service) -> None:
    body = json.loads(blocks(PAGES / "authzen.md")["evaluation.json"])
    answer = service.client.post("/access/v1/evaluation", json=body, headers=service.key("decide"))
    assert answer.json()["decision"] is True


def test_the_input_of_the_page_of_the_open_policy_agents_shape_is_allowed(service: Service) -> None:
    body = json.loads(blocks(PAGES / "opa.md")["input.json"])
    headers = service.key("decide", gateway="kong")
    assert service.client.post("/v1/data/policy_engine/decide", json=body, headers=headers).json()["result"]["allow"]
    body["input"]["consumer"] = {"custom_id": "mallory"}
    told = service.client.post("/v1/data/policy_engine/decide", json=body, headers=headers).json()["result"]
    assert told["allow"] is False


def test_the_client_of_the_page_of_python_is_answered_and_denied_where_nobody_answers(service: Service) -> None:
    key = service.key("decide")["Authorization"].removeprefix("Bearer ")
    with at_a_port(service.client.app) as base:
        assert _run("ask.py", "python.md", POLICY_ENGINE_URL=base, POLICY_ENGINE_KEY=key).startswith("allow ")
    down = _run("ask.py", "python.md", POLICY_ENGINE_URL="http://127.0.0.1:1", POLICY_ENGINE_KEY=key)
    assert down == "deny UNAVAILABLE"


def test_the_middleware_of_the_page_of_python_protects_its_application(service: Service) -> None:
    made: dict[str, Any] = {}
    exec(blocks(PAGES / "python.md")["app.py"], made)  # noqa: S102  the page's own
    key = service.key("decide")["Authorization"].removeprefix("Bearer ")
    with at_a_port(service.client.app) as base, at_a_port(made["protected"](base, key), lifespan="on") as inner:
        assert httpx.get(f"{inner}/v1/models", timeout=30).json() == ["opus-4.6"]
    with at_a_port(made["protected"]("http://127.0.0.1:1", key), lifespan="on") as inner:
        assert httpx.get(f"{inner}/v1/models", timeout=30).status_code == 503


def test_the_engine_of_the_page_of_python_decides_in_its_own_process(service: Service) -> None:
    told = _run("inside.py", "python.md", POLICY_ENGINE_DATABASE_URL=service.url, POLICY_ENGINE_POLICIES=str(POLICIES))
    assert told.startswith("allow ")
