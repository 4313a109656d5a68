from __future__ import annotations

import hashlib
import random
import threading
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, select

from policy_engine.domain.instants import Validity
from policy_engine.domain.ports import Control, Imported, MembersUnavailable
from policy_engine.domain.roster import (
    Credit,
    Membership,
    MembershipStatus,
    Organisation,
    Recorded,
    Roster,
    RosterRows,
    Stake,
)
from policy_engine.formats.roster_rows import row_bytes
from policy_engine.store import members as store_members
from policy_engine.store.changes import LARGE, content_of
from policy_engine.store.database import reading
from policy_engine.store.follows import missing_contents
from policy_engine.store.members import KINDS, Members, RowKind, sort_out
from policy_engine.store.tables import ROSTER, blobs, revisions
from tests.store.conftest import Store, refusing_inserts
from tests.store.samples import AT, EARLIER, FULL

HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)


def dated(rows: RosterRows, at: datetime) -> RosterRows:
    """The rows as they stand on file after an import at `at`."""
    return RosterRows(
        **{
            kind.name: tuple(replace(row, recorded_at=row.recorded_at or at) for row in getattr(rows, kind.name))
            for kind in KINDS
        }
    )


def organisations(*names: str, recorded_at: datetime | None = None) -> RosterRows:
    return RosterRows(
        organisations=tuple(Organisation(id=name, headquarters="US", recorded_at=recorded_at) for name in names)
    )


def stake(percent: str | None, recorded_at: datetime | None = None) -> RosterRows:
    return RosterRows(
        stakes=(
            Stake(owner="a", owned="b", percent=None if percent is None else Decimal(percent), recorded_at=recorded_at),
        )
    )


def imported(members: Members, rows: RosterRows, at: datetime = AT) -> Imported:
    return members.record(rows, actor="officer", reason="test", at=at)


def test_every_kind_of_row_has_a_table_with_a_column_for_each_of_its_fields() -> None:
    assert [kind.name for kind in KINDS] == [field.name for field in fields(RosterRows)] == list(ROSTER)
    for kind in KINDS:
        names = {field.name for field in fields(kind.row)} - {"valid"}
        interval = {"valid_from", "valid_to"} if kind.dated else set()
        assert set(kind.table.c.keys()) == names | interval | {"row_id", "revision"}


def test_an_empty_database_has_no_rows_and_starts_its_counters_at_zero(store: Store) -> None:
    members = Members(store.open())

    snapshot = members.snapshot()

    assert snapshot.rows == RosterRows()
    assert (snapshot.revision, snapshot.epoch) == (0, 0)
    assert members.control() == Control(epoch=0, revision=0)


def test_every_kind_of_row_is_read_back_as_it_was_recorded(store: Store) -> None:
    members = Members(store.open())

    change = imported(members, FULL)

    snapshot = members.snapshot()
    assert snapshot.rows == dated(FULL, AT)
    assert change == Imported(revision=1, added=sum(len(getattr(FULL, kind.name)) for kind in KINDS))
    assert (snapshot.revision, snapshot.epoch) == (1, 1)


def test_rows_of_before_are_hashed_to_the_bytes_of_before() -> None:
    digest = hashlib.sha256()
    for kind in KINDS:
        for row in getattr(FULL, kind.name):
            if row not in FULL.statements or row.kind in ("uvl", "sta_consignee", "supp8_740", "mofcom_order"):
                digest.update(row_bytes(kind.name, row))

    # Computed by the release that had no other members: the log has such digests of every revision.
    assert digest.hexdigest() == "b8056c2a6510a8edb4a63314b13845989588c503d57b0ff7d93cfe4608ea9e33"


def test_what_a_row_says_beyond_that_is_hashed_too() -> None:
    (kind,) = (kind for kind in KINDS if kind.row is Stake)
    plain = Stake(owner="a", owned="b", percent=None)

    told = {
        row_bytes(kind.name, row)
        for row in (plain, replace(plain, minimum=Decimal(25)), replace(plain, retracted=True))
    }

    assert len(told) == 3


