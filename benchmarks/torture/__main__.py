"""Everything that may happen to the service while it decides, for as long as it takes: `make torture`.

The kills are as many as `TORTURE_KILLS` says (300). Faults in system calls and the order of flush and answer are
injected and traced with strace, which has to be installed and allowed to trace; without it those lines are left out and
the table says so. `python -m benchmarks.torture [--only kill] [--kills 300]`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Final

from benchmarks.torture.kill import kill_again_and_again
from benchmarks.torture.order import flushed_before_answered
from benchmarks.torture.report import Line, Outcome, table, tried
from benchmarks.torture.syscalls import Work, break_every_call
from benchmarks.torture.traced import obstacle

_SHARE_SQLITE: Final = 2 / 3
"""Of the kills so many are on SQLite, where the service and its database die together."""


def main(arguments: list[str]) -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=int(os.environ.get("TORTURE_KILLS", "300")))
    parser.add_argument("--only", nargs="*", default=None, help="kill, syscalls, order")
    parser.add_argument("--requests", type=int, default=1_000, help="traced requests")
    options = parser.parse_args(arguments)
    sqlite = round(options.kills * _SHARE_SQLITE)
    trials: list[tuple[str, str, Callable[[], Outcome]]] = [
        ("kill", "SIGKILL under load, SQLite", lambda: kill_again_and_again("sqlite", sqlite)),
        (
            "kill",
            "SIGKILL under load, PostgreSQL",
            lambda: kill_again_and_again("postgresql", options.kills - sqlite),
        ),
    ]
    missing = obstacle()
    if missing is None:
        for work in Work:
            trials += [
                ("syscalls", f"{how} at every call on files of {work}", partial(break_every_call, work, how))
                for how in ("EIO", "ENOSPC", "SIGKILL")
            ]
        trials.append(("order", "flush before answer, traced", partial(flushed_before_answered, options.requests)))
    lines: list[Line] = []
    try:
        for group, test, trial in trials:
            if options.only is None or group in options.only:
                lines.append(tried(test, trial))
    finally:
        command = f"TORTURE_KILLS={options.kills} make torture"
        sys.stdout.write(table(lines, command))
        if missing is not None:
            sys.stdout.write(f"\nFaults in system calls and the order of flush and answer were not tried: {missing}.\n")


if __name__ == "__main__":
    main(sys.argv[1:])
