"""Words about the organisation acting, and about the party as such."""

from __future__ import annotations

from typing import Final

import pytest

from policy_engine.domain.logic import Tri
from tests.domain.words.asking import asked

WORKS: Final = {"id": "works", "incorporated": "DE", "headquarters": "US", "sector": "other", "reseller": False}


def ann(kind: str = "employee") -> dict[str, object]:
    """Ann of the works, which is a member of the circle."""
    return {
        "organisations": [WORKS],
        "people": [{"id": "ann", "employments": [{"organisation": "works", "kind": kind}]}],
        "consortia": [{"id": "circle"}],
        "memberships": [{"organisation": "works", "consortium": "circle", "status": "active"}],
    }


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("on-file", Tri.YES),
        ("employee", Tri.YES),
        ("own-staff", Tri.YES),
        ("foreign-organisation", Tri.YES),
        ("established-in:US", Tri.YES),
        ("established-in:FR", Tri.NO),
        ("no-organisation", Tri.NO),
        ("organisation:works", Tri.YES),
        ("organisation:others", Tri.NO),
        ("sector:other", Tri.YES),
        ("reseller", Tri.NO),
        ("member:circle", Tri.YES),
        ("membership-never:circle", Tri.NO),
        ("membership-ended:circle", Tri.NO),
        ("membership-suspended:circle", Tri.NO),
        ("acts-for-vendor", Tri.NO),
        ("assertion-conflict", Tri.NO),
        ("end-user-named", Tri.UNKNOWN),
        ("pattern:distillation", Tri.NO),
    ],
)
def test_what_is_on_file_of_an_employee_is_answered(word: str, value: Tri) -> None:
    assert value is asked(word, ann()).value


def test_a_contractor_is_no_employee_and_none_of_the_organisations_own_staff() -> None:
    assert Tri.NO is asked("employee", ann("contractor")).value
    assert Tri.NO is asked("own-staff", ann("contractor")).value


@pytest.mark.parametrize(
    ("word", "missing"),
    [
        ("foreign-organisation", ("organisation.incorporated",)),
        ("established-in:US", ("organisation.incorporated", "organisation.headquarters")),
        ("sector:other", ("organisation.sector",)),
        ("reseller", ("organisation.reseller",)),
        ("organisation:works", ("acting_for",)),
    ],
)
def test_what_nobody_filed_of_the_organisation_is_unknown_and_named(word: str, missing: tuple[str, ...]) -> None:
    answer = asked(word, {"people": [{"id": "ann"}]})
    assert (Tri.UNKNOWN, missing) == (answer.value, answer.missing)


def test_the_gateway_is_the_one_that_the_request_came_through() -> None:
    assert Tri.YES is asked("gateway:main", ann(), gateway="main").value
    assert Tri.NO is asked("gateway:main", ann(), gateway="other").value


def test_a_conflict_tells_what_was_asserted_and_what_is_on_file() -> None:
    answer = asked("assertion-conflict", ann(), acting_for="others")
    assert Tri.YES is answer.value
    assert answer.detail == (("property", ("acting_for",)), ("asserted", ("others",)), ("on_file", ("works",)))
