"""What a large import beside a service on SQLite makes others wait for.

`python -m benchmarks.imports [--people 21891]`. Each person has four rows, so that 87,564 are added as one revision, by
`members import --offline` in a process of its own. Meanwhile a client asks the service again and again, and another one
takes the database's write lock and gives it back. Told are the longest waits before the import, while it runs, with the
service reading the new members once they are on file, and after it. Times are what clients see, with everything on the
same cores.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from policy_engine.store import migrate
from policy_engine.store.database import open_database
from tests.faults.process import Installation, Server, installed, running

ASKED: Final[bytes] = json.dumps(
    {"subject": {"type": "person", "id": "carol"}, "model": "opus-4.6", "action": "infer"}
).encode()
PAUSE: Final = 0.005
"""Seconds between two attempts of a client."""
QUIET: Final = 3.0
"""Seconds before the import, in which nothing else is done."""
AFTER: Final = 8.0
"""Seconds after the import, in which the service has read the members anew."""


@dataclass(slots=True, kw_only=True)
class Waits:
    """What a client waited for, by when it began, and what else than an answer came."""

    times: list[tuple[float, float]] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)

    def longest(self, start: float, end: float) -> float:
        """The longest wait that touched an interval."""
        return max((wait for at, wait in self.times if at < end and at + wait > start), default=0.0)


def _document(people: int) -> bytes:
    organisation = {"id": "big", "name": "Big", "kind": "company", "incorporated": "US", "headquarters": "US"}
    return json.dumps(
        {
            "organisations": [organisation],
            "people": [
                {
                    "id": f"p-{number:06}",
                    "employments": [{"organisation": "big", "kind": "employee", "from": "2021-05-01"}],
                    "us_status": [{"kind": "citizen"}],
                    "citizenships": [{"country": "US"}],
                }
                for number in range(people)
            ],
        }
    ).encode()


def _ask(server: Server, waits: Waits, ended: threading.Event) -> None:
    while not ended.is_set():
        started = time.monotonic()
        try:
            status, _, _ = server.request("POST", "/decide", ASKED, seconds=60)
            if status != http.client.OK:
                waits.faults[str(status)] += 1
        except OSError as error:
            waits.faults[type(error).__name__] += 1
        waits.times.append((started, time.monotonic() - started))
        time.sleep(PAUSE)


def _lock(database: Path, waits: Waits, ended: threading.Event) -> None:
    connection = sqlite3.connect(database, timeout=60, isolation_level=None)
    while not ended.is_set():
        started = time.monotonic()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
        waits.times.append((started, time.monotonic() - started))
        time.sleep(PAUSE)
    connection.close()


def _import(installation: Installation, file: Path) -> tuple[float, float]:
    started = time.monotonic()
    command = [str(Path(sys.executable).with_name("policy-engine")), "members", "import", str(file), "--offline"]
    environment = {**os.environ, **installation.environment(0, {})}
    subprocess.run(  # noqa: S603  the command of this checkout
        [*command, "--reason", "benchmark", "--json"], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    return started, time.monotonic()


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=21_891)
    people = parser.parse_args(arguments).people
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "members.json"
        file.write_bytes(_document(people))
        url = f"sqlite:///{folder / 'service.db'}"
        engine = open_database(url)
        migrate.upgrade(engine)
        engine.dispose()
        installation = installed(url, folder)
        asked, locked, ended = Waits(), Waits(), threading.Event()
        with running(installation) as server:
            clients = [
                threading.Thread(target=_ask, args=(server, asked, ended)),
                threading.Thread(target=_lock, args=(installation.database, locked, ended)),
            ]
            began = time.monotonic()
            for client in clients:
                client.start()
            time.sleep(QUIET)
            start, end = _import(installation, file)
            time.sleep(AFTER)
            ended.set()
            for client in clients:
                client.join()
            last = time.monotonic()
    sys.stdout.write(f"an import of {people * 4 + 1:,} rows, which took {end - start:.1f} s\n")
    sys.stdout.write(f"{'longest wait, ms':<22} {'before':>8} {'meanwhile':>10} {'after':>8}  other than 200\n")
    for what, waits in (("POST /decide", asked), ("the write lock", locked)):
        before, meanwhile, after = (
            waits.longest(*interval) * 1000 for interval in ((began, start), (start, end), (end, last))
        )
        faults = ", ".join(f"{count} {fault}" for fault, count in waits.faults.items()) or "none"
        sys.stdout.write(f"{what:<22} {before:8.0f} {meanwhile:10.0f} {after:8.0f}  {faults}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
