"""An authorisation is for the persons, nationals and purposes that it names, and for nobody and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given, settings

from policy_engine.domain.request import Caller
from policy_engine.domain.roster import Authorisation, Roster
from policy_engine.domain.verdict import Verdict
from policy_engine.formats.membership_file import read_members
from policy_engine.formats.request_document import request_of
from tests.concluding import concluded
from tests.conftest import judge_for
from tests.laws import Asked, allows, asked_of, verdict, with_rows
from tests.randoms import RANDOMS
from tests.worlds import friendly_world

AT: Final = datetime(2026, 5, 20, 9, tzinfo=UTC)
MEMBERS: Final = """
organisations:
  - {id: kr-works, name: K, kind: company, incorporated: KR, headquarters: KR, sector: other, reseller: false}
people:
  - {id: bo, employments: [{organisation: kr-works, kind: employee, from: 2020-01-01}], us_status: [{kind: none}],
     citizenships: [{country: KR, from: 1990-01-01}], permanent_residencies: []}
  - {id: lin, employments: [{organisation: kr-works, kind: employee, from: 2020-01-01}], us_status: [{kind: none}],
     citizenships: [{country: KR, from: 1990-01-01}, {country: CN, from: 1980-01-01}], permanent_residencies: []}
  - {id: who, employments: [{organisation: kr-works, kind: employee, from: 2020-01-01}], us_status: [{kind: none}]}
  - {id: con, employments: [{organisation: kr-works, kind: contractor, from: 2020-01-01}], us_status: [{kind: none}],
     citizenships: [{country: KR, from: 1990-01-01}], permanent_residencies: []}
authorisations:
  - {id: D-1, regime: %(regime)s, kind: licence, holder: kr-works, models: ["%(model)s"], actions: [release],
     countries: null, from: 2026-01-01, to: null, conditions: [], %(scope)s}
