"""The sealer: from records that are durable already to tiles, bundles and a signed checkpoint.

One call of `seal` makes the log grow by what its source of entries has, and signs once. It keeps nothing in memory from
one call to the next; what stands in the store is where it goes on from, so a call that was cut short anywhere is made
good by the next one. In order:

1. The published checkpoint is opened with the log's own key. The edge of the tree is read from the tiles, and its root
   has to be that of the checkpoint.
2. Entries are asked for from the checkpoint's size on. Their indices have to be dense.
3. Bundles and tiles are written level by level, each is read again, and hashes are taken of what was read.
4. The edge is read once more, and the root to be signed is computed from that. It has to be the one of step 3.
5. The new tree has to begin with the published one, and with `previous`: the last checkpoint that is known from outside
   the store, so that neither a store nor a database that was put back can take back what was shown to others.
6. `approve` is asked, which a witness does before it answers.
7. The checkpoint is signed and written.

Anything amiss ends the call with an exception before the checkpoint is written. `LogFault` and `TileConflict` name the
resource. Tiles written in a failed call stay; they have no meaning until a checkpoint covers them, and the next call
writes the same bytes. There has to be one sealer of a log at a time, see `files.Directory.exclusive`.

Re-reading goes through the page cache: it finds what a faulty store returns, not what a disk loses later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from policy_engine.ledger.checkpoint import (
    Checkpoint,
    InvalidCheckpoint,
    SignedCheckpoint,
    open_checkpoint,
    sign_checkpoint,
)
from policy_engine.ledger.merkle import InvalidProof, consistency_proof, leaf_hash, verify_consistency
from policy_engine.ledger.note import InvalidNote, SigningKey, VerifierKey
from policy_engine.ledger.tiles import (
    CHECKPOINT,
    MAX_ENTRY,
    WIDTH,
    Edge,
    EntryTooLong,
    LogFault,
    TileHashes,
    TileReader,
    TileStore,
    bundle_of,
    decode_bundle,
    encode_bundle,
    read_entries,
)

EntrySource = Callable[[int], Iterable[tuple[int, bytes]]]
"""Takes the index to begin at, gives index and bytes of every entry from there on that may be sealed."""

Approve = Callable[[int, bytes, tuple[bytes, ...]], object]
"""Takes the new size and root, and the proof of consistency from `previous`; refuses by raising."""


class EntryGap(ValueError):
    """The source of entries did not give the next index."""


class HistoryDiffers(Exception):
    """The tree to be signed does not begin with one that others have seen. No checkpoint was signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """The checkpoint in force, and how many entries it has more than the one that was published before."""

    signed: SignedCheckpoint
    added: int


def published(store: TileReader, key: VerifierKey) -> SignedCheckpoint | None:
    """The checkpoint that stands in the store, verified; `None` where there is none. Raises `LogFault`, `OSError`."""
    data = store.read(CHECKPOINT)
    if data is None:
        return None
    try:
        return open_checkpoint(data, key)
    except (InvalidNote, InvalidCheckpoint) as error:
        raise LogFault(CHECKPOINT, None, str(error)) from error


