"""What is asked of the index of decisions, answered by meeting sets of log entries.

A condition knows which entries of a part of the log meet it: from a row of `decision_parts`, or from rows of a subject.
Parts are looked at from the newest on, only those in which every condition has somebody, and in each the sets are met.
The instants of what is left put it in order: parts follow each other in time but for the clocks of several processes,
so that looking ends where no older part can have anything as late as what was found.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import datetime
from itertools import accumulate
from typing import Any, Final, Protocol

from sqlalchemy import BigInteger, ColumnElement, Engine, bindparam, func, literal, select, type_coerce
from sqlalchemy.dialects.postgresql import ARRAY

from policy_engine.domain.ports import LogDamaged, LogUnavailable
from policy_engine.domain.request import SubjectType
from policy_engine.store.database import Reader, is_postgresql, reading_log
from policy_engine.store.decision_index import (
    COLUMNS,
    FOUND_BY_ROWS,
    MARKS,
    READ_BY_RULES,
    Filters,
    log_size,
    next_index,
    text_of,
)
from policy_engine.store.postings import WIDTH, between, bits_of, numbers
from policy_engine.store.tables import decision_index, decision_parts, decision_spans, decisions, micros

MOST_COUNTED: Final = 10_000
"""So many decisions are counted of which a fact is not recorded; that there are more is told."""

_PARTS_AT_ONCE: Final = 64
_FEW: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Among:
    """Whom decisions may be about: ids of subjects of any type, also as end users, and of organisations."""

    subjects: frozenset[str]
    organisations: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a page ended, newest first."""

    at: datetime
    log_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """A decision as it stands in the log: its number, its id, its instant, and the bytes."""

    log_index: int
    id: str
    at: datetime
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """How often a subject asked for an action and got the same answer, first and last."""

    subject_type: str | None
    subject: str | None
    action: str | None
    decision: str
    count: int
    first: datetime
    last: datetime

    def with_(self, other: Touch) -> Touch:
        """Both, of the same subject, action and answer."""
        return replace(
            self,
            count=self.count + other.count,
            first=min(self.first, other.first),
            last=max(self.last, other.last),
        )


