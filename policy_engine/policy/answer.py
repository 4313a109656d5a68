"""From a request to its whole answer: verdict, alternatives, remedies, and how long an allow may be reused.

Pure: the same request, roster, book and instant give the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from policy_engine.domain.catalogue import Tier
from policy_engine.domain.facts import AssertedValueError, Question, derive
from policy_engine.domain.hypotheses import Inputs
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
    `remedies` are looked for on a deny alone, and for a caller that may see explanations.
    """

    question: Question
    verdict: Verdict
    alternatives: tuple[str, ...]
    remedies: tuple[Remedy, ...]
    valid_until: datetime


def answer(judge: Judge, roster: Roster, request: Request, caller: Caller, at: datetime) -> Answered:
    """Judge the request, and the models it may fall back to.

    A contradiction on file is a deny with `ENGINE_FAULT`. Raises `AssertedValueError` for an assertion that no file
    could hold: that is the caller's mistake.
    """
    question = derive(request, roster, judge.book, caller, at)
    verdict = _judged(judge, question)
    alternatives = _alternatives(judge, roster, request, caller, at, question)
    explained = caller.explain and not verdict.allowed and verdict.reason.rule != FAULT_RULE
    return Answered(
        question=question,
        verdict=verdict,
        alternatives=alternatives,
        remedies=_remedies(judge, question, alternatives) if explained else (),
        valid_until=_valid_until(judge, question, verdict),
    )


def _judged(judge: Judge, question: Question) -> Verdict:
    try:
        return judge.verdict(question)
    except ContradictionError as error:
        return denied_by_engine(FAULT_RULE, (("fault", str(error)),))


def _alternatives(
    judge: Judge, roster: Roster, request: Request, caller: Caller, at: datetime, question: Question
) -> tuple[str, ...]:
    names = request.fallbacks
    if names is None:
        names = question.entry.fallbacks if question.entry is not None else ()
    own = question.entry.id if question.entry is not None else request.model
    allowed = []
    for name in dict.fromkeys(names):
        entry = judge.book.tables.catalogue.find(name, caller.gateway)
        if entry is None or entry.id == own:
            continue
        other = derive(replace(request, model=name), roster, judge.book, caller, at)
        if _judged(judge, other).allowed:
            allowed.append(name)
    return tuple(allowed)


def _remedies(judge: Judge, question: Question, alternatives: tuple[str, ...]) -> tuple[Remedy, ...]:
    def judged(inputs: Inputs) -> Judged | None:
        one = judge if inputs.book is judge.book else Judge(inputs.book)
        try:
            other = derive(inputs.request, inputs.roster, inputs.book, question.caller, question.at)
            return other, one.verdict(other)
        except (AssertedValueError, ContradictionError, JudgingError):
            return None

    inputs = Inputs(request=question.request, roster=question.roster, book=judge.book)
    return (*find_remedies(inputs, judged), *map(to_model, sorted(alternatives)))


def _valid_until(judge: Judge, question: Question, verdict: Verdict) -> datetime:
    if not verdict.allowed:
        return question.at
    settings = judge.book.settings
    classified = question.entry is not None and question.entry.tier is Tier.CLASSIFIED
    seconds = settings.max_age_classified if classified else settings.max_age_other
    limit = question.at + timedelta(microseconds=int(seconds * 1_000_000))
    until = question.horizon.until
    return limit if until is None else min(limit, until)