def seal(
    *,
    key: SigningKey,
    store: TileStore,
    entries: EntrySource,
    previous: Checkpoint | None = None,
    approve: Approve | None = None,
) -> Sealed:
    """Grow the log whose origin is the name of the key, and sign it. An empty log is signed too; an unchanged one not.

    `previous` is the last checkpoint known from elsewhere, such as that of a witness; the proof that `approve` gets
    leads from it. Raises `LogFault`, `TileConflict`, `EntryGap`, `EntryTooLong`, `HistoryDiffers`, `OSError`, and what
    `entries` and `approve` raise.
    """
    before = published(store, key.verifier)
    start = 0 if before is None else before.checkpoint.size
    edge = Edge.load(store, start)
    if before is not None and edge.root() != before.checkpoint.root:
        raise LogFault(CHECKPOINT, None, "the tiles lead to another root than the one that was signed")

    _grow(store, edge, entries)
    computed = edge.root()
    edge = Edge.load(store, edge.size)
    if edge.root() != computed:
        raise LogFault(CHECKPOINT, None, "the tiles lead to another root when they are read again")

    hashes = TileHashes(store, edge.size)
    now = Checkpoint(origin=key.name, size=edge.size, root=computed)
    if before is not None:
        _prove(before.checkpoint, now, hashes)
    proof = () if previous is None else _prove(previous, now, hashes)
    if approve is not None:
        approve(now.size, now.root, proof)
    if before is not None and before.checkpoint.size == now.size:
        return Sealed(signed=before, added=0)
    signed = sign_checkpoint(now, key)
    _put(store, CHECKPOINT, signed.note)
    return Sealed(signed=signed, added=now.size - start)


def _grow(store: TileStore, edge: Edge, entries: EntrySource) -> None:
    """Write the bundles and tiles of the new entries, and leave the edge where they end."""
    start = edge.size
    waiting = _last_entries(store, edge)
    known = len(waiting)
    first = start - known
    for index, entry in entries(start):
        if index != first + len(waiting):
            raise EntryGap(f"entry {first + len(waiting)} was to come, and {index} came")
        if len(entry) > MAX_ENTRY:
            raise EntryTooLong(f"entry {index} has {len(entry)} bytes, and the most is {MAX_ENTRY}")
        waiting.append(entry)
        if len(waiting) == WIDTH:
            _write_bundle(store, edge, waiting, known)
            first, waiting, known = edge.size, [], 0
    if len(waiting) > known:
        _write_bundle(store, edge, waiting, known)
    if edge.size > start:
        for tile, hashes in edge.partial():
            _put(store, tile.path, hashes)


def _last_entries(store: TileReader, edge: Edge) -> list[bytes]:
    """The entries of the bundle that is not full yet; they have to be those of the tile."""
    width = edge.size % WIDTH
    if not width:
        return []
    bundle = bundle_of(edge.size // WIDTH, width)
    entries = read_entries(store, bundle)
    if b"".join(map(leaf_hash, entries)) != edge.leaves:
        raise LogFault(bundle.path, None, "the entries do not hash to the tile of level 0")
    return entries


def _write_bundle(store: TileStore, edge: Edge, entries: list[bytes], known: int) -> None:
    """Write a bundle of which the edge knows some entries already, and every tile that becomes full by it."""
    bundle = bundle_of(edge.size // WIDTH, len(entries))
    read = decode_bundle(_put(store, bundle.path, encode_bundle(entries)), bundle)
    for tile, hashes in edge.extend(leaf_hash(entry) for entry in read[known:]):
        _put(store, tile.path, hashes)


def _put(store: TileStore, path: str, data: bytes) -> bytes:
    """Write, and give what is read afterwards, once it is the same. Whoever reads yet again may read something else."""
    store.write(path, data)
    read = store.read(path)
    if read is None or read != data:
        raise LogFault(path, None, "other bytes were read than had been written")
    return read


def _prove(old: Checkpoint, new: Checkpoint, hashes: TileHashes) -> tuple[bytes, ...]:
    """The proof that the new tree begins with the old one, verified. Raises `HistoryDiffers`."""
    if old.origin != new.origin:
        raise HistoryDiffers(f"the earlier checkpoint is that of `{old.origin}`")
    if old.size > new.size:
        raise HistoryDiffers(f"a log of {old.size} entries was seen before, and this one has {new.size}")
    proof = consistency_proof(old.size, new.size, hashes)
    try:
        verify_consistency(old=old.size, old_root=old.root, new=new.size, new_root=new.root, proof=proof)
    except InvalidProof as error:
        raise HistoryDiffers(f"the first {old.size} entries are not those that were seen before") from error
    return proof