class DecisionIndex:
    """What can be asked of the index.

    Methods raise `LogUnavailable` when the database cannot be reached, and where the index does not cover the size that
    is asked for, as while it is made again: half an answer looks like a whole one. Those that give records raise
    `LogDamaged` for the first that is indexed and not in the log.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def size(self) -> int:
        """How many entries of the log the index covers: those with a log index below it. Nought while it is rebuilt."""
        with reading_log(self._engine) as reader:
            return max(0, next_index(reader))

    def log_size(self) -> int:
        """How many entries the log has, indexed or not."""
        with reading_log(self._engine) as reader:
            return log_size(reader)

    def page(self, filters: Filters, *, size: int, after: Position | None, limit: int) -> tuple[Logged, ...]:
        """Up to `limit` decisions below the size, newest first, from the position on: by instant, then by log index."""
        with self._covering(size) as reader:
            return _read(reader, _newest(reader, _conditions(filters), filters, size, after, limit))

    def among(
        self, filters: Filters, among: Among | None, *, size: int, after: Position | None, limit: int
    ) -> tuple[Logged, ...]:
        """As `page`, of those decisions alone that may be about some, or of all where these are not named."""
        with self._covering(size) as reader:
            conditions = _conditions(filters)
            if among is not None:
                conditions.append(_about(reader, among, size))
            return _read(reader, _newest(reader, conditions, filters, size, after, limit))

    def since(self, filters: Filters, *, size: int, begin: int, width: int) -> tuple[Logged, ...]:
        """The decisions with a log index from `begin` on, over `width` of them and below the size, as the log goes."""
        with self._covering(size) as reader:
            found = _found(reader, _conditions(filters), filters, begin, min(begin + width, size))
            return _read(reader, sorted(key for keys in found for key in keys))

    def has(self, name: str, value: str) -> bool:
        """Whether a decision that is indexed has the value, in one of `COLUMNS` or `MARKS`."""
        mark = (decision_parts.c.kind == name, decision_parts.c.value == value)
        tests = (decision_index.c[name] == value,) if name in FOUND_BY_ROWS else mark
        with reading_log(self._engine) as reader:
            return reader.execute(select(literal(1)).where(*tests).limit(1)).first() is not None

    def find(self, decision_id: str) -> Logged | None:
        """A decision by its id, indexed or not."""
        query = select(decisions.c.log_index).where(decisions.c.id == decision_id)
        with reading_log(self._engine) as reader:
            keys = list(reader.scalars(query))
            return next(iter(_read(reader, keys)), None)

    def counts(
        self, filters: Filters, by: Sequence[str], *, size: int
    ) -> tuple[tuple[tuple[str | None, ...], int], ...]:
        """How many decisions below the size there are for each combination of the values of some columns, `day` being
        the day of the instant in UTC as days since 1970-01-01. In no order."""
        columns = [_DAY if name == "day" else decision_index.c[name] for name in by]
        labelled = [column.label(f"value_{number}") for number, column in enumerate(columns)]
        query = select(func.count().label("number"), *labelled).group_by(*columns)
        counted: Counter[tuple[str | None, ...]] = Counter()
        with self._covering(size) as reader:
            for tests in _selections(reader, _conditions(filters), filters, size):
                for row in reader.execute(query.where(*tests)):
                    counted[tuple(None if value is None else str(value) for value in row[1:])] += row.number
        return tuple(counted.items())

    def values(self, keys: Sequence[int], by: Sequence[str]) -> tuple[tuple[str | None, ...], ...]:
        """The values of some columns, as `counts` has them, of the decisions under log indexes. In no order."""
        columns = [_DAY if name == "day" else decision_index.c[name] for name in by]
        with reading_log(self._engine) as reader:
            query = select(*columns).where(_one_of(reader, keys))
            return tuple(tuple(None if value is None else str(value) for value in row) for row in reader.execute(query))

    def unread(self, filters: Filters, name: str, *, size: int) -> int:
        """How many decisions below the size meet the filters but the one named, of `READ_BY_RULES`, and have nothing
        recorded for it; at most `MOST_COUNTED` and one."""
        sought = getattr(filters, name)
        left = {one: None if one == name else getattr(filters, one) for one in READ_BY_RULES}
        conditions = [*_conditions(replace(filters, unread=name, **left)), _Without(_Marked(name, text_of(sought)))]
        count = 0
        with self._covering(size) as reader:
            for keys in _found(reader, conditions, filters, 0, size):
                count += len(keys)
                if count > MOST_COUNTED:
                    return MOST_COUNTED + 1
        return count

    def touches(self, filters: Filters, *, size: int) -> tuple[Touch, ...]:
        """Who asked for what below the size, by subject, action and answer, those with the latest answer first."""
        columns = decision_index.c
        who = (columns.subject_type, columns.subject, columns.action, columns.decision)
        query = select(*who, func.count().label("number"), func.min(columns.at), func.max(columns.at)).group_by(*who)
        names = [field.name for field in fields(Touch)]
        found: dict[tuple[str | None, ...], Touch] = {}
        with self._covering(size) as reader:
            for tests in _selections(reader, _conditions(filters), filters, size):
                for row in reader.execute(query.where(*tests)):
                    one, key = Touch(**dict(zip(names, row, strict=True))), tuple(row[:4])
                    found[key] = one if key not in found else found[key].with_(one)
        return tuple(sorted(found.values(), key=lambda one: (one.last, one.subject or ""), reverse=True))

    @contextmanager
    def _covering(self, size: int) -> Iterator[Reader]:
        with reading_log(self._engine) as reader:
            if next_index(reader) < size:
                raise LogUnavailable("the index of decisions does not reach that far yet")
            yield reader


# A day in UTC; what the log has lies after 1970.
_DAY: Final = type_coerce(decision_index.c.at, BigInteger) // 86_400_000_000


@dataclass(frozen=True, slots=True)
class _Known:
    """Which entries meet a condition, by part; of the parts from `floor` on all are here that have any."""

    parts: dict[int, int]
    floor: int


class _Condition(Protocol):
    """What is asked of a decision."""

    def below(self, reader: Reader, end: int) -> _Known:
        """The parts below one in which somebody meets it, from the newest on, as far as is read at once."""
        ...


@dataclass(frozen=True, slots=True)
class _Marked:
    """A value of a kind in `decision_parts`."""

    kind: str
    value: str

    def below(self, reader: Reader, end: int) -> _Known:
        columns = decision_parts.c
        query = select(columns.part, columns.members).where(
            columns.kind == self.kind, columns.value == self.value, columns.part < end
        )
        return _newest_parts(reader.execute(query.order_by(columns.part.desc()).limit(_PARTS_AT_ONCE)))


@dataclass(frozen=True, slots=True)
class _Any:
    """That there is a decision."""

    def below(self, reader: Reader, end: int) -> _Known:
        columns = decision_spans.c
        query = select(columns.part, columns.members).where(columns.part < end)
        return _newest_parts(reader.execute(query.order_by(columns.part.desc()).limit(_PARTS_AT_ONCE)))


@dataclass(frozen=True, slots=True)
class _Without:
    """That a decision does not meet another condition."""

    other: _Condition

    def below(self, reader: Reader, end: int) -> _Known:
        known = self.other.below(reader, end)
        parts = range(known.floor, end)
        return _Known(
            {part: _WHOLE & ~known.parts.get(part, 0) for part in parts[-_PARTS_AT_ONCE:]},
            max(known.floor, end - _PARTS_AT_ONCE),
        )


@dataclass(frozen=True, slots=True)
class _OfRows:
    """Values of columns of `decision_index`."""

    columns: tuple[tuple[str, str], ...]

    def below(self, reader: Reader, end: int) -> _Known:
        log_index, most = decision_index.c.log_index, _PARTS_AT_ONCE * WIDTH
        tests = [decision_index.c[name] == value for name, value in self.columns]
        query = select(log_index).where(*tests, log_index < end * WIDTH).order_by(log_index.desc()).limit(most)
        keys = list(reader.scalars(query))
        parts = _by_part(keys)
        if len(keys) == most:
            # The last one may have more than was read; the others are of at least one whole part.
            del parts[min(parts)]
        return _Known(parts, min(parts) if len(keys) == most else 0)


@dataclass(frozen=True, slots=True)
class _These:
    """Entries that are known already, by part."""

    parts: dict[int, int]

    def below(self, _: Reader, end: int) -> _Known:
        return _Known({part: bits for part, bits in self.parts.items() if part < end}, 0)


_WHOLE: Final = between(0, WIDTH)


def _newest_parts(rows: Iterable[Any]) -> _Known:
    parts = {part: bits_of(members) for part, members in rows}
    return _Known(parts, min(parts) if len(parts) == _PARTS_AT_ONCE else 0)


def _by_part(keys: Iterable[int]) -> dict[int, int]:
    parts: dict[int, int] = {}
    for key in keys:
        part, number = divmod(key, WIDTH)
        parts[part] = parts.get(part, 0) | 1 << number
    return parts


def _conditions(filters: Filters) -> list[_Condition]:
    """Everything that is asked but the interval; what few decisions have is asked first."""
    rows: list[_Condition] = []
    marks: list[_Condition] = []
    for name in (*COLUMNS, *MARKS):
        value = getattr(filters, name)
        if value is None:
            continue
        if name == "subject":
            kind, separator, rest = value.partition(":")
            typed = separator and kind in list(SubjectType)
            rows.append(_OfRows((("subject", rest), ("subject_type", kind)) if typed else (("subject", value),)))
        elif name in FOUND_BY_ROWS:
            rows.append(_OfRows(((name, value),)))
        else:
            marks.append(_Marked(name, text_of(value)))
    return [*rows, *marks] or [_Any()]


def _about(reader: Reader, among: Among, size: int) -> _Condition:
    """Whether a decision may be about some."""
    subjects = sorted(among.subjects)
    parts: Counter[int] = Counter()
    query = select(decision_index.c.log_index).where(decision_index.c.subject.in_(subjects))
    found = [_by_part(reader.scalars(query.where(decision_index.c.log_index < size)))]
    typed = [f"{kind.value}:{name}" for kind in SubjectType for name in subjects]
    columns = decision_parts.c
    for kind, values in (("end_user", typed), ("organisation", sorted(among.organisations))):
        rows = reader.execute(
            select(columns.part, columns.members).where(columns.kind == kind, columns.value.in_(values))
        )
        found += [{part: bits_of(members)} for part, members in rows]
    for one in found:
        for part, bits in one.items():
            parts[part] |= bits
    return _These(dict(parts))


def _met(reader: Reader, conditions: Sequence[_Condition], begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts of an interval of log indexes in which entries meet every condition, newest first, with these."""
    lowest, top = begin // WIDTH, -(-end // WIDTH)
    while top > lowest:
        known = []
        for condition in conditions:
            known.append(condition.below(reader, top))
            if not known[-1].parts:
                return
        floor = max(lowest, *(one.floor for one in known))
        for part in sorted(set.intersection(*(set(one.parts) for one in known)), reverse=True):
            bits = between(begin - part * WIDTH, end - part * WIDTH)
            for one in known:
                bits &= one.parts[part]
            if part >= floor and bits:
                yield part, bits
        # Above the newest part of any condition all of them have nobody.
        top = min(floor, *(max(one.parts) + 1 for one in known))


