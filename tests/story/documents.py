"""The documents that are stories: each with the book and the roster that it begins with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from policy_engine.policy.cases import desk_folder
from tests.conftest import POLICIES, ROOT
from tests.story.hour import hour
from tests.story.june import june
from tests.story.story import START, Place, world

STORIES: Final = tuple(ROOT / "docs" / f"{name}.md" for name in ("compliance", "members", "first-hour", "auditors"))


@contextmanager
def beginning(story: Path, migrated: Path, folder: Path) -> Iterator[Place]:
    """The place in which a story begins."""
    if story.name in ("first-hour.md", "auditors.md"):
        with hour(folder) as place:
            yield place
        return
    if story.name == "compliance.md":
        book, roster = june(folder / "policies"), POLICIES / "demo" / "roster.yaml"
    else:
        book, roster = _shipped(folder / "policies"), folder / "nobody.yaml"
        roster.write_text("organisations: []\n", encoding="utf-8")
    with world(migrated, folder, book, roster, START) as began:
        yield began


def _shipped(folder: Path) -> Path:
    """The shipped book with one of its files of worked examples, since trying all of them takes its time."""
    for name in desk_folder(POLICIES):
        if not name.startswith("cases/") or name == "cases/consortium.yaml":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(POLICIES / name, folder / name)
    return folder
