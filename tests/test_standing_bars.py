"""No random request is allowed beside a bar that stands; and what would find one does."""

from __future__ import annotations

from random import Random

from policy_engine.domain.facts import derive
from policy_engine.domain.rules import Effect
from policy_engine.domain.verdict import State
from policy_engine.policy.judge import Judge
from tests.laws import asked_of
from tests.standing_bars import judge_worlds, standing
from tests.worlds import world

WORLDS = 60


def test_no_random_request_is_allowed_beside_a_standing_bar_and_two_evaluators_agree() -> None:
    tally = judge_worlds(WORLDS, seed=7)

    assert tally.answers.total() == WORLDS
    assert min(tally.answers.values()) > WORLDS / 10


def test_a_bar_that_decides_is_one_that_pycasbin_finds_standing() -> None:
    found = 0
    for seed in range(60):
        asked = asked_of(world(Random(seed)))
        judge = Judge(asked.book)
        question = derive(asked.request, asked.roster, asked.book, asked.caller, asked.at)
        verdict = judge.verdict(question)
        rows = {row.id for row in asked.book.rows}
        bars = {one.rule for one in verdict.findings if one.effect is Effect.DENY and one.state is State.DECIDING}
        if question.parties and all(party.on_file for party in question.parties) and bars & rows:
            assert standing(judge, question, verdict), seed
            found += 1

    assert found > 10
