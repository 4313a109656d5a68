"""A strict reader of separated values: a sheet is read as its author sees it, or refused with the place.

UTF-8, with or without a byte-order mark; commas or semicolons, as the header line shows; quoting by RFC 4180, so that a
quoted cell may hold the separator, doubled quotation marks and line breaks, and a quotation mark stands nowhere else;
lines that end in LF or CRLF. A line that is blank, or whose first character is an unquoted `#`, says nothing, and
neither does a row of empty cells, which spreadsheets write for a blank line.

Columns at the right that are empty in the header too, which spreadsheets write for cells that were once filled, are cut
off.

Refused: other encodings, control, invisible and bidirectional characters (comments included), a cell that a spreadsheet
would run as a formula or in which it failed, cells over `LONGEST_CELL` characters, a row that has more or fewer cells
than the header, and a file over `LARGEST_FILE` bytes. Of a file with more than `MOST_ROWS` rows the rest is not read.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Final

from policy_engine.formats.documents import in_windows_1252, other_encoding
from policy_engine.formats.faults import Findings, cell_name, one_of, quoted
from policy_engine.formats.spreadsheet import SIGNS

LARGEST_FILE: Final = 64 * 1024 * 1024
LONGEST_CELL: Final = 10_000
MOST_ROWS: Final = 200_000
BLANK: Final = " \n"
"""What is cut off at both ends of a cell."""

_MOST_UNREADABLE: Final = 100
"""Places told of characters and bytes that no text has; a file of another kind has them all over."""

_NUMBER: Final = re.compile(r"[0-9]+(?:[.,][0-9]+)?(?:[eE][-+]?[0-9]+)?")
_DATE: Final = re.compile(r"[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}")
_FAILED: Final = re.compile(r"#(?:NAME\?|REF!|VALUE!|N/A|DIV/0!|NULL!|NUM!|SPILL!|CALC!|#+)")
_FORMULA: Final = (*SIGNS, "\t")
_BEGINNINGS: Final = (*_FORMULA, "#")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})
_QUOTED: Final = re.compile(r'"(?:[^"]++|"")*+"')
_CELL: Final = {
    separator: re.compile(rf'(?:"((?:[^"]++|"")*+)"|([^"\r\n{separator}]*+))({separator}|\r?\n|\Z)')
    for separator in ",;"
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetRow:
    """A row of cells as it stands from `line` on; `text` is the row with its quotation marks. A spreadsheet shows it as
    the row `number`: a row with a line break in a cell is one, and so is a line that is skipped."""

    line: int
    number: int
    text: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The rows of a file, each with as many cells as the header has columns; `complete` when none was left out."""

    separator: str
    header: SheetRow
    records: tuple[SheetRow, ...]
    complete: bool

    def columns(
        self, findings: Findings, what: str, wanted: tuple[str, ...], optional: tuple[str, ...] = ()
    ) -> dict[str, int] | None:
        """Where each column stands, or `None` when the header is not that of `what` it should be."""
        header = self.header
        missing = [name for name in wanted if name not in header.cells]
        if len(missing) > len(wanted) // 2:
            message = f"the first line does not name the columns of {what}"
            findings.add(header.line, 1, message, f"write {self.separator.join(wanted)}")
            return None
        columns: dict[str, int] = {}
        for index, name in enumerate(header.cells):
            if not name:
                message = f"the {_nth(index + 1)} column has no name"
                self.note(findings, header, index, message, "name it, or take the column out of every row")
            elif name in columns:
                message = f"duplicate column {quoted(name)}: the {_nth(columns[name] + 1)} has this name already"
                self.note(findings, header, index, message, "keep one of them")
            elif name in (*wanted, *optional):
                columns[name] = index
            else:
                known = one_of(name, (*wanted, *optional))
                self.note(findings, header, index, f"there is no column {quoted(name)}", known)
        for name in missing:
            message = f"the column `{name}` is missing"
            findings.add(header.line, 1, message, "add it to the header and a cell to each row")
        return columns if len(columns) == len(header.cells) and not missing else None

    def note(
        self, findings: Findings, record: SheetRow, cell: int, message: str, remedy: str, *, offset: int = 0
    ) -> None:
        """Note a fault in a cell, after `offset` of its characters."""
        line, column = self.place(record, cell, offset)
        findings.add(line, column, message, remedy, cell=cell_name(record.number, cell + 1))

    def place(self, record: SheetRow, cell: int, offset: int = 0) -> tuple[int, int]:
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


def _nth(number: int) -> str:
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def like_number(text: str) -> bool:
    """Whether a spreadsheet takes the text for a number, and so may have spelt it anew: `1.2E+05`, `4,00E+91`."""
    return _NUMBER.fullmatch(text) is not None


