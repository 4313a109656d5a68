"""What a decision stands on: the members, the book in force and the freezes, under one control epoch.

A process holds them as one immutable `Ground`, swapped by one reference. It is read again when the epoch has moved; the
log, which compares the epoch in the transaction that commits a decision, is who notices.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Protocol

from policy_engine.domain.changes import Change
from policy_engine.domain.desk import Desk, InForce, desk_after
from policy_engine.domain.freezes import Freeze
from policy_engine.domain.ports import DeskLog, Members
from policy_engine.domain.roster import Roster, RosterRows
from policy_engine.policy.judge import Judge
from policy_engine.policy.library import BookLost


class Judges(Protocol):
    """Where the judges of books come from. `judge` raises `BookLost`."""

    def judge(self, fingerprint: str, archive: str, freezes: tuple[Freeze, ...] = ()) -> Judge: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The members as known, the desk, and the judge of each book that is or comes into force.

    A book that could not be read has no judge: what would be decided under it is denied with `NO_RULE`. `edges` are the
    instants at which any dated row of the members or of the books begins or ends.
    """

    roster: Roster
    epoch: int
    desk: Desk
    judges: tuple[tuple[InForce, Judge | None], ...]
    edges: tuple[datetime, ...] = ()

    def judge_at(self, at: datetime) -> Judge | None:
        """The judge of the book in force at an instant."""
        judge = None
        for book, candidate in self.judges:
            if book.start > at:
                break
            judge = candidate
        return judge

    def until(self, at: datetime) -> datetime | None:
        """The next instant at which another book comes into force."""
        return next((book.start for book, _ in self.judges if book.start > at), None)


class StandingView:
    """The ground as this process last read it."""

    def __init__(
        self,
        *,
        members: Members,
        desk: DeskLog,
        judges: Judges,
        clock: Callable[[], datetime],
        report_fault: Callable[[str], None],
    ) -> None:
        self._members = members
        self._desk = desk
        self._judges = judges
        self._clock = clock
        self._report_fault = report_fault
        self._lock = threading.Lock()
        self._changes: tuple[Change, ...] = ()
        self._last_index = -1
        self._roster_edges: frozenset[datetime] = frozenset()
        self._held: Ground | None = None

    def current(self) -> Ground:
        """What this process stands on. Raises `MembersUnavailable`."""
        held = self._held
        return self.refresh() if held is None else held

    def refresh(self) -> Ground:
        """Read again if the control epoch has moved. Raises `MembersUnavailable`."""
        with self._lock:
            held = self._held
            if held is not None and self._members.control().epoch == held.epoch:
                return held
            standing = self._desk.standing(
                held_revision=None if held is None else held.roster.revision, after_index=self._last_index
            )
            if standing.rows is not None:
                roster = Roster.as_known(standing.rows, revision=standing.revision)
            elif held is not None:
                roster = held.roster
            else:
                raise AssertionError("the members are read whole the first time")
            if standing.changes or held is None:
                self._changes += standing.changes
                self._last_index = standing.last_index
                desk = desk_after(self._changes)
                judges = self._judges_of(desk)
                ground = Ground(roster=roster, epoch=standing.epoch, desk=desk, judges=judges)
            else:
                ground = replace(held, roster=roster, epoch=standing.epoch)
            if standing.rows is not None:
                self._roster_edges = edges_of_members(standing.rows)
            ground = replace(ground, edges=tuple(sorted(self._roster_edges | edges_of_books(ground.judges))))
            self._held = ground
            return ground

    def _judges_of(self, desk: Desk) -> tuple[tuple[InForce, Judge | None], ...]:
        """The book in force now and those to come; of the ones before nothing is decided any more."""
        now = self._clock()
        freezes = desk.standing_freezes()
        current = desk.book_at(now)
        books = [book for book in desk.books if book.start > now or book is current]
        return tuple((book, self._judge(book, freezes)) for book in books)

    def _judge(self, book: InForce, freezes: tuple[Freeze, ...]) -> Judge | None:
        try:
            return self._judges.judge(book.fingerprint, book.archive, freezes)
        except BookLost:
            self._report_fault("BookLost")
            return None


def edges_of_members(rows: RosterRows) -> frozenset[datetime]:
    """Every instant at which a row begins or ends, a place was drawn or a cluster was read."""
    edges: set[datetime | None] = set()
    for column in fields(rows):
        for row in getattr(rows, column.name):
            valid = getattr(row, "valid", None)
            if valid is not None:
                edges |= {valid.start, valid.end}
            edges |= {getattr(row, "at", None), getattr(row, "as_of", None)}
    return frozenset(edge for edge in edges if edge is not None)


def edges_of_books(judges: tuple[tuple[InForce, Judge | None], ...]) -> frozenset[datetime]:
    """Every instant at which a rule, a suspension, a freeze or a country's place in a group begins or ends."""
    edges: set[datetime | None] = set()
    for _, judge in judges:
        if judge is None:
            continue
        places = judge.book.tables.places
        for valid in (
            *(valid for row in judge.book.rows for valid in (row.valid, *row.suspended)),
            *(member.valid for group in places.groups.values() for member in group.members),
            *(rule.valid for rule in places.treat_as),
        ):
            edges |= {valid.start, valid.end}
    return frozenset(edge for edge in edges if edge is not None)
