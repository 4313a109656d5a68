"""When something was revoked, as the log and the membership rows have it, and whose decisions come after it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

from policy_engine.domain.changes import KeyRevoked
from policy_engine.domain.in_force import memberships_in_force
from policy_engine.domain.ports import DeskLog
from policy_engine.domain.roster import Authorisation, Membership, MembershipStatus, Roster, RosterRows

D = TypeVar("D", Authorisation, Membership)


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
    found += _taken_back(name, rows)
    roster = Roster.as_known(rows)
    found += _ended_authorisations(name, roster.authorisations_by_id.get(name, ()))
    organisation, _, consortium = name.partition("/")
    memberships = [row for row in roster.memberships.get(organisation, ()) if consortium in ("", row.consortium)]
    found += _ended_memberships(memberships, rows.memberships)
    return tuple(sorted(found, key=lambda one: one.at))


def _taken_back(name: str, rows: RosterRows) -> list[Revocation]:
    """Rows that were never true, from the instant at which that was recorded."""
    organisation, _, consortium = name.partition("/")
    found = []
    for authorisation in _latest(row for row in rows.authorisations if row.id == name):
        if authorisation.retracted and authorisation.recorded_at is not None:
            what = f"authorisation {name} of {authorisation.holder} retracted"
            found.append(Revocation(what=what, at=authorisation.recorded_at, organisation=authorisation.holder))
    for row in _latest(row for row in rows.memberships if row.organisation == organisation):
        if row.retracted and row.status is MembershipStatus.ACTIVE and row.recorded_at is not None:
            what = f"membership of {row.organisation} in {row.consortium} retracted"
            if consortium in ("", row.consortium):
                found.append(Revocation(what=what, at=row.recorded_at, organisation=row.organisation))
    return found


def _latest(rows: Iterable[D]) -> Iterable[D]:
    """Of each key the row recorded last; rows on file are dated and come in the order of recording."""
    return {row.key: row for row in sorted(rows, key=lambda row: row.recorded_at or _FIRST)}.values()


def _ended_authorisations(name: str, rows: Iterable[Authorisation]) -> list[Revocation]:
    holders: dict[str, list[datetime | None]] = {}
    for row in rows:
        holders.setdefault(row.holder, []).append(row.valid.end)
    found = []
    for holder, ends in holders.items():
        dated = [end for end in ends if end is not None]
        if len(dated) == len(ends):
            found.append(Revocation(what=f"authorisation {name} of {holder} ended", at=max(dated), organisation=holder))
    return found


def _ended_memberships(rows: Iterable[Membership], recorded: Sequence[Membership]) -> list[Revocation]:
    consortia: dict[str, list[Membership]] = {}
    for row in rows:
        consortia.setdefault(row.consortium, []).append(row)
    ended = (_ended_membership(held, recorded) for held in consortia.values())
    return [one for one in ended if one is not None]


def _ended_membership(rows: Sequence[Membership], recorded: Sequence[Membership]) -> Revocation | None:
    """Since when the membership is active no more, by the row that counts at each instant at which one begins or ends.

    A row that was active and is corrected to suspended says since when only by when it was recorded.
    """
    edges = {edge for row in rows for edge in (row.valid.start, row.valid.end) if edge is not None}
    active, since, how = False, None, "ended"
    for edge in sorted({_FIRST, *edges}):
        counting = next(iter(memberships_in_force(rows, edge)), None)
        was, active = active, counting is not None and counting.status is MembershipStatus.ACTIVE
        if counting is not None and counting.status is MembershipStatus.SUSPENDED and (was or since is None):
            corrected = any(one.key == counting.key and one.status is MembershipStatus.ACTIVE for one in recorded)
            since, how = counting.recorded_at if corrected else counting.valid.start, "suspended"
        elif was and not active:
            since, how = edge, "ended"
    if active or since is None:
        return None
    row = rows[0]
    return Revocation(
        what=f"membership of {row.organisation} in {row.consortium} {how}", at=since, organisation=row.organisation
    )


_FIRST: Final = datetime.min.replace(tzinfo=UTC)
