"""The only builder of real parts: settings, database, rule book, log, keys.

Everything that reads the environment, the clock or randomness is here or in a door.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Final

import structlog

from policy_engine.app.application_log import configure_logging
from policy_engine.app.callers import callers_of
from policy_engine.app.clock import Clock, system_clock
from policy_engine.app.sealer import Apart, EndedWithoutAnswer, Sealer, Work
from policy_engine.app.settings import Settings
from policy_engine.app.stores import open_stores
from policy_engine.app.tracing import tracing_to
from policy_engine.app.webhooks import Webhooks
from policy_engine.domain.changes import Actor
from policy_engine.domain.desk import desk_after
from policy_engine.domain.gateways import Profiles
from policy_engine.domain.ports import DecisionLog, DeskLog, Keys, LogEntries, Members
from policy_engine.domain.request import Request, Subject
from policy_engine.domain.roster import Roster
from policy_engine.domain.rules import Book
from policy_engine.formats.faults import Fault, FaultsError
from policy_engine.formats.gateway_profiles import read_profiles
from policy_engine.formats.record_reader import read_record
from policy_engine.formats.ulid import RANDOM_BYTES, ulid
from policy_engine.ledger.files import locked, make_directory, write_durably
from policy_engine.policy.cases import desk_folder
from policy_engine.policy.judge import Judge
from policy_engine.policy.library import Library
from policy_engine.policy.reader import read_book, read_folder
from policy_engine.service.administration.assess import CheckedBook, assess, check_and_try
from policy_engine.service.administration.desk import Administration
from policy_engine.service.administration.desk_faults import AssessmentEnded
from policy_engine.service.administration.member_changes import MemberChanges
from policy_engine.service.administration.publish import WATCHER, Assessment, Candidate, Publisher, found_book
from policy_engine.service.administration.reviewing import Reviews
from policy_engine.service.administration.watch import Alarm, Watcher
from policy_engine.service.audit.inspect import Inspector
from policy_engine.service.audit.on_file import RecordedLooks
from policy_engine.service.gate.endings import Endings
from policy_engine.service.gate.gate import Gate
from policy_engine.service.gate.history import RecordedPast
from policy_engine.service.gate.keyring import KeyRing
from policy_engine.service.gate.listeners import Listeners
from policy_engine.service.gate.pools import Pools
from policy_engine.service.gate.snapshot import Ground, Judges, StandingView
from policy_engine.service.gate.spans import Spans
from policy_engine.service.sealing.sealed_log import (
    HEARTBEAT_SECONDS,
    SILENCE_SECONDS,
    HistoryRefused,
    Keeper,
    KeptApart,
    NotIndexed,
    Sealing,
    SealKeeper,
    SealState,
)
from policy_engine.service.sealing.sealed_roots import SealedTrees
from policy_engine.store import migrate
from policy_engine.store.change_list import ChangeList
from policy_engine.store.database import Database, make_file, open_database
from policy_engine.store.decision_index import Filters, Indexer, IndexerLoop
from policy_engine.store.decision_log import DecisionLog as StoredDecisionLog
from policy_engine.store.desk_log import DeskLog as StoredDeskLog
from policy_engine.store.index_search import DecisionIndex
from policy_engine.store.keys import Keys as StoredKeys
from policy_engine.store.log_entries import LogEntries as StoredLogEntries
from policy_engine.store.member_history import MemberHistory
from policy_engine.store.members import Members as StoredMembers
from policy_engine.store.webhook_cursors import WebhookCursors


class DecisionIds:
    """ULIDs. Randomness is fetched for many at once: one call of the system for each costs more than a judgement."""

    _AT_ONCE: Final = 512

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stock = b""

    def __call__(self, at: datetime) -> str:
        with self._lock:
            if not self._stock:
                self._stock = secrets.token_bytes(RANDOM_BYTES * self._AT_ONCE)
            drawn, self._stock = self._stock[:RANDOM_BYTES], self._stock[RANDOM_BYTES:]
        return ulid(at, drawn)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the doors are given."""

    members: Members
    keys: Keys
    log: DecisionLog
    desk_log: DeskLog
    gate: Gate
    spans: Spans
    profiles: Profiles
    public_url: str | None
    page_key: bytes
    desk: Administration
    publisher: Publisher
    check: Callable[[Mapping[str, bytes]], CheckedBook]
    reviews: Reviews
    member_changes: MemberChanges
    past: RecordedPast
    ring: KeyRing
    watcher: Watcher | None
    entries: LogEntries
    keeper: Keeper | None
    inspector: Inspector
    history: MemberHistory
    looks: RecordedLooks
    pools: Pools
    listeners: Listeners
    webhooks: Webhooks
    waiting: Callable[[], int]
    metrics_without_key: bool
    close: Callable[[], None]


