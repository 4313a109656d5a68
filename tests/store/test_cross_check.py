"""What the database says beside its log is what the log says, on either database; what was altered is named."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from policy_engine.domain.ports import Key
from policy_engine.domain.roster import Citizenship, RosterRows
from policy_engine.store.cross_check import CrossCheck
from policy_engine.store.database import writing
from policy_engine.store.keys import Keys
from policy_engine.store.members import Members
from tests.store.conftest import Store
from tests.store.samples import AT, FULL

KEY = Key(
    id="k1",
    name="gateway",
    secret_hash="0" * 64,
    rights=frozenset({"decisions:read", "decide"}),
    gateway="main",
    person=None,
    assertable=frozenset({"b", "a"}),
    created_at=AT,
    revoked_at=None,
)


def altered(store: Store, table: str, statement: str) -> None:
    """What only the owner of the tables can do."""
    with writing(store.owner()) as writer:
        if store.postgres is not None:
            writer.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        else:
            triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            for (name,) in writer.exec_driver_sql(triggers).fetchall():
                writer.exec_driver_sql(f"DROP TRIGGER {name}")
        writer.exec_driver_sql(statement)


def recorded(store: Store) -> CrossCheck:
    """Two revisions of members and two keys, one of them revoked."""
    members = Members(store.open())
    members.record(FULL, actor="t", reason="t", at=AT)
    members.record(
        RosterRows(citizenships=(Citizenship(person="bob", country="FR"),)), actor="t", reason="t", at=datetime.now(UTC)
    )
    keys = Keys(store.open())
    keys.add(KEY)
    keys.add(Key(**{**{name: getattr(KEY, name) for name in KEY.__slots__}, "id": "k2", "secret_hash": "1" * 64}))
    keys.revoke("k2", AT)
    return CrossCheck(store.open())


def test_rows_of_every_kind_and_keys_that_were_never_altered_are_those_of_which_the_log_tells(store: Store) -> None:
    checked = recorded(store)
    assert [list(checked.members()), list(checked.keys()), list(checked.contents())] == [[], [], []]
    assert [list(checked.schema()), list(checked.followed())] == [[], []]
    assert [row.wrong for row in checked.page(0, 100)] == [None] * 5


@pytest.mark.parametrize(
    ("table", "statement", "fault"),
    [
        ("citizenships", "UPDATE citizenships SET country = 'US' WHERE revision = 2", "revision 2 are not those"),
        ("citizenships", "DELETE FROM citizenships WHERE revision = 1", "revision 1 are not those"),
        ("statements", "UPDATE statements SET recorded_at = recorded_at + 1", "revision 1 are not those"),
        ("people", "UPDATE people SET revision = 2 WHERE id = 'bob'", "revision 1 are not those"),
    ],
)
def test_a_row_of_the_members_that_was_altered_is_found_by_its_revision(
    store: Store, table: str, statement: str, fault: str
) -> None:
    checked = recorded(store)
    altered(store, table, statement)
    assert fault in next(checked.members())


def test_rows_that_were_put_in_under_a_revision_of_their_own_are_found(store: Store) -> None:
    checked = recorded(store)
    altered(
        store,
        "revisions",
        "INSERT INTO revisions (number, recorded_at, actor, reason, added) VALUES (3, 0, 'x', 'x', 1)",
    )
    altered(store, "citizenships", "UPDATE citizenships SET revision = 3 WHERE revision = 2")
    assert "the table `citizenships` has rows of revision 3, of which no change tells" in next(checked.members())


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE keys SET person = 'eve' WHERE id = 'k1'", "the key `k1` on file is not the one"),
        ("UPDATE keys SET revoked_at = NULL WHERE id = 'k2'", "the key `k2` on file is not the one"),
        ("UPDATE keys SET id = 'k9' WHERE id = 'k1'", "the key `k9` on file is not the one"),
        ("DELETE FROM keys WHERE id = 'k1'", "the key `k1`, of which the log tells, is not on file"),
    ],
)
def test_a_key_of_which_the_log_tells_otherwise_is_named(store: Store, statement: str, fault: str) -> None:
    checked = recorded(store)
    altered(store, "keys", statement)
    assert fault in next(checked.keys())


@pytest.mark.parametrize("column", ["id", "at", "kind", "actor", "epoch"])
def test_a_change_whose_row_says_otherwise_than_its_bytes_is_found_with_the_column(store: Store, column: str) -> None:
    checked = recorded(store)
    value = f"{column} + 1" if column in ("at", "epoch") else f"{column} || 'x'"
    altered(store, "changes", f"UPDATE changes SET {column} = {value} WHERE log_index = 1")  # noqa: S608  of this test
    assert [row.wrong for row in checked.page(0, 2)] == [
        None,
        f"has other values in its row than in its bytes: {column}",
    ]


@pytest.mark.parametrize(
    ("on_postgresql", "on_sqlite"),
    [
        (
            "DROP TRIGGER only_grows ON decisions",
            "DROP TRIGGER decisions_refuse_delete",
        ),
        (
            "ALTER TABLE decisions DISABLE TRIGGER only_grows",
            "DROP TRIGGER decisions_refuse_update",
        ),
        (
            "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RETURN NULL; END $$",
            "DROP TRIGGER decisions_refuse_update;"
            "CREATE TRIGGER decisions_refuse_update BEFORE update ON decisions BEGIN SELECT 1; END",
        ),
    ],
)
def test_a_table_that_no_longer_refuses_changes_is_named(store: Store, on_postgresql: str, on_sqlite: str) -> None:
    checked = recorded(store)
    statements = on_sqlite.split(";C") if store.postgres is None else [on_postgresql]
    with writing(store.owner()) as writer:
        for number, statement in enumerate(statements):
            writer.exec_driver_sql(statement if number == 0 else f"C{statement}")
    assert any("decisions" in fault and "could be changed" in fault for fault in checked.schema())


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE revisions SET actor = 'eve' WHERE number = 2", "membership revision 2 is not the one of which"),
        ("UPDATE revisions SET recorded_at = recorded_at + 1 WHERE number = 1", "revision 1 is not the one of which"),
        ("UPDATE revisions SET added = 9 WHERE number = 1", "membership revision 1 is not the one of which"),
        ("UPDATE revisions SET reason = 'x' WHERE number = 2", "membership revision 2 is not the one of which"),
    ],
)
def test_a_revision_of_which_the_log_tells_otherwise_is_named(store: Store, statement: str, fault: str) -> None:
    checked = recorded(store)
    altered(store, "revisions", statement)
    assert fault in next(checked.followed())


def test_counters_that_were_put_back_are_named(store: Store) -> None:
    checked = recorded(store)
    with writing(store.owner()) as writer:
        writer.exec_driver_sql("UPDATE controls SET epoch = 1, membership_revision = 1")
    assert list(checked.followed()) == [
        "the table `revisions` has revision 2, and the last one in force is 1",
        "the control epoch is 1, and the log tells of 5",
    ]
