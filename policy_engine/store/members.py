"""The membership database: every row ever recorded, corrections and corrected alike.

- A row is there already when, among the rows under its key, the one recorded last as of the row's own `recorded_at`
  says the same. A row without `recorded_at` is recorded by the import and compared with the one recorded last of all.
- A recorded row becomes the latest under its key: should a clock have gone back, so that a later one is on file, the
  new row is recorded a microsecond after it, since otherwise it would never count.
- No two rows under one key are recorded at one instant; which of them holds could not be told.
- An import is one transaction. One that adds anything is one revision; revisions are dense.
- What an import adds is sorted out and made ready for the database before its transaction begins, and again within it
  only where other members were recorded meanwhile: a decision on SQLite waits for every transaction that writes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Engine, Table, insert, select, text

from policy_engine.domain.changes import Actor, MembersRecorded
from policy_engine.domain.instants import Validity, format_instant
from policy_engine.domain.ports import Control, Imported, MembersMoved, MembersUnavailable, NewEvent, Snapshot
from policy_engine.domain.roster import Read, Recorded, RosterRows, touched_by
from policy_engine.formats.change import digest_of
from policy_engine.formats.roster_rows import ROW_TYPES, row_bytes
from policy_engine.store.changes import add_blobs, add_changes, keep_large
from policy_engine.store.control import Lock, move, read_control, take
from policy_engine.store.database import Writer, is_postgresql, raising, reading, writing
from policy_engine.store.tables import ROSTER, looked_up_by, revisions

_LOOKED_UP_AT_ONCE: Final = 500
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowKind:
    """One kind of membership row: its name in `RosterRows`, its type, its table, and the column it is found by.

    A column has the name of the row's field; `valid` is the two columns `valid_from` and `valid_to`.
    """

    name: str
    row: type[Recorded]
    table: Table
    columns: tuple[str, ...]
    dated: bool
    found_by: str

    def read(self, values: Sequence[Any]) -> Recorded:
        """The row that a query over `columns` (and the interval, when dated) gave."""
        given = dict(zip(self.columns, values, strict=False))
        if self.dated:
            given["valid"] = Validity(start=values[-2], end=values[-1])
        return self.row(**given)

    def write(self, row: Recorded, revision: int) -> dict[str, object]:
        """The row as the values of an insert."""
        values: dict[str, object] = {name: getattr(row, name) for name in self.columns}
        if self.dated:
            validity: Validity = getattr(row, "valid")  # noqa: B009  only the dated kinds have it
            values["valid_from"], values["valid_to"] = validity.start, validity.end
        values["revision"] = revision
        return values


def _kind(name: str, row: type[Recorded]) -> RowKind:
    table = ROSTER[name]
    names = [field.name for field in fields(row)]
    return RowKind(
        name=name,
        row=row,
        table=table,
        columns=tuple(name for name in names if name != "valid"),
        dated="valid" in names,
        found_by=looked_up_by(name)[0],
    )


KINDS: Final[tuple[RowKind, ...]] = tuple(_kind(name, row) for name, row in ROW_TYPES.items())


class Members:
    """The members in the database; methods raise `MembersUnavailable` when it cannot be reached."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def snapshot(self) -> Snapshot:
        """Every row, and the counters, as of one instant."""
        with raising(MembersUnavailable), reading(self._engine) as reader:
            control = read_control(reader)
            rows = read_roster(reader)
        return Snapshot(rows=rows, revision=control.revision, epoch=control.epoch)

    def control(self) -> Control:
        """The counters alone."""
        with raising(MembersUnavailable), reading(self._engine) as reader:
            return read_control(reader)

    def people(self) -> frozenset[str]:
        """The ids of the people on file, as far as anything was ever recorded of them."""
        with raising(MembersUnavailable), reading(self._engine) as reader:
            return frozenset(reader.scalars(select(ROSTER["people"].c.id)))

    def record(self, rows: RosterRows, *, actor: str, reason: str, at: datetime, under: int | None = None) -> Imported:
        """Add what is new among the rows, all or nothing, and say which revision is in force afterwards.

        `at` is the instant of the import, `under` the revision that the rows were made beside, `None` for rows that
        nothing on file speaks against. Raises `MembersMoved` where another revision is in force when they are written,
        and `ValueError` naming by kind and key every row that is recorded later than `at`, or against another one under
        the same key at the same instant.
        """
        with raising(MembersUnavailable):
            with reading(self._engine) as reader:
                ready = prepare(reader, rows, at)
            keep_large(self._engine, [ready.content])
            with writing(self._engine) as writer:
                _take_turns(writer)
                revision = read_control(writer).revision
                if under is not None and revision != under:
                    raise MembersMoved(f"the membership is at revision {revision}, and was at {under}")
                if revision != ready.revision:
                    ready = prepare(writer, rows, at)
                event = add_prepared(writer, ready, actor=actor, reason=reason, at=at)
                if event is not None:
                    # Taken last, so that decisions do not wait for a long import.
                    take(writer, Lock.LOG)
                    entry = NewEvent(id=f"members-{event.revision}", at=at, actor=Actor(key=actor), event=event)
                    add_changes(writer, [entry], epoch=read_control(writer).epoch + 1)
                    move(writer, revisions=1, changed=ready.changed)
                    return Imported(revision=event.revision, added=event.added)
                return Imported(revision=ready.revision, added=0)


