"""Which rows of a book the worked examples exercise.

A case exercises a row when the row matches in its answer: it decides, or it is reported otherwise (lifted, advisory,
suspended, a note). A row with neither could say anything, and every case would hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from policy_engine.decision.case_runner import CaseResult
from policy_engine.domain.rules import Book
from policy_engine.domain.verdict import State


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCoverage:
    """In how many cases a row decides, and in how many it is reported otherwise."""

    rule: str
    regime: str
    deciding: int
    otherwise: int

    @property
    def exercised(self) -> bool:
        return self.deciding + self.otherwise > 0


def cover(book: Book, results: Iterable[CaseResult]) -> tuple[RowCoverage, ...]:
    """The rows of the book in its order, counted over the results; whether a case holds makes no difference."""
    deciding: Counter[str] = Counter()
    otherwise: Counter[str] = Counter()
    for result in results:
        for finding in result.conclusion.verdict.findings:
            (deciding if finding.state is State.DECIDING else otherwise)[finding.rule] += 1
    return tuple(
        RowCoverage(rule=row.id, regime=row.regime, deciding=deciding[row.id], otherwise=otherwise[row.id])
        for row in book.rows
    )
