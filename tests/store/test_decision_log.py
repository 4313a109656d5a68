from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, RowMapping, event, insert, select

from policy_engine.domain.decision import Record
from policy_engine.domain.ports import Appended, AppendOutcome, Control, Key, LogUnavailable
from policy_engine.domain.roster import Draw, RosterRows
from policy_engine.store.control import move
from policy_engine.store.database import reading, writing
from policy_engine.store.decision_log import GROUP, DecisionLog
from policy_engine.store.keys import Keys
from policy_engine.store.members import Members
from policy_engine.store.tables import decisions, draws, revisions
from tests.store.conftest import Store, refusing_inserts
from tests.store.gate import Barrier, Gate, broken_connection, gated, nothing
from tests.store.samples import AT, EARLIER, capped, record

HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
SOON = 10


@contextmanager
def logging(engine: Engine, *, size: int = 10_000) -> Iterator[DecisionLog]:
    log = DecisionLog(engine, size=size)
    try:
        yield log
    finally:
        log.close(seconds=SOON)


@pytest.fixture
def engine(store: Store) -> Engine:
    """The one that the log of the test writes through."""
    return store.open()


@pytest.fixture
def gate(engine: Engine) -> Gate:
    """What the commits of the log pass."""
    return gated(engine)


@pytest.fixture
def log(engine: Engine, gate: Gate) -> Iterator[DecisionLog]:
    assert gate.count == 0
    with logging(engine) as opened:
        yield opened


def rows(store: Store) -> Sequence[RowMapping]:
    """What stands in the log, in its order."""
    with reading(store.open()) as reader:
        return reader.execute(select(decisions).order_by(decisions.c.log_index)).mappings().all()


def said(*futures: Future[Appended]) -> list[AppendOutcome]:
    return [future.result(SOON).outcome for future in futures]


@contextmanager
def held(gate: Gate, log: DecisionLog) -> Iterator[None]:
    """What is handed over inside the block is one group: the writer is kept at the commit of another before."""
    gate.before = barrier = Barrier()
    before = log.append(record("held", epoch=-1))
    assert barrier.reached.wait(SOON)
    try:
        yield
    finally:
        barrier.released.set()
    assert said(before) == [AppendOutcome.STALE]


def test_a_record_is_durable_when_its_future_is_done_and_is_read_back_byte_for_byte(
    store: Store, log: DecisionLog
) -> None:
    given = replace(record("01", request_id="r"), body=bytes(range(256)), allowed=False, hold=True)

    appended = log.append(given).result(SOON)

    assert appended == Appended(outcome=AppendOutcome.COMMITTED, body=given.body)
    (row,) = rows(store)
    assert dict(row) == {
        "log_index": 0,
        "id": "01",
        "body": given.body,
        "decided_at": given.decided_at,
        "valid_until": given.valid_until,
        "allowed": False,
        "hold": True,
        "caller": "gateway",
        "request_id": "r",
        "request_digest": "d1",
        "control_epoch": 0,
        "attempt": 1,
        "retry_of": None,
    }
    assert log.read("01") == given.body
    assert log.read("02") is None


def test_what_waits_is_committed_together(store: Store, gate: Gate, log: DecisionLog) -> None:
    with held(gate, log):
        futures = [log.append(record(f"{number:04}")) for number in range(GROUP + 1)]

    assert set(said(*futures)) == {AppendOutcome.COMMITTED}
    assert gate.count == 3  # the one before, a full group, and the one record too many for it
    assert [row["id"] for row in rows(store)] == [f"{number:04}" for number in range(GROUP + 1)]


