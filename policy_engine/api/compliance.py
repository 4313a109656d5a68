"""Routes of the compliance officer: books and their approval, freezes, reviews, simulation."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from fastapi import Path as PathParameter
from starlette.requests import Request
from starlette.responses import Response

from policy_engine.api import desk_document as documents
from policy_engine.app.builder import Parts
from policy_engine.domain.desk import Desk
from policy_engine.domain.facts import AssertedValueError
from policy_engine.domain.freezes import without_repeats
from policy_engine.domain.instants import format_instant
from policy_engine.domain.ports import Key, LogUnavailable
from policy_engine.domain.request import Caller
from policy_engine.formats.faults import Fault, FaultsError
from policy_engine.formats.membership_file import read_members
from policy_engine.formats.request_document import FieldFault, MalformedRequest, malformed
from policy_engine.http.body import read_body
from policy_engine.http.documents import read_sent, read_sent_book
from policy_engine.http.errors import BookNotAccepted, NotFound
from policy_engine.http.pagination import PAGED, page_of
from policy_engine.http.reference import Example, QueryParameter, audience, described
from policy_engine.http.security import PartsOf, actor_of, needs, sees_names
from policy_engine.policy.library import BookLost
from policy_engine.policy.names import names_read
from policy_engine.service.administration.assess import changes_of_cases, unsaid
from policy_engine.service.administration.desk import Administration
from policy_engine.service.administration.desk_faults import (
    AssessmentEnded,
    CasesNotAcknowledged,
    DeskConflict,
    KeyNotInForce,
    NotAccepted,
    NothingThere,
    PersonNeeded,
    SecondPersonNeeded,
)
from policy_engine.service.administration.freezing import declare_freeze as start_freeze
from policy_engine.service.administration.freezing import lift_freeze as end_freeze
from policy_engine.service.administration.publish import Publisher
from policy_engine.service.administration.simulate import NO_ROWS, Supposed, judge_supposed, simulate
from policy_engine.service.gate.gate import NotFresh
from policy_engine.shapes.administration import (
    ApprovalBody,
    BookBody,
    BookFilesDocument,
    CheckedDocument,
    CloseBody,
    FreezeBody,
    FreezeDocument,
    FreezesDocument,
    LiftBody,
    PolicyDocument,
    ProposalBody,
    ProposalDocument,
    ProposalsDocument,
    ReviewDocument,
    ReviewFileDocument,
    ReviewsDocument,
    SimulationBody,
    WithdrawalBody,
)
from policy_engine.shapes.answer import AnswerDocument
from policy_engine.shapes.document import Document
from policy_engine.shapes.reports import KEPT

LOOKBACK: Final = timedelta(days=30)
"""How far back recorded decisions are judged again for a proposal that does not say."""

BOOK_LIMIT: Final = 64 * 2**20
"""Bytes of a body that holds a book's files."""

DESK_LIMIT: Final = 2**20
"""Bytes of any other body."""

_encoder: Final = msgspec.json.Encoder(order="sorted")

policy = audience("policy")
freezes = audience("freezes")
reviews = audience("reviews")
simulation = audience("simulation")

ACTED: Final = (PersonNeeded, KeyNotInForce, NothingThere, DeskConflict, NotAccepted, LogUnavailable)
"""What may go wrong where a person does something that is recorded."""

BY_ANOTHER: Final = (*ACTED, SecondPersonNeeded)
"""The same, where it needs another person than before."""

Fingerprint = Annotated[str, PathParameter(description="The fingerprint of a book: `sha256:` and 64 digits.")]
ProposalId = Annotated[str, PathParameter(description="The id of a proposal.")]
FreezeId = Annotated[str, PathParameter(description="The id of a freeze.")]
CaseId = Annotated[str, PathParameter(description="The id of a case.")]


@policy.get("/policy", **described({HTTPStatus.OK: PolicyDocument}))
async def show_policy(parts: PartsOf, key: Annotated[Key, needs("policy:read")]) -> Response:
    """Which book is in force, which are to come and were before, what is proposed, and what is frozen."""
    state = await parts.pools.reads.run(_state, parts.desk)
    return json_response(documents.policy_document(state, parts.desk.clock(), names=sees_names(key)))


