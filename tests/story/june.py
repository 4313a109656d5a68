"""The book of 11 June 2026, before the order was known: the small one of the tests with a second model under the order,
an item that is released to persons, and worked examples of its own."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Final

from policy_engine.policy.cases import desk_folder
from tests.conftest import SMALL_BOOK

LATER: Final = "OPERATOR-SUSPEND-ALL"
"""The operator suspended nothing on that day."""

CATALOGUE: Final = """\
fable-5:
  {kind: model, tier: commodity, vendor: anthropic, developer_country: US, weights: unpublished,
   training_operations: null, eccn: null, purposes: [], purposes_needing_review: [], consortium: null, lineage: [],
   fallbacks: [opus-4.6, gpt-5.4], aliases: {main: [fable]}, requires_end_user: false}
"technology:4E001.a":
  {kind: technology, tier: null, vendor: null, weights: null, consortium: null, lineage: [], requires_end_user: false,
   eccn: null}
"""
EXPORT: Final = SMALL_BOOK.parent / "june" / "us-ear.csv"
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
    files = {name: data.decode() for name, data in desk_folder(SMALL_BOOK).items() if not name.startswith("cases/")}
    files["catalogue.yaml"] += CATALOGUE
    files["rules/us-ear.csv"] = EXPORT.read_text(encoding="utf-8")
    files["rules/operator.csv"] = _without(files["rules/operator.csv"], LATER)
    files["settings.yaml"] = files["settings.yaml"].replace("us-ear, ", "")
    files["cases/june.yaml"] = CASES.replace("&members", "")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def _without(sheet: str, rule: str) -> str:
    kept = io.StringIO()
    csv.writer(kept, lineterminator="\n").writerows(row for row in csv.reader(io.StringIO(sheet)) if row[0] != rule)
    return kept.getvalue()
