"""What the engine answers, as it declares it. Written by a program: it is not edited by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What a requester is told."""

    public_code: str
    public_message: str

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Reason:
        """The document as it came; what it does not declare is passed over."""
        return cls(
            public_code=document["public_code"],
            public_message=document["public_message"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Obligation:
    """What is to be done with an answer."""

    id: str
    message: str

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Obligation:
        """The document as it came; what it does not declare is passed over."""
        return cls(
            id=document["id"],
            message=document["message"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer for keys without `decisions:explain`: no rule, no finding, no fact."""

    decision: str
    allowed: bool
    hold: bool
    alternatives: tuple[str, ...]
    obligations: tuple[Obligation, ...]
    decision_id: str
    decided_at: str
    valid_until: str
    policy_version: str
    membership_revision: int
    reason: Reason

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Answer:
        """The document as it came; what it does not declare is passed over."""
        return cls(
            decision=document["decision"],
            allowed=document["allowed"],
            hold=document["hold"],
            alternatives=tuple(document["alternatives"]),
            obligations=tuple(Obligation.read(one) for one in document["obligations"]),
            decision_id=document["decision_id"],
            decided_at=document["decided_at"],
            valid_until=document["valid_until"],
            policy_version=document["policy_version"],
            membership_revision=document["membership_revision"],
            reason=Reason.read(document["reason"]),
        )
