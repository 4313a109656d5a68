"""Decisions about companies that own each other in large tangles: bounded, solved once for all, in doubt denied."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks.ownership import TANGLES, tangle
from policy_engine.domain.decision import Decision
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.request import Caller
from policy_engine.domain.roster import Roster
from policy_engine.domain.tangles import LIMITS, Solution
from policy_engine.formats.membership_file import read_members
from policy_engine.formats.request_document import request_of
from policy_engine.policy.judge import Judge
from policy_engine.policy.reader import read_book, read_folder
from tests.concluding import decided
from tests.conftest import POLICIES, ROOT

pytestmark = pytest.mark.slow

AT: Final = parse_instant("2026-11-20T12:00:00Z")
SHARED: Final = ROOT.parent / "shared" / "inputs"
GIVEN: Final = [SHARED / f"{name}.json" for name in TANGLES if (SHARED / f"{name}.json").exists()]


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(read_book(read_folder(POLICIES)))


def roster_of(document: dict[str, Any]) -> Roster:
    return Roster.as_known(read_members(json.dumps(document).encode(), "members.json"))


def company(name: str, country: str) -> dict[str, object]:
    return {"id": name, "incorporated": country, "headquarters": country, "sector": "other", "reseller": False}


def ask(judge: Judge, roster: Roster, name: str) -> Decision:
    request = request_of(
        {
            "subject": {"type": "organisation", "id": name},
            "model": "opus-4.6",
            "action": "infer",
            "place": {"country": "US"},
        }
    )
    return decided(judge, roster, request, replace(Caller(id="test", gateway="main"), explain=True), AT)


def codes(answered: Decision) -> set[str]:
    return {code for finding in answered.verdict.findings for code in finding.codes}


def solutions(roster: Roster) -> list[Solution]:
    return [held[1] for held in roster.memo.values() if isinstance(held, tuple) and isinstance(held[1], Solution)]


def generated(name: str) -> dict[str, Any]:
    shares = tangle(name)
    return {
        "organisations": [*(company(one, "US") for one in shares), company("fund", "CN")],
        "ownership": [
            {"owner": holding.owner, "owned": owned, "percent": str(holding.percent)}
            for owned, held in shares.items()
            for holding in held
        ],
    }


@pytest.mark.parametrize("name", TANGLES)
def test_a_tangle_is_decided_within_its_bound_and_solved_once_for_all_its_members(judge: Judge, name: str) -> None:
    roster = roster_of(generated(name))
    assert ask(judge, roster, f"{name}-7").verdict.allowed
    solved = solutions(roster)
    assert sum(one.work for one in solved) < 2 * LIMITS.work
    assert ask(judge, roster, f"{name}-8").verdict.allowed
    assert codes(ask(judge, roster, f"{name}-0")) >= {"COMMODITY_OK", "OWNERSHIP_MINORITY_FLAG"}
    assert list(map(id, solutions(roster))) == list(map(id, solved))


@pytest.mark.parametrize("path", GIVEN, ids=lambda path: path.stem)
def test_the_given_tangles_are_decided_within_their_bound(judge: Judge, path: Path) -> None:
    document = json.loads(path.read_text())
    roster = roster_of(document)
    members = [one["id"] for one in document["organisations"] if one["headquarters"] != "CN"]
    for name in (members[0], members[7], members[-1]):
        answered = ask(judge, roster, name)
        assert answered.verdict.allowed
        assert "OWNERSHIP_MINORITY_FLAG" in codes(answered)
    assert all(one.work < LIMITS.work for one in solutions(roster))


def closed(*, size: int, outside: str) -> dict[str, Any]:
    """Companies of which nearly all is held by each other; a seventh of them is held by a fund for what is left."""
    dice = random.Random(1)
    names = [f"c{place:03}" for place in range(size)]
    shares: list[dict[str, object]] = []
    for place, owned in enumerate(names):
        owners = dice.sample([one for one in names if one != owned], 9)
        shares += [{"owner": owner, "owned": owned, "percent": "11.1"} for owner in owners]
        if place % 7 == 0:
            shares.append({"owner": "fund", "owned": owned, "percent": outside})
    return {
        "organisations": [*(company(one, "DE") for one in names), company("fund", "CN")],
        "ownership": shares,
    }


def test_what_cannot_be_told_within_the_bound_is_denied_and_held_and_named(judge: Judge) -> None:
    """The values are 0.14 and far from half; that takes more sweeps than the bound allows."""
    roster = roster_of(closed(size=300, outside="0.1"))
    answered = ask(judge, roster, "c005")
    assert not answered.verdict.allowed
    assert answered.verdict.hold
    assert "OWNERSHIP_UNRESOLVED" in codes(answered)
    assert answered.verdict.missing == ("ownership.tangle:c000",)
    assert sum(one.work for one in solutions(roster)) < 3 * LIMITS.work


def test_an_answer_does_not_depend_on_who_was_asked_about_before(judge: Judge) -> None:
    document = generated("core-120")
    used = roster_of(document)
    for place in range(0, 120, 9):
        ask(judge, used, f"core-120-{place}")
    for place in (0, 1, 7, 60):
        fresh = ask(judge, roster_of(document), f"core-120-{place}")
        assert ask(judge, used, f"core-120-{place}").verdict == fresh.verdict


# --- shares that are ranges -------------------------------------------------------------------------------------------


def banded(percent: object) -> Roster:
    return roster_of(
        {
            "organisations": [company("a", "DE"), company("cn", "CN")],
            "ownership": [{"owner": "cn", "owned": "a", "percent": percent}],
        }
    )


def test_a_register_band_up_to_half_is_allowed_where_an_unknown_share_is_not(judge: Judge) -> None:
    band = ask(judge, banded({"minimum": "25", "maximum": "50"}), "a")
    assert (band.verdict.allowed, band.verdict.missing) == (True, ())
    assert "OWNERSHIP_MINORITY_FLAG" in codes(band)
    unknown = ask(judge, banded(None), "a")
    assert not unknown.verdict.allowed
    assert unknown.verdict.missing == ("ownership.share:cn>a",)


def test_a_range_that_could_be_more_than_half_asks_for_the_share_and_supposes_no_less_than_its_least(
    judge: Judge,
) -> None:
    open_above = ask(judge, banded({"minimum": "25", "maximum": "75"}), "a")
    assert not open_above.verdict.allowed
    assert open_above.verdict.missing == ("ownership.share:cn>a",)
    assert {remedy.change.kind.value for remedy in open_above.remedies} >= {"fact"}
    sure = ask(judge, banded({"minimum": "50.01"}), "a")
    assert (sure.verdict.allowed, sure.verdict.missing) == (False, ())
    assert "fact" not in {remedy.change.kind.value for remedy in sure.remedies}
