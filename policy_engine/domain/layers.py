"""A mapping from which others are made that differ in a few places, at the cost of these places.

A roster of a million people must not be copied because one of them changed, and whoever decides on the roster of before
must go on seeing that. So a change makes another mapping over the same ground, with what is otherwise in a small
dictionary of its own. A small ground is copied, which is simpler to read from; a large one when so much has changed
that the copies of the small dictionary would cost more.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, Final, TypeVar, cast

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

COPIED: Final = 4_096
"""Entries that are copied without a second thought: some tens of microseconds."""

_GONE: Final = object()


class Layered(Mapping[K, V]):
    """A ground with what is otherwise; both are never changed again."""

    __slots__ = ("_size", "ground", "other")

    def __init__(self, ground: dict[K, V], other: dict[K, Any], size: int) -> None:
        self.ground, self.other, self._size = ground, other, size

    def __getitem__(self, key: K) -> V:
        found = self.other[key] if key in self.other else self.ground[key]
        if found is _GONE:
            raise KeyError(key)
        value: V = found
        return value

    def get(self, key: Any, default: Any = None) -> Any:
        """As of a dictionary; asked many times for each decision."""
        if key not in self.other:
            return self.ground.get(key, default)
        found = self.other[key]
        return default if found is _GONE else found

    def __contains__(self, key: object) -> bool:
        return self.other[key] is not _GONE if key in self.other else key in self.ground

    def __iter__(self) -> Iterator[K]:
        yield from (key for key in self.ground if key not in self.other)
        yield from (key for key, value in self.other.items() if value is not _GONE)

    def __len__(self) -> int:
        return self._size


class Watched(Mapping[K, V]):
    """A mapping that tells which of its keys are asked for, found or not; `None` is told where all are gone through."""

    __slots__ = ("_held", "_note")

    def __init__(self, held: Mapping[K, V], note: Callable[[K | None], object]) -> None:
        self._held, self._note = held, note

    def __getitem__(self, key: K) -> V:
        self._note(key)
        return self._held[key]

    def get(self, key: Any, default: Any = None) -> Any:
        """As of the mapping."""
        self._note(key)
        return self._held.get(key, default)

    def __contains__(self, key: object) -> bool:
        self._note(cast("K", key))
        return key in self._held

    def __iter__(self) -> Iterator[K]:
        self._note(None)
        return iter(self._held)

    def __len__(self) -> int:
        self._note(None)
        return len(self._held)


def changed(held: Mapping[K, V], new: Mapping[K, V | None]) -> Mapping[K, V]:
    """The mapping with other values for some keys, `None` for a key that it no longer has."""
    if not new:
        return held
    ground, other, size = _parts(held)
    for key, value in new.items():
        size += (value is not None) - (key in held)
    other = {**other, **{key: _GONE if value is None else value for key, value in new.items()}}
    if len(ground) > COPIED and len(other) <= max(COPIED, len(ground) // 64):
        return Layered(ground, other, size)
    return {key: value for key, value in {**ground, **other}.items() if value is not _GONE}


def _parts(held: Mapping[K, V]) -> tuple[dict[K, V], dict[K, Any], int]:
    if isinstance(held, Layered):
        return held.ground, held.other, len(held)
    return (held if isinstance(held, dict) else dict(held)), {}, len(held)
