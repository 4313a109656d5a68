"""Routes of the gateway developer: `POST /decide` and `POST /decide/batch`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from policy_engine.app.builder import Parts
from policy_engine.domain.ports import LogUnavailable
from policy_engine.domain.request import BatchItem, Semantic, Submitted
from policy_engine.formats.identifiers import shown
from policy_engine.formats.record import short_answer
from policy_engine.formats.request_document import (
    FieldFault,
    MalformedRequest,
    batch_item_of,
    parse_object,
)
from policy_engine.formats.submitted import submitted_in
from policy_engine.http.body import BATCH_LIMIT, DECIDE_LIMIT, read_body
from policy_engine.http.reference import Example, audience, described
from policy_engine.http.security import admitted
from policy_engine.service.gate.gate import BatchReply, NotFresh, RequestIdConflict
from policy_engine.shapes.answer import ANSWERS, BatchDocument
from policy_engine.shapes.request import MAX_BATCH, BatchBody, RequestBody

AT_ONCE: Final = 16 * 1024
"""Bytes of a body that is read before others are served; almost every request has fewer."""

router = audience("gateway")

_RIGHT: Final = "decide"
_PROBLEMS: Final = (NotFresh, RequestIdConflict, LogUnavailable)
_KEN: Final = {"subject": {"type": "person", "id": "ken"}, "model": "opus-4.6", "action": "infer"}


@router.post(
    "/decide",
    **described(
        {HTTPStatus.OK: ANSWERS},
        body=RequestBody,
        problems=_PROBLEMS,
        right=_RIGHT,
        examples=(
            Example(
                name="an employee of a controlled company",
                meaning="An answer that denies is an answer: 200.",
                body={**_KEN, "place": {"country": "JP"}},
            ),
            Example(name="nobody says from where", meaning="What is not known is a deny that says so.", body=_KEN),
        ),
    ),
)
async def decide(request: Request) -> Response:
    """Decide one request. The answer is short, or with findings for keys that carry `decisions:explain`; its record is
    on disk before it leaves."""
    parts: Parts = request.app.state.parts
    bearer = await admitted(request, parts.ring, parts.pools, _RIGHT)
    body = await read_body(request, DECIDE_LIMIT)
    brief = len(body) <= AT_ONCE
    submitted = submitted_in(body) if brief else await parts.pools.decisions.run(submitted_in, body)
    reply = await parts.gate.decide(submitted, bearer, parts.pools.decisions, determines=True, at_once=brief)
    told = reply.answer
    if not reply.caller.explain:
        told = _short(told, submitted)
    return Response(told, media_type="application/json")


@router.post(
    "/decide/batch",
    **described(
        {HTTPStatus.OK: BatchDocument},
        body=BatchBody,
        problems=_PROBLEMS,
        right=_RIGHT,
        examples=(
            Example(
                name="two models",
                meaning="Answered in order, by one rule book at one instant.",
                body={"requests": [_KEN, {**_KEN, "model": "gpt-5.4"}], "semantic": "execute_all"},
            ),
        ),
    ),
)
async def decide_batch(request: Request) -> Response:
    """Decide up to 1,000 requests in order, under one instant and one rule book, recorded together. A member that is
    no request is a denied item with its fault."""
    parts: Parts = request.app.state.parts
    pool = parts.pools.batches
    bearer = await admitted(request, parts.ring, parts.pools, _RIGHT)
    items, semantic = await pool.run(_batch_of, await read_body(request, BATCH_LIMIT))
    reply = await parts.gate.decide_batch(items, semantic, bearer, pool)
    told = await pool.run_in_turn(_batch_document, reply, items)
    return Response(told, media_type="application/json")


AT_THE_DOOR: Final = {"/decide": decide, "/decide/batch": decide_batch}
"""What is answered before the framework is asked."""


def _short(answer: bytes, submitted: Submitted | None) -> bytes:
    return short_answer(answer, asked_fallbacks=submitted is not None and submitted.request.fallbacks is not None)


def _batch_document(reply: BatchReply, items: list[BatchItem]) -> bytes:
    told = reply.answers
    if not reply.caller.explain:
        told = tuple(_short(answer, item.submitted) for answer, item in zip(told, items, strict=False))
    return b'{"answers":[' + b",".join(told) + b"]}"


def _batch_of(body: bytes) -> tuple[list[BatchItem], Semantic]:
    """The requests and the semantic of a batch. Raises `MalformedRequest` for a document that is none."""
    document = parse_object(body)
    faults = [
        FieldFault(field=shown(name), message="is not known here")
        for name in document
        if name not in BatchBody.__struct_fields__
    ]
    requests = document.get("requests")
    if not isinstance(requests, list):
        faults.append(FieldFault(field="requests", message="must be a list of requests"))
    elif not 0 < len(requests) <= MAX_BATCH:
        faults.append(FieldFault(field="requests", message=f"must have 1 to {MAX_BATCH} requests"))
    named = document.get("semantic")
    semantic = Semantic.EXECUTE_ALL if named is None else next((one for one in Semantic if one == named), None)
    if semantic is None:
        faults.append(FieldFault(field="semantic", message=f"must be one of {', '.join(Semantic)}"))
    if faults or semantic is None or not isinstance(requests, list):
        raise MalformedRequest(*faults)
    return list(map(batch_item_of, requests)), semantic
