"""In which order rows are judged that ask which bars stand.

A row that asks nothing of the kind is in layer 0. A bar that asks whether some regimes bar is judged after every bar of
those regimes, so it is one layer above the highest of them; a grant or a note that asks is judged after all bars. What
lifts is never among those that ask. Where bars of two regimes ask about each other, or a bar about its own regime,
there is no such order, and no book is read that has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from policy_engine.domain.rules import Effect, Row, Term
from policy_engine.domain.words import READS_BARS


class CircleError(ValueError):
    """Bars ask about each other, so that none of them can be judged first."""


def regimes_asked(terms: Iterable[Term]) -> frozenset[str]:
    """The regimes of which some of the terms ask whether they bar."""
    return frozenset(regime for term in terms if term.word in READS_BARS for regime in term.parameter.split(","))


def asked_by(row: Row) -> frozenset[str]:
    """The regimes of which a row asks whether they bar."""
    return regimes_asked(row.terms)


def asking_regimes(rows: Iterable[Row]) -> dict[str, frozenset[str]]:
    """For each regime with bars that ask, the regimes that they ask about."""
    asking: dict[str, frozenset[str]] = {}
    for row in rows:
        if row.effect is Effect.DENY and not row.words.isdisjoint(READS_BARS):
            asking[row.regime] = asking.get(row.regime, frozenset()) | asked_by(row)
    return asking


def reached_from(regime: str, asking: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Every regime that has to be judged before the bars of this one."""
    found: set[str] = set()
    left = [regime]
    while left:
        for one in asking.get(left.pop(), frozenset()) - found:
            found.add(one)
            left.append(one)
    return frozenset(found)


def layers_of(rows: Iterable[Row]) -> dict[str, int]:
    """The layer of each row that asks which bars stand, by id; that of all others is 0. Raises `CircleError`."""
    listed = [row for row in rows if not row.words.isdisjoint(READS_BARS)]
    asking = asking_regimes(listed)
    for regime in sorted(asking):
        if regime in reached_from(regime, asking):
            raise CircleError(f"bars of `{regime}` ask about bars that ask about those of `{regime}`")
    heights: dict[str, int] = {}

    def height(regime: str) -> int:
        if regime not in heights:
            above = [height(one) + 1 for one in asking.get(regime, ())]
            heights[regime] = max(above, default=0)
        return heights[regime]

    bars = {row.id: max(height(one) for one in asked_by(row)) + 1 for row in listed if row.effect is Effect.DENY}
    last = max(bars.values(), default=0) + 1
    return {row.id: bars.get(row.id, last) for row in listed}
