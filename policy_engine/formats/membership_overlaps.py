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
from typing import Any, Final

from policy_engine.domain.instants import format_instant
from policy_engine.domain.roster import MembershipStatus, latest_known
from policy_engine.formats.documents import Node
from policy_engine.formats.faults import Findings, quoted
from policy_engine.formats.row_names import command, told_interval
from policy_engine.shapes.member_rows import BY_WORD, Section

_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """What rows of a section speak of: the fields that name it, how a message does, and what such a row says of it.

    Rows for which `same` holds may overlap. `always` is looked at in a case file too.
    """

    section: Section
    by: tuple[str, ...]
    named: Callable[[Any], str]
    says: Callable[[Any], str]
    same: Callable[[Any, Any], bool] = lambda _, __: False
    always: bool = False

    def of(self, row: Any) -> Hashable:
        """The thing of which a row speaks."""
        return tuple(getattr(row, name) for name in self.by)


def _thing(
    word: str, named: Callable[[Any], str], says: Callable[[Any], str], by: tuple[str, ...] = (), **more: Any
) -> Thing:
    section = BY_WORD[word]
    return Thing(section=section, by=by or section.named_by, named=named, says=says, **more)


THINGS: Final = (
    _thing(
        "us-status",
        lambda row: f"the US status of {quoted(row.person)}",
        lambda row: row.kind.value,
        ("person",),
        same=lambda one, other: one.kind is other.kind,
        always=True,
    ),
    _thing(
        "membership",
        lambda row: f"the membership of {quoted(row.organisation)} in {quoted(row.consortium)}",
        lambda row: row.status.value,
    ),
    _thing(
        "authorisation",
        lambda row: f"the authorisation {quoted(row.id)}",
        lambda row: "for any number of persons" if row.named_users is None else f"for {row.named_users} persons",
    ),
    _thing(
        "employment",
        lambda row: f"{quoted(row.person)} as {row.kind} of {quoted(row.organisation)}",
        lambda _: "employed",
    ),
    _thing(
        "listing",
        lambda row: f"the listing of {quoted(row.party)} on {quoted(row.list)}",
        lambda row: row.status.value,
    ),
    _thing(
        "statement",
        lambda row: f"the statement {quoted(row.kind)} of {quoted(row.organisation)}",
        lambda _: "in force",
    ),
)
"""Of what two rows may not say different things for one instant."""


def find_overlaps(
    thing: Thing,
    rows: Sequence[Any],
    places: Sequence[Node],
    existing: Iterable[Any],
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
    dated: list[Any] = []
    for row, place in zip(rows, places, strict=True):
        dated.append(_recorded(row, row.recorded_at or (_LAST if undated_is_last else None)))
        if _recorded(row, None) not in on_file:
            where[id(dated[-1])] = place
    groups: defaultdict[Hashable, list[Any]] = defaultdict(list)
    for row in latest_known([*held, *dated], None):
        groups[thing.of(row)].append(row)
    for group in groups.values():
        before: Any = None
        for row in sorted(group, key=lambda row: row.valid.start or _FIRST):
            overlaps = before is not None and (before.valid.end or _LAST) > (row.valid.start or _FIRST)
            if before is not None and overlaps and not thing.same(before, row):
                _fault(thing, before, row, where, findings)
            if before is None or (row.valid.end or _LAST) > (before.valid.end or _LAST):
                before = row


def _recorded(row: Any, at: datetime | None) -> Any:
    return replace(row, recorded_at=at)


def _fault(thing: Thing, one: Any, other: Any, where: dict[int, Node], findings: Findings) -> None:
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


def _remedy(thing: Thing, one: Any, other: Any) -> str:
    kind = thing.section
    start = other.valid.start
    if start is None or start == one.valid.start:
        begin = "" if one.valid.start is None else f" --begins {format_instant(one.valid.start)}"
        correct = command("correct", kind.word, *kind.name_of(one)) + begin
        return f"correct the earlier with `{correct} --set FIELD=VALUE`, or end it with `to` and begin this one there"
    at = format_instant(start)
    if kind.word == "membership" and thing.says(one) != thing.says(other):
        verb = "suspend" if thing.says(other) == MembershipStatus.SUSPENDED else "resume"
        return f"write `{command(verb, *kind.name_of(other), '--from', at)}` instead of this row"
    end = command("end", kind.word, *kind.name_of(one), "--to", at)
    return f"end the earlier first, with `to: {at}` or `{end}`, or remove this one"
