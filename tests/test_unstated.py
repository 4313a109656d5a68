"""Who left a fact unstated is told that and nothing else, and nothing of a doubt has to be reported."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Final

import pytest

from policy_engine.domain.facts import LATEST, Edition
from policy_engine.domain.rules import Effect, PublicCode, Row
from policy_engine.domain.sentences import UNSTATED, told_of
from policy_engine.domain.verdict import Finding, Verdict
from policy_engine.policy.cases import Case
from policy_engine.policy.cells import parse_sentences
from policy_engine.policy.judge import Judge
from tests.concluding import decided
from tests.conftest import CASES, judge_of, shipped

SHIPPED: Final = shipped()
REGION: Final = {row.public_message for row in SHIPPED.rows if row.public_code is PublicCode.NOT_AVAILABLE_REGION}


def verdict_of(case: Case, edition: Edition = LATEST) -> Verdict:
    return decided(judge_of(case), case.roster(), case.request, case.caller, case.at, edition=edition).verdict


def place_alone(finding: Finding) -> bool:
    """Whether the finding stands on a place that nobody stated, and on nothing else."""
    return finding.codes == ("LOCATION_UNKNOWN",)


@cache
def verdicts() -> dict[str, Verdict]:
    """Of every worked example, by its id."""
    return {case.id: verdict_of(case) for case in CASES}


def test_a_place_that_nobody_stated_is_neither_reported_nor_told_to_be_unsupported() -> None:
    doubted = {
        name: verdict
        for name, verdict in verdicts().items()
        if not verdict.allowed and all(place_alone(one) for one in verdict.deciding)
    }
    assert len(doubted) >= 10
    assert REGION
    for name, verdict in doubted.items():
        assert [one.id for one in verdict.obligations if one.id.startswith("report:")] == [], name
        assert verdict.reason.public_code is PublicCode.VERIFICATION_NEEDED, name
        assert verdict.reason.public_message not in REGION, name


def test_no_finding_of_any_example_that_names_a_missing_fact_says_that_something_is_not_available() -> None:
    wrong = [
        (name, finding.rule)
        for name, verdict in verdicts().items()
        for finding in verdict.findings
        if finding.effect is Effect.DENY and not UNSTATED.keys().isdisjoint(finding.codes)
        if finding.public_code is not PublicCode.VERIFICATION_NEEDED or finding.public_message in REGION
    ]
    assert wrong == []


def test_what_has_to_be_reported_hangs_on_a_finding_that_stands_for_certain() -> None:
    doubts = [
        (name, finding.rule)
        for name, verdict in verdicts().items()
        for finding in verdict.deciding
        if finding.missing and any(one.for_certain_alone for one in finding.obligations)
    ]
    assert doubts == []


def test_what_is_certain_is_reported_as_before() -> None:
    reported = {
        one.id for name in ("PLA-10", "LAW-16") for one in verdicts()[name].obligations if one.id.startswith("report:")
    }
    assert reported >= {"report:31-cfr-501.603", "report:31-cfr-501.604"}


def test_a_report_without_a_code_is_not_owed_for_a_doubt_either() -> None:
    """Whoever writes `report:... = sentence` without a code need not think of doubts."""
    case = CASES.named("PLA-15")
    embargo = SHIPPED.row("OFAC-EMBARGO")
    assert embargo is not None
    careless = replace(embargo, obligations=tuple(replace(one, codes=()) for one in embargo.obligations))
    book = replace(SHIPPED, rows=tuple(careless if row.id == embargo.id else row for row in SHIPPED.rows))
    verdict = decided(Judge(book), case.roster(), case.request, case.caller, case.at).verdict
    found = next(one for one in verdict.deciding if one.rule == "OFAC-EMBARGO")
    assert found.codes == ("LOCATION_UNKNOWN",)
    assert [one.id for one in found.obligations] == ["retain:31-cfr-501.601"]


def test_a_replay_of_before_says_what_was_said_then() -> None:
    case = CASES.named("PLA-15")
    before = verdict_of(case, Edition.DOUBTS)
    assert next(one.public_code for one in before.deciding if one.rule == "OFAC-EMBARGO") is (
        PublicCode.NOT_AVAILABLE_REGION
    )


def test_each_code_that_names_a_missing_fact_has_a_sentence_that_asks_for_it() -> None:
    assert set(UNSTATED) == {
        "LOCATION_UNKNOWN",
        "PURPOSE_UNDECLARED",
        "PERSON_STATUS_UNVERIFIED",
        "OWNERSHIP_UNRESOLVED",
        "END_USER_UNDISCLOSED",
    }
    assert all(sentence.startswith("We need to ") for sentence in UNSTATED.values())


def a_bar(**changes: object) -> Row:
    row = SHIPPED.row("VENDOR-REGION")
    assert row is not None
    return replace(row, **changes)  # type: ignore[arg-type]  # fields of a row by name


def test_a_sentence_of_a_code_is_told_for_that_code_alone() -> None:
    row = a_bar(
        message="It is not offered there.",
        messages=(("LOCATION_UNKNOWN", "Nobody knows where."),),
        public_messages=(("LOCATION_UNKNOWN", "Tell us where you are."),),
    )
    doubt, sure = told_of(row, ("LOCATION_UNKNOWN",)), told_of(row, ("REGION_UNSUPPORTED",))
    assert (doubt.message, doubt.public_code, doubt.public_message) == (
        "Nobody knows where.",
        PublicCode.VERIFICATION_NEEDED,
        "Tell us where you are.",
    )
    assert (sure.message, sure.public_code) == ("It is not offered there.", PublicCode.NOT_AVAILABLE_REGION)


def test_a_doubt_is_told_although_another_code_comes_first() -> None:
    told = told_of(a_bar(), ("AUTHORISATION_EXPIRED", "PERSON_STATUS_UNVERIFIED"))
    assert (told.public_code, told.public_message) == (
        PublicCode.VERIFICATION_NEEDED,
        UNSTATED["PERSON_STATUS_UNVERIFIED"],
    )


GIVEN: Final = ("REGION_UNSUPPORTED", "LOCATION_UNKNOWN")


@pytest.mark.parametrize(
    ("cell", "otherwise", "of_codes"),
    [
        ("A sentence; with a pause.", "A sentence; with a pause.", ()),
        ("No.; LOCATION_UNKNOWN = Where?", "No.", (("LOCATION_UNKNOWN", "Where?"),)),
        ("No; never.; LOCATION_UNKNOWN = Where; please?", "No; never.", (("LOCATION_UNKNOWN", "Where; please?"),)),
        (
            "REGION_UNSUPPORTED = No.; LOCATION_UNKNOWN = Where?",
            "No.",
            (("REGION_UNSUPPORTED", "No."), ("LOCATION_UNKNOWN", "Where?")),
        ),
    ],
)
def test_a_cell_has_a_sentence_for_every_code_or_one_for_each(
    cell: str, otherwise: str, of_codes: tuple[tuple[str, str], ...]
) -> None:
    parsed = parse_sentences(cell, GIVEN)
    assert (parsed.value.otherwise, parsed.value.of_codes, parsed.mistakes) == (otherwise, of_codes, ())


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("No.; LOCATION_UNKNOWM = Where?", "a sentence is for `LOCATION_UNKNOWM`, which the row never gives"),
        ("No.; location_unknown = Where?", "a sentence is for `location_unknown`, which the row never gives"),
        ("No.; LISTED_PARTY = Listed.", "a sentence is for `LISTED_PARTY`, which the row never gives"),
        ("No.; LOCATION_UNKNOWN = A.; LOCATION_UNKNOWN = B.", "a sentence for `LOCATION_UNKNOWN` stands here already"),
        ("No.; LOCATION_UNKNOWN = ", "the sentence for `LOCATION_UNKNOWN` is empty"),
        ("LOCATION_UNKNOWN = Where?", "there is no sentence for `REGION_UNSUPPORTED`"),
    ],
)
def test_a_sentence_that_nobody_would_be_told_is_a_fault(cell: str, message: str) -> None:
    assert [one.message for one in parse_sentences(cell, GIVEN).mistakes] == [message]
