"""The two counters, and the locks under which they and the log move.

Everything that a decision stands on moves the epoch: members, keys, books, freezes. The transaction that commits a
decision holds the counters still while it compares the epoch, so a change either commits before the comparison, and the
decision is stale, or returns after the decision is committed. Nobody ever has to ask "was it in time?".

With each epoch stands what changed by it: members by name where that is known, and everything for keys, books and
freezes. A decision of an earlier epoch is not stale where nothing changed since that it read (ADR 34).

Order of locks on PostgreSQL, always downwards: `MEMBERS`, `LOG`, the row of `controls`. The log and the row are taken
last and held briefly, so a long import does not keep decisions waiting, but for those that draw on a cap. Whoever moves
the epoch holds the log's lock, since what moved it is a record there. On SQLite a writing transaction is alone already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from sqlalchemy import Connection, delete, func, select, update

from policy_engine.domain.ports import Control
from policy_engine.domain.roster import Read
from policy_engine.store.database import Writer, is_postgresql, put_rows
from policy_engine.store.tables import changed_names, controls


class Lock(IntEnum):
    """Advisory locks of PostgreSQL, held until the transaction ends; the numbers are the same in every release."""

    LOG = 6_160_768_001
    """Who gives out log indexes: they are dense, so one transaction at a time."""
    MEMBERS = 6_160_768_002
    """Who gives out membership revisions."""
    MIGRATION = 6_160_768_003


def take(writer: Writer, lock: Lock) -> None:
    """Wait for the lock and hold it until the transaction ends."""
    if is_postgresql(writer):
        writer.execute(select(func.pg_advisory_xact_lock(lock.value)))


def read_control(connection: Connection) -> Control:
    """The counters as this transaction sees them."""
    row = connection.execute(select(controls.c.epoch, controls.c.membership_revision)).one()
    return Control(epoch=row.epoch, revision=row.membership_revision)


def move(writer: Writer, *, revisions: int = 0, changed: frozenset[Read] | None = None) -> None:
    """Move the epoch by one, and the membership revision by as many as were recorded. Waits for a running commit.

    `changed` is what reads otherwise from the new epoch on, `None` for whatever there is. It is kept for as many epochs
    as a decision may be behind, see `changed_since`.
    """
    writer.execute(
        update(controls).values(
            epoch=controls.c.epoch + 1, membership_revision=controls.c.membership_revision + revisions
        )
    )
    epoch = read_control(writer).epoch
    names = {_EVERYTHING} if changed is None or len(changed) > _BY_NAME else changed
    put_rows(writer, changed_names, ("epoch", "view", "name"), [(epoch, *one) for one in (_MOVED, *sorted(names))])
    writer.execute(delete(changed_names).where(changed_names.c.epoch <= epoch - BEHIND))


BEHIND: Final = 256
"""So many epochs a decision may be behind: what changed since is known by name."""

_BY_NAME: Final = 256
_EVERYTHING: Final = ("", "")
_MOVED: Final = ("", "moved")
"""Stands with every epoch: one without was moved by a release that says nothing of what it changed."""


@dataclass(frozen=True, slots=True)
class ChangedSince:
    """What changed in the epochs after one, up to the one in force: the last epoch that changed each name."""

    after: int
    epoch: int
    last: Mapping[Read, int]

    def leaves(self, epoch: int, reads: frozenset[Read] | None) -> bool:
        """Whether whatever was read under an epoch, of which nobody knows with `None`, still reads as it did."""
        if epoch == self.epoch:
            return True
        if reads is None or not self.after <= epoch < self.epoch:
            return False
        return all(self.last.get(read, epoch) <= epoch for read in (_EVERYTHING, *reads))


def changed_since(connection: Connection, after: int, epoch: int) -> ChangedSince:
    """What changed after an epoch, up to the one in force; of more than `BEHIND`, and before an epoch of which nothing
    is said, nothing is known."""
    after = max(after, epoch - BEHIND)
    if after >= epoch:
        return ChangedSince(epoch, epoch, {})
    columns = changed_names.c
    query = select(columns.epoch, columns.view, columns.name).where(columns.epoch > after, columns.epoch <= epoch)
    rows = connection.execute(query.order_by(columns.epoch)).all()
    told = {row[0] for row in rows if (row[1], row[2]) == _MOVED}
    after = max((one for one in range(after + 1, epoch + 1) if one not in told), default=after)
    return ChangedSince(after, epoch, {(row[1], row[2]): row[0] for row in rows})


def write_again(writer: Writer) -> None:
    """Write the counters as they are: the least that needs the disk."""
    writer.execute(update(controls).values(epoch=controls.c.epoch))
