"""Books, people and keys for tests of the compliance desk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from policy_engine.domain.facts import Question
from policy_engine.domain.instants import parse_instant
from policy_engine.formats.membership_file import read_members
from policy_engine.policy.cases import desk_folder
from policy_engine.policy.judge import Judge
from tests.api.service import Service
from tests.conftest import POLICIES, SMALL_BOOK

ROSTER: Final = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")
ALLOWED: Final[dict[str, Any]] = {
    "subject": {"type": "person", "id": "carol"},
    "model": "mythos-5",
    "action": "infer",
    "purpose": "defensive_cybersecurity",
    "place": {"country": "US"},
}
LATER: Final = parse_instant("2026-11-21T00:00:00Z")

_EXAMPLE: Final = """\
- id: ONE
  title: nobody may
  note: who is not on file is denied
  at: 2026-11-20T12:00:00Z
  request: {subject: {type: person, id: nobody}, model: opus-4.6, action: infer}
  expect: {decision: deny, reason: SUBJECT_UNKNOWN}
"""
_CASES: Final = "cases/one.yaml"


def with_one_example(folder: Path) -> dict[str, str]:
    """The book of a folder with one worked example in place of its own."""
    files = {name: data.decode() for name, data in desk_folder(folder).items() if not name.startswith("cases/")}
    return {**files, _CASES: _EXAMPLE}


SMALL: Final = with_one_example(SMALL_BOOK)
SHIPPED: Final = with_one_example(POLICIES)


def edited(name: str, old: str, new: str, files: Mapping[str, str] = SMALL) -> dict[str, str]:
    """The files with one of them changed in one place."""
    assert files[name].count(old) == 1, (name, old)
    return {**files, name: files[name].replace(old, new)}


def without_consortium(files: Mapping[str, str]) -> dict[str, str]:
    """The files of a book under which membership grants nothing."""
    granting = "enforced,vendor terms (Project Glasswing),The organisation acting is an active member"
    return edited("rules/consortium.csv", granting, granting.replace("enforced", "advisory"), files)


WITHOUT_CONSORTIUM: Final = without_consortium(SMALL)
FAILING: Final = edited(_CASES, "decision: deny", "decision: allow")
FAULTY: Final = edited("rules/vendor.csv", "VENDOR-REGION,vendor,deny", "VENDOR-REGION,vendor,Deny")


class Officer:
    """A person with a key that has every right."""

    def __init__(self, service: Service, person: str | None, *rights: str) -> None:
        self.service = service
        self.headers = service.key(*rights, person=person)

    def get(self, path: str, **query: str) -> Any:
        return self.service.client.get(path, headers=self.headers, params=query)

    def post(self, path: str, **body: Any) -> Any:
        return self.service.client.post(path, headers=self.headers, json=body)

    def delete(self, path: str, **body: Any) -> Any:
        return self.service.client.request("DELETE", path, headers=self.headers, json=body)

    def propose(self, files: Mapping[str, str], **more: Any) -> Any:
        return self.post("/policy/proposals", **{"files": dict(files), "note": "counsel", **more})

    def approve(self, proposal: str) -> Any:
        """Approve, with what becomes of the worked examples acknowledged."""
        return self.post(f"/policy/proposals/{proposal}/approve", note="read", cases=self.cases_of(proposal))

    def cases_of(self, proposal: str) -> str | None:
        """The digest of the report about worked examples; none where there is no such proposal."""
        told = self.get(f"/policy/proposals/{proposal}").json()
        return next((report["digest"] for report in told.get("reports", ()) if report["name"] == "cases"), None)

    def freeze(self, **scope: Any) -> Any:
        return self.post("/freezes", **{"authority": "chief compliance officer", "reason": "order", **scope})

    def decide(self, **changes: Any) -> Any:
        """The answer to the request that a member may make, with changes."""
        response = self.service.decide({**ALLOWED, **changes}, self.headers)
        assert response.status_code == 200
        return response.json()


def published(author: Officer, approver: Officer, files: Mapping[str, str], **more: Any) -> Any:
    """A proposal of one, approved by another."""
    proposed = author.propose(files, **more)
    assert proposed.status_code == 201, proposed.text
    approved = approver.approve(proposed.json()["id"])
    assert approved.status_code == 200, approved.text
    return approved.json()


def deciding(answer: Any) -> set[str]:
    """The codes of the findings that decide."""
    return {code for finding in answer["findings"] if finding["state"] == "deciding" for code in finding["codes"]}


OVERLOOKED: Final = "VENDOR-REGION"
TRIED: Final = {
    **SMALL,
    _CASES: f"""{_EXAMPLE}- id: TWO
  title: nobody asks from Iran
  note: more than one rule denies it, so that the example does not notice when one of them is overlooked
  at: 2026-11-20T12:00:00Z
  members:
    organisations: [{{id: acme, incorporated: US, headquarters: US}}]
    people: [{{id: ann, employments: [{{organisation: acme, kind: employee}}]}}]
  request: {{subject: {{type: person, id: ann}}, model: mythos-5, action: infer, place: {{country: IR}}}}
  expect: {{decision: deny}}
""",
}
"""The small book with an example that still holds when the engine overlooks a rule."""


def overlook(monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    """A fault put into the engine: its compiled path never comes to a bar."""
    build = Judge._build

    def overlooking(judge: Judge, question: Question) -> Any:
        found = build(judge, question)
        bars = tuple(tuple(one for one in layer if one.row.id != rule) for layer in found.bars)
        return replace(found, bars=bars)

    monkeypatch.setattr(Judge, "_build", overlooking)
