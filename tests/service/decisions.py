"""Decisions with their records, made as the service makes them, and a past to replay them from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from policy_engine.decision.conclude import NO_BOOK, Basis, conclude
from policy_engine.domain.facts import LATEST, Edition
from policy_engine.domain.request import Caller, Request
from policy_engine.domain.roster import Roster, RosterRows
from policy_engine.domain.rules import Book, Row
from policy_engine.formats.membership_file import read_members
from policy_engine.formats.record import encode_answer, encode_facts, encode_record
from policy_engine.formats.request_document import request_of
from policy_engine.policy.judge import Judge
from policy_engine.policy.reader import fingerprint_of
from tests.conftest import POLICIES, judge_for

EPOCH: Final = 7
SHIPPED: Final = judge_for({}, None)
DEMO: Final[RosterRows] = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")
"""The demonstration roster."""


def demo(revision: int = 1, rows: RosterRows = DEMO) -> Roster:
    """The demonstration roster at a revision, or other rows."""
    return Roster.as_known(rows, revision=revision)


def asking(subject: str, model: str, action: str = "infer", **more: object) -> Request:
    """A request of a person, or of `type:id`."""
    kind, _, name = subject.rpartition(":")
    return request_of({"subject": {"type": kind or "person", "id": name}, "model": model, "action": action, **more})


def record_of(
    judge: Judge,
    roster: Roster,
    request: Request,
    at: datetime,
    *,
    caller: Caller | None = None,
    name: str = "01TEST",
    epoch: int = EPOCH,
    closings: Mapping[str, int] | None = None,
    next_book: datetime | None = None,
    edition: Edition = LATEST,
) -> bytes:
    """The body of the record of a request that is decided now; by an `edition` as it was written once."""
    asked_by = caller or Caller(id="key", gateway="main")
    basis = Basis(judge=judge, roster=roster, closings=closings or {}, epoch=epoch, next_book=next_book)
    told = conclude(request, asked_by, basis, decision_id=name, at=at, edition=edition)
    return encode_record(told.decision, encode_facts(told.parties), encode_answer(told.decision))


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A past: rosters by revision, judges by fingerprint, closed review cases by epoch."""

    rosters: Mapping[int, Roster]
    judges: Mapping[str, Judge] = field(default_factory=lambda: {SHIPPED.book.fingerprint: SHIPPED})
    closed: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    next_book: datetime | None = None

    def roster(self, revision: int) -> Roster:
        return self.rosters[revision]

    def judge(self, fingerprint: str, epoch: int) -> Judge | None:
        assert fingerprint != NO_BOOK
        return self.judges.get(fingerprint) if epoch == EPOCH else None

    def closings(self, epoch: int) -> Mapping[str, int]:
        return self.closed.get(epoch, {})

    def until(self, epoch: int, at: datetime) -> datetime | None:
        return self.next_book if self.next_book is not None and self.next_book > at and epoch == EPOCH else None

    def by_instants(self, _fingerprint: str, _epoch: int, _at: datetime) -> tuple[Judge | None, datetime | None] | None:
        return None


def with_row(book: Book, row: Row) -> Book:
    """The book with one more row, or with another of the same id."""
    rows = (*(one for one in book.rows if one.id != row.id), row)
    return replace(book, rows=rows, fingerprint=fingerprint_of(rows, book.tables, book.settings, book.matcher))
