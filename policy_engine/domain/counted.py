"""Counts in sentences."""

from __future__ import annotations


def many(count: int, one: str, more: str = "") -> str:
    """A count with its noun: `1 row`, `1,204 rows`; `more` is the plural where it is not the noun with an s."""
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"
