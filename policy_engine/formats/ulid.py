"""ULIDs (github.com/ulid/spec): 48 bits of milliseconds since 1970 and 80 random bits, in Crockford's base 32, so that
ids sort by time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

RANDOM_BYTES: Final = 10
"""So many random bytes does a ULID take."""

_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = [first + second for first in _DIGITS for second in _DIGITS]
_LENGTH: Final = 26
_TIME_DIGITS: Final = 10
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def ulid(at: datetime, randomness: bytes) -> str:
    """The id of an instant; one before 1970 is taken for that. `randomness` has `RANDOM_BYTES` bytes."""
    milliseconds = max(0, int(at.timestamp() * 1000)) & (2**48 - 1)
    number = milliseconds << 80 | int.from_bytes(randomness, "big")
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])


def instant_in(text: str) -> datetime | None:
    """The instant in an id, to the millisecond; `None` for a text that is no ULID or of no instant that there is."""
    if len(text) != _LENGTH or not set(text) <= set(_DIGITS):
        return None
    milliseconds = 0
    for digit in text[:_TIME_DIGITS]:
        milliseconds = milliseconds << 5 | _DIGITS.index(digit)
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None
