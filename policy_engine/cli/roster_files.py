"""What `members import` is given: a membership file, or a roster in a workbook or a CSV file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from policy_engine.cli.output import err
from policy_engine.cli.remote import Misused, ServiceRefused
from policy_engine.formats.faults import Fault, FaultsError
from policy_engine.formats.roster_mapping import read_mapping
from policy_engine.formats.roster_tables import TableForm, TableReading, read_tables
from policy_engine.formats.table_text import table_text
from policy_engine.formats.workbook import is_workbook

_TABLES: Final = (".csv", ".tsv", ".xlsx")


def table_form(file: Path, mapping: Path | None) -> TableForm | None:
    """What is known of a roster, or `None` for a membership file. Tells which columns are not read.

    Raises `FaultsError` for a mapping with faults, and for a roster whose cells have some, and `Misused` for a mapping
    beside a membership file.
    """
    is_table = file.suffix.lower() in _TABLES or is_workbook(file.read_bytes())
    if not is_table:
        if mapping is not None:
            raise Misused(f"--mapping is for rosters in {', '.join(_TABLES)}; `{file}` is read as a membership file")
        return None
    held = None if mapping is None else read_mapping(mapping.read_bytes(), str(mapping))
    form = TableForm(section=file.stem, mapping=held)
    for sheet, headers in _read(file, form, []).unread:
        if headers:
            of = "" if sheet is None else f" of sheet {sheet}"
            err.print(f"not read{of}, since the mapping names no field for it: {', '.join(headers)}", markup=False)
    return form


def _read(file: Path, form: TableForm, faults: list[Fault]) -> TableReading:
    return read_tables(file.read_bytes(), str(file), faults, form)


@contextmanager
def sent_document(file: Path, form: TableForm | None) -> Iterator[str]:
    """The text to be sent to the service; what the service finds wrong with it is told at the cells of the roster.

    Raises `FaultsError`, and `Misused` for a text that is not UTF-8.
    """
    if form is None:
        try:
            yield file.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise Misused(f"`{file}` is not UTF-8 at byte {error.start}: save it as UTF-8") from error
        return
    faults: list[Fault] = []
    reading = _read(file, form, faults)
    if faults:
        raise FaultsError(faults)
    text = table_text(reading.document, reading.findings)
    try:
        yield text.text
    except ServiceRefused as error:
        if not error.faults:
            raise
        raise FaultsError(text.at_cell(fault) for fault in error.faults) from error
