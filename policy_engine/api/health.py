"""Routes of operations: alive, and ready to decide."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

import msgspec
import structlog
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from policy_engine.app.builder import Parts
from policy_engine.domain.ports import LogUnavailable, MembersUnavailable
from policy_engine.http.errors import NOT_READY, problem_response
from policy_engine.http.reference import audience, described
from policy_engine.http.security import PartsOf
from policy_engine.shapes.health import AliveDocument, ReadyDocument

_log: Final = structlog.get_logger("policy_engine.health")

router = audience("operations")


class Readiness:
    """Whether the service can decide. However many ask at once, it is looked at once."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._looking: asyncio.Task[list[str]] | None = None
        self._told: list[str] = []

    async def missing(self) -> list[str]:
        """What keeps it from deciding; a change of that is logged."""
        looking = self._looking
        if looking is None or looking.done() or looking.get_loop() is not asyncio.get_running_loop():
            looking = self._looking = asyncio.create_task(self._look())
        missing = await asyncio.shield(looking)
        if missing != self._told:
            self._told = missing
            if missing:
                _log.error("not ready", missing=missing)
            else:
                _log.warning("ready again")
        return missing

    async def _look(self) -> list[str]:
        parts = self._parts
        missing = []
        if not parts.log.alive:
            missing.append("the log takes no records")
        try:
            await parts.pools.health.run(parts.members.control)
            if not await parts.pools.health.run(parts.gate.has_book):
                missing.append("no rule book is in force, or it cannot be read")
            await parts.pools.health.run(parts.log.check)
        except MembersUnavailable:
            missing.append("the database does not answer")
        except LogUnavailable:
            missing.append("the log cannot be written")
        return missing


@router.get("/livez", **described({HTTPStatus.OK: AliveDocument}, keyed=False))
async def livez() -> Response:
    """Whether the process serves."""
    return Response(msgspec.json.encode(AliveDocument(status="alive")), media_type="application/json")


@router.get("/readyz", **described({HTTPStatus.OK: ReadyDocument}, problems=(NOT_READY,), keyed=False))
async def readyz(request: Request, parts: PartsOf) -> Response:
    """Whether the service can decide: there are a book, the database and the log."""
    # It needs no key, so that nobody's own question may be too many.
    readiness: Readiness = request.app.state.readiness
    missing = await readiness.missing()
    if missing:
        return problem_response(NOT_READY, "; ".join(missing))
    # Decisions go on under the last good book and into the database; whoever watches the service sees the alarm.
    alarms = [] if parts.watcher is None or parts.watcher.alarm is None else [parts.watcher.alarm.text]
    if parts.keeper is not None and parts.keeper.alarm is not None:
        alarms.append(parts.keeper.alarm)
    told = ReadyDocument(status="ready", alarms=tuple(alarms) or UNSET)
    return Response(msgspec.json.encode(told), media_type="application/json")
