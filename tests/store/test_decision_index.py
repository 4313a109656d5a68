"""The index of decisions gives what an obvious search of the records gives, and nothing else."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from random import Random
from time import monotonic, sleep
from typing import Any, Final

import pytest
from msgspec import structs
from sqlalchemy import Engine, delete, event, select, update

from policy_engine.domain.ports import LogDamaged, LogUnavailable
from policy_engine.domain.request import SubjectType
from policy_engine.formats.record_reader import RecordedDecision
from policy_engine.shapes.answer import FindingDocument
from policy_engine.shapes.record import AuthorisationOnRecord
from policy_engine.store.database import is_postgresql, reading, writing
from policy_engine.store.decision_index import (
    COLUMNS,
    MARKS,
    READ_BY_RULES,
    SLICE,
    Filters,
    Indexer,
    IndexerLoop,
    unread_facts,
    used_authorisations,
)
from policy_engine.store.decision_log import DecisionLog
from policy_engine.store.index_search import DecisionIndex, Logged, Position
from policy_engine.store.tables import decision_index, decision_index_progress, decision_parts, decision_spans
from tests.records import BEGIN, Entered, entered, lose, put
from tests.store.conftest import Store, refusing_inserts
from tests.store.samples import record

GIVEN: Final = entered(900)
SIZE: Final = GIVEN[-1].log_index + 1


def indexed(store: Store, given: tuple[Entered, ...] = GIVEN) -> tuple[Engine, DecisionIndex]:
    engine = store.open()
    put(engine, given)
    Indexer(engine).catch_up(10**6)
    return engine, DecisionIndex(engine)


def organisations_of(told: RecordedDecision) -> set[str | None]:
    named: set[str | None] = {party.organisation for party in told.parties}
    if told.request is not None:
        named |= {told.request.acting_for, told.request.destination.host}
        asking = (told.request.subject, told.request.end_user)
        named |= {one.id for one in asking if one is not None and one.type is SubjectType.ORGANISATION}
    return named


def unread(told: RecordedDecision) -> set[str]:
    """What no rule read of somebody who was judged, as a person would look for it."""
    assert told.request is not None
    missing = set()
    for subject in (told.request.subject, told.request.end_user):
        if subject is not None and subject.type is not SubjectType.ORGANISATION:
            of_them = [party for party in told.parties if party.subject == f"{subject.type}:{subject.id}"]
            if all("citizenships" not in party.known.looked_at for party in of_them):
                missing.add("citizenship_country")
    for organisation in {party.organisation for party in told.parties} - {None}:
        of_it = [party for party in told.parties if party.organisation == organisation]
        for fact in ("incorporated", "headquarters"):
            if all(fact not in party.known.looked_at for party in of_it):
                missing.add("organisation_country")
    return missing if told.parties else {*missing, "organisation_country"}


def meets(one: Entered, filters: Filters) -> bool:
    """The filters as a person would write them down."""
    told = one.read
    asked = told.request
    assert asked is not None
    subject = {asked.subject.id, f"{asked.subject.type}:{asked.subject.id}"}
    findings = told.findings
    tests: dict[str, bool] = {
        "start": filters.start is None or filters.start <= told.decided_at,
        "end": filters.end is None or told.decided_at < filters.end,
        "decision": filters.decision in (None, told.decision),
        "hold": filters.hold in (None, told.hold),
        "subject": filters.subject is None or filters.subject in subject,
        "organisation": filters.organisation is None or filters.organisation in organisations_of(told),
        "place_country": filters.place_country in (None, asked.place.country),
        "citizenship_country": filters.citizenship_country is None
        or any(filters.citizenship_country in (party.known.citizenships or ()) for party in told.parties),
        "organisation_country": filters.organisation_country is None
        or any(
            filters.organisation_country in (party.known.incorporated, party.known.headquarters)
            for party in told.parties
        ),
        "model": filters.model in (None, told.model),
        "tier": filters.tier in (None, told.tier),
        "action": filters.action in (None, asked.action.value),
        "regime": filters.regime is None or any(row.regime == filters.regime for row in findings),
        "rule": filters.rule is None or any(row.rule == filters.rule for row in findings),
        "deciding_rule": filters.deciding_rule is None
        or any((row.rule, row.state) == (filters.deciding_rule, "deciding") for row in findings),
        "end_user": filters.end_user is None
        or (asked.end_user is not None and filters.end_user == f"{asked.end_user.type}:{asked.end_user.id}"),
        "unread": filters.unread is None or filters.unread in unread(told),
        "code": filters.code is None or any(filters.code in row.codes for row in findings),
        "gateway": filters.gateway in (None, told.caller.gateway),
        "policy_version": filters.policy_version in (None, told.policy_version),
        "request_id": filters.request_id in (None, asked.request_id),
        "caller": filters.caller in (None, told.caller.id),
        "authorisation": filters.authorisation is None
        or any(
            filters.authorisation in row.authorisations
            for row in findings
            if (row.effect, row.state) == ("permit", "deciding")
            or row.rule in {name for other in findings if other.state == "lifted" for name in other.lifters}
        ),
    }
    assert set(tests) == {one.name for one in fields(Filters)}
    return all(tests.values())


def expected(filters: Filters, given: tuple[Entered, ...] = GIVEN, size: int = SIZE) -> list[str]:
    found = [one for one in given if one.log_index < size and meets(one, filters)]
    return [one.id for one in sorted(found, key=lambda one: (one.at, one.log_index), reverse=True)]


def values() -> dict[str, list[Any]]:
    """For each filter some values that occur, and one that does not."""
    found: dict[str, set[Any]] = {name: set() for name in (*COLUMNS, *MARKS)}
    for one in GIVEN[:400]:
        told = one.read
        asked = told.request
        assert asked is not None
        found["decision"].add(told.decision)
        found["hold"].add(told.hold)
        found["subject"] |= {asked.subject.id, f"{asked.subject.type}:{asked.subject.id}"}
        found["organisation"] |= organisations_of(told)
        found["place_country"].add(asked.place.country)
        found["model"].add(told.model)
        found["tier"].add(told.tier)
        found["action"].add(asked.action.value)
        found["gateway"].add(told.caller.gateway)
        found["policy_version"].add(told.policy_version)
        found["request_id"].add(asked.request_id)
        found["caller"].add(told.caller.id)
        found["unread"] |= unread(told)
        if asked.end_user is not None:
            found["end_user"].add(f"{asked.end_user.type}:{asked.end_user.id}")
        for party in told.parties:
            found["citizenship_country"] |= set(party.known.citizenships or ())
            found["organisation_country"] |= {party.known.incorporated or None, party.known.headquarters or None}
            found["authorisation"] |= {paper.id for paper in (party.known.authorisations or ())}
        for row in told.findings:
            found["regime"].add(row.regime)
            found["rule"].add(row.rule)
            if row.state == "deciding":
                found["deciding_rule"].add(row.rule)
            found["code"] |= set(row.codes)
    return {
        name: [*sorted(some - {None}, key=str), *([] if name == "hold" else ["none-such"])]
        for name, some in found.items()
    }


VALUES: Final = values()


def test_every_filter_has_values_that_tell_decisions_apart() -> None:
    for name, some in VALUES.items():
        assert len(some) >= 2, name


def some_filters(random: Random, most: int) -> Filters:
    chosen = {name: random.choice(VALUES[name]) for name in random.sample(sorted(VALUES), random.randint(0, most))}
    filters = replace(Filters(), **chosen)
    if random.random() < 0.3:
        filters = replace(filters, start=random.choice(GIVEN).at)
    if random.random() < 0.3:
        filters = replace(filters, end=random.choice(GIVEN).at + timedelta(microseconds=random.randint(0, 1)))
    return filters


def ids(found: tuple[Logged, ...]) -> list[str]:
    return [one.id for one in found]


def test_a_query_finds_what_a_search_of_all_records_finds_newest_first(store: Store) -> None:
    _, index = indexed(store)
    random = Random(3)
    found_any = 0
    for name, some in VALUES.items():
        for value in some:
            filters = replace(Filters(), **{name: value})
            found = index.page(filters, size=SIZE, after=None, limit=1000)
            assert ids(found) == expected(filters), filters
    for _ in range(150):
        filters = some_filters(random, 3)
        size = random.choice([SIZE, random.randrange(SIZE)])
        found = index.page(filters, size=size, after=None, limit=1000)
        assert ids(found) == expected(filters, size=size), filters
        found_any += bool(found)
    assert found_any > 20


def test_an_export_reads_what_a_query_finds_in_the_order_of_the_log(store: Store) -> None:
    _, index = indexed(store)
    random = Random(4)
    by_id = {one.id: one for one in GIVEN}
    for _ in range(25):
        filters = some_filters(random, 2)
        found: list[Logged] = []
        for begin in range(0, SIZE, 97):
            found += index.since(filters, size=SIZE, begin=begin, width=97)
        assert sorted(ids(tuple(found))) == sorted(expected(filters))
        assert [one.log_index for one in found] == sorted(one.log_index for one in found)
        assert all(one.body == by_id[one.id].body and one.log_index == by_id[one.id].log_index for one in found)


ONE_EACH: Final[dict[str, Any]] = {
    **{name: some[0] for name, some in VALUES.items()},
    "start": BEGIN + timedelta(hours=30),
    "end": BEGIN + timedelta(hours=60),
}
PAIRS: Final = (
    ("model", "place_country"),
    ("decision", "rule"),
    ("rule", "code"),
    ("organisation", "citizenship_country"),
    ("subject", "start"),
    ("code", "end"),
    ("hold", "gateway"),
    ("request_id", "decision"),
    ("regime", "start"),
    ("hold", "gateway", "regime"),
    ("rule", "code", "decision"),
    ("code", "regime", "organisation_country"),
    ("policy_version", "tier", "place_country"),
)


def test_no_filter_alone_or_with_another_reads_all_decisions(store: Store) -> None:
    engine, index = indexed(store, entered(5_000))
    size = index.size()
    with writing(store.owner()) as writer:
        writer.exec_driver_sql("ANALYZE")
    chosen: list[tuple[str, ...]] = [(name,) for name in ONE_EACH]
    for names in (*chosen, *PAIRS):
        filters = replace(Filters(), **{name: ONE_EACH[name] for name in names})
        for after in (None, Position(at=BEGIN + timedelta(hours=50), log_index=500)):
            with asked(engine) as statements:
                index.page(filters, size=size, after=after, limit=101)
            for statement, values in statements:
                told = plan(engine, statement, values)
                for table in ("decisions", "decision_index"):
                    assert not re.search(rf"(Seq Scan on|SCAN) {table}\b", told), (names, statement, told)
                assert "TEMP B-TREE" not in told, (names, statement, told)


@contextmanager
def asked(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """What is asked of the database meanwhile."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        if statement.startswith("SELECT"):
            statements.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


