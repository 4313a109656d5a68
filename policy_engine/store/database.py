"""The database behind a URL, opened so that a commit which has returned is on the disk.

- SQLite is a file in WAL mode with `synchronous=FULL`: under `NORMAL` a loss of power may take committed transactions.
- PostgreSQL runs with `fsync` and `full_page_writes`, and every writing transaction commits with
  `synchronous_commit=on`, whatever the role's or the server's default says.
- A setting that did not take is `NotDurable`; nothing starts on such a database.
- Reading and writing transactions are different types. Reading sees one snapshot from its first statement to its last.
  Writing holds SQLite's only write lock from its beginning, so that nobody writes between its reads and its writes;
  on PostgreSQL it reads what is committed (READ COMMITTED) and takes the locks of `control`.
- After an error the connection is thrown away: the next transaction begins on another.

What `reason_of` says of an error carries no bound values: they are personal data.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final, NewType, TypeAlias

import psycopg
from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError

from policy_engine.domain.ports import LogUnavailable, MembersUnavailable

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
    from sqlalchemy.pool import ConnectionPoolEntry

Reader = NewType("Reader", Connection)
Writer = NewType("Writer", Connection)

Database: TypeAlias = Engine
"""An open database, for those who only hand it on."""

_WRITES: Final = "policy_engine_writes"
_RETRIES: Final = 5
_LOOK_AGAIN_SECONDS: Final = 0.000_2
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY, sqlite3.SQLITE_BUSY_SNAPSHOT)
_FULL: Final = (2, 3)  # SQLite's numbers for synchronous=FULL and EXTRA


class NotDurable(Exception):
    """The database would lose what it said was committed; nothing may be started on it."""


def open_database(url: str, *, lock_seconds: float = 5.0, derived: bool = False) -> Engine:
    """The engine for `sqlite:///file` or `postgresql://...`; nothing is connected yet.

    `derived` is for what can be made again: on SQLite its commits are flushed with the next one of somebody else, and
    a loss of power may take the last of them, whole and in order. Nothing else may be written through such an engine;
    the log refuses it. A transaction that waits longer than `lock_seconds` for a lock fails. Raises `ValueError` for
    any other URL, and for SQLite without a file.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ValueError("the database URL cannot be read: write sqlite:///file or postgresql://...") from error
    match parsed.drivername:
        case "sqlite" | "sqlite+pysqlite":
            return _open_sqlite(parsed, lock_seconds, derived=derived)
        case "postgresql" | "postgresql+psycopg":
            return _open_postgresql(parsed, lock_seconds)
        case other:
            raise ValueError(f"`{other}` is neither sqlite nor postgresql")


def make_file(engine: Engine) -> None:
    """Make the missing file of an SQLite database, and its folder, readable to their owner alone: nationalities are in
    it. SQLite gives the files that it makes beside it the same rights. Raises `MembersUnavailable`."""
    path = engine.url.database
    if engine.dialect.name != "sqlite" or path is None or path.startswith("file:"):
        return
    try:
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise MembersUnavailable(f"the file of the database cannot be made: {error.strerror}") from error


def is_postgresql(connection: Connection) -> bool:
    """Which of the two databases this is."""
    return connection.dialect.name == "postgresql"


@contextmanager
def reading(engine: Engine) -> Iterator[Reader]:
    """A transaction that sees one snapshot. Raises `SQLAlchemyError`, and `NotDurable` on a new connection."""
    with engine.connect() as connection:
        if is_postgresql(connection):
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with _discarded_after_error(connection), connection.begin():
            yield Reader(connection)


@contextmanager
def writing(engine: Engine) -> Iterator[Writer]:
    """A transaction that is on the disk once the block has been left without an error.

    Raises `SQLAlchemyError`, and `NotDurable` where the commit would not be on the disk.
    """
    with engine.connect() as connection:
        connection.execution_options(**{_WRITES: True})
        with _discarded_after_error(connection), connection.begin():
            if is_postgresql(connection):
                setting = connection.scalar(_COMMIT_ON_DISK)
                if setting != "on":
                    raise NotDurable(f"PostgreSQL commits with synchronous_commit `{setting}`, not `on`")
            yield Writer(connection)


def put_rows(
    writer: Writer, table: Table, columns: Sequence[str], rows: Sequence[tuple[object, ...]], *, replacing: bool = False
) -> None:
    """Insert rows as the driver takes them: nothing is converted, instants are whole microseconds. `replacing` puts a
    row in the place of the one with its primary key. Raises `SQLAlchemyError`."""
    mark = "%s" if is_postgresql(writer) else "?"
    statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join([mark] * len(columns))})"  # noqa: S608  names of our own
    if replacing:
        key = [column.name for column in table.primary_key]
        others = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in key)
        statement += f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {others}"
    if rows:
        writer.exec_driver_sql(statement, list(rows))


@contextmanager
def raising(unavailable: type[LogUnavailable | MembersUnavailable]) -> Iterator[None]:
    """What the database says is wrong comes as this error, with the reason and nothing else of the database's."""
    try:
        yield
    except (SQLAlchemyError, NotDurable) as error:
        raise unavailable(reason_of(error)) from error


@contextmanager
def reading_log(engine: Engine) -> Iterator[Reader]:
    """`reading`, for what is the log's. Raises `LogUnavailable` and nothing else of the database's."""
    with raising(LogUnavailable), reading(engine) as reader:
        yield reader


