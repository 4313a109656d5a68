from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given

from policy_engine.domain.instants import Validity
from policy_engine.domain.roster import (
    Account,
    AccountKind,
    Authorisation,
    AuthorisationKind,
    Citizenship,
    ClusterReading,
    Consortium,
    Credit,
    Draw,
    Employment,
    EmploymentKind,
    Listing,
    ListingStatus,
    Membership,
    MembershipStatus,
    Organisation,
    PersonEntry,
    Recorded,
    Roster,
    RosterRows,
    Sector,
    Stake,
    Statement,
    StatementKind,
    UsStatus,
    UsStatusKind,
)
from policy_engine.formats.documents import Mapping, Sequence, read_document
from policy_engine.formats.faults import Fault
from policy_engine.formats.membership_file import NO_ROWS, members_of, read_members, write_members
from tests.formats.rosters import KINDS, NAMED_BY_OTHERS, rosters

ROOT = Path(__file__).parents[2]
SHIPPED_ROSTER = ROOT / "policies" / "demo" / "roster.yaml"
EXAMPLES = sorted((ROOT.parent / "shared" / "cases").glob("*.yaml")) + sorted(
    (ROOT / "policies" / "cases").glob("*.yaml")
)

CONTRACT_EXAMPLE = """
organisations:
  - {id: alder-bank, name: "Alder Bank N.A.", kind: company, incorporated: US, headquarters: US, contract_country: US,
     sector: critical_infrastructure, reseller: false, identifiers: {lei: null}, aliases: []}
  - {id: cn-parent}
  - {id: sg-holdco}
  - {id: zhipu}
ownership:
  - {owner: cn-parent, owned: sg-holdco, percent: "51", from: 2020-01-01, to: null, evidence: null}   # a remark
  - {owner: "person:alice", owned: sg-holdco, percent: null}
people:
  - id: alice
    employments: [{organisation: alder-bank, kind: employee, from: 2021-05-01, to: null}]      # employee | contractor
    us_status: [{kind: none, from: 2021-05-01, to: null}]
    citizenships: [{country: CN, from: 1990-01-01, to: null}]
    permanent_residencies: []
accounts:
  - {id: key-17, kind: account, organisation: alder-bank, person: null, gateway: main, cluster: null}
consortia:
  - {id: glasswing, name: Project Glasswing}
memberships:
  - {organisation: alder-bank, consortium: glasswing, from: 2026-04-07T00:00:00Z, to: null, status: active}
authorisations:
  - {id: D-1, regime: us-ear, kind: licence, holder: alder-bank, models: [mythos-5], actions: [release],
     countries: null, from: 2026-05-01, to: 2030-05-01, cap: {named_users: 50}, conditions: []}
draws:
  - {authorisation: D-1, person: alice, at: 2026-05-02T10:00:00Z}
listings:
  - {party: zhipu, list: EL, entry: "Beijing Zhipu Huazhang Technology Co., Ltd.", entry_version: "2025-01-16",
     reference: "90 FR 4617", status: confirmed, cleared_version: null, from: 2025-01-16, to: null}
statements:
  - {organisation: alder-bank, kind: uvl, from: 2026-01-01, to: null}
clusters:
  - {id: c-9, shared: [payment, proxy_asn], accounts: 600, exchanges_24h: 410000, as_of: 2026-02-10T10:00:00Z}
"""


def read(text: str, existing: RosterRows = NO_ROWS) -> RosterRows:
    return read_members(text.encode("utf-8"), "roster.yaml", existing)


def day(year: int, month: int = 1, date: int = 1, hour: int = 0) -> datetime:
    return datetime(year, month, date, hour, tzinfo=UTC)


def counted(rows: RosterRows) -> dict[str, Counter[Recorded]]:
    return {one.name: Counter(getattr(rows, one.name)) for one in fields(rows)}


