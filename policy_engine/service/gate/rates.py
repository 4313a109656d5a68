"""How many requests a caller may make: a bucket for each, which fills again as time passes.

A caller that has asked too often is not answered. It is no denial: nothing was judged, and nothing is recorded.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from policy_engine.domain.gateways import Rate

MOST_CALLERS: Final = 10_000
"""So many buckets are kept; then the one that was not used for longest goes, and its caller begins anew."""


class TooMany(Exception):
    """More was asked than this caller may; `seconds`, from 1, after which it may ask again."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"this caller may ask again in {seconds} s; nothing was judged and nothing is allowed")


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Limiter:
    """The buckets of all callers. Threads may share it."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """`monotonic` gives seconds."""
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, caller: str, rate: Rate) -> None:
        """Count one request. Raises `TooMany`."""
        now = self._monotonic()
        with self._lock:
            bucket = self._buckets.get(caller)
            if bucket is None:
                bucket = self._buckets[caller] = _Bucket(float(rate.burst), now)
            self._buckets.move_to_end(caller)
            while len(self._buckets) > MOST_CALLERS:
                self._buckets.popitem(last=False)
            bucket.left = min(float(rate.burst), bucket.left + (now - bucket.at) * rate.per_second)
            bucket.at = now
            if bucket.left < 1.0:
                raise TooMany(max(1, math.ceil((1.0 - bucket.left) / rate.per_second)))
            bucket.left -= 1.0

    def __len__(self) -> int:
        return len(self._buckets)
