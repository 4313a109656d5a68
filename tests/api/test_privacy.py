"""No nationality, name, place or id of a person in the application log, on any path; they are in the record alone."""

from __future__ import annotations

import json
import logging
import shutil
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from policy_engine.app.application_log import configure_logging
from policy_engine.app.builder import build
from policy_engine.app.clock import system_clock
from policy_engine.formats.membership_file import read_members
from policy_engine.policy.judge import Judge
from tests.api.service import copied, serving
from tests.api.test_decide import _Broken
from tests.conftest import judge_for
from tests.faults.process import Server, installed, running
from tests.faults.talkative import BREAK, SECRET

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
        for held in (service.key(), service.key("decisions:read")):
            for asked in ("citizenship:AQ", "employment:CANARYORG", "listing:CANARYPERSON", "CANARYPERSON"):
                found = service.client.get(
                    "/decisions", params={"on_file": asked, "citizenship_country": "AQ"}, headers=held
                )
                assert found.status_code in (HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN)
    told = capfd.readouterr()
    text = told.out + told.err + "".join(line.getMessage() for line in caplog.records if line.name != "httpx2")
    assert [canary for canary in CANARIES if canary in text] == []


CANARY = "CANARY"
MARKED = b"""
organisations:
  - {id: CANARY-ORG, name: CANARY Inc., kind: company, incorporated: US, headquarters: US, contract_country: US,
     sector: other, reseller: false, identifiers: {lei: CANARY-LEI}, aliases: [CANARY-ALIAS]}
  - {id: CANARY-OWNER, name: CANARY Holding, kind: company, incorporated: US, headquarters: US, contract_country: US,
     sector: other, reseller: false, identifiers: {lei: null}, aliases: []}
ownership:
  - {owner: CANARY-OWNER, owned: CANARY-ORG, percent: "51", from: 2020-01-01, to: null, evidence: CANARY-EVIDENCE}
people:
  - {id: CANARY-PERSON, employments: [{organisation: CANARY-ORG, kind: employee, from: 2020-01-01, to: null}],
     us_status: [{kind: citizen, from: 2020-01-01, to: null}]}
accounts:
  - {id: CANARY-ACCOUNT, kind: account, organisation: CANARY-ORG, person: CANARY-PERSON, gateway: main,
     cluster: CANARY-CLUSTER}
consortia:
  - {id: CANARY-CONSORTIUM, name: Project CANARY}
memberships:
  - {organisation: CANARY-ORG, consortium: glasswing, from: 2026-04-07T00:00:00Z, to: null, status: active}
authorisations:
  - {id: CANARY-LICENCE, regime: vendor, kind: licence, holder: CANARY-ORG, models: [opus-4.6], actions: [distill],
     countries: null, from: 2026-05-01, to: 2030-05-01, cap: {named_users: 3}, conditions: []}
listings:
  - {party: CANARY-OWNER, list: EL, entry: CANARY Works, entry_version: "2024-01-01", reference: CANARY-REFERENCE,
     status: potential, cleared_version: null, from: 2024-01-01, to: null}
statements:
  - {organisation: CANARY-ORG, kind: sta_consignee, from: 2026-01-01, to: null}
clusters:
  - {id: CANARY-CLUSTER, shared: [payment], accounts: 600, exchanges_24h: 410000, as_of: 2026-02-10T10:00:00Z}
"""
ASKED: dict[str, Any] = {
    "subject": {"type": "person", "id": "CANARY-PERSON", "properties": {"CANARY-PROPERTY": "CANARY-VALUE"}},
    "model": "mythos-5",
    "action": "infer",
    "purpose": "CANARY-PURPOSE",
    "place": {"country": "US", "subdivision": "US-CA", "postcode": "CANARY-94", "ip": "203.0.113.77"},
    "request_id": "CANARY-REQUEST",
}
HOSTILE: tuple[Any, ...] = (
    {**ASKED, "subject": {"type": "account", "id": "CANARY-ACCOUNT"}, "request_id": "CANARY-2"},
    {**ASKED, "action": "distill", "model": "opus-4.6", "request_id": "CANARY-3"},
    {**ASKED, "purpose": "CANARY-OTHER"},
    {**ASKED, "CANARY-FIELD": 1},
    {**ASKED, "place": {"country": "CANARY"}},
    {**ASKED, "place": {"country": "US", "ip": "CANARY-IP"}},
    {**ASKED, "model": "CANARY-MODEL", "request_id": "CANARY-4"},
    {**ASKED, "acting_for": "CANARY-NOBODY", "request_id": "CANARY-5"},
    {**ASKED, "request_id": "CANARY\0"},
    {**ASKED, "request_id": "CANARY\ud800"},
    ["CANARY-LIST"],
    "CANARY-TEXT",
)
BROKEN_MEMBERS: dict[str, Any] = {
    "people": [{"id": "CANARY-NEW", "employments": [{"organisation": "CANARY-NOWHERE", "kind": "CANARY-KIND"}]}],
    "CANARY-SECTION": [],
}


