"""What `policy check` does: a folder is read, and compared with the one before."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from policy_engine.cli.progress import progress
from policy_engine.domain.rules import Book
from policy_engine.formats.faults import Fault, FaultsError
from policy_engine.policy.case_changes import case_changes
from policy_engine.policy.cases import case_files, read_case_files
from policy_engine.policy.changelog import CHANGELOG, compare, read_changelog
from policy_engine.policy.idle import never_matching
from policy_engine.policy.names import unread_lists
from policy_engine.policy.reader import gather, read_book, read_folder
from policy_engine.render.check_text import BookCheck


def check_folder(folder: Path, against: Path | None) -> BookCheck:
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
            return BookCheck(book=None, faults=tuple(sorted(faults)), notices=notices)
        report = BookCheck(book=book, faults=()) if against is None else _compared(book, files, folder, against)
        return replace(report, notices=(*_idle_notices(book), *_list_notices(book), *report.notices))


def _compared(book: Book, files: Mapping[str, bytes], folder: Path, against: Path) -> BookCheck:
    try:
        old_files = read_folder(against)
        old = read_book(old_files, archived=True)
    except FaultsError as error:
        named = [replace(fault, source=f"{against}: {fault.source}") for fault in error.faults]
        return BookCheck(book=book, faults=tuple(named), notices=(f"not compared with {against}: it cannot be read",))
    before, after = (read_changelog(one.get(CHANGELOG), []) for one in (old_files, files))
    found = compare(old, book, before, after)
    notices = (*found.notices, *_cases_notice(folder, against))
    return BookCheck(book=book, faults=tuple(sorted(found.faults)), notices=notices)


def _idle_notices(book: Book) -> tuple[str, ...]:
    return tuple(
        f"rules/{row.regime}.csv, line {row.line}: the bar `{row.id}` can never match, so it bars nobody: correct what"
        " it asks, or take it out"
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
