"""Routes of the compliance officer: books and their approval, freezes, reviews, simulation."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from policy_engine.api import desk_document as documents
from policy_engine.api.body import read_body
from policy_engine.api.errors import BookNotAccepted, NotFound
from policy_engine.api.security import entered
from policy_engine.domain.changes import Actor
from policy_engine.domain.desk import Desk as DeskState
from policy_engine.domain.facts import AssertedValueError
from policy_engine.domain.instants import format_instant
from policy_engine.domain.ports import Key
from policy_engine.domain.request import Caller
from policy_engine.formats.faults import Fault, FaultsError
from policy_engine.formats.membership_file import read_members
from policy_engine.formats.request_document import FieldFault, MalformedRequest
from policy_engine.policy.names import names_read
from policy_engine.service.assess import Checked, changes_of_cases, unsaid
from policy_engine.service.desk import Desk
from policy_engine.service.desk_faults import NotAccepted
from policy_engine.service.disclosure import NAMES
from policy_engine.service.freezing import declare_freeze, lift_freeze, without_repeats
from policy_engine.service.keyring import KeyRing
from policy_engine.service.pools import Pools
from policy_engine.service.publish import Publisher
from policy_engine.service.reviewing import Reviews
from policy_engine.service.simulate import NO_ROWS, Supposed, judge_supposed, simulate

LOOKBACK: Final = timedelta(days=30)
"""How far back recorded decisions are judged again for a proposal that does not say."""

BOOK_LIMIT: Final = 64 * 2**20
"""Bytes of a body that holds a book's files."""

DESK_LIMIT: Final = 2**20
"""Bytes of any other body."""

PAGE: Final = 100
LONGEST_PAGE: Final = 1_000

_encoder: Final = msgspec.json.Encoder(order="sorted")

Handler = Callable[[Request, Key], Awaitable[Response]]
Check = Callable[[Mapping[str, bytes]], Checked]


def routes(
    desk: Desk, publisher: Publisher, reviews: Reviews, ring: KeyRing, pools: Pools, *, check: Check
) -> list[Route]:
    """The compliance officer's routes."""
    return [
        *_policy_routes(desk, publisher, ring, pools, check),
        *_freeze_routes(desk, ring, pools),
        *_review_routes(reviews, ring, pools),
        *_simulation_routes(desk, publisher, ring, pools),
    ]


def _policy_routes(desk: Desk, publisher: Publisher, ring: KeyRing, pools: Pools, check_book: Check) -> list[Route]:
    async def show(_: Request, key: Key) -> Response:
        state = await pools.reads.run(_state, desk)
        return json_response(documents.desk_document(state, desk.clock(), names=_sees_names(key)))

    async def book(request: Request, _: Key) -> Response:
        fingerprint = request.path_params["fingerprint"]
        state = await pools.reads.run(_state, desk)
        archive = state.archive_of(fingerprint)
        if archive is None:
            raise NotFound("no book with this fingerprint was ever archived")
        files = await pools.reads.run(publisher.library.files, archive)
        return json_response(
            {"fingerprint": fingerprint, "files": {name: data.decode() for name, data in files.items()}}
        )

    async def proposals(_: Request, key: Key) -> Response:
        state = await pools.reads.run(_state, desk)
        return json_response({"proposals": documents.proposals_document(state, desk.clock(), names=_sees_names(key))})

    async def proposal(request: Request, key: Key) -> Response:
        state = await pools.reads.run(_state, desk)
        held = state.proposals.get(request.path_params["proposal"])
        if held is None:
            raise NotFound("no proposal has this id")
        return json_response(documents.proposal_document(held, desk.clock(), names=_sees_names(key)))

    async def report(request: Request, key: Key) -> Response:
        content = await pools.reads.run(
            publisher.report,
            _actor(key),
            request.path_params["proposal"],
            request.path_params["report"],
            names=_sees_names(key),
        )
        return Response(content, media_type="application/json")

    async def check(request: Request, _: Key) -> Response:
        data = await read_body(request, BOOK_LIMIT)

        def checked() -> dict[str, object]:
            body = documents.read_book_body(data, documents.BookBody)
            return _check(desk, publisher, check_book, documents.bytes_of(body.files))

        return json_response(await pools.assessments.run(checked))

    async def propose(request: Request, key: Key) -> Response:
        data = await read_body(request, BOOK_LIMIT)

        def proposed() -> dict[str, object]:
            body = documents.read_book_body(data, documents.ProposalBody)
            return _propose(desk, publisher, key, body)

        told = await pools.assessments.run(proposed)
        return json_response(told, HTTPStatus.CREATED, {"Location": f"/policy/proposals/{told['id']}"})

    async def approve(request: Request, key: Key) -> Response:
        body = documents.read(await read_body(request, DESK_LIMIT), documents.ApprovalBody)
        note = documents.text_of("note", body.note)
        cases = None if body.cases is None else documents.text_of("cases", body.cases)
        approved = await pools.desk.run(
            publisher.approve, _actor(key), request.path_params["proposal"], note=note, cases=cases
        )
        return json_response(documents.proposal_document(approved, desk.clock(), names=_sees_names(key)))

    async def withdraw(request: Request, key: Key) -> Response:
        body = documents.read(await read_body(request, DESK_LIMIT), documents.WithdrawalBody)
        reason = documents.text_of("reason", body.reason)
        taken = await pools.desk.run(publisher.withdraw, _actor(key), request.path_params["proposal"], reason=reason)
        return json_response(documents.proposal_document(taken, desk.clock(), names=_sees_names(key)))

    return [
        _route("GET", "/policy", ring, pools, "policy:read", show),
        _route("GET", "/policy/books/{fingerprint}", ring, pools, "policy:read", book),
        _route("POST", "/policy/check", ring, pools, "policy:read", check),
        *methods_of(
            "/policy/proposals", ring, pools, {"GET": ("policy:read", proposals), "POST": ("policy:propose", propose)}
        ),
        _route("GET", "/policy/proposals/{proposal}", ring, pools, "policy:read", proposal),
        _route("GET", "/policy/proposals/{proposal}/reports/{report}", ring, pools, "policy:read", report),
        _route("POST", "/policy/proposals/{proposal}/approve", ring, pools, "policy:approve", approve),
        _route("POST", "/policy/proposals/{proposal}/withdraw", ring, pools, "policy:propose", withdraw),
    ]