def read_roster(connection: Connection, *, after: int | None = None, up_to: int | None = None) -> RosterRows:
    """Every row, or those recorded after a revision, or up to one."""
    rows: dict[str, Any] = {kind.name: tuple(read_rows(connection, kind, after=after, up_to=up_to)) for kind in KINDS}
    return RosterRows(**rows)


def sort_all(connection: Connection, rows: RosterRows, at: datetime) -> list[tuple[RowKind, Sequence[Recorded]]]:
    """What is new among the rows, by kind. Raises `ValueError` naming every row that cannot be added."""
    news: list[tuple[RowKind, Sequence[Recorded]]] = []
    faults: list[str] = []
    for kind in KINDS:
        given: tuple[Recorded, ...] = getattr(rows, kind.name)
        sorting = sort_out(given, _versions(connection, kind, given), at)
        news.append((kind, sorting.new))
        faults += (f"{kind.name} {fault}" for fault in sorting.faults)
    if faults:
        raise ValueError("; ".join(sorted(faults)))
    return news


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What an import adds to a membership revision: how many rows, their canonical form, and the inserts, each with its
    statement and with its values as the database's driver takes them."""

    revision: int
    added: int
    content: bytes
    changed: frozenset[Read] | None
    inserts: tuple[tuple[str, Sequence[Any]], ...]


def prepare(connection: Connection, rows: RosterRows, at: datetime) -> Prepared:
    """What is new among the rows, ready to be added as the next revision.

    Raises `ValueError` naming every row that cannot be added.
    """
    revision = read_control(connection).revision
    news = sort_all(connection, rows, at)
    added: dict[str, Any] = {kind.name: tuple(new) for kind, new in news}
    return Prepared(
        revision=revision,
        added=sum(len(new) for _, new in news),
        changed=touched_by(RosterRows(**added)),
        content=b"".join(row_bytes(kind.name, row) for kind, new in news for row in new),
        inserts=tuple(_insert(connection.dialect, kind, new, revision + 1) for kind, new in news if new),
    )


