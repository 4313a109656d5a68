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
        return self._judge(fingerprint, self._desk(epoch), by_instants=False)

    def judge_of_any_time(self, fingerprint: str, epoch: int) -> Judge | None:
        """As `judge`, with each freeze from its beginning on: for decisions that were made before some of them."""
        return self._judge(fingerprint, self._desk(epoch), by_instants=True)

    def by_instants(self, fingerprint: str, epoch: int, at: datetime) -> tuple[Judge | None, datetime | None] | None:
        """The judge and the next book of a decision whose clock ran behind a freeze or a book that it had read of, as
        they were before these counted from their commit; `None` for a decision of which that makes no difference."""
        desk = self._desk(epoch)
        ahead = [one.start for one in desk.standing_freezes() if one.start > at]
        if not ahead and desk.moment(at) == at:
            return None
        book = desk.next_book(at)
        return self._judge(fingerprint, desk, by_instants=True), None if book is None else book.start

    def _judge(self, fingerprint: str, desk: Desk, *, by_instants: bool) -> Judge | None:
        archive = desk.archive_of(fingerprint)
        if archive is None:
            return None
        freezes = desk.standing_freezes() if by_instants else desk.freezes_in_force()
        try:
            return self._library.judge(fingerprint, archive, freezes)
        except BookLost:
            return None

    def closings(self, epoch: int) -> Mapping[str, int]:
        """How many cases under each review key were closed by an epoch."""
        return self._desk(epoch).closings

    def until(self, epoch: int, at: datetime) -> datetime | None:
        """When, as was known at an epoch, the next book after an instant was to come into force."""
        desk = self._desk(epoch)
        book = desk.next_book(desk.moment(at))
        return None if book is None else book.start

    def _desk(self, epoch: int) -> Desk:
        if self._changes is None or (self._changes and self._changes[-1].epoch < epoch):
            self._changes = self._log.changes(DESK_KINDS)
        # Desks of epochs between two changes by people are the same one.
        count = sum(1 for change in self._changes if change.epoch <= epoch)
        desk = self._desks.get(count)
        if desk is None:
            desk = self._desks[count] = desk_after(self._changes[:count])
        return desk
