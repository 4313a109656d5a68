"""Changes of single rows of the members (suspend, resume, end, correct, retract): from what is on file to new rows.

Nothing is recorded here, and nothing on file is changed: the rows that an edit makes are recorded like those of an
import. `suspend` and `resume` close the row in force at an instant and open one of the other status there, up to where
the closed one would have ended; `end` closes a row; `correct` takes a row back and files it with other values;
`retract` says that a row was never true.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from policy_engine.domain.instants import Validity, format_instant
from policy_engine.domain.roster import (
    Authorisation,
    Membership,
    MembershipStatus,
    PersonEntry,
    Recorded,
    RosterRows,
    latest_known,
)
from policy_engine.formats.book_names import BookNames
from policy_engine.formats.documents import plain, read_document
from policy_engine.formats.faults import near_miss, one_of, quoted
from policy_engine.formats.membership_file import read_members
from policy_engine.formats.membership_writer import write_members
from policy_engine.formats.row_names import told_interval
from policy_engine.shapes.member_rows import BY_WORD, Section
from policy_engine.shapes.members import EditAction

_LAST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One change of a row.

    `kind` is a word of `BY_WORD`, `name` what the row is about (later parts may be left out), `at` the instant of a
    suspension, resumption or end (see `from_now`), `begins` the `from` of the row where several are about one thing;
    `changes` are the members of a correction with their values as they are written in a membership file.
    """

    action: EditAction
    kind: str
    name: tuple[str, ...]
    at: datetime | None = None
    begins: datetime | None = None
    changes: tuple[tuple[str, str], ...] = ()

    def from_now(self, now: datetime) -> Edit:
        """The same, where nothing else was said from now on: for what narrows, which nobody has to approve first."""
        if self.at is None and self.action in (EditAction.SUSPEND, EditAction.END):
            return replace(self, at=now)
        return self


class EditFault(ValueError):
    """The edit cannot be made of what is on file; the text says why and what to do."""


def rows_of_edit(edit: Edit, on_file: RosterRows, names: BookNames | None) -> RosterRows:
    """The rows, undated, that make the edit; `names` are those that the book knows.

    Raises `EditFault` where the row is not there, is not the only one, or says so already, and `FaultsError` for a
    corrected row that the reader of membership files refuses.
    """
    kind = BY_WORD.get(edit.kind)
    if kind is None:
        raise EditFault(f"unknown kind of row {quoted(edit.kind)}; {one_of(edit.kind, tuple(BY_WORD))}")
    match edit.action:
        case EditAction.SUSPEND:
            return _with_status(edit, kind, on_file, MembershipStatus.SUSPENDED)
        case EditAction.RESUME:
            return _with_status(edit, kind, on_file, MembershipStatus.ACTIVE)
        case EditAction.END:
            return _ended(edit, kind, on_file)
        case EditAction.RETRACT:
            return _retracted(edit, kind, on_file)
        case EditAction.CORRECT:
            return _corrected(edit, kind, on_file, names)


def _known(kind: Section, on_file: RosterRows) -> list[Recorded]:
    return latest_known(getattr(on_file, kind.rows), None)


def _found(edit: Edit, kind: Section, on_file: RosterRows) -> list[Recorded]:
    """The rows that the edit names, as known in the end."""
    if not 0 < len(edit.name) <= len(kind.named_by):
        raise EditFault(f"a row of kind {quoted(kind.word)} is named by {', '.join(kind.named_by).upper()}")
    known = _known(kind, on_file)
    found = [row for row in known if kind.name_of(row)[: len(edit.name)] == edit.name]
    if not found:
        raise EditFault(_not_there(edit, kind, known))
    if edit.begins is not None:
        found = [row for row in found if _valid(row).start == edit.begins]
        if not found:
            raise EditFault(f"no {kind.word} of {_shown(edit.name)} begins at {format_instant(edit.begins)}")
    return found


def _not_there(edit: Edit, kind: Section, known: Sequence[Recorded]) -> str:
    message = f"no {kind.word} of {_shown(edit.name)} is on file"
    names = [kind.name_of(row)[: len(edit.name)] for row in known]
    for place, part in enumerate(edit.name):
        agreeing = {name[place] for name in names if name[:place] == edit.name[:place]}
        if part not in agreeing:
            near = near_miss(part, tuple(sorted(agreeing)))
            hint = f"did you mean {quoted(near)}?" if near is not None else ""
            return f"{message}: nothing has {quoted(part)} as its {kind.named_by[place]}" + (
                f"; {hint}" if hint else ""
            )
    return message


def _only(edit: Edit, kind: Section, found: Sequence[Recorded]) -> Recorded:
    if len(found) > 1:
        told = "; ".join(sorted(f"{' '.join(kind.name_of(row))} {_told(row)}" for row in found))
        raise EditFault(
            f"{len(found)} rows of kind {quoted(kind.word)} are about {_shown(edit.name)}: {told};"
            " name the rest of its fields, or say which with --begins"
        )
    return found[0]


