"""The sealed log over HTTP: checkpoints, proofs, and tiles at the paths of c2sp.org/tlog-tiles, below `/log/<year>/`;
decisions made again; legal holds, and years that are retired.

Bundles hold whole records, so to read any of it needs the right `decisions:read`. Holding, releasing and retiring need
`log:hold` and a key that is bound to a person.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from policy_engine.api import desk_document as documents
from policy_engine.api.body import read_body
from policy_engine.api.errors import NotFound
from policy_engine.api.security import entered
from policy_engine.domain.changes import Actor
from policy_engine.domain.desk import HoldState, RetiredYear
from policy_engine.domain.holds import HoldScope
from policy_engine.domain.instants import format_instant
from policy_engine.domain.ports import DecisionLog, Key, LogEntries
from policy_engine.formats.change import ChangeFault, decode_change
from policy_engine.formats.identifiers import text_fault
from policy_engine.formats.record_reader import RecordFault, read_record
from policy_engine.formats.request_document import FieldFault, MalformedRequest
from policy_engine.ledger.tiles import CHECKPOINT, Tile, require_form
from policy_engine.service.desk import Desk
from policy_engine.service.desk_faults import DeskConflict
from policy_engine.service.disclosure import NAMES, tells_exact_counts
from policy_engine.service.keyring import Forbidden, KeyRing
from policy_engine.service.pools import Pools
from policy_engine.service.replay import Past, replay, replay_now
from policy_engine.service.retention import (
    MustBeKept,
    Retention,
    place_hold,
    release_hold,
    without_repeats,
)
from policy_engine.service.retired import RecordRetired, retired_text, retired_with
from policy_engine.service.sealing import Sealing


class _Year(Convertor[int]):
    """A year in a path. The framework's own number takes any digits, and fails over thousands of them."""

    regex = "[0-9]{4}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return f"{value:04}"


register_url_convertor("year", _Year())

_LIMIT: Final = 2**20
_encoder: Final = msgspec.json.Encoder(order="sorted")
_SECONDS: Final = {"Cache-Control": "no-cache"}
_FOR_EVER: Final = {"Cache-Control": "private, max-age=31536000, immutable"}


def routes(
    sealing: Sealing | None,
    entries: LogEntries,
    ring: KeyRing,
    *,
    desk: Desk,
    past: Past,
    log: DecisionLog,
    pools: Pools,
) -> list[Route]:
    """The routes; without a sealed log those about it say that there is nothing."""
    return [
        *_sealed_routes(sealing, entries, ring, desk, pools),
        *_replay_routes(ring, desk, past, log, pools),
        *_hold_routes(sealing, entries, ring, desk, pools),
    ]