def build(
    settings: Settings,
    *,
    clock: Clock = system_clock,
    new_id: Callable[[datetime], str] | None = None,
    judges: Judges | None = None,
    background: bool = False,
    keep: Work | None = None,
) -> Parts:
    """The parts over the settings' database; an empty one is founded with the book of the settings' folder.

    `judges` stands for the archive in what is decided. With `background` the process does everything that a service
    does beside deciding: a sealer seals and indexes the log (`keep` stands for `KeepLog` in that), and proposals are
    assessed in a process of their own, so that decisions wait for neither. Raises `FaultsError` for a first book with
    faults, `HistoryRefused` for a log that is not the one sealed so far, `TracingMissing`, and the store's errors for a
    database that cannot be used.
    """
    profiles_by = _profiles_of(settings)
    tracing = tracing_to(settings.traces)
    engine = open_database(settings.database_url)
    new_id = new_id or DecisionIds()
    members = StoredMembers(engine)
    keys = StoredKeys(engine)
    desk_log = StoredDeskLog(engine)
    log = StoredDecisionLog(
        engine, size=settings.log_queue, cases_per_hour=settings.reviews_per_hour, report=_report_log
    )
    library = Library(desk_log.content)
    view = StandingView(
        members=members,
        desk=desk_log,
        judges=judges or library,
        clock=clock,
        report_fault=_report_fault,
    )
    if not view.refresh().desk.books:
        at = clock()
        found_book(desk_log, desk_folder(settings.policies), at=at, entry_id=f"founding-{new_id(at)}")
        view.refresh()
    profiles = profiles_by(view.current().judge_at(clock()))
    ring = KeyRing(keys, view, lambda: frozenset(view.refresh().roster.people), callers_of(settings, profiles, clock))
    gate = Gate(view=view, log=log, clock=clock, new_id=new_id, report_fault=_report_fault, spans=tracing.spans)

    def stands(actor: Actor, ground: Ground) -> bool:
        return actor == WATCHER or actor.key in ground.keys

    desk = Administration(view=view, log=desk_log, clock=clock, new_id=new_id, stands=stands)
    past = RecordedPast(desk_log, library)

    apart = Apart(ASSESSORS) if background else None

    def assessed(candidate: Candidate) -> Assessment:
        if apart is None:
            return assess(candidate, library=library, desk_log=desk_log, roster=view.refresh().roster)
        try:
            return apart.run(_assessed_apart, settings.database_url, candidate)
        except EndedWithoutAnswer as error:
            raise AssessmentEnded(_NO_ASSESSMENT) from error

    def checked(files: Mapping[str, bytes]) -> CheckedBook:
        if apart is None:
            return check_and_try(files)
        try:
            return apart.run(check_and_try, dict(files))
        except EndedWithoutAnswer as error:
            raise AssessmentEnded(_NO_ASSESSMENT) from error

    publisher = Publisher(desk=desk, library=library, assess=assessed)
    watcher = watching = None
    if settings.watch:
        watcher = Watcher(
            read=lambda: desk_folder(settings.policies),
            desk=desk,
            library=library,
            report=_report_alarm,
            report_lost=_report_lost_examples,
        )
        watching = Repeating("policy-watch", watcher.look, WATCH_SECONDS)

    endings = Endings(ChangeList(engine), view)
    webhooks = _webhooks(settings, endings, clock, background=background)

    pools = Pools()
    entries = StoredLogEntries(engine)
    keeper, inspector, stop_keeping = _kept(
        settings, engine, entries, desk_log, keep=(keep or KeepLog(settings)) if background else None
    )

    def close() -> None:
        if watching is not None:
            watching.close()
        webhooks.close()
        stop_keeping()
        pools.close()
        if apart is not None:
            apart.close()
        log.close()
        tracing.close()
        engine.dispose()

    return Parts(
        members=members,
        keys=keys,
        log=log,
        desk_log=desk_log,
        gate=gate,
        spans=tracing.spans,
        profiles=profiles,
        public_url=settings.public_url,
        page_key=hmac.digest(secrets.token_bytes(32) if keeper is None else _seed(settings), _PAGES, "sha256"),
        desk=desk,
        publisher=publisher,
        check=checked,
        member_changes=MemberChanges(desk=desk, asked_last=_asked_last(inspector)),
        reviews=Reviews(desk=desk, decisions=log, due=timedelta(days=settings.review_due_days)),
        past=past,
        ring=ring,
        watcher=watcher,
        entries=entries,
        keeper=keeper,
        inspector=inspector,
        history=MemberHistory(engine),
        looks=RecordedLooks(desk_log, clock=clock, new_id=new_id),
        pools=pools,
        listeners=Listeners(endings, pools.endings, most=settings.listeners, report=_report_fault),
        webhooks=webhooks,
        waiting=lambda: log.waiting,
        metrics_without_key=settings.metrics_without_key,
        close=close,
    )


