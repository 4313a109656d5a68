"""The one table from what went wrong to what is said of it over HTTP (RFC 9457).

A denial is never here, and nothing here is an allow. Problem types are relative references that end in their name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import msgspec
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from msgspec import UNSET
from msgspec.structs import replace
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from policy_engine.domain.instants import format_instant
from policy_engine.domain.ports import LogDamaged, LogUnavailable, MembersUnavailable
from policy_engine.formats.faults import Fault
from policy_engine.formats.request_document import MalformedRequest
from policy_engine.ledger.tiles import LogFault
from policy_engine.policy.library import BookLost
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
from policy_engine.service.audit.retired import RecordRetired
from policy_engine.service.gate.gate import NotFresh, RequestIdConflict
from policy_engine.service.gate.issuer_keys import IssuerUnavailable
from policy_engine.service.gate.keyring import Forbidden, InvalidCertificate, InvalidToken, Unauthenticated
from policy_engine.service.gate.pools import Busy
from policy_engine.service.gate.rates import TooMany
from policy_engine.service.sealing.sealed_log import EntryAltered
from policy_engine.shapes.problem import FaultDocument, ProblemDocument

MEDIA_TYPE: Final = "application/problem+json"


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
class Problem:
    """A kind of problem. `tells`: the error's text was written for the caller; of others it may name what is not the
    caller's."""

    status: HTTPStatus
    name: str
    title: str
    tells: bool = False
    headers: Mapping[str, str] | None = None

    @property
    def type(self) -> str:
        return f"/problems/{self.name}"


_RETRY: Final = {"Retry-After": "1"}


def _told(status: HTTPStatus, name: str, title: str, headers: Mapping[str, str] | None = None) -> Problem:
    return Problem(status=status, name=name, title=title, tells=True, headers=headers)


