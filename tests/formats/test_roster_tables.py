"""Rosters in spreadsheets: what a workbook or a CSV file says, and where it is wrong, to the cell."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from openpyxl import Workbook

from policy_engine.domain.instants import parse_instant
from policy_engine.domain.roster import EmploymentKind, RosterRows
from policy_engine.formats.faults import FaultsError
from policy_engine.formats.membership_file import read_member_tables, read_members
from policy_engine.formats.roster_mapping import read_mapping
from policy_engine.formats.roster_tables import TableForm, read_tables
from policy_engine.formats.table_text import table_text
from policy_engine.formats.workbook import read_grids

instant = dt.datetime.fromisoformat
"""An instant as a workbook has it: what the wall clock shows, without a zone."""

EXISTING = read_members(b"organisations: [{id: harbor-cyber}, {id: alder-bank}, {id: weser-ag}]", "on file")

STAFF = b"""
zone: Europe/Berlin
tables:
  - sheet: Staff
    header: 3
    rows: people
    columns:
      id: {column: Employee No, digits: 6}
      employments.organisation: {value: harbor-cyber}
      employments.kind: {column: Contract, values: {permanent: employee, temporary: contractor}}
      employments.from: Start
      citizenships.country: {column: Passports, separator: ","}
      permanent_residencies.country: {column: Residence, blank: none}
"""
STAFF_ROWS: Sequence[Sequence[object]] = (
    ("Staff of Harbor Cyber",),
    (),
    ("Employee No", "Name", "Contract", "Start", "Passports", "Residence"),
    (1234, "not read", "permanent", dt.date(2021, 5, 1), "DE, FR", None),
    ("000777", "not read", "temporary", instant("2022-01-01T09:30:00"), "US", "CA"),
)


def workbook(**sheets: Sequence[Sequence[object]]) -> bytes:
    book = Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    held = io.BytesIO()
    book.save(held)
    return held.getvalue()


def read(data: bytes, mapping: bytes | None = None, *, section: str | None = None) -> RosterRows:
    told = None if mapping is None else read_mapping(mapping, "map.yaml")
    return read_member_tables(data, "roster.xlsx", EXISTING, tables=TableForm(section=section, mapping=told))


def faults(data: bytes, mapping: bytes | None = None, *, section: str | None = None) -> list[str]:
    with pytest.raises(FaultsError) as caught:
        read(data, mapping, section=section)
    return [str(fault) for fault in caught.value.faults]


def test_a_workbook_says_what_the_membership_file_with_the_same_facts_says() -> None:
    expected = read_members(
        b"""
people:
  - id: "001234"
    employments: [{organisation: harbor-cyber, kind: employee, from: 2021-05-01}]
    citizenships: [{country: DE}, {country: FR}]
    permanent_residencies: []
  - id: "000777"
    employments: [{organisation: harbor-cyber, kind: contractor, from: 2022-01-01T08:30:00Z}]
    citizenships: [{country: US}]
    permanent_residencies: [{country: CA}]
""",
        "roster.yaml",
        EXISTING,
    )

    assert read(workbook(Staff=STAFF_ROWS), STAFF) == expected


def test_columns_that_the_mapping_does_not_name_are_not_read_and_are_named() -> None:
    reading = read_tables(workbook(Staff=STAFF_ROWS), "s", [], TableForm(mapping=read_mapping(STAFF, "map.yaml")))

    assert reading.unread == (("Staff", ("Name",)),)


def test_sheets_that_are_named_for_sections_need_no_mapping() -> None:
    rows = read(
        workbook(
            organisations=[("id", "headquarters", "reseller", "aliases"), ("baram", "KR", True, "B; Baram Telecom")],
            memberships=[
                ("organisation", "consortium", "status", "from"),
                ("baram", "glasswing", "active", dt.date(2026, 4, 7)),
            ],
            consortia=[("id",), ("glasswing",)],
            employments=[
                ("person", "organisation", "kind"),
                ("jin", "baram", "employee"),
                ("jin", "weser-ag", "employee"),
            ],
        )
    )

    assert rows == read_members(
        b"""
organisations: [{id: baram, headquarters: KR, reseller: true, aliases: [B, Baram Telecom]}]
memberships: [{organisation: baram, consortium: glasswing, status: active, from: 2026-04-07}]
consortia: [{id: glasswing}]
people:
  - {id: jin, employments: [{organisation: baram, kind: employee}, {organisation: weser-ag, kind: employee}]}
