"""The changelog of a rule book: why a rule with a known id means something else, or is gone, since the book before.

An id is for life, and decisions of years ago are found by it. So a rule may change what it means under its id, and it
may go, but not in silence: `CHANGELOG.csv` beside the book has a line for each such change, with the columns

    rule    the id
    date    the day of the change, 2026-06-12
    what    what is different, in a sentence
    why     who or what asked for it

An entry speaks of the step from one book to the next when it stands in the changelog of the later one and not in that
of the earlier. Entries are never changed and never go, or an old one could be brushed up to stand for a new change.

The meaning of a rule is what decides whether it matches and what follows for the answer: its regime, effect, hold, whom
it judges, its conditions with `unless`, and its codes. Sentences, citations, obligations and times are not: who changes
those changes no meaning of an id, and sees them in the difference of the books. The changelog is no part of the
fingerprint, since no answer depends on it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, TypeAlias

from policy_engine.domain.rules import FACETS, Book, Condition, Row, Term
from policy_engine.formats.faults import Fault, Findings, quoted
from policy_engine.policy.cells import instant_remedy
from policy_engine.policy.conditions import RULE_ID, hint
from policy_engine.policy.csv_reader import Sheet, SheetRow, read_sheet

CHANGELOG: Final = "CHANGELOG.csv"
"""The name of the file, in the folder of the book."""

COLUMNS: Final = ("rule", "date", "what", "why")

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_REMEDY: Final = f"add a line to {CHANGELOG}: the id, the date, what changed, and why"

_Meaning: TypeAlias = tuple[tuple[str, object], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangelogEntry:
    """One entry; `line` is where it stands in the file."""

    rule: str
    day: date
    what: str
    why: str
    line: int

    @property
    def content(self) -> tuple[str, date, str, str]:
        """What makes it the same entry in another book, wherever it stands."""
        return self.rule, self.day, self.what, self.why


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangelogComparison:
    """What the step from one book to the next leaves unsaid, and what is said of rules that did not change."""

    faults: tuple[Fault, ...]
    notices: tuple[str, ...]


def read_changelog(data: bytes | None, faults: list[Fault]) -> tuple[ChangelogEntry, ...]:
    """The entries in the order of the file, none where there is no file; what is wrong is added to `faults`."""
    if data is None:
        return ()
    findings = Findings(source=CHANGELOG, faults=faults)
    sheet = read_sheet(data, findings)
    at = None if sheet is None else sheet.columns(findings, "a changelog", COLUMNS)
    if sheet is None or at is None:
        return ()
    found = [_entry(record, at, sheet, findings) for record in sheet.records]
    return tuple(entry for entry in found if entry is not None)


def new_entries(before: Sequence[ChangelogEntry], after: Sequence[ChangelogEntry]) -> tuple[ChangelogEntry, ...]:
    """The entries of the later changelog that the earlier one has not."""
    left = Counter(entry.content for entry in before)
    found = []
    for entry in after:
        if left[entry.content]:
            left[entry.content] -= 1
        else:
            found.append(entry)
    return tuple(found)


def meaning_changes(old: Book, new: Book, entries: Sequence[ChangelogEntry]) -> tuple[Fault, ...]:
    """A fault for every rule that means something else in the new book, or is gone from it, and has no entry.

    `entries` are those written for this step: see `new_entries`. The place is the row's in the file of its regime; of a
    rule that is gone, the beginning of the changelog.
    """
    told = {entry.rule for entry in entries}
    faults = []
    for row, later in _changed(old, new):
        if row.id in told:
            continue
        if later is None:
            message = f"the rule {quoted(row.id)} of rules/{row.regime}.csv is gone, and no new entry says why"
            faults.append(Fault(source=CHANGELOG, line=1, column=1, message=message, remedy=_REMEDY))
        else:
            message = f"the rule {quoted(row.id)} has another meaning than before in {_difference(row, later)}"
            message += f", and no new entry of {CHANGELOG} says why"
            source = f"rules/{later.regime}.csv"
            faults.append(Fault(source=source, line=max(1, later.line), column=1, message=message, remedy=_REMEDY))
    return tuple(faults)


def compare(
    old: Book, new: Book, before: Sequence[ChangelogEntry], after: Sequence[ChangelogEntry]
) -> ChangelogComparison:
    """`meaning_changes` with what is wrong between the changelogs: lost entries, and new ones about no rule."""
    entries = new_entries(before, after)
    faults = list(meaning_changes(old, new, entries))
    faults += [_lost(entry) for entry in new_entries(after, before)]
    known = frozenset(row.id for book in (old, new) for row in book.rows)
    same = known - {row.id for row, _ in _changed(old, new)}
    faults += [_about_nothing(entry, known) for entry in entries if entry.rule not in known]
    notices = tuple(
        f"{CHANGELOG}:{entry.line}: the meaning of {quoted(entry.rule)} has not changed"
        for entry in entries
        if entry.rule in same
    )
    return ChangelogComparison(faults=tuple(faults), notices=notices)


def _lost(entry: ChangelogEntry) -> Fault:
    message = f"the entry of {entry.day} about {quoted(entry.rule)} is gone or changed: {quoted(entry.what)}"
    remedy = "put it back as it was, and write another entry for what is new"
    return Fault(source=CHANGELOG, line=1, column=1, message=message, remedy=remedy)


def _about_nothing(entry: ChangelogEntry, known: frozenset[str]) -> Fault:
    message = f"there is no rule {quoted(entry.rule)}, in this book or in the one before"
    return Fault(source=CHANGELOG, line=entry.line, column=1, message=message, remedy=hint(entry.rule, known))


def _changed(old: Book, new: Book) -> list[tuple[Row, Row | None]]:
    """The rules of the old book that mean something else in the new one, each with what it is there."""
    later = {row.id: row for row in new.rows}
    pairs = [(row, later.get(row.id)) for row in old.rows]
    return [(row, now) for row, now in pairs if now is None or _meaning(row) != _meaning(now)]


def _meaning(row: Row) -> _Meaning:
    return (
        ("regime", row.regime),
        ("effect", row.effect),
        ("hold", row.hold),
        ("judges", row.judges_host),
        *zip(FACETS, map(_asked, row.facets), strict=True),
        ("unless", _asked(row.unless)),
        ("codes", tuple((rule.code, _asked(rule.condition), rule.on_unknown, rule.beside) for rule in row.codes)),
    )


def _asked(condition: Condition) -> frozenset[frozenset[Term]]:
    """A condition without the order in which it is written."""
    return frozenset(map(frozenset, condition.alternatives))


def _difference(row: Row, later: Row) -> str:
    pairs = zip(_meaning(row), _meaning(later), strict=True)
    columns = [column for (column, was), (_, now) in pairs if was != now]
    return ", ".join(f"`{column}`" for column in columns)


def _entry(record: SheetRow, at: Mapping[str, int], sheet: Sheet, findings: Findings) -> ChangelogEntry | None:
    cells = {name: record.cells[index] for name, index in at.items()}
    wrong: list[tuple[str, str, str]] = []
    if not RULE_ID.fullmatch(cells["rule"]):
        meant = cells["rule"].upper()
        remedy = f"did you mean {quoted(meant)}?" if RULE_ID.fullmatch(meant) else "write the id of one rule"
        wrong.append(("rule", f"{quoted(cells['rule'])} is not the id of a rule", remedy))
    day = _day(cells["date"])
    if day is None:
        remedy = instant_remedy(cells["date"], "write the day as 2026-06-12")
        wrong.append(("date", f"{quoted(cells['date'])} is not a date", remedy))
    empty = [column for column in ("what", "why") if not cells[column]]
    wrong += [(column, "the cell is empty", "an entry says what changed, and why") for column in empty]
    for column, message, remedy in wrong:
        sheet.note(findings, record, at[column], f"in `{column}`: {message}", remedy)
    if wrong or day is None:
        return None
    return ChangelogEntry(rule=cells["rule"], day=day, what=cells["what"], why=cells["why"], line=record.line)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None
