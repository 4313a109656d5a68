"""What was judged before on the same ground, so that the same question costs once between two changes.

An answer depends on the question, the caller, the members, the book with its freezes, and the instant. All but the last
are the ground and the key. Of the instant only this much matters: which dated rows hold then, and how old a reading is.
So an answer stands from the instant at which it was given up to the next edge of any dated row on the ground, or up to
the instant at which something that it read changes, whichever comes first; never before it was given.

A memory hangs from a ground (`Ground.memory`) and passes to the next one where the members alone have changed. Each
answer is kept with the epoch of the ground that it was judged on and with what it read of the members by name. Which
names changed with which epoch is told before the ground of that epoch is shown to anybody: an answer that read one of
them earlier stands no more, also where a thread keeps it later that still judges on the ground of before.

Not remembered is what takes a place on a cap, what the engine could not judge, and a deny that is explained.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from typing import Final

from policy_engine.decision.conclude import Judgement
from policy_engine.domain.catalogue import Entry
from policy_engine.domain.request import Caller, Request
from policy_engine.domain.roster import Read

KEPT_BYTES: Final = 64 * 2**20
"""So much may what is remembered weigh, as measured when it is kept; then it is begun anew."""

MOST_BYTES: Final = KEPT_BYTES // 64
"""An answer that weighs more is not remembered: a few of them would push out everything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What was judged, the facts of its record, encoded, and what it read of the members by name, `None` where it went
    through all of them."""

    judgement: Judgement
    facts: bytes
    reads: frozenset[Read] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    remembered: Remembered
    since: datetime
    until: datetime | None
    epoch: int


MOST_CHANGED: Final = 100_000
"""So many names that changed are known one by one; then whatever was judged before counts as changed."""


class Memory:
    """Answers on a ground and those that follow it. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[object, _Kept] = {}
        self._changed: dict[Read, int] = {}
        self._all_changed = -1
        self.weight = 0
        """Bytes of what is kept."""

    def find(self, request: Request, caller: Caller, at: datetime, *, epoch: int) -> Remembered | None:
        """What was judged of the question, where that still stands on the ground of the epoch."""
        kept = self._kept.get(_key(request, caller))
        if kept is None or at < kept.since or (kept.until is not None and at >= kept.until):
            return None
        return kept.remembered if kept.epoch == epoch or self._stands(kept, epoch) else None

    def _stands(self, kept: _Kept, epoch: int) -> bool:
        """Whether an answer of an earlier epoch read nothing that has changed since."""
        # Bound before the other is looked at, as they are set in the other order: a thread may come in between.
        changed, reads = self._changed, kept.remembered.reads
        if kept.epoch > epoch or reads is None or kept.epoch < self._all_changed:
            return False
        return all(changed.get(read, -1) <= kept.epoch for read in reads)

    def change(self, names: frozenset[Read] | None, *, epoch: int) -> None:
        """Something reads otherwise from an epoch on: these names, or with `None` whatever there is. Told before the
        ground of that epoch is shown."""
        with self._lock:
            if names is None or len(self._changed) + len(names) > MOST_CHANGED:
                self._all_changed = epoch
                self._changed = {}
            else:
                self._changed.update(dict.fromkeys(names, epoch))

    def keep(
        self,
        request: Request,
        caller: Caller,
        at: datetime,
        judged: Remembered,
        *,
        until: datetime | None,
        epoch: int,
    ) -> None:
        """Remember what was judged at an instant on the ground of an epoch, up to the next instant at which the ground
        itself changes."""
        key = _key(request, caller)
        untils = [one for one in (until, judged.judgement.changes_at) if one is not None]
        kept = _Kept(remembered=judged, since=at, until=min(untils, default=None), epoch=epoch)
        weight = weigh(key) + weigh(kept)
        if weight > MOST_BYTES:
            return
        with self._lock:
            if self.weight + weight > KEPT_BYTES:
                self._kept, self.weight = {}, 0
            # What is kept in the place of an older answer is counted beside it: too much is counted, never too little.
            self._kept[key] = kept
            self.weight += weight


def weigh(value: object) -> int:
    """Bytes of a value with everything in it; what the book and the code hold anyway weighs nothing.

    What stands in it twice is counted twice.
    """
    if value is None or isinstance(value, bool | Enum | Entry):
        return 0
    size = sys.getsizeof(value)
    if isinstance(value, str | bytes | int | float | datetime | Decimal):
        return size
    if isinstance(value, tuple | list | frozenset | set):
        return size + sum(map(weigh, value))
    if isinstance(value, Mapping):
        return size + sum(weigh(name) + weigh(one) for name, one in value.items())
    if is_dataclass(value):
        return size + sum(weigh(getattr(value, one.name)) for one in fields(value))
    return size


_asked: Final = attrgetter(*(one.name for one in fields(Request) if one.name not in ("request_id", "min_revision")))
"""All that is asked: under which id, and how fresh the members have to be, changes no answer."""


def _key(request: Request, caller: Caller) -> object:
    return _asked(request), caller.gateway, caller.assertable, caller.explain
