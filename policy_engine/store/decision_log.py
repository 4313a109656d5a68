"""The log of decisions: a record is answered for only after it is on the disk.

One thread of the process writes. It takes what waits, up to `GROUP` records, into one transaction (a larger batch goes
alone), and a future is done once that transaction has returned from its commit. In the transaction, record by record in
the order in which they were handed over:

1. The control epoch is held still. A record that was decided under another is STALE, unless it is known by name what
   changed since, and it read nothing of that.
2. A record with a request id is compared with the latest decision of its caller under that id. Another digest is a
   CONFLICT. The same digest is REPLAYED, and nothing is written, while the earlier decision was made under this epoch,
   lies within an hour and has not run out; otherwise the record is a new attempt, linked to the one before.
3. Places of capped authorisations are counted again. A record that needs a place which is gone is STALE; a place taken
   is a draw, a membership revision, and a new epoch when the group is done.
4. The record gets the next log index: dense from 0, over all processes, and shared with the changes that people make.
5. A held decision opens its review cases, unless they are open, or its key has opened as many within an hour as it may.

Whatever goes wrong up to the return of the commit fails the whole group with `LogUnavailable`. A commit of which
nothing was heard may have happened; who asks again under the same request id is told of the decision that was made. The
next group begins on another connection. Should the thread itself come to an end, everything that waits fails, and so
does every later record.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final

from sqlalchemy import Engine, func, insert, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from policy_engine.domain.decision import Record
from policy_engine.domain.in_force import authorisation_in_force
from policy_engine.domain.ports import Appended, AppendOutcome, LogUnavailable
from policy_engine.domain.reviews import CASES_PER_HOUR, HOUR, ReviewNeeded, overflow
from policy_engine.domain.roster import Authorisation, Draw, Roster, RosterRows
from policy_engine.store.changes import NEXT_INDEX, add_unless_there
from policy_engine.store.control import BEHIND, ChangedSince, Lock, changed_since, move, take, write_again
from policy_engine.store.database import (
    NotDurable,
    Writer,
    reading_log,
    reason_of,
    verify_durable,
    writing,
    writing_log,
)
from policy_engine.store.members import KINDS, add_revision, add_rows, read_rows
from policy_engine.store.tables import controls, decisions, reviews

GROUP: Final = 512
"""The most records that one commit carries."""

REPLAY_WINDOW: Final = timedelta(hours=1)
"""How far from an earlier decision under the same request id a repetition still gets that decision."""

PLACE_TAKEN: Final = "a place of a capped authorisation"
"""The reason of a membership revision that a decision brought, which has the places that it took."""

_DOUBTFUL_SECONDS: Final = 1.0

_AUTHORISATIONS: Final = next(kind for kind in KINDS if kind.row is Authorisation)
_DRAWS: Final = next(kind for kind in KINDS if kind.row is Draw)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """Records that are committed together, and who waits for them: for one alone, or for all."""

    records: tuple[Record, ...]
    one: Future[Appended] | None = None
    all: Future[tuple[Appended, ...]] | None = None

    @property
    def _future(self) -> Future[Appended] | Future[tuple[Appended, ...]]:
        future = self.one or self.all
        if future is None:
            raise AssertionError("somebody waits for every record")
        return future

    def begin(self) -> bool:
        """Whether anybody still waits; from then on the future can no longer be cancelled."""
        return self._future.set_running_or_notify_cancel()

    def tell(self, answers: tuple[Appended, ...]) -> None:
        if self.one is not None:
            self.one.set_result(answers[0])
        elif self.all is not None:
            self.all.set_result(answers)

    def fail(self, error: LogUnavailable) -> None:
        self._future.set_exception(error)


Report = Callable[[str | None], None]
"""Is told why records cannot be written, and with `None` once they can be again."""


class _Outage:
    """Since when records could not be written, as it is reported: once when it begins or has another reason, and once
    when it is over. Between two failures within `_DOUBTFUL_SECONDS` it is not over."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._told: str | None = None
        self._last = 0.0

    def failed(self, reason: str) -> None:
        self._last = monotonic()
        if reason != self._told:
            self._told = reason
            self._report(reason)

    def written(self) -> None:
        if self._told is not None and monotonic() - self._last >= _DOUBTFUL_SECONDS:
            self._told = None
            self._report(None)


