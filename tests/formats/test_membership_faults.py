"""What a membership file may not say: each fault with its place and its remedy, all of them at once."""

from __future__ import annotations

from decimal import Decimal

import pytest

from policy_engine.domain.roster import RosterRows
from policy_engine.formats.documents import Mapping, read_document
from policy_engine.formats.faults import Fault, FaultsError
from policy_engine.formats.fractions import in_percent
from policy_engine.formats.membership_file import NO_ROWS, members_of, read_members, write_members


def read(text: str, existing: RosterRows = NO_ROWS) -> RosterRows:
    return read_members(text.encode("utf-8"), "roster.yaml", existing)


def faults_of(text: str, existing: RosterRows = NO_ROWS) -> tuple[Fault, ...]:
    with pytest.raises(FaultsError) as raised:
        read(text, existing)
    return raised.value.faults


ON_FILE = "organisations: [{id: alder-bank}, {id: beta}]\npeople: [{id: alice}]\nconsortia: [{id: glasswing}]\n"
PAPER = "id: D-1, regime: us-ear, kind: licence, holder: beta, models: [m], actions: [infer]"
LISTED = "party: beta, list: EL, status: potential"


def test_a_fault_names_the_file_the_line_the_column_what_is_wrong_and_what_to_write() -> None:
    with pytest.raises(FaultsError) as raised:
        read("organisations:\n  - {id: a, headquarters: UK}\n")

    assert str(raised.value) == (
        "roster.yaml:2:27: `headquarters` `UK` is not an ISO 3166-1 alpha-2 country; did you mean `GB`?"
    )


