"""Who reads only what was recorded since the last look stands on the same members as who reads all of them."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import event

from policy_engine.domain.changes import Actor, BookFounded, FreezeDeclared
from policy_engine.domain.freezes import Freeze, FreezeScope
from policy_engine.domain.instants import Validity, parse_instant
from policy_engine.domain.ports import Control, ControlReading, LogUnavailable, NewEvent
from policy_engine.domain.roster import Membership, MembershipStatus, Organisation, Roster, RosterRows, Stake
from policy_engine.policy.judge import Judge
from policy_engine.policy.library import BookLost
from policy_engine.service.gate.snapshot import StandingView, edges_of_members, passed_of_members
from policy_engine.store.database import is_postgresql, reading
from policy_engine.store.desk_log import DeskLog
from policy_engine.store.members import KINDS, Members, read_rows
from tests.conftest import POLICIES
from tests.faults.process import ROSTER
from tests.store.conftest import Store

NOON = parse_instant("2026-11-20T12:00:00Z")
MEMBER = Membership(
    organisation="harbor-cyber",
    consortium="glasswing",
    status=MembershipStatus.SUSPENDED,
    valid=Validity(start=parse_instant("2026-04-07T00:00:00Z"), end=None),
)


class NoBook:
    """No book is ever in force here."""

    def judge(self, fingerprint: str, archive: str, freezes: tuple[Freeze, ...] = ()) -> Judge:
        raise BookLost(f"{POLICIES}: {fingerprint} {archive} {len(freezes)}")


def view(members: Members, desk: DeskLog) -> StandingView:
    return StandingView(members=members, desk=desk, judges=NoBook(), clock=lambda: NOON, report_fault=lambda _: None)


def said(roster: Roster) -> dict[str, object]:
    return {column.name: getattr(roster, column.name) for column in fields(roster) if column.compare}


def changes() -> list[RosterRows]:
    """Everybody, somebody new, a suspension, its end, a row taken back, and something filed for an earlier instant."""
    ended = replace(MEMBER, valid=Validity(start=MEMBER.valid.start, end=NOON + timedelta(days=2)))
    return [
        ROSTER,
        RosterRows(organisations=(Organisation(id="newcomer"),)),
        RosterRows(memberships=(MEMBER,)),
        RosterRows(memberships=(ended,)),
        RosterRows(memberships=(replace(MEMBER, retracted=True),)),
        RosterRows(memberships=(replace(MEMBER, organisation="newcomer", recorded_at=NOON - timedelta(days=9)),)),
    ]


def test_what_is_read_piece_by_piece_is_what_is_read_at_once(store: Store) -> None:
    members, desk = Members(store.open()), DeskLog(store.open())
    piecemeal = view(members, desk)
    for number, rows in enumerate(changes()):
        members.record(rows, actor="test", reason="test", at=NOON + timedelta(minutes=number))
        held = piecemeal.refresh()
        whole = members.snapshot()
        assert said(held.roster) == said(Roster.as_known(whole.rows, revision=whole.revision))
        assert said(held.roster) == said(view(members, desk).refresh().roster)
        assert {one for run in held.edges.runs for one in run} == edges_of_members(whole.rows)
        assert held.passed == passed_of_members(whole.rows)


def test_of_a_change_of_one_row_one_row_is_read(store: Store) -> None:
    members, desk = Members(store.open()), DeskLog(store.open())
    members.record(ROSTER, actor="test", reason="test", at=NOON)
    later = NOON + timedelta(minutes=1)
    members.record(RosterRows(memberships=(MEMBER,)), actor="test", reason="test", at=later)
    rows = desk.standing(held_revision=1, after_index=-1).rows
    assert rows == RosterRows(memberships=(replace(MEMBER, recorded_at=later),))
    assert desk.standing(held_revision=2, after_index=-1).rows is None


def test_what_was_found_out_about_owners_is_kept_until_a_row_is_about_them(store: Store) -> None:
    members, looking = Members(store.open()), view(Members(store.open()), DeskLog(store.open()))
    members.record(ROSTER, actor="test", reason="test", at=NOON)
    before = looking.refresh()
    before.roster.memo["found"] = "out"
    members.record(RosterRows(memberships=(MEMBER,)), actor="test", reason="test", at=NOON + timedelta(minutes=1))
    assert looking.refresh().roster.memo == {"found": "out"}
    stake = Stake(owner="newcomer", owned=MEMBER.organisation, percent=Decimal(60))
    for number, rows in enumerate(
        (RosterRows(organisations=(Organisation(id="newcomer"),)), RosterRows(stakes=(stake,))), start=2
    ):
        looking.refresh().roster.memo["found"] = "out"
        members.record(rows, actor="test", reason="test", at=NOON + timedelta(minutes=number))
        assert looking.refresh().roster.memo == {}


def test_what_came_since_a_revision_is_found_by_the_revision(store: Store) -> None:
    engine = store.open()
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    with reading(engine) as reader:
        for kind in KINDS:
            list(read_rows(reader, kind, after=3))
            statement = asked[-1]
            if is_postgresql(reader):
                # So few rows are read from the first to the last otherwise.
                reader.exec_driver_sql("SET LOCAL enable_seqscan = off")
            word = "EXPLAIN" if is_postgresql(reader) else "EXPLAIN QUERY PLAN"
            values = {"revision_1": 3} if is_postgresql(reader) else (3,)
            plan = " ".join(str(row) for row in reader.exec_driver_sql(f"{word} {statement}", values))
            assert f"ix_{kind.table.name}_revision" in plan, plan


class Restored(DeskLog):
    """A desk whose database is replaced by another one while it is in use."""

    def __init__(self, first: Store, second: Callable[[], DeskLog]) -> None:
        super().__init__(first.open())
        self.second = second
        self.replaced = False

    def standing(self, *, held_revision: int | None, after_index: int) -> ControlReading:
        if self.replaced:
            return self.second().standing(held_revision=held_revision, after_index=after_index)
        return super().standing(held_revision=held_revision, after_index=after_index)


class Moved(Members):
    """Counters that have moved, so that who asks reads again."""

    def control(self) -> Control:
        held = super().control()
        return replace(held, epoch=held.epoch + 100)


def test_a_database_that_was_put_back_to_before_is_read_whole(sqlite_store: Store, postgres_store: Store) -> None:
    now, before = Members(sqlite_store.open()), Members(postgres_store.open())
    for number, rows in enumerate(changes()[:3]):
        now.record(rows, actor="test", reason="test", at=NOON + timedelta(minutes=number))
    before.record(RosterRows(organisations=(Organisation(id="only-one"),)), actor="test", reason="test", at=NOON)
    desk = Restored(sqlite_store, lambda: DeskLog(postgres_store.open()))
    looking = view(Moved(sqlite_store.open()), desk)
    assert looking.refresh().roster.revision == 3
    desk.replaced = True
    held = looking.refresh()
    assert (held.roster.revision, set(held.roster.organisations)) == (1, {"only-one"})


class Unreadable(NoBook):
    """A book that cannot be read the first time, as where the connection is lost."""

    def __init__(self) -> None:
        self.asked = 0

    def judge(self, fingerprint: str, archive: str, freezes: tuple[Freeze, ...] = ()) -> Judge:
        self.asked += 1
        if self.asked == 2:
            raise LogUnavailable("the connection is lost")
        return super().judge(fingerprint, archive, freezes)


def test_a_freeze_that_came_while_a_book_could_not_be_read_is_there_once_it_can(store: Store) -> None:
    desk, members = DeskLog(store.open()), Members(store.open())
    founded = BookFounded(fingerprint="sha256:book", archive="sha256:archive")
    entry = NewEvent(id="founded", at=NOON, actor=Actor(key="officer"), event=founded)
    assert desk.record([entry], under=0)
    looking = StandingView(
        members=members, desk=desk, judges=Unreadable(), clock=lambda: NOON, report_fault=lambda _: None
    )
    assert looking.refresh().desk.freezes_in_force() == ()
    freeze = Freeze(id="F-1", scope=FreezeScope(models=("m",)), authority="A", reason="R", start=NOON)
    entry = NewEvent(id="frozen", at=NOON, actor=Actor(key="officer"), event=FreezeDeclared(freeze=freeze))
    assert desk.record([entry], under=1)
    with pytest.raises(LogUnavailable):
        looking.refresh()
    assert looking.current().epoch == 1
    held = looking.refresh()
    assert (held.epoch, [one.id for one in held.desk.freezes_in_force()]) == (2, [freeze.id])


def test_after_a_database_was_put_back_its_changes_are_read_from_the_first(
    sqlite_store: Store, postgres_store: Store
) -> None:
    freeze = Freeze(id="F-1", scope=FreezeScope(models=("m",)), authority="A", reason="R", start=NOON)
    now, before = DeskLog(sqlite_store.open()), DeskLog(postgres_store.open())
    for number in range(3):
        entry = NewEvent(
            id=f"founded-{number}",
            at=NOON,
            actor=Actor(key="officer"),
            event=BookFounded(fingerprint=f"sha256:{number}", archive="sha256:a"),
        )
        assert now.record([entry], under=number)
    assert before.record(
        [NewEvent(id="frozen", at=NOON, actor=Actor(key="officer"), event=FreezeDeclared(freeze=freeze))], under=0
    )
    desk = Restored(sqlite_store, lambda: before)
    looking = view(Moved(sqlite_store.open()), desk)
    assert looking.refresh().epoch == 3
    looking.refresh().memory.change(None, epoch=3)
    memory = looking.current().memory
    desk.replaced = True
    held = looking.refresh()
    assert (held.epoch, [one.id for one in held.desk.freezes_in_force()]) == (1, [freeze.id])
    assert held.memory is not memory


def test_the_collector_runs_again_once_the_members_are_read_or_could_not_be(store: Store) -> None:
    members = Members(store.open())
    view(members, DeskLog(store.open())).refresh()
    assert gc.isenabled()

    class Broken(DeskLog):
        def standing(self, *, held_revision: int | None, after_index: int) -> ControlReading:
            raise ZeroDivisionError(f"{held_revision} {after_index}")

    with pytest.raises(ZeroDivisionError):
        view(members, Broken(store.open())).refresh()
    assert gc.isenabled()