def _check(desk: Desk, publisher: Publisher, check: Check, files: dict[str, bytes]) -> dict[str, object]:
    checked = check(files)
    state = _state(desk)
    base = state.book_at(state.moment(desk.clock()))
    changed: tuple[Fault, ...] = ()
    cases = None
    if checked.book is not None and base is not None:
        old, before = publisher.library.book(base.fingerprint, base.archive), publisher.library.files(base.archive)
        changed = unsaid(old, before, checked.book, files)
        cases = changes_of_cases(before, checked.results)
    return documents.checked_document(checked, changed, cases)


def _propose(desk: Desk, publisher: Publisher, key: Key, body: documents.ProposalBody) -> dict[str, object]:
    actor = _actor(key)
    if (body.files is None) == (body.rollback_to is None):
        raise MalformedRequest(FieldFault(field="files", message="or `rollback_to`: one of them says which book"))
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
    return documents.proposal_document(proposal, desk.clock(), names=_sees_names(key))


def _freeze_routes(desk: Desk, ring: KeyRing, pools: Pools) -> list[Route]:
    async def show(_: Request, __: Key) -> Response:
        state = await pools.reads.run(_state, desk)
        return json_response({"freezes": documents.freezes_document(state, desk.clock())})

    async def declare(request: Request, key: Key) -> Response:
        body = documents.read(await read_body(request, DESK_LIMIT), documents.FreezeBody)
        scope = without_repeats(body.scope())
        authority = documents.text_of("authority", body.authority)
        reason = documents.text_of("reason", body.reason)
        until = documents.instant_of("until", body.until)
        state = await pools.freezes.run(
            declare_freeze, desk, _actor(key), scope, authority=authority, reason=reason, until=until
        )
        location = {"Location": f"/freezes/{state.freeze.id}"}
        return json_response(documents.freeze_document(state, desk.clock()), HTTPStatus.CREATED, location)

    async def lift(request: Request, key: Key) -> Response:
        body = documents.read(await read_body(request, DESK_LIMIT), documents.LiftBody)
        reason = documents.text_of("reason", body.reason or request.query_params.get("reason"))
        state = await pools.freezes.run(lift_freeze, desk, _actor(key), request.path_params["freeze"], reason=reason)
        status = HTTPStatus.OK if state.lifted_at is not None else HTTPStatus.ACCEPTED
        return json_response(documents.freeze_document(state, desk.clock()), status)

    return [
        *methods_of("/freezes", ring, pools, {"GET": ("policy:read", show), "POST": ("freeze", declare)}),
        _route("DELETE", "/freezes/{freeze}", ring, pools, "freeze", lift),
    ]


