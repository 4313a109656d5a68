"""Sheets of values, from an XLSX workbook or a CSV file: every cell as it is on file, with its place.

A workbook's values are read by calamine. What calamine leaves out in silence is looked for first and refused with the
cell: a formula that was never computed, a cell in which a formula failed, and cells that were merged, of which all but
one would read as empty. Values are what the workbook holds, not what it shows: a percentage shown as 51 % is 0.51, and
an instant has no zone. A CSV file (UTF-8; commas, semicolons or tabs, as its first line shows; RFC 4180) is a sheet
without a name, whose cells are all texts, and whose rows are counted as a spreadsheet counts them.
"""

from __future__ import annotations

import csv
import io
import posixpath
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final, TypeAlias
from xml.parsers import expat

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from policy_engine.formats.documents import in_windows_1252, other_encoding
from policy_engine.formats.faults import SHEET_ROWS, Fault, Findings, cell_name, quoted

LARGEST_WORKBOOK: Final = 64 * 1024 * 1024
LARGEST_UNPACKED: Final = 512 * 1024 * 1024

Value: TypeAlias = str | bool | int | Decimal | date | datetime
"""What a cell holds; a cell that holds nothing is not there."""

_ZIP: Final = b"PK\x03\x04"
_CELL: Final = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATED: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships id"


@dataclass(frozen=True, slots=True, kw_only=True)
class GridRow:
    """A row that has something in it: its number from 1, what its cells hold by the column's number from 1, and, of a
    CSV file, how many cells were written."""

    number: int
    cells: Mapping[int, Value]
    width: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """One sheet. Faults of a workbook's sheet count lines from `first_line`, so that each line is of one sheet."""

    name: str | None
    rows: tuple[GridRow, ...]
    first_line: int = 0


def is_workbook(data: bytes) -> bool:
    """Whether the bytes begin as an XLSX workbook does."""
    return data.startswith(_ZIP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grids:
    """The sheets of a file, with the findings that name their cells."""

    grids: tuple[Grid, ...]
    findings: Findings


def read_grids(data: bytes, source: str, faults: list[Fault]) -> Grids:
    """The sheets of a workbook, or the one of a CSV file. What is wrong is added to the faults."""
    if is_workbook(data):
        return _read_workbook(data, source, faults)
    findings = Findings(source=source, faults=faults, sheets=(None,))
    text = _decoded(data, findings)
    return Grids(grids=() if text is None else (_read_csv(text, findings),), findings=findings)


def _decoded(data: bytes, findings: Findings) -> str | None:
    if len(data) > LARGEST_WORKBOOK:
        message = f"the file has {len(data):,} bytes and the limit is {LARGEST_WORKBOOK:,}"
        findings.add(1, 1, message, "split it into several files")
        return None
    remedy = "save it as XLSX, or as `CSV UTF-8`"
    if (other := other_encoding(data)) is not None:
        findings.add(1, 1, f"the file is {other}", remedy)
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before, byte = data[: error.start], data[error.start]
        row = before.count(b"\n") + 1
        findings.add(row, 1, f"byte 0x{byte:02x} in this line is not UTF-8{in_windows_1252(byte)}", remedy)
        return None


def _read_csv(text: str, findings: Findings) -> Grid:
    first = re.sub('"(?:[^"]|"")*"', "", text.partition("\n")[0])
    used = [separator for separator in ",;\t" if separator in first]
    if len(used) > 1:
        message = "the first line has more than one of comma, semicolon and tab outside quotation marks"
        findings.add(1, 1, message, "separate the cells with one of them, and quote a cell that has it")
        return Grid(name=None, rows=())
    rows: list[GridRow] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=used[0] if used else ",", strict=True)
    number = 0
    try:
        for number, cells in enumerate(reader, start=1):
            held: dict[int, Value] = {column: cell.strip() for column, cell in enumerate(cells, start=1)}
            held = {column: cell for column, cell in held.items() if cell}
            if held:
                rows.append(GridRow(number=number, cells=held, width=len(cells)))
    except csv.Error as error:
        message = f"the row cannot be read: {error}"
        findings.add(number + 1, 1, message, "quote a cell whole, and double a quotation mark inside it")
    return Grid(name=None, rows=tuple(rows))


