"""Words about where a request comes from and where the item goes."""

from __future__ import annotations

from typing import Final

import pytest

from policy_engine.domain.logic import Tri
from tests.domain.words.asking import asked

ANN: Final = {"people": [{"id": "ann", "employments": []}]}


@pytest.mark.parametrize(
    ("stated", "value"),
    [
        ({"place": {"country": "IR"}}, Tri.YES),
        ({"place": {"country": "DE", "ip_country": "IR"}}, Tri.YES),
        ({"place": {"country": "DE"}, "destination": {"country": "IR"}}, Tri.YES),
        ({"place": {"country": "DE"}}, Tri.NO),
        ({"destination": {"country": "DE"}}, Tri.UNKNOWN),
    ],
)
def test_a_place_is_located_where_any_of_those_stated_is(stated: dict[str, object], value: Tri) -> None:
    assert value is asked("located-in:EAR:E:1", ANN, **stated).value


def test_the_headquarters_of_the_organisation_are_a_place_too() -> None:
    members = {
        "organisations": [{"id": "works", "incorporated": "DE", "headquarters": "IR"}],
        "people": [{"id": "ann", "employments": [{"organisation": "works", "kind": "employee"}]}],
    }
    answer = asked("located-in:EAR:E:1", members, place={"country": "DE"})
    assert (answer.value, answer.detail) == (Tri.YES, (("place", ("organisation.headquarters=IR",)),))


@pytest.mark.parametrize(
    ("place", "value", "missing"),
    [
        ({"country": "UA", "subdivision": "UA-43"}, Tri.YES, ()),
        ({"country": "UA", "subdivision": "UA-30"}, Tri.NO, ()),
        ({"country": "UA", "postcode": "95000"}, Tri.YES, ()),
        ({"country": "UA"}, Tri.UNKNOWN, ("place.subdivision",)),
        ({"country": "DE"}, Tri.NO, ()),
    ],
)
def test_a_part_of_a_country_is_found_by_subdivision_or_postcode_and_unknown_without(
    place: dict[str, object], value: Tri, missing: tuple[str, ...]
) -> None:
    answer = asked("in-part:UA", ANN, place=place)
    assert (value, missing) == (answer.value, answer.missing)


def test_the_destination_says_where_the_item_goes_and_the_place_where_there_is_none() -> None:
    assert Tri.NO is asked("receives-in:DE", ANN, place={"country": "DE"}, destination={"country": "FR"}).value
    assert Tri.YES is asked("receives-in:DE", ANN, place={"country": "DE"}).value
    assert Tri.UNKNOWN is asked("destination-known", ANN).value
    assert Tri.NO is asked("receives-abroad", ANN, place={"country": "US"}).value


def test_an_item_whose_columns_are_not_on_file_may_be_covered_anywhere_abroad() -> None:
    covered = asked("column-destination", ANN, model="technology:4E001.a", place={"country": "FR"})
    assert Tri.YES is covered.value
    assert Tri.NO is asked("column-destination", ANN, model="technology:4E001.a", place={"country": "CA"}).value
    assert asked("column-destination", ANN, place={"country": "FR"}).missing == ("model.eccn",)
