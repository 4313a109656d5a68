"""One whole service's worth of what can be tampered with: a database, its sealed folder, its witness, its receipts."""

from __future__ import annotations

import json
import secrets
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from policy_engine.app.builder import Parts, build, open_sealing
from policy_engine.app.settings import Settings
from policy_engine.cli.decide import decide_now
from policy_engine.domain.changes import Actor
from policy_engine.domain.freezes import FreezeScope
from policy_engine.domain.request import Caller
from policy_engine.domain.roster import Authorisation, AuthorisationKind, Citizenship, RosterRows
from policy_engine.service.administration.freezing import declare_freeze
from policy_engine.store.database import open_database
from policy_engine.store.decision_index import Indexer
from tests.conftest import POLICIES
from tests.service.decisions import DEMO
from tests.store.samples import FULL

BEGIN: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NEXT_YEAR: Final = datetime(2027, 2, 3, 12, 0, tzinfo=UTC)
Clock = Callable[[], datetime]
ORIGIN: Final = "pdp.example/log"
CAROL: Final[dict[str, object]] = {
    "subject": {"type": "person", "id": "carol"},
    "model": "mythos-5",
    "action": "infer",
    "purpose": "defensive_cybersecurity",
    "place": {"country": "US"},
}
CAPPED: Final = Authorisation(
    id="L-capped",
    regime="vendor",
    kind=AuthorisationKind.LICENCE,
    holder="harbor-cyber",
    models=("opus-4.6",),
    actions=("distill",),
    named_users=5,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A folder with everything that a service keeps, and what an auditor took away from it.

    Below `folder`: `office.db`, `ledger/`, `witness/`, `log.key`; `taken/` has a receipt with its record, the verifier
    keys and an older checkpoint; `earlier/` is a copy of all of it from before the last decisions.
    """

    folder: Path

    @property
    def settings(self) -> Settings:
        """The settings of a service on this folder."""
        return Settings(
            database_url=f"sqlite:///{self.folder / 'office.db'}",
            policies=POLICIES,
            ledger=self.folder / "ledger",
            witness=self.folder / "witness",
            log_key=self.folder / "log.key",
            log_origin=ORIGIN,
        )

    def copied(self, folder: Path) -> Kept:
        """The same, to be tampered with."""
        shutil.copytree(self.folder, folder)
        return Kept(folder=folder)


def keep(folder: Path, migrated: Path) -> Kept:
    """Decisions, members, keys, freezes, draws, review cases and books of two years, sealed and indexed."""
    shutil.copyfile(migrated, folder / "office.db")
    kept = Kept(folder=folder)
    now = [BEGIN]

    def clock() -> datetime:
        now[0] += timedelta(seconds=1)
        return now[0]

    parts = build(kept.settings, clock=clock)
    sealing = open_sealing(kept.settings, parts.entries)
    try:
        _first_year(parts, clock)
        sealing.seal()
        (folder / "taken").mkdir()
        shutil.copyfile(folder / "ledger" / "2026" / "checkpoint", folder / "taken" / "older.txt")
        _index(kept)
        _copy_of_now(folder)
        _decide(parts)
        sealing.seal()
        now[0] = NEXT_YEAR
        name = _decide(parts)
        for _ in range(3):
            _decide(parts)
        sealing.seal()
        entry = parts.entries.find(name)
        assert entry is not None
        receipt = sealing.receipt(entry)
        assert receipt is not None
        (folder / "taken" / "receipt").write_bytes(receipt.encode())
        (folder / "taken" / "record").write_bytes(entry.body)
        for year in (2026, 2027):
            (folder / "taken" / f"{year}.vkey").write_text(sealing.key(year).verifier.encode() + "\n")
    finally:
        parts.close()
    _index(kept)
    _checkpointed(folder / "office.db")
    return kept


def _first_year(parts: Parts, clock: Clock) -> None:
    """Everything of which there are rows, before the turn of the year."""
    parts.members.record(DEMO, actor="cli", reason="set-up", at=clock())
    parts.members.record(FULL, actor="cli", reason="every kind of row", at=clock())
    parts.members.record(RosterRows(authorisations=(CAPPED,)), actor="cli", reason="a licence", at=clock())
    for name, gateway in (("gateway", "main"), ("officer", None), ("old", None)):
        made = parts.ring.create(
            name=name,
            rights=frozenset({"decide", "freeze"}),
            at=clock(),
            random_hex=secrets.token_hex,
            gateway=gateway,
            person="dora" if name == "officer" else None,
            assertable=frozenset({"us_status"}),
        )
        if name == "old":
            parts.ring.revoke(made.key.id, clock())
        if name == "officer":
            scope = FreezeScope(models=("fable-5",))
            actor = Actor(key=made.key.id, person="dora")
            parts.gate.view.refresh()
            declare_freeze(parts.desk, actor, scope, authority="letter", reason="incident")
    for number in range(16):
        _decide(parts, subject={"type": "person", "id": ("carol", "ken", "alice", "leila")[number % 4]})
    for turn in range(2):
        # The second is decided anew under another epoch, as the second attempt under its request id.
        _decide(parts, request_id="gw-1")
        if turn == 0:
            rows = RosterRows(citizenships=(Citizenship(person="carol", country="CA"),))
            parts.members.record(rows, actor="cli", reason="a second citizenship", at=clock())
    _decide(parts, model="opus-4.6", action="distill")
    _decide(parts, purpose="pentest_own_product")
    _decide(parts, subject={"type": "person", "id": "unheard-of"})


def _decide(parts: Parts, **changes: object) -> str:
    parts.gate.view.refresh()
    answer = json.loads(decide_now(parts.gate, {**CAROL, **changes}, Caller(id="cli", explain=True)))
    return str(answer["decision_id"])


def _index(kept: Kept) -> None:
    engine = open_database(kept.settings.database_url)
    Indexer(engine).rebuild()
    engine.dispose()


def _copy_of_now(folder: Path) -> None:
    """What a backup of this moment has."""
    earlier = folder / "earlier"
    earlier.mkdir()
    with sqlite3.connect(folder / "office.db") as source, sqlite3.connect(earlier / "office.db") as target:
        source.backup(target)
    target.close()
    source.close()
    for name in ("ledger", "witness"):
        shutil.copytree(folder / name, earlier / name)


def _checkpointed(database: Path) -> None:
    """Everything in one file, which a copy then is."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