def _webhooks(settings: Settings, endings: Endings, clock: Clock, *, background: bool) -> Webhooks:
    """The deliveries of what ended, at work in the background or not begun."""
    # What a loss of power takes of a cursor is delivered once more: no decision waits for its flush.
    cursors = open_database(settings.database_url, derived=True)
    made = Webhooks(settings, endings=endings, cursors=WebhookCursors(cursors), clock=clock, ended=cursors.dispose)
    if background:
        made.start()
    return made


ASSESSORS: Final = 2
"""So many processes check and assess books; each is started when it is first needed."""


_NO_ASSESSMENT: Final = (
    "the process that checks the book ended twice without an answer, perhaps for want of memory: nothing was"
    " kept; try again, and if it happens again give the machine more memory"
)


ASKED_LAST: Final = 20
"""So many of a subject's last decisions say where it asks from, and for what."""


def _asked_last(inspector: Inspector) -> Callable[[Subject], tuple[Request, ...]]:
    def asked(subject: Subject) -> tuple[Request, ...]:
        filters = Filters(subject=f"{subject.type}:{subject.id}")
        page = inspector.index.page(filters, size=inspector.index.size(), after=None, limit=ASKED_LAST)
        return tuple(request for one in page if (request := read_record(one.body).request) is not None)

    return asked


