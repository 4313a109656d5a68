"""Rows that are added to what is known, a few at a time, give what is known of all of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.domain import layers
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.roster import (
    OF_PERSONS,
    VIEWS,
    WATCHED,
    Consortium,
    Known,
    Organisation,
    PersonEntry,
    Reads,
    Recorded,
    Roster,
    RosterRows,
    Stake,
    touched_by,
    with_rows,
)
from tests.worlds import Read as Drawn
from tests.worlds import world

AT = parse_instant("2026-06-01T00:00:00Z")


def versions(random: Random) -> dict[str, list[Recorded]]:
    """The rows of a world and, of some, later and earlier versions, retractions, and what comes back, in any order."""
    rows = Drawn(world(random)).rows
    made: dict[str, list[Recorded]] = {}
    for column in fields(rows):
        some: list[Recorded] = []
        for row in getattr(rows, column.name):
            some.append(row)
            for _ in range(random.choice([0, 0, 1, 3])):
                at = random.choice([None, AT + timedelta(days=random.randint(-3, 3))])
                some.append(replace(row, recorded_at=at, retracted=random.random() < 0.5))
        made[column.name] = random.sample(some, len(some))
    return made


def pieces(random: Random, made: dict[str, list[Recorded]]) -> list[RosterRows]:
    cut: list[dict[str, Any]] = [
        {name: tuple(rows[len(rows) * part // 4 : len(rows) * (part + 1) // 4]) for name, rows in made.items()}
        for part in range(4)
    ]
    return [RosterRows(**one) for one in cut if random.random() < 0.9]


def known(held: Known) -> dict[str, Any]:
    """What counts of it; the order of a mapping says nothing."""
    return {column.name: getattr(held, column.name) for column in fields(held)}


@pytest.mark.parametrize("copied", [layers.COPIED, 1])
@given(seed=st.integers(0, 2**32))
def test_rows_added_in_pieces_are_known_as_all_of_them_are(seed: int, copied: int) -> None:
    random = Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, "COPIED", copied)
        together, held = RosterRows(), Known.of(RosterRows())
        for piece in pieces(random, versions(random)):
            before, told = held, known(Known.of(together))
            together, held = with_rows(together, piece), held.with_rows(piece)
            assert known(held) == known(Known.of(together))
            assert known(before) == told


@given(seed=st.integers(0, 2**32))
def test_whatever_reads_otherwise_after_rows_were_added_is_told_by_name(seed: int) -> None:
    random = Random(seed)
    held = Known.of(RosterRows())
    for piece in pieces(random, versions(random)):
        by_name = replace(piece, organisations=(), stakes=(), listings=(), consortia=())
        told = touched_by(by_name)
        assert told is not None
        before, after = held.roster(1), held.with_rows(by_name).roster(1)
        for view in (column.name for column in fields(Roster) if isinstance(getattr(before, column.name), Mapping)):
            old, new = getattr(before, view), getattr(after, view)
            changed = {(view, name) for name in {*old, *new} if old.get(name) != new.get(name)}
            assert changed <= told, view
        held = held.with_rows(piece)


def test_what_is_not_told_by_name_is_told_of_all() -> None:
    empty = Known.of(RosterRows()).roster(1)
    views = {column.name for column in fields(Roster) if column.compare and column.name != "revision"}
    assert views - set(WATCHED) == {"organisations", "consortia", "owners", "listings"}
    for rows in (
        RosterRows(organisations=(Organisation(id="a"),)),
        RosterRows(consortia=(Consortium(id="a"),)),
        RosterRows(stakes=(Stake(owner="a", owned="b", percent=None),)),
    ):
        assert touched_by(rows) is None
    assert touched_by(RosterRows()) == frozenset()
    assert not empty.people


@pytest.mark.parametrize("view", WATCHED)
def test_what_is_asked_for_by_name_is_told_and_so_is_who_goes_through_all(view: str) -> None:
    roster = Known.of(RosterRows(people=(PersonEntry(id="carol"),))).roster(1)
    reads = Reads(roster)
    mapping = getattr(reads.watching, view)
    assert mapping.get("nobody") is None
    assert "else" not in mapping
    with pytest.raises(KeyError):
        mapping["third"]
    assert reads.by_name() == frozenset({(view, "nobody"), (view, "else"), (view, "third")})
    for go_through in (list, len, bool, lambda one: list(one.items())):
        reads = Reads(roster)
        go_through(getattr(reads.watching, view))
        assert reads.by_name() is None
    assert Reads(roster).watching.people["carol"].id == "carol"


def test_every_section_is_known_by_id_or_by_whom_it_is_about() -> None:
    empty = Known.of(RosterRows())
    assert {*empty.one, *(section for section, _ in VIEWS.values())} == {one.name for one in fields(RosterRows)}
    assert set(empty.many) == set(VIEWS)
    assert set(OF_PERSONS) <= set(VIEWS)


@pytest.mark.parametrize("view", VIEWS)
def test_whom_a_row_is_about_is_part_of_its_key(view: str) -> None:
    section, field = VIEWS[view]
    worlds = (Drawn(world(Random(seed))).rows for seed in range(200))
    row = next(row for rows in worlds for row in getattr(rows, section))
    assert replace(row, **{field: "somebody-else"}).key != row.key
