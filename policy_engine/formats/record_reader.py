"""A record read back: canonical bytes to a decision as it was recorded, or the place where they are no record.

What was written is read for ever, by the one declaration that it is written by (`shapes.record`): a member that came
later is absent in older records. Requests are read less strictly than when they are sent: what was recorded once was
lawful then.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

import msgspec
from msgspec import UnsetType

from policy_engine.domain.instants import InstantError, parse_instant
from policy_engine.domain.request import Caller, IdentifiedBy, Identity, Request
from policy_engine.domain.rules import FAULT_RULE
from policy_engine.formats.record import RECORD_VERSION, says_too_long
from policy_engine.formats.request_document import request_from
from policy_engine.shapes.answer import AnswerDocument, FindingDocument
from policy_engine.shapes.record import IdentityDocument, PartyDocument, RecordDocument, RequestDigest
from policy_engine.shapes.request import RequestBody

Shape = TypeVar("Shape")


class RecordFault(ValueError):
    """The bytes are no record of a known version; `place` is a JSON path."""

    def __init__(self, place: str, message: str) -> None:
        self.place = place
        super().__init__(f"{place}: {message}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDecision:
    """A decision as its record tells it.

    `shortened` is that its facts were left out, because the record would have been too long. `request` is `None` where
    the request itself was too long or none, and in every shortened record of earlier releases: `request_digest` is in
    its place. `model` is the catalogue's id
    where the request's name was found, `tier` then its market tier. `policy_version` is "none" where no book was in
    force.
    """

    version: int
    id: str
    decided_at: datetime
    valid_until: datetime
    allowed: bool
    hold: bool
    reason_rule: str
    reason_code: str
    findings: tuple[FindingDocument, ...]
    missing: tuple[str, ...]
    request: Request | None
    request_digest: str | None
    caller: Caller
    model: str
    tier: str | None
    policy_version: str
    membership_revision: int
    control_epoch: int
    engine: str
    parties: tuple[PartyDocument, ...]
    shortened: bool

    @property
    def decision(self) -> str:
        """`allow` or `deny`."""
        return "allow" if self.allowed else "deny"


def read_record(body: bytes) -> RecordedDecision:
    """The decision in a record of any version that was ever written. Raises `RecordFault`."""
    try:
        record = _RECORD.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Of another version nothing else is wrong than that.
        _require_version(_decoded(_ANY_VERSION, body).v)
        record = _decoded(_RECORD, body)
    _require_version(record.v)
    answer, caller = record.answer, record.caller
    if answer.allowed is not (answer.decision == "allow"):
        raise RecordFault("$.answer.allowed", f"contradicts the decision, which is {answer.decision}")
    request, digest = _asked(record.request)
    return RecordedDecision(
        version=record.v,
        id=answer.decision_id,
        decided_at=_instant(answer.decided_at, "$.answer.decided_at"),
        valid_until=_instant(answer.valid_until, "$.answer.valid_until"),
        allowed=answer.allowed,
        hold=answer.hold,
        reason_rule=answer.reason.rule,
        reason_code=answer.reason.code,
        findings=answer.findings,
        missing=answer.missing,
        request=request,
        request_digest=digest,
        caller=Caller(
            id=caller.id,
            gateway=caller.gateway,
            assertable=frozenset(caller.assertable),
            explain=caller.explain,
            profile=None if isinstance(caller.profile, UnsetType) else caller.profile,
            identity=_identity(caller.identity),
        ),
        model=answer.model.id,
        tier=answer.model.tier,
        policy_version=answer.policy_version,
        membership_revision=answer.membership_revision,
        control_epoch=record.control_epoch,
        engine=record.engine,
        parties=record.facts,
        shortened=request is None or _says_too_long(answer),
    )


def _require_version(version: int) -> None:
    if version != RECORD_VERSION:
        raise RecordFault(
            "$.v", f"version {version} is not known to this release, which reads version {RECORD_VERSION}"
        )


def _identity(told: IdentityDocument | UnsetType) -> Identity | None:
    if isinstance(told, UnsetType):
        return None
    return Identity(by=IdentifiedBy(told.by), issuer=told.issuer, subject=told.subject)


def _says_too_long(answer: AnswerDocument) -> bool:
    told = (finding.detail.get("fault") for finding in answer.findings if finding.rule == FAULT_RULE)
    return answer.reason.rule == FAULT_RULE and any(map(says_too_long, told))


def _instant(text: str, place: str) -> datetime:
    try:
        return parse_instant(text)
    except InstantError as error:
        raise RecordFault(place, str(error)) from error


def _asked(document: object) -> tuple[Request | None, str | None]:
    """The request as it was recorded, which has the members that it was sent with, or its digest."""
    try:
        if isinstance(document, dict) and "sha256" in document:
            return None, msgspec.convert(document, RequestDigest).sha256
        return request_from(msgspec.convert(document, RequestBody)), None
    except msgspec.ValidationError as error:
        raise _fault(error, "$.request") from error


_PLACE: Final = re.compile(r"(.*?)(?: - at `\$(.*)`)?", re.DOTALL)


def _decoded(decoder: msgspec.json.Decoder[Shape], body: bytes) -> Shape:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _fault(error, "$") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordFault("$", f"is not JSON: {error}") from error
    except RecursionError as error:
        raise RecordFault("$", "is nested too deeply") from error


def _fault(error: msgspec.ValidationError, within: str) -> RecordFault:
    matched = _PLACE.fullmatch(str(error))
    message, place = (str(error), None) if matched is None else matched.groups()
    return RecordFault(within + (place or ""), message[:1].lower() + message[1:])


class _AnyVersion(msgspec.Struct):
    v: int


_ANY_VERSION: Final = msgspec.json.Decoder(_AnyVersion)
_RECORD: Final = msgspec.json.Decoder(RecordDocument)
