from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue

import pytest

from policy_engine.app.sealer import Apart, EndedWithoutAnswer, Sealer

SOON = 30.0


@dataclass(frozen=True, slots=True)
class Telling:
    """Tells its process id, then what it is told to, and leaves a word in a file when it is asked to end."""

    ended: Path
    words: tuple[str, ...] = ()

    def __call__(self, *, report: Callable[[object], None], ending: Callable[[float], bool]) -> None:
        report(os.getpid())
        for word in self.words:
            report(word)
        while not ending(0.05):
            pass
        self.ended.write_text("ended")


@dataclass(frozen=True, slots=True)
class Beating:
    """Reports its process id ten times a second."""

    def __call__(self, *, report: Callable[[object], None], ending: Callable[[float], bool]) -> None:
        while not ending(0.1):
            report(os.getpid())


@dataclass(frozen=True, slots=True)
class Failing:
    """Ends at once by an error."""

    def __call__(self, *, report: Callable[[object], None], ending: Callable[[float], bool]) -> None:
        assert not ending(0)
        report("begun")
        raise SystemExit(3)


@dataclass(slots=True)
class Heard:
    companion: Sealer
    reports: Queue[object]
    ends: threading.Semaphore

    def next(self) -> object:
        return self.reports.get(timeout=SOON)


@contextmanager
def companion(work: Telling | Failing) -> Iterator[Heard]:
    reports: Queue[object] = Queue()
    ends = threading.Semaphore(0)
    made = Sealer(work, name="test", hear=reports.put, ended=ends.release)
    try:
        yield Heard(made, reports, ends)
    finally:
        made.close()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_a_companion_reports_is_heard_in_order_and_it_ends_when_it_is_closed(tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    with companion(Telling(ended, ("one", "two"))) as heard:
        pid = heard.next()
        assert [heard.next(), heard.next()] == ["one", "two"]
        assert pid == heard.companion.pid != os.getpid()
    assert ended.read_text() == "ended"
    assert isinstance(pid, int)
    assert not is_running(pid)
    assert not heard.ends.acquire(blocking=False)


def test_a_companion_that_is_killed_is_reported_as_ended_and_started_again(tmp_path: Path) -> None:
    with companion(Telling(tmp_path / "ended")) as heard:
        first = heard.next()
        assert isinstance(first, int)
        os.kill(first, signal.SIGKILL)
        assert heard.ends.acquire(timeout=SOON)
        second = heard.next()
        assert second != first
        assert second == heard.companion.pid


def test_a_companion_that_fails_again_and_again_can_be_closed() -> None:
    with companion(Failing()) as heard:
        for _ in range(2):
            assert heard.next() == "begun"
            assert heard.ends.acquire(timeout=SOON)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_left_to_the_service_and_a_request_to_end_is_heeded(
    number: signal.Signals, tmp_path: Path
) -> None:
    ended = tmp_path / "ended"
    with companion(Telling(ended)) as heard:
        pid = heard.next()
        assert isinstance(pid, int)
        os.kill(pid, number)
        if number is signal.SIGTERM:
            assert heard.ends.acquire(timeout=SOON)
            assert ended.read_text() == "ended"
        else:
            with pytest.raises(Empty):
                heard.reports.get(timeout=0.3)
            assert is_running(pid)


def test_a_companion_that_is_stopped_is_reported_as_silent_until_it_goes_on() -> None:
    silent = threading.Semaphore(0)
    reports: Queue[object] = Queue()
    made = Sealer(
        Beating(), name="test", hear=reports.put, ended=lambda: None, silent=silent.release, silence_seconds=2.0
    )
    try:
        pid = reports.get(timeout=SOON)
        assert isinstance(pid, int)
        while silent.acquire(blocking=False):
            pass  # It was silent while it started.
        assert not silent.acquire(timeout=3.0)
        os.kill(pid, signal.SIGSTOP)
        assert silent.acquire(timeout=SOON)
        assert silent.acquire(timeout=SOON)
        while not reports.empty():
            reports.get()
        os.kill(pid, signal.SIGCONT)
        assert reports.get(timeout=SOON) == pid
    finally:
        made.close()


def pid_after(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_work_goes_on_in_another_process_when_the_one_before_was_killed_idle_or_at_work() -> None:
    apart = Apart(1)
    try:
        first = apart.run(pid_after, 0)
        os.kill(first, signal.SIGKILL)
        second = apart.run(pid_after, 0)
        assert second not in (first, os.getpid())
        killer = threading.Timer(0.5, os.kill, (second, signal.SIGKILL))
        killer.start()
        assert apart.run(pid_after, 1.0) not in (first, second)
        killer.join()
    finally:
        apart.close()


def test_work_that_kills_its_process_each_time_has_no_answer_and_harms_nothing_after_it() -> None:
    apart = Apart(1)
    try:
        with pytest.raises(EndedWithoutAnswer):
            apart.run(die)
        assert is_running(apart.run(pid_after, 0))
    finally:
        apart.close()


PARENT = """
import sys, time
from pathlib import Path
from policy_engine.app.sealer import Apart, Sealer, EndedWithoutAnswer
from tests.app.test_sealer import Telling

if __name__ == "__main__":
    Sealer(Telling(Path(sys.argv[1])), name="test", hear=lambda one: print(one, flush=True), ended=lambda: None)
    if sys.argv[2] == "wait":
        time.sleep(60)
    input()
"""


@pytest.mark.parametrize("end", ["kill", "leave"])
def test_a_companion_does_not_outlive_its_service_however_that_ends(end: str, tmp_path: Path) -> None:
    program, ended = tmp_path / "parent.py", tmp_path / "ended"
    program.write_text(PARENT)
    with subprocess.Popen(  # noqa: S603  this interpreter and this test
        [sys.executable, program, ended, "wait" if end == "kill" else "leave"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        if end == "kill":
            parent.kill()
        else:
            # It ends without closing its companion, as one does whose port is taken.
            assert parent.stdin is not None
            parent.stdin.write("\n")
            parent.stdin.flush()
        parent.wait(SOON)
    deadline = time.monotonic() + SOON
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(pid)
    assert ended.read_text() == "ended"
