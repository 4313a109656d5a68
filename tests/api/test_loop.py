"""While one request is judged, however long that takes, everybody else is served."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from policy_engine.asgi import create_app
from policy_engine.domain.facts import Question
from policy_engine.domain.ports import AppendOutcome, DecisionLog
from policy_engine.domain.request import Caller
from policy_engine.domain.verdict import Verdict
from policy_engine.formats.membership_file import read_members
from policy_engine.formats.request_document import MalformedRequest, submitted_of
from policy_engine.policy.judge import Judge
from tests.api.service import GivenJudge, Service, copied, serving
from tests.api.test_fuzz import Answered, Drawn, ask
from tests.conftest import POLICIES, judge_for

ROSTER = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")
ALLOWED: dict[str, Any] = {
    "subject": {"type": "person", "id": "carol"},
    "model": "mythos-5",
    "action": "infer",
    "purpose": "defensive_cybersecurity",
    "place": {"country": "US"},
}
LONG = {**ALLOWED, "purpose": "long"}


class Patient(Judge):
    """Judges one purpose only once it is let go on, and the others as ever."""

    def __init__(self, judge: Judge) -> None:
        super().__init__(judge.book)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def verdict(self, question: Question) -> Verdict:
        if question.request.purpose == "long":
            self.begun.set()
            self.go_on.wait(20)
        return super().verdict(question)


@pytest.fixture
def judge() -> Patient:
    return Patient(judge_for({}, None))


@pytest.fixture
def service(migrated_file: Path, tmp_path: Path, judge: Patient) -> Iterator[Service]:
    with serving(copied(migrated_file, tmp_path), ROSTER, judges=GivenJudge(judge)) as running:
        yield running


def drawn(method: str, path: str, headers: dict[str, str], document: object = None) -> Drawn:
    body = None if document is None else json.dumps(document).encode()
    return Drawn(method=method, url=path, body=body, headers=headers, holder="", route=path)


@pytest.mark.parametrize("path", ["/decide", "/decide/batch"])
def test_a_judgement_that_takes_long_holds_nobody_else_up(service: Service, judge: Patient, path: str) -> None:
    app, key = create_app(service.parts), service.key()
    document = LONG if path == "/decide" else {"requests": [LONG]}

    async def others() -> tuple[list[Answered], Answered]:
        long = asyncio.create_task(ask(app, drawn("POST", path, key, document)))
        while not judge.begun.is_set():
            await asyncio.sleep(0.01)
        served = [
            await ask(app, drawn("GET", "/livez", {})),
            await ask(app, drawn("GET", "/readyz", {})),
            await ask(app, drawn("POST", "/decide", key, ALLOWED)),
            await ask(app, drawn("POST", "/decide", key, {**ALLOWED, "place": {"country": "IR"}})),
        ]
        assert not long.done()
        judge.go_on.set()
        return served, await long

    served, last = asyncio.run(others())
    assert [one.status for one in served] == [200] * 4
    assert [json.loads(one.body)["decision"] for one in served[2:]] == ["allow", "deny"]
    assert last.status == 200


def test_only_what_was_judged_before_is_answered_without_a_turn_among_what_is_judged(service: Service) -> None:
    gate, caller = service.parts.gate, Caller(id="test", gateway="main")
    assert gate.begin_at_once(submitted_of(ALLOWED), caller) is None
    first = gate.begin(submitted_of(ALLOWED), caller)
    again = gate.begin_at_once(submitted_of({**ALLOWED, "request_id": "again"}), caller)
    assert again is not None
    assert json.loads(again.answer)["decision"] == json.loads(first.answer)["decision"] == "allow"
    assert again.handle.result(10).outcome is AppendOutcome.COMMITTED
    assert gate.begin_at_once(submitted_of({**ALLOWED, "min_revision": 9_999}), caller) is None
    with pytest.raises(MalformedRequest, match="gives no access"):
        gate.begin_at_once(submitted_of({**ALLOWED, "action": "licence_determination"}), caller)


@dataclass(slots=True)
class Counted:
    """The log of a service, and how often it was checked."""

    log: DecisionLog
    checked: int = 0

    @property
    def alive(self) -> bool:
        return self.log.alive

    def check(self) -> None:
        self.checked += 1
        time.sleep(0.05)
        self.log.check()


def test_however_many_ask_at_once_whether_the_service_is_ready_it_is_looked_at_once(service: Service) -> None:
    parts, counted = service.parts, Counted(service.parts.log)
    app = create_app(replace(parts, log=cast("DecisionLog", counted), watcher=None, keeper=None))

    async def all_at_once() -> list[Answered]:
        return await asyncio.gather(*(ask(app, drawn("GET", "/readyz", {})) for _ in range(300)))

    assert {one.status for one in asyncio.run(all_at_once())} == {200}
    assert counted.checked < 10
    before = counted.checked
    assert asyncio.run(ask(app, drawn("GET", "/readyz", {}))).status == 200
    assert counted.checked == before + 1
