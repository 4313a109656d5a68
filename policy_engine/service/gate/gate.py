"""The one way to a decision, which every door takes: who asks, what is decided, and its record before the answer.

An attempt is judged on the snapshot that stands and its record handed to the log. Nothing is answered until the log has
committed it. The log asks in the transaction that commits whether anything changed meanwhile that was read: where it
did, or nobody knows, the attempt counts for nothing, the snapshot is read again, who asks is found out anew on it, and
all is judged again.

A door hands in a typed request and whoever asks, and tells what it is given in its own dialect. How it waits for what
takes time is its own too (`Turns`): an asyncio door gives it to a pool of threads, a synchronous one does it itself.
The walk is written once and has no thread and no loop of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from time import perf_counter
from typing import Final, TypeVar

from policy_engine.decision.conclude import Basis, conclude, refuse
from policy_engine.decision.recording import Written, write, write_refusal
from policy_engine.domain.facts import AssertedValueError
from policy_engine.domain.ports import Appended, AppendOutcome, DecisionLog, LogUnavailable
from policy_engine.domain.request import Action, BatchItem, Caller, Request, Semantic, Submitted
from policy_engine.domain.roster import Reads
from policy_engine.formats.record import encode_facts, encode_problem_answer, full_answer
from policy_engine.formats.request_document import MalformedRequest, malformed
from policy_engine.policy.judge import Judge
from policy_engine.service.gate.decision_cache import Remembered
from policy_engine.service.gate.keyring import Bearer
from policy_engine.service.gate.snapshot import Ground, StandingView
from policy_engine.service.gate.spans import NO_SPANS, Spans
from policy_engine.service.gate.tally import NO_ACTION, Tally
from policy_engine.service.gate.turns import Here, Turns, walked

MAX_ATTEMPTS: Final = 8
"""How often a decision is made again when the control epoch keeps moving, before the caller is asked to come back."""

DECIDE: Final = "decide"
COMMIT: Final = "commit"
"""The spans of a decision, and within it of waiting for its records to be on the disk."""

T = TypeVar("T")

Asker = Bearer | Caller
"""Who asks: the bearer of a key, who is found out anew on every snapshot on which the decision is attempted, or
somebody who needs none, such as the command line of the machine that has the database."""


class NotFresh(Exception):
    """The membership revision that the caller asks for is not here yet."""


class RequestIdConflict(Exception):
    """The request id was used for another request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The full answer as it stands in its record, which is durable. `caller` is who was found to ask: without the right
    to explanations only a part of it is told."""

    answer: bytes
    caller: Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReply:
    """The full answers of a batch in its order, all durable; fewer than its items where the semantic stopped it."""

    answers: tuple[bytes, ...]
    caller: Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A decision whose record is with the log. `answer` may leave only after the log has committed it.

    `caller` is who `asker` is on the snapshot that was judged on, and `number` counts the attempts from 1.
    """

    submitted: Submitted
    asker: Asker
    caller: Caller
    number: int
    answer: bytes
    handle: Future[Appended]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAttempt:
    """As `Attempt`, of a batch whose records are committed together."""

    items: tuple[BatchItem, ...]
    semantic: Semantic
    asker: Asker
    caller: Caller
    number: int
    answers: tuple[bytes, ...]
    handle: Future[tuple[Appended, ...]]


