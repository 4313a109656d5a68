"""Legal holds: what of the log must not be destroyed, whatever its clocks say, until the hold is released.

After a request of an agency a record may not be destroyed without the agency's written authorisation, even when its
period has ended (15 CFR 762.6(b)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from policy_engine.domain.freezes import scope_text

HOLD_PREFIX: Final = "HOLD-"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldScope:
    """What is held: every record that has any one of the names, so that one too many is kept rather than one too few.

    `decisions` are ids; `subjects` are `type:id`, of the requester or the end user; `organisations` are those that were
    judged, acted for or named; `models` are ids of the catalogue, or names as they were asked for. `everything` holds
    the whole log.
    """

    decisions: tuple[str, ...] = ()
    organisations: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    everything: bool = False

    @property
    def stated(self) -> bool:
        """Whether anything is named."""
        return bool(self.decisions or self.organisations or self.subjects or self.models)

    @property
    def text(self) -> str:
        """The scope as a phrase."""
        return scope_text(
            decision=self.decisions, organisation=self.organisations, subject=self.subjects, model=self.models
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A hold as placed, and why: the request or the proceedings that it answers."""

    id: str
    scope: HoldScope
    reason: str