def _insert(dialect: Dialect, kind: RowKind, rows: Sequence[Recorded], revision: int) -> tuple[str, Sequence[Any]]:
    """One statement for all the rows; what the driver is given is made here, once, by the types of the columns."""
    names = list(kind.write(rows[0], revision))
    statement = insert(kind.table).compile(dialect=dialect, column_keys=names)
    makers = [(name, kind.table.c[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in names]
    made = []
    for row in rows:
        values = kind.write(row, revision)
        made.append({name: values[name] if make is None else make(values[name]) for name, make in makers})
    order = statement.positiontup
    if order is None:
        return str(statement), made
    return str(statement), [tuple(values[name] for name in order) for values in made]


def add_prepared(writer: Writer, ready: Prepared, *, actor: str, reason: str, at: datetime) -> MembersRecorded | None:
    """Add new rows as the next revision, and keep their canonical form; the event that tells of it, `None` where
    nothing is new. `ready` was prepared at the revision that the writer sees."""
    if not ready.added:
        return None
    revision = ready.revision + 1
    add_revision(writer, revision, actor=actor, reason=reason, at=at, added=ready.added)
    for statement, values in ready.inserts:
        writer.exec_driver_sql(statement, values)
    add_blobs(writer, [ready.content])
    return MembersRecorded(revision=revision, added=ready.added, reason=reason, digest=digest_of(ready.content))


def read_recorded(connection: Connection, kind: RowKind) -> Iterator[tuple[int, Recorded]]:
    """Every row of a kind with the revision that recorded it, in the order of recording."""
    names = (*kind.columns, "valid_from", "valid_to") if kind.dated else kind.columns
    query = select(kind.table.c.revision, *(kind.table.c[name] for name in names)).order_by(kind.table.c.row_id)
    for revision, *values in connection.execute(query):
        yield revision, kind.read(values)


def read_rows(
    connection: Connection,
    kind: RowKind,
    found_by: Iterable[str] | None = None,
    *,
    after: int | None = None,
    up_to: int | None = None,
) -> Iterator[Recorded]:
    """Every row of a kind in the order of recording, or those alone whose `found_by` column has one of the values.

    `up_to` leaves out what was recorded after that revision, `after` what was up to that one.
    """
    table = kind.table
    names = (*kind.columns, "valid_from", "valid_to") if kind.dated else kind.columns
    query = select(*(table.c[name] for name in names))
    if after is None:
        query = query.order_by(table.c.row_id)
    else:
        # In this order the index of revisions leads; in the order of row numbers everything would be looked at.
        query = query.where(table.c.revision > after).order_by(table.c.revision, table.c.row_id)
    if found_by is not None:
        query = query.where(table.c[kind.found_by].in_(list(found_by)))
    if up_to is not None:
        query = query.where(table.c.revision <= up_to)
    for values in connection.execute(query):
        yield kind.read(values)


def add_revision(writer: Writer, number: int, *, actor: str, reason: str, at: datetime, added: int) -> None:
    """Say who added rows and why. The rows refer to it, so it comes first."""
    writer.execute(insert(revisions).values(number=number, recorded_at=at, actor=actor, reason=reason, added=added))


def add_rows(writer: Writer, kind: RowKind, rows: Sequence[Recorded], revision: int) -> None:
    """Add rows that all have a `recorded_at`."""
    if rows:
        writer.execute(insert(kind.table), [kind.write(row, revision) for row in rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorting:
    """Of the rows of an import those that are new, each with its `recorded_at`, and what is wrong with the others."""

    new: tuple[Recorded, ...]
    faults: tuple[str, ...]


def sort_out(rows: Sequence[Recorded], versions: Mapping[Hashable, Sequence[Recorded]], at: datetime) -> Sorting:
    """What an import at `at` adds to the versions on file, by their key."""
    known = defaultdict(list, {key: [(_recorded(row), _content(row)) for row in on] for key, on in versions.items()})
    new: list[Recorded] = []
    contradicted = _contradicted(rows, at)
    faults = {f"`{_shown(key)}`: different rows for one instant of recording" for key, _ in contradicted}
    for row in sorted(rows, key=lambda row: (row.recorded_at is None, row.recorded_at or at)):
        if (row.key, row.recorded_at or at) in contradicted:
            continue
        if row.recorded_at is not None and row.recorded_at > at:
            faults.add(f"`{_shown(row.key)}`: recorded_at {format_instant(row.recorded_at)} is later than this import")
            continue
        content = _content(row)
        held = [version for version in known[row.key] if row.recorded_at is None or version[0] <= row.recorded_at]
        latest = max(held, key=lambda version: version[0], default=None)
        if latest is not None and latest[1] == content:
            continue
        recorded = row.recorded_at
        if recorded is None:
            recorded = at if latest is None else max(at, latest[0] + _MICROSECOND)
        elif latest is not None and latest[0] == recorded:
            faults.add(f"`{_shown(row.key)}`: another row is on file for recorded_at {format_instant(recorded)}")
            continue
        known[row.key].append((recorded, content))
        new.append(replace(row, recorded_at=recorded))
    return Sorting(new=tuple(new), faults=tuple(sorted(faults)))


def _contradicted(rows: Sequence[Recorded], at: datetime) -> set[tuple[Hashable, datetime]]:
    """The keys and instants for which the rows of one import say different things."""
    told: dict[tuple[Hashable, datetime], Recorded] = {}
    places: set[tuple[Hashable, datetime]] = set()
    for row in rows:
        place, content = (row.key, row.recorded_at or at), _content(row)
        if told.setdefault(place, content) != content:
            places.add(place)
    return places


def _recorded(row: Recorded) -> datetime:
    if row.recorded_at is None:
        raise ValueError(f"`{_shown(row.key)}` is on file without recorded_at")
    return row.recorded_at


def _content(row: Recorded) -> Recorded:
    return replace(row, recorded_at=None)


def _shown(key: Hashable) -> str:
    parts = key if isinstance(key, tuple) else (key,)
    return ", ".join(format_instant(part) if isinstance(part, datetime) else str(part) for part in parts)


def _versions(connection: Connection, kind: RowKind, rows: Sequence[Recorded]) -> dict[Hashable, list[Recorded]]:
    """What is on file under the keys of the rows, and perhaps beside them."""
    wanted = sorted({getattr(row, kind.found_by) for row in rows})
    versions: defaultdict[Hashable, list[Recorded]] = defaultdict(list)
    for start in range(0, len(wanted), _LOOKED_UP_AT_ONCE):
        for row in read_rows(connection, kind, wanted[start : start + _LOOKED_UP_AT_ONCE]):
            versions[row.key].append(row)
    return versions


def _take_turns(writer: Writer) -> None:
    """Wait for another import to end; it may be long."""
    if is_postgresql(writer):
        writer.execute(text("SELECT set_config('lock_timeout', '60s', true)"))
    take(writer, Lock.MEMBERS)
