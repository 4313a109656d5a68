"""The axes of the declared world: the dimensions that words name, each with its values in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from policy_engine.domain.words import dimensions

PEOPLE: Final = frozenset({dimensions.EMPLOYEE, dimensions.CONTRACTOR, dimensions.INDIVIDUAL, dimensions.UNFILED})
"""Requesters that are natural persons on file."""

ORGANISED: Final = frozenset({dimensions.EMPLOYEE, dimensions.CONTRACTOR, dimensions.ORGANISATION, dimensions.ACCOUNT})
"""Requesters whose organisation is on file."""

COUNTRY_AXES: Final = frozenset(
    {
        dimensions.CITIZENSHIP,
        dimensions.EARLIER,
        dimensions.INCORPORATED,
        dimensions.HEADQUARTERS,
        dimensions.PLACE,
        dimensions.ADDRESS,
        dimensions.DESTINATION,
        dimensions.OWNER_HOME,
    }
)

Profile = Mapping[str, str]
"""A value for each axis, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One variable and its values, the ordinary one first."""

    name: str
    values: tuple[str, ...]
