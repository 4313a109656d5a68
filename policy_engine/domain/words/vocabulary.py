"""The table of words, and how terms and conditions of words are answered."""

from __future__ import annotations

from typing import Final

from policy_engine.domain import logic
from policy_engine.domain.facts import Party
from policy_engine.domain.logic import NO, YES, Answer, Tri
from policy_engine.domain.rules import Condition, Term
from policy_engine.domain.words import (
    authorisations,
    items,
    lists,
    organisations,
    owners,
    persons,
    places,
    purposes,
    verdicts,
)
from policy_engine.domain.words.memory import recall
from policy_engine.domain.words.word import Looks, Word, words_of

FAMILIES: Final = (items, organisations, persons, places, owners, lists, purposes, authorisations, verdicts)

VOCABULARY: Final[dict[str, Word]] = {word.name: word for family in FAMILIES for word in words_of(family)}
"""Every word by its name."""


def words_looking(*at: Looks) -> frozenset[str]:
    """The names of the words that look at one of these."""
    return frozenset(word.name for word in VOCABULARY.values() if word.reads.looks in at)


GATES: Final = words_looking(Looks.AT_EXISTENCE)
"""Words by which a row is judged where there is no item, or nobody on file."""

READS_BARS: Final = words_looking(Looks.AT_BARS_MATCHED, Looks.AT_BARS_STANDING)
"""Words that ask which regimes bar; their parameter is regimes, separated by commas."""

STATIC_FACETS: Final = ("action", "item")
"""Facets that depend on the request's action and model alone, and not on who asks."""


def ask(party: Party, word: str, parameter: str = "") -> Answer:
    """What the word says about the party; each question is answered once."""
    return recall(party, VOCABULARY[word], parameter)


def answer_term(term: Term, party: Party) -> Answer:
    """A word with its negation and its reading of unknown."""
    answer = ask(party, term.word, term.parameter)
    if answer.value is Tri.UNKNOWN:
        return NO if term.only_known else answer
    return logic.negation(answer) if term.negated else answer


def answer_condition(condition: Condition, party: Party) -> Answer:
    """The condition for the party; nothing asked holds."""
    alternatives = condition.alternatives
    if not alternatives:
        return YES
    if len(alternatives) == 1:
        if len(alternatives[0]) == 1:
            return answer_term(alternatives[0][0], party)
        return _conjunction(alternatives[0], party)
    return logic.any_of(_conjunction(alternative, party) for alternative in alternatives)


def _conjunction(terms: tuple[Term, ...], party: Party) -> Answer:
    answers = []
    for term in terms:
        answer = answer_term(term, party)
        if answer.value is Tri.NO:
            return NO
        answers.append(answer)
    return logic.all_of(answers)
