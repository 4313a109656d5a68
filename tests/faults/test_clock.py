"""A clock that jumps: the log keeps its order, ids are unique, sealing goes on, a rule without time says the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_engine.app.builder import DecisionIds, Parts, build, open_sealing
from policy_engine.app.settings import Settings
from policy_engine.cli.decide import decide_now
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.request import Caller
from policy_engine.ledger.verify import verify_log
from policy_engine.service.sealing.sealed_log import SealKeeper
from tests.api.service import NOON, GivenJudge, found_test_book
from tests.conftest import POLICIES, judge_for
from tests.faults.oracle import logged

JUMPS = {
    "one second": [timedelta(seconds=1), timedelta(seconds=-1)],
    "one hour": [timedelta(hours=1), timedelta(hours=-1), timedelta(hours=-1), timedelta(hours=1)],
    "five years back": [timedelta(days=-5 * 365), timedelta(seconds=1), timedelta(days=5 * 365)],
    "five years ahead": [timedelta(days=5 * 365), timedelta(seconds=1), timedelta(days=-5 * 365)],
}
LEAP_SECOND = [parse_instant(f"2016-12-31T23:59:{second}Z") for second in ("58.9", "59.4", "59.9", "59.1", "59.9")]
UNKNOWN = {"subject": {"type": "person", "id": "nobody"}, "model": "opus-4.6", "action": "infer"}
NO_MODEL = {"subject": {"type": "person", "id": "nobody"}, "model": "no-such-model", "action": "infer"}


@dataclass(frozen=True, slots=True)
class Installed:
    parts: Parts
    settings: Settings
    now: list[datetime]

    def decide(self, document: Mapping[str, object]) -> str:
        answer = json.loads(decide_now(self.parts.gate, document, Caller(id="key", gateway="main")))
        return str(answer["reason"]["code"])


def _opened(migrated: Path, folder: Path) -> Installed:
    shutil.copyfile(migrated, folder / "service.db")
    url = f"sqlite:///{folder / 'service.db'}"
    found_test_book(url)
    options = Settings(
        database_url=url,
        policies=POLICIES,
        ledger=folder / "ledger",
        witness=folder / "witness",
        log_key=folder / "log.key",
    )
    now = [NOON]
    return Installed(build(options, clock=lambda: now[0], judges=GivenJudge(judge_for({}, None))), options, now)


@pytest.fixture
def service(migrated: Path, tmp_path: Path) -> Iterator[Installed]:
    made = _opened(migrated, tmp_path)
    yield made
    made.parts.close()


def _decided(service: Installed, instants: list[datetime]) -> None:
    """Decide at each instant, seal after each, and hold the log to its promises."""
    alarms: list[str | None] = []
    sealing = open_sealing(service.settings, service.parts.entries)
    keeper = SealKeeper(sealing, report=alarms.append)
    codes = set()
    for instant in instants:
        service.now[0] = instant
        codes.add((service.decide(UNKNOWN), service.decide(NO_MODEL)))
        keeper.turn()
        assert keeper.sealed is not None
        assert keeper.sealed.end == service.parts.entries.size()
        sealing.require_history()
    assert alarms == []
    assert len(codes) == 1
    rows, others = logged(service.settings.database_url)
    rows_by_time = [row.decided_at for row in rows]
    assert rows_by_time == [instant for instant in instants for _ in range(2)]
    assert sorted([row.index for row in rows] + others) == list(range(len(rows) + len(others)))
    assert len({row.id for row in rows}) == len(rows)
    for year in service.parts.entries.years():
        verify_log(sealing.tiles(year.year), sealing.key(year.year).verifier)


@pytest.mark.parametrize("jumps", JUMPS.values(), ids=JUMPS)
def test_when_the_clock_jumps_the_log_goes_on_in_the_order_of_its_commits(
    service: Installed, jumps: list[timedelta]
) -> None:
    instants = [NOON]
    for jump in jumps:
        instants.append(instants[-1] + jump)
    _decided(service, instants)


def test_a_leap_second_that_the_clock_says_twice_changes_nothing(service: Installed) -> None:
    _decided(service, [*LEAP_SECOND, parse_instant("2017-01-01T00:00:00Z")])


def test_ids_of_one_instant_are_unique_too() -> None:
    new_id = DecisionIds()
    drawn = {new_id(NOON) for _ in range(10_000)}
    assert len(drawn) == 10_000
    assert len({one[:10] for one in drawn}) == 1


@settings(max_examples=15)
@given(st.lists(st.integers(-200_000_000, 200_000_000), min_size=1, max_size=6), st.integers(0, 2**32))
def test_however_the_clock_wanders_the_log_is_dense_and_sealed(
    migrated: Path, tmp_path_factory: pytest.TempPathFactory, seconds: list[int], seed: int
) -> None:
    service = _opened(migrated, tmp_path_factory.mktemp("clock"))
    try:
        random = Random(seed)
        instants = [NOON + timedelta(seconds=one, microseconds=random.randrange(10**6)) for one in seconds]
        _decided(service, instants)
    finally:
        service.parts.close()
