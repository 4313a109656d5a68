"""How a row of the members is named on a command line and in a remedy: its kind in one word, and what it is about.

A row is named by what it says something of, such as an organisation and a consortium, and not by its key: who ends or
takes back a row need not know its other fields. Several rows about one thing are told apart by when they begin.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from policy_engine.domain.instants import format_instant
from policy_engine.domain.roster import Recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class RowKind:
    """A kind of rows: its word, its name in `RosterRows`, and the fields that say what a row is about."""

    word: str
    rows: str
    fields: tuple[str, ...]
    dated: bool = True

    def name_of(self, row: Recorded) -> tuple[str, ...]:
        """What the row is about; a field that is not filed is ""."""
        return tuple(str(getattr(row, name) or "") for name in self.fields)


ROW_KINDS: Final[Mapping[str, RowKind]] = {
    kind.word: kind
    for kind in (
        RowKind(word="organisation", rows="organisations", fields=("id",), dated=False),
        RowKind(word="person", rows="people", fields=("id",), dated=False),
        RowKind(word="employment", rows="employments", fields=("person", "organisation", "kind")),
        RowKind(word="us-status", rows="us_statuses", fields=("person", "kind")),
        RowKind(word="citizenship", rows="citizenships", fields=("person", "country")),
        RowKind(word="residency", rows="permanent_residencies", fields=("person", "country")),
        RowKind(word="account", rows="accounts", fields=("id",)),
        RowKind(word="consortium", rows="consortia", fields=("id",), dated=False),
        RowKind(word="membership", rows="memberships", fields=("organisation", "consortium")),
        RowKind(word="ownership", rows="stakes", fields=("owner", "owned")),
        RowKind(word="authorisation", rows="authorisations", fields=("id",)),
        RowKind(word="draw", rows="draws", fields=("authorisation", "person"), dated=False),
        RowKind(word="listing", rows="listings", fields=("party", "list", "entry")),
        RowKind(word="statement", rows="statements", fields=("organisation", "kind")),
        RowKind(word="cluster", rows="clusters", fields=("id",), dated=False),
    )
}
"""Every kind of rows by its word."""


def command(*words: str) -> str:
    """A command of `policy-engine members` as it can be pasted into a shell."""
    return shlex.join(("policy-engine", "members", *words))


def end_command(kind: RowKind, row: Recorded, to: str) -> str:
    """The command that ends a row at an instant."""
    return command("end", kind.word, *kind.name_of(row), "--to", to)


def told_interval(row: Recorded) -> str:
    """The interval of a dated row in words."""
    valid = getattr(row, "valid")  # noqa: B009  only the dated kinds have it
    start = "always" if valid.start is None else f"from {format_instant(valid.start)}"
    return start if valid.end is None else f"{start} to {format_instant(valid.end)}"
