"""The Open Policy Agent's shape: the same rules, the same records, and a deny for whatever is not certain."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.service import Service

PATH = "/v1/data/policy_engine/decide"
HTTP = {"method": "POST", "path": "/v1/chat/completions", "headers": {"X-Geo-Country": "US"}}
KONG: dict[str, Any] = {
    "request": {"http": HTTP},
    "consumer": {"id": "carol", "username": "c"},
    "parsed_json_body": {"model": "opus-4.6", "messages": []},
}


def _asked(service: Service, given: object, gateway: str = "opa") -> Any:
    answer = service.client.post(PATH, json={"input": given}, headers=service.key("decide", gateway=gateway))
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def test_an_input_of_kongs_and_one_of_apisix_are_allowed_with_their_decision_on_record(service: Service) -> None:
    apisix = {**KONG, "request": HTTP}
    for given in (KONG, apisix):
        result = _asked(service, given)
        assert result["allow"] is True
        record = service.client.get(f"/decisions/{result['decision_id']}", headers=service.key()).json()
        assert record["request"]["model"] == "opus-4.6"


def test_a_denial_says_what_both_gateways_read(service: Service) -> None:
    result = _asked(service, {**KONG, "consumer": {"id": "ken"}, "parsed_json_body": {"model": "mythos-5"}})
    assert result["allow"] is False
    assert result["status"] == result["status_code"] == 403
    assert result["message"]["error"]["type"] == "request_forbidden"
    assert result["decision_id"]


DOUBTS: dict[str, object] = {
    "nothing": {},
    "no body": {name: value for name, value in KONG.items() if name != "parsed_json_body"},
    "a body that is no object": {**KONG, "parsed_json_body": ["opus-4.6"]},
    "no consumer": {**KONG, "consumer": {}},
    "a consumer that is no object": {**KONG, "consumer": "carol"},
    "two lines of a header": {**KONG, "request": {"http": {**HTTP, "headers": {"x-geo-country": ["US", "US"]}}}},
    "a header that is an object": {**KONG, "request": {"http": {**HTTP, "headers": {"x-geo-country": {}}}}},
    "another path": {**KONG, "request": {"http": {**HTTP, "path": "/v1/completions"}}},
    "a query that names another model": {
        **KONG,
        "request": {"http": {**HTTP, "querystring": {"model": "mythos-5"}}},
    },
    "a query that is a number": {**KONG, "request": {"http": {**HTTP, "querystring": 5}}},
    "a model that is a number": {**KONG, "parsed_json_body": {"model": 5}},
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_doubt_is_a_recorded_deny(service: Service, doubt: str) -> None:
    result = _asked(service, DOUBTS[doubt])
    assert result["allow"] is False
    assert result["decision_id"]


def test_a_gateway_without_a_profile_is_denied(service: Service) -> None:
    assert _asked(service, KONG, gateway="elsewhere")["allow"] is False
