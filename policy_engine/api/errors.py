"""The one table from what went wrong to what is said of it over HTTP (RFC 9457).

A denial is never here, and nothing here is an allow. Problem types are relative references that end in their name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import msgspec
import structlog
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from policy_engine.domain.instants import format_instant
from policy_engine.domain.ports import LogDamaged, LogUnavailable, MembersUnavailable
from policy_engine.formats.faults import Fault
from policy_engine.formats.request_document import MalformedRequest
from policy_engine.ledger.tiles import LogFault
from policy_engine.policy.library import BookLost
from policy_engine.service.desk_faults import (
    AssessmentEnded,
    CasesNotAcknowledged,
    DeskConflict,
    KeyNotInForce,
    NotAccepted,
    NothingThere,
    PersonNeeded,
    SecondPersonNeeded,
)
from policy_engine.service.gate import NotFresh, RequestIdConflict
from policy_engine.service.keyring import Forbidden, Unauthenticated
from policy_engine.service.pools import Busy
from policy_engine.service.retired import RecordRetired
from policy_engine.service.sealing import EntryAltered


class NotFound(Exception):
    """Nothing is stored under that id."""


class BookNotAccepted(Exception):
    """A proposed book has faults, fails its worked examples, or does not say why it is proposed."""

    def __init__(self, message: str, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults


class BodyTooLarge(Exception):
    """The body is larger than this route takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    status: HTTPStatus
    name: str
    title: str
    headers: Mapping[str, str] | None = None


_RETRY: Final = {"Retry-After": "1"}
_TABLE: Final[dict[type[Exception], _Problem]] = {
    MalformedRequest: _Problem(status=HTTPStatus.BAD_REQUEST, name="malformed", title="The request is malformed"),
    Unauthenticated: _Problem(
        status=HTTPStatus.UNAUTHORIZED,
        name="unauthenticated",
        title="A valid key is needed",
        headers={"WWW-Authenticate": "Bearer"},
    ),
    Forbidden: _Problem(status=HTTPStatus.FORBIDDEN, name="forbidden", title="The key does not carry this right"),
    NotFound: _Problem(status=HTTPStatus.NOT_FOUND, name="not-found", title="There is nothing here"),
    # Not 410: that there was a record under the id is more than anybody knows by now.
    RecordRetired: _Problem(
        status=HTTPStatus.NOT_FOUND, name="retired", title="Records of this year are no longer kept"
    ),
    RequestIdConflict: _Problem(
        status=HTTPStatus.CONFLICT, name="request-id-conflict", title="The request id was used for another request"
    ),
    KeyNotInForce: _Problem(
        status=HTTPStatus.UNAUTHORIZED,
        name="unauthenticated",
        title="A valid key is needed",
        headers={"WWW-Authenticate": "Bearer"},
    ),
    PersonNeeded: _Problem(
        status=HTTPStatus.FORBIDDEN, name="person-needed", title="This needs a key that is bound to a person"
    ),
    SecondPersonNeeded: _Problem(
        status=HTTPStatus.FORBIDDEN, name="second-person-needed", title="This needs another person"
    ),
    NothingThere: _Problem(status=HTTPStatus.NOT_FOUND, name="not-found", title="There is nothing here"),
    DeskConflict: _Problem(status=HTTPStatus.CONFLICT, name="conflict", title="This does not fit what stands"),
    CasesNotAcknowledged: _Problem(
        status=HTTPStatus.CONFLICT,
        name="cases-not-acknowledged",
        title="The book drops or changes worked examples, and nobody has acknowledged it",
    ),
    NotAccepted: _Problem(status=HTTPStatus.BAD_REQUEST, name="not-accepted", title="This is not accepted"),
    BookNotAccepted: _Problem(
        status=HTTPStatus.BAD_REQUEST, name="book-not-accepted", title="The book is not accepted"
    ),
    BookLost: _Problem(
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        name="book-lost",
        title="An archived book cannot be read",
        headers=_RETRY,
    ),
    BodyTooLarge: _Problem(
        status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, name="body-too-large", title="The body is too large"
    ),
    AssessmentEnded: _Problem(
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        name="assessment-ended",
        title="The book was not looked at to the end",
        headers=_RETRY,
    ),
    Busy: _Problem(
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        name="busy",
        title="As much of this is asked for as there is room for; nothing is allowed",
        headers=_RETRY,
    ),
    LogUnavailable: _Problem(
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        name="log-unavailable",
        title="No record could be made, so nothing is allowed",
        headers=_RETRY,
    ),
    # Not "nothing is allowed": decisions go on, and are sealed once the log is whole again.
    LogFault: _Problem(
        status=HTTPStatus.SERVICE_UNAVAILABLE, name="log-damaged", title="What is kept of the sealed log is damaged"
    ),
    EntryAltered: _Problem(
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        name="entry-altered",
        title="The record in the database is not the one that was sealed",
    ),
    LogDamaged: _Problem(
        status=HTTPStatus.INTERNAL_SERVER_ERROR, name="entry-missing", title="An entry of the log is missing"
    ),
    MembersUnavailable: _Problem(
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        name="members-unavailable",
        title="The membership database cannot be read, so nothing is allowed",
        headers=_RETRY,
    ),
    NotFresh: _Problem(
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        name="not-fresh",
        title="The membership revision asked for is not here yet",
        headers=_RETRY,
    ),
}
_SAYS_MORE: Final = (
    MalformedRequest,
    AssessmentEnded,
    Busy,
    LogDamaged,
    RequestIdConflict,
    NotFresh,
    Forbidden,
    NotFound,
    RecordRetired,
    BodyTooLarge,
    PersonNeeded,
    SecondPersonNeeded,
    NothingThere,
    DeskConflict,
    CasesNotAcknowledged,
    NotAccepted,
    BookNotAccepted,
    BookLost,
    LogFault,
    EntryAltered,
)
"""Errors whose text was written for the caller; of the others the text may name things that are not the caller's."""

