"""What the analysis says is what the engine says, profile by profile."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_engine.analysis.differences import Comparison, compare, ordinary_member
from policy_engine.analysis.symbolic import NO_SUCH_MODEL, SymbolicBooks
from policy_engine.decision.case_runner import run_case
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.request import Action
from policy_engine.policy.cases import read_cases
from policy_engine.policy.judge import Judge
from tests.analysis.worlds import (
    AT,
    MODELS,
    OF_THE_ITEM,
    OTHERS,
    PARTIES,
    PLACES,
    any_profile,
    around,
    asked_of_engine,
    changed,
    read,
    rows,
)
from tests.conftest import shipped
from tests.policy.books import BAR, GRANT, NOTE

pytestmark = pytest.mark.slow

SHIPPED = shipped()
SEEDS = st.integers(min_value=0, max_value=2**32)
INSTANTS = [parse_instant(text) for text in ("2025-10-15T12:00:00Z", "2026-06-13T15:00:00Z", "2026-11-20T00:00:00Z")]


def test_the_atlas_of_the_shipped_book_answers_as_the_engine_does() -> None:
    random = Random(0)
    symbolic = SymbolicBooks((SHIPPED,), INSTANTS)
    models = [*SHIPPED.tables.catalogue.entries, NO_SUCH_MODEL]
    met = set()
    for number in range(360):
        # Six profiles for each of 60 scopes: most of the time goes into the tables of a scope.
        if number % 6 == 0:
            model, action, at = random.choice(models), random.choice(list(Action)), random.choice(INSTANTS)
            scope = symbolic.scope(0, model, action, at)
        profile = any_profile(symbolic, random)
        expected = asked_of_engine(symbolic, 0, profile, model, action, at)
        assignment = symbolic.domain.assignment(profile)
        assert expected == symbolic.outcome(scope, profile), (profile, model, action, at)
        assert expected == symbolic.diagrams.at(symbolic.outcomes(scope, symbolic.possible), assignment)
        assert expected.decision == symbolic.diagrams.at(symbolic.decisions(scope), assignment)
        met.add(expected.decision)
    assert {"allow", "deny", "hold"} == met


@pytest.mark.parametrize("word", [*PARTIES, *PLACES, "military:744.21", *(word for _, word in OTHERS)])
def test_a_word_alone_bars_for_the_analysis_whom_it_bars_for_the_engine(word: str) -> None:
    columns = {term: column for column, term in OTHERS} | {"military:744.21": "listing"}
    column = columns.get(word, "place" if word in PLACES else "party")
    alone = {**BAR, "place": "", "action": "", column: word, "codes": "REGION_UNSUPPORTED"}
    symbolic = SymbolicBooks(read([dict(GRANT), alone]), [AT])
    random = Random(word)
    answers = set()
    for _ in range(150):
        profile, model = any_profile(symbolic, random), random.choice(MODELS[:2])
        expected = asked_of_engine(symbolic, 0, profile, model, Action.INFER, AT)
        assert expected == symbolic.outcome(symbolic.scope(0, model, Action.INFER, AT), profile), profile
        answers.add(expected.code)
    assert "REGION_UNSUPPORTED" in answers
    assert len(answers) > 1


@pytest.mark.parametrize("cells", OF_THE_ITEM, ids=lambda cells: " ".join(cells.values()))
def test_what_asks_about_an_item_that_is_not_there_is_the_same_for_the_analysis_and_the_engine(
    cells: dict[str, str],
) -> None:
    row = {**BAR, "action": "", "place": "", "party": "on-file", **cells}
    symbolic = SymbolicBooks(read([dict(GRANT), dict(NOTE), row]), [AT])
    random = Random(str(cells))
    for _ in range(60):
        profile, action = any_profile(symbolic, random), random.choice(list(Action))
        expected = asked_of_engine(symbolic, 0, profile, NO_SUCH_MODEL, action, AT)
        assert expected == symbolic.outcome(symbolic.scope(0, NO_SUCH_MODEL, action, AT), profile), profile
        assert expected.decision != "allow"


@settings(max_examples=30)
@given(SEEDS)
def test_the_atlas_of_a_random_book_answers_as_the_engine_does(seed: int) -> None:
    random = Random(seed)
    (book,) = read(rows(random))
    symbolic = SymbolicBooks((book,), [AT])
    for _ in range(12):
        profile, model, action = any_profile(symbolic, random), random.choice(MODELS), random.choice(list(Action))
        scope = symbolic.scope(0, model, action, AT)
        expected = asked_of_engine(symbolic, 0, profile, model, action, AT)
        assert expected == symbolic.outcome(scope, profile)
        assert expected == symbolic.diagrams.at(
            symbolic.outcomes(scope, symbolic.possible), symbolic.domain.assignment(profile)
        )


def somewhere(comparison: Comparison, random: Random) -> tuple[str, Action, int, dict[str, str]]:
    """A place and a profile: one that is said to differ, one that the engine answers otherwise, or any."""
    symbolic = comparison.symbolic
    if comparison.differences and random.random() < 0.4:
        one = random.choice(comparison.differences)
        model, action, stretch = random.choice(sorted(one.members))
        return model, action, stretch, ordinary_member(symbolic, one.members[model, action, stretch])
    model, action, stretch = MODELS[0], Action.INFER, 0
    profile = any_profile(symbolic, random)
    for _ in range(40):
        model, action = random.choice((*MODELS, MODELS[0])), random.choice((*Action, Action.INFER))
        stretch = random.randrange(len(comparison.stretches))
        profile = any_profile(symbolic, random)
        at = comparison.stretches[stretch].instant
        answers = [asked_of_engine(symbolic, number, profile, model, action, at) for number in (0, 1)]
        if answers[0] != answers[1]:
            break
    return model, action, stretch, profile


@settings(max_examples=40)
@given(SEEDS)
def test_the_classes_that_differ_are_those_whom_the_engine_answers_otherwise_under_the_two_books(
    seed: int,
) -> None:
    random = Random(seed)
    before = rows(random)
    old, new = read(before, changed(random, before))
    comparison = compare(old, new, random.choice((None, AT, AT)))
    symbolic = comparison.symbolic
    model, action, stretch, centre = somewhere(comparison, random)
    at = comparison.stretches[stretch].instant
    for profile in around(symbolic, centre, random, most=80):
        answers = [asked_of_engine(symbolic, number, profile, model, action, at) for number in (0, 1)]
        assignment = symbolic.domain.assignment(profile)
        classes = [
            one
            for one in comparison.differences
            if (model, action, stretch) in one.members
            and symbolic.diagrams.at(one.members[model, action, stretch], assignment) is True
        ]
        if answers[0] == answers[1]:
            assert classes == [], profile
        else:
            (one,) = classes
            assert (answers[0].decision, answers[1].decision) == (one.old, one.new), profile
            assert (answers[0], answers[1]) in one.reasons


@settings(max_examples=12)
@given(SEEDS)
def test_everybody_in_a_class_meets_one_of_its_clauses_and_a_whole_class_has_nobody_else(seed: int) -> None:
    random = Random(seed)
    before = rows(random)
    old, new = read(before, changed(random, before))
    comparison = compare(old, new, AT)
    symbolic = comparison.symbolic
    for one in comparison.differences:
        model, action, stretch = random.choice(sorted(one.members))
        centre = ordinary_member(symbolic, one.members[model, action, stretch])
        for profile in around(symbolic, centre, random, most=60):
            inside = (
                symbolic.diagrams.at(one.members[model, action, stretch], symbolic.domain.assignment(profile)) is True
            )
            met = any(all(profile[name] in values for name, values in clause.values.items()) for clause in one.clauses)
            if inside:
                assert met or one.more_clauses, (one.clauses, profile)
            elif met and one.whole:
                assert one.old != asked_of_engine(symbolic, 0, profile, model, action, AT).decision


def test_a_book_sorted_otherwise_differs_in_nothing() -> None:
    drawn = rows(Random(1))
    old, new = read(drawn, drawn[::-1])
    assert compare(old, new).differences == ()


def test_a_witness_is_a_worked_example_that_each_book_answers_as_is_said(tmp_path: Path) -> None:
    random = Random(5)
    told = 0
    for _ in range(8):
        before = rows(random)
        old, new = read(before, changed(random, before))
        for one in compare(old, new, AT).differences:
            for number, (book, outcome) in enumerate(((old, one.answer_old), (new, one.answer_new))):
                document = [one.counterexample.case(f"WITNESS-{number}", "a counterexample", outcome)]
                (tmp_path / "counterexample.yaml").write_text(json.dumps(document))
                (case,) = read_cases(tmp_path)
                assert run_case(case, Judge(book)).differences == ()
                told += 1
    assert told > 10