@pytest.mark.parametrize(
    ("section", "place", "message", "remedy"),
    [
        # fields
        (
            "organisation: []",
            "organisation: ",
            "unknown field `organisation` in the members",
            "did you mean `organisations`?",
        ),
        ("accounts: {}", "{}", "`accounts` must be a list and is a mapping", "write a list"),
        ("accounts: x", "x", "`accounts` must be a list and is `x`, a text", "put brackets around it"),
        ("accounts: [x]", "x]", "an account must be a mapping and is a text", "{id: ...}"),
        ("accounts: [null]", "null]", "an account must be a mapping and is null", "{id: ...}"),
        (
            "accounts: [{id: k, kind: service}]",
            "{id: k, kind: ",
            "`organisation` is missing in an account",
            "write `organisation`",
        ),
        (
            "clusters: [{id: c, as_of: 2026-01-01, acounts: 5}]",
            "acounts: 5}]",
            "unknown field `acounts` in a cluster",
            "did you mean `accounts`?",
        ),
        ("clusters: [{id: c}]", "{id: c}]", "`as_of` is missing in a cluster", "it may not be unknown"),
        (
            "consortia: [{id: c, birth_country: CN}]",
            "birth_country:",
            "unknown field `birth_country` in a consortium",
            "id, name",
        ),
        (
            "ownership: [{owner: alder-bank, owned: beta, percent: {minimum: 51, maximum: 50}}]",
            "{minimum: 51",
            "`minimum` 51 is larger than `maximum` 50",
            "write the smaller number as `minimum`",
        ),
        (
            "ownership: [{owner: alder-bank, owned: beta, percent: {minimum: null}}]",
            "{minimum: null",
            "the share has neither `minimum` nor `maximum`",
            "write null for an unknown share",
        ),
        (
            "ownership: [{owner: alder-bank, owned: beta, percent: {minimum: 51, maximum: 101}}]",
            "101}}]",
            "`maximum` must be a percentage from 0 to 100 and is `101`",
            "write digits with a point",
        ),
        (
            "memberships: [{organisation: beta, consortium: glasswing, status: active, "
            "credit: {amount: -1, period: y}}]",
            "-1, period",
            "`amount` must be an exact amount from 0 and is `-1`",
            "write digits with a point",
        ),
        (
            "memberships: [{organisation: beta, consortium: glasswing, status: active, credit: {amount: 1}}]",
            "{amount: 1}}]",
            "`period` is missing in a credit",
            "it may not be unknown",
        ),
        (
            f"authorisations: [{{{PAPER}, persons: [bo]}}]",
            "bo]",
            "the person `bo` is not on file",
            "add it to `people`",
        ),
        # texts and names
        (
            "consortia: [{id: c, name: 12}]",
            "12}]",
            "`name` must be a text and is `12`, a number",
            "put quotes around it",
        ),
        ("consortia: [{id: c, name: true}]", "true}]", "`name` must be a text and is `true`", "put quotes around it"),
        ("consortia: [{id: c, name: [x]}]", "[x]}]", "`name` must be a text and is a list", "write one text"),
        ('consortia: [{id: c, name: ""}]', '""}]', "`name` must have 1 to 10,000 characters", "write null"),
        (
            'consortia: [{id: c, name: "a\\nb"}]',
            '"a\\nb"}]',
            "`name` has the control character U+000A",
            "write it again",
        ),
        (
            'consortia: [{id: c, name: "a\\u202eb"}]',
            '"a\\u202eb"}]',
            "`name` has the invisible character U+202E",
            "write it again",
        ),
        ('consortia: [{id: ""}]', '""}]', "`id` `` must have 1 to 200 characters", "write another"),
        (f"consortia: [{{id: {'x' * 201}}}]", "xxxxxxxxxxxxxx", "must have 1 to 200 characters", "write another"),
        ('consortia: [{id: " x"}]', '" x"}]', "`id` ` x` begins or ends with a blank", "write `x`"),
        ('consortia: [{id: "x\\u00a0"}]', '"x\\u00a0"}]', "begins or ends with a blank", "write `x`"),
        (
            'consortia: [{id: "x\\ty"}]',
            '"x\\ty"}]',
            "`id` `x\\u0009y` has the control character U+0009",
            "write another",
        ),
        ('consortia: [{id: "x\\u2066y"}]', '"x\\u2066y"}]', "has the invisible character U+2066", "write another"),
        ('consortia: [{id: "e\\u0301"}]', '"e\\u0301"}]', "is not in Unicode normal form C", "write another"),
        (
            "consortia: [{id: 'person:x'}]",
            "'person:x'}]",
            "`id` `person:x` has the prefix `person:`",
            "only `owner` and `party`",
        ),
        # closed words
        ("statements: [{organisation: beta, kind: ulv}]", "ulv}]", "`kind` cannot be `ulv`", "did you mean `uvl`?"),
        (
            "organisations: [{id: x, sector: Other}]",
            "Other}]",
            "`sector` cannot be `Other`",
            "did you mean `other`?",
        ),
        (
            "people: [{id: x, us_status: [{kind: us_person}]}]",
            "us_person}]}]",
            "`kind` cannot be `us_person`",
            "refugee_admitted",
        ),
        (
            "people: [{id: x, us_status: [{kind: null}]}]",
            "null}]}]",
            "`kind` is missing in a US status",
            "it may not be unknown",
        ),
        (
            "organisations: [{id: x, reseller: 0}]",
            "0}]",
            "`reseller` must be true or false and is `0`",
            "null if unknown",
        ),
        (
            "organisations: [{id: x, reseller: no}]",
            "no}]",
            "`reseller` must be true or false and is `no`",
            "write true",
        ),
        (
            f"authorisations: [{{{PAPER.replace('infer', 'inferr')}}}]",
            "inferr]}]",
            "cannot be `inferr`",
            "mean `infer`?",
        ),
        (
            f"authorisations: [{{{PAPER.replace('[m]', '[m, m]')}}}]",
            "m], actions: [",
            "`models` has `m` twice",
            "remove one",
        ),
        (
            f"authorisations: [{{{PAPER.replace('[m]', '[4]')}}}]",
            "4], actions: [",
            "`models` must be a text and is `4`",
            "quotes",
        ),
        (
            f"authorisations: [{{{PAPER.replace('[m]', 'null')}}}]",
            "null, actions:",
            "`models` is missing in an authorisation",
            "unknown",
        ),
        # countries
        ("organisations: [{id: x, incorporated: us}]", "us}]", "`us` is not an ISO 3166-1", "did you mean `US`?"),
        ("organisations: [{id: x, incorporated: EL}]", "EL}]", "`EL` is not an ISO 3166-1", "did you mean `GR`?"),
        ("organisations: [{id: x, incorporated: EU}]", "EU}]", "`EU` is not an ISO 3166-1", "two capital letters"),
        (
            "organisations: [{id: x, incorporated: false}]",
            "false}]",
            "must be a text and is `false`",
            "put quotes around it",
        ),
        (
            "people: [{id: x, citizenships: [{country: SU}]}]",
            "SU}]}]",
            "`SU` is not an ISO 3166-1",
            "did you mean `RU`?",
        ),
        ("people: [{id: x, citizenships: [CN]}]", "CN]}]", "a citizenship must be a mapping", "{country: ...}"),
        (f"authorisations: [{{{PAPER}, countries: [UK]}}]", "UK]}]", "`UK` is not an ISO 3166-1", "did you mean `GB`?"),
        # numbers
        (
            "ownership: [{owner: beta, owned: alder-bank, percent: 100.01}]",
            "100.01}]",
            "a percentage from 0 to 100",
            "12.5",
        ),
        ("ownership: [{owner: beta, owned: alder-bank, percent: -1}]", "-1}]", "a percentage from 0 to 100", "12.5"),
        ("ownership: [{owner: beta, owned: alder-bank, percent: 51%%}]", "51%%}]", "is `51%%`, a text", "12.5"),
        (
            "ownership: [{owner: beta, owned: alder-bank, percent: '12,5'}]",
            "'12,5'}]",
            "is `12,5`, a text",
            "with a point",
        ),
        ("ownership: [{owner: beta, owned: alder-bank, percent: 5e1}]", "5e1}]", "is `5e1`, a number", "12.5"),
        (
            "ownership: [{owner: beta, owned: alder-bank, percent: true}]",
            "true}]",
            "is `true`",
            "null for an unknown share",
        ),
        (
            f"authorisations: [{{{PAPER}, cap: {{named_users: -1}}}}]",
            "-1}}]",
            "must be a whole number from 0",
            "digits only",
        ),
        (f"authorisations: [{{{PAPER}, cap: {{named_users: 1.5}}}}]", "1.5}}]", "is `1.5`, a number", "digits only"),
        (
            f"authorisations: [{{{PAPER}, cap: {{named_users: null}}}}]",
            "null}}]",
            "`named_users` is missing in a cap",
            "write `named",
        ),
        (
            f"authorisations: [{{{PAPER}, cap: {{}}}}]",
            "{}}]",
            "`named_users` is missing in a cap",
            "write `named_users`",
        ),
        (f"authorisations: [{{{PAPER}, cap: 50}}]", "50}]", "a cap must be a mapping", "{named_users: ...}"),
        (
            f"authorisations: [{{{PAPER}, cap: {{named_users: 5, upto: 5}}}}]",
            "upto: 5}}]",
            "unknown field `upto` in a cap",
            "write one of named_users",
        ),
        (
            "clusters: [{id: c, as_of: 2026-01-01, accounts: -5}]",
            "-5}]",
            "must be a whole number from 0",
            "digits only",
        ),
        ("clusters: [{id: c, as_of: 2026-01-01, accounts: '5'}]", "'5'}]", "is `5`, a text", "without quotes"),
        (
            "clusters: [{id: c, as_of: 2026-01-01, accounts: 99999999999999999999}]",
            "99999999999999",
            "whole number",
            "digits only",
        ),
        # instants
        (
            "statements: [{organisation: beta, kind: uvl, from: 2026}]",
            "2026}]",
            "must be an instant and is `2026`",
            "06-12",
        ),
        (
            "statements: [{organisation: beta, kind: uvl, from: 1.6.2026}]",
            "1.6.2026}]",
            "`1.6.2026` is not an instant",
            "06-12",
        ),
        (
            "statements: [{organisation: beta, kind: uvl, from: 2026-02-30}]",
            "2026-02-30}]",
            "names no real instant",
            "06-12",
        ),
        (
            "statements: [{organisation: beta, kind: uvl, to: '2026-01-01T10:00:00'}]",
            "'2026-01-01T10",
            "not an instant",
            "21:21:00Z",
        ),
        ("statements: [{organisation: beta, kind: uvl, recorded_at: x}]", "x}]", "`recorded_at` `x` is not", "06-12"),
        (
            "statements: [{organisation: beta, kind: uvl, to: '2026-01-01T10:00:00.1234567Z'}]",
            "'2026-01-01T10",
            "finer than a microsecond",
            "21:21:00Z",
        ),
        (
            "statements: [{organisation: beta, kind: uvl, from: 2026-02-01, to: 2026-01-01}]",
            "2026-01-01}]",
            "the interval ends at 2026-01-01T00:00:00.000000Z, which is not after its start at "
            "2026-02-01T00:00:00.000000Z",
            "null for an open end",
        ),
        (
            "statements: [{organisation: beta, kind: uvl, from: 2026-02-01, to: 2026-02-01T01:00:00+01:00}]",
            "2026-02-01T01:",
            "which is not after its start",
            "null for an open end",
        ),
        # identifiers
        ("organisations: [{id: x, identifiers: [lei]}]", "[lei]}]", "`identifiers` must be a mapping", "{lei: null}"),
        ("organisations: [{id: x, identifiers: {lei: 123}}]", "123}}]", "`lei` must be a text and is `123`", "quotes"),
        (
            f"organisations: [{{id: x, identifiers: {{{'k' * 101}: a}}}}]",
            "kkkkkkkkkkkkkk",
            "longer than 100",
            "short name",
        ),
        # ids of other rows
        (
            "accounts: [{id: k, kind: account, organisation: beta2}]",
            "beta2}]",
            "`beta2` is not on file",
            "mean `beta`?",
        ),
        (
            "accounts: [{id: k, kind: account, organisation: x}]",
            "x}]",
            "`x` is not on file",
            "add it to `organisations`",
        ),
        (
            "accounts: [{id: k, kind: account, organisation: beta, person: alise}]",
            "alise}]",
            "the person `alise`",
            "`alice`?",
        ),
        (
            "accounts: [{id: k, kind: account, organisation: beta, cluster: c}]",
            "c}]",
            "the cluster `c`",
            "to `clusters`",
        ),
        (
            "accounts: [{id: k, kind: account, organisation: beta, person: 'person:alice'}]",
            "'person:alice'",
            "has the prefix",
            "`owner`",
        ),
        (
            "people: [{id: x, employments: [{organisation: y, kind: employee}]}]",
            "y, kind: emplo",
            "the organisation `y`",
            "add it",
        ),
        (
            "memberships: [{organisation: y, consortium: glasswing, status: active}]",
            "y, consortium:",
            "organisation `y`",
            "add it",
        ),
        (
            "memberships: [{organisation: beta, consortium: glaswing, status: active}]",
            "glaswing, stat",
            "`glaswing`",
            "`glasswing`?",
        ),
        (
            "draws: [{authorisation: D, person: alice, at: 2026-01-01}]",
            "D, person: ali",
            "the authorisation `D`",
            "`authorisations`",
        ),
        (
            f"authorisations: [{{{PAPER.replace('beta', 'y')}}}]",
            "y, models: [m]",
            "the organisation `y` is not on file",
            "add it",
        ),
        (
            f"listings: [{{{LISTED.replace('beta', 'y')}}}]",
            "y, list: EL, s",
            "the organisation `y` is not on file",
            "add it",
        ),
        (
            f"listings: [{{{LISTED.replace('beta', 'person:y')}}}]",
            "person:y, list",
            "the person `y` is not on file",
            "to `people`",
        ),
        (
            f"listings: [{{{LISTED.replace('beta', 'alice')}}}]",
            "alice, list: E",
            "`alice` is not on file",
            "write `person:alice`",
        ),
        (
            f"listings: [{{{LISTED.replace('beta', chr(39) + 'person:' + chr(39))}}}]",
            "'person:', lis",
            "names nobody",
            "person's id",
        ),
        (
            "statements: [{organisation: y, kind: uvl}]",
            "y, kind: uvl}]",
            "the organisation `y` is not on file",
            "add it",
        ),
        ("ownership: [{owner: y, owned: beta}]", "y, owned: beta", "the organisation `y` is not on file", "add it"),
        ("ownership: [{owner: beta, owned: y}]", "y}]", "the organisation `y` is not on file", "add it"),
        (
            "ownership: [{owner: 'person:y', owned: beta}]",
            "'person:y', ow",
            "the person `y` is not on file",
            "to `people`",
        ),
        (
            "ownership: [{owner: beta, owned: 'person:alice'}]",
            "'person:alice'",
            "`owned` `person:alice` has the prefix",
            "only `owner`",
        ),
        ("ownership: [{owner: beta, owned: beta}]", "beta}]", "`beta` is written as its own owner", "another owner"),
    ],
)
def test_a_fault_is_told_with_its_place_and_its_remedy(section: str, place: str, message: str, remedy: str) -> None:
    on_file = read(ON_FILE)

    faults = faults_of(f"# first\n{section}\n", on_file)

    assert len(faults) == 1, faults
    assert faults[0].line == 2
    assert section[faults[0].column - 1 :].startswith(place)
    assert message in faults[0].message
    assert remedy in faults[0].remedy


