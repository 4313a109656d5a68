"""Routes of the gateway developer: `POST /decide` and `POST /decide/batch`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from policy_engine.api.body import BATCH_LIMIT, DECIDE_LIMIT, read_body
from policy_engine.api.direct import Endpoint
from policy_engine.api.security import admitted
from policy_engine.domain.ports import Appended, LogUnavailable
from policy_engine.formats.identifiers import shown
from policy_engine.formats.record import short_answer
from policy_engine.formats.request_document import FieldFault, MalformedRequest, parse_object
from policy_engine.service.decide import Begun, BegunBatch, Decider, Finished, Semantic, StaleBatch
from policy_engine.service.keyring import Bearer, KeyRing
from policy_engine.service.pools import Pools

MAX_BATCH: Final = 1_000
COMMIT_TIMEOUT_SECONDS: Final = 5.0
AT_ONCE: Final = 16 * 1024
"""Bytes of a body that is read before others are served; almost every request has fewer."""


def posts(decider: Decider, ring: KeyRing, pools: Pools) -> dict[str, Endpoint]:
    """The gateway's routes, by their paths."""

    async def decide(request: Request) -> Response:
        bearer = await admitted(request, ring, pools, "decide")
        body = await read_body(request, DECIDE_LIMIT)
        # What was judged before is answered here and now; whatever else may take long, and others have to be served.
        begun = decider.begin_at_once(parse_object(body), bearer, determines=True) if len(body) <= AT_ONCE else None
        if begun is None:
            begun = await pools.decisions.run(_judged, body, bearer)
        while True:
            outcome = decider.finish(begun, await _committed(begun.handle))
            if isinstance(outcome, Finished):
                break
            await pools.decisions.run(decider.view.refresh)
            begun = await pools.decisions.run(decider.again, outcome)
        if begun.caller.explain:
            return Response(outcome.answer, media_type="application/json")
        told = short_answer(outcome.answer, asked_fallbacks=begun.request.fallbacks is not None)
        return Response(told, media_type="application/json")

    async def batch(request: Request) -> Response:
        bearer = await admitted(request, ring, pools, "decide")
        documents, semantic = await pools.batches.run(_batch_of, await read_body(request, BATCH_LIMIT))
        begun = await pools.batches.run(decider.begin_batch, documents, bearer, semantic)
        while True:
            appended: tuple[Appended, ...] = await _committed(begun.handle)
            # The records are made: their answer is not refused for want of room.
            outcome = await pools.batches.run_in_turn(decider.finish_batch, begun, appended)
            if not isinstance(outcome, StaleBatch):
                break
            await pools.decisions.run(decider.view.refresh)
            begun = await pools.batches.run(decider.begin_batch, documents, bearer, semantic, attempt=begun.attempt + 1)
        told = await pools.batches.run_in_turn(_batch_document, outcome, begun)
        return Response(told, media_type="application/json")

    def _judged(body: bytes, bearer: Bearer) -> Begun:
        return decider.begin(parse_object(body), bearer, determines=True)

    return {"/decide": decide, "/decide/batch": batch}


def _batch_document(answers: tuple[bytes, ...], begun: BegunBatch) -> bytes:
    told = answers
    if not begun.caller.explain:
        told = tuple(
            short_answer(answer, asked_fallbacks=_names_fallbacks(document))
            for answer, document in zip(answers, begun.documents, strict=False)
        )
    return b'{"answers":[' + b",".join(told) + b"]}"


def _names_fallbacks(document: object) -> bool:
    return isinstance(document, Mapping) and document.get("fallbacks") is not None


def _batch_of(body: bytes) -> tuple[list[object], Semantic]:
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
    return requests, semantic


T = TypeVar("T")


async def _committed(handle: Future[T]) -> T:
    """The log's word. A log that says nothing in time is one that cannot be written, for the caller."""
    if not handle.done():
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        handle.add_done_callback(lambda _: loop.call_soon_threadsafe(woken.set))
        timer = loop.call_later(COMMIT_TIMEOUT_SECONDS, woken.set)
        try:
            await woken.wait()
        finally:
            timer.cancel()
    if not handle.done():
        handle.cancel()
        raise LogUnavailable("the log did not commit in time")
    return handle.result()
