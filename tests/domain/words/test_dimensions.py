"""A word's answer depends on nothing of a requester but the dimensions that the word names."""

from __future__ import annotations

from random import Random
from typing import Final

import pytest

from policy_engine.analysis.dimensions import Profile
from policy_engine.analysis.profiles import Domain
from policy_engine.analysis.symbolic import NO_SUCH_MODEL, SymbolicBooks
from policy_engine.analysis.word_reads import split
from policy_engine.domain.facts import derive
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.logic import Tri
from policy_engine.domain.request import Action
from policy_engine.domain.roster import Roster
from policy_engine.domain.rules import Book
from policy_engine.domain.words import VOCABULARY, Word, ask
from policy_engine.domain.words.word import Looks
from policy_engine.policy.conditions import parse_condition
from tests.analysis.worlds import any_profile
from tests.conftest import shipped

AT: Final = parse_instant("2026-06-13T15:00:00Z")
OF_FACTS: Final = [
    pytest.param(word, id=word.name)
    for word in VOCABULARY.values()
    if word.reads.looks in (Looks.AT_FACTS, Looks.AT_EXISTENCE)
]


@pytest.fixture(scope="module")
def book() -> Book:
    return shipped()


@pytest.fixture(scope="module")
def symbolic(book: Book) -> SymbolicBooks:
    return SymbolicBooks((book,), [AT])


def parameter_of(word: Word) -> str:
    terms = parse_condition(word.example, word.columns[0]).terms
    return next(term.parameter for term in terms if term.word == word.name)


def answered(symbolic: SymbolicBooks, book: Book, profile: Profile, word: str, parameter: str, model: str) -> Tri:
    facts = symbolic.facts(0, profile, model, Action.INFER, AT)
    question = derive(facts.request, Roster.as_known(facts.rows), book, facts.caller, AT)
    return ask(question.parties[0], word, parameter).value


def alike(domain: Domain, name: str, told: frozenset[str] | None, value: str) -> list[str]:
    """The values of an axis that a word which tells these apart cannot tell from this one."""
    place = domain.order[name]
    index = domain.index[place][value]
    part = next(part for part in domain.folded(place, told) if index in part)
    return [domain.axes[place].values[one] for one in part]


@pytest.mark.parametrize("word", OF_FACTS)
def test_what_a_word_does_not_tell_apart_changes_none_of_its_answers(
    symbolic: SymbolicBooks, book: Book, word: Word
) -> None:
    random, domain = Random(word.name), symbolic.domain
    parameter = split(word.name, parameter_of(word), domain.names.authorisations)[0]
    for _ in range(100):
        model = random.choice((*book.tables.catalogue.entries, NO_SUCH_MODEL))
        told = word.reads.dimensions(parameter, book, book.tables.catalogue.find(model, None))
        one = any_profile(symbolic, random)
        other = domain.complete({name: alike(domain, name, told[name], one[name]) for name in told})
        assert other is not None
        expected = answered(symbolic, book, one, word.name, parameter, model)
        assert expected is answered(symbolic, book, other, word.name, parameter, model), (one, other, model)
