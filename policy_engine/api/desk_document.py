"""The documents of the compliance desk: what is asked, read strictly, and what is told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, Literal, TypeVar

import msgspec

from policy_engine.domain.changes import Actor
from policy_engine.domain.desk import Desk, FreezeState, InForce, Proposal, Withdrawal
from policy_engine.domain.freezes import FreezeScope
from policy_engine.domain.instants import InstantError, format_instant, parse_instant
from policy_engine.domain.roster import RosterRows
from policy_engine.formats.faults import Fault
from policy_engine.formats.identifiers import shown, text_fault
from policy_engine.formats.membership_writer import row_text
from policy_engine.formats.request_document import FieldFault, MalformedRequest, parse_object, without_mark
from policy_engine.formats.roster_rows import ROW_TYPES
from policy_engine.policy.case_changes import CaseChanges
from policy_engine.service.assess import Checked
from policy_engine.service.disclosure import summary_shown
from policy_engine.service.reviewing import Review, ReviewFile

MAX_TEXT: Final = 4_000
"""Characters of a note, a reason or a rationale."""


class BookBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The files of a book's folder, worked examples included, by their names relative to it."""

    files: dict[str, str]


class ProposalBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A book to propose: its files, or the fingerprint of an archived one."""

    files: dict[str, str] | None = None
    rollback_to: str | None = None
    note: str
    effective: str | None = None
    since: str | None = None
    withdraws: tuple[str, ...] = ()


class ApprovalBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An approval may say something; `cases` is the digest of the report about the worked examples, where some go or
    change."""

    note: str | None = None
    cases: str | None = None


class WithdrawalBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Why what waits for another person is taken back."""

    reason: str | None = None


class FreezeBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What to freeze, by whose authority, why and until when; `all` freezes everything."""

    models: tuple[str, ...] | None = None
    countries: tuple[str, ...] | None = None
    organisations: tuple[str, ...] | None = None
    gateways: tuple[str, ...] | None = None
    all: bool = False
    authority: str
    reason: str
    until: str | None = None

    def scope(self) -> FreezeScope:
        return FreezeScope(
            models=_names("models", self.models),
            countries=_names("countries", self.countries),
            organisations=_names("organisations", self.organisations),
            gateways=_names("gateways", self.gateways),
            everything=self.all,
        )


class LiftBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Why a freeze is to be lifted; the second person may leave it out."""

    reason: str | None = None


class CloseBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How a case is to end. A release with `members` asks for it; without, it confirms what another person asked, by
    the digest of the `rows` that were shown."""

    outcome: Literal["refuse", "release"]
    rationale: str | None = None
    members: dict[str, object] | None = None
    rows: str | None = None


class SimulationBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A request, and what is supposed beside what stands. Without `at` it is now; without `known_at` what was known at
    the instant counts."""

    request: dict[str, object]
    at: str | None = None
    known_at: str | None = None
    book: str | None = None
    members: dict[str, object] | None = None
    freezes: bool = True


Body = TypeVar("Body", bound=msgspec.Struct)
_PLACE: Final = re.compile(r"(?P<message>.*?) - at `\$\.?(?P<field>.*)`", re.DOTALL)
_HALF: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_LONE: Final = re.compile("[\ud800-\udfff]")
_NAMED: Final = re.compile(r"Object (?P<message>.*?) `(?P<field>.*)`", re.DOTALL)


def read(body: bytes, shape: type[Body]) -> Body:
    """The body as a small document; an empty body is an empty object. Raises `MalformedRequest` naming the field."""
    return _shaped(parse_object(body or b"{}"), shape, body)


def read_book_body(body: bytes, shape: type[Body]) -> Body:
    """The body as a document with a book's files in it: as `read`, in little more room than the body itself takes.

    Nothing in the shapes is deep, so depth needs no limit but the parser's own.
    """
    try:
        document = json.loads(without_mark(body).decode("utf-8"), object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        raise _malformed("", f"is not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise _malformed(
            "", f"is not JSON: {error.msg.lower()} at line {error.lineno}, column {error.colno}"
        ) from error
    except RecursionError as error:
        raise _malformed("", "is nested too deep") from error
    except MalformedRequest:
        raise
    except ValueError as error:
        raise _malformed("", "has a number that is too long") from error
    return _shaped(document, shape, body)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _malformed(shown(twice), "stands twice in one object")
    return found


def _shaped(document: object, shape: type[Body], body: bytes) -> Body:
    if _HALF.search(body) is not None:
        try:
            _refuse_halves(document, "")
        except RecursionError as error:
            raise _malformed("", "is nested too deep") from error
    try:
        return msgspec.convert(document, shape)
    except msgspec.ValidationError as error:
        said = str(error)
        placed = _PLACE.fullmatch(said)
        message, place = (placed["message"], placed["field"]) if placed is not None else (said, "")
        named = _NAMED.fullmatch(message)
        if named is not None:
            message, name = named["message"], shown(named["field"])
            place = f"{place}.{name}" if place else name
        raise _malformed(place, message[:1].lower() + message[1:]) from error


def _refuse_halves(value: object, path: str) -> None:
    """Raises `MalformedRequest` for a text with half of a surrogate pair, which nothing can be written with."""
    if isinstance(value, str):
        if _LONE.search(value) is not None:
            raise _malformed(path, "has a lone surrogate")
    elif isinstance(value, dict):
        for name, inner in value.items():
            place = f"{path}.{shown(name)}" if path else shown(name)
            _refuse_halves(name, place)
            _refuse_halves(inner, place)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _refuse_halves(inner, f"{path}[{number}]")


def _malformed(field: str, message: str) -> MalformedRequest:
    return MalformedRequest(FieldFault(field=field, message=message))


def text_of(field: str, value: str | None) -> str:
    """A sentence or several for the record; lines and tabs may be in it. Raises `MalformedRequest`."""
    text = value or ""
    if len(text) > MAX_TEXT:
        raise _malformed(field, f"must have at most {MAX_TEXT} characters")
    fault = text_fault(text.replace("\n", "").replace("\t", ""))
    if fault is not None:
        raise _malformed(field, fault)
    return text


def instant_of(field: str, value: str | None) -> datetime | None:
    """An RFC 3339 instant or a bare date. Raises `MalformedRequest`."""
    if value is None:
        return None
    try:
        return parse_instant(value)
    except InstantError as error:
        raise _malformed(field, shown(str(error), limit=200)) from error


def bytes_of(files: Mapping[str, str]) -> dict[str, bytes]:
    """The files as their bytes. Raises `MalformedRequest` naming one that has no bytes in UTF-8, or a bad name."""
    found = {}
    for name, text in files.items():
        fault = text_fault(name)
        if fault is not None:
            raise _malformed("files", f"has a file whose name {fault}")
        try:
            found[name] = text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise _malformed(f"files.{shown(name)}", "has a lone surrogate") from error
    return found


def rows_of(members: Mapping[str, object]) -> bytes:
    """The membership document, one member a line, so that a fault's place says something."""
    return json.dumps(members, ensure_ascii=True, indent=1).encode("ascii")


