"""What the database says beside the bytes of the log, held against these bytes.

An auditor asks here for what a sealed tree cannot tell: that the columns of a row are those of its record, that what is
kept under a digest has it, that the members and the keys in force are those of which the log tells, that revisions,
places on caps, retries and review cases are those that follow from it, that the triggers are there by which nothing
recorded is changed, and that the index is the one that follows from the records. Every method raises `LogUnavailable`
when the database cannot be reached.

What is read here is never written, and may grow meanwhile: what came after the first look is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import BigInteger, Engine, Row, literal, or_, select, type_coerce

from policy_engine.domain.changes import Change, KeyCreated, KeyRevoked, MembersRecorded, ReviewClosed
from policy_engine.formats.change import decode_change, digest_of
from policy_engine.formats.record_columns import (
    CHANGE_COLUMNS,
    DECISION_COLUMNS,
    UnreadableEntry,
    said_by_change,
    said_by_record,
)
from policy_engine.formats.roster_rows import row_bytes
from policy_engine.store.database import Reader, reading_log
from policy_engine.store.decision_index import ROW, SPANS, Derived, Deriver, entries_between, next_index
from policy_engine.store.follows import (
    missing_contents,
    missing_triggers,
    wrong_counters,
    wrong_draws,
    wrong_progress,
    wrong_retries,
    wrong_reviews,
    wrong_revisions,
)
from policy_engine.store.members import KINDS, read_recorded
from policy_engine.store.postings import WIDTH, PartDamaged, between, bits_of, extended, numbers
from policy_engine.store.tables import (
    blobs,
    changes,
    decision_index,
    decision_parts,
    decision_spans,
    decisions,
    keys,
)

_CONTENTS_AT_ONCE: Final = 20
_WITH_CONTENTS: Final = ("book.founded", "book.watched", "book.proposed", "book.approved", "review.release_asked")
_UNSAID: Final = ("draws",)
"""Kinds of rows that come with decisions, of which no change tells."""

Told = Callable[[int, int], object]
"""Takes how many entries of the log were compared, and of how many."""


@dataclass(frozen=True, slots=True)
class LoggedRow:
    """A row of the log: its number, its bytes, and what its columns say that the bytes do not, or `None`."""

    index: int
    body: bytes
    wrong: str | None


class CrossCheck:
    """Holds a database against its own log."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(self, first: int, count: int) -> Sequence[LoggedRow]:
        """The rows of the log from a number on, at most so many."""
        with reading_log(self._engine) as reader:
            found = [*_decisions(reader, first, count), *_changes(reader, first, count)]
        # Two runs in order, which sorting only merges.
        return sorted(found, key=attrgetter("index"))[:count]

    def contents(self) -> Iterator[str]:
        """Archived contents, such as the files of books, that are not those whose SHA-256 is their name."""
        last = ""
        while True:
            query = select(blobs).where(blobs.c.digest > last).order_by(blobs.c.digest).limit(_CONTENTS_AT_ONCE)
            with reading_log(self._engine) as reader:
                page = reader.execute(query).all()
            for row in page:
                if digest_of(row.body) != row.digest:
                    yield f"the archived content `{row.digest}` is another one: its SHA-256 is not its name"
            if len(page) < _CONTENTS_AT_ONCE:
                break
            last = page[-1].digest

        with reading_log(self._engine) as reader:
            yield from missing_contents(reader, _events(reader, *_WITH_CONTENTS))

    def schema(self) -> Iterator[str]:
        """Triggers that refuse to change what is recorded, and that are not there."""
        with reading_log(self._engine) as reader:
            yield from missing_triggers(reader)

    def followed(self) -> Iterator[str]:
        """Revisions, places on caps, retries, review cases and counters that do not follow from the log."""
        with reading_log(self._engine) as reader:
            told: dict[int, Change] = {}
            for one in _events(reader, "review.closed", "members.recorded"):
                event = one.event
                if isinstance(event, MembersRecorded | ReviewClosed) and event.revision is not None:
                    told[event.revision] = one
            yield from wrong_revisions(reader, told)
            yield from wrong_draws(reader, told)
            yield from wrong_retries(reader)
            yield from wrong_reviews(reader)
            yield from wrong_counters(reader)

    def members(self) -> Iterator[str]:
        """Membership revisions whose rows are not those of which the change `members.recorded` has the digest."""
        with reading_log(self._engine) as reader:
            told = _events(reader, "members.recorded")
            digests = {one.event.revision: one.event for one in told if isinstance(one.event, MembersRecorded)}
            released = {
                one.event.revision
                for one in _events(reader, "review.closed")
                if isinstance(one.event, ReviewClosed) and one.event.revision is not None
            }
            hashes = {revision: hashlib.sha256() for revision in digests}
            for kind in KINDS:
                for revision, row in read_recorded(reader, kind):
                    if revision in hashes:
                        hashes[revision].update(row_bytes(kind.name, row))
                    elif kind.name not in _UNSAID and revision not in released:
                        yield f"the table `{kind.name}` has rows of revision {revision}, of which no change tells"
                        return
        for revision, event in sorted(digests.items()):
            if f"sha256:{hashes[revision].hexdigest()}" != event.digest:
                yield f"the rows of membership revision {revision} are not those that were recorded"

    def keys(self) -> Iterator[str]:
        """Keys on file that are not those of which the changes `key.created` and `key.revoked` tell."""
        said: dict[str, tuple[object, ...]] = {}
        with reading_log(self._engine) as reader:
            for one in _events(reader, "key.created", "key.revoked"):
                event = one.event
                if isinstance(event, KeyCreated):
                    rights, assertable = frozenset(event.rights), frozenset(event.assertable)
                    feed = frozenset(event.feed) or None
                    said[event.key] = (event.name, rights, event.gateway, event.person, assertable, feed, one.at, None)
                elif isinstance(event, KeyRevoked) and event.key in said:
                    said[event.key] = (*said[event.key][:-1], one.at)
            columns = keys.c
            found = reader.execute(
                select(
                    columns.id,
                    columns.name,
                    columns.rights,
                    columns.gateway,
                    columns.person,
                    columns.assertable,
                    columns.feed,
                    columns.created_at,
                    columns.revoked_at,
                ).order_by(columns.id)
            ).all()
        for row in found:
            if said.pop(row.id, None) != tuple(row)[1:]:
                yield f"the key `{row.id}` on file is not the one of which the log tells"
        for name in sorted(said):
            yield f"the key `{name}`, of which the log tells, is not on file"

    def index(self, told: Told) -> Iterator[str]:
        """Where the index of decisions is not what follows from the records, as far as it has come."""
        with reading_log(self._engine) as reader:
            size = next_index(reader)
            wrong = next(wrong_progress(reader, size), None) if size >= 0 else None
        if size < 0:
            yield "the index is thrown away and made again just now"
            return
        if wrong is not None:
            yield wrong
            return
        deriver = Deriver()
        for begin in range(0, size, WIDTH):
            end = min(begin + WIDTH, size)
            try:
                with reading_log(self._engine) as reader:
                    wrong = _index_fault(reader, deriver, begin, end)
            except PartDamaged:
                wrong = f"the index has a set that is none, of entries from {begin} on"
            if wrong is not None:
                yield wrong
                return
            told(end, size)
        with reading_log(self._engine) as reader:
            yield from _beyond(reader, -(-size // WIDTH))


def _decisions(reader: Reader, first: int, count: int) -> list[LoggedRow]:
    columns = decisions.c
    query = select(
        columns.log_index,
        columns.body,
        columns.request_id,
        columns.request_digest,
        columns.id,
        type_coerce(columns.decided_at, BigInteger),
        type_coerce(columns.valid_until, BigInteger),
        columns.allowed,
        columns.hold,
        columns.caller,
        columns.control_epoch,
    )
    query = query.where(columns.log_index >= first).order_by(columns.log_index).limit(count)
    return [LoggedRow(row[0], row[1], _decision_fault(row)) for row in reader.execute(query)]


def _decision_fault(row: Row[*tuple[Any, ...]]) -> str | None:
    try:
        said, more, value = said_by_record(row[1])
    except UnreadableEntry as error:
        return f"is not a record that this release can read: {error}"
    held = row[2] if more == "request_id" else row[3]
    if said == row[4:] and value == held:
        return None
    return _does_not_say(_differing((*DECISION_COLUMNS, more), (*row[4:], held), (*said, value)))


def _changes(reader: Reader, first: int, count: int) -> list[LoggedRow]:
    columns = changes.c
    query = select(
        columns.log_index,
        columns.body,
        columns.id,
        columns.kind,
        type_coerce(columns.at, BigInteger),
        columns.actor,
        columns.person,
        columns.epoch,
    )
    query = query.where(columns.log_index >= first).order_by(columns.log_index).limit(count)
    return [LoggedRow(row[0], row[1], _change_fault(row)) for row in reader.execute(query)]


def _change_fault(row: Row[*tuple[Any, ...]]) -> str | None:
    try:
        said = said_by_change(row[1])
    except UnreadableEntry as error:
        return f"is not a change that this release can read: {error}"
    return None if said == row[2:] else _does_not_say(_differing(CHANGE_COLUMNS, row[2:], said))


def _differing(names: Sequence[str], held: Sequence[object], said: Sequence[object]) -> list[str]:
    return [name for name, one, other in zip(names, held, said, strict=True) if one != other]


def _does_not_say(names: Sequence[str]) -> str:
    return f"has other values in its row than in its bytes: {', '.join(names)}"


def _events(reader: Reader, *kinds: str) -> Iterator[Change]:
    query = select(changes.c.body).where(changes.c.kind.in_(kinds)).order_by(changes.c.log_index)
    return (decode_change(body) for body in reader.scalars(query).all())


def _index_fault(reader: Reader, deriver: Deriver, begin: int, end: int) -> str | None:
    """What the index has of a part otherwise than it follows from the records; a slice of it may still be indexed
    while this reads, so only what lies below the end is held against them."""
    part, covered = begin // WIDTH, between(0, end - begin)
    derived = deriver.derive(entries_between(reader, begin, end), part)
    log_index = decision_index.c.log_index
    columns = [
        type_coerce(column, BigInteger) if column.name == "at" else column
        for column in (decision_index.c[name] for name in ROW)
    ]
    held = {row[0]: tuple(row) for row in reader.execute(select(*columns).where(log_index >= begin, log_index < end))}
    for row in derived.rows:
        if held.pop(row[0], None) != row:
            return f"the index is not what follows from the record of `{row[1]}`, entry {row[0]}"
    for number in sorted(held):
        return f"the index has entry {number}, which is not a decision of the log"
    kinds = decision_parts.c
    found = {
        (kind, value): bits_of(members) & covered
        for kind, value, members in reader.execute(
            select(kinds.kind, kinds.value, kinds.members).where(kinds.part == part)
        )
    }
    for mark, members in derived.members.items():
        if wrong := found.pop(mark, 0) ^ bits_of(extended(b"", members)):
            return _not_its_own(mark, begin + next(numbers(wrong)))
    for mark, bits in found.items():
        if bits:
            return _not_its_own(mark, begin + next(numbers(bits)))
    return _span_fault(reader, part, derived, covered)


def _not_its_own(mark: tuple[str, str], log_index: int) -> str:
    kind, value = mark
    return f"the index has `{kind}` `{value}` of entry {log_index} otherwise than its record"


def _span_fault(reader: Reader, part: int, derived: Derived, covered: int) -> str | None:
    """Of the last part, which still grows, the instants may be those of more decisions."""
    row = reader.execute(SPANS.where(decision_spans.c.part == part)).one_or_none()
    members = 0 if row is None else bits_of(row.members)
    if members & covered != bits_of(extended(b"", derived.numbers())):
        return f"the index has other decisions in part {part} than the log"
    if row is not None and members & ~covered == 0 and (row.first_at, row.last_at) != derived.span():
        return f"the index has other instants of part {part} than the log"
    return None


def _beyond(reader: Reader, parts: int) -> Iterator[str]:
    """Parts that no log of this size has."""
    for table in (decision_parts, decision_spans):
        if reader.execute(select(literal(1)).where(or_(table.c.part < 0, table.c.part >= parts)).limit(1)).first():
            yield f"the index has parts beyond the {parts} that it covers"
            return
