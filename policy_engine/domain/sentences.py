"""Which sentences of a bar are told: those of the code that decides, and for a doubt about something unstated that.

Codes that name a missing fact say of a requester only that it stated too little. Such a requester is told what is
wanted, under the public code `VERIFICATION_NEEDED`, and never that a place or a purpose is not permitted, whatever the
bar says of those who are known to be in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from policy_engine.domain.rules import Effect, PublicCode, Row

UNSTATED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "END_USER_UNDISCLOSED": "We need to know who will use this model before it is available.",
        "LOCATION_UNKNOWN": "We need to know where you are, or where this goes, before this model is available.",
        "OWNERSHIP_UNRESOLVED": "We need to verify who owns your organisation before this model is available.",
        "PERSON_STATUS_UNVERIFIED": "We need to verify some facts about you before this model is available.",
        "PURPOSE_UNDECLARED": "We need to know what you want to use this model for before it is available.",
    }
)
"""The codes that name a missing fact, with what the requester is told where the bar has no sentence for the code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """What is said of one finding."""

    message: str
    public_code: PublicCode
    public_message: str


def told_of(row: Row, codes: Sequence[str]) -> Sentence:
    """What is said of a row that matched with these codes, in their order: of a doubt about something unstated first,
    else of the first code."""
    unstated = next((code for code in codes if code in UNSTATED), None) if row.effect is Effect.DENY else None
    code = codes[0] if unstated is None else unstated
    public_code, otherwise = row.public_code, row.public_message
    if unstated is not None and public_code is not PublicCode.VERIFICATION_NEEDED:
        public_code, otherwise = PublicCode.VERIFICATION_NEEDED, UNSTATED[unstated]
    return Sentence(
        message=dict(row.messages).get(code, row.message),
        public_code=public_code,
        public_message=dict(row.public_messages).get(code, otherwise),
    )


NOT_CHECKED: Final = " (not checked)"
"""What stands behind the citation of a bar, or of what lifts one, that was not compared with what it cites."""


def cited(row: Row) -> str:
    """What the row cites, as a finding says it, so that whoever reads why a bar stands or was lifted sees on what."""
    unchecked = row.checked is False and row.effect is not Effect.PERMIT
    return row.citation + NOT_CHECKED if unchecked else row.citation
