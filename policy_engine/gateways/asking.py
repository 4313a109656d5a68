"""From what a gateway passes on to a durable answer: the one walk of every door for gateways.

The profile says which questions a message comes to; the gate decides them and has their records on disk before anything
is told. What comes to no question is a recorded deny that names its doubt, as a malformed item of a batch is.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from policy_engine.app.builder import Parts
from policy_engine.domain.gateways import Answers, Asked, Doubt, Message, Profile, asked, route_of
from policy_engine.domain.request import BatchItem, Request, Semantic, Submitted
from policy_engine.domain.rules import PublicCode
from policy_engine.formats.record import short_answer
from policy_engine.formats.request_document import (
    MalformedRequest,
    body_of,
    parse_object,
    request_digest,
    submitted_of,
)
from policy_engine.service.gate.keyring import Bearer

RIGHT: Final = "decide"
BODY_LIMIT: Final = 1024 * 1024
"""Bytes of a client's body that are read where the profile reads bodies at all."""

AT_ONCE: Final = 16 * 1024


class _Reason(msgspec.Struct):
    public_code: str
    public_message: str


class _Obligation(msgspec.Struct):
    id: str


class _Answer(msgspec.Struct):
    allowed: bool
    reason: _Reason
    decision_id: str | None = None
    valid_until: str | None = None
    obligations: list[_Obligation] = []


_decoder: Final = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a gateway is told of one model: never a rule, a finding or a fact.

    `valid_until` is RFC 3339, until when an allow may be reused, unrecorded. `fault` is what was no question, for the
    gateway's developer.
    """

    allowed: bool
    code: str
    message: str
    decision_id: str | None = None
    valid_until: str | None = None
    obligations: tuple[str, ...] = ()
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The answers to a message, in the order of its models and up to the first deny, and in whose words to tell them.

    It is an allow where every model that the message could reach is allowed. `named` are those models as the gateway
    calls them; none where the message came to no question.
    """

    told: tuple[Told, ...]
    asked: int
    named: tuple[str, ...] = ()
    answers: Answers = Answers.OPENAI

    @property
    def allowed(self) -> bool:
        return self.asked > 0 and len(self.told) == self.asked and all(one.allowed for one in self.told)

    @property
    def deciding(self) -> Told:
        """The answer that decides: the first deny, else the last allow."""
        return next((one for one in self.told if not one.allowed), self.told[-1])


async def ask(parts: Parts, bearer: Bearer, message: Message) -> Outcome:
    """Decide what a gateway passes on, durably. Raises the errors of the gate and of the keys."""
    profile, asker = read_by(parts, bearer)
    answers = Answers.OPENAI
    try:
        profile = _filed(profile)
        answers = route_of(message, profile)[0].answers
        questions = asked(message, profile)
        submitted = _submitted(questions)
    except (Doubt, MalformedRequest) as error:
        return await _refused(parts, asker, _sent(message), str(error), answers)
    if len(submitted) > 1:
        told = await decide_all(parts, asker, submitted, Semantic.DENY_ON_FIRST_DENY)
        return Outcome(told=told, asked=len(submitted), named=questions.named, answers=answers)
    try:
        reply = await parts.gate.decide(submitted[0], asker, parts.pools.decisions)
    except MalformedRequest as error:
        return await _refused(parts, asker, _sent(message), str(error), answers)
    return Outcome(told=(told_of(reply.answer),), asked=1, named=questions.named, answers=answers)


async def ask_each(parts: Parts, bearer: Bearer, message: Message) -> tuple[Told, ...]:
    """One answer for each of the message's models, in their order: which of them may be listed, say."""
    profile, asker = read_by(parts, bearer)
    try:
        profile = _filed(profile)
        alone = asked(replace(message, models=message.models[:1]), profile).requests[0]
        items = tuple(_item(replace(alone, model=profile.aliases.get(name, name)), name) for name in message.models)
    except Doubt as error:
        refused = await _refused(parts, asker, _sent(message), str(error), Answers.OPENAI)
        return tuple(refused.deciding for _ in message.models)
    reply = await parts.gate.decide_batch(items, Semantic.EXECUTE_ALL, asker, parts.pools.batches)
    return tuple(map(told_of, reply.answers))


def profile_of(parts: Parts, bearer: Bearer) -> Profile | None:
    """The profile of the gateway whose key it is; `None` for a gateway that has none. Raises as `Bearer.key`."""
    gateway = bearer.key(parts.ring.current()).gateway
    return None if gateway is None else parts.profiles.by_gateway.get(gateway)


def read_by(parts: Parts, bearer: Bearer) -> tuple[Profile | None, Bearer]:
    """The profile by which a question of the bearer is read, as `profile_of` finds it, and the bearer with its
    fingerprint, which stands on record."""
    profile = profile_of(parts, bearer)
    return profile, replace(bearer, profile=None if profile is None else profile.fingerprint)


def _filed(profile: Profile | None) -> Profile:
    if profile is None:
        raise Doubt("no profile is filed for the gateway of this key")
    return profile