def test_the_example_of_the_contract_is_read_row_by_row() -> None:
    assert read(CONTRACT_EXAMPLE) == RosterRows(
        organisations=(
            Organisation(
                id="alder-bank",
                name="Alder Bank N.A.",
                kind="company",
                incorporated="US",
                headquarters="US",
                contract_country="US",
                sector=Sector.CRITICAL_INFRASTRUCTURE,
                reseller=False,
                identifiers=(("lei", None),),
                aliases=(),
            ),
            Organisation(id="cn-parent"),
            Organisation(id="sg-holdco"),
            Organisation(id="zhipu"),
        ),
        people=(
            PersonEntry(
                id="alice",
                employments_filed=True,
                us_status_filed=True,
                citizenships_filed=True,
                permanent_residencies_filed=True,
            ),
        ),
        employments=(
            Employment(
                person="alice",
                organisation="alder-bank",
                kind=EmploymentKind.EMPLOYEE,
                valid=Validity(start=day(2021, 5)),
            ),
        ),
        us_statuses=(UsStatus(person="alice", kind=UsStatusKind.NONE, valid=Validity(start=day(2021, 5))),),
        citizenships=(Citizenship(person="alice", country="CN", valid=Validity(start=day(1990))),),
        accounts=(Account(id="key-17", kind=AccountKind.ACCOUNT, organisation="alder-bank", gateway="main"),),
        consortia=(Consortium(id="glasswing", name="Project Glasswing"),),
        memberships=(
            Membership(
                organisation="alder-bank",
                consortium="glasswing",
                status=MembershipStatus.ACTIVE,
                valid=Validity(start=day(2026, 4, 7)),
            ),
        ),
        stakes=(
            Stake(owner="cn-parent", owned="sg-holdco", percent=Decimal(51), valid=Validity(start=day(2020))),
            Stake(owner="person:alice", owned="sg-holdco", percent=None),
        ),
        authorisations=(
            Authorisation(
                id="D-1",
                regime="us-ear",
                kind=AuthorisationKind.LICENCE,
                holder="alder-bank",
                models=("mythos-5",),
                actions=("release",),
                named_users=50,
                valid=Validity(start=day(2026, 5), end=day(2030, 5)),
            ),
        ),
        draws=(Draw(authorisation="D-1", person="alice", at=day(2026, 5, 2, 10)),),
        listings=(
            Listing(
                party="zhipu",
                list="EL",
                entry="Beijing Zhipu Huazhang Technology Co., Ltd.",
                entry_version="2025-01-16",
                reference="90 FR 4617",
                status=ListingStatus.CONFIRMED,
                valid=Validity(start=day(2025, 1, 16)),
            ),
        ),
        statements=(Statement(organisation="alder-bank", kind=StatementKind.UVL, valid=Validity(start=day(2026))),),
        clusters=(
            ClusterReading(
                id="c-9",
                shared=("payment", "proxy_asn"),
                accounts=600,
                exchanges_24h=410000,
                as_of=day(2026, 2, 10, 10),
            ),
        ),
    )


def test_a_list_that_is_absent_or_null_was_never_filed_and_an_empty_one_is_known_to_be_empty() -> None:
    rows = read("people: [{id: kim, us_status: null, citizenships: []}]")

    assert rows.people == (PersonEntry(id="kim", citizenships_filed=True),)
    person = Roster.as_known(rows).people["kim"]
    assert (person.employments, person.us_statuses, person.citizenships) == (None, None, ())


def test_norway_is_a_country() -> None:
    assert read("organisations: [{id: fjord, incorporated: NO}]").organisations[0].incorporated == "NO"


def test_a_percentage_is_exact_with_and_without_quotes() -> None:
    text = "organisations: [{id: a}, {id: b}]\nownership: [{owner: a, owned: b, percent: %s}]"

    for written in ('"33.3333333333333333333333333333333333"', "33.3333333333333333333333333333333333"):
        assert read(text % written).stakes[0].percent == Decimal("33.3333333333333333333333333333333333")


