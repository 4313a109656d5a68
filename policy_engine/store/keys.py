"""API keys, by their hash. A key is never forgotten: it is revoked, once, and stays on file.

Any change moves the control epoch, so that every process reads the keys anew and no decision that was asked for with a
key which is revoked by now is committed after `revoke` has returned.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from policy_engine.domain.changes import Actor, Event, KeyCreated, KeyRevoked
from policy_engine.domain.ports import Key, MembersUnavailable, NewEvent
from policy_engine.store.changes import add_changes
from policy_engine.store.control import Lock, move, read_control, take
from policy_engine.store.database import Reader, Writer, raising, reading, writing
from policy_engine.store.tables import keys


class Keys:
    """The keys in the database; methods raise `MembersUnavailable` when it cannot be reached."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, key: Key) -> None:
        """Put a new key on file. Raises `ValueError` when its id or its secret is on file already."""
        told = asdict(key)
        # Who asks by a token or a certificate has no key that could be put on file.
        del told["identity"]
        with raising(MembersUnavailable):
            try:
                with writing(self._engine) as writer:
                    take(writer, Lock.LOG)
                    writer.execute(insert(keys).values({**told, "feed": key.feed or None}))
                    created = KeyCreated(
                        key=key.id,
                        name=key.name,
                        rights=tuple(sorted(key.rights)),
                        gateway=key.gateway,
                        person=key.person,
                        assertable=tuple(sorted(key.assertable)),
                        feed=tuple(sorted(key.feed)),
                    )
                    _record(writer, f"key-{key.id}-created", key.created_at, created)
            except IntegrityError as error:
                raise ValueError(f"key `{key.id}`, or another with its secret, is on file already") from error

    def all(self) -> tuple[Key, ...]:
        """Every key ever made, the revoked ones too, oldest first."""
        with raising(MembersUnavailable), reading(self._engine) as reader:
            return read_keys(reader)

    def revoke(self, key_id: str, at: datetime) -> bool:
        """Whether a key was revoked by this call: one that is unknown or was revoked before is left as it is."""
        with raising(MembersUnavailable), writing(self._engine) as writer:
            take(writer, Lock.LOG)
            revoked = writer.execute(
                update(keys).where(keys.c.id == key_id, keys.c.revoked_at.is_(None)).values(revoked_at=at)
            )
            if revoked.rowcount == 0:
                return False
            _record(writer, f"key-{key_id}-revoked", at, KeyRevoked(key=key_id))
            return True


def read_keys(reader: Reader, *, in_force: bool = False) -> tuple[Key, ...]:
    """Every key ever made, or those that were not revoked, oldest first."""
    query = select(keys).order_by(keys.c.created_at, keys.c.id)
    if in_force:
        query = query.where(keys.c.revoked_at.is_(None))
    return tuple(Key(**{**row._mapping, "feed": row.feed or frozenset()}) for row in reader.execute(query))


def _record(writer: Writer, change_id: str, at: datetime, event: Event) -> None:
    # Keys are made and revoked from the command line of the machine that has the database.
    entry = NewEvent(id=change_id, at=at, actor=Actor(key="command line"), event=event)
    add_changes(writer, [entry], epoch=read_control(writer).epoch + 1)
    move(writer)
