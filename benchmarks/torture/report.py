"""What was tried, as one Markdown table."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How often something was tried, and in a sentence what came of it."""

    count: int
    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the table."""

    test: str
    outcome: Outcome
    seconds: float


def progress(text: str) -> None:
    """A line for whoever waits."""
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {text}\n")
    sys.stderr.flush()


def tried(test: str, trial: Callable[[], Outcome]) -> Line:
    """Run a trial; an assertion that fails in it is its result, and what it raised goes on."""
    progress(f"begin: {test}")
    begun = time.monotonic()
    outcome = trial()
    line = Line(test=test, outcome=outcome, seconds=time.monotonic() - begun)
    progress(f"done: {test}: {outcome.count}, {outcome.result} ({line.seconds:.0f} s)")
    return line


def table(lines: list[Line], command: str) -> str:
    """The table with its date, its command and the load of the machine."""
    load = os.getloadavg()[0]
    head = (
        f"`{command}` on {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load average {load:.1f} at the end.\n\n"
        "| Test | Count | Result | Duration |\n|---|---:|---|---:|\n"
    )
    return head + "".join(
        f"| {line.test} | {line.outcome.count:,} | {line.outcome.result} | {line.seconds:,.0f} s |\n" for line in lines
    )