class DecisionLog:
    """The log in the database, with its writer thread. `close` it."""

    def __init__(
        self,
        engine: Engine,
        *,
        size: int = 10_000,
        cases_per_hour: int = CASES_PER_HOUR,
        report: Report = lambda _: None,
    ) -> None:
        """Start the writer; at most `size` records wait for it, and a key opens so many review cases within an hour.
        `report` is called by the writer and by whoever checks.

        Raises `NotDurable` for a database that could lose what it committed, `LogUnavailable` for one out of reach.
        """
        try:
            verify_durable(engine)
        except SQLAlchemyError as error:
            raise LogUnavailable(reason_of(error)) from error
        self._engine = engine
        self._size = size
        self._cases_per_hour = cases_per_hour
        self._outage = _Outage(report)
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._waiting: deque[_Waiting] = deque()
        self._queued = 0
        self._closed = False
        self._failed: float | None = None
        self._writer = threading.Thread(target=self._run, name="decision-log", daemon=True)
        self._writer.start()

    @property
    def alive(self) -> bool:
        """Whether records are still taken."""
        return not self._closed and self._writer.is_alive()

    @property
    def waiting(self) -> int:
        """So many records wait to be written."""
        return self._queued

    def check(self) -> None:
        """Raises `LogUnavailable` for a second after a failure, and then if a commit that changes nothing fails too.

        Whoever asks before requests are sent here would otherwise never see the log recover. A disk that has room for
        that commit may have none for a record; then the next record fails, and the second begins again.
        """
        failed = self._failed
        if failed is None:
            return
        if monotonic() - failed < _DOUBTFUL_SECONDS:
            raise LogUnavailable("the last records could not be written")
        with writing_log(self._engine) as writer:
            take(writer, Lock.LOG)
            write_again(writer)
        if self._failed == failed:
            self._failed = None
            self._outage.written()

    def append(self, record: Record) -> Future[Appended]:
        """Hand over a record. Raises `ValueError` for one with text that no database takes."""
        future: Future[Appended] = Future()
        self._enqueue(_Waiting(records=(record,), one=future))
        return future

    def append_all(self, records: Sequence[Record]) -> Future[tuple[Appended, ...]]:
        """Hand over records that are committed together: when one is STALE all are, and none is written.

        Raises `ValueError` for text that no database takes.
        """
        future: Future[tuple[Appended, ...]] = Future()
        self._enqueue(_Waiting(records=tuple(records), all=future))
        return future

    def _enqueue(self, waiting: _Waiting) -> None:
        for record in waiting.records:
            for text in (record.id, record.caller, record.request_id or ""):
                if "\0" in text or (not text.isascii() and _has_surrogate(text)):
                    raise ValueError("an id with a null character or half a character cannot be recorded")
        refused = None
        with self._lock:
            if self._closed:
                refused = LogUnavailable("the log is closed")
            elif self._queued + len(waiting.records) > self._size:
                refused = LogUnavailable(f"{self._queued} records wait for the log already")
            else:
                self._waiting.append(waiting)
                self._queued += len(waiting.records)
                if len(self._waiting) == 1:
                    self._arrived.notify()
        if refused is not None:
            waiting.fail(refused)

    def read(self, decision_id: str) -> bytes | None:
        """The bytes that stand in the log under the id. Raises `LogUnavailable`."""
        if "\0" in decision_id or _has_surrogate(decision_id):
            return None
        with reading_log(self._engine) as reader:
            return reader.scalar(select(decisions.c.body).where(decisions.c.id == decision_id))

    def close(self, *, seconds: float = 10.0) -> None:
        """Take no more records, write what waits, and fail what is not written after so many seconds."""
        with self._lock:
            self._closed = True
            self._arrived.notify()
        self._writer.join(seconds)
        self._give_up("the log was closed")

    def _run(self) -> None:
        try:
            while group := self._next_group():
                self._serve(group)
        finally:
            self._give_up("the writer of the log has ended")

    def _next_group(self) -> list[_Waiting]:
        """What waits now; empty once the log is closed and nothing waits."""
        with self._lock:
            while not self._waiting and not self._closed:
                self._arrived.wait()
            group: list[_Waiting] = []
            count = 0
            while self._waiting and (not group or count + len(self._waiting[0].records) <= GROUP):
                group.append(self._waiting.popleft())
                count += len(group[-1].records)
            self._queued -= count
            return group

    def _serve(self, waiting: list[_Waiting]) -> None:
        # Nobody waits for a future that was cancelled, and one that is running can no longer be.
        group = [one for one in waiting if one.begin()]
        if not group:
            return
        failure = "the writer of the log has ended"
        answers: list[tuple[Appended, ...]] = []
        cause: SQLAlchemyError | NotDurable | None = None
        try:
            answers = self._commit([one.records for one in group])
            self._failed = None
        except (SQLAlchemyError, NotDurable) as error:
            failure, cause = reason_of(error), error
            self._failed = monotonic()
        finally:
            for one, answer in zip(group, answers, strict=False):
                one.tell(answer)
            for one in group[len(answers) :]:
                unavailable = LogUnavailable(failure)
                unavailable.__cause__ = cause
                one.fail(unavailable)
        # After the answers, for which somebody waits.
        if cause is None:
            self._outage.written()
        else:
            self._outage.failed(failure)

    def _commit(self, units: Sequence[tuple[Record, ...]]) -> list[tuple[Appended, ...]]:
        try:
            return self._transact(units)
        except IntegrityError:
            # Whoever wrote the same attempt at the same time without the log's lock has committed by now.
            return self._transact(units)

    def _transact(self, units: Sequence[tuple[Record, ...]]) -> list[tuple[Appended, ...]]:
        with writing(self._engine) as writer:
            return _write(writer, units, self._cases_per_hour)

    def _give_up(self, why: str) -> None:
        with self._lock:
            self._closed = True
            left = list(self._waiting)
            self._waiting.clear()
            self._queued = 0
        for one in left:
            if one.begin():
                one.fail(LogUnavailable(why))


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Earlier:
    """The latest decision under a request id."""

    id: str
    request_digest: str
    decided_at: datetime
    valid_until: datetime
    control_epoch: int
    attempt: int
    body: bytes

    @classmethod
    def of(cls, held: Any, attempt: int) -> _Earlier:
        """The decision of a record, or of a row of the log."""
        told = {one.name: getattr(held, one.name) for one in fields(cls) if one.name != "attempt"}
        return cls(**told, attempt=attempt)

    def still_holds(self, record: Record) -> bool:
        """Whether the record only repeats this decision. Two that were asked at once may come in either order."""
        return (
            self.control_epoch == record.control_epoch
            and abs(record.decided_at - self.decided_at) < REPLAY_WINDOW
            and record.decided_at < self.valid_until
        )


