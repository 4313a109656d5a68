"""A driver that breaks at one step: at the n-th statement or commit of the log's writer, before it or after it.

The connections and cursors are the drivers' own; everything above and below them is real.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import psycopg
from sqlalchemy import Dialect, Engine, event

WRITER = "decision-log"


class Moment(StrEnum):
    """Whether the step is not done, or done without anybody being told."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(slots=True)
class Breaking:
    """Counts the steps of the writer's thread while a block runs, and breaks at one of them."""

    error: Callable[[], Exception]
    at: int | None = None
    moment: Moment = Moment.BEFORE
    steps: list[str] = field(default_factory=list)
    broke: bool = False
    _on: bool = False

    def step(self, text: str, do: Callable[[], Any]) -> Any:
        if not self._on or threading.current_thread().name != WRITER:
            return do()
        number = len(self.steps)
        self.steps.append(text)
        if number != self.at:
            return do()
        self.broke = True
        if self.moment is Moment.AFTER:
            do()
        raise self.error()

    @contextmanager
    def counting(self, at: int | None = None, moment: Moment = Moment.BEFORE) -> Iterator[None]:
        """What the writer does inside the block is counted from 0; at step `at` it breaks."""
        self.at, self.moment, self.steps, self.broke, self._on = at, moment, [], False, True
        try:
            yield
        finally:
            self._on = False


def breaking(engine: Engine) -> Breaking:
    """Put it into every connection that the engine makes from now on; those that it has are closed."""
    if engine.dialect.name == "sqlite":
        made = Breaking(lambda: sqlite3.OperationalError("disk I/O error"))
    else:
        made = Breaking(lambda: psycopg.OperationalError("server closed the connection unexpectedly"))

    def connect(dialect: Dialect, _entry: object, arguments: list[Any], options: dict[str, Any]) -> Any:
        if dialect.name == "sqlite":
            connection = sqlite3.connect(*arguments, **options, factory=_sqlite(made))
        else:
            connection = _postgres(made).connect(*arguments, **options)
        return connection

    event.listen(engine, "do_connect", connect)
    engine.dispose()
    return made


def _sqlite(made: Breaking) -> type[sqlite3.Connection]:
    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, *rest: Any) -> Any:
            return made.step(sql, lambda: sqlite3.Cursor.execute(self, sql, *rest))

        def executemany(self, sql: str, *rest: Any) -> Any:
            return made.step(sql, lambda: sqlite3.Cursor.executemany(self, sql, *rest))

    class Connection(sqlite3.Connection):
        def cursor(self, *_: Any) -> Any:
            return super().cursor(Cursor)

        def commit(self) -> None:
            made.step("COMMIT", super().commit)

    return Connection


def _postgres(made: Breaking) -> Any:
    class Cursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, *rest: Any, **more: Any) -> Any:
            return made.step(str(query), lambda: psycopg.Cursor.execute(self, query, *rest, **more))

        def executemany(self, query: Any, *rest: Any, **more: Any) -> Any:
            return made.step(str(query), lambda: psycopg.Cursor.executemany(self, query, *rest, **more))

    class Connection(psycopg.Connection[Any]):
        def __init__(self, *rest: Any, **more: Any) -> None:
            super().__init__(*rest, **more)
            self.cursor_factory = Cursor

        def commit(self) -> None:
            made.step("COMMIT", super().commit)

    return Connection