def _ask_everything(server: Server) -> set[int]:
    """Canaries in whatever a caller can say, on every route that takes anything; the statuses that came."""

    def ask(method: str, path: str, document: object = None) -> bytes:
        body = None if document is None else json.dumps(document).encode()
        status, _, answer = server.request(method, path, body, seconds=60)
        statuses.add(status)
        return answer

    statuses: set[int] = set()
    for document in (ASKED, *HOSTILE):
        ask("POST", "/decide", document)
        ask("POST", "/simulate", {"request": document, "members": BROKEN_MEMBERS})
        ask("POST", "/simulate", {"request": document})
    ask("POST", "/decide/batch", {"requests": [ASKED, *HOSTILE]})
    ask("POST", "/decide/batch", {"requests": "CANARY", "CANARY-FIELD": 1})
    server.request("POST", "/decide", b'{"subject": "CANARY')
    freeze = {"authority": "CANARY-AUTHORITY", "reason": "CANARY-REASON"}
    ask("POST", "/freezes", {**freeze, "organisations": ["CANARY-ORG"]})
    ask("POST", "/freezes", {**freeze, "models": ["CANARY-MODEL"], "until": "CANARY-INSTANT"})
    ask("DELETE", "/freezes/CANARY-FREEZE", {"reason": "CANARY-REASON"})
    ask("GET", "/reviews?limit=CANARY&cursor=CANARY")
    ask("POST", "/reviews/CANARY-CASE/close", {"outcome": "refuse", "rationale": "CANARY-RATIONALE"})
    cases = json.loads(ask("GET", "/reviews") or b"{}").get("reviews", [])
    for case in cases:
        ask(
            "POST",
            f"/reviews/{case['id']}/close",
            {"outcome": "release", "rationale": "CANARY-RATIONALE", "members": BROKEN_MEMBERS},
        )
        ask("POST", f"/reviews/{case['id']}/close", {"outcome": "refuse", "rationale": "CANARY-RATIONALE"})
    files = {"rules/CANARY.csv": "CANARY", "catalogue.yaml": "CANARY: ["}
    ask("POST", "/policy/check", {"files": files})
    ask("POST", "/policy/proposals", {"files": files, "note": "CANARY-NOTE"})
    ask("GET", "/decisions/CANARY-ID")
    ask("GET", "/decisions?subject=CANARY-PERSON&CANARY=1")
    ask("GET", "/CANARY-PATH?CANARY=1")
    server.request("GET", "/log/proof/CANARY")
    return statuses


@pytest.mark.parametrize(
    ("part", "level"), [("serve", "error"), ("serve", "debug"), *((one, "debug") for one in BREAK)]
)
def test_a_real_process_says_nothing_about_anybody_whatever_it_is_asked_and_however_it_fails(
    part: str, level: str, migrated: Path, tmp_path: Path
) -> None:
    shutil.copyfile(migrated, tmp_path / "service.db")
    installation = installed(f"sqlite:///{tmp_path / 'service.db'}", tmp_path)
    parts = build(installation.settings)
    existing = parts.members.snapshot().rows
    parts.members.record(
        read_members(MARKED, "marked.yaml", existing=existing), actor="CANARY-ACTOR", reason="CANARY", at=system_clock()
    )
    parts.close()
    module = {} if part == "serve" else {"module": ("tests.faults.talkative", part)}
    with running(installation, environment={"POLICY_ENGINE_LOG_LEVEL": level}, **module) as server:
        statuses = _ask_everything(server)
        time.sleep(0.3)
        server.stop()
    said = (tmp_path / "serve.out").read_text()
    if part in ("keys", "ids", "desk"):
        assert HTTPStatus.INTERNAL_SERVER_ERROR in statuses
    elif part != "log":
        assert HTTPStatus.OK in statuses
        assert HTTPStatus.INTERNAL_SERVER_ERROR not in statuses
    if part not in ("serve", "nothing"):
        assert "RuntimeError" in said
    assert SECRET.startswith(CANARY)
    assert [line for line in said.splitlines() if CANARY in line or "203.0.113.77" in line] == []
