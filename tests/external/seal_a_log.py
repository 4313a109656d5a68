"""Two thousand decisions in a log that is sealed as the service does it: `python -m tests.external.seal_a_log DIR`.

Leaves `DIR/ledger/2026`, its verifier key in `DIR/2026.vkey`, and in `DIR/older.txt` the checkpoint of half of it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from policy_engine.app.builder import open_sealing, upgrade
from policy_engine.app.settings import Settings
from policy_engine.store.database import open_database
from policy_engine.store.log_entries import LogEntries
from tests.records import entered, put

HALF = 1_000


def main(folder: Path) -> None:
    """Make the log in a folder that does not exist yet."""
    folder.mkdir(parents=True)
    settings = Settings(
        database_url=f"sqlite:///{folder / 'log.db'}",
        ledger=folder / "ledger",
        witness=folder / "witness",
        log_key=folder / "log.key",
        log_origin="pdp.example/log",
    )
    upgrade(settings)
    engine = open_database(settings.database_url)
    sealing = open_sealing(settings, LogEntries(engine))
    made = entered(2 * HALF)
    put(engine, made[:HALF])
    older = sealing.seal()
    put(engine, made[HALF:])
    newest = sealing.seal()
    engine.dispose()
    assert older is not None
    assert newest is not None
    (folder / "older.txt").write_bytes(older.signed.note)
    (folder / "2026.vkey").write_text(sealing.key(2026).verifier.encode() + "\n", encoding="ascii")
    sys.stdout.write(f"{newest.end} entries are sealed\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
