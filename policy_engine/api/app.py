"""The application: routes, errors, and the request id that is echoed."""

from __future__ import annotations

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policy_engine.api import auditor, compliance, errors, gateway, health, log
from policy_engine.api.direct import Direct
from policy_engine.wiring import Parts, Settings, build

_TURN_SECONDS: Final = 0.000_5


class EchoRequestId:
    """Gives `X-Request-ID` back as it came, on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = next((value for name, value in scope.get("headers", ()) if name == b"x-request-id"), None)
        if given is None:
            await self._app(scope, receive, send)
            return

        async def echo(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", given)]
            await send(message)

        await self._app(scope, receive, echo)


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
    posts = gateway.posts(parts.decider, parts.ring)
    app.router.routes[:0] = [
        *(Route(path, endpoint, methods=["POST"]) for path, endpoint in posts.items()),
        *health.routes(parts.decider, parts.members, parts.log, parts.watcher, parts.keeper),
        *auditor.routes(parts.log, parts.ring, parts.inspector),
        *log.routes(
            None if parts.keeper is None else parts.keeper.sealing,
            parts.entries,
            parts.ring,
            desk=parts.desk,
            past=parts.past,
            log=parts.log,
        ),
        *compliance.routes(parts.desk, parts.publisher, parts.reviews, parts.ring),
    ]
    errors.install(app)
    return EchoRequestId(Direct(app, posts))


def from_environment() -> ASGIApp:
    """The application as the environment's settings say, for an ASGI server's factory mode."""
    return create_app(build(Settings(), background=True))
