"""Rows of a book that can do nothing, found without asking about anybody.

A bar can never match where its action and item fail for every model of the catalogue and for one in none, or where it
asks for a closed fact and for its contrary at once; an open fact may be unknown, and then both leave the bar standing.
What only the facts of people can tell, `policy analyse` finds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from policy_engine.domain import logic
from policy_engine.domain.facts import Party, derive
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.logic import Tri
from policy_engine.domain.request import Action, Caller, Request, Subject, SubjectType
from policy_engine.domain.roster import Roster, RosterRows
from policy_engine.domain.rules import Book, Condition, Effect, Row, Term
from policy_engine.domain.words import GATES, STATIC_FACETS, VOCABULARY, answer_condition
from policy_engine.domain.words.word import Absent

_AT: Final = parse_instant("2026-01-01T00:00:00Z")
_NO_MODEL: Final = ""


def never_matching(book: Book) -> tuple[Row, ...]:
    """The bars that can never match, by id."""
    parties = list(_asked(book))
    held: dict[tuple[Condition, ...], bool] = {}

    def reaches(row: Row) -> bool:
        asked = tuple(row.facet(facet) for facet in STATIC_FACETS)
        gated = not row.words.isdisjoint(GATES)
        if asked not in held:
            held[asked] = any(_may_hold(asked, party) for party in parties if party.question.entry is not None)
        return held[asked] or (gated and any(_may_hold(asked, one) for one in parties if one.question.entry is None))

    bars = (row for row in book.rows if row.effect is Effect.DENY)
    return tuple(row for row in bars if _contradicts_itself(row) or not reaches(row))


def _asked(book: Book) -> Iterator[Party]:
    roster = Roster.as_known(RosterRows())
    subject = Subject(type=SubjectType.PERSON, id="nobody")
    for model in (*sorted(book.tables.catalogue.entries), _NO_MODEL):
        for action in Action:
            request = Request(subject=subject, model=model, action=action)
            yield derive(request, roster, book, Caller(id=""), _AT).parties[0]


def _may_hold(asked: tuple[Condition, ...], party: Party) -> bool:
    return logic.all_of(answer_condition(condition, party) for condition in asked).value is not Tri.NO


def _contradicts_itself(row: Row) -> bool:
    """Whether every way of meeting some facet, or one beside the facets that have but one, asks for both."""
    single = (facet.alternatives[0] for facet in row.facets if len(facet.alternatives) == 1)
    certain = {term for way in single for term in closed_terms(way)}
    return any(
        facet.alternatives and all(contrary(certain.union(closed_terms(way))) for way in facet.alternatives)
        for facet in row.facets
    )


ClosedTerm = tuple[str, str, bool]
"""A word about a fact that is never unknown, its parameter, and whether it is negated."""


def closed_terms(terms: Iterable[Term]) -> set[ClosedTerm]:
    """Those of the terms that are about facts that are never unknown."""
    closed = (term for term in terms if VOCABULARY[term.word].reads.absent is not Absent.OPEN)
    return {(term.word, term.parameter, term.negated) for term in closed}


def contrary(terms: Collection[ClosedTerm]) -> bool:
    """Whether there is a term among them and its negation."""
    return any((word, parameter, not negated) in terms for word, parameter, negated in terms)
