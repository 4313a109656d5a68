"""Which book is in force, and by which instant a decision is dated, for a process whose clock runs behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from policy_engine.domain.changes import Actor, BookApproved, BookFounded, BookProposed, BookWatched, Change, Event
from policy_engine.domain.desk import Desk, desk_after
from policy_engine.domain.instants import Validity, parse_instant
from policy_engine.domain.roster import Draw, Membership, MembershipStatus, Roster, RosterRows
from policy_engine.service.gate.snapshot import MOST_APART, Ground, passed_of_members

NOON = parse_instant("2026-11-20T12:00:00Z")
HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
NOBODY = Actor(key="test")


def changed(*events: tuple[timedelta, Event]) -> Desk:
    return desk_after(
        Change(id=f"c-{number}", at=NOON + after, actor=NOBODY, epoch=number, event=event)
        for number, (after, event) in enumerate(events)
    )


def proposed(name: str) -> BookProposed:
    return BookProposed(
        proposal=name,
        fingerprint=name,
        archive=name,
        base="founded",
        effective=None,
        note="test",
        rollback=False,
        withdraws=(),
        reports=(),
    )


def approved(name: str, in_force: timedelta) -> BookApproved:
    return BookApproved(
        proposal=name, fingerprint=name, archive=name, in_force=NOON + in_force, note="test", withdraws=()
    )


FOUNDED = (-24 * HOUR, BookFounded(fingerprint="founded", archive="founded"))


def in_force(desk: Desk, clock: timedelta) -> str | None:
    book = desk.book_at(desk.moment(NOON + clock))
    return None if book is None else book.fingerprint


@pytest.mark.parametrize("clock", [-30 * 24 * HOUR, -HOUR, 0 * HOUR, HOUR], ids=str)
def test_a_book_that_was_put_in_force_at_once_is_in_force_for_who_has_read_of_it(clock: timedelta) -> None:
    watched = changed(FOUNDED, (0 * HOUR, BookWatched(fingerprint="new", archive="new")))
    assert in_force(watched, clock) == "new"
    accepted = changed(FOUNDED, (0 * HOUR, proposed("new")), (0 * HOUR, approved("new", 0 * HOUR)))
    assert in_force(accepted, clock) == "new"


def test_of_two_that_were_put_in_force_at_once_the_one_recorded_later_is_whatever_the_clocks_said() -> None:
    desk = changed(
        FOUNDED,
        (HOUR, BookWatched(fingerprint="first", archive="first")),
        (0 * HOUR, BookWatched(fingerprint="second", archive="second")),
    )
    assert [in_force(desk, clock) for clock in (-HOUR, 0 * HOUR, HOUR, 2 * HOUR)] == ["second"] * 4


def test_a_book_that_is_to_come_into_force_later_waits_for_its_instant() -> None:
    desk = changed(FOUNDED, (0 * HOUR, proposed("new")), (0 * HOUR, approved("new", 2 * HOUR)))
    assert in_force(desk, 2 * HOUR - MICROSECOND) == "founded"
    assert in_force(desk, 2 * HOUR) == "new"


def ground(*rows: Membership, draws: tuple[Draw, ...] = ()) -> Ground:
    held = RosterRows(memberships=rows, draws=draws)
    return Ground(roster=Roster.as_known(held), epoch=1, desk=Desk(), judges=(), passed=passed_of_members(held))


MEMBER = Membership(
    organisation="alder-bank",
    consortium="glasswing",
    valid=Validity(start=NOON),
    status=MembershipStatus.SUSPENDED,
    recorded_at=NOON,
)


@pytest.mark.parametrize(
    "valid", [Validity(start=NOON), Validity(start=NOON - HOUR, end=NOON), Validity(end=NOON)], ids=str
)
def test_a_decision_is_dated_no_earlier_than_what_had_begun_or_ended_when_it_was_recorded(valid: Validity) -> None:
    held = ground(replace(MEMBER, valid=valid, recorded_at=NOON + MICROSECOND))
    assert held.instant(NOON - MOST_APART) == NOON
    assert held.instant(NOON - MICROSECOND) == NOON
    assert held.instant(NOON) == NOON
    assert held.instant(NOON + HOUR) == NOON + HOUR
    # So far apart one of the clocks is wrong, and nobody can tell which.
    assert held.instant(NOON - MOST_APART - MICROSECOND) == NOON - MOST_APART - MICROSECOND


def test_what_was_recorded_for_a_time_to_come_and_what_was_always_known_date_no_decision() -> None:
    held = ground(replace(MEMBER, recorded_at=NOON - MICROSECOND), replace(MEMBER, recorded_at=None))
    assert held.instant(NOON - HOUR) == NOON - HOUR


def test_a_place_that_was_drawn_dates_the_decisions_after_it() -> None:
    drawn = Draw(authorisation="D-1", person="alice", at=NOON, recorded_at=NOON)
    assert ground(draws=(drawn,)).instant(NOON - HOUR) == NOON
