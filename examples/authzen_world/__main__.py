"""Serve the example: `AUTHZEN_KEY=secret python -m examples.authzen_world [PORT]`."""

from __future__ import annotations

import hmac
import os
import secrets
import sys

import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.types import ASGIApp

from examples.authzen_world.world import ExampleWorld
from policy_engine.gateways.authzen.door import CONFIGURATION, EVALUATION, EVALUATIONS, SEARCH, Door
from policy_engine.gateways.authzen.questions import Searched
from policy_engine.gateways.authzen.tokens import Tokens
from policy_engine.http.errors import install
from policy_engine.http.head import RequestHead
from policy_engine.service.gate.keyring import Unauthenticated

IDENTIFIER = "https://authzen.example.com"


def application(key: str) -> ASGIApp:
    """The world behind the door, for whoever presents the key."""
    world, tokens = ExampleWorld.read(), Tokens(secrets.token_bytes(32))

    async def world_of(request: Request) -> ExampleWorld:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.encode(), key.encode()):
            raise Unauthenticated
        return world

    door = Door(world_of, lambda _: tokens, lambda _: IDENTIFIER)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_api_route(EVALUATION, door.evaluation, methods=["POST"])
    app.add_api_route(EVALUATIONS, door.evaluations, methods=["POST"])
    app.add_api_route(SEARCH[Searched.SUBJECT], door.search_subject, methods=["POST"])
    app.add_api_route(SEARCH[Searched.RESOURCE], door.search_resource, methods=["POST"])
    app.add_api_route(SEARCH[Searched.ACTION], door.search_action, methods=["POST"])
    app.add_api_route(CONFIGURATION, door.configuration, methods=["GET"])
    install(app)
    return RequestHead(app)


def main(argv: list[str]) -> None:
    """Serve on the loopback address, port 8282 or the one that is given."""
    key = os.environ.get("AUTHZEN_KEY") or secrets.token_hex(16)
    port = int(argv[0]) if argv else 8282
    sys.stdout.write(f"serving on http://127.0.0.1:{port} with the key {key}\n")
    sys.stdout.flush()
    uvicorn.run(application(key), host="127.0.0.1", port=port, log_config=None)


if __name__ == "__main__":
    main(sys.argv[1:])
