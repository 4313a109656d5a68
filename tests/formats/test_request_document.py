"""The body of a request: what is read, what is refused, and that reading it never takes longer than its bytes."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.formats.request_document import (
    MAX_DEPTH,
    MAX_FAULTS,
    MalformedRequest,
    parse_object,
    refuse_depth,
    request_of,
)

LIMIT = 256 * 1024


def deepest(body: bytes) -> int:
    """How deep brackets outside of strings are open, a byte at a time: the obvious reading."""
    depth = most = 0
    in_string = escaped = False
    for byte in body:
        if in_string:
            if escaped:
                escaped = False
            elif byte == ord("\\"):
                escaped = True
            elif byte == ord('"'):
                in_string = False
        elif byte == ord('"'):
            in_string = True
        elif byte in b"[{":
            depth += 1
            most = max(most, depth)
        elif byte in b"]}":
            depth -= 1
    return most


def is_refused(body: bytes) -> bool:
    try:
        refuse_depth(body)
    except MalformedRequest:
        return True
    return False


PIECES = st.sampled_from(
    [b"{" * 7, b"[" * 9, b"{", b"[", b"}", b"]", b'"', b"\\", b'\\"', b'"{"', b"a", b"\n", b"\xff"]
)


@given(st.lists(PIECES, max_size=60).map(b"".join))
def test_the_depth_is_that_of_the_obvious_reading_for_any_bytes(body: bytes) -> None:
    assert is_refused(body) == (deepest(body) > MAX_DEPTH)


@pytest.mark.slow
@given(st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_what_is_not_deep_is_read_as_json_has_it(value: object) -> None:
    body = json.dumps({"value": value}).encode()
    if deepest(body) <= MAX_DEPTH:
        assert parse_object(body) == {"value": value}


@pytest.mark.parametrize(
    "body",
    [
        b"{" * 33 + b'\\"' * ((LIMIT - 33) // 2),
        b"{" * 33 + b'"' + b'\\"' * ((LIMIT - 34) // 2),
        b'{"a":"' + b"{" * 40 + b"\\" * (LIMIT - 46),
        b'{"":0,' * 33 + b'"\\u0022' * (LIMIT // 8),
        b"[{}]" * (LIMIT // 4),
        b'{"a":' + b"[]," * (LIMIT // 4),
        b'{"subject":' + b" " * LIMIT,
        b'{"min_revision":' + b"9" * LIMIT,
        b'{"a":1' + b"e9" * (LIMIT // 2),
        b'{"a":"' + b"\\ud800" * (LIMIT // 6) + b'"}',
    ],
    ids=[
        "escaped quotes",
        "never closed",
        "backslashes",
        "escapes",
        "flat",
        "lists",
        "blanks",
        "digits",
        "e",
        "halves",
    ],
)
def test_no_bytes_take_longer_than_their_number_says(body: bytes) -> None:
    # A second reading from every quote took over four minutes for these many.
    started = time.monotonic()
    with contextlib.suppress(MalformedRequest):
        parse_object(body)
    assert time.monotonic() - started < 10


def _names(number: int, name: Callable[[int], str]) -> dict[str, object]:
    return {name(place): None for place in range(number)}


@pytest.mark.parametrize(
    "document",
    [
        _names(40_000, str),
        _names(5_000, lambda place: f"subjec{place:0200d}"),
        {"s" * LIMIT: 1},
        {"subject": {"type": "person", "id": "ann", "properties": _names(40_000, str)}},
        {"subject": {"type": "x" * 1000, "id": "ann", **_names(40_000, str)}},
    ],
    ids=["many", "long", "endless", "properties", "nested"],
)
def test_names_that_are_not_known_are_told_up_to_a_number(document: dict[str, object]) -> None:
    started = time.monotonic()
    with pytest.raises(MalformedRequest) as caught:
        request_of(document)
    assert len(caught.value.faults) <= MAX_FAULTS + 1
    assert len(str(caught.value)) < 20_000
    assert time.monotonic() - started < 10


def test_a_byte_order_mark_is_passed_over_and_the_one_of_another_encoding_is_named() -> None:
    assert parse_object(b'\xef\xbb\xbf{"model": "m"}') == {"model": "m"}
    for other in ("utf-16", "utf-16-be"):
        body = ("\ufeff" if other == "utf-16-be" else "") + '{"model": "m"}'
        with pytest.raises(MalformedRequest, match="byte-order mark of UTF-16: send UTF-8"):
            parse_object(body.encode(other))


def test_every_fault_is_told_at_once_and_in_one_order() -> None:
    with pytest.raises(MalformedRequest) as caught:
        request_of(
            {
                "min_revision": -1,
                "subject": {"type": "robot", "properties": {"x": 1}},
                "place": {"country": "de", "town": "Bonn"},
                "end_user": [],
                "claims": {"exception": 1},
                "fallbacks": ["a", 1],
                "request_id": "r 1",
                "action": "think",
                "modl": "m",
                "destination": {"host": ""},
            }
        )
    told = [(one.field, one.message.partition(";")[0]) for one in caught.value.faults]
    assert told == [
        ("subject.type", "has no value `robot`"),
        ("subject.id", "is required"),
        ("subject.properties.x", "must be a text or a list of texts"),
        ("end_user", "must be an object"),
        ("end_user.type", "is required"),
        ("end_user.id", "is required"),
        ("place.town", "is not a field of this document"),
        ("action", "has no value `think`"),
        ("model", "is required"),
        ("request_id", "must be 1 to 128 printable ASCII characters without blanks"),
        ("fallbacks[1]", "must be a text"),
        ("min_revision", "must be a whole number from 0"),
        ("place.country", "must be an ISO 3166-1 alpha-2 code in capital letters such as DE, not `de`"),
        ("destination.host", "must have 1 to 200 characters"),
        ("claims.exception", "must be a text"),
        ("modl", "is not a field of this document"),
    ]
