"""The dimensions of the declared world of the analysis: their names, their values, and how a word names those on which
its answer may depend.

A word that reads more than it names here would be analysed wrongly; tests hold both against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from policy_engine.domain.catalogue import Entry
from policy_engine.domain.rules import Book

NOT_APPLICABLE: Final = "-"
UNKNOWN: Final = "unknown"
NONE: Final = "none"
OTHER: Final = "other"

REQUESTER: Final = "requester"
IDENTITY: Final = "identity"
US_STATUS: Final = "us_status"
CITIZENSHIP: Final = "citizenship"
EARLIER: Final = "earlier_citizenship"
INCORPORATED: Final = "incorporated"
HEADQUARTERS: Final = "headquarters"
PLACE: Final = "place"
PART: Final = "part"
ADDRESS: Final = "address"
DESTINATION: Final = "destination"
SHARE: Final = "owner_share"
OWNER_HOME: Final = "owner_headquarters"
OWNER_LIST: Final = "owner_list"
PURPOSE: Final = "purpose"
CLAIM: Final = "claim"
SECTOR: Final = "sector"
RESELLER: Final = "reseller"
CLUSTER: Final = "cluster"
ASSERTION: Final = "assertion"
GATEWAY: Final = "gateway"
LISTING: Final = "listing:"
MEMBERSHIP: Final = "membership:"
STATEMENT: Final = "statement:"
AUTHORISATION: Final = "paper:"

EMPLOYEE: Final = "employee"
CONTRACTOR: Final = "contractor"
INDIVIDUAL: Final = "individual"
UNFILED: Final = "unfiled"
ORGANISATION: Final = "organisation"
ACCOUNT: Final = "account"
STRANGER: Final = "stranger"

Dimensions = Mapping[str, frozenset[str] | None]
"""By dimension what a word tells apart on it: of a dimension of countries the codes and groups that it asks about, so
that countries alike in these are one to it; of another the values that it tells from all others, or `None` for each."""

DimensionsRead = Callable[[str, Book, Entry | None], Dimensions]
"""Every dimension on which a word's answer may depend, by its parameter, the book and the item asked for."""

US: Final = frozenset({"US"})
NOTHING: Final[frozenset[str]] = frozenset()


def always(dimensions: Dimensions) -> DimensionsRead:
    """The same dimensions, whatever the parameter, the book and the item are."""
    return lambda _parameter, _book, _entry: dimensions


def by_parameter(dimensions: Callable[[str], Dimensions]) -> DimensionsRead:
    """Dimensions that depend on the parameter alone."""
    return lambda parameter, _book, _entry: dimensions(parameter)


def by_book(dimensions: Callable[[str, Book], Dimensions]) -> DimensionsRead:
    """Dimensions that depend on the parameter and on what the book says under it."""
    return lambda parameter, book, _entry: dimensions(parameter, book)


NO_REQUESTER: Final = always({})
"""Of words that look at the item, the action, or what other rows say, and at nothing of the requester."""


def tokens(*texts: str | None) -> frozenset[str]:
    """The country codes and groups in texts that have them separated by commas."""
    return frozenset(token for text in texts if text for token in text.split(",") if token)


def countries(*dimensions: str) -> DimensionsRead:
    """Of words that ask whether a country on these dimensions is one of those that the parameter names."""
    return by_parameter(lambda parameter: dict.fromkeys(dimensions, tokens(parameter)))
