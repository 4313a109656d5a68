"""The strict reader of separated values."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from policy_engine.formats.faults import Fault, Findings
from policy_engine.policy.csv_reader import LONGEST_CELL, Sheet, read_sheet

CELLS = st.text(alphabet='ab,;"#\n é|.', max_size=8).map(lambda text: text.strip(" \n"))


def read(data: bytes | str) -> tuple[Sheet | None, list[Fault]]:
    findings = Findings(source="x.csv")
    return read_sheet(data if isinstance(data, bytes) else data.encode(), findings), findings.faults


def cells_of(data: bytes | str) -> list[tuple[str, ...]]:
    found, faults = read(data)
    assert found is not None
    assert not faults
    return [record.cells for record in found.records]


def refused(data: bytes | str) -> list[tuple[int, int, str]]:
    return [(fault.line, fault.column, fault.message) for fault in sorted(read(data)[1])]


@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=6),
    separator=st.sampled_from(",;"),
    newline=st.sampled_from(["\n", "\r\n"]),
    quote_all=st.booleans(),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
def test_what_a_spreadsheet_writes_is_read_back_cell_for_cell(
    rows: list[tuple[str, str, str]], separator: str, newline: str, quote_all: bool, mark: bytes
) -> None:
    # No writer quotes a number sign by itself, and the line would be a comment.
    assume(quote_all or not any(row[0].startswith("#") for row in rows))
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=separator,
        lineterminator=newline,
        quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL,
    )
    writer.writerow(["one", "two", "three"])
    writer.writerows(rows)
    assert [row for row in rows if any(row)] == cells_of(mark + text.getvalue().encode())


def test_a_quoted_cell_may_hold_the_separator_marks_and_line_breaks() -> None:
    assert cells_of('x,y,z\n"a,b","say ""x""","one\r\ntwo"\r\n1,2,3') == [
        ("a,b", 'say "x"', "one\ntwo"),
        ("1", "2", "3"),
    ]


def test_comments_and_blank_lines_say_nothing() -> None:
    assert cells_of('# with, and "\nx,y\n\n   \n#,\n,\n"",""\n1,2\n# end') == [("1", "2")]


def test_a_number_sign_in_quotation_marks_is_no_comment() -> None:
    assert cells_of('x,y\n"#1",2\n3,# not a comment\n') == [("#1", "2"), ("3", "# not a comment")]


def test_a_line_of_a_quoted_cell_that_begins_with_a_number_sign_is_no_comment() -> None:
    assert cells_of('x,y\n"one\n# two",2\n') == [("one\n# two", "2")]


def test_the_header_line_shows_the_separator() -> None:
    assert cells_of("x;y\n1,5;2\n") == [("1,5", "2")]


def test_line_numbers_count_the_lines_inside_quoted_cells() -> None:
    found, _ = read('x,y\n"1\n2\n3",4\n5,6\n')
    assert found is not None
    assert [record.line for record in found.records] == [2, 5]


