"""A record of an earlier epoch is committed where nothing changed since that it read, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from threading import Thread

import pytest
from sqlalchemy import delete, update

from policy_engine.domain.changes import Actor, FreezeDeclared
from policy_engine.domain.freezes import Freeze, FreezeScope
from policy_engine.domain.instants import Validity
from policy_engine.domain.ports import AppendOutcome, NewEvent
from policy_engine.domain.roster import (
    Citizenship,
    Organisation,
    PersonEntry,
    Read,
    RosterRows,
    Statement,
    StatementKind,
)
from policy_engine.store import control
from policy_engine.store.database import reading, writing
from policy_engine.store.decision_log import DecisionLog
from policy_engine.store.desk_log import DeskLog
from policy_engine.store.members import Members
from policy_engine.store.tables import changed_names, controls
from tests.store.conftest import Store
from tests.store.samples import AT, record

CAROL: Read = ("people", "carol")
DARA: Read = ("people", "dara")
SOON = 10


@pytest.fixture
def log(store: Store) -> Iterator[DecisionLog]:
    made = DecisionLog(store.open())
    yield made
    made.close()


def committed(log: DecisionLog, name: str, epoch: int, *reads: Read) -> bool:
    outcome = log.append(replace(record(name, epoch=epoch), reads=frozenset(reads))).result(SOON).outcome
    assert outcome in (AppendOutcome.COMMITTED, AppendOutcome.STALE)
    return outcome is AppendOutcome.COMMITTED


def change(store: Store, number: int, rows: RosterRows) -> None:
    at = AT + timedelta(minutes=number)
    assert Members(store.open()).record(rows, actor="test", reason="test", at=at).added


def citizen(person: str) -> RosterRows:
    return RosterRows(citizenships=(Citizenship(person=person, country="JP"),))


def freeze(store: Store) -> None:
    one = Freeze(id="F-1", scope=FreezeScope(models=("m",)), authority="A", reason="R", start=AT)
    entry = NewEvent(id="frozen", at=AT, actor=Actor(key="officer"), event=FreezeDeclared(freeze=one))
    desk = DeskLog(store.open())
    assert desk.record([entry], under=desk.standing(held_revision=None, after_index=-1).epoch)


def test_a_change_of_what_was_read_makes_a_record_stale_and_a_change_elsewhere_does_not(
    store: Store, log: DecisionLog
) -> None:
    change(store, 1, citizen("dara"))
    assert committed(log, "01", 0, CAROL)
    assert committed(log, "02", 0)
    assert not committed(log, "03", 0, CAROL, DARA)
    change(store, 2, citizen("carol"))
    assert not committed(log, "04", 0, CAROL)
    assert not committed(log, "05", 1, CAROL)
    assert committed(log, "06", 1, DARA)
    assert committed(log, "07", 2, CAROL, DARA)


@pytest.mark.parametrize("what", ["an organisation", "a freeze"])
def test_what_concerns_everybody_makes_every_record_of_before_stale(store: Store, log: DecisionLog, what: str) -> None:
    if what == "a freeze":
        freeze(store)
    else:
        change(store, 1, RosterRows(organisations=(Organisation(id="newcomer"),)))
    assert not committed(log, "01", 0)
    assert committed(log, "02", 1)


def test_a_name_that_was_looked_for_in_vain_was_read(store: Store, log: DecisionLog) -> None:
    change(store, 1, RosterRows(people=(PersonEntry(id="newcomer"),)))
    statement = Statement(organisation="newcomer-org", kind=next(iter(StatementKind)))
    change(store, 2, RosterRows(statements=(statement,)))
    assert not committed(log, "01", 0, ("people", "newcomer"))
    assert not committed(log, "02", 0, ("statements", "newcomer-org"))
    assert committed(log, "03", 0, ("memberships", "newcomer-org"))


def test_a_record_of_which_nobody_knows_what_was_read_is_stale_after_any_change(store: Store, log: DecisionLog) -> None:
    change(store, 1, citizen("dara"))
    assert log.append(record("01", epoch=0)).result(SOON).outcome is AppendOutcome.STALE


def test_a_decision_of_an_earlier_epoch_is_not_repeated_to_who_read_less(store: Store, log: DecisionLog) -> None:
    first = replace(record("01", request_id="r"), reads=frozenset({CAROL}))
    assert log.append(first).result(SOON).outcome is AppendOutcome.COMMITTED
    change(store, 1, citizen("carol"))
    again = replace(record("02", request_id="r"), reads=frozenset({DARA}))
    assert log.append(again).result(SOON).outcome is AppendOutcome.STALE
    anew = replace(record("03", request_id="r", epoch=1), reads=frozenset({DARA}))
    assert log.append(anew).result(SOON).body == anew.body


def test_a_record_of_an_epoch_to_come_is_stale(store: Store, log: DecisionLog) -> None:
    change(store, 1, citizen("dara"))
    assert not committed(log, "01", 2, CAROL)
    assert not committed(log, "02", -1, CAROL)


def test_an_epoch_of_which_nothing_is_said_changed_everything(store: Store, log: DecisionLog) -> None:
    change(store, 1, citizen("dara"))
    # As a release moves it that knows nothing of names.
    with writing(store.open()) as writer:
        writer.execute(update(controls).values(epoch=controls.c.epoch + 1))
    change(store, 2, citizen("dara-2"))
    assert not committed(log, "01", 0, CAROL)
    assert not committed(log, "02", 1, CAROL)
    assert committed(log, "03", 2, CAROL)
    with writing(store.open()) as writer:
        writer.execute(delete(changed_names))
    assert not committed(log, "04", 2, CAROL)
    assert committed(log, "05", 3, CAROL)


def test_so_many_epochs_are_known_and_no_more_are_kept(
    store: Store, log: DecisionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "BEHIND", 3)
    monkeypatch.setattr("policy_engine.store.decision_log.BEHIND", 3)
    for number in range(1, 6):
        change(store, number, citizen(f"somebody-{number}"))
    assert not committed(log, "01", 1, CAROL)
    assert committed(log, "02", 2, CAROL)
    with reading(store.open()) as reader:
        assert {row.epoch for row in reader.execute(changed_names.select())} == {3, 4, 5}


def test_a_change_of_more_names_than_are_told_changes_everything(
    store: Store, log: DecisionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "_BY_NAME", 2)
    change(store, 1, RosterRows(people=tuple(PersonEntry(id=f"one-{number}") for number in range(3))))
    assert not committed(log, "01", 0, CAROL)


def test_no_record_that_read_a_name_commits_under_an_earlier_epoch_once_its_change_has_returned(
    store: Store, log: DecisionLog
) -> None:
    returned = [0]

    def changing() -> None:
        for number in range(1, 40):
            since = Validity(start=AT - timedelta(days=number))
            person = "carol" if number % 2 else "somebody"
            change(store, number, RosterRows(citizenships=(Citizenship(person=person, country="JP", valid=since),)))
            returned.append(number)

    thread = Thread(target=changing)
    thread.start()
    number = 0
    while thread.is_alive():
        number += 1
        newest = returned[-1]
        assert committed(log, f"dara-{number}", newest, DARA)
        # Every odd change was of carol.
        if newest:
            assert not committed(log, f"carol-{number}", newest - 1 if newest % 2 else newest - 2, CAROL)
    thread.join()
