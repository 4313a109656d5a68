"""What every list that is told in pages takes, and how a number in a query is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from policy_engine.formats.request_document import malformed
from policy_engine.http.reference import QueryParameter
from policy_engine.service.audit.cursors import LONGEST_PAGE, PAGE

PAGED: Final = (
    QueryParameter(
        name="limit",
        meaning="How many a page has at most.",
        schema={"type": "integer", "minimum": 1, "maximum": LONGEST_PAGE, "default": PAGE},
    ),
    QueryParameter(name="cursor", meaning="`next_cursor` of the page before, with the same filters."),
)
"""The parameters of a list that is told in pages."""


def page_of(given: Mapping[str, str]) -> tuple[int, str | None]:
    """How many are asked for, and the cursor of the page before. Raises `MalformedRequest`."""
    return number_of(given, "limit", PAGE, 1, LONGEST_PAGE), given.get("cursor")


def number_of(given: Mapping[str, str], name: str, absent: int, least: int, most: int) -> int:
    """A whole number of the query. Raises `MalformedRequest`."""
    text = given.get(name)
    if text is None:
        return absent
    if not (text.isascii() and text.isdecimal() and len(text) <= 19 and least <= int(text) <= most):
        raise malformed(name, f"is a number from {least} to {most}")
    return int(text)