@policy.get(
    "/policy/books/{fingerprint}",
    dependencies=[needs("policy:read")],
    **described({HTTPStatus.OK: BookFilesDocument}, problems=(NotFound, BookLost)),
)
async def show_book(parts: PartsOf, fingerprint: Fingerprint) -> Response:
    """An archived book, as it was accepted."""
    state = await parts.pools.reads.run(_state, parts.desk)
    archive = state.archive_of(fingerprint)
    if archive is None:
        raise NotFound("no book with this fingerprint was ever archived")
    files = await parts.pools.reads.run(parts.publisher.library.files, archive)
    texts = {name: data.decode() for name, data in files.items()}
    return json_response(BookFilesDocument(fingerprint=fingerprint, files=texts))


@policy.post(
    "/policy/check",
    dependencies=[needs("policy:read")],
    **described({HTTPStatus.OK: CheckedDocument}, body=BookBody, problems=(BookLost, AssessmentEnded)),
)
async def check_book(request: Request, parts: PartsOf) -> Response:
    """Check a book: every fault with its place and remedy, and what becomes of the worked examples. Nothing is kept."""
    data = await read_body(request, BOOK_LIMIT)

    def checked() -> CheckedDocument:
        body = read_sent_book(data, BookBody)
        return _check(parts, documents.bytes_of(body.files))

    return json_response(await parts.pools.assessments.run(checked))


@policy.get("/policy/proposals", **described({HTTPStatus.OK: ProposalsDocument}))
async def list_proposals(parts: PartsOf, key: Annotated[Key, needs("policy:read")]) -> Response:
    """Every proposal, the newest first."""
    state = await parts.pools.reads.run(_state, parts.desk)
    return json_response(documents.proposals_document(state, parts.desk.clock(), names=sees_names(key)))


@policy.post(
    "/policy/proposals",
    **described(
        {HTTPStatus.CREATED: ProposalDocument},
        body=ProposalBody,
        problems=(*ACTED, BookNotAccepted, BookLost, AssessmentEnded),
    ),
)
async def propose_book(request: Request, parts: PartsOf, key: Annotated[Key, needs("policy:propose")]) -> Response:
    """Propose a book: it is checked, tried on its worked examples and compared with the one in force. Another person
    approves it; nothing is in force before."""
    data = await read_body(request, BOOK_LIMIT)

    def proposed() -> ProposalDocument:
        return _propose(parts, key, read_sent_book(data, ProposalBody))

    told = await parts.pools.assessments.run(proposed)
    return json_response(told, HTTPStatus.CREATED, {"Location": f"/policy/proposals/{told.id}"})


@policy.get("/policy/proposals/{proposal}", **described({HTTPStatus.OK: ProposalDocument}, problems=(NotFound,)))
async def show_proposal(parts: PartsOf, proposal: ProposalId, key: Annotated[Key, needs("policy:read")]) -> Response:
    """A proposal, with the summaries of its reports."""
    state = await parts.pools.reads.run(_state, parts.desk)
    held = state.proposals.get(proposal)
    if held is None:
        raise NotFound("no proposal has this id")
    return json_response(documents.proposal_document(held, parts.desk.clock(), names=sees_names(key)))


@policy.get(
    "/policy/proposals/{proposal}/reports/{report}",
    **described(
        {HTTPStatus.OK: tuple(KEPT.values())},
        problems=(NothingThere, LogUnavailable),
    ),
)
async def show_kept_report(
    parts: PartsOf,
    proposal: ProposalId,
    report: Annotated[str, PathParameter(description="The name of the report, as the proposal lists it.")],
    key: Annotated[Key, needs("policy:read")],
) -> Response:
    """A report that was kept with a proposal. With `members:read` it names people, and the look is on record first."""
    content = await parts.pools.reads.run(
        parts.publisher.report, actor_of(key), proposal, report, names=sees_names(key)
    )
    return Response(content, media_type="application/json")


