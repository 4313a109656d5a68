"""Words about the item and the action."""

from __future__ import annotations

from typing import Final

import pytest

from policy_engine.domain.logic import Tri
from tests.domain.words.asking import asked

ANN: Final = {"people": [{"id": "ann", "employments": []}]}
TECHNOLOGY: Final = "technology:4E001.a"


@pytest.mark.parametrize(
    ("word", "model", "value"),
    [
        ("action:infer", "alpha-1", Tri.YES),
        ("action:release", "alpha-1", Tri.NO),
        ("kind:model", "alpha-1", Tri.YES),
        ("tier:commodity", "alpha-1", Tri.YES),
        ("tier:commodity", TECHNOLOGY, Tri.NO),
        ("vendor:acme", "alpha-1", Tri.YES),
        ("consortium:circle", "alpha-1", Tri.YES),
        ("eccn:4E001.a", "alpha-1", Tri.NO),
        ("eccn:4E001.a", TECHNOLOGY, Tri.YES),
        ("eccn-on-file", TECHNOLOGY, Tri.YES),
        ("eccn-stated", "alpha-1", Tri.NO),
        ("published", "alpha-1", Tri.NO),
        ("weights-determined", TECHNOLOGY, Tri.UNKNOWN),
        ("operations-reach:4E091", "alpha-1", Tri.NO),
        ("operations-below:4E091", "alpha-1", Tri.YES),
        ("in-catalogue", "no-such-model", Tri.NO),
        ("kind:model", "no-such-model", Tri.UNKNOWN),
    ],
)
def test_what_the_catalogue_says_is_answered_and_a_model_in_none_is_unknown(word: str, model: str, value: Tri) -> None:
    assert value is asked(word, ANN, model=model).value


def test_an_alias_is_that_of_the_calling_gateway_alone() -> None:
    assert Tri.YES is asked("in-catalogue", ANN, model="alpha", gateway="main").value
    assert Tri.NO is asked("in-catalogue", ANN, model="alpha", gateway="other").value
