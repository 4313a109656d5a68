"""What the use cases need of the outside: the log, the members, the keys. The store gives it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from policy_engine.domain.changes import Actor, Change, Event
from policy_engine.domain.decision import Record
from policy_engine.domain.request import Identity
from policy_engine.domain.reviews import ReviewKey
from policy_engine.domain.roster import RosterRows


class LogUnavailable(Exception):
    """No record could be made durable; nothing may be answered as allowed."""


class LogDamaged(Exception):
    """The log can be reached, and an entry that it had is not in it any more; `index` is its log index, from 0."""

    def __init__(self, index: int) -> None:
        self.index = index
        super().__init__(
            f"entry {index} of the log is missing: find out what else is with `policy-engine log verify --database`,"
            " and restore the database from a backup"
        )


class MembersUnavailable(Exception):
    """The membership database cannot be read; no decision can be made."""


class MembersMoved(Exception):
    """Rows were recorded since those to be recorded now were made: they were held against others than are on file."""


class AppendOutcome(Enum):
    """What became of a record that was handed to the log.

    COMMITTED: it is durable. REPLAYED: an earlier decision under the same request id still holds and its bytes are
    given back; nothing was written. CONFLICT: the request id was used for another request. STALE: something
    that was read changed, or may have, or a capped place was taken, since the decision was made: decide again.
    """

    COMMITTED = "committed"
    REPLAYED = "replayed"
    CONFLICT = "conflict"
    STALE = "stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """The outcome, and the bytes that stand in the log when there are any (committed or replayed)."""

    outcome: AppendOutcome
    body: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Every membership row at one revision, and the control epoch under which it was read."""

    rows: RosterRows
    revision: int
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The counters that only grow: any change of members, books or freezes moves the epoch."""

    epoch: int
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key as stored: never the secret, only its hash. `person` binds the key to a natural person's id.

    `feed` are the kinds of rows, by the names of `FEEDS`, that the key of a feed records, none for any other key.
    `identity` is who asks by a token or a certificate: what it may do is told as if by a key, and it is stored nowhere.
    """

    id: str
    name: str
    secret_hash: str
    rights: frozenset[str]
    gateway: str | None
    person: str | None
    assertable: frozenset[str]
    created_at: datetime
    revoked_at: datetime | None
    feed: frozenset[str] = frozenset()
    identity: Identity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlReading:
    """What decisions stand on, read at one instant: the counters, the members, the keys, and the changes by people.

    `rows` are those recorded since the revision that the reader holds, all of them for a reader that holds none or one
    that is not there any more, and `None` where it is the one in force; `changes` are those recorded since the reader's
    last, in order, `keys` those in force, and `last_index` is the log index of the last of all.
    """

    epoch: int
    revision: int
    rows: RosterRows | None
    keys: tuple[Key, ...]
    changes: tuple[Change, ...]
    last_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event to be recorded, before it is known which control epoch it brings."""

    id: str
    at: datetime
    actor: Actor
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One entry of the log: its number, the instant of the decision or change, and the bytes that stand there."""

    index: int
    at: datetime
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LogYear:
    """A year of the log, which is sealed by itself: its first entry has this number."""

    year: int
    first_index: int


class LogEntries(Protocol):
    """The log as one dense sequence. Methods raise `LogUnavailable`."""

    def size(self) -> int: ...

    def page(self, first: int, count: int = 1_000) -> Sequence[LogEntry]: ...

    def find(self, entry_id: str) -> LogEntry | None: ...

    def years(self) -> tuple[LogYear, ...]: ...

    def begin_year(self, year: LogYear) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedReview:
    """A review case as the decision that was held first opened it."""

    id: str
    key: ReviewKey
    opened_at: datetime
    decision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import of members did: the revision now in force, and how many rows it added."""

    revision: int
    added: int


class DecisionLog(Protocol):
    """Durable decisions.

    `append` returns at once; its future is done once the record's group is committed, or fails with `LogUnavailable`,
    also when the commit's outcome is unknown. `read` gives the bytes that stand in the log under a decision id, `None`
    when there are none, and raises `LogUnavailable`.
    """

    @property
    def alive(self) -> bool:
        """Whether records are still taken."""
        ...

    def check(self) -> None:
        """Raises `LogUnavailable` when the last records could not be written, and nothing can be written now."""
        ...

    def append(self, record: Record) -> Future[Appended]: ...

    def append_all(self, records: Sequence[Record]) -> Future[tuple[Appended, ...]]:
        """Several records in one commit: when one of them is STALE all are, and none is written."""
        ...

    def read(self, decision_id: str) -> bytes | None: ...


class DeskLog(Protocol):
    """The events of the policy desk, in the same log as the decisions. Methods raise `LogUnavailable`."""

    def standing(self, *, held_revision: int | None, after_index: int) -> ControlReading: ...

    def record(
        self,
        entries: Sequence[NewEvent],
        *,
        under: int,
        contents: Sequence[bytes] = (),
        rows: RosterRows | None = None,
        reason: str = "",
        change: str | None = None,
    ) -> int | None:
        """Record the events, the long content that they name and the members' rows, all or nothing and durably.

        `under` is the control epoch that they were made under: when it has moved nothing is recorded and `None` is
        given, else the new epoch. Rows that add anything are a revision of which a change `members.recorded` tells,
        with the reason and the id of the change or case that they come with. Raises `ValueError` for rows that cannot
        be recorded.
        """
        ...

    def note(self, entry: NewEvent) -> None:
        """Record, durably, an event that nothing stands on: the control epoch stays, and so does every decision."""
        ...

    def content(self, digest: str) -> bytes | None:
        """Long content by its digest."""
        ...

    def changes(self, kinds: Sequence[str] = ()) -> tuple[Change, ...]:
        """Every change, or those of some kinds, in the order in which they were recorded."""
        ...

    def reviews(self, case: str | None = None) -> tuple[OpenedReview, ...]:
        """Every case ever opened, or one, oldest first."""
        ...

    def decisions_since(self, at: datetime) -> Iterator[bytes]:
        """The records of the decisions since an instant, in the order of the log."""
        ...

    def rows_at(self, revision: int) -> RosterRows:
        """The members' rows that were recorded up to a revision."""
        ...


class Members(Protocol):
    """The membership database. Methods raise `MembersUnavailable` when it cannot be reached."""

    def snapshot(self) -> Snapshot: ...

    def control(self) -> Control: ...

    def record(self, rows: RosterRows, *, actor: str, reason: str, at: datetime, under: int | None = None) -> Imported:
        """Add what is new, all or nothing; the same rows again add nothing. `at` is the instant of the import.

        `under` is the revision that the rows were made and checked beside; where another one is in force when they are
        written nothing is, and `MembersMoved` is raised. Raises `ValueError` for rows that cannot be recorded, each
        named by its kind and key.
        """
        ...


class Keys(Protocol):
    """API keys. Methods raise `MembersUnavailable` when the database cannot be reached."""

    def add(self, key: Key) -> None: ...

    def all(self) -> tuple[Key, ...]: ...

    def revoke(self, key_id: str, at: datetime) -> bool: ...