@policy.post(
    "/policy/proposals/{proposal}/approve",
    **described(
        {HTTPStatus.OK: ProposalDocument},
        body=ApprovalBody,
        problems=(*BY_ANOTHER, CasesNotAcknowledged, BookLost),
    ),
)
async def approve_proposal(
    request: Request, parts: PartsOf, proposal: ProposalId, key: Annotated[Key, needs("policy:approve")]
) -> Response:
    """Approve another person's proposal: its book is in force from its instant on, or at once."""
    body = read_sent(await read_body(request, DESK_LIMIT), ApprovalBody)
    note = documents.text_of("note", body.note)
    cases = None if body.cases is None else documents.text_of("cases", body.cases)
    approved = await parts.pools.desk.run(parts.publisher.approve, actor_of(key), proposal, note=note, cases=cases)
    return json_response(documents.proposal_document(approved, parts.desk.clock(), names=sees_names(key)))


@policy.post(
    "/policy/proposals/{proposal}/withdraw",
    **described({HTTPStatus.OK: ProposalDocument}, body=WithdrawalBody, problems=ACTED),
)
async def withdraw_proposal(
    request: Request, parts: PartsOf, proposal: ProposalId, key: Annotated[Key, needs("policy:propose")]
) -> Response:
    """Take back a proposal that waits for its approval."""
    body = read_sent(await read_body(request, DESK_LIMIT), WithdrawalBody)
    reason = documents.text_of("reason", body.reason)
    taken = await parts.pools.desk.run(parts.publisher.withdraw, actor_of(key), proposal, reason=reason)
    return json_response(documents.proposal_document(taken, parts.desk.clock(), names=sees_names(key)))


def _check(parts: Parts, files: dict[str, bytes]) -> CheckedDocument:
    checked = parts.check(files)
    state = _state(parts.desk)
    base = state.book_at(state.moment(parts.desk.clock()))
    changed: tuple[Fault, ...] = ()
    cases = None
    if checked.book is not None and base is not None:
        library = parts.publisher.library
        old, before = library.book(base.fingerprint, base.archive), library.files(base.archive)
        changed = unsaid(old, before, checked.book, files)
        cases = changes_of_cases(before, checked.results)
    return documents.checked_document(checked, changed, cases)


def _propose(parts: Parts, key: Key, body: ProposalBody) -> ProposalDocument:
    actor, desk, publisher = actor_of(key), parts.desk, parts.publisher
    if (body.files is None) == (body.rollback_to is None):
        raise malformed("files", "or `rollback_to`: one of them says which book")
    note = documents.text_of("note", body.note)
    effective = documents.instant_of("effective", body.effective)
    since = documents.instant_of("since", body.since) or desk.clock() - LOOKBACK
    withdraws = body.withdraws
    try:
        if body.rollback_to is not None:
            proposal = publisher.rollback(
                actor, body.rollback_to, note=note, since=since, effective=effective, withdraws=withdraws
            )
        else:
            files = documents.bytes_of(body.files or {})
            proposal = publisher.propose(actor, files, note=note, since=since, effective=effective, withdraws=withdraws)
    except NotAccepted as error:
        raise BookNotAccepted(str(error), error.faults) from error
    return documents.proposal_document(proposal, desk.clock(), names=sees_names(key))


@freezes.get("/freezes", dependencies=[needs("policy:read")], **described({HTTPStatus.OK: FreezesDocument}))
async def list_freezes(parts: PartsOf) -> Response:
    """Every freeze, the newest first."""
    state = await parts.pools.reads.run(_state, parts.desk)
    return json_response(documents.freezes_document(state, parts.desk.clock()))


