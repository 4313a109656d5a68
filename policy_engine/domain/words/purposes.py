"""Words about the purpose."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from policy_engine.domain.facts import Party
from policy_engine.domain.logic import Answer, known, unknown
from policy_engine.domain.words import dimensions, parameters
from policy_engine.domain.words.dimensions import always
from policy_engine.domain.words.items import item_of
from policy_engine.domain.words.word import HOUSE, Absent, ItemPart, Looks, Reads, Word


def purpose_stated(party: Party, _: str) -> Answer:
    return known(party.question.request.purpose is not None)


def purpose_permitted(party: Party, _: str) -> Answer:
    purpose = party.question.request.purpose
    return unknown("purpose") if purpose is None else known(purpose in item_of(party).purposes)


def purpose_in_review(party: Party, _: str) -> Answer:
    purpose = party.question.request.purpose
    return unknown("purpose") if purpose is None else known(purpose in item_of(party).purposes_needing_review)


def purpose(party: Party, parameter: str) -> Answer:
    purpose = party.question.request.purpose
    return unknown("purpose") if purpose is None else known(purpose == parameter)


_PURPOSE: Final = ("purpose",)
_STATED: Final = Reads(
    absent=Absent.OPEN,
    looks=Looks.AT_FACTS,
    facts=(),
    item=ItemPart.NOTHING,
    dimensions=always({dimensions.PURPOSE: None}),
    obtainable=None,
)
_OF_ITEM: Final = replace(_STATED, item=ItemPart.PURPOSES)

WORDS: Final = (
    Word(
        name="purpose-stated",
        columns=_PURPOSE,
        parameter=None,
        reads=replace(
            _STATED, absent=Absent.REQUEST, dimensions=always({dimensions.PURPOSE: frozenset({dimensions.NONE})})
        ),
        answer=purpose_stated,
        meaning="The request states a purpose.",
        example="purpose-stated",
        clause=HOUSE,
    ),
    Word(
        name="purpose",
        columns=_PURPOSE,
        parameter=parameters.PURPOSE,
        reads=_STATED,
        answer=purpose,
        meaning="The request states this purpose.",
        example="purpose:military_end_use",
        clause=HOUSE,
    ),
    Word(
        name="purpose-permitted",
        columns=_PURPOSE,
        parameter=None,
        reads=_OF_ITEM,
        answer=purpose_permitted,
        meaning="The purpose is one of the model's purposes.",
        example="purpose-permitted",
        clause=HOUSE,
    ),
    Word(
        name="purpose-in-review",
        columns=_PURPOSE,
        parameter=None,
        reads=_OF_ITEM,
        answer=purpose_in_review,
        meaning="The purpose is one that a person has to look at for this model.",
        example="known purpose-in-review",
        clause=HOUSE,
    ),
)
"""The words of this family, each with all that anybody asks about it."""
