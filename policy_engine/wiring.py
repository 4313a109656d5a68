"""The only builder of real parts: settings, database, rule book, log, keys.

Everything that reads the environment, the clock or randomness is here or in a door.
"""

from __future__ import annotations

import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from policy_engine.domain.ports import DecisionLog, Keys, Members
from policy_engine.policy.reader import read_folder
from policy_engine.policy.shelf import Shelf
from policy_engine.service.decide import Decider, RosterView
from policy_engine.service.keyring import KeyRing
from policy_engine.store import migrate
from policy_engine.store.database import open_database
from policy_engine.store.decision_log import DecisionLog as StoredDecisionLog
from policy_engine.store.keys import Keys as StoredKeys
from policy_engine.store.members import Members as StoredMembers


class Settings(BaseSettings):
    """Settings of the service, from environment variables that begin with `POLICY_ENGINE_`."""

    model_config = SettingsConfigDict(env_prefix="POLICY_ENGINE_", extra="ignore")

    database_url: str = Field(
        "sqlite:///var/policy-engine.db",
        description="SQLAlchemy URL: sqlite:///path or postgresql+psycopg://user:password@host/name",
    )
    policies: Path = Field(Path("policies"), description="folder of the rule book")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8181, ge=0, le=65535, description="port to listen on")
    log_queue: int = Field(10_000, ge=1, description="decisions that may wait for the log before 503 is answered")
    log_level: str = Field("info", description="debug, info, warning or error; no level logs facts about a person")


Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class DecisionIds:
    """ULIDs: 48 bits of milliseconds and 80 random bits in Crockford's base 32, so that ids sort by time.

    Randomness is fetched for many ids at once: one call of the system for each costs more than a judgement.
    """

    _LENGTH: Final = 10
    _AT_ONCE: Final = 512

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stock = b""

    def __call__(self, at: datetime) -> str:
        with self._lock:
            if not self._stock:
                self._stock = secrets.token_bytes(self._LENGTH * self._AT_ONCE)
            drawn, self._stock = self._stock[: self._LENGTH], self._stock[self._LENGTH :]
        milliseconds = max(0, int(at.timestamp() * 1000)) & (2**48 - 1)
        number = milliseconds << 80 | int.from_bytes(drawn, "big")
        return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the doors are given."""

    shelf: Shelf
    members: Members
    keys: Keys
    log: DecisionLog
    decider: Decider
    ring: KeyRing
    close: Callable[[], None]


def configure_logging(level: str) -> None:
    """Structured lines on standard error. What is logged is chosen at each place and never holds facts of a person."""
    numbers = {"debug": 10, "info": 20, "warning": 30, "error": 40}
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numbers[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def build(
    settings: Settings,
    *,
    clock: Clock = system_clock,
    new_id: Callable[[datetime], str] | None = None,
    shelf: Shelf | None = None,
) -> Parts:
    """The parts over the settings' database and rule book.

    Raises `FaultsError` for a book with faults, and the store's errors for a database that cannot be used.
    """
    if shelf is None:
        shelf = Shelf()
        shelf.accept(read_folder(settings.policies))
    engine = open_database(settings.database_url)
    members = StoredMembers(engine)
    keys = StoredKeys(engine)
    log = StoredDecisionLog(engine, size=settings.log_queue)
    ring = KeyRing(keys, members)
    ring.refresh()
    view = RosterView(members)
    view.refresh()
    logger = structlog.get_logger("policy_engine.decide")
    decider = Decider(
        shelf=shelf,
        view=view,
        log=log,
        clock=clock,
        new_id=new_id or DecisionIds(),
        report_fault=lambda name: logger.error("engine fault", fault=name),
    )

    def close() -> None:
        log.close()
        engine.dispose()

    return Parts(
        shelf=shelf,
        members=members,
        keys=keys,
        log=log,
        decider=decider,
        ring=ring,
        close=close,
    )


@contextmanager
def open_members(settings: Settings) -> Iterator[Members]:
    """The membership database alone, for a command. Raises the store's errors."""
    engine = open_database(settings.database_url)
    try:
        yield StoredMembers(engine)
    finally:
        engine.dispose()


@contextmanager
def open_keyring(settings: Settings) -> Iterator[KeyRing]:
    """The keys alone, for a command. Raises the store's errors."""
    engine = open_database(settings.database_url)
    try:
        ring = KeyRing(StoredKeys(engine), StoredMembers(engine))
        ring.refresh()
        yield ring
    finally:
        engine.dispose()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """At which schema the database is, `None` for an empty one, and which the code works with."""

    current: str | None
    newest: str


def schema(settings: Settings) -> Schema:
    """The schema of the settings' database. Raises `MembersUnavailable`."""
    engine = open_database(settings.database_url)
    try:
        return Schema(current=migrate.current(engine), newest=migrate.head())
    finally:
        engine.dispose()


def upgrade(settings: Settings) -> Schema:
    """Bring the database to the newest schema; an SQLite file and its folder are made. Raises `MembersUnavailable`."""
    if settings.database_url.startswith(_SQLITE):
        Path(settings.database_url.removeprefix(_SQLITE)).parent.mkdir(parents=True, exist_ok=True)
    engine = open_database(settings.database_url)
    try:
        migrate.upgrade(engine)
    finally:
        engine.dispose()
    return schema(settings)


_SQLITE: Final = "sqlite:///"