def _review_routes(reviews: Reviews, ring: KeyRing, pools: Pools) -> list[Route]:
    async def show_all(request: Request, _: Key) -> Response:
        wanted = request.query_params.get("status", "open")
        if wanted not in ("open", "all"):
            raise MalformedRequest(FieldFault(field="status", message="is `open` or `all`"))
        limit = _limit(request)
        after = _after(request)
        found = [review for review in await pools.reads.run(reviews.all) if wanted == "all" or review.is_open]
        places = [(format_instant(review.opened.opened_at), review.opened.id) for review in found]
        rest = [review for review, place in zip(found, places, strict=True) if after is None or place > after]
        page = rest[:limit]
        following = None
        if len(rest) > limit:
            last = page[-1].opened
            following = _cursor(format_instant(last.opened_at), last.id)
        return json_response(
            {"reviews": [documents.review_document(review) for review in page], "next_cursor": following}
        )

    async def show(request: Request, _: Key) -> Response:
        file = await pools.reads.run(reviews.show, _case(request))
        return json_response(documents.review_file_document(file))

    async def close(request: Request, key: Key) -> Response:
        body = documents.read(await read_body(request, DESK_LIMIT), documents.CloseBody)
        rationale = documents.text_of("rationale", body.rationale)
        case, actor = _case(request), _actor(key)
        if body.rows is not None and (body.outcome == "refuse" or body.members is not None):
            raise MalformedRequest(FieldFault(field="rows", message="come only with the confirmation of a release"))
        if body.outcome == "refuse":
            if body.members is not None:
                raise MalformedRequest(FieldFault(field="members", message="come only with a release"))
            review = await pools.desk.run(reviews.refuse, actor, case, rationale=rationale)
            return json_response(documents.review_document(review))
        if body.members is None:
            confirmed = documents.text_of("rows", body.rows) if body.rows is not None else None
            review = await pools.desk.run(reviews.confirm_release, actor, case, rows=confirmed, rationale=rationale)
            return json_response(documents.review_document(review))
        review = await pools.desk.run(
            reviews.ask_release, actor, case, rationale=rationale, document=documents.rows_of(body.members)
        )
        return json_response(documents.review_document(review), HTTPStatus.ACCEPTED)

    return [
        _route("GET", "/reviews", ring, pools, "reviews", show_all),
        _route("GET", "/reviews/{case}", ring, pools, "reviews", show),
        _route("POST", "/reviews/{case}/close", ring, pools, "reviews", close),
    ]


def _simulation_routes(desk: Desk, publisher: Publisher, ring: KeyRing, pools: Pools) -> list[Route]:
    async def run(request: Request, key: Key) -> Response:
        body = documents.read(await read_body(request, DESK_LIMIT), documents.SimulationBody)
        # The right to simulate shows explanations: nothing else is there to be seen.
        caller = Caller(id=key.id, gateway=key.gateway, assertable=key.assertable, explain=True)
        answer = await pools.simulations.run(_simulated, desk, publisher, caller, body)
        return Response(answer, media_type="application/json")

    return [_route("POST", "/simulate", ring, pools, "simulate", run)]


def _simulated(desk: Desk, publisher: Publisher, caller: Caller, body: documents.SimulationBody) -> bytes:
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
        raise MalformedRequest(FieldFault(field="request.subject.properties", message=str(error))) from error


def _state(desk: Desk) -> DeskState:
    return desk.view.refresh().desk


def _actor(key: Key) -> Actor:
    return Actor(key=key.id, person=key.person)


def _sees_names(key: Key) -> bool:
    return NAMES in key.rights


def _case(request: Request) -> str:
    case: str = request.path_params["case"]
    # Whatever is no id of a case is none on file; some of it, such as a NUL, no database takes as a text.
    if not (case.isascii() and case.isprintable()):
        raise NotFound("no case has this id")
    return case


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(PAGE))
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= LONGEST_PAGE):
        raise MalformedRequest(FieldFault(field="limit", message=f"is a number from 1 to {LONGEST_PAGE}"))
    return int(text)


def _cursor(*place: str) -> str:
    return base64.urlsafe_b64encode(" ".join(place).encode()).decode()


def _after(request: Request) -> tuple[str, str] | None:
    cursor = request.query_params.get("cursor")
    if cursor is None:
        return None
    try:
        opened_at, _, case = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode().partition(" ")
    except (binascii.Error, ValueError) as error:
        raise MalformedRequest(FieldFault(field="cursor", message="is not one that was given")) from error
    return opened_at, case


def _route(method: str, path: str, ring: KeyRing, pools: Pools, right: str, handler: Handler) -> Route:
    return methods_of(path, ring, pools, {method: (right, handler)})[0]


def methods_of(path: str, ring: KeyRing, pools: Pools, handlers: dict[str, tuple[str, Handler]]) -> list[Route]:
    """One route for a path, so that another method is 405 with every one that it takes."""

    async def endpoint(request: Request) -> Response:
        right, handler = handlers["GET" if request.method == "HEAD" else request.method]
        return await handler(request, await entered(request, ring, pools, right))

    return [Route(path, endpoint, methods=list(handlers))]


def json_response(value: object, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None) -> Response:
    """A document as the answer."""
    return Response(
        _encoder.encode(value), status_code=int(status), media_type="application/json", headers=headers or {}
    )
