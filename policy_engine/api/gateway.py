"""Routes of the gateway developer: `POST /decide`."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from policy_engine.api.body import DECIDE_LIMIT, read_body
from policy_engine.api.security import authenticated
from policy_engine.domain.ports import Appended, LogUnavailable
from policy_engine.formats.record import short_answer
from policy_engine.formats.request_document import parse_object
from policy_engine.service.decide import Decider, Finished
from policy_engine.service.keyring import KeyRing, caller_of

COMMIT_TIMEOUT_SECONDS: Final = 5.0


def routes(decider: Decider, ring: KeyRing) -> list[Route]:
    """The gateway's routes."""

    async def decide(request: Request) -> Response:
        key = authenticated(request, ring, "decide")
        document = parse_object(await read_body(request, DECIDE_LIMIT))
        begun = decider.begin(document, caller_of(key))
        while True:
            outcome = decider.finish(begun, await _committed(begun.handle))
            if isinstance(outcome, Finished):
                break
            await asyncio.to_thread(_refresh)
            key = authenticated(request, ring, "decide")
            begun = decider.again(outcome)
        answer = outcome.answer if "decisions:explain" in key.rights else short_answer(outcome.answer)
        return Response(answer, media_type="application/json")

    def _refresh() -> None:
        decider.view.refresh()
        ring.refresh()

    return [Route("/decide", decide, methods=["POST"])]


async def _committed(handle: Future[Appended]) -> Appended:
    """The log's word. A log that says nothing in time is one that cannot be written, for the caller."""
    if handle.done():
        return handle.result()
    try:
        return await asyncio.wait_for(asyncio.wrap_future(handle), COMMIT_TIMEOUT_SECONDS)
    except TimeoutError as error:
        raise LogUnavailable("the log did not commit in time") from error
