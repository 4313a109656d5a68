"""What keeps a log from being written leaves a line in the service's own log, and one more when it is over."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.faults.load import DOCUMENTS
from tests.faults.process import Installation, Server, installed, running, said

SECONDS = 20.0


def _until(server: Server, line: str) -> None:
    end = time.monotonic() + SECONDS
    while line not in said(server):
        assert time.monotonic() < end, f"the log of the service never said `{line}`, but {said(server)}"
        time.sleep(0.05)


def _decided(server: Server, number: int) -> int:
    return server.request("POST", "/decide", json.dumps({**DOCUMENTS[0], "request_id": f"r-{number}"}).encode())[0]


@pytest.fixture
def service(migrated: Path, tmp_path: Path) -> Iterator[Server]:
    shutil.copyfile(migrated, tmp_path / "service.db")
    installation: Installation = installed(f"sqlite:///{tmp_path / 'service.db'}", tmp_path)
    with running(installation) as server:
        yield server


def test_a_folder_of_the_sealed_log_that_cannot_be_written_is_told_and_decisions_go_on(service: Server) -> None:
    assert _decided(service, 0) == HTTPStatus.OK
    end = time.monotonic() + SECONDS
    while not (found := [*service.installation.settings.ledger.glob("*/tile/entries")]):
        assert time.monotonic() < end, "nothing was sealed"
        time.sleep(0.05)
    entries = found[0]
    aside = entries.rename(entries.with_name("aside"))
    # A file where a folder is expected stops root too, whom no permission does.
    entries.write_text("")

    assert _decided(service, 1) == HTTPStatus.OK
    _until(service, "the log is not sealed")

    entries.unlink()
    aside.rename(entries)
    _until(service, "the log is sealed again")


def test_a_sealer_that_is_dead_is_told(service: Server) -> None:
    os.kill(service.companion(), signal.SIGKILL)

    _until(service, "the log is not sealed")
    _until(service, "the log is sealed again")


def test_a_database_that_takes_no_records_is_told_with_what_it_said(service: Server) -> None:
    with sqlite3.connect(service.installation.database) as database:
        database.execute("ALTER TABLE controls RENAME TO elsewhere")
    database.close()

    assert _decided(service, 1) == HTTPStatus.SERVICE_UNAVAILABLE
    _until(service, "records cannot be written, so nothing is allowed")
    assert "no such table" in (service.installation.folder / "serve.out").read_text()

    with sqlite3.connect(service.installation.database) as database:
        database.execute("ALTER TABLE elsewhere RENAME TO controls")
    database.close()
    end = time.monotonic() + SECONDS
    number = 2
    while "records are written again" not in said(service):
        assert time.monotonic() < end
        _decided(service, number)
        number += 1
        time.sleep(0.2)
