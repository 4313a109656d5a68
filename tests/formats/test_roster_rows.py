"""Rows in canonical form: what a revision's digest was taken of stays what it was, and reads back whole."""

from __future__ import annotations

import pytest
from hypothesis import given

from policy_engine.domain.instants import Validity
from policy_engine.domain.roster import Authorisation, AuthorisationKind, Membership, MembershipStatus, RosterRows
from policy_engine.formats.membership_writer import row_text
from policy_engine.formats.roster_rows import RowsFault, decode_rows, each_row, encode_rows
from tests.formats.rosters import rosters
from tests.store.samples import AT, FULL

MEMBER = Membership(
    organisation="alder-bank", consortium="glasswing", status=MembershipStatus.ACTIVE, valid=Validity(start=AT)
)
PAPER = Authorisation(
    id="D-1",
    regime="us-ear",
    kind=AuthorisationKind.LICENCE,
    holder="alder-bank",
    models=("mythos-5",),
    actions=("release",),
    named_users=2,
    recorded_at=AT,
)


def test_a_row_of_earlier_releases_keeps_the_bytes_of_which_its_revision_has_the_digest() -> None:
    rows = RosterRows(memberships=(MEMBER,), authorisations=(PAPER,))
    assert encode_rows(rows) == (
        b'["memberships",{"organisation":"alder-bank","consortium":"glasswing","status":"active",'
        b'"valid":{"start":"2026-06-20T15:00:00.123456Z","end":null},"recorded_at":null}]\n'
        b'["authorisations",{"id":"D-1","regime":"us-ear","kind":"licence","holder":"alder-bank",'
        b'"models":["mythos-5"],"actions":["release"],"countries":null,"named_users":2,"conditions":[],'
        b'"valid":{"start":null,"end":null},"recorded_at":"2026-06-20T15:00:00.123456Z"}]\n'
    )


@pytest.mark.slow
@given(rosters())
def test_any_roster_reads_back_from_its_canonical_form(rows: RosterRows) -> None:
    assert decode_rows(encode_rows(rows)) == rows


@pytest.mark.parametrize("data", [b"{}", b'["members",{}]', b'["memberships",{"organisation":1}]', b"\xff"])
def test_what_is_no_canonical_form_is_refused(data: bytes) -> None:
    with pytest.raises(RowsFault):
        decode_rows(data)


def test_a_row_of_every_kind_is_told_on_one_line() -> None:
    told = [row_text(row) for row in each_row(FULL)]
    assert len(told) == sum(1 for _ in each_row(FULL))
    assert all("\n" not in line for line in told)
    assert row_text(MEMBER) == (
        "membership {organisation: alder-bank, consortium: glasswing, from: 2026-06-20T15:00:00.123456Z, to: null,"
        " status: active}"
    )
    assert any(line.startswith("citizenship of alice {country: CN") for line in told)
