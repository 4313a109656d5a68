"""Keys, members, book, freezes and remembered answers are one snapshot under one epoch, in every process."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from policy_engine.app.builder import Parts, build
from policy_engine.app.settings import Settings
from policy_engine.asgi import create_app
from policy_engine.domain.changes import Actor
from policy_engine.domain.freezes import FreezeScope
from policy_engine.domain.ports import Control
from policy_engine.domain.request import Caller, Semantic
from policy_engine.domain.roster import Membership, MembershipStatus, RosterRows
from policy_engine.formats.request_document import batch_item_of, submitted_of
from policy_engine.service.administration.desk_faults import KeyNotInForce
from policy_engine.service.administration.freezing import declare_freeze
from policy_engine.service.gate.keyring import Bearer, Unauthenticated
from policy_engine.service.gate.snapshot import Ground
from tests.api.desks import ALLOWED, ROSTER
from tests.api.service import NOON, GivenJudge, Service, serving
from tests.conftest import POLICIES, judge_for
from tests.store.conftest import Store

FAR = 10**9
BATCH = {"requests": [ALLOWED] * 3}
ITEM = batch_item_of(ALLOWED)


@dataclass(slots=True)
class Other:
    """Another process on the database of a service, with a clock of its own."""

    client: TestClient
    parts: Parts

    def decide(self, headers: dict[str, str], **changes: Any) -> tuple[int, Any]:
        answer = self.client.post("/decide", json={**ALLOWED, **changes}, headers=headers)
        return answer.status_code, answer.json()

    def batch(self, headers: dict[str, str]) -> tuple[int, Any]:
        answer = self.client.post("/decide/batch", json=BATCH, headers=headers)
        return answer.status_code, answer.json()


@contextmanager
def another(store: Store, *, behind: timedelta = timedelta(0)) -> Iterator[Other]:
    parts = build(
        Settings(database_url=store.url, policies=POLICIES),
        clock=lambda: NOON - behind,
        judges=GivenJudge(judge_for({}, None)),
    )
    with TestClient(create_app(parts), raise_server_exceptions=False) as client:
        yield Other(client, parts)


@pytest.fixture
def service(store: Store) -> Iterator[Service]:
    with serving(store.url, ROSTER, recorded=NOON - timedelta(days=100)) as running:
        yield running


def key_id(headers: dict[str, str]) -> str:
    return headers["Authorization"].split("_")[1]


def test_a_key_that_was_revoked_elsewhere_decides_nothing_more_also_where_only_the_members_were_asked_to_be_fresh(
    service: Service, store: Store
) -> None:
    headers = service.key("decide")
    with another(store) as other:
        assert other.decide(headers)[1]["decision"] == "allow"
        assert other.batch(headers)[0] == 200
        service.parts.ring.revoke(key_id(headers), NOON)
        # What refreshed the members and left the keys as they were.
        assert other.decide(headers, min_revision=FAR)[0] in (401, 503)
        assert [other.decide(headers)[0] for _ in range(5)] == [401] * 5
        assert other.batch(headers)[0] == 401


def test_a_decision_and_a_batch_that_are_begun_again_find_out_anew_who_asks(service: Service, store: Store) -> None:
    headers = service.key("decide")
    bearer = Bearer(token=headers["Authorization"].removeprefix("Bearer "), right="decide")
    with another(store) as other:
        gate, asked = other.parts.gate, submitted_of(ALLOWED)
        begun = gate.begin(asked, bearer)
        assert begun.handle.result(10).outcome.value == "committed"
        service.parts.ring.revoke(key_id(headers), NOON)
        stale, batch = gate.begin(asked, bearer), gate.begin_batch([ITEM], Semantic.EXECUTE_ALL, bearer)
        assert stale.handle.result(10).outcome.value == "stale"
        assert gate.settled(stale, stale.handle.result()) is None
        assert gate.settled_batch(batch, batch.handle.result(10)) is None
        with pytest.raises(Unauthenticated):
            gate.again(stale)
        with pytest.raises(Unauthenticated):
            gate.again_batch(batch)


def test_a_key_that_was_made_elsewhere_is_good_at_once_in_every_process(service: Service, store: Store) -> None:
    with another(store) as other:
        for ask in (other.decide, other.batch):
            assert ask(service.key("decide"))[0] == 200
        assert other.client.get("/freezes", headers=service.key("policy:read")).status_code == 200


def test_the_desk_records_nothing_for_a_key_that_was_revoked_elsewhere(service: Service, store: Store) -> None:
    headers = service.key("freeze", person="dora")
    actor = Actor(key=key_id(headers), person="dora")
    with another(store) as other:
        service.parts.ring.revoke(actor.key, NOON)
        with pytest.raises(KeyNotInForce):
            declare_freeze(other.parts.desk, actor, FreezeScope(everything=True), authority="a", reason="r")


def test_a_record_carries_the_epoch_of_the_keys(service: Service) -> None:
    headers = service.key()
    before = service.parts.gate.view.current()
    first = service.decide(ALLOWED, headers).json()["decision_id"]
    service.key()
    second = service.decide(ALLOWED, headers).json()["decision_id"]
    epochs = [
        json.loads(service.client.get(f"/decisions/{one}", headers=headers).content)["control_epoch"]
        for one in (first, second)
    ]
    assert epochs == [before.epoch, before.epoch + 1]


def test_a_flood_of_keys_that_nobody_has_is_no_flood_of_questions_to_the_database(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    control = service.parts.members.control

    def counting() -> Control:
        nonlocal asked
        asked += 1
        return control()

    monkeypatch.setattr(service.parts.members, "control", counting)
    count = 200
    statuses: list[int] = []

    def ask(numbers: range) -> None:
        for number in numbers:
            bad = {"Authorization": f"Bearer pe_{number:012x}_{'0' * 64}"}
            statuses.append(service.client.post("/decide", json=ALLOWED, headers=bad).status_code)
            statuses.append(service.client.post("/decide/batch", json=BATCH, headers=bad).status_code)
            statuses.append(service.client.get("/policy", headers=bad).status_code)

    threads = [threading.Thread(target=ask, args=(range(first, count, 20),)) for first in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [401] * 3 * count
    assert asked <= 3 * count / 4
    monkeypatch.undo()
    assert service.decide(ALLOWED, service.key("decide")).json()["decision"] == "allow"


@pytest.mark.parametrize("behind", [timedelta(seconds=2), timedelta(days=40)], ids=["seconds", "days"])
def test_a_freeze_binds_a_process_whose_clock_runs_behind_from_its_commit(
    service: Service, store: Store, behind: timedelta
) -> None:
    headers = service.key()
    with another(store, behind=behind) as late:
        assert late.decide(headers, model="opus-4.6")[1]["decision"] == "allow"
        declare_freeze(
            service.parts.desk,
            Actor(key=key_id(service.key(person="dora")), person="dora"),
            FreezeScope(models=("opus-4.6",)),
            authority="the operator",
            reason="a test",
        )
        told = late.decide(headers, model="opus-4.6")[1]
        assert (told["decision"], told["reason"]["code"]) == ("deny", "OPERATOR_SUSPENSION")
        assert told["decided_at"] < "2026-11-20T12:00:00"


def test_a_suspension_from_now_binds_a_process_whose_clock_runs_behind(service: Service, store: Store) -> None:
    headers = service.key()
    (active,) = [one for one in ROSTER.memberships if one.organisation == "harbor-cyber"]
    with another(store, behind=timedelta(minutes=5)) as late:
        assert late.decide(headers)[1]["decision"] == "allow"
        ended = replace(active, valid=replace(active.valid, end=NOON), recorded_at=NOON)
        suspended = Membership(
            organisation=active.organisation,
            consortium=active.consortium,
            valid=replace(active.valid, start=NOON),
            status=MembershipStatus.SUSPENDED,
            recorded_at=NOON,
        )
        service.parts.members.record(
            RosterRows(memberships=(ended, suspended)), actor="test", reason="a suspension", at=NOON
        )
        told = late.decide(headers)[1]
        assert told["decision"] == "deny"
        assert "MEMBERSHIP_SUSPENDED" in {code for one in told["findings"] for code in one["codes"]}
        # It is dated by the instant at which the suspension is known to have begun.
        assert told["decided_at"] == "2026-11-20T12:00:00.000000Z"


@pytest.mark.parametrize("door", ["single", "batch"])
def test_what_a_thread_judged_before_a_freeze_is_not_remembered_after_it_wherever_the_thread_was_meanwhile(
    service: Service, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands still just before it remembers; meanwhile a freeze is declared and other answers are remembered."""
    gate, caller = service.parts.gate, Caller(id="race", gateway="main")
    judged, frozen, calls = threading.Event(), threading.Event(), 0
    until = Ground.until

    def standing_still(ground: Ground, at: datetime) -> datetime | None:
        nonlocal calls
        if threading.current_thread().name == "before":
            calls += 1
            # It is asked first for the answer, then for the memory.
            if calls == 2:
                judged.set()
                assert frozen.wait(30)
        return until(ground, at)

    def ask() -> None:
        if door == "single":
            gate.begin(submitted_of(ALLOWED), caller)
        else:
            gate.begin_batch([ITEM], Semantic.EXECUTE_ALL, caller)

    monkeypatch.setattr(Ground, "until", standing_still)
    before = threading.Thread(target=ask, name="before")
    before.start()
    assert judged.wait(30)
    declare_freeze(
        service.parts.desk,
        Actor(key=key_id(service.key(person="dora")), person="dora"),
        FreezeScope(everything=True),
        authority="the operator",
        reason="a test",
    )
    gate.begin(submitted_of({**ALLOWED, "model": "opus-4.6"}), caller).handle.result(10)
    frozen.set()
    before.join()
    begun = gate.begin(submitted_of(ALLOWED), caller)
    assert begun.handle.result(10).outcome.value == "committed"
    assert json.loads(begun.answer)["decision"] == "deny"
