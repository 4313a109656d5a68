"""Import, export and show the membership database in the shape of the membership file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from policy_engine.domain.in_force import true_at
from policy_engine.domain.narrowing import new_rows
from policy_engine.domain.ports import Members, MembersMoved, MembersUnavailable, Snapshot
from policy_engine.domain.roster import PERSON_PREFIX, RosterRows, with_rows
from policy_engine.domain.tangles import largest_tangles
from policy_engine.formats.book_names import BookNames
from policy_engine.formats.membership_file import read_member_tables, read_members, write_members
from policy_engine.formats.membership_writer import in_the_end
from policy_engine.formats.roster_rows import each_row
from policy_engine.formats.roster_tables import TableForm
from policy_engine.service.administration.member_edits import Edit, rows_of_edit
from policy_engine.service.administration.simulate import recorded
from policy_engine.shapes.member_rows import BY_ROWS, PERSONAL

_LAST: Final = datetime.max.replace(tzinfo=UTC)
MAX_ATTEMPTS: Final = 20
"""How often rows are made again while others are recorded in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterChange:
    """What an import or an edit did, or would do: the revision in force after it, how many rows were new and which,
    and everything on file with them."""

    revision: int
    added: int
    new: RosterRows
    after: RosterRows
    dry_run: bool = False

    def sentence(self) -> str:
        """In plain words."""
        if not self.added:
            return f"nothing new: what is on file at revision {self.revision} says so already"
        of = "nothing was recorded; it would be" if self.dry_run else "the membership is at"
        return f"{of} revision {self.revision}"


def import_members(
    members: Members,
    data: bytes,
    source: str,
    *,
    names: BookNames,
    actor: str,
    reason: str,
    at: datetime,
    tables: TableForm | None = None,
    dry_run: bool = False,
) -> RosterChange:
    """Read a membership file and record what is new in it, all or nothing; or say what that would do.

    With `tables` the file is a workbook or a CSV file of that form. A row that names what is not among the `names` of
    the book would be taken and not read, and is a fault.

    Raises `FaultsError` with every fault of the file, and `MembersUnavailable`; nothing is changed then.
    """

    def rows(existing: RosterRows) -> RosterRows:
        if tables is None:
            return read_members(data, source, existing=existing, names=names)
        return read_member_tables(data, source, existing=existing, tables=tables, names=names)

    return _recorded(members, rows, actor=actor, reason=reason, at=at, dry_run=dry_run)


def edit_members(
    members: Members,
    edit: Edit,
    *,
    names: BookNames,
    actor: str,
    reason: str,
    at: datetime,
    dry_run: bool = False,
) -> RosterChange:
    """Change a row; what the edit closes and opens is recorded together.

    Raises `EditFault`, `FaultsError` and `MembersUnavailable`; nothing is changed then.
    """
    return _recorded(
        members,
        lambda existing: rows_of_edit(edit.from_now(at), existing, names),
        actor=actor,
        reason=reason,
        at=at,
        dry_run=dry_run,
    )


def _recorded(
    members: Members,
    make: Callable[[RosterRows], RosterRows],
    *,
    actor: str,
    reason: str,
    at: datetime,
    dry_run: bool,
) -> RosterChange:
    """Record the rows that `make` gives beside those on file; beside others, where somebody recorded in between.

    What `make` refuses, such as rows that overlap, is refused against what is on file in the transaction that writes.
    """
    for _ in range(MAX_ATTEMPTS):
        before = members.snapshot()
        rows = make(before.rows)
        if dry_run:
            return _supposed(before, rows)
        try:
            imported = members.record(rows, actor=actor, reason=reason, at=at, under=before.revision)
        except MembersMoved:
            continue
        after = members.snapshot().rows if imported.added else before.rows
        new = new_rows(before.rows, rows)
        return RosterChange(revision=imported.revision, added=imported.added, new=new, after=after)
    raise MembersUnavailable(
        f"the members were changed by somebody else {MAX_ATTEMPTS} times meanwhile; nothing was recorded: try again"
    )


def _supposed(before: Snapshot, rows: RosterRows) -> RosterChange:
    new = new_rows(before.rows, rows)
    added = sum(1 for _ in each_row(new))
    after = with_rows(before.rows, recorded(new, _LAST))
    revision = before.revision + (added > 0)
    return RosterChange(revision=revision, added=added, new=new, after=after, dry_run=True)


TANGLED: Final = 100
"""Companies in one tangle from which on an import says so."""


def warn_of_tangles(members: Members) -> tuple[str, ...]:
    """A sentence for each large tangle of owners on file, at whatever instant. Raises `MembersUnavailable`."""
    stakes = members.snapshot().rows.stakes
    return tuple(
        f"ownership of {size:,} companies forms one tangle, that of `{first}`: a decision about one of them, or about "
        f"what they own, takes longer the first time, and where that is more work than is allowed it is denied with "
        f"OWNERSHIP_UNRESOLVED and `ownership.tangle:{first}` missing; check that these shares are right"
        for first, size in largest_tangles(((stake.owner, stake.owned) for stake in stakes), at_least=TANGLED)
    )


def first_recorded(rows: RosterRows) -> datetime | None:
    """When the first of the rows was recorded; `None` where there are none."""
    return min((row.recorded_at for row in each_row(rows) if row.recorded_at is not None), default=None)


def export_members(members: Members) -> str:
    """Everything ever recorded, corrections and corrected alike. Raises `MembersUnavailable`."""
    return write_members(members.snapshot().rows)


def rows_about(members: Members, name: str, *, known_at: datetime | None = None) -> RosterRows | None:
    """The rows of the database about one id, as `rows_on` has them. Raises `MembersUnavailable`."""
    return rows_on(members.snapshot().rows, name, known_at=known_at)


def rows_on(
    recorded: RosterRows, name: str, *, known_at: datetime | None = None, at: datetime | None = None
) -> RosterRows | None:
    """Every row, undated and as known at an instant or in the end, that is about one id or points at it, and the people
    whom those rows name with their whole lists; with `at` only what is true then. `None` where there is none.

    `write_members(rows, unknown=True)` writes a list that was never filed as null, and one that is known to be empty
    as `[]`.
    """
    rows = in_the_end(recorded, known_at)
    if at is not None:
        rows = true_at(rows, at)
    names = {name, PERSON_PREFIX + name}
    chosen = {kind: tuple(row for row in getattr(rows, kind) if not names.isdisjoint(_names(row))) for kind in BY_ROWS}
    if not any(chosen.values()):
        return None
    named = {person for kept in chosen.values() for row in kept if (person := getattr(row, "person", None)) is not None}
    people = {name} | named
    chosen["people"] = tuple(row for row in rows.people if row.id in people)
    for section in PERSONAL:
        # Whole lists, so that none reads as known: none.
        chosen[section.rows] = tuple(row for row in getattr(rows, section.rows) if row.person in people)
    return replace(rows, **chosen)


_NAMING: Final = ("id", "person", "organisation", "owner", "owned", "party", "holder")


def _names(row: object) -> set[str]:
    return {value for name in _NAMING if isinstance(value := getattr(row, name, None), str)}
