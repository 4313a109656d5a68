"""The light reader of a record says what the full one says, of every record that an earlier release wrote."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from policy_engine.formats.record_columns import DECISION_COLUMNS, UnreadableEntry, said_by_change, said_by_record
from policy_engine.formats.record_reader import read_record

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
RECORDS: Final = sorted(path for path in (Path(__file__).parents[1] / "golden" / "records").rglob("*.json"))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_both_readers_of_a_record_say_the_same(path: Path) -> None:
    body = path.read_bytes()
    full = read_record(body)
    values, more, value = said_by_record(body)
    said = dict(zip(DECISION_COLUMNS, values, strict=True))
    assert said == {
        "id": full.id,
        "decided_at": (full.decided_at - EPOCH) // timedelta(microseconds=1),
        "valid_until": (full.valid_until - EPOCH) // timedelta(microseconds=1),
        "allowed": full.allowed,
        "hold": full.hold,
        "caller": full.caller.id,
        "control_epoch": full.control_epoch,
    }
    if full.request is None:
        assert (more, value) == ("request_digest", full.request_digest)
    else:
        assert (more, value) == ("request_id", full.request.request_id)


def test_among_the_records_are_a_full_and_a_shortened_one() -> None:
    assert {said_by_record(path.read_bytes())[1] for path in RECORDS} == {"request_id", "request_digest"}


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_record_and_no_change_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableEntry):
        said_by_record(body)
    with pytest.raises(UnreadableEntry):
        said_by_change(body)


def test_a_version_that_is_not_known_is_refused() -> None:
    (body, *_) = (path.read_bytes() for path in RECORDS)
    with pytest.raises(UnreadableEntry, match="version 2 of the record"):
        said_by_record(body.replace(b'"v":1}', b'"v":2}'))
