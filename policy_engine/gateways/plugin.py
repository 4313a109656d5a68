"""The door for plugins, which run inside of a gateway and ask in JSON: `POST /gateways/decide`.

A plugin says what its gateway knows: the client's method and path, the lines of the head that the profile names, what
the gateway found out about the client's key, and the models that it would use. What the client wrote has no place in
the question. The answer is 200 for allow and deny alike, and every error is a problem document, as at `POST /decide`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from itertools import zip_longest
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from policy_engine.app.builder import Parts
from policy_engine.domain.gateways import Message
from policy_engine.domain.ports import LogUnavailable
from policy_engine.formats.identifiers import text_fault
from policy_engine.formats.request_document import malformed
from policy_engine.gateways.asking import AT_ONCE, RIGHT, Told, ask, ask_each
from policy_engine.http.body import DECIDE_LIMIT, read_body
from policy_engine.http.documents import read_sent
from policy_engine.http.reference import Example, audience, described
from policy_engine.http.security import admitted
from policy_engine.shapes.gateways import (
    MAX_MODELS,
    GatewayAnswerDocument,
    GatewayAnswersDocument,
    GatewayQuestionBody,
)

DECIDE: Final = "/gateways/decide"

router = audience("gateway")

_CHAT: Final = {"method": "POST", "target": "/v1/chat/completions", "attributes": {"user_id": "carol"}}


@router.post(
    DECIDE,
    **described(
        {HTTPStatus.OK: GatewayAnswersDocument},
        body=GatewayQuestionBody,
        problems=(LogUnavailable,),
        right=RIGHT,
        examples=(
            Example(
                name="a model and its fallback",
                meaning="All of the models have to be allowed. A key whose gateway has no profile is denied.",
                body={**_CHAT, "models": ["opus-4.6", "gpt-5.4"]},
            ),
            Example(
                name="a list of models",
                meaning="One answer for each, with one question.",
                body={**_CHAT, "method": "GET", "target": "/v1/models", "models": ["opus-4.6"], "each": True},
            ),
        ),
    ),
)
async def decide_for_plugin(request: Request) -> Response:
    """May the gateway's client go on, with each of these models? Every answer is on record before it leaves."""
    parts: Parts = request.app.state.parts
    bearer = await admitted(request, parts.ring, parts.pools, RIGHT)
    body = await read_body(request, DECIDE_LIMIT)
    brief = len(body) <= AT_ONCE
    question = _question(body) if brief else await parts.pools.decisions.run(_question, body)
    message = _message(request, question)
    if question.each:
        told = await ask_each(parts, bearer, message)
        allowed, named = all(one.allowed for one in told), question.models
    else:
        outcome = await ask(parts, bearer, message)
        told, allowed, named = outcome.told, outcome.allowed, outcome.named
    document = GatewayAnswersDocument(allowed=allowed, answers=tuple(_answers(told, named)))
    return Response(msgspec.json.encode(document), media_type="application/json")


AT_THE_DOOR: Final = {DECIDE: decide_for_plugin}
"""What is answered before the framework is asked."""


def _question(body: bytes) -> GatewayQuestionBody:
    """The question in a body. Raises `MalformedRequest`."""
    question = read_sent(body, GatewayQuestionBody)
    if len(question.models) > MAX_MODELS:
        raise malformed("models", f"must have at most {MAX_MODELS:,} models; ask for the others in another question")
    if question.each and not question.models:
        raise malformed("models", "must name the models of which `each` is asked")
    texts = [("method", question.method), ("target", question.target)]
    texts += [(f"models[{place}]", model) for place, model in enumerate(question.models)]
    for field, text in texts:
        fault = text_fault(text)
        if fault is not None:
            raise malformed(field, fault)
    return question


def _message(request: Request, question: GatewayQuestionBody) -> Message:
    return Message(
        method=question.method,
        target=question.target,
        headers=tuple(_lines(question.headers or {})),
        attributes=question.attributes or {},
        models=question.models,
        peer=request.client.host if request.client is not None else None,
    )


def _lines(headers: Mapping[str, str | tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        for one in (value,) if isinstance(value, str) else value:
            yield name.lower(), one


def _answers(told: Iterable[Told], named: Sequence[str]) -> Iterator[GatewayAnswerDocument]:
    for one, model in zip_longest(told, named):
        if one is None:
            return
        yield GatewayAnswerDocument(
            model=model,
            decision="allow" if one.allowed else "deny",
            decision_id=one.decision_id,
            valid_until=one.valid_until,
            public_code=one.code,
            public_message=one.message,
            fault=one.fault,
        )