@freezes.post(
    "/freezes",
    **described(
        {HTTPStatus.CREATED: FreezeDocument},
        body=FreezeBody,
        problems=ACTED,
        examples=(
            Example(
                name="a model in a country",
                meaning="Names of two kinds freeze what is both.",
                body={
                    "models": ["opus-4.6"],
                    "countries": ["KP"],
                    "authority": "chief compliance officer",
                    "reason": "order of 20 November",
                },
                status=HTTPStatus.CREATED,
            ),
        ),
    ),
)
async def declare_freeze(request: Request, parts: PartsOf, key: Annotated[Key, needs("freeze")]) -> Response:
    """Stop something at once: when this has returned, nothing under it is allowed any more, anywhere."""
    body = read_sent(await read_body(request, DESK_LIMIT), FreezeBody)
    scope = without_repeats(documents.scope_of(body))
    authority = documents.text_of("authority", body.authority)
    reason = documents.text_of("reason", body.reason)
    until = documents.instant_of("until", body.until)
    state = await parts.pools.freezes.run(
        start_freeze, parts.desk, actor_of(key), scope, authority=authority, reason=reason, until=until
    )
    location = {"Location": f"/freezes/{state.freeze.id}"}
    return json_response(documents.freeze_document(state, parts.desk.clock()), HTTPStatus.CREATED, location)


@freezes.delete(
    "/freezes/{freeze}",
    **described(
        {HTTPStatus.OK: FreezeDocument, HTTPStatus.ACCEPTED: FreezeDocument},
        body=LiftBody,
        parameters=(QueryParameter(name="reason", meaning="Why; for clients that send no body with a DELETE."),),
        problems=BY_ANOTHER,
    ),
)
async def lift_freeze(
    request: Request, parts: PartsOf, freeze: FreezeId, key: Annotated[Key, needs("freeze")]
) -> Response:
    """Ask that a freeze is lifted (202), or lift it when another person asked before (200)."""
    body = read_sent(await read_body(request, DESK_LIMIT), LiftBody)
    reason = documents.text_of("reason", body.reason or request.query_params.get("reason"))
    state = await parts.pools.freezes.run(end_freeze, parts.desk, actor_of(key), freeze, reason=reason)
    status = HTTPStatus.OK if state.lifted_at is not None else HTTPStatus.ACCEPTED
    return json_response(documents.freeze_document(state, parts.desk.clock()), status)


@reviews.get(
    "/reviews",
    dependencies=[needs("reviews")],
    **described(
        {HTTPStatus.OK: ReviewsDocument},
        parameters=(
            QueryParameter(
                name="status",
                meaning="Those that wait for somebody, or all of them.",
                schema={"type": "string", "enum": ["open", "all"], "default": "open"},
            ),
            *PAGED,
        ),
    ),
)
async def list_reviews(request: Request, parts: PartsOf) -> Response:
    """The cases that wait for somebody, the oldest first."""
    wanted = request.query_params.get("status", "open")
    if wanted not in ("open", "all"):
        raise malformed("status", "is `open` or `all`")
    limit, cursor = page_of(request.query_params)
    cursors, of = parts.inspector.cursors, {"reviews": wanted}
    after = None if cursor is None else cursors.read(cursor, tuple[str, str], of=of)
    found = [review for review in await parts.pools.reads.run(parts.reviews.all) if wanted == "all" or review.is_open]
    places = [(format_instant(review.opened.opened_at), review.opened.id) for review in found]
    rest = [one for one in zip(found, places, strict=True) if after is None or one[1] > after]
    page = [review for review, _ in rest[:limit]]
    following = cursors.give(rest[limit - 1][1], of=of) if len(rest) > limit else None
    return json_response(ReviewsDocument(reviews=tuple(map(documents.review_document, page)), next_cursor=following))


@reviews.get(
    "/reviews/{case}",
    dependencies=[needs("reviews")],
    **described({HTTPStatus.OK: ReviewFileDocument}, problems=(NotFound, NothingThere, DeskConflict, LogUnavailable)),
)
async def show_review(parts: PartsOf, case: CaseId) -> Response:
    """A case with the held decision, what lifts the rule, and rows that would clear a listing."""
    file = await parts.pools.reads.run(parts.reviews.show, _case(case))
    return json_response(documents.review_file_document(file))


