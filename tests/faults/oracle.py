"""What has to be true of a log after whatever happened to the process, given what its clients were told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from policy_engine.app.builder import build, open_sealing
from policy_engine.domain.ports import LogEntry
from policy_engine.formats.record import full_answer
from policy_engine.formats.record_reader import read_record
from policy_engine.ledger.checkpoint import open_checkpoint
from policy_engine.ledger.tiles import bundle_of, read_entries
from policy_engine.ledger.verify import verify_log
from policy_engine.service.audit.replay import replay
from policy_engine.service.sealing.sealed_log import Sealing
from policy_engine.store.database import open_database, reading
from policy_engine.store.tables import changes, decisions
from tests.faults.load import Journal
from tests.faults.process import Installation


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A decision as it stands in the database."""

    index: int
    id: str
    request_id: str | None
    digest: str
    decided_at: datetime
    valid_until: datetime
    attempt: int
    retry_of: str | None
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was compared."""

    logged: int
    acknowledged: int
    unacknowledged: int
    checkpoints: int
    sealed: int
    replayed: int


def logged(url: str) -> tuple[list[Row], list[int]]:
    """The decisions in their order, and the numbers that changes have."""
    engine = open_database(url)
    try:
        with reading(engine) as reader:
            rows = reader.execute(select(decisions).order_by(decisions.c.log_index)).all()
            others = list(reader.scalars(select(changes.c.log_index)))
    finally:
        engine.dispose()
    return [
        Row(
            index=row.log_index,
            id=row.id,
            request_id=row.request_id,
            digest=row.request_digest,
            decided_at=row.decided_at,
            valid_until=row.valid_until,
            attempt=row.attempt,
            retry_of=row.retry_of,
            body=bytes(row.body),
        )
        for row in rows
    ], others


def recorded_keys(url: str) -> set[str]:
    """The idempotency keys under which something is on record."""
    engine = open_database(url)
    try:
        with reading(engine) as reader:
            return {key for key in reader.scalars(select(decisions.c.request_id)) if key is not None}
    finally:
        engine.dispose()


def require_nothing_lost(
    installation: Installation, journals: Sequence[Journal], *, in_flight: int = 0, replays: int | None = None
) -> Found:
    """The whole oracle; `in_flight` requests may be on record and were never answered. `replays` limits how many
    records are decided again: the last ones, and as many drawn evenly from all.

    While this runs nothing is appended.
    """
    rows, others = logged(installation.url)
    acknowledged = [line for journal in journals for line in journal.acknowledged()]

    # Nothing that was answered is missing or changed.
    by_id = {row.id: row for row in rows}
    assert len(by_id) == len(rows)
    assert [line.key for line in acknowledged if line.decision_id not in by_id] == []
    held = [(line, by_id[line.decision_id]) for line in acknowledged]
    assert [line.key for line, row in held if full_answer(row.body) != line.answer] == []
    assert [line.key for line, row in held if (row.request_id, row.digest) != (line.key, line.digest)] == []
    unacknowledged = len(rows) - len({line.decision_id for line in acknowledged})
    assert unacknowledged <= in_flight
    _require_once(rows)

    # The numbers are dense from 0, over decisions and changes.
    assert sorted([row.index for row in rows] + others) == list(range(len(rows) + len(others)))

    checkpoints, sealed = _require_sealed(installation, [note for one in journals for note in one.checkpoints()])
    return Found(
        logged=len(rows),
        acknowledged=len(acknowledged),
        unacknowledged=unacknowledged,
        checkpoints=checkpoints,
        sealed=sealed,
        replayed=_require_replayed(installation, rows, replays),
    )


def _require_once(rows: Sequence[Row]) -> None:
    """One record under each key, but where the one before had run out when it was asked again; then they are linked."""
    last: dict[str | None, Row] = {}
    for row in rows:
        before = last.get(row.request_id)
        if before is None:
            assert (row.attempt, row.retry_of) == (1, None), row.request_id
        else:
            assert before.valid_until <= row.decided_at, row.request_id
            assert (row.attempt, row.retry_of) == (before.attempt + 1, before.id), row.request_id
        last[row.request_id] = row


def _require_sealed(installation: Installation, shown: Sequence[bytes]) -> tuple[int, int]:
    """What is committed is sealed now, and begins with every checkpoint that anybody was shown."""
    parts = build(installation.settings)
    try:
        sealing = open_sealing(installation.settings, parts.entries)
        sealing.require_history()
        sealing.seal()
        committed = {entry.index: entry.body for entry in _all_entries(parts.entries.page, parts.entries.size())}
        sealed = 0
        for year in parts.entries.years():
            key = sealing.key(year.year).verifier
            older = [
                open_checkpoint(note, key).checkpoint
                for note in {note for note in shown if note.startswith(f"{key.name}\n".encode())}
            ]
            verified = verify_log(sealing.tiles(year.year), key, older=older)
            for number, body in enumerate(_sealed_entries(sealing, year.year, verified.signed.checkpoint.size)):
                assert committed[year.first_index + number] == body
                sealed += 1
        assert sealed == len(committed)
    finally:
        parts.close()
    return len(shown), sealed


def _all_entries(page: Callable[[int], Sequence[LogEntry]], size: int) -> Iterator[LogEntry]:
    at = 0
    while at < size:
        found = page(at)
        yield from found
        at += len(found)


def _sealed_entries(sealing: Sealing, year: int, size: int) -> list[bytes]:
    bodies: list[bytes] = []
    for start in range(0, size, 256):
        bodies += read_entries(sealing.tiles(year), bundle_of(start // 256, min(256, size - start)))
    return bodies


def _require_replayed(installation: Installation, rows: Sequence[Row], limit: int | None) -> int:
    """Each record is decided again to the same bytes."""
    chosen = list(rows)
    if limit is not None and len(rows) > limit:
        half = limit // 2
        step = max(1, len(rows) // half)
        chosen = [*rows[:-half:step], *rows[-half:]]
    parts = build(installation.settings)
    try:
        assert [row.id for row in chosen if not replay(read_record(row.body), row.body, parts.past).same] == []
    finally:
        parts.close()
    return len(chosen)