@pytest.mark.parametrize(
    ("section", "rows", "message"),
    [
        ("organisations", ("id: x, name: A", "id: x, name: A"), "the organisation `x` on line 5 is repeated here"),
        (
            "organisations",
            ("id: x, name: A", "id: x"),
            "the organisation `x` on line 5 is repeated here with other values",
        ),
        ("people", ("id: x", "id: x, citizenships: []"), "the person `x` on line 5 is repeated here with other values"),
        (
            "accounts",
            ("id: k, kind: account, organisation: beta", "id: k, kind: service, organisation: beta"),
            "the account `k` on line 5 is repeated here with other values",
        ),
        ("consortia", ("id: c", "id: c"), "the consortium `c` on line 5 is repeated here"),
        ("authorisations", (PAPER, PAPER), "the authorisation `D-1` on line 5 is repeated here"),
        (
            "clusters",
            ("id: c, as_of: 2026-01-01, accounts: 1", "id: c, as_of: 2026-01-01, accounts: 2"),
            "the cluster `c` on line 5 is repeated here with other values",
        ),
        (
            "ownership",
            ("owner: beta, owned: alder-bank, percent: 20", "owner: beta, owned: alder-bank, percent: 20"),
            "the share on line 5 is repeated here",
        ),
        (
            "ownership",
            ("owner: beta, owned: alder-bank, percent: 20", "owner: beta, owned: alder-bank, percent: null"),
            "the share on line 5 is repeated here with other values",
        ),
        (
            "listings",
            (LISTED, LISTED.replace("potential", "cleared")),
            "the listing on line 5 is repeated here with other",
        ),
        (
            "organisations",
            ("id: x, name: A, recorded_at: 2026-01-01", "id: x, name: B, recorded_at: 2026-01-01"),
            "the organisation `x` on line 5 is repeated here with other values",
        ),
    ],
)
def test_a_row_stands_once_for_each_instant_of_recording(section: str, rows: tuple[str, str], message: str) -> None:
    on_file = read(ON_FILE)

    faults = faults_of(f"\n\n\n{section}:\n- {{{rows[0]}}}\n- {{{rows[1]}}}\n", on_file)

    assert [(fault.line, fault.column) for fault in faults] == [(6, 3)]
    assert message in faults[0].message
    assert "later `recorded_at`" in faults[0].remedy


