"""The evidence pack: records with everything that proves and explains them, for somebody who has nothing else.

A ZIP file that is checked offline by the program in it (`pack_verifier`):

    README.txt                     what is in it, and how to check it with and without that program
    verify.py                      needs nothing but Python
    report.html                    to be read and printed; the same for whoever draws it from the rest
    records/<number>-<id>.json     the exact bytes of each record, by its number in the log
    changes/<number>-<id>.json     the exact bytes of each change that put a book of theirs in force, and its proposal
    receipts/<as above>.tlog-proof that it stands in the log, under the checkpoint of its year
    books/<digest>.json            the archived files of each book
    checkpoints/<year>.txt         what the log signed
    keys/<year>.vkey               the verifier key of the year
    manifest.json                  the SHA-256 of every other file, and what was asked for, when and by whom

But for what was asked, nothing in it depends on the clock or on the machine: the same question about the same records
under the same checkpoints gives the same bytes, and `Packed.contents` is the same also for another question.

The page is drawn by the program of the pack, which draws it again when it checks: so it is bound to the records.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from policy_engine.domain.changes import BOOK_KINDS, BookApproved, BookFounded, BookProposed, BookWatched, Change
from policy_engine.domain.instants import format_instant
from policy_engine.domain.ports import DeskLog, LogEntries, LogEntry, LogYear
from policy_engine.formats.record_reader import read_record
from policy_engine.ledger.checkpoint import SignedCheckpoint
from policy_engine.ledger.merkle import InvalidProof, inclusion_proof, leaf_hash, verify_inclusion
from policy_engine.ledger.proof import Receipt
from policy_engine.ledger.sealer import published
from policy_engine.ledger.tiles import TileHashes
from policy_engine.service.audit import pack_verifier
from policy_engine.service.sealing.sealed_log import Sealing

_NO_BOOK: Final = "none"
_VERIFIER: Final = Path(__file__).with_name("pack_verifier.py")
_encoder: Final = msgspec.json.Encoder(order="sorted")

Progress = Callable[[int], object]
"""Takes how many records are in the pack by now."""


class NotProvable(Exception):
    """Something that belongs into the pack is not sealed yet, no longer there, or no longer what it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackRequest:
    """What a pack was made for: who asked, as the maker names them, when, and for what.

    Either `ids` or `filters` is there, the latter by the names of `GET /decisions`. `log_size` is how many entries were
    sealed then, in all years.
    """

    by: str
    at: datetime
    ids: tuple[str, ...] | None
    filters: Mapping[str, str] | None
    log_size: int

    def document(self) -> dict[str, object]:
        """As the manifest has it."""
        return {
            "by": self.by,
            "at": format_instant(self.at),
            "ids": None if self.ids is None else sorted(set(self.ids)),
            "filters": None if self.filters is None else dict(self.filters),
            "log_size": self.log_size,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What went into the pack, and two digests as hexadecimal SHA-256.

    `manifest` is that of the manifest, which names every file and the question. `contents` is that of the names and
    digests of what is proven alone (records, changes, receipts, books, checkpoints, keys), so that two people who asked
    at different times can compare.
    """

    records: int
    changes: int
    books: int
    checkpoints: tuple[str, ...]
    contents: str
    manifest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackContents:
    """What the README tells: how many of each kind, the checkpoint of each year, and the verifier's SHA-256."""

    records: int
    changes: int
    books: int
    checkpoints: Mapping[int, str]
    verifier: str


def write_pack(
    file: BinaryIO,
    records: Iterable[LogEntry],
    *,
    entries: LogEntries,
    desk_log: DeskLog,
    sealing: Sealing,
    asked: PackRequest,
    readme: Callable[[PackContents], str],
    progress: Progress | None = None,
) -> Packed:
    """Write the pack of some records, which `asked` asked for; `readme` makes the text that tells a person about it.

    Raises `NotProvable`, `RecordFault` for a record that this release cannot read, and what reading raises.
    """
    pack = _Pack(zip=zipfile.ZipFile(file, "w", zipfile.ZIP_STORED), trees=_Trees(entries, sealing))
    with pack.zip:
        for entry in records:
            pack.add_record(entry)
            if progress is not None:
                progress(len(pack.told))
        if not pack.told:
            raise NotProvable("there is no record to pack")
        changes = _changes_of(pack, desk_log)
        for change in changes:
            found = entries.find(change.id)
            if found is None:
                raise NotProvable(f"the change `{change.id}` is not in the log")
            pack.add_entry("changes", change.id, found)
            pack.changes[found.index] = pack_verifier.told_change(found.body)
        archives = _add_books(pack, changes, desk_log)
        for year, tree in sorted(pack.trees.held.items()):
            pack.write(f"checkpoints/{year}.txt", tree.signed.note)
            pack.write(f"keys/{year}.vkey", sealing.key(year).verifier.encode().encode() + b"\n")
        contents = _encoder.encode(pack.digests)
        pack.write("verify.py", _VERIFIER.read_bytes())
        question = asked.document()
        pack.write("report.html", _report(pack, question).encode())
        pack.write("README.txt", readme(pack.contents(len(changes), len(archives))).encode())
        manifest = _encoder.encode({"asked": question, "files": pack.digests, "v": 2})
        pack.write("manifest.json", manifest)
    return Packed(
        records=len(pack.told),
        changes=len(changes),
        books=len(archives),
        checkpoints=tuple(tree.text for _, tree in sorted(pack.trees.held.items())),
        contents=hashlib.sha256(contents).hexdigest(),
        manifest=hashlib.sha256(manifest).hexdigest(),
    )


# --- the parts --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tree:
    """One year under one checkpoint, with its hashes as they are read."""

    year: LogYear
    signed: SignedCheckpoint
    hashes: TileHashes

    @property
    def text(self) -> str:
        at = self.signed.checkpoint
        return pack_verifier.told_tree(at.origin, at.size, at.root)


class _Trees:
    """The checkpoint of each year, taken once, so that all receipts of a year are under the same."""

    def __init__(self, entries: LogEntries, sealing: Sealing) -> None:
        self._years = entries.years()
        self._sealing = sealing
        self.held: dict[int, _Tree] = {}

    def receipt(self, entry: LogEntry, name: str) -> Receipt:
        year = next((one for one in reversed(self._years) if one.first_index <= entry.index), None)
        tree = None if year is None else self._tree(year)
        if year is None or tree is None or entry.index - year.first_index >= tree.signed.checkpoint.size:
            raise NotProvable(f"`{name}` is not sealed yet: try again in a second, while the service runs")
        at = entry.index - year.first_index
        size, root = tree.signed.checkpoint.size, tree.signed.checkpoint.root
        proof = inclusion_proof(at, size, tree.hashes)
        try:
            verify_inclusion(leaf=leaf_hash(entry.body), index=at, size=size, proof=proof, root=root)
        except InvalidProof as error:
            raise NotProvable(
                f"`{name}` in the database is not entry {at} of {year.year} as it was sealed; find what was altered"
                " with `policy-engine log verify --database`"
            ) from error
        return Receipt(index=at, proof=proof, note=tree.signed.note)

    def _tree(self, year: LogYear) -> _Tree | None:
        if year.year not in self.held:
            tiles = self._sealing.tiles(year.year)
            signed = published(tiles, self._sealing.key(year.year).verifier)
            if signed is None:
                return None
            hashes = TileHashes(tiles, signed.checkpoint.size)
            self.held[year.year] = _Tree(year=year, signed=signed, hashes=hashes)
        return self.held[year.year]


@dataclass(slots=True, kw_only=True)
class _Pack:
    """The file as it grows."""

    zip: zipfile.ZipFile
    trees: _Trees
    digests: dict[str, str] = field(default_factory=dict)
    told: dict[int, tuple[str, str]] = field(default_factory=dict)
    changes: dict[int, str] = field(default_factory=dict)
    books: dict[str, None] = field(default_factory=dict)
    epoch: int = -1

    def contents(self, changes: int, books: int) -> PackContents:
        return PackContents(
            records=len(self.told),
            changes=changes,
            books=books,
            checkpoints={year: tree.text for year, tree in sorted(self.trees.held.items())},
            verifier=hashlib.sha256(_VERIFIER.read_bytes()).hexdigest(),
        )

    def write(self, name: str, data: bytes) -> None:
        # The first instant that the format knows, so that the clock is not in the file.
        info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
        info.create_system, info.external_attr = 3, 0o644 << 16
        self.zip.writestr(info, data)
        if name != "manifest.json":
            self.digests[name] = hashlib.sha256(data).hexdigest()

    def add_entry(self, folder: str, name: str, entry: LogEntry) -> Receipt:
        receipt = self.trees.receipt(entry, name)
        place = f"{folder}/{entry.index:012d}-{pack_verifier.file_name(name)}"
        self.write(f"{place}.json", entry.body)
        self.write(f"receipts/{place}.tlog-proof", receipt.encode())
        return receipt

    def add_record(self, entry: LogEntry) -> None:
        record = read_record(entry.body)
        if entry.index in self.told:
            return
        receipt = self.add_entry("records", record.id, entry)
        self.told[entry.index] = pack_verifier.told_record(entry.index, receipt.index, entry.body)
        self.epoch = max(self.epoch, record.control_epoch)
        if record.policy_version != _NO_BOOK:
            self.books[record.policy_version] = None


def _changes_of(pack: _Pack, desk_log: DeskLog) -> list[Change]:
    """The changes that put the records' books in force, as far as they were recorded then, and their proposals."""
    recorded = [change for change in desk_log.changes(BOOK_KINDS) if change.epoch <= pack.epoch]
    chosen: list[Change] = []
    proposals: set[str] = set()
    for change in recorded:
        event = change.event
        if isinstance(event, BookFounded | BookWatched | BookApproved) and event.fingerprint in pack.books:
            chosen.append(change)
            if isinstance(event, BookApproved):
                proposals.add(event.proposal)
    return [
        change
        for change in recorded
        if change in chosen or (isinstance(change.event, BookProposed) and change.event.proposal in proposals)
    ]


def _add_books(pack: _Pack, changes: Sequence[Change], desk_log: DeskLog) -> dict[str, str]:
    """The archive of each book, by its digest; which book is in it."""
    archives: dict[str, str] = {}
    for change in changes:
        event = change.event
        if isinstance(event, BookFounded | BookWatched | BookApproved):
            archives[event.archive] = event.fingerprint
    missing = pack.books.keys() - set(archives.values())
    if missing:
        raise NotProvable(f"no change put the book `{min(missing)}` in force")
    for digest in sorted(archives):
        content = desk_log.content(digest)
        if content is None:
            raise NotProvable(f"the archive `{digest}` is not there")
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise NotProvable(
                f"the archived book `{digest}` was overwritten: its bytes have another SHA-256; restore them from a"
                " backup of the database"
            )
        pack.write(f"books/{digest.removeprefix('sha256:')}.json", content)
    return archives


def _report(pack: _Pack, question: dict[str, object]) -> str:
    return pack_verifier.page(
        question,
        [tree.text for _, tree in sorted(pack.trees.held.items())],
        [told for _, told in sorted(pack.told.items())],
        [told for _, told in sorted(pack.changes.items())],
    )
