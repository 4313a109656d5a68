"""Many requests in one document: in order, under one epoch and one book, committed together before the reply."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from policy_engine.domain.ports import AppendOutcome
from policy_engine.domain.request import Caller, Semantic
from policy_engine.formats.book_names import BookNames
from policy_engine.formats.membership_file import read_members
from policy_engine.formats.request_document import MalformedRequest, batch_item_of, submitted_of
from policy_engine.service.administration.roster import import_members
from tests.api.service import NOON, Service, serving
from tests.conftest import POLICIES
from tests.store.conftest import Store, refusing_inserts

CALLER = Caller(id="test", gateway="main")
ROSTER = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")
ALLOWED: dict[str, Any] = {
    "subject": {"type": "person", "id": "carol"},
    "model": "mythos-5",
    "action": "infer",
    "purpose": "defensive_cybersecurity",
    "place": {"country": "US"},
}
DENIED = {**ALLOWED, "place": {"country": "IR"}}
BAD = {**ALLOWED, "colour": "blue"}


@pytest.fixture
def service(store: Store) -> Iterator[Service]:
    with serving(store.url, ROSTER) as running:
        yield running


def batch(service: Service, *requests: object, **more: object) -> Any:
    return service.client.post("/decide/batch", json={"requests": list(requests), **more}, headers=service.key())


def decisions(response: Any) -> list[str]:
    return [answer["decision"] for answer in response.json()["answers"]]


def test_answers_come_in_the_order_of_the_requests_under_one_instant_book_and_revision(service: Service) -> None:
    response = batch(service, ALLOWED, DENIED, ALLOWED)
    assert decisions(response) == ["allow", "deny", "allow"]
    answers = response.json()["answers"]
    for name in ("decided_at", "policy_version", "membership_revision"):
        assert len({answer[name] for answer in answers}) == 1
    assert len({answer["decision_id"] for answer in answers}) == 3


def test_every_answer_of_a_batch_is_in_the_log_and_in_its_order(service: Service) -> None:
    answers = batch(service, ALLOWED, DENIED, BAD).json()["answers"]
    bodies = list(service.parts.desk_log.decisions_since(NOON))
    recorded = [json.loads(body)["answer"] for body in bodies]
    assert [one["decision_id"] for one in recorded] == [one["decision_id"] for one in answers]
    assert recorded == answers


def test_an_item_that_is_no_request_is_a_recorded_deny_with_its_fault(service: Service) -> None:
    response = batch(service, BAD, ALLOWED, 7)
    assert decisions(response) == ["deny", "allow", "deny"]
    fault = response.json()["answers"][0]
    assert fault["reason"]["code"] == "ENGINE_FAULT"
    assert "colour" in fault["findings"][0]["detail"]["fault"]
    assert response.json()["answers"][2]["allowed"] is False


def test_the_fault_of_an_item_is_shown_to_every_caller_and_claims_no_review(service: Service) -> None:
    plain = service.key("decide")
    told = service.client.post("/decide/batch", json={"requests": [BAD, ALLOWED]}, headers=plain).json()["answers"]
    assert (told[0]["decision"], told[0]["hold"]) == ("deny", False)
    assert told[0]["reason"]["public_code"] == "INVALID_REQUEST"
    assert "colour is not a field of this document" in told[0]["reason"]["public_message"]
    assert "review" not in json.dumps(told[0])
    assert "looked at" not in json.dumps(told[0])
    assert told[1]["decision"] == "allow"


def test_an_item_that_asks_for_newer_members_is_denied_with_that_and_the_others_are_answered(service: Service) -> None:
    newer = {**ALLOWED, "min_revision": 9_999}
    answers = batch(service, ALLOWED, newer, ALLOWED).json()["answers"]
    assert [one["decision"] for one in answers] == ["allow", "deny", "allow"]
    assert answers[1]["reason"]["public_code"] == "INVALID_REQUEST"
    assert "revision 9999 is not here" in answers[1]["reason"]["public_message"]
    assert service.parts.log.read(answers[1]["decision_id"]) is not None


def test_members_that_are_newer_than_this_process_knows_are_read_for_a_batch(service: Service) -> None:
    held = service.parts.gate.view.current().roster.revision
    ended = b"people: [{id: newcomer, employments: []}]"
    import_members(service.parts.members, ended, "m.yaml", names=BookNames(), actor="t", reason="t", at=service.now[0])
    answer = batch(service, {**ALLOWED, "min_revision": held + 1}).json()["answers"][0]
    assert (answer["decision"], answer["membership_revision"]) == ("allow", held + 1)


def test_a_licence_determination_is_refused_in_a_batch_whose_allow_would_be_taken_for_access(service: Service) -> None:
    asked = {**ALLOWED, "model": "opus-4.6", "action": "licence_determination"}
    answers = batch(service, asked, ALLOWED).json()["answers"]
    assert [one["decision"] for one in answers] == ["deny", "allow"]
    assert answers[0]["reason"]["public_code"] == "INVALID_REQUEST"
    assert "gives no access" in answers[0]["reason"]["public_message"]
    assert service.decide(asked).status_code == 200


def test_a_door_that_says_nothing_of_determinations_is_refused_them(service: Service) -> None:
    with pytest.raises(MalformedRequest, match="gives no access"):
        service.parts.gate.decide_here(submitted_of({**ALLOWED, "action": "licence_determination"}), CALLER)


def test_what_is_judged_follows_from_the_semantic(service: Service) -> None:
    assert decisions(batch(service, ALLOWED, DENIED, ALLOWED, semantic="deny_on_first_deny")) == ["allow", "deny"]
    assert decisions(batch(service, DENIED, ALLOWED, DENIED, semantic="permit_on_first_permit")) == ["deny", "allow"]
    assert len(list(service.parts.desk_log.decisions_since(NOON))) == 4


@pytest.mark.parametrize(
    "document",
    [
        {"requests": []},
        {"requests": {}},
        {"requests": [ALLOWED] * 1001},
        {"requests": [ALLOWED], "semantic": "some"},
        {"requests": [ALLOWED], "semantic": ""},
        {"requests": [ALLOWED], "semantic": False},
        {"requests": [ALLOWED], "semantic": 0},
        {"requests": [ALLOWED], "semantic": []},
        {"requests": [ALLOWED], "semantic": {}},
        {"requests": [ALLOWED], "more": 1},
        {},
    ],
    ids=["none", "no list", "too many", "semantic", "no word", "false", "zero", "list", "object", "field", "empty"],
)
def test_a_document_that_is_no_batch_is_refused_whole(service: Service, document: dict[str, object]) -> None:
    response = service.client.post("/decide/batch", json=document, headers=service.key())
    assert response.status_code == 400
    assert list(service.parts.desk_log.decisions_since(NOON)) == []


def test_a_repeated_batch_under_its_request_ids_gives_the_same_decisions_and_another_request_is_denied(
    service: Service,
) -> None:
    first, other = {**ALLOWED, "request_id": "b-1"}, {**ALLOWED, "request_id": "b-2"}
    headers = service.key()
    before = service.client.post("/decide/batch", json={"requests": [first, other]}, headers=headers).json()
    again = service.client.post("/decide/batch", json={"requests": [first, other]}, headers=headers).json()
    assert again == before
    clash = service.client.post(
        "/decide/batch", json={"requests": [{**DENIED, "request_id": "b-1"}, ALLOWED]}, headers=headers
    ).json()["answers"]
    assert [answer["decision"] for answer in clash] == ["deny", "allow"]
    assert clash[0]["error"] == "/problems/request-id-conflict"


def test_a_batch_that_cannot_be_recorded_whole_allows_nothing(service: Service, store: Store) -> None:
    with refusing_inserts(store, "decisions"):
        response = batch(service, ALLOWED, ALLOWED)
    assert response.status_code == 503
    assert response.json()["type"].endswith("/log-unavailable")
    assert list(service.parts.desk_log.decisions_since(NOON)) == []


def test_a_thousand_requests_are_answered_and_recorded(service: Service) -> None:
    response = batch(service, *([ALLOWED, DENIED] * 500))
    assert decisions(response) == ["allow", "deny"] * 500
    assert len(list(service.parts.desk_log.decisions_since(NOON))) == 1000


def test_a_membership_that_changes_in_between_has_the_whole_batch_judged_again(service: Service) -> None:
    documents = [ALLOWED, ALLOWED]
    items = list(map(batch_item_of, documents))
    begun = service.parts.gate.begin_batch(items, Semantic.EXECUTE_ALL, CALLER)
    ended = (
        b"memberships: [{organisation: harbor-cyber, consortium: glasswing,"
        b" from: 2026-04-07T00:00:00Z, to: 2026-11-01, status: active}]"
    )
    service.parts.gate.view.refresh()
    assert begun.handle.result(10)[0].outcome is AppendOutcome.COMMITTED
    import_members(service.parts.members, ended, "m.yaml", names=BookNames(), actor="t", reason="t", at=service.now[0])
    stale = service.parts.gate.begin_batch(items, Semantic.EXECUTE_ALL, CALLER)
    assert [one.outcome for one in stale.handle.result(10)] == [AppendOutcome.STALE, AppendOutcome.STALE]
    assert decisions(batch(service, *documents)) == ["deny", "deny"]