def like_date(text: str) -> bool:
    """Whether a spreadsheet takes the text for a day, and so may have spelt it anew."""
    return _DATE.fullmatch(text) is not None


def decoded(data: bytes, findings: Findings) -> str | None:
    """The text of a file without its byte-order mark, or `None` when it is not UTF-8. Refuses unseen characters."""
    if len(data) > LARGEST_FILE:
        findings.add(
            1, 1, f"the file has {len(data):,} bytes and the limit is {LARGEST_FILE:,}", "split it or take rows out"
        )
        return None
    other = other_encoding(data)
    if other is not None:
        findings.add(1, 1, f"the file is {other}", "save it as UTF-8 text, from a spreadsheet as `CSV UTF-8`")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        _refuse_bytes(data, findings)
        return None
    if "\r" in text and "\n" not in text:
        column = text.index("\r") + 1
        findings.add(1, column, "a carriage return stands alone, here and further on", "end lines with LF or CRLF")
        return None
    first = text[: text.find("\n")]
    if "\t" in first and "," not in first and ";" not in first:
        findings.add(1, first.index("\t") + 1, "cells are separated by tabs", "separate them with commas or semicolons")
        return None
    _refuse_unseen(text, findings)
    return text


def _refuse_bytes(data: bytes, findings: Findings) -> None:
    """Note the first byte of each line that is not UTF-8."""
    told = 0
    for number, written in enumerate(data.split(b"\n"), 1):
        try:
            written.decode("utf-8")
        except UnicodeDecodeError as error:
            before, byte = written[: error.start], written[error.start]
            column = len(before.decode("utf-8-sig" if number == 1 else "utf-8")) + 1
            message = f"byte 0x{byte:02x} is not UTF-8{in_windows_1252(byte)}"
            findings.add(number, column, message, "save the whole file as UTF-8, from a spreadsheet as `CSV UTF-8`")
            told += 1
            if told == _MOST_UNREADABLE:
                break


def _refuse_unseen(text: str, findings: Findings) -> None:
    told = 0
    for number, line in enumerate(text.split("\n"), 1):
        written = line.removesuffix("\r")
        if written.isprintable():
            continue
        for column, character in enumerate(written, 1):
            if character == "\r":
                findings.add(number, column, "a carriage return stands alone", "end lines with LF or CRLF")
            elif character == "\t":
                message = "the line has the invisible character U+0009, a tab"
                findings.add(number, column, message, "separate cells with commas, and write blanks inside them")
            elif unicodedata.category(character) in _UNSEEN:
                findings.add(
                    number, column, f"the line has the invisible character U+{ord(character):04X}", "take it out"
                )
            else:
                continue
            told += 1
            if told == _MOST_UNREADABLE:
                return


def read_sheet(data: bytes, findings: Findings, *, most_rows: int = MOST_ROWS) -> Sheet | None:
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
    written, header = len(header.cells), _trimmed(header, 1)
    width = len(header.cells)
    records: list[SheetRow] = []
    while (record := scanner.next()) is not None:
        if len(record.cells) == written > width:
            record = _trimmed(record, width)
        if len(record.cells) != width:
            findings.add(record.line, 1, *_miscounted(record, header, scanner.separator))
            scanner.complete = False
        elif len(records) == most_rows:
            message = f"here is one row more than the {most_rows:,} that may still stand; the rest was not read"
            findings.add(record.line, 1, message, f"a book has at most {MOST_ROWS:,} rows: take some out")
            scanner.complete = False
            break
        else:
            records.append(record)
    return Sheet(separator=scanner.separator, header=header, records=tuple(records), complete=scanner.complete)


def _miscounted(record: SheetRow, header: SheetRow, separator: str) -> tuple[str, str]:
    cells, columns = len(record.cells), len(header.cells)
    message = f"the row has {cells} cells and the header {columns}"
    if record.cells[0] in ("p", "p2", "g", "P"):
        return message, "leave out the row type of Casbin: the first cell belongs to the first column"
    other = ";" if separator == "," else ","
    if cells < columns and record.text.count(other) >= columns - 1:
        return message, f"separate the cells with `{separator}` as the header does"
    if record.cells[0].lstrip(BLANK).startswith("#"):
        return message, "a comment begins with `#` as the very first character of its line, unquoted"
    return message, f"separate cells with `{separator}`, and put a cell that has one in quotation marks"


def _failure(cell: str) -> tuple[str, str]:
    return f"{quoted(cell)} is what a spreadsheet writes where it fails", "write what the cell should say"


