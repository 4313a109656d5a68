"""The documents of the compliance desk: what is asked, read strictly, and what is told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Raw, to_builtins
from msgspec.structs import replace

from policy_engine.domain.desk import Desk, FreezeState, InForce, Proposal
from policy_engine.domain.freezes import FreezeScope
from policy_engine.domain.instants import InstantError, parse_instant
from policy_engine.domain.roster import RosterRows
from policy_engine.formats.faults import Fault
from policy_engine.formats.identifiers import shown, text_fault
from policy_engine.formats.membership_writer import row_text
from policy_engine.formats.request_document import malformed
from policy_engine.formats.roster_rows import ROW_TYPES
from policy_engine.policy.case_changes import CaseChanges
from policy_engine.service.administration.assess import CheckedBook
from policy_engine.service.administration.disclosure import summary_shown
from policy_engine.service.administration.reviewing import Review, ReviewFile
from policy_engine.shapes.administration import (
    CheckedCasesDocument,
    CheckedDocument,
    FreezeBody,
    FreezeDocument,
    FreezesDocument,
    InForceDocument,
    PolicyDocument,
    ProposalDocument,
    ProposalsDocument,
    ReportDocument,
    ReviewDocument,
    ReviewFileDocument,
)
from policy_engine.shapes.document import (
    MAX_TEXT,
    RowDocument,
    RowsDocument,
    document_of,
)


def text_of(field: str, value: str | None) -> str:
    """A sentence or several for the record; lines and tabs may be in it. Raises `MalformedRequest`."""
    text = value or ""
    if len(text) > MAX_TEXT:
        raise malformed(field, f"must have at most {MAX_TEXT} characters")
    fault = text_fault(text.replace("\n", "").replace("\t", ""))
    if fault is not None:
        raise malformed(field, fault)
    return text


def instant_of(field: str, value: str | None) -> datetime | None:
    """An RFC 3339 instant or a bare date. Raises `MalformedRequest`."""
    if value is None:
        return None
    try:
        return parse_instant(value)
    except InstantError as error:
        raise malformed(field, shown(str(error), limit=200)) from error


def bytes_of(files: Mapping[str, str]) -> dict[str, bytes]:
    """The files as their bytes. Raises `MalformedRequest` naming one that has no bytes in UTF-8, or a bad name."""
    found = {}
    for name, text in files.items():
        fault = text_fault(name)
        if fault is not None:
            raise malformed("files", f"has a file whose name {fault}")
        try:
            found[name] = text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise malformed(f"files.{shown(name)}", "has a lone surrogate") from error
    return found


def rows_of(members: Mapping[str, object]) -> bytes:
    """The membership document, one member a line, so that a fault's place says something."""
    return json.dumps(members, ensure_ascii=True, indent=1).encode("ascii")


def names_of(field: str, values: Iterable[str] | None) -> tuple[str, ...]:
    """Names that are none of them empty or unreadable. Raises `MalformedRequest`."""
    names = tuple(values or ())
    for place, name in enumerate(names):
        fault = text_fault(name) if name.strip() else "must not be empty"
        if fault is not None:
            raise malformed(f"{field}[{place}]", fault)
    return names


def scope_of(body: FreezeBody) -> FreezeScope:
    """What a freeze is to stop. Raises `MalformedRequest`."""
    return FreezeScope(
        models=names_of("models", body.models),
        countries=names_of("countries", body.countries),
        organisations=names_of("organisations", body.organisations),
        gateways=names_of("gateways", body.gateways),
        everything=body.all,
    )


def checked_document(
    checked: CheckedBook, unsaid: tuple[Fault, ...], cases: CaseChanges | None = None
) -> CheckedDocument:
    """What a check found, with the faults of the step from the book in force."""
    faults = (*checked.faults, *unsaid)
    told = CheckedCasesDocument(passed=len(checked.results) - len(checked.failed), failed=tuple(checked.failed))
    if cases is not None:
        told = replace(told, removed=tuple(cases.removed), changed=tuple(cases.changed), added=tuple(cases.added))
    return CheckedDocument(
        ok=not faults and not checked.failed,
        fingerprint=None if checked.book is None else checked.book.fingerprint,
        faults=tuple(one.document() for one in faults),
        cases=told,
    )


