"""Words about the purpose."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from policy_engine.domain.facts import Party
from policy_engine.domain.logic import Answer, known, unknown
from policy_engine.domain.words import dimensions, parameters
from policy_engine.domain.words.dimensions import always
from policy_engine.domain.words.items import item_of
from policy_engine.domain.words.word import HOUSE, PLAIN, Absent, ItemPart, word

_PURPOSE: Final = ("purpose",)
_STATED: Final = replace(PLAIN, dimensions=always({dimensions.PURPOSE: None}))
_OF_ITEM: Final = replace(_STATED, item=ItemPart.PURPOSES)


@word(
    _PURPOSE,
    None,
    replace(_STATED, absent=Absent.REQUEST, dimensions=always({dimensions.PURPOSE: frozenset({dimensions.NONE})})),
    HOUSE,
    example="purpose-stated",
)
def purpose_stated(party: Party, _: str) -> Answer:
    """The request states a purpose."""
    return known(party.question.request.purpose is not None)


@word(_PURPOSE, parameters.PURPOSE, _STATED, HOUSE, example="purpose:military_end_use")
def purpose(party: Party, parameter: str) -> Answer:
    """The request states this purpose."""
    purpose = party.question.request.purpose
    return unknown("purpose") if purpose is None else known(purpose == parameter)


@word(_PURPOSE, None, _OF_ITEM, HOUSE, example="purpose-permitted")
def purpose_permitted(party: Party, _: str) -> Answer:
    """The purpose is one of the model's purposes."""
    purpose = party.question.request.purpose
    return unknown("purpose") if purpose is None else known(purpose in item_of(party).purposes)


@word(_PURPOSE, None, _OF_ITEM, HOUSE, example="known purpose-in-review")
def purpose_in_review(party: Party, _: str) -> Answer:
    """The purpose is one that a person has to look at for this model."""
    purpose = party.question.request.purpose
    return unknown("purpose") if purpose is None else known(purpose in item_of(party).purposes_needing_review)
