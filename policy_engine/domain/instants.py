"""Instants and half-open intervals.

Every instant is an aware `datetime` in UTC with microseconds. An interval `[start, end)` holds at its start and no
longer at its end; `None` is open on that side. A bare date is 00:00:00Z of that day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_RFC3339: Final = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2}))?", re.ASCII
)
LAST: Final = datetime.max.replace(tzinfo=UTC)
"""The end of the year 9999, behind which no instant can be written."""


class InstantError(ValueError):
    """The text is no RFC 3339 instant with a zone, and no bare date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """A half-open interval of time: true from `start` until just before `end`."""

    start: datetime | None = None
    end: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether the interval covers the instant."""
        return (self.start is None or self.start <= at) and (self.end is None or at < self.end)

    def ended(self, at: datetime) -> bool:
        """Whether the interval lies wholly before the instant."""
        return self.end is not None and self.end <= at

    def overlaps(self, other: Validity) -> bool:
        """Whether both intervals cover an instant."""
        return (self.end is None or other.start is None or other.start < self.end) and (
            other.end is None or self.start is None or self.start < other.end
        )

    def next_change(self, at: datetime) -> datetime | None:
        """The first instant after `at` at which `holds` gives another answer."""
        if self.start is not None and at < self.start:
            return self.start
        if self.end is not None and at < self.end:
            return self.end
        return None


ALWAYS: Final = Validity()


def earliest(validities: Iterable[Validity], *, at: datetime) -> datetime | None:
    """The first instant after `at` at which one of the intervals begins or ends."""
    changes = (validity.next_change(at) for validity in validities)
    return min((change for change in changes if change is not None), default=None)


def parse_instant(text: str) -> datetime:
    """Read an RFC 3339 instant with a zone, or a bare date, as UTC.

    Raises `InstantError` on anything else, on a time without a zone and on digits beyond microseconds that are not
    zero, since cutting them off would move the instant.
    """
    matched = _RFC3339.fullmatch(text)
    if matched is None:
        raise InstantError(f"`{text}` is not an instant: write 2026-06-12T21:21:00Z or a bare date 2026-06-12")
    year, month, day, hour, minute, second, fraction, zone = matched.groups()
    try:
        if hour is None:
            return datetime(int(year), int(month), int(day), tzinfo=UTC)
        digits = (fraction or "").ljust(6, "0")
        if digits[6:].strip("0"):
            raise InstantError(f"`{text}` is finer than a microsecond")
        offset = "+00:00" if zone in "Zz" else zone
        base = f"{year}-{month}-{day}T{hour}:{minute}:{second}.{digits[:6]}{offset}"
        return datetime.fromisoformat(base).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        if isinstance(error, InstantError):
            raise
        raise InstantError(f"`{text}` names no real instant") from error


def later(at: datetime, by: timedelta) -> datetime:
    """The instant after so much time, and the last one where there would be none."""
    return at + by if by <= LAST - at else LAST


def format_instant(instant: datetime) -> str:
    """RFC 3339 in UTC with six digits of a second, the one form in which the project writes an instant."""
    return f"{instant.astimezone(UTC).isoformat(timespec='microseconds')[:26]}Z"
