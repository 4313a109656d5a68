"""Freezes declared and lifted over HTTP while requests and batches are decided, on both databases."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.torture.kill import database
from benchmarks.torture.report import Outcome
from tests.faults.process import installed, running
from tests.faults.race import key_of, race


def freeze_again_and_again(kind: str, freezes: int) -> Outcome:
    """So many freezes; fails where anything that was sent into one was allowed, or where nothing was."""
    with tempfile.TemporaryDirectory(prefix="torture-") as name, database(kind, Path(name)) as url:
        installation = installed(url, Path(name))
        people = (key_of(installation, "dora"), key_of(installation, "egon"))
        with running(installation) as server:
            seen = race(server, people, freezes=freezes)
    allowed, denied = seen.within()
    assert not seen.broken, seen.broken[:3]
    assert allowed == 0, f"{allowed} allows to what was sent after a freeze had returned"
    assert denied > 0, "nothing was asked while a freeze stood"
    return Outcome(
        count=freezes,
        result=f"{seen.decisions:,} decisions, in batches and alone; of those sent after a freeze had returned and"
        f" answered before its lift was confirmed {denied:,} were denied and {allowed} allowed",
    )
