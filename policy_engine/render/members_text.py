"""What is on file after a change of the members, in plain words: one line for each thing that the change touched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from policy_engine.domain.counted import many
from policy_engine.domain.in_force import memberships_in_force, state_at
from policy_engine.domain.roster import Membership, Roster, RosterRows, latest_known
from policy_engine.formats.membership_writer import row_text
from policy_engine.render.words import day
from policy_engine.shapes.member_rows import BY_WORD, PERSONAL, Section

LINES: Final = 20
"""Things that are told one by one; the rest is counted by kind."""


def state_after(rows: RosterRows, new: RosterRows) -> list[str]:
    """The state of everything that the new rows speak of, where `rows` is everything on file with them."""
    roster = Roster.as_known(rows)
    lines: list[str] = []
    untold: dict[str, int] = {}
    for kind in BY_WORD.values():
        touched = dict.fromkeys(kind.name_of(row) for row in getattr(new, kind.rows))
        if not touched:
            continue
        known: dict[tuple[str, ...], list[Any]] = {}
        for row in latest_known(getattr(rows, kind.rows), None):
            known.setdefault(kind.name_of(row), []).append(row)
        for name in touched:
            if len(lines) >= LINES:
                untold[kind.word] = untold.get(kind.word, 0) + 1
            else:
                lines += _told(kind, name, known.get(name, []), roster)
    if untold:
        lines.append("and more: " + ", ".join(f"{count:,} × {word}" for word, count in untold.items()))
    return lines


def _told(kind: Section, name: tuple[str, ...], rows: Sequence[Any], roster: Roster) -> list[str]:
    if not rows:
        return [f"{kind.word} {' '.join(name)}: not on file"]
    if kind.word == "membership":
        return [f"{membership_told(rows)}; {_reached(name[0], roster)}"]
    # When a row was recorded is no part of the state; one that is only looked at is recorded never.
    return [row_text(replace(row, recorded_at=None)) for row in rows]


def membership_told(rows: Sequence[Membership]) -> str:
    """One membership over its whole time, by the row that counts at each instant at which one begins or ends."""
    edges = sorted({edge for row in rows for edge in (row.valid.start, row.valid.end) if edge is not None})
    spans: list[tuple[str, datetime | None, datetime | None]] = []
    starts: list[datetime | None] = [None, *edges]
    for start, end in zip(starts, [*edges, None], strict=True):
        counting = memberships_in_force(rows, start) if start is not None else _before(rows)
        if not counting:
            continue
        status = counting[0].status.value
        if spans and spans[-1][0] == status and spans[-1][2] == start:
            spans[-1] = (status, spans[-1][1], end)
        else:
            spans.append((status, start, end))
    row = rows[0]
    return f"{row.organisation} in {row.consortium}: " + ", ".join(_span(*span) for span in spans)


def _before(rows: Iterable[Membership]) -> list[Membership]:
    return sorted((row for row in rows if row.valid.start is None), key=lambda row: row.status, reverse=True)


def _span(status: str, start: datetime | None, end: datetime | None) -> str:
    if start is None:
        return f"{status} until {day(end)}" if end is not None else f"always {status}"
    return f"{status} from {day(start)}" if end is None else f"{status} {day(start)} to {day(end)}"


def _reached(organisation: str, roster: Roster) -> str:
    """Who asks for the organisation: accounts, and people who ever worked for it and whose work has not ended."""
    accounts = sum(row.organisation == organisation for row in roster.accounts.values())
    people = sum(
        any(row.organisation == organisation and row.valid.end is None for row in person.employments or ())
        for person in roster.people.values()
    )
    told = [many(accounts, "account"), many(people, "person", "people")]
    return f"{told[0]} and {told[1]} {'is' if accounts + people == 1 else 'are'} affected"


def told_about(rows: RosterRows, at: datetime) -> list[str]:
    """Rows as known, one on a line, with whether each is true at the instant; of each person also which lists are
    unknown, and which are known to be empty."""
    lines: list[str] = []
    for kind in BY_WORD.values():
        held: Sequence[Any] = getattr(rows, kind.rows)
        if kind.word == "person":
            lines += (line for entry in held for line in _lists_told(entry, rows))
            continue
        if kind.word == "membership":
            things = dict.fromkeys(kind.name_of(row) for row in held)
            groups = ([row for row in held if kind.name_of(row) == thing] for thing in things)
            lines += (f"membership: {membership_told(group)}" for group in groups)
        lines += (f"{state_at(row, at)}: {row_text(row)}" for row in held)
    return lines


def _lists_told(entry: Any, rows: RosterRows) -> list[str]:
    lines = [f"on file: person {entry.id}"]
    for section in PERSONAL:
        if not getattr(entry, f"{section.name}_filed"):
            lines.append(f"unknown: {section.name} of {entry.id}, which nobody filed")
        elif not any(row.person == entry.id for row in getattr(rows, section.rows)):
            lines.append(f"known, none: {section.name} of {entry.id}")
    return lines
