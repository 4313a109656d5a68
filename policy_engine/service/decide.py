"""Decide a request: facts at one revision, a verdict by one book, a record that is durable before the answer.

A decision is begun (judged, and handed to the log) and finished once the log has said what became of its record. In
between nothing is answered. A record that was made under an older control epoch is decided again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from policy_engine.domain.decision import Decision, Record
from policy_engine.domain.facts import AssertedValueError
from policy_engine.domain.ports import Appended, DecisionLog, LogUnavailable, Outcome
from policy_engine.domain.request import Action, Caller, Request, Subject, SubjectType
from policy_engine.domain.reviews import ReviewNeeded, with_reviews
from policy_engine.domain.rules import FAULT_RULE, NO_BOOK_RULE
from policy_engine.domain.verdict import Verdict, denied_as_invalid, denied_by_engine
from policy_engine.formats.record import (
    MAX_RECORD_BYTES,
    encode_answer,
    encode_facts,
    encode_problem_answer,
    encode_record_with,
    encode_record_without_facts,
    encode_shortened_record,
    full_answer,
    too_long_text,
)
from policy_engine.formats.request_document import FieldFault, MalformedRequest, request_digest, request_of
from policy_engine.policy.answer import Answered, answer, reusable_until
from policy_engine.service.keyring import Bearer
from policy_engine.service.memory import Remembered
from policy_engine.service.standing import Ground, StandingView

MAX_ATTEMPTS = 8
"""How often a decision is made again when the control epoch keeps moving, before the caller is asked to come back."""


class NotFresh(Exception):
    """The membership revision that the caller asks for is not here yet."""


class RequestIdConflict(Exception):
    """The request id was used for another request."""


Asker = Bearer | Caller
"""Who asks: the bearer of a key, who is found out anew on every ground on which the decision is begun, or somebody who
needs none, such as the command line of the machine that has the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A decision whose record is with the log. `answer` may leave only after the log has committed it.

    `caller` is who `asker` is on the ground that was judged on.
    """

    request: Request
    digest: str
    asker: Asker
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


class Semantic(StrEnum):
    """Which requests of a batch are judged: all, or those up to the first deny or the first allow."""

    EXECUTE_ALL = "execute_all"
    DENY_ON_FIRST_DENY = "deny_on_first_deny"
    PERMIT_ON_FIRST_PERMIT = "permit_on_first_permit"

    def stops_after(self, *, allowed: bool) -> bool:
        """Whether no more are judged after an answer."""
        return self is (Semantic.PERMIT_ON_FIRST_PERMIT if allowed else Semantic.DENY_ON_FIRST_DENY)


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunBatch:
    """A batch whose records are with the log, to be committed together."""

    documents: tuple[object, ...]
    asker: Asker
    caller: Caller
    semantic: Semantic
    attempt: int
    answers: tuple[bytes, ...]
    handle: Future[tuple[Appended, ...]]


@dataclass(frozen=True, slots=True)
class StaleBatch:
    """The control epoch moved in between: read the members again, then begin the batch again."""

    begun: BegunBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """A decision that was made and is not recorded yet."""

    answer: bytes
    record: Record


class Decider:
    """The use case; clock and ids are given to it, so that a whole decision is byte-exact in a test."""

    def __init__(
        self,
        *,
        view: StandingView,
        log: DecisionLog,
        clock: Callable[[], datetime],
        new_id: Callable[[datetime], str],
        report_fault: Callable[[str], None],
    ) -> None:
        self.view = view
        self._log = log
        self._clock = clock
        self._new_id = new_id
        self._report_fault = report_fault

    def has_book(self) -> bool:
        """Whether a book is in force by which can be judged. Raises `MembersUnavailable`."""
        return self.view.current().judge_at(self._clock()) is not None

    def begin(self, document: Mapping[str, object], asker: Asker, *, determines: bool = False) -> Begun:
        """Judge a request and hand its record to the log.

        An allow of `licence_determination` is no access, so only a door whose callers know that asks for it, and says
        so with `determines`. Raises `MalformedRequest` for a request that is none, `NotFresh`, `MembersUnavailable`,
        and `Unauthenticated` or `Forbidden` for a bearer.
        """
        request = _asked(document, determines=determines)
        ground = self.view.current()
        if request.min_revision is not None and ground.roster.revision < request.min_revision:
            ground = self.view.refresh()
            if ground.roster.revision < request.min_revision:
                raise NotFresh(_not_here(request.min_revision, ground))
        return self._begin(request, request_digest(document), asker, ground, attempt=1)

    def begin_at_once(self, document: Mapping[str, object], asker: Asker, *, determines: bool = False) -> Begun | None:
        """As `begin`, where the same was judged before on what stands now; `None` where it is still to be judged, which
        takes as long as it takes. Raises what `begin` does, but `NotFresh`."""
        request = _asked(document, determines=determines)
        ground = self.view.current()
        if request.min_revision is not None and ground.roster.revision < request.min_revision:
            return None
        caller, at = _caller(asker, ground), ground.instant(self._clock())
        found = self._remembered(request, caller, ground, at)
        if found is None:
            return None
        digest = request_digest(document)
        return self._appended(self._written(found, digest, ground), request, digest, asker, caller, attempt=1)

    def begin_batch(
        self, documents: Sequence[object], asker: Asker, semantic: Semantic, *, attempt: int = 1
    ) -> BegunBatch:
        """Judge requests in their order under one epoch, one book and one instant, and hand their records to the log.

        Which of them are judged follows from the semantic. One that is no request, or asks for members that are newer
        than what is here, is a recorded deny with its fault. Raises `MembersUnavailable`, `LogUnavailable` when the
        epoch moved too often, and `Unauthenticated` or `Forbidden` for a bearer.
        """
        if attempt > MAX_ATTEMPTS:
            raise LogUnavailable("the control epoch keeps moving")
        ground = self._ground_for(documents)
        caller, at = _caller(asker, ground), ground.instant(self._clock())
        made: list[_Made] = []
        for document in documents:
            one = self._item(document, caller, ground, at)
            made.append(one)
            if semantic.stops_after(allowed=one.record.allowed):
                break
        handle = self._log.append_all([one.record for one in made])
        return BegunBatch(
            documents=tuple(documents),
            asker=asker,
            caller=caller,
            semantic=semantic,
            attempt=attempt,
            answers=tuple(one.answer for one in made),
            handle=handle,
        )

    def finish_batch(self, begun: BegunBatch, appended: Sequence[Appended]) -> tuple[bytes, ...] | StaleBatch:
        """The answers in order, all durable; an item whose request id was used for another request is denied."""
        answers: list[bytes] = []
        for made, outcome in zip(begun.answers, appended, strict=True):
            match outcome.outcome:
                case Outcome.COMMITTED:
                    answers.append(made)
                case Outcome.REPLAYED if outcome.body is not None:
                    answers.append(full_answer(outcome.body))
                case Outcome.CONFLICT:
                    answers.append(CONFLICTING)
                case Outcome.STALE:
                    return StaleBatch(begun)
                case _:
                    raise LogUnavailable("the log gave no record")
        return tuple(answers)

    def _item(self, document: object, caller: Caller, ground: Ground, at: datetime) -> _Made:
        try:
            if not isinstance(document, Mapping):
                raise MalformedRequest(FieldFault(field="", message="must be a JSON object"))
            request = _asked(document, determines=False)
            if request.min_revision is not None and ground.roster.revision < request.min_revision:
                raise NotFresh(_not_here(request.min_revision, ground))
            return self._made(request, request_digest(document), caller, ground, at)
        except MalformedRequest as error:
            return self._unjudged(document, f"malformed: {error}", caller, ground, at)
        except NotFresh as error:
            return self._unjudged(document, f"not fresh: {error}", caller, ground, at)

    def _ground_for(self, documents: Sequence[object]) -> Ground:
        """What a batch is judged on: read again where an item asks for members that are newer."""
        ground = self.view.current()
        wanted = [document.get("min_revision") for document in documents if isinstance(document, Mapping)]
        if any(isinstance(revision, int) and revision > ground.roster.revision for revision in wanted):
            return self.view.refresh()
        return ground

    def _unjudged(self, document: object, fault: str, caller: Caller, ground: Ground, at: datetime) -> _Made:
        """The recorded deny of a batch's item that cannot be judged: with its fault, and by its digest alone."""
        judge = ground.judge_at(at)
        decision = Decision(
            id=self._new_id(at),
            decided_at=at,
            valid_until=at,
            request=_NO_REQUEST,
            caller=caller,
            entry=None,
            verdict=denied_as_invalid(fault[:MAX_FAULT]),
            alternatives=(),
            ignored_properties=(),
            policy_version="none" if judge is None else judge.book.fingerprint,
            membership_revision=ground.roster.revision,
            control_epoch=ground.epoch,
        )
        digest = request_digest({"item": document})
        reply = encode_answer(decision)
        return _Made(
            answer=reply,
            record=_record_of(decision, encode_shortened_record(decision, digest, reply), digest, ground, ()),
        )

    def again(self, stale: Stale) -> Begun:
        """Judge a stale decision anew.

        Raises `LogUnavailable` when the epoch moved too often, and `Unauthenticated` or `Forbidden` for a bearer.
        """
        begun = stale.begun
        if begun.attempt >= MAX_ATTEMPTS:
            raise LogUnavailable("the control epoch keeps moving")
        return self._begin(begun.request, begun.digest, begun.asker, self.view.current(), attempt=begun.attempt + 1)

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

    def _begin(self, request: Request, digest: str, asker: Asker, ground: Ground, *, attempt: int) -> Begun:
        caller = _caller(asker, ground)
        made = self._made(request, digest, caller, ground, ground.instant(self._clock()))
        return self._appended(made, request, digest, asker, caller, attempt=attempt)

    def _appended(
        self, made: _Made, request: Request, digest: str, asker: Asker, caller: Caller, *, attempt: int
    ) -> Begun:
        handle = self._log.append(made.record)
        return Begun(
            request=request,
            digest=digest,
            asker=asker,
            caller=caller,
            attempt=attempt,
            answer=made.answer,
            handle=handle,
        )

    def _made(self, request: Request, digest: str, caller: Caller, ground: Ground, at: datetime) -> _Made:
        found = self._remembered(request, caller, ground, at) or self._judged_anew(request, caller, ground, at)
        return self._written(found, digest, ground)

    def _written(self, found: tuple[Decision, tuple[ReviewNeeded, ...], bytes], digest: str, ground: Ground) -> _Made:
        decision, reviews, facts = found
        reply = encode_answer(decision)
        body = encode_record_with(decision, facts, reply)
        if len(body) > MAX_RECORD_BYTES:
            self._report_fault("RecordTooLong")
            decision, reviews = too_long(decision, len(body)), ()
            reply = encode_answer(decision)
            body = encode_record_without_facts(decision, reply)
            if len(body) > MAX_RECORD_BYTES:
                body = encode_shortened_record(decision, digest, reply)
        return _Made(answer=reply, record=_record_of(decision, body, digest, ground, reviews))

    def _remembered(
        self, request: Request, caller: Caller, ground: Ground, at: datetime
    ) -> tuple[Decision, tuple[ReviewNeeded, ...], bytes] | None:
        judge = ground.judge_at(at)
        held = None if judge is None else ground.memory.find(request, caller, at)
        if judge is None or held is None:
            return None
        until = reusable_until(judge, held.entry, held.valid_until, at, allowed=held.verdict.allowed)
        decision = Decision(
            id=self._new_id(at),
            decided_at=at,
            valid_until=min(until, ground.until(at) or until),
            request=request,
            caller=caller,
            entry=held.entry,
            verdict=held.verdict,
            alternatives=held.alternatives,
            ignored_properties=held.ignored,
            policy_version=judge.book.fingerprint,
            membership_revision=ground.roster.revision,
            control_epoch=ground.epoch,
        )
        return decision, held.reviews, held.facts

    def _judged_anew(
        self, request: Request, caller: Caller, ground: Ground, at: datetime
    ) -> tuple[Decision, tuple[ReviewNeeded, ...], bytes]:
        decision, answered = self._judged(request, caller, ground, at)
        model = request.model if decision.entry is None else decision.entry.id
        verdict, reviews = with_reviews(decision.verdict, request, model, ground.desk.closings)
        decision = replace(decision, verdict=verdict)
        facts = encode_facts(() if answered is None else answered.question.parties)
        explained = caller.explain and not verdict.allowed
        if answered is not None and not explained and not verdict.draws and verdict.reason.rule != FAULT_RULE:
            judged = Remembered(
                verdict=verdict,
                reviews=reviews,
                entry=decision.entry,
                alternatives=decision.alternatives,
                ignored=decision.ignored_properties,
                facts=facts,
                valid_until=answered.question.horizon.until,
                changes_at=answered.changes_at,
            )
            ground.memory.keep(request, caller, at, judged, until=ground.changes_after(at))
        return decision, reviews, facts

    def _judged(
        self, request: Request, caller: Caller, ground: Ground, at: datetime
    ) -> tuple[Decision, Answered | None]:
        judge = ground.judge_at(at)
        roster = ground.roster
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
            control_epoch=ground.epoch,
        )
        if judge is None:
            return base, None
        try:
            answered = answer(judge, roster, request, caller, at)
        except AssertedValueError as error:
            raise MalformedRequest(FieldFault(field="subject.properties", message=str(error))) from error
        except Exception as error:  # noqa: BLE001  whatever went wrong inside the engine is a recorded deny
            self._report_fault(type(error).__name__)
            return replace(base, verdict=denied_by_engine(FAULT_RULE, (("fault", type(error).__name__),))), None
        question = answered.question
        return replace(
            base,
            valid_until=min(answered.valid_until, ground.until(at) or answered.valid_until),
            entry=question.entry,
            verdict=answered.verdict,
            alternatives=answered.alternatives,
            remedies=answered.remedies,
            ignored_properties=question.ignored,
        ), answered