def _write(writer: Writer, units: Sequence[tuple[Record, ...]], cases_per_hour: int) -> list[tuple[Appended, ...]]:
    """One group in its transaction, which is still to be committed; the records of a unit are all written or none."""
    records = [record for unit in units for record in unit]
    drawing = any(record.draws for record in records)
    if drawing:
        take(writer, Lock.MEMBERS)
    take(writer, Lock.LOG)
    counters = writer.execute(_COUNTERS_ALONE if drawing else _COUNTERS_SHARED).one()
    page = _Page(
        changed=_changed_for(writer, records, counters.epoch),
        index=counters.next_index,
        earlier=_earlier(writer, records),
        places=_Places(writer, counters.membership_revision),
    )
    answers = [page.enter(unit) for unit in units]
    if page.rows:
        writer.execute(_INSERT, page.rows)
    if page.opened:
        opened = _within(writer, page.opened, cases_per_hour)
        if opened:
            add_unless_there(writer, reviews, opened)
    page.places.write()
    return answers


def _changed_for(writer: Writer, records: Sequence[Record], epoch: int) -> ChangedSince:
    """What changed since the earliest epoch of a record that may still stand."""
    earlier = (one.control_epoch for one in records if one.reads is not None and one.control_epoch < epoch)
    return changed_since(writer, max(min(earlier, default=epoch), epoch - BEHIND), epoch)


