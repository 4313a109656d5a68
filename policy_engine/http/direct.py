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

Endpoint = Callable[[Request], Awaitable[Response]]


class Direct:
    """Answers `POST` on the paths of `posts`, every method on the paths of `prefixes` (a prefix that ends in `/` is
    that of many), and hands everything else on."""

    def __init__(self, app: ASGIApp, posts: Mapping[str, Endpoint], prefixes: Mapping[str, Endpoint]) -> None:
        self._app = app
        self._posts = posts
        self._prefixes = tuple(prefixes.items())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoint(scope) if scope["type"] == "http" else None
        if endpoint is None:
            await self._app(scope, receive, send)
            return
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

    def _endpoint(self, scope: Scope) -> Endpoint | None:
        path: str = scope["path"]
        if scope["method"] == "POST" and (found := self._posts.get(path)) is not None:
            return found
        return next((endpoint for prefix, endpoint in self._prefixes if _begins(path, prefix)), None)


def _begins(path: str, prefix: str) -> bool:
    return path.startswith(prefix) if prefix.endswith("/") else path == prefix
