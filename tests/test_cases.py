"""The worked examples hold, and one that does not is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policy_engine.policy.cases import Case, run_case
from tests.conftest import CASES, judge_of


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_worked_example_holds(case: Case) -> None:
    assert run_case(case, judge_of(case)).differences == ()


def test_there_are_worked_examples() -> None:
    assert len(CASES) >= 20


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
    case = next(case for case in CASES if case.id == "ORD-16")
    wrong = replace(case, expect=replace(case.expect, **change))  # type: ignore[arg-type]  # one of the table above
    differences = run_case(wrong, judge_of(case)).differences
    assert [line.partition(":")[0] for line in differences] == [word]