class Gate:
    """The use case; clock and ids are given to it, so that a whole decision is byte-exact in a test.

    `decide` and `decide_batch` are the whole walk, for a door that awaits; `decide_here` and `decide_batch_here` for
    one that does not. The others are its steps. All raise `MembersUnavailable`, `LogUnavailable`, and for a bearer
    `Unauthenticated` or `Forbidden`.
    """

    def __init__(
        self,
        *,
        view: StandingView,
        log: DecisionLog,
        clock: Callable[[], datetime],
        new_id: Callable[[datetime], str],
        report_fault: Callable[[str], None],
        tally: Tally | None = None,
        spans: Spans = NO_SPANS,
    ) -> None:
        self.view = view
        self.tally = tally or Tally()
        self._spans = spans
        self._log = log
        self._clock = clock
        self._new_id = new_id
        self._report_fault = report_fault

    def has_book(self) -> bool:
        """Whether a book is in force by which can be judged."""
        return self.view.current().judge_at(self._clock()) is not None

    # --- one request --------------------------------------------------------------------------------------------------

    async def decide(
        self, submitted: Submitted, asker: Asker, turns: Turns, *, determines: bool = False, at_once: bool = True
    ) -> Reply:
        """Decide a request, durably.

        An allow of `licence_determination` is no access, so only a door whose callers know that asks for it, and says
        so with `determines`. What was judged before is answered without a turn, unless `at_once` is false: for a
        request so long that others would wait for it. Raises `MalformedRequest`, `NotFresh`, and `RequestIdConflict`.
        """
        began = perf_counter()
        with self._spans.step(DECIDE) as span:
            attempt = self.begin_at_once(submitted, asker, determines=determines) if at_once else None
            if attempt is None:
                attempt = await turns.run(self.begin, submitted, asker, determines=determines)
            while (answer := self.settled(attempt, await self._committed(attempt.handle, turns))) is None:
                attempt = await turns.run(self.again, attempt)
            self.tally.count(answer, submitted.request.action, attempt.caller.gateway)
            span.decided((answer,), action=submitted.request.action, gateway=attempt.caller.gateway)
        self.tally.time(perf_counter() - began)
        return Reply(answer=answer, caller=attempt.caller)

    def decide_here(self, submitted: Submitted, asker: Asker, *, determines: bool = False) -> Reply:
        """As `decide`, for a door that does what takes time itself."""
        return walked(self.decide(submitted, asker, Here(), determines=determines))

    async def _committed(self, handle: Future[T], turns: Turns) -> T:
        """What became of records that are with the log. Raises `LogUnavailable`."""
        with self._spans.step(COMMIT):
            return await turns.committed(handle)

    def begin_at_once(self, submitted: Submitted, asker: Asker, *, determines: bool = False) -> Attempt | None:
        """Hand the record to the log where the same was judged before on what stands now; `None` where it is still to
        be judged, or fresher members are asked for: either takes as long as it takes. Raises `MalformedRequest`."""
        if not determines:
            _refuse_determination(submitted.request)
        ground = self.view.current()
        if _asks_for_newer(submitted.request, ground):
            return None
        caller, at = _caller(asker, ground), ground.instant(self._clock())
        basis = ground.basis(at)
        require_one_model(submitted, caller, basis.judge)
        written = self._remembered(submitted, caller, ground, basis, at)
        return None if written is None else self._append(written, submitted, asker, caller, number=1)

    def begin(self, submitted: Submitted, asker: Asker, *, determines: bool = False) -> Attempt:
        """Judge the request and hand its record to the log. Raises `MalformedRequest` and `NotFresh`."""
        if not determines:
            _refuse_determination(submitted.request)
        ground = self.view.current()
        if _asks_for_newer(submitted.request, ground):
            ground = self.view.refresh()
            _require_fresh(submitted.request, ground)
        return self._attempt(submitted, asker, ground, number=1)

    def settled(self, attempt: Attempt, appended: Appended) -> bytes | None:
        """The answer that is durable by what became of the record; `None` where it is to be judged again.

        Raises `RequestIdConflict`.
        """
        if appended.outcome is AppendOutcome.CONFLICT:
            name = attempt.submitted.request.request_id
            raise RequestIdConflict(f"request id `{name}` was used for another request")
        return _durable(attempt.answer, appended)

    def again(self, attempt: Attempt) -> Attempt:
        """Read again what stands and judge anew. Raises `LogUnavailable` when the epoch moved too often."""
        _require_another(attempt.number)
        return self._attempt(attempt.submitted, attempt.asker, self.view.refresh(), number=attempt.number + 1)

    def _attempt(self, submitted: Submitted, asker: Asker, ground: Ground, *, number: int) -> Attempt:
        caller, at = _caller(asker, ground), ground.instant(self._clock())
        written = self._written(submitted, caller, ground, ground.basis(at), at)
        return self._append(written, submitted, asker, caller, number=number)

    def _append(self, written: Written, submitted: Submitted, asker: Asker, caller: Caller, *, number: int) -> Attempt:
        return Attempt(
            submitted=submitted,
            asker=asker,
            caller=caller,
            number=number,
            answer=written.answer,
            handle=self._log.append(written.record),
        )

    # --- a batch ------------------------------------------------------------------------------------------------------

    async def decide_batch(
        self, items: Sequence[BatchItem], semantic: Semantic, asker: Asker, turns: Turns
    ) -> BatchReply:
        """Decide requests in their order under one epoch, one book and one instant, committed together.

        Which of them are judged follows from the semantic. One that is no request, that says what no file could hold,
        that would be taken for access, or that asks for members which are not here, is a recorded deny with its fault;
        one whose request id was used for another request is a deny.
        """
        with self._spans.step(DECIDE) as span:
            attempt = await turns.run(self.begin_batch, items, semantic, asker)
            while True:
                appended = await self._committed(attempt.handle, turns)
                # The records are made: their answer is not refused for want of room.
                answers = await turns.run_in_turn(self.settled_batch, attempt, appended)
                if answers is not None:
                    break
                attempt = await turns.run(self.again_batch, attempt)
            for item, answer in zip(items, answers, strict=False):
                self.tally.count(answer, _action(item), attempt.caller.gateway)
            actions = dict.fromkeys(_action(item) for item in items)
            span.decided(answers, action=",".join(actions), gateway=attempt.caller.gateway)
            return BatchReply(answers=answers, caller=attempt.caller)

    def decide_batch_here(self, items: Sequence[BatchItem], semantic: Semantic, asker: Asker) -> BatchReply:
        """As `decide_batch`, for a door that does what takes time itself."""
        return walked(self.decide_batch(items, semantic, asker, Here()))

    def begin_batch(self, items: Sequence[BatchItem], semantic: Semantic, asker: Asker) -> BatchAttempt:
        """Judge the items and hand their records to the log; members are read again where one asks for newer ones."""
        ground = self.view.current()
        if any(one.submitted is not None and _asks_for_newer(one.submitted.request, ground) for one in items):
            ground = self.view.refresh()
        return self._attempt_batch(tuple(items), semantic, asker, ground, number=1)

    def settled_batch(self, attempt: BatchAttempt, appended: Sequence[Appended]) -> tuple[bytes, ...] | None:
        """As `settled`, of each item; `None` where the whole batch is to be judged again."""
        answers = []
        for made, one in zip(attempt.answers, appended, strict=True):
            answer = CONFLICTING if one.outcome is AppendOutcome.CONFLICT else _durable(made, one)
            if answer is None:
                return None
            answers.append(answer)
        return tuple(answers)

    def again_batch(self, attempt: BatchAttempt) -> BatchAttempt:
        """As `again`."""
        _require_another(attempt.number)
        ground = self.view.refresh()
        return self._attempt_batch(attempt.items, attempt.semantic, attempt.asker, ground, number=attempt.number + 1)

    def _attempt_batch(
        self, items: tuple[BatchItem, ...], semantic: Semantic, asker: Asker, ground: Ground, *, number: int
    ) -> BatchAttempt:
        caller, at = _caller(asker, ground), ground.instant(self._clock())
        basis = ground.basis(at)
        made: list[Written] = []
        for item in items:
            one = self._item(item, caller, ground, basis, at)
            made.append(one)
            if semantic.stops_after(allowed=one.record.allowed):
                break
        return BatchAttempt(
            items=items,
            semantic=semantic,
            asker=asker,
            caller=caller,
            number=number,
            answers=tuple(one.answer for one in made),
            handle=self._log.append_all([one.record for one in made]),
        )

    def _item(self, item: BatchItem, caller: Caller, ground: Ground, basis: Basis, at: datetime) -> Written:
        if item.submitted is None:
            return self._refused(item, f"malformed: {item.fault}", caller, basis, at)
        try:
            _refuse_determination(item.submitted.request)
            _require_fresh(item.submitted.request, ground)
            return self._written(item.submitted, caller, ground, basis, at)
        except MalformedRequest as error:
            return self._refused(item, f"malformed: {error}", caller, basis, at)
        except NotFresh as error:
            return self._refused(item, f"not fresh: {error}", caller, basis, at)

    def _refused(self, item: BatchItem, fault: str, caller: Caller, basis: Basis, at: datetime) -> Written:
        return write_refusal(refuse(fault, caller, basis, decision_id=self._new_id(at), at=at), item.digest)

    # --- concluding ---------------------------------------------------------------------------------------------------

    def _written(self, submitted: Submitted, caller: Caller, ground: Ground, basis: Basis, at: datetime) -> Written:
        """The decision, as it is remembered or judged now. Raises `MalformedRequest` for what no file could hold, and
        for a name of two models."""
        require_one_model(submitted, caller, basis.judge)
        written = self._remembered(submitted, caller, ground, basis, at)
        if written is not None:
            return written
        request = submitted.request
        reads = Reads(basis.roster)
        watching = replace(basis, roster=reads.watching)
        try:
            conclusion = conclude(request, caller, watching, decision_id=self._new_id(at), at=at)
        except AssertedValueError as error:
            raise malformed("subject.properties", str(error)) from error
        if conclusion.error is not None:
            self._report_fault(type(conclusion.error).__name__)
        facts = encode_facts(conclusion.parties)
        lasting = conclusion.lasting
        if lasting is not None:
            remembered = Remembered(judgement=lasting, facts=facts, reads=reads.by_name())
            until = ground.changes_after(at)
            ground.memory.keep(request, caller, at, remembered, until=until, epoch=ground.epoch)
        # Where nothing was judged, or not to its end, what would have been read is not known.
        by_name = reads.by_name() if conclusion.judgement is not None else None
        return self._told(write(conclusion, facts, submitted.digest, reads=by_name))

    def _remembered(
        self, submitted: Submitted, caller: Caller, ground: Ground, basis: Basis, at: datetime
    ) -> Written | None:
        request = submitted.request
        held = None if basis.judge is None else ground.memory.find(request, caller, at, epoch=ground.epoch)
        if held is None:
            return None
        conclusion = conclude(request, caller, basis, decision_id=self._new_id(at), at=at, known=held.judgement)
        return self._told(write(conclusion, held.facts, submitted.digest, reads=held.reads))

    def _told(self, written: Written) -> Written:
        if written.shortened:
            self._report_fault("RecordTooLong")
        return written


