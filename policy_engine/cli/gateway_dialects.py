"""The words in which gateways ask, read as the engine reads them, and those in which they are answered.

By a status: `/forward-auth` and `/ext_authz/...`. In JSON: `POST /gateways/decide`, for plugins. Over gRPC:
`envoy.service.auth.v3.Authorization/Check`, whose messages are read and written in `gateway_stand_in_grpc`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from policy_engine.domain.gateways import Doubt, Message, Profile, asked, forwarded
from policy_engine.domain.request import Request
from policy_engine.formats.request_document import MalformedRequest, parse_object
from policy_engine.http.documents import read_sent
from policy_engine.shapes.gateways import GatewayQuestionBody

EXT_AUTHZ: Final = "/ext_authz"
FORWARD_AUTH: Final = "/forward-auth"
PLUGIN: Final = "/gateways/decide"

KEY: Final = "x-policy-engine-key"
DECISION: Final = "x-decision-id"

Lines = tuple[tuple[str, str], ...]


class Dialect(StrEnum):
    """How a gateway asks."""

    STATUS = "by a status"
    PLUGIN = "in JSON"
    GRPC = "over gRPC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request that came to one of the servers, as it was on the wire; names of headers in lower case."""

    method: str
    target: str
    headers: Lines
    body: bytes

    def values(self, name: str) -> tuple[str, ...]:
        """What stands under a header, line by line."""
        return tuple(value for held, value in self.headers if held == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the engine would have been asked: the requests of a message, or why there are none.

    `key` is what the gateway shows for itself, and `passed` are the lines of its client's head that it passes on.
    `models` are those that a plugin names, of which it asks for one answer `each`.
    """

    dialect: Dialect
    seen: Seen
    key: tuple[str, ...]
    passed: Lines
    requests: tuple[Request, ...] = ()
    doubt: str | None = None
    models: tuple[str, ...] = ()
    each: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer on the wire."""

    status: int
    headers: Lines = ()
    body: bytes = b""


def question_over_http(seen: Seen, profile: Profile) -> Question:
    """The question in a request to one of the doors."""
    if seen.target.partition("?")[0] == PLUGIN:
        return _of_plugin(seen, profile)
    question = Question(dialect=Dialect.STATUS, seen=seen, key=seen.values(KEY), passed=seen.headers)

    def message() -> Message:
        method, target = _client_of(seen)
        body = parse_object(seen.body) if seen.body and profile.reads_bodies else None
        return Message(method=method, target=target, headers=seen.headers, body=body)

    return read(question, message, profile)


def read(question: Question, message: Callable[[], Message], profile: Profile) -> Question:
    """The question with the requests that the message comes to, or with its doubt."""
    try:
        made = message()
        if not question.each:
            return replace(question, requests=asked(made, profile).requests)
        alone = (asked(replace(made, models=(model,)), profile).requests[0] for model in made.models)
        return replace(question, requests=tuple(alone))
    except Doubt as doubt:
        return replace(question, doubt=str(doubt))
    except MalformedRequest:
        return replace(question, doubt="the body that was passed on is not a JSON object without repetitions")


def _client_of(seen: Seen) -> tuple[str, str]:
    """Method and target of the gateway's client. Raises `Doubt`."""
    if seen.target.startswith(f"{EXT_AUTHZ}/"):
        return seen.method, seen.target.removeprefix(EXT_AUTHZ)
    if seen.target.partition("?")[0] == FORWARD_AUTH:
        return forwarded(seen.headers)
    raise Doubt("the gateway asks at a path where no door of the engine is")


def _of_plugin(seen: Seen, profile: Profile) -> Question:
    key = tuple(one.removeprefix("Bearer ") for one in seen.values("authorization"))
    question = Question(dialect=Dialect.PLUGIN, seen=seen, key=key, passed=())
    try:
        body = read_sent(seen.body, GatewayQuestionBody)
    except MalformedRequest:
        return replace(question, doubt="what the plugin sent is no question: the engine would answer 400")
    passed = tuple(_lines(body.headers or {}))
    message = Message(
        method=body.method,
        target=body.target,
        headers=passed,
        attributes=body.attributes or {},
        models=body.models,
    )
    return read(replace(question, passed=passed, models=body.models, each=body.each), lambda: message, profile)


def _lines(headers: Mapping[str, str | tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        for one in (value,) if isinstance(value, str) else value:
            yield name.lower(), one


class CallFails(Exception):
    """A call over gRPC is to end with an error instead of an answer."""


EMPTY: Final = "an empty answer"
UNSET: Final = "a denial with its status left out"
UNDECIDED: Final = "an allow without a decision"
MESSAGES: Final = (EMPTY, UNSET, UNDECIDED, "a status that is an error", "bytes that are no answer")
"""Answers over gRPC that are no allow of the engine's. Envoy alone takes the first three for one."""


# --- answers ----------------------------------------------------------------------------------------------------------

DENIED: Final = "This model is not available."
_CODE: Final = "NOT_AVAILABLE_MODEL"
_JSON: Final = ("content-type", "application/json")
_NO_STORE: Final = ("cache-control", "no-store")


def allow_by_status(decision: str, until: datetime) -> Reply:
    """200 with the decision."""
    return Reply(status=200, headers=((DECISION, decision), ("x-valid-until", until.isoformat()), _NO_STORE))


def deny_by_status(decision: str) -> Reply:
    """403 in the form of OpenAI's interface."""
    error = {"message": DENIED, "type": "request_forbidden", "param": "model", "code": "model_access_denied"}
    headers = ((DECISION, decision), ("x-reason", _CODE), _JSON, _NO_STORE)
    return Reply(status=403, headers=headers, body=json.dumps({"error": error}).encode())


def answer_in_json(
    question: Question, allows: Callable[[Request], bool], new_id: Callable[[], str], until: datetime
) -> Reply:
    """200 with one answer for each of the models that were asked about, or with that of a question that is none."""

    def one(model: str | None, *, allowed: bool, fault: str | None = None) -> dict[str, object]:
        return {
            "model": model,
            "decision": "allow" if allowed else "deny",
            "decision_id": new_id(),
            "valid_until": until.isoformat() if allowed else None,
            "public_code": "ALLOWED" if allowed else _CODE,
            "public_message": "Allowed." if allowed else DENIED,
            "fault": fault,
        }

    if question.requests:
        named = question.models or tuple(request.model for request in question.requests)
        verdicts = tuple(map(allows, question.requests))
        if not question.each:
            verdicts = (all(verdicts),)
        answers = [one(model, allowed=allowed) for model, allowed in zip(named, verdicts, strict=False)]
    else:
        names = question.models if question.each else (None,)
        answers = [one(model, allowed=False, fault=question.doubt) for model in names]
    allowed = all(answer["decision"] == "allow" for answer in answers)
    return Reply(status=200, headers=(_JSON,), body=msgspec.json.encode({"allowed": allowed, "answers": answers}))
