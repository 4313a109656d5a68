"""`GET /watch`: gateways are told which grants may have ended, as soon as that is on record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Annotated, Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from policy_engine.domain.ports import LogUnavailable
from policy_engine.formats.request_document import FieldFault, MalformedRequest
from policy_engine.http.connections import ENDLESS
from policy_engine.http.head import HEAD_ALONE
from policy_engine.http.reference import Media, audience, described
from policy_engine.http.security import PartsOf, bearer_of, needs
from policy_engine.service.gate.keyring import Forbidden, Unauthenticated
from policy_engine.shapes.ending import EndingDocument

RIGHT: Final = "watch"
_EVENTS: Final = "text/event-stream"
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Nothing on the way may keep the events back."""
_DIGITS: Final = 19

router = audience("gateway")


@router.get(
    "/watch",
    **described(
        {
            HTTPStatus.OK: Media(
                kinds=(_EVENTS,),
                event=EndingDocument,
                meaning=(
                    "Events without end: `begin` or `reset` first, then `ended` with an `EndingDocument`; after `reset`"
                    " everything that was allowed has to be asked again. `Last-Event-ID` goes on after that event."
                ),
            )
        },
        problems=(LogUnavailable,),
    ),
)
async def watch(request: Request, parts: PartsOf, _: Annotated[Any, needs(RIGHT)]) -> Response:
    """Be told which grants may have ended, within a second of the change being on record. A comment every few seconds
    says that the log is being read; where there is none, nothing is known."""
    last_told = _last_told(request)
    if request.scope.get(HEAD_ALONE):
        return Response(media_type=_EVENTS, headers=_HEADERS)
    bearer = bearer_of(request, RIGHT)

    def allowed() -> bool:
        try:
            bearer.key(parts.ring.current())
        except (Unauthenticated, Forbidden):
            return False
        return True

    events = await parts.listeners.stream(last_told, allowed)
    request.scope[ENDLESS] = True
    return _Stream(events, parts.listeners.leave)


class _Stream(StreamingResponse):
    """The events, and what is to be done when they are over."""

    def __init__(self, events: AsyncIterator[bytes], leave: Callable[[], None]) -> None:
        super().__init__(events, media_type=_EVENTS, headers=_HEADERS)
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()


def _last_told(request: Request) -> int | None:
    """The event after which the gateway goes on. Raises `MalformedRequest` for what was never the id of one."""
    given = request.headers.getlist("last-event-id")
    if not given:
        return None
    (text, *more) = given
    if more or not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        message = (
            "must be the id of an event of this stream, once: leave it away to begin with what happens from now on"
        )
        raise MalformedRequest(FieldFault(field="Last-Event-ID", message=message))
    return int(text)
