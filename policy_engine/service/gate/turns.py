"""How a door waits for what takes time, so that what is done is written once for every kind of door.

A walk is a coroutine that waits for nothing but its turns. An asyncio door gives it a pool of threads; for a
synchronous one the work is done where it stands, and the walk runs to its end without a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from typing import Final, ParamSpec, Protocol, TypeVar

from policy_engine.domain.ports import LogUnavailable

COMMIT_SECONDS: Final = 5.0
"""A log that says nothing for so long is one that cannot be written, for whoever asks."""

P = ParamSpec("P")
T = TypeVar("T")


class Turns(Protocol):
    """How a door waits for what takes time."""

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the work gives, and raises. A door that has no room for more raises before anything is begun."""
        ...

    async def run_in_turn(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `run`, and however many wait: for the next piece of an answer that has begun."""
        ...

    async def committed(self, handle: Future[T]) -> T:
        """What became of records that are with the log. Raises `LogUnavailable`, also after `COMMIT_SECONDS`."""
        ...


class Here:
    """The turns of a synchronous door: it does what takes time itself, and waits for the log."""

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the work gives, and raises."""
        return work(*args, **kwargs)

    run_in_turn = run

    async def committed(self, handle: Future[T]) -> T:
        """What became of the records."""
        wait([handle], COMMIT_SECONDS)
        return outcome_in_time(handle)


def outcome_in_time(handle: Future[T]) -> T:
    """What became of records for which was waited long enough. Raises `LogUnavailable`, for those that wait still."""
    if not handle.done():
        handle.cancel()
        raise LogUnavailable("the log did not commit in time")
    return handle.result()


def walked(walk: Coroutine[None, None, T]) -> T:
    """The end of a walk whose turns never wait for a loop."""
    try:
        walk.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("a synchronous door cannot wait for a loop")
