"""The one way in which the desk changes: read what stands, make the event, record it under the epoch that was read.

When the epoch has moved in between, what stands is read again and the event is made anew, so every rule about who may
do what holds against the state in which the event is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from policy_engine.domain.changes import Actor, Event
from policy_engine.domain.desk import Withdrawal
from policy_engine.domain.instants import format_instant
from policy_engine.domain.ports import DeskLog, LogUnavailable, NewEvent
from policy_engine.domain.roster import RosterRows
from policy_engine.domain.spelling import skeleton
from policy_engine.formats.faults import quoted
from policy_engine.service.administration.desk_faults import DeskConflict, KeyNotInForce, NotAccepted, PersonNeeded
from policy_engine.service.gate.snapshot import Ground, StandingView

MAX_ATTEMPTS: Final = 20
"""How often an event is made again when the control epoch keeps moving."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """An event to be recorded, with the long content that it names and the rows that come with it: why they are
    recorded, and the id of the change or case that they belong to."""

    event: Event
    contents: tuple[bytes, ...] = ()
    rows: RosterRows | None = None
    reason: str = ""
    change: str | None = None


class Administration:
    """Records events on behalf of people."""

    def __init__(
        self,
        *,
        view: StandingView,
        log: DeskLog,
        clock: Callable[[], datetime],
        new_id: Callable[[datetime], str],
        stands: Callable[[Actor, Ground], bool],
    ) -> None:
        """`stands` says whether the actor's key is in force on the ground under whose epoch the event is recorded."""
        self.view = view
        self.log = log
        self.clock = clock
        self.new_id = new_id
        self._stands = stands

    def act(self, actor: Actor, make: Callable[[Ground, datetime], Proposed]) -> Proposed:
        """Record the event that `make` gives for what stands, and read what stands then.

        Once this has returned, no decision made before it commits. `make` raises what is wrong with it. Raises
        `KeyNotInForce`, `DeskConflict` for rows that cannot be recorded beside those on file, `LogUnavailable` and
        `MembersUnavailable`.
        """
        for _ in range(MAX_ATTEMPTS):
            ground = self.view.refresh()
            if not self._stands(actor, ground):
                raise KeyNotInForce("the key was revoked")
            at = self.clock()
            proposed = make(ground, at)
            entry = NewEvent(id=self.new_id(at), at=at, actor=actor, event=proposed.event)
            try:
                epoch = self.log.record(
                    [entry],
                    under=ground.epoch,
                    contents=proposed.contents,
                    rows=proposed.rows,
                    reason=proposed.reason,
                    change=proposed.change,
                )
            except ValueError as error:
                raise DeskConflict(str(error)) from error
            if epoch is not None:
                self.view.refresh()
                return proposed
        raise LogUnavailable("the control epoch keeps moving")


def require_words(text: str, why: str) -> None:
    """Raises `NotAccepted` with `why` for a text without any."""
    if not text.strip():
        raise NotAccepted(why)


def person_of(actor: Actor) -> str:
    """The natural person behind the key, by the skeleton of the name: spellings that look alike are one person.

    Raises `PersonNeeded`.
    """
    person = skeleton(actor.person or "")
    if not person:
        raise PersonNeeded("this needs a key that is bound to a person: `policy-engine keys create --person ID`")
    return person


def withdrawn(withdrawal: Withdrawal) -> str:
    """That something was withdrawn, by whom, when and why, in words that follow its name."""
    who = withdrawal.actor.person or withdrawal.actor.key
    return f"was withdrawn by {quoted(who)} at {format_instant(withdrawal.at)}: {withdrawal.reason}"
