"""The application: routes, errors, and what holds for the head of every request."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import cache
from typing import Final

from fastapi import FastAPI
from starlette.types import ASGIApp

from policy_engine.api import auditor, compliance, gateway, health, index, log, members, metrics, proposal_report
from policy_engine.app import grpc_part
from policy_engine.app.builder import Parts, build
from policy_engine.app.settings import Settings
from policy_engine.gateways import by_status, opa, plugin, watch
from policy_engine.gateways.authzen import routes as authzen
from policy_engine.http import errors
from policy_engine.http.direct import Direct
from policy_engine.http.head import RequestHead
from policy_engine.http.tracing import traced

_TURN_SECONDS: Final = 0.000_5


def create_app(parts: Parts, *, grpc: tuple[str, int] | None = None) -> ASGIApp:
    """The application over parts that are built; it closes them when it ends.

    With `grpc`, a host and a port, Envoy's ext_authz is answered there too, as long as the application runs.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, str]]:
        # The book and the roster live as long as the process: a full collection need not walk them in mid-request.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        # The writer of the log comes back from the disk several times in a group, and each time waits for its turn.
        sys.setswitchinterval(_TURN_SECONDS)
        async with AsyncExitStack() as running:
            running.callback(parts.close)
            state = {}
            if grpc is not None:
                state[grpc_part.ADDRESS] = await running.enter_async_context(_grpc_door(parts, *grpc))
            yield state

    app = FastAPI(
        title="policy engine",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        # What the framework would tell of a request by itself, where the environment has it do so, holds paths with
        # models and people in them, and what errors say.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.router.routes[:0] = _ROUTES
    app.state.parts = parts
    app.state.readiness = health.Readiness(parts)
    # Replays take what they need of old books; one at a time is in memory.
    app.state.one_replay = threading.Lock()
    app.state.reference = _reference()
    errors.install(app)
    doors = Direct(app, {**gateway.AT_THE_DOOR, **plugin.AT_THE_DOOR}, by_status.AT_THE_DOOR)
    return RequestHead(traced(doors, parts.spans))


def _grpc_door(parts: Parts, host: str, port: int) -> AbstractAsyncContextManager[str]:
    grpc_part.require_grpc()
    from policy_engine.gateways import grpc_check  # noqa: PLC0415  an optional part, and slow to import

    return grpc_check.listening(parts, host, port)


_ROUTERS: Final = (
    gateway.router,
    plugin.router,
    by_status.router,
    authzen.router,
    opa.router,
    watch.router,
    index.router,
    health.router,
    metrics.router,
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
    settings = Settings()
    grpc = None if settings.grpc_port is None else (settings.host, settings.grpc_port)
    return create_app(build(settings, background=True), grpc=grpc)
