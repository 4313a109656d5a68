"""How an answer already given to a party is remembered."""

from __future__ import annotations

from policy_engine.domain.facts import Party
from policy_engine.domain.logic import Answer, unknown
from policy_engine.domain.words.word import Word


class ItemUnknown(LookupError):
    """A word needs the item, and the model that was asked for is in no catalogue."""


def recall(party: Party, word: Word, parameter: str = "") -> Answer:
    """What the word says about the party; each question is answered once, and all that were asked are recorded.

    A word that needs the item is unknown where there is none: a bar stands on that, and it grants and lifts nothing.
    """
    key = (word.name, parameter)
    answer = party.memo.get(key)
    if answer is None:
        try:
            answer = word.answer(party, parameter)
        except ItemUnknown:
            answer = unknown("model")
        party.memo[key] = answer
    return answer
