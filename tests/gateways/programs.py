"""Real programs for a test: started in a session of their own, and stopped for certain."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
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
    command: Sequence[str], *, port: int, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The program, from when it listens on the port until the end; what it says goes to the file."""
    with log.open("ab") as said:
        process = subprocess.Popen(  # noqa: S603  a program of the test's own
            list(command),
            stdout=said,
            stderr=said,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
            cwd=log.parent,
        )
    try:
        _wait(process, port, log)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on {port}: {log.read_text(errors='replace')[-2000:]}")


@contextmanager
def envoy(config: str, folder: Path, port: int) -> Iterator[None]:
    """The real Envoy by that configuration, which listens on the port."""
    file = folder / "envoy.yaml"
    file.write_text(config)
    command = [str(BIN / "envoy"), "-c", str(file), "--concurrency", "1", "--use-dynamic-base-id", "-l", "warning"]
    with running(command, port=port, log=folder / "envoy.log"):
        yield
