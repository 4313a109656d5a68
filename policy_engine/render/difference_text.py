"""The difference between two books as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from policy_engine.analysis.difference_report import DiffReport
from policy_engine.analysis.differences import Difference, Where
from policy_engine.analysis.symbolic import NO_SUCH_MODEL
from policy_engine.domain.counted import many
from policy_engine.domain.instants import format_instant
from policy_engine.domain.request import Action
from policy_engine.render.words import day, together

SHOWN: Final = 4
"""So many clauses, and so many of the places, of a class are shown as text; the document has all of them."""


def difference_text(report: DiffReport) -> str:
    """The report for a person."""
    return together(_lines(report))


def _lines(report: DiffReport) -> Iterator[str]:
    when = "at " + format_instant(report.at) if report.at is not None else f"over {report.stretches} stretches of time"
    if report.since is not None:
        when = f"from {format_instant(report.since)} on, {when}"
    answers, reasons = report.answers, report.reasons
    if not report.differences:
        yield f"no answer changes {when}"
        return
    yield f"{many(len(answers), 'class', 'classes')} of requesters with another answer, {when}"
    for one in answers:
        yield ""
        yield from difference_lines(one)
    if reasons:
        yield ""
        yield f"{many(len(reasons), 'class', 'classes')} with the same answer for another reason"
        for one in reasons:
            yield f"  {one.old}, by {' and '.join(one.rules)}: {_clauses(one, 1)} ({_places(one.where, 1)})"


def difference_lines(one: Difference) -> Iterator[str]:
    """A class in some lines for a person."""
    yield f"{one.old} -> {one.new}, by {' and '.join(one.rules)}"
    for clause in one.clauses[:SHOWN]:
        yield f"  {clause.text}"
    hidden = len(one.clauses) - SHOWN
    if hidden > 0 or one.more_clauses:
        yield f"  and {hidden if hidden > 0 else 'some'}{' or more' if one.more_clauses and hidden > 0 else ''} others"
    if not one.whole:
        yield f"  (only some of those: requesters whom other rules answer with {one.old} are not among them)"
    for where in one.where[:SHOWN]:
        yield f"  for {place_in_words(where)}"
    if len(one.where) > SHOWN:
        yield f"  and {len(one.where) - SHOWN} others"
    before, after = one.answer_old, one.answer_new
    yield f"  for example {_request_in_words(one.counterexample.request)} at {one.counterexample.at}:"
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
    since = f" from {day(start)}" if start is not None else ""
    return f"{since} until {day(end)}" if end is not None else since


def _clauses(one: Difference, most: int) -> str:
    shown = "; ".join(clause.text for clause in one.clauses[:most])
    return f"{shown}; …" if one.more_clauses or len(one.clauses) > most else shown


def _places(where: Sequence[Where], most: int) -> str:
    shown = "; ".join(place_in_words(one) for one in where[:most])
    return f"{shown}; …" if len(where) > most else shown
