"""What holds for the head of every request, whichever route answers it."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policy_engine.formats.request_document import malformed
from policy_engine.http.errors import error_response

HEAD_ALONE: Final = "policy_engine.head_alone"
"""In the scope of a request of which the head of the answer alone is wanted, which an endless answer has to know."""


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
            scope = {**scope, "method": "GET", HEAD_ALONE: True}
        names = [name for name, _ in scope["headers"]]
        hosts, keys = names.count(b"host"), names.count(b"authorization")
        app = self._app
        if keys > 1 or hosts > 1 or (hosts == 0 and scope["http_version"] == "1.1"):
            what = "Host" if keys <= 1 else "Authorization"
            app = error_response(malformed(what, "must stand once in the head"))
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), None)
        if given is None:
            await app(scope, receive, send)
            return

        async def echo(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", given)]
            await send(message)

        await app(scope, receive, echo)
