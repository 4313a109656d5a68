"""The routes of the Authorization API for the engine, as they are described in `/openapi.json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request

from policy_engine.app.builder import Parts
from policy_engine.domain.gateways import Message
from policy_engine.domain.ports import LogUnavailable
from policy_engine.gateways.asking import RIGHT, read_by
from policy_engine.gateways.authzen.door import CONFIGURATION, EVALUATION, EVALUATIONS, SEARCH, Door
from policy_engine.gateways.authzen.engine import EngineWorld
from policy_engine.gateways.authzen.questions import Searched
from policy_engine.gateways.authzen.tokens import Tokens
from policy_engine.gateways.by_status import Head
from policy_engine.http.errors import NotFound
from policy_engine.http.reference import Example, audience, described
from policy_engine.http.security import admitted
from policy_engine.shapes.authzen import (
    EvaluationAnswer,
    EvaluationBody,
    EvaluationsAnswer,
    EvaluationsBody,
    SearchAnswer,
    SearchBody,
    WellKnownDocument,
)

LOOKS: Final = "members:read"
"""The right that a search for subjects needs: its answer says who is on file."""


async def _world(request: Request) -> EngineWorld:
    parts: Parts = request.app.state.parts
    right = LOOKS if request.url.path == SEARCH[Searched.SUBJECT] else RIGHT
    bearer = await admitted(request, parts.ring, parts.pools, right)
    profile, asker = read_by(parts, bearer)
    head: Message = Head(request).message(request.method, request.url.path, None)
    return EngineWorld(parts, asker, profile, head)


def _tokens(request: Request) -> Tokens:
    parts: Parts = request.app.state.parts
    return Tokens(parts.page_key)


def _identifier(request: Request) -> str:
    """The address under which the service is known, from the settings: never what a client says it to be."""
    parts: Parts = request.app.state.parts
    if parts.public_url is None:
        raise NotFound("POLICY_ENGINE_PUBLIC_URL says under which https address the service is known, and is not set")
    return parts.public_url


DOOR: Final = Door(_world, _tokens, _identifier)

router = audience("gateway")

_CAROL: Final = {"subject": {"type": "person", "id": "carol"}, "context": {"ip_country": "US"}}
_OPUS: Final = {"type": "ai_model", "id": "opus-4.6"}
_INFER: Final = {"name": "infer"}
_PROBLEMS: Final = (LogUnavailable,)


def _described(answer: Any, body: Any, name: str, example: Mapping[str, object], *, right: str = RIGHT) -> Any:
    told = Example(name=name, meaning="Judged by the rules in force.", body=example)
    return described({HTTPStatus.OK: answer}, body=body, problems=_PROBLEMS, right=right, examples=(told,))


def _post(path: str, endpoint: Callable[..., Any], described_as: Any) -> None:
    router.add_api_route(path, endpoint, methods=["POST"], **described_as)


_post(
    EVALUATION,
    DOOR.evaluation,
    _described(
        EvaluationAnswer, EvaluationBody, "may carol use opus-4.6", {**_CAROL, "action": _INFER, "resource": _OPUS}
    ),
)
_post(
    EVALUATIONS,
    DOOR.evaluations,
    _described(
        (EvaluationsAnswer, EvaluationAnswer),
        EvaluationsBody,
        "two models",
        {
            **_CAROL,
            "action": _INFER,
            "evaluations": [{"resource": _OPUS}, {"resource": {"type": "ai_model", "id": "gpt-5.4"}}],
        },
    ),
)
_SEARCHES: Final = {
    Searched.SUBJECT: (
        DOOR.search_subject,
        {**_CAROL, "subject": {"type": "person"}, "action": _INFER, "resource": _OPUS},
    ),
    Searched.RESOURCE: (DOOR.search_resource, {**_CAROL, "action": _INFER, "resource": {"type": "ai_model"}}),
    Searched.ACTION: (DOOR.search_action, {**_CAROL, "resource": _OPUS}),
}
for _searched, (_endpoint, _example) in _SEARCHES.items():
    _right = LOOKS if _searched is Searched.SUBJECT else RIGHT
    _told = _described(SearchAnswer, SearchBody, f"which {_searched}s", _example, right=_right)
    _post(SEARCH[_searched], _endpoint, _told)
router.add_api_route(
    CONFIGURATION,
    DOOR.configuration,
    methods=["GET"],
    **described({HTTPStatus.OK: WellKnownDocument}, keyed=False, problems=(NotFound,)),
)
