"""The application: routes, errors, and what holds for the head of every request."""

from __future__ import annotations

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policy_engine.api import auditor, compliance, errors, gateway, health, log, members, proposal_report
from policy_engine.api.direct import Direct
from policy_engine.api.errors import error_response
from policy_engine.formats.request_document import FieldFault, MalformedRequest
from policy_engine.wiring import Parts, Settings, build

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
    posts = gateway.posts(parts.gate, parts.ring, parts.pools)
    app.router.routes[:0] = [
        *(Route(path, endpoint, methods=["POST"]) for path, endpoint in posts.items()),
        *health.routes(parts.gate, parts.members, parts.log, parts.watcher, parts.keeper, parts.pools),
        *auditor.routes(parts.log, parts.ring, parts.inspector, parts.pools, history=parts.history, looks=parts.looks),
        *log.routes(
            None if parts.keeper is None else parts.keeper.sealing,
            parts.entries,
            parts.ring,
            desk=parts.desk,
            past=parts.past,
            log=parts.log,
            pools=parts.pools,
        ),
        *compliance.routes(parts.desk, parts.publisher, parts.reviews, parts.ring, parts.pools, check=parts.check),
        *proposal_report.routes(parts.publisher, parts.ring, parts.pools),
        *members.routes(parts.member_changes, parts.ring, parts.pools),
    ]
    errors.install(app)
    return RequestHead(Direct(app, posts))


def from_environment() -> ASGIApp:
    """The application as the environment's settings say, for an ASGI server's factory mode."""
    return create_app(build(Settings(), background=True))
