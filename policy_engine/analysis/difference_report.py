"""The difference between two books as a report: canonical JSON for programs and text for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from msgspec import convert, to_builtins

from policy_engine.analysis.counterexample import Witness
from policy_engine.analysis.differences import Clause, Difference, Progress, Where, compare
from policy_engine.analysis.symbolic import NO_SUCH_MODEL, ReasonedAnswer
from policy_engine.domain.counted import many
from policy_engine.domain.instants import format_instant
from policy_engine.domain.request import Action
from policy_engine.domain.rules import Book
from policy_engine.policy.reader import read_book
from policy_engine.shapes.reports import ClassDocument, DiffDocument

SHOWN: Final = 4
"""So many clauses, and so many of the places, of a class are shown as text; the document has all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffReport:
    """Every class of requesters who are answered otherwise by the new book than by the old one.

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

    def text(self) -> str:
        """The report for a person."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        when = "at " + format_instant(self.at) if self.at is not None else f"over {self.stretches} stretches of time"
        if self.since is not None:
            when = f"from {format_instant(self.since)} on, {when}"
        answers, reasons = self.answers, self.reasons
        if not self.differences:
            yield f"nobody is answered otherwise {when}"
            return
        yield f"{many(len(answers), 'class', 'classes')} of requesters answered otherwise, {when}"
        for one in answers:
            yield ""
            yield from difference_lines(one)
        if reasons:
            yield ""
            yield f"{many(len(reasons), 'class', 'classes')} with the same answer for another reason"
            for one in reasons:
                yield f"  {one.old}, by {' and '.join(one.rules)}: {_clauses(one, 1)} ({_places(one.where, 1)})"


def diff_report(
    old: Book,
    new: Book,
    at: datetime | None = None,
    progress: Progress | None = None,
    *,
    since: datetime | None = None,
) -> DiffReport:
    """What differs between two books at an instant, or over all time when none is given, or from an instant on.

    Pure. Raises `DisprovedError` when the engine does not answer a witness as the analysis says.
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
        clauses=convert(held.clauses, tuple[Clause, ...], from_attributes=True),
        more_clauses=held.more_clauses,
        whole=held.whole,
        witness=convert(shown, Witness, from_attributes=True),
        witness_old=convert(shown.old, ReasonedAnswer, from_attributes=True),
        witness_new=convert(shown.new, ReasonedAnswer, from_attributes=True),
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
            "at": one.witness.at,
            "gateway": one.witness.gateway,
            "members": one.witness.members,
            "request": one.witness.request,
            "old": to_builtins(one.witness_old),
            "new": to_builtins(one.witness_new),
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


def difference_lines(one: Difference) -> Iterator[str]:
    """A class in some lines for a person."""
    yield f"{one.old} -> {one.new}, by {' and '.join(one.rules)}"
    for clause in one.clauses[:SHOWN]:
        yield f"  {clause.text}"
    hidden = len(one.clauses) - SHOWN
    if hidden > 0 or one.more_clauses:
        yield f"  and {hidden if hidden > 0 else 'some'}{' or more' if one.more_clauses and hidden > 0 else ''} others"
    if not one.whole:
        yield f"  (of those only some: whom other rules answer with {one.old} for another reason stay out)"
    for where in one.where[:SHOWN]:
        yield f"  for {place_in_words(where)}"
    if len(one.where) > SHOWN:
        yield f"  and {len(one.where) - SHOWN} others"
    before, after = one.witness_old, one.witness_new
    yield f"  for example {_request_in_words(one.witness.request)} at {one.witness.at}:"
    yield f"    {before.decision} {before.rule} {before.code} -> {after.decision} {after.rule} {after.code}"


def _request_in_words(request: Mapping[str, object]) -> str:
    subject = request.get("subject")
    who = subject.get("id") if isinstance(subject, dict) else None
    return f"{who} asking for {request.get('action')} of {request.get('model')}"


def place_in_words(where: Where) -> str:
    """Models, actions and a time in a phrase."""
    return f"{models_in_words(where.models)}: {actions_in_words(where.actions)}{span_in_words(where.start, where.end)}"


def models_in_words(models: Sequence[str]) -> str:
    """The models by name; the one that stands for all others as such."""
    return ", ".join("any model that is in no catalogue" if name == NO_SUCH_MODEL else name for name in models)


def actions_in_words(actions: Sequence[Action]) -> str:
    """The actions by name."""
    return "every action" if len(actions) == len(Action) else ", ".join(action.value for action in actions)


def span_in_words(start: datetime | None, end: datetime | None) -> str:
    """From when until when; nothing for all time and for a single instant."""
    if start == end:
        return ""
    since = f" from {_short(start)}" if start is not None else ""
    return f"{since} until {_short(end)}" if end is not None else since


def _short(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ").replace("T00:00:00Z", "")


def _clauses(one: Difference, most: int) -> str:
    shown = "; ".join(clause.text for clause in one.clauses[:most])
    return f"{shown}; …" if one.more_clauses or len(one.clauses) > most else shown


def _places(where: Sequence[Where], most: int) -> str:
    shown = "; ".join(place_in_words(one) for one in where[:most])
    return f"{shown}; …" if len(where) > most else shown


def together(lines: Iterable[str]) -> str:
    """Lines as one text."""
    return "".join(f"{line}\n" for line in lines)
