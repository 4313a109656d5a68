"""What is called narrow never turns a deny into an allow; what may widen is named; feeds keep to their kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import pytest

from policy_engine.domain.instants import Validity
from policy_engine.domain.narrowing import FEEDS, new_rows, not_of_feed, widenings
from policy_engine.domain.roster import (
    Account,
    AccountKind,
    Authorisation,
    AuthorisationKind,
    Citizenship,
    Listing,
    ListingStatus,
    Membership,
    MembershipStatus,
    PersonEntry,
    Roster,
    RosterRows,
    Statement,
    StatementKind,
)
from policy_engine.formats.roster_rows import ROW_TYPES, each_row
from policy_engine.policy.judge import Judge
from tests.concluding import decided
from tests.laws import book_of
from tests.worlds import Read, friendly_world, world

T0 = datetime(2026, 1, 1, tzinfo=UTC)
T1, T2 = T0 + timedelta(days=100), T0 + timedelta(days=200)
LONG, SHORT = Validity(start=T0, end=T2), Validity(start=T0, end=T1)
ACTIVE = Membership(organisation="o", consortium="c", status=MembershipStatus.ACTIVE, valid=LONG)
SUSPENDED = replace(ACTIVE, status=MembershipStatus.SUSPENDED)
PAPER = Authorisation(
    id="L",
    regime="us-ear",
    kind=AuthorisationKind.LICENCE,
    holder="o",
    models=("m",),
    actions=("infer",),
    named_users=1,
    valid=LONG,
)
LISTED = Listing(
    party="o",
    list="EL",
    entry="e",
    entry_version="1",
    reference=None,
    status=ListingStatus.POTENTIAL,
    valid=LONG,
)
UVL = Statement(organisation="o", kind=StatementKind.UVL, valid=LONG)


def _rows(*rows: Any) -> RosterRows:
    return RosterRows(
        memberships=tuple(row for row in rows if isinstance(row, Membership)),
        authorisations=tuple(row for row in rows if isinstance(row, Authorisation)),
        listings=tuple(row for row in rows if isinstance(row, Listing)),
        statements=tuple(row for row in rows if isinstance(row, Statement)),
    )


@pytest.mark.parametrize(
    ("before", "row"),
    [
        ((ACTIVE,), SUSPENDED),
        ((), SUSPENDED),
        ((ACTIVE,), replace(ACTIVE, valid=SHORT)),
        ((replace(SUSPENDED, valid=SHORT),), SUSPENDED),
        ((ACTIVE,), replace(ACTIVE, retracted=True)),
        ((PAPER,), replace(PAPER, valid=SHORT)),
        ((PAPER,), replace(PAPER, retracted=True)),
        ((), LISTED),
        ((LISTED,), replace(LISTED, status=ListingStatus.CONFIRMED)),
        ((UVL,), replace(UVL, valid=SHORT)),
    ],
)
def test_what_only_narrows_needs_one_person(before: tuple[Any, ...], row: Any) -> None:
    assert widenings(_rows(*before), _rows(row)) == ()


@pytest.mark.parametrize(
    ("before", "row", "why"),
    [
        ((), ACTIVE, "a member"),
        ((SUSPENDED,), ACTIVE, "a member"),
        ((replace(ACTIVE, valid=SHORT),), ACTIVE, "prolongs"),
        ((SUSPENDED,), replace(SUSPENDED, valid=SHORT), "shortens a suspension"),
        ((SUSPENDED,), replace(SUSPENDED, retracted=True), "takes back a suspension"),
        ((), PAPER, "new authorisation"),
        ((replace(PAPER, valid=SHORT),), PAPER, "prolongs"),
        ((PAPER, replace(PAPER, named_users=50)), replace(PAPER, retracted=True), "another authorisation"),
        ((PAPER, replace(PAPER, named_users=50)), replace(PAPER, valid=SHORT), "another authorisation"),
        ((LISTED,), replace(LISTED, valid=SHORT), "says more"),
        ((replace(LISTED, status=ListingStatus.CONFIRMED),), LISTED, "says more"),
        ((), replace(LISTED, status=ListingStatus.CLEARED, cleared_version="1"), "clears"),
        ((LISTED,), replace(LISTED, retracted=True), "takes back a listing"),
        ((), UVL, "new statement"),
        ((), replace(UVL, kind=StatementKind.MOFCOM_ORDER), "either way"),
    ],
)
def test_what_may_widen_is_named_with_why(before: tuple[Any, ...], row: Any, why: str) -> None:
    (found,) = widenings(_rows(*before), _rows(row))
    assert (found.row, why in found.why) == (row, True), found.why


def test_rows_that_are_on_file_are_not_new() -> None:
    before = _rows(replace(ACTIVE, recorded_at=T0), replace(SUSPENDED, recorded_at=T1))
    assert new_rows(before, _rows(SUSPENDED)) == _rows()
    assert new_rows(before, _rows(ACTIVE)) == _rows(ACTIVE)


def test_a_feed_keeps_to_its_kinds_and_files_no_list_of_another() -> None:
    account = Account(id="a", kind=AccountKind.ACCOUNT, organisation="o")
    entry = PersonEntry(id="p", citizenships_filed=True)
    rows = RosterRows(
        people=(entry,),
        accounts=(account,),
        citizenships=(Citizenship(person="p", country="US"),),
        memberships=(ACTIVE,),
    )
    assert not_of_feed(_rows(), rows, frozenset({"people", "accounts"})) == (entry, rows.citizenships[0], ACTIVE)
    assert not_of_feed(_rows(), rows, frozenset({"people", "accounts", "citizenships"})) == (ACTIVE,)
    on_file = RosterRows(people=(entry,))
    assert not_of_feed(on_file, RosterRows(people=(entry,)), frozenset({"people"})) == ()
    assert not {"memberships", "authorisations", "statements", "listings"} & set(FEEDS)


def _edits(random: Random, rows: RosterRows, at: datetime) -> RosterRows:
    """Edits of memberships, papers, listings and statements, of which some narrow."""
    ends = [at - timedelta(days=1), at, at + timedelta(days=30), None]

    def shortened(row: Any) -> Any:
        end = random.choice(ends)
        if end is not None and row.valid.start is not None and end <= row.valid.start:
            return replace(row, retracted=True)
        return replace(row, valid=Validity(start=row.valid.start, end=end))

    def edited(row: Any) -> Any:
        choice = random.random()
        if choice < 0.3:
            return replace(row, retracted=True)
        if choice < 0.6 and isinstance(row, Membership):
            return replace(row, status=random.choice(list(MembershipStatus)))
        if choice < 0.6 and isinstance(row, Listing):
            return replace(row, status=random.choice(list(ListingStatus)), cleared_version=row.entry_version)
        return shortened(row)

    found = [
        edited(row)
        for row in (*rows.memberships, *rows.authorisations, *rows.listings, *rows.statements)
        if random.random() < 0.6
    ]
    for organisation in rows.organisations:
        if random.random() < 0.2:
            found.append(replace(LISTED, party=organisation.id, valid=Validity()))
        if random.random() < 0.2:
            found.append(
                Membership(organisation=organisation.id, consortium="glasswing", status=MembershipStatus.SUSPENDED)
            )
    return _rows(*found)


def test_no_change_that_is_called_narrow_turns_a_deny_into_an_allow() -> None:
    random = Random(2026)
    narrowed = lost = 0
    for number in range(600):
        document = (friendly_world if number % 3 else world)(random)
        read = Read(document)
        edits = _edits(random, read.rows, read.at)
        # One row at a time, so that most of the changes are of one kind.
        narrow = [row for row in each_row(edits) if not widenings(read.rows, _rows(row))]
        if not narrow:
            continue
        judge = Judge(book_of(read))
        was = decided(judge, read.roster, read.request, read.caller, read.at).verdict
        for row in narrow:
            later = replace(row, recorded_at=read.at)
            after = Roster.as_known(
                replace(
                    read.rows,
                    **{
                        name: (*getattr(read.rows, name), *getattr(_rows(later), name))
                        for name in ("memberships", "authorisations", "listings", "statements")
                    },
                ),
                read.at,
            )
            now = decided(judge, after, read.request, read.caller, read.at).verdict
            assert was.allowed or not now.allowed, (row, now.reason)
            narrowed += 1
            lost += was.allowed and not now.allowed
    assert narrowed > 300
    assert lost > 10


_OF_A_KIND: Final[dict[str, Callable[[Roster], object]]] = {
    "organisations": lambda roster: roster.organisations,
    "ownership": lambda roster: roster.owners,
    "people": lambda roster: frozenset(roster.people),
    "employments": lambda roster: {one.id: one.employments for one in roster.people.values()},
    "us_status": lambda roster: {one.id: one.us_statuses for one in roster.people.values()},
    "citizenships": lambda roster: {one.id: one.citizenships for one in roster.people.values()},
    "permanent_residencies": lambda roster: {one.id: one.permanent_residencies for one in roster.people.values()},
    "accounts": lambda roster: roster.accounts,
    "clusters": lambda roster: roster.clusters,
    "no feed": lambda roster: (
        roster.consortia,
        roster.memberships,
        roster.authorisations,
        roster.authorisations_by_id,
        roster.draws,
        roster.listings,
        roster.statements,
    ),
}
"""What is known of each kind of rows; the facts of one kind are told apart by nobody but a change of them."""


def _differs(kind: str, before: Roster, after: Roster) -> bool:
    was, now = _OF_A_KIND[kind](before), _OF_A_KIND[kind](after)
    if isinstance(was, dict) and isinstance(now, dict) and kind not in ("organisations", "accounts"):
        # A person or a company of whom nothing is known of this kind is as good as none.
        return {name: value for name, value in was.items() if value} != {
            name: value for name, value in now.items() if value
        } or any(now.get(name) != value for name, value in was.items() if name in now)
    return was != now


def _feed_row(random: Random, rows: RosterRows) -> Any:
    """A row of any kind: one on file, changed or taken back, or one of somebody new."""
    everything: list[Any] = list(each_row(rows))
    row = random.choice(everything)
    choice = random.random()
    if isinstance(row, PersonEntry):
        flags: dict[str, Any] = {name: random.random() < 0.5 for name in _FLAGS}
        return replace(row, id=row.id if choice < 0.7 else "somebody-new", **flags)
    if choice < 0.3:
        return replace(row, retracted=True)
    if hasattr(row, "valid") and choice < 0.6:
        return replace(row, valid=Validity(start=row.valid.start, end=T2))
    if hasattr(row, "id"):
        return replace(row, id="somebody-new")
    return row


def _with(rows: RosterRows, row: Any) -> RosterRows:
    name = next(name for name, kind in ROW_TYPES.items() if type(row) is kind)
    return replace(rows, **{name: (*getattr(rows, name), replace(row, recorded_at=_LATER))})


_FLAGS: Final = ("employments_filed", "us_status_filed", "citizenships_filed", "permanent_residencies_filed")
_LATER: Final = datetime(2040, 1, 1, tzinfo=UTC)


def test_what_a_feed_may_record_changes_nothing_of_a_kind_that_it_has_not() -> None:
    """The obvious other definition: everything that is known of every other kind, before and after."""
    random = Random(11)
    taken = refused = changed = 0
    for number in range(300):
        read = Read((friendly_world if number % 2 else world)(random))
        before = Roster.as_known(read.rows)
        for _ in range(8):
            row = _feed_row(random, read.rows)
            after = Roster.as_known(_with(read.rows, row))
            touched = {kind for kind in _OF_A_KIND if _differs(kind, before, after)}
            feed = frozenset(random.sample(sorted(FEEDS), random.randint(1, len(FEEDS))))
            if not_of_feed(read.rows, RosterRows(**_only(row)), feed):
                refused += 1
                continue
            assert touched <= feed, (row, touched, feed)
            taken += 1
            changed += bool(touched)
    assert min(taken, refused, changed) > 100


def _only(row: Any) -> dict[str, tuple[Any, ...]]:
    return {name: (row,) for name, kind in ROW_TYPES.items() if type(row) is kind}
