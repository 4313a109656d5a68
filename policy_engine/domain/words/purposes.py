"""Words about the purpose."""

from __future__ import annotations

from policy_engine.domain.facts import Party
from policy_engine.domain.logic import Answer, known, unknown
from policy_engine.domain.words.items import item_of


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
