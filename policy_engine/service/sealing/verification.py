"""The verification of the sealed log where it is kept: tiles, checkpoint and witness of each year, and the database.

`ledger.verify` says what the first part can find. Against the database every committed entry is held beside the sealed
one, so a record that was altered in either place is named; so is a row whose columns say something else than its
bytes, and what stands beside the log and is not what the log tells of it. What neither finds is a history that the
holder of the signing key wrote anew in the tiles, the witness and the database: for that, hand in a checkpoint that
somebody else kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from policy_engine.domain.ports import LogYear
from policy_engine.ledger.checkpoint import Checkpoint, InvalidCheckpoint, SignedCheckpoint, open_checkpoint
from policy_engine.ledger.merkle import InvalidProof, consistency_proof, verify_consistency
from policy_engine.ledger.note import InvalidNote, VerifierKey
from policy_engine.ledger.sealer import published
from policy_engine.ledger.tiles import (
    CHECKPOINT,
    WIDTH,
    Edge,
    LogFault,
    Tile,
    TileHashes,
    TileReader,
    bundle_of,
    read_entries,
    read_hashes,
)
from policy_engine.ledger.verify import Progress, verify_log
from policy_engine.service.sealing.sealed_log import Sealing
from policy_engine.store.cross_check import CrossCheck, LoggedRow

_ENTRIES_AT_ONCE: Final = 4 * WIDTH


class VerificationFailed(Exception):
    """The first fault that was found, with the year in which it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedYear:
    """A year of the log without fault. `checkpoint` is `None` while nothing of it is sealed.

    `compared` is how many entries of the database were held against the sealed ones, and `waiting` how many are
    committed and not sealed yet; both are `None` where the database was not asked. Of a `retired` year there are no
    entries any more: its hashes and its checkpoint were verified.
    """

    year: int
    checkpoint: Checkpoint | None
    retired: bool = False
    held_against: tuple[int, ...] = ()
    compared: int | None = None
    waiting: int | None = None


def verify_year(
    sealing: Sealing,
    year: LogYear,
    *,
    older: Iterable[bytes] = (),
    retired: bool = False,
    pause: Callable[[], None],
    progress: Progress | None = None,
) -> VerifiedYear:
    """Verify what is sealed of a year, against its witness, and against older checkpoints (signed notes) of its log.

    A running sealer may be between witness and checkpoint, so what the witness is ahead by is waited for with `pause`,
    a tenth of a second for instance, up to `PATIENCE` times. Raises `VerificationFailed` and `OSError`.
    """
    tiles, key = sealing.tiles(year.year), sealing.key(year.year).verifier
    try:
        kept = [open_checkpoint(note, key).checkpoint for note in older]
    except (InvalidNote, InvalidCheckpoint) as error:
        raise VerificationFailed(f"{year.year}: the older checkpoint is not one of this log: {error}") from error
    seen = sealing.witness(year.year).latest()
    try:
        for _ in range(PATIENCE):
            signed = published(tiles, key)
            if (0 if signed is None else signed.checkpoint.size) >= seen.size:
                break
            pause()
        if retired:
            return _retired(year, tiles, published(tiles, key), (*kept, seen))
        if tiles.read(CHECKPOINT) is None and not seen.size and not kept:
            return VerifiedYear(year=year.year, checkpoint=None)
        verified = verify_log(tiles, key, older=(*kept, seen), progress=progress)
    except LogFault as fault:
        raise VerificationFailed(f"{year.year}: {fault}") from fault
    return VerifiedYear(year=year.year, checkpoint=verified.signed.checkpoint, held_against=verified.held_against)


PATIENCE: Final = 20


