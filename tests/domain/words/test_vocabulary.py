"""What holds of every word."""

from __future__ import annotations

import re
from typing import Final

import pytest

from policy_engine.domain.facts import Party
from policy_engine.domain.logic import NO, Answer
from policy_engine.domain.rules import FACETS, ROW_WORD
from policy_engine.domain.words import VOCABULARY, Word
from policy_engine.domain.words.vocabulary import FAMILIES
from policy_engine.domain.words.word import HOUSE, word, words_of
from policy_engine.policy.conditions import parse_condition

WORDS: Final = [pytest.param(word, id=word.name) for word in VOCABULARY.values()]
A_SECTION: Final = re.compile(r"[0-9]+ CFR [0-9]+\.[0-9]+|ECCN [0-9][A-E][0-9]{3}")


def test_no_two_words_have_one_name() -> None:
    names = [word.name for family in FAMILIES for word in words_of(family)]
    assert sorted(names) == sorted(VOCABULARY)
    assert ROW_WORD not in names


def test_a_word_that_does_not_say_what_it_means_is_none() -> None:
    def mute(_party: Party, _parameter: str) -> Answer:
        return NO

    make = word(("party",), None, VOCABULARY["on-file"].reads, HOUSE, example="mute")
    with pytest.raises(TypeError, match="the word `mute` has no docstring"):
        make(mute)


@pytest.mark.parametrize("word", WORDS)
def test_a_word_stands_in_columns_that_there_are_and_its_example_is_a_condition_of_each(word: Word) -> None:
    assert set(word.columns) <= set(FACETS)
    for column in word.columns:
        assert word.name in {term.word for term in parse_condition(word.example, column).terms}


@pytest.mark.parametrize("word", WORDS)
def test_a_word_cites_a_section_of_the_law_or_says_that_it_is_a_house_convention(word: Word) -> None:
    assert word.meaning.endswith(".")
    assert word.clause == HOUSE or (A_SECTION.search(word.clause.source) and word.clause.what)
