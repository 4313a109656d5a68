"""Durable first, over HTTP and on both databases: whatever breaks, no answer without its record, and never an allow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from policy_engine.domain.decision import Record
from policy_engine.domain.ports import Appended, DecisionLog, LogUnavailable
from policy_engine.formats.book_names import BookNames
from policy_engine.formats.faults import FaultsError
from policy_engine.formats.membership_file import read_members
from policy_engine.service.administration.roster import import_members
from tests.api.service import Service, serving
from tests.conftest import POLICIES
from tests.store.conftest import Store, refusing_inserts

ROSTER = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")
ALLOWED: dict[str, Any] = {
    "subject": {"type": "person", "id": "carol"},
    "model": "mythos-5",
    "action": "infer",
    "purpose": "defensive_cybersecurity",
    "place": {"country": "US"},
    "request_id": "gw-1",
}


@pytest.fixture
def service(store: Store) -> Iterator[Service]:
    with serving(store.url, ROSTER) as running:
        yield running


def _assert_unavailable(service: Service, headers: dict[str, str]) -> None:
    response = service.decide(ALLOWED, headers)
    assert response.status_code == 503
    assert response.json()["type"].endswith("/log-unavailable")
    assert response.headers["retry-after"]
    assert "allow" not in str(response.json().get("decision"))


def _engine(service: Service) -> Engine:
    engine = service.parts.log._engine  # type: ignore[attr-defined]  # the test breaks what the service stands on
    assert isinstance(engine, Engine)
    return engine


def test_an_answer_is_in_the_database_when_it_arrives(service: Service) -> None:
    headers = service.key()
    answer = service.decide(ALLOWED, headers).json()
    record = service.client.get(f"/decisions/{answer['decision_id']}", headers=headers)
    assert record.json()["answer"] == answer


def _refuse(*_: object) -> None:
    raise OperationalError("the connection is gone", None, OSError())


@pytest.mark.parametrize("moment", ["begin", "commit"])
def test_a_database_that_breaks_allows_nothing_and_recovers(service: Service, moment: str) -> None:
    headers = service.key()
    engine = _engine(service)
    event.listen(engine, moment, _refuse, insert=True)
    try:
        _assert_unavailable(service, headers)
    finally:
        event.remove(engine, moment, _refuse)
    assert service.decide(ALLOWED, headers).json()["decision"] == "allow"


def test_a_database_that_breaks_at_the_insert_allows_nothing_and_recovers(service: Service, store: Store) -> None:
    headers = service.key()
    with refusing_inserts(store, "decisions"):
        _assert_unavailable(service, headers)
    assert service.decide(ALLOWED, headers).json()["decision"] == "allow"


class _LostAnswer:
    """A log whose word is lost on the way back, once the record is committed."""

    alive = True

    def __init__(self, log: DecisionLog) -> None:
        self._log = log
        self.bodies: list[bytes] = []

    def check(self) -> None:
        self._log.check()

    def append(self, record: Record) -> Future[Appended]:
        appended = self._log.append(record).result(timeout=10)
        assert appended.body is not None
        self.bodies.append(appended.body)
        lost: Future[Appended] = Future()
        lost.set_exception(LogUnavailable("the connection is gone"))
        return lost

    def append_all(self, records: Sequence[Record]) -> Future[tuple[Appended, ...]]:
        return self._log.append_all(records)

    def read(self, decision_id: str) -> bytes | None:
        return self._log.read(decision_id)


def test_after_a_lost_answer_a_retry_returns_the_committed_decision(service: Service) -> None:
    headers = service.key()
    losing = _LostAnswer(service.parts.log)
    service.parts.gate._log = losing
    _assert_unavailable(service, headers)
    service.parts.gate._log = service.parts.log
    answer = service.decide(ALLOWED, headers).json()
    (body,) = losing.bodies
    assert answer["decision_id"].encode() in body
    again = service.client.get(f"/decisions/{answer['decision_id']}", headers=headers)
    assert again.content == body


def test_a_broken_membership_file_changes_nothing_and_the_service_goes_on(service: Service) -> None:
    headers = service.key()
    before = service.decide(ALLOWED, headers).json()
    broken = (
        b"memberships:\n- {organisation: harbor-cyber, consortium: glaswing, from: 2026-01-01, status: suspended}\n"
    )
    with pytest.raises(FaultsError, match="glasswing"):
        import_members(
            service.parts.members,
            broken,
            "broken.yaml",
            names=BookNames(),
            actor="test",
            reason="test",
            at=service.now[0],
        )
    after = service.decide({**ALLOWED, "request_id": "gw-2"}, headers).json()
    assert after["decision"] == "allow"
    assert after["membership_revision"] == before["membership_revision"]
