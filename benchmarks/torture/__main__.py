"""Everything that may happen to the service while it decides, for as long as it takes: `make torture`.

`python -m benchmarks.torture [--only PART ...] [--kills 300] [--requests 1000] [--freezes 300] [--worlds 37550]
[--write]` prints one table in Markdown, and tells on standard error how far it is. With `--write` the lines take the
place of those of the same tests in `docs/torture.md`, unless a part has failed.

A part runs in a process of its own; one that fails is a line of
the table too, the others go on, and the exit code is 1. The kills are as many as `TORTURE_KILLS` says (300).

Faults in system calls and the order of flush and answer are injected and traced with strace, which has to be installed
and allowed to trace; without it those lines are left out and the table says so.

On two cores the parts that break the service take about 18 minutes: five for the kills under load, one for the
decision, five for the sealer of a running service, seven for the checkpoint. The random requests take some ten more.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from benchmarks.torture import checkpoint
from benchmarks.torture.freeze_race import freeze_again_and_again
from benchmarks.torture.kill import kill_again_and_again
from benchmarks.torture.order import flushed_before_answered
from benchmarks.torture.report import PAGE, Line, Outcome, progress, run_now, table, with_lines
from benchmarks.torture.standing_bars import judge_random_requests
from benchmarks.torture.syscalls import Work, break_every_call
from benchmarks.torture.traced import obstacle

_SHARE_SQLITE: Final = 2 / 3
"""Of the kills so many are on SQLite, where the service and its database die together."""
WORLDS: Final = 37_550
"""So many random requests are judged."""
_ERRORS: Final = ("EIO", "ENOSPC")


@dataclass(frozen=True, slots=True)
class _Part:
    """A line of the table, and the names by which it is chosen: its own, and those that it shares with others."""

    names: tuple[str, ...]
    test: str
    trial: Callable[[], Outcome]
    traces: bool = True

    def chosen(self, only: list[str] | None) -> bool:
        return only is None or not set(self.names).isdisjoint(only)


def _parts(*, kills: int = 0, requests: int = 0, freezes: int = 0, worlds: int = 0) -> list[_Part]:
    sqlite = round(kills * _SHARE_SQLITE)
    return [
        *(
            _Part(
                (f"kill-{name.lower()}", "kill"),
                f"SIGKILL under load, {name}",
                partial(kill_again_and_again, name.lower(), number),
                traces=False,
            )
            for name, number in (("SQLite", sqlite), ("PostgreSQL", kills - sqlite))
        ),
        *(
            _Part(
                (f"freeze-{name.lower()}", "freeze"),
                f"freeze race, {name}",
                partial(freeze_again_and_again, name.lower(), number),
                traces=False,
            )
            for name, number in (("SQLite", freezes - freezes // 3), ("PostgreSQL", freezes // 3))
        ),
        *(
            _Part(
                (f"decision-{how.lower()}", "decision", "syscalls"),
                f"{how} at every file call of one decision",
                partial(break_every_call, Work.DECISION, how),
            )
            for how in (*_ERRORS, "SIGKILL")
        ),
        *(
            _Part(
                (f"sealer-{error.lower()}", "sealer", "syscalls"),
                f"{error} at every file call of the sealer while decisions are made",
                partial(break_every_call, Work.CHECKPOINT, error),
            )
            for error in _ERRORS
        ),
        *(
            _Part(
                (f"checkpoint-{error.lower()}", "checkpoint", "syscalls"),
                f"{error} at every file call of one checkpoint",
                partial(checkpoint.break_every_call, error),
            )
            for error in _ERRORS
        ),
        _Part(
            ("checkpoint-sigkill", "checkpoint", "syscalls"),
            "SIGKILL at every file call of one checkpoint, and after the last",
            checkpoint.kill_at_every_call,
        ),
        _Part(("order",), "the flush before the answer, traced", partial(flushed_before_answered, requests)),
        _Part(
            ("random",),
            "random requests over generated worlds",
            partial(judge_random_requests, worlds),
            traces=False,
        ),
    ]


def _try(part: _Part, lines: list[Line]) -> None:
    progress(f"begin: {part.test}")
    begun = time.monotonic()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        future = pool.submit(part.trial)
        error = future.exception()
    if error is not None:
        sys.stderr.write("".join(traceback.format_exception(error)))
    line = Line(
        test=part.test,
        outcome=future.result() if error is None else None,
        error=error,
        seconds=time.monotonic() - begun,
        run=run_now(),
    )
    lines.append(line)
    progress(f"done: {line.markdown}")


def main(arguments: list[str]) -> int:
    """Run and print the table; the exit code."""
    parts = _parts()
    names = sorted({name for part in parts for name in part.names})
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=int(os.environ.get("TORTURE_KILLS", "300")))
    parser.add_argument("--only", nargs="+", choices=names, metavar="PART", help=", ".join(names))
    parser.add_argument("--requests", type=int, default=1_000, help="traced requests")
    parser.add_argument("--freezes", type=int, default=300, help="freezes that are declared and lifted in the race")
    parser.add_argument("--worlds", type=int, default=WORLDS, help="random requests over generated worlds")
    parser.add_argument("--write", action="store_true", help=f"put the lines into {PAGE.name} too")
    options = parser.parse_args(arguments)
    # The commit is that of what is run, and not of what is checked out by the end.
    run_now()
    missing = obstacle()
    lines: list[Line] = []
    try:
        for part in _parts(
            kills=options.kills, requests=options.requests, freezes=options.freezes, worlds=options.worlds
        ):
            if part.chosen(options.only) and (missing is None or not part.traces):
                _try(part, lines)
    finally:
        command = " ".join(["python -m benchmarks.torture", *arguments])
        sys.stdout.write(table(lines, command))
        if missing is not None:
            sys.stdout.write(f"\nFaults in system calls and the order of flush and answer were not tried: {missing}.\n")
    failed = any(line.error is not None for line in lines)
    if options.write and not failed:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(with_lines(page, lines, command, [part.test for part in parts]), encoding="utf-8")
    elif options.write:
        progress(f"a part has failed: {PAGE.name} is left as it is")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
