"""The names of the axes of the declared world and of their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

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
PAPER: Final = "paper:"

EMPLOYEE: Final = "employee"
CONTRACTOR: Final = "contractor"
INDIVIDUAL: Final = "individual"
UNFILED: Final = "unfiled"
ORGANISATION: Final = "organisation"
ACCOUNT: Final = "account"
STRANGER: Final = "stranger"

PEOPLE: Final = frozenset({EMPLOYEE, CONTRACTOR, INDIVIDUAL, UNFILED})
"""Requesters that are natural persons on file."""

ORGANISED: Final = frozenset({EMPLOYEE, CONTRACTOR, ORGANISATION, ACCOUNT})
"""Requesters whose organisation is on file."""

COUNTRY_AXES: Final = frozenset(
    {CITIZENSHIP, EARLIER, INCORPORATED, HEADQUARTERS, PLACE, ADDRESS, DESTINATION, OWNER_HOME}
)

Profile = Mapping[str, str]
"""A value for each axis, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One variable and its values, the ordinary one first."""

    name: str
    values: tuple[str, ...]
