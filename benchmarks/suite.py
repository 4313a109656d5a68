"""What the test suite costs in processor time, by folder. Run as `python -m benchmarks.suite [PATH...]`.

Each path below `tests` is given to a pytest of its own without workers, one after another. Counted is the user and
system time of that process and of everything that it started, the servers of PostgreSQL included, so that other work
on the machine changes the figures little. Without paths: each folder of `tests`, and the files beside the folders.
`--checkout FOLDER` measures another checkout, with its own environment, by this same program.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter, sleep
from typing import Final

ROOT: Final = Path(__file__).parent.parent
_SOON: Final = 20.0
_ADOPT_ORPHANS: Final = 36
"""PR_SET_CHILD_SUBREAPER: what a test starts in the background is ours when its parent has gone, and so is its time."""


def paths_of(checkout: Path) -> list[str]:
    """Each folder of tests with tests in it, and the files beside the folders."""
    tests = checkout / "tests"
    folders = [path for path in sorted(tests.iterdir()) if path.is_dir() and any(path.rglob("test_*.py"))]
    return [str(path.relative_to(checkout)) for path in [*folders, *sorted(tests.glob("test_*.py"))]]


def cost_of(path: str, checkout: Path) -> tuple[float, float, str]:
    """Seconds of processor time and of the clock of the tests below a path, and the last line of pytest."""
    before, began = _children(), perf_counter()
    command = [str(checkout / ".venv" / "bin" / "python"), "-m", "pytest", "-p", "no:cacheprovider", path]
    done = subprocess.run(command, cwd=checkout, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603  our own
    _wait_for_orphans()
    lines = done.stdout.strip().splitlines() or ["nothing was said"]
    return _children() - before, perf_counter() - began, lines[-1].strip("= ")


def _children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _wait_for_orphans() -> None:
    end = perf_counter() + _SOON
    with suppress(ChildProcessError):
        while perf_counter() < end:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                sleep(0.05)
        sys.stderr.write(f"something that these tests started still runs after {_SOON:g} s and is not counted\n")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", metavar="PATH")
    parser.add_argument("--checkout", type=Path, default=ROOT)
    options = parser.parse_args(argv)
    ctypes.CDLL(None).prctl(_ADOPT_ORPHANS, 1)
    total = 0.0
    print(f"{'processor s':>11} {'clock s':>8}  tests")
    for path in options.paths or paths_of(options.checkout.resolve()):
        processor, clock, said = cost_of(path, options.checkout.resolve())
        total += processor
        print(f"{processor:>11.1f} {clock:>8.1f}  {path}: {said}", flush=True)
    print(f"{total:>11.1f} {'':>8}  in all")


if __name__ == "__main__":
    main(sys.argv[1:])
