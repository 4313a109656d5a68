"""Worked examples for the small book: case files as text, and how they are run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from policy_engine.decision.case_runner import BookFor
from policy_engine.domain.rules import Book
from policy_engine.formats.documents import Node
from policy_engine.policy.cases import Case, read_cases
from policy_engine.policy.reader import read_book

MEMBERS: Final = """{organisations: [{id: acme, incorporated: US, headquarters: US}],
    people: [{id: ann, employments: [{organisation: acme, kind: employee}]}]}"""


def example(
    identifier: str,
    expect: str,
    *,
    at: str = "2026-06-01T12:00:00Z",
    action: str = "infer",
    country: str = "US",
    subject: str = "ann",
    model: str = "alpha-1",
    extra: str = "",
    more: str = "",
) -> str:
    """A case in which, unless said otherwise, `ann` of `acme` asks for `alpha-1`.

    `extra` goes into the request, `more` beside it.
    """
    return (
        f"- id: {identifier}\n  title: {action} from {country}\n  at: {at}\n  members: {MEMBERS}\n"
        f"  request: {{subject: {{type: person, id: {subject}}}, model: {model}, action: {action},"
        f" place: {{country: {country}}}{extra}}}\n{more}"
        f"  expect: {{{expect}}}\n"
    )


ALLOWED: Final = example("ALLOWED", "decision: allow, only_rules: [ACCESS]")
BARRED: Final = example("BARRED", "decision: deny, only_rules: [REGION]", country="IR")


def cases_of(folder: Path, *texts: str) -> list[Case]:
    """The cases, read from a file."""
    (folder / "cases.yaml").write_text("".join(texts))
    return read_cases(folder)


def reading(files: Mapping[str, bytes]) -> BookFor:
    """The book in these files with what a case changes in it."""

    def book_for(enforcement: Mapping[str, str], catalogue: Node | None) -> Book:
        return read_book(files, enforcement=enforcement, extra_catalogue=catalogue)

    return book_for
