"""pycasbin's own enforcer gives the same answers as the compiled judge: row by row, and as a whole."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from policy_engine.domain.facts import Party, Question, Role, derive
from policy_engine.domain.instants import Validity
from policy_engine.domain.rules import FACETS, Condition, Effect, Enforcement, PublicCode, Row
from policy_engine.domain.verdict import State, Verdict
from policy_engine.policy.cases import Case
from policy_engine.policy.judge import Judge, Oracle
from tests.conftest import each_case, judge_of
from tests.laws import book_of
from tests.worlds import Read, world

_ANYONE = Row(
    id="ANYONE",
    regime="operator",
    effect=Effect.PERMIT,
    hold=False,
    judges_host=False,
    facets=tuple(Condition() for _ in FACETS),
    unless=Condition(),
    codes=(),
    public_code=PublicCode.ALLOWED,
    obligations=(),
    valid=Validity(),
    suspended=(),
    enforcement=Enforcement.ENFORCED,
    citation="",
    message="",
    public_message="",
)


def _deciding(judge: Judge, question: Question) -> list[Row]:
    """The rows that may decide at the question's instant: in force, enforced, grants and bars."""
    return [
        row
        for row in judge.book.rows
        if row.effect is not Effect.NOTE
        and row.valid.holds(question.at)
        and not row.suspended_at(question.at)
        and row.enforcement is Enforcement.ENFORCED
    ]


def _matched(verdict: Verdict, row: Row) -> bool:
    states = {State.DECIDING} if row.effect is Effect.DENY else {State.DECIDING, State.NOTE}
    return any(finding.rule == row.id and finding.state in states for finding in verdict.findings)


def _agree(judge: Judge, question: Question, verdict: Verdict) -> None:
    if question.entry is None or any(not party.on_file for party in question.parties):
        assert not verdict.allowed
        return
    parties = [party for party in question.parties if party.role is not Role.HOST]
    rows = _deciding(judge, question)
    granted = []
    barred = False
    for row in rows:
        judged: list[Party] = [*question.parties] if row.judges_host else parties
        if row.effect is Effect.PERMIT:
            answer = all(Oracle(judge, [row]).allows(party) for party in parties)
            granted.append(answer)
        else:
            answer = any(not Oracle(judge, [_ANYONE, row]).allows(party) for party in judged)
            barred = barred or answer
        assert answer == _matched(verdict, row), row.id
    assert verdict.allowed == (any(granted) and not barred)
    if len(question.parties) == 1:
        assert Oracle(judge, rows).allows(parties[0]) == verdict.allowed


@each_case
def test_casbin_agrees_on_the_worked_example(case: Case) -> None:
    judge = judge_of(case)
    question = derive(case.request, case.roster(), judge.book, case.caller, case.at)
    _agree(judge, question, judge.verdict(question))


@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_casbin_agrees_on_generated_facts(random: Random) -> None:
    read = Read(world(random))
    judge = Judge(book_of(read))
    question = derive(read.request, read.roster, judge.book, read.caller, read.at)
    _agree(judge, question, judge.verdict(question))
