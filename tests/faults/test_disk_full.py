"""A disk that takes no more: 503 at once, not ready, and all is well again as soon as there is room."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.faults.load import DOCUMENTS, Load, journals
from tests.faults.oracle import require_nothing_lost
from tests.faults.process import Installation, Server, installed, running, said

SECONDS = 1.0
RECOVERY_SECONDS = 5.0
CLIENTS = 4
_BEGINS = ("records cannot be written, so nothing is allowed", "not ready")
_ENDS = ("records are written again", "ready again")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of some megabytes, where it may be mounted."""
    place = tmp_path / "small"
    place.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=24m", "none", str(place)]
    if mount is None or subprocess.run(command, check=False, capture_output=True).returncode:  # noqa: S603
        pytest.skip("a file system can be mounted by root alone, and not everywhere")
    yield place
    subprocess.run([shutil.which("umount") or "umount", "-l", str(place)], check=True)  # noqa: S603


def _asked(server: Server, number: int) -> tuple[HTTPStatus, float]:
    document = {**DOCUMENTS[0], "request_id": f"probe-{number}"}
    begun = time.monotonic()
    status, headers, body = server.request("POST", "/decide", json.dumps(document).encode())
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        assert headers["retry-after"] == "1"
        assert b'"allow"' not in body
    return HTTPStatus(status), time.monotonic() - begun


def _is_refused_and_recovers(
    installation: Installation, fill: Callable[[Server], None], free: Callable[[Server], None]
) -> None:
    clients = journals(installation.folder.parent, CLIENTS)
    with running(installation) as server:
        load = Load(server, clients, patient=True)
        time.sleep(0.3)
        fill(server)
        end = time.monotonic() + 20
        while not any(journal.statuses for journal in clients):
            assert time.monotonic() < end, "there was room enough"
            time.sleep(0.02)
        load.stop()
        probes = 1
        status, took = _asked(server, probes)
        while status == HTTPStatus.OK:
            # A checkpoint has given the write-ahead file back, and it has room once more.
            assert time.monotonic() < end, "there was room enough"
            probes += 1
            status, took = _asked(server, probes)
        assert status == HTTPStatus.SERVICE_UNAVAILABLE
        assert took < SECONDS
        answered, _, body = server.request("GET", "/readyz")
        assert (answered, json.loads(body)["detail"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "the log cannot be written")
        assert server.request("GET", "/livez")[0] == HTTPStatus.OK
        free(server)
        freed = time.monotonic()
        # Asking whether it is ready is enough for it to find out.
        while server.request("GET", "/readyz")[0] != HTTPStatus.OK:
            assert time.monotonic() - freed < RECOVERY_SECONDS
            time.sleep(0.05)
        probes += 1
        assert _asked(server, probes)[0] == HTTPStatus.OK
        # A record that is written within a second of the last failure does not end the outage yet; a later one does.
        while _ENDS[0] not in (lines := said(server)) and time.monotonic() - freed < RECOVERY_SECONDS:
            probes += 1
            assert _asked(server, probes)[0] == HTTPStatus.OK
            time.sleep(0.2)
        assert {*_BEGINS, *_ENDS} <= {*lines}
        assert lines.index(_BEGINS[0]) < lines.index(_ENDS[0])
        assert len(lines) < 100, "a line for each request would fill the next disk"
        load = Load(server, clients, patient=True)
        time.sleep(0.3)
        load.stop()
    assert [one for journal in clients for one in journal.surprises] == []
    require_nothing_lost(installation, clients, in_flight=probes + CLIENTS, replays=50)


def test_when_the_disk_is_full_nothing_is_allowed_until_there_is_room(
    migrated: Path, small_disk: Path, tmp_path: Path
) -> None:
    shutil.copyfile(migrated, small_disk / "service.db")
    # What the service says goes elsewhere: on the disk that is full nothing could be said.
    (small_disk / "serve.out").symlink_to(tmp_path / "serve.out")
    installation = installed(f"sqlite:///{small_disk / 'service.db'}", small_disk)
    filler = small_disk / "filler"

    def fill(_: Server) -> None:
        with filler.open("wb", buffering=0) as file:
            for size in (65_536, 4_096):
                try:
                    while True:
                        os.write(file.fileno(), bytes(size))
                except OSError:
                    pass

    def free(_: Server) -> None:
        filler.unlink()

    _is_refused_and_recovers(installation, fill, free)


def test_when_files_may_grow_no_more_nothing_is_allowed_until_they_may(migrated: Path, tmp_path: Path) -> None:
    """The limit of the system on the size of files, set and lifted from outside: no privilege is needed."""
    place = tmp_path / "small"
    place.mkdir()
    shutil.copyfile(migrated, place / "service.db")
    installation = installed(f"sqlite:///{place / 'service.db'}", place)
    unlimited = resource.RLIM_INFINITY

    def fill(server: Server) -> None:
        grown = (place / "service.db-wal").stat().st_size
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (grown + 1000, unlimited))

    def free(server: Server) -> None:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))

    _is_refused_and_recovers(installation, fill, free)
