"""The two counters, and the locks under which they and the log move.

Everything that a decision stands on moves the epoch: members, keys, books, freezes. The transaction that commits a
decision holds the counters still while it compares the epoch, so a change either commits before the comparison, and the
decision is stale, or returns after the decision is committed. Nobody ever has to ask "was it in time?".

Order of locks on PostgreSQL, always downwards: `MEMBERS`, `LOG`, the row of `controls`. The log and the row are taken
last and held briefly, so a long import does not keep decisions waiting, but for those that draw on a cap. Whoever moves
the epoch holds the log's lock, since what moved it is a record there. On SQLite a writing transaction is alone already.
"""

from __future__ import annotations

from enum import IntEnum

from sqlalchemy import Connection, func, select, update

from policy_engine.domain.ports import Control
from policy_engine.store.database import Writer, is_postgresql
from policy_engine.store.tables import controls


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


def move(writer: Writer, *, revisions: int = 0) -> None:
    """Move the epoch by one, and the membership revision by as many as were recorded. Waits for a running commit."""
    writer.execute(
        update(controls).values(
            epoch=controls.c.epoch + 1, membership_revision=controls.c.membership_revision + revisions
        )
    )


def write_again(writer: Writer) -> None:
    """Write the counters as they are: the least that needs the disk."""
    writer.execute(update(controls).values(epoch=controls.c.epoch))
