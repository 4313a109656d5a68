"""POST /simulate: the full answer under any book, at any instant, with facts that are made up; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from policy_engine.domain.instants import format_instant
from policy_engine.store.tables import changes, decisions, reviews
from tests.api.desks import ALLOWED, LATER, ROSTER, WITHOUT_CONSORTIUM, Officer, deciding, published
from tests.api.service import NOON, Service, serving
from tests.conftest import SMALL_BOOK
from tests.store.conftest import Store

JUNE = "2026-06-13T15:00:00Z"
ENDED: dict[str, Any] = {
    "memberships": [
        {
            "organisation": "harbor-cyber",
            "consortium": "glasswing",
            "from": "2026-04-07T00:00:00Z",
            "to": None,
            "status": "suspended",
        }
    ]
}
NEWCOMER: dict[str, Any] = {
    "people": [
        {
            "id": "nina",
            "employments": [{"organisation": "harbor-cyber", "kind": "employee", "from": "2020-01-01", "to": None}],
            "us_status": [{"kind": "citizen", "from": "2020-01-01", "to": None}],
            "citizenships": [{"country": "US", "from": "1990-01-01", "to": None}],
            "permanent_residencies": [],
        }
    ]
}


@pytest.fixture
def service(store: Store) -> Iterator[Service]:
    with serving(store.url, ROSTER, published=True, policies=SMALL_BOOK) as running:
        yield running


@pytest.fixture
def dora(service: Service) -> Officer:
    return Officer(service, "dora")


def _simulated(officer: Officer, request: dict[str, Any] | None = None, **supposed: Any) -> Any:
    response = officer.post("/simulate", request={**ALLOWED, **(request or {})}, **supposed)
    assert response.status_code == 200, response.text
    return response.json()


def _counts(store: Store) -> list[int]:
    with store.open().connect() as reader:
        return [reader.scalar(select(func.count()).select_from(table)) or 0 for table in (decisions, changes, reviews)]


def test_a_simulation_answers_in_full_says_so_and_writes_nothing(service: Service, store: Store) -> None:
    desk = Officer(service, None, "simulate")
    before = _counts(store)
    answer = _simulated(desk)
    held = _simulated(desk, {"purpose": "pentest_own_product", "request_id": "gw-1"})
    assert _counts(store) == before
    assert (answer["decision"], answer["decision_id"]) == ("allow", "simulated")
    assert [finding["rule"] for finding in answer["findings"]] == ["GLASSWING-ACCESS"]
    assert answer["simulated"] == {
        "at": format_instant(NOON),
        "known_at": format_instant(NOON),
        "book": answer["policy_version"],
        "hypothetical_facts": False,
        "freezes": True,
        "recorded": False,
    }
    assert (held["decision"], held["hold"], held["simulated"]["recorded"]) == ("deny", True, False)
    assert [finding["review"] for finding in held["findings"]] == [None] * len(held["findings"])


def test_a_simulation_says_what_a_decision_says(dora: Officer) -> None:
    for request in ({}, {"purpose": "pentest_own_product"}, {"subject": {"type": "person", "id": "nobody"}}):
        made, supposed = dora.decide(**request), _simulated(dora, request)
        varying = ("decision_id", "simulated", "findings")
        assert {name: value for name, value in supposed.items() if name not in varying} == {
            name: value for name, value in made.items() if name not in varying
        }
        assert [{**one, "review": None} for one in made["findings"]] == supposed["findings"]


def test_a_request_is_judged_under_a_proposed_book_before_anybody_approves_it(dora: Officer) -> None:
    proposal = dora.propose(WITHOUT_CONSORTIUM).json()
    for book in (proposal["id"], proposal["fingerprint"]):
        answer = _simulated(dora, book=book)
        assert (answer["decision"], answer["simulated"]["book"]) == ("deny", proposal["fingerprint"])
    assert _simulated(dora)["decision"] == "allow"
    unknown = dora.post("/simulate", request=ALLOWED, book="sha256:none")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/not-found")


def test_the_book_of_another_instant_is_the_one_in_force_then(service: Service, dora: Officer) -> None:
    old = dora.decide()["policy_version"]
    new = published(dora, Officer(service, "egon"), WITHOUT_CONSORTIUM, effective=format_instant(LATER))["fingerprint"]
    before = _simulated(dora, at=format_instant(LATER - timedelta(microseconds=1)))
    assert (before["decision"], before["policy_version"]) == ("allow", old)
    after = _simulated(dora, at=format_instant(LATER))
    assert (after["decision"], after["policy_version"]) == ("deny", new)
    service.now[0] = LATER + timedelta(days=1)
    assert _simulated(dora, at=format_instant(NOON))["policy_version"] == old
    assert _simulated(dora, at=format_instant(NOON), book=new)["decision"] == "deny"


def test_at_another_instant_the_law_of_that_instant_counts(dora: Officer) -> None:
    answer = _simulated(dora, at=JUNE, known_at=format_instant(NOON))
    assert "OPERATOR_SUSPENSION" in deciding(answer)
    assert answer["decided_at"] == "2026-06-13T15:00:00.000000Z"


def test_what_was_not_yet_known_does_not_count(dora: Officer) -> None:
    assert _simulated(dora, at=JUNE)["reason"]["code"] == "SUBJECT_UNKNOWN"
    assert _simulated(dora, known_at=JUNE)["reason"]["code"] == "SUBJECT_UNKNOWN"


def test_facts_may_be_made_up_beside_those_on_file_or_in_place_of_them(dora: Officer) -> None:
    person = {"subject": {"type": "person", "id": "nina"}}
    assert _simulated(dora, person)["reason"]["code"] == "SUBJECT_UNKNOWN"
    made_up = _simulated(dora, person, members=NEWCOMER)
    assert (made_up["decision"], made_up["simulated"]["hypothetical_facts"]) == ("allow", True)
    assert _simulated(dora, members=ENDED)["reason"]["code"] == "MEMBERSHIP_SUSPENDED"
    past = _simulated(dora, person, members=NEWCOMER, at=JUNE, known_at=JUNE)
    assert past["reason"]["code"] != "SUBJECT_UNKNOWN"
    assert dora.decide(**person)["reason"]["code"] == "SUBJECT_UNKNOWN"
    assert dora.decide()["decision"] == "allow"


def test_facts_with_faults_are_refused_with_their_places(dora: Officer) -> None:
    refused = dora.post("/simulate", request=ALLOWED, members={"people": [{"id": "x", "name": "y"}]})
    assert (refused.status_code, refused.json()["type"]) == (400, "/problems/not-accepted")
    assert "name" in refused.json()["errors"][0]["message"]


def test_a_supposed_listing_on_a_list_that_no_rule_reads_is_refused_with_the_one_that_was_meant(dora: Officer) -> None:
    listed = {"listings": [{"party": "harbor-cyber", "list": "sdn", "status": "confirmed"}]}
    refused = dora.post("/simulate", request=ALLOWED, members=listed)
    assert (refused.status_code, refused.json()["type"]) == (400, "/problems/not-accepted")
    assert "did you mean `SDN`" in refused.text
    listed["listings"][0]["list"] = "SDN"
    assert _simulated(dora, members=listed)["decision"] == "deny"


def test_freezes_count_unless_they_are_left_out(dora: Officer) -> None:
    assert dora.freeze(models=["mythos-5"]).status_code == 201
    assert deciding(_simulated(dora)) == {"OPERATOR_SUSPENSION"}
    free = _simulated(dora, freezes=False)
    assert (free["decision"], free["simulated"]["freezes"]) == ("allow", False)
    assert _simulated(dora, at=format_instant(NOON - timedelta(seconds=1)), known_at=format_instant(NOON))["allowed"]


def test_only_what_the_key_may_assert_counts(service: Service) -> None:
    asserting = {"subject": {"type": "person", "id": "kim", "properties": {"us_status": "citizen"}}}
    mute = Officer(service, None, "simulate")
    assert _simulated(mute, asserting)["ignored_properties"] == ["us_status"]
    headers = service.key("simulate", assertable=frozenset({"us_status"}))
    answer = service.client.post("/simulate", json={"request": {**ALLOWED, **asserting}}, headers=headers)
    assert answer.json()["ignored_properties"] == []
    asserting["subject"]["properties"] = {"us_status": "martian"}
    wrong = service.client.post("/simulate", json={"request": {**ALLOWED, **asserting}}, headers=headers)
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "request.subject.properties")
