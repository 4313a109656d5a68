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
from datetime import datetime

from policy_engine.domain.roster import Authorisation, Membership, MembershipStatus


def memberships_in_force(rows: Iterable[Membership], at: datetime) -> list[Membership]:
    """Of the rows in force at the instant those that count, for each organisation and consortium."""
    held = [row for row in rows if row.valid.holds(at)]
    suspended = {_of(row) for row in held if row.status is MembershipStatus.SUSPENDED}
    return [row for row in held if row.status is MembershipStatus.SUSPENDED or _of(row) not in suspended]


def authorisation_in_force(rows: Iterable[Authorisation], at: datetime) -> Authorisation | None:
    """Of the rows under one id the one in force at the instant whose cap counts: the smallest; `None` where none is."""
    return min((row for row in rows if row.valid.holds(at)), key=_cap, default=None)


def _of(row: Membership) -> tuple[str, str]:
    return row.organisation, row.consortium


def _cap(row: Authorisation) -> tuple[bool, int, str]:
    return row.named_users is None, row.named_users or 0, repr(row.key)
