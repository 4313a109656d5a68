"""Whether a country is among those that a parameter names, and which columns of an ECCN cover it."""

from __future__ import annotations

from collections.abc import Iterable

from policy_engine.domain.facts import Party
from policy_engine.domain.words.items import item_of


def places_in(party: Party, countries: Iterable[str], parameter: str) -> tuple[str, ...]:
    """Those of the countries that are named in the parameter: codes or groups, parted by commas."""
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
