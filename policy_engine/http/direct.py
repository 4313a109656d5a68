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
    """Answers `POST` on the paths of `posts`, and hands everything else on."""

    def __init__(self, app: ASGIApp, posts: Mapping[str, Endpoint]) -> None:
        self._app = app
        self._posts = posts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = None
        if scope["type"] == "http" and scope["method"] == "POST":
            endpoint = self._posts.get(scope["path"])
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
