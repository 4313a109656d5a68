"""Every row of the members with the revision that recorded it: what was known at any revision can be said of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from sqlalchemy import Engine, select

from policy_engine.domain.roster import Recorded
from policy_engine.store.database import reading_log
from policy_engine.store.members import KINDS, RowKind

_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A row, and the revision from which on it was on file."""

    revision: int
    row: Recorded


class MemberHistory:
    """Reads the rows by the names of their kinds in `RosterRows`. Methods raise `LogUnavailable`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def holders(self, kind: str, column: str, holder: str, value: str) -> frozenset[str]:
        """Of whom a row ever said the value."""
        table = _kind(kind).table
        query = select(table.c[holder]).where(table.c[column] == value).distinct()
        with reading_log(self._engine) as reader:
            return frozenset(reader.scalars(query))

    def versions(self, kind: str, names: Iterable[str] | None = None) -> tuple[Version, ...]:
        """Every row of a kind in the order of recording, or those alone of whom it is about one of the names."""
        held = _kind(kind)
        table = held.table
        columns = (*held.columns, "valid_from", "valid_to") if held.dated else held.columns
        query = select(table.c.revision, *(table.c[name] for name in columns)).order_by(table.c.row_id)
        with reading_log(self._engine) as reader:
            if names is None:
                return tuple(Version(revision=row[0], row=held.read(row[1:])) for row in reader.execute(query))
            return tuple(
                Version(revision=row[0], row=held.read(row[1:]))
                for some in _pieces(sorted(names))
                for row in reader.execute(query.where(table.c[held.found_by].in_(some)))
            )


def _kind(name: str) -> RowKind:
    return next(kind for kind in KINDS if kind.name == name)


def _pieces(names: list[str]) -> Iterator[list[str]]:
    left = iter(names)
    while some := list(islice(left, _AT_ONCE)):
        yield some
