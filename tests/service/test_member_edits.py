"""Changes of single rows: what is recorded for each, what is refused, and what is told afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from policy_engine.domain.in_force import true_at
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.roster import Roster, RosterRows
from policy_engine.formats.membership_writer import write_members
from policy_engine.policy.names import names_read
from policy_engine.render.members_text import state_after, told_about
from policy_engine.service.administration.member_edits import Edit, EditFault
from policy_engine.service.administration.roster import (
    RosterChange,
    edit_members,
    export_members,
    import_members,
    rows_about,
)
from policy_engine.shapes.members import EditAction
from policy_engine.store import migrate
from policy_engine.store.database import open_database
from policy_engine.store.members import Members
from tests.conftest import POLICIES, shipped

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
NAMES = names_read(shipped())
ROSTER = (POLICIES / "demo" / "roster.yaml").read_bytes()


@pytest.fixture
def members(tmp_path: Path) -> Members:
    engine = open_database(f"sqlite:///{tmp_path / 'm.db'}")
    migrate.upgrade(engine)
    held = Members(engine)
    import_members(held, ROSTER, "roster.yaml", names=NAMES, actor="officer", reason="set-up", at=AT)
    return held


def edited(members: Members, action: str, kind: str, *name: str, hours: int = 1, **more: object) -> RosterChange:
    instants = {key: parse_instant(str(value)) for key, value in more.items() if key in ("at", "begins") and value}
    changes = tuple(more.get("changes", ()))  # type: ignore[arg-type,var-annotated]  # pairs of texts
    edit = Edit(action=EditAction(action), kind=kind, name=name, changes=changes, **instants)
    at = AT + timedelta(hours=hours)
    return edit_members(
        members, edit, names=NAMES, actor="officer", reason="test", at=at, dry_run=bool(more.get("dry_run"))
    )


def known(members: Members) -> Roster:
    return Roster.as_known(members.snapshot().rows)


def statuses(members: Members, at: str) -> list[str]:
    rows = known(members).memberships["harbor-cyber"]
    return [row.status.value for row in rows if row.valid.holds(parse_instant(at))]


def about(members: Members, name: str, known_at: datetime | None = None) -> RosterRows:
    rows = rows_about(members, name, known_at=known_at)
    assert rows is not None
    return rows


def shown(members: Members, name: str, known_at: datetime | None = None) -> str:
    return write_members(about(members, name, known_at), unknown=True)


def state(change: RosterChange) -> list[str]:
    return state_after(change.after, change.new)


MEMBER = ("membership", "harbor-cyber", "glasswing")


def test_a_member_is_suspended_and_resumed_and_the_state_is_told(members: Members) -> None:
    suspended = edited(members, "suspend", *MEMBER, at="2026-11-30")
    resumed = edited(members, "resume", *MEMBER, at="2026-12-05", hours=2)

    assert state(suspended) == [
        "harbor-cyber in glasswing: active 2026-04-07 to 2026-11-30, suspended from 2026-11-30;"
        " 3 accounts and 3 people are affected",
    ]
    assert "suspended 2026-11-30 to 2026-12-05, active from 2026-12-05" in state(resumed)[0]
    assert [statuses(members, day) for day in ("2026-11-29", "2026-11-30", "2026-12-04", "2026-12-05")] == [
        ["active"],
        ["suspended"],
        ["suspended"],
        ["active"],
    ]


def test_a_suspension_from_the_very_begin_replaces_the_row(members: Members) -> None:
    edited(members, "suspend", *MEMBER, at="2026-04-07")

    assert statuses(members, "2026-06-01") == ["suspended"]


def test_a_dry_run_tells_the_state_and_records_nothing(members: Members) -> None:
    change = edited(members, "suspend", *MEMBER, at="2026-11-30", dry_run=True)

    assert "suspended from 2026-11-30" in state(change)[0]
    assert change.sentence() == "nothing was recorded; it would be revision 2"
    assert statuses(members, "2026-12-01") == ["active"]


def test_a_row_ends_and_no_second_time(members: Members) -> None:
    edited(members, "end", *MEMBER, at="2026-11-30")

    assert statuses(members, "2026-11-30") == []
    with pytest.raises(EditFault, match="has ended by 2026-12-01"):
        edited(members, "end", *MEMBER, at="2026-12-01", hours=2)


def test_a_retracted_row_was_never_true_and_is_known_as_ever_before(members: Members) -> None:
    change = edited(members, "retract", "citizenship", "carol", "US")

    assert state(change) == ["citizenship carol US: not on file"]
    assert known(members).people["carol"].citizenships == ()
    assert "citizenships: []" in shown(members, "carol")
    assert "citizenships: [{country: US" in shown(members, "carol", known_at=AT)
    assert "known, none: citizenships of carol" in told_about(about(members, "carol"), AT)


def test_a_corrected_row_says_the_right_and_no_longer_the_wrong(members: Members) -> None:
    edited(members, "correct", "citizenship", "carol", "US", changes=(("country", "CA"),))
    edited(members, "correct", *MEMBER, changes=(("seats", "40"),), hours=2)

    assert [row.country for row in known(members).people["carol"].citizenships or ()] == ["CA"]
    assert [row.seats for row in known(members).memberships["harbor-cyber"]] == [40]


@pytest.mark.parametrize(
    ("action", "kind", "name", "at", "message"),
    [
        ("suspend", "membership", ("harbor-cybr", "glasswing"), "2026-12-01", "did you mean `harbor-cyber`"),
        ("suspend", "membership", ("harbor-cyber", "glaswing"), "2026-12-01", "did you mean `glasswing`"),
        ("suspend", "membership", ("harbor-cyber", "glasswing"), "2020-01-01", "is not a member at 2020-01-01"),
        ("resume", "membership", ("harbor-cyber", "glasswing"), "2026-12-01", "is active at 2026-12-01.* already"),
        ("suspend", "employment", ("carol", "harbor-cyber"), "2026-12-01", "only a membership can be suspended"),
        ("end", "membershp", ("harbor-cyber",), "2026-12-01", "did you mean `membership`"),
        ("end", "membership", ("harbor-cyber",), "2026-04-07", "begins at 2026-04-07.* retract it"),
        ("end", "person", ("carol",), "2026-12-01", "rows have no interval"),
        ("retract", "organisation", ("harbor-cyber",), None, "is named by .*employment row"),
        ("correct", "membership", ("harbor-cyber", "glasswing"), None, "--set FIELD=VALUE"),
    ],
)
def test_what_cannot_be_done_is_told_and_nothing_is_recorded(
    members: Members, action: str, kind: str, name: tuple[str, ...], at: str | None, message: str
) -> None:
    before = export_members(members)

    with pytest.raises(EditFault, match=message):
        edited(members, action, kind, *name, at=at)

    assert export_members(members) == before


def test_a_person_whom_a_share_a_listing_or_an_authorisation_names_is_not_retracted(members: Members) -> None:
    file = b"""people: [{id: new}]
