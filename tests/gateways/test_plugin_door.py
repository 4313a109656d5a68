"""POST /gateways/decide: what a plugin asks in JSON is decided as at every other door, and every doubt is a deny."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.service import Service
from tests.gateways.conftest import keyed

CAROL: dict[str, Any] = {
    "method": "POST",
    "target": "/v1/chat/completions",
    "headers": {"x-geo-country": "US", "x-user-id": "carol"},
}


@pytest.fixture
def key(service: Service) -> dict[str, str]:
    return service.key("decide", gateway="headers")


def _ask(service: Service, key: dict[str, str], question: dict[str, Any]) -> Any:
    response = service.client.post("/gateways/decide", headers=key, json=question)
    assert response.status_code == 200, response.text
    return response.json()


def _recorded(service: Service) -> int:
    return len(service.client.get("/decisions", headers=service.key()).json()["decisions"])


def test_an_allow_names_the_model_as_the_gateway_does_and_its_decision(service: Service, key: dict[str, str]) -> None:
    told = _ask(service, key, {**CAROL, "models": ["opus"]})
    (answer,) = told["answers"]
    assert (told["allowed"], answer["decision"], answer["model"], answer["fault"]) == (True, "allow", "opus", None)
    record = service.client.get(f"/decisions/{answer['decision_id']}", headers=service.key()).json()
    assert record["answer"]["model"]["id"] == "opus-4.6"


def test_one_denied_model_denies_all_and_says_which(service: Service, key: dict[str, str]) -> None:
    told = _ask(service, key, {**CAROL, "models": ["opus", "mythos", "opus-4.6"]})
    assert told["allowed"] is False
    assert [(one["model"], one["decision"]) for one in told["answers"]] == [("opus", "allow"), ("mythos", "deny")]


def test_each_model_gets_its_own_answer_in_the_order_of_the_question(service: Service, key: dict[str, str]) -> None:
    models = ["mythos-5", "opus-4.6", "nobody-knows-it", "opus"]
    told = _ask(service, key, {**CAROL, "method": "GET", "target": "/v1/models", "models": models, "each": True})
    assert [one["model"] for one in told["answers"]] == models
    assert [one["decision"] for one in told["answers"]] == ["deny", "allow", "deny", "allow"]
    assert told["allowed"] is False


def test_two_hundred_and_twenty_two_models_are_one_question(service: Service, key: dict[str, str]) -> None:
    models = [f"model-{number}" for number in range(221)] + ["opus-4.6"]
    told = _ask(service, key, {**CAROL, "method": "GET", "target": "/v1/models", "models": models, "each": True})
    assert [one["model"] for one in told["answers"] if one["decision"] == "allow"] == ["opus-4.6"]
    assert len(told["answers"]) == 222


DOUBTS: dict[str, dict[str, Any]] = {
    "no model": {"models": []},
    "an empty model": {"models": [""]},
    "an empty model beside another": {"models": ["opus-4.6", ""]},
    "a route that is not listed": {"models": ["opus-4.6"], "target": "/v1/other"},
    "a path that programs read differently": {"models": ["opus-4.6"], "target": "/v1/../v1/chat/completions"},
    "a query that names another model": {"models": ["opus-4.6"], "target": "/v1/chat/completions?model=mythos-5"},
    "two lines of the subject": {
        "models": ["opus-4.6"],
        "headers": {"x-geo-country": "US", "x-user-id": ["carol", "carol"]},
    },
    "two spellings of one header": {
        "models": ["opus-4.6"],
        "headers": {"x-geo-country": "US", "x-user-id": "carol", "X-User-Id": "carol"},
    },
    "no subject": {"models": ["opus-4.6"], "headers": {"x-geo-country": "US"}},
    "no place": {"models": ["opus-4.6"], "headers": {"x-user-id": "carol"}},
    "a model in another case": {"models": ["Opus-4.6"]},
    "a model with a look-alike letter": {"models": ["\u043epus-4.6"]},
}


@pytest.mark.parametrize("doubt", DOUBTS)
@pytest.mark.parametrize("each", [False, True])
def test_a_doubt_is_a_recorded_deny(service: Service, key: dict[str, str], doubt: str, each: bool) -> None:
    question = {**CAROL, **DOUBTS[doubt]}
    if each and not question["models"]:
        question = {**question, "models": [""]}
    before = _recorded(service)
    told = _ask(service, key, {**question, "each": each})
    assert told["allowed"] is False
    assert [one["decision"] for one in told["answers"]].count("deny") >= 1
    assert _recorded(service) > before


def test_a_question_that_could_not_be_read_says_why_and_repeats_no_value(service: Service, key: dict[str, str]) -> None:
    told = _ask(service, key, {**CAROL, "models": ["opus-4.6"], "target": "/v1/secret-route"})
    (answer,) = told["answers"]
    assert answer["fault"] == "the route is not listed in the gateway's profile"
    assert (answer["model"], answer["public_code"]) == (None, "INVALID_REQUEST")


def test_a_gateway_without_a_profile_is_denied(service: Service) -> None:
    told = _ask(service, service.key("decide", gateway="elsewhere"), {**CAROL, "models": ["opus-4.6"]})
    assert told["allowed"] is False


MALFORMED: dict[str, Any] = {
    "a member that is not known": {**CAROL, "models": ["opus-4.6"], "messages": []},
    "no target": {"method": "POST", "models": ["opus-4.6"]},
    "a model that is no text": {**CAROL, "models": [5]},
    "each that is no truth value": {**CAROL, "models": ["opus-4.6"], "each": "false"},
    "each of nothing": {**CAROL, "models": [], "each": True},
    "more models than are asked at once": {**CAROL, "models": ["opus-4.6"] * 1_001},
    "a control character": {**CAROL, "models": ["opus\n-4.6"]},
    "a list": [],
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_no_question_is_refused_with_the_place(service: Service, key: dict[str, str], case: str) -> None:
    response = service.client.post("/gateways/decide", headers=key, json=MALFORMED[case])
    assert response.status_code == 400
    assert response.json()["type"] == "/problems/malformed"


def test_the_key_stands_under_authorization_and_nowhere_else(service: Service) -> None:
    question = {**CAROL, "models": ["opus-4.6"]}
    response = service.client.post("/gateways/decide", headers=keyed(service, "headers"), json=question)
    assert response.status_code == 401
