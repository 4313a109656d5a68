"""Routes of operations: alive, and ready to decide."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from policy_engine.api.errors import problem_response
from policy_engine.domain.ports import DecisionLog, Members, MembersUnavailable
from policy_engine.policy.shelf import Shelf


def routes(shelf: Shelf, members: Members, log: DecisionLog) -> list[Route]:
    """`/livez` says that the process serves; `/readyz` that it can decide: book, database and log."""

    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_: Request) -> Response:
        missing = []
        if shelf.current() is None:
            missing.append("no rule book is in force")
        if not log.alive:
            missing.append("the log takes no records")
        try:
            await asyncio.to_thread(members.control)
        except MembersUnavailable:
            missing.append("the database does not answer")
        if missing:
            return problem_response(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "not-ready",
                "The service cannot decide",
                detail="; ".join(missing),
                headers={"Retry-After": "1"},
            )
        return JSONResponse({"status": "ready"})

    return [Route("/livez", livez, methods=["GET"]), Route("/readyz", readyz, methods=["GET"])]
