"""Words about authorisations, statements and claims."""

from __future__ import annotations

from typing import Final

import pytest

from policy_engine.domain.logic import Tri
from tests.domain.words.asking import asked

PAPER: Final = {
    "id": "A-1",
    "regime": "vendor",
    "kind": "licence",
    "holder": "works",
    "models": ["alpha-1"],
    "actions": ["infer"],
}


def ann(**paper: object) -> dict[str, object]:
    """Ann of the works, which has a statement and holds an authorisation."""
    return {
        "organisations": [{"id": "works"}, {"id": "host"}],
        "people": [{"id": "bea"}, {"id": "ann", "employments": [{"organisation": "works", "kind": "employee"}]}],
        "authorisations": [PAPER | paper],
        "statements": [{"organisation": "works", "kind": "uvl"}],
    }


@pytest.mark.parametrize(
    ("paper", "usable", "ended", "full"),
    [
        ({}, Tri.YES, Tri.NO, Tri.NO),
        ({"to": "2026-06-01"}, Tri.NO, Tri.YES, Tri.NO),
        ({"cap": {"named_users": 0}}, Tri.NO, Tri.NO, Tri.YES),
        ({"models": ["technology:4E001.a"]}, Tri.NO, Tri.NO, Tri.NO),
        ({"kind": "exemption"}, Tri.NO, Tri.NO, Tri.NO),
    ],
)
def test_an_authorisation_is_usable_or_ended_or_full(
    paper: dict[str, object], usable: Tri, ended: Tri, full: Tri
) -> None:
    words = ("holds", "authorisation-ended", "authorisation-full")
    answers = tuple(asked(f"{word}:vendor/licence", ann(**paper)).value for word in words)
    assert (usable, ended, full) == answers


def test_that_of_the_host_counts_where_the_word_says_so() -> None:
    members, destination = ann(holder="host"), {"country": "US", "host": "host"}
    assert Tri.NO is asked("holds:any/licence", members, destination=destination).value
    assert Tri.YES is asked("holds-or-host:any/licence", members, destination=destination).value


def test_the_organisation_holds_what_is_for_somebody_else() -> None:
    members = ann(persons=["bea"])
    assert Tri.NO is asked("holds:vendor/licence", members).value
    assert Tri.YES is asked("organisation-holds:vendor/licence", members).value


def test_a_statement_and_a_claim_are_of_their_kind() -> None:
    assert Tri.YES is asked("statement:uvl", ann()).value
    assert Tri.NO is asked("statement:supp8_740", ann()).value
    claimed = {"exception": "STA"}
    assert Tri.YES is asked("claims:STA", ann(), claims=claimed).value
    assert Tri.YES is asked("claims", ann(), claims=claimed).value
    assert Tri.NO is asked("claims:TSR", ann(), claims=claimed).value
    assert Tri.NO is asked("claims", ann()).value
