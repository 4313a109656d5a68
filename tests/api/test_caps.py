"""Caps on named users: a place is drawn once for a person, in the transaction of the record."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from queue import Empty
from typing import Any, Final

import pytest

from policy_engine.app.builder import build
from policy_engine.app.settings import Settings
from policy_engine.cli.decide import decide_now
from policy_engine.domain.request import Caller
from policy_engine.domain.roster import RosterRows
from policy_engine.formats.membership_file import read_members
from policy_engine.store.members import Members
from tests.api.service import NOON, Service, serving
from tests.conftest import POLICIES
from tests.store.conftest import Store

ROUNDS = 100


def _seats(rounds: int, named_users: int) -> RosterRows:
    """Organisations with two employees each and one licence to distil a commodity model."""
    lines: dict[str, list[str]] = {"organisations": [], "people": [], "authorisations": []}
    for index in range(rounds):
        lines["organisations"].append(
            f"- {{id: o{index}, name: O, kind: company, incorporated: US, headquarters: US, contract_country: US, "
            "sector: other, reseller: false, identifiers: {lei: null}, aliases: []}"
        )
        lines["people"] += [
            f"- {{id: {name}{index}, employments: [{{organisation: o{index}, kind: employee, from: 2020-01-01}}], "
            "us_status: [{kind: citizen, from: 2020-01-01}]}"
            for name in "ab"
        ]
        lines["authorisations"].append(
            f"- {{id: L{index}, regime: vendor, kind: licence, holder: o{index}, models: [opus-4.6], "
            f"actions: [distill], countries: null, from: 2026-01-01, to: null, cap: {{named_users: {named_users}}}, "
            "conditions: []}"
        )
    text = "\n".join(line for name, rows in lines.items() for line in (f"{name}:", *rows))
    return read_members(text.encode(), "seats.yaml")


def _asking(person: str) -> dict[str, Any]:
    return {
        "subject": {"type": "person", "id": person},
        "model": "opus-4.6",
        "action": "distill",
        "place": {"country": "US"},
    }


def _distilling(name: str, index: int) -> dict[str, Any]:
    return _asking(f"{name}{index}")


def _race(
    url: str,
    name: str,
    start: Barrier,
    outcomes: multiprocessing.Queue[tuple[str, list[str]]],
    asking: Callable[[str, int], dict[str, Any]],
    rounds: int,
) -> None:
    parts = build(Settings(database_url=url, policies=POLICIES))
    answers = []
    try:
        for index in range(rounds):
            start.wait(timeout=60)
            answer = json.loads(decide_now(parts.gate, asking(name, index), Caller(id=name)))
            answers.append(answer["reason"]["code"])
    finally:
        parts.close()
    outcomes.put((name, answers))


def _raced(store: Store, asking: Callable[[str, int], dict[str, Any]], rounds: int) -> dict[str, list[str]]:
    """The reason codes that two processes were told, which asked at the same time for each round's last place."""
    context = multiprocessing.get_context("spawn")
    start, outcomes = context.Barrier(2), context.Queue()
    racers = [context.Process(target=_race, args=(store.url, name, start, outcomes, asking, rounds)) for name in "ab"]
    for racer in racers:
        racer.start()
    try:
        told = dict(outcomes.get(timeout=240) for _ in racers)
    except Empty:
        pytest.fail("a racer did not come back")
    for racer in racers:
        racer.join(timeout=30)
    return told


def test_two_processes_racing_for_the_last_place_never_both_win(store: Store) -> None:
    Members(store.open()).record(_seats(ROUNDS, 1), actor="test", reason="test", at=NOON)
    told = _raced(store, _distilling, ROUNDS)
    for first, second in zip(told["a"], told["b"], strict=True):
        assert sorted((first, second)) == ["ACTION_NOT_PERMITTED", "LICENCE_APPLIED"]


def _host_seats(rounds: int) -> RosterRows:
    """Pairs of people whose copies a listed host may hold by a licence of its own with one place."""
    lines: dict[str, list[str]] = {"organisations": [], "people": [], "authorisations": [], "listings": []}
    for index in range(rounds):
        lines["organisations"] += [
            f"- {{id: {kind}{index}, name: O, kind: company, incorporated: US, headquarters: US, "
            "contract_country: US, sector: other, reseller: false, identifiers: {lei: null}, aliases: []}"
            for kind in "oh"
        ]
        lines["people"] += [
            f"- {{id: {name}{index}, employments: [{{organisation: o{index}, kind: employee, from: 2020-01-01}}], "
            "us_status: [{kind: citizen, from: 2020-01-01}], citizenships: [], permanent_residencies: []}"
            for name in "ab"
        ]
        lines["authorisations"] += [
            f"- {{id: L{index}, regime: us-ear, kind: licence, holder: h{index}, models: ['weights:4E091'], "
            "actions: [replicate_weights], countries: null, from: 2026-01-01, to: null, cap: {named_users: 1}, "
            "conditions: []}"
        ]
        lines["listings"].append(
            f"- {{party: h{index}, list: EL, entry: H, entry_version: '1', reference: r, status: confirmed, "
            "cleared_version: null, from: 2024-01-01, to: null}"
        )
    text = "\n".join(line for name, rows in lines.items() for line in (f"{name}:", *rows))
    return read_members(text.encode(), "seats.yaml")


