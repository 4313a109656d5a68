"""How a row of the members is named on a command line and in a remedy: its kind in one word, and what it is about.

A row is named by what it says something of, such as an organisation and a consortium, and not by its key: who ends or
takes back a row need not know its other fields. Several rows about one thing are told apart by when they begin.
"""

from __future__ import annotations

import shlex

from policy_engine.domain.instants import format_instant
from policy_engine.domain.roster import Recorded


def command(*words: str) -> str:
    """A command of `policy-engine members` as it can be pasted into a shell."""
    return shlex.join(("policy-engine", "members", *words))


def told_interval(row: Recorded) -> str:
    """The interval of a dated row in words."""
    valid = getattr(row, "valid")  # noqa: B009  only the dated kinds have it
    start = "always" if valid.start is None else f"from {format_instant(valid.start)}"
    return start if valid.end is None else f"{start} to {format_instant(valid.end)}"
