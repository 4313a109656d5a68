"""Requests out of the bytes that were sent."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.domain.request import Submitted
from policy_engine.formats import submitted
from policy_engine.formats.request_document import MalformedRequest, parse_object, submitted_of
from policy_engine.formats.submitted import BRIEF, KEPT, submitted_in

ASKED = b'{"subject":{"type":"person","id":"carol"},"model":"opus-4.6","action":"infer","place":{"country":"US"}}'


def told(read: Callable[[bytes], Submitted], body: bytes) -> Submitted | str:
    """What was read, or what was wrong with it."""
    try:
        return read(body)
    except MalformedRequest as error:
        return str(error)


@given(name=st.text(min_size=1, max_size=40), blanks=st.integers(min_value=0, max_value=2 * BRIEF))
def test_what_is_read_is_what_the_bytes_say_whether_they_are_known_or_not(name: str, blanks: int) -> None:
    body = ASKED.replace(b"carol", name.encode("unicode_escape").replace(b"\\x", b"\\u00")) + b" " * blanks
    for _ in range(2):
        assert told(submitted_in, body) == told(lambda sent: submitted_of(parse_object(sent)), body)


def test_two_bodies_that_differ_in_one_byte_are_two_requests() -> None:
    assert submitted_in(ASKED).request.subject.id == "carol"
    assert submitted_in(ASKED.replace(b"carol", b"carob")).request.subject.id == "carob"


def test_what_is_no_request_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(MalformedRequest):
            submitted_in(b'{"subject":')


def test_however_many_are_sent_so_many_are_kept_and_none_that_is_long() -> None:
    kept = submitted._kept
    kept.cache_clear()
    for number in range(KEPT + 100):
        submitted_in(ASKED.replace(b"carol", b"p%d" % number))
    assert kept.cache_info().currsize == KEPT
    kept.cache_clear()
    submitted_in(ASKED + b" " * BRIEF)
    assert kept.cache_info().currsize == 0
    assert sys.getsizeof(ASKED) < BRIEF
