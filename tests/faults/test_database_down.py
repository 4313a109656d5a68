"""PostgreSQL is stopped, killed and cut off under load: 503 meanwhile, and afterwards nothing is missing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.load import DOCUMENTS, Load, journals
from tests.faults.oracle import require_nothing_lost
from tests.faults.process import Installation, Server, installed, running
from tests.store.conftest import Postgres, own_server

RECOVERY_SECONDS = 5.0
CLIENTS = 6


@dataclass(frozen=True, slots=True)
class OwnPostgres:
    """A server that the test may stop."""

    handle: Any
    reached: Postgres

    def _control(self, *arguments: str) -> None:
        subprocess.run(  # noqa: S603  its own program on its own folder
            [str(self.handle.bin_path / "pg_ctl"), "-w", "-D", str(self.handle.pgdata), *arguments],
            user=self.handle.system_user,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def stop_at_once(self) -> None:
        self._control("-m", "immediate", "stop")

    def stop_in_order(self) -> None:
        self._control("-m", "fast", "stop")

    def kill(self) -> None:
        postmaster = int((self.handle.pgdata / "postmaster.pid").read_text(encoding="ascii").split()[0])
        os.kill(postmaster, signal.SIGKILL)
        while Path(f"/proc/{postmaster}/fd").exists() and any(Path(f"/proc/{postmaster}/task").iterdir()):
            time.sleep(0.01)
            if _is_zombie(postmaster):
                break

    def start(self) -> None:
        # The processes of a postmaster that was killed end by themselves, and a new one waits for the last of them.
        for _ in range(100):
            try:
                self._control("-o", f'-h "" -k {self.handle.pgdata}', "-l", str(self.handle.log), "start")
            except subprocess.CalledProcessError:
                time.sleep(0.1)
            else:
                return
        raise AssertionError("PostgreSQL did not start again")


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].startswith("Z")


@pytest.fixture
def own() -> Iterator[OwnPostgres]:
    with own_server() as (handle, reached):
        yield OwnPostgres(handle, reached)


@pytest.fixture
def installation(own: OwnPostgres, tmp_path: Path) -> Installation:
    return installed(own.reached.url("service", "migrated"), tmp_path)


def _serves(server: Server, number: int) -> bool:
    document = {**DOCUMENTS[0], "request_id": f"probe-{number}"}
    return server.request("POST", "/decide", json.dumps(document).encode())[0] == HTTPStatus.OK


def _outage(own: OwnPostgres, server: Server, down: Callable[[], None], number: int) -> float:
    """Seconds from the database's return to the first decision."""
    down()
    status, headers, body = server.request("POST", "/decide", json.dumps(DOCUMENTS[0]).encode())
    assert (status, headers["retry-after"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "1")
    assert b'"allow"' not in body
    status, _, body = server.request("GET", "/readyz")
    assert status == HTTPStatus.SERVICE_UNAVAILABLE
    assert server.request("GET", "/livez")[0] == HTTPStatus.OK
    own.start()
    back = time.monotonic()
    while not _serves(server, number):
        assert time.monotonic() - back < RECOVERY_SECONDS
        time.sleep(0.02)
    return time.monotonic() - back


def test_a_database_that_is_stopped_or_killed_under_load_costs_503_and_nothing_else(
    own: OwnPostgres, installation: Installation
) -> None:
    clients = journals(installation.folder, CLIENTS)
    with running(installation) as server:
        load = Load(server, clients, patient=True)
        for number, down in enumerate((own.stop_at_once, own.kill, own.stop_in_order)):
            time.sleep(0.3)
            _outage(own, server, down, number)
        time.sleep(0.3)
        load.stop()
        assert server.request("GET", "/readyz")[0] == HTTPStatus.OK
        assert server.process.poll() is None
    assert [one for journal in clients for one in journal.surprises] == []
    refused = [status for journal in clients for status in journal.statuses]
    assert set(refused) == {HTTPStatus.SERVICE_UNAVAILABLE}
    # Besides the probes, at most one request of each client at each outage was recorded and not answered.
    require_nothing_lost(installation, clients, in_flight=4 + 3 * CLIENTS, replays=50)


def test_connections_that_are_cut_in_the_midst_of_commits_cost_503_and_nothing_else(
    own: OwnPostgres, installation: Installation
) -> None:
    clients = journals(installation.folder, CLIENTS)
    cuts = 15
    with running(installation) as server:
        load = Load(server, clients, patient=True)
        for _ in range(cuts):
            time.sleep(0.05)
            with psycopg.connect(own.reached.url("postgres", "postgres"), autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = 'migrated' AND usename = 'service'"
                )
        load.stop()
        assert _serves(server, 0)
    assert [one for journal in clients for one in journal.surprises] == []
    assert {status for journal in clients for status in journal.statuses} <= {HTTPStatus.SERVICE_UNAVAILABLE}
    require_nothing_lost(installation, clients, in_flight=1 + cuts * CLIENTS, replays=50)
