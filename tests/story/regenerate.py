"""Write the stories with what their commands print now: `python -m tests.story.regenerate [NAME...]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from policy_engine.store import migrate
from policy_engine.store.database import open_database
from tests.story.documents import STORIES, beginning
from tests.story.story import told_again


def main(names: list[str]) -> None:
    """Run the stories and write them down; those named, or all."""
    for story in STORIES:
        if names and story.stem not in names:
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            engine = open_database(f"sqlite:///{folder / 'migrated.db'}")
            migrate.upgrade(engine)
            engine.dispose()
            with beginning(story, folder / "migrated.db", folder) as place:
                story.write_text(told_again(story.read_text(encoding="utf-8"), place), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
