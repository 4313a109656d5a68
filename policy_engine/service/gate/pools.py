"""Threads for blocking work, a pool for each class of it, so that none waits for another.

- A freeze, a decision and the word on health never wait for an assessment, a simulation, an export or a search.
- Each pool says how many may work at once and how many may wait. Past that `Busy` is raised at once: whoever asks can
  come back, and what waits in memory has an end.
- Work that has begun goes on when nobody waits for it any more, and keeps its place until it is done; work that still
  waits is dropped then.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from time import monotonic
from typing import Final, ParamSpec, TypeVar

from policy_engine.service.gate.turns import COMMIT_SECONDS, outcome_in_time

P = ParamSpec("P")
T = TypeVar("T")


class Busy(Exception):
    """As much of this work is done and waited for as there is room for; nothing was begun."""


class Pool:
    """Threads for one class of work. `close` it."""

    def __init__(self, name: str, *, threads: int, waiting: int) -> None:
        """`threads` work at once, and so many more may wait."""
        self._name = name
        self._room = threads + waiting
        self._held = 0
        self._lock = threading.Lock()
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name.replace(" ", "-"))

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` gives, from one of the threads. Raises `Busy`, and what `work` raises."""
        with self._lock:
            if self._held >= self._room:
                raise Busy(f"{self._held} {self._name} are running or waiting already: ask again shortly")
            self._held += 1
        return await self._done(partial(work, *args, **kwargs))

    async def run_in_turn(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `run`, and however many wait: for the next piece of an answer that has begun."""
        with self._lock:
            self._held += 1
        return await self._done(partial(work, *args, **kwargs))

    async def committed(self, handle: Future[T]) -> T:
        """What became of records that are with the log; no thread waits for it. Raises `LogUnavailable`."""
        if not handle.done():
            loop = asyncio.get_running_loop()
            woken = asyncio.Event()
            handle.add_done_callback(lambda _: loop.call_soon_threadsafe(woken.set))
            timer = loop.call_later(COMMIT_SECONDS, woken.set)
            try:
                await woken.wait()
            finally:
                timer.cancel()
        return outcome_in_time(handle)

    async def _done(self, work: Callable[[], T]) -> T:
        future = self._executor.submit(copy_context().run, work)
        future.add_done_callback(lambda _: self._give_back())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Take no more work, and drop what waits; what has begun is not waited for."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _give_back(self) -> None:
        with self._lock:
            self._held -= 1


class Shared:
    """Work that many ask for at once, done once for all who asked before it began, and not more often than so."""

    def __init__(self, pool: Pool, *, pause_seconds: float) -> None:
        self._pool = pool
        self._pause = pause_seconds
        self._next: asyncio.Future[object] | None = None
        self._begun = -pause_seconds

    async def run(self, work: Callable[[], object]) -> None:
        """Returns when the work was done, once at least, from beginning to end since this was called.

        Whoever asks gives the same work. Raises `Busy`, and what the work raises.
        """
        if self._next is None:
            self._next = asyncio.ensure_future(self._once(work))
        await asyncio.shield(self._next)

    async def _once(self, work: Callable[[], object]) -> object:
        await asyncio.sleep(max(0.0, self._begun + self._pause - monotonic()))
        # Whoever asks from now on may be asking for what this does not find any more.
        self._next = None
        self._begun = monotonic()
        return await self._pool.run(work)


LOOKS_PAUSE_SECONDS: Final = 0.05
"""Between two looks for a key that is not known here; so long at most the first use of a new key waits."""


class Pools:
    """The classes of blocking work of a service. `close` them."""

    def __init__(self) -> None:
        self.entrance = Pool("checks of callers", threads=2, waiting=1_000)
        """Reads the counters of the database to know who asks, and nothing else."""
        self.looks = Shared(self.entrance, pause_seconds=LOOKS_PAUSE_SECONDS)
        """Looks for a key that is not known here."""
        self.issuer = Pool("reads of the keys of the tokens' issuer", threads=1, waiting=1_000)
        self.issuer_looks = Shared(self.issuer, pause_seconds=0.0)
        self.health = Pool("questions about health", threads=1, waiting=32)
        # More than the cores: beside a few that take seconds, the others have their turns.
        self.decisions = Pool("decisions", threads=8, waiting=1_000)
        """Judges single requests, and reads anew what they stand on."""
        self.batches = Pool("batches", threads=2, waiting=64)
        self.freezes = Pool("freezes", threads=2, waiting=64)
        """Declares and lifts."""
        self.desk = Pool("changes by people", threads=2, waiting=64)
        """Whatever else people change."""
        self.reads = Pool("reads", threads=4, waiting=256)
        """Looks up by id or by an index."""
        self.archive = Pool("reads of the archive", threads=2, waiting=16)
        """Reads far back in the log: exports, replays, retirement."""
        self.endings = Pool("reads of what may have ended", threads=1, waiting=256)
        """Reads on in the log, several times a second, for whoever listens."""
        self.simulations = Pool("simulations", threads=1, waiting=32)
        self.assessments = Pool("assessments of books", threads=2, waiting=8)
        """Waits for the processes in which books are checked and assessed."""

    def close(self) -> None:
        """As each pool."""
        for pool in vars(self).values():
            if isinstance(pool, Pool):
                pool.close()