def plan(engine: Engine, statement: str, values: Any) -> str:
    """How the database finds it."""
    with reading(engine) as reader:
        word = "EXPLAIN" if is_postgresql(reader) else "EXPLAIN QUERY PLAN"
        return "\n".join(" ".join(map(str, row)) for row in reader.exec_driver_sql(f"{word} {statement}", values))


def test_decisions_that_meet_rare_filters_far_apart_are_found_without_reading_the_parts_between(
    sqlite_store: Store,
) -> None:
    given = entered(12_000, changes_too=False)
    engine, index = indexed(sqlite_store, given)
    first = Filters(subject=subject_of(given[0]), end=given[0].at + timedelta(seconds=1))
    with asked(engine) as statements:
        assert index.page(first, size=index.size(), after=None, limit=10)
    assert len(statements) < 8
    with asked(engine) as statements:
        found = index.page(Filters(), size=index.size(), after=None, limit=10)
    assert ids(found) == expected(Filters(), given, index.size())[:10]
    assert len(statements) < 8


def subject_of(one: Entered) -> str:
    assert one.read.request is not None
    return one.read.request.subject.id


def walked(index: DecisionIndex, filters: Filters, size: int, limit: int) -> Iterator[Logged]:
    after = None
    while found := index.page(filters, size=size, after=after, limit=limit):
        yield from found
        after = Position(at=found[-1].at, log_index=found[-1].log_index)


