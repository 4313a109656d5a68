"""Import, export and show the membership database in the shape of the membership file."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, replace
from datetime import datetime
from typing import Final

from policy_engine.domain.ports import Imported, Members
from policy_engine.domain.roster import PERSON_PREFIX
from policy_engine.domain.tangles import largest_tangles
from policy_engine.formats.membership_file import read_members, write_members


def import_members(
    members: Members,
    data: bytes,
    source: str,
    *,
    lists: Collection[str],
    actor: str,
    reason: str,
    at: datetime,
) -> Imported:
    """Read a membership file and record what is new in it, all or nothing.

    `lists` are those that the rules read; a listing on any other one would bar nobody, and is a fault.

    Raises `FaultsError` with every fault of the file, and `MembersUnavailable`; nothing is changed then.
    """
    rows = read_members(data, source, existing=members.snapshot().rows, lists=lists)
    return members.record(rows, actor=actor, reason=reason, at=at)


TANGLED: Final = 100
"""Companies in one tangle from which on an import says so."""


def warn_of_tangles(members: Members) -> tuple[str, ...]:
    """A sentence for each large tangle of owners on file, at whatever instant. Raises `MembersUnavailable`."""
    stakes = members.snapshot().rows.stakes
    return tuple(
        f"ownership of {size:,} companies forms one tangle, that of `{first}`: a decision about one of them, or about "
        f"what they own, takes longer the first time, and where it cannot be told within the bound on work it is a "
        f"deny, OWNERSHIP_UNRESOLVED, with `ownership.tangle:{first}` missing; check that these shares are right"
        for first, size in largest_tangles(((stake.owner, stake.owned) for stake in stakes), at_least=TANGLED)
    )


def export_members(members: Members) -> str:
    """Everything ever recorded, corrections and corrected alike. Raises `MembersUnavailable`."""
    return write_members(members.snapshot().rows)


def rows_about(members: Members, name: str) -> str:
    """Every row that is about one id or points at it, and the people whom those rows name, as a membership file.

    "" when there is none.
    """
    rows = members.snapshot().rows
    names = {name, PERSON_PREFIX + name}
    chosen = {
        column.name: tuple(row for row in getattr(rows, column.name) if not names.isdisjoint(_names(row)))
        for column in fields(rows)
    }
    if not any(chosen.values()):
        return ""
    named = {person for kept in chosen.values() for row in kept if (person := getattr(row, "person", None)) is not None}
    chosen["people"] = tuple(row for row in rows.people if row.id == name or row.id in named)
    return write_members(replace(rows, **chosen))


_NAMING: Final = ("id", "person", "organisation", "owner", "owned", "party", "holder")


def _names(row: object) -> set[str]:
    return {value for name in _NAMING if isinstance(value := getattr(row, name, None), str)}
