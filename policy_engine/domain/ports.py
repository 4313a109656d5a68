"""What the use cases need of the outside: the log, the members, the keys. The store gives it."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from policy_engine.domain.decision import Record
from policy_engine.domain.roster import RosterRows


class LogUnavailable(Exception):
    """No record could be made durable; nothing may be answered as allowed."""


class MembersUnavailable(Exception):
    """The membership database cannot be read; no decision can be made."""


class Outcome(Enum):
    """What became of a record that was handed to the log.

    COMMITTED: it is durable. REPLAYED: an earlier decision under the same request id still holds and its bytes are
    given back; nothing was written. CONFLICT: the request id was used for another request. STALE: the control epoch
    moved, or a capped place was taken, since the decision was made: decide again.
    """

    COMMITTED = "committed"
    REPLAYED = "replayed"
    CONFLICT = "conflict"
    STALE = "stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """The outcome, and the bytes that stand in the log when there are any (committed or replayed)."""

    outcome: Outcome
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
class Change:
    """What a change of the members did: the revision now in force, and how many rows it added."""

    revision: int
    added: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key as stored: never the secret, only its hash. `person` binds the key to a natural person's id."""

    id: str
    name: str
    secret_hash: str
    rights: frozenset[str]
    gateway: str | None
    person: str | None
    assertable: frozenset[str]
    created_at: datetime
    revoked_at: datetime | None


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

    def append(self, record: Record) -> Future[Appended]: ...

    def read(self, decision_id: str) -> bytes | None: ...


class Members(Protocol):
    """The membership database. Methods raise `MembersUnavailable` when it cannot be reached."""

    def snapshot(self) -> Snapshot: ...

    def control(self) -> Control: ...

    def record(self, rows: RosterRows, *, actor: str, reason: str, at: datetime) -> Change:
        """Add what is new, all or nothing; the same rows again add nothing. `at` is the instant of the import.

        Raises `ValueError` for rows that cannot be recorded, each named by its kind and key.
        """
        ...


class Keys(Protocol):
    """API keys. Methods raise `MembersUnavailable` when the database cannot be reached."""

    def add(self, key: Key) -> None: ...

    def all(self) -> tuple[Key, ...]: ...

    def revoke(self, key_id: str, at: datetime) -> bool: ...
