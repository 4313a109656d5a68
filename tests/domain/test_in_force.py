"""Of several rows in force about one thing the one that allows least counts, for the judge as for the log."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations

from policy_engine.domain.in_force import authorisation_in_force, memberships_in_force
from policy_engine.domain.instants import Validity
from policy_engine.domain.request import Caller
from policy_engine.domain.roster import (
    Authorisation,
    AuthorisationKind,
    Draw,
    Membership,
    MembershipStatus,
    Roster,
    RosterRows,
)
from tests.concluding import decided
from tests.service.decisions import DEMO, SHIPPED, asking

AT = datetime(2026, 11, 20, tzinfo=UTC)
EARLY, LATE = Validity(start=datetime(2026, 4, 7, tzinfo=UTC)), Validity(start=datetime(2026, 11, 1, tzinfo=UTC))
SUSPENDED = Membership(
    organisation="harbor-cyber", consortium="glasswing", status=MembershipStatus.SUSPENDED, valid=LATE
)
ACTIVE = replace(SUSPENDED, status=MembershipStatus.ACTIVE, valid=EARLY)


def codes(rows: RosterRows, request: object, at: datetime = AT) -> tuple[str, ...]:
    told = decided(SHIPPED, Roster.as_known(rows), request, Caller(id="key", gateway="main"), at)  # type: ignore[arg-type]
    return tuple(sorted({code for one in told.verdict.findings if one.state.value == "deciding" for code in one.codes}))


def test_a_member_that_is_active_and_suspended_at_once_is_suspended() -> None:
    carol = asking("carol", "mythos-5", purpose="defensive_cybersecurity", place={"country": "US"})
    others = tuple(row for row in DEMO.memberships if row.organisation != "harbor-cyber")

    assert "MEMBER_ACTIVE" in codes(replace(DEMO, memberships=(*others, ACTIVE)), carol)
    for both in permutations((ACTIVE, SUSPENDED)):
        assert codes(replace(DEMO, memberships=(*others, *both)), carol) == ("MEMBERSHIP_SUSPENDED",)
        # Before the suspension begins the member is what it was.
        before = LATE.start - (AT - LATE.start) if LATE.start else AT
        assert "MEMBER_ACTIVE" in codes(replace(DEMO, memberships=(*others, *both)), carol, before)


def test_members_of_other_consortia_and_rows_of_other_times_do_not_meet() -> None:
    other = replace(SUSPENDED, consortium="other")
    over = replace(SUSPENDED, valid=Validity(end=AT))

    assert memberships_in_force((ACTIVE, other, over), AT) == [ACTIVE, other]


AUTHORISATION = Authorisation(
    id="D-9",
    regime="us-ear",
    kind=AuthorisationKind.LICENCE,
    holder="namhae-lab",
    models=("technology:4E001.a",),
    actions=("release",),
    countries=("KR",),
    named_users=3,
    valid=Validity(start=datetime(2026, 5, 1, tzinfo=UTC)),
)
LOWERED = replace(AUTHORISATION, named_users=2)
DRAWN = tuple(Draw(authorisation="D-9", person=person, at=AT) for person in ("ito", "kim"))


def test_of_two_rows_under_one_id_the_smaller_cap_counts() -> None:
    for rows in permutations((AUTHORISATION, LOWERED, replace(AUTHORISATION, named_users=None))):
        assert authorisation_in_force(rows, AT) == LOWERED


def released(*authorisations: Authorisation) -> tuple[str, ...]:
    rows = replace(DEMO, authorisations=authorisations, draws=DRAWN)
    return codes(rows, asking("bora", "technology:4E001.a", "release", place={"country": "KR"}))


def test_a_third_person_is_denied_by_the_code_of_the_cap_where_one_row_has_room_for_two() -> None:
    assert "LICENCE_REQUIRED" not in released(AUTHORISATION)
    assert "AUTHORISATION_CAP_EXHAUSTED" in released(AUTHORISATION, LOWERED)


def test_what_one_row_under_an_id_does_not_allow_another_does_not_allow_either() -> None:
    assert "LICENCE_REQUIRED" in released(AUTHORISATION, replace(AUTHORISATION, countries=("JP",)))
    assert "LICENCE_REQUIRED" in released(AUTHORISATION, replace(AUTHORISATION, holder="harbor-cyber"))
