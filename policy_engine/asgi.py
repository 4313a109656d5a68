"""The application: routes, errors, and what holds for the head of every request."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Final

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policy_engine.api import auditor, compliance, gateway, health, index, log, members, proposal_report
from policy_engine.app.builder import Parts, build
from policy_engine.app.settings import Settings
from policy_engine.formats.request_document import FieldFault, MalformedRequest
from policy_engine.gateways import by_status
from policy_engine.http import errors
from policy_engine.http.direct import Direct
from policy_engine.http.errors import error_response

_TURN_SECONDS: Final = 0.000_5


class RequestHead:
    """What holds for the head of every request, whichever route answers it.

    `X-Request-ID` is given back as it came. A head that names the host not once (RFC 9112 section 3.2), or more than
    one key, is refused: a proxy before the service may have read the other one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            # It is answered as GET is; the server leaves the body out.
            scope = {**scope, "method": "GET"}
        given = None
        hosts = keys = 0
        for name, value in scope["headers"]:
            if name == b"host":
                hosts += 1
            elif name == b"authorization":
                keys += 1
            elif name == b"x-request-id" and given is None:
                given = value
        app = self._app
        if keys > 1 or hosts > 1 or (hosts == 0 and scope["http_version"] == "1.1"):
            what = "Host" if keys <= 1 else "Authorization"
            app = error_response(MalformedRequest(FieldFault(field=what, message="must stand once in the head")))
        if given is None:
            await app(scope, receive, send)
            return

        async def echo(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", given)]
            await send(message)

        await app(scope, receive, echo)


def create_app(parts: Parts) -> ASGIApp:
    """The application over parts that are built; it closes them when it ends."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # The book and the roster live as long as the process: a full collection need not walk them in mid-request.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        # The writer of the log comes back from the disk several times in a group, and each time waits for its turn.
        sys.setswitchinterval(_TURN_SECONDS)
        yield
        parts.close()

    app = FastAPI(
        title="policy engine",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.router.routes[:0] = _ROUTES
    app.state.parts = parts
    app.state.readiness = health.Readiness(parts)
    # Replays take what they need of old books; one at a time is in memory.
    app.state.one_replay = threading.Lock()
    app.state.reference = _reference()
    errors.install(app)
    return RequestHead(Direct(app, gateway.AT_THE_DOOR, by_status.AT_THE_DOOR))


_ROUTERS: Final = (
    gateway.router,
    by_status.router,
    index.router,
    health.router,
    auditor.router,
    log.replays,
    log.router,
    compliance.policy,
    proposal_report.router,
    compliance.freezes,
    compliance.reviews,
    compliance.simulation,
    members.router,
)
"""In the order in which their paths are tried."""
_ROUTES: Final = [route for router in _ROUTERS for route in router.routes]


@cache
def _reference() -> index.Reference:
    """The reference of the routes; it takes longer than all else that an application is made of."""
    return index.Reference(_ROUTES)


def from_environment() -> ASGIApp:
    """The application as the environment's settings say, for an ASGI server's factory mode."""
    return create_app(build(Settings(), background=True))
