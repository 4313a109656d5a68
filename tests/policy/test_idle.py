"""Rows that can do nothing are named: bars that never match, and grants that ask nothing."""

from __future__ import annotations

import pytest

from policy_engine.cli.book_check import check_folder
from policy_engine.formats.faults import FaultsError
from policy_engine.policy.idle import never_matching
from policy_engine.policy.reader import read_book
from tests.conftest import FILES, POLICIES
from tests.policy.books import BAR, GRANT, book, sheet

PLAIN = {**BAR, "id": "IDLE", "place": ""}


def idle(**cells: str) -> list[str]:
    files = book(rules=sheet(GRANT, BAR, {**PLAIN, **cells}))
    return [row.id for row in never_matching(read_book(files))]


@pytest.mark.parametrize(
    "cells",
    [
        {"item": "tier:classified"},
        {"item": "kind:model & kind:technology"},
        {"item": "model:alpha-1", "action": "infer & !infer"},
        {"party": "on-file & !on-file"},
        {"party": "member:circle & !member:circle | gateway:main & !gateway:main"},
        {"authorisation": "holds:vendor/licence & !holds:vendor/licence"},
        {"listing": "listed:EL", "party": "employee & !employee"},
    ],
    ids=str,
)
def test_a_bar_that_can_never_match_is_named(cells: dict[str, str]) -> None:
    assert idle(**cells) == ["IDLE"]


@pytest.mark.parametrize(
    "cells",
    [
        {"item": "tier:commodity"},
        {"item": "!in-catalogue"},
        {"party": "foreign-person & !foreign-person"},
        {"party": "member:circle & !member:circle | !on-file"},
    ],
    ids=str,
)
def test_a_bar_that_may_match_is_not(cells: dict[str, str]) -> None:
    """An open fact may be unknown, and then the bar stands on both."""
    assert idle(**cells) == []


def test_no_bar_that_ships_is_idle() -> None:
    assert never_matching(read_book(FILES)) == ()
    assert check_folder(POLICIES, None).notices == ()


@pytest.mark.parametrize(
    "cells",
    [
        {"action": "", "item": ""},
        {"action": "", "item": "", "party": "on-file | !on-file"},
        {"action": "infer | !infer", "item": "tier:commodity | !tier:commodity"},
    ],
    ids=str,
)
def test_a_grant_that_asks_nothing_is_a_fault(cells: dict[str, str]) -> None:
    with pytest.raises(FaultsError, match="grants everything"):
        read_book(book(rules=sheet({**GRANT, **cells}, BAR)))


@pytest.mark.parametrize("party", ["on-file", "us-person | !us-person", "on-file & employee | !on-file"])
def test_a_grant_that_asks_something_is_none(party: str) -> None:
    read = read_book(book(rules=sheet({**GRANT, "action": "", "item": "", "party": party}, BAR)))
    assert len(read.rows) == 2
