"""What a decision stands on: members, keys, the book in force and the freezes, under one control epoch.

A process holds them as one immutable `Ground`, swapped by one reference. It is read again when something changed that a
decision read; the log, which compares the two in the transaction that commits a decision, is who notices (ADR 34).

What has been committed binds every process that has read it, also one whose clock runs behind that of the process which
recorded it (ADR 11):

- A freeze counts from its commit until it is lifted or its end has passed; its beginning is compared with no clock.
- A book that was put in force at once is in force for whoever has read that.
- A row of the members that had begun or ended when it was recorded has begun or ended: no decision is dated before
  that instant, as long as it is not further away than clocks may be apart.
"""

from __future__ import annotations

import gc
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from policy_engine.decision.conclude import Basis
from policy_engine.domain.changes import WAITING_KINDS, Change
from policy_engine.domain.desk import Desk, InForce, desk_after
from policy_engine.domain.freezes import Freeze
from policy_engine.domain.ports import DeskLog, Key, Members
from policy_engine.domain.roster import OF_OWNERSHIP, Known, Read, Roster, RosterRows, touched_by
from policy_engine.policy.judge import Judge
from policy_engine.policy.library import BookLost
from policy_engine.service.gate.decision_cache import Memory

MOST_APART: Final = timedelta(hours=1)
"""So far the clocks of two processes may be apart for a decision to be dated by the other one's. Beyond it one of them
is wrong, nobody can tell which, and what a wrong one said to be now would begin for everybody."""


class Judges(Protocol):
    """Where the judges of books come from. `judge` raises `BookLost`."""

    def judge(self, fingerprint: str, archive: str, freezes: tuple[Freeze, ...] = ()) -> Judge: ...


