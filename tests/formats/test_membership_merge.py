"""An import says nothing about what it leaves out; null is unknown from then on; an empty list is known: none."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from policy_engine.domain.roster import Roster, RosterRows
from policy_engine.formats.faults import FaultsError
from policy_engine.formats.membership_file import NO_ROWS, read_members, write_members

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)

FIRST = """
organisations: [{id: a, name: A, headquarters: DE, incorporated: DE, sector: other, reseller: false}]
people:
  - {id: kim, employments: [{organisation: a, kind: employee, from: 2020-01-01, to: 2030-01-01}],
     us_status: [{kind: none}], citizenships: [{country: KR}, {country: CN}], permanent_residencies: []}
consortia: [{id: c, name: C}]
accounts: [{id: k, kind: account, organisation: a, person: kim, gateway: main, from: 2026-01-01, to: 2027-01-01}]
memberships: [{organisation: a, consortium: c, from: 2026-01-01, to: 2026-12-01, status: active, seats: 5}]
authorisations:
  - {id: D, regime: us-ear, kind: licence, holder: a, models: [m], actions: [release], countries: [KR],
     cap: {named_users: 3}, persons: [kim], from: 2026-01-01, to: 2027-01-01}
"""


def dated(rows: RosterRows, at: datetime) -> RosterRows:
    kinds: dict[str, Any] = {}
    for kind in fields(RosterRows):
        kinds[kind.name] = tuple(
            row if row.recorded_at else replace(row, recorded_at=at) for row in getattr(rows, kind.name)
        )
    return RosterRows(**kinds)


def imported(*texts: str) -> RosterRows:
    """The files one after another, as an import records them."""
    on_file = NO_ROWS
    for number, text in enumerate(texts):
        new = dated(read_members(text.encode(), "file.yaml", on_file), NOON + timedelta(hours=number))
        both: dict[str, Any] = {
            kind.name: (*getattr(on_file, kind.name), *getattr(new, kind.name)) for kind in fields(RosterRows)
        }
        on_file = RosterRows(**both)
    return on_file


def known(*texts: str) -> Roster:
    return Roster.as_known(imported(*texts))


def test_a_person_with_citizenships_only_keeps_employment_and_us_status() -> None:
    kim = known(FIRST, "people: [{id: kim, citizenships: [{country: FR}]}]").people["kim"]

    assert kim.employments is not None
    assert [row.organisation for row in kim.employments] == ["a"]
    assert kim.us_statuses is not None
    assert kim.permanent_residencies == ()
    assert {row.country for row in kim.citizenships or ()} == {"KR", "CN", "FR"}


def test_a_list_that_is_null_is_unknown_from_then_on_and_as_ever_before() -> None:
    rows = imported(FIRST, "people: [{id: kim, citizenships: null}]")

    assert Roster.as_known(rows).people["kim"].citizenships is None
    assert Roster.as_known(rows).people["kim"].us_statuses is not None
    assert len(Roster.as_known(rows, NOON).people["kim"].citizenships or ()) == 2


def test_an_empty_list_is_known_to_be_empty_from_then_on() -> None:
    rows = imported(FIRST, "people: [{id: kim, citizenships: []}]")

    assert Roster.as_known(rows).people["kim"].citizenships == ()
    assert len(Roster.as_known(rows, NOON).people["kim"].citizenships or ()) == 2


def test_for_a_new_id_what_is_absent_is_unknown() -> None:
    kim = known("people: [{id: kim}]").people["kim"]

    assert (kim.employments, kim.citizenships) == (None, None)


def test_an_organisation_an_account_and_a_consortium_keep_what_is_left_out() -> None:
    roster = known(
        FIRST,
        "organisations: [{id: a, sector: null}]\nconsortia: [{id: c}]\n"
        "accounts: [{id: k, kind: service, organisation: a}]",
    )

    organisation, account = roster.organisations["a"], roster.accounts["k"]
    assert (organisation.headquarters, organisation.name, organisation.sector) == ("DE", "A", None)
    assert (account.kind, account.person, account.gateway) == ("service", "kim", "main")
    assert account.valid.end == datetime(2027, 1, 1, tzinfo=UTC)
    assert roster.consortia["c"].name == "C"


def test_a_row_that_leaves_out_its_end_does_not_open_again_and_one_that_says_null_does() -> None:
    repeated = "memberships: [{organisation: a, consortium: c, from: 2026-01-01, status: active%s}]"

    (held,) = known(FIRST, repeated % "").memberships["a"]
    (opened,) = known(FIRST, repeated % ", to: null, seats: null").memberships["a"]

    assert (held.valid.end, held.seats) == (datetime(2026, 12, 1, tzinfo=UTC), 5)
    assert (opened.valid.end, opened.seats) == (None, None)


def test_what_an_authorisation_leaves_out_never_makes_it_wider() -> None:
    renewed = "authorisations: [{id: D, regime: us-ear, kind: licence, holder: a, models: [m], actions: [release]%s}]"

    (same,) = known(FIRST, renewed % "").authorisations_by_id["D"]
    both = known(FIRST, renewed % ", from: 2027-01-01").authorisations_by_id["D"]
    _, later = sorted(both, key=lambda row: row.valid.start or NOON)

    assert (same.countries, same.named_users, same.persons) == (("KR",), 3, ("kim",))
    assert (later.countries, later.named_users, later.persons, later.valid.end) == (("KR",), 3, ("kim",), None)


def test_an_account_that_would_end_before_it_begins_is_a_fault() -> None:
    with pytest.raises(FaultsError, match="the row on file ends at 2027-01-01"):
        imported(FIRST, "accounts: [{id: k, kind: account, organisation: a, from: 2028-01-01}]")


def test_the_history_comes_back_from_its_export() -> None:
    rows = imported(FIRST, "people: [{id: kim, citizenships: null}]", "people: [{id: kim, us_status: []}]")
    exported = write_members(rows)

    assert Roster.as_known(read_members(exported.encode(), "export")) == Roster.as_known(rows)
    assert write_members(read_members(exported.encode(), "export")) == exported
