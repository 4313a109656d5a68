"""The lookback: which allows of a period a rule would deny, with the facts that are on file today.

Each allow is judged again at its own instant, with the members as known now and the book under which it was decided, or
the book in force now where that is asked for. What cannot be judged again is told too: nothing is passed over in
silence. Nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final, TypeAlias

from policy_engine.decision.conclude import NO_BOOK, conclude_alone
from policy_engine.domain.changes import BOOK_KINDS
from policy_engine.domain.desk import desk_after
from policy_engine.domain.facts import AssertedValueError
from policy_engine.domain.instants import format_instant
from policy_engine.domain.ports import DeskLog
from policy_engine.domain.roster import Roster
from policy_engine.domain.rules import FAULT_RULE, NO_GRANT_RULE
from policy_engine.domain.verdict import State, Verdict
from policy_engine.formats.identifiers import shown
from policy_engine.formats.record_reader import RecordedDecision, RecordFault, read_record
from policy_engine.formats.request_document import malformed
from policy_engine.policy.judge import Judge
from policy_engine.service.audit.inspect import require_interval
from policy_engine.service.audit.replay import Past

LOOKED_AT_ONCE: Final = 100
"""How many decisions are looked at between two tellings of how far it has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundAllow:
    """An allow that would be denied, the rules that would decide, and their codes; `rule` is among them."""

    decision_id: str
    at: datetime
    subject: str
    model: str
    action: str
    rules: tuple[str, ...]
    codes: tuple[str, ...]

    def document(self) -> dict[str, object]:
        """As JSON."""
        return {**asdict(self), "at": format_instant(self.at)}


@dataclass(frozen=True, slots=True, kw_only=True)
class NotJudged:
    """An allow that could not be judged again, and why."""

    decision_id: str
    at: datetime
    obstacle: str

    def document(self) -> dict[str, object]:
        """As JSON."""
        return {"decision_id": self.decision_id, "at": format_instant(self.at), "obstacle": self.obstacle}


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """How far it has come: decisions of the period so far, allows among them, and the instant of the last one.

    `known` is whether a book that was judged by has the rule. The last of these ends the lookback.
    """

    decisions: int
    allows: int
    at: datetime | None
    known: bool


Told: TypeAlias = FoundAllow | NotJudged | Looked


def lookback(
    log: DeskLog,
    past: Past,
    roster: Roster,
    *,
    rule: str,
    start: datetime,
    end: datetime,
    judge: Judge | None = None,
) -> Iterator[Told]:
    """Look at every allow that was decided from `start` on and before `end`, in the order of the log.

    `roster` is the one known now; `judge` that of the book in force now, where everything is to be judged by it.
    Raises `LogUnavailable`, also in the middle, and before anything else `MalformedRequest` for a period that ends
    before it begins and for a rule that was in no book of this log: the answer would be that nothing was found.
    """
    require_interval(start, end)
    _require_rule(log, past, rule, judge)
    return _looked_back(log, past, roster, rule=rule, start=start, end=end, judge=judge)


def _require_rule(log: DeskLog, past: Past, rule: str, judge: Judge | None) -> None:
    if rule == NO_GRANT_RULE or (judge is not None and _has(judge, rule)):
        return
    if judge is None:
        changes = log.changes(BOOK_KINDS)
        books = dict.fromkeys(book.fingerprint for book in reversed(desk_after(changes).books))
        for book in books:
            by = past.judge(book, changes[-1].epoch)
            # A rule that is looked for may be one of a book that this release cannot read.
            if by is None or _has(by, rule):
                return
        if not books:
            return
    asked = "that were ever in force" if judge is None else "to be judged by"
    told = f"`{shown(rule)}` is in none of the books {asked}; `policy-engine policy show` names the rules"
    raise malformed("rule", told)


def _has(judge: Judge, rule: str) -> bool:
    return any(row.id == rule for row in judge.book.rows)


def _looked_back(
    log: DeskLog,
    past: Past,
    roster: Roster,
    *,
    rule: str,
    start: datetime,
    end: datetime,
    judge: Judge | None,
) -> Iterator[Told]:
    decisions, allows, known, last = 0, 0, rule == NO_GRANT_RULE, None
    for body in log.decisions_since(start):
        try:
            record = read_record(body)
        except RecordFault as fault:
            # Which decision it is, and when, is not known: it may be one of the period.
            yield NotJudged(decision_id="unknown", at=last or start, obstacle=f"the record cannot be read: {fault}")
            continue
        if not start <= record.decided_at < end:
            continue
        decisions, last = decisions + 1, record.decided_at
        if record.allowed:
            allows += 1
            by = judge or _judge_of(past, record)
            known = known or (by is not None and _has(by, rule))
            told = _judged(record, by, roster, rule)
            if told is not None:
                yield told
        if decisions % LOOKED_AT_ONCE == 0:
            yield Looked(decisions=decisions, allows=allows, at=last, known=known)
    yield Looked(decisions=decisions, allows=allows, at=last, known=known)


def _judge_of(past: Past, record: RecordedDecision) -> Judge | None:
    return None if record.policy_version == NO_BOOK else past.judge(record.policy_version, record.control_epoch)


def _judged(record: RecordedDecision, judge: Judge | None, roster: Roster, rule: str) -> FoundAllow | NotJudged | None:
    """What there is to tell of an allow; `None` where the rule would not deny it."""
    request = record.request
    if judge is None or request is None:
        why = "its record is shortened" if request is None else f"the book {record.policy_version} cannot be read"
        return NotJudged(decision_id=record.id, at=record.decided_at, obstacle=why)
    try:
        conclusion = conclude_alone(request, record.caller, judge, roster, record.decided_at)
    except AssertedValueError as error:
        return NotJudged(decision_id=record.id, at=record.decided_at, obstacle=f"it is refused now: {error}")
    if conclusion.error is not None:
        fault = f"the engine fails on it now: {type(conclusion.error).__name__}"
        return NotJudged(decision_id=record.id, at=record.decided_at, obstacle=fault)
    verdict = conclusion.verdict
    if verdict.allowed:
        return None
    if verdict.reason.rule == FAULT_RULE:
        return NotJudged(decision_id=record.id, at=record.decided_at, obstacle="what is on file now contradicts itself")
    return _found(record, verdict, rule, f"{request.subject.type}:{request.subject.id}", request.action.value)


def _found(record: RecordedDecision, verdict: Verdict, rule: str, subject: str, action: str) -> FoundAllow | None:
    deciding = [finding for finding in verdict.findings if finding.state is State.DECIDING]
    if all(finding.rule != rule for finding in deciding):
        return None
    return FoundAllow(
        decision_id=record.id,
        at=record.decided_at,
        subject=subject,
        model=record.model,
        action=action,
        rules=tuple(dict.fromkeys(finding.rule for finding in deciding)),
        codes=tuple(dict.fromkeys(code for finding in deciding for code in finding.codes)),
    )
