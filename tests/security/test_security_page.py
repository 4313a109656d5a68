"""What the page on security says is what the suite has: each file that it names, and each count."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from benchmarks.torture import __main__ as torture
from tests.api.test_fuzz import REQUESTS
from tests.conftest import ROOT

PAGE: Final = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def test_each_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(tests/[^`]+)`", PAGE))

    assert len(named) > 20
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_the_counts_of_the_page_are_those_of_the_tests() -> None:
    stalled = (ROOT / "tests" / "api" / "test_connections.py").read_text(encoding="utf-8")

    assert f"{REQUESTS:,} hostile requests" in PAGE
    assert "152 stalled connections" in PAGE
    assert "range(152)" in stalled
    assert f"{torture.WORLDS:,} by `make torture`" in PAGE


def test_each_page_that_is_linked_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGE)

    assert [link for link in links if not (Path(ROOT) / "docs" / link).exists()] == []
