"""The rows of the membership database as the text of a membership file.

YAML 1.2 in the shape that `membership_file` reads: flow mappings, one row on a line, sorted by their text. A text that
another reader might take for something else (`NO`, a date, a number, a colon inside) is quoted, what cannot be seen is
escaped, and an instant is plain RFC 3339.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from policy_engine.domain.instants import format_instant
from policy_engine.domain.roster import Credit, Person, PersonEntry, Recorded, Roster, RosterRows
from policy_engine.formats.faults import quoted
from policy_engine.shapes.member_rows import BY_ROWS, BY_TYPE, PERSONAL, SECTIONS, RowField, Section, ValueKind

_FIRST: Final = datetime.min.replace(tzinfo=UTC)


def write_members(rows: RosterRows, *, recorded: bool = True, unknown: bool = False) -> str:
    """The rows as YAML 1.2 in the shape that `read_members` reads: one row on a line, in an order of their own.

    With `recorded` every row ever recorded is written with its `recorded_at`, so that reading the file gives the same
    rows; without it only what is known in the end, undated. With `unknown` a person's list that was never filed is
    written as null and not left out. Raises `ValueError` when rows belong to a person's list
    that was never filed, since the file has no shape for them.
    """
    if not recorded:
        rows = in_the_end(rows)
    sections = {
        name: _people_lines(rows, unknown=unknown) if name == "people" else _lines(section, getattr(rows, section.rows))
        for name, section in SECTIONS.items()
        if not section.personal
    }
    written = [
        f"{name}:\n" + "".join(f"  - {line}\n" for line in sorted(lines)) for name, lines in sections.items() if lines
    ]
    return "".join(written) or "{}\n"


def in_the_end(rows: RosterRows, known_at: datetime | None = None) -> RosterRows:
    """What is known at an instant, or when every correction has been applied, without the instants of recording.

    Rows in a person's list that is unknown then are left out.
    """
    known = Roster.as_known(rows, known_at)
    people = tuple(known.people.values())
    found: dict[str, list[Any]] = {}
    for name, section in BY_ROWS.items():
        if section.personal:
            found[name] = [row for person in people for row in getattr(person, name) or ()]
        elif name != "people":
            held: Mapping[str, Any] = getattr(known, "owners" if name == "stakes" else name)
            found[name] = [row for one in held.values() for row in (one if isinstance(one, tuple) else (one,))]
    return RosterRows(
        people=tuple(_entry(person) for person in people),
        **{name: tuple(replace(row, recorded_at=None) for row in held) for name, held in found.items()},
    )


def _entry(person: Person) -> PersonEntry:
    filed: dict[str, Any] = {f"{one.name}_filed": getattr(person, one.rows) is not None for one in PERSONAL}
    return PersonEntry(id=person.id, **filed)


_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
_READ_DIFFERENTLY: Final = frozenset("y n yes no on off true false null nan infinity".split())
"""Plain words that are no text in YAML 1.1, in YAML 1.2 or in this project's documents."""


def _text(text: str | None) -> str:
    if text is None:
        return "null"
    if _PLAIN.fullmatch(text) is not None and text.lower() not in _READ_DIFFERENTLY:
        return str(text)
    return f'"{"".join(_escaped(character) for character in text)}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _texts(texts: Iterable[str] | None) -> str:
    return "null" if texts is None else f"[{', '.join(_text(text) for text in texts)}]"


def _instant(instant: datetime | None) -> str:
    return "null" if instant is None else format_instant(instant)


def _count(count: int | None) -> str:
    return "null" if count is None else str(count)


def _decimal(number: Decimal | None) -> str:
    return "null" if number is None else f'"{number:f}"'


def _share(share: Decimal | None) -> str:
    """A share; one of 1 % and less with its sign, since without it a reader takes it for a fraction of one."""
    return f'"{share:f} %"' if share is not None and 0 < share <= 1 else _decimal(share)


def _flag(flag: bool | None) -> str:
    return "null" if flag is None else "true" if flag else "false"


def _identifiers(identifiers: Iterable[tuple[str, str | None]] | None) -> str:
    if identifiers is None:
        return "null"
    return f"{{{', '.join(f'{_text(name)}: {_text(number)}' for name, number in identifiers)}}}"


