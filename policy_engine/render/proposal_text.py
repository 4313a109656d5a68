"""The report of a proposal as text of 80 columns, for a terminal and for a letter.

Lists that are long say how much more there is: the page and the JSON have all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Final

from policy_engine.analysis.differences import Difference
from policy_engine.domain.counted import many
from policy_engine.domain.instants import format_instant
from policy_engine.policy.book_changes import BookChanges, RowChange
from policy_engine.render.difference_text import difference_lines
from policy_engine.render.words import together, who
from policy_engine.service.administration.proposal_report import ProposalReport, by_holder, decided_by
from policy_engine.shapes.reports import CaseDifferenceDocument, CellDocument, ImpactDocument, StandingDocument

WIDTH: Final = 79
CLASSES: Final = 20
"""So many classes of requesters are told of each kind of change."""

HOLDERS: Final = 40
"""So many of those on file are told by name."""

EXAMPLES: Final = 30
"""So many worked examples are told of each kind."""

_SIGNS: Final = {"added": "+", "removed": "-", "changed": "~"}


def proposal_text(report: ProposalReport) -> str:
    """The report for a person."""
    return together(_lines(report))


def _lines(report: ProposalReport) -> Iterator[str]:
    for warning in report.warnings:
        yield from _wrapped(f"! {warning}", "", "  ")
    if report.warnings:
        yield ""
    yield "IN SHORT"
    for line in report.in_short:
        yield from _wrapped(line, "  * ", "    ")
    if report.changes is not None:
        yield from _changes(report.changes)
    if report.difference is not None:
        for title, found in answers_by_kind(report):
            yield from _classes(title.upper(), found)
        if report.difference.reasons:
            yield ""
            count = many(len(report.difference.reasons), "class", "classes")
            yield f"SAME ANSWER FOR ANOTHER REASON: {count} (on the page: --html FILE)"
    if report.impact is not None:
        yield from _impact(report.impact)
    if report.cases:
        yield from _cases(report)


def _changes(changes: BookChanges) -> Iterator[str]:
    yield ""
    yield "WHAT DIFFERS IN THE FILES"
    for row in changes.rows:
        yield from _row(row)
    for one in changes.files:
        yield f"  ~ {one.file}"
        for cell in one.values:
            yield from _cell(cell)
    for entry in changes.other_reasons:
        yield from _wrapped(f"reason given for {entry.rule}: {entry.what}; {entry.why}", "  ", "    ")
    if not (changes.rows or changes.files):
        yield "  no row and no value"


def _row(row: RowChange) -> Iterator[str]:
    moved = "" if row.moved_from is None else f", was in {row.moved_from}"
    yield f"  {_SIGNS[row.what]} {row.rule}  {row.what} in {row.file}{moved}"
    for cell in row.cells:
        yield from _cell(cell)
    for entry in row.reasons:
        yield from _wrapped(f"why: {entry.what}; {entry.why} ({entry.day})", "      ", "        ")


def _cell(cell: CellDocument) -> Iterator[str]:
    yield f"      {cell.name}"
    for sign, text in (("-", cell.before), ("+", cell.after)):
        if text is not None:
            for number, line in enumerate(text.split("\n")):
                yield from _wrapped(line, f"        {sign} " if number == 0 else "          ", "          ")


def answers_by_kind(report: ProposalReport) -> tuple[tuple[str, list[Difference]], ...]:
    """The classes of requesters whose answer changes, by what they lose or gain; none where no difference was kept."""
    answers = () if report.difference is None else report.difference.answers
    return (
        ("Who loses", [one for one in answers if one.old == "allow"]),
        ("Who gains", [one for one in answers if one.new == "allow"]),
        ("Who is held, or held no more", [one for one in answers if "allow" not in (one.old, one.new)]),
    )


def _classes(title: str, found: Sequence[Difference]) -> Iterator[str]:
    if not found:
        return
    yield ""
    yield f"{title}: {many(len(found), 'class', 'classes')} of requesters"
    for one in found[:CLASSES]:
        for line in difference_lines(one):
            inner = line.lstrip(" ")
            indent = " " * (len(line) - len(inner) + 2)
            yield from _wrapped(inner, indent, indent + "  ")
    yield from _more(len(found) - CLASSES)


def _impact(impact: ImpactDocument) -> Iterator[str]:
    standing = impact.standing_access
    for title, ones in (
        ("ON FILE NOW, AND LOSING", standing.lost or ()),
        ("ON FILE NOW, AND DENIED FOR WANT OF A FACT", standing.undetermined or ()),
        ("ON FILE NOW, AND GAINING", standing.gained or ()),
    ):
        if ones:
            yield from _holders(title, ones)
    parts = [
        (share.dimension, share.value, told)
        for share in (standing.shares if impact.rounded_down_to else impact.shares)
        if (
            told := ", ".join(
                f"{count:,} {name.replace('_', ' ')}"
                for name, count in share.outcomes.items()
                if count > 0 and name != "unchanged"
            )
        )
    ]
    if parts:
        yield ""
        yield "ACCESS OF THOSE ON FILE BY PART" if impact.rounded_down_to else "RECORDED DECISIONS BY PART"
        for dimension, value, told in parts[:HOLDERS]:
            yield from _wrapped(f"{dimension.replace('_', ' ')} {value}: {told}", "  ", "      ")
        yield from _more(len(parts) - HOLDERS)


def _holders(title: str, ones: tuple[StandingDocument, ...]) -> Iterator[str]:
    holders = by_holder(ones)
    yield ""
    yield f"{title}: {many(len(holders), 'requester')}"
    for (subject, organisation), held in list(holders.items())[:HOLDERS]:
        models = ", ".join(one.model for one in held)
        for_whom = "" if organisation is None else f" for {organisation}"
        yield from _wrapped(f"{subject}{for_whom}: {models}", "  ", "      ")
        for rule, code in decided_by(held):
            yield f"      {rule} {code}"
    yield from _more(len(holders) - HOLDERS)


def _cases(report: ProposalReport) -> Iterator[str]:
    yield ""
    yield "WORKED EXAMPLES"
    for what in ("removed", "changed", "added"):
        found = report.of_cases(what)
        for one in found[:EXAMPLES]:
            yield from _case(one)
        yield from _more(len(found) - EXAMPLES, what)


def _case(one: CaseDifferenceDocument) -> Iterator[str]:
    yield from _wrapped(f"{_SIGNS[one.what]} {one.id}  {one.what}: {one.title}", "  ", "      ")
    if one.what == "changed":
        for cell in one.values:
            yield from _cell(cell)
    else:
        expected = "expected" if one.what == "removed" else "expects"
        yield from _wrapped(f"{expected} {one.expects}", "      ", "        ")


def _more(count: int, what: str = "") -> Iterator[str]:
    if count > 0:
        yield f"  and {count:,} more{' ' + what if what else ''}: the page has all of them (--html FILE)"


def _wrapped(text: str, first: str, rest: str) -> Iterator[str]:
    """The text in lines; an id or a fingerprint is never broken, but one that no line can hold."""
    lines = wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
    yield from lines or [first.rstrip()]


def heading(report: ProposalReport) -> tuple[tuple[str, str], ...]:
    """What the proposal is, as names and values."""
    held, content = report.proposal, report.proposal.content
    start = held.in_force or content.effective
    told = [
        ("status", report.status.replace("_", " ")),
        ("note", content.note),
        ("proposed", f"by {who(held.author)} at {format_instant(held.proposed_at)}"),
        ("in force", "from its approval on" if start is None else f"from {format_instant(start)}"),
        ("book", content.fingerprint),
        ("follows", content.base),
    ]
    if held.approver is not None and held.approved_at is not None:
        told.insert(3, ("approved", f"by {who(held.approver)} at {format_instant(held.approved_at)}"))
    if content.withdraws:
        told.append(("withdraws", ", ".join(content.withdraws)))
    return tuple(told)
