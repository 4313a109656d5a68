"""The database fails at every statement of a decision, of one that draws a place, and of a batch, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from sqlalchemy import Engine

from policy_engine.domain.roster import RosterRows
from tests.api.service import Service, serving
from tests.api.test_caps import _asking, _seats
from tests.faults.breaking import Breaking, Moment, breaking
from tests.faults.load import DOCUMENTS
from tests.faults.oracle import logged
from tests.faults.process import ROSTER
from tests.store.conftest import Store

SEATS = 40


@pytest.fixture
def rows() -> RosterRows:
    return ROSTER


@pytest.fixture
def service(store: Store, rows: RosterRows) -> Iterator[Service]:
    with serving(store.url, rows) as running:
        yield running


@pytest.fixture
def driver(service: Service) -> Breaking:
    engine = service.parts.log._engine  # type: ignore[attr-defined]  # the test breaks what the service stands on
    assert isinstance(engine, Engine)
    return breaking(engine)


def _refused(response: Any) -> None:
    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert response.headers["retry-after"] == "1"
    assert "allow" not in str(response.json().get("decision"))


def _steps(driver: Breaking, once: Any) -> int:
    with driver.counting():
        once()
    assert driver.steps[-1] == "COMMIT"
    assert any(step.startswith("INSERT INTO decisions") for step in driver.steps)
    return len(driver.steps)


def _faults(count: int) -> list[tuple[int, Moment]]:
    return [(at, moment) for at in range(count) for moment in Moment]


def test_a_decision_is_on_record_once_wherever_the_database_failed(
    service: Service, driver: Breaking, store: Store
) -> None:
    headers = service.key()
    allowed = DOCUMENTS[0]
    service.decide({**allowed, "request_id": "warm"}, headers)
    count = _steps(driver, lambda: service.decide({**allowed, "request_id": "counted"}, headers))
    for at, moment in _faults(count):
        document = {**allowed, "request_id": f"{at}-{moment}"}
        with driver.counting(at, moment):
            _refused(service.decide(document, headers))
        assert driver.broke
        committed = [row for row in logged(store.url)[0] if row.request_id == document["request_id"]]
        assert len(committed) == ((at, moment) == (count - 1, Moment.AFTER))
        answer = service.decide(document, headers)
        assert answer.json()["decision"] == "allow"
        (row,) = (row for row in logged(store.url)[0] if row.request_id == document["request_id"])
        assert row.id == answer.json()["decision_id"]
    found, others = logged(store.url)
    assert len(found) == 2 + 2 * count
    assert sorted([row.index for row in found] + others) == list(range(len(found) + len(others)))


def test_a_batch_is_on_record_whole_or_not_at_all_wherever_the_database_failed(
    service: Service, driver: Breaking, store: Store
) -> None:
    headers = service.key()

    def ask(name: str) -> Any:
        requests = [{**document, "request_id": f"{name}-{at}"} for at, document in enumerate(DOCUMENTS)]
        return service.client.post("/decide/batch", json={"requests": requests}, headers=headers)

    ask("warm")
    count = _steps(driver, lambda: ask("counted"))
    for at, moment in _faults(count):
        before = len(logged(store.url)[0])
        with driver.counting(at, moment):
            _refused(ask(f"{at}-{moment}"))
        assert driver.broke
        written = len(logged(store.url)[0]) - before
        assert written == (len(DOCUMENTS) if (at, moment) == (count - 1, Moment.AFTER) else 0)
        answers = ask(f"{at}-{moment}").json()["answers"]
        assert [one["decision"] for one in answers] == ["allow", "deny", "allow", "deny"]
        on_record = {row.id for row in logged(store.url)[0]}
        assert {one["decision_id"] for one in answers} <= on_record


@pytest.mark.parametrize("rows", [_seats(SEATS, 1)], ids=["seats"])
def test_a_place_is_drawn_once_and_never_without_its_record_wherever_the_database_failed(
    service: Service, driver: Breaking, store: Store
) -> None:
    headers = service.key()
    seats = iter(range(SEATS))
    service.decide(_asking(f"a{next(seats)}"), headers)
    # Judged anew where the place that was drawn last is not known yet; this one is judged once.
    service.parts.gate.view.refresh()
    seat = next(seats)
    count = _steps(driver, lambda: service.decide({**_asking(f"a{seat}"), "request_id": "counted"}, headers))
    assert any("draws" in step for step in driver.steps)
    for at, moment in _faults(count):
        service.parts.gate.view.refresh()
        seat = next(seats)
        document = {**_asking(f"a{seat}"), "request_id": f"seat-{seat}"}
        with driver.counting(at, moment):
            _refused(service.decide(document, headers))
        assert driver.broke
        committed = (at, moment) == (count - 1, Moment.AFTER)
        draws = [draw.person for draw in service.parts.members.snapshot().rows.draws]
        assert (f"a{seat}" in draws) == committed
        on_record = [row for row in logged(store.url)[0] if row.request_id == f"seat-{seat}"]
        assert len(on_record) == committed
        assert service.decide(document, headers).json()["decision"] == "allow"
        assert service.decide(_asking(f"b{seat}"), headers).json()["decision"] == "deny"
        draws = [draw.person for draw in service.parts.members.snapshot().rows.draws]
        assert draws.count(f"a{seat}") == 1
