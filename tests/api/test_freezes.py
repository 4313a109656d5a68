"""The emergency stop: what a freeze stops, from when on, and who may lift it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from policy_engine.app.builder import Parts, build
from policy_engine.app.settings import Settings
from policy_engine.cli.decide import decide_now
from policy_engine.domain.instants import format_instant
from policy_engine.domain.request import Caller
from policy_engine.formats.record_reader import read_record
from policy_engine.formats.request_document import submitted_of
from policy_engine.store.tables import changes, decisions
from tests.api.desks import ALLOWED, LATER, ROSTER, Officer, deciding
from tests.api.service import NOON, GivenJudge, Service, copied, serving
from tests.conftest import POLICIES, judge_for
from tests.store.conftest import Store

COMMODITY = {"model": "opus-4.6"}
ABROAD = {"model": "opus-4.6", "place": {"country": "GB"}}
OTHERS = {"subject": {"type": "person", "id": "pat"}, "model": "opus-4.6"}
TICK = timedelta(microseconds=1)


@pytest.fixture
def service(migrated: Path, tmp_path: Path) -> Iterator[Service]:
    with serving(copied(migrated, tmp_path), ROSTER) as running:
        yield running


@pytest.fixture
def dora(service: Service) -> Officer:
    return Officer(service, "dora")


@pytest.fixture
def egon(service: Service) -> Officer:
    return Officer(service, "egon")


@pytest.mark.parametrize("names", [["mian"], ["main", "mian"], ["Main"], [""]])
def test_a_gateway_that_nothing_has_is_refused_with_the_one_that_may_be_meant(dora: Officer, names: list[str]) -> None:
    refused = dora.freeze(gateways=names)
    assert refused.status_code in (400, 409, 422)
    assert "gateway" in refused.text
    assert "mian" not in names or "did you mean `main`" in refused.text
    assert dora.get("/freezes").json() == {"freezes": []}


@pytest.mark.parametrize(
    ("scope", "stopped", "beside"),
    [
        ({"models": ["mythos-5"]}, {}, COMMODITY),
        ({"models": ["mythos-5", "opus-4.6"]}, COMMODITY, None),
        ({"countries": ["GB"]}, ABROAD, COMMODITY),
        ({"countries": ["US"]}, {}, None),
        ({"organisations": ["harbor-cyber"]}, {}, OTHERS),
        ({"organisations": ["prairie-retail"]}, OTHERS, COMMODITY),
        ({"gateways": ["main"]}, {}, None),
        ({"models": ["opus-4.6"], "organisations": ["harbor-cyber"]}, COMMODITY, OTHERS),
        ({"models": ["opus-4.6"], "countries": ["GB"], "gateways": ["main"]}, ABROAD, COMMODITY),
        ({"all": True}, COMMODITY, None),
    ],
    ids=str,
)
def test_a_freeze_stops_what_it_names_and_nothing_beside_it(
    dora: Officer, scope: dict[str, Any], stopped: dict[str, Any], beside: dict[str, Any] | None
) -> None:
    assert dora.decide(**stopped)["decision"] == "allow"
    if beside is not None:
        assert dora.decide(**beside)["decision"] == "allow"
    frozen = dora.freeze(**scope)
    assert frozen.status_code == 201
    answer = dora.decide(**stopped)
    assert (answer["decision"], answer["reason"]["rule"]) == ("deny", frozen.json()["id"])
    assert deciding(answer) == {"OPERATOR_SUSPENSION"}
    assert answer["reason"]["public_code"] == "SUSPENDED"
    if beside is not None:
        assert dora.decide(**beside)["decision"] == "allow"


def test_a_freeze_of_a_gateway_leaves_the_others_alone(service: Service, dora: Officer) -> None:
    dora.freeze(gateways=["main"])
    other = service.decide(ALLOWED, service.key(gateway="other"))
    assert other.json()["decision"] == "allow"
    assert dora.decide()["decision"] == "deny"


def test_nothing_that_is_unknown_slips_through_a_freeze(dora: Officer) -> None:
    dora.freeze(countries=["KP"])
    answer = dora.decide(place=None)
    assert answer["decision"] == "deny"
    assert "OPERATOR_SUSPENSION" in deciding(answer)


def test_the_version_of_the_book_is_the_same_with_a_freeze(dora: Officer) -> None:
    before = dora.decide()
    dora.freeze(models=["mythos-5"])
    assert dora.decide()["policy_version"] == before["policy_version"]


@pytest.mark.parametrize(
    ("scope", "word"),
    [
        ({}, "say what is frozen"),
        ({"models": []}, "say what is frozen"),
        ({"all": True, "models": ["mythos-5"]}, "say what is frozen"),
        ({"models": ["mythos"]}, "did you mean `mythos-5`?"),
        ({"countries": ["UK"]}, "no country code `UK`"),
        ({"countries": ["us"]}, "no country code `us`"),
        ({"organisations": ["harbour-cyber"]}, "did you mean `harbor-cyber`?"),
        ({"models": ["mythos-5"], "reason": " "}, "an authority and a reason"),
        ({"models": ["mythos-5"], "authority": ""}, "an authority and a reason"),
        ({"models": ["mythos-5"], "until": "2026-11-20T12:00:00Z"}, "in the future"),
    ],
    ids=str,
)
def test_a_freeze_that_would_freeze_nothing_is_refused(dora: Officer, scope: dict[str, Any], word: str) -> None:
    refused = dora.freeze(**scope)
    assert (refused.status_code, refused.json()["type"]) == (400, "/problems/not-accepted")
    assert word in refused.text
    assert dora.get("/freezes").json() == {"freezes": []}


def test_a_freeze_ends_by_itself_at_its_very_instant(service: Service, dora: Officer) -> None:
    dora.freeze(models=["mythos-5"], until=format_instant(LATER))
    service.now[0] = LATER - TICK
    assert dora.decide()["decision"] == "deny"
    service.now[0] = LATER
    assert dora.decide()["decision"] == "allow"
    assert [one["status"] for one in dora.get("/freezes").json()["freezes"]] == ["expired"]


def test_a_freeze_is_lifted_by_two_persons(dora: Officer, egon: Officer) -> None:
    name = dora.freeze(models=["mythos-5"]).json()["id"]
    silent = dora.delete(f"/freezes/{name}")
    assert silent.status_code == 400
    asked = dora.delete(f"/freezes/{name}", reason="the order was withdrawn")
    assert (asked.status_code, asked.json()["status"]) == (202, "lift_asked")
    assert dora.decide()["decision"] == "deny"
    again = dora.delete(f"/freezes/{name}", reason="really")
    assert (again.status_code, again.json()["type"]) == (403, "/problems/second-person-needed")
    assert dora.decide()["decision"] == "deny"
    lifted = egon.service.client.delete(f"/freezes/{name}", headers=egon.headers)
    assert (lifted.status_code, lifted.json()["status"]) == (200, "lifted")
    assert dora.decide()["decision"] == "allow"
    assert egon.delete(f"/freezes/{name}").status_code == 409
    assert egon.delete("/freezes/FREEZE-none").status_code == 404
    (told,) = dora.get("/freezes").json()["freezes"]
    assert (told["lift_asked_by"]["person"], told["lifted_by"]["person"]) == ("dora", "egon")
    assert told["lift_reason"] == "the order was withdrawn"


def test_the_reason_to_lift_may_stand_in_the_query(dora: Officer) -> None:
    name = dora.freeze(models=["mythos-5"]).json()["id"]
    asked = dora.service.client.delete(f"/freezes/{name}", params={"reason": "over"}, headers=dora.headers)
    assert (asked.status_code, asked.json()["lift_reason"]) == (202, "over")


def _process(store: Store) -> Parts:
    """Another process on the database of a service."""
    judges = GivenJudge(judge_for({}, None))
    return build(Settings(database_url=store.url, policies=POLICIES), clock=lambda: NOON, judges=judges)


def test_a_decision_that_was_made_before_a_freeze_does_not_commit_as_an_allow(store: Store) -> None:
    """Made by a process that has not heard of the freeze, under the older epoch, and committed after it."""
    with serving(store.url, ROSTER) as service:
        dora = Officer(service, "dora")
        other = _process(store)
        try:
            assert dora.freeze(models=["mythos-5"]).status_code == 201
            begun = other.gate.begin(submitted_of(ALLOWED), Caller(id="other", explain=True))
            assert json.loads(begun.answer)["decision"] == "allow"
            assert begun.handle.result(timeout=10).outcome.value == "stale"
            answer = json.loads(decide_now(other.gate, ALLOWED, Caller(id="other", explain=True)))
            assert (answer["decision"], answer["reason"]["code"]) == ("deny", "OPERATOR_SUSPENSION")
        finally:
            other.close()


THREADS = 4
BEFORE, AFTER = 30, 20


def test_no_allow_stands_in_the_log_behind_a_freeze_however_many_are_being_decided(store: Store) -> None:
    with serving(store.url, ROSTER) as service:
        dora = Officer(service, "dora")
        processes = [service.parts, _process(store)]
        allowed = threading.Semaphore(0)
        returned = threading.Event()
        late: list[str] = []
        broken: list[BaseException] = []

        def decide_on(parts: Parts) -> None:
            caller = Caller(id="race", explain=True)
            left = AFTER
            try:
                while left:
                    after = returned.is_set()
                    answer = json.loads(decide_now(parts.gate, ALLOWED, caller))
                    if after:
                        late.append(answer["decision"])
                        left -= 1
                    elif answer["allowed"]:
                        allowed.release()
            except BaseException as error:  # the test shows it
                broken.append(error)
                raise

        threads = [threading.Thread(target=decide_on, args=(processes[n % 2],)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(BEFORE):
                assert allowed.acquire(timeout=30)
            assert dora.freeze(models=["mythos-5"]).status_code == 201
        finally:
            returned.set()
            for thread in threads:
                thread.join(timeout=60)
            processes[1].close()
        assert not broken
        assert late == ["deny"] * AFTER * THREADS
    with store.open().connect() as reader:
        frozen = reader.scalar(select(changes.c.log_index).where(changes.c.kind == "freeze.declared"))
        records = reader.execute(select(decisions.c.log_index, decisions.c.body)).all()
    assert frozen is not None
    before = [read_record(row.body).allowed for row in records if row.log_index < frozen]
    behind = [read_record(row.body).allowed for row in records if row.log_index > frozen]
    assert before.count(True) == len(before) >= BEFORE
    assert behind.count(False) == len(behind) >= AFTER * THREADS