def policy_document(desk: Desk, at: datetime, *, names: bool) -> PolicyDocument:
    """Everything that stands at the desk; `names` as for a proposal."""
    at = desk.moment(at)
    current = desk.book_at(at)
    before = [book for book in desk.books if book.start <= at and book is not current]
    return PolicyDocument(
        in_force=None if current is None else _in_force(current, desk),
        scheduled=tuple(_in_force(book, desk) for book in desk.books if book.start > at),
        history=tuple(_in_force(book, desk) for book in reversed(before)),
        proposals=proposals_document(desk, at, names=names).proposals,
        freezes=freezes_document(desk, at).freezes,
    )


def _in_force(book: InForce, desk: Desk) -> InForceDocument:
    proposal = None if book.proposal is None else desk.proposals[book.proposal]
    return document_of(
        InForceDocument,
        book,
        since=book.start,
        proposed_by=None if proposal is None else proposal.author,
        approved_by=None if proposal is None else book.actor,
        recorded_by=book.actor,
    )


def proposals_document(desk: Desk, at: datetime, *, names: bool) -> ProposalsDocument:
    """Every proposal, the newest first."""
    newest_first = reversed(list(desk.proposals.values()))
    return ProposalsDocument(proposals=tuple(proposal_document(one, at, names=names) for one in newest_first))


def proposal_document(proposal: Proposal, at: datetime, *, names: bool) -> ProposalDocument:
    """A proposal with where it is and the summaries of its reports; `names` says whether the reader may see exactly
    whom it touches."""
    return document_of(
        ProposalDocument,
        proposal,
        proposal.content,
        status=proposal.status(at),
        proposed_by=proposal.author,
        approved_by=proposal.approver,
        withdrawn=proposal.withdrawal,
        reports=tuple(
            ReportDocument(name=one.name, summary=summary_shown(one, names=names), digest=one.digest)
            for one in proposal.content.reports
        ),
    )


def freezes_document(desk: Desk, at: datetime) -> FreezesDocument:
    """Every freeze, the newest first."""
    newest_first = reversed(list(desk.freezes.values()))
    return FreezesDocument(freezes=tuple(freeze_document(state, at) for state in newest_first))


def freeze_document(state: FreezeState, at: datetime) -> FreezeDocument:
    """A freeze: its scope, and where it is."""
    freeze, scope = state.freeze, state.freeze.scope
    return document_of(FreezeDocument, state, freeze, scope, status=_freeze_status(state, at), all=scope.everything)


def _freeze_status(state: FreezeState, at: datetime) -> str:
    if state.lifted_at is not None:
        return "lifted"
    if not state.stands(at):
        return "expired"
    return "lift_asked" if state.lift_asked_by is not None else "frozen"


def review_document(review: Review) -> ReviewDocument:
    """A case: what it is about, and where it is."""
    key, asked, closed = review.opened.key, review.asked, review.closed
    ended = closed or asked
    return document_of(
        ReviewDocument,
        review.opened,
        key,
        review,
        status=review.status.value,
        purpose=key.purpose or None,
        decision_id=review.opened.decision,
        asked_by=asked and asked.actor,
        asked_at=asked and asked.at,
        closed_by=closed and closed.actor,
        closed_at=closed and closed.at,
        rationale=ended and ended.content.rationale,
        membership_revision=closed and closed.content.revision,
        rows=review.rows and rows_document(review.rows.digest, review.rows.rows),
    )


def rows_document(digest: str, rows: RosterRows) -> RowsDocument:
    """Rows of the members as they are, or will be, recorded: each in words and by its fields, and the digest of all."""
    told = tuple(
        RowDocument(kind=kind, text=row_text(row), row=to_builtins(row))
        for kind in ROW_TYPES
        for row in getattr(rows, kind)
    )
    return RowsDocument(digest=digest, count=len(told), rows=told)


def review_file_document(file: ReviewFile) -> ReviewFileDocument:
    """A case with the held decision as it was recorded, what lifts the rule, and rows that would clear a listing."""
    case, decision = review_document(file.review), Raw(file.record)
    return document_of(ReviewFileDocument, case, file, clearance=file.clearance or None, decision=decision)
