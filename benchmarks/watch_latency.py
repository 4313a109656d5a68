"""How soon gateways learn what ended: revocations through the service, until a listener and a receiver know of each.

`python -m benchmarks.watch_latency [--times 200] [--postgresql]` (`make watch-latency`). One after the other: a freeze,
a listing that is confirmed, and a membership that is suspended. A time runs from the whole answer to the revocation,
which is durable then, to the event at a listener of `GET /watch` and to the request at a receiver of webhooks. One
that was there before the answer is 0. The service is `policy-engine serve`, a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from policy_engine.app.builder import upgrade
from policy_engine.app.settings import Settings
from policy_engine.app.stores import open_stores
from policy_engine.domain.instants import format_instant
from policy_engine.domain.roster import Membership, MembershipStatus, Organisation, RosterRows
from tests.faults.process import Server, installed, running
from tests.gateways.listening import Listener
from tests.gateways.receiving import Hook, receiving, written
from tests.store.conftest import own_server, store_on

_PATIENCE_SECONDS: Final = 30.0


def revocation(number: int) -> tuple[str, dict[str, Any]]:
    """Where the n-th is sent, and what."""
    match number % 3:
        case 0:
            return "/freezes", {"models": ["mythos-5"], "authority": "BIS", "reason": f"measured, {number}"}
        case 1:
            row = {"party": f"org-{number}", "list": "SDN", "status": "confirmed", "reference": f"{number}"}
            rows: dict[str, Any] = {"listings": [row]}
        case _:
            start = format_instant(datetime.now(UTC) - timedelta(seconds=1))
            of = {"organisation": f"org-{number}", "consortium": "glasswing"}
            rows = {
                "memberships": [{**of, "status": "active", "to": start}, {**of, "status": "suspended", "from": start}]
            }
    return "/members/changes", {"members": rows, "reason": "measured"}


@contextmanager
def serving(folder: Path, receiver: Hook, *, postgresql: bool, times: int) -> Iterator[Server]:
    """A service with a member for each membership that will be suspended."""
    hooks = written(folder, {"measured": f"http://127.0.0.1:{receiver.port}/"})
    with database(folder, postgresql=postgresql) as url:
        installation = installed(url, folder, person="dora")
        names = [f"org-{number}" for number in range(times)]
        rows = RosterRows(
            organisations=tuple(Organisation(id=name) for name in names),
            memberships=tuple(
                Membership(organisation=name, consortium="glasswing", status=MembershipStatus.ACTIVE) for name in names
            ),
        )
        with open_stores(installation.settings) as stores:
            stores.members.record(rows, actor="benchmark", reason="measured", at=datetime.now(UTC))
        with running(installation, environment={"POLICY_ENGINE_WEBHOOKS": str(hooks)}) as server:
            yield server


@contextmanager
def database(folder: Path, *, postgresql: bool) -> Iterator[str]:
    """The URL of a new one at the newest schema."""
    if not postgresql:
        url = f"sqlite:///{folder / 'measured.db'}"
        upgrade(Settings(database_url=url))
        yield url
        return
    with own_server() as (_, running_server), store_on(running_server) as store:
        yield store.url


def measured(server: Server, receiver: Hook, times: int) -> dict[str, list[float]]:
    """Milliseconds from each answer to each of the two who are told."""
    listener = Listener(server.port, server.installation.token)
    listener.next()
    heard: dict[int, float] = {}

    def listen() -> None:
        while (event := listener.next()) is not None:
            heard[int(event.id)] = event.at
            if len(heard) == times:
                return

    thread = threading.Thread(target=listen)
    thread.start()
    answered = []
    for number in range(times):
        path, body = revocation(number)
        status, _, answer = server.request("POST", path, json.dumps(body).encode(), seconds=_PATIENCE_SECONDS)
        answered.append(time.monotonic())
        assert status == 201, (status, answer)
    thread.join(_PATIENCE_SECONDS)
    sent = {one.event["data"]["index"]: one.at for one in receiver.wait(times)}
    listener.close()
    assert len(heard) == len(sent) == times, (len(heard), len(sent))
    return {
        name: [1000 * max(0.0, at - began) for began, (_, at) in zip(answered, sorted(told.items()), strict=True)]
        for name, told in (("a listener of `GET /watch`", heard), ("a receiver of webhooks", sent))
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--postgresql", action="store_true")
    given = parser.parse_args()
    before = os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory() as name,
        receiving() as receiver,
        serving(Path(name), receiver, postgresql=given.postgresql, times=given.times) as server,
    ):
        told = measured(server, receiver, given.times)
    print(f"{given.times} revocations on {'PostgreSQL' if given.postgresql else 'SQLite'}; the load of the machine")
    print(f"({os.cpu_count()} cores) was {before:.1f} before and {os.getloadavg()[0]:.1f} at the end\n")
    print("| who is told | p50 | p99 | max |\n|---|---|---|---|")
    for who, times in told.items():
        p99 = statistics.quantiles(times, n=100)[98]
        print(f"| {who} | {statistics.median(times):.0f} ms | {p99:.0f} ms | {max(times):.0f} ms |")


if __name__ == "__main__":
    main()
