"""System calls of a running service, seen and broken with strace."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILES: Final = "trace=%file,%desc"
"""The calls that take a path or a descriptor."""
_ATTACH_SECONDS: Final = 20.0
_CALL: Final = re.compile(r"^(?:\d+ +)?(?:\d+\.\d+ )?(?:<\.\.\. )?([a-z0-9_]+)(?:\(| resumed)")


def obstacle() -> str | None:
    """Why nothing can be traced here, if so."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(["strace", "-e", "trace=none", "true"], check=False, capture_output=True, text=True)  # noqa: S607
    return None if tried.returncode == 0 else f"strace may not trace here: {tried.stderr.strip()[:80]}"


@contextmanager
def traced(task: int, output: Path, *options: str) -> Iterator[None]:
    """Trace a process or one of its threads while the block runs, from after the attachment."""
    said = output.with_suffix(".err")
    with said.open("wb") as errors:
        tracer = subprocess.Popen(  # noqa: S603
            ["strace", "-o", str(output), *options, "-p", str(task)],  # noqa: S607
            stderr=errors,
        )
    try:
        end = time.monotonic() + _ATTACH_SECONDS
        while b"attached" not in said.read_bytes():
            assert tracer.poll() is None, said.read_text()
            assert time.monotonic() < end, "strace did not attach"
            time.sleep(0.005)
        yield
    finally:
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGINT)
        tracer.wait(_ATTACH_SECONDS)


def calls(output: Path) -> Counter[str]:
    """How often each system call was begun."""
    found: Counter[str] = Counter()
    for line in output.read_text(errors="replace").splitlines():
        match = _CALL.match(line)
        if match and "resumed" not in line.split("(")[0]:
            found[match[1]] += 1
    return found


def threads(pid: int) -> list[int]:
    """The threads of a process in the order in which they were begun."""
    return sorted(int(path.name) for path in Path(f"/proc/{pid}/task").iterdir())


@dataclass(frozen=True, slots=True)
class Call:
    """A system call of a run: which of the calls of that name it is, from 1."""

    name: str
    at: int

    def injecting(self, what: str) -> str:
        """The option of strace that lets something happen on entering this call."""
        return f"inject={self.name}:{what}:when={self.at}"


def calls_in_order(output: Path, end: str) -> list[Call]:
    """The calls of a trace of one thread, up to the first whose arguments hold `end`, with that one."""
    found: list[Call] = []
    counts: Counter[str] = Counter()
    for line in output.read_text(errors="replace").splitlines():
        match = _CALL.match(line)
        if match is None:
            continue
        counts[match[1]] += 1
        found.append(Call(match[1], counts[match[1]]))
        if end in line:
            return found
    raise AssertionError("the trace does not come to its end")


def is_stopped(pid: int) -> bool:
    """Whether a process was stopped with a signal."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "T"
