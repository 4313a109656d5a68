"""What `policy check` tells: every fault of a book, and of the step to it from the book before."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from msgspec import to_builtins
from rich.console import Console

from policy_engine.domain.counted import many
from policy_engine.domain.rules import Book
from policy_engine.formats.faults import Fault
from policy_engine.render import law_page as law


@dataclass(frozen=True, slots=True, kw_only=True)
class BookCheck:
    """The book, or `None` when it cannot be read; every fault; and what an author may want to know besides."""

    book: Book | None
    faults: tuple[Fault, ...]
    notices: tuple[str, ...] = ()


def tell_report(report: BookCheck, out: Console, err: Console) -> None:
    """The report for people: what is wrong on standard error, what is fine on standard output."""
    if report.faults:
        # One write: 100,000 lines through a console take longer than the check.
        err.file.write("\n".join(map(str, report.faults)) + "\n")
    for notice in report.notices:
        err.print(f"note: {notice}", style="yellow", markup=False)
    if report.book is not None:
        regimes = Counter(row.regime for row in report.book.rows)
        count = many(len(regimes), "regime")
        out.print(f"{len(report.book.rows):,} rules of {count} can be read", style="green")
        for regime, rows in sorted(regimes.items()):
            out.print(f"  {regime:<12} {rows:>7,}", style="green")
        out.print(f"policy version {report.book.fingerprint}", style="green")
        told = ", ".join(one.text for one in law.counts(report.book))
        out.print(f"compared with their source: {told}; `policy law` says which", markup=False)
    if not report.faults:
        out.print("no fault", style="green")
        return
    counts = Counter(fault.source for fault in report.faults)
    listed = ", ".join(f"{source} {count:,}" for source, count in sorted(counts.items()))
    total = len(report.faults)
    err.print(f"{many(total, 'fault')}: {listed}", style="red", markup=False)


def report_document(report: BookCheck) -> dict[str, object]:
    """The report for programs."""
    return {
        "ok": not report.faults,
        "fingerprint": None if report.book is None else report.book.fingerprint,
        "rows": None if report.book is None else len(report.book.rows),
        "compared": None if report.book is None else compared_document(report.book),
        "faults": [to_builtins(fault.document()) for fault in report.faults],
        "notices": list(report.notices),
    }


def compared_document(book: Book) -> dict[str, dict[str, int]]:
    """How much of a book was compared with its sources, by kind."""
    return {one.kind: {"compared": one.compared, "total": one.total} for one in law.counts(book)}
