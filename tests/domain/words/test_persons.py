"""Words about the natural person."""

from __future__ import annotations

import pytest

from policy_engine.domain.logic import Tri
from tests.domain.words.asking import asked


def ann(status: str | None, *countries: str) -> dict[str, object]:
    """Ann with a US status, or none on file, and citizenships, each more recent than the one before."""
    dates = ("1990-01-01", "2000-01-01", "2010-01-01")
    held = [{"country": country, "from": date} for country, date in zip(countries, dates, strict=False)]
    person: dict[str, object] = {
        "id": "ann",
        "employments": [],
        "citizenships": held,
        "permanent_residencies": [],
    }
    return {"people": [person if status is None else person | {"us_status": [{"kind": status}]}]}


@pytest.mark.parametrize(
    ("status", "foreign", "american"),
    [
        ("citizen", Tri.NO, Tri.YES),
        ("lawful_permanent_resident", Tri.NO, Tri.YES),
        ("asylee_granted", Tri.NO, Tri.YES),
        ("none", Tri.YES, Tri.NO),
        (None, Tri.UNKNOWN, Tri.UNKNOWN),
    ],
)
def test_a_us_person_is_no_foreign_person_and_a_status_that_is_not_on_file_is_unknown(
    status: str | None, foreign: Tri, american: Tri
) -> None:
    assert (foreign, american) == tuple(asked(word, ann(status)).value for word in ("foreign-person", "us-person"))


def test_under_the_itar_every_citizenship_counts_and_under_the_ear_the_most_recent_one() -> None:
    members = ann("none", "CN", "CA")
    assert Tri.YES is asked("itar-national:CN", members).value
    assert Tri.NO is asked("itar-within:CA", members).value
    assert Tri.NO is asked("deemed-in:CN", members).value
    assert Tri.YES is asked("deemed-in:CA", members).value
    assert Tri.YES is asked("deemed-within:CA", members).value


def test_a_release_to_somebody_whose_citizenship_is_not_on_file_goes_nobody_knows_where() -> None:
    answer = asked("deemed-known", {"people": [{"id": "ann"}]})
    assert Tri.UNKNOWN is answer.value
    assert {"person.citizenships", "person.permanent_residencies"} <= set(answer.missing)
