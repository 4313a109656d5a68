"""The index of decisions: what auditors filter by, derived from the committed records in the background.

- The records are the truth. The index is made from their bytes alone, in small transactions, each of which also says
  how far it has come, so a process that dies goes on where the last transaction ended, and several may work at once.
- `rebuild` throws the index away and makes it again; the answers are the same.
- A query sees only log indexes below a size, so its answer stays the same however many decisions come meanwhile.
- A record that this release cannot read is found by what the log itself knows of it: time, decision, hold, request id.

Every filter leads through an index that is in the order of the answer. Of several the rarest leads, and the others are
tested on what it finds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Engine,
    FromClause,
    Row,
    Select,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    type_coerce,
    update,
)

from policy_engine.domain.catalogue import Tier
from policy_engine.domain.ports import LogDamaged, LogUnavailable
from policy_engine.domain.request import Action, SubjectType
from policy_engine.domain.rules import REASON_CODES, REGIMES
from policy_engine.formats.record_reader import RecordedDecision, RecordFault, read_record
from policy_engine.formats.spreadsheet import BETWEEN
from policy_engine.store.changes import NEXT_INDEX
from policy_engine.store.database import Reader, Writer, reading_log, writing_log
from policy_engine.store.tables import decision_index, decision_index_progress, decision_marks, decisions

SLICE: Final = 32
"""Log entries that one transaction of the indexer takes: SQLite's only writer is not held for longer."""

_PAUSE: Final = 0.002
"""Seconds between two full slices, in which the log gets at SQLite's only writer."""

_THROWN_AWAY_AT_ONCE: Final = 2_000
_REBUILDING: Final = -1
_PROBES: Final = (1_000, 30_000)
"""How far filters are counted to learn which is the rarest of several: further where all are met that often."""

READ_BY_RULES: Final = ("citizenship_country", "organisation_country")
"""Marks of facts on file that a record has only where a rule read them: elsewhere nothing can be found by them."""

MOST_COUNTED: Final = 10_000
"""So many decisions are counted of which a fact is not recorded; that there are more is told."""


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


def deciding_rules(record: RecordedDecision) -> tuple[str, ...]:
    """The rules that decided, sorted: every unlifted bar of a deny, every grant of an allow."""
    return tuple(sorted({finding.rule for finding in record.findings if finding.state == "deciding"}))


def unread_facts(record: RecordedDecision) -> frozenset[str]:
    """Which of `READ_BY_RULES` the record does not have of everybody who was judged, because no rule read it.

    A citizenship is one of persons, and of accounts and services, which may stand for one; a country of an organisation
    is where it is incorporated and where it is headquartered. A record without a request, or one that was shortened,
    has neither.
    """
    request = record.request
    if request is None or record.shortened:
        return frozenset(READ_BY_RULES)
    persons = {
        f"{one.type}:{one.id}"
        for one in (request.subject, request.end_user)
        if one is not None and one.type is not SubjectType.ORGANISATION
    }
    organisations = {one for party in record.parties if (one := party.organisation) is not None}
    read: dict[str | None, set[str]] = {}
    for party in record.parties:
        for name in (party.subject, party.organisation):
            read.setdefault(name, set()).update(party.known.looked_at)
    unread = set()
    if any("citizenships" not in read.get(name, ()) for name in persons):
        unread.add("citizenship_country")
    if not record.parties or any(not {"incorporated", "headquarters"} <= read[name] for name in organisations):
        unread.add("organisation_country")
    return frozenset(unread)


def usable_authorisations(record: RecordedDecision) -> frozenset[str]:
    """The authorisations that fitted what was asked, and were usable, for anybody who was judged."""
    held = (one for party in record.parties for one in party.known.authorisations or ())
    return frozenset(one.id for one in held if one.state == "usable")


def used_authorisations(record: RecordedDecision) -> frozenset[str]:
    """The authorisations by which the decision went as it did: those that a row which lifted a bar, or a grant that
    decided, found usable. Where a bar was lifted by a condition of its own and by no row, the record does not say by
    which of them, so it is any that was usable."""
    lifters = {name for finding in record.findings if finding.state == "lifted" for name in finding.lifters}
    rows = {finding.rule for finding in record.findings}
    used = {
        name
        for finding in record.findings
        if finding.rule in lifters or (finding.effect == "permit" and finding.state == "deciding")
        for name in finding.authorisations
    }
    if any(name not in rows and "holds" in name for name in lifters):
        used |= usable_authorisations(record)
    return frozenset(used)