def _sealed_routes(
    sealing: Sealing | None, entries: LogEntries, ring: KeyRing, desk: Desk, pools: Pools
) -> list[Route]:
    async def allowed(request: Request) -> Sealing:
        await entered(request, ring, pools, "decisions:read")
        if sealing is None:
            raise NotFound("this service does not seal its log")
        return sealing

    async def newest(request: Request) -> Response:
        sealed = await pools.reads.run((await allowed(request)).sealed)
        if sealed is None:
            raise NotFound("nothing is sealed yet")
        return Response(sealed.signed.note, media_type="text/plain; charset=utf-8", headers=_SECONDS)

    async def years(request: Request) -> Response:
        held = await allowed(request)
        found = await pools.reads.run(entries.years)
        retired = (await pools.reads.run(desk.view.refresh)).desk.retired
        return JSONResponse(
            {
                "years": [
                    {
                        "year": one.year,
                        "first_index": one.first_index,
                        "key": held.key(one.year).verifier.encode(),
                        "retired_at": format_instant(retired[one.year].at) if one.year in retired else None,
                        "retirement": retired[one.year].change if one.year in retired else None,
                    }
                    for one in found
                ]
            }
        )

    async def resource(request: Request) -> Response:
        held = await allowed(request)
        path, year = request.path_params["path"], request.path_params["year"]
        data = await pools.reads.run(_resource, held, year, path)
        if data is None:
            retired = (await pools.reads.run(desk.view.refresh)).desk.retired.get(year)
            raise NotFound("the log has no such resource" if retired is None else retired_text(retired))
        if path == CHECKPOINT:
            return Response(data, media_type="text/plain; charset=utf-8", headers=_SECONDS)
        return Response(data, media_type="application/octet-stream", headers=_FOR_EVER)

    async def proof(request: Request) -> Response:
        held = await allowed(request)
        entry_id = request.path_params["entry_id"]
        entry = await pools.reads.run(entries.find, entry_id) if _findable(entry_id) else None
        if entry is None:
            raise await missing(entry_id)
        receipt = await pools.reads.run(held.receipt, entry)
        if receipt is None:
            raise NotFound("the entry is not sealed yet; ask again in a second")
        return Response(receipt.encode(), media_type="text/plain; charset=utf-8")

    async def exact(request: Request) -> Response:
        key = await entered(request, ring, pools, "decisions:read")
        entry_id = request.path_params["entry_id"]
        entry = await pools.reads.run(entries.find, entry_id) if _findable(entry_id) else None
        if entry is None:
            raise await missing(entry_id)
        if NAMES not in key.rights and _tells_exact_counts(entry.body):
            raise Forbidden(f"the right `{NAMES}` is needed for this entry: it has exact counts of people")
        headers = {"Log-Index": str(entry.index)}
        return Response(entry.body, media_type="application/json", headers=headers)

    async def missing(entry_id: str) -> Exception:
        retired = retired_with((await pools.reads.run(desk.view.refresh)).desk, entry_id)
        return NotFound("the log has no entry with this id") if retired is None else RecordRetired(retired)

    return [
        Route("/log/checkpoint", newest, methods=["GET"]),
        Route("/log/years", years, methods=["GET"]),
        Route("/log/proof/{entry_id}", proof, methods=["GET"]),
        Route("/log/entries/{entry_id}", exact, methods=["GET"]),
        Route("/log/{year:year}/{path:path}", resource, methods=["GET"]),
    ]


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


def _replay_routes(ring: KeyRing, desk: Desk, past: Past, log: DecisionLog, pools: Pools) -> list[Route]:
    one_at_a_time = threading.Lock()

    def replayed(decision_id: str, *, now: bool) -> bytes:
        body = log.read(decision_id) if _findable(decision_id) else None
        ground = desk.view.refresh()
        if body is None:
            retired = retired_with(ground.desk, decision_id)
            if retired is not None:
                raise RecordRetired(retired)
            raise NotFound("no decision has this id")
        try:
            record = read_record(body)
        except RecordFault as fault:
            raise DeskConflict(f"this release cannot read the record: {fault}") from fault
        with one_at_a_time:
            if not now:
                return replay(record, body, past).document()
            judge = past.judge(record.policy_version, record.control_epoch)
        if judge is None:
            raise DeskConflict(f"the book {record.policy_version} is not archived, or not to be read by this engine")
        return replay_now(record, body, ground.roster, judge).document()

    async def again(request: Request) -> Response:
        await entered(request, ring, pools, "decisions:read")
        known = request.query_params.get("known", "then")
        if known not in ("then", "now"):
            raise MalformedRequest(FieldFault(field="known", message="is `then` or `now`"))
        told = await pools.archive.run(replayed, request.path_params["decision_id"], now=known == "now")
        return Response(told, media_type="application/json")

    return [Route("/decisions/{decision_id}/replay", again, methods=["POST"])]


