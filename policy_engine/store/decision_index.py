"""The index of decisions: what auditors filter by, derived from the committed records in the background.

- The records are the truth. The index is made from their bytes alone, in small transactions, each of which also says
  how far it has come, so a process that dies goes on where the last transaction ended, and several may work at once.
- `rebuild` throws the index away and makes it again; the answers are the same.
- A query sees only log indexes below a size, so its answer stays the same however many decisions come meanwhile.
- A record that this release cannot read is found by what the log itself knows of it: time, decision, hold, request id.

What few decisions have, such as a subject, is found by rows in the order of the log. Whatever else decisions are
searched by stands in `decision_parts`: for each part of the log the set of its entries that have the value, so that a
decision costs no entry of a tree for each. `store.index_search` meets these sets.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, Protocol

from sqlalchemy import BigInteger, Engine, delete, func, select, tuple_, type_coerce, update

from policy_engine.domain.catalogue import Tier
from policy_engine.domain.ports import LogUnavailable
from policy_engine.domain.request import Action, SubjectType
from policy_engine.domain.rules import REASON_CODES, REGIMES
from policy_engine.formats.record_reader import RecordedDecision, RecordFault, read_record
from policy_engine.formats.spreadsheet import BETWEEN
from policy_engine.store.changes import NEXT_INDEX
from policy_engine.store.database import Reader, Writer, put_rows, reading_log, writing_log
from policy_engine.store.log_entries import bytes_of
from policy_engine.store.postings import WIDTH, between, bits_of, extended, set_of
from policy_engine.store.tables import (
    decision_index,
    decision_index_progress,
    decision_parts,
    decision_spans,
    decisions,
)

SLICE: Final = 256
"""Log entries that one transaction of the indexer takes: SQLite's only writer is not held for longer."""

_PAUSE: Final = 0.002
"""Seconds between two full slices, in which the log gets at SQLite's only writer."""

_THROWN_AWAY_AT_ONCE: Final = 2_000
_REBUILDING: Final = -1

READ_BY_RULES: Final = ("citizenship_country", "organisation_country")
"""Marks of facts on file that a record has only where a rule read them: elsewhere nothing can be found by them."""


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

FOUND_BY_ROWS: Final = frozenset({"subject", "request_id"})
"""Columns whose values few decisions have, so that rows are looked up by them; the values of all others, and marks,
stand in `decision_parts`."""


def marks_of(record: RecordedDecision) -> frozenset[tuple[str, str]]:
    """What the record has several of, as kind and value."""
    found: set[tuple[str, str]] = set()
    for kind, values in MARKS.items():
        for value in values(record):
            if value is not None:
                found.add((kind, value))
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Derived:
    """What one slice of the log adds to the index: rows of `decision_index`, and which numbers of the part have which
    value of which kind."""

    rows: list[tuple[Any, ...]]
    members: dict[tuple[str, str], list[int]]

    def span(self) -> tuple[int, int]:
        """The instants of the first and the last decision."""
        instants = [row[_AT] for row in self.rows]
        return min(instants), max(instants)

    def numbers(self) -> list[int]:
        """The numbers of the decisions in their part."""
        return [row[0] % WIDTH for row in self.rows]


@dataclass(frozen=True, slots=True)
class _Content:
    """What the index has of a record, but for what is each record's own: the columns between its instant and its
    request id, and the values that stand in `decision_parts`."""

    columns: tuple[object, ...]
    marks: tuple[tuple[str, str], ...]


class Deriver:
    """Derives what the index has of decisions, from the bytes of their records.

    What was derived of one record is remembered for others that differ from it in nothing but ids and instants, of
    which nothing is derived; as many as `REMEMBERED`.
    """

    def __init__(self) -> None:
        self._contents: dict[tuple[bytes, bool, bool, str], _Content] = {}

    def derive(self, entries: Sequence[LogRow], part: int) -> Derived:
        """What a slice of the log within a part adds."""
        first = part * WIDTH
        rows: list[tuple[Any, ...]] = []
        alike: dict[int, tuple[_Content, list[int]]] = {}
        for entry in entries:
            content = self._content(entry)
            rows.append((entry.log_index, entry.id, entry.at, *content.columns, entry.request_id))
            alike.setdefault(id(content), (content, []))[1].append(entry.log_index - first)
        members: dict[tuple[str, str], list[int]] = {}
        for content, numbers in alike.values():
            for mark in content.marks:
                members.setdefault(mark, []).extend(numbers)
        return Derived(rows, {mark: sorted(numbers) for mark, numbers in members.items()})

    def _content(self, entry: LogRow) -> _Content:
        key = (_without_ids(bytes_of(entry.body)), entry.allowed, entry.hold, entry.caller)
        content = self._contents.get(key)
        if content is None:
            if len(self._contents) >= REMEMBERED:
                self._contents.clear()
            content = self._contents[key] = _content_of(entry)
        return content


