"""An ASGI middleware: a request goes on only where the engine says allow."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from policy_engine_client.client import UNAVAILABLE, AsyncPolicyEngine
from policy_engine_client.documents import Answer
from policy_engine_client.question import Question

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Asking = Callable[[Scope], Question | None]

DECISION: Final = "policy_engine.answer"
"""Where the answer stands in the scope of a request that went on."""


class PolicyMiddleware:
    """Asks before every HTTP request and WebSocket but those on `open_paths`.

    `question` says what to ask of a request, out of what the application itself has found out about it; where it gives
    `None`, the request is denied, and what it raises goes on to the server: no request does. A denial is 403 in the
    form of OpenAI's interface, an engine that cannot be asked 503.
    """

    def __init__(
        self, app: App, *, client: AsyncPolicyEngine, question: Asking, open_paths: frozenset[str] = frozenset()
    ) -> None:
        self._app = app
        self._client = client
        self._question = question
        self._open = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._closing(send))
            return
        if scope["type"] == "http" and scope["path"] in self._open:
            await self._app(scope, receive, send)
            return
        answer = await self._answer(scope)
        if answer is not None and answer.allowed:
            scope[DECISION] = answer
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _refuse(answer, send)

    def _closing(self, send: Send) -> Send:
        """Closes the client's connections when the application ends."""

        async def sent(message: MutableMapping[str, Any]) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                await self._client.close()
            await send(message)

        return sent

    async def _answer(self, scope: Scope) -> Answer | None:
        question = self._question(scope)
        return None if question is None else await self._client.decide(question)


async def _refuse(answer: Answer | None, send: Send) -> None:
    unavailable = answer is not None and answer.reason.public_code == UNAVAILABLE
    error = {
        "message": "This request cannot be judged." if answer is None else answer.reason.public_message,
        "type": "server_error" if unavailable else "request_forbidden",
        "param": None if unavailable else "model",
        "code": "authorization_unavailable" if unavailable else "model_access_denied",
    }
    body = json.dumps({"error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if unavailable:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": 503 if unavailable else 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
