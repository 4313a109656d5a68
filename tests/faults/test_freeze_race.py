"""No answer to what was sent after a freeze had returned is an allow, with batches beside single requests."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.faults.process import installed, running
from tests.faults.race import key_of, race

FREEZES = 6


def test_nothing_that_is_sent_while_a_freeze_stands_is_allowed(migrated: Path, tmp_path: Path) -> None:
    file = tmp_path / "service.db"
    shutil.copy(migrated, file)
    installation = installed(f"sqlite:///{file}", tmp_path)
    people = (key_of(installation, "dora"), key_of(installation, "egon"))
    with running(installation) as server:
        seen = race(server, people, freezes=FREEZES, singles=6, batches=2)
    allowed, denied = seen.within()
    assert seen.broken == []
    assert len(seen.stood) == FREEZES
    assert allowed == 0
    assert denied > 0
    assert any(yes for _, _, yes, _ in seen.answers)
