"""Rows that hold at one instant and say different things of one thing: each a fault that names both and the remedy.

Which rows speak of one thing: organisation and consortium; an authorisation's id; person, organisation and kind of
employment; party, list and entry; organisation and kind of statement; a person's US status. A row that begins at
another instant says something else, even where all the rest is the same: who ends one of two such rows would leave the
other in force. A US status alone may be filed twice over, since it is the kind that it says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Generic, Protocol, TypeVar

from policy_engine.domain.instants import Validity, format_instant
from policy_engine.domain.roster import (
    Authorisation,
    Employment,
    Listing,
    Membership,
    MembershipStatus,
    Recorded,
    Statement,
    UsStatus,
    latest_known,
)
from policy_engine.formats.documents import Node
from policy_engine.formats.faults import Findings, quoted
from policy_engine.formats.row_names import ROW_KINDS, command, told_interval

_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


class Dated(Recorded, Protocol):
    """A row with an interval."""

    @property
    def valid(self) -> Validity: ...


D = TypeVar("D", bound=Dated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing(Generic[D]):
    """What rows of a kind speak of: its name in messages, and what such a row says of it."""

    word: str
    of: Callable[[D], Hashable]
    named: Callable[[D], str]
    says: Callable[[D], str]
    same: Callable[[D, D], bool] = lambda _, __: False


MEMBERSHIP: Final[Thing[Membership]] = Thing(
    word="membership",
    of=lambda row: (row.organisation, row.consortium),
    named=lambda row: f"the membership of {quoted(row.organisation)} in {quoted(row.consortium)}",
    says=lambda row: row.status.value,
)
AUTHORISATION: Final[Thing[Authorisation]] = Thing(
    word="authorisation",
    of=lambda row: row.id,
    named=lambda row: f"the authorisation {quoted(row.id)}",
    says=lambda row: "for any number of persons" if row.named_users is None else f"for {row.named_users} persons",
)
EMPLOYMENT: Final[Thing[Employment]] = Thing(
    word="employment",
    of=lambda row: (row.person, row.organisation, row.kind),
    named=lambda row: f"{quoted(row.person)} as {row.kind} of {quoted(row.organisation)}",
    says=lambda _: "employed",
)
LISTING: Final[Thing[Listing]] = Thing(
    word="listing",
    of=lambda row: (row.party, row.list, row.entry),
    named=lambda row: f"the listing of {quoted(row.party)} on {quoted(row.list)}",
    says=lambda row: row.status.value,
)
STATEMENT: Final[Thing[Statement]] = Thing(
    word="statement",
    of=lambda row: (row.organisation, row.kind),
    named=lambda row: f"the statement {quoted(row.kind)} of {quoted(row.organisation)}",
    says=lambda _: "in force",
)
US_STATUS: Final[Thing[UsStatus]] = Thing(
    word="us-status",
    of=lambda row: row.person,
    named=lambda row: f"the US status of {quoted(row.person)}",
    says=lambda row: row.kind.value,
    same=lambda one, other: one.kind is other.kind,
)


def find_overlaps(
    thing: Thing[D],
    rows: Sequence[D],
    places: Sequence[Node],
    existing: Iterable[D],
    findings: Findings,
    *,
    undated_is_last: bool,
) -> None:
    """A fault for each row of a file that overlaps another one, of the file or on file, about the same thing.

    What counts is what is known in the end, with corrections and retractions applied; rows without `recorded_at` are
    the last, or in a case file the first. Two rows that are both on file are no fault of any file.
    """
    about = {thing.of(row) for row in rows}
    if not about:
        return
    held = tuple(row for row in existing if thing.of(row) in about)
    on_file = {_recorded(row, None) for row in latest_known(held, None)}
    where: dict[int, Node] = {}
    dated: list[D] = []
    for row, place in zip(rows, places, strict=True):
        dated.append(_recorded(row, row.recorded_at or (_LAST if undated_is_last else None)))
        if _recorded(row, None) not in on_file:
            where[id(dated[-1])] = place
    groups: defaultdict[Hashable, list[D]] = defaultdict(list)
    for row in latest_known([*held, *dated], None):
        groups[thing.of(row)].append(row)
    for group in groups.values():
        before: D | None = None
        for row in sorted(group, key=lambda row: row.valid.start or _FIRST):
            overlaps = before is not None and (before.valid.end or _LAST) > (row.valid.start or _FIRST)
            if before is not None and overlaps and not thing.same(before, row):
                _fault(thing, before, row, where, findings)
            if before is None or (row.valid.end or _LAST) > (before.valid.end or _LAST):
                before = row


def _recorded(row: D, at: datetime | None) -> D:
    return replace(row, recorded_at=at)  # type: ignore[type-var]  # every kind of row is a dataclass


def _fault(thing: Thing[D], one: D, other: D, where: dict[int, Node], findings: Findings) -> None:
    """At the later of the two places; none where both rows are on file."""
    places = sorted((where[id(row)] for row in (one, other) if id(row) in where), key=lambda at: (at.line, at.column))
    if not places:
        return
    told = []
    for row in (one, other):
        place = where.get(id(row))
        source = "the row on file" if place is None else findings.where(place.line)
        told.append(f"{thing.says(row)} {told_interval(row)} ({source})")
    message = f"{thing.named(one)} is {told[0]} and also {told[1]}: of one instant only one can be true"
    findings.add(places[-1].line, places[-1].column, message, _remedy(thing, one, other))


def _remedy(thing: Thing[D], one: D, other: D) -> str:
    kind = ROW_KINDS[thing.word]
    start = other.valid.start
    if start is None or start == one.valid.start:
        begin = "" if one.valid.start is None else f" --begins {format_instant(one.valid.start)}"
        correct = command("correct", kind.word, *kind.name_of(one)) + begin
        return f"correct the earlier with `{correct} --set FIELD=VALUE`, or end it with `to` and begin this one there"
    at = format_instant(start)
    if thing.word == MEMBERSHIP.word and thing.says(one) != thing.says(other):
        verb = "suspend" if thing.says(other) == MembershipStatus.SUSPENDED else "resume"
        return f"write `{command(verb, *kind.name_of(other), '--from', at)}` instead of this row"
    end = command("end", kind.word, *kind.name_of(one), "--to", at)
    return f"end the earlier first, with `to: {at}` or `{end}`, or remove this one"
