"""The stores of the settings' database, for a command that needs no service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from policy_engine.app.settings import Settings
from policy_engine.policy.library import Library
from policy_engine.service.gate.history import RecordedPast
from policy_engine.service.gate.keyring import KeyRing, KeysAlone
from policy_engine.store.change_list import ChangeList
from policy_engine.store.cross_check import CrossCheck
from policy_engine.store.database import Database, open_database
from policy_engine.store.decision_index import Indexer
from policy_engine.store.desk_log import DeskLog
from policy_engine.store.index_search import DecisionIndex
from policy_engine.store.keys import Keys
from policy_engine.store.log_entries import LogEntries
from policy_engine.store.member_history import MemberHistory
from policy_engine.store.members import Members
from policy_engine.store.retirement import Retirement
from policy_engine.store.webhook_cursors import WebhookCursors


@dataclass(frozen=True)
class Stores:
    """Everything that is read from, or written to, the settings' database; each is made when it is asked for."""

    settings: Settings
    engine: Database

    @property
    def entries(self) -> LogEntries:
        return LogEntries(self.engine)

    @property
    def desk_log(self) -> DeskLog:
        return DeskLog(self.engine)

    @property
    def members(self) -> Members:
        return Members(self.engine)

    @property
    def member_history(self) -> MemberHistory:
        return MemberHistory(self.engine)

    @property
    def changes(self) -> ChangeList:
        return ChangeList(self.engine)

    @property
    def index(self) -> DecisionIndex:
        return DecisionIndex(self.engine)

    @property
    def indexer(self) -> Indexer:
        return Indexer(self.engine)

    @property
    def rows(self) -> CrossCheck:
        return CrossCheck(self.engine)

    @property
    def retirement(self) -> Retirement:
        return Retirement(self.engine)

    @property
    def webhook_cursors(self) -> WebhookCursors:
        return WebhookCursors(self.engine)

    @cached_property
    def library(self) -> Library:
        return Library(self.desk_log.content)

    @cached_property
    def past(self) -> RecordedPast:
        """What was known and in force at each decision; it remembers what it has read."""
        return RecordedPast(self.desk_log, self.library)


@contextmanager
def open_stores(settings: Settings) -> Iterator[Stores]:
    """The stores of the settings' database; what is done with them raises the store's errors."""
    engine = open_database(settings.database_url)
    try:
        yield Stores(settings, engine)
    finally:
        engine.dispose()


@contextmanager
def open_members(settings: Settings) -> Iterator[Members]:
    """The membership database alone."""
    with open_stores(settings) as stores:
        yield stores.members


@contextmanager
def open_keyring(settings: Settings) -> Iterator[KeyRing]:
    """The keys alone, without a snapshot of members."""
    with open_stores(settings) as stores:
        keys = Keys(stores.engine)
        yield KeyRing(keys, KeysAlone(keys), stores.members.people)


def database_file(settings: Settings) -> Path | None:
    """The file of an SQLite database; `None` for another one. Raises `ValueError` for a URL that cannot be read."""
    engine = open_database(settings.database_url)
    path, is_file = engine.url.database, engine.dialect.name == "sqlite"
    engine.dispose()
    # A URI of SQLite's own, `file:...`, has its own way to say that nothing is made.
    return Path(path) if is_file and path is not None and not path.startswith("file:") else None