""",
        "roster.yaml",
        EXISTING,
    )


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_csv_file_is_the_section_that_its_name_says(separator: str) -> None:
    lines = [["id", "person", "organisation", "kind"], ["key-1", "", "harbor-cyber", "account"]]
    data = "\r\n".join(separator.join(line) for line in lines).encode("utf-8-sig")

    assert read(data, section="accounts").accounts[0].organisation == "harbor-cyber"


def test_an_empty_cell_says_nothing_and_never_that_there_is_none() -> None:
    (person,) = read(b"id,citizenships.country\nmei,\n", section="people").people

    assert not person.citizenships_filed


def test_a_share_that_a_spreadsheet_shows_as_a_percentage_is_read_as_a_fraction_where_the_mapping_says_so() -> None:
    rows = [("Owner", "Owned", "Share"), ("weser-ag", "harbor-cyber", 0.51), ("alder-bank", "harbor-cyber", 0.333)]
    mapping = b"""
tables: [{sheet: S, rows: ownership, columns: {owner: Owner, owned: Owned, percent: {column: Share, fraction: true}}}]
"""

    assert [stake.percent for stake in read(workbook(S=rows), mapping).stakes] == [Decimal(51), Decimal("33.3")]


def test_a_fraction_that_the_mapping_names_is_meant_however_small_it_is() -> None:
    rows = [("Owner", "Owned", "Share"), ("weser-ag", "harbor-cyber", 0.004), ("alder-bank", "harbor-cyber", 0.006)]
    mapping = b"""
tables: [{sheet: S, rows: ownership, columns: {owner: Owner, owned: Owned, percent: {column: Share, fraction: true}}}]
"""

    read_rows = read(workbook(S=rows), mapping).stakes
    assert [stake.percent for stake in read_rows] == [Decimal("0.4"), Decimal("0.6")]


def test_every_fault_is_told_at_its_cell() -> None:
    rows = [
        ("id", "headquarters", "sector", "reseller", "contract_country"),
        ("a", "UK", "other", "yes", "DE"),
        (17, "DE", "othr", False, dt.date(2026, 1, 1)),
    ]

    told = faults(workbook(organisations=rows))

    assert [line.split(": ")[0] for line in told] == [
        f"roster.xlsx[organisations]:{cell}" for cell in ("B2", "D2", "A3", "C3", "E3")
    ]


def test_a_header_that_is_no_field_is_told_at_the_header() -> None:
    told = faults(b"id,headquaters\na,DE\nb,FR\n", section="organisations")

    assert told == [told[0]]
    assert told[0].startswith(
        "roster.xlsx:B1: unknown field `headquaters` in an organisation; did you mean `headquarters`?"
    )


def test_a_member_that_nobody_knows_is_told_at_its_cell() -> None:
    told = faults(b"id,person,organisation,kind\nkey-1,,harbour-cyber,account\n", section="accounts")

    assert told[0].startswith("roster.xlsx:C2: the organisation `harbour-cyber` is not on file; did you mean")


def test_a_number_where_an_id_belongs_is_refused_since_zeros_may_be_gone() -> None:
    told = faults(workbook(people=[("id",), (1234,)]))

    assert told[0].startswith("roster.xlsx[people]:A2: `id` must be a text and the cell holds a number, `1234`")


def test_an_instant_without_a_zone_is_refused_and_asked_for_it() -> None:
    rows = [
        ("person", "organisation", "kind", "from"),
        ("mei", "weser-ag", "employee", instant("2026-06-12T21:21:00")),
    ]

    told = faults(workbook(employments=rows))

    assert told == [
        "roster.xlsx[employments]:D2: the instant 2026-06-12 21:21:00 has no zone; write it as a text with its zone"
        " (`2026-06-12T21:21:00Z` if it is UTC), or name the `zone` in the mapping"
    ]


@pytest.mark.parametrize(
    ("wall_clock", "how"),
    [("2026-10-25T02:30:00", "comes twice"), ("2026-03-29T02:30:00", "does not exist")],
)
def test_an_hour_that_the_clocks_make_twice_or_not_at_all_is_refused(wall_clock: str, how: str) -> None:
    rows = [("id", "O", "K", "F"), ("mei", "weser-ag", "employee", instant(wall_clock))]
    mapping = b"""
