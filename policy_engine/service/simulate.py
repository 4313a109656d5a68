"""Judge a request at another instant, or with what was known at another; marked as such and never recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from policy_engine.domain.decision import Decision
from policy_engine.domain.ports import Members
from policy_engine.domain.request import Caller
from policy_engine.domain.roster import Roster
from policy_engine.domain.rules import NO_BOOK_RULE
from policy_engine.domain.verdict import denied_by_engine
from policy_engine.formats.record import encode_answer
from policy_engine.formats.request_document import request_of
from policy_engine.policy.answer import answer
from policy_engine.policy.shelf import Shelf

SIMULATED_ID: Final = "simulated"


def simulate(
    shelf: Shelf, members: Members, document: Mapping[str, object], caller: Caller, *, at: datetime, known_at: datetime
) -> bytes:
    """The full answer that the book in force gives at `at` with the members as known at `known_at`.

    Raises `MalformedRequest`, `AssertedValueError` and `MembersUnavailable`.
    """
    request = request_of(document)
    snapshot = members.snapshot()
    roster = Roster.as_known(snapshot.rows, known_at, snapshot.revision)
    judge = shelf.current()
    decision = Decision(
        id=SIMULATED_ID,
        decided_at=at,
        valid_until=at,
        request=request,
        caller=caller,
        entry=None,
        verdict=denied_by_engine(NO_BOOK_RULE),
        alternatives=(),
        ignored_properties=(),
        policy_version="none",
        membership_revision=roster.revision,
        control_epoch=snapshot.epoch,
    )
    if judge is not None:
        answered = answer(judge, roster, request, caller, at)
        decision = replace(
            decision,
            valid_until=answered.valid_until,
            entry=answered.question.entry,
            verdict=answered.verdict,
            alternatives=answered.alternatives,
            remedies=answered.remedies,
            ignored_properties=answered.question.ignored,
            policy_version=judge.book.fingerprint,
        )
    return encode_answer(decision)