def _organisations(record: RecordedDecision) -> Iterator[str | None]:
    """Those that were judged, acted for, named as host, or the subject or end user itself."""
    yield from (party.organisation for party in record.parties)
    if record.request is not None:
        yield record.request.acting_for
        yield record.request.destination.host
        for one in (record.request.subject, record.request.end_user):
            if one is not None and one.type is SubjectType.ORGANISATION:
                yield one.id


def _organisation_countries(record: RecordedDecision) -> Iterator[str | None]:
    for party in record.parties:
        yield party.known.incorporated or None
        yield party.known.headquarters or None


def _citizenships(record: RecordedDecision) -> Iterator[str | None]:
    return (country for party in record.parties for country in party.known.citizenships or ())


def _end_user(record: RecordedDecision) -> Iterator[str | None]:
    one = None if record.request is None else record.request.end_user
    yield None if one is None else f"{one.type}:{one.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What decisions are searched by: what it means to whoever asks, empty where only reports ask by it, and the texts
    that there are, empty where any is.

    `values` are those that a record has of it, each a mark. Without, it is a column of the index's own, for what
    decisions are counted by as well; one more of these is a column in `store.tables` and a migration too.
    """

    meaning: str
    choices: tuple[str, ...]
    is_country: bool
    values: Callable[[RecordedDecision], Iterable[str | None]] | None


def _by(
    meaning: str = "",
    *,
    choices: Iterable[str] = (),
    is_country: bool = False,
    values: Callable[[RecordedDecision], Iterable[str | None]] | None = None,
) -> Any:
    told = Searched(meaning=meaning, choices=tuple(sorted(choices)), is_country=is_country, values=values)
    return field(default=None, metadata={_SEARCHED: told})


_SEARCHED: Final = "searched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What is asked for: all of it has to be so; `None` asks nothing.

    `start` and `end` are a half-open interval of the instant of the decision. Every other field is one thing that
    decisions are searched by, and the only place where it is declared: the index, the parameters of
    the routes and the options of the command line come of it. Countries and citizenships are those that the decision
    looked at. `authorisation` is one by which something was lifted or granted, see `used_authorisations`; `caller` the
    id of the key that asked; `end_user` who was named as such, as `type:id`; `unread` one of `READ_BY_RULES` that is
    not recorded of everybody who was judged, see `unread_facts`.
    """

    start: datetime | None = None
    end: datetime | None = None
    decision: str | None = _by("What was answered: allow or deny.", choices=("allow", "deny"))
    hold: bool | None = _by("Whether it was held for a review: true or false.", choices=("false", "true"))
    subject: str | None = _by("Who asked: an id, or type:id such as account:key-17.")
    organisation: str | None = _by(
        "An organisation that was judged, acted for, or named as host.", values=_organisations
    )
    place_country: str | None = _by("The country that was stated, such as JP.", is_country=True)
    citizenship_country: str | None = _by("A citizenship that a rule read.", is_country=True, values=_citizenships)
    organisation_country: str | None = _by(
        "Where an organisation that was judged is incorporated or headquartered, if a rule read it.",
        is_country=True,
        values=_organisation_countries,
    )
    model: str | None = _by("The model, by its id in the catalogue.")
    tier: str | None = _by("The tier of the model: classified, commodity or distilled.", choices=Tier)
    action: str | None = _by("What was asked for, such as infer.", choices=Action)
    regime: str | None = _by(
        "A regime of any finding, such as us-order.",
        choices=REGIMES,
        values=lambda record: (one.regime for one in record.findings),
    )
    rule: str | None = _by("A rule of any finding.", values=lambda record: (one.rule for one in record.findings))
    deciding_rule: str | None = _by(
        "A rule that decided: a bar of a deny that nothing lifted, a grant of an allow.", values=deciding_rules
    )
    code: str | None = _by(
        "A reason code of any finding.",
        choices=REASON_CODES,
        values=lambda record: (code for one in record.findings for code in one.codes),
    )
    gateway: str | None = _by("The gateway of the key that asked.")
    policy_version: str | None = _by("The rule book, by its fingerprint.")
    request_id: str | None = _by("The caller's own id of the request.")
    authorisation: str | None = _by(values=used_authorisations)
    caller: str | None = _by()
    end_user: str | None = _by(values=_end_user)
    unread: str | None = _by(values=unread_facts)


