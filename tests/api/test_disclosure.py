"""A report about people is told in rounded counts without names, unless the key may read the members."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.domain.changes import ReportRead
from policy_engine.domain.ports import LogUnavailable
from policy_engine.formats.change import digest_of
from policy_engine.service.disclosure import STEP, counts_alone
from policy_engine.service.impact import Outcome
from tests.api.desks import ALLOWED, ROSTER, WITHOUT_CONSORTIUM, Officer
from tests.api.service import Service, copied, serving

EXACT: Final = ("policy:read", "policy:propose", "members:read")
PEOPLE: Final = sorted({entry.id for entry in ROSTER.people} | {row.id for row in ROSTER.organisations})


@pytest.fixture
def desk(migrated: Path, tmp_path: Path) -> Iterator[Service]:
    with serving(copied(migrated, tmp_path), ROSTER, published=True) as running:
        yield running


def reads(desk: Service) -> list[tuple[str | None, ReportRead]]:
    found = []
    for change in desk.parts.desk_log.changes(("report.read",)):
        assert isinstance(change.event, ReportRead)
        found.append((change.actor.person, change.event))
    return found


def test_who_may_not_read_the_members_is_told_rounded_counts_and_nobody(desk: Service) -> None:
    decided = desk.decide(ALLOWED, desk.key()).json()["decision_id"]
    author = Officer(desk, "dora", "policy:read", "policy:propose")
    proposal = author.propose(WITHOUT_CONSORTIUM).json()
    told = author.get(f"/policy/proposals/{proposal['id']}/reports/impact")
    document = told.json()
    assert decided not in told.text
    assert not [name for name in PEOPLE if f'"{name}"' in told.text or f":{name}" in told.text]
    assert {share["dimension"] for share in document["shares"]} <= {"model", "rule"}
    assert {share["dimension"] for share in document["standing_access"]["shares"]} <= {"model", "rule"}
    assert document["rounded_down_to"] == STEP
    assert document["decisions"] == 0
    assert all(count % STEP == 0 for count in document["standing_access"]["outcomes"].values())
    for answer in (proposal, author.get("/policy").json()["proposals"][0], author.get("/policy/proposals").json()):
        assert "deny to allow" not in json.dumps(answer)
    assert reads(desk) == []


def test_who_may_read_the_members_is_told_names_and_the_look_is_on_record(desk: Service) -> None:
    decided = desk.decide(ALLOWED, desk.key()).json()["decision_id"]
    author = Officer(desk, "dora", *EXACT)
    proposal = author.propose(WITHOUT_CONSORTIUM).json()
    epoch = desk.parts.members.control().epoch
    told = author.get(f"/policy/proposals/{proposal['id']}/reports/impact")
    assert decided in told.text
    assert told.json()["standing_access"]["lost"]
    assert "1 allow to deny" in {one["name"]: one["summary"] for one in proposal["reports"]}["impact"]
    digest = digest_of(told.content)
    assert reads(desk) == [("dora", ReportRead(proposal=proposal["id"], report="impact", digest=digest))]
    assert desk.parts.members.control().epoch == epoch
    author.get(f"/policy/proposals/{proposal['id']}/reports/check")
    assert len(reads(desk)) == 1


def test_a_look_that_cannot_be_recorded_shows_nothing(desk: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    author = Officer(desk, "dora", *EXACT)
    proposal = author.propose(WITHOUT_CONSORTIUM).json()

    def full(_: object) -> None:
        raise LogUnavailable("no space left")

    monkeypatch.setattr(desk.parts.publisher.desk.log, "note", full)
    told = author.get(f"/policy/proposals/{proposal['id']}/reports/impact")
    assert told.status_code == 503
    assert "lost" not in told.text


def a_report(counts: dict[str, int], shares: list[dict[str, Any]]) -> bytes:
    return msgspec.json.encode(
        {
            "old": "a",
            "new": "b",
            "effective": "2026-08-01T00:00:00Z",
            "membership_revision": 3,
            "decisions": sum(counts.values()),
            "outcomes": counts,
            "examples": {},
            "not_judged": {"count": 1, "examples": ["SECRET"]},
            "drift": {"count": 2, "examples": ["SECRET"]},
            "shares": shares,
            "standing_access": {
                "judged": sum(counts.values()),
                "outcomes": counts,
                "lost": [{"subject": "SECRET"}],
                "gained": [],
                "undetermined": [],
                "shares": shares,
            },
        }
    )


@given(
    counts=st.fixed_dictionaries({str(outcome): st.integers(0, 40) for outcome in Outcome}),
    dimension=st.sampled_from(["organisation", "citizenship_country", "place_country", "model", "rule", "new"]),
    few=st.integers(0, STEP - 1),
)
def test_nobody_and_a_few_are_told_alike(counts: dict[str, int], dimension: str, few: int) -> None:
    def told(number: int) -> bytes:
        some = {**dict.fromkeys(counts, 0), "deny_to_allow": number}
        share = {"dimension": dimension, "value": "SECRET" if dimension not in ("model", "rule") else "m"}
        return counts_alone(a_report(some, [{**share, "outcomes": some, "examples": ["SECRET"]}]))

    assert told(few) == told(0)
    assert b"SECRET" not in told(7)
    document = json.loads(counts_alone(a_report(counts, [])))
    assert document["outcomes"] == {name: count // STEP * STEP for name, count in counts.items()}
