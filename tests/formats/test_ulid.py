from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.formats.ulid import RANDOM_BYTES, instant_in, ulid

INSTANTS = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  the zone is given beside
BYTES = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)


@given(at=INSTANTS, randomness=BYTES)
def test_the_instant_in_an_id_is_that_of_its_making_to_the_millisecond(at: datetime, randomness: bytes) -> None:
    made = ulid(at, randomness)
    assert len(made) == 26
    found = instant_in(made)
    assert found is not None
    assert abs(at - found) <= timedelta(milliseconds=1)


@given(at=INSTANTS, one=BYTES, other=BYTES)
def test_ids_sort_by_time(at: datetime, one: bytes, other: bytes) -> None:
    assert ulid(at, one) < ulid(at + timedelta(milliseconds=2), other)


def test_an_id_is_the_published_one() -> None:
    # ulid(1469918176385) in the reference implementation, github.com/ulid/javascript.
    at = datetime(2016, 7, 30, 22, 36, 16, 385_000, tzinfo=UTC)
    assert ulid(at, bytes(RANDOM_BYTES)) == "01ARYZ6S41" + "0" * 16
    assert instant_in("01ARYZ6S41TSV4RRFFQ69G5FAV") == at


@pytest.mark.parametrize("text", ["", "01ARYZ6S41", "01ARYZ6S41TSV4RRFFQ69G5FAU", "Z" * 26, "founding"])
def test_what_is_no_id_has_no_instant(text: str) -> None:
    assert instant_in(text) is None
