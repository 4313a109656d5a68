"""SIGKILL under load, on both databases: nothing that was answered is missing, and nothing is there twice."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import psycopg
import pytest

from policy_engine.store.control import Lock
from tests.faults.kills import Killing, Victim
from tests.faults.landing import Landing
from tests.faults.oracle import require_nothing_lost
from tests.faults.process import installed, running
from tests.store.conftest import Postgres, Store, store_on

CYCLES = {"sqlite": 5, "postgresql": 3}
SOON = 10.0


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def _require_recovered(killing: Killing) -> None:
    """The next start serves, tells whoever was never answered, and seals everything."""
    before = require_nothing_lost(killing.installation, killing.journals, in_flight=killing.in_flight, replays=50)
    with running(killing.installation) as server:
        for journal in killing.journals:
            for key, document in list(journal.unanswered.items()):
                status, _, body = server.request("POST", "/decide", json.dumps(document).encode())
                assert status == HTTPStatus.OK
                journal.keep(key, document, body)
        server.stop()
    after = require_nothing_lost(killing.installation, killing.journals, in_flight=killing.orphans, replays=50)
    assert after.acknowledged > before.acknowledged


def test_of_services_killed_under_load_no_answer_is_lost_or_doubled(store: Store, kind: str, tmp_path: Path) -> None:
    killing = Killing(installation=installed(store.url, tmp_path), seed=20261121)
    for number in range(CYCLES[kind]):
        killing.cycle(number)
    assert killing.landings.total() == CYCLES[kind] * killing.services
    _require_recovered(killing)


@contextmanager
def _held(statement: str, url: str) -> Iterator[None]:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())
        yield
        connection.rollback()


def _waits(url: str, victim: Victim, event: str) -> Callable[[], bool]:
    def waits() -> bool:
        with psycopg.connect(url, autocommit=True) as connection:
            return (
                connection.execute(
                    "SELECT 1 FROM pg_stat_activity WHERE application_name = %s AND wait_event = %s",
                    (victim.name, event),
                ).fetchone()
                is not None
            )

    return waits


@pytest.fixture
def store_to_stop(own_postgres: Postgres) -> Iterator[Store]:
    with store_on(own_postgres) as store:
        yield store


def test_killed_at_each_step_of_the_commit_the_log_is_whole(
    own_postgres: Postgres, store_to_stop: Store, tmp_path: Path
) -> None:
    postgres, store = own_postgres, store_to_stop
    watch = postgres.url("postgres", store.name)
    killing = Killing(installation=installed(store.url, tmp_path), seed=3, services=1)
    waiting = 6_160_768_999
    with psycopg.connect(store.owner_url, autocommit=True) as owner:
        owner.execute(
            f"CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" PERFORM pg_advisory_xact_lock({waiting}); RETURN NULL; END $$".encode()
        )
        owner.execute(b"CREATE TRIGGER waits AFTER INSERT ON decisions FOR EACH ROW EXECUTE FUNCTION waits()")

    def kill_where_it_waits(victim: Victim, event: str) -> None:
        _until(_waits(watch, victim, event))
        victim.kill()

    with _held(f"SELECT pg_advisory_xact_lock({Lock.LOG})", watch):
        victim = killing.placed(lambda one: kill_where_it_waits(one, "advisory"))
    killing.settle(victim)
    assert victim.found is Landing.BEFORE_INSERT

    with _held(f"SELECT pg_advisory_xact_lock({waiting})", watch):
        victim = killing.placed(lambda one: kill_where_it_waits(one, "advisory"))
    killing.settle(victim)
    assert victim.found is Landing.BEFORE_COMMIT
    assert killing.orphans == 0

    # A commit that waits for a standby is on the disk, and not yet told to the service.
    def kill_before_the_answer(victim: Victim) -> None:
        postgres.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()")
        kill_where_it_waits(victim, "SyncRep")

    try:
        victim = killing.placed(kill_before_the_answer)
    finally:
        postgres.run("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
    killing.settle(victim)
    assert killing.landings[Landing.BEFORE_ANSWER] == 1
    assert killing.orphans > 0
    _require_recovered(killing)


def test_killed_while_another_holds_the_file_it_leaves_nothing_half_written(migrated: Path, tmp_path: Path) -> None:
    file = tmp_path / "service.db"
    shutil.copyfile(migrated, file)
    killing = Killing(installation=installed(f"sqlite:///{file}", tmp_path), seed=4, services=1)
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)

    def kill_while_it_waits(victim: Victim) -> None:
        other.execute("BEGIN IMMEDIATE")
        _until(lambda: len(victim.outstanding()) == len(victim.journals))
        time.sleep(0.1)
        victim.kill()

    victim = killing.placed(kill_while_it_waits)
    other.execute("ROLLBACK")
    other.close()
    killing.settle(victim)
    assert killing.orphans == 0
    _require_recovered(killing)