ownership: [{owner: "person:new", owned: harbor-cyber}]
listings: [{party: "person:new", list: EL, status: potential}]
authorisations: [{id: P-1, regime: us-ear, kind: licence, holder: harbor-cyber, models: [mythos-5], actions: [infer],
                  persons: [new]}]
"""
    import_members(members, file, "new.yaml", names=NAMES, actor="o", reason="r", at=AT + timedelta(hours=1))

    with pytest.raises(
        EditFault, match="is named by 1 ownership row, 1 authorisation row, 1 listing row on file; retract or end those"
    ):
        edited(members, "retract", "person", "new", hours=2)


def test_importing_a_file_twice_says_that_nothing_is_new(members: Members) -> None:
    again = import_members(
        members, ROSTER, "roster.yaml", names=NAMES, actor="officer", reason="again", at=AT + timedelta(hours=1)
    )

    assert again.sentence() == "nothing new: what is on file at revision 1 says so already"
    exported = export_members(members).encode()
    assert (
        import_members(members, exported, "x", names=NAMES, actor="o", reason="r", at=AT + timedelta(hours=2)).added
        == 0
    )


def test_what_is_shown_tells_unknown_from_known_none_and_what_is_true_at_an_instant(members: Members) -> None:
    file = b"people: [{id: new, citizenships: [{country: FR, to: 2026-01-01}], permanent_residencies: []}]"
    import_members(members, file, "new.yaml", names=NAMES, actor="o", reason="r", at=AT + timedelta(hours=1))
    rows = about(members, "new")

    assert told_about(rows, AT) == [
        "on file: person new",
        "unknown: employments of new, which nobody filed",
        "unknown: us_status of new, which nobody filed",
        "known, none: permanent_residencies of new",
        "ended: citizenship of new {country: FR, from: null, to: 2026-01-01T00:00:00.000000Z}",
    ]
    assert "employments: null, us_status: null" in shown(members, "new")
    assert true_at(rows, AT).citizenships == ()
    assert len(true_at(rows, datetime(2025, 1, 1, tzinfo=UTC)).citizenships) == 1
    assert rows_about(members, "new", known_at=AT) is None


def test_an_organisation_is_shown_with_its_members_people_and_their_whole_lists(members: Members) -> None:
    edited(members, "suspend", *MEMBER, at="2026-11-30")
    lines = told_about(about(members, "harbor-cyber"), AT)

    assert "membership: harbor-cyber in glasswing: active 2026-04-07 to 2026-11-30, suspended from 2026-11-30" in lines
    assert any(line.startswith("in force: citizenship of carol {country: US") for line in lines)
    assert not any(line.startswith("known, none: citizenships of carol") for line in lines)


@pytest.mark.parametrize(
    ("action", "left"), [("suspend", ["suspended"]), ("end", [])], ids=["a suspension", "the end of a membership"]
)
def test_what_narrows_is_so_from_now_on_where_no_instant_is_said(
    members: Members, action: str, left: list[str]
) -> None:
    change = edited(members, action, "membership", "harbor-cyber", "glasswing", hours=1)

    assert "2026-11-30T13:00:00Z" in " ".join(state(change))
    assert statuses(members, "2026-11-30T12:59:59Z") == ["active"]
    assert statuses(members, "2026-11-30T13:00:00Z") == left


def test_what_widens_says_from_when_on(members: Members) -> None:
    edited(members, "suspend", "membership", "harbor-cyber", "glasswing", hours=1)

    with pytest.raises(EditFault, match="`resume` needs the instant: --from T"):
        edited(members, "resume", "membership", "harbor-cyber", "glasswing", hours=2)


def test_an_instant_with_microseconds_is_told_as_it_can_be_written_again(members: Members) -> None:
    change = edited(members, "suspend", "membership", "harbor-cyber", "glasswing", at="2026-11-30T13:00:00.25Z")

    assert any("suspended from 2026-11-30T13:00:00.250000Z" in line for line in state(change))
