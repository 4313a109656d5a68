"""SIGKILL, or an error, at every system call on files that one checkpoint makes.

A try is one process that seals a prepared log once, see `one_shot`: it is forked from a process that has imported
everything, stops itself once its database is open, is traced from there, and goes on. strace kills it as it enters the
call, so the call is not done any more; killed at the end marker it has done all of them. Calls are counted for each
name, as strace counts them. Then the next process goes on with what was left.

An error is given to a service's keeper, which turns once more in the same process before the next one comes.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final, TypeVar

from benchmarks.torture.one_shot import END, GoneOn, Kept, go_on, keep_twice, seal_once
from benchmarks.torture.report import Outcome, progress
from benchmarks.torture.traced import FILES, Call, calls_in_order, is_stopped, traced
from policy_engine.app.builder import open_sealing, upgrade
from policy_engine.store.database import open_database
from policy_engine.store.decision_log import DecisionLog
from policy_engine.store.log_entries import LogEntries
from tests.faults.process import Installation
from tests.store.samples import record

_T = TypeVar("_T")

_PROCESSES: Final = get_context("forkserver")
_PROCESSES.set_forkserver_preload(["benchmarks.torture.one_shot"])
_SECONDS: Final = 30.0
"""How long one process may take; none is measured by it."""
_NOT_BROKEN: Final = frozenset({"close", "fcntl"})
"""Calls of which an injected error leaves what no kernel leaves on a local file system: a descriptor that stays open, a
lock that is never let go of. The process is killed at them all the same."""
_NOTICED: Final = frozenset({"write", "pwrite64", "fsync", "rename"})
"""Calls of which no error may pass without an alarm."""
_PROGRESS_EVERY: Final = 100

_IN_2026: Final = datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC)
_IN_2027: Final = datetime(2027, 1, 1, 0, 0, 1, tzinfo=UTC)


class Growth(StrEnum):
    """What the checkpoint adds."""

    PARTIAL = "partial tiles"
    FULL = "a bundle becomes full"
    FIRST = "the first one ever"
    YEAR = "a year begins"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Log:
    """What is committed: so many entries, sealed after each step, and then those that wait, with their instant."""

    sealed: tuple[int, ...]
    waiting: tuple[tuple[int, datetime], ...]

    @property
    def size(self) -> int:
        return sum(self.sealed) + sum(count for count, _ in self.waiting)


_LOGS: Final = {
    Growth.PARTIAL: _Log(sealed=(60, 40), waiting=((40, _IN_2026),)),
    Growth.FULL: _Log(sealed=(200, 50), waiting=((30, _IN_2026),)),
    Growth.FIRST: _Log(sealed=(), waiting=((40, _IN_2026),)),
    Growth.YEAR: _Log(sealed=(100,), waiting=((10, _IN_2026), (10, _IN_2027))),
}


def _prepare(growth: Growth, folder: Path) -> Installation:
    """An installation of which the log waits to be sealed; nothing of it is open."""
    installation = Installation(url=f"sqlite:///{folder / 'service.db'}", folder=folder)
    upgrade(installation.settings)
    engine = open_database(installation.url)
    log = DecisionLog(engine)
    numbers = count()

    def commit(how_many: int, at: datetime) -> None:
        for future in [log.append(record(f"D{next(numbers):06d}", at=at)) for _ in range(how_many)]:
            future.result(_SECONDS)

    try:
        for how_many in _LOGS[growth].sealed:
            commit(how_many, _IN_2026)
            open_sealing(installation.settings, LogEntries(engine)).seal()
        for how_many, at in _LOGS[growth].waiting:
            commit(how_many, at)
    finally:
        log.close()
        engine.dispose()
    return installation


@contextmanager
def _bench(growth: Growth) -> Iterator[_Bench]:
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        prepared = Path(name) / "prepared"
        prepared.mkdir()
        yield _Bench(growth=growth, prepared=_prepare(growth, prepared), folder=Path(name))


@dataclass(slots=True)
class _Process:
    """One process that runs a function of `one_shot`, and what it tells."""

    process: ForkServerProcess
    ear: Connection

    @classmethod
    @contextmanager
    def running(cls, function: Callable[..., None], *arguments: object) -> Iterator[_Process]:
        """Killed at the end if it still runs."""
        ear, mouth = _PROCESSES.Pipe(duplex=False)
        process = _PROCESSES.Process(target=function, args=(*arguments, mouth))
        process.start()
        mouth.close()
        try:
            yield cls(process, ear)
        finally:
            process.kill()
            process.join()
            ear.close()

    @contextmanager
    def traced(self, output: Path, *options: str) -> Iterator[None]:
        """From where it has stopped itself; it goes on once it is traced."""
        pid = self.process.pid
        assert pid is not None
        end = time.monotonic() + _SECONDS
        while not is_stopped(pid):
            assert time.monotonic() < end, "the process did not come to the beginning"
            time.sleep(0.001)
        with traced(pid, output, *options):
            os.kill(pid, signal.SIGCONT)
            yield

    def told(self, kind: type[_T]) -> _T:
        """What it tells before it ends in order."""
        assert self.ear.poll(_SECONDS), "the process does not end"
        try:
            told = self.ear.recv()
        except EOFError:
            raise AssertionError(f"the process ended with {self.ended()} and told nothing") from None
        assert isinstance(told, kind)
        assert self.ended() == 0
        return told

    def ended(self) -> int:
        """The exit code, negative for a signal."""
        self.process.join(_SECONDS)
        assert self.process.exitcode is not None, "the process does not end"
        return self.process.exitcode


@dataclass(slots=True, kw_only=True)
class _Bench:
    """A prepared installation, of which each try gets a copy."""

    growth: Growth
    prepared: Installation
    folder: Path

    def copy(self) -> Installation:
        """A new one, in the place of the last."""
        folder = self.folder / "try"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.prepared.folder, folder)
        return replace(self.prepared, folder=folder, url=f"sqlite:///{folder / 'service.db'}")

    def calls(self) -> list[Call]:
        """The calls of a run that nothing happens to, in their order, the end marker last; two runs have the same."""
        found = []
        for _ in range(2):
            output = self.folder / "count.trace"
            with _Process.running(seal_once, self.copy()) as process, process.traced(output, "-e", FILES):
                process.told(bool)
            found.append(calls_in_order(output, end=END))
        assert found[0] == found[1], "two runs make different calls"
        return found[0]

    def killed(self, call: Call) -> str | None:
        """Which checkpoint stood published when it was killed."""
        installation = self.copy()
        options = ("-e", f"trace={call.name}", "-e", call.injecting("signal=SIGKILL"))
        with (
            _Process.running(seal_once, installation) as process,
            process.traced(self.folder / "kill.trace", *options),
        ):
            code = process.ended()
        assert code in (0, -signal.SIGKILL), f"the process ended with {code}"
        found = self._goes_on(installation)
        if code == 0:
            return None
        if not found.before:
            return "none yet"
        return "the newest one" if found.before == found.after else "an earlier one"

    def broken(self, error: str, open_files: int, call: Call) -> str | None:
        """What was noticed of the error."""
        installation = self.copy()
        output = self.folder / "break.trace"
        options = ("-e", f"trace={call.name}", "-e", call.injecting(f"error={error}"))
        with _Process.running(keep_twice, installation) as process, process.traced(output, *options):
            kept = process.told(Kept)
        self._goes_on(installation, kept.shown)
        if "INJECTED" not in output.read_text(errors="replace"):
            return None
        if kept.refused is not None:
            return "the log not opened"
        assert kept.descriptors == open_files, f"{kept.descriptors} files are open, and were {open_files}"
        assert kept.alarm is not None or call.name not in _NOTICED, "it failed and nobody noticed"
        return "no effect" if kept.alarm is None else "an alarm until the next turn"

    def _goes_on(self, installation: Installation, shown: tuple[bytes, ...] = ()) -> GoneOn:
        """The next process makes good whatever was left; it has to go on from what was `shown` too."""
        with _Process.running(go_on, installation, shown) as process:
            found = process.told(GoneOn)
        assert found.sealed == _LOGS[self.growth].size
        return found

    def open_files(self) -> int:
        """How many a process has open that has turned twice, when nothing happens to it."""
        with _Process.running(keep_twice, self.copy()) as process, process.traced(self.folder / "keep.trace"):
            return process.told(Kept).descriptors


@dataclass(slots=True)
class _Tally:
    """What came of the tries, over all growths."""

    reached: Counter[Growth] = field(default_factory=Counter)
    tried: int = 0
    came: Counter[str] = field(default_factory=Counter)

    def sweep(self, growth: Growth, calls: Sequence[Call], attempt: Callable[[Call], str | None]) -> None:
        """Try each call. An attempt says what came of it, or `None` where the call was not reached."""
        for number, call in enumerate(calls):
            if number % _PROGRESS_EVERY == 0:
                progress(f"{growth}: {number} of {len(calls)} calls")
            try:
                came = attempt(call)
            except AssertionError as error:
                raise AssertionError(f"{growth}, {call.name} number {call.at}: {error}") from error
            if came is not None:
                self.reached[growth] += 1
                self.came[came] += 1
        self.tried += len(calls)
        progress(f"{growth}: reached {self.reached[growth]} of {len(calls)} calls")

    @property
    def told(self) -> str:
        return ", ".join(f"{came} {count:,} ×" for came, count in sorted(self.came.items()))

    def outcome(self, told: str) -> Outcome:
        places = ", ".join(f"{growth} {reached}" for growth, reached in self.reached.items())
        return Outcome(count=self.reached.total(), of=self.tried, result=f"{places}; {told}")


def kill_at_every_call() -> Outcome:
    """SIGKILL on entering each call, and once all are done."""
    tally = _Tally()
    for growth in Growth:
        with _bench(growth) as bench:
            tally.sweep(growth, bench.calls(), bench.killed)
    return tally.outcome(
        "the next start found the history whole, sealed every entry and verified it against the database;"
        f" the checkpoint that stood published at the kill is consistent with it ({tally.told})"
    )


def break_every_call(error: str) -> Outcome:
    """An error, by its name, instead of each call that may be broken."""
    tally = _Tally()
    for growth in Growth:
        with _bench(growth) as bench:
            calls = [call for call in bench.calls()[:-1] if call.name not in _NOT_BROKEN]
            tally.sweep(growth, calls, partial(bench.broken, error, bench.open_files()))
    return tally.outcome(
        f"{tally.told}; the next turn sealed every entry, and the next start verified it against the database"
    )