def _names(field: str, values: Iterable[str] | None) -> tuple[str, ...]:
    names = tuple(values or ())
    for place, name in enumerate(names):
        fault = text_fault(name) if name.strip() else "must not be empty"
        if fault is not None:
            raise _malformed(f"{field}[{place}]", fault)
    return names


def fault_document(fault: Fault) -> dict[str, object]:
    """A fault of a file with its place."""
    return {
        "file": fault.source,
        "line": fault.line,
        "column": fault.column,
        "cell": fault.cell,
        "message": fault.message,
        "remedy": fault.remedy,
    }


def checked_document(
    checked: Checked, unsaid: tuple[Fault, ...], cases: CaseChanges | None = None
) -> dict[str, object]:
    """What a check found, with the faults of the step from the book in force."""
    faults = (*checked.faults, *unsaid)
    return {
        "ok": not faults and not checked.failed,
        "fingerprint": None if checked.book is None else checked.book.fingerprint,
        "faults": [fault_document(fault) for fault in faults],
        "cases": {
            "passed": len(checked.results) - len(checked.failed),
            "failed": list(checked.failed),
            **(
                {}
                if cases is None
                else {"removed": list(cases.removed), "changed": list(cases.changed), "added": list(cases.added)}
            ),
        },
    }


def desk_document(desk: Desk, at: datetime, *, names: bool) -> dict[str, object]:
    """Everything that stands at the desk; `names` as for a proposal."""
    at = desk.moment(at)
    current = desk.book_at(at)
    scheduled = [book for book in desk.books if book.start > at]
    before = [book for book in desk.books if book.start <= at and book is not current]
    return {
        "in_force": None if current is None else book_document(current, desk),
        "scheduled": [book_document(book, desk) for book in scheduled],
        "history": [book_document(book, desk) for book in reversed(before)],
        "proposals": proposals_document(desk, at, names=names),
        "freezes": freezes_document(desk, at),
    }


def book_document(book: InForce, desk: Desk) -> dict[str, object]:
    """A book, since when it is in force, and by whom."""
    proposal = None if book.proposal is None else desk.proposals[book.proposal]
    return {
        "fingerprint": book.fingerprint,
        "since": format_instant(book.start),
        "via": book.via,
        "proposal": book.proposal,
        "proposed_by": None if proposal is None else _actor(proposal.author),
        "approved_by": None if proposal is None else _actor(book.actor),
        "recorded_by": _actor(book.actor),
    }


def proposals_document(desk: Desk, at: datetime, *, names: bool) -> list[dict[str, object]]:
    """Every proposal, the newest first."""
    return [proposal_document(proposal, at, names=names) for proposal in reversed(list(desk.proposals.values()))]