def _retired(
    year: LogYear, tiles: TileReader, signed: SignedCheckpoint | None, kept: Iterable[Checkpoint]
) -> VerifiedYear:
    """Without entries: the hashes lead from every level to the root that was signed. Raises `LogFault`."""
    if signed is None:
        raise LogFault(CHECKPOINT, None, "the checkpoint of the retired year is missing")
    now, edge, held_against = signed.checkpoint, Edge(), []
    for start in range(0, now.size, WIDTH):
        hashes = read_hashes(tiles, Tile(level=0, index=start // WIDTH, width=min(WIDTH, now.size - start)))
        for tile, above in edge.extend([hashes]):
            if tile.level != 0 and read_hashes(tiles, tile) != above:
                raise LogFault(tile.path, tile.start, "the hashes are not those of the tiles below")
    if edge.root() != now.root:
        raise LogFault(CHECKPOINT, None, "the tiles lead to another root than the one that was signed")
    for one in kept:
        if one.size > now.size:
            raise LogFault(CHECKPOINT, None, f"the log has had {one.size} entries before, and now has {now.size}")
        proof = consistency_proof(one.size, now.size, TileHashes(tiles, now.size))
        try:
            verify_consistency(old=one.size, old_root=one.root, new=now.size, new_root=now.root, proof=proof)
        except InvalidProof as error:
            raise LogFault(CHECKPOINT, None, f"the first {one.size} entries are not those that were seen") from error
        held_against.append(one.size)
    return VerifiedYear(year=year.year, checkpoint=now, retired=True, held_against=tuple(held_against))


def compare_rows(
    sealing: Sealing, rows: CrossCheck, year: LogYear, size: int, *, progress: Progress | None = None
) -> int:
    """Hold the committed entries of a year against the sealed ones below a size, byte by byte, and the columns of each
    row against its bytes; how many there are.

    The tiles were verified before. Raises `VerificationFailed`, `LogUnavailable`, `OSError`.
    """
    for page in compared(sealing, rows, year, size, progress):
        for row in page:
            if row.wrong is not None:
                raise VerificationFailed(f"{year.year}: entry {row.index - year.first_index} {row.wrong}")
    return size


def verify_beside(rows: CrossCheck) -> None:
    """Archived contents, members and keys are those of which the log tells, what follows from it does, and the triggers
    are there. Raises `VerificationFailed` with the first that is not, `LogUnavailable`."""
    for faults in (rows.schema, rows.contents, rows.members, rows.keys, rows.followed):
        for fault in faults():
            raise VerificationFailed(fault)


def verify_index(rows: CrossCheck, *, progress: Progress) -> None:
    """The index of decisions follows from the records. Raises `VerificationFailed` with the first place where it does
    not, `LogUnavailable`."""
    for fault in rows.index(progress):
        raise VerificationFailed(f"{fault}: run `policy-engine log reindex`")


def compared(
    sealing: Sealing, rows: CrossCheck, year: LogYear, size: int, progress: Progress | None
) -> Iterator[Sequence[LoggedRow]]:
    """The entries below a size, a page at a time, each the one that is sealed. Raises as `compare_rows`."""
    tiles = sealing.tiles(year.year)
    for begin in range(0, size, _ENTRIES_AT_ONCE):
        count = min(_ENTRIES_AT_ONCE, size - begin)
        page = rows.page(year.first_index + begin, count)
        held = {entry.index - year.first_index: entry.body for entry in page}
        for start in range(begin, begin + count, WIDTH):
            try:
                sealed = read_entries(tiles, bundle_of(start // WIDTH, min(WIDTH, begin + count - start)))
            except LogFault as fault:
                raise VerificationFailed(f"{year.year}: {fault}") from fault
            for at, body in enumerate(sealed, start):
                if held.get(at) != body:
                    what = "is not in the database" if at not in held else "in the database is not the one sealed"
                    raise VerificationFailed(f"{year.year}: entry {at} {what}")
        yield page
        if progress is not None:
            progress(begin + count, size)


def verify_copy(
    tiles: TileReader, key: VerifierKey, *, older: Iterable[bytes] = (), progress: Progress | None = None
) -> Checkpoint:
    """Verify a copy of a year's tiles with nothing but the verifier key. Raises `VerificationFailed` and `OSError`."""
    try:
        kept = [open_checkpoint(note, key).checkpoint for note in older]
        return verify_log(tiles, key, older=kept, progress=progress).signed.checkpoint
    except (InvalidNote, InvalidCheckpoint, LogFault) as error:
        raise VerificationFailed(str(error)) from error
