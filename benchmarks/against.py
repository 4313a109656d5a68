"""The service of this checkout against that of another one, in turns of a second, so that a machine whose speed drifts
is the same for both.

`python -m benchmarks.against CHECKOUT [--turns 12] [--connections 64]`. The other checkout has its own `.venv`
(`git worktree add ../before COMMIT`, and `make setup` there). Both services are up at once, each with its own book and
database; the load is that of `benchmarks.service`. The processor time is that of the service's own process, and of its
companion, for one decision.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from benchmarks.service import ROOT, free_port, load, started, token_of, wait_for

_TICK_MICROSECONDS = 1_000_000 / os.sysconf("SC_CLK_TCK")


@dataclass(slots=True, kw_only=True)
class _Side:
    """One of the two, and what its turns came to."""

    name: str
    server: subprocess.Popen[str]
    port: int
    token: str
    rates: list[float] = field(default_factory=list)
    service: list[float] = field(default_factory=list)
    companion: list[float] = field(default_factory=list)


def _started(stack: ExitStack, checkout: Path) -> _Side:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
    port = free_port()
    server = started(folder, port, checkout=checkout, python=str(checkout / ".venv/bin/python"))
    stack.callback(server.wait)
    stack.callback(server.terminate)
    side = _Side(name=str(checkout), server=server, port=port, token=token_of(server))
    wait_for(port)
    return side


def _ticks(process: int) -> int:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _spent(side: _Side) -> tuple[int, int]:
    """The ticks of the service's process, and of those that it started."""
    children = Path(f"/proc/{side.server.pid}/task/{side.server.pid}/children").read_text(encoding="ascii").split()
    return _ticks(side.server.pid), sum(_ticks(int(one)) for one in children)


def _turn(side: _Side, connections: int) -> None:
    before = _spent(side)
    warm, times, elapsed = uvloop.run(load(side.port, side.token, connections, 1.0))
    time.sleep(0.7)  # so that the index of this turn is not made in the other's
    after = _spent(side)
    decisions = warm + len(times)
    side.rates.append(len(times) / elapsed)
    side.service.append((after[0] - before[0]) * _TICK_MICROSECONDS / decisions)
    side.companion.append((after[1] - before[1]) * _TICK_MICROSECONDS / decisions)


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        sides = [_started(stack, one) for one in (options.checkout.resolve(), ROOT)]
        for turn in range(options.turns + 1):
            for side in sides if turn % 2 else reversed(sides):
                _turn(side, options.connections)
    sys.stdout.write(f"{'decisions/s':>12} {'service us':>11} {'companion us':>13}  medians of {options.turns} turns\n")
    for side in sides:
        figures = (statistics.median(one[1:]) for one in (side.rates, side.service, side.companion))
        sys.stdout.write("{:12.0f} {:11.0f} {:13.0f}  ".format(*figures) + f"{side.name}\n")
    ratios = [now / then for then, now in zip(sides[0].rates[1:], sides[1].rates[1:], strict=True)]
    sys.stdout.write(f"this checkout decides {statistics.median(ratios):.2f} of what the other one does\n")


if __name__ == "__main__":
    main(sys.argv[1:])