class _HoldBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What to hold, and why; `all` holds everything."""

    decisions: tuple[str, ...] | None = None
    organisations: tuple[str, ...] | None = None
    subjects: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    all: bool = False
    reason: str

    def scope(self) -> HoldScope:
        return without_repeats(
            HoldScope(
                decisions=_names("decisions", self.decisions),
                organisations=_names("organisations", self.organisations),
                subjects=_names("subjects", self.subjects),
                models=_names("models", self.models),
                everything=self.all,
            )
        )


class _ReasonBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    reason: str


class _RetireBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    year: int
    reason: str


def _names(field: str, values: tuple[str, ...] | None) -> tuple[str, ...]:
    names = values or ()
    for place, name in enumerate(names):
        fault = text_fault(name) if name.strip() else "must not be empty"
        if fault is not None:
            raise MalformedRequest(FieldFault(field=f"{field}[{place}]", message=fault))
    return names


def _hold_routes(sealing: Sealing | None, entries: LogEntries, ring: KeyRing, desk: Desk, pools: Pools) -> list[Route]:
    async def keyed(request: Request, right: str) -> Key:
        return await entered(request, ring, pools, right)

    async def holds(request: Request) -> Response:
        if request.method == "POST":
            return await place(request)
        await keyed(request, "decisions:read")
        state = (await pools.reads.run(desk.view.refresh)).desk
        return _json({"holds": [_hold_document(state.holds[name]) for name in sorted(state.holds)]})

    async def place(request: Request) -> Response:
        key = await keyed(request, "log:hold")
        body = documents.read(await read_body(request, _LIMIT), _HoldBody)
        reason, scope = documents.text_of("reason", body.reason), body.scope()
        held = await pools.desk.run(place_hold, desk, _actor(key), scope, reason=reason)
        headers = {"Location": f"/log/holds/{held.state.hold.id}"}
        return _json({**_hold_document(held.state), "records": held.records}, HTTPStatus.CREATED, headers)

    async def release(request: Request) -> Response:
        key = await keyed(request, "log:hold")
        body = documents.read(await read_body(request, _LIMIT), _ReasonBody)
        reason = documents.text_of("reason", body.reason)
        held = await pools.desk.run(release_hold, desk, _actor(key), request.path_params["hold"], reason=reason)
        return _json(_hold_document(held))

    async def retire(request: Request) -> Response:
        key = await keyed(request, "log:hold")
        if sealing is None:
            raise NotFound("this service does not seal its log")
        body = documents.read(await read_body(request, _LIMIT), _RetireBody)
        reason = documents.text_of("reason", body.reason)
        retention = Retention(desk=desk, entries=entries, sealing=sealing)
        try:
            retired = await pools.archive.run(retention.retire, _actor(key), body.year, reason=reason)
        except MustBeKept as kept:
            raise DeskConflict(str(kept)) from kept
        return _json(_retired_document(retired), HTTPStatus.CREATED)

    return [
        Route("/log/holds", holds, methods=["GET", "POST"]),
        Route("/log/holds/{hold}", release, methods=["DELETE"]),
        Route("/log/retirements", retire, methods=["POST"]),
    ]


def _actor(key: Key) -> Actor:
    return Actor(key=key.id, person=key.person)


def _person(actor: Actor | None) -> dict[str, object] | None:
    return None if actor is None else {"key": actor.key, "person": actor.person}


def _hold_document(state: HoldState) -> dict[str, object]:
    scope = state.hold.scope
    return {
        "id": state.hold.id,
        "status": "held" if state.released_at is None else "released",
        "scope": scope.text,
        "decisions": list(scope.decisions),
        "organisations": list(scope.organisations),
        "subjects": list(scope.subjects),
        "models": list(scope.models),
        "all": scope.everything,
        "reason": state.hold.reason,
        "placed_by": _person(state.placed_by),
        "placed_at": format_instant(state.placed_at),
        "released_by": _person(state.released_by),
        "released_at": None if state.released_at is None else format_instant(state.released_at),
        "release_reason": state.release_reason,
    }


def _retired_document(retired: RetiredYear) -> dict[str, object]:
    content = retired.content
    return {
        "year": content.year,
        "first_index": content.first_index,
        "size": content.size,
        "decisions": content.decisions,
        "checkpoint": content.checkpoint,
        "key": content.key,
        "reason": content.reason,
        "retired_by": _person(retired.actor),
        "retired_at": format_instant(retired.at),
        "retirement": retired.change,
    }


def _json(value: object, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        _encoder.encode(value), status_code=int(status), media_type="application/json", headers=dict(headers or {})
    )