def test_shares_of_more_than_a_hundred_per_cent_together_are_read() -> None:
    rows = read(
        "organisations: [{id: a}, {id: b}, {id: c}]\nownership: [{owner: a, owned: c, percent: 60}, "
        "{owner: b, owned: c, percent: 60}]"
    )

    assert sum(row.percent or 0 for row in rows.stakes) == 120


def test_a_line_ending_a_byte_order_mark_and_json_change_nothing() -> None:
    expected = read("organisations:\n- {id: a, name: Ä}\npeople:\n- {id: p}\n")

    assert (
        read_members("\ufefforganisations:\r\n- {id: a, name: Ä}\r\npeople:\r\n- {id: p}\r\n".encode(), "x") == expected
    )
    assert read('{"organisations": [{"id": "a", "name": "\\u00c4"}], "people": [{"id": "p"}]}') == expected


def test_every_section_may_be_absent() -> None:
    assert read("{}") == NO_ROWS
    assert read("{organisations: null, people: []}") == NO_ROWS


def test_an_id_may_be_on_file_already() -> None:
    existing = read("organisations: [{id: a}]\npeople: [{id: p}]\nconsortia: [{id: c}]")

    rows = read(
        "memberships: [{organisation: a, consortium: c, status: active}]\n"
        "accounts: [{id: k, kind: service, organisation: a, person: p}]\n"
        "ownership: [{owner: person:p, owned: a}]",
        existing,
    )

    assert len(rows.memberships) == len(rows.accounts) == len(rows.stakes) == 1


def test_a_correction_repeats_the_key_with_a_later_recording() -> None:
    rows = read(
        "organisations:\n- {id: a, headquarters: CN, recorded_at: 2026-01-01}\n"
        "- {id: a, headquarters: SG, recorded_at: 2026-02-01}"
    )

    assert Roster.as_known(rows, day(2026, 1, 15)).organisations["a"].headquarters == "CN"
    assert Roster.as_known(rows).organisations["a"].headquarters == "SG"


def test_a_status_that_was_corrected_to_end_leaves_room_for_the_next() -> None:
    existing = read("people: [{id: n, us_status: [{kind: citizen, from: 2020-01-01, recorded_at: 2026-01-01}]}]")

    rows = read(
        "people: [{id: n, us_status: [{kind: citizen, from: 2020-01-01, to: 2026-06-01}, "
        "{kind: none, from: 2026-06-01}]}]",
        existing,
    )

    assert len(rows.us_statuses) == 2


def test_importing_a_file_over_itself_finds_no_fault() -> None:
    first = read(CONTRACT_EXAMPLE)
    dated = replace(
        first,
        us_statuses=tuple(replace(row, recorded_at=day(2026, 3)) for row in first.us_statuses),
        memberships=tuple(replace(row, recorded_at=day(2026, 3)) for row in first.memberships),
        authorisations=tuple(replace(row, recorded_at=day(2026, 3)) for row in first.authorisations),
    )

    assert read(CONTRACT_EXAMPLE, dated) == first


def test_two_rows_of_a_person_may_repeat_what_is_in_a_list() -> None:
    rows = read(
        "people:\n- {id: p, citizenships: [{country: FR}], recorded_at: 2026-01-01}\n"
        "- {id: p, citizenships: [{country: FR}], permanent_residencies: [], recorded_at: 2026-02-01}"
    )

    assert rows.citizenships == (Citizenship(person="p", country="FR"),)


def test_a_renewed_authorisation_may_keep_its_id() -> None:
    paper = "{id: D, regime: us-ear, kind: licence, holder: a, models: [m], actions: [infer], "
    rows = read(
        f"organisations: [{{id: a}}]\nauthorisations:\n- {paper}from: 2024-01-01, to: 2026-01-01}}\n"
        f"- {paper}from: 2026-01-01, to: 2028-01-01, cap: {{named_users: 0}}}}"
    )

    assert [row.named_users for row in rows.authorisations] == [None, 0]


