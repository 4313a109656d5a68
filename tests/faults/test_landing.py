"""Where a process was in the writing of the log is told for every length that the files may have."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from tests.faults.landing import Landing, landing_on_sqlite


def _database(folder: Path) -> tuple[Path, sqlite3.Connection]:
    path = folder / "pe.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("CREATE TABLE entries (n INTEGER)")
    return path, connection


def test_a_writer_whose_write_ahead_log_is_empty_has_written_nothing(tmp_path: Path) -> None:
    path, connection = _database(tmp_path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("BEGIN IMMEDIATE")

    assert Path(f"{path}-wal").stat().st_size == 0
    assert landing_on_sqlite(path, os.getpid()) is Landing.BEFORE_INSERT
    connection.close()


def test_a_process_that_has_not_opened_the_database_yet_is_outside(tmp_path: Path) -> None:
    path = tmp_path / "pe.db"
    path.touch()

    assert landing_on_sqlite(path, os.getpid()) is Landing.OUTSIDE
