"""Files that spreadsheets, other programs and bad intentions make of a rule book.

Each is read as its author sees it, or refused with a place, a sentence and a remedy, within the limits that are stated.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.domain.words import VOCABULARY
from policy_engine.formats.faults import MOST_FAULTS, FaultsError, Findings, near_miss
from policy_engine.policy.conditions import MOST_TERMS
from policy_engine.policy.csv_reader import LARGEST_FILE, LONGEST_CELL, MOST_ROWS, read_sheet
from policy_engine.policy.reader import LARGEST_DOCUMENT, read_book, read_folder
from policy_engine.policy.rule_files import COLUMNS
from tests.policy.books import BAR, CATALOGUE, COUNTRY_GROUPS, GRANT, NOTE, RULES, book, fault_of, faults_of, sheet

HEADER = ",".join(COLUMNS).encode() + b"\n"
SMALL = sheet(GRANT, BAR, NOTE)
FINGERPRINT = read_book(book()).fingerprint


def told(files: Mapping[str, bytes]) -> str:
    """The one fault of a book, as it is shown."""
    return str(fault_of(files))


def in_cell(column: str, cell: str) -> str:
    """The one fault of a book whose second rule has this cell, without its place."""
    text = told(book(rules=sheet(GRANT, {**BAR, column: cell}, NOTE)))
    assert text.startswith(f"{RULES}:3:")
    return text.split(": ", 1)[1]


# --- encodings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-16", "UTF-16"),
        ("utf-32", "UTF-32"),
        ("utf-16-le", "UTF-16 (little-endian) without a byte-order mark"),
        ("utf-16-be", "UTF-16 (big-endian) without a byte-order mark"),
    ],
)
def test_another_unicode_encoding_is_refused_by_its_name(encoding: str, name: str) -> None:
    remedy = "save it as UTF-8 text, from a spreadsheet as `CSV UTF-8`"
    assert told(book(rules=SMALL.decode().encode(encoding))) == f"{RULES}:1:1: the file is {name}; {remedy}"
    fault = fault_of(book(catalogue=CATALOGUE.encode(encoding)))
    assert fault.message.endswith(f"it is {name}")
    assert fault.remedy == "save the file as UTF-8"


def test_a_byte_order_mark_of_utf_8_changes_nothing() -> None:
    marked = {name: b"\xef\xbb\xbf" + data for name, data in book().items()}
    assert read_book(marked).fingerprint == FINGERPRINT


def test_every_line_that_is_latin_1_among_utf_8_is_named_with_the_character_that_it_would_be() -> None:
    lines = sheet({**GRANT, "message": "Für alle."}, {**BAR, "message": "Für keinen."}, {**NOTE, "message": "Naïf."})
    head, first, second, third = lines.decode().splitlines()
    mixed = b"\n".join([head.encode(), first.encode("latin-1"), second.encode(), third.encode("latin-1")])
    assert [(fault.line, fault.message) for fault in faults_of(book(rules=mixed))] == [
        (2, "byte 0xfc is not UTF-8, as if it were Windows-1252 or Latin-1, where it is `ü`"),
        (4, "byte 0xef is not UTF-8, as if it were Windows-1252 or Latin-1, where it is `ï`"),
    ]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04\x14\x00", "a spreadsheet or another archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "a spreadsheet of an old Excel"),
        (b"\x1f\x8b\x08\x00", "compressed"),
    ],
)
def test_a_file_that_is_no_text_is_refused_by_its_name(data: bytes, what: str) -> None:
    assert told(book(rules=data)).startswith(f"{RULES}:1:1: the file is {what}; save it as UTF-8 text")


# --- lines, separators, quotation marks -------------------------------------------------------------------------------


@pytest.mark.parametrize(("newline", "separator"), [("\r\n", ","), ("\n", ";"), ("\r\n", ";")])
def test_line_ends_and_separators_of_spreadsheets_change_nothing(newline: str, separator: str) -> None:
    rules = sheet(GRANT, BAR, NOTE, newline=newline, separator=separator)
    assert read_book(book(rules=rules)).fingerprint == FINGERPRINT


def test_lines_that_end_in_carriage_returns_alone_are_one_fault() -> None:
    text = told(book(rules=sheet(GRANT, BAR, NOTE, newline="\r")))
    end = len(HEADER)
    message = "a carriage return stands alone, here and further on; end lines with LF or CRLF"
    assert text == f"{RULES}:1:{end}: {message}"


def test_a_carriage_return_inside_a_cell_is_a_fault() -> None:
    assert in_cell("message", "\r=1+1") == "a carriage return stands alone; end lines with LF or CRLF"


def test_cells_parted_by_tabs_are_one_fault() -> None:
    text = told(book(rules=SMALL.replace(b",", b"\t")))
    assert text == f"{RULES}:1:3: cells are separated by tabs; separate them with commas or semicolons"


def test_rows_with_semicolons_under_a_header_with_commas_are_faults() -> None:
    text = told(book(rules=HEADER + sheet(GRANT, separator=";").splitlines()[1]))
    message = "the row has 1 cells and the header 24; separate the cells with `,` as the header does"
    assert text == f"{RULES}:2:1: {message}"


def test_a_quotation_mark_that_is_never_closed_is_a_fault_where_it_opens() -> None:
    data = sheet(GRANT, NOTE) + sheet(BAR).splitlines()[1].replace(b"REGION,", b'"REGION,', 1).replace(b'0"', b"0")
    message = "the quotation mark is never closed; close it; what follows was not read"
    assert told(book(rules=data.replace(b'"located-in:EAR:E:1,CU"', b"located-in:CU"))) == f"{RULES}:4:1: {message}"


def test_a_nul_is_a_fault_with_its_place() -> None:
    text = told(book(rules=SMALL.replace(b"Open", b"Op\x00en", 1)))
    assert text == f"{RULES}:2:100: the line has the invisible character U+0000; take it out"


def test_of_a_million_nuls_the_first_hundred_are_told() -> None:
    assert len(faults_of(book(rules=SMALL + b"\x00" * 1_000_000))) == 101


# --- columns and rows that spreadsheets add ---------------------------------------------------------------------------


def test_empty_columns_at_the_right_and_empty_rows_at_the_end_change_nothing() -> None:
    wider = b"".join(line + b",,\n" for line in SMALL.splitlines())
    assert read_book(book(rules=wider + (b"," * 25 + b"\n") * 1000)).fingerprint == FINGERPRINT


def test_a_cell_under_no_header_is_a_fault() -> None:
    wider = b"".join(line + b",,\n" for line in sheet(GRANT).splitlines())
    for rules in (sheet(GRANT), wider):
        text = told(book(rules=rules + sheet(BAR).splitlines()[1] + b",,x\n"))
        assert text.startswith(f"{RULES}:3:1: the row has 26 cells and the header 24; ")


def test_a_column_without_a_name_and_one_that_stands_twice_are_faults() -> None:
    rules = HEADER.replace(b"effect,", b"effect,,", 1).replace(b"message,", b"message,hold,", 1)
    assert [(fault.column, fault.message) for fault in faults_of(book(rules=rules + b"x" + b"," * 25))] == [
        (18, "the 4th column has no name"),
        (HEADER.index(b"public_message") + 2, "duplicate column `hold`: the 5th has this name already"),
    ]


# --- what spreadsheets make of cells ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", "＝1", "＋1", "－1", "＠x", " =1"]
)
@pytest.mark.parametrize("column", COLUMNS)
def test_a_cell_that_a_spreadsheet_would_run_is_a_fault_in_every_column(column: str, cell: str) -> None:
    faults = faults_of(book(rules=sheet(GRANT, {**BAR, column: cell}, NOTE)))
    message = f"`{cell.strip()}` begins like a formula"
    (fault,) = (one for one in faults if one.message == message)
    assert (fault.line, fault.remedy) == (3, "begin the cell with a letter")


def test_a_cell_that_begins_with_a_tab_is_a_formula_too() -> None:
    faults = faults_of(book(rules=sheet(GRANT, {**BAR, "message": "\t=1"}, NOTE)))
    assert [fault.message for fault in faults] == [
        "`\\u0009=1` begins like a formula",
        "the line has the invisible character U+0009, a tab",
    ]


@pytest.mark.parametrize("cell", ["#NAME?", "#REF!", "#VALUE!", "#N/A", "#DIV/0!", "########"])
def test_a_cell_in_which_a_spreadsheet_failed_is_a_fault(cell: str) -> None:
    message = f"`{cell}` is what a spreadsheet writes where it fails; write what the cell should say"
    assert in_cell("message", cell) == message


def test_a_row_whose_first_cell_failed_in_a_spreadsheet_is_no_comment() -> None:
    assert in_cell("id", "#NAME?").startswith("`#NAME?` is what a spreadsheet writes where it fails")
    commented = sheet(GRANT, NOTE) + b"#" + sheet(BAR).splitlines()[1]
    assert len(read_book(book(rules=commented)).rows) == 2


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        (
            "from",
            "45123",
            "in `from`: `45123` is not an instant; a spreadsheet wrote the date as a number: make its column text and"
            " write 2023-07-16",
        ),
        (
            "to",
            "1.2E+05",
            "in `to`: `1.2E+05` is not an instant; a spreadsheet wrote the date as a number: make its column text and"
            " write 2026-06-12T21:21:00Z or a bare date 2026-06-12",
        ),
        (
            "to",
            "01/02/2026",
            "in `to`: `01/02/2026` is not an instant; if it is 2026-02-01 or 2026-01-02, write that;"
            " write 2026-06-12T21:21:00Z or a bare date 2026-06-12",
        ),
        (
            "to",
            "31/12/2026 00:00",
            "in `to`: `31/12/2026 00:00` is not an instant; if it is 2026-12-31T00:00:00Z, write that if that is UTC,"
            " else the same with its own zone; write 2026-06-12T21:21:00Z or a bare date 2026-06-12",
        ),
        (
            "suspended",
            "45123/",
            "in `suspended`: `45123` is not an instant; a spreadsheet wrote the date as a number: make its column text"
            " and write 2023-07-16",
        ),
        (
            "item",
            "operations-reach:4,00E+91",
            "in `item`: there is no operations test `4,00E+91`; a spreadsheet takes `4E091` for a number: make its"
            " column text and write `4E091`",
        ),
        (
            "item",
            "eccn:4E91",
            "in `item`: there is no item or table with the ECCN `4E91`; a spreadsheet takes `4E091` for a number: make"
            " its column text and write the ECCN",
        ),
        (
            "item",
            "4.00E+91",
            "in `item`: `4.00E+91` is a number; write words; a spreadsheet may have changed it: make the column text",
        ),
        (
            "id",
            "1.2E+05",
            "in `id`: `1.2E+05` is a number or a date to a spreadsheet, which may rewrite it; write an id that has a"
            " word in it",
        ),
        (
            "id",
            "2026-06-12",
            "in `id`: `2026-06-12` is a number or a date to a spreadsheet, which may rewrite it; write an id that has a"
            " word in it",
        ),
        (
            "citation",
            "744.2",
            "in `citation`: `744.2` is a number or a date, and explains nothing; write the sentence; a spreadsheet may"
            " have replaced it",
        ),
        ("hold", "TRUE", "in `hold`: `TRUE` is not known; did you mean `yes`? write one of no, yes"),
    ],
)
def test_a_cell_that_a_spreadsheet_turned_into_a_number_or_a_date_is_read_back(
    column: str, cell: str, expected: str
) -> None:
    assert in_cell(column, cell) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            book(catalogue=CATALOGUE.replace('"4E001.a"}', "4E091}")),
            'a text is wanted here and `4E091` is a number; quote it: "4E091"',
        ),
        (
            book(catalogue=CATALOGUE.replace('"4E001.a"}', '"4,00E+91"}')),
            "`4,00E+91` is not an ECCN; if a spreadsheet took `4E091` for a number, make its column text;"
            ' write one such as "4E001.a" or "EAR99"',
        ),
        (
            book(country_groups=COUNTRY_GROUPS.replace("2020-12-23T00:00:00Z", "44188")),
            "`44188` is not an instant; a spreadsheet wrote the date as a number: make its column text and write"
            " 2020-12-23",
        ),
        (
            book(country_groups=COUNTRY_GROUPS.replace("2020-12-23T00:00:00Z", "23/12/2020")),
            "`23/12/2020` is not an instant; if it is 2020-12-23, write that;"
            " write 2026-06-12T21:21:00Z or a bare date 2026-06-12",
        ),
    ],
)
def test_numbers_and_dates_of_spreadsheets_are_read_back_in_the_tables_too(
    files: Mapping[str, bytes], expected: str
) -> None:
    assert told(files).split(": ", 1)[1] == expected


# --- limits -----------------------------------------------------------------------------------------------------------


def test_a_cell_of_a_megabyte_is_a_fault_and_the_other_rows_are_read() -> None:
    long = sheet(GRANT, {**BAR, "item": "a|" * 500_000}, {**NOTE, "codes": "LICENCE_APLIED"})
    first, second = faults_of(book(rules=long))
    message = "the cell has 1,000,000 characters, and its row was not read; shorten it to at most 10,000"
    assert str(first) == f"{RULES}:3:35 (G3): {message}"
    assert "did you mean `LICENCE_APPLIED`?" in second.remedy


def test_a_condition_of_many_terms_is_a_fault() -> None:
    cell = "|".join(f"word-{number}" for number in range(MOST_TERMS + 1))
    assert len(cell) < LONGEST_CELL
    message = "in `item`: the condition has more than 500 terms; name a country group, or write several rules"
    assert in_cell("item", cell) == message


@pytest.mark.parametrize("column", ["codes", "obligations", "suspended"])
def test_a_list_of_many_parts_is_a_fault(column: str) -> None:
    faults = faults_of(book(rules=sheet(GRANT, {**BAR, column: "x;" * 600}, NOTE)))
    assert f"in `{column}`: the cell has more than 500 parts" == faults[0].message


@pytest.mark.slow
def test_of_a_million_rows_no_more_are_read_than_a_book_may_have() -> None:
    findings = Findings(source=RULES)
    found = read_sheet(b"x,y\n" + b"1,2\n" * 1_000_000, findings)
    assert found is not None
    assert (len(found.records), found.complete) == (MOST_ROWS, False)
    (fault,) = findings.faults
    assert fault.line == MOST_ROWS + 2
    assert fault.message == "here is one row more than the 200,000 that may still stand; the rest was not read"
    assert fault.remedy == "a book has at most 200,000 rows: take some out"


def test_a_file_gets_the_room_that_the_files_before_it_left() -> None:
    findings = Findings(source=RULES)
    read_sheet(b"x,y\n" + b"1,2\n" * 11, findings, most_rows=10)
    assert [fault.message[:45] for fault in findings.faults] == ["here is one row more than the 10 that may sti"]


def test_a_rule_file_over_the_limit_is_refused_unread() -> None:
    text = told(book(rules=SMALL + b"#" * LARGEST_FILE))
    size = len(SMALL) + LARGEST_FILE
    assert text == f"{RULES}:1:1: the file has {size:,} bytes and the limit is 67,108,864; split it or take rows out"


def test_a_document_over_the_limit_is_refused_unread() -> None:
    fault = fault_of(book(catalogue=b"#" * (LARGEST_DOCUMENT + 1)))
    assert fault.message == "the document has 4,194,305 bytes and the limit is 4,194,304"


def test_a_folder_with_a_file_over_the_limit_is_refused_without_reading_it(tmp_path: Path) -> None:
    for name, data in book().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    with (tmp_path / RULES).open("r+b") as file:
        file.truncate(10**13)
    with pytest.raises(FaultsError) as refused:
        read_folder(tmp_path)
    (fault,) = refused.value.faults
    assert (fault.source, fault.message) == (
        RULES,
        "the file has 10,000,000,000,000 bytes and there is room for 67,108,864",
    )


def test_faults_without_end_end_with_one_that_says_so() -> None:
    findings = Findings(source=RULES)
    for line in range(MOST_FAULTS + 10):
        findings.add(line + 1, 1, "x")
    assert len(findings.faults) == MOST_FAULTS
    assert findings.full
    assert findings.faults[-1].message == "there are more than 200,000 faults, and the rest is not listed"
    assert findings.faults[-1].remedy == "correct those listed first"


# --- suggestions and progress -----------------------------------------------------------------------------------------


@given(
    word=st.text(alphabet="abdefilnoprstu-:", max_size=12) | st.sampled_from(sorted(VOCABULARY)), cut=st.integers(0, 9)
)
def test_the_nearest_word_is_the_one_that_difflib_finds(word: str, cut: int) -> None:
    choices = tuple(sorted(VOCABULARY))
    word = word[:cut] + word[cut + 1 :]
    folded = [choice for choice in choices if choice.replace("-", "_") == word.replace("-", "_")]
    assert near_miss(word, choices) == next(iter([*folded, *difflib.get_close_matches(word, choices, n=1)]), None)


def test_a_misspelt_id_among_thousands_is_answered_with_a_neighbour_in_the_alphabet() -> None:
    notes = [{**NOTE, "id": f"PAPERS-{number}"} for number in range(3_000)]
    fault = fault_of(book(rules=sheet(GRANT, {**BAR, "unless": "PAPERS-1234X"}, *notes)))
    assert fault.message == "in `unless`: there is no rule `PAPERS-1234X`"
    assert fault.remedy == "did you mean `PAPERS-1234`?"


def test_progress_goes_up_to_all_the_rows_of_all_the_files() -> None:
    seen: list[tuple[int, int]] = []
    many = [{**GRANT, "id": f"ACCESS-{number}"} for number in range(2_500)]
    files = book(rules=sheet(*many)) | {"rules/operator.csv": sheet({**BAR, "regime": "operator"})}
    read_book(files, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1_000, 2_501), (2_000, 2_501), (2_501, 2_501)]
