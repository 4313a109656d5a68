"""Blocking work has room of its own, and an end to what waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from policy_engine.service.gate.pools import Busy, Pool, Pools, Shared


@contextmanager
def pool(*, threads: int, waiting: int) -> Iterator[tuple[Pool, threading.Event]]:
    """A pool, and what its work waits for."""
    made, go = Pool("tests", threads=threads, waiting=waiting), threading.Event()
    try:
        yield made, go
    finally:
        go.set()
        made.close()


def test_past_what_works_and_what_may_wait_nothing_more_is_taken_and_room_comes_back_with_each_answer() -> None:
    async def tried() -> None:
        with pool(threads=1, waiting=2) as (held, go):
            begun = [asyncio.ensure_future(held.run(go.wait)) for _ in range(3)]
            await asyncio.sleep(0)
            with pytest.raises(Busy, match="3 tests are running or waiting already"):
                await held.run(go.wait)
            go.set()
            assert await asyncio.gather(*begun) == [True] * 3
            assert await held.run(go.wait) is True

    asyncio.run(tried())


def test_what_the_work_raises_is_raised_and_gives_its_room_back() -> None:
    async def tried() -> None:
        with pool(threads=1, waiting=0) as (held, _):
            for _ in range(3):
                with pytest.raises(ZeroDivisionError):
                    await held.run(divmod, 1, 0)

    asyncio.run(tried())


def test_who_goes_away_gives_the_place_in_the_queue_back_and_not_that_of_work_that_has_begun() -> None:
    async def tried() -> None:
        with pool(threads=1, waiting=1) as (held, go):
            working = threading.Event()

            def work() -> bool:
                working.set()
                return go.wait()

            begun = asyncio.ensure_future(held.run(work))
            await asyncio.to_thread(working.wait)
            waits = asyncio.ensure_future(held.run(go.wait))
            await asyncio.sleep(0)
            waits.cancel()
            await asyncio.wait([waits])
            waits = asyncio.ensure_future(held.run(go.wait))
            await asyncio.sleep(0)
            begun.cancel()
            await asyncio.wait([begun])
            with pytest.raises(Busy):
                await held.run(go.wait)
            go.set()
            assert await waits is True

    asyncio.run(tried())


def test_the_next_piece_of_an_answer_that_has_begun_is_taken_however_full_the_pool_is() -> None:
    async def tried() -> None:
        with pool(threads=1, waiting=0) as (held, go):
            begun = asyncio.ensure_future(held.run(go.wait))
            await asyncio.sleep(0)
            piece = asyncio.ensure_future(held.run_in_turn(next, iter("a"), None))
            await asyncio.sleep(0)
            go.set()
            assert (await begun, await piece) == (True, "a")

    asyncio.run(tried())


def test_no_class_of_work_waits_for_another() -> None:
    async def tried() -> None:
        pools, go = Pools(), threading.Event()
        try:
            classes: list[Pool] = [one for one in vars(pools).values() if isinstance(one, Pool)]
            blocked = [asyncio.ensure_future(one.run(go.wait)) for one in classes[1:] for _ in range(8)]
            await asyncio.sleep(0)
            assert await asyncio.wait_for(classes[0].run(lambda: 1), 10) == 1
            go.set()
            await asyncio.gather(*blocked)
        finally:
            go.set()
            pools.close()

    asyncio.run(tried())


def test_a_look_that_many_ask_for_at_once_is_made_once_for_them_and_again_for_who_comes_while_it_is_made() -> None:
    async def tried() -> None:
        with pool(threads=2, waiting=100) as (held, go):
            shared, begun, count = Shared(held, pause_seconds=0.0), threading.Event(), 0

            def look() -> None:
                nonlocal count
                count += 1
                begun.set()
                go.wait()

            first = [asyncio.ensure_future(shared.run(look)) for _ in range(50)]
            await asyncio.to_thread(begun.wait)
            assert count == 1
            second = asyncio.ensure_future(shared.run(look))
            go.set()
            await asyncio.gather(*first, second)
            assert count == 2

    asyncio.run(tried())


def test_a_look_that_fails_fails_for_all_who_asked_for_it_and_the_next_one_is_made() -> None:
    async def tried() -> None:
        with pool(threads=1, waiting=100) as (held, _):
            shared = Shared(held, pause_seconds=0.0)
            told = await asyncio.gather(*(shared.run(lambda: 1 // 0) for _ in range(3)), return_exceptions=True)
            assert [type(one) for one in told] == [ZeroDivisionError] * 3
            await shared.run(lambda: 1)

    asyncio.run(tried())
