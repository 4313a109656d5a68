"""Routes of changes of members: proposed with what comes of them, narrow with one person, approved by another."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeVar

from fastapi import Path as PathParameter
from starlette.requests import Request
from starlette.responses import Response

from policy_engine.api import desk_document as documents
from policy_engine.api.compliance import ACTED, BOOK_LIMIT, BY_ANOTHER, DESK_LIMIT, json_response
from policy_engine.domain.desk import MembersChange
from policy_engine.domain.instants import format_instant
from policy_engine.domain.ports import Key, LogUnavailable
from policy_engine.formats.change import digest_of
from policy_engine.formats.documents import jsonable, read_document
from policy_engine.formats.membership_writer import row_text
from policy_engine.formats.request_document import malformed
from policy_engine.formats.roster_rows import encode_rows
from policy_engine.http.body import read_body
from policy_engine.http.documents import read_sent, read_sent_book
from policy_engine.http.reference import Example, QueryParameter, audience, described
from policy_engine.http.security import PartsOf, actor_of, needs
from policy_engine.render.members_text import state_after
from policy_engine.service.administration.desk_faults import DeskConflict, NothingThere
from policy_engine.service.administration.member_changes import (
    SOURCE,
    ChangeFile,
    MemberChanges,
    Preview,
    Sent,
    SentDocument,
    SentEdits,
)
from policy_engine.service.administration.member_edits import Edit
from policy_engine.service.administration.member_preview import AccessChanges
from policy_engine.shapes.administration import WithdrawalBody
from policy_engine.shapes.document import document_of
from policy_engine.shapes.members import (
    ChangeApprovalBody,
    ChangeBody,
    ChangeFileDocument,
    ChangesDocument,
    EditBody,
    EffectDocument,
    EffectsDocument,
    ListedChangeDocument,
    OnFileDocument,
    WideningDocument,
)

C = TypeVar("C", bound=ListedChangeDocument)
Fields = dict[str, Any]
"""Members of a document that has more of them."""

TOLD: Final = 200
"""So many who gain, and so many who lose, are told by name; how many there are is told always."""


router = audience("members")

ChangeId = Annotated[str, PathParameter(description="The id of a change of members.")]


@router.get("/members/changes", dependencies=[needs("members:read")], **described({HTTPStatus.OK: ChangesDocument}))
async def list_changes(parts: PartsOf) -> Response:
    """Every change of members that went through the service, the newest first."""
    found = await parts.pools.reads.run(parts.member_changes.all)
    return json_response(ChangesDocument(changes=tuple(_change(ListedChangeDocument, one) for one in found)))


@router.post(
    "/members/changes",
    **described(
        {
            HTTPStatus.OK: ChangeFileDocument,
            HTTPStatus.CREATED: ChangeFileDocument,
            HTTPStatus.ACCEPTED: ChangeFileDocument,
        },
        body=ChangeBody,
        problems=ACTED,
        examples=(
            Example(
                name="look at a new organisation",
                meaning="What would come of it; nothing is recorded.",
                body={
                    "members": {
                        "organisations": [
                            {"id": "new-lab", "name": "New Lab Ltd.", "kind": "company", "headquarters": "GB"}
                        ]
                    },
                    "dry_run": True,
                },
            ),
        ),
    ),
)
async def propose_change(request: Request, parts: PartsOf, key: Annotated[Key, needs("members:write")]) -> Response:
    """Change members. What can only narrow is on file at once (201); everything else waits for another person (202);
    a `dry_run`, or what is on file already, records nothing (200)."""
    data = await read_body(request, BOOK_LIMIT)
    status, told = await parts.pools.simulations.run(_proposed, parts.member_changes, key, data)
    headers = {"Location": f"/members/changes/{told.id}"} if told.id else None
    return json_response(told, status, headers)


@router.get(
    "/members/changes/{change}",
    dependencies=[needs("members:read")],
    **described({HTTPStatus.OK: ChangeFileDocument}, problems=(NothingThere, DeskConflict, LogUnavailable)),
)
async def show_change(parts: PartsOf, change: ChangeId) -> Response:
    """A change with its rows; while it waits, with who gains or loses which model by it."""
    return json_response(_file(await parts.pools.simulations.run(parts.member_changes.show, change)))


@router.post(
    "/members/changes/{change}/approve",
    **described({HTTPStatus.OK: ChangeFileDocument}, body=ChangeApprovalBody, problems=BY_ANOTHER),
)
async def approve_change(
    request: Request, parts: PartsOf, change: ChangeId, key: Annotated[Key, needs("members:approve")]
) -> Response:
    """Approve another person's change, by the digest of what was shown: its rows are on file at once."""
    body = read_sent(await read_body(request, DESK_LIMIT), ChangeApprovalBody)
    note = documents.text_of("note", body.note)
    shown = None if body.shown is None else documents.text_of("shown", body.shown)
    changes = parts.member_changes
    file = await parts.pools.simulations.run(changes.approve, actor_of(key), change, shown=shown, note=note)
    return json_response(_file(file))


