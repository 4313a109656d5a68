"""Routes of changes of members: proposed with what comes of them, narrow with one person, approved by another."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from policy_engine.api import desk_document as documents
from policy_engine.api.body import read_body
from policy_engine.api.compliance import BOOK_LIMIT, DESK_LIMIT, json_response, methods_of
from policy_engine.domain.changes import Actor
from policy_engine.domain.desk import MembersChange
from policy_engine.domain.instants import format_instant
from policy_engine.domain.ports import Key
from policy_engine.formats.change import digest_of
from policy_engine.formats.documents import plain, read_document
from policy_engine.formats.membership_writer import row_text
from policy_engine.formats.request_document import FieldFault, MalformedRequest
from policy_engine.formats.roster_rows import encode_rows
from policy_engine.service.keyring import KeyRing
from policy_engine.service.member_changes import SOURCE, ChangeFile, Document, Edits, MemberChanges, Preview, Sent
from policy_engine.service.member_edits import Edit, EditAction
from policy_engine.service.member_preview import Effect, Effects
from policy_engine.service.pools import Pools

TOLD: Final = 200
"""So many who gain, and so many who lose, are told by name; how many there are is told always."""


class EditBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One edit: what is done with which row, at what instant, and the members of a correction as they are written."""

    action: EditAction
    kind: str
    name: tuple[str, ...]
    at: str | None = None
    begins: str | None = None
    changes: tuple[tuple[str, str], ...] = ()


class ChangeBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A membership document, as JSON in `members` or as the text of a file in `document` with its name in `source`, or
    `edits` of single rows; why it is to be recorded; and whether it is only to be looked at."""

    edits: tuple[EditBody, ...] | None = None
    members: dict[str, object] | None = None
    document: str | None = None
    source: str | None = None
    reason: str | None = None
    dry_run: bool = False


class ApproveBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The digest of what was shown, and what there is to say about it."""

    shown: str | None = None
    note: str | None = None


def routes(changes: MemberChanges, ring: KeyRing, pools: Pools) -> list[Route]:
    """The routes of changes of members."""

    async def propose(request: Request, key: Key) -> Response:
        data = await read_body(request, BOOK_LIMIT)
        status, told = await pools.simulations.run(_proposed, changes, key, data)
        headers = {"Location": f"/members/changes/{told['id']}"} if told.get("id") else None
        return json_response(told, status, headers)

    async def show_all(_: Request, __: Key) -> Response:
        found = await pools.reads.run(changes.all)
        return json_response({"changes": [_change(one) for one in found]})

    async def show(request: Request, _: Key) -> Response:
        file = await pools.simulations.run(changes.show, request.path_params["change"])
        return json_response(_file(file))

    async def approve(request: Request, key: Key) -> Response:
        body = documents.read(await read_body(request, DESK_LIMIT), ApproveBody)
        note = documents.text_of("note", body.note)
        shown = None if body.shown is None else documents.text_of("shown", body.shown)
        file = await pools.simulations.run(
            changes.approve, _actor(key), request.path_params["change"], shown=shown, note=note
        )
        return json_response(_file(file))

    async def withdraw(request: Request, key: Key) -> Response:
        body = documents.read(await read_body(request, DESK_LIMIT), documents.WithdrawalBody)
        reason = documents.text_of("reason", body.reason)
        file = await pools.desk.run(changes.withdraw, _actor(key), request.path_params["change"], reason=reason)
        return json_response(_file(file))

    async def about(request: Request, _: Key) -> Response:
        kind, name = request.path_params["kind"], request.path_params["name"]
        at = documents.instant_of("at", request.query_params.get("at"))
        known_at = documents.instant_of("known_at", request.query_params.get("known_at"))
        text, revision = await pools.reads.run(changes.about, kind, name, at=at, known_at=known_at)
        told = {
            "kind": kind,
            "id": name,
            "at": None if at is None else format_instant(at),
            "known_at": None if known_at is None else format_instant(known_at),
            "membership_revision": revision,
            "members": _jsonable(plain(read_document(text.encode(), "members"))),
        }
        return json_response(told)

    return [
        *methods_of(
            "/members/changes", ring, pools, {"GET": ("members:read", show_all), "POST": ("members:write", propose)}
        ),
        *methods_of("/members/changes/{change}", ring, pools, {"GET": ("members:read", show)}),
        *methods_of("/members/changes/{change}/approve", ring, pools, {"POST": ("members:approve", approve)}),
        *methods_of("/members/changes/{change}/withdraw", ring, pools, {"POST": ("members:write", withdraw)}),
        *methods_of("/members/{kind}/{name}", ring, pools, {"GET": ("members:read", about)}),
    ]