def require_one_model(submitted: Submitted, caller: Caller, judge: Judge | None) -> None:
    """Raises `MalformedRequest` where a name by which the gateway calls the model is that of another in the catalogue:
    whichever of the two the gateway then uses, the client asked for the other."""
    model = submitted.request.model
    catalogue = None if judge is None else judge.book.tables.catalogue
    if catalogue is not None and any(catalogue.is_another(one, model, caller.gateway) for one in submitted.called):
        raise malformed(
            "model", "is called by an alias of the gateway's profile that is another model's name in the catalogue"
        )


def _action(item: BatchItem) -> str:
    return NO_ACTION if item.submitted is None else item.submitted.request.action


def _durable(made: bytes, appended: Appended) -> bytes | None:
    """The answer that is durable: the one made, or the one that a retry made before; `None` where it is stale."""
    match appended.outcome:
        case AppendOutcome.COMMITTED:
            return made
        case AppendOutcome.REPLAYED if appended.body is not None:
            return full_answer(appended.body)
        case AppendOutcome.STALE:
            return None
        case _:
            raise LogUnavailable("the log gave no record")


def _caller(asker: Asker, ground: Ground) -> Caller:
    return asker.caller(ground) if isinstance(asker, Bearer) else asker


def _require_another(attempts: int) -> None:
    if attempts >= MAX_ATTEMPTS:
        raise LogUnavailable("the control epoch keeps moving")


def _asks_for_newer(request: Request, ground: Ground) -> bool:
    return request.min_revision is not None and ground.roster.revision < request.min_revision


def _require_fresh(request: Request, ground: Ground) -> None:
    if _asks_for_newer(request, ground):
        told = f"membership revision {request.min_revision} is not here yet; the newest is {ground.roster.revision}"
        raise NotFresh(told)


def _refuse_determination(request: Request) -> None:
    if request.action is Action.LICENCE_DETERMINATION:
        message = (
            "is `licence_determination`, which says what the export rules say and gives no access: ask POST /decide or"
            " POST /simulate, and never let a request to a model through on its allow"
        )
        raise malformed("action", message)


CONFLICTING: Final = encode_problem_answer(
    "request-id-conflict", "the request id was used for another request; the decision made then is in the log"
)
"""The deny of a batch's item under a request id that belongs to another request; nothing new is recorded for it."""
