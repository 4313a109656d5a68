"""The flush of the write-ahead log returns before the first byte of the answer leaves."""

from __future__ import annotations

import json
import re
import tempfile
from http import HTTPStatus
from pathlib import Path
from random import Random
from typing import Final

from benchmarks.torture.kill import database
from benchmarks.torture.report import Outcome
from benchmarks.torture.traced import traced
from tests.faults.load import Journal
from tests.faults.process import installed, running

_CALLS: Final = "trace=fdatasync,fsync,pwrite64,write,writev,sendto,sendmsg"
_LINE: Final = re.compile(r"^(?P<task>\d+) +(?P<at>\d+\.\d+) (?P<rest>.*)$")


def flushed_before_answered(requests: int) -> Outcome:
    """Ask one at a time, and read the trace: written, flushed without an error, answered."""
    with tempfile.TemporaryDirectory(prefix="torture-") as name, database("sqlite", Path(name)) as url:
        folder = Path(name)
        output = folder / "order.trace"
        journal = Journal(path=folder / "acks.jsonl", seed=0)
        random = Random(2)
        with (
            running(installed(url, folder)) as server,
            traced(server.pid, output, "-f", "-ttt", "-y", "-s", "16", "-e", _CALLS),
        ):
            for _ in range(requests):
                key, document = journal.next(random)
                status, _, body = server.request("POST", "/decide", json.dumps(document).encode())
                assert status == HTTPStatus.OK, body
                journal.keep(key, document, body)
        in_order, delays = _read(output)
    assert in_order == requests, f"{requests - in_order} of {requests} answers did not wait for their flush"
    delays.sort()
    return Outcome(
        count=in_order,
        of=requests,
        result=(
            "each answer left after its record was written and flushed without an error,"
            f" {delays[len(delays) // 2] * 1e6:.0f} µs after the flush (median, traced)"
        ),
    )


def _read(output: Path) -> tuple[int, list[float]]:
    """How many answers came in order, and the seconds between flush and answer.

    Threads are told apart: the sealer writes to the same file when a year begins.
    """
    in_order = 0
    delays: list[float] = []
    written: set[str] = set()
    flushing: set[str] = set()
    flushed: dict[str, float] = {}
    for line in output.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        task, at, rest = match["task"], float(match["at"]), match["rest"]
        if rest.startswith("pwrite64") and "-wal>" in rest:
            written.add(task)
            flushed.pop(task, None)
        elif rest.startswith(("fdatasync", "fsync")) and "-wal>" in rest and "unfinished" in rest:
            flushing.add(task)
        elif (rest.startswith(("fdatasync", "fsync")) and "-wal>" in rest) or (
            "sync resumed" in rest and task in flushing
        ):
            flushing.discard(task)
            if rest.endswith("= 0") and task in written:
                flushed[task] = at
        elif '"HTTP/1.1 200' in rest:
            if flushed:
                in_order += 1
                delays.append(at - max(flushed.values()))
            written.clear()
            flushed.clear()
    return in_order, delays
