"""What was tried, as one Markdown table."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How often something was done, of how many times where that is known, and in a sentence what came of it."""

    count: int
    of: int | None = None
    result: str

    @property
    def counted(self) -> str:
        return f"{self.count:,}" if self.of is None else f"{self.count:,} of {self.of:,}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the table; what failed has an error instead of an outcome."""

    test: str
    outcome: Outcome | None
    error: BaseException | None = None
    seconds: float

    @property
    def markdown(self) -> str:
        counted = "" if self.outcome is None else self.outcome.counted
        result = f"FAILED: {self.error!r}" if self.outcome is None else self.outcome.result
        cells = (self.test, counted, result, f"{self.seconds:,.0f} s")
        return "".join(f"| {' '.join(cell.replace('|', '/').split())} " for cell in cells) + "|"


def progress(text: str) -> None:
    """A line for whoever waits."""
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {text}\n")
    sys.stderr.flush()


def table(lines: list[Line], command: str) -> str:
    """The table with its date, its command and the load of the machine."""
    load = os.getloadavg()[0]
    head = (
        f"`{command}` on {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load average {load:.1f} at the end.\n\n"
        "| test | count | result | duration |\n|---|---:|---|---:|\n"
    )
    return head + "".join(f"{line.markdown}\n" for line in lines)
