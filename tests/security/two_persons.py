"""Who needs a second person for what: `python -m tests.security.two_persons` tries it and writes the page anew."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

from tests.conftest import ROOT

PAGE: Final = ROOT / "docs" / "security" / "two-persons.md"
WRITE: Final = "TWO_PERSONS_WRITE"

KEYS: Final = (
    "another person",
    "the same person, another key",
    "no person",
    "a feed of accounts",
    "without the right",
    "revoked",
)
"""Who acts. `another person` is not the one who proposed, where something was proposed before."""

ACTIONS: Final = {
    "propose what only narrows": "members",
    "propose what may widen": "members",
    "propose an account": "members",
    "look at what would come of it": "members",
    "approve what was shown": "members",
    "approve something else than was shown": "members",
    "approve blind": "members",
    "withdraw what waits": "members",
    "ask for the release of a case": "reviews",
    "confirm the release that was shown": "reviews",
    "confirm other rows than were shown": "reviews",
    "confirm a release blind": "reviews",
}
"""What is done, and at which part of the desk."""

DOORS: Final = ("HTTP", "command line")

Outcome = Mapping[tuple[str, str, str], str]
"""What came, by action, key and door."""


def page(outcome: Outcome) -> str:
    """The table as Markdown; where both doors said the same it is said once."""
    lines = [
        "# Who needs a second person",
        "",
        "Every line was tried with every key through the service, over HTTP and from the command line:"
        f" {len(outcome)} combinations. The page is made from what came (`python -m tests.security.two_persons`), and"
        " the suite tries it again.",
        "",
        "What only narrows is a suspension, an end, a listing that is not cleared, and an authorisation or a membership"
        " that is taken back. `at once`: on file with this act. `waits`: nothing is on file before another person"
        " approves it.",
        "",
        f"| what | {' | '.join(KEYS)} |",
        f"|---|{'---|' * len(KEYS)}",
    ]
    for action in ACTIONS:
        cells = []
        for key in KEYS:
            said = [outcome[action, key, door] for door in DOORS]
            cells.append(
                said[0] if len(set(said)) == 1 else "; ".join(f"{d}: {s}" for d, s in zip(DOORS, said, strict=True))
            )
        lines.append(f"| {action} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    tests = [sys.executable, "-m", "pytest", "-q", str(ROOT / "tests" / "security" / "test_two_persons.py")]
    told = subprocess.run(tests, env={**os.environ, WRITE: "1"}, cwd=ROOT, check=False)  # noqa: S603  of this module
    sys.exit(told.returncode)