SEARCHED: Final[Mapping[str, Searched]] = {
    one.name: one.metadata[_SEARCHED] for one in fields(Filters) if _SEARCHED in one.metadata
}
"""Everything that decisions are searched by."""

MARKS: Final = {name: one.values for name, one in SEARCHED.items() if one.values is not None}
"""What a decision may have several of, by what a record has of it."""

COLUMNS: Final = tuple(name for name in SEARCHED if name not in MARKS)
"""What a decision has one of, or none."""


def marks_of(record: RecordedDecision) -> frozenset[tuple[str, str]]:
    """What the record has several of, as kind and value."""
    found = ((kind, value) for kind, values in MARKS.items() for value in values(record))
    return frozenset((kind, value) for kind, value in found if value is not None)


@dataclass(frozen=True, slots=True)
class Derived:
    """What one slice of the log adds to the index."""

    rows: list[dict[str, object]]
    marks: list[dict[str, object]]


class Indexer:
    """Derives the index. Methods raise `LogUnavailable` when the database cannot be reached."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def catch_up(self, limit: int) -> int:
        """Index up to so many entries of the log, oldest first; how many were. Whatever was begun is finished first."""
        done = 0
        while done < limit:
            taken = self._step(min(SLICE, limit - done))
            if not taken:
                break
            done += taken
        return done

    def behind(self) -> int:
        """How many entries of the log are not indexed yet."""
        with reading_log(self._engine) as reader:
            return max(0, _log_size(reader) - max(0, next_index(reader)))

    def rebuild(self, told: Callable[[int], None] = lambda _: None) -> int:
        """Throw the index away and make it again; how many entries of the log it covers then. `told` hears the same
        number on the way. Queries see a shorter log meanwhile."""
        with writing_log(self._engine) as writer:
            writer.execute(update(decision_index_progress).values(next_index=_REBUILDING))
        done = 0
        while taken := self.catch_up(SLICE):
            done += taken
            told(done)
        return done

    def _step(self, limit: int) -> int:
        """One slice, in a transaction of its own; nought when there is none left."""
        while True:
            with reading_log(self._engine) as reader:
                begin = next_index(reader)
                found = [] if begin == _REBUILDING else entries_between(reader, begin, begin + limit)
                end = begin if begin == _REBUILDING else min(begin + limit, _log_size(reader))
            if begin == _REBUILDING:
                self._throw_away()
                continue
            if end <= begin:
                return 0
            derived = derive(found)
            with writing_log(self._engine) as writer:
                # The row stays locked until the commit: whoever else read the same slice finds it done.
                moved = writer.execute(
                    update(decision_index_progress)
                    .where(decision_index_progress.c.next_index == begin)
                    .values(next_index=end)
                )
                if moved.rowcount and derived.rows:
                    writer.execute(insert(decision_index), derived.rows)
                if moved.rowcount and derived.marks:
                    writer.execute(insert(decision_marks), derived.marks)
            if moved.rowcount:
                return end - begin

    def _throw_away(self) -> None:
        """Empty the tables a little at a time; what is left after a crash is thrown away by the next one."""
        key = tuple(decision_marks.primary_key)
        some_marks = select(*key).limit(_THROWN_AWAY_AT_ONCE)
        some_rows = select(decision_index.c.log_index).limit(_THROWN_AWAY_AT_ONCE)
        removals = (
            delete(decision_marks).where(tuple_(*key).in_(some_marks)),
            delete(decision_index).where(decision_index.c.log_index.in_(some_rows)),
        )
        for removal in removals:
            left = True
            while left:
                with writing_log(self._engine) as writer:
                    if _held_next_index(writer) != _REBUILDING:
                        return
                    left = bool(writer.execute(removal).rowcount)
        with writing_log(self._engine) as writer:
            writer.execute(
                update(decision_index_progress)
                .where(decision_index_progress.c.next_index == _REBUILDING)
                .values(next_index=0)
            )


def next_index(reader: Reader) -> int:
    """The log index that is to be indexed next; -1 while the index is being thrown away."""
    return int(reader.execute(select(decision_index_progress.c.next_index)).scalar_one())


def _held_next_index(writer: Writer) -> int:
    return int(writer.execute(select(decision_index_progress.c.next_index).with_for_update()).scalar_one())


def _log_size(reader: Reader) -> int:
    return int(reader.execute(select(NEXT_INDEX)).scalar_one())


def entries_between(reader: Reader, begin: int, end: int) -> Sequence[Row[*tuple[Any, ...]]]:
    """The decisions of an interval of log indexes, with the columns that the index is made from."""
    columns = decisions.c
    return reader.execute(
        select(
            columns.log_index,
            columns.id,
            columns.body,
            columns.decided_at,
            columns.allowed,
            columns.hold,
            columns.caller,
            columns.request_id,
        ).where(columns.log_index >= begin, columns.log_index < end)
    ).all()


def derive(entries: Sequence[Row[*tuple[Any, ...]]]) -> Derived:
    """What the index has of some decisions, from the bytes of their records."""
    derived = Derived([], [])
    for entry in entries:
        try:
            record = read_record(entry.body)
        except RecordFault:
            record = None
        derived.rows.append(
            {
                "log_index": entry.log_index,
                "id": entry.id,
                "at": entry.decided_at,
                "decision": "allow" if entry.allowed else "deny",
                "hold": entry.hold,
                "caller": entry.caller,
                "request_id": entry.request_id,
                **_told(record),
            }
        )
        if record is not None:
            derived.marks.extend(
                {"kind": kind, "value": value, "at": entry.decided_at, "log_index": entry.log_index}
                for kind, value in sorted(marks_of(record))
            )
    return derived


def _told(record: RecordedDecision | None) -> dict[str, object]:
    """The columns that only the record itself tells."""
    request = None if record is None else record.request
    return {
        "reason": None if record is None else record.reason_code,
        "deciding_rules": None if record is None else BETWEEN.join(deciding_rules(record)),
        "subject": None if request is None else request.subject.id,
        "subject_type": None if request is None else request.subject.type.value,
        "place_country": None if request is None else request.place.country,
        "model": None if record is None else record.model,
        "tier": None if record is None else record.tier,
        "action": None if request is None else request.action.value,
        "gateway": None if record is None else record.caller.gateway,
        "policy_version": None if record is None else record.policy_version,
    }


class IndexerLoop:
    """A thread that indexes what the log gets, at the latest `interval` seconds afterwards. `close` it.

    A database that cannot be reached is tried again; `report` hears of the first failure after a success.
    """

    def __init__(self, indexer: Indexer, *, interval: float = 0.25, report: Callable[[str], None]) -> None:
        self._indexer = indexer
        self._interval = interval
        self._report = report
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="decision-indexer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it still indexes."""
        return self._thread.is_alive()

    def close(self, *, seconds: float = 10.0) -> None:
        """Finish the slice at hand and stop."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        failing = False
        while not self._stop.is_set():
            try:
                done = self._indexer.catch_up(SLICE)
            except LogUnavailable as error:
                if not failing:
                    self._report(str(error))
                failing, done = True, 0
            else:
                failing = False
            self._stop.wait(self._interval if done < SLICE else _PAUSE)


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
            return _log_size(reader)

    def page(self, filters: Filters, *, size: int, after: Position | None, limit: int) -> tuple[Logged, ...]:
        """Up to `limit` decisions below the size, newest first, from the position on: by instant, then by log index."""
        with self._covering(size) as reader:
            keys = [row.log_index for row in reader.execute(page_query(reader, filters, size, after, limit))]
            return _read(reader, keys)

    def among(
        self, filters: Filters, among: Among | None, *, size: int, after: Position | None, limit: int
    ) -> tuple[Logged, ...]:
        """As `page`, of those decisions alone that may be about some, or of all where these are not named."""
        table = decision_index
        tests = [*_interval(table, filters), *_residual(table, _conditions(filters)), table.c.log_index < size]
        if among is not None:
            tests.append(_about(table, among))
        newest_first = (table.c.at.desc(), table.c.log_index.desc())
        query = select(table.c.log_index).where(*tests, *_after(table, after)).order_by(*newest_first).limit(limit)
        with self._covering(size) as reader:
            return _read(reader, list(reader.scalars(query)))

    def since(self, filters: Filters, *, size: int, begin: int, width: int) -> tuple[Logged, ...]:
        """The decisions with a log index from `begin` on, over `width` of them and below the size, as the log goes."""
        query = (
            select(decision_index.c.log_index)
            .where(
                decision_index.c.log_index >= begin,
                decision_index.c.log_index < min(begin + width, size),
                *_interval(decision_index, filters),
                *_residual(decision_index, _conditions(filters)),
            )
            .order_by(decision_index.c.log_index)
        )
        with self._covering(size) as reader:
            return _read(reader, list(reader.scalars(query)))

    def has(self, name: str, value: str) -> bool:
        """Whether a decision that is indexed has the value, in one of `COLUMNS` or `MARKS`."""
        mark = (decision_marks.c.kind == name, decision_marks.c.value == value)
        tests = mark if name in MARKS else (decision_index.c[name] == value,)
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
        count = func.count().label("number")
        with self._covering(size) as reader:
            keys = _selected(reader, filters, size)
            labelled = [column.label(f"value_{number}") for number, column in enumerate(columns)]
            query = select(count, *labelled).where(*keys).group_by(*columns)
            return tuple(
                (tuple(None if value is None else str(value) for value in row[1:]), row.number)
                for row in reader.execute(query)
            )

    def values(self, keys: Sequence[int], by: Sequence[str]) -> tuple[tuple[str | None, ...], ...]:
        """The values of some columns, as `counts` has them, of the decisions under log indexes. In no order."""
        columns = [_DAY if name == "day" else decision_index.c[name] for name in by]
        query = select(*columns).where(decision_index.c.log_index.in_(keys))
        with reading_log(self._engine) as reader:
            return tuple(tuple(None if value is None else str(value) for value in row) for row in reader.execute(query))

    def unread(self, filters: Filters, name: str, *, size: int) -> int:
        """How many decisions below the size meet the filters but the one named, of `READ_BY_RULES`, and have nothing
        recorded for it; at most `MOST_COUNTED` and one."""
        sought = getattr(filters, name)
        with self._covering(size) as reader:
            left = {one: None if one == name else getattr(filters, one) for one in READ_BY_RULES}
            table, tests = _led(reader, replace(filters, unread=name, **left), size)
            (found,) = _residual(table, [_Condition(name=name, value=sought, is_mark=True)])
            some = select(literal(1)).select_from(table).where(*tests, ~found).limit(MOST_COUNTED + 1)
            return int(reader.execute(select(func.count()).select_from(some.subquery())).scalar_one())

    def touches(self, filters: Filters, *, size: int) -> tuple[Touch, ...]:
        """Who asked for what below the size, by subject, action and answer, those with the latest answer first."""
        columns = decision_index.c
        who = (columns.subject_type, columns.subject, columns.action, columns.decision)
        with self._covering(size) as reader:
            query = (
                select(*who, func.count().label("number"), func.min(columns.at), func.max(columns.at))
                .where(*_selected(reader, filters, size))
                .group_by(*who)
            )
            names = [field.name for field in fields(Touch)]
            found = [Touch(**dict(zip(names, row, strict=True))) for row in reader.execute(query)]
        return tuple(sorted(found, key=lambda one: (one.last, one.subject or ""), reverse=True))

    @contextmanager
    def _covering(self, size: int) -> Iterator[Reader]:
        with reading_log(self._engine) as reader:
            if next_index(reader) < size:
                raise LogUnavailable("the index of decisions does not reach that far yet")
            yield reader


# A day in UTC; what the log has lies after 1970.
_DAY: Final = type_coerce(decision_index.c.at, BigInteger) // 86_400_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Condition:
    """One filter: what a column has to be, or a mark of a kind that has to be there."""

    name: str
    value: str | bool
    is_mark: bool


def _conditions(filters: Filters) -> list[_Condition]:
    found = []
    for name in (*COLUMNS, *MARKS):
        value = getattr(filters, name)
        if value is None:
            continue
        if name == "subject":
            kind, separator, rest = value.partition(":")
            if separator and kind in list(SubjectType):
                found.append(_Condition(name="subject_type", value=kind, is_mark=False))
                value = rest
        found.append(_Condition(name=name, value=value, is_mark=name in MARKS))
    return found


def _interval(table: FromClause, filters: Filters) -> list[ColumnElement[bool]]:
    bounds = []
    if filters.start is not None:
        bounds.append(table.c.at >= filters.start)
    if filters.end is not None:
        bounds.append(table.c.at < filters.end)
    return bounds


def _leads(condition: _Condition, table: FromClause) -> list[ColumnElement[bool]]:
    """The condition on the table that it is found in, so that its index serves it."""
    if condition.is_mark:
        return [table.c.kind == condition.name, table.c.value == condition.value]
    return [table.c[condition.name] == condition.value]


def _residual(table: FromClause, conditions: Sequence[_Condition]) -> list[ColumnElement[bool]]:
    """The conditions, tested on each decision that is found; no planner can lead with any of them.

    Left free, both planners would now and then take all that meets one filter, or the whole table, and sort what is
    left. `IS TRUE` is served by no index, and what it tests is estimated as it is without it.
    """
    tests: list[ColumnElement[bool]] = []
    for condition in conditions:
        if condition.is_mark:
            mark = decision_marks.alias()
            found = select(literal(1)).where(
                mark.c.kind == condition.name,
                mark.c.value == condition.value,
                mark.c.at == table.c.at,
                mark.c.log_index == table.c.log_index,
            )
            tests.append(_each(found))
        else:
            tests.append((table.c[condition.name] == condition.value).is_(True))
    return tests


def _each(found: Select[int]) -> ColumnElement[bool]:
    """Whether there is one, asked for each row: the offset keeps PostgreSQL from making a join of it."""
    return found.limit(1).offset(0).exists()


def _rarest(reader: Reader, filters: Filters, conditions: Sequence[_Condition]) -> _Condition | None:
    """The condition that leads: of several the one that fewest decisions meet, counted up to a limit."""
    able = [condition for condition in conditions if condition.name != "subject_type"]
    if len(able) < 2:
        return able[0] if able else None

    def count(condition: _Condition, most: int) -> int:
        table = decision_marks if condition.is_mark else decision_index
        some = select(literal(1)).where(*_leads(condition, table), *_interval(table, filters)).limit(most)
        return int(reader.execute(select(func.count()).select_from(some.subquery())).scalar_one())

    for most in _PROBES:
        counts = [count(condition, most) for condition in able]
        if min(counts) < most:
            break
    return able[counts.index(min(counts))]


def _led(reader: Reader, filters: Filters, size: int) -> tuple[FromClause, list[ColumnElement[bool]]]:
    """The table whose index leads, with everything that is asked of it."""
    conditions = _conditions(filters)
    leader = _rarest(reader, filters, conditions)
    rest = [condition for condition in conditions if condition is not leader]
    if leader is None or not leader.is_mark:
        table: FromClause = decision_index
        tests = [] if leader is None else _leads(leader, table)
        tests += _residual(table, rest)
    else:
        table = decision_marks.alias("led")
        tests = _leads(leader, table)
        tests += _residual(table, [condition for condition in rest if condition.is_mark])
        columns = [condition for condition in rest if not condition.is_mark]
        if columns:
            row = decision_index.alias()
            found = select(literal(1)).where(row.c.log_index == table.c.log_index, *_residual(row, columns))
            tests.append(_each(found))
    return table, [*tests, *_interval(table, filters), table.c.log_index < size]


def _after(table: FromClause, after: Position | None) -> list[ColumnElement[bool]]:
    if after is None:
        return []
    return [table.c.at <= after.at, or_(table.c.at < after.at, table.c.log_index < after.log_index)]


def _about(table: FromClause, among: Among) -> ColumnElement[bool]:
    """Whether a decision may be about some."""
    typed = [f"{kind.value}:{name}" for kind in SubjectType for name in sorted(among.subjects)]
    marks = [("end_user", typed), ("organisation", sorted(among.organisations))]
    tests: list[ColumnElement[bool]] = [table.c.subject.in_(sorted(among.subjects))]
    for kind, values in marks:
        mark = decision_marks.alias()
        found = select(literal(1)).where(
            mark.c.kind == kind,
            mark.c.value.in_(values),
            mark.c.at == table.c.at,
            mark.c.log_index == table.c.log_index,
        )
        tests.append(_each(found))
    return or_(*tests)


def page_query(
    reader: Reader, filters: Filters, size: int, after: Position | None, limit: int
) -> Select[tuple[datetime, int]]:
    """The query of one page."""
    table, tests = _led(reader, filters, size)
    tests += _after(table, after)
    newest_first = (table.c.at.desc(), table.c.log_index.desc())
    return select(table.c.at, table.c.log_index).where(*tests).order_by(*newest_first).limit(limit)


def _selected(reader: Reader, filters: Filters, size: int) -> list[ColumnElement[bool]]:
    """What is asked, of rows of the index."""
    table, tests = _led(reader, filters, size)
    if table is decision_index:
        return tests
    return [decision_index.c.log_index.in_(select(table.c.log_index).where(*tests))]


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
