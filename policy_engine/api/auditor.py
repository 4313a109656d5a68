"""Routes of the auditor: decisions by filters and by id, and their export.

The bytes of a record stand in every answer as they stand in the log.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from fastapi import Path as PathParameter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from policy_engine.app.builder import Parts
from policy_engine.domain.ports import Key, LogDamaged, LogUnavailable
from policy_engine.formats.request_document import malformed
from policy_engine.http.errors import NotFound
from policy_engine.http.pagination import PAGED, number_of, page_of
from policy_engine.http.reference import Media, QueryParameter, audience, described
from policy_engine.http.security import PartsOf, actor_of, needs, sees_names
from policy_engine.render.export import FORMS, Chunk, export
from policy_engine.service.administration.disclosure import NAMES
from policy_engine.service.audit.inspect import PARAMETERS, read_filters
from policy_engine.service.audit.on_file import FACTS, PARAMETER, MembersThen, read_on_file
from policy_engine.service.audit.retired import RecordRetired
from policy_engine.service.gate.keyring import Forbidden
from policy_engine.service.gate.pools import Pool
from policy_engine.shapes.record import PageDocument, RecordDocument

router = audience("auditor")

_FILTERS: Final = (
    *(QueryParameter(name=name, meaning=one.meaning, schema=one.schema) for name, one in PARAMETERS.items()),
    QueryParameter(
        name=PARAMETER,
        meaning=(
            "What was on file about somebody who was judged, whatever rules read; it needs `members:read`, and the"
            f" look is on record. One of {', '.join(f'`{name}:...`' for name in FACTS)}."
        ),
        example=next(iter(FACTS.values())).example,
    ),
)


@router.get(
    "/decisions",
    **described(
        {HTTPStatus.OK: PageDocument},
        parameters=(
            *_FILTERS,
            *PAGED,
        ),
        problems=(RecordRetired, LogUnavailable, LogDamaged),
    ),
)
async def find_decisions(request: Request, parts: PartsOf, key: Annotated[Key, needs("decisions:read")]) -> Response:
    """Recorded decisions by what they were about, the newest first. A page is of the log at one size, and its later
    pages of the same."""
    given = dict(request.query_params)
    limit, cursor = page_of(given)
    given = {name: text for name, text in given.items() if name not in ("limit", "cursor")}
    pools, inspector = parts.pools, parts.inspector
    if PARAMETER not in given:
        page = await pools.reads.run(inspector.page, read_filters(given), limit=limit, cursor=cursor)
        return Response(msgspec.json.encode(page.document()), media_type="application/json")
    filters = read_filters({name: text for name, text in given.items() if name != PARAMETER})
    then = await _members_then(parts, key, given, what="decisions")
    page = await pools.archive.run(inspector.page, filters, limit=limit, cursor=cursor, then=then)
    return Response(msgspec.json.encode(page.document()), media_type="application/json")


@router.get(
    "/decisions/export",
    **described(
        {
            HTTPStatus.OK: Media(
                kinds=tuple(form.media_type.partition(";")[0] for form in FORMS.values()),
                meaning="The decisions in the order of the log: one record to a line, or one line of a table.",
                headers={
                    "Log-Size": "The size of the log that the export is of.",
                    "Log-Root": "The root of the sealed tree at that size, in base64.",
                    "Log-Checkpoint": "The origin and size of the checkpoint of the root.",
                    "Log-Retired": "Years that the filters reach into and that are no longer kept.",
                    "Content-Disposition": "A name for the file.",
                },
            )
        },
        parameters=(
            QueryParameter(
                name="format",
                meaning="`jsonl` has the bytes of the records, `csv` flat columns.",
                schema={"type": "string", "enum": list(FORMS)},
                example="jsonl",
                required=True,
            ),
            QueryParameter(
                name="size",
                meaning="The log as it was at an earlier size; as it is where absent.",
                schema={"type": "integer", "minimum": 0},
            ),
            *_FILTERS,
        ),
        problems=(RecordRetired, LogUnavailable, LogDamaged),
    ),
)
async def export_decisions(request: Request, parts: PartsOf, key: Annotated[Key, needs("decisions:read")]) -> Response:
    """Recorded decisions as a file."""
    given = dict(request.query_params)
    form = given.pop("format", "")
    if form not in FORMS:
        raise malformed("format", f"is one of {', '.join(FORMS)}")
    asked = number_of(given, "size", -1, 0, 2**62)
    given.pop("size", None)
    filters = read_filters({name: text for name, text in given.items() if name != PARAMETER})
    then = await _members_then(parts, key, given, what="export")
    pool, inspector = parts.pools.archive, parts.inspector
    as_of = await pool.run(inspector.pin)
    await pool.run(inspector.require_names, filters)
    if asked > as_of.size:
        raise malformed("size", f"is at most {as_of.size} now")
    if 0 <= asked < as_of.size:
        as_of = await pool.run(inspector.at, asked)
    keep = None if then is None else then.holds
    chunks = export(inspector.index, filters, size=as_of.size, form=form, keep=keep)
    # The first piece is read before the answer begins, so that a log that cannot be read is an error.
    first = await pool.run(next, chunks, Chunk(data=b"", through=0))
    headers = {"Log-Size": str(as_of.size), "Content-Disposition": f'attachment; filename="decisions.{form}"'}
    if as_of.tree is not None:
        headers |= {"Log-Root": as_of.tree.root, "Log-Checkpoint": f"{as_of.tree.origin} {as_of.tree.size}"}
    retired = await pool.run(inspector.retired, filters)
    if retired:
        headers["Log-Retired"] = " ".join(str(one.content.year) for one in retired)
    return StreamingResponse(_data(first, chunks, pool), media_type=FORMS[form].media_type, headers=headers)


@router.get(
    "/decisions/{decision_id}",
    dependencies=[needs("decisions:read")],
    **described({HTTPStatus.OK: RecordDocument}, problems=(NotFound, RecordRetired, LogUnavailable)),
)
async def show_decision(
    parts: PartsOf, decision_id: Annotated[str, PathParameter(description="The id of a decision.")]
) -> Response:
    """A decision, byte for byte as it was recorded."""
    record = await parts.pools.reads.run(parts.log.read, decision_id)
    if record is None:
        await parts.pools.reads.run(parts.inspector.require_kept, decision_id)
        raise NotFound("no decision has this id")
    return Response(record, media_type="application/json")


async def _members_then(parts: Parts, key: Key, given: dict[str, str], *, what: str) -> MembersThen | None:
    """What is asked of the members, once the look is on record."""
    text = given.pop(PARAMETER, None)
    if text is None:
        return None
    if not sees_names(key):
        raise Forbidden(f"the right `{NAMES}` is needed for `{PARAMETER}`: it says what is on file about people")
    asked = read_on_file(text)
    then = await parts.pools.archive.run(MembersThen, parts.history, asked)
    await parts.pools.archive.run(parts.looks.note, actor_of(key), asked, dict(given), what=what)
    return then


async def _data(first: Chunk, rest: Iterator[Chunk], pool: Pool) -> AsyncIterator[bytes]:
    chunk: Chunk | None = first
    while chunk is not None:
        if chunk.data:
            yield chunk.data
        # The answer has begun, so it waits for a thread however many do; of those there are as many as exports begun.
        chunk = await pool.run_in_turn(next, rest, None)