@dataclass(frozen=True, slots=True)
class Edges:
    """Instants, in a few sorted runs: what comes later is put into the last one, so that a change does not sort those
    of everybody on file."""

    runs: tuple[tuple[datetime, ...], ...] = ()

    def after(self, at: datetime) -> datetime | None:
        """The next one after an instant."""
        places = ((run, bisect_right(run, at)) for run in self.runs)
        return min((run[place] for run, place in places if place < len(run)), default=None)

    def beside(self, other: Edges) -> Edges:
        """Both."""
        return Edges((*self.runs, *other.runs))

    def with_(self, more: Iterable[datetime]) -> Edges:
        """These and others."""
        new = {one for one in more if not any(_has(run, one) for run in self.runs)}
        if not new:
            return self
        first, *last = self.runs or ((),)
        grown = sorted(new.union(*last))
        if len(grown) <= max(_RUN, len(first) // 64):
            return Edges((first, tuple(grown)))
        return Edges((tuple(sorted((*first, *grown))),))


def _has(run: tuple[datetime, ...], at: datetime) -> bool:
    place = bisect_left(run, at)
    return place < len(run) and run[place] == at


_RUN: Final = 1_024


NO_EDGES: Final = Edges()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The members as known, the keys in force, the desk, and the judge of each book that is or comes into force.

    A book that could not be read has no judge: what would be decided under it is denied with `NO_RULE`. `edges` are the
    instants at which any dated row of the members or of the books begins or ends, and `passed` is the last instant at
    which a row of the members began or ended that had when it was recorded. `memory` has what was judged here.
    """

    roster: Roster
    epoch: int
    desk: Desk
    judges: tuple[tuple[InForce, Judge | None], ...]
    edges: Edges = NO_EDGES
    keys: Mapping[str, Key] = field(default_factory=dict)
    passed: datetime | None = None
    memory: Memory = field(default_factory=Memory, repr=False, compare=False)

    def instant(self, clock: datetime) -> datetime:
        """The instant of a decision that is made here when a clock says so."""
        if self.passed is not None and clock < self.passed <= clock + MOST_APART:
            return self.passed
        return clock

    def changes_after(self, at: datetime) -> datetime | None:
        """The next instant after one at which a dated row begins or ends, or another book comes into force."""
        return min((one for one in (self.edges.after(at), self.until(at)) if one is not None), default=None)

    def basis(self, at: datetime) -> Basis:
        """What a decision of an instant stands on here."""
        return Basis(
            judge=self.judge_at(at),
            roster=self.roster,
            closings=self.desk.closings,
            epoch=self.epoch,
            next_book=self.until(at),
        )

    def judge_at(self, at: datetime) -> Judge | None:
        """The judge of the book in force for a decision of an instant."""
        judge, at = None, self.desk.moment(at)
        for book, candidate in self.judges:
            if book.start > at:
                break
            judge = candidate
        return judge

    def until(self, at: datetime) -> datetime | None:
        """The next instant at which another book comes into force."""
        at = self.desk.moment(at)
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
        self._known: Known | None = None
        self._member_edges = NO_EDGES
        self._book_edges = NO_EDGES
        self._passed: datetime | None = None
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
            with _collector_paused():
                self._held = self._read(held)
            return self._held

    def _read(self, held: Ground | None) -> Ground:
        standing = self._desk.standing(
            held_revision=None if held is None else held.roster.revision, after_index=self._last_index
        )
        before = self._changes
        if held is not None and (standing.epoch < held.epoch or standing.revision < held.roster.revision):
            # The database was put back to before: nothing that was read of the other one counts.
            held, before = None, ()
            standing = self._desk.standing(held_revision=None, after_index=-1)
        known, edges, passed = self._known, self._member_edges, self._passed
        changed: frozenset[Read] | None = None
        if standing.rows is not None:
            if known is None or held is None:
                known, edges = Known.of(standing.rows), NO_EDGES
                roster = replace(known.roster(standing.revision), turn=threading.RLock())
            else:
                known = known.with_rows(standing.rows)
                roster = _following(held.roster, known.roster(standing.revision), standing.rows)
                changed = touched_by(standing.rows)
            edges = edges.with_(edges_of_members(standing.rows))
            passed = max((one for one in (passed, passed_of_members(standing.rows)) if one is not None), default=None)
        elif held is not None:
            roster = held.roster
        else:
            raise AssertionError("the members are read whole the first time")
        changes, book_edges = before + standing.changes, self._book_edges
        if standing.changes or held is None:
            desk = desk_after(changes)
            judges = self._judges_of(desk)
            book_edges = NO_EDGES.with_(edges_of_books(judges))
        else:
            desk, judges = held.desk, held.judges
        stays = held is not None and all(change.kind in WAITING_KINDS for change in standing.changes)
        memory = held.memory if held is not None and stays else Memory()
        if standing.rows is not None:
            memory.change(changed, epoch=standing.epoch)
        ground = Ground(
            roster=roster,
            epoch=standing.epoch,
            desk=desk,
            judges=judges,
            keys={key.id: key for key in standing.keys},
            edges=edges.beside(book_edges),
            passed=passed,
            memory=memory,
        )
        # Last, and together: had one been kept and the rest failed, as where a book cannot be read just now, the next
        # reading would take what came in between for known, a freeze among it.
        self._known, self._member_edges, self._passed = known, edges, passed
        self._changes, self._last_index, self._book_edges = changes, standing.last_index, book_edges
        return ground

    def _judges_of(self, desk: Desk) -> tuple[tuple[InForce, Judge | None], ...]:
        """The book in force now and those to come; of the ones before nothing is decided any more."""
        now = desk.moment(self._clock())
        freezes = desk.freezes_in_force()
        current = desk.book_at(now)
        books = [book for book in desk.books if book.start > now or book is current]
        return tuple((book, self._judge(book, freezes)) for book in books)

    def _judge(self, book: InForce, freezes: tuple[Freeze, ...]) -> Judge | None:
        try:
            return self._judges.judge(book.fingerprint, book.archive, freezes)
        except BookLost:
            self._report_fault("BookLost")
            return None


def _following(before: Roster, after: Roster, rows: RosterRows) -> Roster:
    """The roster after another, with what was found out about owners where no row of these is about that."""
    if any(getattr(rows, section) for section in OF_OWNERSHIP):
        return replace(after, turn=threading.RLock())
    return replace(after, memo=before.memo, turn=before.turn)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Rows make no cycles, and the collector would walk all of them again and again while they are made: that is half
    of the time that decisions wait for it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


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


def passed_of_members(rows: RosterRows) -> datetime | None:
    """The last instant at which a row began or ended, or a place was drawn, that had when the row was recorded."""
    last: datetime | None = None
    for column in fields(rows):
        for row in getattr(rows, column.name):
            recorded, valid = row.recorded_at, getattr(row, "valid", None)
            if recorded is None or (last is not None and recorded <= last):
                continue
            edges = (getattr(row, "at", None),) if valid is None else (valid.start, valid.end)
            passed = [edge for edge in edges if edge is not None and edge <= recorded]
            last = max(passed if last is None else [last, *passed], default=None)
    return last


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