def test_a_place_inside_a_quoted_cell_is_that_in_the_file() -> None:
    found, _ = read('x,y\n 1 ," say ""a""\r\n  here"\n')
    assert found is not None
    (record,) = found.records
    assert record.cells == ("1", 'say "a"\n  here')
    assert found.place(record, 0) == (2, 2)
    assert found.place(record, 1) == (2, 7)
    assert found.place(record, 1, offset=6) == (2, 14)
    assert found.place(record, 1, offset=10) == (3, 3)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("", [(1, 1, "the file is empty")]),
        (" \n\n", [(1, 1, "the file is empty")]),
        ("# only\n# comments\n", [(3, 1, "there is no header line")]),
        (",,\n,\n", [(3, 1, "there is no header line")]),
        ('x,"y\n1,2\n', [(1, 3, "the quotation mark is never closed")]),
        ('x,y"\n1\n', [(1, 3, "a cell that is not quoted has a quotation mark in it")]),
        ("x,y\n1\n", [(2, 1, "the row has 1 cells and the header 2")]),
        ("x,y\n1,2,3\n", [(2, 1, "the row has 3 cells and the header 2")]),
        ("x,y\n1;2\n", [(2, 1, "the row has 1 cells and the header 2")]),
        ("x,y;z\n1,2,3\n", [(1, 1, "the header line has both commas and semicolons outside quotation marks")]),
        ("sep=;\nx;y\n1;2\n", [(1, 1, "`sep=;` is not a header line")]),
        ('x,y\n1,"2\n3,4\n', [(2, 3, "the quotation mark is never closed")]),
        ('x,y\n1,a"b"\n3,4\n', [(2, 3, "a cell that is not quoted has a quotation mark in it")]),
        (
            'x,y\n1,"b"c\n3\n',
            [(2, 3, "a quoted cell has something before or after its marks"), (3, 1, "the row has 1")],
        ),
        ('x,y\n1, "b"\n', [(2, 4, "a quoted cell has something before or after its marks")]),
        ("x,y\n1,=SUM(A1)\n", [(2, 3, "`=SUM(A1)` begins like a formula")]),
        ("x,y\n +1,@a\n", [(2, 2, "`+1` begins like a formula"), (2, 5, "`@a` begins like a formula")]),
        ('x,y\n"-1",2\n', [(2, 2, "`-1` begins like a formula")]),
        ("x,y\na\x00b,2\n", [(2, 2, "the line has the invisible character U+0000")]),
        (
            "x,y\n1,a\u202eb\n# a\u2066b\n",
            [(2, 4, "the line has the invisible character U+202E"), (3, 4, "the line has the")],
        ),
        ("x,y\na\tb,2\n", [(2, 2, "the line has the invisible character U+0009")]),
        ("x,y\n1,\ufeff2\n", [(2, 3, "the line has the invisible character U+FEFF")]),
        ("x,y\r1,2\r", [(1, 4, "a carriage return stands alone, here and further on")]),
        ("x,y\n1,2\r3\n", [(2, 4, "a carriage return stands alone")]),
        (b"x,y\n1,caf\xe9\n", [(2, 6, "byte 0xe9 is not UTF-8")]),
        ("é,y\n1,".encode() + b"\xe9\n", [(2, 3, "byte 0xe9 is not UTF-8")]),
        ("x,y\n1,2\n".encode("utf-16"), [(1, 1, "the file is UTF-16")]),
        (f"x,y\n1,{'a' * (LONGEST_CELL + 1)}\n", [(2, 3, "the cell has 10,001 characters, and its row was not read")]),
    ],
)
def test_what_cannot_be_read_as_its_author_sees_it_is_refused_with_the_place(
    data: bytes | str, expected: list[tuple[int, int, str]]
) -> None:
    found = refused(data)
    assert [(line, column) for line, column, _ in expected] == [(line, column) for line, column, _ in found]
    for (_, _, begins), (_, _, message) in zip(expected, found, strict=True):
        assert message.startswith(begins)


def test_a_cell_of_the_longest_length_is_read() -> None:
    assert cells_of(f"x,y\n1,{'a' * LONGEST_CELL}\n") == [("1", "a" * LONGEST_CELL)]


@given(data=st.binary(max_size=60) | st.text(alphabet='x,;"\r\n# =', max_size=30).map(str.encode))
def test_any_bytes_are_a_sheet_of_even_rows_or_a_fault(data: bytes) -> None:
    found, faults = read(data)
    if found is None:
        assert faults
    else:
        assert all(len(record.cells) == len(found.header.cells) for record in found.records)


def test_the_place_of_a_fault_is_also_the_cell_that_a_spreadsheet_shows() -> None:
    text = 'id,what\n# a comment is a row\n\n"A","two\nlines"\nB,=1\n'
    findings = Findings(source="rules/vendor.csv")
    read_sheet(text.encode(), findings)

    (fault,) = findings.faults
    # Six lines of text, and five rows of the spreadsheet: a line break in a cell begins none.
    assert (fault.line, fault.column, fault.cell) == (6, 3, "B5")
    assert str(fault).startswith("rules/vendor.csv:6:3 (B5): `=1` begins like a formula")
