"""What `policy check` does and tells: every fault of a book, and of the step to it from the book before."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import typer
from msgspec import to_builtins

from policy_engine.cli.output import err, out
from policy_engine.cli.progress import progress
from policy_engine.domain.counted import many
from policy_engine.domain.rules import Book
from policy_engine.formats.faults import Fault, FaultsError
from policy_engine.policy import law
from policy_engine.policy.case_changes import case_changes
from policy_engine.policy.cases import case_files, read_case_files
from policy_engine.policy.changelog import CHANGELOG, compare, read_changelog
from policy_engine.policy.idle import never_matching
from policy_engine.policy.names import unread_lists
from policy_engine.policy.reader import gather, read_book, read_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """The book, or `None` when it cannot be read; every fault; and what an author may want to know besides."""

    book: Book | None
    faults: tuple[Fault, ...]
    notices: tuple[str, ...] = ()


def check_folder(folder: Path, against: Path | None) -> CheckReport:
    """Read the book in the folder, and compare it with the one before when that is named."""
    with _without_collector():
        faults: list[Fault] = []
        files = gather(folder, faults)
        book = None
        if files or not faults:
            try:
                with progress("reading rules") as tell:
                    book = read_book(files, progress=tell)
            except FaultsError as error:
                unreadable = {fault.source for fault in faults}
                faults += [fault for fault in error.faults if fault.source not in unreadable]
        if book is None or faults:
            notices = () if against is None else (f"not compared with {against}: the book cannot be read",)
            return CheckReport(book=None, faults=tuple(sorted(faults)), notices=notices)
        report = CheckReport(book=book, faults=()) if against is None else _compared(book, files, folder, against)
        return replace(report, notices=(*_idle_notices(book), *_list_notices(book), *report.notices))


def _compared(book: Book, files: Mapping[str, bytes], folder: Path, against: Path) -> CheckReport:
    try:
        old_files = read_folder(against)
        old = read_book(old_files, archived=True)
    except FaultsError as error:
        named = [replace(fault, source=f"{against}: {fault.source}") for fault in error.faults]
        return CheckReport(book=book, faults=tuple(named), notices=(f"not compared with {against}: it cannot be read",))
    before, after = (read_changelog(one.get(CHANGELOG), []) for one in (old_files, files))
    found = compare(old, book, before, after)
    notices = (*found.notices, *_cases_notice(folder, against))
    return CheckReport(book=book, faults=tuple(sorted(found.faults)), notices=notices)


def _idle_notices(book: Book) -> tuple[str, ...]:
    return tuple(
        f"rules/{row.regime}.csv, line {row.line}: the bar `{row.id}` can never match, so it bars nobody: mend what it"
        " asks, or take it out"
        for row in never_matching(book)
    )


def _list_notices(book: Book) -> tuple[str, ...]:
    return tuple(
        f"parameters.yaml: no rule and no table reads the list `{name}`, so a listing on it would bar nobody and is"
        " refused: write the rule, or take the list out"
        for name in unread_lists(book)
    )


def _cases_notice(folder: Path, against: Path) -> tuple[str, ...]:
    """What became of the worked examples; where one of the folders' cannot be read, that."""
    try:
        before, after = (read_case_files(case_files(one)) for one in (against, folder))
    except FaultsError as error:
        return (f"the worked examples are not compared: {next(iter(error.faults))}",)
    changes = case_changes(before, after)
    return (f"worked examples: {changes.text}",) if changes.removed or changes.changed or changes.added else ()


def tell_report(report: CheckReport) -> None:
    """The report for people: what is wrong on standard error, what is fine on standard output."""
    if report.faults:
        # One write: 100,000 lines through a console take longer than the check.
        typer.echo("\n".join(map(str, report.faults)), err=True)
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


def report_document(report: CheckReport) -> dict[str, object]:
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


@contextmanager
def _without_collector() -> Iterator[None]:
    """A book has no cycles, and the collector would walk its rows again and again: nearly half of all the time.

    They are frozen behind it, since the process ends soon and would be walked through once more at its end.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
