"""The Authorization API 1.0 of AuthZEN: the engine and an example world behind one door, held to the specification."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples.authzen_world.__main__ import application
from policy_engine.formats.membership_file import read_members
from tests.api.service import Service, copied, serving
from tests.conftest import POLICIES
from tests.gateways.served import at_a_port

HERE = Path(__file__).parent
RUNNER = HERE.parents[2] / "shared" / "authzen" / "run.py"
EVALUATION, EVALUATIONS = "/access/v1/evaluation", "/access/v1/evaluations"
CAROL: dict[str, Any] = {
    "subject": {"type": "person", "id": "carol"},
    "action": {"name": "infer"},
    "resource": {"type": "ai_model", "id": "opus-4.6"},
}


@pytest.fixture
def service(migrated: Path, tmp_path: Path) -> Iterator[Service]:
    roster = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")
    profiles = HERE / "authzen_profiles.yaml"
    with serving(copied(migrated, tmp_path), roster, published=True, gateways=profiles) as running:
        yield running


@pytest.fixture
def key(service: Service) -> dict[str, str]:
    return service.key("decide", "members:read", gateway="authzen")


def _token(headers: dict[str, str]) -> str:
    return headers["Authorization"].removeprefix("Bearer ")


def _conformance(base: str, token: str, *more: str) -> str:
    command = [sys.executable, str(RUNNER), base, "--key", token, *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  the runner beside us
    return done.stdout


@pytest.mark.skipif(not RUNNER.exists(), reason="the public runners' data is not beside the checkout")
def test_the_example_world_passes_the_public_runs_and_the_certification_whole() -> None:
    with at_a_port(application("secret")) as base:
        said = _conformance(base, "secret")
    assert "FAIL" not in said, said
    assert "interop: 272/272" in said
    assert "cert: 84/84" in said


@pytest.mark.skipif(not RUNNER.exists(), reason="the public runners' data is not beside the checkout")
def test_the_engine_passes_the_certification_whole(service: Service, key: dict[str, str]) -> None:
    with at_a_port(service.client.app) as base:
        said = _conformance(
            base, _token(key), "--map", str(HERE / "authzen_map.json"), "--suite", "cert,extra,auth,discovery"
        )
    assert "FAIL" not in said, said
    assert "cert: 72/72" in said


def test_an_evaluation_is_answered_by_the_rules_and_is_on_record(service: Service, key: dict[str, str]) -> None:
    answer = service.client.post(EVALUATION, json=CAROL, headers=key).json()
    assert answer["decision"] is True
    record = service.client.get(f"/decisions/{answer['context']['evaluation_id']}", headers=service.key()).json()
    assert record["request"]["subject"]["id"] == "carol"


DENIED: dict[str, dict[str, Any]] = {
    "an unknown subject": {"subject": {"type": "person", "id": "nobody"}},
    "an unknown type of subject": {"subject": {"type": "user", "id": "carol"}},
    "an unknown model": {"resource": {"type": "ai_model", "id": "nothing"}},
    "an unknown type of resource": {"resource": {"type": "model", "id": "opus-4.6"}},
    "an unknown action": {"action": {"name": "fly"}},
    "a licence determination": {"action": {"name": "licence_determination"}},
    "a purpose that is no text": {"context": {"purpose": 5}},
    "a place that differs from the profile's": {"context": {"country": "DE"}},
    "an end user that is none": {"context": {"end_user": "carol"}},
}


@pytest.mark.parametrize("what", DENIED)
def test_what_is_not_known_is_a_recorded_denial(service: Service, key: dict[str, str], what: str) -> None:
    answer = service.client.post(EVALUATION, json={**CAROL, **DENIED[what]}, headers=key)
    assert answer.status_code == 200
    assert answer.json()["decision"] is False
    assert answer.json()["context"]["evaluation_id"]


def test_nobody_is_asked_in_a_batch_what_its_semantic_leaves_out(service: Service, key: dict[str, str]) -> None:
    body = {
        "options": {"evaluations_semantic": "permit_on_first_permit"},
        "evaluations": [{**CAROL, "resource": {"type": "ai_model", "id": "nothing"}}, CAROL, CAROL],
    }
    answer = service.client.post(EVALUATIONS, json=body, headers=key).json()
    assert [one["decision"] for one in answer["evaluations"]] == [False, True]


def test_what_a_search_finds_is_what_an_evaluation_allows(service: Service, key: dict[str, str]) -> None:
    body = {**CAROL, "resource": {"type": "ai_model"}}
    found = service.client.post("/access/v1/search/resource", json=body, headers=key).json()["results"]
    names = {one["id"] for one in found}
    catalogue = service.parts.gate.view.current().judge_at(service.now[0])
    assert catalogue is not None
    for name in catalogue.book.tables.catalogue.entries:
        asked = {**CAROL, "resource": {"type": "ai_model", "id": name}}
        allowed = service.client.post(EVALUATION, json=asked, headers=key).json()["decision"]
        assert allowed is (name in names), name


NOT_FOUND: dict[str, dict[str, Any]] = {
    "a purpose that is no text": {"context": {"purpose": 5}},
    "a place that differs from the profile's": {"context": {"country": "DE"}},
    "an asserted word that is none": {
        "subject": {"type": "person", "id": "carol", "properties": {"us_status": "perhaps"}}
    },
}


@pytest.mark.parametrize("what", NOT_FOUND)
def test_what_is_not_known_is_found_by_no_search(service: Service, what: str) -> None:
    asserting = service.key("decide", gateway="authzen", assertable=frozenset({"us_status"}))
    body = {**CAROL, **NOT_FOUND[what], "resource": {"type": "ai_model"}}
    found = service.client.post("/access/v1/search/resource", json=body, headers=asserting)
    assert (found.status_code, found.json()["results"]) == (200, [])


def test_a_search_for_subjects_needs_the_right_to_read_members(service: Service) -> None:
    alone = service.key("decide", gateway="authzen")
    body = {**CAROL, "subject": {"type": "person"}}
    assert service.client.post("/access/v1/search/subject", json=body, headers=alone).status_code == 403
    assert service.client.post(EVALUATION, json=CAROL, headers=alone).status_code == 200


def test_a_token_is_good_for_its_own_search_alone(service: Service, key: dict[str, str]) -> None:
    body = {**CAROL, "subject": {"type": "person"}, "page": {"limit": 1}}
    path = "/access/v1/search/subject"
    token = service.client.post(path, json=body, headers=key).json()["page"]["next_token"]
    follow = {**body, "page": {"token": token}}
    assert service.client.post(path, json=follow, headers=key).status_code == 200
    for changed in (
        {**follow, "action": {"name": "embed"}},
        {**follow, "page": {"token": token, "limit": 2}},
        {**follow, "page": {"token": token[:-4] + "AAAA"}},
        {**follow, "page": {"token": "carol"}},
    ):
        assert service.client.post(path, json=changed, headers=key).status_code == 400


def test_discovery_names_the_address_of_the_settings_alone(service: Service) -> None:
    answer = service.client.get("/.well-known/authzen-configuration", headers={"Host": "evil.example"})
    assert answer.json()["policy_decision_point"] == "https://pdp.example.com"
    assert "evil" not in answer.text
    assert "max-age" in answer.headers["cache-control"]


def test_the_example_denies_whoever_is_not_on_file() -> None:
    with at_a_port(application("secret")) as base, httpx.Client(base_url=base) as client:
        asked = {
            "subject": {"type": "user", "id": "mallory", "properties": {"role": "admin"}},
            "action": {"name": "write"},
            "resource": {"type": "record", "id": "record-2"},
        }
        answer = client.post(EVALUATION, json=asked, headers={"Authorization": "Bearer secret"})
    assert json.loads(answer.text) == {"decision": False}
