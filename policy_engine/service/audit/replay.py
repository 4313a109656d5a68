"""A recorded decision made again: with what was known then, byte for byte, or with what is known now.

The functions are those that decided it. What they need of the past is what the record names: the members at its
revision, and the book, the freezes and the closed review cases under its control epoch.

Words had other meanings before, and a person's listing was told with its entry, a name. A record does not say by which
edition it was written, so it is made again by each, the latest first, and compared with the nearest one. All of them
follow from the same facts, and a record that any of them writes byte for byte is the one that was written.

Nor did freezes and books count from their commit for a process whose clock ran behind. A record of then is made again
as its own clock had it, where the other way does not come to its bytes.

A shortened record has its request and no facts. It is made again from the facts as the database knew them then, and
shortened again; so its bytes come out again although they hold no fact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

import msgspec

from policy_engine import ENGINE_VERSION
from policy_engine.decision.conclude import NO_BOOK, Basis, conclude
from policy_engine.decision.recording import Written, write
from policy_engine.domain.facts import LATEST, AssertedValueError, Edition
from policy_engine.domain.request import Request
from policy_engine.domain.roster import Roster
from policy_engine.formats.record import encode_facts
from policy_engine.formats.record_reader import RecordedDecision
from policy_engine.policy.judge import Judge
from policy_engine.shapes.document import document_of
from policy_engine.shapes.record import DifferenceDocument, KnownNowDocument, ReplayedDocument


class Past(Protocol):
    """What was known and in force when a decision was made."""

    def roster(self, revision: int) -> Roster:
        """The members at a revision, with everything that was recorded up to it and nothing that came later."""
        ...

    def judge(self, fingerprint: str, epoch: int) -> Judge | None:
        """The judge of a book with the freezes that stood beside it under a control epoch; `None`: not archived."""
        ...

    def closings(self, epoch: int) -> Mapping[str, int]:
        """How many review cases had been closed under a control epoch, by the digest of their key."""
        ...

    def until(self, epoch: int, at: datetime) -> datetime | None:
        """The next instant after `at` at which, as was known under a control epoch, another book comes into force."""
        ...

    def by_instants(self, fingerprint: str, epoch: int, at: datetime) -> tuple[Judge | None, datetime | None] | None:
        """Judge and next book as a clock that ran behind had them; `None` where that makes no difference."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came of deciding again as it was decided.

    `same` is that the very bytes came out again, `None` where nothing could be compared. `shortened` is that the record
    left out its facts, so that only its request and answer are compared. `engine` is the version of the engine that
    decided, and `engine_now` the one that decided again: where these are two and `differences` is empty, the version's
    name is all that differs. `obstacle` says why nothing could be compared; `body` is then `None`.
    """

    decision_id: str
    same: bool | None
    shortened: bool
    engine: str
    engine_now: str
    differences: tuple[DifferenceDocument, ...]
    body: bytes | None
    obstacle: str | None

    def document(self) -> bytes:
        """As canonical JSON, without the bytes."""
        return _encoder.encode(document_of(ReplayedDocument, self))


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownNow:
    """What a decision would have been at its own instant, had everything been known that is known now.

    `allowed_now` is `None` where an `obstacle` kept it from being judged. `differences` are those of the answer and of
    the facts; under which book and revision it was judged again stands beside them.
    """

    decision_id: str
    at: datetime
    policy_version: str
    membership_revision: int
    allowed: bool
    allowed_now: bool | None
    differences: tuple[DifferenceDocument, ...]
    obstacle: str | None

    def document(self) -> bytes:
        """As canonical JSON."""
        return _encoder.encode(document_of(KnownNowDocument, self))


_encoder: Final = msgspec.json.Encoder(order="sorted")

_NO_REQUEST: Final = (
    "the record is shortened and has the digest of its request alone, which was too long or no request at all: it"
    " cannot be decided again from the record, and that says nothing against it"
)


def replay(record: RecordedDecision, body: bytes, past: Past) -> Replayed:
    """Decide again from what was known then, and compare with the bytes that were recorded."""
    request = record.request
    if request is None:
        return _obstructed(record, _NO_REQUEST)
    judge = None
    if record.policy_version != NO_BOOK:
        judge = past.judge(record.policy_version, record.control_epoch)
        if judge is None:
            return _obstructed(
                record, f"the book {record.policy_version} is not archived, or cannot be read by this release"
            )
    basis = Basis(
        judge=judge,
        roster=past.roster(record.membership_revision),
        closings=past.closings(record.control_epoch),
        epoch=record.control_epoch,
        next_book=past.until(record.control_epoch, record.decided_at),
    )

    def passed_over(path: str) -> bool:
        return _of_engine(record, path)

    try:
        made, differences = _nearest(body, _again(record, request, basis), passed_over)
        behind = past.by_instants(record.policy_version, record.control_epoch, record.decided_at)
        if differences and behind is not None:
            basis = replace(basis, judge=behind[0], next_book=behind[1])
            other, fewer = _nearest(body, _again(record, request, basis), passed_over)
            if len(fewer) < len(differences):
                made, differences = other, fewer
    except AssertedValueError as error:
        return _obstructed(record, f"the request is refused now: {error}")
    again = made.record.body
    obstacle = None
    if again != body and not differences and record.engine == ENGINE_VERSION:
        obstacle = "the record says the same in other bytes"
    return Replayed(
        decision_id=record.id,
        same=again == body,
        shortened=record.shortened,
        engine=record.engine,
        engine_now=ENGINE_VERSION,
        differences=differences,
        body=again,
        obstacle=obstacle,
    )


def _of_engine(record: RecordedDecision, path: str) -> bool:
    """Whether a place differs by the engine's version: its name, and so how long a record with it would have been."""
    if path == "$.engine":
        return True
    return record.shortened and record.engine != ENGINE_VERSION and path.endswith(".detail.fault")


