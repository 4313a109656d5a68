"""The sealed log over HTTP: checkpoints, proofs, and tiles at the paths of c2sp.org/tlog-tiles, below `/log/<year>/`;
decisions made again; legal holds, and years that are retired.

Bundles hold whole records, so to read any of it needs the right `decisions:read`. Holding, releasing and retiring need
`log:hold` and a key that is bound to a person.
"""

from __future__ import annotations

import threading
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from fastapi import Depends
from fastapi import Path as PathParameter
from msgspec.structs import replace
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response

from policy_engine.api import desk_document as documents
from policy_engine.api.compliance import ACTED, DESK_LIMIT, json_response
from policy_engine.app.builder import Parts
from policy_engine.domain.desk import HoldState, RetiredYear
from policy_engine.domain.freezes import without_repeats
from policy_engine.domain.instants import format_instant
from policy_engine.domain.legal_holds import HoldScope
from policy_engine.domain.ports import Key, LogUnavailable
from policy_engine.formats.change import ChangeFault, decode_change
from policy_engine.formats.record_reader import RecordFault, read_record
from policy_engine.formats.request_document import malformed
from policy_engine.http.body import read_body
from policy_engine.http.documents import read_sent
from policy_engine.http.errors import NotFound
from policy_engine.http.reference import Example, Media, QueryParameter, audience, described
from policy_engine.http.security import PartsOf, actor_of, needs, sees_names
from policy_engine.ledger.tiles import CHECKPOINT, LogFault, Tile, require_form
from policy_engine.policy.library import BookLost
from policy_engine.service.administration.desk_faults import DeskConflict
from policy_engine.service.administration.disclosure import NAMES, tells_exact_counts
from policy_engine.service.audit.replay import replay, replay_now
from policy_engine.service.audit.retention import MustBeKept, Retention, place_hold, release_hold
from policy_engine.service.audit.retired import RecordRetired, retired_text, retired_with
from policy_engine.service.gate.keyring import Forbidden
from policy_engine.service.sealing.sealed_log import EntryAltered, Sealing
from policy_engine.shapes.document import document_of
from policy_engine.shapes.log import (
    HoldBody,
    HoldDocument,
    HoldsDocument,
    ReleaseBody,
    RetiredDocument,
    RetirementBody,
    YearDocument,
    YearsDocument,
)
from policy_engine.shapes.record import KnownNowDocument, ReplayedDocument


class _Year(Convertor[int]):
    """A year in a path. The framework's own number takes any digits, and fails over thousands of them."""

    regex = "[1-9][0-9]{3}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return f"{value:04}"


register_url_convertor("year", _Year())

_SECONDS: Final = {"Cache-Control": "no-cache"}
_FOR_EVER: Final = {"Cache-Control": "private, max-age=31536000, immutable"}


router = audience("log")
replays = audience("auditor")

EntryId = Annotated[str, PathParameter(description="The id of an entry: of a decision, or of what people changed.")]
_READS: Final = (NotFound, LogUnavailable, LogFault)


async def _sealing_of(parts: PartsOf) -> Sealing:
    if parts.keeper is None:
        raise NotFound("this service does not seal its log")
    return parts.keeper.sealing


SealingOf = Annotated[Sealing, Depends(_sealing_of)]
"""The sealed log; without one the routes about it say that there is nothing. It comes behind the key."""


@router.get(
    "/log/checkpoint",
    dependencies=[needs("decisions:read")],
    **described(
        {HTTPStatus.OK: Media(kinds=("text/plain",), meaning="A signed note (C2SP tlog-checkpoint).")}, problems=_READS
    ),
)
async def newest_checkpoint(parts: PartsOf, sealing: SealingOf) -> Response:
    """The newest signed checkpoint of the log."""
    sealed = await parts.pools.reads.run(sealing.sealed)
    if sealed is None:
        raise NotFound("nothing is sealed yet")
    return Response(sealed.signed.note, media_type="text/plain; charset=utf-8", headers=_SECONDS)


@router.get(
    "/log/years",
    dependencies=[needs("decisions:read")],
    **described({HTTPStatus.OK: YearsDocument}, problems=_READS),
)
async def list_years(parts: PartsOf, sealing: SealingOf) -> Response:
    """The years of the log, each with the key that verifies its checkpoints."""
    found = await parts.pools.reads.run(parts.entries.years)
    retired = (await parts.pools.reads.run(parts.desk.view.refresh)).desk.retired
    years = tuple(
        YearDocument(
            year=one.year,
            first_index=one.first_index,
            key=sealing.key(one.year).verifier.encode(),
            retired_at=format_instant(retired[one.year].at) if one.year in retired else None,
            retirement=retired[one.year].change if one.year in retired else None,
        )
        for one in found
    )
    return Response(msgspec.json.encode(YearsDocument(years=years)), media_type="application/json")