@dataclass(frozen=True, slots=True)
class _Span:
    """The instants of the first and the last decision of a part, and of the last one up to its end."""

    first: int
    last: int
    latest: int


def _spans(reader: Reader) -> dict[int, _Span]:
    columns = decision_spans.c
    first, last = (type_coerce(column, BigInteger) for column in (columns.first_at, columns.last_at))
    rows = reader.execute(select(columns.part, first, last).order_by(columns.part)).all()
    latest = accumulate((row[2] for row in rows), max)
    return {row[0]: _Span(row[1], row[2], upto) for row, upto in zip(rows, latest, strict=True)}


def _bounds(filters: Filters) -> tuple[int, int]:
    """The half-open interval of instants, as whole microseconds."""
    start = _NEVER if filters.start is None else micros(filters.start)
    return start, -_NEVER if filters.end is None else micros(filters.end)


_NEVER: Final = -(2**62)


def _newest(
    reader: Reader,
    conditions: Sequence[_Condition],
    filters: Filters,
    size: int,
    after: Position | None,
    limit: int,
) -> list[int]:
    """The log indexes of a page, newest first."""
    start, end = _bounds(filters)
    before = (end, 0) if after is None else min((end, 0), (micros(after.at), after.log_index))
    spans = _spans(reader)
    begin, stop = _reach(spans, start, before[0], size)
    found: list[tuple[int, int]] = []
    for part, bits in _met(reader, conditions, begin, stop):
        latest = spans[part].latest
        if latest < start or (len(found) == limit and found[-1][0] >= latest):
            break
        found += [one for one in _timed(reader, part, bits) if start <= one[0] and one < before]
        found.sort(reverse=True)
        del found[limit:]
    return [log_index for _, log_index in found]


