from __future__ import annotations

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, Executable, delete, insert, inspect, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from policy_engine.domain.ports import MembersUnavailable
from policy_engine.store import migrate
from policy_engine.store.database import reading, writing
from policy_engine.store.decision_log import DecisionLog
from policy_engine.store.members import Members
from policy_engine.store.tables import ROSTER, controls, decisions, metadata, revisions
from tests.store.conftest import Store
from tests.store.samples import AT, FULL, record

RECORDED = sorted((*ROSTER.values(), revisions, decisions), key=lambda table: table.name)


def differences(engine: Engine) -> list[object]:
    with reading(engine) as reader:
        return list(compare_metadata(MigrationContext.configure(reader), metadata))


def filled(store: Store) -> None:
    """A row in every table that is recorded."""
    engine = store.open()
    members = Members(engine)
    members.record(FULL, actor="officer", reason="first import", at=AT)
    log = DecisionLog(engine)
    log.append(record("01", epoch=members.control().epoch)).result(10)
    log.close()


def test_the_schema_goes_from_empty_to_head_and_back_and_up_again_and_is_the_one_that_the_code_declares(
    empty_store: Store,
) -> None:
    engine = empty_store.open()
    assert migrate.current(engine) is None

    migrate.upgrade(engine)
    assert migrate.current(engine) == migrate.head()
    assert differences(engine) == []

    migrate.downgrade(engine, "base")
    assert migrate.current(engine) is None
    with reading(engine) as reader:
        assert inspect(reader).get_table_names() == ["alembic_version"]

    migrate.upgrade(engine)
    assert differences(engine) == []


def test_the_schema_can_be_taken_back_with_records_in_it(empty_store: Store) -> None:
    engine = empty_store.open()
    migrate.upgrade(engine)
    filled(empty_store)

    migrate.downgrade(engine, "base")

    assert migrate.current(engine) is None


def test_a_table_that_differs_from_the_declared_one_is_noticed(store: Store) -> None:
    owner = store.owner()
    with writing(owner) as writer:
        writer.exec_driver_sql("ALTER TABLE keys DROP COLUMN person")

    assert differences(owner) != []


def test_two_processes_may_migrate_at_once(empty_store: Store) -> None:
    engines = [empty_store.open(), empty_store.open()]
    threads = [threading.Thread(target=migrate.upgrade, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert migrate.current(engines[0]) == migrate.head()
    assert differences(engines[0]) == []


def test_a_migration_that_fails_leaves_the_schema_as_it_was(empty_store: Store) -> None:
    engine = empty_store.open()
    with writing(engine) as writer:
        writer.exec_driver_sql("CREATE TABLE keys (id INTEGER)")

    with pytest.raises(MembersUnavailable):
        migrate.upgrade(engine)

    with reading(engine) as reader:
        assert inspect(reader).get_table_names() == ["keys"]


def test_no_recorded_row_can_be_changed_or_removed_not_even_by_the_owner_of_the_tables(store: Store) -> None:
    filled(store)
    owner = store.owner()
    for table in RECORDED:
        everything = select(table)
        changes: list[Executable] = [update(table).values(dict.fromkeys(table.c.keys()[-1:], 7)), delete(table)]
        if store.postgres is not None:
            changes.append(text(f"TRUNCATE {table.name} CASCADE"))
        with reading(owner) as reader:
            before = reader.execute(everything).all()
        assert before, table.name
        for change in changes:
            with pytest.raises(DBAPIError, match="never changed"), writing(owner) as writer:
                writer.execute(change)
        with reading(owner) as reader:
            assert reader.execute(everything).all() == before


def test_the_role_of_the_service_may_add_records_and_nothing_else(postgres_store: Store) -> None:
    filled(postgres_store)
    engine = postgres_store.open()

    for statement in (
        "UPDATE decisions SET hold = true",
        "DELETE FROM decisions",
        "TRUNCATE citizenships",
        "DELETE FROM controls",
        "DELETE FROM keys",
        "UPDATE keys SET rights = '[]'",
        "UPDATE alembic_version SET version_num = ''",
        "ALTER TABLE decisions DISABLE TRIGGER only_grows",
        "DROP TABLE decisions",
    ):
        with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), writing(engine) as writer:
            writer.exec_driver_sql(statement)


def test_there_is_one_row_of_counters_and_never_another(store: Store) -> None:
    with pytest.raises(IntegrityError), writing(store.owner()) as writer:
        writer.execute(insert(controls).values(id=2, epoch=0, membership_revision=0))


def test_sqlite_has_no_roles_to_grant_to(sqlite_store: Store) -> None:
    with pytest.raises(ValueError, match="no roles"):
        migrate.grant(sqlite_store.open(), "service")


def test_the_version_of_a_database_out_of_reach_is_unavailable_and_not_none(postgres_store: Store) -> None:
    engine = postgres_store.open()
    assert postgres_store.postgres is not None
    postgres_store.postgres.drop(postgres_store.name)

    with pytest.raises(MembersUnavailable):
        migrate.current(engine)
