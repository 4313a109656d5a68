"""Findings and verdicts: how matching rows combine into allow or deny, and which reason is decisive.

Allow if and only if an enforced grant matches for every party and no enforced bar matches unlifted for any. Every
matching row is a finding. For a deny all unlifted bars decide and matching grants are notes; for an allow all matching
grants decide. With neither bar nor grant the only finding that decides is `ENGINE-NO-GRANT`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from policy_engine.domain.logic import Detail
from policy_engine.domain.rules import (
    FAULT_RULE,
    NO_BOOK_RULE,
    NO_GRANT_RULE,
    REGIMES,
    Effect,
    Obligation,
    PublicCode,
)


class State(StrEnum):
    """What a matching row did to the answer."""

    DECIDING = "deciding"
    LIFTED = "lifted"
    ADVISORY = "advisory"
    SUSPENDED = "suspended"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row that matched, in the words of its file."""

    rule: str
    regime: str
    effect: Effect
    state: State
    hold: bool
    codes: tuple[str, ...]
    citation: str
    message: str
    detail: Detail = ()
    lifted_by: str | None = None
    review: str | None = None
    public_code: PublicCode = PublicCode.ALLOWED
    public_message: str = ""
    obligations: tuple[Obligation, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedObligation:
    """An obligation with the rule that it comes from."""

    id: str
    rule: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CapDraw:
    """A place of a capped authorisation that this answer takes for a person.

    An allow takes a place when without it another answer would have been reached: a bar would stand that was lifted or
    did not match, or a grant would not count. That holds for any party and for any word that reads authorisations.
    """

    authorisation: str
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer to a question by the rules alone.

    `findings` are in the order of regime, then rule id. `missing` names by path the facts that a deciding row read and
    nobody knew; it is empty on an allow. `draws` are the places that an allow takes.
    """

    allowed: bool
    hold: bool
    reason: Finding
    reason_code: str
    findings: tuple[Finding, ...]
    missing: tuple[str, ...]
    obligations: tuple[AppliedObligation, ...]
    draws: tuple[CapDraw, ...] = ()

    @property
    def deciding(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.state is State.DECIDING)


_ENGINE_TEXTS: Final = {
    NO_GRANT_RULE: (
        "ACTION_NOT_PERMITTED",
        "No rule in force grants this action on this model to this requester, and none bars it.",
        PublicCode.NOT_AVAILABLE_MODEL,
        "This model is not available to you for this use.",
    ),
    FAULT_RULE: (
        "ENGINE_FAULT",
        "The engine could not judge this request; an operator has to look at the fault named in the detail.",
        PublicCode.UNDER_REVIEW,
        "Your request could not be decided and is being looked at.",
    ),
    NO_BOOK_RULE: (
        "NO_RULE",
        "No rule book is in force, so nothing can be granted.",
        PublicCode.NOT_AVAILABLE_MODEL,
        "This model is not available to you for this use.",
    ),
}


def engine_finding(rule: str, detail: Detail = ()) -> Finding:
    """A deny of the engine itself: no grant, a fault, or no book."""
    code, message, public_code, public_message = _ENGINE_TEXTS[rule]
    return Finding(
        rule=rule,
        regime="engine",
        effect=Effect.DENY,
        state=State.DECIDING,
        hold=False,
        codes=(code,),
        citation="operator notice",
        message=message,
        detail=detail,
        public_code=public_code,
        public_message=public_message,
    )


def denied_by_engine(rule: str, detail: Detail = ()) -> Verdict:
    """A verdict with an engine finding alone."""
    return combine((), (), (), engine=engine_finding(rule, detail))


def denied_as_invalid(fault: str) -> Verdict:
    """The deny of what is no request, in an answer that others share: with its fault for every caller, and no word of a
    review, since nobody looks into what the caller has to mend."""
    told = replace(
        engine_finding(FAULT_RULE, (("fault", fault),)),
        message=f"This is no request that can be judged: {fault}",
        public_code=PublicCode.INVALID_REQUEST,
        public_message=f"This is no request that can be decided: {fault}",
    )
    return combine((), (), (), engine=told)


def combine(
    bars: Sequence[Finding],
    grants: Sequence[Finding],
    others: Sequence[Finding],
    *,
    missing: Iterable[str] = (),
    lifters: frozenset[str] = frozenset(),
    engine: Finding | None = None,
) -> Verdict:
    """The verdict from unlifted enforced bars, matching enforced grants, and every other finding.

    `missing` adds to what the deciding bars miss; `lifters` are the note rows that lifted a bar, whose obligations
    count; `engine` stands for a bar of the engine's own.
    """
    deciding = list(bars)
    if engine is not None:
        deciding.append(engine)
    if deciding or not grants:
        if not deciding:
            deciding.append(engine_finding(NO_GRANT_RULE))
        remaining = [*(replace(grant, state=State.NOTE) for grant in grants), *others]
        allowed = False
    else:
        deciding, remaining, allowed = list(grants), list(others), True
    findings = tuple(sorted((*deciding, *remaining), key=_order))
    reason = min(deciding, key=_order)
    facts: set[str] = set()
    if not allowed:
        facts.update(missing)
        for finding in deciding:
            facts.update(finding.missing)
    obliging = [finding for finding in findings if finding.state is State.DECIDING or finding.rule in lifters]
    return Verdict(
        allowed=allowed,
        hold=any(finding.hold for finding in deciding),
        reason=reason,
        reason_code=min(reason.codes),
        findings=findings,
        missing=tuple(sorted(facts)),
        obligations=tuple(
            AppliedObligation(id=obligation.id, rule=finding.rule, message=obligation.message)
            for finding in obliging
            for obligation in finding.obligations
            if not obligation.codes or not set(obligation.codes).isdisjoint(finding.codes)
        ),
    )


def _order(finding: Finding) -> tuple[int, str]:
    return REGIMES.index(finding.regime), finding.rule