@reviews.post(
    "/reviews/{case}/close",
    **described(
        {HTTPStatus.OK: ReviewDocument, HTTPStatus.ACCEPTED: ReviewDocument},
        body=CloseBody,
        problems=(*BY_ANOTHER, NotFound),
    ),
)
async def close_review(
    request: Request, parts: PartsOf, case: CaseId, key: Annotated[Key, needs("reviews")]
) -> Response:
    """Refuse a case, ask for its release with the rows that it needs (202), or confirm what another person asked."""
    body = read_sent(await read_body(request, DESK_LIMIT), CloseBody)
    rationale = documents.text_of("rationale", body.rationale)
    held, actor, pool = _case(case), actor_of(key), parts.pools.desk
    if body.rows is not None and (body.outcome == "refuse" or body.members is not None):
        raise malformed("rows", "come only with the confirmation of a release")
    if body.outcome == "refuse":
        if body.members is not None:
            raise malformed("members", "come only with a release")
        review = await pool.run(parts.reviews.refuse, actor, held, rationale=rationale)
        return json_response(documents.review_document(review))
    if body.members is None:
        confirmed = documents.text_of("rows", body.rows) if body.rows is not None else None
        review = await pool.run(parts.reviews.confirm_release, actor, held, rows=confirmed, rationale=rationale)
        return json_response(documents.review_document(review))
    review = await pool.run(
        parts.reviews.ask_release, actor, held, rationale=rationale, document=documents.rows_of(body.members)
    )
    return json_response(documents.review_document(review), HTTPStatus.ACCEPTED)


@simulation.post(
    "/simulate",
    **described(
        {HTTPStatus.OK: AnswerDocument},
        body=SimulationBody,
        problems=(NotAccepted, NothingThere, DeskConflict, NotFresh, BookLost),
        examples=(
            Example(
                name="at an instant",
                meaning="What would have been answered in June, with what was known then.",
                body={
                    "request": {
                        "subject": {"type": "person", "id": "ken"},
                        "model": "opus-4.6",
                        "action": "infer",
                        "place": {"country": "JP"},
                    },
                    "at": "2026-06-13T15:00:00Z",
                },
            ),
        ),
    ),
)
async def simulate_decision(request: Request, parts: PartsOf, key: Annotated[Key, needs("simulate")]) -> Response:
    """What would be answered, at an instant, with what was known at another, under another book, with other members.
    Nothing is recorded."""
    body = read_sent(await read_body(request, DESK_LIMIT), SimulationBody)
    # The right to simulate shows explanations: nothing else is there to be seen.
    caller = Caller(id=key.id, gateway=key.gateway, assertable=key.assertable, explain=True)
    answer = await parts.pools.simulations.run(_simulated, parts.desk, parts.publisher, caller, body)
    return Response(answer, media_type="application/json")


def _simulated(desk: Administration, publisher: Publisher, caller: Caller, body: SimulationBody) -> bytes:
    at = documents.instant_of("at", body.at) or desk.clock()
    members = NO_ROWS
    if body.members is not None:
        # Held against the book that is asked, which may have a list that the one in force has not.
        judge = judge_supposed(desk, publisher, Supposed(at=at, book=body.book))
        names = None if judge is None else names_read(judge.book)
        existing = desk.log.rows_at(desk.view.current().roster.revision)
        try:
            members = read_members(documents.rows_of(body.members), "members", existing=existing, names=names)
        except FaultsError as error:
            raise NotAccepted("the members have faults", error.faults) from error
    supposed = Supposed(
        at=at,
        known_at=documents.instant_of("known_at", body.known_at) or at,
        book=body.book,
        members=members,
        freezes=body.freezes,
    )
    try:
        return simulate(desk, publisher, body.request, caller, supposed)
    except MalformedRequest as error:
        faults = (
            FieldFault(field=f"request.{fault.field}" if fault.field else "request", message=fault.message)
            for fault in error.faults
        )
        raise MalformedRequest(*faults) from error
    except AssertedValueError as error:
        raise malformed("request.subject.properties", str(error)) from error


def _state(desk: Administration) -> Desk:
    return desk.view.refresh().desk


def _case(case: str) -> str:
    # Whatever is no id of a case is none on file; some of it, such as a NUL, no database takes as a text.
    if not (case.isascii() and case.isprintable()):
        raise NotFound("no case has this id")
    return case


def json_response(told: Document, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None) -> Response:
    """A document as the answer, its members sorted by name."""
    return Response(
        _encoder.encode(told), status_code=int(status), media_type="application/json", headers=headers or {}
    )
