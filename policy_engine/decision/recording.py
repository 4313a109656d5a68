"""From a decision to the bytes of its answer and of its record.

A record that would be longer than the log takes is not cut: the decision is a deny that says so, in a record without
facts; and where the request alone is too long, in one that has the request by its digest.
"""

from __future__ import annotations

from dataclasses import dataclass

from policy_engine.decision.conclude import Conclusion, too_long
from policy_engine.domain.decision import Decision, Record
from policy_engine.domain.reviews import ReviewNeeded
from policy_engine.domain.roster import Read
from policy_engine.formats.record import (
    MAX_RECORD_BYTES,
    encode_answer,
    encode_record,
    encode_record_without_facts,
    encode_shortened_record,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A decision as it is answered and as it is recorded. `shortened` says that its record would have been too long, so
    that what stands here is the deny in its place."""

    answer: bytes
    record: Record
    shortened: bool = False


def write(conclusion: Conclusion, facts: bytes, digest: str, *, reads: frozenset[Read] | None = None) -> Written:
    """The answer and the record. `facts` are those of the parties, encoded; `digest` is that of the request as sent;
    `reads` is what was read of the members by name, `None` where nobody knows."""
    decision = conclusion.decision
    answer = encode_answer(decision)
    body = encode_record(decision, facts, answer)
    if len(body) <= MAX_RECORD_BYTES:
        return Written(answer=answer, record=_record(decision, body, digest, conclusion.reviews, reads))
    decision = too_long(decision, len(body))
    answer = encode_answer(decision)
    body = encode_record_without_facts(decision, answer)
    if len(body) > MAX_RECORD_BYTES:
        body = encode_shortened_record(decision, digest, answer)
    return Written(answer=answer, record=_record(decision, body, digest, (), reads), shortened=True)


def write_refusal(refusal: Conclusion, digest: str) -> Written:
    """The answer and the record of what cannot be judged: the record has the digest of what was sent."""
    decision = refusal.decision
    answer = encode_answer(decision)
    body = encode_shortened_record(decision, digest, answer)
    return Written(answer=answer, record=_record(decision, body, digest, ()))


def _record(
    decision: Decision,
    body: bytes,
    digest: str,
    reviews: tuple[ReviewNeeded, ...],
    reads: frozenset[Read] | None = None,
) -> Record:
    verdict = decision.verdict
    return Record(
        id=decision.id,
        body=body,
        decided_at=decision.decided_at,
        valid_until=decision.valid_until,
        allowed=verdict.allowed,
        hold=verdict.hold,
        caller=decision.caller.id,
        request_id=decision.request.request_id,
        request_digest=digest,
        control_epoch=decision.control_epoch,
        draws=verdict.draws,
        reviews=reviews,
        reads=reads,
    )