def proposal_document(proposal: Proposal, at: datetime, *, names: bool) -> dict[str, object]:
    """A proposal with where it is and the summaries of its reports; `names` says whether the reader may see exactly
    whom it touches."""
    content = proposal.content
    return {
        "id": proposal.id,
        "status": _status(proposal, at),
        "fingerprint": content.fingerprint,
        "base": content.base,
        "rollback": content.rollback,
        "note": content.note,
        "effective": _instant(content.effective),
        "withdraws": list(content.withdraws),
        "proposed_by": _actor(proposal.author),
        "proposed_at": format_instant(proposal.proposed_at),
        "approved_by": _actor(proposal.approver),
        "approved_at": _instant(proposal.approved_at),
        "in_force": _instant(proposal.in_force),
        "cases": proposal.cases,
        "withdrawn_by": proposal.withdrawn_by,
        "withdrawn": withdrawal_document(proposal.withdrawal),
        "reports": [
            {"name": report.name, "summary": summary_shown(report, names=names), "digest": report.digest}
            for report in content.reports
        ],
    }


def withdrawal_document(withdrawal: Withdrawal | None) -> dict[str, object] | None:
    """Who took back what waited, when and why."""
    if withdrawal is None:
        return None
    return {"by": _actor(withdrawal.actor), "at": format_instant(withdrawal.at), "reason": withdrawal.reason}


def _status(proposal: Proposal, at: datetime) -> str:
    if proposal.withdrawn_by is not None or proposal.withdrawal is not None:
        return "withdrawn"
    if proposal.in_force is None:
        return "proposed"
    return "scheduled" if at < proposal.in_force else "put_in_force"


def freezes_document(desk: Desk, at: datetime) -> list[dict[str, object]]:
    """Every freeze, the newest first."""
    return [freeze_document(state, at) for state in reversed(list(desk.freezes.values()))]


def freeze_document(state: FreezeState, at: datetime) -> dict[str, object]:
    """A freeze: its scope, and where it is."""
    freeze = state.freeze
    return {
        "id": freeze.id,
        "status": _freeze_status(state, at),
        "models": list(freeze.scope.models),
        "countries": list(freeze.scope.countries),
        "organisations": list(freeze.scope.organisations),
        "gateways": list(freeze.scope.gateways),
        "all": freeze.scope.everything,
        "authority": freeze.authority,
        "reason": freeze.reason,
        "from": format_instant(freeze.start),
        "until": _instant(freeze.until),
        "declared_by": _actor(state.declared_by),
        "lift_asked_by": _actor(state.lift_asked_by),
        "lift_reason": state.lift_reason,
        "lifted_by": _actor(state.lifted_by),
        "lifted_at": _instant(state.lifted_at),
    }


def _freeze_status(state: FreezeState, at: datetime) -> str:
    if state.lifted_at is not None:
        return "lifted"
    if not state.stands(at):
        return "expired"
    return "lift_asked" if state.lift_asked_by is not None else "frozen"


def review_document(review: Review) -> dict[str, object]:
    """A case: what it is about, and where it is."""
    key, asked, closed = review.opened.key, review.asked, review.closed
    return {
        "id": review.opened.id,
        "status": review.status.value,
        "subject": key.subject,
        "model": key.model,
        "action": key.action,
        "purpose": key.purpose or None,
        "rule": key.rule,
        "decision_id": review.opened.decision,
        "opened_at": format_instant(review.opened.opened_at),
        "due_at": format_instant(review.due_at),
        "asked_by": _actor(asked.actor) if asked is not None else None,
        "asked_at": format_instant(asked.at) if asked is not None else None,
        "closed_by": _actor(closed.actor) if closed is not None else None,
        "closed_at": format_instant(closed.at) if closed is not None else None,
        "rationale": _rationale(review),
        "membership_revision": closed.content.revision if closed is not None else None,
        "rows": None if review.rows is None else rows_document(review.rows.digest, review.rows.rows),
    }


def rows_document(digest: str, rows: RosterRows) -> dict[str, object]:
    """Rows of the members as they are, or will be, recorded: each in words and by its fields, and the digest of all."""
    told = [
        {"kind": kind, "text": row_text(row), "row": msgspec.to_builtins(row)}
        for kind in ROW_TYPES
        for row in getattr(rows, kind)
    ]
    return {"digest": digest, "count": len(told), "rows": told}


def _rationale(review: Review) -> str | None:
    ended = review.closed or review.asked
    return None if ended is None else ended.content.rationale


def review_file_document(file: ReviewFile) -> dict[str, object]:
    """A case with the held decision as it was recorded, what lifts the rule, and rows that would clear a listing."""
    return {
        **review_document(file.review),
        "lifts": file.lifts,
        "clearance": file.clearance or None,
        "decision": msgspec.Raw(file.record),
    }


def _actor(actor: Actor | None) -> dict[str, object] | None:
    return None if actor is None else {"key": actor.key, "person": actor.person}


def _instant(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)
