"""The book of 11 June 2026: the shipped one before the order was known, with worked examples of its own."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Final

from policy_engine.wiring import desk_folder
from tests.conftest import POLICIES

LATER: Final = frozenset({"US-COM-2026-06-12", "US-COM-2026-06-26", "US-ORDER-LICENCES", "OPERATOR-SUSPEND-ALL"})
"""The rules that the story adds."""

CASES: Final = """\
- id: JUNE-1
  title: a citizen of China at an American member uses Mythos 5 for defence
  note: no rule of the book looks at citizenship for a model call
  at: 2026-06-10T15:00:00Z
  members: &members
    organisations:
      - {id: harbor-cyber, incorporated: US, headquarters: US, sector: other, reseller: false}
    people:
      - {id: alice, employments: [{organisation: harbor-cyber, kind: employee}], us_status: [{kind: none}],
         citizenships: [{country: CN}], permanent_residencies: []}
      - {id: carol, employments: [{organisation: harbor-cyber, kind: employee}], us_status: [{kind: citizen}],
         citizenships: [{country: US}], permanent_residencies: []}
    consortia: [{id: glasswing}]
    memberships: [{organisation: harbor-cyber, consortium: glasswing, from: 2026-04-07, status: active}]
  request: {subject: {type: person, id: alice}, model: mythos-5, action: infer, purpose: defensive_cybersecurity,
            place: {country: US}}
  expect: {decision: allow, reason: MEMBER_ACTIVE}
"""


def june(folder: Path) -> Path:
    """Write the book of 11 June into a folder."""
    for name, data in desk_folder(POLICIES).items():
        if name.startswith("cases/"):
            continue
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_before(data) if name.startswith("rules/") else data)
    (folder / "rules" / "us-order.csv").unlink()
    with (folder / "settings.yaml").open("a", encoding="utf-8") as settings:
        settings.write("without: [us-order]\n")
    (folder / "cases").mkdir()
    (folder / "cases" / "june.yaml").write_text(CASES.replace("&members", ""), encoding="utf-8")
    return folder


def _before(data: bytes) -> bytes:
    rows = list(csv.reader(io.StringIO(data.decode("utf-8"))))
    kept = io.StringIO()
    writer = csv.writer(kept, lineterminator="\n")
    writer.writerows(
        [cell.replace("status-read-by:US-COM-2026-06-12,", "status-read-by:") for cell in row]
        for row in rows
        if row[0] not in LATER
    )
    return kept.getvalue().encode("utf-8")
