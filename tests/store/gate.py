"""A gate at the driver: what happens right before and right after a commit reaches the database.

The connections are the drivers' own, with `commit` taken apart; everything above and below them is real.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
from sqlalchemy import Dialect, Engine, event


def nothing() -> None:
    """The gate is open."""


@dataclass(slots=True)
class Gate:
    """Set `before` or `after` to meet the commits of an engine; `count` of them went through."""

    before: Callable[[], None] = nothing
    after: Callable[[], None] = nothing
    count: int = 0
    connections: int = 0


class _SqliteConnection(sqlite3.Connection):
    gate: Gate

    def commit(self) -> None:
        self.gate.before()
        super().commit()
        self.gate.count += 1
        self.gate.after()


class _PostgresConnection(psycopg.Connection[Any]):
    gate: Gate

    def commit(self) -> None:
        self.gate.before()
        super().commit()
        self.gate.count += 1
        self.gate.after()


def gated(engine: Engine) -> Gate:
    """Put a gate before an engine that has not connected yet."""
    gate = Gate()

    def connect(
        dialect: Dialect, _entry: object, arguments: list[Any], options: dict[str, Any]
    ) -> _SqliteConnection | _PostgresConnection:
        connection: _SqliteConnection | _PostgresConnection
        if dialect.name == "sqlite":
            connection = sqlite3.connect(*arguments, **options, factory=_SqliteConnection)
        else:
            connection = _PostgresConnection.connect(*arguments, **options)
        connection.gate = gate
        gate.connections += 1
        return connection

    event.listen(engine, "do_connect", connect)
    return gate


def broken_connection(engine: Engine) -> Callable[[], None]:
    """The error with which the driver of the engine says that its connection is lost."""

    def fail() -> None:
        if engine.dialect.name == "sqlite":
            raise sqlite3.OperationalError("disk I/O error")
        raise psycopg.OperationalError("the connection is lost")

    return fail


@dataclass(slots=True)
class Barrier:
    """Holds a commit until it is let go."""

    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        self.reached.set()
        assert self.released.wait(10)