def _trimmed(record: SheetRow, width: int) -> SheetRow:
    """The record without the empty cells at its right, but at least so many cells."""
    count = len(record.cells)
    while count > width and not record.cells[count - 1]:
        count -= 1
    return replace(record, cells=record.cells[:count]) if count < len(record.cells) else record


def _joined(pieces: list[str], separator: str) -> list[str]:
    """The cells of a line from what stands between its separators, or none when it is not so simple."""
    cells: list[str] = []
    opened: list[str] = []
    for piece in pieces:
        if opened:
            opened.append(piece)
        elif '"' not in piece:
            cells.append(piece)
            continue
        else:
            opened = [piece]
        if piece.count('"') % 2 == (len(opened) > 1):
            whole = separator.join(opened)
            if _QUOTED.fullmatch(whole) is None:
                return []
            cells.append(whole[1:-1].replace('""', '"'))
            opened = []
    return [] if opened else cells


class _Scanner:
    """Goes through a text row by row. After a quotation mark that is never closed nothing more can be read."""

    def __init__(self, text: str, findings: Findings) -> None:
        self.separator = ","
        self.complete = True
        self._text = text
        self._findings = findings
        self._at = 0
        self._line = 1
        self._number = 0

    def header(self) -> SheetRow | None:
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
                "separate its names with one of them",
            )
            return None
        if first.startswith("sep="):
            self._findings.add(self._line, 1, f"{quoted(first)} is not a header line", "take the line out")
            return None
        self.separator = ";" if semicolons else ","
        record = self.next()
        if not self.complete:
            return None
        if record is None:
            self._findings.add(self._line, 1, "there is no header line", "name the columns in the first line")
        return record

    def next(self) -> SheetRow | None:
        """The next row that says something and can be read."""
        while True:
            at = self._skip()
            if at >= len(self._text):
                return None
            record = self._record(at)
            if record is None or not any(record.cells):
                continue
            if self._check(record):
                return record
            self.complete = False

    def _end_of_line(self, at: int) -> int:
        end = self._text.find("\n", at)
        return len(self._text) if end < 0 else end

    def _skip(self) -> int:
        """Where the next line begins that is neither blank nor a comment."""
        while self._at < len(self._text):
            end = self._end_of_line(self._at)
            if not self._text.startswith("#", self._at):
                if self._text[self._at : end].strip():
                    break
            elif (failed := _FAILED.match(self._text, self._at, end)) is not None and self._text.startswith(
                self.separator, failed.end()
            ):
                # Taken for a comment the rule would be gone without a word.
                self._findings.add(self._line, 1, *_failure(failed[0]))
                self.complete = False
            self._at = end + 1
            self._line += 1
            self._number += 1
        return self._at

    def _record(self, at: int) -> SheetRow | None:
        self._number += 1
        text, line, cells = self._text, self._line, []
        end = self._end_of_line(at)
        row = text[at:end].removesuffix("\r")
        cells = row.split(self.separator) if '"' not in row else _joined(row.split(self.separator), self.separator)
        if cells:
            # The row ends with the line, and splitting is an order of magnitude faster than matching.
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
        return SheetRow(line=line, number=self._number, text=row, cells=tuple([one.strip(BLANK) for one in cells]))

    def _check(self, record: SheetRow) -> bool:
        """Note the cells that a spreadsheet would run or has spoilt; `False` when one is too long to be read."""
        for index, cell in enumerate(record.cells):
            if cell.startswith(_BEGINNINGS):
                if cell.startswith(_FORMULA):
                    message, remedy = f"{quoted(cell)} begins like a formula", "begin the cell with a letter"
                elif _FAILED.fullmatch(cell) is not None:
                    message, remedy = _failure(cell)
                else:
                    continue
                self._note(record, index, message, remedy)
        if len(record.text) <= LONGEST_CELL:
            return True
        short = True
        for index, cell in enumerate(record.cells):
            if len(cell) > LONGEST_CELL:
                short = False
                message = f"the cell has {len(cell):,} characters, and its row was not read"
                remedy = f"shorten it to at most {LONGEST_CELL:,}"
                self._note(record, index, message, remedy)
        return short

    def _note(self, record: SheetRow, index: int, message: str, remedy: str) -> None:
        sheet = Sheet(separator=self.separator, header=record, records=(), complete=True)
        sheet.note(self._findings, record, index, message, remedy)

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
            "a cell that is not quoted has a quotation mark in it",
            "quote the whole cell, double it inside",
        )
        if closed is not None:
            message, remedy = "a quoted cell has something before or after its marks", "double a mark inside a cell"
        self._findings.add(line, column, message, remedy)
        end = self._end_of_line(at if closed is None else closed.end())
        self._line += text.count("\n", self._at, end) + 1
        self._at = end + 1
