"""How far each receiver of webhooks was told, and which process delivers there for now.

A process holds a receiver for a few seconds at a time. Where two believe that they do, as when one was stopped in
between, both may deliver the same; only who holds it moves the cursor, and nothing is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row, or_, select, update

from policy_engine.domain.webhooks import Cursor, Disabled
from policy_engine.store.changes import add_unless_there
from policy_engine.store.database import reading_log, writing_log
from policy_engine.store.tables import webhook_cursors


class WebhookCursors:
    """The cursors in the database; methods raise `LogUnavailable` when it cannot be reached."""

    def __init__(self, engine: Engine) -> None:
        """An engine for what is derived will do: what a loss of power takes of a cursor is delivered once more."""
        self._engine = engine

    def begin(self, names: Sequence[str], told: int) -> None:
        """Put receivers on file that are new: they are told what comes after an entry of the log."""
        with writing_log(self._engine) as writer:
            add_unless_there(writer, webhook_cursors, [{"name": name, "told": told} for name in names])

    def claim(self, names: Sequence[str], holder: str, *, at: datetime, until: datetime) -> tuple[Cursor, ...]:
        """Hold those receivers until then that nobody else holds at `at`; all that the holder holds then."""
        columns = webhook_cursors.c
        free = or_(columns.holder.is_(None), columns.holder == holder, columns.held_until < at)
        claiming = update(webhook_cursors).where(columns.name.in_(names), free)
        with writing_log(self._engine) as writer:
            writer.execute(claiming.values(holder=holder, held_until=until))
            held = select(webhook_cursors).where(columns.name.in_(names), columns.holder == holder)
            return tuple(map(_cursor, writer.execute(held)))

    def release(self, holder: str) -> None:
        """Hold nothing any more."""
        with writing_log(self._engine) as writer:
            mine = update(webhook_cursors).where(webhook_cursors.c.holder == holder)
            writer.execute(mine.values(holder=None, held_until=None))

    def move(self, name: str, holder: str, *, told: int) -> bool:
        """The receiver was told everything up to an entry of the log. Whether the holder still held it."""
        return self._change(name, holder, told=told, failing_since=None)

    def fail(self, name: str, holder: str, *, since: datetime) -> bool:
        """The receiver takes nothing since then. Whether the holder still held it."""
        return self._change(name, holder, failing_since=since)

    def disable(self, name: str, holder: str, *, at: datetime, why: Disabled) -> bool:
        """Nothing is to be sent there any more. Whether the holder still held it."""
        return self._change(name, holder, disabled_at=at, disabled=why.value)

    def enable(self, name: str) -> bool:
        """Send there again, from where it was left. Whether it was disabled."""
        columns = webhook_cursors.c
        disabled = update(webhook_cursors).where(columns.name == name, columns.disabled_at.is_not(None))
        with writing_log(self._engine) as writer:
            changed = writer.execute(disabled.values(disabled_at=None, disabled=None, failing_since=None))
            return bool(changed.rowcount)

    def all(self) -> tuple[Cursor, ...]:
        """Every receiver that was ever told something, by its name."""
        with reading_log(self._engine) as reader:
            return tuple(map(_cursor, reader.execute(select(webhook_cursors).order_by(webhook_cursors.c.name))))

    def _change(self, name: str, holder: str, **values: object) -> bool:
        columns = webhook_cursors.c
        held = update(webhook_cursors).where(columns.name == name, columns.holder == holder)
        with writing_log(self._engine) as writer:
            return bool(writer.execute(held.values(**values)).rowcount)


def _cursor(row: Row[Any]) -> Cursor:
    return Cursor(
        name=row.name,
        told=row.told,
        failing_since=row.failing_since,
        disabled_at=row.disabled_at,
        disabled=None if row.disabled is None else Disabled(row.disabled),
    )
