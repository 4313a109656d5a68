"""The log as one sequence: decisions and changes by their number, and the years into which it is cut for sealing.

Numbers are taken under the log's lock and committed in their order, so whoever sees a number sees all before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from heapq import merge
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Column, Engine, Row, Table, insert, select

from policy_engine.domain.ports import LogEntry, LogYear
from policy_engine.store.changes import NEXT_INDEX
from policy_engine.store.database import Reader, reading_log, writing_log
from policy_engine.store.tables import changes, decisions, log_years

READ_AT_ONCE: Final = 1_000


class LogEntries:
    """Reads the sequence; methods raise `LogUnavailable` when the database cannot be reached."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def size(self) -> int:
        """How many entries are committed."""
        with reading_log(self._engine) as reader:
            return int(reader.scalar(select(NEXT_INDEX)) or 0)

    def page(self, first: int, count: int = READ_AT_ONCE) -> Sequence[LogEntry]:
        """The entries from a number on, at most so many; dense."""
        with reading_log(self._engine) as reader:
            both = (_entries(reader, table, at, first, count) for table, at in _TABLES)
            return tuple(merge(*both, key=attrgetter("index")))[:count]

    def find(self, entry_id: str) -> LogEntry | None:
        """The entry of a decision or change."""
        with reading_log(self._engine) as reader:
            for table, at in _TABLES:
                row = reader.execute(select(table.c.log_index, at, table.c.body).where(table.c.id == entry_id)).first()
                if row is not None:
                    return _entry(row)
            return None

    def years(self) -> tuple[LogYear, ...]:
        """The years of the log with the number at which each begins, oldest first."""
        with reading_log(self._engine) as reader:
            rows = reader.execute(select(log_years).order_by(log_years.c.year)).all()
        return tuple(LogYear(year=row.year, first_index=row.first_index) for row in rows)

    def begin_year(self, year: LogYear) -> None:
        """Let a year begin. There is one sealer at a time, so nobody else does."""
        with writing_log(self._engine) as writer:
            writer.execute(insert(log_years).values(year=year.year, first_index=year.first_index))


_TABLES: Final = ((decisions, decisions.c.decided_at), (changes, changes.c.at))
"""The two tables that are one log, each with the column of the entry's instant."""


def _entries(reader: Reader, table: Table, at: Column[datetime], first: int, count: int) -> list[LogEntry]:
    number = table.c.log_index
    query = select(number, at, table.c.body).where(number >= first).order_by(number).limit(count)
    return list(map(_entry, reader.execute(query)))


def _entry(row: Row[*tuple[Any, ...]]) -> LogEntry:
    return LogEntry(index=row[0], at=row[1], body=bytes_of(row[2]))


def bytes_of(stored: bytes | str) -> bytes:
    """The bytes of an entry. SQLite keeps a text in any column for whoever puts one there, around this program."""
    return stored.encode() if isinstance(stored, str) else stored
