"""Routes of the auditor: decisions by filters and by id, and their export.

The bytes of a record stand in every answer as they stand in the log.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from policy_engine.api.errors import NotFound
from policy_engine.api.security import entered
from policy_engine.domain.changes import Actor
from policy_engine.domain.ports import DecisionLog, Key
from policy_engine.formats.identifiers import shown
from policy_engine.formats.request_document import FieldFault, MalformedRequest
from policy_engine.service.disclosure import NAMES
from policy_engine.service.export import FORMS, Chunk, export
from policy_engine.service.inspect import LONGEST_PAGE, PAGE, Inspector, Page, read_filters
from policy_engine.service.keyring import Forbidden, KeyRing
from policy_engine.service.on_file import PARAMETER, Looks, MembersThen, read_on_file
from policy_engine.service.pools import Pool, Pools
from policy_engine.store.member_history import MemberHistory

_encoder: Final = msgspec.json.Encoder()


def routes(
    log: DecisionLog, ring: KeyRing, inspector: Inspector, pools: Pools, *, history: MemberHistory, looks: Looks
) -> list[Route]:
    """The auditor's routes."""

    async def decision(request: Request) -> Response:
        await entered(request, ring, pools, "decisions:read")
        decision_id = request.path_params["decision_id"]
        record = await pools.reads.run(log.read, decision_id)
        if record is None:
            await pools.reads.run(inspector.require_kept, decision_id)
            raise NotFound("no decision has this id")
        return Response(record, media_type="application/json")

    queries = _query_routes(ring, inspector, pools, history, looks)
    return [*queries, Route("/decisions/{decision_id}", decision, methods=["GET"])]


def _query_routes(
    ring: KeyRing, inspector: Inspector, pools: Pools, history: MemberHistory, looks: Looks
) -> list[Route]:
    async def members_then(key: Key, given: dict[str, str], pool: Pool, what: str) -> MembersThen | None:
        """What is asked of the members, once the look is on record."""
        text = given.pop(PARAMETER, None)
        if text is None:
            return None
        if NAMES not in key.rights:
            raise Forbidden(f"the right `{NAMES}` is needed for `{PARAMETER}`: it says what is on file about people")
        asked = read_on_file(text)
        then = await pool.run(MembersThen, history, asked)
        await pool.run(looks.note, Actor(key=key.id, person=key.person), asked, dict(given), what=what)
        return then

    async def found(request: Request) -> Response:
        key = await entered(request, ring, pools, "decisions:read")
        given = _parameters(request)
        limit = _number(given, "limit", PAGE, 1, LONGEST_PAGE)
        cursor = given.pop("cursor", None)
        if PARAMETER not in given:
            page = await pools.reads.run(inspector.page, read_filters(given), limit=limit, cursor=cursor)
            return Response(page_document(page), media_type="application/json")
        filters = read_filters({name: text for name, text in given.items() if name != PARAMETER})
        then = await members_then(key, given, pools.archive, "decisions")
        page = await pools.archive.run(inspector.page, filters, limit=limit, cursor=cursor, then=then)
        return Response(page_document(page), media_type="application/json")

    async def exported(request: Request) -> Response:
        key = await entered(request, ring, pools, "decisions:read")
        given = _parameters(request)
        form = given.pop("format", "")
        if form not in FORMS:
            raise MalformedRequest(FieldFault(field="format", message=f"is one of {', '.join(FORMS)}"))
        asked = _number(given, "size", -1, 0, 2**62)
        filters = read_filters({name: text for name, text in given.items() if name != PARAMETER})
        then = await members_then(key, given, pools.archive, "export")
        as_of = await pools.archive.run(inspector.pin)
        await pools.archive.run(inspector.require_names, filters)
        if asked > as_of.size:
            raise MalformedRequest(FieldFault(field="size", message=f"is at most {as_of.size} now"))
        if 0 <= asked < as_of.size:
            as_of = await pools.archive.run(inspector.at, asked)
        keep = None if then is None else then.holds
        chunks = export(inspector.index, filters, size=as_of.size, form=form, keep=keep)
        # The first piece is read before the answer begins, so that a log that cannot be read is an error.
        first = await pools.archive.run(next, chunks, Chunk(data=b"", through=0))
        headers = {"Log-Size": str(as_of.size), "Content-Disposition": f'attachment; filename="decisions.{form}"'}
        if as_of.tree is not None:
            headers |= {"Log-Root": as_of.tree.root, "Log-Checkpoint": f"{as_of.tree.origin} {as_of.tree.size}"}
        retired = await pools.archive.run(inspector.retired, filters)
        if retired:
            headers["Log-Retired"] = " ".join(str(one.content.year) for one in retired)
        return StreamingResponse(
            _data(first, chunks, pools.archive), media_type=FORMS[form].media_type, headers=headers
        )

    return [
        Route("/decisions", found, methods=["GET"]),
        Route("/decisions/export", exported, methods=["GET"]),
    ]


def page_document(page: Page) -> bytes:
    """The answer of `GET /decisions`; each record as it stands in the log."""
    bodies = b",".join(logged.body for logged in page.decisions)
    cursor = _encoder.encode(page.next_cursor)
    as_of = _encoder.encode(page.as_of.document())
    years = [one.content.year for one in page.retired]
    retired = b',"retired":' + _encoder.encode(years) if years else b""
    unread = [one.document() for one in page.unread]
    not_found = b',"unread":' + _encoder.encode(unread) if unread else b""
    return b'{"decisions":[' + bodies + b'],"next_cursor":' + cursor + b',"as_of":' + as_of + retired + not_found + b"}"


async def _data(first: Chunk, rest: Iterator[Chunk], pool: Pool) -> AsyncIterator[bytes]:
    chunk: Chunk | None = first
    while chunk is not None:
        if chunk.data:
            yield chunk.data
        # The answer has begun, so it waits for a thread however many do; of those there are as many as exports begun.
        chunk = await pool.run_in_turn(next, rest, None)


def _parameters(request: Request) -> dict[str, str]:
    """The parameters of the query, each given once. Raises `MalformedRequest`."""
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in given:
            raise MalformedRequest(FieldFault(field=shown(name), message="is given twice"))
        given[name] = value
    return given


def _number(given: dict[str, str], name: str, absent: int, least: int, most: int) -> int:
    text = given.pop(name, None)
    if text is None:
        return absent
    if not (text.isascii() and text.isdecimal() and len(text) <= 19 and least <= int(text) <= most):
        raise MalformedRequest(FieldFault(field=name, message=f"is a number from {least} to {most}"))
    return int(text)
