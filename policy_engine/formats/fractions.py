"""Shares written as fractions of one where percent is asked: 0.51 and 0.49 in place of 51 and 49."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import Final

from policy_engine.domain.roster import Stake

_FIRST: Final = datetime.min.replace(tzinfo=UTC)


def in_percent(fraction: Decimal) -> str:
    """A fraction of one as percent, with every digit that it has: 0.510 is 51."""
    # The arithmetic of decimals would round to the digits of its context.
    sign, digits, exponent = fraction.as_tuple()
    text = format(Decimal((sign, digits, int(exponent) + 2)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def together(stakes: Iterable[Stake]) -> Decimal:
    """What the shares add up to; of a range its greatest, and an unknown share counts for nothing."""
    return sum((_share(stake) for stake in stakes), Decimal(0))


def at_one_time(stakes: Collection[Stake], asked: Collection[Stake]) -> tuple[Stake, ...]:
    """The shares in one company that hold at the first instant at which two or more come to at most 1, not to nothing,
    and one of them is among those `asked` about. One pass over begins and ends."""
    rows = tuple(stakes)
    sought = set(asked)
    wanted = {number for number, stake in enumerate(rows) if stake in sought}
    turns = [(stake.valid.start or _FIRST, True, number) for number, stake in enumerate(rows)]
    turns += [(stake.valid.end, False, number) for number, stake in enumerate(rows) if stake.valid.end]
    held: set[int] = set()
    total, counted = Decimal(0), 0
    for _, of_instant in groupby(sorted(turns), key=lambda turn: turn[0]):
        for _, begins, number in of_instant:
            total += _share(rows[number]) if begins else -_share(rows[number])
            counted += (number in wanted) * (1 if begins else -1)
            (held.add if begins else held.discard)(number)
        if len(held) > 1 and counted and 0 < total <= 1:
            return tuple(rows[number] for number in sorted(held))
    return ()


def _share(stake: Stake) -> Decimal:
    return stake.percent or stake.maximum or Decimal(0)
