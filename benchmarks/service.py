"""The service over HTTP: the service, its companion and the clients on all cores, every decision durable.

`python -m benchmarks.service [--seconds 5] [--connections 64]`. The server runs on SQLite (WAL, synchronous=FULL) in a
temporary folder with the demonstration roster; the load is a closed loop of one request that is allowed. Afterwards the
log is counted: every answer has its record. Figures of a virtual disk flatter durability.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

import uvloop

ROOT: Final = Path(__file__).parent.parent
DOCUMENT: Final = {
    "subject": {"type": "person", "id": "carol"},
    "model": "mythos-5",
    "action": "infer",
    "purpose": "defensive_cybersecurity",
    "place": {"country": "US"},
    "fallbacks": [],
}


class _Connection(asyncio.Protocol):
    """One keep-alive connection that sends its request again as soon as the answer is whole."""

    def __init__(self, request: bytes, times: list[float], until: float) -> None:
        self._request, self._times, self._until = request, times, until
        self._buffer = b""
        self._sent = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        if len(body) < length:
            return
        assert head.startswith(b"HTTP/1.1 200"), self._buffer
        now = time.perf_counter()
        self._times.append(now - self._sent)
        self._buffer = b""
        if now < self._until:
            self._send()
        elif not self.done.done():
            self.done.set_result(None)


async def load(port: int, token: str, connections: int, seconds: float) -> tuple[int, list[float], float]:
    """A closed loop after a second that is not counted: answers of that second, the times of the others, how long."""
    body = json.dumps(DOCUMENT).encode()
    request = (
        f"POST /decide HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    loop = asyncio.get_running_loop()
    warm: list[float] = []
    times: list[float] = []
    for found, duration in ((warm, 1.0), (times, seconds)):
        start = time.perf_counter()
        opened = [
            await loop.create_connection(
                lambda found=found, until=start + duration: _Connection(request, found, until),  # type: ignore[misc]
                "127.0.0.1",
                port,
            )
            for _ in range(connections)
        ]
        await asyncio.gather(*(protocol.done for _, protocol in opened))
        elapsed = time.perf_counter() - start
        for transport, _ in opened:
            transport.close()
    return len(warm), times, elapsed


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 64])
    options = parser.parse_args(arguments)
    sys.stdout.write(f"{'connections':>11} {'decisions/s':>12} {'p50 ms':>8} {'p99 ms':>8} {'records':>9}\n")
    with tempfile.TemporaryDirectory() as folder:
        database = database_in(Path(folder))
        port = free_port()
        with started(Path(folder), port) as server:
            try:
                token = token_of(server)
                wait_for(port)
                for connections in options.connections:
                    before = count(database)
                    warm, times, elapsed = uvloop.run(load(port, token, connections, options.seconds))
                    times.sort()
                    logged = count(database) - before
                    assert logged == warm + len(times), f"{warm + len(times)} answers and {logged} records"
                    p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
                    rate = len(times) / elapsed
                    sys.stdout.write(f"{connections:11} {rate:12.0f} {p50 * 1000:8.2f} {p99 * 1000:8.2f} {logged:9}\n")
            finally:
                server.terminate()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def database_in(folder: Path) -> Path:
    """Where the service of a folder has its database."""
    return folder / "service.db"


def started(
    folder: Path, port: int, *, checkout: Path = ROOT, python: str = sys.executable, **environment: str
) -> subprocess.Popen[str]:
    """The demonstration of a checkout on that port, with everything that it writes in the folder."""
    settings = {
        "POLICY_ENGINE_DATABASE_URL": f"sqlite:///{database_in(folder)}",
        "POLICY_ENGINE_LEDGER": str(folder / "ledger"),
        "POLICY_ENGINE_WITNESS": str(folder / "witness"),
        "POLICY_ENGINE_LOG_KEY": str(folder / "log.key"),
        "POLICY_ENGINE_PORT": str(port),
        "POLICY_ENGINE_POLICIES": str(checkout / "policies"),
    }
    return subprocess.Popen(  # noqa: S603  the command is an interpreter of ours and this project
        [python, "-m", "policy_engine.cli.main", "serve", "--demo"],
        env={**os.environ, **settings, **environment},
        stdout=subprocess.PIPE,
        text=True,
        cwd=checkout,
    )


def token_of(server: subprocess.Popen[str]) -> str:
    """The key of the gateway that the demonstration prints."""
    assert server.stdout is not None
    for line in server.stdout:
        if line.strip().startswith("gateway"):
            return line.split()[1]
    raise RuntimeError("the service did not start")


def wait_for(port: int) -> None:
    """Until somebody listens there."""
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the service does not listen")


def count(database: Path) -> int:
    """How many decisions are on record."""
    with sqlite3.connect(database) as connection:
        return int(connection.execute("SELECT count(*) FROM decisions").fetchone()[0])


if __name__ == "__main__":
    main(sys.argv[1:])
