"""What this is and where its reference is: `/`, `/docs` and `/openapi.json`.

They need no key and are the same bytes for everybody, made once: nothing of members, models on file or the rule book in
force is in them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from policy_engine import ENGINE_VERSION
from policy_engine.http.pages import PAGE_HEADERS
from policy_engine.http.reference import Media, audience, described, reference
from policy_engine.render.pages import page
from policy_engine.render.reference_page import reference_page
from policy_engine.shapes.health import IndexDocument

router = audience("operations")

INDEX: Final = IndexDocument(
    name="policy engine",
    what=(
        "It decides who may use which AI model under export control, sanctions, vendor and consortium rules, and says"
        " why. Gateways ask POST /decide with a key."
    ),
    engine=ENGINE_VERSION,
    reference="/docs",
    openapi="/openapi.json",
    alive="/livez",
    ready="/readyz",
)

_HTML: Final = "text/html; charset=utf-8"


class Reference:
    """The reference in its two forms, made of the routes."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        document = reference(routes)
        self.json: Final = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        self.page: Final = reference_page(document).encode()


_INDEX_PAGE: Final = page("index.html", title=f"{INDEX.name} {INDEX.engine}", index=INDEX).encode()
_INDEX_JSON: Final = msgspec.json.encode(INDEX)
_INDEX_HEADERS: Final = {**PAGE_HEADERS, "Vary": "Accept"}


@router.get(
    "/",
    **described({HTTPStatus.OK: IndexDocument}, keyed=False),
)
async def show_index(request: Request) -> Response:
    """What this is: a page for a browser, JSON for whoever does not ask for HTML."""
    if "text/html" in request.headers.get("accept", ""):
        return Response(_INDEX_PAGE, media_type=_HTML, headers=_INDEX_HEADERS)
    return Response(_INDEX_JSON, media_type="application/json", headers=_INDEX_HEADERS)


@router.get(
    "/docs",
    **described({HTTPStatus.OK: Media(kinds=("text/html",), meaning="This reference as a page.")}, keyed=False),
)
async def show_reference(request: Request) -> Response:
    """This reference as a page, without scripts."""
    made: Reference = request.app.state.reference
    return Response(made.page, media_type=_HTML, headers=PAGE_HEADERS)


@router.get(
    "/openapi.json",
    **described(
        {HTTPStatus.OK: Media(kinds=("application/json",), meaning="This reference as OpenAPI 3.1.")}, keyed=False
    ),
)
async def show_openapi(request: Request) -> Response:
    """This reference as an OpenAPI document."""
    made: Reference = request.app.state.reference
    return Response(made.json, media_type="application/json")