def _jsonable(value: object) -> object:
    if isinstance(value, dict):
        return {name: _jsonable(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_jsonable(one) for one in value]
    return value if isinstance(value, str | int | bool | None) else str(value)


def _proposed(changes: MemberChanges, key: Key, data: bytes) -> tuple[HTTPStatus, dict[str, object]]:
    body = documents.read_book_body(data, ChangeBody)
    sent = _sent(body)
    reason = documents.text_of("reason", body.reason)
    if body.dry_run:
        preview = changes.preview(sent, feed=key.feed)
        return HTTPStatus.OK, {"id": None, "status": "preview", **_preview(preview)}
    name, preview = changes.propose(_actor(key), sent, reason=reason, feed=key.feed)
    if name is None:
        return HTTPStatus.OK, {"id": None, "status": "nothing_new", **_preview(preview)}
    told = {**_change(changes.desk.view.current().desk.members[name]), **_preview(preview)}
    return (HTTPStatus.ACCEPTED if preview.at_once is None else HTTPStatus.CREATED), told


def _sent(body: ChangeBody) -> Sent:
    given = [name for name in ("members", "document", "edits") if getattr(body, name) is not None]
    if len(given) != 1:
        raise MalformedRequest(
            FieldFault(field="members", message="or `document`, or `edits`: one of them has the rows")
        )
    if body.edits is not None:
        return Edits(edits=tuple(_edit(f"edits[{place}]", edit) for place, edit in enumerate(body.edits)))
    source = documents.text_of("source", body.source) or SOURCE
    if body.document is None:
        return Document(content=json.dumps(body.members, ensure_ascii=True, indent=1).encode("ascii"), source=source)
    try:
        return Document(content=body.document.encode("utf-8"), source=source)
    except UnicodeEncodeError as error:
        raise MalformedRequest(FieldFault(field="document", message="has a lone surrogate")) from error


def _edit(field: str, body: EditBody) -> Edit:
    return Edit(
        action=body.action,
        kind=documents.text_of(f"{field}.kind", body.kind),
        name=tuple(documents.text_of(f"{field}.name", part) for part in body.name),
        at=documents.instant_of(f"{field}.at", body.at),
        begins=documents.instant_of(f"{field}.begins", body.begins),
        changes=tuple(
            (documents.text_of(f"{field}.changes", name), documents.text_of(f"{field}.changes", value))
            for name, value in body.changes
        ),
    )


def _change(change: MembersChange) -> dict[str, object]:
    content = change.content
    return {
        "id": content.change,
        "status": _status(change),
        "at_once": content.at_once,
        "reason": content.reason,
        "added": content.added,
        "proposed_by": {"key": change.proposer.key, "person": change.proposer.person},
        "proposed_at": format_instant(change.proposed_at),
        "approved_by": (
            None if change.approver is None else {"key": change.approver.key, "person": change.approver.person}
        ),
        "approved_at": None if change.approved_at is None else format_instant(change.approved_at),
        "withdrawn": documents.withdrawal_document(change.withdrawal),
    }


def _status(change: MembersChange) -> str:
    if change.withdrawal is not None:
        return "withdrawn"
    return "waits" if change.in_force is None else "in_force"


def _file(file: ChangeFile) -> dict[str, object]:
    told = _change(file.change)
    if file.preview is not None:
        return {**told, **_preview(file.preview)}
    rows = documents.rows_document(digest_of(encode_rows(file.rows)), file.rows)
    return {**told, "status": told["status"] if file.stale is None else "stale", "stale": file.stale, "rows": rows}


def _preview(preview: Preview) -> dict[str, object]:
    return {
        "needs_second_person": preview.at_once is None and preview.count > 0,
        "widens": [{"row": row_text(one.row), "why": one.why} for one in preview.widens],
        "rows": documents.rows_document(digest_of(encode_rows(preview.rows)), preview.rows),
        "state_after": list(preview.state),
        "effects": _effects(preview.effects),
        "shown": preview.shown,
    }


def _effects(effects: Effects) -> dict[str, object]:
    return {
        "touched": effects.touched,
        "judged": effects.judged,
        "left_out": effects.left_out,
        "at": [format_instant(at) for at in effects.instants],
        "gains": len(effects.gained),
        "losses": len(effects.lost),
        "gained": [_effect(one) for one in effects.gained[:TOLD]],
        "lost": [_effect(one) for one in effects.lost[:TOLD]],
    }


def _effect(one: Effect) -> dict[str, object]:
    return {
        "subject": one.subject,
        "organisation": one.organisation,
        "model": one.model,
        "from": format_instant(one.at),
        "rule": one.rule,
        "code": one.code,
        "assumed": list(one.assumed),
    }


def _actor(key: Key) -> Actor:
    return Actor(key=key.id, person=key.person)