def test_pages_are_together_the_whole_without_repetition_while_decisions_are_committed_and_indexed(
    store: Store,
) -> None:
    engine, index = indexed(store)
    indexer = Indexer(store.open())
    stop = threading.Event()

    def commit() -> None:
        first = SIZE
        while not stop.is_set():
            more = entered(10, seed=first, first=first)
            put(engine, more)
            indexer.catch_up(1_000)
            first = more[-1].log_index + 1

    thread = threading.Thread(target=commit)
    thread.start()
    try:
        random = Random(6)
        for _ in range(15):
            filters = some_filters(random, 1)
            found = [one.id for one in walked(index, filters, SIZE, random.randint(1, 200))]
            assert found == expected(filters)
    finally:
        stop.set()
        thread.join()
    assert index.size() > SIZE


def contents(engine: Engine) -> list[list[tuple[object, ...]]]:
    with reading(engine) as reader:
        return [
            [tuple(row) for row in reader.execute(select(table).order_by(*table.primary_key))]
            for table in (decision_index, decision_parts, decision_spans, decision_index_progress)
        ]


def test_an_index_made_again_is_the_same_index(store: Store) -> None:
    engine, index = indexed(store)
    before = contents(engine)
    heard: list[int] = []

    assert Indexer(engine).rebuild(heard.append) == SIZE

    assert contents(engine) == before
    assert heard[-1] == SIZE
    assert index.size() == SIZE


