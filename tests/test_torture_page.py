"""The page of the torture is written by what measures it."""

from __future__ import annotations

import pytest

from benchmarks.torture.report import BEGIN, END, PAGE, Line, Outcome, with_lines

TESTS = ["first", "second", "third"]


def line(test: str, result: str) -> Line:
    return Line(test=test, outcome=Outcome(count=1, of=2, result=result), seconds=3.0, run="2026-11-30, abc")


def test_lines_take_the_place_of_those_of_the_same_tests_in_order_and_the_others_stay() -> None:
    page = (
        f"above\n{BEGIN}\nold\n\n| third | 9 | kept | 1 s | then |\n| first | 9 | gone | 1 s | then |\n{END}\nbelow\n"
    )

    written = with_lines(page, [line("second", "new"), line("first", "new")], "command", TESTS)

    rows = [row for row in written.splitlines() if row.startswith("| ")][1:]
    assert rows == [
        "| first | 1 of 2 | new | 3 s | 2026-11-30, abc |",
        "| second | 1 of 2 | new | 3 s | 2026-11-30, abc |",
        "| third | 9 | kept | 1 s | then |",
    ]
    assert (written.startswith(f"above\n{BEGIN}\n"), written.endswith(f"{END}\nbelow\n")) == (True, True)
    assert with_lines(written, [], "command", TESTS).count("\n| ") == written.count("\n| ")


def test_a_page_without_its_markers_is_refused_and_the_one_that_ships_has_them() -> None:
    with pytest.raises(ValueError, match="put both back"):
        with_lines("nothing", [], "command", TESTS)
    assert with_lines(PAGE.read_text(encoding="utf-8"), [], "command", TESTS)