@router.get(
    "/log/proof/{entry_id}",
    dependencies=[needs("decisions:read")],
    **described(
        {HTTPStatus.OK: Media(kinds=("text/plain",), meaning="A receipt (C2SP tlog-proof).")},
        problems=(*_READS, RecordRetired, EntryAltered),
    ),
)
async def show_proof(parts: PartsOf, sealing: SealingOf, entry_id: EntryId) -> Response:
    """The receipt of an entry: that it stands in the log of a signed checkpoint."""
    entry = await parts.pools.reads.run(parts.entries.find, entry_id) if _findable(entry_id) else None
    if entry is None:
        raise await _missing(parts, entry_id)
    receipt = await parts.pools.reads.run(sealing.receipt, entry)
    if receipt is None:
        raise NotFound("the entry is not sealed yet; ask again in a second")
    return Response(receipt.encode(), media_type="text/plain; charset=utf-8")


@router.get(
    "/log/entries/{entry_id}",
    **described(
        {
            HTTPStatus.OK: Media(
                kinds=("application/json",),
                meaning="The entry's bytes as they were sealed.",
                headers={"Log-Index": "The place of the entry in the log."},
            )
        },
        problems=(NotFound, RecordRetired, LogUnavailable),
    ),
)
async def show_entry(parts: PartsOf, entry_id: EntryId, key: Annotated[Key, needs("decisions:read")]) -> Response:
    """An entry of the log, byte for byte. One with exact counts of people needs `members:read` too."""
    entry = await parts.pools.reads.run(parts.entries.find, entry_id) if _findable(entry_id) else None
    if entry is None:
        raise await _missing(parts, entry_id)
    if not sees_names(key) and _tells_exact_counts(entry.body):
        raise Forbidden(f"the right `{NAMES}` is needed for this entry: it has exact counts of people")
    return Response(entry.body, media_type="application/json", headers={"Log-Index": str(entry.index)})


async def _missing(parts: Parts, entry_id: str) -> Exception:
    retired = retired_with((await parts.pools.reads.run(parts.desk.view.refresh)).desk, entry_id)
    return NotFound("the log has no entry with this id") if retired is None else RecordRetired(retired)


@router.get(
    "/log/holds",
    dependencies=[needs("decisions:read")],
    **described({HTTPStatus.OK: HoldsDocument}),
)
async def list_holds(parts: PartsOf) -> Response:
    """Every legal hold."""
    state = (await parts.pools.reads.run(parts.desk.view.refresh)).desk
    return json_response(HoldsDocument(holds=tuple(_hold_document(state.holds[name]) for name in sorted(state.holds))))


@router.post(
    "/log/holds",
    **described(
        {HTTPStatus.CREATED: HoldDocument},
        body=HoldBody,
        problems=ACTED,
        examples=(
            Example(
                name="an organisation",
                meaning="Every record that judged or named it is kept.",
                body={"organisations": ["harbor-cyber"], "reason": "request of 20 November"},
                status=HTTPStatus.CREATED,
            ),
        ),
    ),
)
async def hold_records(request: Request, parts: PartsOf, key: Annotated[Key, needs("log:hold")]) -> Response:
    """Place a legal hold: every record that has any one of the names is kept until it is released."""
    body = read_sent(await read_body(request, DESK_LIMIT), HoldBody)
    reason, scope = documents.text_of("reason", body.reason), _scope(body)
    held = await parts.pools.desk.run(place_hold, parts.desk, actor_of(key), scope, reason=reason)
    told = replace(_hold_document(held.state), records=held.records)
    return json_response(told, HTTPStatus.CREATED, {"Location": f"/log/holds/{held.state.hold.id}"})


@router.delete(
    "/log/holds/{hold}",
    **described({HTTPStatus.OK: HoldDocument}, body=ReleaseBody, problems=ACTED),
)
async def release_records(
    request: Request,
    parts: PartsOf,
    hold: Annotated[str, PathParameter(description="The id of a hold.")],
    key: Annotated[Key, needs("log:hold")],
) -> Response:
    """Release a legal hold."""
    body = read_sent(await read_body(request, DESK_LIMIT), ReleaseBody)
    reason = documents.text_of("reason", body.reason)
    held = await parts.pools.desk.run(release_hold, parts.desk, actor_of(key), hold, reason=reason)
    return json_response(_hold_document(held))


@router.post(
    "/log/retirements",
    **described({HTTPStatus.CREATED: RetiredDocument}, body=RetirementBody, problems=(*ACTED, NotFound, LogFault)),
)
async def retire_year(
    request: Request, parts: PartsOf, key: Annotated[Key, needs("log:hold")], sealing: SealingOf
) -> Response:
    """Retire a year of the log, when every clock has run out and no hold stands."""
    body = read_sent(await read_body(request, DESK_LIMIT), RetirementBody)
    reason = documents.text_of("reason", body.reason)
    retention = Retention(desk=parts.desk, entries=parts.entries, sealing=sealing)
    try:
        retired = await parts.pools.archive.run(retention.retire, actor_of(key), body.year, reason=reason)
    except MustBeKept as kept:
        raise DeskConflict(str(kept)) from kept
    return json_response(_retired_document(retired), HTTPStatus.CREATED)


