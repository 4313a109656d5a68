"""Stock pycasbin as a second judge: it says the same of every worked example, and what it says otherwise is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from random import Random

from hypothesis import given, settings

from policy_engine.decision.case_runner import CaseResult, run_case
from policy_engine.decision.second_judge import disagreements, second_opinion
from policy_engine.domain.facts import derive
from policy_engine.domain.verdict import State, Verdict
from policy_engine.policy.cases import Case
from policy_engine.policy.judge import Judge, Oracle
from tests.conftest import CASES, each_case, judge_of
from tests.laws import book_of
from tests.randoms import RANDOMS
from tests.worlds import Read, world


@each_case
def test_casbin_agrees_on_the_worked_example(case: Case) -> None:
    assert disagreements([run_case(case, judge_of(case))]) == ()


@settings(max_examples=60)
@given(RANDOMS)
def test_casbin_agrees_on_generated_facts(random: Random) -> None:
    read = Read(world(random))
    judge = Judge(book_of(read))
    question = derive(read.request, read.roster, judge.book, read.caller, read.at)
    assert second_opinion(question, judge.verdict(question), Oracle(judge)) == ()


@cache
def result_of(name: str) -> CaseResult:
    case: Case = CASES.named(name)
    return run_case(case, judge_of(case))


def denied() -> CaseResult:
    """A case of which several bars decide."""
    return result_of("ORD-16")


def allowed() -> CaseResult:
    return result_of("ACT-20")


def told(result: CaseResult, change: Callable[[Verdict], Verdict]) -> list[str]:
    """What is said of a result whose verdict came out otherwise."""
    conclusion = result.conclusion
    decision = replace(conclusion.decision, verdict=change(conclusion.verdict))
    changed = replace(result, conclusion=replace(conclusion, decision=decision))
    return [one.message for one in disagreements([changed])]


def without(rule: str) -> Callable[[Verdict], Verdict]:
    return lambda verdict: replace(verdict, findings=tuple(one for one in verdict.findings if one.rule != rule))


def test_a_bar_that_the_engine_overlooks_is_told_with_the_rule_the_party_and_what_each_said() -> None:
    bar = denied().conclusion.verdict.reason.rule
    (message, *_) = told(denied(), without(bar))
    asked = denied().case.request.subject
    assert message.startswith(f"pycasbin judges case `ORD-16` differently: rule `{bar}`, for the subject")
    assert f"`{asked.type}:{asked.id}`" in message
    assert message.endswith("the engine says that it does not stand, pycasbin that it stands")


def test_a_grant_that_the_engine_overlooks_is_told() -> None:
    grant = allowed().conclusion.verdict.reason.rule
    assert any("it does not hold, pycasbin that it holds" in one for one in told(allowed(), without(grant)))


def test_a_row_that_the_engine_reports_and_pycasbin_does_not_find_is_told() -> None:
    bar = next(one for one in denied().conclusion.verdict.findings if one.state is State.DECIDING)

    def barred(verdict: Verdict) -> Verdict:
        return replace(verdict, allowed=False, findings=(*verdict.findings, bar))

    assert any("it stands, pycasbin that it stands for nobody" in one for one in told(allowed(), barred))


def test_an_allow_that_the_rows_do_not_give_is_told_of_all_rows_together() -> None:
    messages = told(denied(), lambda verdict: replace(verdict, allowed=True))
    assert [
        one for one in messages if "all rows together" in one and "it is allowed, pycasbin that it is denied" in one
    ]


def test_what_keeps_the_second_judge_from_judging_is_a_difference() -> None:
    judge = judge_of(denied().case)
    oracle = Oracle(judge)
    oracle._by_text = {}
    question = denied().conclusion.question
    assert question is not None
    (difference,) = second_opinion(question, denied().conclusion.verdict, oracle)
    assert difference.casbin.startswith("it fails: KeyError")


def test_a_case_that_nobody_judged_is_a_difference() -> None:
    unjudged = replace(denied(), conclusion=replace(denied().conclusion, question=None))
    (fault,) = disagreements([unjudged])
    assert "nothing was judged" in fault.message


def test_pycasbin_is_never_asked_by_no_row_at_all() -> None:
    judge = judge_of(allowed().case)
    question = allowed().conclusion.question
    assert question is not None
    party = question.parties[0]
    assert Oracle(judge).allows([], party) is False
    assert Oracle(judge).bars([], party) is False