def test_what_is_on_file_is_not_rewritten_under_the_same_instant_of_recording() -> None:
    on_file = read("organisations: [{id: x, name: A, recorded_at: 2026-01-01}]")

    (fault,) = faults_of("organisations: [{id: x, name: B, recorded_at: 2026-01-01}]", on_file)

    assert (fault.line, fault.column) == (1, 17)
    assert fault.message == "the organisation `x` is on file with other values recorded at the same instant"
    assert fault.remedy == "give the correction a later `recorded_at`"


STATUS = "people: [{id: p, us_status: [{kind: %s, from: %s, to: %s}]}]"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("citizen", "2020-01-01", "null"), ("none", "2021-01-01", "null")),
        (("citizen", "null", "null"), ("none", "null", "null")),
        (("citizen", "null", "2026-01-02"), ("none", "2026-01-01", "2026-01-03")),
        (("citizen", "2025-01-01", "null"), ("none", "2020-01-01", "null")),
    ],
)
def test_a_person_has_one_us_status_at_a_time(first: tuple[str, str, str], second: tuple[str, str, str]) -> None:
    rows = [f"      - {{kind: {kind}, from: {start}, to: {end}}}" for kind, start, end in (first, second)]

    (fault,) = faults_of("people:\n  - id: p\n    us_status:\n" + "\n".join(rows))

    assert (fault.line, fault.column) == (5, 9)
    assert fault.message.startswith("the US status of `p` is ")
    assert "(line 4)" in fault.message
    assert "(line 5)" in fault.message
    assert "`policy-engine members " in fault.remedy