@dataclass(slots=True, kw_only=True)
class _Page:
    """What a group writes, record by record."""

    changed: ChangedSince
    index: int
    earlier: dict[tuple[str, str], _Earlier]
    places: _Places
    rows: list[dict[str, object]] = field(default_factory=list)
    opened: list[_Case] = field(default_factory=list)

    def enter(self, unit: tuple[Record, ...]) -> tuple[Appended, ...]:
        """The outcome of each record; where one is stale nothing of the unit stays."""
        if len(unit) == 1:
            return (self._enter(unit[0]),)
        before = (self.index, len(self.rows), len(self.opened), dict(self.earlier), self.places.mark())
        answers = []
        for record in unit:
            answer = self._enter(record)
            if answer.outcome is AppendOutcome.STALE:
                self.index, rows, opened, self.earlier, mark = before
                del self.rows[rows:], self.opened[opened:]
                self.places.back_to(mark)
                return (_STALE,) * len(unit)
            answers.append(answer)
        return tuple(answers)

    def _enter(self, record: Record) -> Appended:
        if not self.changed.leaves(record.control_epoch, record.reads):
            return _STALE
        before = None if record.request_id is None else self.earlier.get((record.caller, record.request_id))
        if before is not None and before.request_digest != record.request_digest:
            return _CONFLICT
        if before is not None and before.still_holds(record):
            if record.control_epoch != self.changed.epoch:
                # Nobody has compared what the earlier decision read with what changed since.
                return _STALE
            return Appended(outcome=AppendOutcome.REPLAYED, body=before.body)
        if record.draws and not self.places.taken_for(record):
            return _STALE
        attempt = 1 if before is None else before.attempt + 1
        self.rows.append(
            {
                "log_index": self.index,
                "id": record.id,
                "body": record.body,
                "decided_at": record.decided_at,
                "valid_until": record.valid_until,
                "allowed": record.allowed,
                "hold": record.hold,
                "caller": record.caller,
                "request_id": record.request_id,
                "request_digest": record.request_digest,
                "control_epoch": record.control_epoch,
                "attempt": attempt,
                "retry_of": None if before is None else before.id,
            }
        )
        self.index += 1
        self.opened += _opened(record)
        if record.request_id is not None:
            self.earlier[record.caller, record.request_id] = _Earlier.of(record, attempt)
        return Appended(outcome=AppendOutcome.COMMITTED, body=record.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A case that a held decision belongs to."""

    review: ReviewNeeded
    caller: str
    at: datetime
    decision: str

    def row(self) -> dict[str, object]:
        key = self.review.key
        return {
            "id": self.review.id,
            "subject": key.subject,
            "model": key.model,
            "action": key.action,
            "purpose": key.purpose,
            "rule": key.rule,
            "opened_at": self.at,
            "decision": self.decision,
        }


def _opened(record: Record) -> list[_Case]:
    return [
        _Case(review=review, caller=record.caller, at=record.decided_at, decision=record.id)
        for review in record.reviews
    ]


def _within(writer: Writer, cases: Sequence[_Case], limit: int) -> list[dict[str, object]]:
    """The cases that are opened now. One that is open is left as it is; what a key would open beyond its number within
    an hour is one case, and opens for itself when it is asked again later."""
    asked = {case.review.id: case for case in reversed(cases)}
    there = set(writer.scalars(select(reviews.c.id).where(reviews.c.id.in_(sorted(asked)))))
    new = [case for name, case in asked.items() if name not in there]
    room: dict[str, int] = {}
    opened: dict[str, dict[str, object]] = {}
    for case in sorted(new, key=lambda one: (one.at, one.decision)):
        if case.caller not in room:
            room[case.caller] = limit - _opened_lately(writer, case.caller, case.at)
        room[case.caller] -= 1
        kept = case if room[case.caller] >= 0 else replace(case, review=overflow(case.caller, case.at))
        opened.setdefault(kept.review.id, kept.row())
    return list(opened.values())


def _opened_lately(writer: Writer, caller: str, at: datetime) -> int:
    query = (
        select(func.count())
        .select_from(reviews.join(decisions, decisions.c.id == reviews.c.decision))
        .where(reviews.c.opened_at > at - HOUR, decisions.c.caller == caller)
    )
    return int(writer.scalar(query) or 0)


def _earlier(writer: Writer, records: Sequence[Record]) -> dict[tuple[str, str], _Earlier]:
    """The latest decision under each request id of the records."""
    asked = {(record.caller, record.request_id) for record in records if record.request_id is not None}
    if not asked:
        return {}
    latest = decisions.alias("latest")
    query = select(decisions).where(
        decisions.c.request_id.in_(sorted({request_id for _, request_id in asked})),
        decisions.c.caller.in_(sorted({caller for caller, _ in asked})),
        decisions.c.attempt
        == select(func.max(latest.c.attempt))
        .where(latest.c.caller == decisions.c.caller, latest.c.request_id == decisions.c.request_id)
        .scalar_subquery(),
    )
    return {(row.caller, row.request_id): _Earlier.of(row, row.attempt) for row in writer.execute(query)}


class _Places:
    """The places of capped authorisations, counted and taken in one transaction."""

    def __init__(self, writer: Writer, revision: int) -> None:
        self._writer = writer
        self._revision = revision
        self._papers: dict[str, tuple[Authorisation, ...]] = {}
        self._drawn: dict[str, list[Draw]] = {}
        self._new: list[tuple[Record, list[Draw]]] = []

    def taken_for(self, record: Record) -> bool:
        """Whether every place that the record needs is its own: drawn before, or free and taken by this."""
        new: list[Draw] = []
        for draw in record.draws:
            self._load(draw.authorisation)
            persons = self._persons(draw.authorisation, record.decided_at)
            persons |= {taken.person for taken in new if taken.authorisation == draw.authorisation}
            if draw.person in persons:
                continue
            authorisation = _in_force(self._papers[draw.authorisation], record.decided_at)
            if authorisation is None or (
                authorisation.named_users is not None and len(persons) >= authorisation.named_users
            ):
                return False
            new.append(
                Draw(
                    authorisation=draw.authorisation,
                    person=draw.person,
                    at=record.decided_at,
                    recorded_at=record.decided_at,
                )
            )
        if new:
            for taken in new:
                self._drawn[taken.authorisation].append(taken)
            self._new.append((record, new))
        return True

    def mark(self) -> int:
        """A place to come `back_to`."""
        return len(self._new)

    def back_to(self, mark: int) -> None:
        """Give back what was taken since."""
        for _, new in self._new[mark:]:
            for taken in new:
                self._drawn[taken.authorisation].remove(taken)
        del self._new[mark:]

    def write(self) -> None:
        """Record the draws, one revision for each decision that took any, and move the epoch for all of them."""
        for number, (record, new) in enumerate(self._new, start=self._revision + 1):
            add_revision(
                self._writer,
                number,
                actor=f"decision:{record.id}",
                reason=PLACE_TAKEN,
                at=record.decided_at,
                added=len(new),
            )
            add_rows(self._writer, _DRAWS, new, number)
        if self._new:
            drawn = frozenset(("draws", taken.authorisation) for _, new in self._new for taken in new)
            move(self._writer, revisions=len(self._new), changed=drawn)

    def _load(self, authorisation: str) -> None:
        if authorisation not in self._papers:
            authorisations = read_rows(self._writer, _AUTHORISATIONS, [authorisation])
            self._papers[authorisation] = tuple(row for row in authorisations if isinstance(row, Authorisation))
            draws = read_rows(self._writer, _DRAWS, [authorisation])
            self._drawn[authorisation] = [row for row in draws if isinstance(row, Draw)]

    def _persons(self, authorisation: str, at: datetime) -> set[str]:
        """Who has drawn. A draw whose time had come when it was recorded counts, even where the clock of the process
        that recorded it runs ahead of this one; a draw that was recorded for a time to come does not count yet."""
        return {
            draw.person
            for draw in self._drawn[authorisation]
            if draw.at <= at or (draw.recorded_at is not None and draw.at <= draw.recorded_at)
        }


def _in_force(authorisations: tuple[Authorisation, ...], at: datetime) -> Authorisation | None:
    """The row under one id that counts, by the definition of whoever decided."""
    known = Roster.as_known(RosterRows(authorisations=authorisations)).authorisations.values()
    return authorisation_in_force((row for rows in known for row in rows), at)


_STALE: Final = Appended(outcome=AppendOutcome.STALE)
_CONFLICT: Final = Appended(outcome=AppendOutcome.CONFLICT)
_INSERT: Final = insert(decisions)
_COUNTERS: Final = select(
    controls.c.epoch,
    controls.c.membership_revision,
    NEXT_INDEX.label("next_index"),
)
_COUNTERS_SHARED: Final = _COUNTERS.with_for_update(read=True, of=controls)
_COUNTERS_ALONE: Final = _COUNTERS.with_for_update(of=controls)
