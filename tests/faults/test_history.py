"""Whole processes and the sealed log: two of them share it, and none starts on a history that was changed."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest

from policy_engine.app.builder import open_sealing
from policy_engine.ledger import files
from policy_engine.store.database import open_database
from policy_engine.store.log_entries import LogEntries
from tests.faults.load import Load, journals
from tests.faults.oracle import require_nothing_lost
from tests.faults.process import Installation, installed, running, start
from tests.store.conftest import Store

UNAVAILABLE = 4


def test_two_services_on_one_database_seal_one_history(store: Store, tmp_path: Path) -> None:
    installation = installed(store.url, tmp_path)
    clients = journals(tmp_path, 6)
    with running(installation) as first, running(installation) as second:
        loads = [Load(first, clients[:3]), Load(second, clients[3:])]
        time.sleep(1.2)
        for load in loads:
            load.stop()
        noted = _settled(first.request, second.request)
        assert noted.startswith(b"policy-engine.local/log/")
    assert [one for journal in clients for one in (*journal.statuses, *journal.surprises)] == []
    found = require_nothing_lost(installation, clients, replays=50)
    assert found.unacknowledged == 0


def _settled(*ask: Callable[..., tuple[int, dict[str, str], bytes]]) -> bytes:
    """The checkpoint, once both services give the same one twice."""
    last = b""
    for _ in range(100):
        shown = [one("GET", "/log/checkpoint")[2] for one in ask]
        if shown[0] == shown[1] == last:
            return last
        last = shown[0]
        time.sleep(0.35)
    raise AssertionError("the services never showed the same checkpoint")


def test_services_that_start_at_once_on_a_new_folder_sign_with_one_key(tmp_path: Path) -> None:
    for number in range(20):
        installation = Installation(url=f"sqlite:///{tmp_path / 'none.db'}", folder=tmp_path / str(number))
        entries = LogEntries(open_database(installation.url))
        together = Barrier(6)

        def key(
            installation: Installation = installation, entries: LogEntries = entries, at: Barrier = together
        ) -> str:
            at.wait()
            return open_sealing(installation.settings, entries).key(2026).verifier.encode()

        with ThreadPoolExecutor(6) as pool:
            keys = [pool.submit(key) for _ in range(6)]
        assert len({one.result() for one in keys}) == 1


def test_the_folder_of_a_new_key_is_on_the_disk_before_anything_is_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[Path] = []
    monkeypatch.setattr(files, "sync_directory", lambda path, _: flushed.append(path))
    installation = Installation(url=f"sqlite:///{tmp_path / 'none.db'}", folder=tmp_path / "above" / "keys")
    open_sealing(installation.settings, LogEntries(open_database(installation.url)))
    assert flushed == [tmp_path, tmp_path / "above", tmp_path / "above" / "keys"]


@pytest.fixture(scope="module")
def sealed(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation that was stopped in order, and beside it the database as it was half-way."""
    folder = tmp_path_factory.mktemp("sealed")
    shutil.copyfile(migrated, folder / "service.db")
    installation = installed(f"sqlite:///{folder / 'service.db'}", folder)
    clients = journals(folder, 2)
    for _ in range(2):
        with running(installation) as server:
            load = Load(server, clients)
            time.sleep(0.4)
            load.stop()
            server.stop()
        if not (folder / "backup.db").exists():
            with sqlite3.connect(installation.database) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            shutil.copyfile(installation.database, folder / "backup.db")
    with sqlite3.connect(installation.database) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return installation


def _copied(sealed: Installation, folder: Path) -> Installation:
    shutil.copytree(sealed.folder, folder, dirs_exist_ok=True)
    return replace(sealed, folder=folder, url=f"sqlite:///{folder / 'service.db'}")