"""
EAR: Final = {"regime": "us-ear", "model": "technology:4E001.a"}
ITAR: Final = {"regime": "us-itar", "model": "techdata:usml"}


def asking(person: str | None, model: str, purpose: str | None = None) -> dict[str, Any]:
    kind = {"type": "organisation", "id": "kr-works"} if person is None else {"type": "person", "id": person}
    return {"subject": kind, "model": model, "action": "release", "purpose": purpose, "place": {"country": "KR"}}


def decided(law: dict[str, str], scope: str, person: str | None, purpose: str | None = None) -> Verdict:
    rows = read_members((MEMBERS % {**law, "scope": scope}).encode(), "members.yaml")
    request = request_of(asking(person, law["model"], purpose))
    return concluded(judge_for({}, None), Roster.as_known(rows), request, Caller(id="key", gateway="main"), AT).verdict


@pytest.mark.parametrize(
    ("law", "scope", "person", "purpose", "allowed"),
    [
        (EAR, "persons: null", "bo", None, True),
        (EAR, "persons: [bo]", "bo", None, True),
        (EAR, "persons: [bo]", "lin", None, False),
        (EAR, "persons: []", "bo", None, False),
        (EAR, "persons: [bo]", None, None, False),
        (EAR, "persons: [con]", "con", None, False),
        (EAR, "persons: [con], employees_only: false", "con", None, True),
        (EAR, "nationalities: null", "lin", None, True),
        (EAR, "nationalities: [KR]", "bo", None, True),
        (EAR, "nationalities: [KR]", "lin", None, True),
        (EAR, "nationalities: [CN]", "lin", None, False),
        (EAR, "nationalities: []", "bo", None, False),
        (EAR, "nationalities: [KR]", "who", None, False),
        (EAR, "nationalities: [KR]", None, None, False),
        (ITAR, "nationalities: [KR]", "bo", None, True),
        (ITAR, "nationalities: [KR]", "who", None, False),
        (EAR, "purposes: null", "bo", None, True),
        (EAR, "purposes: [bookkeeping]", "bo", "bookkeeping", True),
        (EAR, "purposes: [bookkeeping]", "bo", "poetry", False),
        (EAR, "purposes: [bookkeeping]", "bo", None, False),
        (EAR, "purposes: []", "bo", "bookkeeping", False),
        (EAR, "persons: [bo], nationalities: [KR], purposes: [bookkeeping]", "bo", "bookkeeping", True),
        (EAR, "persons: [bo], nationalities: [JP], purposes: [bookkeeping]", "bo", "bookkeeping", False),
    ],
)
def test_a_licence_lifts_for_whom_and_what_it_names(
    law: dict[str, str], scope: str, person: str | None, purpose: str | None, *, allowed: bool
) -> None:
    told = decided(law, scope, person, purpose)
    assert told.allowed is allowed
    assert ("LICENCE_APPLIED" in {code for one in told.findings for code in one.codes}) is allowed


def test_under_the_itar_every_citizenship_counts_and_under_the_ear_the_most_recent_one() -> None:
    assert decided(EAR, "nationalities: [KR]", "lin").allowed
    told = decided(ITAR, "nationalities: [KR]", "lin")
    assert not told.allowed
    assert "ITAR-RELEASE" in {one.rule for one in told.deciding}


def narrowed(random: Random, paper: Authorisation) -> Authorisation:
    """The paper for fewer: some of those whom it names, or of anybody some."""
    anybody = {
        "persons": ("p0", "p1", "p2"),
        "nationalities": ("US", "CN", "JP", "DE"),
        "purposes": ("defensive_cybersecurity", "software_design"),
    }
    name = random.choice([*anybody, "employees_only"])
    if name == "employees_only":
        return replace(paper, employees_only=True)
    held: tuple[str, ...] | None = getattr(paper, name)
    pool = anybody[name] if held is None else held
    return named(paper, name, tuple(random.sample(pool, k=random.randint(0, len(pool)))))


def named(paper: Authorisation, field: str, values: tuple[str, ...]) -> Authorisation:
    return replace(paper, **{field: values})  # type: ignore[arg-type]  # one of the three fields of texts


def with_papers(asked: Asked, papers: tuple[Authorisation, ...]) -> Asked:
    return with_rows(asked, replace(asked.rows, authorisations=papers))


@settings(max_examples=150)
@given(RANDOMS)
def test_a_paper_for_fewer_never_turns_a_deny_into_an_allow(random: Random) -> None:
    asked = asked_of(friendly_world(random))
    denied = not allows(asked)
    for _ in range(4):
        papers = tuple(narrowed(random, paper) for paper in asked.rows.authorisations)
        asked = with_papers(asked, papers)
        now = allows(asked)
        assert not (denied and now), papers
        denied = not now


@settings(max_examples=100)
@given(RANDOMS)
def test_a_paper_for_nobody_is_as_none(random: Random) -> None:
    asked = asked_of(friendly_world(random))
    name = random.choice(["persons", "nationalities", "purposes"])
    for_nobody = tuple(named(paper, name, ()) for paper in asked.rows.authorisations)
    with_them, without = verdict(with_papers(asked, for_nobody)), verdict(with_papers(asked, ()))
    assert (with_them.allowed, with_them.hold, with_them.findings) == (
        without.allowed,
        without.hold,
        without.findings,
    )


@pytest.mark.parametrize("seed", [290, 302])
def test_a_paper_of_nobodys_makes_no_authorised_end_user(seed: int) -> None:
    """Worlds in which 22 CFR 126.18(d) once lifted the bar for the employees of a holder whose paper was for nobody."""
    random = Random(seed)
    asked = asked_of(friendly_world(random))
    name = random.choice(["persons", "nationalities", "purposes"])
    for_nobody = tuple(named(paper, name, ()) for paper in asked.rows.authorisations)
    found = verdict(with_papers(asked, for_nobody)).findings
    assert "ITAR-126.18" in {one.rule for one in verdict(asked).findings}
    assert "ITAR-126.18" not in {one.rule for one in found}
