"""The evidence pack: records with everything that proves and explains them, for somebody who has nothing else.

A ZIP file that is checked offline by the program in it (`pack_verifier`):

    README.txt                     what is in it, and how to check it with and without that program
    verify.py                      needs nothing but Python
    report.html                    to be read and printed
    records/<number>-<id>.json     the exact bytes of each record, by its number in the log
    changes/<number>-<id>.json     the exact bytes of each change that put a book of theirs in force, and its proposal
    receipts/<as above>.tlog-proof that it stands in the log, under the checkpoint of its year
    books/<digest>.json            the archived files of each book
    checkpoints/<year>.txt         what the log signed
    keys/<year>.vkey               the verifier key of the year
    manifest.json                  the SHA-256 of every other file

Nothing in it depends on the clock or on the machine: the same records under the same checkpoints are the same bytes.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from policy_engine.domain.changes import BookApproved, BookFounded, BookProposed, BookWatched, Change
from policy_engine.domain.instants import format_instant
from policy_engine.domain.ports import DeskLog, LogEntries, LogEntry, LogYear
from policy_engine.domain.request import Subject
from policy_engine.formats.record_reader import RecordedDecision, read_record
from policy_engine.ledger.checkpoint import SignedCheckpoint
from policy_engine.ledger.merkle import inclusion_proof
from policy_engine.ledger.note import encode_base64
from policy_engine.ledger.proof import Receipt
from policy_engine.ledger.sealer import published
from policy_engine.ledger.tiles import TileHashes
from policy_engine.service.sealing import Sealing

_BOOK_KINDS: Final = ("book.founded", "book.watched", "book.proposed", "book.approved")
_NO_BOOK: Final = "none"
_VERIFIER: Final = Path(__file__).with_name("pack_verifier.py")
_encoder: Final = msgspec.json.Encoder(order="sorted")

Progress = Callable[[int], object]
"""Takes how many records are in the pack by now."""


class NotProvable(Exception):
    """Something that belongs into the pack is not sealed yet, or no longer there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What went into the pack, and the SHA-256 of the manifest, which names every file."""

    records: int
    changes: int
    books: int
    checkpoints: tuple[str, ...]
    manifest: str


def write_pack(
    file: BinaryIO,
    records: Iterable[LogEntry],
    *,
    entries: LogEntries,
    desk_log: DeskLog,
    sealing: Sealing,
    progress: Progress | None = None,
) -> Packed:
    """Write the pack of some records, in the order in which they are given.

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
        archives = _add_books(pack, changes, desk_log)
        for year, tree in sorted(pack.trees.held.items()):
            pack.write(f"checkpoints/{year}.txt", tree.signed.note)
            pack.write(f"keys/{year}.vkey", sealing.key(year).verifier.encode().encode() + b"\n")
        pack.write("verify.py", _VERIFIER.read_bytes())
        pack.write("report.html", _report(pack, changes).encode())
        pack.write("README.txt", _readme(pack, len(changes), len(archives)).encode())
        manifest = _encoder.encode({"files": pack.digests, "v": 1})
        pack.write("manifest.json", manifest)
    return Packed(
        records=len(pack.told),
        changes=len(changes),
        books=len(archives),
        checkpoints=tuple(tree.text for _, tree in sorted(pack.trees.held.items())),
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
        return f"{at.origin}: size {at.size}, root {encode_base64(at.root)}"


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
        proof = inclusion_proof(at, tree.signed.checkpoint.size, tree.hashes)
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
    told: list[str] = field(default_factory=list)
    books: dict[str, None] = field(default_factory=dict)
    epoch: int = -1

    def write(self, name: str, data: bytes) -> None:
        # The first instant that the format knows, so that the clock is not in the file.
        info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
        info.create_system, info.external_attr = 3, 0o644 << 16
        self.zip.writestr(info, data)
        if name != "manifest.json":
            self.digests[name] = hashlib.sha256(data).hexdigest()

    def add_entry(self, folder: str, name: str, entry: LogEntry) -> Receipt:
        receipt = self.trees.receipt(entry, name)
        place = f"{folder}/{entry.index:012d}-{_file_name(name)}"
        self.write(f"{place}.json", entry.body)
        self.write(f"receipts/{place}.tlog-proof", receipt.encode())
        return receipt

    def add_record(self, entry: LogEntry) -> None:
        record = read_record(entry.body)
        if f"records/{entry.index:012d}-{_file_name(record.id)}.json" in self.digests:
            return
        receipt = self.add_entry("records", record.id, entry)
        self.told.append(_record_html(record, entry, receipt.index))
        self.epoch = max(self.epoch, record.control_epoch)
        if record.policy_version != _NO_BOOK:
            self.books[record.policy_version] = None


def _file_name(name: str) -> str:
    """The id as part of a name in the pack: ids of this service are as they are, anything else is harmless."""
    return "".join(character if character.isascii() and character.isalnum() else "-" for character in name)[:80]


def _changes_of(pack: _Pack, desk_log: DeskLog) -> list[Change]:
    """The changes that put the records' books in force, as far as they were recorded then, and their proposals."""
    recorded = [change for change in desk_log.changes(_BOOK_KINDS) if change.epoch <= pack.epoch]
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
        pack.write(f"books/{digest.removeprefix('sha256:')}.json", content)
    return archives


# --- what is read by people -------------------------------------------------------------------------------------------


def _readme(pack: _Pack, changes: int, books: int) -> str:
    trees = "\n".join(f"    {tree.text}" for _, tree in sorted(pack.trees.held.items()))
    keys = "\n".join(f"    keys/{year}.vkey" for year in sorted(pack.trees.held))
    return f"""\
EVIDENCE PACK

{len(pack.told)} decision records, {changes} changes of the rule book, {books} archived books.

Checkpoints that everything here is proven under:

{trees}

HOW TO CHECK IT

1. Get the verifier key of each year from somewhere else than this pack: from the service (GET /log/years) or from
   whoever was given it when the year began. Keys in this pack:

{keys}

2. Run, with Python 3.9 or newer and no network:

    python3 verify.py PACK.zip --key KEY.vkey

   with one --key for each year. It ends with "verified: ..." and exit code 0, or with "FAILED: ..." and exit code 1.
   verify.py shares no code with the service; it is short enough to be read first.

3. Without verify.py: each file under records/ and changes/ is the exact content of an entry of the log. Its SHA-256
   with a zero byte before it is its leaf hash (RFC 6962); the file of the same name under receipts/ is a receipt in
   the format c2sp.org/tlog-proof@v1, whose checkpoint is a c2sp.org/signed-note. Any verifier of these formats will do.

4. Compare the checkpoints above with ones that somebody outside the operator has kept, such as a witness, an earlier
   pack or an e-mail. A checkpoint of the same size has the same root. One of another size is held against the log
   itself: policy-engine log verify --older CHECKPOINT

WHAT IT PROVES

Each record is what stands in the log of the operator under the checkpoints, byte for byte; the book under which it was
decided is the one here, and these persons put it in force.

WHAT IT DOES NOT PROVE

That the facts on which a decision stood were true; that no decision is missing from this pack, which is a selection;
and that the holder of the signing key has not written the log anew: only step 4 can tell.
"""


class _Told(msgspec.Struct):
    code: str
    message: str


class _Finding(msgspec.Struct):
    rule: str
    state: str
    citation: str
    codes: list[str]


class _Answer(msgspec.Struct):
    reason: _Told
    findings: list[_Finding]


class _Record(msgspec.Struct):
    answer: _Answer


_STYLE: Final = """
@page { size: A4; margin: 16mm }
body { font: 10pt/1.4 sans-serif; color: #111; max-width: 62em; margin: 1em auto; padding: 0 1em }
h1 { font-size: 16pt } h2 { font-size: 12pt; margin-top: 2em }
section { break-inside: avoid; border-top: 1px solid #999; padding: .6em 0 }
dl { display: grid; grid-template-columns: 11em 1fr; margin: .3em 0; gap: .1em .8em }
dt { color: #555 } dd { margin: 0; overflow-wrap: anywhere }
.allow { color: #064 } .deny { color: #900 }
table { border-collapse: collapse; width: 100% } thead { display: table-header-group }
td, th { border: 1px solid #bbb; padding: .2em .4em; text-align: left; vertical-align: top; overflow-wrap: anywhere }
@media print { body { margin: 0; max-width: none } }
"""


def _text(value: object) -> str:
    """Harmless in HTML, and without characters that make a text look like another one."""
    plain = "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in str(value))
    return escape(plain)


def _pairs(*pairs: tuple[str, object]) -> str:
    rows = (f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in pairs if value not in (None, ""))
    return f"<dl>{''.join(rows)}</dl>"


def _subject(subject: Subject | None) -> str | None:
    return None if subject is None else f"{subject.type}:{subject.id}"


def _record_html(record: RecordedDecision, entry: LogEntry, index: int) -> str:
    request = record.request
    answer = msgspec.json.decode(entry.body, type=_Record).answer
    held = ", held for a review" if record.hold else ""
    deciding = (
        f"<tr><td>{_text(one.rule)}</td><td>{_text(' '.join(one.codes))}</td><td>{_text(one.citation)}</td></tr>"
        for one in answer.findings
        if one.state == "deciding"
    )
    return "".join(
        (
            f"<section><h2>{_text(record.id)}: <span class={record.decision}>{record.decision.upper()}</span>",
            f"{held}</h2>",
            _pairs(
                ("decided at", format_instant(record.decided_at)),
                ("subject", None if request is None else _subject(request.subject)),
                ("acting for", None if request is None else request.acting_for),
                ("end user", None if request is None else _subject(request.end_user)),
                ("model", record.model),
                ("action", None if request is None else request.action.value),
                ("purpose", None if request is None else request.purpose),
                ("place", None if request is None else request.place.country),
                ("request", f"digest {record.request_digest} alone" if request is None else None),
                ("reason", f"{answer.reason.code}: {answer.reason.message}"),
                ("asked by", f"key {record.caller.id}, gateway {record.caller.gateway or 'none'}"),
                ("rule book", record.policy_version),
                ("membership revision", record.membership_revision),
                ("place in the log", f"number {entry.index}; entry {index} of its year"),
                ("SHA-256 of the record", hashlib.sha256(entry.body).hexdigest()),
            ),
            "<table><thead><tr><th>deciding rule</th><th>codes</th><th>citation</th></tr></thead><tbody>",
            *deciding,
            "</tbody></table></section>",
        )
    )


def _change_html(change: Change) -> str:
    event = change.event
    who = change.actor.person or f"nobody; key {change.actor.key}"
    shared: tuple[tuple[str, object], ...] = (("at", format_instant(change.at)), ("person", who))
    match event:
        case BookProposed():
            reports = "; ".join(f"{report.name}: {report.summary}" for report in event.reports)
            more: tuple[tuple[str, object], ...] = (
                ("proposal", event.proposal),
                ("book", event.fingerprint),
                ("compared with", event.base),
                ("note", event.note),
                ("reports", reports),
            )
        case BookApproved():
            more = (
                ("proposal", event.proposal),
                ("book", event.fingerprint),
                ("in force from", format_instant(event.in_force)),
                ("note", event.note),
            )
        case BookFounded() | BookWatched():
            more = (("book", event.fingerprint),)
        case _:
            more = ()
    return f"<section><h2>{_text(change.kind)}</h2>{_pairs(*shared, *more)}</section>"


def _report(pack: _Pack, changes: Sequence[Change]) -> str:
    trees = "".join(f"<li><code>{_text(tree.text)}</code></li>" for _, tree in sorted(pack.trees.held.items()))
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>Evidence of {len(pack.told)} decisions</title><style>{_STYLE}</style></head><body>",
            f"<h1>Evidence of {len(pack.told)} decisions</h1>",
            "<p>This page is for reading. What counts are the records beside it, which README.txt says how to check."
            f"</p><h2>Checkpoints</h2><ul>{trees}</ul>",
            *pack.told,
            "<h1>How the rule books came into force</h1>",
            *(_change_html(change) for change in changes),
            "</body></html>\n",
        )
    )
