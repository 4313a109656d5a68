"""An error, or the end of the process, at every system call on files that a thread of a running service makes.

One decision is broken in both ways. A checkpoint is broken by errors only, to see that decisions go on meanwhile;
`checkpoint` has the rest, without a service for each try.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from random import Random
from typing import Final

from benchmarks.torture.kill import database
from benchmarks.torture.report import Outcome, progress
from benchmarks.torture.traced import FILES, calls, threads, traced
from tests.faults.load import Journal
from tests.faults.oracle import require_nothing_lost
from tests.faults.process import Installation, Server, installed, start

_NOT_BROKEN: Final = frozenset(
    {"close", "mmap", "fcntl", "flock", "poll", "select", "pselect6", "epoll_wait", "epoll_pwait"}
)
"""Calls that wait, and those of which an error that strace injects leaves what no kernel leaves on a local file system:
a lock that is never let go of, a descriptor that stays open. The process is killed at them all the same."""
_PROGRESS_EVERY: Final = 50
_START_SECONDS: Final = 30.0
"""In which the process that seals has begun; nothing is measured by it."""
_RECOVERY_SECONDS: Final = 5.0


class Work(StrEnum):
    """What a thread of the service does meanwhile."""

    DECISION = "one decision"
    CHECKPOINT = "one checkpoint"


_MARK: Final = {
    Work.DECISION: re.compile(r"^(\d+) +pwrite64\(\d+<[^>]*-wal>"),
    Work.CHECKPOINT: re.compile(r"^(\d+) +rename"),
}


@dataclass(slots=True)
class _Bench:
    """A service on SQLite, one client, and which of its threads does the work."""

    installation: Installation
    work: Work
    journal: Journal
    server: Server
    place: int = -1
    random: Random = field(default_factory=lambda: Random(1))
    statuses: Counter[int] = field(default_factory=Counter)

    def ask(self) -> int:
        """One request; what was never answered is asked again. 0 is a connection that broke."""
        key, document = self.journal.next(self.random)
        try:
            status, headers, body = self.server.request("POST", "/decide", json.dumps(document).encode())
        except (OSError, http.client.HTTPException):
            return 0
        if status == HTTPStatus.OK:
            self.journal.keep(key, document, body)
        else:
            assert (status, headers.get("retry-after")) == (HTTPStatus.SERVICE_UNAVAILABLE, "1"), body
            assert b'"allow"' not in body
        return status

    def sealed(self) -> int:
        status, _, note = self.server.request("GET", "/log/checkpoint")
        if status != HTTPStatus.OK:
            return 0
        self.journal.keep_checkpoint(note)
        return int(note.split(b"\n")[1])

    def process(self) -> int:
        """The process that does the work: the service, or its companion."""
        return self.server.pid if self.work is Work.DECISION else self.server.companion()

    def task(self) -> int:
        return threads(self.process())[self.place]

    def died(self) -> bool:
        """Whether the process has ended."""
        try:
            self.server.process.wait(0.3)
        except subprocess.TimeoutExpired:
            return False
        return True

    def recovers(self) -> None:
        """Decides again, and seals all of it."""
        end = time.monotonic() + _RECOVERY_SECONDS
        while self.ask() != HTTPStatus.OK:
            assert time.monotonic() < end, "it does not decide again"
        if self.work is Work.CHECKPOINT:
            before = self.sealed()
            while self.sealed() == before or b"alarms" in self.server.request("GET", "/readyz")[2]:
                assert time.monotonic() < end, "it does not seal again"
                self.ask()
                time.sleep(0.1)

    def once(self) -> None:
        """The work, or as much of it as comes about."""
        before = self.sealed() if self.work is Work.CHECKPOINT and self.server.process.poll() is None else 0
        self.statuses[self.ask()] += 1
        if self.work is Work.CHECKPOINT:
            end = time.monotonic() + 1.0
            while time.monotonic() < end and self.server.process.poll() is None:
                try:
                    if self.sealed() > before:
                        return
                except (OSError, http.client.HTTPException):
                    return
                time.sleep(0.05)

    def find(self, folder: Path) -> Counter[str]:
        """Which thread does the work, and the calls on files that it makes for it."""
        for _ in range(3):
            self.ask()
        end = time.monotonic() + _START_SECONDS
        while not self.sealed():
            assert time.monotonic() < end, "nothing is sealed"
            time.sleep(0.1)
        time.sleep(0.6)
        output = folder / "find.trace"
        with traced(self.process(), output, "-f", "-y", "-e", FILES):
            self.once()
        mark = _MARK[self.work]
        found = Counter(
            int(match[1]) for line in output.read_text(errors="replace").splitlines() if (match := mark.match(line))
        )
        ((task, _),) = found.most_common(1)
        self.place = threads(self.process()).index(task)
        output = folder / "count.trace"
        with traced(task, output, "-e", FILES):
            self.once()
        return calls(output)


def break_every_call(work: Work, how: str) -> Outcome:
    """`how` is the name of an error, or of a signal that ends the process."""
    kills = how == "SIGKILL"
    with tempfile.TemporaryDirectory(prefix="torture-") as name, database("sqlite", Path(name)) as url:
        folder = Path(name)
        installation = installed(url, folder)
        server = start(installation)
        server.wait()
        bench = _Bench(installation, work, Journal(path=folder / "acks.jsonl", seed=0), server)
        tried = hit = 0
        try:
            found = bench.find(folder)
            steps = [(call, at) for call, count in sorted(found.items()) for at in range(1, count + 1)]
            steps = [(call, at) for call, at in steps if kills or call not in _NOT_BROKEN]
            progress(f"{work}: {sum(found.values())} calls: {dict(found)}")
            for call, at in steps:
                if tried % _PROGRESS_EVERY == 0:
                    progress(f"{work}, {how}: {tried} of {len(steps)} calls")
                action = "signal=SIGKILL" if kills else f"error={how}"
                output = folder / "break.trace"
                with traced(bench.task(), output, "-e", f"trace={call}", "-e", f"inject={call}:{action}:when={at}"):
                    bench.once()
                tried += 1
                text = output.read_text(errors="replace")
                died = bench.died()
                hit += died if kills else "INJECTED" in text
                if died:
                    bench.server = start(installation)
                    bench.server.wait()
                bench.recovers()
        finally:
            if bench.server.process.poll() is None:
                bench.server.kill()
        compared = require_nothing_lost(installation, [bench.journal], in_flight=tried)
    told = ", ".join(f"{count} × {status or 'no answer'}" for status, count in sorted(bench.statuses.items()))
    again = f"{'restarted, ' if kills else ''}{_RECOVERED[work]} within {_RECOVERY_SECONDS:.0f} s"
    return Outcome(
        count=hit,
        of=tried,
        result=(
            f"{told}; {again}; 0 of {compared.acknowledged:,} answers lost; {compared.logged:,} records whole, dense,"
            " sealed and replayed"
        ),
    )


_RECOVERED: Final = {Work.DECISION: "decided again", Work.CHECKPOINT: "decided and sealed again"}
