"""What a recorded decision stood on: the roster at its revision, book and freezes at its epoch, the reviews closed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from policy_engine.domain.changes import DESK_KINDS, Change
from policy_engine.domain.desk import Desk, desk_after
from policy_engine.domain.ports import DeskLog
from policy_engine.domain.roster import Roster
from policy_engine.policy.judge import Judge
from policy_engine.policy.library import BookLost, Library

KEPT: Final = 8


class RecordedPast:
    """The past from the log and the archive; what was read last is kept, since neighbours stood on the same."""

    def __init__(self, log: DeskLog, library: Library) -> None:
        self._log = log
        self._library = library
        self._changes: tuple[Change, ...] | None = None
        self._desks: dict[int, Desk] = {}
        self._rosters: dict[int, Roster] = {}

    def roster(self, revision: int) -> Roster:
        """The members as they were on file at a revision. Raises `LogUnavailable`."""
        roster = self._rosters.get(revision)
        if roster is None:
            while len(self._rosters) >= KEPT:
                self._rosters.pop(next(iter(self._rosters)))
            roster = self._rosters[revision] = Roster.as_known(self._log.rows_at(revision), revision=revision)
        return roster

    def judge(self, fingerprint: str, epoch: int) -> Judge | None:
        """The book with the freezes of an epoch beside it; `None` when it is not archived or not to be read."""
        desk = self._desk(epoch)
        archive = desk.archive_of(fingerprint)
        if archive is None:
            return None
        try:
            return self._library.judge(fingerprint, archive, desk.standing_freezes())
        except BookLost:
            return None

    def closings(self, epoch: int) -> Mapping[str, int]:
        """How many cases under each review key were closed by an epoch."""
        return self._desk(epoch).closings

    def until(self, epoch: int, at: datetime) -> datetime | None:
        """When, as was known at an epoch, the next book after an instant was to come into force."""
        book = self._desk(epoch).next_book(at)
        return None if book is None else book.start

    def _desk(self, epoch: int) -> Desk:
        if self._changes is None or (self._changes and self._changes[-1].epoch < epoch):
            self._changes = self._log.changes(DESK_KINDS)
        # Desks of epochs between two changes of the desk are the same one.
        count = sum(1 for change in self._changes if change.epoch <= epoch)
        desk = self._desks.get(count)
        if desk is None:
            desk = self._desks[count] = desk_after(self._changes[:count])
        return desk
