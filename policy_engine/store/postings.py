"""Which entries of the log have something: sets of log indexes, in parts of `WIDTH`.

Within its part an entry is a number from 0 to `WIDTH` - 1. As bytes a set of few is its numbers in order, two bytes
each with the low one first; any other is `WIDTH` bits, the first in the low bit of the first byte. The two differ in
length. In memory a set is a whole number with a bit for each member, so that one operation joins or meets two.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final

from policy_engine.domain.ports import LogUnavailable

WIDTH: Final = 1024
"""Entries of one part."""

_BYTES: Final = WIDTH // 8
_FEW: Final = _BYTES // 2 - 1


def extended(held: bytes, more: Sequence[int]) -> bytes:
    """The set with more numbers, each above all that it has, in order."""
    if len(held) < _BYTES and not len(held) % 2 and len(held) // 2 + len(more) <= _FEW:
        return held + struct.pack(f"<{len(more)}H", *more)
    bits = bytearray(bits_of(held).to_bytes(_BYTES, "little"))
    for number in more:
        bits[number >> 3] |= 1 << (number & 7)
    return bytes(bits)


class PartDamaged(LogUnavailable):
    """A row of the index has bytes that no set has."""

    def __init__(self) -> None:
        super().__init__("a part of the index of decisions is damaged: run `policy-engine log reindex`")


def bits_of(held: bytes | str) -> int:
    """The set as a whole number. Raises `PartDamaged`, also for a text, which SQLite keeps wherever one is put."""
    if not isinstance(held, bytes) or len(held) > _BYTES or len(held) % 2:
        raise PartDamaged
    if len(held) < _BYTES:
        members = struct.unpack(f"<{len(held) // 2}H", held)
        if max(members, default=0) >= WIDTH:
            raise PartDamaged
        return sum(1 << number for number in set(members))
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