def _hosting(name: str, index: int) -> dict[str, Any]:
    return {
        "subject": {"type": "person", "id": f"{name}{index}"},
        "model": "weights:4E091",
        "action": "replicate_weights",
        "place": {"country": "US"},
        "destination": {"country": "US", "host": f"h{index}"},
    }


def test_two_processes_racing_for_the_last_place_on_a_host_never_both_win(store: Store) -> None:
    rounds = ROUNDS // 10
    Members(store.open()).record(_host_seats(rounds), actor="test", reason="test", at=NOON)
    told = _raced(store, _hosting, rounds)
    for first, second in zip(told["a"], told["b"], strict=True):
        assert sorted((first, second)) == ["AUTHORISATION_CAP_EXHAUSTED", "DESK_ACCESS"]
    rows = Members(store.open()).snapshot().rows
    assert sorted(draw.authorisation for draw in rows.draws) == sorted(f"L{index}" for index in range(rounds))


@pytest.fixture
def service(store: Store) -> Iterator[Service]:
    with serving(store.url, _seats(1, 1)) as running:
        yield running


def test_a_person_who_has_drawn_keeps_the_place_and_draws_no_second_one(service: Service) -> None:
    headers = service.key()
    for _ in range(3):
        assert service.decide(_asking("a0"), headers).json()["decision"] == "allow"
    assert service.decide(_asking("b0"), headers).json()["decision"] == "deny"
    rows = service.parts.members.snapshot().rows
    assert [(draw.authorisation, draw.person) for draw in rows.draws] == [("L0", "a0")]


def test_a_deny_draws_no_place(service: Service) -> None:
    headers = service.key()
    from_iran = {**_asking("a0"), "place": {"country": "IR"}}
    assert service.decide(from_iran, headers).json()["decision"] == "deny"
    assert service.decide(_asking("b0"), headers).json()["decision"] == "allow"


def test_alternatives_draw_no_place(service: Service) -> None:
    headers = service.key()
    asked = {**_asking("a0"), "model": "llama-4", "fallbacks": ["opus-4.6"]}
    assert service.decide(asked, headers).json()["alternatives"] == ["opus-4.6"]
    assert service.parts.members.snapshot().rows.draws == ()


SCOPED: Final = """
organisations:
  - {id: kr-works, name: K, kind: company, incorporated: US, headquarters: US, sector: other, reseller: false}
people:
  - {id: bo, employments: [{organisation: kr-works, kind: employee, from: 2020-01-01}],
     us_status: [{kind: citizen, from: 2020-01-01}]}
  - {id: lin, employments: [{organisation: kr-works, kind: employee, from: 2020-01-01}],
     us_status: [{kind: citizen, from: 2020-01-01}]}
authorisations:
  - {id: L-1, regime: vendor, kind: licence, holder: kr-works, models: [opus-4.6], actions: [distill], countries: null,
     from: 2026-01-01, to: null, cap: {named_users: 2}, conditions: [], persons: %s}
"""


def _scoped(persons: str) -> RosterRows:
    return read_members((SCOPED % persons).encode(), "seats.yaml")


def test_a_place_is_taken_by_whom_the_paper_names_and_by_nobody_whom_it_no_longer_names(store: Store) -> None:
    """Another process narrows the paper while this one still has the members of before in memory."""
    members = Members(store.open())
    members.record(_scoped("[bo, lin]"), actor="test", reason="test", at=NOON)
    parts = build(Settings(database_url=store.url, policies=POLICIES))

    def reason(person: str) -> str:
        return str(json.loads(decide_now(parts.gate, _asking(person), Caller(id="key")))["reason"]["code"])

    try:
        assert reason("bo") == "LICENCE_APPLIED"
        narrower = _scoped("[bo]").authorisations
        members.record(RosterRows(authorisations=narrower), actor="test", reason="test", at=NOON + timedelta(hours=1))
        assert reason("lin") == "ACTION_NOT_PERMITTED"
        assert reason("bo") == "LICENCE_APPLIED"
    finally:
        parts.close()
    assert [(one.authorisation, one.person) for one in members.snapshot().rows.draws] == [("L-1", "bo")]