@contextmanager
def _database(url: str) -> Iterator[Database]:
    """A database that is open for a while."""
    engine = open_database(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _assessed_apart(database_url: str, candidate: Candidate) -> Assessment:
    with _database(database_url) as engine:
        desk_log = StoredDeskLog(engine)
        snapshot = StoredMembers(engine).snapshot()
        roster = Roster.as_known(snapshot.rows, revision=snapshot.revision)
        return assess(candidate, library=Library(desk_log.content), desk_log=desk_log, roster=roster)


def _reporting(logger: str, over: str, wrong: str, name: str) -> Callable[[str | None], None]:
    """What says in the service's own log what is wrong, as a value of a name, and that it is over for `None`."""

    def report(why: str | None) -> None:
        if why is None:
            structlog.get_logger(logger).warning(over)
        else:
            structlog.get_logger(logger).error(wrong, **{name: why})

    return report


def _report_fault(name: str) -> None:
    structlog.get_logger("policy_engine.decide").error("engine fault", fault=name)


_report_folder: Final = _reporting(
    "policy_engine.watch", "the watched folder is in force", "the watched folder is refused", "alarm"
)
_report_log: Final = _reporting(
    "policy_engine.log", "records are written again", "records cannot be written, so nothing is allowed", "reason"
)
_report_seal: Final = _reporting("policy_engine.log", "the log is sealed again", "the log is not sealed", "alarm")


def _report_alarm(alarm: Alarm | None) -> None:
    _report_folder(None if alarm is None else alarm.text)


def _report_lost_examples(said: str) -> None:
    structlog.get_logger("policy_engine.watch").warning(
        "the watched folder is in force with fewer or other worked examples", examples=said
    )


def _kept(
    settings: Settings, engine: Database, entries: LogEntries, desk_log: DeskLog, *, keep: Work | None
) -> tuple[Keeper | None, Inspector, Callable[[], None]]:
    """The sealed log and the auditor's index, kept up by a sealer or not at all; and what ends that."""
    index, indexer = DecisionIndex(engine), Indexer(engine)
    if keep is None:
        # Nobody else is given a cursor of this process.
        alone = Inspector(index=index, indexer=indexer, desk_log=desk_log, cursor_key=secrets.token_bytes(32))
        return None, alone, lambda: None
    keeper = KeptApart(open_sealing(settings, entries), report=_report_seal, report_index=_report_index)
    keeper.sealing.require_history()
    keeper.hear(SealState(sealed=keeper.sealing.sealed()))
    inspector = Inspector(
        index=index,
        indexer=indexer,
        desk_log=desk_log,
        cursor_key=cursor_key(settings),
        trees=SealedTrees(keeper.sealing, lambda: keeper.sealed),
    )
    sealer = Sealer(
        keep,
        name="log-keeper",
        hear=keeper.hear,
        ended=keeper.lost,
        silent=keeper.silent,
        silence_seconds=SILENCE_SECONDS,
    )
    return keeper, inspector, sealer.close


@dataclass(frozen=True, slots=True)
class KeepLog:
    """What the sealer of a service does: it seals the log and indexes its decisions, and reports how far it is."""

    settings: Settings

    def __call__(self, *, report: Callable[[object], None], ending: Callable[[float], bool]) -> None:
        """Until the end is asked for, or until one of the two has ended by an error that nobody foresaw."""
        configure_logging(self.settings.log_level)
        engine = open_database(self.settings.database_url)
        sealing = SealKeeper(open_sealing(self.settings, StoredLogEntries(engine)), report=lambda _: None)

        told: SealState | None = None
        due = 0.0

        def seal() -> None:
            nonlocal told, due
            sealing.turn()
            if sealing.state != told or monotonic() >= due:
                told, due = sealing.state, monotonic() + HEARTBEAT_SECONDS
                report(told)

        sealer = Repeating("log-sealer", seal, SEAL_SECONDS)
        derived = open_database(self.settings.database_url, derived=True)
        indexing = IndexerLoop(Indexer(derived), report=lambda fault: report(NotIndexed(fault)))
        indexing.start()
        while sealer.alive and indexing.alive and not ending(SEAL_SECONDS):
            pass
        sealer.close()
        indexing.close()
        derived.dispose()
        engine.dispose()


_PAGES: Final = b"policy-engine token of a page, version 1"
"""With the seed of the log's key: the same for every process of one service."""


def cursor_key(settings: Settings) -> bytes:
    """The key under which cursors of queries are authenticated, the same for every process with this signing key.

    Raises what `open_sealing` raises.
    """
    return hmac.digest(_seed(settings), b"policy-engine cursor of a query, version 1", "sha256")


def _report_index(fault: str) -> None:
    structlog.get_logger("policy_engine.index").error("decisions are not indexed", fault=fault)


class Repeating:
    """A thread that does some work every so many seconds. `close` it; it does the work once more then."""

    def __init__(self, name: str, work: Callable[[], None], seconds: float) -> None:
        self._work = work
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the work is still done."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End it."""
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self._work()
        self._work()


def open_sealing(settings: Settings, entries: LogEntries) -> Sealing:
    """The sealed log of the settings; its key is made when there is none, readable to its owner alone.

    Raises `OSError`, and `HistoryRefused` for a key that is missing beside a log that was sealed with it.
    """
    return Sealing(
        entries=entries,
        folder=settings.ledger,
        witnesses=settings.witness,
        origin=settings.log_origin,
        seed=_seed(settings),
    )


def _seed(settings: Settings) -> bytes:
    path = settings.log_key
    if not path.exists():
        make_directory(path.parent)
        # Two services that start at once on a new folder sign with one key.
        with locked(path.with_name(f"{path.name}.lock")):
            _make_seed(settings, path)
    try:
        seed = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        seed = b""
    if len(seed) != _SEED_BYTES:
        raise HistoryRefused(f"`{path}` holds no Ed25519 key: 64 hex digits are needed")
    return seed


def _make_seed(settings: Settings, path: Path) -> None:
    if path.exists():
        return
    if settings.ledger.exists() and any(settings.ledger.glob("*/checkpoint")):
        raise HistoryRefused(f"the log was sealed with a key that is not at `{path}`")
    write_durably(path, secrets.token_bytes(_SEED_BYTES).hex().encode("ascii") + b"\n", staging=path.parent)


_SEED_BYTES: Final = 32
SEAL_SECONDS: Final = 0.25
"""How long after a commit its records are sealed, at the latest, apart from the sealing itself."""


WATCH_SECONDS: Final = 0.5
"""How often a watched folder is looked at."""


def _profiles_of(settings: Settings) -> Callable[[Judge | None], Profiles]:
    """What gives the gateways' profiles in the settings' file, none where they name no file, held against the catalogue
    of the book in force. That and this raise `FaultsError` for a file with faults, this for one that cannot be read."""
    if settings.gateways is None:
        return lambda _: Profiles()
    name = settings.gateways.name
    try:
        data = settings.gateways.read_bytes()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        remedy = "correct POLICY_ENGINE_GATEWAYS, or unset it: the routes for gateways then deny"
        fault = Fault(source=name, line=1, column=1, message=f"the file cannot be read: {reason}", remedy=remedy)
        raise FaultsError([fault]) from error
    read_profiles(data, name)
    return lambda judge: read_profiles(data, name, None if judge is None else judge.book.tables.catalogue)


def book_in_force(settings: Settings, at: datetime) -> Book:
    """The book in force in the settings' database at an instant, for a command; before there is one, their folder's.

    Raises `FaultsError` for a folder with faults, `BookLost` and the store's errors.
    """
    with open_stores(settings) as stores:
        changes = stores.desk_log.standing(held_revision=None, after_index=-1).changes
        held = desk_after(changes).book_at(at)
        if held is None:
            return read_book(read_folder(settings.policies))
        return stores.library.book(held.fingerprint, held.archive)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """At which schema the database is, `None` for an empty one, and which the code works with."""

    current: str | None
    newest: str


def schema(settings: Settings) -> Schema:
    """The schema of the settings' database. Raises `MembersUnavailable`."""
    with _database(settings.database_url) as engine:
        return Schema(current=migrate.current(engine), newest=migrate.head())


def upgrade(settings: Settings) -> Schema:
    """Bring the database to the newest schema; an SQLite file and its folder are made. Raises `MembersUnavailable`."""
    with _database(settings.database_url) as engine:
        make_file(engine)
        migrate.upgrade(engine)
    return schema(settings)
