"""The difference between two books as a report, in canonical JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from msgspec import convert, to_builtins

from policy_engine.analysis.counterexample import Counterexample
from policy_engine.analysis.differences import Difference, PhrasedCase, Progress, Where, compare
from policy_engine.analysis.symbolic import ReasonedAnswer
from policy_engine.domain.instants import format_instant
from policy_engine.domain.rules import Book
from policy_engine.policy.reader import read_book
from policy_engine.shapes.reports import ClassDocument, DiffDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffReport:
    """Every class of requesters whose answer changes from the old book to the new one.

    `at` is the instant looked at, or `None` for all time, from `since` on where that is set; `stretches` counts the
    times in which nothing dated changes.
    """

    old: str
    new: str
    at: datetime | None
    since: datetime | None = None
    stretches: int
    differences: tuple[Difference, ...]

    @property
    def answers(self) -> tuple[Difference, ...]:
        """The classes whose answer changes, and not the reason alone."""
        return tuple(one for one in self.differences if one.changes_answer)

    @property
    def reasons(self) -> tuple[Difference, ...]:
        """The classes who get the same answer for another reason."""
        return tuple(one for one in self.differences if not one.changes_answer)

    def content(self) -> dict[str, object]:
        """The report as plain values."""
        return {
            "old": self.old,
            "new": self.new,
            "at": None if self.at is None else format_instant(self.at),
            "since": None if self.since is None else format_instant(self.since),
            "stretches": self.stretches,
            "changes": dict(Counter(f"{one.old} -> {one.new}" for one in self.answers)),
            "differences": [difference_content(one) for one in self.differences],
        }

    def document(self) -> bytes:
        """The report as canonical JSON: the same two books give the same bytes."""
        return msgspec.json.encode(self.content(), order="sorted")


def diff_report(
    old: Book,
    new: Book,
    at: datetime | None = None,
    progress: Progress | None = None,
    *,
    since: datetime | None = None,
) -> DiffReport:
    """What differs between two books at an instant, or over all time when none is given, or from an instant on.

    Pure. Raises `DisprovedError` when the engine does not answer a counterexample as the analysis says.
    """
    comparison = compare(old, new, at, progress, since=since)
    return DiffReport(
        old=old.fingerprint,
        new=new.fingerprint,
        at=at,
        since=since,
        stretches=len(comparison.stretches),
        differences=comparison.differences,
    )


def diff_of_files(
    old: Mapping[str, bytes],
    new: Mapping[str, bytes],
    at: datetime | None = None,
    progress: Progress | None = None,
    *,
    since: datetime | None = None,
) -> DiffReport:
    """The same of two books in files by their names. Raises `FaultsError` for a book that cannot be read."""
    return diff_report(read_book(old, archived=True), read_book(new), at, progress, since=since)


_decoder: Final = msgspec.json.Decoder(DiffDocument)


def read_diff(document: bytes) -> DiffReport:
    """The report in a document that `DiffReport.document` gave: it tells the same. The exact sets are in no document,
    so the `members` of its differences are empty. Raises `ValueError` for what is no such document."""
    held = _decoder.decode(document)
    return DiffReport(
        old=held.old,
        new=held.new,
        at=convert(held.at, datetime | None),
        since=convert(held.since, datetime | None),
        stretches=held.stretches,
        differences=tuple(map(_difference_read, held.differences)),
    )


def _difference_read(held: ClassDocument) -> Difference:
    shown = held.witness
    return Difference(
        old=held.old,
        new=held.new,
        rules=held.rules,
        reasons=convert(held.reasons, tuple[tuple[ReasonedAnswer, ReasonedAnswer], ...], from_attributes=True),
        where=convert(held.where, tuple[Where, ...], from_attributes=True),
        clauses=convert(held.clauses, tuple[PhrasedCase, ...], from_attributes=True),
        more_clauses=held.more_clauses,
        whole=held.whole,
        counterexample=convert(shown, Counterexample, from_attributes=True),
        answer_old=convert(shown.old, ReasonedAnswer, from_attributes=True),
        answer_new=convert(shown.new, ReasonedAnswer, from_attributes=True),
        members={},
    )


def difference_content(one: Difference) -> dict[str, object]:
    """A class as plain values."""
    return {
        "old": one.old,
        "new": one.new,
        "rules": list(one.rules),
        "reasons": to_builtins(one.reasons),
        "where": [where_content(where) for where in one.where],
        "clauses": to_builtins(one.clauses),
        "more_clauses": one.more_clauses,
        "whole": one.whole,
        "witness": {
            "at": one.counterexample.at,
            "gateway": one.counterexample.gateway,
            "members": one.counterexample.members,
            "request": one.counterexample.request,
            "old": to_builtins(one.answer_old),
            "new": to_builtins(one.answer_new),
        },
    }


def where_content(where: Where) -> dict[str, object]:
    """Actions on models for a time as plain values."""
    return {
        "models": list(where.models),
        "actions": [action.value for action in where.actions],
        "from": None if where.start is None else format_instant(where.start),
        "to": None if where.end is None else format_instant(where.end),
    }