_instants = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
_STRATEGIES: dict[object, st.SearchStrategy[object]] = {
    str: st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    bool: st.booleans(),
    int: st.integers(0, 2**63 - 1),
    datetime: _instants,
    Decimal: st.decimals(0, 100, allow_nan=False) | st.decimals(0, 100, places=30),
    Credit: st.builds(Credit, amount=st.decimals(0, 10**9, places=30), period=st.text(max_size=8)),
    Validity: st.builds(Validity, start=st.none() | _instants, end=st.none() | _instants),
    type(None): st.none(),
}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Every value that a field with the type may have."""
    if hint in _STRATEGIES:
        return _STRATEGIES[hint]
    inner = get_args(hint)
    if get_origin(hint) is tuple:
        if inner[-1] is Ellipsis:
            return st.lists(values_of(inner[0]), max_size=3).map(tuple)
        return st.tuples(*map(values_of, inner))
    if inner:
        return st.one_of(*map(values_of, inner))
    return st.sampled_from(hint)


def rows_of(kind: RowKind) -> st.SearchStrategy[Recorded]:
    hints = get_type_hints(kind.row) | {"recorded_at": type(None)}
    return st.builds(kind.row, **{name: values_of(hint) for name, hint in hints.items()})


rosters = st.builds(
    RosterRows,
    **{kind.name: st.lists(rows_of(kind), max_size=2, unique_by=lambda row: row.key).map(tuple) for kind in KINDS},
)


def latest(rows: Iterable[Recorded]) -> dict[Hashable, Recorded]:
    """What each key says at last, apart from when it was recorded."""
    ordered = sorted(rows, key=lambda row: row.recorded_at or AT)
    return {row.key: replace(row, recorded_at=None) for row in ordered}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rosters)
def test_whatever_is_imported_is_what_is_known_afterwards_and_importing_it_again_adds_nothing(
    store: Store, rows: RosterRows
) -> None:
    members = Members(store.open())
    # One database for all examples: each is imported later than the last, and may correct it.
    at = AT + HOUR * members.control().epoch

    change = imported(members, rows, at)
    assert imported(members, rows, at + HOUR) == Imported(revision=change.revision, added=0)

    known = members.snapshot().rows
    for kind in KINDS:
        on_file = latest(getattr(known, kind.name))
        for row in getattr(rows, kind.name):
            assert on_file[row.key] == row
    store.close()


_recordings = st.none() | st.sampled_from([AT - HOUR * 3, AT - HOUR * 2, AT - HOUR, AT])
_stakes = st.lists(
    st.builds(
        Stake,
        owner=st.sampled_from("ac"),
        owned=st.just("b"),
        percent=st.none() | st.sampled_from([Decimal(50), Decimal("50.0"), Decimal(51)]),
        recorded_at=_recordings,
    ),
    max_size=6,
)


def grouped(rows: Iterable[Recorded]) -> dict[Hashable, list[Recorded]]:
    groups: defaultdict[Hashable, list[Recorded]] = defaultdict(list)
    for row in rows:
        groups[row.key].append(row)
    return groups


def said_of(rows: Iterable[Recorded], key: Hashable, known_at: datetime | None) -> Decimal | None:
    """The share under the key, by the rule of the domain."""
    stakes = tuple(row for row in rows if isinstance(row, Stake))
    roster = Roster.as_known(RosterRows(stakes=stakes), known_at)
    (found,) = (row for owned in roster.owners.values() for row in owned if row.key == key)
    return found.percent


@settings(max_examples=400)
@given(before=_stakes, rows=_stakes, order=st.randoms(use_true_random=False))
def test_sorting_out_an_import_obeys_its_laws(before: list[Stake], rows: list[Stake], order: random.Random) -> None:
    first = sort_out(before, {}, AT)
    on_file = list(first.new)
    sorting = sort_out(rows, grouped(on_file), AT)
    afterwards = [*on_file, *sorting.new]

    # Nothing is on file twice for one instant, so which row holds never depends on their order.
    assert max(Counter((row.key, row.recorded_at) for row in afterwards).values(), default=1) == 1
    shuffled = list(rows)
    order.shuffle(shuffled)
    again = sort_out(shuffled, grouped(on_file), AT)
    assert sorted(again.faults) == sorted(sorting.faults)
    if sorting.faults:
        return
    assert set(again.new) == set(sorting.new)
    # An import holds as of when it was recorded, and importing it again adds nothing, now or later.
    for row in rows:
        assert said_of(afterwards, row.key, row.recorded_at) == row.percent
    for later in (AT, AT + HOUR):
        assert sort_out(rows, grouped(afterwards), later).new == ()
    # What was known before is still known to have been known.
    for known in on_file:
        assert known in afterwards


def test_a_correction_is_added_and_what_was_known_before_stays_known(store: Store) -> None:
    members = Members(store.open())
    imported(members, stake(None), AT)
    imported(members, stake("51"), AT + HOUR)
    imported(members, stake("12.5"), AT + HOUR * 2)

    rows = members.snapshot().rows
    shares = [
        Roster.as_known(rows, known_at).owners["b"][0].percent
        for known_at in (AT, AT + HOUR - MICROSECOND, AT + HOUR, AT + HOUR * 2, None)
    ]

    assert shares == [None, None, Decimal(51), Decimal("12.5"), Decimal("12.5")]
    assert "b" not in Roster.as_known(rows, AT - MICROSECOND).owners


def test_what_an_import_adds_is_ready_before_its_transaction_and_made_again_where_members_were_recorded_meanwhile(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = Members(store.open())
    prepared: list[RosterRows] = []
    real = store_members.prepare

    def watched(connection: Connection, rows: RosterRows, at: datetime) -> store_members.Prepared:
        ready = real(connection, rows, at)
        prepared.append(rows)
        if prepared == [stake("20")]:
            imported(members, stake("51"), AT)
        return ready

    monkeypatch.setattr(store_members, "prepare", watched)
    change = imported(members, stake("20"), AT + HOUR)

    assert prepared == [stake("20"), stake("51"), stake("20")]
    assert change == Imported(revision=2, added=1)
    assert [row.percent for row in members.snapshot().rows.stakes] == [Decimal(51), Decimal(20)]


def test_a_row_that_was_recorded_in_the_past_does_not_replace_a_later_one(store: Store) -> None:
    members = Members(store.open())
    imported(members, stake("51"), AT)

    change = imported(members, stake("20", recorded_at=EARLIER), AT + HOUR)

    rows = members.snapshot().rows
    assert change.added == 1
    assert Roster.as_known(rows, EARLIER).owners["b"][0].percent == Decimal(20)
    assert Roster.as_known(rows).owners["b"][0].percent == Decimal(51)


def test_a_value_that_was_corrected_and_comes_back_is_a_correction_too(store: Store) -> None:
    members = Members(store.open())

    added = [imported(members, stake(share), AT + HOUR * n).added for n, share in enumerate(("51", "49", "51", "51.0"))]

    assert added == [1, 1, 1, 0]


def test_importing_twice_adds_nothing_and_moves_nothing(store: Store) -> None:
    members = Members(store.open())
    imported(members, FULL)
    before = members.snapshot()

    change = imported(members, FULL, AT + HOUR)

    assert change == Imported(revision=1, added=0)
    assert members.snapshot() == before
    with reading(store.open()) as reader:
        assert len(reader.execute(select(revisions)).all()) == 1


def test_an_export_is_imported_into_an_empty_database_as_it_was_and_adds_nothing_where_it_came_from(
    store: Store, sqlite_store: Store
) -> None:
    members = Members(store.open())
    imported(members, FULL)
    imported(members, stake("1"), AT + HOUR)
    imported(members, stake("2"), AT + HOUR * 2)
    exported = members.snapshot().rows

    assert imported(members, exported, AT + HOUR * 3).added == 0

    if not store.url.startswith("sqlite"):
        copy = Members(sqlite_store.open())
        imported(copy, exported, AT + HOUR * 3)
        assert copy.snapshot().rows == exported


def test_each_revision_says_who_added_how_many_rows_when_and_why(store: Store) -> None:
    engine = store.open()
    members = Members(engine)

    changes = [
        members.record(organisations("a", "b"), actor="officer", reason="the first", at=AT),
        members.record(organisations("b"), actor="officer", reason="nothing new", at=AT),
        members.record(organisations("b", "c"), actor="deputy", reason="the second", at=AT + HOUR),
    ]

    assert changes == [
        Imported(revision=1, added=2),
        Imported(revision=1, added=0),
        Imported(revision=2, added=1),
    ]
    assert members.control() == Control(epoch=2, revision=2)
    with reading(engine) as reader:
        assert [tuple(row) for row in reader.execute(select(revisions).order_by(revisions.c.number))] == [
            (1, AT, "officer", "the first", 2),
            (2, AT + HOUR, "deputy", "the second", 1),
        ]


def test_a_row_recorded_later_than_its_import_is_refused_by_kind_and_key_and_nothing_is_added(store: Store) -> None:
    members = Members(store.open())
    late = Membership(
        organisation="alder-bank",
        consortium="glasswing",
        status=MembershipStatus.ACTIVE,
        valid=Validity(start=EARLIER),
        recorded_at=AT + MICROSECOND,
    )
    rows = replace(organisations("fine"), memberships=(late,))

    with pytest.raises(ValueError, match="later than this import") as refused:
        imported(members, rows, AT)

    assert "memberships `alder-bank, glasswing, 2026-01-02T03:04:05.000006Z`" in str(refused.value)
    assert members.snapshot().rows == RosterRows()
    assert imported(members, rows, AT + MICROSECOND).added == 2


def test_every_row_that_cannot_be_recorded_is_named(store: Store) -> None:
    members = Members(store.open())
    rows = organisations("x", "fine", "y", recorded_at=AT + HOUR)

    with pytest.raises(ValueError, match=r"organisations `fine`.*; organisations `x`.*; organisations `y`"):
        imported(members, rows, AT)


def test_two_different_rows_under_one_key_for_one_instant_are_refused(store: Store) -> None:
    members = Members(store.open())
    for recorded_at in (None, EARLIER):
        both = RosterRows(stakes=(*stake("1", recorded_at).stakes, *stake("2", recorded_at).stakes))
        with pytest.raises(ValueError, match="stakes `a, b, None`: different rows"):
            imported(members, both)

    imported(members, stake("1", EARLIER))
    with pytest.raises(ValueError, match="another row is on file"):
        imported(members, stake("2", EARLIER))

    assert members.snapshot().rows == stake("1", EARLIER)


def test_a_correction_holds_even_where_the_clock_has_gone_back(store: Store) -> None:
    members = Members(store.open())
    imported(members, stake("1"), AT)

    imported(members, stake("2"), AT - HOUR)

    rows = members.snapshot().rows
    assert Roster.as_known(rows).owners["b"][0].percent == Decimal(2)
    assert [row.recorded_at for row in rows.stakes] == [AT, AT + MICROSECOND]


def test_more_rows_than_one_query_looks_up_are_found_again(store: Store) -> None:
    members = Members(store.open())
    many = organisations(*(f"o-{n}" for n in range(1_201)))

    assert imported(members, many).added == 1_201
    assert imported(members, many, AT + HOUR).added == 0


def test_an_import_that_fails_halfway_leaves_nothing(store: Store) -> None:
    members = Members(store.open())

    with refusing_inserts(store, "cluster_readings"), pytest.raises(MembersUnavailable):
        imported(members, FULL)

    with reading(store.open()) as reader:
        assert reader.execute(select(ROSTER["organisations"])).all() == []
    assert members.control() == Control(epoch=0, revision=0)


def test_large_content_is_kept_before_the_rows_and_does_no_harm_where_they_are_not_recorded(store: Store) -> None:
    members = Members(store.open())
    many = RosterRows(organisations=tuple(Organisation(id=f"o-{n}", name="x" * 1_000) for n in range(1_100)))

    with refusing_inserts(store, "organisations"), pytest.raises(MembersUnavailable):
        imported(members, many)

    with reading(store.open()) as reader:
        (kept,) = reader.scalars(select(blobs.c.digest))
        assert reader.execute(select(ROSTER["organisations"])).all() == []
        assert len(content_of(reader, kept) or b"") > LARGE
        assert tuple(missing_contents(reader, iter(()))) == ()
    assert members.control() == Control(epoch=0, revision=0)
    assert imported(members, many).added == 1_100
    with reading(store.open()) as reader:
        assert list(reader.scalars(select(blobs.c.digest))) == [kept]


def test_importers_at_once_come_one_after_the_other_with_dense_revisions(store: Store) -> None:
    importers = [Members(store.open()) for _ in range(4)]
    barrier = threading.Barrier(len(importers))
    changes: list[Imported] = []

    def run(number: int, members: Members) -> None:
        barrier.wait()
        for turn in range(5):
            own = organisations(f"of-{number}-{turn}", f"shared-{turn}")
            changes.append(members.record(own, actor=f"importer {number}", reason="test", at=AT))

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(importers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    snapshot = importers[0].snapshot()
    assert sorted(change.revision for change in changes) == list(range(1, 21))
    assert (snapshot.revision, snapshot.epoch) == (20, 20)
    names = [row.id for row in snapshot.rows.organisations]
    assert len(names) == len(set(names)) == 25
    assert sum(change.added for change in changes) == 25


def test_a_reader_never_sees_half_an_import(store: Store) -> None:
    reader, writer = Members(store.open()), Members(store.open())
    done = threading.Event()

    def run() -> None:
        for turn in range(20):
            rows = replace(organisations(f"o-{turn}"), stakes=(Stake(owner="a", owned=f"o-{turn}", percent=None),))
            writer.record(rows, actor="officer", reason="test", at=AT)
        done.set()

    thread = threading.Thread(target=run)
    thread.start()
    seen = set()
    while not done.is_set():
        snapshot = reader.snapshot()
        seen.add(snapshot.revision)
        assert len(snapshot.rows.organisations) == len(snapshot.rows.stakes) == snapshot.revision == snapshot.epoch
    thread.join()

    assert reader.snapshot().revision == 20
    assert seen


def test_members_out_of_reach_are_unavailable_and_not_none() -> None:
    members = Members(create_engine("sqlite:////nowhere/at/all.db"))

    for call in (members.snapshot, members.control, lambda: imported(members, FULL)):
        with pytest.raises(MembersUnavailable):
            call()


def test_members_without_a_schema_are_unavailable_and_not_none(empty_store: Store) -> None:
    members = Members(empty_store.open())

    for call in (members.snapshot, members.control, lambda: imported(members, FULL)):
        with pytest.raises(MembersUnavailable):
            call()