def test_an_index_thrown_away_by_a_process_that_died_is_made_again_by_the_next(store: Store) -> None:
    engine, index = indexed(store)
    before = contents(engine)
    with writing(engine) as writer:
        writer.execute(update(decision_index_progress).values(next_index=-1))
        writer.execute(delete(decision_index).where(decision_index.c.log_index % 3 == 0))
        writer.execute(delete(decision_parts).where(decision_parts.c.kind == "rule"))
    assert index.size() == 0

    Indexer(store.open()).catch_up(10**6)

    assert contents(engine) == before


def test_the_indexer_goes_on_where_it_ended_and_takes_no_more_than_it_is_asked(store: Store) -> None:
    engine = store.open()
    put(engine, GIVEN)
    indexer, index = Indexer(engine), DecisionIndex(engine)
    assert indexer.behind() == SIZE

    assert indexer.catch_up(7) == 7
    assert index.size() == 7
    assert indexer.behind() == SIZE - 7
    assert Indexer(store.open()).catch_up(SLICE + 1) == SLICE + 1
    assert index.size() == SLICE + 8
    assert indexer.catch_up(10**6) == SIZE - SLICE - 8
    assert indexer.catch_up(10**6) == 0
    assert index.page(Filters(), size=SIZE, after=None, limit=1)[0].id == expected(Filters())[0]


