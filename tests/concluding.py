"""Decisions of which nothing is recorded, on what a test has at hand."""

from __future__ import annotations

from datetime import datetime

from policy_engine.decision.conclude import Basis, Conclusion, conclude
from policy_engine.domain.decision import Decision
from policy_engine.domain.facts import LATEST, Edition
from policy_engine.domain.request import Caller, Request
from policy_engine.domain.roster import Roster
from policy_engine.policy.judge import Judge


def concluded(
    judge: Judge, roster: Roster, request: Request, caller: Caller, at: datetime, *, edition: Edition = LATEST
) -> Conclusion:
    """The conclusion by a judge and a roster. What goes wrong in the engine is raised: here it is no deny."""
    basis = Basis(judge=judge, roster=roster)
    conclusion = conclude(request, caller, basis, decision_id="one", at=at, edition=edition)
    if conclusion.error is not None:
        raise conclusion.error
    return conclusion


def decided(
    judge: Judge, roster: Roster, request: Request, caller: Caller, at: datetime, *, edition: Edition = LATEST
) -> Decision:
    """The decision alone."""
    return concluded(judge, roster, request, caller, at, edition=edition).decision
