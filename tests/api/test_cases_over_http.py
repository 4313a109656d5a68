"""Each worked example gives the same answer over HTTP, from an application built for it with its own clock.

All of them, the project's own and those beside the checkout, go through the application in this process; a sample goes
through a socket of a running server too.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import uvicorn

from policy_engine.domain.instants import format_instant
from policy_engine.policy.cases import Case, read_cases
from tests.api.service import copied, known_by, serving
from tests.conftest import CASES, ROOT, each_case, judge_of


@each_case
def test_the_worked_example_holds_over_http(case: Case, migrated: Path, tmp_path: Path) -> None:
    url = copied(migrated, tmp_path)
    rows = known_by(case.members, case.known_at)
    with serving(url, rows, judge=judge_of(case), at=case.at, recorded=case.known_at) as service:
        headers = service.key(gateway=case.gateway, assertable=case.assertable)
        response = service.decide(dict(case.document), headers)
        assert response.status_code == 200, response.text
        answer = response.json()
        record = service.client.get(f"/decisions/{answer['decision_id']}", headers=headers).json()
    _assert_expected(case, answer)
    assert record["answer"] == answer


SAMPLE: Final = CASES.ids[:: max(1, len(CASES) // 12)]
"""Every so many of all the examples, so that each file has some."""


@contextmanager
def _listening(app: Any) -> Iterator[str]:
    """The address of a server of the application, on a port that the system chose."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", http="httptools", loop="asyncio", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        listening.close()


@pytest.mark.parametrize("case", SAMPLE, indirect=True)
def test_a_sample_of_the_worked_examples_holds_through_a_socket(case: Case, migrated: Path, tmp_path: Path) -> None:
    url = copied(migrated, tmp_path)
    rows = known_by(case.members, case.known_at)
    with serving(url, rows, judge=judge_of(case), at=case.at, recorded=case.known_at) as service:
        headers = service.key(gateway=case.gateway, assertable=case.assertable)
        with _listening(service.client.app) as address:
            response = httpx.post(f"{address}/decide", json=dict(case.document), headers=headers, timeout=60)
    assert response.status_code == 200, response.text
    _assert_expected(case, response.json())


def test_the_examples_beside_the_checkout_are_among_those_that_are_tried() -> None:
    beside = ROOT.parent / "shared" / "cases"
    if beside.is_dir():
        assert {case.id for case in read_cases(beside)} <= set(CASES.ids)
    assert len(SAMPLE) >= 12


def _assert_expected(case: Case, answer: dict[str, Any]) -> None:
    expect = case.expect
    deciding = [finding for finding in answer["findings"] if finding["state"] == "deciding"]
    codes = {code for finding in deciding for code in finding["codes"]}
    rules = {finding["rule"] for finding in deciding}
    assert answer["decision"] == expect.decision
    assert answer["allowed"] is (expect.decision == "allow")
    assert expect.hold in (None, answer["hold"])
    assert set(expect.codes) <= codes
    assert codes.isdisjoint(expect.not_codes)
    assert expect.only_rules is None or set(expect.only_rules) == rules
    assert set(expect.rules) <= rules
    assert expect.reason in (None, answer["reason"]["code"])
    others = {finding["rule"] for finding in answer["findings"]} - rules
    assert set(expect.other) <= others
    assert expect.missing is None or sorted(expect.missing) == answer["missing"]
    assert expect.alternatives is None or list(expect.alternatives) == answer["alternatives"]
    remedies = [one["change"] for one in answer["remedies"]]
    assert set(expect.remedies) <= set(remedies)
    assert set(expect.obligations) <= {one["id"] for one in answer["obligations"]}
    assert expect.valid_until is None or format_instant(expect.valid_until) == answer["valid_until"]
    assert answer["decided_at"] == format_instant(case.at)
