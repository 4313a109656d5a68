"""The golden files are what the engine says today."""

from __future__ import annotations

from tests.golden.regenerate import GOLDEN_CASES, differing


def test_ten_answers_and_the_handbook_are_as_they_were() -> None:
    assert len(GOLDEN_CASES) == 10
    assert differing() == []