def test_a_new_us_status_needs_the_one_on_file_to_end() -> None:
    on_file = read(STATUS % ("citizen", "2020-01-01, recorded_at: 2026-01-01", "null"))

    (fault,) = faults_of(STATUS % ("none", "2026-06-01", "null"), on_file)

    assert fault.message == (
        "the US status of `p` is citizen from 2020-01-01T00:00:00.000000Z (the row on file)"
        " and also none from 2026-06-01T00:00:00.000000Z (line 1): of one instant only one can be true"
    )
    assert fault.remedy == (
        "end the earlier first, with `to: 2026-06-01T00:00:00.000000Z` or"
        " `policy-engine members end us-status p citizen --to 2026-06-01T00:00:00.000000Z`, or remove this one"
    )


MEMBER = "organisation: beta, consortium: glasswing"


@pytest.mark.parametrize(
    ("section", "first", "second", "remedy"),
    [
        (
            "memberships",
            f"{MEMBER}, from: 2026-01-01, status: active",
            f"{MEMBER}, from: 2026-02-01, status: suspended",
            "`policy-engine members suspend beta glasswing --from 2026-02-01T00:00:00.000000Z`",
        ),
        (
            "memberships",
            f"{MEMBER}, from: 2026-01-01, to: 2026-03-01, status: suspended",
            f"{MEMBER}, from: 2026-02-01, status: active",
            "`policy-engine members resume beta glasswing --from 2026-02-01T00:00:00.000000Z`",
        ),
        (
            "memberships",
            f"{MEMBER}, from: 2026-01-01, status: active",
            f"{MEMBER}, from: 2026-02-01, to: 2026-03-01, status: active",
            "`policy-engine members end membership beta glasswing --to 2026-02-01T00:00:00.000000Z`",
        ),
        (
            "authorisations",
            f"{PAPER}, cap: {{named_users: 3}}",
            f"{PAPER}, cap: {{named_users: 2}}",
            "`policy-engine members correct authorisation D-1 --set FIELD=VALUE`",
        ),
        (
            "listings",
            "party: beta, list: EL, entry: A B, status: potential, from: 2026-01-01",
            "party: beta, list: EL, entry: A B, status: cleared, cleared_version: x, from: 2026-02-01",
            "`policy-engine members end listing beta EL 'A B' --to 2026-02-01T00:00:00.000000Z`",
        ),
        (
            "statements",
            "organisation: beta, kind: uvl, from: 2026-01-01, to: 2027-01-01",
            "organisation: beta, kind: uvl, from: 2026-06-01",
            "`policy-engine members end statement beta uvl --to 2026-06-01T00:00:00.000000Z`",
        ),
    ],
)
def test_rows_of_one_thing_that_overlap_are_refused_with_both_places_and_the_command_that_is_meant(
    section: str, first: str, second: str, remedy: str
) -> None:
    on_file = read(ON_FILE)

    (together,) = faults_of(f"{section}:\n- {{{first}}}\n- {{{second}}}\n", on_file)
    (later,) = faults_of(f"{section}: [{{{second}}}]", read(f"{ON_FILE}{section}: [{{{first}}}]"))

    assert (together.line, together.column) == (3, 3)
    assert "(line 2)" in together.message
    assert "(line 3)" in together.message
    assert "(the row on file)" in later.message
    assert remedy in together.remedy
    assert remedy in later.remedy


