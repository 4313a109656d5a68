"""Review cases: one for each subject, model, action, purpose and rule that held a decision, not one for each call.

The id of a case follows from those five and from how many cases under them were closed before, so every process and
every replay gives a held decision the same case, and opening one needs no agreement.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from policy_engine.domain.instants import format_instant
from policy_engine.domain.request import Request
from policy_engine.domain.verdict import State, Verdict

REVIEW_PREFIX: Final = "RV-"

FULL_RULE: Final = "ENGINE-REVIEWS-FULL"
"""The rule of the case that stands for all that a key would have opened in an hour beyond what it may."""

HOUR: Final = timedelta(hours=1)
CASES_PER_HOUR: Final = 500
"""So many review cases are opened by one key within an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewKey:
    """What a case is about. `subject` is `type:id`; `purpose` is "" where none was stated."""

    subject: str
    model: str
    action: str
    purpose: str
    rule: str

    @property
    def digest(self) -> str:
        """SHA-256 in hex over the five, each with its length, so that no two keys look alike."""
        parts = (self.subject, self.model, self.action, self.purpose, self.rule)
        digest = hashlib.sha256()
        for part in parts:
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(4, "big") + data)
        return digest.hexdigest()

    def case_id(self, closed_before: int) -> str:
        """The id of the case that is open after so many under this key were closed."""
        digest = hashlib.sha256(f"{self.digest}/{closed_before}".encode()).digest()
        return REVIEW_PREFIX + base64.b32encode(digest[:15]).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewNeeded:
    """The case that a held decision belongs to; it is opened unless it is open already."""

    id: str
    key: ReviewKey


def overflow(caller: str, at: datetime) -> ReviewNeeded:
    """The one case of an hour for what a key would have opened beyond its number: a requester's words are no bound on
    how many there could be. Its purpose is the hour."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    key = ReviewKey(
        subject=f"key:{caller}", model="*", action="*", purpose=f"the hour from {format_instant(hour)}", rule=FULL_RULE
    )
    return ReviewNeeded(id=key.case_id(0), key=key)


def review_key(request: Request, model: str, rule: str) -> ReviewKey:
    """The key of a request's review; `model` is the catalogue id where there is one."""
    return ReviewKey(
        subject=f"{request.subject.type}:{request.subject.id}",
        model=model,
        action=request.action.value,
        purpose=request.purpose or "",
        rule=rule,
    )


def with_reviews(
    verdict: Verdict, request: Request, model: str, closings: Mapping[str, int]
) -> tuple[Verdict, tuple[ReviewNeeded, ...]]:
    """The verdict with the case of each deciding finding that holds, and those cases.

    `closings` counts by key digest the cases that were closed.
    """
    if not verdict.hold:
        return verdict, ()
    needed = []
    findings = []
    for finding in verdict.findings:
        if finding.hold and finding.state is State.DECIDING:
            key = review_key(request, model, finding.rule)
            case = ReviewNeeded(id=key.case_id(closings.get(key.digest, 0)), key=key)
            needed.append(case)
            findings.append(replace(finding, review=case.id))
        else:
            findings.append(finding)
    reason = next(one for one in findings if one.rule == verdict.reason.rule and one.state is State.DECIDING)
    return replace(verdict, findings=tuple(findings), reason=reason), tuple(needed)