_log: Final = structlog.get_logger("policy_engine.api")


def problem_response(
    status: int,
    name: str,
    title: str,
    *,
    detail: str | None = None,
    headers: Mapping[str, str] | None = None,
    **more: object,
) -> Response:
    """An `application/problem+json` answer."""
    document: dict[str, object] = {"type": f"/problems/{name}", "title": title, "status": int(status), **more}
    if detail is not None:
        document["detail"] = detail
    return Response(
        msgspec.json.encode(document),
        status_code=int(status),
        media_type="application/problem+json",
        headers=dict(headers or {}),
    )


def error_response(error: Exception) -> Response:
    """The answer to an error of the table. Raises `KeyError` for one that is not in it."""
    problem = _TABLE[type(error)]
    detail = str(error) or None if isinstance(error, _SAYS_MORE) else None
    more: dict[str, object] = {}
    if isinstance(error, MalformedRequest):
        more["errors"] = [{"field": fault.field, "message": fault.message} for fault in error.faults]
    elif isinstance(error, RecordRetired):
        retired = error.retired
        more |= {
            "year": retired.content.year,
            "retired_at": format_instant(retired.at),
            "retirement": retired.change,
        }
    elif isinstance(error, CasesNotAcknowledged):
        more |= {"cases": error.report, "removed": error.removed, "changed": error.changed}
    elif isinstance(error, NotAccepted | BookNotAccepted):
        more["errors"] = [
            {
                "file": fault.source,
                "line": fault.line,
                "column": fault.column,
                "cell": fault.cell,
                "message": fault.message,
                "remedy": fault.remedy,
            }
            for fault in error.faults
        ]
    return problem_response(problem.status, problem.name, problem.title, detail=detail, headers=problem.headers, **more)


def is_foreseen(error: Exception) -> bool:
    """Whether the table has the error."""
    return type(error) in _TABLE


def unforeseen_response(error: Exception) -> Response:
    """The answer to an error that the table does not have. Its class alone is logged: its text may carry facts about a
    person."""
    _log.error("unforeseen error", error=type(error).__name__)
    return problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "The service failed; nothing is allowed")


def install(app: FastAPI) -> None:
    """Answer every error of the table, the framework's own 404 and 405, and whatever else went wrong."""

    async def known(_: Request, error: Exception) -> Response:
        return error_response(error)

    async def framework(_: Request, error: Exception) -> Response:
        status = HTTPStatus(error.status_code) if isinstance(error, HTTPException) else HTTPStatus.BAD_REQUEST
        headers = error.headers if isinstance(error, HTTPException) else None
        return problem_response(status, status.phrase.lower().replace(" ", "-"), status.phrase, headers=headers)

    async def unforeseen(_: Request, error: Exception) -> Response:
        return unforeseen_response(error)

    async def gone(_: Request, __: Exception) -> Response:
        # The server sends it to nobody; without an answer it would report a fault of ours.
        return problem_response(HTTPStatus.BAD_REQUEST, "disconnected", "The client hung up")

    app.add_exception_handler(ClientDisconnect, gone)
    for kind in _TABLE:
        app.add_exception_handler(kind, known)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(Exception, unforeseen)
