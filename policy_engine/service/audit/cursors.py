"""Where a page of a list ended: an opaque text that whoever asks for the next page gives back.

A cursor is what this service gave, for the same list and the same filters, to the last character: it is authenticated,
so that nobody makes one, and it has one text alone.
"""

from __future__ import annotations

import base64
import hmac
from typing import Any, Final, TypeVar

import msgspec

from policy_engine.formats.request_document import malformed

PAGE: Final = 100
LONGEST_PAGE: Final = 1_000
"""How many a page of a list has where nobody says, and at most."""

_TAG: Final = 16
"""Bytes of the HMAC that a cursor begins with."""

_LONGEST: Final = 1_000

Place = TypeVar("Place")
_encoder: Final = msgspec.json.Encoder(order="sorted")


class _Held(msgspec.Struct):
    of: Any
    place: msgspec.Raw


class Cursors:
    """Gives cursors and reads them. Whoever is to go on with a cursor of another process has the same key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def give(self, place: object, *, of: object) -> str:
        """The cursor of a place in the list `of`, which is everything that says which list it is; both as JSON."""
        told = _encoder.encode({"of": of, "place": place})
        return base64.urlsafe_b64encode(self._tag(told) + told).decode().rstrip("=")

    def read(self, text: str, kind: type[Place], *, of: object) -> Place:
        """The place that a cursor was given for. Raises `MalformedRequest` for one that was not given of this list."""
        try:
            padded = text + "=" * (-len(text) % 4)
            data = base64.b64decode(padded.encode("ascii")[:_LONGEST], altchars=b"-_", validate=True)
            tag, told = data[:_TAG], data[_TAG:]
            # Base64 has more than one text for some bytes.
            if not hmac.compare_digest(tag, self._tag(told)) or base64.urlsafe_b64encode(data).decode() != padded:
                raise ValueError(text)
            held = msgspec.json.decode(told, type=_Held)
            place = msgspec.json.decode(held.place, type=kind)
        except (ValueError, msgspec.MsgspecError) as error:
            raise malformed("cursor", "was not given by a page of this list") from error
        if held.of != of:
            raise malformed("cursor", "was given for other filters")
        return place

    def _tag(self, told: bytes) -> bytes:
        return hmac.digest(self._key, told, "sha256")[:_TAG]
