"""Which rows of the members can only narrow, which may widen, and which a feed may record. Pure.

A row narrows when no decision that was a deny before it can be an allow after it. What is known to narrow is a closed
list, and everything else counts as widening:

- a membership that is suspended, ended earlier, or taken back while it was active;
- an authorisation that is ended earlier or taken back, unless another one under its id overlaps it: of several the one
  that allows least counts, so that taking one away could let another count;
- a listing that is not cleared, where it takes the place of none that says more;
- a statement that only ever lifts, ended earlier or taken back.

Taking back or shortening what bars (a suspension, a listing) widens. So does every fact about a person or an
organisation, since a rule may read it either way.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, TypeVar

from policy_engine.domain.instants import Validity
from policy_engine.domain.roster import (
    Authorisation,
    Listing,
    ListingStatus,
    Membership,
    MembershipStatus,
    PersonEntry,
    Recorded,
    RosterRows,
    Statement,
    StatementKind,
)

R = TypeVar("R", bound=Recorded)

FEEDS: Final[Mapping[str, str]] = {
    "organisations": "organisations",
    "ownership": "stakes",
    "people": "people",
    "employments": "employments",
    "us_status": "us_statuses",
    "citizenships": "citizenships",
    "permanent_residencies": "permanent_residencies",
    "accounts": "accounts",
    "clusters": "clusters",
}
"""The kinds of rows that a feed may be given, as the membership file and as `RosterRows` calls them: facts that a
system of record reports. What grants or lifts (a membership, an authorisation, a statement) or clears (a listing) is a
decision of people."""

_LISTS: Final = {
    "employments_filed": "employments",
    "us_status_filed": "us_statuses",
    "citizenships_filed": "citizenships",
    "permanent_residencies_filed": "permanent_residencies",
}
_ONLY_LIFTS: Final = frozenset({StatementKind.UVL, StatementKind.STA_CONSIGNEE, StatementKind.SUPP8_740})
_SAYS: Final = {ListingStatus.CLEARED: 0, ListingStatus.POTENTIAL: 1, ListingStatus.CONFIRMED: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Widening:
    """A row that may widen, and why it is taken to."""

    row: Recorded
    why: str


def new_rows(before: RosterRows, rows: RosterRows) -> RosterRows:
    """Those of the rows that say something else than the latest on file under their key."""
    found: dict[str, Any] = {}
    for column in fields(rows):
        latest = _latest(getattr(before, column.name))
        found[column.name] = tuple(
            row for row in getattr(rows, column.name) if _content(row) != _content(latest.get(row.key))
        )
    return RosterRows(**found)


def widenings(before: RosterRows, rows: RosterRows) -> tuple[Widening, ...]:
    """The rows, beside those on file, that may turn a deny into an allow; none where all of them only narrow."""
    found: list[Widening] = []
    memberships, listings = _latest(before.memberships), _latest(before.listings)
    authorisations, statements = _latest(before.authorisations), _latest(before.statements)
    for column in fields(rows):
        for row in getattr(rows, column.name):
            match row:
                case Membership():
                    why = _membership(row, _standing(memberships, row.key))
                case Authorisation():
                    held = _standing(authorisations, row.key)
                    beside = [one for one in authorisations.values() if one.id == row.id and one.key != row.key]
                    why = _authorisation(row, held, [one for one in beside if not one.retracted])
                case Listing():
                    why = _listing(row, _standing(listings, row.key))
                case Statement():
                    why = _statement(row, _standing(statements, row.key))
                case _:
                    why = "a rule may read this fact either way"
            if why is not None:
                found.append(Widening(row=row, why=why))
    return tuple(found)


def not_of_feed(before: RosterRows, rows: RosterRows, kinds: frozenset[str]) -> tuple[Recorded, ...]:
    """The rows that a feed with these kinds, by the file's names, may not record.

    A person's entry that files, or takes away, a list is of the kind of that list too."""
    people = _latest(before.people)
    kinds = frozenset(FEEDS[kind] for kind in kinds)
    refused: list[Recorded] = []
    for column in fields(rows):
        for row in getattr(rows, column.name):
            wanted = {column.name}
            if isinstance(row, PersonEntry):
                held = _standing(people, row.key)
                wanted |= {kind for flag, kind in _LISTS.items() if getattr(row, flag) != getattr(held, flag, False)}
            if not wanted <= kinds:
                refused.append(row)
    return tuple(refused)


def _membership(row: Membership, held: Membership | None) -> str | None:
    if row.retracted:
        was_suspended = held is not None and held.status is MembershipStatus.SUSPENDED
        return "it takes back a suspension" if was_suspended else None
    if row.status is MembershipStatus.SUSPENDED:
        shortened = held is not None and held.status is row.status and not _within(held.valid, row.valid)
        return "it shortens a suspension" if shortened else None
    if held is None or held.status is not MembershipStatus.ACTIVE:
        return "it makes an organisation a member"
    return None if _within(row.valid, held.valid) else "it prolongs a membership"


def _authorisation(row: Authorisation, held: Authorisation | None, beside: Iterable[Authorisation]) -> str | None:
    if held is None:
        return None if row.retracted else "it is a new authorisation"
    if any(one.valid.overlaps(held.valid) for one in beside):
        return "another authorisation under its id may count in its place"
    return None if row.retracted or _within(row.valid, held.valid) else "it prolongs an authorisation"


def _listing(row: Listing, held: Listing | None) -> str | None:
    if row.retracted:
        return None if held is None else "it takes back a listing"
    if row.status is ListingStatus.CLEARED:
        return "it clears a listing"
    if held is None:
        return None
    same = replace(row, status=held.status, valid=held.valid, recorded_at=held.recorded_at) == held
    says_as_much = _SAYS[row.status] >= _SAYS[held.status] and _within(held.valid, row.valid)
    return None if same and says_as_much else "it takes the place of a listing that says more"


def _statement(row: Statement, held: Statement | None) -> str | None:
    if row.kind not in _ONLY_LIFTS:
        return "a rule may read this statement either way"
    if held is None:
        return None if row.retracted else "it is a new statement"
    return None if row.retracted or _within(row.valid, held.valid) else "it prolongs a statement"


def _latest(rows: Iterable[R]) -> Mapping[Hashable, R]:
    """Under each key the row recorded last, a retraction too; of two without an instant the later in order."""
    best: dict[Hashable, R] = {}
    for row in rows:
        held = best.get(row.key)
        if held is None or row.recorded_at is None or held.recorded_at is None or row.recorded_at >= held.recorded_at:
            best[row.key] = row
    return best


def _standing(latest: Mapping[Hashable, R], key: Hashable) -> R | None:
    row = latest.get(key)
    return None if row is None or row.retracted else row


def _content(row: Any) -> object:
    return None if row is None else replace(row, recorded_at=None)


def _within(inner: Validity, outer: Validity) -> bool:
    begins = outer.start is None or (inner.start is not None and inner.start >= outer.start)
    ends = outer.end is None or (inner.end is not None and inner.end <= outer.end)
    return begins and ends
