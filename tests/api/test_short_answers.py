"""What a caller without `decisions:explain` learns of which models there are."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.api.desks import ROSTER, Officer
from tests.api.service import Service, copied, serving
from tests.conftest import judge_for

NO_MODEL: Final = "mythos-99"
OWN: Final = ("decision_id", "decided_at", "valid_until", "membership_revision", "policy_version")
CATALOGUE: Final = judge_for({}, None).book.tables.catalogue
SECRET: Final = sorted(entry.id for entry in CATALOGUE.entries.values() if entry.tier not in ("commodity", "distilled"))
MEMBERS: Final = {row.organisation for row in ROSTER.memberships}
OUTSIDERS: Final = [
    {"type": "person", "id": person}
    for person in sorted(
        {row.person for row in ROSTER.employments}
        - {row.person for row in ROSTER.employments if row.organisation in MEMBERS}
    )
] + [{"type": "person", "id": "nobody"}, {"type": "organisation", "id": "beihe-holding"}]


@pytest.fixture
def service(migrated: Path, tmp_path: Path) -> Iterator[Service]:
    with serving(copied(migrated, tmp_path), ROSTER) as running:
        yield running


def told(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in OWN}


def in_short(service: Service, *asked: dict[str, Any]) -> list[dict[str, Any]]:
    response = service.client.post("/decide/batch", json={"requests": asked}, headers=service.key("decide"))
    assert response.status_code == 200
    answers: list[dict[str, Any]] = response.json()["answers"]
    return answers


def test_nobody_outside_learns_from_a_deny_whether_there_is_such_a_model(service: Service) -> None:
    assert "mythos-5" in SECRET
    assert len(SECRET) > 2
    ways = [
        {"subject": subject, "action": action, **purpose, "place": place, **fallbacks}
        for subject, action, purpose, place, fallbacks in itertools.product(
            OUTSIDERS,
            ("infer", "fine_tune", "release", "administer"),
            ({}, {"purpose": "pentest_own_product"}),
            ({}, {"country": "IR"}, {"country": "US"}),
            ({}, {"fallbacks": ["opus-4.6", "mythos-5", "none-such"]}),
        )
    ]
    seen = 0
    for start in range(0, len(ways), 900):
        some = ways[start : start + 900]
        unknown = in_short(service, *({**way, "model": NO_MODEL} for way in some))
        for model in ("mythos-5", "mythos"):
            for way, one, other in zip(
                some, unknown, in_short(service, *({**way, "model": model} for way in some)), strict=True
            ):
                assert told(one) == told(other), (model, way)
                seen += 1
    assert seen > 800


def test_a_denied_item_of_the_export_desk_reads_as_one_that_does_not_exist(service: Service) -> None:
    ways = [
        {"subject": subject, "action": action, "place": {"country": country}}
        for subject, action, country in itertools.product(
            OUTSIDERS, ("release", "download_weights"), ("IR", "US", "DE")
        )
    ]
    denied = 0
    unknown = in_short(service, *({**way, "model": NO_MODEL} for way in ways))
    for model in SECRET:
        for one, other in zip(unknown, in_short(service, *({**way, "model": model} for way in ways)), strict=True):
            if not other["allowed"]:
                assert told(one) == told(other)
                denied += 1
    assert denied > 100


def test_the_record_and_those_who_may_see_explanations_have_the_reason(service: Service) -> None:
    asked = {
        "subject": {"type": "person", "id": "pat"},
        "model": "mythos-5",
        "action": "infer",
        "place": {"country": "US"},
    }
    short = service.decide(asked, service.key("decide")).json()
    assert short["reason"] == {
        "public_code": "NOT_AVAILABLE_MODEL",
        "public_message": "This model is not available to you for this use.",
    }
    whole = json.loads(service.parts.log.read(short["decision_id"]) or b"")["answer"]
    assert whole["reason"]["code"] == "MEMBERSHIP_NOT_FOUND"
    assert whole["alternatives"] == ["opus-4.6"]
    assert short["alternatives"] == []
    assert service.decide(asked).json()["reason"]["code"] == "MEMBERSHIP_NOT_FOUND"


@pytest.mark.parametrize(
    ("person", "purpose", "code"),
    [
        ("carol", "marketing", "PURPOSE_NOT_PERMITTED"),
        ("carol", "pentest_own_product", "UNDER_REVIEW"),
        ("gwen", "defensive_cybersecurity", "NOT_AVAILABLE_ACCOUNT"),
        ("yuki", "defensive_cybersecurity", "NOT_AVAILABLE_ACCOUNT"),
    ],
)
def test_whoever_is_or_was_a_member_is_told_why(service: Service, person: str, purpose: str, code: str) -> None:
    country = {"carol": "US", "gwen": "GB", "yuki": "JP"}[person]
    asked = {"subject": {"type": "person", "id": person}, "model": "mythos-5", "action": "infer", "purpose": purpose}
    short = service.decide({**asked, "place": {"country": country}}, service.key("decide")).json()
    assert short["reason"]["public_code"] == code
    assert short["alternatives"] == ["opus-4.6"]


def test_a_member_is_told_of_a_freeze_of_the_model_and_an_outsider_is_not(service: Service) -> None:
    Officer(service, "dora").freeze(models=["mythos-5"])
    key = service.key("decide")
    asked = {"model": "mythos-5", "action": "infer", "purpose": "defensive_cybersecurity", "place": {"country": "US"}}
    member, outsider = (
        service.decide({**asked, "subject": {"type": "person", "id": name}}, key).json() for name in ("carol", "pat")
    )
    assert member["reason"]["public_code"] == "SUSPENDED"
    assert outsider["reason"]["public_code"] == "NOT_AVAILABLE_MODEL"


def test_a_deny_of_a_model_of_the_open_market_is_told_in_full(service: Service) -> None:
    asked = {"subject": {"type": "person", "id": "pat"}, "model": "opus-4.6", "action": "infer"}
    short = service.decide({**asked, "place": {"country": "IR"}}, service.key("decide")).json()
    assert short["reason"]["public_code"] == "NOT_AVAILABLE_REGION"


def test_a_request_whose_record_is_too_long_reads_alike_for_any_model(service: Service) -> None:
    key = service.key("decide")
    properties = {f"property-{number}": ["x" * 190] * 50 for number in range(20)}
    asked = {"subject": {"type": "person", "id": "pat", "properties": properties}, "action": "infer"}
    answers = [told(service.decide({**asked, "model": model}, key).json()) for model in ("mythos-5", NO_MODEL)]
    assert answers[0] == answers[1]
    assert answers[0]["reason"]["public_code"] == "NOT_AVAILABLE_MODEL"
