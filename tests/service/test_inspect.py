"""What auditors ask is answered from one log, in pages that are together the whole, and exported without surprises."""

from __future__ import annotations

import csv
import io
import shutil
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins
from sqlalchemy import update

from policy_engine.domain.instants import format_instant
from policy_engine.domain.ports import LogUnavailable
from policy_engine.formats.request_document import MalformedRequest
from policy_engine.render.export import COLUMNS, FORMS, WINDOW, Form, export
from policy_engine.service.audit.inspect import AsOf, Inspector, Unread, read_filters
from policy_engine.service.sealing.sealed_roots import Tree
from policy_engine.store.database import open_database, writing
from policy_engine.store.decision_index import Filters, Indexer, marks_of, unread_facts
from policy_engine.store.desk_log import DeskLog
from policy_engine.store.index_search import DecisionIndex, Logged
from policy_engine.store.tables import decision_index_progress
from tests.records import BEGIN, Entered, entered, put

GIVEN: Final = entered(300)
SIZE: Final = GIVEN[-1].log_index + 1


@dataclass(frozen=True, slots=True)
class Room:
    """An inspector over 300 decisions, and the checkpoints that it is told of."""

    inspector: Inspector
    indexer: Indexer
    sealed: list[Tree]


def tree(size: int, root: str = "root") -> Tree:
    return Tree(log_size=size, origin="here/2026", size=size - 7, root=root)


