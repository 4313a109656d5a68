"""The policy desk in the database: its events, the members' rows that come with them, and the cases for review.

An event is recorded only under the control epoch that it was made under, so what a person saw when approving, lifting
or releasing is what was so when it was recorded. It moves the epoch in the same transaction: once `record` has
returned, no decision that was made before it commits any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Engine, select

from policy_engine.domain.changes import DESK_KINDS, WAITING_KINDS, Change, kind_of
from policy_engine.domain.ports import ControlReading, MembersUnavailable, NewEvent, OpenedReview
from policy_engine.domain.reviews import ReviewKey
from policy_engine.domain.roster import RosterRows
from policy_engine.formats.change import decode_change
from policy_engine.store.changes import add_blobs, add_changes, content_of, keep_large
from policy_engine.store.control import Lock, move, read_control, take
from policy_engine.store.database import raising, reading, reading_log, writing_log
from policy_engine.store.keys import read_keys
from policy_engine.store.members import add_prepared, prepare, read_roster
from policy_engine.store.tables import changes, decisions, reviews

_PAGE: Final = 1_000


class DeskLog:
    """The desk's events in the database; methods raise `LogUnavailable` when it cannot be reached."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def standing(self, *, held_revision: int | None, after_index: int) -> ControlReading:
        """The counters, the keys in force, the members' rows and the desk's changes since what the reader has.

        Raises `MembersUnavailable`.
        """
        with raising(MembersUnavailable), reading(self._engine) as reader:
            control = read_control(reader)
            rows = None
            if control.revision != held_revision:
                # A database that was put back to before is not what the reader's rows were read from.
                begun = held_revision is not None and held_revision < control.revision
                rows = read_roster(reader, after=held_revision if begun else None)
            keys = read_keys(reader, in_force=True)
            found = reader.execute(
                select(changes.c.log_index, changes.c.body)
                .where(changes.c.kind.in_(DESK_KINDS), changes.c.log_index > after_index)
                .order_by(changes.c.log_index)
            ).all()
        return ControlReading(
            epoch=control.epoch,
            revision=control.revision,
            rows=rows,
            keys=keys,
            changes=tuple(decode_change(row.body) for row in found),
            last_index=found[-1].log_index if found else after_index,
        )

    def record(
        self,
        entries: Sequence[NewEvent],
        *,
        under: int,
        contents: Sequence[bytes] = (),
        rows: RosterRows | None = None,
        reason: str = "",
        change: str | None = None,
    ) -> int | None:
        """Record the events, the long content and the rows, all or nothing; the new epoch, or `None` when it moved.

        Raises `ValueError` for rows that cannot be recorded.
        """
        first = entries[0]
        ready = None
        if rows is not None:
            # Before the transaction, since a decision may have to wait for it.
            with reading_log(self._engine) as reader:
                ready = prepare(reader, rows, first.at)
                contents = (*contents, ready.content)
        keep_large(self._engine, contents)
        with writing_log(self._engine) as writer:
            if rows is not None:
                take(writer, Lock.MEMBERS)
            take(writer, Lock.LOG)
            control = read_control(writer)
            if control.epoch != under:
                return None
            epoch = control.epoch + 1
            add_blobs(writer, contents)
            revisions, changed = 0, None
            if rows is not None and ready is not None:
                if ready.revision != control.revision:
                    ready = prepare(writer, rows, first.at)
                actor = first.actor.person or first.actor.key
                event = add_prepared(writer, ready, actor=actor, reason=reason, at=first.at)
                if event is not None:
                    revisions = 1
                    if all(kind_of(entry.event) in WAITING_KINDS for entry in entries):
                        changed = ready.changed
                    told = replace(event, change=change)
                    name = f"members-{event.revision}"
                    entries = (*entries, NewEvent(id=name, at=first.at, actor=first.actor, event=told))
            add_changes(writer, entries, epoch=epoch)
            move(writer, revisions=revisions, changed=changed)
            return epoch

    def note(self, entry: NewEvent) -> None:
        """Record an event that nothing stands on, under the epoch that is."""
        with writing_log(self._engine) as writer:
            take(writer, Lock.LOG)
            add_changes(writer, [entry], epoch=read_control(writer).epoch)

    def content(self, digest: str) -> bytes | None:
        """Long content by its digest."""
        with reading_log(self._engine) as reader:
            return content_of(reader, digest)

    def changes(self, kinds: Sequence[str] = ()) -> tuple[Change, ...]:
        """Every change, or those of some kinds, in the order in which they were recorded."""
        query = select(changes.c.body).order_by(changes.c.log_index)
        if kinds:
            query = query.where(changes.c.kind.in_(kinds))
        with reading_log(self._engine) as reader:
            return tuple(decode_change(body) for body in reader.scalars(query))

    def reviews(self, case: str | None = None) -> tuple[OpenedReview, ...]:
        """Every case ever opened, or one, oldest first."""
        query = select(reviews).order_by(reviews.c.opened_at, reviews.c.id)
        if case is not None:
            query = query.where(reviews.c.id == case)
        with reading_log(self._engine) as reader:
            found = reader.execute(query).all()
        return tuple(
            OpenedReview(
                id=row.id,
                key=ReviewKey(**{field.name: row._mapping[field.name] for field in fields(ReviewKey)}),
                opened_at=row.opened_at,
                decision=row.decision,
            )
            for row in found
        )

    def decisions_since(self, at: datetime) -> Iterator[bytes]:
        """The records of the decisions since an instant, in the order of the log, read a page at a time."""
        last = -1
        while True:
            query = (
                select(decisions.c.log_index, decisions.c.body)
                .where(decisions.c.decided_at >= at, decisions.c.log_index > last)
                .order_by(decisions.c.log_index)
                .limit(_PAGE)
            )
            with reading_log(self._engine) as reader:
                page = reader.execute(query).all()
            for row in page:
                yield row.body
            if len(page) < _PAGE:
                return
            last = page[-1].log_index

    def rows_at(self, revision: int) -> RosterRows:
        """The members' rows that were recorded up to a revision."""
        with reading_log(self._engine) as reader:
            return read_roster(reader, up_to=revision)
