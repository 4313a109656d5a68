"""From a request to a decision: the one place at which a decision is put together.

`conclude` is pure: the same request, caller, basis, id and instant give the same decision. It is what every door,
batch, replay, simulation, impact, lookback, worked example and golden file calls, and it alone turns what goes wrong
inside the engine into a deny:

- a contradiction on file is a deny with `ENGINE_FAULT` that says which;
- any other error is a deny with `ENGINE_FAULT` that names the class of the error alone, since its text may carry facts
  about a person;
- without a book it is a deny with `NO_RULE`;
- what is no request at all, in an answer that others share, is a deny that names its fault (`refuse`);
- a decision whose record would be too long is a deny that says so (`too_long`).

Only an assertion that no file could hold is no decision: that is the caller's mistake, and the request is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from policy_engine.domain.catalogue import Entry, Tier
from policy_engine.domain.decision import Decision
from policy_engine.domain.facts import LATEST, AssertedValueError, Edition, Party, Question, derive
from policy_engine.domain.hypotheses import Inputs
from policy_engine.domain.instants import later
from policy_engine.domain.persons import ContradictionError
from policy_engine.domain.remedies import Judged as JudgedInputs
from policy_engine.domain.remedies import Remedy, find_remedies, to_model
from policy_engine.domain.request import Action, Caller, Request, Subject, SubjectType
from policy_engine.domain.reviews import ReviewNeeded, with_reviews
from policy_engine.domain.roster import Roster
from policy_engine.domain.rules import FAULT_RULE, NO_BOOK_RULE
from policy_engine.domain.verdict import Verdict, denied_as_invalid, denied_by_engine
from policy_engine.formats.record import too_long_text
from policy_engine.policy.judge import Judge, JudgingError

NO_BOOK: Final = "none"
"""The policy version of a decision that is made while no book is in force."""

MAX_FAULT: Final = 500
"""So much of what is wrong with a batch's item is recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What a decision of one instant stands on.

    `judge` is that of the book in force with the freezes as bars; `None` where no book is in force, or it cannot be
    read. `roster` are the members as known, at their revision. `closings` counts by the digest of its key the review
    cases that were closed; without it no review case is named, as for what is not recorded. `epoch` is the control
    epoch under which all of it was read, and `next_book` the instant after the decision's at which another book comes
    into force.
    """

    judge: Judge | None
    roster: Roster
    closings: Mapping[str, int] | None = None
    epoch: int = 0
    next_book: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the rules make of a question: everything of a decision but its id and its instants.

    `until` is the first instant after the one judged at which anything changes that the verdict read, and `changes_at`
    the first at which anything does that was read at all, for the alternatives too.
    """

    verdict: Verdict
    reviews: tuple[ReviewNeeded, ...]
    entry: Entry | None
    alternatives: tuple[str, ...]
    remedies: tuple[Remedy, ...]
    ignored: tuple[str, ...]
    until: datetime | None
    changes_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """A decision, with what it came from.

    `judgement` is `None` for a deny of the engine's own. `question` is what was derived from the request; `None` where
    nothing was, or nothing had to be. `error` is what went wrong inside the engine: its class may be told, its text to
    nobody but the author of a worked example.
    """

    decision: Decision
    judgement: Judgement | None = None
    question: Question | None = None
    error: Exception | None = None

    @property
    def verdict(self) -> Verdict:
        """What is decided."""
        return self.decision.verdict

    @property
    def reviews(self) -> tuple[ReviewNeeded, ...]:
        """The review cases that the decision belongs to."""
        return () if self.judgement is None else self.judgement.reviews

    @property
    def parties(self) -> tuple[Party, ...]:
        """Those whose facts were read: nobody for a deny of the engine's own."""
        return () if self.question is None or self.judgement is None else self.question.parties

    @property
    def lasting(self) -> Judgement | None:
        """What may be remembered: nothing that takes a place on a cap, could not be judged, or explains a deny."""
        judgement, verdict = self.judgement, self.decision.verdict
        explained = self.decision.caller.explain and not verdict.allowed
        return None if explained or verdict.draws or verdict.reason.rule == FAULT_RULE else judgement


def conclude(
    request: Request,
    caller: Caller,
    basis: Basis,
    *,
    decision_id: str,
    at: datetime,
    known: Judgement | None = None,
    edition: Edition = LATEST,
) -> Conclusion:
    """The decision on a request at an instant.

    `known` is what was judged of the same question on the same basis earlier, where that still stands: nothing is
    judged then. Another `edition` than the latest is for replays alone. Raises `AssertedValueError` for an assertion
    that no file could hold.
    """
    judge, judgement = basis.judge, known
    if judge is None:
        return Conclusion(decision=_denied(_NO_BOOK, request, caller, basis, decision_id, at))
    question: Question | None = None
    if judgement is None:
        try:
            question = derive(request, basis.roster, judge.book, caller, at, edition=edition)
            judgement = _judged(judge, question, basis.closings)
        except AssertedValueError:
            raise
        except Exception as error:  # noqa: BLE001  whatever went wrong inside the engine is a deny
            verdict = denied_by_engine(FAULT_RULE, (("fault", type(error).__name__),))
            denied = _denied(verdict, request, caller, basis, decision_id, at)
            return Conclusion(decision=denied, question=question, error=error)
    verdict = judgement.verdict
    until = _reusable_until(judge, judgement, at)
    decision = Decision(
        id=decision_id,
        decided_at=at,
        valid_until=until if basis.next_book is None else min(until, basis.next_book),
        request=request,
        caller=caller,
        entry=judgement.entry,
        verdict=verdict,
        alternatives=judgement.alternatives,
        remedies=judgement.remedies,
        ignored_properties=judgement.ignored,
        policy_version=judge.book.fingerprint,
        membership_revision=basis.roster.revision,
        control_epoch=basis.epoch,
    )
    return Conclusion(decision=decision, judgement=judgement, question=question)