def _content_of(entry: LogRow) -> _Content:
    """Of a record that this release cannot read, what the log itself knows."""
    decision = "allow" if entry.allowed else "deny"
    try:
        record = read_record(bytes_of(entry.body))
    except RecordFault:
        record = None
    told = {name: None if record is None else value(record) for name, value in _TOLD.items()}
    columns = {"decision": decision, "hold": entry.hold, **told, "caller": entry.caller}
    marks = set[tuple[str, str]]() if record is None else set(marks_of(record))
    for name, value in columns.items():
        if value is not None and name in COLUMNS and name not in FOUND_BY_ROWS:
            marks.add((name, text_of(value)))
    return _Content(tuple(columns.values()), tuple(sorted(marks)))


def _without_ids(body: bytes) -> bytes:
    """A digest of the record without the values of `_OF_EACH`.

    Between its quotes such a name with its colon is a member: in a text of JSON the quotes would be escaped.
    """
    digest = blake2b(digest_size=16)
    begin = 0
    for name in _OF_EACH:
        found = body.find(name, begin)
        if found >= 0:
            value = found + len(name)
            digest.update(body[begin:value])
            begin = body.find(b'"', value)
    digest.update(body[begin:])
    return digest.digest()


_OF_EACH: Final = (b'"decided_at":"', b'"decision_id":"', b'"valid_until":"', b'"request_id":"')
"""Members by whose values nothing is found but what the log itself knows, as they follow each other in a record."""

REMEMBERED: Final = 20_000


def text_of(value: str | bool) -> str:
    """A value as it stands in `decision_parts`."""
    return str(value).lower() if isinstance(value, bool) else value


_TOLD: Final[Mapping[str, Callable[[RecordedDecision], str | None]]] = {
    "reason": lambda record: record.reason_code,
    "deciding_rules": lambda record: BETWEEN.join(deciding_rules(record)),
    "subject": lambda record: None if record.request is None else record.request.subject.id,
    "subject_type": lambda record: None if record.request is None else record.request.subject.type.value,
    "place_country": lambda record: None if record.request is None else record.request.place.country,
    "model": lambda record: record.model,
    "tier": lambda record: record.tier,
    "action": lambda record: None if record.request is None else record.request.action.value,
    "gateway": lambda record: record.caller.gateway,
    "policy_version": lambda record: record.policy_version,
}
"""The columns that only the record itself tells."""

ROW: Final = ("log_index", "id", "at", "decision", "hold", *_TOLD, "caller", "request_id")
"""The columns of `decision_index`, as `Derived` has them."""


