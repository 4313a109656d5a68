"""The documents that tell a story run, and their pages tell what they print."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.story.documents import STORIES, beginning
from tests.story.story import told_again


@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.stem)
def test_the_page_tells_what_its_commands_print(story: Path, migrated: Path, tmp_path: Path) -> None:
    text = story.read_text(encoding="utf-8")
    with beginning(story, migrated, tmp_path) as place:
        told = place.settled(told_again(text, place))
        assert told == place.settled(text), "python -m tests.story.regenerate writes it anew"
