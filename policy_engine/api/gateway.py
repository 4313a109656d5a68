"""Routes of the gateway developer: `POST /decide` and `POST /decide/batch`."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from policy_engine.api.body import BATCH_LIMIT, DECIDE_LIMIT, read_body
from policy_engine.api.direct import Endpoint
from policy_engine.api.security import admitted
from policy_engine.domain.request import BatchItem, Submitted
from policy_engine.formats.identifiers import shown
from policy_engine.formats.record import short_answer
from policy_engine.formats.request_document import (
    FieldFault,
    MalformedRequest,
    batch_item_of,
    parse_object,
    submitted_of,
)
from policy_engine.service.gate import BatchReply, Gate, Semantic
from policy_engine.service.keyring import KeyRing
from policy_engine.service.pools import Pools

MAX_BATCH: Final = 1_000
AT_ONCE: Final = 16 * 1024
"""Bytes of a body that is read before others are served; almost every request has fewer."""


def posts(gate: Gate, ring: KeyRing, pools: Pools) -> dict[str, Endpoint]:
    """The gateway's routes, by their paths."""

    async def decide(request: Request) -> Response:
        bearer = await admitted(request, ring, pools, "decide")
        body = await read_body(request, DECIDE_LIMIT)
        brief = len(body) <= AT_ONCE
        submitted = _submitted(body) if brief else await pools.decisions.run(_submitted, body)
        reply = await gate.decide(submitted, bearer, pools.decisions, determines=True, at_once=brief)
        told = reply.answer
        if not reply.caller.explain:
            told = _short(told, submitted)
        return Response(told, media_type="application/json")

    async def batch(request: Request) -> Response:
        bearer = await admitted(request, ring, pools, "decide")
        items, semantic = await pools.batches.run(_batch_of, await read_body(request, BATCH_LIMIT))
        reply = await gate.decide_batch(items, semantic, bearer, pools.batches)
        told = await pools.batches.run_in_turn(_batch_document, reply, items)
        return Response(told, media_type="application/json")

    return {"/decide": decide, "/decide/batch": batch}


def _submitted(body: bytes) -> Submitted:
    return submitted_of(parse_object(body))


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
        if name not in ("requests", "semantic")
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
