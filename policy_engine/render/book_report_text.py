"""The report on a book as text, plain values and CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import to_builtins

from policy_engine.analysis.book_report import (
    MEMBERSHIPS,
    NO_CONSORTIUM,
    STATUSES,
    Access,
    BookReport,
    Flip,
    Gap,
    IdleRow,
)
from policy_engine.analysis.difference_report import difference_content
from policy_engine.analysis.symbolic import NO_SUCH_MODEL
from policy_engine.domain.instants import format_instant
from policy_engine.formats.spreadsheet import line, listed
from policy_engine.render.difference_text import actions_in_words, models_in_words
from policy_engine.render.words import together

COLUMNS: Final = (
    "perspective",
    "country",
    "us_status",
    "membership",
    "tier",
    "model",
    "action",
    "decision",
    "rule",
    "code",
    "rules",
    "can_be",
)
"""Of the CSV: one line for each country class, status, membership, model and action."""

NAMED: Final = 6


def book_report_content(report: BookReport) -> dict[str, object]:
    """The report as plain values."""
    return {
        "policy_version": report.fingerprint,
        "at": format_instant(report.at),
        "countries": report.countries,
        "classes": [list(one) for one in report.classes],
        "access": [_access_content(one) for one in report.access],
        "never_match": [_idle_content(one) for one in report.never_match],
        "never_decide": [_idle_content(one) for one in report.never_decide],
        "always_barred": [_idle_content(one) for one in report.always_barred],
        "gaps": [
            {
                "models": list(one.models),
                "actions": [action.value for action in one.actions],
                "clauses": to_builtins(one.clauses),
                "more_clauses": one.more_clauses,
            }
            for one in report.gaps
        ],
        "calendar": [_flip_content(one) for one in report.calendar],
    }


def _access_content(one: Access) -> dict[str, object]:
    return {
        "perspective": one.perspective,
        "countries": list(one.countries),
        "us_statuses": list(one.statuses),
        "memberships": list(one.memberships),
        "tier": one.tier,
        "models": list(one.models),
        "actions": [action.value for action in one.actions],
        **to_builtins(one.outcome),
        "rules": list(one.rules),
        "can_be": list(one.can),
    }


def _idle_content(one: IdleRow) -> dict[str, object]:
    return {"rule": one.rule, "effect": one.effect.value, "why": one.why}


def _flip_content(one: Flip) -> dict[str, object]:
    return {
        "at": format_instant(one.at),
        "rows": [{"rule": rule, "what": what} for rule, what in one.rows],
        "groups": list(one.groups),
        "differences": [difference_content(difference) for difference in one.differences],
    }


def book_report_csv(report: BookReport) -> str:
    """Who may do what as CSV that a spreadsheet may open, see `formats.spreadsheet`; lists have a line for each."""
    lines = [line(COLUMNS, end="\n")]
    for one in report.access:
        for status in one.statuses:
            for membership in one.memberships:
                for model in one.models:
                    for action in one.actions:
                        cells = (
                            one.perspective,
                            listed(one.countries),
                            status,
                            membership,
                            one.tier,
                            model,
                            action.value,
                            one.outcome.decision,
                            one.outcome.rule,
                            one.outcome.code,
                            listed(one.rules),
                            listed(one.can),
                        )
                        lines.append(line(cells, end="\n"))
    return "".join(lines)


def book_report_text(report: BookReport) -> str:
    """The report for a person."""
    return together(_lines(report))


def _lines(report: BookReport) -> Iterator[str]:
    yield f"policy {report.fingerprint} at {format_instant(report.at)}"
    yield f"{report.countries} countries in {len(report.classes)} classes that no rule tells apart"
    yield ""
    yield "who may do what, if nothing else is out of the ordinary"
    yield from _access_lines(report.access)
    for title, rows in (
        ("rows that can never match", report.never_match),
        ("rows that never change an answer", report.never_decide),
        ("grants that are always barred", report.always_barred),
    ):
        yield ""
        yield f"{title}: {len(rows) or 'none'}"
        for row in rows:
            yield f"  {row.rule} ({row.effect.value}): {row.why}"
    yield ""
    yield f"gaps, answered by ACTION_NOT_PERMITTED alone: {len(report.gaps) or 'none'}"
    for gap in report.gaps:
        yield f"  {models_in_words(gap.models)}: {actions_in_words(gap.actions)}: {gap_in_words(gap)}"
    yield ""
    yield "what flips when"
    for flip in report.calendar:
        yield f"  {format_instant(flip.at)}  {'; '.join(happenings(flip))}"
        if not flip.differences:
            yield "    no answer changes"
        for one in flip.differences:
            clause = one.clauses[0].text + ("; …" if one.more_clauses or len(one.clauses) > 1 else "")
            where = one.where[0]
            yield f"    {one.old} -> {one.new}: {clause}"
            yield f"      {models_in_words(where.models)}: {actions_in_words(where.actions)}" + (
                f"; and {len(one.where) - 1} others" if len(one.where) > 1 else ""
            )


def _access_lines(access: Sequence[Access]) -> Iterator[str]:
    """By what is of the country, and by items and actions."""
    headline: tuple[object, ...] = ()
    for one in access:
        if one.outcome.decision == "deny" and one.perspective != "citizen":
            continue
        now = (one.perspective, one.models, one.actions)
        if now != headline:
            headline = now
            yield f"  {one.perspective}: {models_in_words(one.models)}: {actions_in_words(one.actions)}"
        who = ", ".join((countries_in_words(one.countries), *people_in_words(one)))
        yield f"    {one.outcome.decision:<5} {who}  {one.outcome.rule} {one.outcome.code}"


def countries_in_words(countries: Sequence[str]) -> str:
    """Some countries by name, of more the number."""
    if len(countries) <= NAMED:
        return " ".join(countries)
    return f"{' '.join(countries[:3])} … ({len(countries)} countries)"


def people_in_words(one: Access) -> tuple[str, ...]:
    """US statuses and memberships; nothing where every one of them is answered alike."""
    statuses = () if len(one.statuses) == len(STATUSES) else (" or ".join(STATUS_WORDS[name] for name in one.statuses),)
    some = len(one.memberships) < len(MEMBERSHIPS) and one.memberships != (NO_CONSORTIUM,)
    memberships = (f"membership {' or '.join(one.memberships)}",) if some else ()
    return (*statuses, *memberships)


STATUS_WORDS: Final = {"us": "US person", "foreign": "foreign person", "unknown": "status unknown"}


def gap_in_words(gap: Gap) -> str:
    """Of whom a gap is so."""
    if not gap.clauses:
        return "everybody whom no row bars"
    shown = "; or ".join(clause.text for clause in gap.clauses[:2])
    return f"{shown}; …" if gap.more_clauses or len(gap.clauses) > 2 else shown


def happenings(flip: Flip) -> tuple[str, ...]:
    """What changes at an instant."""
    return (*(f"{rule} {what}" for rule, what in flip.rows), *flip.groups)


def named(models: Iterable[str]) -> str:
    """Models by name."""
    return ", ".join("any other" if name == NO_SUCH_MODEL else name for name in models)
