"""The chance with which generated worlds and books are drawn."""

from __future__ import annotations

from random import Random
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st


class Seeded(Random):
    """A source of chance that tells its seed, so that what a test found with it is found again."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._seed = seed

    def __repr__(self) -> str:
        return f"Seeded({self._seed})"


def _randoms() -> st.SearchStrategy[Random]:
    if settings.get_current_profile_name() == "search":
        return st.randoms(use_true_random=False)
    return st.integers(0, 2**64 - 1).map(Seeded)


RANDOMS: Final = _randoms()
"""A seed for each example: that hypothesis draws every choice of a world takes a third of a test's time. Under
`HYPOTHESIS_PROFILE=search` it does, so that what is found there is made small."""
