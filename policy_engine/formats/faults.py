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

from policy_engine.formats.identifiers import shown


def quoted(text: str) -> str:
    """An author's input as a message repeats it: in backticks, visible, at most 80 characters."""
    return f"`{shown(text)}`"


def near_miss(word: str, choices: tuple[str, ...]) -> str | None:
    """The choice that the author most likely meant, or `None` when none is near."""
    folded = _folded(word)
    for choice in choices:
        if _folded(choice) == folded:
            return choice
    return next(iter(difflib.get_close_matches(word[:80], choices, n=1)), None)


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
    """One fault. Lines and columns count from 1, columns in characters; faults sort by place."""

    source: str
    line: int
    column: int
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        remedy = f"; {self.remedy}" if self.remedy else ""
        text = f"{self.source}:{self.line}:{self.column}: {self.message}{remedy}"
        return text if text.isprintable() else shown(text, limit=10 * len(text))


class FaultsError(ValueError):
    """A file that cannot be used, with every fault found in it, sorted; nothing of the file counts."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = tuple(sorted(set(faults)))
        super().__init__("\n".join(str(fault) for fault in self.faults))


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Where a reader of one source puts the faults that it finds."""

    source: str
    faults: list[Fault] = field(default_factory=list)

    def add(self, line: int, column: int, message: str, remedy: str = "") -> None:
        """Note a fault and read on."""
        self.faults.append(Fault(source=self.source, line=line, column=column, message=message, remedy=remedy))
