"""What people changed, in the same log as the decisions, and the long content that changes name by digest.

- A change takes the next log index, under the log's lock, in the transaction that moves the control epoch.
- Long content is kept once under the SHA-256 of its bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Engine, Table, func, insert, select, union_all
from sqlalchemy.dialects import postgresql, sqlite

from policy_engine.domain.changes import Change
from policy_engine.domain.ports import NewEvent
from policy_engine.formats.change import digest_of, encode_change
from policy_engine.store.database import Reader, Writer, is_postgresql, writing
from policy_engine.store.tables import blobs, changes, decisions

_INDEXES: Final = union_all(
    select(func.max(decisions.c.log_index).label("log_index")), select(func.max(changes.c.log_index))
).subquery()
NEXT_INDEX: Final = select(func.coalesce(func.max(_INDEXES.c.log_index) + 1, 0)).scalar_subquery()
"""The next number of the log, which decisions and changes share; dense from 0."""


def add_changes(writer: Writer, entries: Sequence[NewEvent], *, epoch: int) -> None:
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
    given = {digest_of(content): content for content in contents}
    # What is there is not handed over again: of large content that is most of the work.
    held = set(writer.scalars(select(blobs.c.digest).where(blobs.c.digest.in_(given)))) if given else set()
    rows: list[dict[str, object]] = [
        {"digest": digest, "body": content} for digest, content in given.items() if digest not in held
    ]
    if rows:
        add_unless_there(writer, blobs, rows)


LARGE: Final = 2**20
"""Bytes of content from which on it is kept in a transaction of its own, before the one that names it."""


def keep_large(engine: Engine, contents: Iterable[bytes]) -> None:
    """Keep large content at once, so that the transaction that will name it is short: a decision on SQLite waits for
    every transaction that writes. What nothing comes to name does no harm."""
    large = [content for content in contents if len(content) >= LARGE]
    if large:
        with writing(engine) as writer:
            add_blobs(writer, large)


def content_of(reader: Reader, digest: str) -> bytes | None:
    """Long content by its digest."""
    body: bytes | None = reader.scalar(select(blobs.c.body).where(blobs.c.digest == digest))
    return body
