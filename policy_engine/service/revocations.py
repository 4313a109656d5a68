"""When something was revoked, as the log and the membership rows have it, and whose decisions come after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from policy_engine.domain.changes import KeyRevoked
from policy_engine.domain.ports import DeskLog
from policy_engine.domain.roster import Authorisation, Membership, MembershipStatus, Roster, RosterRows


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """What is over since an instant: `what` in words, and the key or the organisation whose decisions are asked for.

    `change` is the entry of the log that says so; a row's end stands in the membership rows and has none of its own.
    """

    what: str
    at: datetime
    caller: str | None = None
    organisation: str | None = None
    change: str | None = None


def revocations_of(log: DeskLog, name: str) -> tuple[Revocation, ...]:
    """What was revoked under a name, the earliest first: a key by its id, an authorisation by its id, memberships by
    `ORGANISATION` or `ORGANISATION/CONSORTIUM`. What is still in force is none.

    Raises `LogUnavailable` and `MembersUnavailable`.
    """
    found = [
        Revocation(what=f"key {name} revoked", at=change.at, caller=name, change=change.id)
        for change in log.changes(("key.revoked",))
        if isinstance(change.event, KeyRevoked) and change.event.key == name
    ]
    rows = log.standing(held_revision=None, after_index=-1).rows or RosterRows()
    roster = Roster.as_known(rows)
    papers = [row for held in roster.authorisations.values() for row in held if row.id == name]
    found += _ended_papers(name, papers)
    organisation, _, consortium = name.partition("/")
    memberships = [row for row in roster.memberships.get(organisation, ()) if consortium in ("", row.consortium)]
    found += _ended_memberships(memberships, rows.memberships)
    return tuple(sorted(found, key=lambda one: one.at))


def _ended_papers(name: str, rows: Iterable[Authorisation]) -> list[Revocation]:
    holders: dict[str, list[datetime | None]] = {}
    for row in rows:
        holders.setdefault(row.holder, []).append(row.valid.end)
    found = []
    for holder, ends in holders.items():
        dated = [end for end in ends if end is not None]
        if len(dated) == len(ends):
            found.append(Revocation(what=f"authorisation {name} of {holder} ended", at=max(dated), organisation=holder))
    return found


def _ended_memberships(rows: Iterable[Membership], recorded: Iterable[Membership]) -> list[Revocation]:
    last: dict[str, Membership] = {}
    for row in rows:
        held = last.get(row.consortium)
        if held is None or _begins_after(row, held):
            last[row.consortium] = row
    found = []
    for consortium, row in last.items():
        of = f"membership of {row.organisation} in {consortium}"
        at, how = row.valid.end, "ended"
        if row.status is MembershipStatus.SUSPENDED:
            # A row that was in force and is corrected to suspended says since when only by when it was recorded.
            was_active = any(
                one.key == row.key and one.status is MembershipStatus.ACTIVE for one in recorded if one is not row
            )
            at, how = (row.recorded_at if was_active else row.valid.start) or row.valid.start, "suspended"
        if at is not None:
            found.append(Revocation(what=f"{of} {how}", at=at, organisation=row.organisation))
    return found


def _begins_after(row: Membership, other: Membership) -> bool:
    return row.valid.start is not None and (other.valid.start is None or row.valid.start > other.valid.start)