def _read_workbook(data: bytes, source: str, faults: list[Fault]) -> Grids:
    whole = Findings(source=source, faults=faults)
    unread = Grids(grids=(), findings=whole)
    if len(data) > LARGEST_WORKBOOK:
        message = f"the workbook has {len(data):,} bytes and the limit is {LARGEST_WORKBOOK:,}"
        whole.add(1, 1, message, "split it into several files")
        return unread
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
            if unpacked > LARGEST_UNPACKED:
                message = f"the workbook unpacks to {unpacked:,} bytes and the limit is {LARGEST_UNPACKED:,}"
                whole.add(1, 1, message, "split it into several files")
                return unread
            empty_looking = {name: tuple(_unreadable(archive, part)) for name, part in _sheet_parts(archive)}
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        shown = [
            sheet.name
            for sheet in book.sheets_metadata
            if sheet.typ is SheetTypeEnum.WorkSheet and sheet.visible is SheetVisibleEnum.Visible
        ]
        held = [(name, book.get_sheet_by_name(name)) for name in shown]
    except (zipfile.BadZipFile, expat.ExpatError, CalamineError, KeyError, NotImplementedError, RuntimeError) as error:
        message = f"the workbook cannot be read: {type(error).__name__}"
        whole.add(1, 1, message, "open it in a spreadsheet and save it again as XLSX, without a password")
        return unread
    findings = Findings(source=source, faults=faults, sheets=tuple(shown))
    grids = []
    for number, (name, sheet) in enumerate(held):
        first_line = number * SHEET_ROWS
        for row, column, what in empty_looking.get(name, ()):
            findings.add(
                first_line + row, column, what, "recalculate the sheet and correct the formula, or write the value"
            )
        _refuse_merged(sheet, first_line, findings)
        grids.append(_grid(name, sheet, first_line, findings))
    return Grids(grids=tuple(grids), findings=findings)


def _grid(name: str, sheet: CalamineSheet, first_line: int, findings: Findings) -> Grid:
    rows = []
    for number, cells in enumerate(sheet.to_python(skip_empty_area=False), start=1):
        held: dict[int, Value] = {}
        for column, value in enumerate(cells, start=1):
            match value:
                case "":
                    continue
                case bool() | int() | str() | datetime() | date():
                    held[column] = value.strip() if isinstance(value, str) else value
                case float():
                    held[column] = int(value) if value.is_integer() else Decimal(repr(value))
                case _:
                    message = "the cell holds a time of day or a duration"
                    findings.add(first_line + number, column, message, "write an instant with its day")
        held = {column: value for column, value in held.items() if value != ""}
        if held:
            rows.append(GridRow(number=number, cells=held))
    return Grid(name=name, rows=tuple(rows), first_line=first_line)


def _refuse_merged(sheet: CalamineSheet, first_line: int, findings: Findings) -> None:
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or ():
        cells = f"{cell_name(top + 1, left + 1)} to {cell_name(bottom + 1, right + 1)}"
        message = f"the cells {cells} are merged, so that all but the first of them are empty"
        findings.add(first_line + top + 1, left + 1, message, "unmerge them and write the value into each")


def _sheet_parts(archive: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """The name of every sheet with the part of the archive that holds it (ECMA-376 part 1, 18.2.19)."""
    targets: dict[str, str] = {}
    for tag, attributes in _elements(archive.read("xl/_rels/workbook.xml.rels")):
        if tag.endswith(" Relationship"):
            targets[attributes["Id"]] = posixpath.normpath(posixpath.join("/xl", attributes["Target"])).lstrip("/")
    for tag, attributes in _elements(archive.read("xl/workbook.xml")):
        if tag == f"{_MAIN} sheet" and (part := targets.get(attributes.get(_RELATED, ""))) in archive.NameToInfo:
            yield attributes["name"], part


def _elements(data: bytes) -> list[tuple[str, dict[str, str]]]:
    found: list[tuple[str, dict[str, str]]] = []
    parser = _parser()
    parser.StartElementHandler = lambda tag, attributes: found.append((tag, attributes))
    parser.Parse(data, True)
    return found


def _parser() -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator=" ")

    def refuse(*_: object) -> None:
        # No workbook declares a document type, and what one declares could grow without end.
        raise expat.ExpatError("a document type is declared")

    parser.StartDoctypeDeclHandler = refuse
    return parser


@dataclass(slots=True)
class _Unreadable:
    """Walks the cells of one sheet, and keeps those that calamine would give as empty though they are not."""

    found: list[tuple[int, int, str]]
    place: str = ""
    failed: bool = False
    computed: bool = False
    in_value: bool = False
    valued: bool = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == f"{_MAIN} c":
            self.place, self.failed = attributes.get("r", ""), attributes.get("t") == "e"
            self.computed = self.valued = False
        elif tag == f"{_MAIN} f":
            self.computed = True
        elif tag in (f"{_MAIN} v", f"{_MAIN} is"):
            self.in_value = True

    def text(self, _: str) -> None:
        self.valued = self.valued or self.in_value

    def end(self, tag: str) -> None:
        if tag in (f"{_MAIN} v", f"{_MAIN} is"):
            self.in_value = False
        if tag != f"{_MAIN} c" or not (self.failed or (self.computed and not self.valued)):
            return
        what = "a formula failed in this cell" if self.failed else "the formula in this cell was never computed"
        found = _CELL.fullmatch(self.place)
        row, column = (1, 1) if found is None else (int(found[2]), _number_of(found[1]))
        self.found.append((row, column, what if found is not None else f"{what} ({quoted(self.place)})"))


def _number_of(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def _unreadable(archive: zipfile.ZipFile, part: str) -> list[tuple[int, int, str]]:
    walk = _Unreadable(found=[])
    parser = _parser()
    parser.StartElementHandler, parser.EndElementHandler = walk.start, walk.end
    parser.CharacterDataHandler = walk.text
    with archive.open(part) as stream:
        parser.ParseFile(stream)
    return walk.found
