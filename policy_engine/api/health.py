"""Routes of operations: alive, and ready to decide."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from policy_engine.api.errors import problem_response
from policy_engine.domain.ports import DecisionLog, LogUnavailable, Members, MembersUnavailable
from policy_engine.service.gate import Gate
from policy_engine.service.pools import Pools
from policy_engine.service.sealing import Keeper
from policy_engine.service.watch import Watcher

_log: Final = structlog.get_logger("policy_engine.health")


def routes(
    gate: Gate, members: Members, log: DecisionLog, watcher: Watcher | None, keeper: Keeper | None, pools: Pools
) -> list[Route]:
    """`/livez` says that the process serves; `/readyz` that it can decide: book, database and log."""

    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def looked() -> list[str]:
        missing = []
        if not log.alive:
            missing.append("the log takes no records")
        try:
            await pools.health.run(members.control)
            if not await pools.health.run(gate.has_book):
                missing.append("no rule book is in force, or it cannot be read")
            await pools.health.run(log.check)
        except MembersUnavailable:
            missing.append("the database does not answer")
        except LogUnavailable:
            missing.append("the log cannot be written")
        return missing

    looking: asyncio.Task[list[str]] | None = None
    told: list[str] = []

    def tell(missing: list[str]) -> None:
        nonlocal told
        if missing != told:
            told = missing
            if missing:
                _log.error("not ready", missing=missing)
            else:
                _log.warning("ready again")

    async def readyz(_: Request) -> Response:
        # It needs no key, so however many ask at once cost one look, and nobody's own question is too many.
        nonlocal looking
        if looking is None or looking.done() or looking.get_loop() is not asyncio.get_running_loop():
            looking = asyncio.create_task(looked())
        missing = await asyncio.shield(looking)
        tell(missing)
        if missing:
            return problem_response(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "not-ready",
                "The service cannot decide",
                detail="; ".join(missing),
                headers={"Retry-After": "1"},
            )
        # Decisions go on under the last good book and into the database; whoever watches the service sees the alarm.
        alarms = []
        if watcher is not None and watcher.alarm is not None:
            alarms.append(watcher.alarm.text)
        if keeper is not None and keeper.alarm is not None:
            alarms.append(keeper.alarm)
        return JSONResponse({"status": "ready", "alarms": alarms} if alarms else {"status": "ready"})

    return [Route("/livez", livez, methods=["GET"]), Route("/readyz", readyz, methods=["GET"])]
