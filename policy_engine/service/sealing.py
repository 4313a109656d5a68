"""Sealing the log: the committed records become tiles and signed checkpoints, one log for each year.

The year of an entry is that of its instant, and never an earlier one than that of the entry before it. A year's log has
the origin `<origin>/<year>`, a folder of tiles, and a witness file that stands elsewhere. Whoever starts a service
asks `require_history` first: a database that is smaller than the witness saw, or whose last sealed entries are not
those that were sealed, is refused.

A folder of tiles that was lost, with its checkpoint, is made again from the entries, of a past year too; what comes
out has to be what the witness saw. A year that was retired keeps its checkpoint, and nothing is made again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from policy_engine.domain.ports import LogEntries, LogEntry, LogUnavailable, LogYear
from policy_engine.ledger.checkpoint import SignedCheckpoint
from policy_engine.ledger.files import Directory, LogLocked
from policy_engine.ledger.note import SigningKey
from policy_engine.ledger.proof import Receipt, receipt_of
from policy_engine.ledger.sealer import EntryGap, HistoryDiffers, published, seal
from policy_engine.ledger.tiles import CHECKPOINT, WIDTH, EntryTooLong, LogFault, TileConflict, bundle_of, read_entries
from policy_engine.ledger.witness import FileWitness, WitnessRefuses, WitnessUnreadable

WITNESS_SUFFIX: Final = ".witness"


class HistoryRefused(Exception):
    """The log in the database is not the one that was sealed and witnessed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedYear:
    """The checkpoint of a year, and the number of the year's first entry in the whole log."""

    year: LogYear
    signed: SignedCheckpoint

    @property
    def end(self) -> int:
        """The number after the last sealed entry."""
        return self.year.first_index + self.signed.checkpoint.size


