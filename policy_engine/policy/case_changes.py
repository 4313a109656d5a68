"""What became of the worked examples between two books: an example that is dropped no longer holds anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from policy_engine.formats.documents import plain
from policy_engine.policy.cases import Case

_NAMED: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseChanges:
    """The ids of the examples that went, that say something else than before, and that are new; each sorted."""

    removed: tuple[str, ...]
    changed: tuple[str, ...]
    added: tuple[str, ...]

    @property
    def text(self) -> str:
        """The changes in a phrase that names the first few of each."""
        told = (("removed", self.removed), ("changed", self.changed), ("added", self.added))
        phrases = [f"{len(ids):,} {what} ({_first(ids)})" for what, ids in told if ids]
        return ", ".join(phrases) or "none removed, changed or added"


def case_changes(before: Iterable[Case], after: Iterable[Case]) -> CaseChanges:
    """What became of the examples. Where an example stands in its file, and in which, is no change of it."""
    old = {case.id: _content(case) for case in before}
    new = {case.id: _content(case) for case in after}
    return CaseChanges(
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(sorted(name for name in old.keys() & new.keys() if old[name] != new[name])),
        added=tuple(sorted(new.keys() - old.keys())),
    )


def _content(case: Case) -> object:
    catalogue = None if case.catalogue is None else plain(case.catalogue)
    return replace(case, source="", line=0, catalogue=None), catalogue


def _first(ids: tuple[str, ...]) -> str:
    more = len(ids) - _NAMED
    return ", ".join(ids[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