zone: Europe/Berlin
tables: [{sheet: S, rows: employments, columns: {person: id, organisation: O, kind: K, from: F}}]
"""

    assert f"02:30:00 {how} in Europe/Berlin" in faults(workbook(S=rows), mapping)[0]


def test_a_value_that_the_mapping_does_not_name_is_refused() -> None:
    rows = [*STAFF_ROWS, ("000888", "x", "intern", dt.date(2026, 1, 1), "US", None)]

    assert faults(workbook(Staff=rows), STAFF) == [
        "roster.xlsx[Staff]:C6: the mapping does not say what `intern` means; write one of permanent, temporary, or add"
        " it to `values` in the mapping"
    ]


def test_a_column_that_is_not_there_is_told_where_the_mapping_names_it() -> None:
    rows = [*STAFF_ROWS[:2], ("Employee No", "Contract", "Start date", "Passports", "Residence"), STAFF_ROWS[3]]

    told = faults(workbook(Staff=rows), STAFF)

    assert told[0].startswith("map.yaml:11:25: no column is named `Start`; did you mean `Start date`?")


def test_a_sheet_that_is_hidden_is_not_read() -> None:
    book = Workbook()
    book.worksheets[0].title = "consortia"
    book.worksheets[0].append(["id"])
    book.worksheets[0].append(["glasswing"])
    hidden = book.create_sheet("people")
    hidden.append(["id"])
    hidden.append(["nobody"])
    hidden.sheet_state = "hidden"
    held = io.BytesIO()
    book.save(held)

    assert read(held.getvalue()) == RosterRows(consortia=read_members(b"consortia: [{id: glasswing}]", "x").consortia)


def test_merged_cells_and_formulas_without_a_value_are_refused_since_they_would_read_as_empty() -> None:
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = "organisations"
    sheet.append(["id", "headquarters", "sector"])
    sheet.append(["a", "DE", "=B2"])
    sheet.append(["b", "DE", "#REF!"])
    sheet["C3"].data_type = "e"
    sheet.append(["c", "DE", "other"])
    sheet.merge_cells("B4:B5")
    held = io.BytesIO()
    book.save(held)

    told = faults(held.getvalue())

    assert [line.partition(": ")[2].partition(";")[0] for line in told] == [
        "the formula in this cell was never computed",
        "a formula failed in this cell",
        "the cells B4 to B5 are merged, so that all but the first of them are empty",
    ]
    assert [line.partition(": ")[0] for line in told] == [
        "roster.xlsx[organisations]:C2",
        "roster.xlsx[organisations]:C3",
        "roster.xlsx[organisations]:B4",
    ]


def test_a_row_of_a_csv_file_that_slid_by_a_column_is_refused() -> None:
    told = faults(b"id,name,headquarters\na,Alder, Inc.,US\n", section="organisations")

    assert told == [
        "roster.xlsx:A2: the row has 4 cells and the header 3; quote a cell that has the separator or a line break in"
        " it"
    ]


def test_two_columns_of_one_name_are_refused() -> None:
    assert faults(b"id,headquarters,headquarters\na,DE,CN\n", section="organisations")[0].startswith(
        "roster.xlsx:C1: two columns are named `headquarters`"
    )


def test_a_file_of_another_name_asks_what_its_rows_are() -> None:
    told = faults(b"id\na\n", section="staff-2026")

    assert told[0].startswith(
        "roster.xlsx:A1: the name of the file is not a section of a roster; write one of organisations,"
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"\xd0\xcf\x11\xe0" + b"\0" * 100,
            "the file is a spreadsheet of an old Excel",
        ),
        ("id\nä\n".encode("latin-1"), "byte 0xe4 in this line is not UTF-8"),
        (b"PK\x03\x04 no archive", "the workbook cannot be read: BadZipFile"),
        (b"id;name,kind\na;b,c\n", "more than one of comma, semicolon and tab"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_it_is(data: bytes, message: str) -> None:
    assert message in faults(data, section="organisations")[0]


def test_a_workbook_that_unpacks_without_end_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policy_engine.formats.workbook.LARGEST_UNPACKED", 10_000)

    assert "unpacks to" in faults(workbook(people=[("id",), *(("x" * 1000 + str(n),) for n in range(50))]))[0]


def test_a_workbook_that_declares_a_document_type_is_refused() -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook(people=[("id",), ("a",)]))) as old, zipfile.ZipFile(held, "w") as new:
        for part in old.namelist():
            data = old.read(part)
            if part == "xl/workbook.xml":
                data = b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + data.replace(b'<?xml version="1.0"?>', b"")
            new.writestr(part, data)

    assert "the workbook cannot be read: ExpatError" in faults(held.getvalue())[0]


def test_lines_of_a_second_sheet_are_counted_in_their_own_sheet() -> None:
    rows = [("id", "headquarters"), ("a", "DE"), ("a", "FR")]

    told = faults(workbook(consortia=[("id",), ("glasswing",)], organisations=rows))

    assert len(told) == 1
    assert told[0].startswith("roster.xlsx[organisations]:A3: the organisation `a` on row 2 of `organisations`")


def test_employment_kinds_come_from_the_mapping() -> None:
    kinds = [row.kind for row in read(workbook(Staff=STAFF_ROWS), STAFF).employments]

    assert kinds == [EmploymentKind.EMPLOYEE, EmploymentKind.CONTRACTOR]


def test_a_day_from_a_workbook_is_midnight_in_utc() -> None:
    rows = read(workbook(Staff=STAFF_ROWS), STAFF)

    assert rows.employments[0].valid.start == parse_instant("2021-05-01T00:00:00Z")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (b"tables: [{rows: staff}]", "`rows` cannot be `staff`"),
        (b"tables: [{rows: people, header: 0}]", "`header` is the number of a row"),
        (b"tables: [{rows: people, columns: {id: {digits: 3}}}]", "`id` needs a `column` or a `value`"),
        (b"tables: [{rows: people, columns: {id: {column: a, value: b}}}]", "`id` needs a `column` or a `value`"),
        (b"tables: [{rows: people, columns: {id: {column: a, digits: 0}}}]", "`digits` is a number from 1 to 20"),
        (b"tables: [{rows: people, columns: {id: {column: a, blank: null, blnk: none}}}]", "unknown field `blnk`"),
        (b"tables: [{rows: people, columns: {id: {column: a, blank: unknown}}}]", "`blank` cannot be `unknown`"),
        (b"zone: Mars/Olympus\ntables: []", "`Mars/Olympus` is not a zone of the IANA database"),
        (b"separator: ', '\ntables: []", "`separator` is one character"),
        (b"{}", "`tables` is missing in the mapping"),
    ],
)
def test_a_mapping_that_says_nothing_usable_is_refused(mapping: bytes, message: str) -> None:
    with pytest.raises(FaultsError, match=r"map\.yaml:") as caught:
        read_mapping(mapping, "map.yaml")

    assert message in str(caught.value)


def test_the_reader_of_grids_and_the_reader_of_tables_name_the_same_cells(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(b'id,name\n"a","x\ny"\nb,"z"z\n')
    found: list[object] = []

    read_grids(path.read_bytes(), "people.csv", found)  # type: ignore[arg-type]
    told = [str(fault) for fault in found]
    again: list[object] = []
    read_tables(path.read_bytes(), "people.csv", again, TableForm(section="people"))  # type: ignore[arg-type]

    assert told == [str(fault) for fault in again]
    assert told[0].startswith("people.csv:A3: the row cannot be read")


def test_the_text_of_a_table_says_what_the_table_says_and_leads_back_to_its_cells() -> None:
    mapping = TableForm(mapping=read_mapping(STAFF, "map.yaml"))
    reading = read_tables(workbook(Staff=STAFF_ROWS), "roster.xlsx", [], mapping)
    text = table_text(reading.document, reading.findings)

    assert read_members(text.text.encode(), "sent", EXISTING) == read(workbook(Staff=STAFF_ROWS), STAFF)


def test_what_a_service_finds_wrong_with_the_text_is_told_at_the_cells_that_the_table_reader_names() -> None:
    rows = [("id", "headquarters", "reseller"), ("a", "UK", False), ("b", "XX", True), ("a", "FR", False)]
    data = workbook(consortia=[("id",), ("glasswing",)], organisations=rows)
    reading = read_tables(data, "roster.xlsx", [], TableForm())
    text = table_text(reading.document, reading.findings)

    with pytest.raises(FaultsError) as caught:
        read_members(text.text.encode(), "sent", EXISTING)

    assert sorted(str(text.at_cell(fault)) for fault in caught.value.faults) == sorted(faults(data))