class Indexer:
    """Derives the index. Methods raise `LogUnavailable` when the database cannot be reached."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._deriver = Deriver()

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
            return max(0, log_size(reader) - max(0, next_index(reader)))

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
        """One slice, in a transaction of its own and within a part; nought when there is none left."""
        while True:
            with reading_log(self._engine) as reader:
                begin = next_index(reader)
                part = begin // WIDTH
                end = begin if begin == _REBUILDING else min(begin + limit, (part + 1) * WIDTH, log_size(reader))
                found = entries_between(reader, begin, end) if end > begin else []
            if begin == _REBUILDING:
                self._throw_away()
                continue
            if end <= begin:
                return 0
            derived = self._deriver.derive(found, part)
            with writing_log(self._engine) as writer:
                # The row stays locked until the commit: whoever else read the same slice finds it done.
                moved = writer.execute(
                    update(decision_index_progress)
                    .where(decision_index_progress.c.next_index == begin)
                    .values(next_index=end)
                )
                if moved.rowcount and _count(writer, begin, end) != len(found):
                    # A year was retired since.
                    found = entries_between(writer, begin, end)
                    derived = self._deriver.derive(found, part)
                if moved.rowcount and found:
                    _write(writer, part, derived)
            if moved.rowcount:
                return end - begin

    def _throw_away(self) -> None:
        """Empty the tables a little at a time; what is left after a crash is thrown away by the next one."""
        for table in (decision_parts, decision_spans, decision_index):
            key = tuple(table.primary_key)
            removal = delete(table).where(tuple_(*key).in_(select(*key).limit(_THROWN_AWAY_AT_ONCE)))
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


def _write(writer: Writer, part: int, derived: Derived) -> None:
    """Add to the index what a slice of a part has, which is not empty."""
    put_rows(writer, decision_index, ROW, derived.rows)
    columns = decision_parts.c
    held = {
        (kind, value): members
        for kind, value, members in writer.execute(
            select(columns.kind, columns.value, columns.members).where(columns.part == part)
        )
    }
    grown = [(*mark, part, extended(held.get(mark, b""), numbers)) for mark, numbers in sorted(derived.members.items())]
    put_rows(writer, decision_parts, PART_ROW, grown, replacing=True)
    first, last = derived.span()
    span = writer.execute(SPANS.where(decision_spans.c.part == part)).one_or_none()
    if span is not None:
        first, last = min(first, span.first_at), max(last, span.last_at)
    row = (part, first, last, extended(b"" if span is None else span.members, derived.numbers()))
    put_rows(writer, decision_spans, SPAN_ROW, [row], replacing=True)


def _count(writer: Writer, begin: int, end: int) -> int:
    log_index = decisions.c.log_index
    return int(writer.scalar(select(func.count()).where(log_index >= begin, log_index < end)) or 0)


def forget(writer: Writer, first: int, end: int) -> None:
    """Take the decisions of an interval of log indexes out of the index."""
    # Whoever indexes waits: a part has one writer at a time.
    _held_next_index(writer)
    log_index = decision_index.c.log_index
    writer.execute(delete(decision_index).where(log_index >= first, log_index < end))
    for part in range(first // WIDTH, -(-end // WIDTH)):
        begin = part * WIDTH
        left = ~between(first - begin, end - begin)
        columns = decision_parts.c
        held = writer.execute(select(columns.kind, columns.value, columns.members).where(columns.part == part)).all()
        kept = [(kind, value, part, bits_of(members) & left) for kind, value, members in held]
        writer.execute(delete(decision_parts).where(columns.part == part))
        put_rows(writer, decision_parts, PART_ROW, [(*one[:3], set_of(one[3])) for one in kept if one[3]])
        span = writer.execute(SPANS.where(decision_spans.c.part == part)).one_or_none()
        at = type_coerce(decision_index.c.at, BigInteger)
        query = select(func.min(at), func.max(at)).where(log_index >= begin, log_index < begin + WIDTH)
        first_at, last_at = writer.execute(query).one()
        writer.execute(delete(decision_spans).where(decision_spans.c.part == part))
        if span is not None and first_at is not None:
            row = (part, first_at, last_at, set_of(bits_of(span.members) & left))
            put_rows(writer, decision_spans, SPAN_ROW, [row])


_AT: Final = ROW.index("at")
PART_ROW: Final = ("kind", "value", "part", "members")
SPAN_ROW: Final = ("part", "first_at", "last_at", "members")
SPANS: Final = select(
    type_coerce(decision_spans.c.first_at, BigInteger).label("first_at"),
    type_coerce(decision_spans.c.last_at, BigInteger).label("last_at"),
    decision_spans.c.members,
)


def next_index(reader: Reader) -> int:
    """The log index that is to be indexed next; -1 while the index is being thrown away."""
    return int(reader.execute(select(decision_index_progress.c.next_index)).scalar_one())


def _held_next_index(writer: Writer) -> int:
    return int(writer.execute(select(decision_index_progress.c.next_index).with_for_update()).scalar_one())


def log_size(reader: Reader) -> int:
    """How many entries the log has, indexed or not."""
    return int(reader.execute(select(NEXT_INDEX)).scalar_one())


class LogRow(Protocol):
    """What the log itself knows of a decision, its instant as whole microseconds, and its bytes."""

    log_index: int
    id: str
    body: bytes | str
    at: int
    allowed: bool
    hold: bool
    caller: str
    request_id: str | None


def entries_between(reader: Reader | Writer, begin: int, end: int) -> Sequence[Any]:
    """The decisions of an interval of log indexes, each a `LogRow`."""
    columns = decisions.c
    return reader.execute(
        select(
            columns.log_index,
            columns.id,
            columns.body,
            type_coerce(columns.decided_at, BigInteger).label("at"),
            columns.allowed,
            columns.hold,
            columns.caller,
            columns.request_id,
        )
        .where(columns.log_index >= begin, columns.log_index < end)
        .order_by(columns.log_index)
    ).all()


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
