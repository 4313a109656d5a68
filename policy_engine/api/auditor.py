"""Routes of the auditor: a decision by its id."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from policy_engine.api.errors import NotFound
from policy_engine.api.security import authenticated
from policy_engine.domain.ports import DecisionLog
from policy_engine.service.keyring import KeyRing


def routes(log: DecisionLog, ring: KeyRing) -> list[Route]:
    """The auditor's routes."""

    async def decision(request: Request) -> Response:
        await asyncio.to_thread(ring.refresh)
        authenticated(request, ring, "decisions:read")
        decision_id = request.path_params["decision_id"]
        record = await asyncio.to_thread(log.read, decision_id)
        if record is None:
            raise NotFound("no decision has this id")
        return Response(record, media_type="application/json")

    return [Route("/decisions/{decision_id}", decision, methods=["GET"])]