def _changed(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _restored_backup(folder: Path) -> None:
    shutil.copyfile(folder / "backup.db", folder / "service.db")


def _in_database(*statements: str) -> Callable[[Path], None]:
    def do(folder: Path) -> None:
        with sqlite3.connect(folder / "service.db") as connection:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                connection.execute(statement)

    return do


_REMOVED = "DELETE FROM decisions WHERE log_index = (SELECT max(log_index) FROM decisions)"
_CHANGED = """
UPDATE decisions SET body = CAST(replace(CAST(body AS TEXT), '"allow', '"allou') AS BLOB)
WHERE log_index > (SELECT max(log_index) - 20 FROM decisions)
"""


def _other_key(folder: Path) -> None:
    (folder / "log.key").write_text("ab" * 32 + "\n", encoding="ascii")


def _no_key(folder: Path) -> None:
    (folder / "log.key").unlink()


def _no_witness(folder: Path) -> None:
    for path in (folder / "witness").glob("*.witness"):
        path.unlink()


def _checkpoint_changed(folder: Path) -> None:
    (path,) = (folder / "ledger").glob("*/checkpoint")
    lines = path.read_bytes().split(b"\n")
    lines[1] = str(int(lines[1]) - 1).encode()
    path.write_bytes(b"\n".join(lines))


def _last_bundle_changed(folder: Path) -> None:
    _changed(
        max((folder / "ledger").glob("*/tile/entries/**/*"), key=lambda path: (path.is_file(), path.stat().st_mtime_ns))
    )


def _tiles_gone(folder: Path) -> None:
    for path in (folder / "ledger").glob("*/tile"):
        shutil.rmtree(path)


@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(_restored_backup, id="an older copy of the database put back"),
        pytest.param(_in_database(_REMOVED), id="the last record removed"),
        pytest.param(_in_database(_CHANGED), id="records changed"),
        pytest.param(_in_database("DELETE FROM log_years"), id="the year forgotten"),
        pytest.param(_other_key, id="another key"),
        pytest.param(_no_key, id="no key"),
        pytest.param(_no_witness, id="no witness"),
        pytest.param(_checkpoint_changed, id="the size in the checkpoint changed"),
        pytest.param(_last_bundle_changed, id="an entry of the last bundle changed"),
        pytest.param(_tiles_gone, id="no tiles"),
    ],
)
def test_a_history_that_was_changed_is_refused_at_the_start(
    sealed: Installation, tmp_path: Path, tamper: Callable[[Path], None]
) -> None:
    installation = _copied(sealed, tmp_path)
    tamper(tmp_path)
    (tmp_path / "serve.out").unlink()
    server = start(installation)
    try:
        assert server.process.wait(60) == UNAVAILABLE
    finally:
        if server.process.poll() is None:
            server.kill()
    said = (tmp_path / "serve.out").read_text()
    assert len(said.splitlines()) == 1
    assert len(said.split()) > 5
    assert "Traceback" not in said


def test_the_same_history_untouched_starts(sealed: Installation, tmp_path: Path) -> None:
    installation = _copied(sealed, tmp_path)
    with running(installation) as server:
        assert server.request("GET", "/readyz")[0] == 200


def test_the_process_that_seals_may_be_killed_again_and_again_while_decisions_go_on(
    migrated: Path, tmp_path: Path
) -> None:
    shutil.copyfile(migrated, tmp_path / "service.db")
    installation = installed(f"sqlite:///{tmp_path / 'service.db'}", tmp_path)
    clients = journals(tmp_path, 3)
    with running(installation) as server:
        load = Load(server, clients)
        for _ in range(3):
            time.sleep(0.4)
            os.kill(server.companion(), signal.SIGKILL)
            deadline = time.monotonic() + 10
            while b"the process that seals it has ended" not in server.request("GET", "/readyz")[2]:
                assert time.monotonic() < deadline, "nobody was told"
            while b"alarms" in server.request("GET", "/readyz")[2]:
                assert time.monotonic() < deadline, "the log was not sealed again"
        load.stop()
        server.stop()
    assert [one for journal in clients for one in (*journal.statuses, *journal.surprises)] == []
    assert require_nothing_lost(installation, clients, replays=20).unacknowledged == 0
