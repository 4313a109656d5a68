"""The service over HTTP while every flush to the disk takes longer: what batching of commits makes of a slow disk.

`python -m benchmarks.slow_flush [--seconds 5] [--connections 64] [--milliseconds 0 1 5]`. As `benchmarks.service`, but
the service, its companion and the clients share all cores of the machine, and a library that is loaded before others
makes `fsync` and `fdatasync` of both processes wait after they have flushed. The library is compiled on the fly: a C
compiler (`cc`) is needed. The load begins once the log is sealed for the first time; the load average before it stands
beside each figure.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.service import count, database_in, free_port, load, started, token_of, wait_for

_SHIM: Final = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static void wait_longer(void) {
    const char *text = getenv("FLUSH_DELAY_MICROSECONDS");
    long us = text ? atol(text) : 0;
    if (us > 0) {
        struct timespec left = {us / 1000000, us % 1000000 * 1000};
        while (nanosleep(&left, &left)) {}
    }
}

int fsync(int file) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    int result = real(file);
    wait_longer();
    return result;
}

int fdatasync(int file) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    int result = real(file);
    wait_longer();
    return result;
}
"""


def _shim(folder: Path) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        raise SystemExit("a C compiler (`cc`) is needed to make flushes slow, and none was found")
    source, library = folder / "slow.c", folder / "slow.so"
    source.write_text(_SHIM, encoding="ascii")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)  # noqa: S603
    return library


@contextmanager
def _served(folder: Path, library: Path, microseconds: int) -> Iterator[tuple[int, str, Path]]:
    """Port, token and database of a service with slow flushes, whose companion has begun to seal."""
    port = free_port()
    with started(folder, port, LD_PRELOAD=str(library), FLUSH_DELAY_MICROSECONDS=str(microseconds)) as server:
        try:
            token = token_of(server)
            wait_for(port)
            _wait_for_seal(folder / "ledger")
            yield port, token, database_in(folder)
        finally:
            server.terminate()


def _wait_for_seal(ledger: Path) -> None:
    for _ in range(300):
        if any(ledger.glob("*/checkpoint")):
            return
        time.sleep(0.1)
    raise RuntimeError("the log is not sealed")


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--milliseconds", type=float, nargs="+", default=[0, 1, 5])
    options = parser.parse_args(arguments)
    head = f"{'flush + ms':>10} {'connections':>11} {'decisions/s':>12} {'p50 ms':>8} {'p99 ms':>8}"
    sys.stdout.write(f"{head} {'records':>9} {'load':>6}\n")
    for milliseconds in options.milliseconds:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            library = _shim(folder)
            with _served(folder, library, int(milliseconds * 1000)) as (port, token, database):
                busy = os.getloadavg()[0]
                before = count(database)
                warm, times, elapsed = uvloop.run(load(port, token, options.connections, options.seconds))
                times.sort()
                logged = count(database) - before
                assert logged == warm + len(times), f"{warm + len(times)} answers and {logged} records"
                p50, p99 = times[len(times) // 2] * 1000, times[len(times) * 99 // 100] * 1000
                rate = len(times) / elapsed
                line = f"{milliseconds:10g} {options.connections:11} {rate:12.0f} {p50:8.2f} {p99:8.2f}"
                sys.stdout.write(f"{line} {logged:9} {busy:6.2f}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
