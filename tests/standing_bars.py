"""Random requests over generated worlds, each answer held against the law of allow: a grant, and no bar that stands.

What the engine reports is not believed alone. Where it allows, pycasbin is asked about every bar in force that is not
reported as lifted, for every party; and the reference evaluator, which shares no code with the engine, decides too.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Final

from policy_engine.domain.facts import Party, Question, Role, derive
from policy_engine.domain.rules import Effect, Enforcement
from policy_engine.domain.verdict import State, Verdict
from policy_engine.policy.judge import Judge, Oracle, deciding_rows
from tests.conftest import POLICIES
from tests.laws import asked_of
from tests.reference.evaluator import build_world, decide
from tests.reference.test_reference import load
from tests.worlds import World, world

CATALOGUE: Final = load(POLICIES / "catalogue.yaml")
GROUPS: Final = load(POLICIES / "country_groups.yaml")


@dataclass(slots=True)
class Tally:
    """How many were judged, and what came out: `allow` and `deny`."""

    answers: Counter[str] = field(default_factory=Counter)
    lifted: int = 0
    """Allows beside at least one bar that was lifted."""


def judge_worlds(number: int, *, seed: int) -> Tally:
    """Judge so many random requests. Raises `AssertionError` naming the seed of the first that breaks the law."""
    tally = Tally()
    for turn in range(seed, seed + number):
        document = world(Random(turn))
        verdict = require_lawful(document, turn)
        tally.answers["allow" if verdict.allowed else "deny"] += 1
        tally.lifted += verdict.allowed and any(one.state is State.LIFTED for one in verdict.findings)
    return tally


def require_lawful(document: World, seed: int) -> Verdict:
    """The verdict on one world, once it is the lawful one."""
    asked = asked_of(document)
    judge = Judge(asked.book)
    question = derive(asked.request, asked.roster, asked.book, asked.caller, asked.at)
    verdict = judge.verdict(question)
    said = {
        effect: {one.rule for one in verdict.findings if one.effect is effect and one.state is State.DECIDING}
        for effect in Effect
    }
    assert bool(said[Effect.PERMIT]) is verdict.allowed, seed
    assert bool(said[Effect.DENY]) is not verdict.allowed, seed
    theirs = decide(build_world(document, CATALOGUE, GROUPS, document["request"]))["decision"]
    assert theirs == ("allow" if verdict.allowed else "deny"), seed
    if verdict.allowed:
        assert standing(judge, question, verdict) == [], seed
        enforced = {row.id for row in asked.book.rows if row.enforcement is Enforcement.ENFORCED}
        assert said[Effect.PERMIT] <= enforced, seed
    return verdict


def standing(judge: Judge, question: Question, verdict: Verdict) -> list[str]:
    """The roles of the parties for whom a bar in force stands that is not reported as lifted, by pycasbin."""
    lifted = {one.rule for one in verdict.findings if one.state is State.LIFTED}
    rows = deciding_rows(judge.book, question.at)
    bars = [row for row in rows if row.effect is Effect.DENY and row.id not in lifted]
    oracle, of_hosts = Oracle(judge), [row for row in bars if row.judges_host]

    def stands(party: Party) -> bool:
        return oracle.bars(of_hosts if party.role is Role.HOST else bars, party)

    return [party.role.value for party in question.parties if stands(party)]
