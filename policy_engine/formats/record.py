"""A decision as canonical bytes: the record that is stored, hashed and exported, and the answers drawn from it.

Version 1, a JSON object in UTF-8, members sorted by name, no insignificant white space:

    {
      "answer":         the full answer of POST /decide, as a caller with `decisions:explain` reads it
      "caller":         who asked: {"assertable", "explain", "gateway", "id"}: the key, its gateway or null, the
                        properties that it may assert, sorted, and whether it may see explanations
      "control_epoch":  the epoch under which it was decided, and again when it was committed
      "engine":         the engine's version
      "facts":          one object for each party judged: {"known", "organisation", "role", "subject", "words"}
      "request":        what was asked, unstated members left out; {"sha256"} alone where that is too long or none;
                        "destination" has "subdivision" and "postcode" where they were stated, which earlier releases
                        did not take
      "v":              1
    }

`words` has every word that a rule in force looked at with "yes", "no" or "unknown". `known` has the facts on file that
those words read, in force at the instant and as known then; `shapes.record` declares each, and a fact that nobody asked
for is absent.

The policy version covers rules, country groups and catalogue; the membership revision everything else on file. Which
earlier decision this one repeats is not here: the log links decisions under one request id.

Instants are RFC 3339 in UTC with six digits of a second. A record has at most 65,535 bytes. One that would be longer is
shortened: a deny with `ENGINE_FAULT` whose detail says how long it would have been, `facts` left empty, and the request
in full; where that is still too long, the request is {"sha256"}, the digest of its document. Earlier releases wrote the
digest in every shortened record. The layout of a version is
frozen: bytes that were written are read for ever, and anything else to be said is another version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, cast

import msgspec
from msgspec import UNSET, Raw, UnsetType
from msgspec.structs import replace

from policy_engine import ENGINE_VERSION
from policy_engine.domain.catalogue import Tier
from policy_engine.domain.decision import Decision
from policy_engine.domain.facts import Party
from policy_engine.domain.instants import format_instant
from policy_engine.domain.logic import Tri
from policy_engine.domain.remedies import Remedy, RemedyChange
from policy_engine.domain.request import Identity
from policy_engine.domain.rules import FAULT_RULE, PublicCode
from policy_engine.domain.verdict import Finding
from policy_engine.formats.record_facts import known_facts
from policy_engine.formats.request_document import body_of
from policy_engine.shapes.answer import (
    AnswerDocument,
    ChangeDocument,
    FindingDocument,
    ModelDocument,
    ObligationDocument,
    ReasonDocument,
    RefusedItemDocument,
    RefusedReasonDocument,
    RemedyDocument,
    ShortAnswerDocument,
    ShortReasonDocument,
)
from policy_engine.shapes.record import (
    CallerDocument,
    IdentityDocument,
    PartyDocument,
    RecordDocument,
    RequestDigest,
)
from policy_engine.shapes.request import RequestBody

RECORD_VERSION: Final = 1
MAX_RECORD_BYTES: Final = 65_535

_encoder: Final = msgspec.json.Encoder(order="sorted")
_TRI: Final[Mapping[Tri, Literal["yes", "no", "unknown"]]] = {Tri.YES: "yes", Tri.NO: "no", Tri.UNKNOWN: "unknown"}


def encode_answer(decision: Decision) -> bytes:
    """The full answer of `POST /decide`."""
    verdict = decision.verdict
    reason = verdict.reason
    entry = decision.entry
    return _encoder.encode(
        AnswerDocument(
            decision="allow" if verdict.allowed else "deny",
            allowed=verdict.allowed,
            hold=verdict.hold,
            reason=ReasonDocument(
                code=verdict.reason_code,
                rule=reason.rule,
                message=reason.message,
                public_code=reason.public_code,
                public_message=reason.public_message,
            ),
            findings=tuple(map(_finding, verdict.findings)),
            missing=verdict.missing,
            remedies=tuple(map(_remedy, decision.remedies)),
            obligations=tuple(
                ObligationDocument(id=one.id, rule=one.rule, message=one.message) for one in verdict.obligations
            ),
            alternatives=decision.alternatives,
            ignored_properties=decision.ignored_properties,
            decision_id=decision.id,
            decided_at=format_instant(decision.decided_at),
            valid_until=format_instant(decision.valid_until),
            policy_version=decision.policy_version,
            membership_revision=decision.membership_revision,
            model=ModelDocument(
                id=decision.request.model if entry is None else entry.id,
                tier=None if entry is None else entry.tier,
            ),
        )
    )


def encode_problem_answer(name: str, detail: str) -> bytes:
    """A deny for want of a question that could be judged, as one answer among those of a batch."""
    return _encoder.encode(
        RefusedItemDocument(
            decision="deny",
            allowed=False,
            hold=False,
            alternatives=(),
            obligations=(),
            decision_id=None,
            decided_at=None,
            valid_until=None,
            policy_version=None,
            membership_revision=None,
            reason=RefusedReasonDocument(
                code="ENGINE_FAULT",
                rule=FAULT_RULE,
                message=detail,
                public_code=PublicCode.INVALID_REQUEST,
                public_message=f"This is no request that can be decided: {detail}",
            ),
            error=f"/problems/{name}",
        )
    )


def _finding(finding: Finding) -> FindingDocument:
    return FindingDocument(
        rule=finding.rule,
        regime=finding.regime,
        effect=finding.effect,
        state=finding.state,
        hold=finding.hold,
        codes=finding.codes,
        citation=finding.citation,
        message=finding.message,
        detail=dict(finding.detail),
        lifted_by=finding.lifted_by,
        review=finding.review,
    )


def _remedy(remedy: Remedy) -> RemedyDocument:
    return RemedyDocument(
        change=remedy.change.kind,
        message=remedy.message,
        then="allow",
        also=tuple(map(_change, remedy.also)) or UNSET,
        **_needs(remedy.change),
    )


def _change(change: RemedyChange) -> ChangeDocument:
    return ChangeDocument(change=change.kind, **_needs(change))


def _needs(change: RemedyChange) -> dict[str, Any]:
    """What a change needs, each a member of its document."""
    return dict(change.needs)


def encode_facts(parties: tuple[Party, ...]) -> bytes:
    """The member `facts` of a record."""
    return _encoder.encode(
        [
            PartyDocument(
                role=party.role.value,
                subject=None if party.subject is None else f"{party.subject.type}:{party.subject.id}",
                organisation=party.organisation_id,
                known=known_facts(party),
                words={
                    f"{word}:{parameter}" if parameter else word: _TRI[answer.value]
                    for (word, parameter), answer in party.memo.items()
                },
            )
            for party in parties
        ]
    )


def encode_record(decision: Decision, facts: bytes, answer: bytes) -> bytes:
    """The canonical bytes of the decision, from what `encode_facts` and `encode_answer` gave."""
    return _record(decision, answer, body_of(decision.request), facts)


def too_long_text(length: int) -> str:
    """What a shortened record says of the one in whose place it stands, which would have had so many bytes."""
    return f"a record of {length} bytes is longer than {MAX_RECORD_BYTES}"


def says_too_long(fault: object) -> bool:
    """Whether the detail `fault` of a finding is what a shortened record says."""
    return isinstance(fault, str) and _TOO_LONG.fullmatch(fault) is not None


_TOO_LONG: Final = re.compile(r"a record of [0-9]+ bytes is longer than [0-9]+")


def encode_record_without_facts(decision: Decision, answer: bytes) -> bytes:
    """The record of a decision whose full record would be too long: with its request, and no facts."""
    return _record(decision, answer, body_of(decision.request), b"[]")


def encode_shortened_record(decision: Decision, request_digest: str, answer: bytes) -> bytes:
    """The record of a decision whose request is too long, or none: the request by its digest, and no facts."""
    return _record(decision, answer, RequestDigest(sha256=request_digest), b"[]")


def _record(decision: Decision, answer: bytes, request: RequestBody | RequestDigest, facts: bytes) -> bytes:
    caller = decision.caller
    return _encoder.encode(
        RecordDocument(
            v=RECORD_VERSION,
            answer=cast(AnswerDocument, Raw(answer)),
            caller=CallerDocument(
                id=caller.id,
                gateway=caller.gateway,
                assertable=tuple(sorted(caller.assertable)),
                explain=caller.explain,
                profile=UNSET if caller.profile is None else caller.profile,
                identity=_identity(caller.identity),
            ),
            control_epoch=decision.control_epoch,
            engine=ENGINE_VERSION,
            facts=cast(tuple[PartyDocument, ...], Raw(facts)),
            request=request,
        )
    )


def _identity(identity: Identity | None) -> IdentityDocument | UnsetType:
    if identity is None:
        return UNSET
    return IdentityDocument(by=identity.by.value, issuer=identity.issuer, subject=identity.subject)


def full_answer(record: bytes) -> bytes:
    """The full answer in a record, byte for byte as it was given."""
    document = msgspec.json.decode(record, type=dict[str, msgspec.Raw])
    return bytes(document["answer"])


_answer_decoder: Final = msgspec.json.Decoder(AnswerDocument)


def answer_in(record: bytes) -> AnswerDocument:
    """The full answer in a record."""
    return _answer_decoder.decode(full_answer(record))


class _AnyAnswer(msgspec.Struct):
    decision_id: str | None


class _Told(msgspec.Struct):
    """What of a full answer says whether its requester may learn that there is such a model."""

    reason: ShortReasonDocument
    findings: tuple[FindingDocument, ...]
    model: ModelDocument


_any_decoder: Final = msgspec.json.Decoder(_AnyAnswer)
_told_decoder: Final = msgspec.json.Decoder(_Told)
_short_decoder: Final = msgspec.json.Decoder(ShortAnswerDocument)
_refused_decoder: Final = msgspec.json.Decoder(RefusedItemDocument)
_OF_THE_OPEN_MARKET: Final = frozenset({Tier.COMMODITY, Tier.DISTILLED})
_OUTSIDE: Final = "MEMBERSHIP_NOT_FOUND"
_WITHIN: Final = frozenset(
    {
        "MEMBERSHIP_EXPIRED",
        "MEMBERSHIP_SUSPENDED",
        "PURPOSE_NOT_PERMITTED",
        "PURPOSE_NEEDS_REVIEW",
        "PURPOSE_UNDECLARED",
    }
)
_FOR_ANYBODY: Final = "DESK_ACCESS"
_NOT_AVAILABLE: Final = ShortReasonDocument(
    public_code=PublicCode.NOT_AVAILABLE_MODEL,
    public_message="This model is not available to you for this use.",
)


def short_answer(answer: bytes, *, asked_fallbacks: bool) -> bytes:
    """What a caller without `decisions:explain` gets of a full answer: no rule, no finding, no fact.

    A deny of a model in no catalogue and one of a model that is not for the open market read alike, but for what every
    answer has of its own, so that nobody learns from them which of such models there are: `NOT_AVAILABLE_MODEL` with
    one sentence, no hold, no obligation, and of alternatives only what the request itself named, as `asked_fallbacks`
    says it did. Told in full is whom a grant of the model is for, and whoever is or was a member of its consortium.
    """
    if _any_decoder.decode(answer).decision_id is None:
        refused = _refused_decoder.decode(answer)
        public = refused.reason
        reason = RefusedReasonDocument(public_code=public.public_code, public_message=public.public_message)
        return _encoder.encode(replace(refused, reason=reason, error=UNSET))
    short = _short_decoder.decode(answer)
    if not short.allowed and _hides_the_model(_told_decoder.decode(answer)):
        named = short.alternatives if asked_fallbacks else ()
        short = replace(short, reason=_NOT_AVAILABLE, obligations=(), hold=False, alternatives=named)
    return _encoder.encode(short)


def _hides_the_model(told: _Told) -> bool:
    """Whether a deny says no more than that a model is not available."""
    if told.model.tier in _OF_THE_OPEN_MARKET or told.reason.public_code == PublicCode.INVALID_REQUEST:
        return False
    deciding = [finding for finding in told.findings if finding.state == "deciding"]
    if any(one.rule == FAULT_RULE for one in deciding) and told.model.tier is None:
        # What became of a fault before any model was looked up is no word about one; a record that is too long may be
        # so for what is known of the model.
        return any(says_too_long(one.detail.get("fault")) for one in deciding)
    if any(one.effect == "permit" and one.codes != (_FOR_ANYBODY,) for one in told.findings):
        return False
    codes = {code for one in deciding for code in one.codes}
    return _OUTSIDE in codes or codes.isdisjoint(_WITHIN)
