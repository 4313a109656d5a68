"""Decide a request: facts at one revision, a verdict by one book, a record that is durable before the answer.

A decision is begun (judged, and handed to the log) and finished once the log has said what became of its record. In
between nothing is answered. A record that was made under an older control epoch is decided again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime

from policy_engine.domain.decision import Decision, Record
from policy_engine.domain.facts import AssertedValueError, Party
from policy_engine.domain.ports import Appended, DecisionLog, LogUnavailable, Members, Outcome
from policy_engine.domain.request import Caller, Request
from policy_engine.domain.roster import Roster
from policy_engine.domain.rules import FAULT_RULE, NO_BOOK_RULE
from policy_engine.domain.verdict import Verdict, denied_by_engine
from policy_engine.formats.record import (
    MAX_RECORD_BYTES,
    encode_answer,
    encode_record,
    encode_shortened_record,
    full_answer,
)
from policy_engine.formats.request_document import FieldFault, MalformedRequest, request_digest, request_of
from policy_engine.policy.answer import answer
from policy_engine.policy.shelf import Shelf

MAX_ATTEMPTS = 8
"""How often a decision is made again when the control epoch keeps moving, before the caller is asked to come back."""


class NotFresh(Exception):
    """The membership revision that the caller asks for is not here yet."""


class RequestIdConflict(Exception):
    """The request id was used for another request."""


class RosterView:
    """The members as this process last read them: one immutable roster and its control epoch, swapped together."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._lock = threading.Lock()
        self._held: tuple[Roster, int] | None = None

    def current(self) -> tuple[Roster, int]:
        """The roster and the control epoch under which it was read. Raises `MembersUnavailable`."""
        held = self._held
        return self.refresh() if held is None else held

    def refresh(self) -> tuple[Roster, int]:
        """Read the members again if the control epoch has moved. Raises `MembersUnavailable`."""
        with self._lock:
            held = self._held
            if held is not None and self._members.control().epoch == held[1]:
                return held
            snapshot = self._members.snapshot()
            self._held = (Roster.as_known(snapshot.rows, revision=snapshot.revision), snapshot.epoch)
            return self._held


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A decision whose record is with the log. `answer` may leave only after the log has committed it."""

    request: Request
    digest: str
    caller: Caller
    attempt: int
    answer: bytes
    handle: Future[Appended]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The full answer, durable in the log."""

    answer: bytes


@dataclass(frozen=True, slots=True)
class Stale:
    """The control epoch moved in between: read the members again, then begin again."""

    begun: Begun


class Decider:
    """The use case; clock and ids are given to it, so that a whole decision is byte-exact in a test."""

    def __init__(
        self,
        *,
        shelf: Shelf,
        view: RosterView,
        log: DecisionLog,
        clock: Callable[[], datetime],
        new_id: Callable[[datetime], str],
        report_fault: Callable[[str], None],
    ) -> None:
        self._shelf = shelf
        self.view = view
        self._log = log
        self._clock = clock
        self._new_id = new_id
        self._report_fault = report_fault

    def begin(self, document: Mapping[str, object], caller: Caller) -> Begun:
        """Judge a request and hand its record to the log.

        Raises `MalformedRequest` for a request that is none, `NotFresh`, and `MembersUnavailable`.
        """
        request = request_of(document)
        if request.min_revision is not None:
            roster, _ = self.view.current()
            if roster.revision < request.min_revision:
                roster, _ = self.view.refresh()
            if roster.revision < request.min_revision:
                raise NotFresh(f"membership revision {request.min_revision} is not here; {roster.revision} is")
        return self._begin(request, request_digest(document), caller, attempt=1)

    def again(self, stale: Stale) -> Begun:
        """Judge a stale decision anew. Raises `LogUnavailable` when the epoch moved too often."""
        begun = stale.begun
        if begun.attempt >= MAX_ATTEMPTS:
            raise LogUnavailable("the control epoch keeps moving")
        return self._begin(begun.request, begun.digest, begun.caller, attempt=begun.attempt + 1)

    def finish(self, begun: Begun, appended: Appended) -> Finished | Stale:
        """What the log's word means for the answer. Raises `RequestIdConflict`."""
        match appended.outcome:
            case Outcome.COMMITTED:
                return Finished(answer=begun.answer)
            case Outcome.REPLAYED if appended.body is not None:
                return Finished(answer=full_answer(appended.body))
            case Outcome.CONFLICT:
                raise RequestIdConflict(f"request id `{begun.request.request_id}` was used for another request")
            case Outcome.STALE:
                return Stale(begun)
            case _:
                raise LogUnavailable("the log gave no record")

    def _begin(self, request: Request, digest: str, caller: Caller, *, attempt: int) -> Begun:
        roster, epoch = self.view.current()
        at = self._clock()
        decision, parties = self._judged(request, caller, roster, epoch, at)
        reply = encode_answer(decision)
        body = encode_record(decision, parties, reply)
        if len(body) > MAX_RECORD_BYTES:
            self._report_fault("RecordTooLong")
            detail = (("fault", f"a record of {len(body)} bytes is longer than {MAX_RECORD_BYTES}"),)
            decision = replace(
                decision,
                verdict=denied_by_engine(FAULT_RULE, detail),
                valid_until=at,
                alternatives=(),
                remedies=(),
                ignored_properties=(),
            )
            reply = encode_answer(decision)
            body = encode_shortened_record(decision, digest, reply)
        record = Record(
            id=decision.id,
            body=body,
            decided_at=at,
            valid_until=decision.valid_until,
            allowed=decision.verdict.allowed,
            hold=decision.verdict.hold,
            caller=caller.id,
            request_id=request.request_id,
            request_digest=digest,
            control_epoch=epoch,
            draws=decision.verdict.draws,
        )
        handle = self._log.append(record)
        return Begun(request=request, digest=digest, caller=caller, attempt=attempt, answer=reply, handle=handle)

    def _judged(
        self, request: Request, caller: Caller, roster: Roster, epoch: int, at: datetime
    ) -> tuple[Decision, tuple[Party, ...]]:
        judge = self._shelf.current()
        base = Decision(
            id=self._new_id(at),
            decided_at=at,
            valid_until=at,
            request=request,
            caller=caller,
            entry=None,
            verdict=_NO_BOOK,
            alternatives=(),
            ignored_properties=(),
            policy_version="none" if judge is None else judge.book.fingerprint,
            membership_revision=roster.revision,
            control_epoch=epoch,
        )
        if judge is None:
            return base, ()
        try:
            answered = answer(judge, roster, request, caller, at)
        except AssertedValueError as error:
            raise MalformedRequest(FieldFault(field="subject.properties", message=str(error))) from error
        except Exception as error:  # noqa: BLE001  whatever went wrong inside the engine is a recorded deny
            self._report_fault(type(error).__name__)
            return replace(base, verdict=denied_by_engine(FAULT_RULE, (("fault", type(error).__name__),))), ()
        question = answered.question
        return replace(
            base,
            valid_until=answered.valid_until,
            entry=question.entry,
            verdict=answered.verdict,
            alternatives=answered.alternatives,
            remedies=answered.remedies,
            ignored_properties=question.ignored,
        ), question.parties


_NO_BOOK: Verdict = denied_by_engine(NO_BOOK_RULE)
