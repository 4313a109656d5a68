"""How many decisions a process made, and how long they took: what is counted costs a decision no lock.

Every thread counts in cells of its own, which nobody else writes; whoever asks adds them up. What a decision was about
is counted under closed words alone: no person, no model and no fact.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import msgspec

from policy_engine.domain.rules import PublicCode

BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds in seconds of the times that are counted together."""

MOST_GATEWAYS: Final = 100
"""So many gateways are counted by name; every further one is counted as `OTHER`."""

OTHER: Final = "other"
NO_GATEWAY: Final = "none"
NO_ACTION: Final = "none"
"""The action of what was no question."""

_CODES: Final = frozenset(PublicCode)


class _Reason(msgspec.Struct):
    public_code: str = ""


class _Answer(msgspec.Struct):
    allowed: bool = False
    reason: _Reason = msgspec.field(default_factory=_Reason)


_decoder: Final = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True, slots=True)
class Counted:
    """What decisions have in common that are counted together."""

    allowed: bool
    code: str
    action: str
    gateway: str


@dataclass(slots=True)
class _Cells:
    decisions: Counter[Counted] = field(default_factory=Counter)
    times: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How many decisions took up to each of `BUCKETS` and longer, and how long all of them took."""

    counts: tuple[int, ...]
    seconds: float


class Tally:
    """The counts of one process."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._lock = threading.Lock()
        self._all: list[_Cells] = []
        self._gateways: set[str] = set()

    def count(self, answer: bytes, action: str, gateway: str | None) -> None:
        """Count an answer that is about to leave."""
        told = _decoder.decode(answer)
        code = told.reason.public_code
        counted = Counted(told.allowed, code if code in _CODES else OTHER, action, self._named(gateway))
        self._cells().decisions[counted] += 1

    def time(self, seconds: float) -> None:
        """Count how long a decision took, from the question to the durable answer."""
        cells = self._cells()
        cells.times[bisect_left(BUCKETS, seconds)] += 1
        cells.seconds += seconds

    def decisions(self) -> dict[Counted, int]:
        """How many were made of each kind."""
        total: Counter[Counted] = Counter()
        for cells in self._held():
            # A copy of the names, in one step: a thread may be adding one.
            for counted in tuple(cells.decisions):
                total[counted] += cells.decisions[counted]
        return total

    def times(self) -> Times:
        """How long they took."""
        held = self._held()
        counts = tuple(map(sum, zip(*(tuple(cells.times) for cells in held), strict=True))) if held else ()
        return Times(counts=counts or (0,) * (len(BUCKETS) + 1), seconds=sum(cells.seconds for cells in held))

    def _held(self) -> tuple[_Cells, ...]:
        with self._lock:
            return tuple(self._all)

    def _cells(self) -> _Cells:
        cells: _Cells | None = getattr(self._own, "cells", None)
        if cells is None:
            cells = self._own.cells = _Cells()
            with self._lock:
                self._all.append(cells)
        return cells

    def _named(self, gateway: str | None) -> str:
        if gateway is None:
            return NO_GATEWAY
        if gateway in self._gateways:
            return gateway
        with self._lock:
            if len(self._gateways) >= MOST_GATEWAYS:
                return OTHER
            self._gateways.add(gateway)
        return gateway
