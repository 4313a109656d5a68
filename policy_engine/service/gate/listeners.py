"""Who listens to what may have ended, as events of a stream (WHATWG HTML, server-sent events).

- While anybody listens one reader follows the log for all of them. A listener holds the number of the last change that
  it was told of and nothing else, so that a slow one costs no memory; whoever is further behind than what is kept for
  all is told from the log.
- The id of an event is the number of its change in the log. Whoever comes back with the last one is told everything
  since, by whichever process, also after a restart.
- A sign of life says that the log was read a moment ago. Where it cannot be read there is none, and after
  `SILENT_SECONDS` the stream is closed: silence is never taken for "nothing ended".
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Final

from policy_engine.domain.ports import LogUnavailable, MembersUnavailable
from policy_engine.service.gate.endings import Endings, Reading, Told
from policy_engine.service.gate.pools import Busy, Pool

LOOK_SECONDS: Final = 0.2
"""Between two looks at the log."""
ALIVE_SECONDS: Final = 2.0
"""Between two signs of life."""
SILENT_SECONDS: Final = 5.0
"""A log that could not be read for so long ends the stream."""
_KEPT: Final = 1_024
"""Events that are kept for all."""
_RETRY_MILLISECONDS: Final = 500
"""After which a listener whose stream was cut is asked to come back."""


class Listeners:
    """The streams of one process. It is used from one event loop."""

    def __init__(self, endings: Endings, pool: Pool, *, most: int, report: Callable[[str], None]) -> None:
        """At most `most` listen at once. `report` is told the name of an error that nobody foresaw."""
        self._endings = endings
        self._pool = pool
        self._most = most
        self._report = report
        self._recent: deque[Told] = deque()
        self._floor = self._head = -1
        self._read_at = 0.0
        self._woken = asyncio.Event()
        self._follower: asyncio.Task[None] | None = None
        self.count = 0
        """So many listen now."""

    async def stream(self, last_told: int | None, allowed: Callable[[], bool]) -> AsyncIterator[bytes]:
        """The events after one, or from now on. Whoever was given them calls `leave` once, however they end.

        `allowed` says whether the listener may go on. Raises `Busy` where as many listen as may, and `LogUnavailable`.
        """
        if self.count >= self._most:
            raise Busy(f"{self.count} gateways listen already: ask again shortly")
        # Before anything is waited for, so that many who come at once are no more than may.
        self.count += 1
        try:
            last = await self._pool.run(self._endings.last)
        except BaseException:
            self.leave()
            raise
        return self._events(last_told, last, allowed)

    def leave(self) -> None:
        """One listens no more."""
        self.count -= 1

    async def _events(self, last_told: int | None, last: int, allowed: Callable[[], bool]) -> AsyncIterator[bytes]:
        self._follow(last)
        since = last if last_told is None else min(last_told, last)
        # Where the listener was told more than there is, this is not the log that it was told from: it was put back.
        name = "reset" if last_told is not None and last_told > last else "begin"
        yield _event(name, since, b'{"index":%d}' % since)
        alive_at = monotonic()
        while allowed() and monotonic() - self._read_at < SILENT_SECONDS:
            woken = self._woken
            reading = await self._since(since)
            for one in reading.told:
                yield _event("ended", one.index, one.document)
            since = max(since, reading.up_to)
            if reading.more:
                continue
            if monotonic() - alive_at >= ALIVE_SECONDS and monotonic() - self._read_at < ALIVE_SECONDS:
                alive_at = monotonic()
                yield b": alive\n\n"
            await _waited(woken, LOOK_SECONDS)

    async def _since(self, index: int) -> Reading:
        if index >= self._floor:
            told = tuple(one for one in self._recent if one.index > index)
            return Reading(told=told, up_to=max(index, self._head), more=False)
        try:
            return await self._pool.run_in_turn(self._endings.after, index)
        except (LogUnavailable, MembersUnavailable):
            return Reading(told=(), up_to=index, more=False)

    def _follow(self, last: int) -> None:
        """Have the log followed, from its end on where nobody does yet."""
        if self._follower is not None and not self._follower.done():
            return
        self._recent.clear()
        self._floor = self._head = last
        self._read_at = monotonic()
        self._follower = asyncio.create_task(self._read_on())

    async def _read_on(self) -> None:
        while self.count:
            try:
                reading = await self._pool.run_in_turn(self._endings.after, self._head)
            except (LogUnavailable, MembersUnavailable):
                await asyncio.sleep(LOOK_SECONDS)
                continue
            except Exception as error:
                # The streams end, since the log is not read any more, and whoever comes back has it read anew.
                self._report(type(error).__name__)
                raise
            self._read_at = monotonic()
            self._take(reading)
            if not reading.more:
                await asyncio.sleep(LOOK_SECONDS)

    def _take(self, reading: Reading) -> None:
        self._recent.extend(reading.told)
        while len(self._recent) > _KEPT:
            self._floor = self._recent.popleft().index
        if reading.up_to > self._head:
            self._head = reading.up_to
            self._woken.set()
            self._woken = asyncio.Event()


def _event(name: str, index: int, document: bytes) -> bytes:
    retry = b"" if name == "ended" else b"retry: %d\n" % _RETRY_MILLISECONDS
    return b"%sevent: %s\nid: %d\ndata: %s\n\n" % (retry, name.encode("ascii"), index, document)


async def _waited(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
