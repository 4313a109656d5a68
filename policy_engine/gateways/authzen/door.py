"""The routes of the Authorization API 1.0, over any `World`.

A denial is 200 with `"decision": false`; 400 is what is no request (never 422), 401 with `WWW-Authenticate` whoever
does not say who asks. The caller's world is found by a function of the request, so that the engine and an example stand
behind the same routes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from policy_engine.domain.request import Semantic
from policy_engine.formats.request_document import FieldFault, MalformedRequest
from policy_engine.gateways.authzen.questions import (
    Page,
    Search,
    Searched,
    question_of,
    read_evaluation,
    read_evaluations,
    read_search,
)
from policy_engine.gateways.authzen.tokens import Tokens
from policy_engine.gateways.authzen.world import Evaluated, World
from policy_engine.http.body import read_body

BODY_LIMIT: Final = 1024 * 1024

EVALUATION: Final = "/access/v1/evaluation"
EVALUATIONS: Final = "/access/v1/evaluations"
SEARCH: Final[Mapping[Searched, str]] = {one: f"/access/v1/search/{one.value}" for one in Searched}
CONFIGURATION: Final = "/.well-known/authzen-configuration"

_JSON: Final = "application/json"
_MAX_AGE: Final = "public, max-age=300"


@dataclass(frozen=True, slots=True)
class Door:
    """The endpoints. `world_of` finds out who asks, and raises for whoever may not."""

    world_of: Callable[[Request], Awaitable[World]]
    tokens_of: Callable[[Request], Tokens]
    identifier_of: Callable[[Request], str]

    async def evaluation(self, request: Request) -> Response:
        """One question."""
        world = await self.world_of(request)
        asked = read_evaluation(await _json_body(request))
        (answer,) = await world.evaluate((asked,), Semantic.EXECUTE_ALL)
        return _json(_told(answer))

    async def evaluations(self, request: Request) -> Response:
        """Several questions, in their order."""
        world = await self.world_of(request)
        asked = read_evaluations(await _json_body(request))
        answers = await world.evaluate(asked.items, asked.semantic)
        if asked.single:
            return _json(_told(answers[0]))
        return _json({"evaluations": [_told(one) for one in answers]})

    async def search_subject(self, request: Request) -> Response:
        """Who may do this with this resource."""
        return await self._search(request, Searched.SUBJECT)

    async def search_resource(self, request: Request) -> Response:
        """With which resources this subject may do this."""
        return await self._search(request, Searched.RESOURCE)

    async def search_action(self, request: Request) -> Response:
        """What this subject may do with this resource."""
        return await self._search(request, Searched.ACTION)

    async def _search(self, request: Request, searched: Searched) -> Response:
        world = await self.world_of(request)
        search, page = read_search(await _json_body(request), searched)
        after, limit, question = None, page.limit, question_of(search)
        tokens = self.tokens_of(request)
        if page.token is not None:
            after, limit = tokens.place(page.token, question, page.limit)
        found = await world.search(search, after=after, limit=limit)
        following = "" if found.next_place is None else tokens.token(found.next_place, question, limit)
        told: dict[str, object] = {"results": [_result(search, name) for name in found.names]}
        if following or page != Page():
            told = {"page": {"next_token": following, "count": len(found.names)}, **told}
        return _json(told)

    async def configuration(self, request: Request) -> Response:
        """What this decision point offers, and where (section 10)."""
        base = self.identifier_of(request)
        told = {
            "policy_decision_point": base,
            "access_evaluation_endpoint": base + EVALUATION,
            "access_evaluations_endpoint": base + EVALUATIONS,
            **{f"search_{one.value}_endpoint": base + SEARCH[one] for one in Searched},
        }
        return _json(told, {"cache-control": _MAX_AGE})


def _result(search: Search, name: str) -> Mapping[str, str]:
    if search.searched is Searched.ACTION:
        return {"name": name}
    kind = search.subject.type if search.searched is Searched.SUBJECT else search.resource.type
    return {"type": kind, "id": name}


def _told(answer: Evaluated) -> Mapping[str, object]:
    told: dict[str, object] = {"decision": answer.decision}
    if answer.context:
        told["context"] = answer.context
    return told


def _json(document: object, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(document), HTTPStatus.OK, headers, media_type=_JSON)


async def _json_body(request: Request) -> bytes:
    """The body of a request that says it is JSON. Raises `MalformedRequest` and `BodyTooLarge`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await read_body(request, BODY_LIMIT)
    if kind != _JSON:
        raise MalformedRequest(FieldFault(field="Content-Type", message=f"must be {_JSON}"))
    return body
