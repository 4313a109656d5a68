"""The readme begins with a request and what really comes of it, and leads to files that are there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.api.desks import ROSTER
from tests.api.service import copied, serving
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
SAMPLE = re.compile(r"<!-- sample: [^>]*-->\n```json\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
PAGES = [ROOT / "README.md", ROOT / "policies" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def shows(told: Any, whole: Any) -> bool:
    """Whether everything that is told stands in the whole: of an object some members, of a list of objects some."""
    if isinstance(told, dict):
        return isinstance(whole, dict) and all(name in whole and shows(told[name], whole[name]) for name in told)
    if isinstance(told, list) and told and all(isinstance(one, dict) for one in told):
        return isinstance(whole, list) and all(any(shows(one, other) for other in whole) for one in told)
    return bool(told == whole)


def test_the_readme_begins_with_a_request_and_what_the_service_answers(migrated: Path, tmp_path: Path) -> None:
    request, answer = (json.loads(block) for block in SAMPLE.findall(README))
    with serving(copied(migrated, tmp_path), ROSTER) as service:
        answered = service.decide(request)

    assert answered.status_code == 200
    assert shows(answer, answered.json())
    assert README.index("<!-- sample") < README.index("\n## ")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)

    assert [to for to in LINK.findall(text) if not (page.parent / to).exists()] == []