def test_two_indexers_at_once_make_one_index(store: Store) -> None:
    engine = store.open()
    put(engine, GIVEN)
    indexers = [Indexer(store.open()) for _ in range(3)]
    threads = [threading.Thread(target=indexer.catch_up, args=(10**6,)) for indexer in indexers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    both = contents(engine)
    Indexer(engine).rebuild()
    assert contents(engine) == both


@pytest.mark.parametrize("table", ["decision_parts", "decision_spans", "decision_index"])
def test_a_slice_is_indexed_whole_or_not_at_all(store: Store, table: str) -> None:
    engine = store.open()
    put(engine, GIVEN)
    indexer = Indexer(engine)
    indexer.catch_up(100)
    before = contents(engine)

    with refusing_inserts(store, table), pytest.raises(LogUnavailable):
        indexer.catch_up(100)

    assert contents(engine) == before
    indexer.catch_up(10**6)
    assert DecisionIndex(engine).size() == SIZE


@pytest.mark.parametrize("members", [b"\x01", bytes(129), b"\xff\xff"])
def test_a_damaged_part_is_no_answer_and_names_the_remedy(store: Store, members: bytes) -> None:
    engine, index = indexed(store, GIVEN[:50])
    with writing(engine) as writer:
        writer.execute(update(decision_parts).where(decision_parts.c.kind == "decision").values(members=members))
    damaged = "a part of the index of decisions is damaged: run `policy-engine log reindex`"
    with pytest.raises(LogUnavailable, match=damaged):
        index.page(Filters(decision="deny"), size=10, after=None, limit=10)
    put(engine, GIVEN[50:])
    with pytest.raises(LogUnavailable, match=damaged):
        Indexer(engine).catch_up(10**6)
    assert Indexer(engine).rebuild() == SIZE
    assert ids(index.page(Filters(decision="deny"), size=SIZE, after=None, limit=10**6)) == expected(
        Filters(decision="deny")
    )


def test_changes_in_the_log_count_towards_its_size_and_are_no_decisions(store: Store) -> None:
    engine = store.open()
    given = entered(18)
    put(engine, given)
    Indexer(engine).catch_up(10**6)
    index = DecisionIndex(engine)

    assert index.size() == given[-1].log_index + 1 > len(given)
    assert len(index.page(Filters(), size=index.size(), after=None, limit=100)) == len(given)


def test_a_record_that_cannot_be_read_is_found_by_what_the_log_knows_of_it(store: Store) -> None:
    engine = store.open()
    log = DecisionLog(engine)
    log.append(record("01UNREADABLE", request_id="r-1")).result(10)
    log.close()
    Indexer(engine).catch_up(10)
    index = DecisionIndex(engine)

    for filters in (Filters(), Filters(decision="allow"), Filters(hold=False), Filters(request_id="r-1")):
        assert ids(index.page(filters, size=1, after=None, limit=10)) == ["01UNREADABLE"]
    assert index.page(Filters(model="opus-4.6"), size=1, after=None, limit=10) == ()


def test_a_decision_is_found_by_its_id_before_it_is_indexed(store: Store) -> None:
    engine = store.open()
    put(engine, GIVEN[:3])
    index = DecisionIndex(engine)
    found = index.find(GIVEN[1].id)
    assert found is not None
    assert (found.log_index, found.body, found.at) == (GIVEN[1].log_index, GIVEN[1].body, GIVEN[1].at)
    assert index.find("01NONE") is None


@pytest.mark.parametrize(
    "by",
    [
        ("reason",),
        ("deciding_rules",),
        ("place_country",),
        ("model",),
        ("gateway",),
        ("day",),
        ("deciding_rules", "day", "place_country"),
    ],
)
def test_counts_are_those_of_the_records(store: Store, by: tuple[str, ...]) -> None:
    _, index = indexed(store)
    read: dict[str, Callable[[RecordedDecision], str | None]] = {
        "reason": lambda told: told.reason_code,
        "deciding_rules": lambda told: "\n".join(
            sorted({row.rule for row in told.findings if row.state == "deciding"})
        ),
        "place_country": lambda told: None if told.request is None else told.request.place.country,
        "model": lambda told: told.model,
        "gateway": lambda told: told.caller.gateway,
        "day": lambda told: str((told.decided_at - datetime(1970, 1, 1, tzinfo=UTC)).days),
    }
    for filters in (
        Filters(decision="deny"),
        Filters(rule="US-COM-2026-06-12"),
        Filters(decision="deny", code="FOREIGN_PERSON", start=GIVEN[50].at),
    ):
        counted = Counter(tuple(read[name](one.read) for name in by) for one in GIVEN if meets(one, filters))
        assert dict(index.counts(filters, by, size=SIZE)) == counted


def sought(filters: Filters, name: str, value: str) -> Filters:
    """The filters with one more, of `READ_BY_RULES`."""
    if name == "citizenship_country":
        return replace(filters, citizenship_country=value)
    return replace(filters, organisation_country=value)


@pytest.mark.parametrize("name", READ_BY_RULES)
def test_decisions_of_which_a_fact_is_not_recorded_are_counted_beside_those_that_a_filter_finds(
    store: Store, name: str
) -> None:
    _, index = indexed(store)
    value = VALUES[name][0]
    for others in (Filters(), Filters(decision="deny"), Filters(decision="deny", rule="US-COM-2026-06-12")):
        asked = sought(others, name, value)
        known = [one for one in GIVEN if meets(one, others) and name in unread(one.read) and not meets(one, asked)]
        assert index.unread(asked, name, size=SIZE) == len(known)
    assert index.unread(sought(Filters(), name, "none-such"), name, size=SIZE) > 0


def test_many_of_which_a_fact_is_not_recorded_are_not_counted_to_the_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, index = indexed(store)
    monkeypatch.setattr("policy_engine.store.index_search.MOST_COUNTED", 5)
    assert index.unread(Filters(citizenship_country="CN"), "citizenship_country", size=SIZE) == 6


def test_of_a_record_without_a_request_and_of_a_shortened_one_nothing_is_recorded() -> None:
    (told,) = (one.read for one in GIVEN[:1])
    assert unread_facts(replace(told, request=None)) == set(READ_BY_RULES)
    assert unread_facts(replace(told, parties=(), shortened=True)) == set(READ_BY_RULES)


def test_touches_are_those_of_the_records(store: Store) -> None:
    _, index = indexed(store)
    filters = Filters(model="mythos-5")
    counted = Counter(
        (one.read.request.subject.id, one.read.request.action.value, one.read.decision)
        for one in GIVEN
        if one.read.request is not None and meets(one, filters)
    )
    found = index.touches(filters, size=SIZE)
    assert {(one.subject, one.action, one.decision): one.count for one in found} == counted
    for touch in found:
        instants = [
            one.at
            for one in GIVEN
            if meets(one, replace(filters, subject=touch.subject, action=touch.action, decision=touch.decision))
        ]
        assert (touch.first, touch.last) == (min(instants), max(instants))
    assert [one.last for one in found] == sorted((one.last for one in found), reverse=True)


def test_the_loop_indexes_what_comes_until_it_is_closed(store: Store) -> None:
    engine = store.open()
    put(engine, GIVEN[:50])
    reports: list[str] = []
    indexer = Indexer(engine)
    loop = IndexerLoop(indexer, interval=0.01, report=reports.append)
    loop.start()
    deadline = monotonic() + 20
    while indexer.behind() and monotonic() < deadline:
        sleep(0.01)
    assert indexer.behind() == 0
    loop.close()

    put(engine, GIVEN[50:])
    assert indexer.behind() > 0
    assert reports == []


def test_the_loop_outlives_a_database_that_refuses_and_reports_it_once(store: Store) -> None:
    engine = store.open()
    put(engine, GIVEN[:50])
    reports: list[str] = []
    indexer = Indexer(engine)
    loop = IndexerLoop(indexer, interval=0.01, report=reports.append)
    with refusing_inserts(store, "decision_index"):
        loop.start()
        deadline = monotonic() + 20
        while not reports and monotonic() < deadline:
            sleep(0.01)
    while indexer.behind() and monotonic() < deadline:
        sleep(0.01)
    loop.close()
    assert indexer.behind() == 0
    assert len(reports) == 1
    assert "alice" not in reports[0]


def test_an_index_out_of_reach_is_unavailable(postgres_store: Store) -> None:
    engine = postgres_store.open()
    assert postgres_store.postgres is not None
    postgres_store.postgres.drop(postgres_store.name)
    index, indexer = DecisionIndex(engine), Indexer(engine)
    for ask in (index.size, indexer.behind, indexer.rebuild, lambda: indexer.catch_up(1), lambda: index.find("x")):
        with pytest.raises(LogUnavailable):
            ask()


def test_a_record_that_is_indexed_and_gone_is_damage_that_names_its_entry(sqlite_store: Store) -> None:
    engine, index = indexed(sqlite_store)
    gone = [GIVEN[200].log_index, GIVEN[100].log_index]
    lose(engine, *gone)

    missing = f"entry {min(gone)} of the log is missing"
    with pytest.raises(LogDamaged, match=missing):
        index.page(Filters(), size=SIZE, after=None, limit=1_000)
    with pytest.raises(LogDamaged, match=missing):
        index.since(Filters(), size=SIZE, begin=0, width=SIZE)
    found = index.page(Filters(end=GIVEN[90].at), size=SIZE, after=None, limit=1_000)
    assert ids(found) == expected(Filters(end=GIVEN[90].at))


def a_row(
    rule: str, effect: str, state: str, lifters: tuple[str, ...] = (), papers: tuple[str, ...] = ()
) -> FindingDocument:
    return FindingDocument(
        rule=rule,
        regime="us-ear",
        effect=effect,
        state=state,
        codes=("X",),
        hold=False,
        lifted_by=lifters[0] if lifters else None,
        review=None,
        citation="",
        message="",
        detail={"lifted_by": lifters, "authorisations": papers},
    )


@pytest.mark.parametrize(
    ("rows", "used"),
    [
        ([a_row("NOTE", "note", "note", papers=("L-1",)), a_row("G", "permit", "deciding")], set()),
        (
            [a_row("NOTE", "note", "note", papers=("L-1", "L-2")), a_row("B", "deny", "lifted", ("NOTE",))],
            {"L-1", "L-2"},
        ),
        ([a_row("NOTE", "note", "note", papers=("L-1",)), a_row("B", "deny", "lifted", ("OTHER",))], set()),
        ([a_row("NOTE", "note", "note", papers=("L-1",)), a_row("B", "deny", "lifted", ("A", "NOTE"))], {"L-1"}),
        ([a_row("G", "permit", "deciding", papers=("L-1",))], {"L-1"}),
        ([a_row("G", "permit", "note", papers=("L-1",))], set()),
        ([a_row("B", "deny", "lifted", ("holds:us-ear/licence",))], {"L-1", "L-3"}),
        ([a_row("B", "deny", "lifted", ("statement:uvl & !person-listed:UVL",))], set()),
    ],
)
def test_an_authorisation_is_used_where_it_lifted_or_carried_the_grant(
    rows: list[FindingDocument], used: set[str]
) -> None:
    told = next(one.read for one in GIVEN if one.read.parties)
    states = {"L-1": "usable", "L-2": "full", "L-3": "usable"}
    papers = tuple(AuthorisationOnRecord(id=name, state=state) for name, state in states.items())
    first, *others = told.parties
    parties = (structs.replace(first, known=structs.replace(first.known, authorisations=papers)), *others)
    assert used_authorisations(replace(told, findings=tuple(rows), parties=parties)) == used
