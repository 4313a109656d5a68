"""The mapping file of a roster that is kept as tables: which column of which sheet is which field of the roster.

```yaml
separator: ";"                  # between the items of a cell that holds a list; `;` when absent
zone: Europe/Berlin             # of instants that have none, by the IANA database; without it they are refused
tables:
  - sheet: Staff                # of a workbook; left out for a CSV file
    header: 3                   # the row that names the columns; 1 when absent
    rows: people                # what a row is: a section of the membership file, or a list of a person
    columns:
      id: {column: Employee No, digits: 6}                  # a number, written with six digits
      employments.organisation: {value: harbor-cyber}       # the same in every row
      employments.kind: {column: Contract, values: {permanent: employee, temporary: contractor}}
      employments.from: Start date
      citizenships.country: {column: Passports, separator: ","}
```

A field is that of the membership file; a field inside another is written with a point. A column that no field names is
not read. In `values` every text of the column stands, or the cell with another one is a fault.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from policy_engine.formats.documents import Mapping, Node, Scalar, kind_of, parse_document
from policy_engine.formats.faults import Fault, FaultsError, Findings, one_of, quoted
from policy_engine.formats.fields import Fields
from policy_engine.shapes.member_rows import SECTIONS

SEPARATOR: Final = ";"
MOST_DIGITS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Where a field comes from: a column by its header, or a value that is the same for every row (never both).

    `values` says what each text of the column means; `digits` writes a number with so many digits; `fraction` says that
    a share of 51 % stands as 0.51; `blank_is_none` takes an empty cell of a list for "known: none".
    """

    header: str | None = None
    value: str | None = None
    values: MappingType[str, str] | None = None
    separator: str | None = None
    digits: int | None = None
    fraction: bool = False
    blank_is_none: bool = False
    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One sheet whose rows are of one section."""

    rows: str
    sheet: str | None = None
    header: int = 1
    columns: MappingType[str, Column] | None = None
    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterMapping:
    """A mapping file: its tables, and what holds for all of them."""

    source: str
    tables: tuple[Table, ...] = ()
    separator: str = SEPARATOR
    zone: ZoneInfo | None = field(default=None)


def read_mapping(data: bytes, source: str) -> RosterMapping:
    """The mapping in a file (YAML or JSON). Raises `FaultsError` with every fault."""
    faults: list[Fault] = []
    node = parse_document(data, source, faults)
    findings = Findings(source=source, faults=faults)
    held = None if node is None else Fields.of(node, "the mapping", ("separator", "zone", "tables"), findings)
    if held is None:
        raise FaultsError(faults)
    tables = [
        table for item in held.items("tables", required=True) or () if (table := _table(item, findings)) is not None
    ]
    mapping = RosterMapping(
        source=source,
        tables=tuple(tables),
        separator=_separator(held) or SEPARATOR,
        zone=_zone(held),
    )
    if faults:
        raise FaultsError(faults)
    return mapping


def _table(node: Node, findings: Findings) -> Table | None:
    held = Fields.of(node, "a table", ("sheet", "header", "rows", "columns"), findings)
    if held is None:
        return None
    rows = held.text("rows")
    if rows is None or rows not in SECTIONS:
        given = "is missing" if rows is None else f"cannot be {quoted(rows)}"
        held.fault("rows", f"`rows` {given}", one_of(rows or "", tuple(SECTIONS)))
        return None
    header = held.count("header")
    if header == 0:
        held.fault("header", "`header` is the number of a row, counted from 1", "write 1 for the first row")
    columns = held.node_of("columns")
    if columns is None:
        return Table(rows=rows, sheet=held.text("sheet"), header=header or 1, line=node.line, column=node.column)
    if not isinstance(columns, Mapping):
        held.fault("columns", f"`columns` must be a mapping and is {kind_of(columns)}", "write {id: Employee No}")
        return None
    return Table(
        rows=rows,
        sheet=held.text("sheet"),
        header=header or 1,
        columns={key.text: _column(key, value, findings) for key, value in columns.entries},
        line=node.line,
        column=node.column,
    )


_COLUMN: Final = ("column", "value", "values", "separator", "digits", "fraction", "blank")


def _column(key: Scalar, node: Node, findings: Findings) -> Column:
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return Column(header=node.value, line=node.line, column=node.column)
    held = Fields.of(node, f"the column of {quoted(key.text)}", _COLUMN, findings)
    if held is None:
        return Column(line=node.line, column=node.column)
    header, value = held.text("column"), held.text("value")
    if (header is None) == (value is None):
        findings.add(
            node.line,
            node.column,
            f"{quoted(key.text)} needs a `column` or a `value`, and not both",
            "write the header of the column, or the value that every row has",
        )
    digits = held.count("digits")
    if digits is not None and not 1 <= digits <= MOST_DIGITS:
        held.fault("digits", f"`digits` is a number from 1 to {MOST_DIGITS}", "write how many digits the numbers have")
        digits = None
    blank = held.text("blank")
    if blank not in (None, "none"):
        held.fault("blank", f"`blank` cannot be {quoted(blank or '')}", "write none, or leave it out: not stated")
    return Column(
        header=header,
        value=value,
        values=_values(held),
        separator=_separator(held),
        digits=digits,
        fraction=held.flag("fraction") is True,
        blank_is_none=blank == "none",
        line=node.line,
        column=node.column,
    )


def _values(held: Fields) -> MappingType[str, str] | None:
    node = held.node_of("values")
    if node is None:
        return None
    if not isinstance(node, Mapping):
        held.fault("values", f"`values` must be a mapping and is {kind_of(node)}", "write {permanent: employee}")
        return None
    values: dict[str, str] = {}
    for key, value in node.entries:
        text = value.text if isinstance(value, Scalar) and value.value is not None else ""
        if not text:
            message = f"{quoted(key.text)} has no meaning"
            held.findings.add(value.line, value.column, message, "write what it means, as the membership file has it")
        values[key.text] = text
    return values


def _separator(held: Fields) -> str | None:
    node = held.node_of("separator")
    if node is None:
        return None
    if isinstance(node, Scalar) and isinstance(node.value, str) and len(node.value) == 1 and node.value.isprintable():
        return node.value
    held.fault("separator", "`separator` is one character", 'write ";" or ","')
    return None


def _zone(held: Fields) -> ZoneInfo | None:
    name = held.text("zone")
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        held.fault(
            "zone", f"{quoted(name)} is not a zone of the IANA database", "write one such as Europe/Berlin or UTC"
        )
        return None
