"""From a request to its whole answer: verdict, alternatives, remedies, and how long an allow may be reused.

Pure: the same request, roster, book and instant give the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from policy_engine.domain.catalogue import Entry, Tier
from policy_engine.domain.facts import LATEST, AssertedValueError, Edition, Question, derive
from policy_engine.domain.hypotheses import Inputs
from policy_engine.domain.instants import later
from policy_engine.domain.persons import ContradictionError
from policy_engine.domain.remedies import Judged, Remedy, find_remedies, to_model
from policy_engine.domain.request import Caller, Request
from policy_engine.domain.roster import Roster
from policy_engine.domain.rules import FAULT_RULE
from policy_engine.domain.verdict import Verdict, denied_by_engine
from policy_engine.policy.judge import Judge, JudgingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A verdict with what depends on more than one judgement.

    `valid_until` is the instant up to which an allow may be reused, and the instant of the answer for a deny.
    `remedies` are looked for on a deny alone, and for a caller that may see explanations. `changes_at` is the first
    instant after the one judged at which anything changes that was read, for the alternatives too.
    """

    question: Question
    verdict: Verdict
    alternatives: tuple[str, ...]
    remedies: tuple[Remedy, ...]
    valid_until: datetime
    changes_at: datetime | None


def answer(
    judge: Judge,
    roster: Roster,
    request: Request,
    caller: Caller,
    at: datetime,
    *,
    edition: Edition = LATEST,
) -> Answered:
    """Judge the request, and the models it may fall back to.

    A contradiction on file is a deny with `ENGINE_FAULT`. Another `edition` than the latest is for replays
    alone.
    Raises `AssertedValueError` for an assertion that no file could hold: that is the caller's mistake.
    """
    question = derive(request, roster, judge.book, caller, at, edition=edition)
    verdict = _judged(judge, question)
    others = _alternatives(judge, roster, request, caller, at, question)
    alternatives = tuple(name for name, _, allowed in others if allowed)
    changes = (question.horizon.until, *(other.horizon.until for _, other, _ in others))
    explained = caller.explain and not verdict.allowed and verdict.reason.rule != FAULT_RULE
    return Answered(
        question=question,
        verdict=verdict,
        alternatives=alternatives,
        remedies=_remedies(judge, question, alternatives) if explained else (),
        valid_until=reusable_until(judge, question.entry, question.horizon.until, at, allowed=verdict.allowed),
        changes_at=min((change for change in changes if change is not None), default=None),
    )


def _judged(judge: Judge, question: Question) -> Verdict:
    try:
        return judge.verdict(question)
    except ContradictionError as error:
        return denied_by_engine(FAULT_RULE, (("fault", str(error)),))


def _alternatives(
    judge: Judge, roster: Roster, request: Request, caller: Caller, at: datetime, question: Question
) -> list[tuple[str, Question, bool]]:
    """The models that are fallen back to, each with its question and whether it is allowed."""
    names = request.fallbacks
    if names is None:
        names = question.entry.fallbacks if question.entry is not None else ()
    own = question.entry.id if question.entry is not None else request.model
    judged = []
    for name in dict.fromkeys(names):
        entry = judge.book.tables.catalogue.find(name, caller.gateway)
        if entry is None or entry.id == own:
            continue
        other = derive(replace(request, model=name), roster, judge.book, caller, at, edition=question.edition)
        judged.append((name, other, _judged(judge, other).allowed))
    return judged


def _remedies(judge: Judge, question: Question, alternatives: tuple[str, ...]) -> tuple[Remedy, ...]:
    def judged(inputs: Inputs) -> Judged | None:
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


def reusable_until(
    judge: Judge, entry: Entry | None, changes_at: datetime | None, at: datetime, *, allowed: bool
) -> datetime:
    """Until when an answer given at an instant may be reused: for a deny not at all."""
    if not allowed:
        return at
    settings = judge.book.settings
    classified = entry is not None and entry.tier is Tier.CLASSIFIED
    seconds = settings.max_age_classified if classified else settings.max_age_other
    limit = later(at, timedelta(microseconds=int(seconds * 1_000_000)))
    return limit if changes_at is None else min(limit, changes_at)