def _obstructed(record: RecordedDecision, obstacle: str) -> Replayed:
    return Replayed(
        decision_id=record.id,
        same=None,
        shortened=record.shortened,
        engine=record.engine,
        engine_now=ENGINE_VERSION,
        differences=(),
        body=None,
        obstacle=obstacle,
    )


def replay_now(record: RecordedDecision, body: bytes, roster: Roster, judge: Judge) -> KnownNow:
    """What the decision would be at its own instant with the members as known now, by the judge that is given: of the
    recorded book, or of the one in force.

    Review cases are not compared: which case a hold belongs to is no part of what would have been decided.
    """
    known = KnownNow(
        decision_id=record.id,
        at=record.decided_at,
        policy_version=judge.book.fingerprint,
        membership_revision=roster.revision,
        allowed=record.allowed,
        allowed_now=None,
        differences=(),
        obstacle=None,
    )
    request = record.request
    if request is None:
        return replace(known, obstacle=_NO_REQUEST)
    basis = Basis(judge=judge, roster=roster, closings={}, epoch=record.control_epoch)
    try:
        made, differences = _nearest(body, _again(record, request, basis), _of_version, answers_as_latest=True)
    except AssertedValueError as error:
        return replace(known, obstacle=f"the request is refused now: {error}")
    return replace(known, allowed_now=made.record.allowed, differences=differences)


_OF_VERSION: Final = frozenset({"$.engine", "$.answer.policy_version", "$.answer.membership_revision"})


def _of_version(path: str) -> bool:
    return path in _OF_VERSION or path.endswith(".review")


Again = Callable[[Edition], Written]


def _again(record: RecordedDecision, request: Request, basis: Basis) -> Again:
    """The decision on the basis as each edition makes it. It raises `AssertedValueError`, as the request is refused."""

    def made(edition: Edition) -> Written:
        conclusion = conclude(
            request, record.caller, basis, decision_id=record.id, at=record.decided_at, edition=edition
        )
        # A record that has the digest of its request alone is never made again.
        return write(conclusion, encode_facts(conclusion.parties), digest="")

    return made


def _nearest(
    body: bytes, again: Again, passed_over: Callable[[str], bool], *, answers_as_latest: bool = False
) -> tuple[Written, tuple[DifferenceDocument, ...]]:
    """The decision made again, and what differs, by the edition in which the least does.

    With `answers_as_latest` only by one that allows and holds as the latest does: an older meaning must not hide what
    the facts known now say.
    """

    def compared(edition: Edition) -> tuple[Written, tuple[DifferenceDocument, ...]]:
        made = again(edition)
        return made, tuple(one for one in _differences(body, made.record.body) if not passed_over(one.path))

    nearest = compared(LATEST)
    for edition in sorted(Edition, reverse=True)[1:]:
        if not nearest[1]:
            break
        other = compared(edition)
        if answers_as_latest and _answer(other[0]) != _answer(nearest[0]):
            continue
        if len(other[1]) < len(nearest[1]):
            nearest = other
    return nearest


def _answer(made: Written) -> tuple[bool, bool]:
    return made.record.allowed, made.record.hold


# --- what differs -----------------------------------------------------------------------------------------------------


def _differences(recorded: bytes, now: bytes) -> Iterator[DifferenceDocument]:
    return _compared("$", msgspec.json.decode(recorded), msgspec.json.decode(now))


def _compared(path: str, recorded: object, now: object) -> Iterator[DifferenceDocument]:
    if recorded == now:
        return
    ours, theirs = _members(path, recorded), _members(path, now)
    if ours is None or theirs is None:
        yield DifferenceDocument(path=path, recorded=_text(recorded), now=_text(now))
        return
    for name in dict.fromkeys((*ours, *theirs)):
        if name not in theirs:
            yield DifferenceDocument(path=name, recorded=_text(ours[name]), now=None)
        elif name not in ours:
            yield DifferenceDocument(path=name, recorded=None, now=_text(theirs[name]))
        else:
            yield from _compared(name, ours[name], theirs[name])


def _members(path: str, value: object) -> dict[str, object] | None:
    """The members by their paths; `None` for a value that has none, which is compared as a whole."""
    if isinstance(value, dict):
        return {f"{path}.{name}": one for name, one in value.items()}
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        names = [one.get("rule", index) if path == "$.answer.findings" else index for index, one in enumerate(value)]
        if len(set(names)) == len(names):
            return {f"{path}[{name}]": one for name, one in zip(names, value, strict=True)}
    return None


def _text(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()
