"""Each worked example gives the same answer over HTTP, from an application built for it with its own clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from policy_engine.domain.instants import format_instant
from policy_engine.policy.cases import Case
from tests.api.service import copied, known_by, serving
from tests.conftest import CASES, judge_of


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_worked_example_holds_over_http(case: Case, migrated: Path, tmp_path: Path) -> None:
    url = copied(migrated, tmp_path)
    rows = known_by(case.members, case.known_at)
    with serving(url, rows, judge=judge_of(case), at=case.at, recorded=case.known_at) as service:
        headers = service.key(gateway=case.gateway, assertable=case.assertable)
        response = service.decide(dict(case.document), headers)
        assert response.status_code == 200, response.text
        answer = response.json()
        record = service.client.get(f"/decisions/{answer['decision_id']}", headers=headers).json()
    _assert_expected(case, answer)
    assert record["answer"] == answer


def _assert_expected(case: Case, answer: dict[str, Any]) -> None:
    expect = case.expect
    deciding = [finding for finding in answer["findings"] if finding["state"] == "deciding"]
    codes = {code for finding in deciding for code in finding["codes"]}
    rules = {finding["rule"] for finding in deciding}
    assert answer["decision"] == expect.decision
    assert answer["allowed"] is (expect.decision == "allow")
    assert expect.hold in (None, answer["hold"])
    assert set(expect.codes) <= codes
    assert codes.isdisjoint(expect.not_codes)
    assert expect.only_rules is None or set(expect.only_rules) == rules
    assert set(expect.rules) <= rules
    assert expect.reason in (None, answer["reason"]["code"])
    others = {finding["rule"] for finding in answer["findings"]} - rules
    assert set(expect.other) <= others
    assert expect.missing is None or sorted(expect.missing) == answer["missing"]
    assert expect.alternatives is None or list(expect.alternatives) == answer["alternatives"]
    remedies = [one["change"] for one in answer["remedies"]]
    assert set(expect.remedies) <= set(remedies)
    assert set(expect.obligations) <= {one["id"] for one in answer["obligations"]}
    assert expect.valid_until is None or format_instant(expect.valid_until) == answer["valid_until"]
    assert answer["decided_at"] == format_instant(case.at)
