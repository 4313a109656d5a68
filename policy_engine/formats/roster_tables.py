"""A roster that is kept in spreadsheets: from the cells of an XLSX workbook or a CSV file to a membership document.

What comes out is the tree that a membership file would have given (`documents.py`), with the place of every cell, so
that one reader judges both and a fault names the cell. Nothing is guessed:

- Without a mapping file a sheet (or the CSV file) has the name of a section, and its header the names of the fields.
  With one, `roster_mapping.py` says which column is which field, and other columns are not read and named at the end.
- An empty cell says nothing: what is on file stays. `blank: none` in the mapping takes it for "known: none".
- A number in a field that is a text is refused, since a spreadsheet cuts leading zeros off: `digits` in the mapping
  says how many there were. An instant without a zone is refused, unless the mapping names one.
- Rows about one person are put together: each adds to the person's lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from policy_engine.formats.documents import Mapping, Node, Scalar, Sequence
from policy_engine.formats.faults import Fault, Findings, near_miss, one_of, quoted
from policy_engine.formats.fractions import in_percent
from policy_engine.formats.roster_mapping import SEPARATOR, Column, RosterMapping, Table
from policy_engine.formats.workbook import Grid, GridRow, Value, read_grids
from policy_engine.shapes.member_rows import INSTANTS, PERSONAL, SECTIONS, RowField, Section, ValueKind

_MIDNIGHT: Final = time()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """A field of a row: its name, its value, and where its name stands."""

    name: str
    node: Node
    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReading:
    """The document that the tables give, the findings that name their cells, and the headers of the columns of each
    sheet that were not read."""

    document: Mapping
    findings: Findings
    unread: tuple[tuple[str | None, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableForm:
    """What is known of a table before it is read: the mapping beside it, or the section that a CSV is named for."""

    section: str | None = None
    mapping: RosterMapping | None = None


def read_tables(data: bytes, source: str, faults: list[Fault], form: TableForm) -> TableReading:
    """The membership document in a workbook or a CSV file.

    What is wrong with the file, with the mapping beside it or with the form of a cell is added to the faults; then the
    document is not to be used.
    """
    held = read_grids(data, source, faults)
    building = _Building(findings=held.findings, mapping=form.mapping)
    if not faults:
        for grid, table in _tables(held.grids, form.section, form.mapping, held.findings):
            building.add(grid, table)
    return TableReading(document=building.document(), findings=held.findings, unread=tuple(building.unread))


def _tables(
    grids: tuple[Grid, ...], section: str | None, mapping: RosterMapping | None, findings: Findings
) -> Iterator[tuple[Grid, Table]]:
    if mapping is None:
        for grid in grids:
            name = section if grid.name is None else grid.name
            if name is not None and name in SECTIONS:
                yield grid, Table(rows=name, sheet=grid.name)
            elif grid.rows:
                what = "the file" if grid.name is None else f"the sheet {quoted(grid.name)}"
                remedy = f"{one_of(name or '', tuple(SECTIONS))} as its name, or say with `--mapping` what its rows are"
                findings.add(grid.first_line + 1, 1, f"the name of {what} is not a section of a roster", remedy)
        return
    of_mapping = Findings(source=mapping.source, faults=findings.faults)
    by_name = {grid.name: grid for grid in grids}
    for table in mapping.tables:
        held = by_name.get(table.sheet)
        if held is None and table.sheet is None and len(grids) == 1:
            held = grids[0]
        if held is not None:
            yield held, table
            continue
        names = tuple(grid.name for grid in grids if grid.name is not None)
        message = "a table of a workbook names its sheet"
        if table.sheet is not None:
            message = f"there is no sheet {quoted(table.sheet)} that can be seen"
        of_mapping.add(table.line, table.column, message, one_of(table.sheet or "", names) if names else "")


@dataclass(slots=True, kw_only=True)
class _Building:
    """The document as it grows, table by table."""

    findings: Findings
    mapping: RosterMapping | None
    sections: dict[str, list[Node]] = field(default_factory=dict)
    people: dict[str, _Person] = field(default_factory=dict)
    unread: list[tuple[str | None, tuple[str, ...]]] = field(default_factory=list)

    def document(self) -> Mapping:
        """All of it."""
        sections = dict(self.sections)
        if self.people:
            sections["people"] = [person.node() for person in self.people.values()]
        entries = tuple(
            (_text(name, 1, 1), Sequence(items=tuple(items), line=1, column=1)) for name, items in sections.items()
        )
        return Mapping(entries=entries, line=1, column=1)

    def add(self, grid: Grid, table: Table) -> None:
        """Every row below the header."""
        header = next((row for row in grid.rows if row.number == table.header), None)
        if header is None:
            self.findings.add(grid.first_line + table.header, 1, "the row that names the columns is empty", "")
            return
        columns = self._columns(grid, table, header)
        section = SECTIONS[table.rows]
        cells = _Cells(findings=self.findings, mapping=self.mapping, first_line=grid.first_line, section=section)
        for row in grid.rows:
            if row.number <= table.header:
                continue
            if row.width not in (None, header.width):
                # What slid by a column would be read under another name.
                message = f"the row has {row.width} cells and the header {header.width}"
                remedy = "quote a cell that has the separator or a line break in it"
                self.findings.add(row.number, 1, message, remedy)
                continue
            self._row(section, cells.read(row, columns), grid.first_line + row.number)

    def _columns(self, grid: Grid, table: Table, header: GridRow) -> dict[str, tuple[int | None, Column]]:
        """Of each field its column's number (none for a value) and what is said of it."""
        numbers: dict[str, int] = {}
        for number, value in header.cells.items():
            name = str(value)
            if name in numbers:
                message = f"two columns are named {quoted(name)}"
                self.findings.add(grid.first_line + header.number, number, message, "name each column differently")
            numbers.setdefault(name, number)
        if table.columns is None:
            line = grid.first_line + header.number
            return {name: (number, Column(header=name, line=line, column=number)) for name, number in numbers.items()}
        source = self.findings.source if self.mapping is None else self.mapping.source
        of_mapping = Findings(source=source, faults=self.findings.faults)
        found: dict[str, tuple[int | None, Column]] = {}
        for name, column in table.columns.items():
            if column.header is not None and column.header not in numbers:
                near = near_miss(column.header, tuple(numbers))
                remedy = f"did you mean {quoted(near)}?" if near else f"the columns are {', '.join(numbers)}"
                of_mapping.add(column.line, column.column, f"no column is named {quoted(column.header)}", remedy)
            found[name] = (None if column.header is None else numbers.get(column.header), column)
        read = {column.header for column in table.columns.values()}
        self.unread.append((grid.name, tuple(name for name in numbers if name not in read)))
        return found

    def _row(self, section: Section, fields: list[_Field], line: int) -> None:
        if section.rows != "people" and not section.personal:
            if fields:
                self.sections.setdefault(section.name, []).append(_mapping(fields, line))
            return
        named = "person" if section.personal else "id"
        of = next((one.node for one in fields if one.name == named), None)
        if not isinstance(of, Scalar):
            self.findings.add(line, 1, f"the row does not say whose it is: {quoted(named)} is empty", "write the id")
            return
        person = self.people.setdefault(of.text, _Person(id=of))
        rest = [one for one in fields if one.name != named]
        if section.personal:
            person.add(section.name, rest, line)
            return
        for one in rest:
            if "." not in one.name:
                person.said[one.name] = one
        for held in PERSONAL:
            prefix = f"{held.name}."
            items = [replace(one, name=one.name.removeprefix(prefix)) for one in rest if one.name.startswith(prefix)]
            if items:
                person.add(held.name, items, line)


