from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, event, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from policy_engine.domain.ports import LogUnavailable, MembersUnavailable
from policy_engine.store import migrate
from policy_engine.store.control import move, read_control
from policy_engine.store.database import (
    NotDurable,
    make_file,
    open_database,
    reading,
    reason_of,
    verify_durable,
    writing,
)
from policy_engine.store.decision_log import DecisionLog
from policy_engine.store.tables import ROSTER, revisions
from tests.store.conftest import Postgres, Store, store_on
from tests.store.samples import AT


@pytest.mark.parametrize(
    "url",
    [
        "mysql://root:hunter2@db/policy",
        "hunter2",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:hunter2?mode=memory&uri=true",
        "postgresql+hunter3://root:hunter2@db/policy",
    ],
)
def test_a_url_of_no_database_that_keeps_anything_is_refused_without_repeating_its_password(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        open_database(url)

    assert "hunter2" not in str(refused.value)


def test_a_file_that_is_made_is_its_owners_alone_and_so_are_those_that_the_database_puts_beside_it(
    tmp_path: Path,
) -> None:
    before = os.umask(0)
    try:
        file = tmp_path / "made" / "store.db"
        engine = open_database(f"sqlite:///{file}")
        make_file(engine)
        migrate.upgrade(engine)
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1 FROM people")
            beside = sorted(file.parent.iterdir())
            assert [one.name for one in beside] == ["store.db", "store.db-shm", "store.db-wal"]
            assert [oct(one.stat().st_mode & 0o777) for one in beside] == ["0o600"] * 3
        assert oct(file.parent.stat().st_mode & 0o777) == "0o700"
        make_file(engine)
        engine.dispose()
    finally:
        os.umask(before)


def test_a_file_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MembersUnavailable, match="cannot be made"):
        make_file(open_database(f"sqlite:///{tmp_path / 'file' / 'store.db'}"))


def test_every_connection_to_a_file_writes_ahead_and_waits_for_the_disk(sqlite_store: Store) -> None:
    engine = sqlite_store.open()

    with engine.connect() as one, engine.connect() as other:
        for connection in (one, other):
            settings = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            ]
            assert settings == ["wal", 2, 1, 5000]


def test_nothing_starts_on_a_file_that_does_not_wait_for_the_disk(sqlite_store: Store) -> None:
    for level in ("OFF", "NORMAL"):
        engine = sqlite_store.open()

        @event.listens_for(engine, "connect")
        def weaken(connection: sqlite3.Connection, _: object, level: str = level) -> None:
            connection.execute(f"PRAGMA synchronous={level}")

        with pytest.raises(NotDurable, match="synchronous"):
            DecisionLog(engine)


def test_the_log_takes_no_database_that_was_opened_for_what_is_derived(migrated: Path, tmp_path: Path) -> None:
    shutil.copyfile(migrated, tmp_path / "derived.db")
    engine = open_database(f"sqlite:///{tmp_path / 'derived.db'}", derived=True)
    with pytest.raises(NotDurable, match="synchronous `1`"):
        DecisionLog(engine)
    engine.dispose()


def test_nothing_starts_on_a_file_that_is_not_written_ahead(sqlite_store: Store) -> None:
    with sqlite3.connect(sqlite_store.url.removeprefix("sqlite:///")) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    engine = create_engine(sqlite_store.url)

    with pytest.raises(NotDurable, match="journal mode `delete`"):
        verify_durable(engine)

    engine.dispose()


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_nothing_starts_on_a_server_that_does_not_write_to_the_disk(own_postgres: Postgres, setting: str) -> None:
    with store_on(own_postgres) as store:
        verify_durable(store.open())
        own_postgres.run(f"ALTER SYSTEM SET {setting} = off", "SELECT pg_reload_conf()", "SELECT pg_sleep(0.2)")
        with pytest.raises(NotDurable, match=setting):
            DecisionLog(store.open())
        own_postgres.run(f"ALTER SYSTEM RESET {setting}", "SELECT pg_reload_conf()", "SELECT pg_sleep(0.2)")


def test_a_writing_transaction_waits_for_the_disk_whatever_the_role_is_used_to(postgres_store: Store) -> None:
    assert postgres_store.postgres is not None
    postgres_store.postgres.run(f"ALTER DATABASE {postgres_store.name} SET synchronous_commit = off")
    engine = postgres_store.open()

    with engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "off"
    with writing(engine) as writer:
        assert writer.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_a_log_does_not_start_on_a_database_out_of_reach(kind: str) -> None:
    nowhere = {"sqlite": "sqlite:////nowhere/at/all.db", "postgresql": "postgresql://service@/x?host=/nowhere"}[kind]
    engine = open_database(nowhere)

    with pytest.raises(LogUnavailable):
        DecisionLog(engine)


def test_a_reading_transaction_sees_one_snapshot_while_others_write(store: Store) -> None:
    engine, other = store.open(), store.open()

    with reading(engine) as reader:
        before = read_control(reader)
        with writing(other) as writer:
            move(writer)
        assert read_control(reader) == before
    with reading(engine) as reader:
        assert read_control(reader).epoch == before.epoch + 1


def test_a_reading_transaction_cannot_write_on_postgresql(postgres_store: Store) -> None:
    with pytest.raises(DBAPIError, match="read-only transaction"), reading(postgres_store.open()) as reader:
        reader.execute(insert(revisions).values(number=1, recorded_at=AT, actor="a", reason="r", added=0))


def test_a_writing_transaction_that_fails_leaves_nothing(store: Store) -> None:
    engine = store.open()
    row = {"number": 1, "recorded_at": AT, "actor": "officer", "reason": "test", "added": 0}

    with pytest.raises(IntegrityError), writing(engine) as writer:
        writer.execute(insert(revisions), [row, row])

    with reading(engine) as reader:
        assert reader.execute(select(revisions)).all() == []


def test_a_transaction_that_waits_too_long_for_a_lock_fails(store: Store) -> None:
    patient, hasty = store.open(), store.open(lock_seconds=0.05)

    with writing(patient) as holder:
        move(holder)
        with pytest.raises(OperationalError, match="lock"), writing(hasty) as writer:
            move(writer)


def test_what_is_said_of_an_error_does_not_repeat_the_row(store: Store) -> None:
    engine = store.open()

    with pytest.raises(IntegrityError) as failed, writing(engine) as writer:
        writer.execute(
            insert(ROSTER["people"]).values(
                id="secret-person",
                employments_filed=True,
                us_status_filed=True,
                citizenships_filed=True,
                permanent_residencies_filed=True,
                recorded_at=AT,
            )
        )

    assert "revision" in reason_of(failed.value)
    assert "secret-person" not in reason_of(failed.value)