def _with_status(edit: Edit, kind: Section, on_file: RosterRows, status: MembershipStatus) -> RosterRows:
    at = _instant(edit)
    if kind.word != "membership" or len(edit.name) != len(kind.named_by):
        raise EditFault(f"only a membership can be {status.value}: name an organisation and a consortium")
    rows = [row for row in _found(edit, kind, on_file) if isinstance(row, Membership)]
    held = [row for row in rows if row.valid.holds(at)]
    of = f"{edit.name[0]} in {edit.name[1]}"
    if not held:
        told = "; ".join(sorted(f"{row.status} {told_interval(row)}" for row in rows))
        raise EditFault(f"{of} is not a member at {format_instant(at)}: on file is {told}")
    changed = [row for row in held if row.status is not status]
    if not changed:
        raise EditFault(f"{of} is {status.value} at {format_instant(at)} already: {told_interval(held[0])}")
    made: list[Membership] = [
        _undated(replace(row, valid=Validity(start=row.valid.start, end=at)))
        for row in changed
        if row.valid.start != at
    ]
    if len(held) == len(changed):
        longest = max(changed, key=lambda row: row.valid.end or _LAST)
        made.append(_undated(replace(longest, status=status, valid=Validity(start=at, end=longest.valid.end))))
    return RosterRows(memberships=tuple(made))


def _ended(edit: Edit, kind: Section, on_file: RosterRows) -> RosterRows:
    at = _instant(edit)
    found = _found(edit, kind, on_file)
    if not kind.dated:
        raise EditFault(f"{quoted(kind.word)} rows have no interval; `retract` says that one was never true")
    open_then = [row for row in found if _valid(row).end is None or not _valid(row).ended(at)]
    if not open_then:
        of = f"the {kind.word} of {_shown(edit.name)}"
        raise EditFault(f"{of} has ended by {format_instant(at)} already: {_told(found[0])}")
    row = _only(edit, kind, open_then)
    start = _valid(row).start
    if start is not None and at <= start:
        raise EditFault(
            f"the {kind.word} of {_shown(edit.name)} begins at {format_instant(start)} and cannot end at"
            f" {format_instant(at)}; if it never was true, retract it"
        )
    return _rows(kind, _undated(_replaced(row, valid=Validity(start=start, end=at))))


def _retracted(edit: Edit, kind: Section, on_file: RosterRows) -> RosterRows:
    row = _only(edit, kind, _found(edit, kind, on_file))
    naming = _naming(kind, kind.name_of(row)[0], on_file)
    if naming:
        raise EditFault(
            f"{_shown(edit.name)} is named by {', '.join(naming)} on file; retract or end those first, since they would"
            " point at nothing"
        )
    return _rows(kind, _undated(_replaced(row, retracted=True)))


def _naming(kind: Section, name: str, on_file: RosterRows) -> list[str]:
    """What names the row's id, as "2 employment rows"."""
    told = []
    for other in BY_WORD.values():
        rows = _known(other, on_file) if other is not kind else ()
        count = sum((kind.rows, name) in other.named_in(row) for row in rows)
        if count:
            told.append(f"{count} {other.word} row{'s' if count > 1 else ''}")
    return told


def _corrected(edit: Edit, kind: Section, on_file: RosterRows, names: BookNames | None) -> RosterRows:
    if not edit.changes:
        raise EditFault("a correction needs the right value: --set FIELD=VALUE, as in a membership file")
    row = _only(edit, kind, _found(edit, kind, on_file))
    if kind.word == "person":
        raise EditFault("what is filed about a person is corrected row by row, such as `correct citizenship alice FR`")
    document = plain(read_document(write_members(_for_file(kind, _undated(row)), recorded=True).encode(), "the row"))
    target = _row_in(document, kind)
    for field, value in edit.changes:
        target[field] = plain(read_document(value.encode() or b"null", f"--set {field}"))
    others = tuple(one for one in getattr(on_file, kind.rows) if one.key != row.key)
    existing = _replaced(on_file, **{kind.rows: others})
    text = json.dumps(document, default=str, ensure_ascii=False)
    if names is not None and isinstance(row, Authorisation):
        # What the correction leaves as it is on file is not asked about.
        names = replace(names, regimes=names.regimes | {row.regime}, items=names.items | set(row.models))
    read = read_members(text.encode(), "the corrected row", existing=existing, names=names)
    (right,) = getattr(read, kind.rows)
    if right == _undated(row):
        raise EditFault(f"nothing changes: the {kind.word} of {_shown(edit.name)} says so already")
    rows = (right,) if right.key == row.key else (_undated(_replaced(row, retracted=True)), right)
    return _rows(kind, *rows)


def _for_file(kind: Section, row: Any) -> RosterRows:
    """The row as the only one of a file; a row of a person's list with the person around it."""
    rows = _rows(kind, row)
    if not kind.personal:
        return rows
    # Only the list of the row is in the file, so that the others stay as they are.
    return replace(rows, people=(_replaced(PersonEntry(id=row.person), **{f"{kind.name}_filed": True}),))


def _row_in(document: Any, kind: Section) -> dict[str, Any]:
    (rows,) = document.values()
    (row,) = rows
    found: dict[str, Any] = row[kind.name][0] if kind.personal else row
    return found


def _rows(kind: Section, *rows: Any) -> RosterRows:
    return RosterRows(**{kind.rows: rows})


def _undated(row: Any) -> Any:
    return replace(row, recorded_at=None)


def _replaced(row: Any, **changes: Any) -> Any:
    return replace(row, **changes)


def _valid(row: Any) -> Validity:
    return getattr(row, "valid", None) or Validity()


def _told(row: Recorded) -> str:
    return told_interval(row) if hasattr(row, "valid") else ""


def _shown(name: Sequence[str]) -> str:
    return quoted(" ".join(name))


def _instant(edit: Edit) -> datetime:
    if edit.at is None:
        raise EditFault(f"`{edit.action}` needs the instant: --{'to' if edit.action is EditAction.END else 'from'} T")
    return edit.at