# --- writing ----------------------------------------------------------------------------------------------------------


def test_a_written_file_has_one_row_on_a_line_in_the_order_of_the_text() -> None:
    rows = RosterRows(
        organisations=(
            Organisation(id="no", incorporated="NO", aliases=("1e5", "a: b", "北河")),
            Organisation(id="alder bank", name="Alder Bank, N.A.", reseller=True, recorded_at=day(2026, 1, 2, 3)),
        ),
        stakes=(Stake(owner="person:li", owned="no", percent=Decimal("51.50"), valid=Validity(start=day(2020))),),
        people=(PersonEntry(id="li", us_status_filed=True, citizenships_filed=True),),
        us_statuses=(UsStatus(person="li", kind=UsStatusKind.NONE),),
    )

    assert write_members(rows) == (
        "organisations:\n"
        '  - {id: "no", name: null, kind: null, incorporated: "NO", headquarters: null, contract_country: null, '
        'sector: null, reseller: null, identifiers: null, aliases: ["1e5", "a: b", "北河"]}\n'
        '  - {id: alder bank, name: "Alder Bank, N.A.", kind: null, incorporated: null, headquarters: null, '
        "contract_country: null, sector: null, reseller: true, identifiers: null, aliases: null, "
        "recorded_at: 2026-01-02T03:00:00.000000Z}\n"
        "ownership:\n"
        '  - {owner: "person:li", owned: "no", percent: "51.50", from: 2020-01-01T00:00:00.000000Z, to: null, '
        "evidence: null}\n"
        "people:\n"
        "  - {id: li, us_status: [{kind: none, from: null, to: null}], citizenships: []}\n"
    )


def test_an_empty_roster_is_written_as_an_empty_mapping() -> None:
    assert write_members(NO_ROWS) == "{}\n"


def test_without_recordings_only_what_is_known_in_the_end_is_written() -> None:
    rows = read(
        "organisations:\n- {id: a, headquarters: CN, recorded_at: 2026-01-01}\n"
        "- {id: a, headquarters: SG, recorded_at: 2026-02-01}"
    )

    assert read(write_members(rows, recorded=False)).organisations == (Organisation(id="a", headquarters="SG"),)


def test_rows_of_a_list_that_nobody_filed_cannot_be_written() -> None:
    rows = RosterRows(people=(PersonEntry(id="p"),), citizenships=(Citizenship(person="p", country="FR"),))

    with pytest.raises(ValueError, match="`p` stand in lists that nobody filed"):
        write_members(rows)


@pytest.mark.slow
@given(rows=rosters())
def test_reading_what_was_written_gives_the_same_rows(rows: RosterRows) -> None:
    text = write_members(rows)
    again = read(text)

    assert counted(again) == counted(rows)
    assert Roster.as_known(again) == Roster.as_known(rows)
    assert write_members(again) == text


@pytest.mark.slow
@given(rows=rosters(taken_back={*KINDS} - {*NAMED_BY_OTHERS}))
def test_what_is_written_without_recordings_is_the_roster_as_known_in_the_end(rows: RosterRows) -> None:
    text = write_members(rows, recorded=False)
    known, again = Roster.as_known(rows), Roster.as_known(read(text))

    assert "recorded_at" not in text
    assert {row.id: replace(row, recorded_at=None) for row in known.organisations.values()} == again.organisations
    assert known.people.keys() == again.people.keys()
    assert write_members(read(text), recorded=False) == text


@pytest.mark.slow
@given(rows=rosters())
def test_a_reader_of_yaml_1_1_finds_the_same_texts(rows: RosterRows) -> None:
    written = yaml.safe_load(write_members(rows))

    ids = {row["id"] for row in written.get("organisations", ())} | {row["id"] for row in written.get("people", ())}
    assert ids == {row.id for row in rows.organisations} | {row.id for row in rows.people}
    countries = {row["country"] for person in written.get("people", ()) for row in person.get("citizenships") or ()}
    assert countries == {row.country for row in rows.citizenships}


