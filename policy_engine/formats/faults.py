"""What is wrong with a file: every fault with its place and its remedy, in the order of the file.

An author's faults are collected and raised together. A message is in lower case on one line, with the author's input in
backticks: shortened, and with whatever cannot be seen written as an escape, so that a file cannot forge a line of the
report.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from policy_engine.formats.identifiers import shown
from policy_engine.shapes.document import document_of
from policy_engine.shapes.problem import FaultDocument

MOST_FAULTS: Final = 200_000
"""Faults that one reading collects; whoever has more mends these first."""

_SHOWN: Final = 80
_LIKE_ENOUGH: Final = 0.6
"""The least ratio of `difflib` at which one word may have been meant for another."""


SHEET_ROWS: Final = 2**20
"""Rows that a sheet of a workbook can have (ECMA-376 part 1, 18.3.1.73, as spreadsheets keep to it)."""


def cell_name(row: int, column: int) -> str:
    """A cell as a spreadsheet names it: row 7, column 3 is `C7`."""
    letters = ""
    while column > 0:
        column, letter = divmod(column - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return f"{letters}{row}"


def quoted(text: str) -> str:
    """An author's input as a message repeats it: in backticks, visible, at most 80 characters."""
    return f"`{text}`" if len(text) <= _SHOWN and text.isprintable() else f"`{shown(text, limit=_SHOWN)}`"


def whole(text: str) -> str | None:
    """What is proposed to be written, in backticks; `None` for what a message could not repeat to its last character,
    since a part of it is another value."""
    return f"`{text}`" if len(text) <= _SHOWN and text.isprintable() else None


def near_miss(word: str, choices: tuple[str, ...]) -> str | None:
    """The choice that the author most likely meant, or `None` when none is near."""
    return _near_miss(word[:80], choices)


@lru_cache(maxsize=4096)  # one slip of a spreadsheet is in every row
def _near_miss(word: str, choices: tuple[str, ...]) -> str | None:
    return _by_folding(choices).get(_folded(word)) or _most_like(word, choices)


@lru_cache(maxsize=64)
def _by_folding(choices: tuple[str, ...]) -> dict[str, str]:
    return {_folded(choice): choice for choice in reversed(choices)}


def _most_like(word: str, choices: tuple[str, ...]) -> str | None:
    """What `difflib.get_close_matches` gives, without comparing what cannot be like the word."""
    matcher = difflib.SequenceMatcher(b=word)
    size, beginning = len(word), word[:3]
    others = dict.fromkeys(map(ord, word))
    least, best = _LIKE_ENOUGH, ""
    # The likely ones first, so that most others need no comparison.
    likely = [choice for choice in choices if choice.startswith(beginning)]
    for choice in (*likely, *choices):
        length = len(choice)
        needed = least * (length + size) / 2
        if length < needed or size < needed or length - len(choice.translate(others)) < needed:
            continue
        matcher.set_seq1(choice)
        if matcher.quick_ratio() >= least:
            least, best = max((least, best), (matcher.ratio(), choice))
    return best or None


def _folded(word: str) -> str:
    return word.strip().lower().replace("-", "_").replace(" ", "_")


def one_of(word: str, choices: tuple[str, ...]) -> str:
    """The remedy for a word that is none of a few choices."""
    return _one_of(word[:80], choices)


@lru_cache(maxsize=1024)  # one slip of a spreadsheet is in every row
def _one_of(word: str, choices: tuple[str, ...]) -> str:
    near = near_miss(word, choices)
    listed = f"write one of {', '.join(choices)}"
    return listed if near is None else f"did you mean {quoted(near)}? {listed}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Fault:
    """One fault. Lines and columns count from 1, columns in characters; faults sort by place.

    `cell` is what a spreadsheet calls the place, "" where none shows it. Of a roster's table, `in_table`, line and
    column are the row and the number of the column; of other CSV files they are those of the text.
    """

    source: str
    line: int
    column: int
    message: str
    remedy: str = ""
    cell: str = ""
    in_table: bool = False

    @property
    def place(self) -> str:
        """Where it is, as a message has it."""
        if self.in_table:
            return f"{self.source}:{self.cell}"
        cell = f" ({self.cell})" if self.cell else ""
        return f"{self.source}:{self.line}:{self.column}{cell}"

    def document(self) -> FaultDocument:
        """As it is told to programs."""
        return document_of(FaultDocument, self, file=self.source)

    def __str__(self) -> str:
        remedy = f"; {self.remedy}" if self.remedy else ""
        text = f"{self.place}: {self.message}{remedy}"
        return text if text.isprintable() else shown(text, limit=10 * len(text))


def _place(fault: Fault) -> tuple[str, int, int, str, str]:
    return fault.source, fault.line, fault.column, fault.message, fault.remedy


class FaultsError(ValueError):
    """A file that cannot be used, with every fault found in it, sorted; nothing of the file counts."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = tuple(sorted(set(faults), key=_place))
        super().__init__("\n".join(str(fault) for fault in self.faults))


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Where a reader of one source puts the faults that it finds.

    `sheets` are the names of a table's sheets (`None` for a CSV file's only one); lines are then rows, and those of
    every further sheet are counted from the next multiple of `SHEET_ROWS`.
    """

    source: str
    faults: list[Fault] = field(default_factory=list)
    sheets: tuple[str | None, ...] = ()

    def where(self, line: int) -> str:
        """A line as the message about another place names it."""
        if not self.sheets:
            return f"line {line}"
        sheet, row = divmod(line - 1, SHEET_ROWS)
        name = self.sheets[sheet]
        return f"row {row + 1}" if name is None else f"row {row + 1} of {quoted(name)}"

    def _fault(self, line: int, column: int, message: str, remedy: str, cell: str) -> Fault:
        if not self.sheets:
            return Fault(source=self.source, line=line, column=column, message=message, remedy=remedy, cell=cell)
        sheet, row = divmod(line - 1, SHEET_ROWS)
        name = self.sheets[sheet]
        source = self.source if name is None else f"{self.source}[{name}]"
        cell = cell_name(row + 1, column)
        return Fault(
            source=source, line=row + 1, column=column, message=message, remedy=remedy, cell=cell, in_table=True
        )

    def add(self, line: int, column: int, message: str, remedy: str = "", *, cell: str = "") -> None:
        """Note a fault and read on; beyond `MOST_FAULTS` only that there are more."""
        if len(self.faults) < MOST_FAULTS - 1:
            self.faults.append(self._fault(line, column, message, remedy, cell))
        elif not self.full:
            message = f"there are more than {MOST_FAULTS:,} faults, and the rest is not listed"
            self.faults.append(
                Fault(
                    source=self.source, line=line, column=column, message=message, remedy="correct those listed first"
                )
            )

    @property
    def full(self) -> bool:
        """Whether so many faults are noted that nothing more is worth reading."""
        return len(self.faults) >= MOST_FAULTS
