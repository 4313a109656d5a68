"""The removal of the decisions of a retired year: the one place where records leave the database.

Triggers refuse to remove a record, whoever asks. Only the owner of the tables can take one away, and here it is taken
away and put back within the transaction that removes: none commits without it. Changes stay, since the desk, the keys
and the members are folded from them.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Engine, delete, select

from policy_engine.store.control import Lock, take
from policy_engine.store.database import Writer, is_postgresql, reading_log, writing_log
from policy_engine.store.decision_index import forget
from policy_engine.store.tables import decisions

AT_ONCE: Final = 2_000
"""Records that one transaction removes: decisions go on being written in between."""

_TRIGGER: Final = "decisions_refuse_delete"


class Retirement:
    """Removes decisions. Methods raise `LogUnavailable`, also where the role does not own the tables."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def count(self, first: int, end: int) -> int:
        """How many decisions have a number of the interval, as far as `AT_ONCE`."""
        with reading_log(self._engine) as reader:
            return len(
                reader.execute(
                    select(decisions.c.log_index)
                    .where(decisions.c.log_index >= first, decisions.c.log_index < end)
                    .limit(AT_ONCE)
                ).all()
            )

    def remove(self, first: int, end: int) -> int:
        """Remove the oldest decisions of the interval with what is derived from them; how many were removed.

        Call it again until it gives 0.
        """
        with writing_log(self._engine) as writer:
            # The order of locks of every writer: the log before its tables.
            take(writer, Lock.LOG)
            found = writer.scalars(
                select(decisions.c.log_index)
                .where(decisions.c.log_index >= first, decisions.c.log_index < end)
                .order_by(decisions.c.log_index)
                .limit(AT_ONCE)
            ).all()
            if found:
                _remove(writer, found[0], found[-1] + 1)
            return len(found)


def _remove(writer: Writer, first: int, end: int) -> None:
    forget(writer, first, end)
    removal = delete(decisions).where(decisions.c.log_index >= first, decisions.c.log_index < end)
    if is_postgresql(writer):
        writer.exec_driver_sql("ALTER TABLE decisions DISABLE TRIGGER only_grows")
        writer.execute(removal)
        writer.exec_driver_sql("ALTER TABLE decisions ENABLE TRIGGER only_grows")
        return
    definition = writer.exec_driver_sql(
        "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?", (_TRIGGER,)
    ).scalar_one()
    writer.exec_driver_sql(f"DROP TRIGGER {_TRIGGER}")
    writer.execute(removal)
    writer.exec_driver_sql(definition)
