"""Which entries of the log have something: sets of log indexes, in parts of `WIDTH`.

Within its part an entry is a number from 0 to `WIDTH` - 1. As bytes a set of few is its numbers in order, two bytes
each with the low one first; any other is `WIDTH` bits, the first in the low bit of the first byte. The two differ in
length. In memory a set is a whole number with a bit for each member, so that one operation joins or meets two.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final

WIDTH: Final = 1024
"""Entries of one part."""

_BYTES: Final = WIDTH // 8
_FEW: Final = _BYTES // 2 - 1


def extended(held: bytes, more: Sequence[int]) -> bytes:
    """The set with more numbers, each above all that it has, in order."""
    if len(held) < _BYTES:
        if len(held) // 2 + len(more) <= _FEW:
            return held + struct.pack(f"<{len(more)}H", *more)
        more = [*struct.unpack(f"<{len(held) // 2}H", held), *more]
        held = bytes(_BYTES)
    bits = bytearray(held)
    for number in more:
        bits[number >> 3] |= 1 << (number & 7)
    return bytes(bits)


def bits_of(held: bytes) -> int:
    """The set as a whole number."""
    if len(held) < _BYTES:
        held = extended(bytes(_BYTES), struct.unpack(f"<{len(held) // 2}H", held))
    return int.from_bytes(held, "little")


def set_of(bits: int) -> bytes:
    """The bytes of a set."""
    return extended(b"", list(numbers(bits)))


def numbers(bits: int) -> Iterator[int]:
    """The members, in order."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def between(first: int, end: int) -> int:
    """All numbers from the first on, below the end; both are cut to the part."""
    first, end = max(first, 0), min(end, WIDTH)
    return 0 if end <= first else (1 << end) - (1 << first)
