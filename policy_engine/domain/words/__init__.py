"""The vocabulary: every word that a rule's conditions may use, what it means, and how it is answered for a party.

Words are the only way in which a rule looks at a fact. Each is one value (`word.Word`) beside its code, in the file of
its family, and the table of words in `policies/README.md` is written from these. Answers are kept for a party, so that
a word costs once.
"""

from policy_engine.domain.words.authorisations import Authorisations, authorisations_on_file, has_place
from policy_engine.domain.words.vocabulary import (
    GATES,
    READS_BARS,
    STATIC_FACETS,
    VOCABULARY,
    answer_condition,
    answer_term,
    ask,
    words_looking,
)
from policy_engine.domain.words.word import Word

__all__ = [
    "GATES",
    "READS_BARS",
    "STATIC_FACETS",
    "VOCABULARY",
    "Authorisations",
    "Word",
    "answer_condition",
    "answer_term",
    "ask",
    "authorisations_on_file",
    "has_place",
    "words_looking",
]