def _written(member: RowField, row: Any) -> str:
    """A field as it stands in a file; `row` is what holds it: a row, or what a mapping stands for."""
    value: Any = getattr(row, member.fields[0])
    if member.value is ValueKind.SHARE:
        return _share(value) if row.minimum is None is row.maximum else _mapping(member, row)
    if member.value is ValueKind.MAPPING and value is not None:
        return _mapping(member, value if isinstance(value, Credit) else row)
    return (_texts if member.many else _WRITERS.get(member.value, _text))(value)


_WRITERS: Final[Mapping[ValueKind, Callable[[Any], str]]] = {
    ValueKind.BEGIN: lambda valid: _instant(valid.start),
    ValueKind.END: lambda valid: _instant(valid.end),
    ValueKind.INSTANT: _instant,
    ValueKind.FLAG: _flag,
    ValueKind.COUNT: _count,
    ValueKind.PERCENT: _decimal,
    ValueKind.AMOUNT: _decimal,
    ValueKind.IDENTIFIERS: _identifiers,
}


def _mapping(member: RowField, held: Any) -> str:
    return f"{{{', '.join(f'{one.name}: {_written(one, held)}' for one in member.inside)}}}"


def _line(row: Recorded, pairs: Iterable[tuple[str, str]]) -> str:
    """A flow mapping; when it was recorded stands last, and whether it was taken back then."""
    told = [f"{name}: {value}" for name, value in pairs]
    if row.recorded_at is not None:
        told.append(f"recorded_at: {format_instant(row.recorded_at)}")
    if row.retracted:
        told.append("retracted: true")
    return f"{{{', '.join(told)}}}"


def _lines(section: Section, rows: Iterable[Recorded]) -> list[str]:
    """A line for each row. What earlier releases did not know is left out where no row has it; where one has it the
    others say null, since a field that is left out leaves what is on file."""
    written = [(row, [(one, _written(one, row)) for one in section.members]) for row in rows]
    used = {one.name for _, pairs in written for one, value in pairs if not one.later or value != "null"}
    return [_line(row, ((one.name, value) for one, value in pairs if one.name in used)) for row, pairs in written]


def _people_lines(rows: RosterRows, *, unknown: bool) -> list[str]:
    """A line for each entry; a list's rows stand under the first entry of the person that files the list."""
    entries = sorted(rows.people, key=lambda entry: (entry.id, entry.recorded_at or _FIRST))
    lists: dict[str, defaultdict[str, list[str]]] = {}
    for section in PERSONAL:
        held = getattr(rows, section.rows)
        lists[section.name] = defaultdict(list)
        for row, line in zip(held, _lines(section, held), strict=True):
            lists[section.name][row.person].append(line)
    ever = {(entry.id, name) for entry in entries for name in lists if getattr(entry, f"{name}_filed")}
    written: list[str] = []
    for entry in entries:
        pairs = [("id", _text(entry.id))]
        for name, lines in lists.items():
            if getattr(entry, f"{name}_filed"):
                pairs.append((name, f"[{', '.join(sorted(lines.pop(entry.id, ())))}]"))
            elif unknown or (entry.id, name) in ever:
                # Left out, it would be filed as another entry has it.
                pairs.append((name, "null"))
        written.append(_line(entry, pairs))
    unfiled = sorted({person for lines in lists.values() for person in lines})
    if unfiled:
        raise ValueError(f"rows of {', '.join(quoted(person) for person in unfiled)} stand in lists that nobody filed")
    return written


def row_text(row: Recorded) -> str:
    """One row on one line for people: what it is, of whom, and its fields as the file has them.

    Of a person it says which lists are on file; their rows stand by themselves.
    """
    section = BY_TYPE[type(row)]
    if isinstance(row, PersonEntry):
        filed = (one.name for one in section.members if one.value is ValueKind.ROWS and getattr(row, one.fields[0]))
        return f"{section.what} {_line(row, (('id', _text(row.id)), ('lists on file', _texts(filed))))}"
    whose = f" of {_text(getattr(row, 'person'))}" if section.personal else ""  # noqa: B009  only these have it
    return f"{section.what}{whose} {_lines(section, (row,))[0]}"