OWNED = "ownership:\n- {owner: alder-bank, owned: beta, percent: %s}\n- {owner: gamma, owned: beta, percent: %s}\n"


def test_shares_that_are_written_as_fractions_of_one_are_refused_and_percent_is_asked() -> None:
    on_file = read("organisations: [{id: alder-bank}, {id: beta}, {id: gamma}]")

    faults = faults_of(OWNED % ('"0.51"', "0.49"), on_file)

    assert [(fault.line, fault.column) for fault in faults] == [(2, 45), (3, 40)]
    assert faults[0].message == (
        "the shares in `beta` add up to 1.00, as fractions of one would: `0.51` would be at most one per cent"
    )
    assert faults[0].remedy == ("percent is asked: write `51`; if the fraction of a per cent is meant, `0.51 %`")


def test_fractions_of_one_are_refused_beside_the_percentages_of_another_time() -> None:
    on_file = read("organisations: [{id: alder-bank}, {id: beta}, {id: gamma}]")
    then = OWNED % ("51, to: 2022-01-01", "49, to: 2022-01-01")
    now = (OWNED % ("0.51, from: 2022-01-01", "0.49, from: 2022-01-01")).removeprefix("ownership:\n")

    assert [(fault.line, fault.column) for fault in faults_of(then + now, on_file)] == [(4, 45), (5, 40)]


