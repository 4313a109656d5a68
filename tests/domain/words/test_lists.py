"""Words about lists and military end use."""

from __future__ import annotations

from typing import Final

import pytest

from policy_engine.domain.logic import Tri
from tests.domain.words.asking import asked

WORDS: Final = ("listed", "listing-potential", "listing-outdated", "listing-cleared")


def ann(**listing: object) -> dict[str, object]:
    """Ann of the works, of which one is on the Entity List or may be."""
    row = {"party": "works", "list": "EL", "entry": "WORKS", "entry_version": "2", "status": "confirmed"}
    return {
        "organisations": [{"id": "works"}],
        "people": [{"id": "ann", "employments": [{"organisation": "works", "kind": "employee"}]}],
        "listings": [row | listing],
    }


@pytest.mark.parametrize(
    ("listing", "held"),
    [
        ({}, "listed"),
        ({"status": "potential"}, "listing-potential"),
        ({"status": "cleared", "cleared_version": "1"}, "listing-outdated"),
        ({"status": "cleared", "cleared_version": "2"}, "listing-cleared"),
        ({"list": "SDN"}, None),
        ({"to": "2026-01-01"}, None),
    ],
)
def test_a_match_is_confirmed_or_waits_or_was_cleared(listing: dict[str, object], held: str | None) -> None:
    assert [held] * (held is not None) == [
        word for word in WORDS if asked(f"{word}:EL", ann(**listing)).value is Tri.YES
    ]


def test_the_person_is_told_from_the_organisation_and_the_text_of_her_entry_is_not_repeated() -> None:
    assert Tri.NO is asked("person-listed:EL", ann()).value
    answer = asked("person-listed:EL", ann(party="person:ann", entry="ANN"))
    assert Tri.YES is answer.value
    assert "ANN" not in str(answer.detail)


def test_a_stated_military_end_use_reaches_any_item_for_the_countries_of_the_test() -> None:
    stated = {"purpose": "military_end_use", "place": {"country": "CN"}}
    assert Tri.YES is asked("military:744.21", ann(list="SDN"), **stated).value
    assert Tri.NO is asked("military:744.21", ann(list="SDN"), place={"country": "CN"}).value
