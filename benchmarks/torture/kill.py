"""SIGKILL under load, hundreds of times, on both databases."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Final

from benchmarks.torture.report import Outcome, progress
from policy_engine.app.builder import upgrade
from policy_engine.app.settings import Settings
from tests.faults.kills import Killing
from tests.faults.landing import Landing
from tests.faults.oracle import require_nothing_lost
from tests.faults.process import installed, running
from tests.store.conftest import own_server

_CHECK_EVERY: Final = 10
"""Cycles after which the whole oracle is asked; each asks for the records of what was never answered."""


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """A database at the newest schema."""
    if kind == "sqlite":
        url = f"sqlite:///{folder / 'service.db'}"
        upgrade(Settings(database_url=url))
        yield url
        return
    with own_server() as (_, postgres):
        yield postgres.url("service", "migrated")


def kill_again_and_again(kind: str, kills: int) -> Outcome:
    """Two services at once on one database, killed until so many have been; then everything is asked once more."""
    with tempfile.TemporaryDirectory(prefix="torture-") as name, database(kind, Path(name)) as url:
        killing = Killing(installation=installed(url, Path(name)), seed=300)
        number = 0
        while killing.landings.total() < kills:
            killing.cycle(number)
            number += 1
            if number % _CHECK_EVERY == 0:
                found = require_nothing_lost(
                    killing.installation, killing.journals, in_flight=killing.in_flight, replays=50
                )
                progress(
                    f"{kind}: {killing.landings.total()} kills, {found.acknowledged} answers, {found.logged} records"
                )
        with running(killing.installation) as server:
            for journal in killing.journals:
                for key, document in list(journal.unanswered.items()):
                    status, _, body = server.request("POST", "/decide", json.dumps(document).encode())
                    assert status == HTTPStatus.OK, body
                    journal.keep(key, document, body)
            server.stop()
        found = require_nothing_lost(killing.installation, killing.journals, in_flight=killing.orphans)
    starts = sorted(killing.starts)
    return Outcome(
        count=killing.landings.total(),
        result=(
            f"0 of {found.acknowledged:,} answers lost, altered or doubled; {found.logged:,} records dense and sealed,"
            f" {found.replayed:,} replayed to the same bytes; {found.checkpoints:,} served checkpoints consistent;"
            f" killed {_places(killing.landings)}; {killing.orphans} of {killing.in_flight} requests in flight were on"
            f" record; ready after {starts[len(starts) // 2]:.1f} s (p95 {starts[len(starts) * 95 // 100]:.1f} s)"
        ),
    )


def _places(landings: Counter[Landing]) -> str:
    return "; ".join(f"{landings[one]} × {one}" for one in Landing)