def test_a_remedy_for_a_fraction_keeps_every_digit() -> None:
    assert in_percent(Decimal("0." + "123456789" * 5)) == "12.3456789" + "123456789" * 4
    assert [in_percent(Decimal(text)) for text in ("1", "0", "0.510", "1.000", "0.005")] == [
        "100",
        "0",
        "51",
        "100",
        "0.5",
    ]


def test_small_shares_come_back_from_an_export_as_they_were_filed() -> None:
    on_file = read("organisations: [{id: alder-bank}, {id: beta}, {id: gamma}]")
    rows = read(OWNED % ('"0.40 %"', "0.6%"), on_file)

    assert read(write_members(rows), on_file) == rows


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('"0.51"', "60"),
        ("0", "0"),
        ("null", "null"),
        ('{minimum: "0.51", maximum: "0.51"}', "null"),
        ("0.51, recorded_at: 2026-01-01", "null"),
        ('"0.51 %"', "0.4%"),
    ],
)
def test_a_small_share_beside_others_or_one_that_is_said_to_be_meant_is_read(first: str, second: str) -> None:
    on_file = read("organisations: [{id: alder-bank}, {id: beta}, {id: gamma}]")

    assert len(read(OWNED % (first, second), on_file).stakes) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (f"{MEMBER}, to: 2026-02-01, status: active", f"{MEMBER}, from: 2026-02-01, status: suspended"),
        (f"{MEMBER}, from: 2026-01-01, status: active", f"{MEMBER}, from: 2026-01-01, status: suspended"),
        (f"{MEMBER}, from: 2026-01-01, status: active", f"{MEMBER}, from: 2026-01-01, status: active"),
    ],
)
def test_rows_that_follow_or_replace_the_one_on_file_are_read(first: str, second: str) -> None:
    on_file = read(f"{ON_FILE}memberships: [{{{first}}}]")

    assert len(read(f"memberships: [{{{second}}}]", on_file).memberships) == 1


