"""A span for each request that a door answers, as a part of the span that its sender names.

It has the method, the route and the status: of the path, the query, the head and the body it has nothing, since models,
people and prompts may stand there.
"""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policy_engine.service.gate.spans import NoSpans, Spans

ROUTE: Final = "policy_engine.route"
"""In the scope, the route of a request that is answered before the framework is asked."""

TRACEPARENT: Final = "traceparent"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER: Final = "_OTHER"
_UNSEEN: Final = frozenset({"/livez", "/readyz", "/metrics"})
"""Asked every few seconds by programs that follow nothing."""


def traced(app: ASGIApp, spans: Spans) -> ASGIApp:
    """The application with its spans; as it is where nobody makes any."""
    return app if isinstance(spans, NoSpans) else Traced(app, spans)


class Traced:
    """As the module says."""

    def __init__(self, app: ASGIApp, spans: Spans) -> None:
        self._app = app
        self._spans = spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _UNSEEN:
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        with self._spans.door(method, sender(scope["headers"])) as span:
            span.tell({"http.request.method": method})

            async def sent(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.tell({"http.response.status_code": message["status"]})
                await send(message)

            try:
                await self._app(scope, receive, sent)
            finally:
                route = scope.get(ROUTE) or getattr(scope.get("route"), "path", None)
                if isinstance(route, str):
                    span.tell({"http.route": route}, name=f"{method} {route}")


def sender(lines: list[tuple[bytes, bytes]]) -> str | None:
    """The span of whoever sent a request; `None` where it is not named in one line."""
    found = [value for name, value in lines if name == TRACEPARENT.encode("ascii")]
    return found[0].decode("latin-1") if len(found) == 1 else None
