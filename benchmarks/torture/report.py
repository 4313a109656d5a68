"""What was tried, as one Markdown table, and the page that has it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "torture.md"
BEGIN: Final = "<!-- torture: begin -->"
END: Final = "<!-- torture: end -->"
_HEAD: Final = "| test | count | result | duration | run |\n|---|---:|---|---:|---|\n"


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
    """One line of the table; what failed has an error instead of an outcome. `run` is its day and its commit."""

    test: str
    outcome: Outcome | None
    error: BaseException | None = None
    seconds: float
    run: str

    @property
    def markdown(self) -> str:
        counted = "" if self.outcome is None else self.outcome.counted
        result = f"FAILED: {self.error!r}" if self.outcome is None else self.outcome.result
        cells = (self.test, counted, result, f"{self.seconds:,.0f} s", self.run)
        return "".join(f"| {' '.join(cell.replace('|', '/').split())} " for cell in cells) + "|"


def progress(text: str) -> None:
    """A line for whoever waits."""
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {text}\n")
    sys.stderr.flush()


@cache
def run_now() -> str:
    """The day and the commit of what is run; a `+` behind it where the checkout has changes of its own."""
    return f"{datetime.now(UTC):%Y-%m-%d}, {_git('rev-parse', '--short', 'HEAD') or 'no commit'}{_changed()}"


def _changed() -> str:
    return "+" if _git("status", "--porcelain", "--untracked-files=no") else ""


def _git(*arguments: str) -> str:
    told = subprocess.run(  # noqa: S603
        ["git", "-C", str(ROOT), *arguments],  # noqa: S607
        check=False,
        capture_output=True,
        text=True,
    )
    return told.stdout.strip() if told.returncode == 0 else ""


def table(lines: list[Line], command: str) -> str:
    """The table with its command, its machine and the load at the end."""
    return f"{_machine(command)}\n\n{_HEAD}" + "".join(f"{line.markdown}\n" for line in lines)


def _machine(command: str) -> str:
    return (
        f"`{command}` on {os.cpu_count()} cores ({platform.system()} {platform.machine()}, Python"
        f" {platform.python_version()}), load average {os.getloadavg()[0]:.1f} at the end."
    )


def with_lines(page: str, lines: list[Line], command: str, tests: list[str]) -> str:
    """The page with these lines in the place of those of the same tests; `tests` are all there are, in their order.

    A line of a test that was not run stays, under the run that it names. Raises `ValueError` for a page without its two
    markers.
    """
    before, begin, rest = page.partition(BEGIN)
    held, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no `{BEGIN}` and `{END}` behind it: put both back")
    rows = {row.split("|")[1].strip(): row for row in held.splitlines() if row.startswith("| ")}
    rows |= {line.test: line.markdown for line in lines}
    body = "".join(f"{rows[test]}\n" for test in tests if test in rows)
    return f"{before}{BEGIN}\n{_machine(command)}\n\n{_HEAD}{body}{END}{after}"
