"""Write the story of `docs/compliance.md` with what its commands print now: `python -m tests.story.regenerate`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from policy_engine.store import migrate
from policy_engine.store.database import open_database
from tests.conftest import POLICIES
from tests.story.june import june
from tests.story.story import START, told_again, world

STORY = POLICIES.parent / "docs" / "compliance.md"


def main() -> None:
    """Run the story and write it down."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        engine = open_database(f"sqlite:///{folder / 'migrated.db'}")
        migrate.upgrade(engine)
        engine.dispose()
        roster = POLICIES / "demo" / "roster.yaml"
        with world(folder / "migrated.db", folder, june(folder / "policies"), roster, START) as place:
            STORY.write_text(told_again(STORY.read_text(encoding="utf-8"), place), encoding="utf-8")


if __name__ == "__main__":
    main()
