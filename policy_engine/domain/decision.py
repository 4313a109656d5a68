"""A decision: a verdict made at an instant under a book and a membership revision, with an id and a life time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from policy_engine.domain.catalogue import Entry
from policy_engine.domain.remedies import Remedy
from policy_engine.domain.request import Caller, Request
from policy_engine.domain.reviews import ReviewNeeded
from policy_engine.domain.roster import Read
from policy_engine.domain.verdict import CapDraw, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Everything that is answered and recorded.

    `alternatives` are models that the same requester may use for the same action and purpose at this instant;
    `remedies` are what could lawfully change a deny, for a caller that may see explanations.
    `valid_until` is the instant up to which an allow may be reused; for a deny it is `decided_at`. `retry_of` is the
    earlier decision under the same request id, when this one was made anew.
    """

    id: str
    decided_at: datetime
    valid_until: datetime
    request: Request
    caller: Caller
    entry: Entry | None
    verdict: Verdict
    alternatives: tuple[str, ...]
    ignored_properties: tuple[str, ...]
    policy_version: str
    membership_revision: int
    control_epoch: int
    remedies: tuple[Remedy, ...] = ()
    retry_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A decision as it is stored: the canonical bytes, and what the log has to compare or to find it by.

    `request_digest` is the SHA-256 of the request in hex; with `caller` and `request_id` it makes retries safe.
    `draws` are the places of capped authorisations to be taken, and `reviews` the cases to be opened unless they are
    open, in the same transaction. `reads` is what was read of the members by name, `None` where nobody knows.
    """

    id: str
    body: bytes
    decided_at: datetime
    valid_until: datetime
    allowed: bool
    hold: bool
    caller: str
    request_id: str | None
    request_digest: str
    control_epoch: int
    draws: tuple[CapDraw, ...] = ()
    reviews: tuple[ReviewNeeded, ...] = ()
    reads: frozenset[Read] | None = None
