"""What rows of members may name of a book. Any other name would be taken and decide nothing, or something else."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BookNames:
    """The names that a book knows.

    `lists` are those that a rule or a table asks about, `regimes` those whose authorisations a rule asks for, and
    `items` the entries of the catalogue: models, technology, technical data and weights. `aliases` are the names that
    gateways have for entries, each with the entry's id; an authorisation names ids.
    """

    lists: frozenset[str] = frozenset()
    regimes: frozenset[str] = frozenset()
    items: frozenset[str] = frozenset()
    aliases: tuple[tuple[str, str], ...] = ()
