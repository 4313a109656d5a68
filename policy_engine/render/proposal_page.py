"""The report of a proposal as one self-contained page."""

from __future__ import annotations

from typing import Final

from policy_engine.render.analysis_pages import DIFFERENCE_WORDS
from policy_engine.render.pages import page
from policy_engine.render.proposal_text import answers_by_kind, heading
from policy_engine.service.administration.impact import ImpactOutcome
from policy_engine.service.administration.proposal_report import (
    ProposalReport,
    by_holder,
    decided_by,
    decisions_in_short,
    standing_in_short,
)
from policy_engine.shapes.reports import ImpactDocument

_OUTCOMES: Final = {
    ImpactOutcome.LOST: "allow to deny",
    ImpactOutcome.GAINED: "deny to allow",
    ImpactOutcome.UNDETERMINED: "undetermined",
    ImpactOutcome.HOLD_CHANGED: "hold changes",
    ImpactOutcome.REASON_CHANGED: "other reason",
}


def proposal_page(report: ProposalReport) -> str:
    """The report as a page."""
    return page(
        "proposal.html",
        title="What this proposal changes",
        report=report,
        heading=heading(report),
        answers=answers_by_kind(report),
        outcomes=_OUTCOMES,
        examples=_examples(report.impact),
        changed_of=lambda shares: [one for one in shares if any(map(one.outcomes.get, _OUTCOMES))],
        by_holder=by_holder,
        decided_by=decided_by,
        decisions_in_short=decisions_in_short,
        standing_in_short=standing_in_short,
        **DIFFERENCE_WORDS,
    )


def _examples(impact: ImpactDocument | None) -> dict[ImpactOutcome, tuple[str, ...]]:
    held = (impact and impact.examples) or {}
    return {outcome: held[outcome] for outcome in _OUTCOMES if held.get(outcome)}