@router.get(
    "/log/{year:year}/{path:path}",
    dependencies=[needs("decisions:read")],
    **described(
        {
            HTTPStatus.OK: Media(
                kinds=("text/plain", "application/octet-stream"), meaning="The checkpoint of the year, or a tile."
            )
        },
        problems=_READS,
    ),
)
async def show_tile(
    parts: PartsOf,
    sealing: SealingOf,
    year: Annotated[int, PathParameter(description="A year, in four digits.", ge=1000, le=9999)],
    path: Annotated[
        str,
        PathParameter(
            description="`checkpoint`, or a path of C2SP tlog-tiles such as `tile/entries/000`; its slashes are"
            " written as they are.",
            examples=["checkpoint"],
        ),
    ],
) -> Response:
    """What stands in a year's log at a path of C2SP tlog-tiles."""
    data = await parts.pools.reads.run(_resource, sealing, year, path)
    if data is None:
        retired = (await parts.pools.reads.run(parts.desk.view.refresh)).desk.retired.get(year)
        raise NotFound("the log has no such resource" if retired is None else retired_text(retired))
    if path == CHECKPOINT:
        return Response(data, media_type="text/plain; charset=utf-8", headers=_SECONDS)
    return Response(data, media_type="application/octet-stream", headers=_FOR_EVER)


def _tells_exact_counts(body: bytes) -> bool:
    try:
        return tells_exact_counts(decode_change(body).event)
    except ChangeFault:
        # A decision, which has no report.
        return False


def _resource(held: Sealing, year: int, path: str) -> bytes | None:
    """What stands under a path of a year's log. Raises `LogFault` for what no verifier could read."""
    if path == CHECKPOINT:
        signed = held.checkpoint(year)
        return None if signed is None else signed.note
    data, tile = held.tiles(year).read(path), Tile.parse(path)
    if data is not None and tile is not None:
        # What is served here may be kept for ever by whoever fetched it.
        require_form(data, tile)
    return data


def _findable(entry_id: str) -> bool:
    # Some of what is no id, such as a NUL, no database takes as a text.
    return entry_id.isascii() and entry_id.isprintable()


@replays.post(
    "/decisions/{decision_id}/replay",
    dependencies=[needs("decisions:read")],
    **described(
        {HTTPStatus.OK: (ReplayedDocument, KnownNowDocument)},
        parameters=(
            QueryParameter(
                name="known",
                meaning="With what was known then, to the same bytes; or with what is known now of that instant.",
                schema={"type": "string", "enum": ["then", "now"], "default": "then"},
            ),
        ),
        problems=(NotFound, RecordRetired, DeskConflict, LogUnavailable, BookLost),
    ),
)
async def replay_decision(
    request: Request,
    parts: PartsOf,
    decision_id: Annotated[str, PathParameter(description="The id of a decision.")],
) -> Response:
    """Make a recorded decision again, and say where the two differ."""
    known = request.query_params.get("known", "then")
    if known not in ("then", "now"):
        raise malformed("known", "is `then` or `now`")
    alone: threading.Lock = request.app.state.one_replay
    told = await parts.pools.archive.run(_replayed, parts, alone, decision_id, now=known == "now")
    return Response(told, media_type="application/json")


def _replayed(parts: Parts, alone: threading.Lock, decision_id: str, *, now: bool) -> bytes:
    body = parts.log.read(decision_id) if _findable(decision_id) else None
    ground = parts.desk.view.refresh()
    if body is None:
        retired = retired_with(ground.desk, decision_id)
        if retired is not None:
            raise RecordRetired(retired)
        raise NotFound("no decision has this id")
    try:
        record = read_record(body)
    except RecordFault as fault:
        raise DeskConflict(f"this release cannot read the record: {fault}") from fault
    with alone:
        if not now:
            return replay(record, body, parts.past).document()
        judge = parts.past.judge(record.policy_version, record.control_epoch)
    if judge is None:
        raise DeskConflict(f"the book {record.policy_version} is not archived, or cannot be read by this release")
    return replay_now(record, body, ground.roster, judge).document()


def _scope(body: HoldBody) -> HoldScope:
    return without_repeats(
        HoldScope(
            decisions=documents.names_of("decisions", body.decisions),
            organisations=documents.names_of("organisations", body.organisations),
            subjects=documents.names_of("subjects", body.subjects),
            models=documents.names_of("models", body.models),
            everything=body.all,
        )
    )


def _hold_document(state: HoldState) -> HoldDocument:
    hold, scope = state.hold, state.hold.scope
    status = "held" if state.released_at is None else "released"
    return document_of(HoldDocument, state, hold, scope, status=status, scope=scope.text, all=scope.everything)


def _retired_document(retired: RetiredYear) -> RetiredDocument:
    return document_of(
        RetiredDocument,
        retired.content,
        retired_by=retired.actor,
        retired_at=retired.at,
        retirement=retired.change,
    )
