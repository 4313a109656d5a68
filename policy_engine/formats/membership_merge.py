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
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from policy_engine.domain.instants import Validity, format_instant
from policy_engine.domain.roster import (
    Account,
    Authorisation,
    Citizenship,
    Consortium,
    Employment,
    Listing,
    Membership,
    Organisation,
    PermanentResidency,
    PersonEntry,
    Recorded,
    Stake,
    Statement,
    UsStatus,
    latest_known,
)
from policy_engine.formats.documents import Mapping as MappingNode
from policy_engine.formats.documents import Node
from policy_engine.formats.faults import Findings

R = TypeVar("R", bound=Recorded)

_LAST: Final = datetime.max.replace(tzinfo=UTC)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)

_FROM, _TO = "from", "to"
_LEAVES: Final[Mapping[type[object], Mapping[str, tuple[str, ...]]]] = {
    Organisation: {
        name: (name,)
        for name in (
            "name",
            "kind",
            "incorporated",
            "headquarters",
            "contract_country",
            "sector",
            "reseller",
            "identifiers",
            "aliases",
        )
    },
    PersonEntry: {
        name: (f"{name}_filed",) for name in ("employments", "us_status", "citizenships", "permanent_residencies")
    },
    Employment: {_TO: ()},
    UsStatus: {_TO: ()},
    Citizenship: {_TO: ()},
    PermanentResidency: {_TO: ()},
    Statement: {_TO: ()},
    Account: {"person": ("person",), "gateway": ("gateway",), "cluster": ("cluster",), _FROM: (), _TO: ()},
    Consortium: {"name": ("name",)},
    Membership: {_TO: (), "seats": ("seats",), "credit": ("credit",)},
    Stake: {_TO: (), "percent": ("percent", "minimum", "maximum"), "evidence": ("evidence",)},
    Listing: {_TO: (), "programmes": ("programmes",), "requirement": ("requirement",)},
    Authorisation: {
        _FROM: (),
        _TO: (),
        "countries": ("countries",),
        "cap": ("named_users",),
        "conditions": ("conditions",),
        "persons": ("persons",),
        "nationalities": ("nationalities",),
        "employees_only": ("employees_only",),
        "purposes": ("purposes",),
    },
}
"""What a row may leave out, by its member in a file, with the fields that are then those on file."""


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
    absent = [name for name in _LEAVES.get(type(row), {}) if name not in written]
    given: dict[str, Any] = {
        field: getattr(held, field) for name in absent for field in _LEAVES[type(row)][name] if name not in written
    }
    if _TO in _LEAVES.get(type(row), {}):
        valid: Validity = getattr(row, "valid")  # noqa: B009  only the dated kinds have it
        filed: Validity = getattr(held, "valid")  # noqa: B009
        start = filed.start if _FROM in absent else valid.start
        same = start == filed.start or isinstance(row, Account)
        end = filed.end if _TO in absent and same else valid.end
        if start is not None and end is not None and end <= start:
            message = f"the row on file ends at {format_instant(end)}, not after this `from` {format_instant(start)}"
            findings.add(place.line, place.column, message, "write `to`, or null for an open end")
            return row
        given["valid"] = Validity(start=start, end=end)
    return replace(row, **given)  # type: ignore[type-var]  # every kind of row is a dataclass


def taken_back(rows: Iterable[R], recorded_at: datetime | None) -> list[R]:
    """Retractions of what is known of the rows, as of an instant or in the end, recorded then."""
    return [
        replace(row, recorded_at=recorded_at, retracted=True)  # type: ignore[type-var]  # every kind is a dataclass
        for row in latest_known(rows, recorded_at)
    ]
