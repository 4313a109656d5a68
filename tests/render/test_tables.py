"""Tables at every width: no word is broken, what is left out is named, and through a pipe a row is one line."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from policy_engine.render.tables import show_pairs, show_rows

ID = "MC-01M8NY18SAVGJVP2FNF57H5HG9"
DIGEST = "sha256:ea9da39257a5e8ddd916538a79f8713ab083259dea4f01c234c85dc272f89438"
AT = "2026-11-30T09:54:31.850833Z"
COLUMNS = ("change", "status", "rows", "proposed by", "at", "reason")
ROWS = [
    (ID, "waits", "6", "dora", AT, "the contract of 29 May was read with counsel"),
    (ID[::-1], "on file", "1", "", AT, ""),
]


def console(width: int, *, terminal: bool = True) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None, soft_wrap=True)


def lines(where: Console) -> list[str]:
    assert isinstance(where.file, io.StringIO)
    return where.file.getvalue().splitlines()


def test_through_a_pipe_every_row_is_one_line_with_all_of_its_columns() -> None:
    where = console(60, terminal=False)
    show_rows(COLUMNS, ROWS, spare=("rows", "at"), where=where)

    head, first, second = lines(where)
    assert head.split() == ["change", "status", "rows", "proposed", "by", "at", "reason"]
    assert all(word in first for cell in ROWS[0] for word in cell.split())
    assert second.startswith(ID[::-1])


def test_on_a_terminal_of_eighty_columns_spare_columns_give_way_and_are_named() -> None:
    where = console(80)
    show_rows(COLUMNS, ROWS, spare=("rows", "at"), where=where)

    told = lines(where)
    assert told[-1] == "not shown for want of room: rows, at; --json has everything"
    assert max(map(len, told)) <= 80
    assert any(ID in line for line in told)
    assert not any(AT in line for line in told)


def test_where_nothing_can_give_way_each_row_is_told_as_lines_of_name_and_value() -> None:
    where = console(60)
    show_rows(("stands", "book", "by"), [("in force", DIGEST, "dora"), ("before", DIGEST[::-1], "")], where=where)

    assert lines(where) == [
        "stands  in force",
        f"book    {DIGEST}",
        "by      dora",
        "",
        "stands  before",
        f"book    {DIGEST[::-1]}",
    ]


def test_numbers_stand_at_the_right() -> None:
    where = console(80)
    show_rows(("reason", "decisions"), [("A", "1"), ("B", "1,234")], right=("decisions",), where=where)

    assert lines(where) == ["reason  decisions", "A               1", "B           1,234"]


def test_no_rows_are_no_table() -> None:
    where = console(80)
    show_rows(COLUMNS, [], title="changes", where=where)

    assert lines(where) == []


def test_a_long_value_is_broken_between_words_and_hangs_beside_its_name() -> None:
    where = console(60)
    show_pairs([("note", "one two three " * 6), ("book", DIGEST)], where=where)

    told = lines(where)
    assert told[0].startswith("note  one two")
    assert told[1].startswith("      ")
    assert told[-1] == f"book  {DIGEST}"


WORDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=75)
CELLS = st.lists(WORDS, max_size=4).map(" ".join)


@pytest.mark.parametrize("terminal", [True, False])
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=4),
    width=st.integers(20, 200),
    spare=st.sampled_from([(), ("two",), ("two", "three")]),
)
def test_no_word_is_ever_broken_and_what_fits_stays_within_the_width(
    rows: list[tuple[str, str, str]], width: int, spare: tuple[str, ...], terminal: bool
) -> None:
    where = console(width, terminal=terminal)
    show_rows(("one", "two", "three"), rows, spare=spare, where=where)

    told = lines(where)
    said = {word for line in told for word in line.split()}
    left_out = set(spare) if told[-1].startswith("not shown") else set()
    for row in rows:
        for name, cell in zip(("one", "two", "three"), row, strict=True):
            if name not in left_out:
                assert set(cell.split()) <= said
    if (
        terminal
        and told[0].split()[:1] == ["one"]
        and "two" not in left_out
        and told[0].split() == ["one", "two", "three"]
    ):
        assert all(len(line) <= width for line in told)
