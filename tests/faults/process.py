"""A service as it is installed: its files, its keys, and real `policy-engine serve` processes on them."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from policy_engine.app.builder import build
from policy_engine.app.clock import system_clock
from policy_engine.app.settings import Settings
from policy_engine.formats.membership_file import read_members
from policy_engine.service.gate.keyring import RIGHTS
from tests.conftest import POLICIES, ROOT

ROSTER: Final = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")
START_SECONDS: Final = 60.0
"""How long a start may take on a machine that does other things too; nothing is measured by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A database, the folders beside it, and a token that carries every right."""

    url: str
    folder: Path
    token: str = ""

    @property
    def settings(self) -> Settings:
        return Settings(
            database_url=self.url,
            policies=POLICIES,
            ledger=self.folder / "ledger",
            witness=self.folder / "witness",
            log_key=self.folder / "log.key",
        )

    @property
    def database(self) -> Path:
        """The file of an SQLite database."""
        return Path(self.url.removeprefix("sqlite:///"))

    def environment(self, port: int, more: Mapping[str, str]) -> dict[str, str]:
        settings = self.settings
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("POLICY_ENGINE_")},
            "POLICY_ENGINE_DATABASE_URL": settings.database_url,
            "POLICY_ENGINE_POLICIES": str(settings.policies),
            "POLICY_ENGINE_LEDGER": str(settings.ledger),
            "POLICY_ENGINE_WITNESS": str(settings.witness),
            "POLICY_ENGINE_LOG_KEY": str(settings.log_key),
            "POLICY_ENGINE_PORT": str(port),
            # The modules of the tests too, wherever this runs.
            "PYTHONPATH": str(ROOT),
            **more,
        }


def installed(url: str, folder: Path, *, person: str | None = None) -> Installation:
    """The shipped book, the demonstration roster and one key, on a database at the newest schema; the key is bound to a
    person if one is named."""
    bare = Installation(url=url, folder=folder)
    parts = build(bare.settings)
    try:
        parts.members.record(ROSTER, actor="test", reason="test", at=system_clock())
        made = parts.ring.create(
            name="test",
            rights=RIGHTS,
            at=system_clock(),
            random_hex=secrets.token_hex,
            gateway="main",
            person=person,
        )
    finally:
        parts.close()
    return Installation(url=url, folder=folder, token=made.token)


@dataclass(slots=True, kw_only=True)
class Server:
    """One process that serves, in a process group of its own."""

    installation: Installation
    port: int
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)

    @property
    def pid(self) -> int:
        return self.process.pid

    def companion(self) -> int:
        """The process that seals and indexes for this one."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            for status in Path("/proc").glob("[0-9]*/stat"):
                with suppress(OSError):
                    parent = int(status.read_text().rpartition(")")[2].split()[1])
                    if parent == self.pid and b"multiprocessing.spawn" in (status.parent / "cmdline").read_bytes():
                        return int(status.parent.name)
            time.sleep(0.02)
        raise AssertionError("no companion runs")

    def request(
        self, method: str, path: str, body: bytes | None = None, *, seconds: float = 10.0
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own: status, headers with small letters, body. Raises `OSError`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request(method, path, body, self.headers)
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        finally:
            connection.close()

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.installation.token}", "Content-Type": "application/json"}

    def wait(self) -> float:
        """Wait until it is ready, and tell how long that took from its start."""
        while time.monotonic() - self.started < START_SECONDS:
            assert self.process.poll() is None, f"the service ended with {self.process.returncode}"
            try:
                if self.request("GET", "/readyz")[0] == http.HTTPStatus.OK:
                    return time.monotonic() - self.started
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError("the service did not become ready")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the whole group."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """SIGKILL for the whole group; returns when the process is gone."""
        self.send(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End it as an operator does; the exit code."""
        self.process.terminate()
        return self.process.wait(START_SECONDS)


SERVE: Final = ("policy_engine.cli.main", "serve")


def start(
    installation: Installation,
    *,
    environment: Mapping[str, str] | None = None,
    command: tuple[str, ...] = (),
    module: tuple[str, ...] = SERVE,
) -> Server:
    """Start a service; `command` goes before it. What it says is added to `serve.out` in its folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (installation.folder / "serve.out").open("ab") as said:
        process = subprocess.Popen(  # noqa: S603  this interpreter and this project
            [*command, sys.executable, "-m", *module],
            env=installation.environment(port, environment or {}),
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    return Server(installation=installation, port=port, process=process)


def said(server: Server) -> list[str]:
    """What the service has said in its own log, in order: the event of each line."""
    lines = (server.installation.folder / "serve.out").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["event"] for line in lines if line.startswith("{")]


@contextmanager
def running(installation: Installation, **more: Any) -> Iterator[Server]:
    """A service that is ready; killed at the end if it still runs."""
    server = start(installation, **more)
    try:
        server.wait()
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()