_KEY_NEEDED: Final = Problem(
    status=HTTPStatus.UNAUTHORIZED,
    name="unauthenticated",
    title="A valid key is needed",
    headers={"WWW-Authenticate": "Bearer"},
)
_NOTHING: Final = _told(HTTPStatus.NOT_FOUND, "not-found", "There is nothing here")
_AWAY: Final = HTTPStatus.SERVICE_UNAVAILABLE
_TABLE: Final[Mapping[type[Exception], Problem]] = {
    MalformedRequest: _told(HTTPStatus.BAD_REQUEST, "malformed", "The request is malformed"),
    Unauthenticated: _KEY_NEEDED,
    InvalidToken: _told(
        HTTPStatus.UNAUTHORIZED,
        "invalid-token",
        "The token is not valid here",
        {"WWW-Authenticate": 'Bearer error="invalid_token"'},
    ),
    InvalidCertificate: _told(
        HTTPStatus.UNAUTHORIZED,
        "invalid-certificate",
        "The certificate that was passed on names no caller",
        {"WWW-Authenticate": "Bearer"},
    ),
    TooMany: _told(HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", "This caller asks too often", _RETRY),
    IssuerUnavailable: _told(_AWAY, "issuer-unavailable", "The keys of the tokens' issuer cannot be fetched", _RETRY),
    Forbidden: _told(HTTPStatus.FORBIDDEN, "forbidden", "The key does not carry this right"),
    NotFound: _NOTHING,
    # Not 410: that there was a record under the id is more than anybody knows by now.
    RecordRetired: _told(HTTPStatus.NOT_FOUND, "retired", "Records of this year are no longer kept"),
    RequestIdConflict: _told(HTTPStatus.CONFLICT, "request-id-conflict", "The request id was used for another request"),
    KeyNotInForce: _KEY_NEEDED,
    PersonNeeded: _told(HTTPStatus.FORBIDDEN, "person-needed", "This needs a key that is bound to a person"),
    SecondPersonNeeded: _told(HTTPStatus.FORBIDDEN, "second-person-needed", "This needs another person"),
    NothingThere: _NOTHING,
    DeskConflict: _told(HTTPStatus.CONFLICT, "conflict", "This conflicts with the current state"),
    CasesNotAcknowledged: _told(
        HTTPStatus.CONFLICT,
        "cases-not-acknowledged",
        "The book drops or changes worked examples, and nobody has acknowledged it",
    ),
    NotAccepted: _told(HTTPStatus.BAD_REQUEST, "not-accepted", "This is not accepted"),
    BookNotAccepted: _told(HTTPStatus.BAD_REQUEST, "book-not-accepted", "The book is not accepted"),
    BookLost: _told(_AWAY, "book-lost", "An archived book cannot be read", _RETRY),
    BodyTooLarge: _told(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", "The body is too large"),
    AssessmentEnded: _told(_AWAY, "assessment-ended", "The book was not checked to the end", _RETRY),
    Busy: _told(_AWAY, "busy", "Too many such requests are running or waiting; nothing is allowed", _RETRY),
    LogUnavailable: Problem(
        status=_AWAY,
        name="log-unavailable",
        title="No record could be made, so nothing is allowed",
        headers=_RETRY,
    ),
    # Not "nothing is allowed": decisions go on, and are sealed once the log is whole again.
    LogFault: _told(_AWAY, "log-damaged", "The sealed log is damaged"),
    EntryAltered: _told(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "entry-altered",
        "The record in the database is not the one that was sealed",
    ),
    LogDamaged: _told(HTTPStatus.INTERNAL_SERVER_ERROR, "entry-missing", "An entry of the log is missing"),
    MembersUnavailable: Problem(
        status=_AWAY,
        name="members-unavailable",
        title="The membership database cannot be read, so nothing is allowed",
        headers=_RETRY,
    ),
    NotFresh: _told(_AWAY, "not-fresh", "The membership revision asked for is not here yet", _RETRY),
}

INTERNAL: Final = Problem(
    status=HTTPStatus.INTERNAL_SERVER_ERROR, name="internal", title="The service failed; nothing is allowed"
)
NOT_READY: Final = Problem(status=_AWAY, name="not-ready", title="The service cannot decide", headers=_RETRY)
_GONE: Final = Problem(status=HTTPStatus.BAD_REQUEST, name="disconnected", title="The client hung up")

_log: Final = structlog.get_logger("policy_engine.api")


def problem_of(kind: type[Exception]) -> Problem:
    """What is said of an error of the table."""
    return _TABLE[kind]


def problem_response(problem: Problem, detail: str | None = None, **more: object) -> Response:
    """An `application/problem+json` answer; `more` are members of `ProblemDocument`."""
    document = ProblemDocument(type=problem.type, title=problem.title, status=int(problem.status))
    document = replace(document, detail=UNSET if detail is None else detail, **more)
    return Response(
        msgspec.json.encode(document),
        status_code=int(problem.status),
        media_type=MEDIA_TYPE,
        headers=dict(problem.headers or {}),
    )


def error_response(error: Exception) -> Response:
    """The answer to an error of the table. Raises `KeyError` for one that is not in it."""
    problem = _TABLE[type(error)]
    detail = str(error) or None if problem.tells else None
    more: dict[str, object] = {}
    if isinstance(error, TooMany):
        problem = dataclasses.replace(problem, headers={"Retry-After": str(error.seconds)})
    elif isinstance(error, MalformedRequest):
        more["errors"] = tuple(FaultDocument(field=fault.field, message=fault.message) for fault in error.faults)
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
        more["errors"] = tuple(one.document() for one in error.faults)
    return problem_response(problem, detail, **more)


def is_foreseen(error: Exception) -> bool:
    """Whether the table has the error."""
    return type(error) in _TABLE


def unforeseen_response(error: Exception) -> Response:
    """The answer to an error that the table does not have. Its class alone is logged: its text may carry facts about a
    person."""
    _log.error("unforeseen error", error=type(error).__name__)
    return problem_response(INTERNAL)


def install(app: FastAPI) -> None:
    """Answer every error of the table, the framework's own, and whatever else went wrong."""

    async def known(_: Request, error: Exception) -> Response:
        return error_response(error)

    async def framework(request: Request, error: Exception) -> Response:
        status = HTTPStatus(error.status_code) if isinstance(error, HTTPException) else HTTPStatus.BAD_REQUEST
        headers = error.headers if isinstance(error, HTTPException) else None
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            # The framework names the methods of one of the routes that a path has.
            headers = {"Allow": ", ".join(sorted(_methods(app, request.scope)))}
        name = status.phrase.lower().replace(" ", "-")
        return problem_response(Problem(status=status, name=name, title=status.phrase, headers=headers))

    async def unforeseen(_: Request, error: Exception) -> Response:
        return unforeseen_response(error)

    async def gone(_: Request, __: Exception) -> Response:
        # The server sends it to nobody; without an answer it would report a fault of ours.
        return problem_response(_GONE)

    app.add_exception_handler(ClientDisconnect, gone)
    for kind in _TABLE:
        app.add_exception_handler(kind, known)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(RequestValidationError, framework)
    app.add_exception_handler(Exception, unforeseen)


def _methods(app: FastAPI, scope: Scope) -> set[str]:
    found: set[str] = set()
    for route in app.routes:
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return found | {"HEAD"} if "GET" in found else found