@pytest.fixture(scope="module")
def room(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    path = tmp_path_factory.mktemp("inspect") / "a.db"
    shutil.copyfile(migrated, path)
    engine = open_database(f"sqlite:///{path}")
    put(engine, GIVEN)
    indexer = Indexer(engine)
    indexer.catch_up(10**6)
    sealed: list[Tree] = []

    def trees(size: int | None) -> Tree | None:
        return next((one for one in reversed(sealed) if size in (None, one.log_size)), None)

    yield Room(
        Inspector(
            index=DecisionIndex(engine),
            indexer=indexer,
            desk_log=DeskLog(engine),
            cursor_key=b"k",
            trees=trees,
        ),
        indexer,
        sealed,
    )
    engine.dispose()


FILTERS: Final = st.fixed_dictionaries(
    {},
    optional={
        "decision": st.sampled_from(["allow", "deny"]),
        "model": st.sampled_from(["opus-4.6", "mythos-5"]),
        "regime": st.sampled_from(["us-order", "operator"]),
        "organisation_country": st.sampled_from(["US", "JP"]),
        "from": st.sampled_from([format_instant(BEGIN + timedelta(hours=hours)) for hours in (0, 20, 60)]),
    },
)


@given(filters=FILTERS, limits=st.lists(st.integers(1, 120), min_size=1, max_size=4), size=st.integers(1, SIZE))
def test_pages_of_any_length_are_together_the_whole_of_the_log_that_the_first_was_of(
    room: Room, filters: dict[str, str], limits: list[int], size: int
) -> None:
    asked = read_filters(filters)
    room.sealed[:] = [tree(size)]
    whole = room.inspector.index.page(asked, size=size, after=None, limit=10_000)
    found: list[Logged] = []
    cursor, number = None, 0
    while True:
        page = room.inspector.page(asked, limit=limits[number % len(limits)], cursor=cursor)
        assert page.as_of == AsOf(size=size, tree=tree(size))
        found += page.decisions
        number += 1
        # A newer checkpoint changes nothing for who has begun.
        room.sealed[:] = [tree(size), tree(SIZE + 1, "newer")]
        cursor = page.next_cursor
        if cursor is None:
            break
        assert len(page.decisions) == limits[(number - 1) % len(limits)]
    assert tuple(found) == whole
    assert all(one.log_index < size for one in found)


def test_without_checkpoints_the_log_is_what_is_indexed_and_has_no_root(room: Room) -> None:
    room.sealed.clear()
    assert room.inspector.pin() == AsOf(size=SIZE)
    assert to_builtins(room.inspector.pin().document()) == {"size": SIZE, "root": None}


def test_a_checkpoint_of_more_than_is_indexed_lends_no_root_but_that_of_what_is_indexed(room: Room) -> None:
    room.sealed[:] = [tree(SIZE + 1)]
    assert room.inspector.pin() == AsOf(size=SIZE)
    room.sealed[:] = [tree(SIZE, "earlier"), tree(SIZE + 1)]
    pinned = room.inspector.pin()
    assert pinned == AsOf(size=SIZE, tree=tree(SIZE, "earlier"))
    assert to_builtins(pinned.document()) == {
        "size": SIZE,
        "root": "earlier",
        "checkpoint": {"origin": "here/2026", "size": SIZE - 7},
    }


def test_what_was_just_recorded_is_indexed_before_it_is_asked_for(migrated: Path, tmp_path: Path) -> None:
    shutil.copyfile(migrated, tmp_path / "a.db")
    engine = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    put(engine, GIVEN)
    inspector = Inspector(
        index=DecisionIndex(engine), indexer=Indexer(engine), desk_log=DeskLog(engine), cursor_key=b"k"
    )
    assert inspector.pin().size == SIZE

    put(engine, entered(1_500, first=SIZE))
    # More than a page is the background's work: the answer says how far it is of.
    assert inspector.pin().size == SIZE
    engine.dispose()


def test_an_export_that_outlives_the_index_fails_and_does_not_end_early(migrated: Path, tmp_path: Path) -> None:
    shutil.copyfile(migrated, tmp_path / "a.db")
    engine = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    put(engine, GIVEN)
    indexer, index = Indexer(engine), DecisionIndex(engine)
    indexer.catch_up(10**6)
    chunks = export(index, Filters(), size=SIZE, form="jsonl")
    next(chunks)
    with writing(engine) as writer:
        writer.execute(update(decision_index_progress).values(next_index=-1))
    with pytest.raises(LogUnavailable):
        list(chunks)
    engine.dispose()


def test_an_index_that_cannot_be_brought_up_to_date_answers_of_what_it_has(migrated: Path, tmp_path: Path) -> None:
    shutil.copyfile(migrated, tmp_path / "a.db")
    engine = open_database(f"sqlite:///{tmp_path / 'a.db'}", lock_seconds=0.05)
    put(engine, GIVEN[:10])
    indexer = Indexer(engine)
    indexer.catch_up(10**6)
    put(engine, GIVEN[10:])
    inspector = Inspector(index=DecisionIndex(engine), indexer=indexer, desk_log=DeskLog(engine), cursor_key=b"k")
    with writing(engine):
        assert inspector.pin().size == GIVEN[9].log_index + 1
    assert inspector.pin().size == SIZE
    engine.dispose()


def test_days_are_told_as_dates(room: Room) -> None:
    room.sealed.clear()
    counts = room.inspector.statistics(Filters(), ["day"]).counts
    assert [count.values for count in counts] == sorted({(format_instant(one.at)[:10],) for one in GIVEN})


def test_a_decision_counts_for_each_rule_that_decided_it_and_once_in_the_total(room: Room) -> None:
    room.sealed.clear()
    counted = room.inspector.statistics(Filters(decision="deny"), ["rule", "month"])
    denied = [one for one in GIVEN if not one.read.allowed]
    expected = Counter(
        (row.rule, format_instant(one.at)[:7]) for one in denied for row in one.read.findings if row.state == "deciding"
    )
    assert {count.values: count.number for count in counted.counts} == expected
    assert counted.total == len(denied) < sum(expected.values())


def test_counts_come_with_the_most_first_and_times_in_their_order(room: Room) -> None:
    room.sealed.clear()
    counts = room.inspector.statistics(Filters(), ["rule", "month", "country"]).counts
    rules = list(dict.fromkeys(count.values[0] for count in counts))
    totals = Counter[str | None]()
    for count in counts:
        totals[count.values[0]] += count.number
    assert [totals[rule] for rule in rules] == sorted(totals.values(), reverse=True)
    for rule in rules:
        months = [count.values[1] or "" for count in counts if count.values[0] == rule]
        assert months == sorted(months)


def test_the_first_page_and_every_count_say_what_a_filter_could_not_find(room: Room) -> None:
    room.sealed.clear()
    held = Counter(value for one in GIVEN for kind, value in marks_of(one.read) if kind == "citizenship_country")
    filters = Filters(citizenship_country=max(held, key=held.__getitem__))
    unread = [
        one
        for one in GIVEN
        if "citizenship_country" in unread_facts(one.read)
        and ("citizenship_country", filters.citizenship_country) not in marks_of(one.read)
    ]
    sought = filters.citizenship_country or ""
    told = (Unread(name="citizenship_country", sought=sought, decisions=len(unread), more=False),)
    page = room.inspector.page(filters, limit=1, cursor=None)
    assert (page.unread, len(unread) > 0) == (told, True)
    assert room.inspector.page(filters, limit=1, cursor=page.next_cursor).unread == ()
    assert room.inspector.statistics(filters, ["rule"]).unread == told
    assert room.inspector.page(Filters(place_country="JP"), limit=1, cursor=None).unread == ()


def test_a_wrong_filter_is_named_beside_every_other() -> None:
    with pytest.raises(MalformedRequest) as caught:
        read_filters({"modell": "x", "hold": "yes", "from": "now", "tier": "commodity", "place_country": "jp"})
    assert [fault.field for fault in caught.value.faults] == ["modell", "hold", "from", "place_country"]


def exported(room: Room, form: str, filters: Filters = Filters(), size: int = SIZE) -> bytes:  # noqa: B008
    return b"".join(chunk.data for chunk in export(room.inspector.index, filters, size=size, form=form))


@pytest.mark.parametrize("size", [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, SIZE])
def test_an_export_has_the_bytes_of_every_record_below_its_size(room: Room, size: int) -> None:
    assert exported(room, "jsonl", size=size) == b"".join(one.body + b"\n" for one in GIVEN if one.log_index < size)
    lines = list(csv.reader(io.StringIO(exported(room, "csv", size=size).decode(), newline="")))
    assert lines[0] == list(COLUMNS)
    assert [int(line[0]) for line in lines[1:]] == [one.log_index for one in GIVEN if one.log_index < size]


def test_an_export_tells_how_far_it_is(room: Room) -> None:
    through = [chunk.through for chunk in export(room.inspector.index, Filters(), size=SIZE, form="jsonl")]
    assert through == sorted(through)
    assert through[-1] == SIZE


def test_a_caller_cannot_put_a_formula_into_a_spreadsheet() -> None:
    template = next(one for one in GIVEN if one.read.request is not None and one.read.request.request_id is not None)
    evil = b'=HYPERLINK(\\"http://x\\";\\"y\\")'
    assert template.read.request is not None
    old = f'"request_id":"{template.read.request.request_id}"'.encode()
    body = template.body.replace(old, b'"request_id":"' + evil + b'"')
    assert body != template.body
    line = line_of("csv", replace(template, body=body))
    assert line["request_id"] == '\'=HYPERLINK("http://x";"y")'


def line_of(form: str, one: Entered) -> dict[str, str]:
    shape: Form = FORMS[form]
    data = shape.head + shape.line(Logged(log_index=one.log_index, id=one.id, at=one.at, body=one.body))
    return next(iter(csv.DictReader(io.StringIO(data.decode(), newline=""))))


def test_a_record_that_cannot_be_read_still_has_its_line() -> None:
    line = line_of("csv", replace(GIVEN[0], body=b'{"v":99}'))
    assert line["decision_id"] == GIVEN[0].id
    assert line["decision"] == ""


def peak_of(index: DecisionIndex, sizes: Sequence[int], form: str) -> list[int]:
    peaks = []
    for size in sizes:
        tracemalloc.start()
        for _ in export(index, Filters(), size=size, form=form):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return peaks


@pytest.mark.parametrize(("form", "length"), [("jsonl", 6_000), ("csv", 5_000)])
def test_a_long_export_takes_no_more_memory_than_a_short_one(long_log: DecisionIndex, form: str, length: int) -> None:
    short, long = peak_of(long_log, [1_000, length], form)
    assert long < 2 * short
    assert long < 16 * 2**20


@pytest.fixture(scope="module")
def long_log(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DecisionIndex]:
    """6,000 records, 20 MB of them: more than an export that held them all could pass with."""
    path = tmp_path_factory.mktemp("long") / "a.db"
    shutil.copyfile(migrated, path)
    engine = open_database(f"sqlite:///{path}")
    put(engine, entered(6_000, changes_too=False))
    Indexer(engine).catch_up(10**6)
    yield DecisionIndex(engine)
    engine.dispose()


@pytest.mark.parametrize("name", ["place_country", "citizenship_country", "organisation_country"])
@pytest.mark.parametrize(
    ("text", "remedy"),
    [("UK", "did you mean `GB`?"), ("us", "did you mean `US`?"), ("QQ", "two capital letters"), ("", "two capital")],
)
def test_a_filter_by_what_is_no_country_is_refused_with_its_remedy(name: str, text: str, remedy: str) -> None:
    with pytest.raises(MalformedRequest, match=r"is not an ISO 3166-1 alpha-2 country") as refused:
        read_filters({name: text})
    (fault,) = refused.value.faults
    assert fault.field == name
    assert remedy in fault.message


@pytest.mark.parametrize("name", ["place_country", "citizenship_country", "organisation_country"])
def test_a_filter_by_a_country_is_taken(name: str) -> None:
    assert getattr(read_filters({name: "DE"}), name) == "DE"