def _reach(spans: dict[int, _Span], start: int, end: int, size: int) -> tuple[int, int]:
    """The log indexes below the size among which decisions of an interval of instants lie, the end included."""
    parts = [part for part, span in spans.items() if span.last >= start and span.first <= end]
    return (min(parts) * WIDTH, min(size, (max(parts) + 1) * WIDTH)) if parts else (0, 0)


def _timed(reader: Reader, part: int, bits: int) -> list[tuple[int, int]]:
    """The instants of some entries of a part, with their log indexes."""
    first = part * WIDTH
    log_index, at = decision_index.c.log_index, type_coerce(decision_index.c.at, BigInteger)
    query = select(at, log_index)
    if bits.bit_count() <= _FEW:
        tests = [log_index.in_([first + number for number in numbers(bits)])]
        return [(row[0], row[1]) for row in reader.execute(query.where(*tests))]
    least, most = first + (bits & -bits).bit_length() - 1, first + bits.bit_length()
    rows = reader.execute(query.where(log_index >= least, log_index < most))
    return [(row[0], row[1]) for row in rows if bits >> (row[1] - first) & 1]


def _found(
    reader: Reader, conditions: Sequence[_Condition], filters: Filters, begin: int, end: int
) -> Iterator[list[int]]:
    """The log indexes of an interval that meet everything, part by part, the newest first."""
    start, stop = _bounds(filters)
    spans = _spans(reader) if filters.start is not None or filters.end is not None else None
    for part, bits in _met(reader, conditions, begin, end):
        if spans is None or (start <= spans[part].first and spans[part].last < stop):
            yield [part * WIDTH + number for number in numbers(bits)]
        elif spans[part].last >= start and spans[part].first < stop:
            yield [log_index for at, log_index in _timed(reader, part, bits) if start <= at < stop]


def _selections(
    reader: Reader, conditions: Sequence[_Condition], filters: Filters, size: int
) -> Iterator[list[ColumnElement[bool]]]:
    """What is asked, of rows of `decision_index`, in pieces that together are the whole."""
    if conditions == [_Any()]:
        yield [*_interval(filters), decision_index.c.log_index < size]
        return
    waiting: list[int] = []
    for keys in _found(reader, conditions, filters, 0, size):
        waiting += keys
        if len(waiting) >= _ROWS_AT_ONCE:
            yield [_one_of(reader, waiting)]
            waiting = []
    if waiting:
        yield [_one_of(reader, waiting)]


_ROWS_AT_ONCE: Final = 50_000


def _interval(filters: Filters) -> list[ColumnElement[bool]]:
    at, bounds = decision_index.c.at, []
    if filters.start is not None:
        bounds.append(at >= filters.start)
    if filters.end is not None:
        bounds.append(at < filters.end)
    return bounds


def _one_of(reader: Reader, keys: Sequence[int]) -> ColumnElement[bool]:
    """That a row is one of these, as one parameter."""
    log_index = decision_index.c.log_index
    if is_postgresql(reader):
        return log_index == func.any(bindparam("keys", list(keys), type_=ARRAY(BigInteger)))
    some = func.json_each(json.dumps(list(keys))).table_valued("value")
    return log_index.in_(select(some.c.value))


def _read(reader: Reader, keys: Sequence[int]) -> tuple[Logged, ...]:
    """The decisions under log indexes, in the order of these."""
    if not keys:
        return ()
    columns = decisions.c
    query = select(columns.log_index, columns.id, columns.decided_at, columns.body).where(columns.log_index.in_(keys))
    found = {
        row.log_index: Logged(log_index=row.log_index, id=row.id, at=row.decided_at, body=row.body)
        for row in reader.execute(query)
    }
    gone = [key for key in keys if key not in found]
    if gone:
        raise LogDamaged(min(gone))
    return tuple(found[key] for key in keys)