@contextmanager
def writing_log(engine: Engine) -> Iterator[Writer]:
    """`writing`, for what is the log's. Raises `LogUnavailable` and nothing else of the database's."""
    with raising(LogUnavailable), writing(engine) as writer:
        yield writer


_COMMIT_ON_DISK: Final = text("SELECT set_config('synchronous_commit', 'on', true)")


def verify_durable(engine: Engine) -> None:
    """Raises `NotDurable` unless a commit that has returned is on the disk; `SQLAlchemyError` when out of reach."""
    with engine.connect() as connection:
        if is_postgresql(connection):
            for setting in ("fsync", "full_page_writes"):
                value = connection.exec_driver_sql(f"SHOW {setting}").scalar_one()
                if value != "on":
                    raise NotDurable(f"PostgreSQL runs with {setting} `{value}`: it has to be `on`")
            return
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        if mode != "wal":
            raise NotDurable(f"SQLite is in journal mode `{mode}`: it has to be `wal`")
        synchronous = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
        if synchronous not in _FULL:
            raise NotDurable(f"SQLite runs with synchronous `{synchronous}`: it has to be 2 (FULL)")


def reason_of(error: SQLAlchemyError | NotDurable) -> str:
    """What the database said, on one line, without the values that PostgreSQL adds in its details."""
    said: object = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if isinstance(said, psycopg.Error):
        said = said.diag.message_primary or said
    return " ".join(str(said).split()) or type(said).__name__


@contextmanager
def _discarded_after_error(connection: Connection) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, NotDurable):
        if not connection.closed:
            connection.invalidate()
        raise


def _open_sqlite(url: URL, lock_seconds: float, *, derived: bool) -> Engine:
    if not url.database or ":memory:" in url.database or url.query.get("mode") == "memory":
        raise ValueError("SQLite needs a file: a database in memory is lost with the process")
    engine = create_engine(
        url.set(drivername="sqlite+pysqlite"),
        # With no isolation level the driver begins nothing by itself; `_begin_sqlite` does.
        connect_args={"isolation_level": None, "timeout": lock_seconds},
        hide_parameters=True,
    )
    event.listen(engine, "connect", _set_up_derived if derived else _set_up_sqlite)
    event.listen(engine, "begin", lambda connection: _begin_sqlite(connection, lock_seconds))
    return engine


def _set_up_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        mode = _write_ahead(cursor)
        if mode != "wal":
            raise NotDurable(f"SQLite stays in journal mode `{mode}`: it has to be `wal`")
    finally:
        cursor.close()


def _set_up_derived(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
    _set_up_sqlite(connection, entry)
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA synchronous=NORMAL")
    finally:
        cursor.close()


def _write_ahead(cursor: DBAPICursor) -> str:
    """The journal mode after asking for WAL, which the file remembers.

    The change takes a lock for which SQLite does not wait, so the lock of a transaction, for which it does, is waited
    for in between. A file whose lock is lost again and again is given up.
    """
    for _ in range(_RETRIES):
        with suppress(sqlite3.OperationalError):
            return _ask_for_wal(cursor)
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute("COMMIT")
    return _ask_for_wal(cursor)


def _ask_for_wal(cursor: DBAPICursor) -> str:
    cursor.execute("PRAGMA journal_mode=WAL")
    return str((cursor.fetchone() or ("unknown",))[0])


def _begin_sqlite(connection: Connection, lock_seconds: float) -> None:
    if not connection.get_execution_options().get(_WRITES, False):
        connection.exec_driver_sql("BEGIN")
        return
    connection.exec_driver_sql("PRAGMA busy_timeout=0")
    if not _gets_write_lock(connection, lock_seconds):
        # Once more through SQLAlchemy, whose errors are those that everybody here knows.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    connection.exec_driver_sql(f"PRAGMA busy_timeout={int(lock_seconds * 1000)}")


def _gets_write_lock(connection: Connection, seconds: float) -> bool:
    """Begin with SQLite's only write lock soon after it is free; whether that came about in so many seconds.

    SQLite's own waiting sleeps longer each time, up to a tenth of a second: who waits then loses again and again to
    who has just had the lock, and every decision of a group waits with it. Raises `OperationalError`.
    """
    driver = connection.connection.dbapi_connection
    if driver is None:
        return False
    cursor = driver.cursor()
    try:
        deadline = monotonic() + seconds
        while monotonic() < deadline:
            try:
                cursor.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if getattr(error, "sqlite_errorcode", None) not in _BUSY:
                    raise OperationalError("BEGIN IMMEDIATE", None, error) from error
                sleep(_LOOK_AGAIN_SECONDS)
            else:
                return True
        return False
    finally:
        cursor.close()


def _open_postgresql(url: URL, lock_seconds: float) -> Engine:
    limits = (
        f"-c lock_timeout={int(lock_seconds * 1000)}"
        # A process that hangs inside a transaction must not hold the locks of all others.
        " -c idle_in_transaction_session_timeout=15s"
    )
    given = url.query.get("options", "")
    options = f"{limits} {given if isinstance(given, str) else ' '.join(given)}".strip()
    return create_engine(
        url.set(drivername="postgresql+psycopg").update_query_dict({"options": options}),
        connect_args={"connect_timeout": 5, "tcp_user_timeout": 10_000},
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        hide_parameters=True,
    )