async def decide_all(
    parts: Parts, asker: Bearer, submitted: Sequence[Submitted], semantic: Semantic
) -> tuple[Told, ...]:
    """Decide questions together, under one book at one instant."""
    items = tuple(BatchItem(digest=one.digest, submitted=one) for one in submitted)
    reply = await parts.gate.decide_batch(items, semantic, asker, parts.pools.batches)
    return tuple(map(told_of, reply.answers))


def told_of(answer: bytes) -> Told:
    """What a gateway may be told of a full answer."""
    read = _decoder.decode(short_answer(answer, asked_fallbacks=False))
    return Told(
        allowed=read.allowed,
        code=read.reason.public_code,
        message=read.reason.public_message,
        decision_id=read.decision_id,
        valid_until=read.valid_until,
        obligations=tuple(one.id for one in read.obligations),
    )


async def doubted(parts: Parts, bearer: Bearer, doubt: Doubt, sent: Sequence[str]) -> Outcome:
    """The recorded deny of what a door could not even read; `sent` is what its record has a digest of."""
    _, asker = read_by(parts, bearer)
    return await _refused(parts, asker, sent, str(doubt), Answers.OPENAI)


async def _refused(parts: Parts, asker: Bearer, sent: Sequence[str], fault: str, answers: Answers) -> Outcome:
    item = BatchItem(digest=request_digest({"sent": list(sent)}), fault=fault)
    reply = await parts.gate.decide_batch((item,), Semantic.EXECUTE_ALL, asker, parts.pools.batches)
    told = replace(told_of(reply.answers[0]), fault=fault)
    return Outcome(told=(told,), asked=1, answers=answers)


def _sent(message: Message) -> tuple[str, ...]:
    return (message.method, message.target, *message.models)


def _submitted(questions: Asked) -> tuple[Submitted, ...]:
    return tuple(
        replace(submitted_of(_document(request)), called=called)
        for request, called in zip(questions.requests, questions.called, strict=True)
    )


def _document(request: Request) -> Mapping[str, object]:
    """The request as it would have come to `POST /decide`, so that the same reader holds it to the same rules."""
    document: dict[str, object] = msgspec.to_builtins(body_of(request))
    return document


def _item(request: Request, called: str) -> BatchItem:
    document = _document(request)
    try:
        submitted = replace(submitted_of(document), called=(called,))
    except MalformedRequest as error:
        return BatchItem(digest=request_digest(document), fault=str(error))
    return BatchItem(digest=submitted.digest, submitted=submitted)


# --- bodies of clients ------------------------------------------------------------------------------------------------


def client_body(data: bytes, content_type: str, encoding: str, *, partial: bool) -> Mapping[str, object]:
    """The members of a client's JSON body. Raises `Doubt` for a body that two programs may read differently."""
    if partial:
        raise Doubt("the gateway passed on only a part of the body")
    if encoding not in {"", "identity"}:
        raise Doubt("the body is compressed")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Doubt("the body is not declared as application/json")
    if data.startswith(b"\xef\xbb\xbf"):
        raise Doubt("the body begins with a byte-order mark")
    try:
        return parse_object(data)
    except MalformedRequest as error:
        raise Doubt(f"the body {error.faults[0].message}") from error


PARTIAL: Final = "x-envoy-auth-partial-body"
"""How Envoy says whether it passed on the whole body."""


async def parsed_body(parts: Parts, data: bytes, headers: Iterable[tuple[str, str]]) -> Mapping[str, object]:
    """As `client_body`, by what the head says of the body; a long one would keep others waiting, and is read on a
    thread. Of several lines of one name none counts alone."""
    lines = tuple(headers)
    partial, kind, encoding = (
        ",".join(value for held, value in lines if held == name).strip()
        for name in (PARTIAL, "content-type", "content-encoding")
    )
    read = functools.partial(client_body, data, kind, encoding, partial=partial not in {"", "false"})
    return read() if len(data) <= AT_ONCE else await parts.pools.decisions.run(read)


# --- what a client is told --------------------------------------------------------------------------------------------

UNAVAILABLE_CODE: Final = "authorization_unavailable"
_REGION: Final = "unsupported_country_region_territory"


def denial_document(told: Told, answers: Answers) -> Mapping[str, object]:
    """The denial in the words of the interface that the client speaks."""
    match answers:
        case Answers.ANTHROPIC:
            return {"type": "error", "error": {"type": "permission_error", "message": told.message}}
        case Answers.MCP:
            data = {"code": told.code, "decision_id": told.decision_id}
            return {"jsonrpc": "2.0", "id": None, "error": {"code": -32001, "message": told.message, "data": data}}
        case _:
            region = told.code == PublicCode.NOT_AVAILABLE_REGION
            error = {
                "message": told.message,
                "type": "request_forbidden",
                "param": None if region else "model",
                "code": _REGION if region else "model_access_denied",
            }
            return {"error": error}


def denial_body(told: Told, answers: Answers) -> bytes:
    """As `denial_document`, as JSON."""
    return json.dumps(denial_document(told, answers), ensure_ascii=False, separators=(",", ":")).encode("utf-8")
