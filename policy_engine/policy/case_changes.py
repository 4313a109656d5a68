"""What became of the worked examples between two books: an example that is dropped no longer holds anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from policy_engine.formats.documents import plain
from policy_engine.policy.cases import Case

CASES_REPORT: Final = "cases"
"""The name of the report about worked examples that is kept with a proposal."""

_NAMED: Final = 5
_encoder: Final = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseChanges:
    """The ids of the examples that went, that say something else than before, and that are new; each sorted.

    `compared` is false where nobody can say, since the examples of before could not be read.
    """

    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    compared: bool = True

    @property
    def text(self) -> str:
        """The changes in a phrase that names the first few of each."""
        told = _phrases(removed=self.removed, changed=self.changed, added=self.added)
        return told or "none removed, changed or added"

    @property
    def lost(self) -> str:
        """What may no longer hold as before, in a clause; empty where every example stays."""
        if not self.compared:
            return "the worked examples could not be compared with those of the book before"
        told = _phrases(removed=self.removed, changed=self.changed)
        return f"worked examples no longer check what they did: {told}" if told else ""


class _Kept(msgspec.Struct):
    removed: tuple[str, ...] | None = None
    changed: tuple[str, ...] | None = None


def cases_report(cases: Iterable[Case], changes: CaseChanges | None) -> bytes:
    """The report about examples that all hold, as it is kept; without `changes` they were compared with none."""
    content: dict[str, object] = {"held": [case.id for case in cases], "failed": []}
    if changes is not None:
        content |= {"removed": changes.removed, "changed": changes.changed, "added": changes.added}
    return _encoder.encode(content)


def kept_changes(report: bytes, *, follows: bool) -> CaseChanges:
    """What a kept report says of the examples that went or changed; `follows` says whether the book follows another, so
    that there was what to compare.

    A report that does not tell, since the examples of before could not be read, is no report that all is well.
    """
    kept = msgspec.json.decode(report, type=_Kept)
    if kept.removed is None or kept.changed is None:
        return CaseChanges(compared=not follows)
    return CaseChanges(removed=kept.removed, changed=kept.changed)


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


def _phrases(**told: tuple[str, ...]) -> str:
    return ", ".join(f"{len(ids):,} {what} ({_first(ids)})" for what, ids in told.items() if ids)


def _first(ids: tuple[str, ...]) -> str:
    more = len(ids) - _NAMED
    return ", ".join(ids[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
