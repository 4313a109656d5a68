"""What a row that is judged for a model in no catalogue asks about the item is unknown, in whatever order it asks.

Only rows that ask who is on file or what is in the catalogue are judged for such a model.
"""

from __future__ import annotations

from itertools import permutations
from typing import Final

import pytest

from policy_engine.analysis.word_reads import terms_of
from policy_engine.domain.facts import derive
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.logic import NO, Tri, unknown
from policy_engine.domain.request import Caller
from policy_engine.domain.roster import Authorisation, AuthorisationKind, Roster, RosterRows
from policy_engine.domain.verdict import Finding, Verdict
from policy_engine.domain.words import VOCABULARY, ask
from policy_engine.formats.membership_file import read_members
from policy_engine.formats.record_reader import read_record
from policy_engine.policy.judge import Judge
from policy_engine.policy.reader import read_book
from tests.conftest import shipped
from tests.policy.books import BAR, GRANT, NOTE, book, sheet
from tests.policy.examples import MEMBERS
from tests.service.decisions import asking, record_of

AT: Final = parse_instant("2026-06-01T12:00:00Z")
CALLER: Final = Caller(id="key", gateway="main")
SHIPPED: Final = shipped()
LICENCE: Final = Authorisation(
    id="L-1",
    regime="vendor",
    kind=AuthorisationKind.LICENCE,
    holder="acme",
    models=("gamma-1",),
    actions=("infer",),
    named_users=5,
)
ON_FILE: Final = read_members(MEMBERS.encode(), "members.yaml")


def members(*authorisations: Authorisation) -> Roster:
    rows = RosterRows(
        organisations=ON_FILE.organisations,
        people=ON_FILE.people,
        employments=ON_FILE.employments,
        authorisations=authorisations,
    )
    return Roster.as_known(rows, revision=1)


def judged(*rows: dict[str, str], roster: Roster | None = None, subject: str = "ann") -> Verdict:
    """The verdict on a model that is in no catalogue, by a book with these rows."""
    judge = Judge(read_book(book(rules=sheet(GRANT, *rows))))
    request = asking(subject, "gamma-1", place={"country": "US"})
    return judge.verdict(derive(request, roster or members(), judge.book, CALLER, AT))


def said(verdict: Verdict, rule: str) -> Finding | None:
    return next((finding for finding in verdict.findings if finding.rule == rule), None)


def row(template: object, **cells: str) -> dict[str, str]:
    assert isinstance(template, dict)
    return {**template, "action": "", "item": "", "place": "", **cells}


@pytest.mark.parametrize(
    "cells",
    [
        {"item": "tier:commodity", "party": "on-file"},
        {"item": "!tier:commodity", "party": "on-file"},
        {"item": "operations-reach:4E091", "party": "on-file"},
        {"place": "unsupported-place:UA", "party": "on-file"},
        {"party": "on-file & acts-for-vendor"},
        {"party": "on-file & !acts-for-vendor"},
    ],
    ids=lambda cells: " ".join(cells.values()),
)
def test_a_bar_that_asks_about_the_item_stands_and_says_that_the_model_is_missing(cells: dict[str, str]) -> None:
    verdict = judged(row(BAR, **cells))
    finding = said(verdict, "REGION")
    assert finding is not None
    assert (finding.state, finding.missing) == ("deciding", ("model",))
    assert verdict.missing == ("model",)
    assert not verdict.allowed


@pytest.mark.parametrize("item", ["tier:commodity", "!tier:commodity", "known !tier:commodity"])
def test_a_grant_that_asks_about_the_item_does_not_count(item: str) -> None:
    verdict = judged(row(GRANT, id="OTHER", item=item, party="on-file"))
    assert said(verdict, "OTHER") is None
    assert not verdict.allowed


@pytest.mark.parametrize("unless", ["published", "!published", "PAPERS"])
def test_nothing_about_the_item_lifts_a_bar(unless: str) -> None:
    authorisations = row(NOTE, party="on-file", authorisation="", item="!published")
    finding = said(judged(row(BAR, party="on-file", unless=unless), authorisations), "REGION")
    assert finding is not None
    assert (finding.state, finding.lifted_by) == ("deciding", None)


@pytest.mark.parametrize(
    ("terms", "stands"),
    [
        (("in-catalogue", "tier:commodity"), False),
        (("in-catalogue", "tier:commodity", "published"), False),
        (("!in-catalogue", "tier:commodity"), True),
    ],
)
def test_the_order_of_the_words_of_a_conjunction_changes_nothing(terms: tuple[str, ...], stands: bool) -> None:
    for order in permutations(terms):
        assert (said(judged(row(BAR, item=" & ".join(order), party="on-file")), "REGION") is not None) == stands


def test_a_row_that_names_neither_who_is_on_file_nor_the_catalogue_is_not_judged() -> None:
    assert said(judged(row(BAR, item="tier:commodity")), "REGION") is None


def test_a_code_for_the_unknown_item_is_given() -> None:
    codes = "LICENCE_REQUIRED if tier:commodity; MODEL_UNKNOWN if unknown tier:commodity"
    finding = said(judged(row(BAR, item="tier:commodity", party="on-file", codes=codes)), "REGION")
    assert finding is not None
    assert finding.codes == ("MODEL_UNKNOWN",)


def test_whether_a_paper_names_a_model_that_nobody_knows_is_unknown_and_no_place_is_drawn_on_it() -> None:
    grant = row(GRANT, id="OTHER", party="on-file | holds:vendor/licence")
    for authorisations, expected in (((), NO), ((LICENCE,), unknown("model"))):
        roster = members(*authorisations)
        judge = Judge(read_book(book(rules=sheet(GRANT, grant))))
        request = asking("ann", "gamma-1", place={"country": "US"})
        question = derive(request, roster, judge.book, CALLER, AT)
        assert ask(question.parties[0], "holds", "vendor/licence") == expected
        assert judge.verdict(question).draws == ()
        (party,) = read_record(record_of(judge, roster, request, AT)).parties
        assert party.words["holds:vendor/licence"] == ("unknown" if authorisations else "no")
        assert party.known.authorisations == ()


def test_every_word_of_the_shipped_book_has_an_answer_for_a_model_that_nobody_knows() -> None:
    question = derive(
        asking("ann", "gamma-1", place={"country": "UA", "ip_country": "DE"}, purpose="military_end_use"),
        members(LICENCE),
        SHIPPED,
        CALLER,
        AT,
    )
    answers = {term: ask(question.parties[0], *term) for term in terms_of(SHIPPED)}
    of_the_item = {word for word, kind in VOCABULARY.items() if kind.columns == ("item",)} - {"in-catalogue"}
    asked = {term: answer for term, answer in answers.items() if term[0] in of_the_item}
    assert len(asked) > 10
    assert set(asked.values()) == {unknown("model")}
    assert answers["in-catalogue", ""].value is Tri.NO
