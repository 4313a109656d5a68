"""Whether `/livez` is answered while the hardest questions are judged.

`python -m benchmarks.livez MEMBERS [--questions 12] [--at-once 4]`. A service on SQLite has the members of the file
on file (the shape of `members import`). It is asked about organisations of the file, no two alike, several at once,
while another client asks `/livez` again and again, and a third a question whose answer is remembered. Times are what
the clients see, with service, companion and clients on the same cores.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from policy_engine.app.builder import build
from policy_engine.app.clock import system_clock
from policy_engine.formats.membership_file import read_members
from policy_engine.store import migrate
from policy_engine.store.database import open_database
from tests.faults.process import Server, installed, running

REMEMBERED: Final[dict[str, object]] = {
    "subject": {"type": "person", "id": "carol"},
    "model": "opus-4.6",
    "action": "infer",
}


def _asked(server: Server, document: dict[str, object]) -> float:
    started = time.perf_counter()
    status, _, body = server.request("POST", "/decide", json.dumps(document).encode(), seconds=600)
    assert status == http.client.OK, body
    return time.perf_counter() - started


def _health(server: Server) -> float:
    started = time.perf_counter()
    assert server.request("GET", "/livez", seconds=600)[0] == http.client.OK
    return time.perf_counter() - started


def _again_and_again(ask: Callable[[], float], ended: threading.Event) -> list[float]:
    times = []
    while not ended.is_set():
        times.append(ask())
        time.sleep(0.005)
    return times


def _told(name: str, times: list[float]) -> None:
    times.sort()
    p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
    row = f"{name:<28} {len(times):6} {p50 * 1000:9.1f} {p99 * 1000:9.1f} {times[-1] * 1000:9.1f}\n"
    sys.stdout.write(row)


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("members", type=Path)
    parser.add_argument("--questions", type=int, default=12)
    parser.add_argument("--at-once", type=int, default=4)
    options = parser.parse_args(arguments)
    rows = read_members(options.members.read_bytes(), options.members.name)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'service.db'}"
        engine = open_database(url)
        migrate.upgrade(engine)
        engine.dispose()
        installation = installed(url, folder)
        parts = build(installation.settings)
        parts.members.record(rows, actor="benchmark", reason="benchmark", at=system_clock())
        parts.close()
        questions: list[dict[str, object]] = [
            {
                "subject": {"type": "organisation", "id": organisation.id},
                "model": "opus-4.6",
                "action": "infer",
                "place": {"country": "US"},
            }
            for organisation in rows.organisations[: options.questions]
        ]
        sys.stdout.write(f"{'':<28} {'asked':>6} {'p50 ms':>9} {'p99 ms':>9} {'max ms':>9}\n")
        with running(installation) as server, ThreadPoolExecutor(2 + options.at_once) as clients:
            _asked(server, REMEMBERED)
            for what, hard in (("nothing else is asked", questions[:0]), ("tangles are judged", questions)):
                ended = threading.Event()
                health = clients.submit(_again_and_again, lambda: _health(server), ended)
                known = clients.submit(_again_and_again, lambda: _asked(server, REMEMBERED), ended)
                times = list(clients.map(lambda one: _asked(server, one), hard))
                if not hard:
                    time.sleep(3)
                ended.set()
                sys.stdout.write(f"{what}\n")
                _told("  /livez", health.result())
                _told("  /decide, remembered", known.result())
                if times:
                    _told("  /decide, a member of it", times)


if __name__ == "__main__":
    main(sys.argv[1:])
