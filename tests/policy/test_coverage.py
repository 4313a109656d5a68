"""Which rows the worked examples exercise."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy_engine.decision.case_runner import run_cases
from policy_engine.decision.coverage import cover
from policy_engine.policy.reader import read_book
from tests.conftest import CASES, book_for, shipped
from tests.policy.books import BAR, GRANT, NOTE, book, sheet
from tests.policy.examples import ALLOWED, BARRED, cases_of, example, reading


def test_a_row_counts_where_it_decides_and_where_it_is_reported_otherwise(tmp_path: Path) -> None:
    files = book()
    results = run_cases(cases_of(tmp_path, ALLOWED, BARRED), reading(files))
    counted = {row.rule: (row.regime, row.deciding, row.otherwise) for row in cover(read_book(files), results)}
    # In Iran the grant matches too, and is reported beside the bar that decides.
    assert counted == {"ACCESS": ("vendor", 1, 1), "PAPERS": ("vendor", 0, 0), "REGION": ("vendor", 1, 0)}


def test_a_row_that_matches_in_no_case_is_not_exercised(tmp_path: Path) -> None:
    files = book()
    results = run_cases(cases_of(tmp_path, BARRED), reading(files))
    assert [row.rule for row in cover(read_book(files), results) if not row.exercised] == ["PAPERS"]
    assert [row.rule for row in cover(read_book(files), []) if row.exercised] == []


def test_a_bar_that_is_advisory_or_suspended_is_exercised_where_it_would_match(tmp_path: Path) -> None:
    rows = (
        GRANT,
        {**BAR, "id": "ADVISED", "enforcement": "advisory"},
        {**BAR, "id": "PAUSED", "suspended": "2026-01-01/2027-01-01"},
        NOTE,
    )
    files = book(rules=sheet(*rows))
    results = run_cases(
        cases_of(tmp_path, example("X", "decision: allow, other: [ADVISED, PAUSED]", country="IR")), reading(files)
    )
    assert all(result.holds for result in results)
    counted = {row.rule: (row.deciding, row.otherwise) for row in cover(read_book(files), results)}
    assert counted == {"ACCESS": (1, 0), "ADVISED": (0, 1), "PAPERS": (0, 0), "PAUSED": (0, 1)}


@pytest.mark.slow
def test_the_rows_come_in_the_order_of_the_book_and_every_finding_of_a_row_is_counted() -> None:
    results = run_cases(CASES[::7], book_for)
    rows = cover(shipped(), results)
    assert [row.rule for row in rows] == [row.id for row in shipped().rows]
    findings = [finding for result in results for finding in result.conclusion.verdict.findings]
    ids = {row.id for row in shipped().rows}
    assert sum(row.deciding + row.otherwise for row in rows) == sum(finding.rule in ids for finding in findings)
