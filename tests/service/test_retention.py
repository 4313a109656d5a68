"""A year is retired when every clock of it has run out and no hold stands, and not a microsecond earlier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from policy_engine.app.builder import DecisionIds
from policy_engine.domain.changes import Actor, HoldPlaced, HoldReleased, YearRetired
from policy_engine.domain.desk import Desk, RetiredYear
from policy_engine.domain.legal_holds import Hold, HoldScope
from policy_engine.domain.ports import LogUnavailable
from policy_engine.domain.rules import FAULT_RULE
from policy_engine.formats.change import decode_change
from policy_engine.formats.record_reader import read_record
from policy_engine.service.administration.desk_faults import DeskConflict, NotAccepted, NothingThere, PersonNeeded
from policy_engine.service.audit.retention import (
    MustBeKept,
    Retention,
    covers,
    kept_years,
    place_hold,
    release_hold,
    remove_retired,
    years_after,
)
from policy_engine.service.audit.retired import retired_between, retired_with
from policy_engine.service.sealing.verification import verify_year
from policy_engine.shapes.answer import FindingDocument
from policy_engine.store.cross_check import CrossCheck
from policy_engine.store.database import open_database, reading, writing
from policy_engine.store.decision_index import Indexer
from policy_engine.store.postings import WIDTH
from policy_engine.store.retirement import Retirement
from policy_engine.store.tables import decision_index, decision_parts, decision_spans
from tests.api.sealed import Sealed, sealed_service
from tests.records import Entered, again, put, templates
from tests.service.decisions import SHIPPED, asking, demo, record_of
from tests.store.conftest import Store

BEGIN: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
AFTER_ALL: Final = datetime(2036, 12, 31, 12, 0, tzinfo=UTC)
ALL: Final = HoldScope(everything=True)


@pytest.fixture
def sealed(migrated: Path, tmp_path: Path) -> Iterator[Sealed]:
    with sealed_service(migrated, tmp_path, at=BEGIN) as made:
        yield made


def officer_of(sealed: Sealed) -> Actor:
    """A person with a key that is in force."""
    key = next(key for key in sealed.parts.ring.all() if key.person == "dora")
    return Actor(key=key.id, person="dora")


def begin_next_year(sealed: Sealed, at: datetime = AFTER_ALL) -> None:
    sealed.at(at)
    sealed.decide()
    sealed.seal()


def retention(sealed: Sealed) -> Retention:
    return Retention(desk=sealed.parts.desk, entries=sealed.parts.entries, sealing=sealed.sealing)


def remove(sealed: Sealed) -> int:
    engine = open_database(sealed.url)
    try:
        desk = sealed.parts.desk.view.refresh().desk
        return remove_retired(sealed.parts.entries, sealed.sealing, Retirement(engine), desk, 2026)
    finally:
        engine.dispose()


# --- clocks -----------------------------------------------------------------------------------------------------------


def test_a_year_is_kept_until_the_last_microsecond_of_the_last_clock(sealed: Sealed) -> None:
    decision = sealed.officer.decide()
    until = datetime.fromisoformat(decision["valid_until"])
    begin_next_year(sealed)
    actor = officer_of(sealed)
    last = years_after(until, 5)
    sealed.at(last - timedelta(microseconds=1))
    with pytest.raises(
        MustBeKept, match=f"decision `{decision['decision_id']}` is kept until 2031-11-20T12:00:05.* 5 years"
    ):
        retention(sealed).retire(actor, 2026, reason="schedule")
    sealed.at(last)
    retired = retention(sealed).retire(actor, 2026, reason="schedule")
    assert retired.content.decisions == 1
    assert retired.actor == actor


def test_a_record_that_a_sanctions_rule_looked_at_is_kept_for_ten_years(sealed: Sealed) -> None:
    body = sealed.parts.log.read(sealed.decide())
    assert body is not None
    record = read_record(body)
    assert kept_years(record) == 5
    ofac = FindingDocument(
        rule="R",
        regime="us-ofac",
        effect="deny",
        state="suspended",
        codes=(),
        hold=False,
        citation="",
        message="",
        detail={},
        lifted_by=None,
        review=None,
    )
    assert kept_years(replace(record, findings=(*record.findings, ofac))) == 10
    assert kept_years(replace(record, reason_rule=FAULT_RULE)) == 10


def test_a_later_decision_under_the_same_request_id_moves_the_clock_also_from_the_next_year(sealed: Sealed) -> None:
    sealed.at(datetime(2026, 12, 31, 23, 0, tzinfo=UTC))
    first = sealed.decide(request_id="r-1")
    sealed.at(datetime(2027, 1, 1, 3, 0, tzinfo=UTC))
    assert sealed.decide(request_id="r-1") != first
    sealed.seal()
    sealed.at(datetime(2032, 1, 1, 2, 59, tzinfo=UTC))
    with pytest.raises(MustBeKept, match="kept until 2032-01-01T03:00:00"):
        retention(sealed).retire(officer_of(sealed), 2026, reason="schedule")


def test_a_record_of_an_open_review_case_is_kept_for_ever_and_five_years_from_its_end(sealed: Sealed) -> None:
    held = sealed.officer.decide(purpose="pentest_own_product")
    assert held["hold"]
    (case,) = {finding["review"] for finding in held["findings"] if finding["review"]}
    begin_next_year(sealed)
    with pytest.raises(MustBeKept, match="belongs to the review case"):
        retention(sealed).retire(officer_of(sealed), 2026, reason="schedule")
    closed = sealed.officer.post(f"/reviews/{case}/close", outcome="refuse", rationale="no answer")
    assert closed.status_code == 200, closed.text
    with pytest.raises(MustBeKept, match="kept until 2041-12-31"):
        retention(sealed).retire(officer_of(sealed), 2026, reason="schedule")


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), st.integers(1, 20))  # noqa: DTZ001  UTC is added
def test_a_clock_of_years_ends_on_the_same_day_or_on_the_first_of_march(naive: datetime, years: int) -> None:
    at = naive.replace(tzinfo=UTC)
    until = years_after(at, years)
    assert until.year == at.year + years
    assert (until.month, until.day) in {(at.month, at.day), (3, 1)}
    assert until.timetz() == at.timetz()
    assert until - at >= timedelta(days=365 * years)


# --- holds ------------------------------------------------------------------------------------------------------------


def test_a_hold_stands_until_it_is_released_and_both_are_in_the_log(sealed: Sealed) -> None:
    actor, desk = officer_of(sealed), sealed.parts.desk
    sealed.decide()
    begin_next_year(sealed)
    held = place_hold(desk, actor, HoldScope(subjects=("person:carol",)), reason="BIS request").state
    with pytest.raises(MustBeKept, match=f"is under hold `{held.hold.id}`: BIS request"):
        retention(sealed).retire(actor, 2026, reason="schedule")
    released = release_hold(desk, actor, held.hold.id, reason="BIS letter")
    assert (released.released_by, released.release_reason) == (actor, "BIS letter")
    with pytest.raises(DeskConflict, match="released already"):
        release_hold(desk, actor, held.hold.id, reason="again")
    retention(sealed).retire(actor, 2026, reason="schedule")
    events = [
        change.event for change in sealed.parts.desk_log.changes(("hold.placed", "hold.released", "year.retired"))
    ]
    assert [type(event) for event in events] == [HoldPlaced, HoldReleased, YearRetired]


@pytest.mark.parametrize(
    ("scope", "why"),
    [
        (HoldScope(decisions=("NOPE",)), "the decision `NOPE` is not in the log"),
        (HoldScope(organisations=("habor-cyber",)), "`habor-cyber` is not in .*; did you mean `harbor-cyber`?"),
        (HoldScope(models=("mythos5",)), "the model `mythos5` is not in .*; did you mean `mythos-5`?"),
        (HoldScope(subjects=("person:carl",)), "the subject `person:carl` is not in .*; did you mean `person:carol`?"),
        (HoldScope(subjects=("person:carol",), models=("zzzzzz",)), "the model `zzzzzz` is not in what is on file"),
    ],
)
def test_a_hold_of_a_name_that_nothing_knows_is_refused_with_what_was_likely_meant(
    sealed: Sealed, scope: HoldScope, why: str
) -> None:
    sealed.decide()
    with pytest.raises(NotAccepted, match=f"nothing is held: .*{why}"):
        place_hold(sealed.parts.desk, officer_of(sealed), scope, reason="BIS request")
    assert not sealed.parts.desk.view.refresh().desk.holds


def test_a_hold_says_how_many_records_it_holds_now_and_takes_names_that_the_log_alone_knows(sealed: Sealed) -> None:
    first = sealed.decide()
    sealed.decide(model="no-such-model", subject={"type": "person", "id": "ghost"})
    actor, desk = officer_of(sealed), sealed.parts.desk

    for scope, records in (
        (HoldScope(decisions=(first,)), 1),
        (HoldScope(models=("mythos-5",)), 1),
        (HoldScope(models=("no-such-model",)), 1),
        (HoldScope(subjects=("person:ghost", "person:carol")), 2),
        (HoldScope(subjects=("person:ken",)), 0),
        (ALL, 2),
    ):
        assert place_hold(desk, actor, scope, reason="R").records == records


def test_a_hold_on_something_else_does_not_keep_a_year(sealed: Sealed) -> None:
    sealed.decide()
    begin_next_year(sealed)
    place_hold(sealed.parts.desk, officer_of(sealed), HoldScope(subjects=("person:ken",)), reason="BIS request")
    assert retention(sealed).retire(officer_of(sealed), 2026, reason="schedule").content.year == 2026


@pytest.mark.parametrize(
    "scope",
    [
        ALL,
        HoldScope(decisions=("01TEST",)),
        HoldScope(subjects=("account:key-harbor",)),
        HoldScope(subjects=("person:ken", "organisation:keihin-kk")),
        HoldScope(organisations=("harbor-cyber",)),
        HoldScope(organisations=("keihin-kk",)),
        HoldScope(models=("opus-4.6",)),
    ],
)
def test_a_hold_covers_whatever_has_any_of_its_names(scope: HoldScope) -> None:
    request = asking(
        "account:key-harbor", "opus-4.6", place={"country": "US"}, end_user={"type": "organisation", "id": "keihin-kk"}
    )
    record = read_record(record_of(SHIPPED, demo(), request, BEGIN))
    assert covers(Hold(id="H", scope=scope, reason="R"), record)
    other = read_record(record_of(SHIPPED, demo(), asking("dara", "fable-5"), BEGIN, name="01OTHER"))
    assert covers(Hold(id="H", scope=scope, reason="R"), other) == scope.everything


def test_a_shortened_record_is_under_every_hold_that_names_what_it_no_longer_says() -> None:
    record = read_record(record_of(SHIPPED, demo(), asking("dara", "fable-5"), BEGIN))
    short = replace(record, parties=(), shortened=True)
    assert covers(Hold(id="H", scope=HoldScope(organisations=("any",)), reason="R"), short)
    assert not covers(Hold(id="H", scope=HoldScope(subjects=("person:other",)), reason="R"), short)
    short = replace(record, request=None, request_digest="d")
    assert covers(Hold(id="H", scope=HoldScope(subjects=("person:other",)), reason="R"), short)
    assert not covers(Hold(id="H", scope=HoldScope(decisions=("other",)), reason="R"), short)


@pytest.mark.parametrize(
    ("scope", "reason", "why"),
    [
        (HoldScope(), "R", "say what is held"),
        (HoldScope(everything=True, models=("m",)), "R", "say what is held"),
        (ALL, " ", "needs a reason"),
        (HoldScope(subjects=("carol",)), "R", "is not a subject"),
    ],
)
def test_a_hold_that_says_too_little_is_not_placed(sealed: Sealed, scope: HoldScope, reason: str, why: str) -> None:
    with pytest.raises(NotAccepted, match=why):
        place_hold(sealed.parts.desk, officer_of(sealed), scope, reason=reason)


def test_a_key_without_a_person_neither_holds_nor_releases_nor_retires(sealed: Sealed) -> None:
    nobody = Actor(key="key")
    with pytest.raises(PersonNeeded):
        place_hold(sealed.parts.desk, nobody, ALL, reason="R")
    with pytest.raises(PersonNeeded):
        release_hold(sealed.parts.desk, nobody, "H", reason="R")
    with pytest.raises(PersonNeeded):
        retention(sealed).retire(nobody, 2026, reason="R")


# --- retiring ---------------------------------------------------------------------------------------------------------


def test_a_retired_year_is_gone_but_for_its_changes_its_hashes_and_its_checkpoint(sealed: Sealed) -> None:
    kept, gone = sealed.parts.entries, sealed.decide()
    founding = kept.page(0, 2)
    sealed.seal()
    entry = kept.find(gone)
    assert entry is not None
    receipt = sealed.sealing.receipt(entry)
    begin_next_year(sealed)
    retired = retention(sealed).retire(officer_of(sealed), 2026, reason="schedule")
    sealed.seal()
    assert remove(sealed) == 1
    assert kept.find(gone) is None
    assert sealed.parts.log.read(gone) is None
    assert kept.page(0, 2) == founding
    assert sealed.sealing.receipt(entry) == receipt
    assert not (sealed.folder / "ledger" / "2026" / "tile" / "entries").exists()
    years = {year.year: year for year in kept.years()}
    found = verify_year(sealed.sealing, years[2026], retired=True, pause=lambda: None)
    assert (found.retired, found.checkpoint) == (True, sealed.sealing.witness(2026).latest())
    assert verify_year(sealed.sealing, years[2036], pause=lambda: None).checkpoint is not None
    # The rest goes on: the service decides, seals, and starts again.
    assert sealed.officer.decide()["allowed"]
    sealed.seal()
    sealed.sealing.require_history()
    desk = sealed.parts.desk.view.refresh().desk
    recorded = kept.find(retired.change)
    assert recorded is not None
    assert decode_change(recorded.body).event == retired.content
    assert retired_between(desk, BEGIN, None) == retired_between(desk, None, None) == (retired,)
    assert retired_between(desk, AFTER_ALL, None) == ()
    assert retired_with(desk, gone) == retired


ENDS: Final = Desk(
    retired={
        2026: RetiredYear(
            content=YearRetired(year=2026, first_index=0, size=1, decisions=1, checkpoint="", key="", reason="R"),
            change="01TEST",
            actor=Actor(key="k", person="dora"),
            at=AFTER_ALL,
        )
    }
)


@pytest.mark.parametrize(
    ("at", "year"),
    [
        (datetime(2025, 12, 31, 23, 59, 59, 999000, tzinfo=UTC), None),
        (datetime(2026, 1, 1, tzinfo=UTC), 2026),
        (datetime(2026, 12, 31, 23, 59, 59, 999000, tzinfo=UTC), 2026),
        (datetime(2027, 1, 1, tzinfo=UTC), None),
    ],
)
def test_an_id_is_of_the_year_of_the_millisecond_in_it(at: datetime, year: int | None) -> None:
    found = retired_with(ENDS, DecisionIds()(at))
    assert (None if found is None else found.content.year) == year


@pytest.mark.parametrize("name", ["", "01TEST", "founding-1", "Z" * 26, "0" * 25 + "U", "01kvj6zvg0" + "0" * 16])
def test_what_is_no_id_of_a_decision_is_of_no_year(name: str) -> None:
    assert retired_with(ENDS, name) is None


@pytest.mark.parametrize(
    ("start", "end", "reaches"),
    [
        (None, None, True),
        (None, datetime(2026, 1, 1, tzinfo=UTC), False),
        (None, datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC), True),
        (datetime(2026, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), None, True),
        (datetime(2027, 1, 1, tzinfo=UTC), None, False),
    ],
)
def test_an_interval_reaches_into_a_year_when_an_instant_of_it_is_in_that_year(
    start: datetime | None, end: datetime | None, reaches: bool
) -> None:
    assert bool(retired_between(ENDS, start, end)) == reaches


def test_removing_may_be_cut_short_and_run_again_and_a_hold_placed_meanwhile_stops_it(sealed: Sealed) -> None:
    sealed.decide()
    begin_next_year(sealed)
    actor = officer_of(sealed)
    first = retention(sealed).retire(actor, 2026, reason="schedule")
    assert retention(sealed).retire(actor, 2026, reason="again") == first
    held = place_hold(sealed.parts.desk, actor, ALL, reason="BIS request").state
    with pytest.raises(MustBeKept, match="under hold"):
        remove(sealed)
    assert (sealed.folder / "ledger" / "2026" / "tile" / "entries").exists()
    release_hold(sealed.parts.desk, actor, held.hold.id, reason="BIS letter")
    assert [remove(sealed), remove(sealed)] == [1, 0]


def test_nothing_is_removed_of_a_year_that_is_not_retired(sealed: Sealed) -> None:
    sealed.decide()
    begin_next_year(sealed)
    with pytest.raises(NothingThere, match="2026 is not retired"):
        remove(sealed)


def test_a_year_that_goes_on_or_never_was_or_is_not_sealed_is_not_retired(sealed: Sealed) -> None:
    sealed.decide()
    sealed.seal()
    actor = officer_of(sealed)
    sealed.at(AFTER_ALL)
    with pytest.raises(DeskConflict, match="current year of the log"):
        retention(sealed).retire(actor, 2026, reason="schedule")
    with pytest.raises(NothingThere, match="no year 2025"):
        retention(sealed).retire(actor, 2025, reason="schedule")
    begin_next_year(sealed)
    (sealed.folder / "ledger" / "2026" / "checkpoint").unlink()
    with pytest.raises(DeskConflict, match="not sealed to its end"):
        retention(sealed).retire(actor, 2026, reason="schedule")


def test_the_triggers_stand_after_a_removal_and_only_the_owner_can_remove(store: Store) -> None:
    engine = store.open()
    made = [
        Entered(
            log_index=number,
            id=f"01D{number:08d}",
            at=BEGIN,
            body=again(templates()[0], name=f"01D{number:08d}", at=BEGIN, request_id=f"r-{number}"),
        )
        for number in range(10)
    ]
    put(engine, made)
    if store.postgres is not None:
        with pytest.raises(LogUnavailable, match="must be owner"):
            Retirement(engine).remove(0, 5)
        assert Retirement(engine).count(0, 5) == 5
    owner = Retirement(store.owner())
    assert [owner.remove(2, 6), owner.remove(2, 6)] == [4, 0]
    assert (owner.count(0, 10), owner.count(2, 6)) == (6, 0)
    for statement in ("DELETE FROM decisions", "UPDATE decisions SET caller = id"):
        with pytest.raises(Exception, match="only grows"), writing(store.owner()) as writer:
            writer.exec_driver_sql(statement)
    assert owner.count(0, 10) == 6


def test_removal_takes_many_transactions_and_leaves_later_numbers_alone(store: Store) -> None:
    engine = store.open()
    count = 4_500
    template = templates()[0]
    put(
        engine,
        [
            Entered(
                log_index=number,
                id=f"01D{number:08d}",
                at=BEGIN,
                body=again(template, name=f"01D{number:08d}", at=BEGIN, request_id=f"r-{number}"),
            )
            for number in range(count)
        ],
    )
    Indexer(engine).catch_up(count)
    owner = Retirement(store.owner())
    removed = []
    while taken := owner.remove(0, 4_100):
        removed.append(taken)
    assert removed == [2_000, 2_000, 100]
    assert owner.count(0, count) == 400
    with reading(engine) as reader:
        assert reader.scalar(select(func.min(decision_index.c.log_index))) == 4_100
        for table in (decision_parts, decision_spans):
            assert reader.scalar(select(func.min(table.c.part))) == 4_100 // WIDTH
    assert list(CrossCheck(engine).index(lambda *_: None)) == []
