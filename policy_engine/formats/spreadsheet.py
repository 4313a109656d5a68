"""Cells that are written for spreadsheets: none is taken for a formula, and lists can be parted again.

A file of commas is opened with semicolons in half of the world, and then quotation marks no longer hold a cell
together. So a formula must begin neither a cell nor what a reader with another separator takes for one: an apostrophe
goes before each place where one would.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import Final

SIGNS: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a formula begins with, full-width forms included."""

_BEGINS: Final = re.compile(rf'(?:\A|(?<=[,;|\t\r\n]))(?=[\s"]*[{re.escape("".join(SIGNS))}])|\A(?=[\t\r\n])')
BETWEEN: Final = "\n"
"""What stands between the values of a list in one cell: no id may hold a control character."""


def neutral(text: str) -> str:
    """The text with an apostrophe wherever a formula would begin, by whichever separator it is read."""
    return _BEGINS.sub("'", text)


def listed(values: Iterable[str]) -> str:
    """Several values as one cell."""
    return BETWEEN.join(values)


def line(cells: Iterable[str], *, end: str = "\r\n") -> str:
    """A line of a file of commas (RFC 4180), every cell in quotation marks and neutral."""
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=end).writerow([neutral(cell) for cell in cells])
    return text.getvalue()
