"""What is written for spreadsheets begins no formula, by whichever separator it is read, and lists can be parted."""

from __future__ import annotations

import csv
import io
import re
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.formats.identifiers import identifier_fault
from policy_engine.formats.spreadsheet import BETWEEN, SIGNS, line, listed, neutral

EVIL: Final = st.text(alphabet=st.sampled_from([*SIGNS, *",;|\t\r\n\" 'a1"]), max_size=14)


@given(text=st.text(max_size=20) | EVIL)
def test_no_part_of_a_cell_begins_a_formula_and_the_text_can_be_read_back(text: str) -> None:
    cell = neutral(text)
    for part in re.split("[,;|\t\r\n]", cell):
        assert not part.lstrip().lstrip('" \t').startswith(SIGNS)
    assert not cell.startswith(("\t", "\r", "\n"))
    guards = [at for at, sign in enumerate(cell) if sign == "'"]
    assert len(cell) - len(text) <= len(guards)
    assert cell.replace("'", "") == text.replace("'", "")


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("a;=1+1", "a;'=1+1"),
        ('a;"=1+1"', 'a;\'"=1+1"'),
        ("a, -1", "a,' -1"),
        ("\uff1d1", "'\uff1d1"),
        ("a-b", "a-b"),
        ("a; b", "a; b"),
        ("\t1", "'\t1"),
    ],
)
def test_an_apostrophe_goes_before_what_would_be_a_formula(text: str, cell: str) -> None:
    assert neutral(text) == cell


@given(cells=st.lists(EVIL, min_size=1, max_size=4))
def test_a_line_is_safe_by_any_separator(cells: list[str]) -> None:
    text = line(cells)
    for separator in ",;|\t":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            for cell in row:
                assert not cell.lstrip('" \t\r\n').startswith(SIGNS), (separator, cell)
    assert next(csv.reader(io.StringIO(text, newline=""))) == [neutral(cell) for cell in cells]


@given(names=st.lists(st.text(min_size=1, max_size=8).filter(lambda name: identifier_fault(name) is None), max_size=4))
def test_the_names_of_a_list_can_be_parted_again(names: list[str]) -> None:
    cell = next(csv.reader(io.StringIO(line([listed(names)]), newline="")))[0]
    parts = cell.split(BETWEEN) if names else [name for name in [cell] if name]
    assert [part.replace("'", "") for part in parts] == [name.replace("'", "") for name in names]


def test_two_names_with_blanks_stay_two() -> None:
    cell = next(csv.reader(io.StringIO(line([listed(["Nord Werke", "Sued"])]), newline="")))[0]
    assert cell.split(BETWEEN) == ["Nord Werke", "Sued"]
