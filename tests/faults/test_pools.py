"""A running service whose helpers are flooded, killed or stopped: what must not wait does not."""

from __future__ import annotations

import http
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import POLICIES
from tests.faults.load import DOCUMENTS
from tests.faults.process import Installation, Server, installed, running

CHECKS = 12
CASES = "conflicts.yaml"
SOON = 60.0


@pytest.fixture
def installation(migrated: Path, tmp_path: Path) -> Installation:
    file = tmp_path / "service.db"
    shutil.copy(migrated, file)
    return installed(f"sqlite:///{file}", tmp_path, person="dora")


@pytest.fixture
def server(installation: Installation) -> Iterator[Server]:
    with running(installation) as one:
        yield one


def book() -> bytes:
    files = {
        str(path.relative_to(POLICIES)): path.read_text()
        for folder in ("rules", "cases", ".")
        for path in sorted((POLICIES / folder).iterdir())
        if path.is_file() and (folder != "cases" or path.name == CASES)
    }
    return json.dumps({"files": files}).encode()


def assessors(server: Server) -> set[int]:
    """The processes that check books: those of the service that are not its companion."""
    companion, found = server.companion(), set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            if parent == server.pid and b"multiprocessing.spawn" in (status.parent / "cmdline").read_bytes():
                found.add(int(status.parent.name))
    return found - {companion}


def check(server: Server, body: bytes) -> tuple[int, dict[str, str], Any]:
    status, headers, told = server.request("POST", "/policy/check", body, seconds=SOON)
    return status, headers, json.loads(told)


def test_a_freeze_health_and_decisions_do_not_wait_for_checks_of_books_and_too_many_checks_are_told_to_come_back(
    server: Server,
) -> None:
    body = book()
    answers: list[tuple[int, dict[str, str], Any]] = []
    threads = [threading.Thread(target=lambda: answers.append(check(server, body))) for _ in range(CHECKS)]
    for thread in threads:
        thread.start()
    try:
        while not assessors(server) or not any(
            status == http.HTTPStatus.SERVICE_UNAVAILABLE for status, _, _ in answers
        ):
            time.sleep(0.02)
        asked = json.dumps(DOCUMENTS[0]).encode()
        assert json.loads(server.request("POST", "/decide", asked)[2])["decision"] == "allow"
        freeze = json.dumps({"all": True, "authority": "the operator", "reason": "a test"}).encode()
        assert server.request("POST", "/freezes", freeze)[0] == http.HTTPStatus.CREATED
        assert json.loads(server.request("POST", "/decide", asked)[2])["decision"] == "deny"
        assert server.request("GET", "/readyz")[0] == http.HTTPStatus.OK
        assert server.request("GET", "/policy")[0] == http.HTTPStatus.OK
        # All of that while books were being checked.
        assert [status for status, _, _ in answers if status == http.HTTPStatus.OK] == []
    finally:
        for thread in threads:
            thread.join()
    done = [told for status, _, told in answers if status == http.HTTPStatus.OK]
    refused = [(headers, told) for status, headers, told in answers if status != http.HTTPStatus.OK]
    assert len(done) == 10
    assert all(told["ok"] for told in done)
    for headers, told in refused:
        assert (told["status"], told["type"]) == (503, "/problems/busy")
        assert "assessments of books are running or waiting already" in told["detail"]
        assert headers["retry-after"] == "1"


def test_books_are_checked_again_after_the_process_that_checks_them_was_killed(server: Server) -> None:
    body = book()
    assert check(server, body)[2]["ok"] is True
    for _ in range(2):
        for pid in assessors(server):
            os.kill(pid, signal.SIGKILL)
        status, _, told = check(server, body)
        assert (status, told.get("ok")) == (200, True)


def test_a_companion_that_is_stopped_is_an_alarm_of_readyz_until_it_goes_on(server: Server) -> None:
    def alarms() -> list[str]:
        status, _, told = server.request("GET", "/readyz")
        assert status == http.HTTPStatus.OK
        found: list[str] = json.loads(told).get("alarms", [])
        return found

    def become(*, alarmed: bool) -> list[str]:
        end = time.monotonic() + SOON
        while bool(alarms()) is not alarmed and time.monotonic() < end:
            time.sleep(0.1)
        return alarms()

    pid = server.companion()
    assert become(alarmed=False) == []
    os.kill(pid, signal.SIGSTOP)
    try:
        (alarm,) = become(alarmed=True)
        assert "the process that seals it has reported nothing for 15 s" in alarm
        asked = json.dumps(DOCUMENTS[0]).encode()
        assert server.request("POST", "/decide", asked)[0] == http.HTTPStatus.OK
    finally:
        os.kill(pid, signal.SIGCONT)
    assert become(alarmed=False) == []
