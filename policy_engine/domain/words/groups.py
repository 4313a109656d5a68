"""Whether a country is among those that a parameter names, and which columns of an ECCN cover it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from policy_engine.domain.catalogue import Entry
from policy_engine.domain.facts import Party
from policy_engine.domain.rules import Book
from policy_engine.domain.words.items import item_of
from policy_engine.domain.words.word import Clause

TERRITORIES: Final = Clause(
    what="the territories of the United States are part of it", source="15 CFR 772.1; 22 CFR 120.60", checked=True
)


def places_in(party: Party, countries: Iterable[str], parameter: str) -> tuple[str, ...]:
    """Those of the countries that are named in the parameter: codes or groups, separated by commas."""
    found = []
    question = party.question
    for country in countries:
        for token in parameter.split(","):
            if ":" not in token:
                inside = country == token
            else:
                membership = question.tables.places.in_group(country, token, question.at)
                question.horizon.note(membership.changes_at)
                inside = membership.inside
            if inside:
                found.append(country)
                break
    return tuple(found)


def column_covers(party: Party, country: str) -> bool:
    tables = party.question.tables
    for name in tables.eccn_columns[item_of(party).eccn or ""]:
        column = tables.columns[name]
        if column.everywhere_except is not None:
            if country not in column.everywhere_except:
                return True
        elif column.covers and places_in(party, (country,), ",".join(column.covers)):
            return True
    return False


def column_tokens(book: Book, entry: Entry | None) -> frozenset[str]:
    """The codes and groups in the control columns of an item's ECCN."""
    named: set[str] = set()
    names = book.tables.eccn_columns.get(entry.eccn or "", ()) if entry is not None else ()
    for column in (book.tables.columns[name] for name in names):
        named.update(column.everywhere_except or ())
        named.update(column.covers)
    return frozenset(named)