def _caller(asker: Asker, ground: Ground) -> Caller:
    return asker.caller(ground) if isinstance(asker, Bearer) else asker


def _not_here(revision: int, ground: Ground) -> str:
    return f"membership revision {revision} is not here; {ground.roster.revision} is"


def _asked(document: Mapping[str, object], *, determines: bool) -> Request:
    request = request_of(document)
    if not determines:
        _refuse_determination(request)
    return request


def _refuse_determination(request: Request) -> None:
    if request.action is Action.LICENCE_DETERMINATION:
        message = (
            "is `licence_determination`, which says what the export rules say and gives no access: ask POST /decide or"
            " POST /simulate, and never let a request to a model through on its allow"
        )
        raise MalformedRequest(FieldFault(field="action", message=message))


def too_long(decision: Decision, length: int) -> Decision:
    """The deny that is recorded in the place of a decision whose record would have so many bytes."""
    return replace(
        decision,
        verdict=denied_by_engine(FAULT_RULE, (("fault", too_long_text(length)),)),
        valid_until=decision.decided_at,
        alternatives=(),
        remedies=(),
        ignored_properties=(),
    )


def _record_of(
    decision: Decision, body: bytes, digest: str, ground: Ground, reviews: tuple[ReviewNeeded, ...]
) -> Record:
    return Record(
        id=decision.id,
        body=body,
        decided_at=decision.decided_at,
        valid_until=decision.valid_until,
        allowed=decision.verdict.allowed,
        hold=decision.verdict.hold,
        caller=decision.caller.id,
        request_id=decision.request.request_id,
        request_digest=digest,
        control_epoch=ground.epoch,
        draws=decision.verdict.draws,
        reviews=reviews,
    )


CONFLICTING: Final = encode_problem_answer(
    "request-id-conflict", "the request id was used for another request; the decision made then is in the log"
)
"""The deny of a batch's item under a request id that belongs to another request; nothing new is recorded for it."""

MAX_FAULT: Final = 500
"""So much of what is wrong with a batch's item is recorded."""

_NO_REQUEST: Final = Request(subject=Subject(type=SubjectType.SERVICE, id=""), model="", action=Action.LIST)

_NO_BOOK: Verdict = denied_by_engine(NO_BOOK_RULE)