def test_a_contradiction_that_is_wholly_on_file_is_no_fault_of_a_file_about_something_else() -> None:
    on_file = RosterRows(
        us_statuses=read(STATUS % ("citizen", "null", "null")).us_statuses
        + read(STATUS % ("none", "null", "null")).us_statuses
    )

    assert len(read("consortia: [{id: c}]", on_file).consortia) == 1


def test_an_empty_file_is_refused() -> None:
    (fault,) = faults_of("")

    assert fault.message == "the document is empty"


@pytest.mark.parametrize(
    ("text", "message"),
    [("null", "the members are null"), ("[]", "must be a mapping and is a list"), ("x", "is a text")],
)
def test_a_file_is_a_mapping(text: str, message: str) -> None:
    (fault,) = faults_of(text)

    assert message in fault.message


def test_every_fault_of_a_file_is_told_in_its_order_and_nothing_twice() -> None:
    faults = faults_of(
        "organisations:\n"
        "  - {id: a, headquarters: UK, headquarters: XX, sectr: other}\n"
        "  - {id: b, reseller: maybe}\n"
        "ownership:\n"
        "  - {owner: a, owned: c, percent: .nan}\n"
        "  - {owner: b, owned: b, from: 2026-01-01, to: 2025-01-01}\n"
        "people:\n"
        "  - {id: *p, us_status: [{kind: citisen}], citizenships: [{country: CHX}]}\n"
    )

    assert [(fault.line, fault.column) for fault in faults] == [
        (2, 27),  # UK
        (2, 31),  # headquarters stands again
        (2, 49),  # sectr
        (3, 23),  # maybe
        (5, 23),  # c is not on file
        (5, 35),  # .nan
        (6, 48),  # ends before it begins
        (8, 10),  # an alias
        (8, 33),  # citisen
        (8, 69),  # CHX
    ]


def test_a_row_with_a_fault_still_is_what_other_rows_name() -> None:
    (fault,) = faults_of("organisations: [{id: a, sector: x}]\nstatements: [{organisation: a, kind: uvl}]")

    assert (fault.line, fault.column) == (1, 33)


def test_the_faults_of_a_case_stand_at_their_place_in_the_case() -> None:
    faults: list[Fault] = []
    document = read_document(b"id: S\nmembers:\n  people: [{id: p, citizenships: [{country: UK}]}]\n", "case.yaml")

    assert isinstance(document, Mapping)
    members = document.get("members")
    assert members is not None
    members_of(members, "case.yaml", faults)

    assert [(fault.source, fault.line, fault.column) for fault in faults] == [("case.yaml", 3, 45)]


def test_in_a_case_an_undated_row_is_the_earliest_and_in_an_import_the_latest() -> None:
    text = (
        "people: [{id: p, us_status: [{kind: citizen, to: null}, "
        "{kind: citizen, to: 2026-01-01, recorded_at: 2026-01-01}, "
        "{kind: none, from: 2026-01-01}]}]"
    )
    faults: list[Fault] = []

    members_of(read_document(text.encode(), "case.yaml"), "case.yaml", faults)

    assert faults == []
    assert len(faults_of(text)) == 1


def test_a_thousand_unknown_ids_are_all_told() -> None:
    rows = "".join(f"- {{owner: x{number}, owned: beta}}\n" for number in range(1000))

    assert len(faults_of(f"{ON_FILE}ownership:\n{rows}")) == 1000


def test_ten_thousand_statuses_that_clash_are_all_told() -> None:
    statuses = ", ".join(
        f"{{kind: {('none', 'citizen')[n % 2]}, from: 2000-01-01T00:00:{n % 60:02}.{n:06}Z}}" for n in range(10_000)
    )

    assert len(faults_of(f"people: [{{id: p, us_status: [{statuses}]}}]")) == 5_000
