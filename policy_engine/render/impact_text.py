"""What another book would change, as text for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from policy_engine.render.words import together
from policy_engine.service.administration.impact import NO_ORGANISATION, ImpactOutcome, changed
from policy_engine.shapes.reports import AsideDocument, ImpactDocument, ShareDocument

_LABELS: Final = {
    ImpactOutcome.UNDETERMINED: "undetermined: denied for want of a fact",
    ImpactOutcome.LOST: "allow becomes deny",
    ImpactOutcome.GAINED: "deny becomes allow",
    ImpactOutcome.HOLD_CHANGED: "hold changes",
    ImpactOutcome.REASON_CHANGED: "reason changes",
    ImpactOutcome.UNCHANGED: "unchanged",
}


def impact_text(impact: ImpactDocument, rows: int = 20) -> str:
    """For people: the counts, and of each list at most so many rows; the document has them all."""
    standing = impact.standing_access
    lines = [
        f"old book   {impact.old}",
        f"new book   {impact.new}",
        f"judged at  {impact.effective} or the decision's own instant where that is later",
        "",
        f"Recorded decisions: {impact.decisions}",
        *_outcome_lines(impact.outcomes, impact.examples or {}),
        *_aside("not judged: the request cannot be judged", impact.not_judged),
        *_aside("drift: the old book has another answer now", impact.drift),
        *_share_lines(impact.shares, rows),
        "",
        f"Standing access: {standing.judged} asked, of everybody on file for every model",
        *_outcome_lines(standing.outcomes, {}),
    ]
    for title, held in (
        ("lose", standing.lost),
        ("gain", standing.gained),
        ("undetermined", standing.undetermined),
    ):
        ones = held or ()
        lines += [
            f"  {title}: {one.subject} ({one.organisation or NO_ORGANISATION}) {one.model}" for one in ones[:rows]
        ]
        if len(ones) > rows:
            lines.append(f"  {title}: {len(ones) - rows} more")
    lines += _share_lines(standing.shares, rows)
    return together(lines)


def _outcome_lines(counts: Mapping[str, int], examples: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    for outcome, label in _LABELS.items():
        told = "" if outcome is ImpactOutcome.UNCHANGED else "  " + " ".join(examples.get(outcome, ()))
        yield f"  {label:<42} {counts[outcome]:>9}{told}".rstrip()


def _aside(label: str, aside: AsideDocument) -> Iterator[str]:
    if aside.count:
        yield f"  {label:<42} {aside.count:>9}  {' '.join(aside.examples or ())}".rstrip()


def _share_lines(shares: tuple[ShareDocument, ...], rows: int) -> Iterator[str]:
    by_dimension: defaultdict[str, list[ShareDocument]] = defaultdict(list)
    for share in shares:
        if changed(share):
            by_dimension[share.dimension].append(share)
    for dimension, ones in by_dimension.items():
        yield f"  by {dimension.replace('_', ' ')}"
        for share in ones[:rows]:
            told = ", ".join(
                f"{_LABELS[outcome].partition(':')[0]} {share.outcomes[outcome]}"
                for outcome in ImpactOutcome
                if outcome is not ImpactOutcome.UNCHANGED and share.outcomes[outcome]
            )
            yield f"    {share.value:<40} {told}"
        if len(ones) > rows:
            yield f"    {len(ones) - rows} more"
