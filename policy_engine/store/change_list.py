"""The changes on record as they stand in the log: newest first for auditors, who look them up beside the decisions, and
in their order for whoever follows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Engine, Row, Select, func, select

from policy_engine.store.changes import content_of
from policy_engine.store.database import reading_log
from policy_engine.store.tables import changes


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedChange:
    """A change as it stands in the log: its number, its id, its kind, its instant, the key that did it with the person
    that the key is bound to, and the bytes."""

    log_index: int
    id: str
    kind: str
    at: datetime
    actor: str
    person: str | None
    body: bytes


class ChangeList:
    """Reads the changes; methods raise `LogUnavailable` when the database cannot be reached."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def newest(
        self, kinds: Sequence[str], *, start: datetime | None, end: datetime | None, limit: int
    ) -> tuple[LoggedChange, ...]:
        """Up to `limit` changes of some kinds, of every kind where none is named, from `start` on and before `end`,
        the last recorded first."""
        columns = changes.c
        query = _CHANGES.order_by(columns.log_index.desc()).limit(limit)
        if kinds:
            query = query.where(columns.kind.in_(kinds))
        if start is not None:
            query = query.where(columns.at >= start)
        if end is not None:
            query = query.where(columns.at < end)
        return self._read(query)

    def find(self, change_id: str) -> LoggedChange | None:
        """A change by its id."""
        return next(iter(self._read(_CHANGES.where(changes.c.id == change_id))), None)

    def after(self, index: int, kinds: Sequence[str], *, limit: int) -> tuple[LoggedChange, ...]:
        """Up to `limit` changes of some kinds that were recorded after an entry of the log, in their order.

        Numbers are given out under the log's lock, so that none is committed behind one that was read.
        """
        columns = changes.c
        query = _CHANGES.where(columns.log_index > index, columns.kind.in_(kinds))
        return self._read(query.order_by(columns.log_index).limit(limit))

    def count_after(self, index: int, kinds: Sequence[str], *, limit: int) -> int:
        """How many changes of some kinds were recorded after an entry of the log, counted up to `limit`."""
        columns = changes.c
        found = select(columns.log_index).where(columns.log_index > index, columns.kind.in_(kinds)).limit(limit)
        with reading_log(self._engine) as reader:
            return int(reader.scalar(select(func.count()).select_from(found.subquery())) or 0)

    def last(self) -> int:
        """The number of the last change of any kind; -1 before the first."""
        with reading_log(self._engine) as reader:
            return int(reader.scalar(select(func.coalesce(func.max(changes.c.log_index), -1))) or 0)

    def content(self, digest: str) -> bytes | None:
        """Long content that a change names, by its digest; `None` where it was not kept."""
        with reading_log(self._engine) as reader:
            return content_of(reader, digest)

    def _read(self, query: Select[Any]) -> tuple[LoggedChange, ...]:
        with reading_log(self._engine) as reader:
            return tuple(map(_change, reader.execute(query)))


_CHANGES: Final = select(*(changes.c[field.name] for field in fields(LoggedChange)))


def _change(row: Row[Any]) -> LoggedChange:
    return LoggedChange(**row._mapping)
