"""Two who write past the service at one time never both file rows that overlap, on either database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from sqlalchemy import Engine

from policy_engine.domain.ports import MembersMoved, MembersUnavailable, Snapshot
from policy_engine.domain.roster import MembershipStatus, RosterRows, latest_known
from policy_engine.formats.book_names import BookNames
from policy_engine.formats.faults import FaultsError
from policy_engine.service.administration.member_edits import Edit, EditFault
from policy_engine.service.administration.roster import MAX_ATTEMPTS, RosterChange, edit_members, import_members
from policy_engine.shapes.members import EditAction
from policy_engine.store.members import Members
from tests.store.conftest import Store

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAMES = BookNames()
PARTIES = b"organisations: [{id: o, name: O}]\nconsortia: [{id: c, name: C}]\n"
ACTIVE = b"memberships: [{organisation: o, consortium: c, from: 2026-04-07, to: null, status: active}]\n"
SUSPENDED = b"memberships: [{organisation: o, consortium: c, from: 2026-05-01, to: null, status: suspended}]\n"


class Meeting(Members):
    """Members whose first look ends when everybody has had theirs, so that all make their rows of the same state."""

    def __init__(self, engine: Engine, barrier: threading.Barrier) -> None:
        super().__init__(engine)
        self._barrier: threading.Barrier | None = barrier

    def snapshot(self) -> Snapshot:
        seen = super().snapshot()
        if self._barrier is not None:
            barrier, self._barrier = self._barrier, None
            barrier.wait(timeout=60)
        return seen


def _import(members: Members, file: bytes) -> RosterChange:
    return import_members(members, file, "m.yaml", names=NAMES, actor="officer", reason="test", at=AT)


def _suspend(members: Members, start: datetime) -> RosterChange:
    edit = Edit(action=EditAction.SUSPEND, kind="membership", name=("o", "c"), at=start)
    return edit_members(members, edit, names=NAMES, actor="officer", reason="test", at=AT)


def _at_once(store: Store, *writers: Callable[[Members], RosterChange]) -> list[RosterChange | Exception]:
    barrier = threading.Barrier(len(writers))
    came: list[RosterChange | Exception] = []

    def run(write: Callable[[Members], RosterChange]) -> None:
        try:
            came.append(write(Meeting(store.open(), barrier)))
        except (FaultsError, EditFault, MembersUnavailable) as error:
            came.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return came


def test_of_two_imports_that_overlap_one_is_on_file_and_the_other_is_told_why(store: Store) -> None:
    members = Members(store.open())
    _import(members, PARTIES)
    came = _at_once(store, lambda one: _import(one, ACTIVE), lambda one: _import(one, SUSPENDED))
    (landed,) = (one for one in came if isinstance(one, RosterChange))
    (refused,) = (one for one in came if isinstance(one, FaultsError))
    assert (landed.revision, landed.added) == (2, 1)
    assert "only one can be true" in str(refused.faults[0])
    assert len(members.snapshot().rows.memberships) == 1


def test_two_suspensions_at_once_leave_no_rows_that_overlap(store: Store) -> None:
    """Which comes first is open: the earlier one makes the other needless, the later one leaves it time to stand."""
    members = Members(store.open())
    _import(members, PARTIES + ACTIVE)
    earlier, later = AT.replace(month=6), AT.replace(month=7)
    came = _at_once(store, lambda one: _suspend(one, earlier), lambda one: _suspend(one, later))
    assert any(isinstance(one, RosterChange) for one in came)
    known = sorted(
        (row for row in latest_known(members.snapshot().rows.memberships, None)), key=lambda row: str(row.valid.start)
    )
    assert len(known) > 1
    for before, after in pairwise(known):
        assert before.valid.end is not None
        assert after.valid.start is not None
        assert before.valid.end <= after.valid.start
    suspended = [row for row in known if row.status is MembershipStatus.SUSPENDED]
    assert suspended[-1].valid.end is None


def test_two_who_speak_of_different_things_are_both_on_file(store: Store) -> None:
    members = Members(store.open())
    _import(members, PARTIES)
    other = b"statements: [{organisation: o, kind: uvl, from: 2026-01-01, to: null}]\n"
    came = _at_once(store, lambda one: _import(one, ACTIVE), lambda one: _import(one, other))
    assert sorted(one.revision for one in came if isinstance(one, RosterChange)) == [2, 3]


def test_rows_that_were_made_beside_another_revision_are_not_written(store: Store) -> None:
    members = Members(store.open())
    _import(members, PARTIES)
    with pytest.raises(MembersMoved, match="at revision 1, and was at 0"):
        members.record(RosterRows(), actor="officer", reason="test", at=AT, under=0)
    assert members.control().revision == 1


def test_an_import_that_others_overtake_again_and_again_says_that_nothing_was_recorded(store: Store) -> None:
    class Overtaken(Members):
        """Members that somebody else changes after every look."""

        looks = 0

        def snapshot(self) -> Snapshot:
            seen = super().snapshot()
            self.looks += 1
            file = f"organisations: [{{id: of-{self.looks}, name: X}}]\n".encode()
            _import(Members(store.open()), file)
            return seen

    members = Overtaken(store.open())
    with pytest.raises(MembersUnavailable, match="nothing was recorded: try again"):
        _import(members, PARTIES)
    assert members.looks == MAX_ATTEMPTS
    assert all(row.id != "o" for row in Members(store.open()).snapshot().rows.organisations)
