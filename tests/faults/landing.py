"""Where in the writing of the log a process was when it was killed, seen from outside.

The process is stopped with SIGSTOP, looked at, and killed before it goes on. On SQLite the lock of the only writer
(byte 120 of the `-shm` file), the frames in the write-ahead log and the mark of the last finished commit (`mxFrame` of
the wal-index) tell; on PostgreSQL what the server says of the process's connections. Afterwards the records tell which
requests had been committed and not answered.
"""

from __future__ import annotations

import struct
from enum import StrEnum
from pathlib import Path
from typing import Final

import psycopg

_WRITE_LOCK: Final = "120"
_WAL_HEADER: Final = 32


class Landing(StrEnum):
    """Where it was."""

    OUTSIDE = "outside a transaction"
    BEFORE_INSERT = "in the transaction, nothing written"
    BEFORE_COMMIT = "written, the commit not finished"
    BEFORE_ANSWER = "committed, not answered"


def landing_on_sqlite(database: Path, pid: int) -> Landing:
    """What a stopped process was doing with an SQLite file. A transaction is in memory until its commit begins."""
    shared = Path(f"{database}-shm")
    if not shared.exists() or not _holds_write_lock(shared, pid):
        return Landing.OUTSIDE
    return Landing.BEFORE_COMMIT if _has_unfinished_frames(database, shared) else Landing.BEFORE_INSERT


def _holds_write_lock(shared: Path, pid: int) -> bool:
    inode = str(shared.stat().st_ino)
    for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
        _, *words = line.split()
        if words[0] != "POSIX" or words[2] != "WRITE" or words[3] != str(pid):
            continue
        if words[4].rpartition(":")[2] == inode and words[5] == _WRITE_LOCK:
            return True
    return False


def _has_unfinished_frames(database: Path, shared: Path) -> bool:
    """Whether a frame of this generation of the write-ahead log stands behind the last finished commit."""
    log = Path(f"{database}-wal").read_bytes()
    if len(log) < _WAL_HEADER:
        # Made, or cut off by a checkpoint, and nothing written since.
        return False
    (finished,) = struct.unpack_from("=I", shared.read_bytes(), 16)
    (size,) = struct.unpack_from(">I", log, 8)
    at = _WAL_HEADER + finished * (24 + size)
    return log[at + 8 : at + 16] == log[16:24]


def is_gone(url: str, name: str) -> bool:
    """Whether PostgreSQL has ended every connection of a process that is dead."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_stat_activity WHERE application_name = %s", (name,)).fetchall()
    return not found


def landing_on_postgres(url: str, name: str) -> Landing:
    """What the connections of a stopped process, which go by its `application_name`, were doing."""
    with psycopg.connect(url, autocommit=True) as connection:
        queries = connection.execute(
            "SELECT backend_xid IS NOT NULL, query FROM pg_stat_activity"
            " WHERE application_name = %s AND state <> 'idle'",
            (name,),
        ).fetchall()
    landing = Landing.OUTSIDE
    for writes, query in queries:
        if writes and query.startswith(("INSERT INTO", "COMMIT")):
            return Landing.BEFORE_COMMIT
        if "set_config" in query or "pg_advisory_xact_lock" in query or "FOR SHARE" in query:
            landing = Landing.BEFORE_INSERT
    return landing
