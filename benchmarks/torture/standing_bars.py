"""Random requests over generated worlds: none is allowed beside a bar that stands."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Final

from benchmarks.torture.report import Outcome, progress
from tests.standing_bars import judge_worlds

SEED: Final = 20_261_130
"""The first world's; each has the next."""
_AT_ONCE: Final = 250


def judge_random_requests(number: int) -> Outcome:
    """So many; fails at the first that is allowed beside a standing bar, or that two evaluators decide differently."""
    begins = range(0, number, _AT_ONCE)
    allows = denies = lifted = 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        slices = pool.map(
            partial(_judge, number),
            begins,
        )
        for done, tally in enumerate(slices, 1):
            allows += tally[0]
            denies += tally[1]
            lifted += tally[2]
            if done % 20 == 0:
                progress(f"{allows + denies} random requests")
    assert allows + denies == number
    assert allows > 0, "nothing was allowed, so nothing was tried"
    return Outcome(
        count=number,
        result=f"{allows:,} allowed, {lifted:,} of them past a bar that was lifted, and {denies:,} denied;"
        f" 0 allowed beside a standing bar by pycasbin, 0 decided otherwise by the reference evaluator (seed {SEED})",
    )


def _judge(number: int, begin: int) -> tuple[int, int, int]:
    tally = judge_worlds(min(_AT_ONCE, number - begin), seed=SEED + begin)
    return tally.answers["allow"], tally.answers["deny"], tally.lifted
