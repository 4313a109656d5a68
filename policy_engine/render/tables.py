"""Tables for people, on terminals of every width.

- A cell is broken between words and nowhere else: an id, an instant, a digest stands on one line, so that it can be
  copied and searched for.
- Where there is no terminal a row is one line, however long.
- On a terminal that is too narrow the spare columns are left out, the first of them first, and named below the table.
  Where even the others have no room, each row is told as lines of a name and a value.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, TypeAlias

from rich.console import Console
from rich.text import Text

Cell: TypeAlias = Text | str

STATE_STYLES: Final = {"deciding": "bold", "lifted": "dim", "advisory": "yellow", "suspended": "dim", "note": ""}
"""How the findings of a decision are shown, by their states."""

_GAP: Final = "  "
_LEAST_TEXT: Final = 10
"""A column of more than one word is no narrower than this."""
_LEAST_VALUE: Final = 30
"""Where less room than this is left beside a name, its value is not broken at all."""


def show_rows(
    columns: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    where: Console,
    spare: Sequence[str] = (),
    right: Sequence[str] = (),
    styles: Sequence[str] = (),
    title: str | None = None,
) -> None:
    """The rows under their columns; nothing where there are none.

    `spare` columns may be left out, and `right` ones have their cells at the right. `styles` are those of the rows.
    """
    made = [
        _Column(name=name, cells=[_text(cell) for cell in cells], right=name in right)
        for name, cells in zip(columns, zip(*rows, strict=True), strict=False)
    ]
    if not made:
        return
    if title is not None:
        where.print(Text(title, style="bold"))
    room = where.width if where.is_terminal else None
    shown, left_out = made, []
    for name in spare:
        if room is None or _needed(shown) <= room:
            break
        left_out.append(name)
        shown = [column for column in shown if column.name != name]
    if room is not None and _needed(shown) > room:
        _show_blocks(made, styles, where)
        return
    widths = _widths(shown, room)
    where.print(_line([Text(column.name, style="dim") for column in shown], shown, widths))
    for number in range(len(shown[0].cells)):
        parts = [_wrapped(column.cells[number], widths[column.name]) for column in shown]
        for line in zip_longest(*parts, fillvalue=Text()):
            told = _line(line, shown, widths)
            told.stylize_before(styles[number] if styles else "")
            where.print(told)
    if named := ", ".join(filter(None, left_out)):
        where.print(Text(f"not shown for want of room: {named}; --json has everything", style="dim"))


def show_pairs(pairs: Iterable[tuple[str, Cell]], *, where: Console) -> None:
    """Names and what they stand for, one below another; on a terminal a long value is broken between words."""
    told = [(name, _text(value)) for name, value in pairs]
    width = max((len(name) for name, _ in told), default=0)
    room = where.width - width - len(_GAP) if where.is_terminal else 0
    for name, value in told:
        lines = _wrapped(value, room) if room >= _LEAST_VALUE else [value]
        for number, line in enumerate(lines):
            head = name if number == 0 else ""
            where.print(Text.assemble((f"{head:<{width}}{_GAP}", "dim"), line))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    name: str
    cells: list[Text]
    right: bool

    @property
    def most(self) -> int:
        """As wide as it would be with room for all."""
        return max(len(self.name), *(len(cell.plain) for cell in self.cells))

    @property
    def least(self) -> int:
        """As narrow as it can be: as its longest word."""
        words = (len(word) for cell in self.cells for word in cell.plain.split())
        return min(self.most, max(_LEAST_TEXT, len(self.name), *words))


def _text(cell: Cell) -> Text:
    return cell if isinstance(cell, Text) else Text(cell)


def _needed(columns: Sequence[_Column]) -> int:
    return sum(column.least for column in columns) + len(_GAP) * (len(columns) - 1)


def _widths(columns: Sequence[_Column], room: int | None) -> Mapping[str, int]:
    """How wide each column is: what is left beyond the least is shared, first by those that want little more."""
    if room is None:
        return {column.name: column.most for column in columns}
    left = room - _needed(columns)
    widths = {}
    wanting = sorted(columns, key=lambda column: column.most - column.least)
    for number, column in enumerate(wanting):
        more = min(column.most - column.least, left // (len(wanting) - number))
        widths[column.name] = column.least + more
        left -= more
    return widths


def _wrapped(text: Text, width: int) -> list[Text]:
    """The text in lines that are so long at most, unless a word is longer."""
    if len(text.plain) <= width:
        return [text]
    lines = textwrap.wrap(text.plain, width, break_long_words=False, break_on_hyphens=False)
    return [Text(line, style=text.style) for line in lines] or [text]


def _line(cells: Iterable[Text], columns: Sequence[_Column], widths: Mapping[str, int]) -> Text:
    line = Text()
    for cell, column in zip(cells, columns, strict=True):
        blanks = " " * (widths[column.name] - len(cell.plain))
        line.append_text(Text.assemble(*((blanks, cell) if column.right else (cell, blanks)), _GAP))
    line.rstrip()
    return line


def _show_blocks(columns: Sequence[_Column], styles: Sequence[str], where: Console) -> None:
    for number in range(len(columns[0].cells)):
        if number:
            where.print()
        style = styles[number] if styles else ""
        told = [(column.name, column.cells[number]) for column in columns if column.cells[number].plain]
        show_pairs(((name, Text(cell.plain, style=style or cell.style)) for name, cell in told), where=where)
