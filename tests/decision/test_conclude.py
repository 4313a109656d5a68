"""A decision is put together at one place, and whatever goes wrong there is a deny that names it."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from policy_engine.decision.case_runner import run_case
from policy_engine.decision.conclude import Basis, conclude, conclude_alone, refuse
from policy_engine.domain.facts import Question
from policy_engine.domain.persons import ContradictionError
from policy_engine.domain.request import Assertion, Caller
from policy_engine.domain.roster import Roster
from policy_engine.domain.verdict import Verdict
from policy_engine.formats.record import encode_answer
from policy_engine.policy.cases import Case
from policy_engine.policy.judge import Judge, JudgingError
from tests.conftest import CASES, ROOT, judge_for, judge_of, shipped
from tests.service.decisions import DEMO, asking

SOURCES: Final = ROOT / "policy_engine"
CASE: Final[Case] = CASES.named("ORD-16")
CAROL: Final = asking("carol", "mythos-5", purpose="defensive_cybersecurity", place={"country": "US"})
CALLER: Final = Caller(id="test", gateway="main")


class Broken(Judge):
    """A judge that fails on whatever it is asked."""

    def __init__(self, error: Exception) -> None:
        super().__init__(shipped())
        self.error = error

    def verdict(self, _question: Question) -> Verdict:
        raise self.error


def test_no_other_place_makes_a_decision_or_turns_a_fault_into_a_deny() -> None:
    made: dict[str, set[str]] = {"Decision": set(), "denied_by_engine": set(), "denied_as_invalid": set()}
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in made:
                made[node.func.id].add(path.relative_to(SOURCES).as_posix())
    assert made == {name: {"decision/conclude.py"} for name in made}


@pytest.mark.parametrize("error", [KeyError("carol is Chinese"), JudgingError("x"), MemoryError(), ValueError("x")])
def test_whatever_goes_wrong_in_the_engine_is_a_deny_that_names_its_class_and_nothing_else(error: Exception) -> None:
    roster = Roster.as_known(DEMO, CASE.at, revision=3)
    basis = Basis(judge=Broken(error), roster=roster, closings={}, epoch=7, next_book=CASE.at + timedelta(seconds=1))
    told = conclude(CAROL, CALLER, basis, decision_id="one", at=CASE.at)
    decision, verdict = told.decision, told.verdict
    assert (verdict.allowed, verdict.hold, verdict.reason_code) == (False, False, "ENGINE_FAULT")
    assert verdict.reason.detail == (("fault", type(error).__name__),)
    assert b"Chinese" not in encode_answer(decision)
    assert (decision.valid_until, decision.alternatives, decision.remedies) == (CASE.at, (), ())
    assert (decision.membership_revision, decision.control_epoch) == (3, 7)
    # Nothing of it is kept, and no fact of anybody is recorded with it.
    assert (told.error, told.lasting, told.parties, told.reviews) == (error, None, (), ())


def test_a_contradiction_on_file_is_told_as_it_is_and_not_remembered() -> None:
    basis = Basis(judge=Broken(ContradictionError("two statuses")), roster=Roster.as_known(DEMO))
    told = conclude(CAROL, CALLER, basis, decision_id="one", at=CASE.at)
    assert told.verdict.reason.detail == (("fault", "two statuses"),)
    assert (told.verdict.allowed, told.error, told.lasting) == (False, None, None)


def test_without_a_book_everything_is_denied() -> None:
    told = conclude(CAROL, CALLER, Basis(judge=None, roster=Roster.as_known(DEMO)), decision_id="one", at=CASE.at)
    assert (told.verdict.allowed, told.verdict.reason_code) == (False, "NO_RULE")
    assert (told.decision.policy_version, told.lasting) == ("none", None)


def test_what_is_no_request_is_a_deny_whose_fault_is_bounded() -> None:
    basis = Basis(judge=judge_for({}, None), roster=Roster.as_known(DEMO))
    told = refuse("malformed: " + "x" * 9_000, CALLER, basis, decision_id="one", at=CASE.at)
    assert (told.verdict.allowed, told.verdict.reason.public_code.value) == (False, "INVALID_REQUEST")
    assert len(told.verdict.reason.message) < 600
    assert told.lasting is None


def test_an_allow_ends_when_another_book_comes_into_force() -> None:
    soon = CASE.at + timedelta(seconds=1)
    basis = Basis(judge=judge_for({}, None), roster=Roster.as_known(DEMO), next_book=soon)
    opus = asking("carol", "opus-4.6", place={"country": "US"})
    told = conclude(opus, CALLER, basis, decision_id="one", at=CASE.at).decision
    assert (told.verdict.allowed, told.valid_until) == (True, soon)
    later = conclude(opus, CALLER, replace(basis, next_book=None), decision_id="one", at=CASE.at).decision
    assert later.valid_until > soon


def test_a_question_judged_alone_has_the_verdict_that_the_whole_answer_has() -> None:
    for case in CASES[::5]:
        judge, roster = judge_of(case), case.roster()
        whole = conclude(case.request, case.caller, Basis(judge=judge, roster=roster), decision_id="", at=case.at)
        alone = conclude_alone(case.request, case.caller, judge, case.roster(), case.at)
        assert alone.verdict == whole.verdict, case.id
        assert (alone.decision.alternatives, alone.decision.remedies) == ((), ())


def test_a_case_on_which_the_engine_fails_does_not_hold_whatever_it_expects() -> None:
    expect = replace(CASE.expect, decision="deny", codes=("ENGINE_FAULT",), only_rules=None, rules=(), reason=None)
    expect = replace(expect, hold=None, not_codes=(), other=(), missing=None, obligations=(), alternatives=None)
    result = run_case(replace(CASE, expect=expect), Broken(JudgingError("rule `X` matched and none applies")))
    assert result.differences == ("engine: it fails on this case: JudgingError: rule `X` matched and none applies",)


def test_a_case_whose_request_is_refused_does_not_hold_and_says_why() -> None:
    wrong = Assertion(name="us_status", values=("citzen",), is_list=False)
    asked = replace(CASE.request, subject=replace(CASE.request.subject, properties=(wrong,)))
    case = replace(CASE, request=asked, assertable=frozenset({"us_status"}))
    (difference,) = run_case(case, judge_of(case)).differences
    assert difference == "request: the engine refuses it: property `us_status` has no value `citzen`"
