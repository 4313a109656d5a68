"""A change keeps its bytes, and one that was recorded before a member was told reads as it was meant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policy_engine.domain.changes import KINDS, BookApproved, BookWatched, Change
from policy_engine.formats.change import decode_change, encode_change

APPROVED = (
    b'{"actor":{"key":"k","person":"egon"},"at":"2026-06-12T21:38:00Z","epoch":7,"event":{"archive":"sha256:a",'
    b'"fingerprint":"sha256:f","in_force":"2026-06-12T21:38:00Z","note":"read","proposal":"PROP-1","withdraws":[]},'
    b'"id":"C1","kind":"book.approved","v":1}'
)
WATCHED = (
    b'{"actor":{"key":"watch","person":null},"at":"2026-06-12T21:38:00Z","epoch":7,"event":{"archive":"sha256:a",'
    b'"fingerprint":"sha256:f"},"id":"C1","kind":"book.watched","v":1}'
)


@pytest.mark.parametrize("before", [APPROVED, WATCHED])
def test_a_book_of_before_worked_examples_were_acknowledged_reads_with_none(before: bytes) -> None:
    event = decode_change(before).event
    assert isinstance(event, BookApproved | BookWatched)
    assert event.cases is None
    again = decode_change(encode_change(decode_change(before)))
    assert again == decode_change(before)


def test_what_is_acknowledged_comes_back_from_the_bytes() -> None:
    held = decode_change(APPROVED)
    assert isinstance(held.event, BookApproved)
    acknowledged = Change(
        id=held.id,
        at=held.at,
        actor=held.actor,
        epoch=held.epoch,
        event=replace(held.event, cases="sha256:c"),
    )
    assert decode_change(encode_change(acknowledged)) == acknowledged
    assert KINDS[acknowledged.kind] is BookApproved
