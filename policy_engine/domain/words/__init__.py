"""The vocabulary: every word that a rule's conditions may use, what it means, and how it is answered for a party.

Words are the only way in which a rule looks at a fact. Each is defined here once, with the facet (column) it may stand
in, whether the facts that it reads are open (absent is unknown) or closed (absent is none), a sentence of meaning and
an example; `policies/README.md` is written from this table. Answers are kept for a party, so that a word costs once.
"""

from policy_engine.domain.words.memory import WordKind
from policy_engine.domain.words.papers import Papers, has_place, papers_on_file
from policy_engine.domain.words.vocabulary import STATIC_FACETS, VOCABULARY, answer_condition, answer_term, ask

__all__ = [
    "STATIC_FACETS",
    "VOCABULARY",
    "Papers",
    "WordKind",
    "answer_condition",
    "answer_term",
    "ask",
    "has_place",
    "papers_on_file",
]
