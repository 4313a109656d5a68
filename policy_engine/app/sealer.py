"""Processes beside the service's own, for work on which no decision waits.

Threads of one process take turns at one interpreter; what is done in a sealer takes none of the decisions' turns.

- What the sealer reports is heard in a thread of this process.
- It ends when this process does, however that ends: the pipe between them closes. An interrupt at the terminal, which
  reaches both, is left to this process.
- One that ends by itself is reported as ended, and started again after `RESTART_SECONDS`.
- One of which nothing is heard, because it was stopped or its disk does not answer, is reported as silent.

What is worked out once and answered is done `Apart`: in processes that are started when they are needed, and started
anew when one of them was killed.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Final, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

RESTART_SECONDS: Final = 0.5
_END_SECONDS: Final = 10.0


class Work(Protocol):
    """What a sealer does. It can be pickled, and returns soon after `ending` says so.

    An error that it raises is printed with its text: whoever works with facts of persons raises none.
    """

    def __call__(self, *, report: Callable[[object], None], ending: Callable[[float], bool]) -> None:
        """`report` takes what can be pickled; `ending` waits up to so many seconds for the end, and says if it came."""
        ...


class Sealer:
    """The process, and who hears of it. `close` it."""

    def __init__(
        self,
        work: Work,
        *,
        name: str,
        hear: Callable[[object], None],
        ended: Callable[[], None],
        silent: Callable[[], None] = lambda: None,
        silence_seconds: float | None = None,
    ) -> None:
        """Start it. `hear` is given its reports, and `ended` is called when it has ended by itself; `silent` when
        nothing was reported for `silence_seconds`, and again whenever these have passed."""
        self._silent = silent
        self._silence = silence_seconds
        self._work = work
        self._name = name
        self._hear = hear
        self._ended = ended
        self._closing = threading.Event()
        self._connection, self._process = self._start()
        self._thread = threading.Thread(target=self._listen, name=f"{name}-listener", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The process that works now."""
        return self._process.pid

    def close(self) -> None:
        """Let it finish what it does, and end it."""
        self._closing.set()
        self._ask_to_end()
        self._thread.join(_END_SECONDS)
        self._process.join(_END_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._connection.close()

    def _ask_to_end(self) -> None:
        with suppress(OSError):
            self._connection.send(None)

    def _start(self) -> tuple[Connection, BaseProcess]:
        # Not forked: a copy of a process with threads may hold locks that nobody gives back.
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_run, args=(self._work, theirs), name=self._name, daemon=True)
        process.start()
        theirs.close()
        return ours, process

    def _listen(self) -> None:
        while True:
            with suppress(EOFError, OSError):
                while True:
                    if self._connection.poll(self._silence):
                        self._hear(self._connection.recv())
                    elif not self._closing.is_set():
                        self._silent()
            if self._closing.is_set():
                return
            self._ended()
            if self._closing.wait(RESTART_SECONDS):
                return
            self._process.join()
            self._connection.close()
            self._connection, self._process = self._start()
            if self._closing.is_set():
                self._ask_to_end()


class EndedWithoutAnswer(Exception):
    """A process ended before it had answered, and so did the one that was started in its place."""


class Apart:
    """Processes that each work something out and answer. `close` them."""

    def __init__(self, processes: int) -> None:
        """At most so many at once; each is started when it is first needed."""
        self._processes = processes
        self._lock = threading.Lock()
        self._pool = self._start()

    def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` gives; waits for it, and for a process that is free.

        When a process is killed whatever its siblings were working out is lost with it, so it is begun once more.
        Raises `EndedWithoutAnswer`, and what `work` raises.
        """
        for _ in range(2):
            pool = self._pool
            try:
                return pool.submit(work, *args, **kwargs).result()
            except BrokenProcessPool:
                self._replace(pool)
        raise EndedWithoutAnswer

    def close(self) -> None:
        """Drop what waits, and end the processes once they are done."""
        with self._lock:
            self._pool.shutdown(cancel_futures=True)

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is broken:
                broken.shutdown(wait=False)
                self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._processes, mp_context=get_context("spawn"))


def _run(work: Work, connection: Connection) -> None:
    told_to_end = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: told_to_end.set())

    def report(message: object) -> None:
        # Without anybody to tell there is nobody to work for, and `ending` says so.
        with suppress(OSError):
            connection.send(message)

    def ending(seconds: float) -> bool:
        # Readable when the end is asked for, and when the other end is gone.
        return connection.poll(seconds) or told_to_end.is_set()

    work(report=report, ending=ending)
