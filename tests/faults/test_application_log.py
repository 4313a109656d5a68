"""An application log that takes no lines stands in no decision's way."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog

from policy_engine.app.application_log import configure_logging
from tests.faults.load import DOCUMENTS
from tests.faults.process import installed, running

NO_ROOM = ("sh", "-c", 'exec "$@" 2>/dev/full', "sh")
TOO_LONG = {f"property-{number}": ["x" * 190] * 50 for number in range(20)}


def test_a_fault_is_a_recorded_deny_also_where_the_application_log_has_no_room(migrated: Path, tmp_path: Path) -> None:
    file = tmp_path / "service.db"
    shutil.copy(migrated, file)
    document: dict[str, Any] = DOCUMENTS[0]
    asked = {**document, "subject": {**document["subject"], "properties": TOO_LONG}}
    with running(installed(f"sqlite:///{file}", tmp_path), command=NO_ROOM) as server:
        status, _, told = server.request("POST", "/decide", json.dumps(asked).encode())
        assert status == 200
        answer = json.loads(told)
        assert (answer["decision"], answer["reason"]["code"]) == ("deny", "ENGINE_FAULT")
        assert server.request("GET", f"/decisions/{answer['decision_id']}")[0] == 200
        assert json.loads(server.request("POST", "/decide", json.dumps(document).encode())[2])["decision"] == "allow"


class _Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, f"No space left on device for {len(text)} characters")


def test_the_next_line_says_how_many_were_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_logging("info")
    logger = structlog.get_logger("test")
    closed = io.StringIO()
    closed.close()
    for gone in (_Full(), closed, None):
        monkeypatch.setattr(sys, "stderr", gone)
        logger.error("nobody reads this")
    heard = io.StringIO()
    monkeypatch.setattr(sys, "stderr", heard)
    logger.error("first")
    logger.error("second")
    lines = [json.loads(line) for line in heard.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["lines of this log were lost", "first", "second"]
    assert lines[0]["lost"] == 3
