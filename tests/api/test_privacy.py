"""No nationality, name, place or id of a person in the application log, on any path; they are in the record alone."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from policy_engine.formats.membership_file import read_members
from policy_engine.policy.judge import Judge
from policy_engine.wiring import configure_logging
from tests.api.service import copied, serving
from tests.api.test_decide import _Broken
from tests.conftest import judge_for

CANARIES = ("CANARYPERSON", "CANARYORG", "CANARYPURPOSE", "CANARYPROPERTY", "CANARYREASON", "AQ", "203.0.113.77")
MEMBERS = b"""
organisations:
  - {id: CANARYORG, name: CANARYORG Inc., kind: company, incorporated: AQ, headquarters: AQ, contract_country: null,
     sector: other, reseller: false, identifiers: {lei: null}, aliases: []}
people:
  - {id: CANARYPERSON, employments: [{organisation: CANARYORG, kind: employee, from: 2020-01-01, to: null}],
     citizenships: [{country: AQ, from: 1990-01-01, to: null}], us_status: [{kind: none, from: 2020-01-01, to: null}]}
"""
DOCUMENT = {
    "subject": {"type": "person", "id": "CANARYPERSON", "properties": {"CANARYPROPERTY": "AQ", "us_status": "citizen"}},
    "model": "opus-4.6",
    "action": "infer",
    "purpose": "CANARYPURPOSE",
    "place": {"country": "AQ", "ip": "203.0.113.77"},
}


@pytest.mark.parametrize("broken", [False, True], ids=["whole", "broken"])
def test_the_application_log_tells_nothing_about_anybody(
    broken: bool,
    migrated: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    configure_logging("debug")
    caplog.set_level(logging.DEBUG)
    judge: Judge = _Broken(judge_for({}, None).book) if broken else judge_for({}, None)
    rows = read_members(MEMBERS, "canaries.yaml")
    with serving(copied(migrated, tmp_path), rows, judge=judge) as service:
        headers = service.key(assertable=frozenset({"us_status"}))
        for document in (DOCUMENT, {**DOCUMENT, "CANARYREASON": 1}, {**DOCUMENT, "place": {"country": "CANARYPERSON"}}):
            service.decide(document, headers)
        record = service.decide(DOCUMENT, headers).json()
        assert record["decision"] == "deny"
    told = capfd.readouterr()
    text = told.out + told.err + "".join(line.getMessage() for line in caplog.records if line.name != "httpx")
    assert [canary for canary in CANARIES if canary in text] == []
