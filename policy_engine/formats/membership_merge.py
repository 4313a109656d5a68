"""An import on top of what is on file: what a row leaves out stays, and an empty list takes rows back.

- A row about an id or under a key that is on file leaves each member that it does not have as it is there; a member
  that is null is unknown from then on. For what is not on file an absent member is unknown.
- `[]` as a person's list says that there is none: what is on file in the list is taken back, unless the same file gives
  rows of that list, as an exported history does.
- An authorisation is found by its id, and among several rows under it by where they begin, else the one that begins
  last: left out, its scope can never become wider than it was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from policy_engine.domain.instants import Validity, format_instant
from policy_engine.domain.roster import Account, Authorisation, Recorded, latest_known
from policy_engine.formats.documents import Mapping as MappingNode
from policy_engine.formats.documents import Node
from policy_engine.formats.faults import Findings
from policy_engine.shapes.member_rows import BY_TYPE, ValueKind

R = TypeVar("R", bound=Recorded)

_LAST: Final = datetime.max.replace(tzinfo=UTC)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)


def left_as_filed(rows: Sequence[R], places: Sequence[Node], existing: Iterable[R], findings: Findings) -> list[R]:
    """The rows with what each of them leaves out as it is on file, or as an earlier row of the file has it.

    An interval that would end before it begins is a fault.
    """
    identities = {_identity(row) for row in rows}
    versions: defaultdict[Hashable, list[R]] = defaultdict(list)
    for row in existing:
        if (identity := _identity(row)) in identities:
            versions[identity].append(row)
    filled = list(rows)
    for index in sorted(range(len(rows)), key=lambda index: rows[index].recorded_at or _LAST):
        row, place = rows[index], places[index]
        held = _base(row, versions[_identity(row)])
        if held is not None:
            filled[index] = row = _filled(row, held, place, findings)
        if row.recorded_at is not None:
            # Of two undated rows with one key neither is earlier, and both together are a fault.
            versions[_identity(row)].append(row)
    return filled


def _identity(row: Recorded) -> Hashable:
    return row.id if isinstance(row, Authorisation) else row.key


def _base(row: R, versions: Iterable[R]) -> R | None:
    recorded = row.recorded_at or _LAST
    known = latest_known((one for one in versions if (one.recorded_at or _FIRST) <= recorded), None)
    if isinstance(row, Authorisation) and known:
        begins = [one for one in known if isinstance(one, Authorisation) and one.valid.start == row.valid.start]
        known = begins or sorted(known, key=_begin)  # type: ignore[assignment]  # rows of one kind
    return max(known, key=lambda one: (_begin(one), one.recorded_at or _LAST), default=None)


def _begin(row: object) -> datetime:
    valid: Validity | None = getattr(row, "valid", None)
    return _FIRST if valid is None or valid.start is None else valid.start


def _filled(row: R, held: R, place: Node, findings: Findings) -> R:
    written = {key.text for key, _ in place.entries} if isinstance(place, MappingNode) else set()
    absent = [one for one in BY_TYPE[type(row)].members if not (one.required or one.keyed or one.name in written)]
    given: dict[str, Any] = {name: getattr(held, name) for one in absent for name in one.fields if name != "valid"}
    valid: Validity | None = getattr(row, "valid", None)
    filed: Validity | None = getattr(held, "valid", None)
    if valid is not None and filed is not None:
        left = {one.value for one in absent}
        start = filed.start if ValueKind.BEGIN in left else valid.start
        same = start == filed.start or isinstance(row, Account)
        end = filed.end if ValueKind.END in left and same else valid.end
        if start is not None and end is not None and end <= start:
            message = f"the row on file ends at {format_instant(end)}, not after this `from` {format_instant(start)}"
            findings.add(place.line, place.column, message, "write `to`, or null for an open end")
            return row
        given["valid"] = Validity(start=start, end=end)
    return replace(row, **given)


def taken_back(rows: Iterable[R], recorded_at: datetime | None) -> list[R]:
    """Retractions of what is known of the rows, as of an instant or in the end, recorded then."""
    return [replace(row, recorded_at=recorded_at, retracted=True) for row in latest_known(rows, recorded_at)]