@dataclass(slots=True, kw_only=True)
class _Person:
    """One person, from as many rows as are about them."""

    id: Scalar
    said: dict[str, _Field] = field(default_factory=dict)
    """Fields of the person itself, such as `recorded_at`, and such as no person has, for their fault."""
    lists: dict[str, list[Node]] = field(default_factory=dict)

    def add(self, held: str, fields: list[_Field], line: int) -> None:
        """An item of a list; several, where a cell lists several countries; none where it says that there are none."""
        items = self.lists.setdefault(held, [])
        for one in fields:
            if isinstance(one.node, Sequence):
                others = [other for other in fields if other is not one]
                items += [_mapping([replace(one, node=item), *others], line) for item in one.node.items]
                return
        items.append(_mapping(fields, line))

    def node(self) -> Mapping:
        """The person as the membership file has it."""
        line, column = self.id.line, self.id.column
        lists = [
            _Field(name=name, node=Sequence(items=tuple(items), line=line, column=column), line=line, column=column)
            for name, items in self.lists.items()
        ]
        return _mapping([_Field(name="id", node=self.id, line=line, column=column), *self.said.values(), *lists], line)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cells:
    """Reads the cells of a row, each by what its field needs."""

    findings: Findings
    mapping: RosterMapping | None
    first_line: int
    section: Section

    def read(self, row: GridRow, columns: dict[str, tuple[int | None, Column]]) -> list[_Field]:
        """The fields of the row that say something."""
        fields: list[_Field] = []
        line = self.first_line + row.number
        for name, (number, column) in columns.items():
            place = number or 1
            value = column.value if number is None else row.cells.get(number)
            node: Node | None = None
            if value is not None:
                node = self._node(name, value, column, line, place)
            elif column.blank_is_none:
                node = Sequence(items=(), line=line, column=place)
            if node is None:
                continue
            named_by_header = self.mapping is None
            fields.append(
                _Field(
                    name=name,
                    node=node,
                    line=column.line if named_by_header else line,
                    column=column.column if named_by_header else place,
                )
            )
        return fields

    def _node(self, name: str, value: Value, column: Column, line: int, place: int) -> Node:
        member = self.section.field(name)
        many = member is not None and member.many
        separator = column.separator or (_separator_of(self.mapping) if many else None)
        if separator is None or not isinstance(value, str):
            scalar = self._scalar(name, member, value, column, line, place)
            return Sequence(items=(scalar,), line=line, column=place) if many else scalar
        items = [self._scalar(name, member, part.strip(), column, line, place) for part in value.split(separator)]
        return Sequence(items=tuple(items), line=line, column=place)

    def _scalar(
        self, name: str, member: RowField | None, value: Value, column: Column, line: int, place: int
    ) -> Scalar:
        if column.values is not None:
            meant = column.values.get(_shown(value))
            if meant is None:
                remedy = f"{one_of(_shown(value), tuple(column.values))}, or add it to `values` in the mapping"
                message = f"the mapping does not say what {quoted(_shown(value))} means"
                self.findings.add(line, place, message, remedy)
                return _unreadable(line, place)
            value = meant
        match None if member is None else member.value:
            case kind if kind in INSTANTS:
                return self._instant(value, line, place)
            case ValueKind.FLAG:
                return self._flag(name, value, line, place)
            case ValueKind.COUNT:
                return self._number(value, line, place)
            case ValueKind.SHARE | ValueKind.PERCENT | ValueKind.AMOUNT:
                return self._share(value, column, line, place)
        return self._text(name, value, column, line, place)

    def _text(self, name: str, value: Value, column: Column, line: int, place: int) -> Scalar:
        if isinstance(value, str) and column.digits is None:
            return _text(value, line, place)
        if column.digits is not None:
            digits = _shown(value)
            if digits.isascii() and digits.isdecimal() and len(digits) <= column.digits:
                return _text(digits.zfill(column.digits), line, place)
            message = f"{quoted(digits)} is not a number of at most {column.digits} digits"
            self.findings.add(line, place, message, "correct the cell, or `digits` in the mapping")
            return _unreadable(line, place)
        kind = "a date" if isinstance(value, date) else "a number" if not isinstance(value, bool) else "true or false"
        message = f"{quoted(name)} must be a text and the cell holds {kind}, {quoted(_shown(value))}"
        remedy = (
            "format the column as text and write the value again, or say with `digits` in the mapping how many it has"
        )
        self.findings.add(line, place, message, remedy)
        return _unreadable(line, place)

    def _flag(self, name: str, value: Value, line: int, place: int) -> Scalar:
        said = value if isinstance(value, bool) else {"true": True, "false": False}.get(_shown(value).lower())
        if said is not None:
            return Scalar(value=said, text=str(said).lower(), line=line, column=place, quoted=False)
        message = f"{quoted(name)} is true or false and the cell holds {quoted(_shown(value))}"
        self.findings.add(
            line, place, message, "write true or false, or say with `values` in the mapping what it means"
        )
        return _unreadable(line, place)

    def _number(self, value: Value, line: int, place: int) -> Scalar:
        text = _shown(value)
        number: str | int = int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_COUNT else text
        return Scalar(value=number, text=text, line=line, column=place, quoted=False)

    def _share(self, value: Value, column: Column, line: int, place: int) -> Scalar:
        text = _shown(value)
        if column.fraction and isinstance(value, int | Decimal) and not isinstance(value, bool):
            # The sign says that percent is meant, however small the share is.
            text = f"{in_percent(Decimal(value))} %"
        elif column.fraction:
            message = f"{quoted(text)} is not a fraction: the cell holds a text"
            self.findings.add(line, place, message, "take `fraction` out of the mapping, or write a number")
            return _unreadable(line, place)
        return _text(text, line, place)

    def _instant(self, value: Value, line: int, place: int) -> Scalar:
        if isinstance(value, datetime):
            return self._zoned(value, line, place)
        if isinstance(value, date):
            return _text(value.isoformat(), line, place)
        if isinstance(value, str):
            return _text(value, line, place)
        message = f"the cell holds {quoted(_shown(value))}, which is not a date"
        self.findings.add(line, place, message, "format the cell as a date, or write a text such as 2026-06-12")
        return _unreadable(line, place)

    def _zoned(self, value: datetime, line: int, place: int) -> Scalar:
        if value.time() == _MIDNIGHT:
            return _text(value.date().isoformat(), line, place)
        zone = None if self.mapping is None else self.mapping.zone
        shown = value.isoformat(sep=" ")
        if zone is None:
            utc = f"{value.isoformat()}Z"
            remedy = f"write it as a text with its zone ({quoted(utc)} if it is UTC), or name the `zone` in the mapping"
            self.findings.add(line, place, f"the instant {shown} has no zone", remedy)
            return _unreadable(line, place)
        offsets = _offsets(value, zone)
        if len(offsets) != 1:
            how = "comes twice" if offsets else "does not exist"
            message = f"the instant {shown} {how} in {zone.key}, where clocks are set then"
            self.findings.add(
                line, place, message, "write it as a text with its offset, such as 2026-10-25T02:30:00+01:00"
            )
            return _unreadable(line, place)
        return _text((value - offsets[0]).isoformat() + "Z", line, place)


