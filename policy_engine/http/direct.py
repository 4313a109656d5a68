"""Routes that are answered before the framework is asked: its layers and its search cost more than a decision.

They are in the framework's table of routes too, which answers every other method on their paths. What goes wrong in
them is answered from the same table of errors.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from policy_engine.http.errors import error_response, is_foreseen, unforeseen_response
from policy_engine.http.tracing import ROUTE

Endpoint = Callable[[Request], Awaitable[Response]]


class Direct:
    """Answers `POST` on the paths of `posts`, every method on the paths of `prefixes` (a prefix that ends in `/` is
    that of many), and hands everything else on."""

    def __init__(self, app: ASGIApp, posts: Mapping[str, Endpoint], prefixes: Mapping[str, Endpoint]) -> None:
        self._app = app
        self._posts = posts
        self._prefixes = tuple(prefixes.items())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._found(scope) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        scope[ROUTE], endpoint = found
        # As the framework does, so that the endpoint finds the parts.
        scope["app"] = self._app
        try:
            response = await endpoint(Request(scope, receive))
        except ClientDisconnect:
            # Nobody is there to be answered.
            return
        except Exception as error:
            if not is_foreseen(error):
                await unforeseen_response(error)(scope, receive, send)
                raise
            response = error_response(error)
        await response(scope, receive, send)

    def _found(self, scope: Scope) -> tuple[str, Endpoint] | None:
        """The route and what answers it; `None` for the framework's."""
        path: str = scope["path"]
        if scope["method"] == "POST" and (post := self._posts.get(path)) is not None:
            return path, post
        return next((found for found in self._prefixes if _begins(path, found[0])), None)


def _begins(path: str, prefix: str) -> bool:
    return path.startswith(prefix) if prefix.endswith("/") else path == prefix