@router.post(
    "/members/changes/{change}/withdraw",
    **described({HTTPStatus.OK: ChangeFileDocument}, body=WithdrawalBody, problems=ACTED),
)
async def withdraw_change(
    request: Request, parts: PartsOf, change: ChangeId, key: Annotated[Key, needs("members:write")]
) -> Response:
    """Take back a change that waits for another person."""
    body = read_sent(await read_body(request, DESK_LIMIT), WithdrawalBody)
    reason = documents.text_of("reason", body.reason)
    file = await parts.pools.desk.run(parts.member_changes.withdraw, actor_of(key), change, reason=reason)
    return json_response(_file(file))


@router.get(
    "/members/{kind}/{name}",
    dependencies=[needs("members:read")],
    **described(
        {HTTPStatus.OK: OnFileDocument},
        parameters=(
            QueryParameter(
                name="at", meaning="What was true at this instant; everything that was ever true where absent."
            ),
            QueryParameter(name="known_at", meaning="What was recorded by this instant; now where absent."),
        ),
        problems=(NothingThere,),
    ),
)
async def show_member(
    request: Request,
    parts: PartsOf,
    kind: Annotated[
        str, PathParameter(description="A section of the membership document.", examples=["people", "organisations"])
    ],
    name: Annotated[str, PathParameter(description="Whom or what the rows are about.", examples=["carol"])],
) -> Response:
    """What is on file about somebody, as a membership document."""
    at = documents.instant_of("at", request.query_params.get("at"))
    known_at = documents.instant_of("known_at", request.query_params.get("known_at"))
    text, revision = await parts.pools.reads.run(parts.member_changes.about, kind, name, at=at, known_at=known_at)
    members = _members(text)
    told = document_of(
        OnFileDocument, kind=kind, id=name, at=at, known_at=known_at, membership_revision=revision, members=members
    )
    return json_response(told)


def _members(text: str) -> dict[str, object]:
    told = jsonable(read_document(text.encode(), "members"))
    return told if isinstance(told, dict) else {}


def _proposed(changes: MemberChanges, key: Key, data: bytes) -> tuple[HTTPStatus, ChangeFileDocument]:
    body = read_sent_book(data, ChangeBody)
    sent = _sent(body)
    reason = documents.text_of("reason", body.reason)
    if body.dry_run:
        preview = changes.preview(sent, feed=key.feed)
        return HTTPStatus.OK, ChangeFileDocument(id=None, status="preview", **_preview(preview))
    name, preview = changes.propose(actor_of(key), sent, reason=reason, feed=key.feed)
    if name is None:
        return HTTPStatus.OK, ChangeFileDocument(id=None, status="nothing_new", **_preview(preview))
    told = _change(ChangeFileDocument, changes.desk.view.current().desk.members[name], **_preview(preview))
    return (HTTPStatus.ACCEPTED if preview.at_once is None else HTTPStatus.CREATED), told


def _sent(body: ChangeBody) -> Sent:
    given = [name for name in ("members", "document", "edits") if getattr(body, name) is not None]
    if len(given) != 1:
        raise malformed("members", "or `document`, or `edits`: one of them has the rows")
    if body.edits is not None:
        return SentEdits(edits=tuple(_edit(f"edits[{place}]", edit) for place, edit in enumerate(body.edits)))
    source = documents.text_of("source", body.source) or SOURCE
    if body.document is None:
        return SentDocument(
            content=json.dumps(body.members, ensure_ascii=True, indent=1).encode("ascii"), source=source
        )
    try:
        return SentDocument(content=body.document.encode("utf-8"), source=source)
    except UnicodeEncodeError as error:
        raise malformed("document", "has a lone surrogate") from error


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


def _change(shape: type[C], change: MembersChange, **more: Any) -> C:
    content = change.content
    return document_of(
        shape,
        change,
        id=content.change,
        at_once=content.at_once,
        reason=content.reason,
        added=content.added,
        proposed_by=change.proposer,
        approved_by=change.approver,
        withdrawn=change.withdrawal,
        **{"status": _status(change), **more},
    )


def _status(change: MembersChange) -> str:
    if change.withdrawal is not None:
        return "withdrawn"
    return "waits" if change.in_force is None else "in_force"


def _file(file: ChangeFile) -> ChangeFileDocument:
    if file.preview is not None:
        return _change(ChangeFileDocument, file.change, **_preview(file.preview))
    rows = documents.rows_document(digest_of(encode_rows(file.rows)), file.rows)
    status = _status(file.change) if file.stale is None else "stale"
    return _change(ChangeFileDocument, file.change, status=status, stale=file.stale, rows=rows)


def _preview(preview: Preview) -> Fields:
    return {
        "needs_second_person": preview.at_once is None and preview.count > 0,
        "widens": tuple(WideningDocument(row=row_text(one.row), why=one.why) for one in preview.widens),
        "rows": documents.rows_document(digest_of(encode_rows(preview.rows)), preview.rows),
        "state_after": tuple(state_after(preview.after, preview.rows)),
        "effects": _effects(preview.effects),
        "shown": preview.shown,
    }


def _effects(effects: AccessChanges) -> EffectsDocument:
    return document_of(
        EffectsDocument,
        effects,
        at=tuple(map(format_instant, effects.instants)),
        gains=len(effects.gained),
        losses=len(effects.lost),
        gained=tuple(document_of(EffectDocument, one, since=one.at) for one in effects.gained[:TOLD]),
        lost=tuple(document_of(EffectDocument, one, since=one.at) for one in effects.lost[:TOLD]),
    )
