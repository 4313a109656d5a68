"""What is said of decisions that are no longer kept, since their year of the log was retired (`retention`).

The database then has neither their records nor their ids. What is left to go by is the id with which somebody asks: a
ULID, whose first 48 bits are the milliseconds of an instant. It says in which year a record would have stood, and never
that it did: only a receipt does.
"""

from __future__ import annotations

from datetime import UTC, datetime

from policy_engine.domain.desk import Desk, RetiredYear
from policy_engine.domain.instants import format_instant
from policy_engine.formats.ulid import instant_in


class RecordRetired(Exception):
    """No record is kept under an id whose instant lies in a year that was retired."""

    def __init__(self, retired: RetiredYear) -> None:
        self.retired = retired
        super().__init__(
            f"no record is kept under this id; by the instant in it, it would be of {retired.content.year}: "
            f"{retired_text(retired)}"
        )


def retired_text(retired: RetiredYear) -> str:
    """When a year was retired, by which change of the log, and what that leaves."""
    return (
        f"{retired.content.year} was retired on {format_instant(retired.at)} by the change `{retired.change}`; "
        "its records are no longer kept, and a receipt that was made before still proves that its record stood there"
    )


def retired_between(desk: Desk, start: datetime | None, end: datetime | None) -> tuple[RetiredYear, ...]:
    """The retired years that an interval of instants touches, oldest first: more was there than is found."""
    return tuple(
        desk.retired[year]
        for year in sorted(desk.retired)
        if (start is None or start.year <= year) and (end is None or end > datetime(year, 1, 1, tzinfo=UTC))
    )


def retired_with(desk: Desk, decision_id: str) -> RetiredYear | None:
    """The retired year in which a decision stood, as far as the instant in its id tells."""
    at = instant_in(decision_id)
    return None if at is None else desk.retired.get(at.year)
