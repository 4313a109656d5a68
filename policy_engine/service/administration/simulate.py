"""A decision that is none: judged under any archived or proposed book, at any instant, with facts that may be made up.

It is marked as simulated and never recorded; it takes no place of a cap and opens no review.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final

import msgspec

from policy_engine.decision.conclude import Basis, conclude
from policy_engine.domain.instants import format_instant
from policy_engine.domain.request import Caller
from policy_engine.domain.roster import Roster, RosterRows, with_rows
from policy_engine.formats.record import encode_answer
from policy_engine.formats.request_document import request_of
from policy_engine.policy.judge import Judge
from policy_engine.policy.library import frozen
from policy_engine.service.administration.desk import Administration
from policy_engine.service.administration.desk_faults import NothingThere
from policy_engine.service.administration.publish import Publisher

SIMULATED_ID: Final = "simulated"
NO_ROWS: Final = RosterRows()
_encoder: Final = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Supposed:
    """What is supposed: the instant, what was known when, the book (by fingerprint or proposal), rows added to the
    roster, and whether the freezes that stand count."""

    at: datetime
    known_at: datetime | None = None
    book: str | None = None
    members: RosterRows = NO_ROWS
    freezes: bool = True


def simulate(
    desk: Administration, publisher: Publisher, document: Mapping[str, object], caller: Caller, supposed: Supposed
) -> bytes:
    """The full answer under what is supposed, with a member `simulated` that says so.

    Raises `MalformedRequest`, `AssertedValueError`, `NothingThere` for a book that is not archived, `BookLost` and
    `MembersUnavailable`.
    """
    request = request_of(document)
    judge = judge_supposed(desk, publisher, supposed)
    ground = desk.view.current()
    # What is supposed counts as known last, whatever the file says under the same key.
    made_up = recorded(supposed.members, supposed.known_at or desk.clock())
    rows = with_rows(made_up, desk.log.rows_at(ground.roster.revision))
    roster = Roster.as_known(rows, supposed.known_at, ground.roster.revision)
    basis = Basis(judge=judge, roster=roster, epoch=ground.epoch)
    decision = conclude(request, caller, basis, decision_id=SIMULATED_ID, at=supposed.at).decision
    told = msgspec.json.decode(encode_answer(decision))
    told["simulated"] = {
        "at": format_instant(supposed.at),
        "known_at": None if supposed.known_at is None else format_instant(supposed.known_at),
        "book": decision.policy_version,
        "hypothetical_facts": supposed.members != NO_ROWS,
        "freezes": supposed.freezes,
        "recorded": False,
    }
    return _encoder.encode(told)


def judge_supposed(desk: Administration, publisher: Publisher, supposed: Supposed) -> Judge | None:
    """The judge of the book that is supposed: of a fingerprint or proposal, or the one in force at the instant."""
    ground = desk.view.refresh()
    freezes = ground.desk.standing_freezes() if supposed.freezes else ()
    if supposed.book is None:
        now = ground.judge_at(supposed.at)
        book = ground.desk.book_at(supposed.at)
        if book is None:
            # Before the first book was founded that book is the best that is known.
            book = ground.desk.books[0] if ground.desk.books else None
        if book is None:
            return now
        return publisher.library.judge(book.fingerprint, book.archive, freezes)
    proposal = ground.desk.proposals.get(supposed.book)
    fingerprint = supposed.book if proposal is None else proposal.content.fingerprint
    archive = ground.desk.archive_of(fingerprint)
    if archive is None:
        raise NothingThere(f"no book `{supposed.book}` was ever archived")
    return frozen(publisher.library.judge(fingerprint, archive), freezes)


def recorded(rows: RosterRows, at: datetime) -> RosterRows:
    """The rows as if they were recorded at the instant; those that say when they were keep that."""
    dated: dict[str, Any] = {
        column.name: tuple(
            row if row.recorded_at is not None else replace(row, recorded_at=at) for row in getattr(rows, column.name)
        )
        for column in fields(rows)
    }
    return RosterRows(**dated)
