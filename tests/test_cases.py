"""The worked examples hold, and one that does not is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policy_engine.decision.case_runner import run_case
from policy_engine.policy.cases import Case
from tests.conftest import CASE_FILES, CASES, cases_in, each_case, judge_of


@each_case
def test_the_worked_example_holds(case: Case) -> None:
    assert run_case(case, judge_of(case)).differences == ()


def test_every_worked_example_is_tried_and_each_has_an_id_of_its_own() -> None:
    read = [name for path in CASE_FILES for name in cases_in(path)]
    assert read == list(CASES.ids)
    assert sum(path.read_text(encoding="utf-8").count("\n  expect:") for path in CASE_FILES) == len(set(read)) > 500


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"decision": "allow"}, "decision"),
        ({"hold": True}, "hold"),
        ({"codes": ("US_PERSON",)}, "codes"),
        ({"only_rules": ()}, "only_rules"),
        ({"not_codes": ("OPERATOR_SUSPENSION",)}, "not_codes"),
        ({"rules": ("OFAC-SDN",)}, "rules"),
        ({"reason": "LISTED_PARTY"}, "reason"),
        ({"other": ("OFAC-SDN",)}, "other"),
        ({"missing": ("purpose",)}, "missing"),
        ({"obligations": ("none:such",)}, "obligations"),
        ({"alternatives": ("llama-4",)}, "alternatives"),
    ],
)
def test_a_case_that_expects_otherwise_fails_and_names_what_differs(change: dict[str, object], word: str) -> None:
    case = CASES.named("ORD-16")
    wrong = replace(case, expect=replace(case.expect, **change))  # type: ignore[arg-type]  # one of the table above
    differences = run_case(wrong, judge_of(case)).differences
    assert [line.partition(":")[0] for line in differences] == [word]
