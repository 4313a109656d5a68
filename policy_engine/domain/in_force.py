"""Which row counts where several rows in force speak of one thing: the one that allows least.

Two rows about one membership or authorisation that hold at the same instant and say different things are a
mistake of whoever filed them, and no import accepts them; in older files and case files they may stand. This is the one
place that says what they mean, for whoever decides, draws on a cap, looks for revocations or shows what is on file:

- one membership (organisation and consortium): suspended before active;
- one authorisation (its id): whatever every row allows, with the smallest cap of any.

Of listings every row in force counts: each has its own bar, which no other listing lifts, so the one that allows least
decides by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime

from policy_engine.domain.instants import Validity
from policy_engine.domain.roster import Authorisation, Membership, MembershipStatus, RosterRows


def memberships_in_force(rows: Iterable[Membership], at: datetime) -> list[Membership]:
    """Of the rows in force at the instant those that count, for each organisation and consortium."""
    held = [row for row in rows if row.valid.holds(at)]
    suspended = {_of(row) for row in held if row.status is MembershipStatus.SUSPENDED}
    return [row for row in held if row.status is MembershipStatus.SUSPENDED or _of(row) not in suspended]


def authorisation_in_force(rows: Iterable[Authorisation], at: datetime) -> Authorisation | None:
    """Of the rows under one id the one in force at the instant whose cap counts: the smallest; `None` where none is."""
    return min((row for row in rows if row.valid.holds(at)), key=_cap, default=None)


def state_at(row: object, at: datetime) -> str:
    """Whether a row is `in force` at the instant, has `ended`, or begins `later`; one without dates is `on file`."""
    valid: Validity | None = getattr(row, "valid", None)
    if valid is None:
        return "on file"
    return "in force" if valid.holds(at) else "ended" if valid.ended(at) else "later"


def true_at(rows: RosterRows, at: datetime) -> RosterRows:
    """The rows without those that are not true at the instant."""
    return RosterRows(
        **{
            one.name: tuple(row for row in getattr(rows, one.name) if state_at(row, at) in ("on file", "in force"))
            for one in fields(rows)
        }
    )


def _of(row: Membership) -> tuple[str, str]:
    return row.organisation, row.consortium


def _cap(row: Authorisation) -> tuple[bool, int, str]:
    return row.named_users is None, row.named_users or 0, repr(row.key)
