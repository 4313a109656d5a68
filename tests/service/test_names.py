"""A record has ids: no name of a person in a membership file gets into one, and records that have one stay good."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any, Final

import msgspec
import pytest

from policy_engine.domain.facts import LATEST, Edition
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.request import Request
from policy_engine.domain.roster import Listing, ListingStatus, RosterRows, Stake
from policy_engine.formats.record_reader import read_record
from policy_engine.service.audit.replay import replay, replay_now
from tests.service.decisions import DEMO, SHIPPED, Archive, asking, demo, record_of

AT: Final = parse_instant("2026-11-20T12:00:00Z")
NAME: Final = "Canary, Zhang"
OF_A_FIRM: Final = "Canary Works Ltd."
LISTS: Final = ("EL", "UVL", "MEU", "SDN")
STATUSES: Final = (
    (ListingStatus.CONFIRMED, None),
    (ListingStatus.POTENTIAL, None),
    (ListingStatus.CLEARED, "7"),
    (ListingStatus.CLEARED, "6"),
)
PAT: Final = asking("pat", "opus-4.6", place={"country": "US"})


def listed(party: str, entry: str | None, code: str, status: ListingStatus, cleared: str | None) -> Listing:
    return Listing(
        party=party,
        list=code,
        entry=entry,
        entry_version="7",
        reference="90 FR 4617",
        status=status,
        cleared_version=cleared,
    )


def on_lists(*people: str) -> RosterRows:
    """The demonstration roster with these people on every list in every way, and names wherever the file has room."""
    listings = tuple(
        listed(f"person:{person}", NAME, code, status, cleared)
        for person, code, (status, cleared) in product(people, LISTS, STATUSES)
    )
    owners = tuple(
        Stake(owner=f"person:{people[0]}", owned=one.id, percent=None, evidence=NAME) for one in DEMO.organisations
    )
    return replace(
        DEMO,
        organisations=tuple(replace(one, name=NAME, aliases=(NAME,)) for one in DEMO.organisations),
        consortia=tuple(replace(one, name=NAME) for one in DEMO.consortia),
        stakes=owners,
        listings=listings,
    )


def entries(body: bytes) -> set[str]:
    """What is told of the entries of lists, in every finding."""
    found: dict[str, Any] = msgspec.json.decode(body)
    return {one for row in found["answer"]["findings"] for one in row["detail"].get("entries", ())}


PEOPLE: Final = tuple(person.id for person in DEMO.people)
ASKED: Final = [
    asking(subject, model, action, place={"country": "US"}, purpose=purpose, **more)
    for subject in (*PEOPLE, *(f"{account.kind}:{account.id}" for account in DEMO.accounts))
    for model, action in (("opus-4.6", "infer"), ("mythos-5", "release"), ("technology:4E001.a", "release"))
    for purpose, more in (
        ("military_end_use", {}),
        ("research", {"end_user": {"type": "person", "id": PEOPLE[-1]}, "destination": {"country": "CN"}}),
    )
]


@pytest.mark.parametrize("explain", [False, True])
def test_no_name_of_a_person_is_in_the_record_of_any_decision(explain: bool) -> None:
    roster = demo(rows=on_lists(*PEOPLE))
    told: set[str] = set()
    for request in ASKED if not explain else ASKED[::7]:
        caller = replace(read_record(record_of(SHIPPED, roster, PAT, AT)).caller, explain=explain)
        body = record_of(SHIPPED, roster, request, AT, caller=caller)
        assert NAME.encode() not in body
        told |= entries(body)
    assert told == {f"{code}: an entry for a person, version 7 (90 FR 4617)" for code in LISTS}


def test_the_entry_of_an_organisation_is_told_by_its_text() -> None:
    firm = next(employment.organisation for employment in DEMO.employments if employment.person == "pat")
    rows = replace(
        DEMO,
        listings=(
            listed(firm, OF_A_FIRM, "EL", ListingStatus.CONFIRMED, None),
            listed(firm, None, "UVL", ListingStatus.CONFIRMED, None),
        ),
    )
    assert entries(record_of(SHIPPED, demo(rows=rows), PAT, AT)) == {
        f"EL: {OF_A_FIRM} (90 FR 4617)",
        "UVL: entry not recorded (90 FR 4617)",
    }


def test_what_is_not_recorded_of_the_entry_of_a_person_is_said_to_be_so() -> None:
    bare = replace(listed("person:pat", NAME, "SDN", ListingStatus.CONFIRMED, None), entry_version=None, reference=None)
    body = record_of(SHIPPED, demo(rows=replace(DEMO, listings=(bare,))), PAT, AT)
    assert entries(body) == {"SDN: an entry for a person, version not recorded (no reference)"}


# --- records that were written with the name --------------------------------------------------------------------------


def both(request: Request = PAT, now: Edition = LATEST) -> tuple[bytes, bytes, Archive]:
    """The record of a listed person as it is written now, and as it was once, with the past of both."""
    roster = demo(rows=on_lists("pat"))
    later, before = (
        record_of(SHIPPED, roster, request, AT, edition=edition) for edition in (now, Edition.LISTED_NAMES)
    )
    return later, before, Archive(rosters={1: roster})


def test_a_record_that_has_the_name_is_made_again_to_the_same_bytes() -> None:
    now, before, past = both()
    assert f"SDN: {NAME} (90 FR 4617)" in entries(before)
    assert now != before
    for body in (now, before):
        replayed = replay(read_record(body), body, past)
        assert (replayed.same, replayed.body, replayed.differences) == (True, body, ())
        assert replay_now(read_record(body), body, past.rosters[1], SHIPPED).differences == ()


def test_of_a_record_that_has_the_name_only_what_differs_otherwise_is_a_difference() -> None:
    _, before, past = both()
    altered = before.replace(b'"on-file":"yes"', b'"on-file":"no"')
    replayed = replay(read_record(altered), altered, past)
    assert [one.path for one in replayed.differences] == ["$.facts[0].words.on-file"]
    misspelt = before.replace(NAME.encode(), b"Canary, Chang")
    paths = {one.path for one in replay(read_record(misspelt), misspelt, past).differences}
    assert paths
    assert all(path.endswith("detail.entries") for path in paths)


def test_both_ways_of_writing_differ_in_nothing_but_the_text_of_the_entry() -> None:
    now, before, _ = both(now=Edition.FIRST)
    for code in LISTS:
        before = before.replace(
            f"{code}: {NAME} (90 FR 4617)".encode(), f"{code}: an entry for a person, version 7 (90 FR 4617)".encode()
        )
    assert before == now
