"""Sealing the log: the committed records become tiles and signed checkpoints, one log for each year.

The year of an entry is that of its instant, and never an earlier one than that of the entry before it. A year's log has
the origin `<origin>/<year>`, a folder of tiles, and a witness file that stands elsewhere. Whoever starts a service
asks `require_history` first:

1. The database has every year that a witness saw, and at least as many entries of it.
2. The tiles of each year lead to the root that the witness saw, and the checkpoint that is published is consistent with
   it. Tiles that are missing or behind the witness are not believed: the database's entries have to lead to that root.
3. The last `CHECKED_AT_START` sealed entries are in the database without a gap, and lead from the tiles before them to
   the same root. Older ones are for `log verify --database`.

A folder of tiles that was lost, with its checkpoint, is made again from the entries, of a past year too; what comes
out has to be what the witness saw. A year that was retired keeps its checkpoint, and nothing is made again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

from policy_engine.domain.ports import LogEntries, LogEntry, LogUnavailable, LogYear
from policy_engine.ledger.checkpoint import Checkpoint, SignedCheckpoint
from policy_engine.ledger.files import Directory, LogLocked
from policy_engine.ledger.merkle import (
    HASH_SIZE,
    InvalidProof,
    consistency_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from policy_engine.ledger.note import SigningKey
from policy_engine.ledger.proof import Receipt, receipt_of
from policy_engine.ledger.sealer import EntryGap, HistoryDiffers, published, seal
from policy_engine.ledger.tiles import (
    CHECKPOINT,
    WIDTH,
    Edge,
    EntryTooLong,
    LogFault,
    Tile,
    TileConflict,
    TileHashes,
    TileReader,
    bundle_of,
    read_entries,
    read_hashes,
)
from policy_engine.ledger.witness import FileWitness, WitnessRefuses, WitnessUnreadable

WITNESS_SUFFIX: Final = ".witness"

CHECKED_AT_START: Final = 100_000
"""Sealed entries that a start holds against the database: about two seconds of reading and hashing. The whole of a log
may take many minutes, and a service that does not come up decides nothing: `log verify --database` is for that."""


class HistoryRefused(Exception):
    """The log in the database is not the one that was sealed and witnessed."""


class EntryAltered(Exception):
    """The bytes of an entry in the database are not those that were sealed, so nothing can vouch for them."""


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

    def checkpoint(self, year: int) -> SignedCheckpoint | None:
        """The published checkpoint of a year, verified; `None` where there is none. Raises `LogFault`, `OSError`."""
        return published(self.tiles(year), self.key(year).verifier)

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
        seen |= {one.year: self.witness(one.year).latest() for one in years if one.year not in seen}
        ends = [*(year.first_index for year in years[1:]), self._entries.size()]
        for year, end in zip(years, ends, strict=True):
            size = seen[year.year].size
            committed = end - year.first_index
            if committed < size:
                raise HistoryRefused(
                    f"the witness of {year.year} has seen {size} entries, and the database has {max(committed, 0)}:"
                    " it was put back, or records were removed"
                )
        left = CHECKED_AT_START
        for year in reversed(years):
            last = self._require_tiles(year, seen[year.year])
            if last is None:
                continue
            start = max(0, last.size - left) // WIDTH * WIDTH
            if left > 0 and year != years[-1] and not self._bundles(year.year).exists():
                self._require_kept(year, last.size, start)
            elif left > 0:
                self._require_entries(year, last, start)
            left -= last.size - start

    def receipt(self, entry: LogEntry) -> Receipt | None:
        """The proof that an entry stands in the sealed log; `None` while it is not sealed yet.

        Raises `EntryAltered` for bytes that are not the sealed ones, `LogFault`, `OSError`, `LogUnavailable`.
        """
        year = self.year_of(entry.index)
        signed = None if year is None else published(self.tiles(year.year), self.key(year.year).verifier)
        if year is None or signed is None or entry.index - year.first_index >= signed.checkpoint.size:
            return None
        index, tiles, now = entry.index - year.first_index, self.tiles(year.year), signed.checkpoint
        leaf = leaf_hash(entry.body)
        if TileHashes(tiles, now.size)(0, index) != leaf:
            raise EntryAltered(
                f"entry {index} of {year.year} in the database is not the one that was sealed, so there is no receipt"
                " for it: `policy-engine log verify --database` names what was altered"
            )
        made = receipt_of(tiles, index, signed)
        try:
            verify_inclusion(leaf=leaf, index=index, size=now.size, proof=made.proof, root=now.root)
        except InvalidProof as error:
            raise LogFault(CHECKPOINT, index, "the tiles lead from it to another root than the one signed") from error
        return made

    def left_of(self) -> dict[int, tuple[Path, ...]]:
        """The years that a witness file or a folder of the sealed log tells of, each with these paths.

        A witness that has seen nothing yet and a folder without tiles tell of none: a sealer makes both before the
        year. Raises `WitnessUnreadable`, `OSError`.
        """
        found: dict[int, tuple[Path, ...]] = {}
        for number in self._witnessed():
            if self.witness(number).latest().size:
                found[number] = (self._witness_path(number),)
        for folder in sorted(self._folder.glob("*")):
            kept = (folder / CHECKPOINT).exists() or (folder / "tile").exists()
            if kept and folder.name.isascii() and folder.name.isdecimal():
                found[int(folder.name)] = (*found.get(int(folder.name), ()), folder)
        return found

    def year_of(self, index: int) -> LogYear | None:
        """The year to which an entry of the log belongs."""
        return next((year for year in reversed(self._entries.years()) if year.first_index <= index), None)

    def drop_entries(self, year: int) -> None:
        """Remove the entry bundles of a retired year; its hashes and its checkpoint stay, so receipts hold as before.

        Raises `LogLocked`, `OSError`.
        """
        bundles = self._bundles(year)
        with self.tiles(year).exclusive():
            if bundles.exists():
                shutil.rmtree(bundles)

    def _require_tiles(self, year: LogYear, seen: Checkpoint) -> Checkpoint | None:
        """The larger of what the witness saw and what is published, once the tiles lead to both.

        `None` where the tiles do not reach as far as the witness, and the entries lead to what it saw.
        """
        tiles = self.tiles(year.year)
        try:
            signed = published(tiles, self.key(year.year).verifier)
        except LogFault as fault:
            raise HistoryRefused(f"the sealed log of {year.year} is damaged: {fault}") from fault
        shown = None if signed is None else signed.checkpoint
        behind = seen.size > (0 if shown is None else shown.size)
        older, newer = (shown, seen) if behind or shown is None else (seen, shown)
        try:
            _require_tree(tiles, newer, older)
        except (LogFault, InvalidProof) as error:
            # A sealer that was cut short leaves the witness ahead, with the tiles that it saw; a folder that was lost
            # or put back does not have them, and is made again from entries that lead to the same root.
            if behind:
                self._require_entries_alone(year, seen, shown)
                return None
            raise HistoryRefused(
                f"the sealed log of {year.year} in `{self._folder / str(year.year)}` is not the one of {seen.size}"
                f" entries that its witness has seen: {error}; put the folder back from a copy, and run"
                " `policy-engine log verify --database`"
            ) from error
        return newer

    def _require_entries(self, year: LogYear, last: Checkpoint, start: int) -> None:
        """The entries from a number on, the first of a tile, lead from the tiles before it to the root."""
        tiles = self.tiles(year.year)
        leaves = self._leaves(year, start, last.size)
        try:
            edge = Edge.load(tiles, start, within=last.size)
            for begin in range(start, last.size, WIDTH):
                width = min(WIDTH, last.size - begin)
                held = list(islice(leaves, width))
                sealed = read_hashes(tiles, Tile(level=0, index=begin // WIDTH, width=width))
                for at, leaf in enumerate(held):
                    if leaf != sealed[at * HASH_SIZE : (at + 1) * HASH_SIZE]:
                        raise _not_the_sealed_one(year, begin + at)
                for _ in edge.extend(held):
                    pass
                # Of the bundles the last alone, which the sealer goes on to fill.
                bundle = bundle_of(begin // WIDTH, width)
                if begin + width == last.size and [leaf_hash(one) for one in read_entries(tiles, bundle)] != held:
                    raise LogFault(bundle.path, None, "the entries do not hash to the tile of level 0")
        except LogFault as fault:
            raise HistoryRefused(f"the sealed log of {year.year} is damaged: {fault}") from fault
        if edge.root() != last.root:
            raise HistoryRefused(
                f"the entries of {year.year} from {start} on in the database do not lead to the root of the"
                f" {last.size} that were sealed: its tiles were altered; run `policy-engine log verify --database`"
            )

    def _require_kept(self, year: LogYear, size: int, start: int) -> None:
        """Of a retired year, whose bundles are gone, what is still in the database is what was sealed."""
        tiles = self.tiles(year.year)
        at, end = year.first_index + start, year.first_index + size
        tile, hashes = -1, b""
        while page := [entry for entry in self._entries.page(at) if entry.index < end]:
            for entry in page:
                number, place = divmod(entry.index - year.first_index, WIDTH)
                if number != tile:
                    width = min(WIDTH, size - number * WIDTH)
                    try:
                        tile, hashes = number, read_hashes(tiles, Tile(level=0, index=number, width=width))
                    except LogFault as fault:
                        raise HistoryRefused(f"the sealed log of {year.year} is damaged: {fault}") from fault
                if leaf_hash(entry.body) != hashes[place * HASH_SIZE : (place + 1) * HASH_SIZE]:
                    raise _not_the_sealed_one(year, entry.index - year.first_index)
            at = page[-1].index + 1

    def _require_entries_alone(self, year: LogYear, seen: Checkpoint, shown: Checkpoint | None) -> None:
        """Without tiles: the entries lead to the roots of what the witness saw and of an earlier checkpoint."""
        leaves = self._leaves(year, 0, seen.size)
        edge = Edge()
        for one in (seen,) if shown is None else (shown, seen):
            while edge.size < one.size:
                for _ in edge.extend(islice(leaves, min(WIDTH - edge.size % WIDTH, one.size - edge.size))):
                    pass
            if edge.root() != one.root:
                raise HistoryRefused(
                    f"the first {one.size} entries of {year.year} in the database are not those that its witness has"
                    f" seen, and the sealed log in `{self._folder / str(year.year)}` is missing or behind: put the"
                    " database and the folder back from copies of one time, the newest ones"
                )

    def _leaves(self, year: LogYear, start: int, end: int) -> Iterator[bytes]:
        """The leaf hashes of a year's entries from one number to another, of which none may be missing."""
        due = start
        while due < end:
            page = self._entries.page(year.first_index + due, min(_READ_AT_ONCE, end - due))
            for entry in page:
                if entry.index - year.first_index != due:
                    break
                yield leaf_hash(entry.body)
                due += 1
            else:
                if page:
                    continue
            raise HistoryRefused(
                f"entry {due} of {year.year} is not in the database, and it was sealed: put the database back from a"
                " copy"
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

    def _bundles(self, year: int) -> Path:
        return self._folder / str(year) / "tile" / "entries"

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


_READ_AT_ONCE: Final = 4 * WIDTH


def _not_the_sealed_one(year: LogYear, number: int) -> HistoryRefused:
    return HistoryRefused(f"entry {number} of {year.year} in the database is not the one that was sealed")


def _require_tree(tiles: TileReader, newer: Checkpoint, older: Checkpoint | None) -> None:
    """The tiles lead to the root of a checkpoint, and to an older one within it. Raises `LogFault`, `InvalidProof`."""
    if Edge.load(tiles, newer.size).root() != newer.root:
        raise LogFault(CHECKPOINT, None, f"the tiles lead to another root of {newer.size} entries")
    if older is not None:
        proof = consistency_proof(older.size, newer.size, TileHashes(tiles, newer.size))
        verify_consistency(old=older.size, old_root=older.root, new=newer.size, new_root=newer.root, proof=proof)


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


class Keeper:
    """A sealed log and what this process knows of its sealing.

    What goes wrong is an alarm that stays until sealing works again. Decisions go on meanwhile: they are durable in the
    database, and sealed as soon as that works.
    """

    def __init__(self, sealing: Sealing, *, report: Callable[[str | None], None]) -> None:
        """`report` is told of every new alarm, and with `None` when the last one is over."""
        self.sealing = sealing
        self.state = SealState()
        self._report = report

    @property
    def sealed(self) -> SealedYear | None:
        """The newest checkpoint that this process knows of."""
        return self.state.sealed

    @property
    def alarm(self) -> str | None:
        """What keeps the log from being sealed now."""
        return self.state.alarm

    def _learn(self, state: SealState) -> None:
        before, self.state = self.state, state
        if state.alarm != before.alarm:
            self._report(state.alarm)


class SealKeeper(Keeper):
    """Seals again and again."""

    def turn(self) -> None:
        """Seal once. Nothing but a programming error is raised."""
        try:
            state = SealState(sealed=self.sealing.seal())
        except LogLocked:
            # Another process is the sealer; what it sealed is read.
            state = self._look()
        except _FAILURES as error:
            state = replace(self._look(), alarm=f"the log is not sealed: {type(error).__name__}: {error}")
        self._learn(state)

    def _look(self) -> SealState:
        try:
            return SealState(sealed=self.sealing.sealed())
        except _FAILURES as error:
            return replace(self.state, alarm=f"the sealed log cannot be read: {type(error).__name__}: {error}")


HEARTBEAT_SECONDS: Final = 1.0
"""How often whoever seals apart reports at least, also when nothing has changed."""
SILENCE_SECONDS: Final = 15.0
"""For so long nothing may be heard of it. A turn that takes longer, since much was left to seal, is worth an alarm."""
_SILENT: Final = (
    f"the log is not sealed: the process that seals it has reported nothing for {SILENCE_SECONDS:.0f} s; it may be"
    " stopped, or wait for its disk: end that process, and it is started again"
)


class KeptApart(Keeper):
    """A log that another process seals and indexes: known is what that process has reported."""

    def __init__(
        self, sealing: Sealing, *, report: Callable[[str | None], None], report_index: Callable[[str], None]
    ) -> None:
        """As a `Keeper`; `report_index` is told why decisions are not indexed."""
        super().__init__(sealing, report=report)
        self._report_index = report_index

    def hear(self, message: object) -> None:
        """Take a report. Raises `TypeError` for what is none."""
        match message:
            case SealState():
                self._learn(message)
            case NotIndexed():
                self._report_index(message.fault)
            case _:
                raise TypeError(f"a {type(message).__name__} is not a report of the sealing process")

    def silent(self) -> None:
        """The process has reported nothing for `SILENCE_SECONDS`; its next report ends the alarm."""
        self._learn(replace(self.state, alarm=_SILENT))

    def lost(self) -> None:
        """The process has ended; it is started again."""
        self._learn(replace(self.state, alarm="the log is not sealed: the process that seals it has ended"))