def test_the_shipped_roster_survives_being_written_and_read() -> None:
    rows = read_members(SHIPPED_ROSTER.read_bytes(), "roster.yaml")

    assert len(rows.organisations) == 27
    assert len(rows.people) == 31
    assert counted(read(write_members(rows))) == counted(rows)


@pytest.mark.skipif(not EXAMPLES, reason="no worked examples are here")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_members_of_the_worked_examples_have_no_fault(path: Path) -> None:
    document = read_document(path.read_bytes(), path.name)
    assert isinstance(document, Sequence)
    faults: list[Fault] = []

    for case in document.items:
        assert isinstance(case, Mapping)
        members = case.get("members")
        if members is not None:
            rows = members_of(members, path.name, faults)
            written = read_document(write_members(rows).encode(), path.name)
            assert counted(members_of(written, path.name, faults)) == counted(rows)

    assert faults == []


def test_the_further_fields_are_read() -> None:
    rows = read(
        """
        organisations: [{id: a}, {id: b}]
        people: [{id: kim}]
        consortia: [{id: c}]
        ownership: [{owner: a, owned: b, percent: {minimum: "25", maximum: 50}}]
        accounts: [{id: k, kind: account, organisation: a, from: 2026-01-01, to: 2026-02-01}]
        memberships:
          - {organisation: a, consortium: c, status: active, seats: 40, credit: {amount: "1000000.50", period: month}}
        authorisations:
          - {id: D-1, regime: us-ear, kind: exception, holder: a, models: [m], actions: [infer], persons: [kim],
             nationalities: [CA, GB], employees_only: true, purposes: [audit]}
        listings:
          - {party: a, list: SDN, status: potential, programmes: [SDGT], requirement: "For all items"}
        statements: [{organisation: a, kind: tsr_assurance}, {organisation: a, kind: screening_734_20}]
        """
    )

    (stake,), (account,), (member,), (paper,), (listing,) = (
        rows.stakes,
        rows.accounts,
        rows.memberships,
        rows.authorisations,
        rows.listings,
    )
    assert (stake.percent, stake.minimum, stake.maximum) == (None, Decimal(25), Decimal(50))
    assert account.valid == Validity(start=day(2026), end=day(2026, 2))
    assert (member.seats, member.credit) == (40, Credit(amount=Decimal("1000000.50"), period="month"))
    assert (paper.persons, paper.nationalities, paper.employees_only, paper.purposes) == (
        ("kim",),
        ("CA", "GB"),
        True,
        ("audit",),
    )
    assert (listing.programmes, listing.requirement) == (("SDGT",), "For all items")
    assert [row.kind for row in rows.statements] == [StatementKind.TSR_ASSURANCE, StatementKind.SCREENING_734_20]


def test_what_holds_for_the_kind_of_a_paper_may_be_written_or_not() -> None:
    text = (
        "organisations: [{id: a}]\nauthorisations: [{id: D, regime: r, kind: %s, holder: a, models: [], actions: []%s}]"
    )

    assert read(text % ("licence", ", employees_only: true")) == read(text % ("licence", ""))
    assert read(text % ("exemption", ", employees_only: false")) == read(text % ("exemption", ""))
    assert read(text % ("licence", ", employees_only: false")).authorisations[0].for_employees_only is False


def test_a_range_of_one_number_is_that_number() -> None:
    text = "organisations: [{id: a}, {id: b}]\nownership: [{owner: a, owned: b, percent: %s}]"

    assert read(text % "{minimum: 51, maximum: 51}") == read(text % "51")
    assert read(text % "{minimum: 51}").stakes[0].maximum is None
