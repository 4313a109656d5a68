"""What may have ended, in the order of the log: the one feed of whoever tells gateways.

It is read from the changes on record, so that nothing is lost over a restart, and a reader that says where it was goes
on from there. Nothing of it is kept here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import msgspec
from msgspec import UNSET

from policy_engine.domain.changes import MembersRecorded
from policy_engine.domain.endings import ENDING_KINDS, Ending, Standing, ending_of, unreadable
from policy_engine.domain.instants import format_instant
from policy_engine.domain.roster import Recorded
from policy_engine.formats.change import ChangeFault, decode_change
from policy_engine.formats.roster_rows import RowsFault, decode_rows, each_row
from policy_engine.service.gate.snapshot import Ground, StandingView
from policy_engine.shapes.ending import EndingDocument

KEY_REVOKED: Final = "key.revoked"
_FOLLOWED: Final = (*ENDING_KINDS, KEY_REVOKED)
PAGE: Final = 100
"""Changes that are read at once."""


class Logged(Protocol):
    """A change as it stands in the log."""

    @property
    def log_index(self) -> int: ...

    @property
    def id(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def at(self) -> datetime: ...

    @property
    def body(self) -> bytes: ...


class Changes(Protocol):
    """The changes on record. Methods raise `LogUnavailable`."""

    def after(self, index: int, kinds: tuple[str, ...], *, limit: int) -> Iterable[Logged]:
        """Up to `limit` of some kinds after an entry, in their order; none is ever committed behind one of them."""
        ...

    def last(self) -> int:
        """The number of the last change; -1 before the first."""
        ...

    def count_after(self, index: int, kinds: tuple[str, ...], *, limit: int) -> int:
        """How many of some kinds are after an entry, counted up to `limit`."""
        ...

    def content(self, digest: str) -> bytes | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is told of one change: its number in the log, and the document."""

    index: int
    document: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was told after an entry of the log, and up to which entry there is nothing else. `more` says that there is
    further to read."""

    told: tuple[Told, ...]
    up_to: int
    more: bool


class Endings:
    """Reads the feed. Methods raise `LogUnavailable` and `MembersUnavailable`."""

    def __init__(self, changes: Changes, view: StandingView) -> None:
        self._changes = changes
        self._view = view

    def last(self) -> int:
        """Where the feed ends now."""
        return self._changes.last()

    def left(self, index: int, *, most: int) -> int:
        """How many changes after an entry may have ended something, counted up to `most`."""
        return self._changes.count_after(index, ENDING_KINDS, limit=most)

    def after(self, index: int) -> Reading:
        """What may have ended by the changes after an entry of the log, a page at a time.

        Where there are any the snapshot of this process is read again, so that whoever is told, and asks again here,
        is answered by what ended it.
        """
        found = tuple(self._changes.after(index, _FOLLOWED, limit=PAGE))
        if not found:
            return Reading(told=(), up_to=index, more=False)
        standing = _standing(self._view.refresh())
        endings = (self._ending(one, standing) for one in found)
        return Reading(
            told=tuple(Told(index=one.index, document=encode_ending(one)) for one in endings if one is not None),
            up_to=found[-1].log_index,
            more=len(found) == PAGE,
        )

    def _ending(self, logged: Logged, standing: Standing) -> Ending | None:
        if logged.kind not in ENDING_KINDS:
            return None
        try:
            change = decode_change(logged.body)
        except ChangeFault:
            return unreadable(logged.log_index, logged.id, logged.at)
        rows: Iterable[Recorded] | None = None
        if isinstance(change.event, MembersRecorded):
            rows = self._rows(change.event.digest)
        return ending_of(logged.log_index, change, rows, standing)

    def _rows(self, digest: str) -> Iterable[Recorded] | None:
        """The rows of a revision; `None` for one whose rows were not kept or cannot be read."""
        content = self._changes.content(digest)
        try:
            return None if content is None else tuple(each_row(decode_rows(content)))
        except RowsFault:
            return None


def _standing(ground: Ground) -> Standing:
    judges = [judge for _, judge in ground.judges]
    books = [judge.book for judge in judges if judge is not None]
    whole = bool(books) and len(books) == len(judges)
    return Standing(
        roster=ground.roster,
        entries=tuple(entry for book in books for entry in book.tables.catalogue.entries.values()),
        rules=tuple(row for book in books for row in book.rows) if whole else None,
    )


_encoder: Final = msgspec.json.Encoder()


def encode_ending(ending: Ending) -> bytes:
    """The document, on one line."""
    return _encoder.encode(
        EndingDocument(
            index=ending.index,
            change=ending.change,
            at=format_instant(ending.at),
            start=format_instant(ending.start),
            causes=tuple(ending.causes),
            everybody=ending.subjects is None,
            every_model=ending.models is None,
            subjects=UNSET if ending.subjects is None else ending.subjects,
            models=UNSET if ending.models is None else ending.models,
        )
    )
