"""A strict reader of separated values: a sheet is read as its author sees it, or refused with the place.

UTF-8, with or without a byte-order mark; commas or semicolons, as the header line shows; quoting by RFC 4180, so that a
quoted cell may hold the separator, doubled quotation marks and line breaks, and a quotation mark stands nowhere else;
lines that end in LF or CRLF. A line that is blank, or whose first character is an unquoted `#`, says nothing, and
neither does a row of empty cells, which spreadsheets write for a blank line.

Refused: other encodings, control, invisible and bidirectional characters (comments included), a cell that a spreadsheet
would run as a formula, cells over `LONGEST_CELL` characters, and a row that has more or fewer cells than the header.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from policy_engine.formats.faults import Findings, quoted

LONGEST_CELL: Final = 10_000
BLANK: Final = " \n"
"""What is cut off at both ends of a cell."""

_BYTE_ORDER_MARKS: Final = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"), (b"\x00\x00\xfe\xff", "UTF-32"))
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})
_QUOTED: Final = re.compile(r'"(?:[^"]++|"")*+"')
_CELL: Final = {
    separator: re.compile(rf'(?:"((?:[^"]++|"")*+)"|([^"\r\n{separator}]*+))({separator}|\r?\n|\Z)')
    for separator in ",;"
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A row of cells as it stands from `line` on; `text` is the row with its quotation marks."""

    line: int
    text: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The rows of a file, each with as many cells as the header has columns; `complete` when none was left out."""

    separator: str
    header: Record
    records: tuple[Record, ...]
    complete: bool

    def place(self, record: Record, cell: int, offset: int = 0) -> tuple[int, int]:
        """Line and column of the character that comes after `offset` others in a cell."""
        at = 0
        for _ in range(cell):
            found = _CELL[self.separator].match(record.text, at)
            if found is None:
                break
            at = found.end()
        quoted = record.text.startswith('"', at)
        at += quoted
        while record.text.startswith((" ", "\n", "\r\n"), at):
            at += 2 if record.text[at] == "\r" else 1
        for _ in range(offset):
            at += 2 if quoted and record.text.startswith(('""', "\r\n"), at) else 1
        return record.line + record.text.count("\n", 0, at), at - record.text.rfind("\n", 0, at)


def decoded(data: bytes, findings: Findings) -> str | None:
    """The text of a file without its byte-order mark, or `None` when it is not UTF-8. Refuses unseen characters."""
    for mark, name in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            findings.add(1, 1, f"the file is {name}", "save it as UTF-8")
            return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, start = before.count(b"\n") + 1, before.rfind(b"\n") + 1
        column = len(before[start:].decode("utf-8-sig" if line == 1 else "utf-8")) + 1
        findings.add(line, column, f"byte 0x{data[error.start]:02x} is not UTF-8", "save the whole file as UTF-8")
        return None
    for number, written in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if written.isprintable():
            continue
        for column, character in enumerate(written, 1):
            if character == "\r":
                findings.add(number, column, "a carriage return stands alone", "end lines with LF or CRLF")
            elif unicodedata.category(character) in _UNSEEN:
                message = f"there is the unseen character U+{ord(character):04X}"
                findings.add(number, column, message, "take it out")
    return text


def read_sheet(data: bytes, findings: Findings) -> Sheet | None:
    """The sheet, or `None` when there is no header to read it by. Rows that cannot be read are left out as faults."""
    text = decoded(data, findings)
    if text is None:
        return None
    if not text.strip():
        findings.add(1, 1, "the file is empty", "write the header line and rules, or take the file away")
        return None
    scanner = _Scanner(text, findings)
    header = scanner.header()
    if header is None:
        return None
    records = []
    while (record := scanner.next()) is not None:
        cells = record.cells
        if len(cells) != len(header.cells):
            findings.add(record.line, 1, *_miscounted(record, header, scanner.separator))
            scanner.complete = False
            continue
        records.append(record)
    return Sheet(separator=scanner.separator, header=header, records=tuple(records), complete=scanner.complete)


def _miscounted(record: Record, header: Record, separator: str) -> tuple[str, str]:
    cells, columns = len(record.cells), len(header.cells)
    message = f"the row has {cells} cells and the header {columns}"
    if record.cells[0] in ("p", "p2", "g", "P"):
        return message, "a Casbin row type does not stand here: the first cell belongs to the first column"
    other = ";" if separator == "," else ","
    if cells < columns and record.text.count(other) >= columns - 1:
        return message, f"part the cells with `{separator}` as the header does"
    if record.cells[0].lstrip(BLANK).startswith("#"):
        return message, "a comment begins with `#` as the very first character of its line, unquoted"
    return message, f"part cells with `{separator}`, and put a cell that has one in quotation marks"


class _Scanner:
    """Goes through a text row by row. After a quotation mark that is never closed nothing more can be read."""

    def __init__(self, text: str, findings: Findings) -> None:
        self.separator = ","
        self.complete = True
        self._text = text
        self._findings = findings
        self._at = 0
        self._line = 1

    def header(self) -> Record | None:
        """The first row, by which the separator is known."""
        at = self._skip()
        first = self._text[at : self._end_of_line(at)]
        bare = _QUOTED.sub("", first)
        commas, semicolons = bare.count(","), bare.count(";")
        if commas and semicolons:
            self._findings.add(
                self._line,
                1,
                "the header line has both commas and semicolons outside quotation marks",
                "part its names with one of them",
            )
            return None
        if first.startswith("sep="):
            self._findings.add(self._line, 1, f"{quoted(first)} is no header line", "take the line out")
            return None
        self.separator = ";" if semicolons else ","
        record = self.next()
        if not self.complete:
            return None
        if record is None:
            self._findings.add(self._line, 1, "there is no header line", "name the columns in the first line")
        return record

    def next(self) -> Record | None:
        """The next row that says something and can be read."""
        while True:
            at = self._skip()
            if at >= len(self._text):
                return None
            record = self._record(at)
            if record is not None and any(cell for cell in record.cells):
                return record

    def _end_of_line(self, at: int) -> int:
        end = self._text.find("\n", at)
        return len(self._text) if end < 0 else end

    def _skip(self) -> int:
        """Where the next line begins that is neither blank nor a comment."""
        while self._at < len(self._text):
            end = self._end_of_line(self._at)
            if not self._text.startswith("#", self._at) and self._text[self._at : end].strip():
                break
            self._at = end + 1
            self._line += 1
        return self._at

    def _record(self, at: int) -> Record | None:
        text, line, cells = self._text, self._line, []
        end = self._end_of_line(at)
        if text.find('"', at, end) < 0:
            # The row ends with the line, and splitting is an order of magnitude faster than matching.
            row = text[at:end].removesuffix("\r")
            cells = row.split(self.separator)
            self._at, self._line = end + 1, line + 1
        else:
            cell, start = _CELL[self.separator], at
            while True:
                found = cell.match(text, at)
                if found is None:
                    self._misquoted(at)
                    return None
                quoted, plain, after = found.groups()
                cells.append(plain if quoted is None else quoted.replace('""', '"').replace("\r\n", "\n"))
                at = found.end()
                if after != self.separator:
                    break
            row = text[start:at].removesuffix("\n").removesuffix("\r")
            self._at, self._line = at, line + row.count("\n") + 1
        cells = [one.strip(BLANK) for one in cells]
        record = Record(line=line, text=row, cells=tuple(cells))
        self._check(record)
        return record

    def _check(self, record: Record) -> None:
        for index, cell in enumerate(record.cells):
            if cell.startswith(_FORMULA):
                place = self._place(record, index)
                self._findings.add(*place, f"{quoted(cell)} begins like a formula", "begin the cell with a letter")
        if len(record.text) > LONGEST_CELL:
            for index, cell in enumerate(record.cells):
                if len(cell) > LONGEST_CELL:
                    place = self._place(record, index)
                    self._findings.add(*place, f"the cell is longer than {LONGEST_CELL:,} characters", "shorten it")

    def _place(self, record: Record, index: int) -> tuple[int, int]:
        return Sheet(separator=self.separator, header=record, records=(), complete=True).place(record, index)

    def _misquoted(self, at: int) -> None:
        """Say what is wrong with the quotation marks of a cell, and go on with the next line."""
        self.complete = False
        text = self._text
        while text.startswith(" ", at):
            at += 1
        line, column = self._line + text.count("\n", self._at, at), at - text.rfind("\n", 0, at)
        closed = _QUOTED.match(text, at)
        if text.startswith('"', at) and closed is None:
            self._findings.add(
                line, column, "the quotation mark is never closed", "close it; what follows was not read"
            )
            self._at = len(text)
            return
        message, remedy = (
            "a quotation mark stands in a cell that is not quoted",
            "quote the whole cell, double it inside",
        )
        if closed is not None:
            message, remedy = "a quoted cell has something before or after its marks", "double a mark inside a cell"
        self._findings.add(line, column, message, remedy)
        end = self._end_of_line(at if closed is None else closed.end())
        self._line += text.count("\n", self._at, end) + 1
        self._at = end + 1
