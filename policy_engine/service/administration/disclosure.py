"""What the report of a book's impact tells of people, and to whom.

Whoever proposes a book chooses its conditions, so a count of who is met by them is an answer about people on file: a
rule for one citizenship, or for one organisation, would list or count those who have it. Names (ids of decisions and
subjects, organisations, countries of people) and exact counts are for keys that may read the members, and each look at
them is on record before it is shown. For others the report has totals by model and rule, every one rounded down to a
multiple of `STEP`, so that nobody and a few are told alike. Many proposals of slightly different rules still tell more
than one does: each of them is on record too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from policy_engine.domain.changes import BookProposed, Event, Report
from policy_engine.shapes.reports import AsideDocument, ImpactDocument, ShareDocument, StandingAccessDocument

NAMES: Final = "members:read"
"""The right to see whom a report is about."""

IMPACT: Final = "impact"
"""The name of the report that is about people."""

STEP: Final = 5

ROUNDED: Final = f"counts rounded down to multiples of {STEP}"
"""What the summary of such a report begins with; one that does not is of an earlier release, and exact."""

_TOLD: Final = frozenset({"model", "rule"})


_decoder: Final = msgspec.json.Decoder(ImpactDocument)
_encoder: Final = msgspec.json.Encoder(order="sorted")


def counts_alone(report: bytes) -> bytes:
    """The report of an impact, as JSON, without names and with rounded counts; `rounded_down_to` says the step."""
    whole = _decoder.decode(report)
    standing = whole.standing_access
    return _encoder.encode(
        ImpactDocument(
            old=whole.old,
            new=whole.new,
            effective=whole.effective,
            membership_revision=whole.membership_revision,
            decisions=rounded(whole.decisions),
            outcomes=_all_rounded(whole.outcomes),
            not_judged=AsideDocument(count=rounded(whole.not_judged.count)),
            drift=AsideDocument(count=rounded(whole.drift.count)),
            shares=_shares(whole.shares),
            standing_access=StandingAccessDocument(
                judged=rounded(standing.judged),
                outcomes=_all_rounded(standing.outcomes),
                shares=_shares(standing.shares),
            ),
            rounded_down_to=STEP,
            names=f"need the right {NAMES}",
        )
    )


def summary_shown(report: Report, *, names: bool) -> str:
    """The outcome of a report in a sentence. That of an impact which an earlier release recorded has exact counts, for
    those alone who may see names."""
    if names or not _has_exact_counts(report):
        return report.summary
    return f"rounded counts are in the report; exact ones and names need the right {NAMES}"


def tells_exact_counts(event: Event) -> bool:
    """Whether the event has, in the summary of a report, counts of people that are not rounded, as an earlier release
    recorded them."""
    return isinstance(event, BookProposed) and any(_has_exact_counts(report) for report in event.reports)


def _has_exact_counts(report: Report) -> bool:
    return report.name == IMPACT and not report.summary.startswith(ROUNDED)


def _shares(shares: Iterable[ShareDocument]) -> tuple[ShareDocument, ...]:
    """Those parts that are no people, as far as anything is left of them."""
    told = (
        ShareDocument(dimension=one.dimension, value=one.value, outcomes=_all_rounded(one.outcomes))
        for one in shares
        if one.dimension in _TOLD
    )
    return tuple(one for one in told if any(one.outcomes.values()))


def _all_rounded(counts: dict[str, int]) -> dict[str, int]:
    return {name: rounded(count) for name, count in counts.items()}


def rounded(count: int) -> int:
    """The count, rounded down to a multiple of `STEP`."""
    return count - count % STEP
