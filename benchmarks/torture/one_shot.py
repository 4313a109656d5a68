"""What one process does of a checkpoint, and what the next one makes of what was left.

Each function runs in a process of its own, forked with everything imported. Those that are traced open the database and
stop themselves: what is traced and counted begins there. It ends at a call on `END`, a path that nothing has.
"""

from __future__ import annotations

import codecs
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from policy_engine.app.builder import open_sealing
from policy_engine.domain.ports import LogYear
from policy_engine.ledger.checkpoint import open_checkpoint
from policy_engine.ledger.sealer import published
from policy_engine.ledger.tiles import CHECKPOINT
from policy_engine.ledger.verify import verify_log
from policy_engine.service.sealing.sealed_log import Sealing, SealKeeper
from policy_engine.service.sealing.verification import verify_year
from policy_engine.store.database import open_database
from policy_engine.store.log_entries import LogEntries
from tests.faults.process import Installation
from tests.ledger.reference import mth

END: Final = "/end-of-checkpoint"

# Python imports it where the key is read for the first time.
codecs.lookup("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How a keeper came through an error in one of its calls.

    `shown` are the checkpoints that stood published when its first turn was over, `descriptors` how many files were
    open at the end. Both are empty where it was `refused`: the log could not even be opened, and a service would not
    have started.
    """

    alarm: str | None = None
    refused: str | None = None
    shown: tuple[bytes, ...] = ()
    descriptors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneOn:
    """What stood published before the next process sealed, and what after it; how many entries are sealed now."""

    before: tuple[bytes, ...]
    after: tuple[bytes, ...]
    sealed: int


@contextmanager
def _entries(installation: Installation) -> Iterator[LogEntries]:
    engine = open_database(installation.url)
    try:
        yield LogEntries(engine)
    finally:
        engine.dispose()


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _end() -> None:
    os.access(END, os.F_OK)


def seal_once(installation: Installation, tell: Connection) -> None:
    """One checkpoint, in a process that has its connection to the database already, as a service has."""
    with _entries(installation) as entries:
        entries.size()
        _stop()
        open_sealing(installation.settings, entries).seal()
        _end()
    tell.send(True)


def keep_twice(installation: Installation, tell: Connection) -> None:
    """Two turns of a service's keeper, told as `Kept`; the second may raise no alarm."""
    with _entries(installation) as entries:
        entries.size()
        _stop()
        try:
            sealing = open_sealing(installation.settings, entries)
        except OSError as error:
            tell.send(Kept(refused=str(error)))
            return
        alarms: list[str | None] = []
        keeper = SealKeeper(sealing, report=alarms.append)
        keeper.turn()
        _end()
        shown = _shown(installation)
        keeper.turn()
        assert keeper.alarm is None, keeper.alarm
        assert keeper.sealed is not None
        assert keeper.sealed.end == entries.size()
        descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir())
        tell.send(Kept(alarm=alarms[0] if alarms else None, shown=shown, descriptors=descriptors))


def go_on(installation: Installation, shown: tuple[bytes, ...], tell: Connection) -> None:
    """The next start on what was left, told as `GoneOn`: it seals everything, and all of it is verified.

    What is published already is verified as it stands, before anything is sealed. `shown` are checkpoints that somebody
    holds; the newest one has to begin with them and with what is published now.
    """
    before = _shown(installation)
    held = {*shown, *before}
    with _entries(installation) as entries:
        sealing = open_sealing(installation.settings, entries)
        for folder in _folders(installation):
            key = sealing.key(int(folder.name)).verifier
            if published(sealing.tiles(int(folder.name)), key) is not None:
                verify_log(sealing.tiles(int(folder.name)), key)
        sealing.require_history()
        sealed = sealing.seal()
        assert sealed is not None
        assert sealed.end == entries.size()
        counts = [_verified(sealing, entries, year, held) for year in entries.years()]
        assert sum(counts) == entries.size()
        after = _shown(installation)
        sealing.require_history()
        assert sealing.seal() == sealed
        assert _shown(installation) == after
    assert _staged(installation) == []
    tell.send(GoneOn(before=before, after=after, sealed=sum(counts)))


def _verified(sealing: Sealing, entries: LogEntries, year: LogYear, held: set[bytes]) -> int:
    """How many entries of a year are sealed; the root is also computed from the database alone."""
    key = sealing.key(year.year).verifier
    older = [note for note in held if note.startswith(f"{key.name}\n".encode())]
    checkpoint = verify_year(sealing, year, older=older, pause=lambda: None).checkpoint
    assert checkpoint is not None
    witness = sealing.witness(year.year).latest()
    assert (witness.size, witness.root) == (checkpoint.size, checkpoint.root)
    assert all(open_checkpoint(note, key).checkpoint.size <= checkpoint.size for note in older)
    bodies = [entry.body for entry in entries.page(year.first_index, checkpoint.size)]
    assert mth(bodies) == checkpoint.root
    return len(bodies)


def _folders(installation: Installation) -> list[Path]:
    ledger = installation.settings.ledger
    return sorted(ledger.iterdir()) if ledger.exists() else []


def _shown(installation: Installation) -> tuple[bytes, ...]:
    """The checkpoints that anybody may read now, oldest year first."""
    paths = [folder / CHECKPOINT for folder in _folders(installation)]
    return tuple(path.read_bytes() for path in paths if path.exists())


def _staged(installation: Installation) -> list[str]:
    """Files that were to be renamed and were not."""
    return sorted(
        str(path.relative_to(installation.folder))
        for path in installation.folder.rglob(".*")
        if path.is_file() and path.name != ".lock"
    )