def conclude_alone(request: Request, caller: Caller, judge: Judge, roster: Roster, at: datetime) -> Conclusion:
    """The decision on a request by itself, of which nothing is recorded: no other model is looked at, nor what could
    change a deny, and no review case is named. Raises `AssertedValueError`."""
    asked, asker = replace(request, fallbacks=()), replace(caller, explain=False)
    return conclude(asked, asker, Basis(judge=judge, roster=roster), decision_id="", at=at)


def refuse(fault: str, caller: Caller, basis: Basis, *, decision_id: str, at: datetime) -> Conclusion:
    """The deny of what cannot be judged, in an answer that others share; the record has no request of it."""
    verdict = denied_as_invalid(fault[:MAX_FAULT])
    return Conclusion(decision=_denied(verdict, _NO_REQUEST, caller, basis, decision_id, at))


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


def _denied(
    verdict: Verdict, request: Request, caller: Caller, basis: Basis, decision_id: str, at: datetime
) -> Decision:
    """A deny of the engine's own, that stands on no row of the book."""
    return Decision(
        id=decision_id,
        decided_at=at,
        valid_until=at,
        request=request,
        caller=caller,
        entry=None,
        verdict=verdict,
        alternatives=(),
        ignored_properties=(),
        policy_version=NO_BOOK if basis.judge is None else basis.judge.book.fingerprint,
        membership_revision=basis.roster.revision,
        control_epoch=basis.epoch,
    )


_NO_BOOK: Final = denied_by_engine(NO_BOOK_RULE)
_NO_REQUEST: Final = Request(subject=Subject(type=SubjectType.SERVICE, id=""), model="", action=Action.LIST)


# --- judging ----------------------------------------------------------------------------------------------------------


def _judged(judge: Judge, question: Question, closings: Mapping[str, int] | None) -> Judgement:
    """The question judged, and the models that the request may fall back to."""
    request, caller, entry = question.request, question.caller, question.entry
    verdict = _verdict(judge, question)
    others = _alternatives(judge, question)
    alternatives = tuple(name for name, _, allowed in others if allowed)
    changes = (question.horizon.until, *(other.horizon.until for _, other, _ in others))
    explained = caller.explain and not verdict.allowed and verdict.reason.rule != FAULT_RULE
    remedies = _remedies(judge, question, alternatives) if explained else ()
    reviews: tuple[ReviewNeeded, ...] = ()
    if closings is not None:
        verdict, reviews = with_reviews(verdict, request, request.model if entry is None else entry.id, closings)
    return Judgement(
        verdict=verdict,
        reviews=reviews,
        entry=entry,
        alternatives=alternatives,
        remedies=remedies,
        ignored=question.ignored,
        until=question.horizon.until,
        changes_at=min((change for change in changes if change is not None), default=None),
    )


def _verdict(judge: Judge, question: Question) -> Verdict:
    try:
        return judge.verdict(question)
    except ContradictionError as error:
        return denied_by_engine(FAULT_RULE, (("fault", str(error)),))


def _alternatives(judge: Judge, question: Question) -> list[tuple[str, Question, bool]]:
    """The models that are fallen back to, each with its question and whether it is allowed."""
    request, caller = question.request, question.caller
    names = request.fallbacks
    if names is None:
        names = question.entry.fallbacks if question.entry is not None else ()
    own = question.entry.id if question.entry is not None else request.model
    judged = []
    for name in dict.fromkeys(names):
        entry = judge.book.tables.catalogue.find(name, caller.gateway)
        if entry is None or entry.id == own:
            continue
        asked = replace(request, model=name)
        other = derive(asked, question.roster, judge.book, caller, question.at, edition=question.edition)
        judged.append((name, other, _verdict(judge, other).allowed))
    return judged


def _remedies(judge: Judge, question: Question, alternatives: tuple[str, ...]) -> tuple[Remedy, ...]:
    def judged(inputs: Inputs) -> JudgedInputs | None:
        one = judge if inputs.book is judge.book else Judge(inputs.book)
        try:
            other = derive(
                inputs.request, inputs.roster, inputs.book, question.caller, question.at, edition=question.edition
            )
            return other, one.verdict(other)
        except (AssertedValueError, ContradictionError, JudgingError):
            return None

    inputs = Inputs(request=question.request, roster=question.roster, book=judge.book)
    return (*find_remedies(inputs, judged), *map(to_model, sorted(alternatives)))


def _reusable_until(judge: Judge, judgement: Judgement, at: datetime) -> datetime:
    """Until when an answer given at an instant may be reused: for a deny not at all."""
    if not judgement.verdict.allowed:
        return at
    settings = judge.book.settings
    classified = judgement.entry is not None and judgement.entry.tier is Tier.CLASSIFIED
    seconds = settings.max_age_classified if classified else settings.max_age_other
    limit = later(at, timedelta(microseconds=int(seconds * 1_000_000)))
    return limit if judgement.until is None else min(limit, judgement.until)
