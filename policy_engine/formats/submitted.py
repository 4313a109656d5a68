"""Requests out of the bytes that were sent; the same bytes are not read twice.

A gateway asks the same again and again, and reading a request costs more than finding what was decided. What is kept is
what the bytes say and nothing else: who asks, what is on file and what was decided have no part in it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from policy_engine.domain.request import Submitted
from policy_engine.formats.request_document import parse_object, submitted_of

BRIEF: Final = 1_024
"""Bytes of a request that is kept; longer ones are rare, and are read each time."""

KEPT: Final = 4_096
"""So many are kept at most, those asked for last: with what was read of them they take some 20 MB."""


def submitted_in(body: bytes) -> Submitted:
    """What is asked for in a body. Raises `MalformedRequest`, each time anew."""
    return _kept(body) if len(body) <= BRIEF else _read(body)


def _read(body: bytes) -> Submitted:
    return submitted_of(parse_object(body))


_kept: Final = lru_cache(maxsize=KEPT)(_read)
