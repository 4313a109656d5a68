"""The committed log is sealed soon, by one process at a time, year by year; what was put back or altered is refused."""

from __future__ import annotations

import pickle
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from policy_engine.domain.ports import LogEntry, LogUnavailable, LogYear
from policy_engine.ledger.checkpoint import Checkpoint
from policy_engine.ledger.files import Directory
from policy_engine.ledger.merkle import EMPTY_ROOT
from policy_engine.ledger.sealer import HistoryDiffers, published
from policy_engine.ledger.tiles import CHECKPOINT, LogFault
from policy_engine.ledger.witness import WitnessUnreadable
from policy_engine.service.sealing import sealed_log as sealing
from policy_engine.service.sealing.sealed_log import (
    EntryAltered,
    HistoryRefused,
    KeptApart,
    NotIndexed,
    Sealing,
    SealKeeper,
)
from policy_engine.service.sealing.verification import VerificationFailed, compared, verify_year
from policy_engine.store.cross_check import CrossCheck
from policy_engine.store.database import writing
from policy_engine.store.decision_log import DecisionLog
from policy_engine.store.log_entries import LogEntries
from tests.ledger.logs import tiles_of
from tests.store.conftest import Store
from tests.store.samples import record

SEED: Final = b"\x07" * 32
ORIGIN: Final = "pdp.example/log"
IN_2026: Final = datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC)
IN_2027: Final = datetime(2027, 1, 1, 0, 0, 1, tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class Log:
    """A database, its writer, and the folders of its sealed log."""

    store: Store
    folder: Path
    log: DecisionLog
    entries: LogEntries
    made: int = 0
    written: list[bytes] = field(default_factory=list)

    def commit(self, count: int, at: datetime = IN_2026) -> None:
        """So many decisions at an instant, durable on return."""
        records = [record(f"D{self.made + number:06d}", at=at) for number in range(count)]
        futures = [self.log.append(one) for one in records]
        assert all(future.result(10).body == one.body for future, one in zip(futures, records, strict=True))
        self.made += count
        self.written += [one.body for one in records]

    def sealing(self, *, entries: LogEntries | None = None, seed: bytes = SEED) -> Sealing:
        """What another process would open."""
        return Sealing(
            entries=entries or self.entries,
            folder=self.folder / "ledger",
            witnesses=self.folder / "witness",
            origin=ORIGIN,
            seed=seed,
        )

    def sealed(self, year: int = 2026) -> Checkpoint:
        signed = published(self.sealing().tiles(year), self.sealing().key(year).verifier)
        assert signed is not None
        return signed.checkpoint

    def verify(self, year: int = 2026, *, older: Sequence[bytes] = ()) -> int:
        """How many entries of a year were verified, in the tiles and in the database."""
        sealing = self.sealing()
        of = next(one for one in self.entries.years() if one.year == year)
        found = verify_year(sealing, of, older=older, pause=lambda: None)
        assert found.checkpoint is not None
        pages = compared(sealing, CrossCheck(self.store.open()), of, found.checkpoint.size, None)
        return sum(map(len, pages))

    def tile(self, name: str, year: int = 2026) -> Path:
        return self.folder / "ledger" / str(year) / name


def opened(store: Store, folder: Path) -> Log:
    engine = store.open()
    return Log(store=store, folder=folder, log=DecisionLog(engine), entries=LogEntries(engine))


@pytest.fixture
def log(sqlite_store: Store, tmp_path: Path) -> Log:
    return opened(sqlite_store, tmp_path)


@pytest.fixture
def anywhere(store: Store, tmp_path: Path) -> Log:
    """The same on either database."""
    return opened(store, tmp_path)


def altered(log: Log, statement: str, *values: object) -> None:
    """What only the owner of the tables can do: change a record in its row."""
    mark = "?" if log.store.postgres is None else "%s"
    with writing(log.store.owner()) as writer:
        if log.store.postgres is None:
            for change in ("update", "delete"):
                writer.exec_driver_sql(f"DROP TRIGGER decisions_refuse_{change}")
        else:
            writer.exec_driver_sql("ALTER TABLE decisions DISABLE TRIGGER only_grows")
        writer.exec_driver_sql(statement.replace("?", mark), values)


# --- sealing ----------------------------------------------------------------------------------------------------------


def test_everything_committed_is_sealed_and_verifies_against_the_database(anywhere: Log) -> None:
    anywhere.commit(300)
    first = anywhere.sealing().seal()
    anywhere.commit(13)
    second = anywhere.sealing().seal()
    assert first is not None
    assert second is not None
    assert (first.signed.checkpoint.size, second.end) == (300, 313)
    assert anywhere.verify(older=[first.signed.note]) == 313
    anywhere.sealing().require_history()


def test_an_empty_log_is_not_sealed_and_nothing_is_made(log: Log) -> None:
    assert log.sealing().seal() is None
    assert log.sealing().sealed() is None
    log.sealing().require_history()
    assert not (log.folder / "ledger").exists()


def test_what_is_committed_is_sealed_within_a_second_while_a_keeper_turns(log: Log) -> None:
    alarms: list[str | None] = []
    keeper = SealKeeper(log.sealing(), report=alarms.append)
    stop = threading.Event()

    def turn() -> None:
        while not stop.wait(0.25):
            keeper.turn()

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        for number in range(1, 4):
            log.commit(20)
            begun = time.monotonic()
            while (keeper.sealed is None or keeper.sealed.end < 20 * number) and time.monotonic() < begun + 5:
                time.sleep(0.01)
            assert keeper.sealed is not None
            assert keeper.sealed.end == 20 * number
    finally:
        stop.set()
        thread.join()
    assert alarms == []


def test_two_sealers_at_once_make_one_history_and_neither_fails(log: Log) -> None:
    log.commit(10)
    keepers = [SealKeeper(log.sealing(entries=LogEntries(log.store.open())), report=lambda _: None) for _ in range(2)]
    alarms: set[str | None] = set()
    stop = threading.Event()

    def turn(keeper: SealKeeper) -> None:
        while not stop.is_set():
            keeper.turn()
            alarms.add(keeper.alarm)

    threads = [threading.Thread(target=turn, args=(keeper,)) for keeper in keepers]
    for thread in threads:
        thread.start()
    for number in range(20):
        log.commit(17, at=IN_2026 if number < 10 else IN_2027)
    stop.set()
    for thread in threads:
        thread.join()
    for keeper in keepers:
        keeper.turn()
        assert keeper.sealed is not None
        assert keeper.sealed.end == 350
    assert alarms == {None}
    assert (log.verify(2026), log.verify(2027)) == (180, 170)


def test_a_receipt_is_good_for_its_record_and_for_no_other(log: Log) -> None:
    log.commit(5)
    sealing = log.sealing()
    entry = log.entries.find("D000003")
    assert entry is not None
    assert sealing.receipt(entry) is None
    sealing.seal()
    receipt = sealing.receipt(entry)
    assert receipt is not None
    key = sealing.key(2026).verifier
    assert receipt.verify(entry.body, key).checkpoint.size == 5
    with pytest.raises(ValueError, match="not proven"):
        receipt.verify(log.written[2], key)


def test_there_is_no_receipt_for_bytes_that_are_not_those_that_were_sealed(log: Log) -> None:
    log.commit(5)
    log.sealing().seal()
    altered(log, "UPDATE decisions SET body = ? WHERE id = ?", b"{}", "D000003")
    entry = log.entries.find("D000003")
    assert entry is not None
    with pytest.raises(EntryAltered, match="entry 3 of 2026 in the database is not the one that was sealed"):
        log.sealing().receipt(entry)


def test_there_is_no_receipt_from_tiles_that_do_not_lead_to_the_signed_root(log: Log) -> None:
    log.commit(5)
    log.sealing().seal()
    tile = log.tile("tile/0/000.p/5")
    data = bytearray(tile.read_bytes())
    data[0] ^= 1
    tile.write_bytes(data)
    entry = log.entries.find("D000003")
    assert entry is not None
    with pytest.raises(LogFault, match="entry 3: the tiles lead from it to another root"):
        log.sealing().receipt(entry)


# --- years ------------------------------------------------------------------------------------------------------------


def test_a_year_ends_with_the_first_entry_of_the_next_and_a_clock_that_goes_back_does_not_begin_it_again(
    anywhere: Log,
) -> None:
    anywhere.commit(3, at=IN_2026)
    anywhere.commit(2, at=IN_2027)
    anywhere.commit(4, at=IN_2026 - timedelta(days=2))
    sealed = anywhere.sealing().seal()
    assert sealed is not None
    assert anywhere.entries.years() == (LogYear(year=2026, first_index=0), LogYear(year=2027, first_index=3))
    assert (anywhere.verify(2026), anywhere.verify(2027)) == (3, 6)
    assert anywhere.sealed(2027).origin == f"{ORIGIN}/2027"
    late = anywhere.entries.find("D000008")
    assert late is not None
    receipt = anywhere.sealing().receipt(late)
    assert receipt is not None
    assert receipt.index == 5
    anywhere.sealing().require_history()


def test_years_in_which_nothing_was_decided_are_left_out(log: Log) -> None:
    log.commit(1, at=IN_2026)
    log.commit(1, at=datetime(2029, 6, 1, tzinfo=UTC))
    log.sealing().seal()
    assert [year.year for year in log.entries.years()] == [2026, 2029]


# --- failures ---------------------------------------------------------------------------------------------------------


class _Failing:
    """Entries that fail at the n-th call of any kind."""

    def __init__(self, entries: LogEntries, after: int) -> None:
        self._entries = entries
        self._left = after

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise LogUnavailable("the connection is lost")

    def size(self) -> int:
        self._count()
        return self._entries.size()

    def page(self, first: int, count: int = 1_000) -> Sequence[LogEntry]:
        self._count()
        return self._entries.page(first, count)

    def find(self, entry_id: str) -> LogEntry | None:
        self._count()
        return self._entries.find(entry_id)

    def years(self) -> tuple[LogYear, ...]:
        self._count()
        return self._entries.years()

    def begin_year(self, year: LogYear) -> None:
        self._count()
        self._entries.begin_year(year)


def test_sealing_goes_on_after_a_failure_of_the_database_at_any_moment(log: Log) -> None:
    log.commit(300, at=IN_2026)
    log.commit(20, at=IN_2027)
    failures = 0
    for after in range(30):
        sealing = Sealing(
            entries=_Failing(log.entries, after),
            folder=log.folder / "ledger",
            witnesses=log.folder / "witness",
            origin=ORIGIN,
            seed=SEED,
        )
        keeper = SealKeeper(sealing, report=lambda _: None)
        keeper.turn()
        if keeper.alarm is None:
            break
        failures += 1
        assert "the connection is lost" in keeper.alarm
        log.sealing().require_history()
    assert failures > 5
    assert (log.verify(2026), log.verify(2027)) == (300, 20)


class _FullDisk(Directory):
    """Takes so many writes, and then no more."""

    def __init__(self, root: Path, left: list[int]) -> None:
        super().__init__(root)
        self._left = left

    def write(self, path: str, data: bytes) -> None:
        self._left[0] -= 1
        if self._left[0] < 0:
            raise OSError("no space left on device")
        super().write(path, data)


class _OnFullDisk(Sealing):
    """The tiles are on a disk that takes so many writes."""

    left: list[int]

    def tiles(self, year: int) -> Directory:
        return _FullDisk(self._folder / str(year), self.left)


def test_sealing_goes_on_after_a_disk_that_fails_at_any_write(log: Log) -> None:
    log.commit(300)
    for after in range(20):
        sealing = _OnFullDisk(
            entries=log.entries,
            folder=log.folder / "ledger",
            witnesses=log.folder / "witness",
            origin=ORIGIN,
            seed=SEED,
        )
        sealing.left = [after]
        keeper = SealKeeper(sealing, report=lambda _: None)
        keeper.turn()
        log.sealing().require_history()
        if keeper.alarm is None:
            break
        assert "no space left" in keeper.alarm
    assert 2 < after < 19
    assert log.verify() == 300


def test_an_alarm_is_told_once_and_stays_until_sealing_works_again(log: Log) -> None:
    alarms: list[str | None] = []
    keeper = SealKeeper(log.sealing(), report=alarms.append)
    log.commit(1)
    keeper.turn()
    witness = log.folder / "witness" / "2026.witness"
    kept = witness.read_bytes()
    witness.unlink()
    log.commit(1)
    for _ in range(3):
        keeper.turn()
    assert alarms == [keeper.alarm]
    witness.write_bytes(kept)
    keeper.turn()
    assert alarms[1:] == [keeper.alarm] == [None]
    assert "the witness has seen is missing" in (alarms[0] or "")
    assert log.sealed().size == 2


# --- what was put back, lost or altered -------------------------------------------------------------------------------


def restored(log: Log, at: Callable[[], None]) -> Log:
    """A log whose database is put back to what it was before something happened."""
    file = Path(log.store.url.removeprefix("sqlite:///"))
    log.log.close()
    log.store.close()
    shutil.copy(file, file.with_suffix(".backup"))
    at()
    log.store.close()
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    shutil.copy(file.with_suffix(".backup"), file)
    return opened(log.store, log.folder)


def test_a_database_put_back_from_a_backup_is_refused_at_the_start(log: Log) -> None:
    log.commit(5)
    log.sealing().seal()

    def later() -> None:
        again = opened(log.store, log.folder)
        again.made = 5
        again.commit(2)
        again.sealing().seal()
        again.log.close()

    old = restored(log, later)
    with pytest.raises(HistoryRefused, match="has seen 7 entries, and the database has 5"):
        old.sealing().require_history()
    keeper = SealKeeper(old.sealing(), report=lambda _: None)
    old.made = 5
    old.commit(1, at=IN_2026 + timedelta(seconds=1))
    keeper.turn()
    assert old.sealed().size == 7


def test_a_database_put_back_to_before_the_turn_of_the_year_is_refused(log: Log) -> None:
    log.commit(5)
    log.sealing().seal()

    def later() -> None:
        again = opened(log.store, log.folder)
        again.made = 5
        again.commit(2, at=IN_2027)
        again.sealing().seal()
        again.log.close()

    old = restored(log, later)
    with pytest.raises(HistoryRefused, match="the witness of 2027 has seen a log"):
        old.sealing().require_history()


def test_an_empty_database_beside_a_witness_is_refused(log: Log, tmp_path: Path, migrated_file: Path) -> None:
    log.commit(5)
    log.sealing().seal()
    log.log.close()
    log.store.close()
    file = Path(log.store.url.removeprefix("sqlite:///"))
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    shutil.copy(migrated_file, file)
    with pytest.raises(HistoryRefused, match="the database has none of that year"):
        opened(log.store, tmp_path).sealing().require_history()


def test_a_year_that_grew_shorter_behind_a_later_one_is_refused(log: Log) -> None:
    log.commit(5)
    log.commit(2, at=IN_2027)
    log.sealing().seal()
    with writing(log.store.owner()) as writer:
        writer.exec_driver_sql("DROP TRIGGER log_years_refuse_update")
        writer.exec_driver_sql("UPDATE log_years SET first_index = 4 WHERE year = 2027")
    with pytest.raises(HistoryRefused, match="the witness of 2026 has seen 5 entries, and the database has 4"):
        log.sealing().require_history()


@pytest.mark.parametrize("year", [2026, 2027])
def test_a_witness_that_is_lost_is_refused_and_not_begun_again(log: Log, year: int) -> None:
    log.commit(5)
    log.commit(5, at=IN_2027)
    log.sealing().seal()
    (log.folder / "witness" / f"{year}.witness").unlink()
    with pytest.raises(WitnessUnreadable, match="missing"):
        log.sealing().require_history()
    assert not (log.folder / "witness" / f"{year}.witness").exists()


def test_a_witness_that_was_put_back_is_brought_up_again_and_one_of_another_history_is_refused(log: Log) -> None:
    log.commit(5)
    log.sealing().seal()
    witness = log.folder / "witness" / "2026.witness"
    kept = witness.read_bytes()
    log.commit(5)
    log.sealing().seal()
    witness.write_bytes(kept)
    log.sealing().seal()
    assert log.sealing().witness(2026).latest().size == 10
    witness.write_bytes(kept.replace(b"\n5\n", b"\n6\n"))
    with pytest.raises(HistoryDiffers):
        log.sealing().seal()


@pytest.mark.parametrize("year", [2026, 2027])
def test_tiles_that_are_lost_with_their_checkpoint_are_made_again_of_any_year(log: Log, year: int) -> None:
    log.commit(300)
    log.commit(10, at=IN_2027)
    log.sealing().seal()
    before = log.sealed(year)
    shutil.rmtree(log.folder / "ledger" / str(year))
    log.sealing().require_history()
    log.sealing().seal()
    assert log.sealed(year) == before
    assert (log.verify(2026), log.verify(2027)) == (300, 10)


def test_tiles_that_are_lost_are_not_made_again_from_an_altered_database(log: Log) -> None:
    log.commit(300)
    log.sealing().seal()
    altered(log, "UPDATE decisions SET body = ? WHERE id = ?", b'{"decision_id":"other"}', "D000017")
    shutil.rmtree(log.folder / "ledger")
    with pytest.raises(HistoryDiffers):
        log.sealing().seal()


def test_a_past_year_that_cannot_be_made_again_is_an_alarm_and_the_log_is_sealed_all_the_same(log: Log) -> None:
    log.commit(300)
    log.commit(10, at=IN_2027)
    log.sealing().seal()
    altered(log, "UPDATE decisions SET body = ? WHERE id = ?", b"{}", "D000017")
    shutil.rmtree(log.folder / "ledger" / "2026")
    log.commit(5, at=IN_2027)
    keeper = SealKeeper(log.sealing(), report=lambda _: None)
    keeper.turn()
    assert keeper.alarm is not None
    assert "HistoryDiffers" in keeper.alarm
    assert keeper.sealed is not None
    assert keeper.sealed.end == 315


def test_one_byte_changed_in_the_row_of_a_decision_is_found_and_named(anywhere: Log) -> None:
    anywhere.commit(300)
    anywhere.sealing().seal()
    assert anywhere.verify() == 300
    body = anywhere.written[17]
    altered(
        anywhere, "UPDATE decisions SET body = ? WHERE id = ?", body[:-3] + bytes([body[-3] ^ 1]) + body[-2:], "D000017"
    )
    with pytest.raises(VerificationFailed, match="entry 17 in the database is not the one sealed"):
        anywhere.verify()


def test_one_byte_changed_in_one_of_the_last_rows_is_refused_at_the_start(log: Log) -> None:
    log.commit(300)
    log.sealing().seal()
    altered(log, "UPDATE decisions SET body = ? WHERE id = ?", b"{}", "D000299")
    with pytest.raises(HistoryRefused, match="entry 299 of 2026 in the database is not the one that was sealed"):
        log.sealing().require_history()


def test_an_entry_altered_or_removed_among_the_last_ones_is_refused_at_the_start_and_named(log: Log) -> None:
    log.commit(600)
    log.sealing().seal()
    altered(log, "UPDATE decisions SET body = ? WHERE id = ?", b"{}", "D000017")
    with pytest.raises(HistoryRefused, match="entry 17 of 2026 in the database is not the one that was sealed"):
        log.sealing().require_history()
    with writing(log.store.owner()) as writer:
        writer.exec_driver_sql("DELETE FROM decisions WHERE id = 'D000017'")
    with pytest.raises(HistoryRefused, match="entry 17 of 2026 is not in the database, and it was sealed"):
        log.sealing().require_history()


def test_a_start_looks_at_the_last_entries_of_an_earlier_year_too_and_not_at_older_ones(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.commit(600)
    log.commit(40, at=IN_2027)
    log.sealing().seal()
    monkeypatch.setattr(sealing, "CHECKED_AT_START", 140)
    altered(log, "UPDATE decisions SET body = ? WHERE id = ?", b"{}", "D000255")
    log.sealing().require_history()
    with writing(log.store.owner()) as writer:
        writer.exec_driver_sql("UPDATE decisions SET body = ? WHERE id = ?", (b"{}", "D000550"))
    with pytest.raises(HistoryRefused, match="entry 550 of 2026 in the database"):
        log.sealing().require_history()


def test_entries_committed_and_not_sealed_yet_are_accepted_at_the_start(log: Log) -> None:
    log.commit(300)
    log.sealing().seal()
    log.commit(300)
    log.commit(3, at=IN_2027)
    log.sealing().require_history()


@pytest.mark.parametrize("path", ["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"])
@pytest.mark.parametrize("what", ["flipped", "truncated", "missing"])
def test_a_hash_tile_that_is_damaged_is_refused_at_the_start(log: Log, path: str, what: str) -> None:
    log.commit(300)
    log.sealing().seal()
    tile = log.tile(path)
    data = bytearray(tile.read_bytes())
    data[0] ^= 1
    if what == "missing":
        tile.unlink()
    else:
        tile.write_bytes(data if what == "flipped" else data[:-5])
    with pytest.raises(HistoryRefused, match="2026"):
        log.sealing().require_history()


def test_a_checkpoint_that_is_no_checkpoint_is_refused_at_the_start(log: Log) -> None:
    log.commit(3)
    log.sealing().seal()
    log.tile(CHECKPOINT).write_bytes(b"garbage\n")
    with pytest.raises(HistoryRefused, match="the sealed log of 2026 is damaged: checkpoint"):
        log.sealing().require_history()


def test_a_database_and_a_folder_that_were_written_anew_are_refused_at_the_start_while_the_witness_stands(
    log: Log,
) -> None:
    log.commit(300)
    log.sealing().seal()
    witness = log.folder / "witness" / "2026.witness"
    kept = witness.read_bytes()
    altered(log, "UPDATE decisions SET body = ? WHERE id = ?", b"{}", "D000017")
    shutil.rmtree(log.folder / "ledger")
    witness.write_bytes(Checkpoint(origin=f"{ORIGIN}/2026", size=0, root=EMPTY_ROOT).encode())
    log.sealing().seal()
    log.sealing().require_history()
    witness.write_bytes(kept)
    with pytest.raises(HistoryRefused, match="is not the one of 300 entries that its witness has seen"):
        log.sealing().require_history()


def test_without_the_folder_the_entries_alone_have_to_lead_to_what_the_witness_saw(anywhere: Log) -> None:
    anywhere.commit(600)
    anywhere.sealing().seal()
    shutil.rmtree(anywhere.folder / "ledger")
    anywhere.sealing().require_history()
    altered(anywhere, "UPDATE decisions SET body = ? WHERE id = ?", b"{}", "D000017")
    with pytest.raises(HistoryRefused, match="the first 600 entries of 2026 in the database are not those"):
        anywhere.sealing().require_history()


def test_a_folder_put_back_behind_the_witness_is_not_believed_and_the_entries_are_held_against_the_witness(
    log: Log,
) -> None:
    log.commit(300)
    log.sealing().seal()
    shutil.copytree(log.folder / "ledger", log.folder / "old")
    log.commit(300)
    log.sealing().seal()
    shutil.rmtree(log.folder / "ledger")
    (log.folder / "old").rename(log.folder / "ledger")
    log.sealing().require_history()
    altered(log, "UPDATE decisions SET body = ? WHERE id = ?", b"{}", "D000417")
    with pytest.raises(HistoryRefused, match="the first 600 entries of 2026 in the database are not those"):
        log.sealing().require_history()


def test_of_a_retired_year_only_what_is_left_is_held_against_its_hashes_at_the_start(log: Log) -> None:
    log.commit(300)
    log.commit(3, at=IN_2027)
    log.sealing().seal()
    log.sealing().drop_entries(2026)
    altered(log, "DELETE FROM decisions WHERE log_index < ?", 290)
    log.sealing().require_history()
    with writing(log.store.owner()) as writer:
        writer.exec_driver_sql("UPDATE decisions SET body = ? WHERE id = ?", (b"{}", "D000295"))
    with pytest.raises(HistoryRefused, match="entry 295 of 2026 in the database is not the one that was sealed"):
        log.sealing().require_history()


def test_a_start_is_accepted_again_and_again_while_another_process_seals(log: Log) -> None:
    stop = threading.Event()

    def turn() -> None:
        keeper = SealKeeper(log.sealing(entries=LogEntries(log.store.open())), report=lambda _: None)
        while not stop.is_set():
            keeper.turn()

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        for number in range(30):
            log.commit(40, at=IN_2026 if number < 15 else IN_2027)
            log.sealing().require_history()
    finally:
        stop.set()
        thread.join()


def test_a_row_that_was_removed_is_found_and_named(log: Log) -> None:
    log.commit(300)
    log.sealing().seal()
    altered(log, "DELETE FROM decisions WHERE id = ?", "D000100")
    with pytest.raises(VerificationFailed, match="entry 100 is not in the database"):
        log.verify()


def test_two_rows_that_changed_places_are_found(log: Log) -> None:
    log.commit(10)
    log.sealing().seal()
    altered(log, "UPDATE decisions SET log_index = log_index + 1000 WHERE id = ?", "D000003")
    altered_again = "UPDATE decisions SET log_index = 3 WHERE id = ?"
    with writing(log.store.owner()) as writer:
        writer.exec_driver_sql(altered_again, ("D000004",))
        writer.exec_driver_sql("UPDATE decisions SET log_index = 4 WHERE id = ?", ("D000003",))
    with pytest.raises(VerificationFailed, match="entry 3 in the database is not the one sealed"):
        log.verify()


@pytest.mark.parametrize("name", [tile.path for tile in tiles_of(300)])
@pytest.mark.parametrize("what", ["flipped", "truncated", "missing"])
def test_every_tile_and_bundle_that_is_altered_is_named(log: Log, name: str, what: str) -> None:
    log.commit(300)
    log.sealing().seal()
    path = log.tile(name)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    if what == "missing":
        path.unlink()
    else:
        path.write_bytes(data if what == "flipped" else data[:-5])
    with pytest.raises(VerificationFailed, match="2026: tile/"):
        log.verify()


def test_a_checkpoint_that_is_altered_or_of_another_key_is_refused(log: Log) -> None:
    log.commit(300)
    log.sealing().seal()
    path = log.tile(CHECKPOINT)
    signed = path.read_bytes()
    path.write_bytes(signed.replace(b"\n300\n", b"\n301\n"))
    with pytest.raises(VerificationFailed, match="checkpoint"):
        log.verify()
    with pytest.raises(LogFault):
        log.sealing().seal()
    path.write_bytes(signed)
    with pytest.raises(LogFault):
        log.sealing(seed=b"\x08" * 32).seal()


def test_a_history_that_the_key_holder_wrote_anew_is_refused_by_the_witness_and_by_an_older_checkpoint_alone(
    log: Log,
) -> None:
    log.commit(300)
    log.sealing().seal()
    kept = log.tile(CHECKPOINT).read_bytes()
    altered(log, "UPDATE decisions SET body = ? WHERE id = ?", b'{"decision_id":"forged"}', "D000017")
    shutil.rmtree(log.folder / "ledger")
    with pytest.raises(HistoryDiffers):
        log.sealing().seal()
    # Who holds the key holds the witness's folder too, in the worst case.
    witness = log.folder / "witness" / "2026.witness"
    witness.write_bytes(
        b"\n".join([f"{ORIGIN}/2026".encode(), b"0", b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", b""])
    )
    log.sealing().seal()
    assert log.verify() == 300
    log.sealing().require_history()
    with pytest.raises(VerificationFailed, match="the first 300 entries are not those of the older checkpoint"):
        log.verify(older=[kept])


def test_a_checkpoint_of_another_log_is_no_older_one(log: Log) -> None:
    log.commit(3)
    log.commit(3, at=IN_2027)
    log.sealing().seal()
    with pytest.raises(VerificationFailed, match="not one of this log"):
        log.verify(2027, older=[log.tile(CHECKPOINT, 2026).read_bytes()])


def test_a_checkpoint_behind_its_witness_is_a_fault(log: Log) -> None:
    log.commit(3)
    log.sealing().seal()
    before = log.tile(CHECKPOINT).read_bytes()
    log.commit(3)
    log.sealing().seal()
    log.tile(CHECKPOINT).write_bytes(before)
    paused: list[None] = []
    with pytest.raises(VerificationFailed, match="has had 6 entries before, and now has 3"):
        verify_year(log.sealing(), log.entries.years()[0], pause=lambda: paused.append(None))
    assert paused


def test_what_another_process_seals_is_known_by_its_reports_and_its_end_is_an_alarm(log: Log) -> None:
    alarms: list[str | None] = []
    faults: list[str] = []
    kept = KeptApart(log.sealing(), report=alarms.append, report_index=faults.append)
    assert (kept.sealed, kept.alarm) == (None, None)
    log.commit(3)
    keeper = SealKeeper(log.sealing(), report=lambda _: None)
    keeper.turn()
    kept.hear(pickle.loads(pickle.dumps(keeper.state)))  # noqa: S301  as it comes through a pipe
    assert kept.sealed == keeper.sealed
    assert kept.sealed is not None
    kept.lost()
    assert alarms == [kept.alarm]
    assert "has ended" in str(kept.alarm)
    assert kept.sealed == keeper.sealed
    kept.hear(keeper.state)
    assert alarms[1:] == [kept.alarm] == [None]
    kept.hear(NotIndexed("no connection"))
    assert faults == ["no connection"]
    with pytest.raises(TypeError, match="a str is not a report"):
        kept.hear("sealed")
