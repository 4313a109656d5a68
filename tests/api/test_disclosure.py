"""A report about people is told in rounded counts without names, unless the key may read the members."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.domain.changes import Actor, BookProposed, Report, ReportRead
from policy_engine.domain.ports import LogUnavailable, NewEvent
from policy_engine.formats.change import digest_of
from policy_engine.service.administration.disclosure import STEP, counts_alone
from policy_engine.service.administration.impact import ImpactOutcome
from tests.api.desks import ALLOWED, ROSTER, WITHOUT_CONSORTIUM, Officer
from tests.api.service import Service, copied, serving
from tests.cli.test_cli import Shell
from tests.conftest import SMALL_BOOK

EXACT: Final = ("policy:read", "policy:propose", "members:read")
PEOPLE: Final = sorted({entry.id for entry in ROSTER.people} | {row.id for row in ROSTER.organisations})


@pytest.fixture
def desk(migrated: Path, tmp_path: Path) -> Iterator[Service]:
    with serving(copied(migrated, tmp_path), ROSTER, published=True, policies=SMALL_BOOK) as running:
        yield running


def reads(desk: Service) -> list[tuple[str | None, ReportRead]]:
    found = []
    for change in desk.parts.desk_log.changes(("report.read",)):
        assert isinstance(change.event, ReportRead)
        found.append((change.actor.person, change.event))
    return found


def exact_counts(text: str) -> list[str]:
    """The counts in summaries of impact that are no multiples of the step."""
    told = re.findall(r"(\d+) (?:recorded decisions|allow to deny|deny to allow|undetermined|lose|gain)", text)
    return [count for count in told if int(count) % STEP]


def test_no_door_tells_exact_counts_to_who_may_not_read_the_members(
    desk: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.decide(ALLOWED, desk.key())
    author = Officer(desk, "dora", "policy:read", "policy:propose", "decisions:read")
    other = Officer(desk, "egon", "policy:read", "policy:approve")
    proposal = author.propose(WITHOUT_CONSORTIUM).json()
    name = proposal["id"]
    exact = desk.parts.desk_log.changes(("book.proposed",))[-1]
    doors = [
        author.get(f"/policy/proposals/{name}"),
        author.get("/policy/proposals"),
        author.get("/policy"),
        *(author.get(f"/policy/proposals/{name}/reports/{report['name']}") for report in proposal["reports"]),
        author.get(f"/log/entries/{exact.id}"),
        other.approve(name),
        author.get(f"/policy/proposals/{name}"),
    ]
    assert [door.status_code for door in doors] == [200] * len(doors)
    assert "allow to deny" in doors[0].text
    monkeypatch.setenv("POLICY_ENGINE_DATABASE_URL", f"sqlite:///{tmp_path / 'service.db'}")
    monkeypatch.setenv("COLUMNS", "1000")
    shell = Shell(monkeypatch, capsys)
    for command in (("show", exact.id), ("show", exact.id, "--json"), ("changes",), ("changes", "--json")):
        told = shell("log", *command)
        assert (told.code, exact_counts(told.out)) == (0, [])
    assert "allow to deny" in shell("log", "show", exact.id, "--json").out
    assert [exact_counts(json.dumps(proposal)), *(exact_counts(door.text) for door in doors)] == [[]] * (len(doors) + 1)
    assert exact_counts("of 7 recorded decisions 1 allow to deny, 5 undetermined") == ["7", "1"]


def test_exact_counts_that_an_earlier_release_recorded_are_shown_to_who_may_read_the_members(desk: Service) -> None:
    summary = "of 7 recorded decisions 1 allow to deny, 0 deny to allow, 0 undetermined"
    event = BookProposed(
        proposal="PROP-OLD",
        fingerprint="sha256:old",
        archive="sha256:old",
        base="none",
        effective=None,
        note="old",
        rollback=False,
        withdraws=(),
        reports=(Report(name="impact", digest="sha256:old", summary=summary),),
    )
    entry = NewEvent(id="OLD", at=desk.now[0], actor=Actor(key="k", person="dora"), event=event)
    assert desk.parts.desk_log.record([entry], under=desk.parts.members.control().epoch) is not None
    blind = Officer(desk, "egon", "policy:read", "decisions:read")
    seeing = Officer(desk, "flora", "policy:read", "decisions:read", "members:read")
    for path in ("/policy/proposals/PROP-OLD", "/policy/proposals", "/policy", "/log/entries/OLD"):
        assert summary not in blind.get(path).text
        assert summary in seeing.get(path).text
    assert blind.get("/log/entries/OLD").status_code == 403


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
        assert exact_counts(json.dumps(answer)) == []
    assert reads(desk) == []


def test_who_may_read_the_members_is_told_names_and_the_look_is_on_record(desk: Service) -> None:
    decided = desk.decide(ALLOWED, desk.key()).json()["decision_id"]
    author = Officer(desk, "dora", *EXACT)
    proposal = author.propose(WITHOUT_CONSORTIUM).json()
    epoch = desk.parts.members.control().epoch
    told = author.get(f"/policy/proposals/{proposal['id']}/reports/impact")
    assert decided in told.text
    assert told.json()["standing_access"]["lost"]
    assert "0 allow to deny" in {one["name"]: one["summary"] for one in proposal["reports"]}["impact"]
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
                "lost": [{"subject": "SECRET", "organisation": None, "model": "m", "rule": "R", "code": "C"}],
                "gained": [],
                "undetermined": [],
                "shares": shares,
            },
        }
    )


@given(
    counts=st.fixed_dictionaries({str(outcome): st.integers(0, 40) for outcome in ImpactOutcome}),
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
