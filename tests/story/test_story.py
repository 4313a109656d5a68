"""The compliance officer's story runs, and its page tells what it prints."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import POLICIES
from tests.story.june import june
from tests.story.regenerate import STORY
from tests.story.story import START, told_again, without_times, world


def test_the_page_tells_what_its_commands_print(migrated: Path, tmp_path: Path) -> None:
    text = STORY.read_text(encoding="utf-8")
    with world(migrated, tmp_path, june(tmp_path / "policies"), POLICIES / "demo" / "roster.yaml", START) as place:
        told = told_again(text, place)
    assert without_times(told) == without_times(text)
