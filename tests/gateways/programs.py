"""Real programs for a test: started in a session of their own, and stopped for certain."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

BIN: Final = Path(sys.executable).parent
"""Where the programs that came with the environment's packages are."""

START_SECONDS: Final = 60.0


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    log: Path,
    port: int = 0,
    ready: Callable[[], bool] | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: float = START_SECONDS,
) -> Iterator[subprocess.Popen[bytes]]:
    """The program, from when it listens on the port, or is `ready`, until the end; what it says goes to the file."""
    process = started(command, log=log, environment=environment)
    try:
        _wait(process, ready or partial(_listens, port), log, seconds)
        yield process
    finally:
        ended(process)


def started(
    command: Sequence[str | Path], *, log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """The program, started; whoever starts it ends it."""
    with log.open("ab") as said:
        return subprocess.Popen(  # noqa: S603  a program of the test's own
            [str(part) for part in command],
            stdout=said,
            stderr=said,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
            cwd=log.parent,
        )


def ended(process: subprocess.Popen[bytes]) -> None:
    """The program and what it started, ended."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


def _listens(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False


def _wait(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text(errors="replace")[-3000:]
        if ready():
            return
        time.sleep(0.05)
    raise AssertionError(f"it is not ready after {seconds:.0f} s: {log.read_text(errors='replace')[-3000:]}")


@contextmanager
def envoy(config: str, folder: Path, port: int) -> Iterator[None]:
    """The real Envoy by that configuration, which listens on the port."""
    file = folder / "envoy.yaml"
    file.write_text(config)
    command = [str(BIN / "envoy"), "-c", str(file), "--concurrency", "1", "--use-dynamic-base-id", "-l", "warning"]
    with running(command, port=port, log=folder / "envoy.log"):
        yield