class Sealing:
    """The sealed log over the entries of a database. `seal` has one caller at a time, over all processes."""

    def __init__(self, *, entries: LogEntries, folder: Path, witnesses: Path, origin: str, seed: bytes) -> None:
        """Tiles go below `folder`, witness files into `witnesses`, best on another disk; `seed` is the Ed25519 key."""
        self._entries = entries
        self._folder = folder
        self._witnesses = witnesses
        self._origin = origin
        self._seed = seed

    def key(self, year: int) -> SigningKey:
        """The key of a year's log; its name is the origin."""
        return SigningKey(name=f"{self._origin}/{year}", seed=self._seed)

    def tiles(self, year: int) -> Directory:
        """The resources of a year's log."""
        return Directory(self._folder / str(year))

    def witness(self, year: int) -> FileWitness:
        """What saw the year's last checkpoint."""
        return FileWitness(self._witness_path(year), origin=f"{self._origin}/{year}")

    def sealed(self) -> SealedYear | None:
        """The newest checkpoint. Raises `LogFault`, `OSError`, `LogUnavailable`."""
        for year in reversed(self._entries.years()):
            signed = published(self.tiles(year.year), self.key(year.year).verifier)
            if signed is not None:
                return SealedYear(year=year, signed=signed)
        return None

    def seal(self) -> SealedYear | None:
        """Seal whatever is committed and not sealed yet; the newest checkpoint, `None` for an empty log.

        Raises `LogLocked` when another process seals, what `ledger.sealer.seal` raises, and `LogUnavailable`.
        """
        sealed = None
        year = self._current_year()
        while year is not None:
            sealed, following = self._seal_year(year)
            year = None if following is None else self._begin(following)
        # Last, so that a past year that cannot be made again does not keep the log from being sealed.
        for past in self._entries.years()[:-1]:
            if self.tiles(past.year).read(CHECKPOINT) is None:
                self._seal_year(past)
        return sealed

    def _seal_year(self, year: LogYear) -> tuple[SealedYear, LogYear | None]:
        page = _Year(entries=self._entries, year=year)
        witness = self.witness(year.year)
        tiles = self.tiles(year.year)
        with tiles.exclusive():
            signed = seal(
                key=self.key(year.year),
                store=tiles,
                entries=page.entries,
                previous=witness.latest(),
                approve=witness.check,
            ).signed
        return SealedYear(year=year, signed=signed), page.next_year

    def require_history(self) -> None:
        """Refuse a database that is not the one sealed so far. Raises `HistoryRefused` and what reading raises."""
        # The witnesses first: another process may seal meanwhile, and what is committed only grows.
        seen = {number: self.witness(number).latest() for number in self._witnessed()}
        years = self._entries.years()
        for number in sorted(seen.keys() - {year.year for year in years}):
            if seen[number].size:
                raise HistoryRefused(f"the witness of {number} has seen a log, and the database has none of that year")
        if not years:
            return
        ends = [*(year.first_index for year in years[1:]), self._entries.size()]
        for year, end in zip(years, ends, strict=True):
            size = (seen.get(year.year) or self.witness(year.year).latest()).size
            committed = end - year.first_index
            if committed < size:
                raise HistoryRefused(
                    f"the witness of {year.year} has seen {size} entries, and the database has {max(committed, 0)}:"
                    " it was put back, or records were removed"
                )
        year = years[-1]
        signed = published(self.tiles(year.year), self.key(year.year).verifier)
        size = 0 if signed is None else signed.checkpoint.size
        if size:
            self._require_same_bundle(year, size)

    def receipt(self, entry: LogEntry) -> Receipt | None:
        """The proof that an entry stands in the sealed log; `None` while it is not sealed yet."""
        year = self.year_of(entry.index)
        signed = None if year is None else published(self.tiles(year.year), self.key(year.year).verifier)
        if year is None or signed is None or entry.index - year.first_index >= signed.checkpoint.size:
            return None
        return receipt_of(self.tiles(year.year), entry.index - year.first_index, signed)

    def year_of(self, index: int) -> LogYear | None:
        """The year to which an entry of the log belongs."""
        return next((year for year in reversed(self._entries.years()) if year.first_index <= index), None)

    def drop_entries(self, year: int) -> None:
        """Remove the entry bundles of a retired year; its hashes and its checkpoint stay, so receipts hold as before.

        Raises `LogLocked`, `OSError`.
        """
        bundles = self._folder / str(year) / "tile" / "entries"
        with self.tiles(year).exclusive():
            if bundles.exists():
                shutil.rmtree(bundles)

    def _require_same_bundle(self, year: LogYear, size: int) -> None:
        start = (size - 1) // WIDTH * WIDTH
        bundle = bundle_of(start // WIDTH, size - start)
        sealed = read_entries(self.tiles(year.year), bundle)
        held = [entry.body for entry in self._entries.page(year.first_index + start, size - start)]
        if held != sealed:
            differing = (at for at, pair in enumerate(zip(held, sealed, strict=False)) if pair[0] != pair[1])
            number = next(differing, min(len(held), len(sealed)))
            raise HistoryRefused(
                f"entry {start + number} of {year.year} in the database is not the one that was sealed"
            )

    def _current_year(self) -> LogYear | None:
        years = self._entries.years()
        if years:
            return years[-1]
        first = next(iter(self._entries.page(0, 1)), None)
        return None if first is None else self._begin(LogYear(year=first.at.year, first_index=0))

    def _begin(self, year: LogYear) -> LogYear:
        # Two sealers may come to the end of a year at once; the second finds it begun.
        with self.tiles(year.year).exclusive():
            if all(one.year != year.year for one in self._entries.years()):
                # The witness first: a year that is on file and has no witness is refused.
                path = self._witness_path(year.year)
                if not path.exists():
                    FileWitness.create(path, origin=f"{self._origin}/{year.year}")
                self._entries.begin_year(year)
        return year

    def _witnessed(self) -> list[int]:
        """The years that have a witness file."""
        names = (path.name.removesuffix(WITNESS_SUFFIX) for path in self._witnesses.glob(f"*{WITNESS_SUFFIX}"))
        return sorted(int(name) for name in names if name.isascii() and name.isdecimal())

    def _witness_path(self, year: int) -> Path:
        return self._witnesses / f"{year}{WITNESS_SUFFIX}"


class _Year:
    """The entries of one year; where they end, the year that begins there."""

    def __init__(self, *, entries: LogEntries, year: LogYear) -> None:
        self._entries = entries
        self._year = year
        self.next_year: LogYear | None = None

    def entries(self, start: int) -> Iterator[tuple[int, bytes]]:
        """Index within the year, and bytes."""
        at = self._year.first_index + start
        while page := self._entries.page(at):
            for entry in page:
                if entry.at.year > self._year.year:
                    self.next_year = LogYear(year=entry.at.year, first_index=entry.index)
                    return
                yield entry.index - self._year.first_index, entry.body
            at = page[-1].index + 1


_FAILURES: Final = (
    LogFault,
    TileConflict,
    EntryGap,
    EntryTooLong,
    HistoryDiffers,
    WitnessRefuses,
    WitnessUnreadable,
    LogUnavailable,
    OSError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealState:
    """The newest checkpoint that is known, and what keeps the log from being sealed, if anything does."""

    sealed: SealedYear | None = None
    alarm: str | None = None


@dataclass(frozen=True, slots=True)
class NotIndexed:
    """Why decisions are not indexed for the auditor's queries."""

    fault: str


class Keeper(Protocol):
    """Who seals the log again and again, as those see it who ask for what is sealed."""

    @property
    def sealing(self) -> Sealing:
        """The sealed log."""
        ...

    @property
    def sealed(self) -> SealedYear | None:
        """The newest checkpoint that this process knows of."""
        ...

    @property
    def alarm(self) -> str | None:
        """What keeps the log from being sealed now."""
        ...


class SealKeeper:
    """Seals again and again; what goes wrong is an alarm that stays until sealing works again.

    Decisions go on meanwhile: they are durable in the database, and sealed as soon as that works.
    """

    def __init__(self, sealing: Sealing, *, report: Callable[[str | None], None]) -> None:
        """`report` is told of every new alarm, and with `None` when the last one is over."""
        self.sealing = sealing
        self._report = report
        self.state = SealState()

    @property
    def sealed(self) -> SealedYear | None:
        """The newest checkpoint that this process knows of."""
        return self.state.sealed

    @property
    def alarm(self) -> str | None:
        """What keeps the log from being sealed now."""
        return self.state.alarm

    def turn(self) -> None:
        """Seal once. Nothing but a programming error is raised."""
        before = self.state
        try:
            self.state = SealState(sealed=self.sealing.seal())
        except LogLocked:
            # Another process is the sealer; what it sealed is read.
            self.state = self._look()
        except _FAILURES as error:
            alarm = f"the log is not sealed: {type(error).__name__}: {error}"
            self.state = replace(self._look(), alarm=alarm)
        if self.state.alarm != before.alarm:
            self._report(self.state.alarm)

    def _look(self) -> SealState:
        try:
            return SealState(sealed=self.sealing.sealed())
        except _FAILURES as error:
            alarm = f"the sealed log cannot be read: {type(error).__name__}: {error}"
            return replace(self.state, alarm=alarm)


class KeptApart:
    """A log that another process seals and indexes: what that process has reported."""

    def __init__(
        self, sealing: Sealing, *, report: Callable[[str | None], None], report_index: Callable[[str], None]
    ) -> None:
        """`report` is told of every new alarm, and with `None` when the last one is over; `report_index` why decisions
        are not indexed."""
        self.sealing = sealing
        self._report = report
        self._report_index = report_index
        self._state = SealState()

    @property
    def sealed(self) -> SealedYear | None:
        """The newest checkpoint that was reported."""
        return self._state.sealed

    @property
    def alarm(self) -> str | None:
        """What keeps the log from being sealed now."""
        return self._state.alarm

    def hear(self, message: object) -> None:
        """Take a report. Raises `TypeError` for what is none."""
        match message:
            case SealState():
                before, self._state = self._state, message
                if message.alarm != before.alarm:
                    self._report(message.alarm)
            case NotIndexed():
                self._report_index(message.fault)
            case _:
                raise TypeError(f"a {type(message).__name__} is no report of the sealing process")

    def lost(self) -> None:
        """The process has ended; it is started again."""
        self.hear(replace(self._state, alarm="the log is not sealed: the process that seals it has ended"))
