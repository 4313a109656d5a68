"""What people changed, in the same log as the decisions, and the long content that changes name by digest.

- A change takes the next log index, under the log's lock, in the transaction that moves the control epoch.
- Long content is kept once under the SHA-256 of its bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Table, func, insert, select, union_all
from sqlalchemy.dialects import postgresql, sqlite

from policy_engine.domain.changes import Change
from policy_engine.domain.ports import Entry
from policy_engine.formats.change import digest_of, encode_change
from policy_engine.store.database import Reader, Writer, is_postgresql
from policy_engine.store.tables import blobs, changes, decisions

_INDEXES: Final = union_all(
    select(func.max(decisions.c.log_index).label("log_index")), select(func.max(changes.c.log_index))
).subquery()
NEXT_INDEX: Final = select(func.coalesce(func.max(_INDEXES.c.log_index) + 1, 0)).scalar_subquery()
"""The next number of the log, which decisions and changes share; dense from 0."""


def add_changes(writer: Writer, entries: Sequence[Entry], *, epoch: int) -> None:
    """Record events that bring the epoch. The log's lock is held, so that nobody else takes the numbers."""
    first = writer.scalar(select(NEXT_INDEX))
    rows = []
    for number, entry in enumerate(entries, start=first or 0):
        change = Change(id=entry.id, at=entry.at, actor=entry.actor, epoch=epoch, event=entry.event)
        rows.append(
            {
                "log_index": number,
                "id": change.id,
                "kind": change.kind,
                "at": change.at,
                "actor": change.actor.key,
                "person": change.actor.person,
                "epoch": epoch,
                "body": encode_change(change),
            }
        )
    writer.execute(insert(changes), rows)


def add_unless_there(writer: Writer, table: Table, rows: Sequence[dict[str, object]]) -> None:
    """Insert the rows whose primary key is not taken."""
    if is_postgresql(writer):
        writer.execute(postgresql.insert(table).on_conflict_do_nothing(), rows)
    else:
        writer.execute(sqlite.insert(table).on_conflict_do_nothing(), rows)


def add_blobs(writer: Writer, contents: Iterable[bytes]) -> None:
    """Keep long content under its digest; the same content is kept once."""
    rows: list[dict[str, object]] = [{"digest": digest_of(content), "body": content} for content in contents]
    if rows:
        add_unless_there(writer, blobs, rows)


def content_of(reader: Reader, digest: str) -> bytes | None:
    """Long content by its digest."""
    body: bytes | None = reader.scalar(select(blobs.c.body).where(blobs.c.digest == digest))
    return body