def _offsets(value: datetime, zone: ZoneInfo) -> list[timedelta]:
    """Every offset from UTC with which the wall clock of a zone shows the value: none, one, or two."""
    found: list[timedelta] = []
    for fold in (0, 1):
        offset = value.replace(tzinfo=zone, fold=fold).utcoffset()
        if offset is None:
            continue
        back = (value - offset).replace(tzinfo=ZoneInfo("UTC")).astimezone(zone).replace(tzinfo=None)
        if back == value and offset not in found:
            found.append(offset)
    return found


_LONGEST_COUNT: Final = 18


def _separator_of(mapping: RosterMapping | None) -> str:
    return SEPARATOR if mapping is None else mapping.separator


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, date) else str(value)


def _text(text: str, line: int, column: int) -> Scalar:
    return Scalar(value=text, text=text, line=line, column=column, quoted=True)


def _unreadable(line: int, column: int) -> Scalar:
    """What stands for a cell of which a fault was noted."""
    return Scalar(value=None, text="", line=line, column=column, quoted=False)


def _mapping(fields: list[_Field], line: int) -> Mapping:
    """A row as a mapping; a field with points is inside of others."""
    inner: dict[str, list[_Field]] = {}
    entries: list[tuple[Scalar, Node]] = []
    for one in fields:
        outer, point, name = one.name.partition(".")
        if point:
            if outer not in inner:
                entries.append((_text(outer, one.line, one.column), one.node))
            inner.setdefault(outer, []).append(replace(one, name=name))
        else:
            entries.append((_text(one.name, one.line, one.column), one.node))
    made = ((key, _mapping(inner[key.text], line) if key.text in inner else node) for key, node in entries)
    return Mapping(entries=tuple(made), line=line, column=1)
