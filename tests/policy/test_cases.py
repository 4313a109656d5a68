"""A case file is read to its last word: what it says and nobody would hold an answer to is a fault, with its place."""

from __future__ import annotations

import pytest

from policy_engine.formats.faults import FaultsError
from policy_engine.policy.cases import read_case_files

CASE = """\
- id: ONE
  title: t
  at: 2026-11-20
  request: {subject: {type: person, id: nobody}, model: opus-4.6, action: infer}
  expect: {decision: deny, reason: SUBJECT_UNKNOWN}
"""


def faults_of(text: str) -> list[tuple[int, int, str]]:
    with pytest.raises(FaultsError) as refused:
        read_case_files({"cases/one.yaml": text.encode()})
    return [(fault.line, fault.column, fault.message) for fault in refused.value.faults]


def test_a_case_says_what_is_asked_and_what_is_expected() -> None:
    (case,) = read_case_files({"cases/one.yaml": CASE.encode()})
    assert (case.id, case.title, case.at, case.known_at, case.line) == ("ONE", "t", case.known_at, case.at, 1)
    assert (case.request.model, case.expect.decision, case.expect.reason) == ("opus-4.6", "deny", "SUBJECT_UNKNOWN")


@pytest.mark.parametrize(
    ("written", "instead", "place", "message"),
    [
        ("id: ONE", "id: [ONE]", (1, 7), "a text is wanted here and a list"),
        ("title: t", "titel: t", (2, 3), "a case has no field `titel`"),
        ("at: 2026-11-20", "at: yesterday", (3, 7), "`yesterday` is not an instant"),
        ("  at: 2026-11-20\n", "", (1, 3), "a case has no `at`"),
        ("model: opus-4.6, ", "", (4, 12), "request: model"),
        ("decision: deny", "decision: maybe", (5, 22), "there is no decision `maybe`"),
        ("decision: deny, ", "", (5, 11), "`expect` has no `decision`"),
        ("decision: deny", "decision: deny, rule: [X]", (5, 28), "`expect` has no field `rule`"),
        ("decision: deny", "decision: deny, hold: maybe", (5, 34), "true or false is wanted here"),
        ("decision: deny", "decision: deny, codes: X", (5, 35), "`codes` is a text"),
        ("decision: deny", "decision: deny, rules: [X, {a: b}]", (5, 39), "a text is wanted here"),
        ("title: t", "settings: {assertable: [age]}", (2, 27), "there is no assertable property `age`"),
        ("title: t", "settings: {enforcement: {X: loose}}", (2, 31), "there is no `loose` here"),
        ("title: t", "settings: {enforce: {X: advisory}}", (2, 14), "`settings` has no field `enforce`"),
    ],
)
def test_what_a_case_says_and_is_not_understood_is_a_fault_with_its_place(
    written: str, instead: str, place: tuple[int, int], message: str
) -> None:
    assert written in CASE
    ((line, column, told),) = faults_of(CASE.replace(written, instead))
    assert (line, column) == place
    assert told.startswith(message)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "null\n", "id: ONE\n"])
def test_a_file_that_is_no_list_of_cases_is_a_fault_and_never_no_cases(text: str) -> None:
    assert "a case file is a list of cases" in [message for _, _, message in faults_of(text)]


def test_two_cases_of_one_id_are_a_fault_of_the_second() -> None:
    assert faults_of(CASE + CASE) == [(6, 3, "duplicate case `ONE`: cases/one.yaml has one already")]
