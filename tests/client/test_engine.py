"""The engine inside of a process: the same answers, on record before they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from policy_engine import Engine
from policy_engine.app.settings import Settings
from policy_engine.formats.membership_file import read_members
from policy_engine.formats.request_document import MalformedRequest
from tests.api.service import copied, serving
from tests.conftest import POLICIES

CAROL: dict[str, Any] = {
    "subject": {"type": "person", "id": "carol"},
    "model": "opus-4.6",
    "action": "infer",
    "place": {"country": "US"},
}


def test_what_it_decides_is_on_record_and_is_what_the_service_decides(migrated: Path, tmp_path: Path) -> None:
    url = copied(migrated, tmp_path)
    roster = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")
    with serving(url, roster, published=True) as service:
        with Engine(Settings(database_url=url, policies=POLICIES), name="batch job", gateway="main") as engine:
            allowed = engine.decide(CAROL)
            denied, refused = engine.decide_batch([{**CAROL, "model": "mythos-5"}, {"model": 5}])
            with pytest.raises(MalformedRequest):
                engine.decide({**CAROL, "colour": "red"})
        assert (allowed.allowed, denied.allowed, refused.allowed) == (True, False, False)
        record = service.client.get(f"/decisions/{allowed.decision_id}", headers=service.key()).json()
        assert record["caller"]["id"] == "batch job"
        asked = service.decide(CAROL).json()
        assert (asked["allowed"], asked["reason"]["code"]) == (True, allowed.reason.code)