def test_log_indexes_are_dense_over_threads_and_processes(store: Store) -> None:
    with logging(store.open()) as one, logging(store.open()) as other:
        futures: list[Future[Appended]] = []

        def run(name: int, log: DecisionLog) -> None:
            futures.extend(log.append(record(f"{name}-{turn}")) for turn in range(50))

        threads = [threading.Thread(target=run, args=pair) for pair in enumerate([one, other] * 4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(said(*futures)) == {AppendOutcome.COMMITTED}

    logged = rows(store)
    assert [row["log_index"] for row in logged] == list(range(400))
    assert len({row["id"] for row in logged}) == 400


def test_no_future_is_done_before_the_commit_has_returned(store: Store, gate: Gate, log: DecisionLog) -> None:
    gate.before = barrier = Barrier()
    future = log.append(record("01"))
    assert barrier.reached.wait(SOON)

    assert wait([future], timeout=0.1).not_done
    assert rows(store) == []

    barrier.released.set()
    assert said(future) == [AppendOutcome.COMMITTED]
    assert len(rows(store)) == 1


def test_a_record_made_under_another_epoch_is_stale_and_is_not_written(store: Store, log: DecisionLog) -> None:
    members = Members(store.open())
    before = log.append(record("before"))
    assert said(before) == [AppendOutcome.COMMITTED]

    members.record(capped(1), actor="officer", reason="test", at=AT)

    assert members.control().epoch == 1
    assert said(*(log.append(record(f"{epoch}", epoch=epoch)) for epoch in (0, 1, 2))) == [
        AppendOutcome.STALE,
        AppendOutcome.COMMITTED,
        AppendOutcome.STALE,
    ]
    assert [row["id"] for row in rows(store)] == ["before", "1"]


def test_once_a_revocation_has_returned_nothing_older_is_committed_and_it_waits_for_what_is_being_committed(
    store: Store, gate: Gate, log: DecisionLog
) -> None:
    keys = Keys(store.open())
    keys.add(
        Key(
            id="k-1",
            name="gateway",
            secret_hash="0",
            rights=frozenset({"decide"}),
            gateway=None,
            person=None,
            assertable=frozenset(),
            created_at=AT,
            revoked_at=None,
        )
    )
    gate.before = barrier = Barrier()
    older = log.append(record("older", epoch=1))
    assert barrier.reached.wait(SOON)
    revocation = threading.Thread(target=keys.revoke, args=("k-1", AT))
    revocation.start()
    revocation.join(0.2)
    assert revocation.is_alive()

    barrier.released.set()
    revocation.join(SOON)
    assert not revocation.is_alive()
    assert said(older, log.append(record("late", epoch=1))) == [AppendOutcome.COMMITTED, AppendOutcome.STALE]
    assert [row["id"] for row in rows(store)] == ["older"]


def test_the_same_request_again_gets_the_decision_that_was_made_and_nothing_is_written(
    store: Store, log: DecisionLog
) -> None:
    first = record("01", request_id="r")
    assert said(log.append(first)) == [AppendOutcome.COMMITTED]

    again = log.append(record("02", request_id="r", at=AT + timedelta(seconds=29)))

    assert again.result(SOON) == Appended(outcome=AppendOutcome.REPLAYED, body=first.body)
    assert [row["id"] for row in rows(store)] == ["01"]


def test_another_request_under_the_same_id_is_a_conflict_however_old_the_first(store: Store, log: DecisionLog) -> None:
    assert said(log.append(record("01", request_id="r"))) == [AppendOutcome.COMMITTED]

    assert said(
        log.append(record("02", request_id="r", digest="d2")),
        log.append(record("03", request_id="r", digest="d2", at=AT + HOUR * 10_000)),
    ) == [AppendOutcome.CONFLICT, AppendOutcome.CONFLICT]
    assert [row["id"] for row in rows(store)] == ["01"]


def test_request_ids_of_different_callers_and_requests_without_one_have_nothing_to_do_with_each_other(
    log: DecisionLog,
) -> None:
    futures = [
        log.append(record("01", request_id="r", caller="a", digest="d1")),
        log.append(record("02", request_id="r", caller="b", digest="d2")),
        log.append(record("03", request_id=None, caller="a", digest="d1")),
        log.append(record("04", request_id=None, caller="a", digest="d1")),
    ]

    assert said(*futures) == [AppendOutcome.COMMITTED] * 4
    assert said(log.append(record("05", request_id="r", caller="b", digest="d2"))) == [AppendOutcome.REPLAYED]


@pytest.mark.parametrize(
    ("lasts", "later", "outcome"),
    [
        (30.0, timedelta(seconds=30) - MICROSECOND, AppendOutcome.REPLAYED),
        (30.0, timedelta(seconds=30), AppendOutcome.COMMITTED),
        (0.0, timedelta(0), AppendOutcome.COMMITTED),
        (86_400.0, HOUR - MICROSECOND, AppendOutcome.REPLAYED),
        (86_400.0, HOUR, AppendOutcome.COMMITTED),
        (86_400.0, -HOUR, AppendOutcome.COMMITTED),
    ],
)
def test_a_decision_is_given_again_only_within_an_hour_and_before_it_has_run_out(
    log: DecisionLog, lasts: float, later: timedelta, outcome: AppendOutcome
) -> None:
    assert said(log.append(record("01", request_id="r", lasts=lasts))) == [AppendOutcome.COMMITTED]

    assert said(log.append(record("02", request_id="r", at=AT + later))) == [outcome]


def test_a_request_that_is_decided_anew_is_a_new_attempt_linked_to_the_one_before(
    store: Store, log: DecisionLog
) -> None:
    for number in range(3):
        at = AT + timedelta(minutes=number)
        assert said(log.append(record(f"{number}", request_id="r", at=at))) == [AppendOutcome.COMMITTED]

    assert [(row["id"], row["attempt"], row["retry_of"]) for row in rows(store)] == [
        ("0", 1, None),
        ("1", 2, "0"),
        ("2", 3, "1"),
    ]
    latest = log.append(record("3", request_id="r", at=AT + timedelta(minutes=2, seconds=1)))
    assert latest.result(SOON).body == b'{"decision_id":"2"}'


def test_a_request_is_decided_anew_when_the_epoch_has_moved_in_between(store: Store, log: DecisionLog) -> None:
    assert said(log.append(record("01", request_id="r"))) == [AppendOutcome.COMMITTED]
    with writing(store.open()) as writer:
        move(writer)

    assert said(
        log.append(record("02", request_id="r", epoch=0)), log.append(record("03", request_id="r", epoch=1))
    ) == [AppendOutcome.STALE, AppendOutcome.COMMITTED]
    assert [(row["id"], row["retry_of"]) for row in rows(store)] == [("01", None), ("03", "01")]


def test_in_one_group_a_record_sees_those_before_it(store: Store, gate: Gate, log: DecisionLog) -> None:
    with held(gate, log):
        futures = [
            log.append(record("01", request_id="r")),
            log.append(record("02", request_id="r")),
            log.append(record("03", request_id="r", digest="d2")),
            log.append(record("04", request_id="r", at=AT + timedelta(minutes=1))),
            log.append(record("05", request_id="r", at=AT + timedelta(minutes=1))),
        ]

    answers = [future.result(SOON) for future in futures]
    assert [answer.outcome for answer in answers] == [
        AppendOutcome.COMMITTED,
        AppendOutcome.REPLAYED,
        AppendOutcome.CONFLICT,
        AppendOutcome.COMMITTED,
        AppendOutcome.REPLAYED,
    ]
    assert [answers[1].body, answers[4].body] == [b'{"decision_id":"01"}', b'{"decision_id":"04"}']
    assert [(row["id"], row["attempt"], row["retry_of"]) for row in rows(store)] == [("01", 1, None), ("04", 2, "01")]


def test_two_processes_that_are_asked_the_same_at_once_make_one_decision(store: Store) -> None:
    with logging(store.open()) as one, logging(store.open()) as other:
        for turn in range(20):
            barrier = threading.Barrier(2)
            answers: list[Appended] = []

            def ask(log: DecisionLog, name: str, barrier: threading.Barrier, answers: list[Appended]) -> None:
                asked = record(name, request_id=name.partition("-")[0])
                barrier.wait()
                answers.append(log.append(asked).result(SOON))

            threads = [
                threading.Thread(target=ask, args=(log, f"{turn}-{name}", barrier, answers))
                for name, log in (("a", one), ("b", other))
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(answer.outcome.value for answer in answers) == ["committed", "replayed"]
            assert answers[0].body == answers[1].body
    assert len(rows(store)) == 20


def test_an_attempt_that_another_writes_without_the_lock_in_between_is_seen_when_the_group_is_written_again(
    postgres_store: Store,
) -> None:
    engine, owner = postgres_store.open(), postgres_store.owner()
    rival = record("rival", request_id="r")

    @event.listens_for(engine, "before_cursor_execute", once=False)
    def interfere(_c: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("INSERT INTO decisions") and not rows(postgres_store):
            with writing(owner) as writer:
                writer.execute(
                    insert(decisions).values(
                        log_index=7,
                        id=rival.id,
                        body=rival.body,
                        decided_at=rival.decided_at,
                        valid_until=rival.valid_until,
                        allowed=True,
                        hold=False,
                        caller=rival.caller,
                        request_id="r",
                        request_digest="d1",
                        control_epoch=0,
                        attempt=1,
                    )
                )

    with logging(engine) as log:
        assert log.append(record("01", request_id="r")).result(SOON).body == rival.body


def seats(store: Store, count: int | None, *, id: str = "D-1") -> Members:  # noqa: A002
    members = Members(store.open())
    members.record(capped(count, id=id), actor="officer", reason="test", at=AT)
    return members


def test_a_place_that_is_taken_is_a_draw_and_a_revision_of_the_members_and_moves_the_epoch(
    store: Store, log: DecisionLog
) -> None:
    members = seats(store, 2)

    assert said(log.append(record("01", epoch=1, draws=(("D-1", "alice"),)))) == [AppendOutcome.COMMITTED]

    snapshot = members.snapshot()
    assert snapshot.rows.draws == (Draw(authorisation="D-1", person="alice", at=AT, recorded_at=AT),)
    assert members.control() == Control(epoch=2, revision=2)
    with reading(store.open()) as reader:
        drawn = reader.execute(select(revisions).where(revisions.c.number == 2)).one()
    assert (drawn.actor, drawn.recorded_at, drawn.added) == ("decision:01", AT, 1)


def test_a_person_draws_once_and_needs_no_other_place_even_when_the_rest_are_gone(
    store: Store, log: DecisionLog
) -> None:
    members = seats(store, 1)
    assert said(log.append(record("01", epoch=1, draws=(("D-1", "alice"),)))) == [AppendOutcome.COMMITTED]

    later = AT + timedelta(days=1)
    assert said(log.append(record("02", epoch=2, at=later, draws=(("D-1", "alice"),)))) == [AppendOutcome.COMMITTED]

    assert len(members.snapshot().rows.draws) == 1
    assert members.control() == Control(epoch=2, revision=2)


def test_a_record_that_needs_a_place_which_is_gone_is_stale_and_leaves_nothing(store: Store, log: DecisionLog) -> None:
    members = seats(store, 1)
    seats(store, 5, id="D-2")
    assert said(log.append(record("01", epoch=2, draws=(("D-1", "alice"),)))) == [AppendOutcome.COMMITTED]

    refused = log.append(record("02", epoch=3, at=AT + HOUR, draws=(("D-2", "bob"), ("D-1", "bob"))))

    assert said(refused) == [AppendOutcome.STALE]
    assert [row["id"] for row in rows(store)] == ["01"]
    assert [draw.person for draw in members.snapshot().rows.draws] == ["alice"]
    assert members.control() == Control(epoch=3, revision=3)


def test_in_one_group_places_are_counted_record_by_record(store: Store, gate: Gate, log: DecisionLog) -> None:
    members = seats(store, 2)
    with held(gate, log):
        futures = [
            log.append(record("01", epoch=1, draws=(("D-1", "alice"),))),
            log.append(record("02", epoch=1, draws=(("D-1", "bob"),))),
            log.append(record("03", epoch=1, draws=(("D-1", "carol"),))),
            log.append(record("04", epoch=1, draws=(("D-1", "alice"),))),
            log.append(record("05", epoch=1)),
        ]

    assert said(*futures) == [
        AppendOutcome.COMMITTED,
        AppendOutcome.COMMITTED,
        AppendOutcome.STALE,
        AppendOutcome.COMMITTED,
        AppendOutcome.COMMITTED,
    ]
    assert [draw.person for draw in members.snapshot().rows.draws] == ["alice", "bob"]
    # Two revisions, one for each decision that drew, under one new epoch.
    assert members.control() == Control(epoch=2, revision=3)


def test_one_record_may_take_several_places_and_takes_all_or_none(store: Store, log: DecisionLog) -> None:
    members = seats(store, 1)

    assert said(log.append(record("01", epoch=1, draws=(("D-1", "alice"), ("D-1", "bob"))))) == [AppendOutcome.STALE]

    assert members.snapshot().rows.draws == ()
    assert members.control() == Control(epoch=1, revision=1)


@pytest.mark.parametrize(
    ("draws_on_file", "outcome"),
    [
        ([("alice", AT)], AppendOutcome.STALE),
        ([("alice", AT + HOUR)], AppendOutcome.COMMITTED),
        ([("bob", EARLIER)], AppendOutcome.COMMITTED),
    ],
)
def test_a_draw_counts_from_its_own_instant_on(
    store: Store, log: DecisionLog, draws_on_file: list[tuple[str, Any]], outcome: AppendOutcome
) -> None:
    members = seats(store, 1)
    on_file = tuple(Draw(authorisation="D-1", person=person, at=at) for person, at in draws_on_file)
    members.record(RosterRows(draws=on_file), actor="officer", reason="test", at=AT)

    assert said(log.append(record("01", epoch=2, draws=(("D-1", "bob"),)))) == [outcome]


def test_a_draw_of_a_process_whose_clock_runs_ahead_counts_at_once(store: Store, log: DecisionLog) -> None:
    seats(store, 1)
    assert said(log.append(record("01", epoch=1, at=AT + HOUR, draws=(("D-1", "alice"),)))) == [AppendOutcome.COMMITTED]

    assert said(log.append(record("02", epoch=2, at=AT, draws=(("D-1", "bob"),)))) == [AppendOutcome.STALE]


def test_of_rows_in_force_the_lowest_cap_counts_whichever_was_recorded_last(log: DecisionLog, store: Store) -> None:
    members = seats(store, 1)
    members.record(capped(3), actor="officer", reason="two more", at=AT + HOUR)
    both = record("01", epoch=2, draws=(("D-1", "alice"), ("D-1", "bob")))
    assert said(log.append(both)) == [AppendOutcome.STALE]
    assert said(log.append(record("02", epoch=2, draws=(("D-1", "alice"),)))) == [AppendOutcome.COMMITTED]

    # A place taken has moved the epoch, under which only the cap stands in the way of another.
    assert said(log.append(record("03", epoch=3, draws=(("D-1", "bob"),)))) == [AppendOutcome.STALE]
    assert said(log.append(record("04", epoch=3))) == [AppendOutcome.COMMITTED]


def test_of_rows_recorded_at_once_the_lowest_cap_counts(log: DecisionLog, store: Store) -> None:
    both = tuple(row for count in (2, 1, None) for row in capped(count).authorisations)
    Members(store.open()).record(RosterRows(authorisations=both), actor="officer", reason="test", at=AT)

    assert said(log.append(record("01", epoch=1, draws=(("D-1", "alice"), ("D-1", "bob"))))) == [AppendOutcome.STALE]


def test_there_is_no_place_on_an_authorisation_that_is_not_on_file(log: DecisionLog) -> None:
    assert said(log.append(record("01", draws=(("D-9", "alice"),)))) == [AppendOutcome.STALE]


def test_an_authorisation_without_a_cap_has_a_place_for_everybody(store: Store, log: DecisionLog) -> None:
    seats(store, None)
    places = tuple(("D-1", f"person-{number}") for number in range(20))

    assert said(log.append(record("01", epoch=1, draws=places))) == [AppendOutcome.COMMITTED]


def test_of_two_processes_that_race_for_the_last_place_one_wins_every_time(store: Store) -> None:
    members = seats(store, 1, id="T-0")
    with logging(store.open()) as one, logging(store.open()) as other:
        for turn in range(20):
            paper = f"T-{turn}"
            seats(store, 1, id=paper)
            epoch = members.control().epoch
            barrier = threading.Barrier(2)
            answers: list[AppendOutcome] = []

            def race(log: DecisionLog, asked: Record, barrier: threading.Barrier, answers: list[AppendOutcome]) -> None:
                barrier.wait()
                answers.append(log.append(asked).result(SOON).outcome)

            threads = [
                threading.Thread(
                    target=race,
                    args=(log, record(f"{turn}-{name}", epoch=epoch, draws=((paper, name),)), barrier, answers),
                )
                for name, log in (("alice", one), ("bob", other))
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(answer.value for answer in answers) == ["committed", "stale"]

    drawn = members.snapshot().rows.draws
    assert sorted(draw.authorisation for draw in drawn) == sorted(f"T-{turn}" for turn in range(20))


_RACER = """
import sys
from datetime import datetime, UTC
from policy_engine.domain.decision import Record
from policy_engine.domain.ports import AppendOutcome
from policy_engine.domain.verdict import CapDraw
from policy_engine.store.database import open_database
from policy_engine.store.decision_log import DecisionLog
from policy_engine.store.members import Members

url, name = sys.argv[1:]
engine = open_database(url)
log, members = DecisionLog(engine), Members(engine)
print("ready", flush=True)
sys.stdin.readline()
at = datetime(2026, 6, 20, 15, tzinfo=UTC)
for turn in range(20):
    while True:
        record = Record(
            id=f"{turn}-{name}", body=b"{}", decided_at=at, valid_until=at, allowed=True, hold=False, caller=name,
            request_id=None, request_digest="d", control_epoch=members.control().epoch,
            draws=(CapDraw(authorisation=f"T-{turn}", person=name),),
        )
        outcome = log.append(record).result(10).outcome
        if outcome is AppendOutcome.COMMITTED:
            break
        if len([draw for draw in members.snapshot().rows.draws if draw.authorisation == f"T-{turn}"]) == 1:
            break
log.close()
engine.dispose()
"""


def test_of_two_processes_with_memories_of_their_own_never_both_take_the_last_place(store: Store) -> None:
    members = seats(store, 1, id="T-0")
    for turn in range(1, 20):
        seats(store, 1, id=f"T-{turn}")
    racers = [
        subprocess.Popen(  # noqa: S603  this interpreter
            [sys.executable, "-c", _RACER, store.url, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("alice", "bob")
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.communicate("go\n", timeout=60)

    assert [racer.returncode for racer in racers] == [0, 0]
    drawn = members.snapshot().rows.draws
    assert sorted(draw.authorisation for draw in drawn) == sorted(f"T-{turn}" for turn in range(20))
    # The 20 imports of the papers have the numbers before.
    assert [row["log_index"] for row in rows(store)] == list(range(20, 40))


def unavailable(future: Future[Appended]) -> str:
    with pytest.raises(LogUnavailable) as failed:
        future.result(SOON)
    return str(failed.value)


def test_a_database_that_does_not_let_a_transaction_begin_fails_the_group_and_the_next_one_is_written(
    store: Store,
) -> None:
    engine = store.open(lock_seconds=0.05)
    with logging(engine) as log:
        with writing(store.open()) as holder:
            move(holder)
            assert "lock" in unavailable(log.append(record("01")))

        assert said(log.append(record("02", epoch=1))) == [AppendOutcome.COMMITTED]
    assert [row["id"] for row in rows(store)] == ["02"]


def test_a_database_that_is_gone_fails_the_group_and_the_next_one_is_written_when_it_is_back(
    postgres_store: Store,
) -> None:
    postgres, name = postgres_store.postgres, postgres_store.name
    assert postgres is not None
    with logging(postgres_store.open()) as log:
        assert said(log.append(record("01"))) == [AppendOutcome.COMMITTED]
        postgres.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgres.terminate(name)
        unavailable(log.append(record("02")))
        postgres.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

        assert said(log.append(record("03"))) == [AppendOutcome.COMMITTED]
    assert [(row["log_index"], row["id"]) for row in rows(postgres_store)] == [(0, "01"), (1, "03")]


def test_a_connection_that_the_server_ended_while_nothing_was_written_costs_no_record(postgres_store: Store) -> None:
    assert postgres_store.postgres is not None
    with logging(postgres_store.open()) as log:
        assert said(log.append(record("01"))) == [AppendOutcome.COMMITTED]
        postgres_store.postgres.terminate(postgres_store.name)

        assert said(log.append(record("02"))) == [AppendOutcome.COMMITTED]


def test_a_server_process_that_is_killed_in_the_middle_of_a_group_fails_it_and_the_next_one_is_written(
    postgres_store: Store,
) -> None:
    assert postgres_store.postgres is not None
    engine = postgres_store.open()
    gate = gated(engine)
    with logging(engine) as log:
        gate.before = barrier = Barrier()
        future = log.append(record("01"))
        assert barrier.reached.wait(SOON)
        postgres_store.postgres.terminate(postgres_store.name)
        barrier.released.set()
        unavailable(future)

        assert said(log.append(record("02"))) == [AppendOutcome.COMMITTED]
    assert [(row["log_index"], row["id"]) for row in rows(postgres_store)] == [(0, "02")]


@pytest.mark.parametrize("table", ["decisions", "draws", "revisions"])
def test_a_database_that_takes_no_row_fails_the_whole_group_and_leaves_nothing_of_it(
    store: Store, gate: Gate, log: DecisionLog, table: str
) -> None:
    members = seats(store, 1)
    with refusing_inserts(store, table):
        with held(gate, log):
            futures = [
                log.append(record("01", epoch=1)),
                log.append(record("02", epoch=1, draws=(("D-1", "alice"),))),
            ]
        for future in futures:
            unavailable(future)
        assert rows(store) == []
        assert members.snapshot().rows.draws == ()
        assert members.control() == Control(epoch=1, revision=1)

    assert said(log.append(record("03", epoch=1, draws=(("D-1", "alice"),)))) == [AppendOutcome.COMMITTED]


def test_a_commit_that_fails_leaves_nothing_and_the_next_group_is_written_on_another_connection(
    store: Store, engine: Engine, gate: Gate, log: DecisionLog
) -> None:
    gate.before = broken_connection(engine)
    unavailable(log.append(record("01", request_id="r")))
    assert rows(store) == []
    connections = gate.connections
    gate.before = nothing

    assert said(log.append(record("02", request_id="r"))) == [AppendOutcome.COMMITTED]
    assert gate.connections == connections + 1
    assert [(row["log_index"], row["id"], row["attempt"]) for row in rows(store)] == [(0, "02", 1)]


def test_a_commit_of_which_nothing_was_heard_fails_and_who_asks_again_is_told_of_the_decision_that_was_made(
    store: Store, engine: Engine, gate: Gate, log: DecisionLog
) -> None:
    gate.after = broken_connection(engine)
    unavailable(log.append(record("01", request_id="r")))
    gate.after = nothing
    assert [row["id"] for row in rows(store)] == ["01"]

    again = log.append(record("02", request_id="r", at=AT + timedelta(seconds=1)))

    assert again.result(SOON) == Appended(outcome=AppendOutcome.REPLAYED, body=b'{"decision_id":"01"}')
    assert [row["id"] for row in rows(store)] == ["01"]


def test_an_id_is_taken_once(store: Store, log: DecisionLog) -> None:
    assert said(log.append(record("01"))) == [AppendOutcome.COMMITTED]

    unavailable(log.append(record("01")))

    assert said(log.append(record("02"))) == [AppendOutcome.COMMITTED]
    assert [row["id"] for row in rows(store)] == ["01", "02"]


def test_a_record_too_many_fails_at_once_and_those_that_wait_are_written(engine: Engine, gate: Gate) -> None:
    with logging(engine, size=3) as log:
        with held(gate, log):
            waiting = [log.append(record(f"{number}")) for number in range(3)]
            refused = log.append(record("too many"))

            assert refused.done()
            assert "3 records wait" in unavailable(refused)
        assert said(*waiting) == [AppendOutcome.COMMITTED] * 3
        assert said(log.append(record("room again"))) == [AppendOutcome.COMMITTED]


def test_a_record_whose_caller_has_gone_before_its_turn_is_not_written_and_harms_nobody(
    store: Store, gate: Gate, log: DecisionLog
) -> None:
    with held(gate, log):
        futures = [log.append(record(f"{number}")) for number in range(3)]
        assert futures[1].cancel()

    assert said(futures[0], futures[2]) == [AppendOutcome.COMMITTED] * 2
    assert [(row["log_index"], row["id"]) for row in rows(store)] == [(0, "0"), (1, "2")]


def test_closing_writes_what_waits_and_takes_no_more(store: Store) -> None:
    log = DecisionLog(store.open())
    futures = [log.append(record(f"{number}")) for number in range(1_000)]

    log.close()

    assert not log.alive
    assert {future.result(0).outcome for future in futures} == {AppendOutcome.COMMITTED}
    assert "closed" in unavailable(log.append(record("late")))
    log.close()


def test_closing_while_the_database_hangs_fails_what_waits(store: Store, gate: Gate, log: DecisionLog) -> None:
    gate.before = barrier = Barrier()
    running = log.append(record("running"))
    assert barrier.reached.wait(SOON)
    waiting = log.append(record("waiting"))

    log.close(seconds=0.05)

    assert "closed" in unavailable(waiting)
    barrier.released.set()
    assert said(running) == [AppendOutcome.COMMITTED]
    assert [row["id"] for row in rows(store)] == ["running"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_that_comes_to_an_end_fails_everything_that_waits_and_everything_later(
    store: Store, gate: Gate, log: DecisionLog
) -> None:
    barrier = Barrier()

    def fail() -> None:
        barrier()
        raise RuntimeError("a fault of our own")

    gate.before = fail
    running = log.append(record("running"))
    assert barrier.reached.wait(SOON)
    waiting = log.append(record("waiting"))
    assert log.alive
    barrier.released.set()

    for lost in (running, waiting, log.append(record("late"))):
        assert "ended" in unavailable(lost) or "closed" in unavailable(lost)
    log.close()
    assert [log.alive, rows(store)] == [False, []]


@pytest.mark.parametrize(
    "broken",
    [
        lambda: record("\0"),
        lambda: record("01", caller="a\0"),
        lambda: record("01", request_id="half \ud800 a character"),
    ],
)
def test_a_record_with_text_that_no_database_takes_is_refused_alone(
    log: DecisionLog, broken: Callable[[], Record]
) -> None:
    with pytest.raises(ValueError, match="cannot be recorded"):
        log.append(broken())

    assert said(log.append(record("01", caller="银行", request_id="naïve"))) == [AppendOutcome.COMMITTED]


def test_reading_a_log_out_of_reach_is_unavailable_and_not_none(store: Store, log: DecisionLog) -> None:
    with writing(store.owner()) as writer:
        writer.exec_driver_sql("DROP TABLE decisions")

    with pytest.raises(LogUnavailable):
        log.read("01")
    unavailable(log.append(record("01")))


def test_a_long_import_does_not_keep_decisions_waiting_on_postgresql(postgres_store: Store) -> None:
    engine = postgres_store.open()
    barrier = Barrier()

    @event.listens_for(engine, "before_cursor_execute")
    def stop(_c: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("INSERT INTO authorisations"):
            barrier()

    importer = threading.Thread(
        target=Members(engine).record, args=(capped(1),), kwargs={"actor": "officer", "reason": "test", "at": AT}
    )
    with logging(postgres_store.open()) as log:
        importer.start()
        assert barrier.reached.wait(SOON)

        assert said(log.append(record("meanwhile"))) == [AppendOutcome.COMMITTED]

        barrier.released.set()
        importer.join(SOON)
        assert said(log.append(record("older")), log.append(record("newer", epoch=1))) == [
            AppendOutcome.STALE,
            AppendOutcome.COMMITTED,
        ]


def test_a_draw_and_an_import_at_once_get_revisions_of_their_own(store: Store) -> None:
    members = seats(store, 100)
    other = Members(store.open())
    stop = threading.Event()

    def run() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            other.record(capped(1, id=f"X-{turn}"), actor="officer", reason="test", at=AT)

    importer = threading.Thread(target=run)
    with logging(store.open()) as log:
        importer.start()
        for number in range(20):
            outcome = AppendOutcome.STALE
            while outcome is AppendOutcome.STALE:
                epoch = members.control().epoch
                asked = record(f"{number}", epoch=epoch, draws=(("D-1", f"person-{number}"),))
                (outcome,) = said(log.append(asked))
        stop.set()
        importer.join(SOON)

    with reading(store.open()) as reader:
        numbers = reader.scalars(select(revisions.c.number).order_by(revisions.c.number)).all()
        assert len(reader.execute(select(draws)).all()) == 20
    assert numbers == list(range(1, members.control().revision + 1))
