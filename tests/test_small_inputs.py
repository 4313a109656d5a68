"""Small inputs that other products stumbled over, with the demonstration roster on file; each stands for its kind."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from policy_engine.domain.decision import Decision
from policy_engine.domain.facts import ASSERTABLE, AssertedValueError
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.request import Caller
from policy_engine.domain.roster import Roster, RosterRows, with_rows
from policy_engine.formats.faults import FaultsError
from policy_engine.formats.membership_file import read_members
from policy_engine.formats.request_document import MalformedRequest, request_of
from policy_engine.policy.cases import read_case_files, read_cases, unread_names
from policy_engine.policy.cells import instant_remedy
from policy_engine.policy.names import names_read
from policy_engine.policy.reader import read_book
from policy_engine.service.administration.member_edits import Edit, rows_of_edit
from policy_engine.service.administration.simulate import recorded
from policy_engine.shapes.members import EditAction
from tests.concluding import decided
from tests.conftest import FILES, POLICIES, ROOT, judge_for

BESIDE: Final = ROOT.parent / "shared" / "inputs"
"""The inputs as they were reported, where they are present."""

JUDGE: Final = judge_for({}, None)
AT: Final = parse_instant("2026-11-20T12:00:00Z")
US: Final = {"country": "US"}
DE: Final = {"country": "DE"}
DEMO: Final = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")


def reported(name: str) -> list[str]:
    """The file as it was reported; nothing where it is not beside the checkout."""
    path = BESIDE / name
    return [path.read_text(encoding="utf-8")] if path.exists() else []


def with_demo(*files: str) -> RosterRows:
    rows = DEMO
    for data in files:
        added = read_members(data.encode(), "added.yaml", rows)
        rows = RosterRows(
            **{name: (*getattr(rows, name), *getattr(added, name)) for name in RosterRows.__dataclass_fields__}
        )
    return rows


def ask(rows: RosterRows, request: dict[str, Any], *, at: datetime = AT) -> Decision:
    caller = Caller(id="gateway", assertable=ASSERTABLE, explain=True)
    return decided(JUDGE, Roster.as_known(rows, at), request_of(request), caller, at)


def denied_for(answered: Decision) -> set[str]:
    """The codes of the bars that decide a deny."""
    assert not answered.verdict.allowed
    return {code for one in answered.verdict.findings if one.state.value == "deciding" for code in one.codes}


HANS: Final = {"subject": {"type": "person", "id": "hans"}, "model": "opus-4.6", "action": "infer"}
PLACES: Final = [
    {"country": "UA", "subdivision": "UA-11"},
    {"country": "UA", "subdivision": "UA-99"},
    {"country": "UA", "subdivision": "US-CA"},
    {"country": "UA", "subdivision": "UA-30", "postcode": "295000"},
]


def test_a_code_that_names_nothing_or_disagrees_is_no_knowledge_of_a_place() -> None:
    inputs = [*PLACES, *(one["place"] for data in reported("places.json") for one in json.loads(data))]
    for place in inputs:
        assert denied_for(ask(DEMO, {**HANS, "place": place})) == {"LOCATION_UNKNOWN"}
    assert ask(DEMO, {**HANS, "place": {"country": "UA", "subdivision": "UA-30"}}).verdict.allowed


def test_a_stated_part_that_names_nothing_may_be_put_right() -> None:
    remedies = ask(DEMO, {**HANS, "place": {"country": "UA", "subdivision": "UA-11"}}).remedies
    assert any("ISO 3166-2" in one.message for one in remedies)


UKRAINE_LICENCE: Final = """
authorisations:
  - {id: L-UA, regime: us-ear, kind: licence, holder: prairie-retail, models: ['technology:4E001.a'],
     actions: [release], countries: [UA], from: 2026-05-01, to: 2030-05-01, cap: null, conditions: []}
"""
RELEASE: Final = {"subject": {"type": "person", "id": "pat"}, "model": "technology:4E001.a", "action": "release"}


@pytest.mark.parametrize(
    "request_",
    [
        {**RELEASE, "place": {"country": "UA"}},
        {**RELEASE, "place": {"country": "US"}, "destination": {"country": "UA"}},
        {**RELEASE, "place": {"country": "US"}, "destination": {"subdivision": "UA-11"}},
    ],
)
def test_a_destination_has_a_region_as_the_place_has(request_: dict[str, Any]) -> None:
    for licence in (UKRAINE_LICENCE, *reported("licence-ukraine.yaml")):
        assert "LOCATION_UNKNOWN" in denied_for(ask(with_demo(licence), request_))


def test_a_destination_of_a_known_region_is_no_bar_to_its_licence() -> None:
    request = {**RELEASE, "place": {"country": "US"}, "destination": {"country": "UA", "subdivision": "UA-30"}}
    assert ask(with_demo(UKRAINE_LICENCE), request).verdict.allowed


ITAR_LICENCE: Final = """
authorisations:
  - {id: L-ITAR, regime: us-itar, kind: licence, holder: prairie-retail, models: ['techdata:usml'], actions: [release],
     countries: null, from: 2026-05-01, to: 2030-05-01, cap: null, conditions: []}
"""
NOBODY: Final = (
    "people: [{id: nobody-knows, employments: [{organisation: prairie-retail, kind: employee, from: 2020-01-01}]}]"
)
NOWHERE: Final = "organisations: [{id: noloc, sector: other, reseller: false}]"


@pytest.mark.parametrize("country", ["XX", "ZZ", "SU", "UK", "AN", "us", "T1", ""])
def test_an_asserted_citizenship_of_no_country_is_refused(country: str) -> None:
    rows = with_demo(ITAR_LICENCE, NOBODY)
    properties = {"us_status": "none", "citizenships": [country], "permanent_residencies": []}
    subject = {"type": "person", "id": "nobody-knows", "properties": properties}
    asked = {"subject": subject, "model": "techdata:usml", "action": "release", "place": {"country": "US"}}
    with pytest.raises((AssertedValueError, ValueError), match=r"country codes|character"):
        ask(rows, asked)
    assert not ask(rows, {**asked, "subject": {"type": "person", "id": "nobody-knows"}}).verdict.allowed


@pytest.mark.parametrize("name", ["incorporated", "headquarters"])
@pytest.mark.parametrize("country", ["XX", "ZZ", "SU", "UK"])
def test_an_asserted_establishment_in_no_country_is_refused(name: str, country: str) -> None:
    subject = {"type": "organisation", "id": "noloc", "properties": {name: country}}
    with pytest.raises(AssertedValueError, match="country codes"):
        ask(with_demo(NOWHERE), {**HANS, "subject": subject, "place": {"country": "US"}})


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("46185.8895833333", "write 2026-06-12T21:21:00Z if that is UTC, else the same with its own zone"),
        ("46185,8895833333", "write 2026-06-12T21:21:00Z if that is UTC, else the same with its own zone"),
        ("46185", "write 2026-06-12"),
        (
            "30.06.2026 22:00",
            "if it is 2026-06-30T22:00:00Z, write that if that is UTC, else the same with its own zone",
        ),
        ("6/30/2026 10:00 PM", "if it is 2026-06-30T22:00:00Z, write that if that is UTC"),
        ("2026-06-30 22:00", "if it is 2026-06-30T22:00:00Z, write that if that is UTC"),
        ("12/06/2026", "if it is 2026-06-12 or 2026-12-06, write that"),
    ],
)
def test_what_a_spreadsheet_made_of_an_instant_is_read_back_with_its_time_of_day(written: str, meant: str) -> None:
    assert meant in instant_remedy(written)


@pytest.mark.parametrize("written", ["30.06.2026 22:00 CEST", "30.06.2026 25:00", "yesterday 22:00"])
def test_of_a_time_of_day_that_cannot_be_read_no_date_alone_is_proposed(written: str) -> None:
    assert "2026-06-30" not in instant_remedy(written)


def test_a_rule_file_with_the_dates_of_a_spreadsheet_is_refused_with_the_instants_as_meant() -> None:
    for data in reported("us-order.excel-dates.csv"):
        with pytest.raises(FaultsError) as refused:
            read_book({**FILES, "rules/us-order.csv": data.encode()})
        told = "\n".join(map(str, refused.value.faults))
        assert "2026-06-12T21:21:00Z" in told
        assert "2026-06-30T22:00:00Z" in told


@pytest.mark.parametrize("text", ["c\u0430rol", "\u03a9mega", "\u0430\u03b1", "\u0627b", "na\u0457ve", "\uc774\u30ab"])
def test_an_id_that_mixes_scripts_is_refused_in_requests_and_files(text: str) -> None:
    with pytest.raises(MalformedRequest, match=r"subject.id mixes letters of the scripts"):
        request_of({**HANS, "subject": {"type": "person", "id": text}})
    with pytest.raises(FaultsError, match="mixes letters of the scripts"):
        read_members(f"organisations: [{{id: {text}}}]".encode(), "roster.yaml")


@pytest.mark.parametrize(
    "text", ["caf\u00e9", "\u5317\u6cb3-abc", "\u6771\u4eac\u30bf\u30ef\u30fcx", "\uc774abc", "\u0430\u0431\u0432"]
)
def test_an_id_in_one_script_or_in_those_of_one_language_is_taken(text: str) -> None:
    assert request_of({**HANS, "subject": {"type": "person", "id": text}}).subject.id == text


LISTED: Final = """
organisations: [{id: a, incorporated: US, headquarters: US, sector: other, reseller: false}]
listings:
  - {party: a, list: sdn, entry: X, status: confirmed}
  - {party: a, list: "Specially Designated Nationals (SDN) - Treasury Department", entry: X, status: confirmed}
  - {party: a, list: "Entity List", entry: X, status: confirmed}
  - {party: a, list: NOBODY, entry: X, status: confirmed}
"""


def test_a_listing_on_a_list_that_no_rule_reads_is_refused_with_the_list_that_was_meant() -> None:
    names = names_read(JUDGE.book)
    assert {"EL", "MEU", "SDN", "UVL"} <= names.lists
    with pytest.raises(FaultsError) as refused:
        read_members(LISTED.encode(), "listed.yaml", names=names)
    faults = refused.value.faults
    assert [fault.line for fault in faults] == [4, 5, 6, 7]
    assert all(fault.message.startswith("no rule reads the list") for fault in faults)
    meant = [fault.remedy.partition("?")[0] for fault in faults]
    assert meant[:3] == ["did you mean `SDN`", "did you mean `SDN`", "did you mean `EL`"]
    assert "EL, " in faults[3].remedy
    for data in reported("listing-list-names.yaml"):
        with pytest.raises(FaultsError, match="did you mean `SDN`"):
            read_members(data.encode(), "listed.yaml", names=names)


def test_a_case_with_a_listing_that_no_rule_reads_is_refused() -> None:
    case = b"""
- id: X-1
  at: 2026-05-20T09:00:00Z
  members: {organisations: [{id: a}], listings: [{party: a, list: sdn, status: confirmed}]}
  request: {subject: {type: organisation, id: a}, model: opus-4.6, action: infer}
  expect: {decision: deny}
"""
    (fault,) = unread_names(read_case_files({"x.yaml": case}), names_read(JUDGE.book))
    assert (fault.source, fault.line) == ("x.yaml", 2)
    assert "did you mean `SDN`?" in fault.remedy


AUTHORISATIONS: Final = """
organisations: [{id: a}]
authorisations:
  - {id: P1, regime: us-era, kind: licence, holder: a, models: ["technology:4E001.a"], actions: [release]}
  - {id: P2, regime: us-ear, kind: licence, holder: a, models: [opus-4.6, mythos5, mythos], actions: [infer]}
  - {id: P3, regime: us-ear, kind: licence, holder: a, models: [weights:4E091], actions: [replicate_weights]}
"""


def test_an_authorisation_of_an_unread_regime_or_for_no_catalogue_entry_is_refused_with_what_was_meant() -> None:
    names = names_read(JUDGE.book)
    with pytest.raises(FaultsError) as refused:
        read_members(AUTHORISATIONS.encode(), "papers.yaml", names=names)
    told = [(fault.line, fault.message, fault.remedy.partition("?")[0]) for fault in refused.value.faults]
    assert told == [
        (4, "no rule asks for an authorisation of the regime `us-era`", "did you mean `us-ear`"),
        (5, "the catalogue has no entry `mythos5`", "did you mean `mythos-5`"),
        (5, "the catalogue has no entry `mythos`", "it is a gateway's name for `mythos-5`: write that"),
    ]


def test_an_authorisation_stays_fileable_for_a_model_that_the_catalogue_dropped_and_can_be_taken_back() -> None:
    names, authorisations = names_read(JUDGE.book), AUTHORISATIONS.encode()
    on_file = read_members(authorisations, "papers.yaml")
    assert (
        read_members(authorisations, "papers.yaml", existing=on_file, names=names).authorisations
        == on_file.authorisations
    )
    more = authorisations.replace(b"mythos5,", b"mythos5, mythos6,")
    with pytest.raises(FaultsError) as refused:
        read_members(more, "papers.yaml", existing=on_file, names=names)
    unknown = [fault.message for fault in refused.value.faults if "catalogue" in fault.message]
    assert unknown == ["the catalogue has no entry `mythos6`"]
    retracted = authorisations.replace(b"]}\n", b"], retracted: true}\n")
    assert all(row.retracted for row in read_members(retracted, "papers.yaml", names=names).authorisations)


def test_a_book_that_asks_for_papers_of_no_regime_knows_none_and_one_that_asks_for_any_those_of_its_rows() -> None:
    book = JUDGE.book
    regimes = {row.regime for row in book.rows}
    asks = {"OPERATOR-AUTHORISED-USE", "EAR-AUTHORISATIONS"}
    rows = {id_: tuple(row for row in book.rows if row.id == id_) for id_ in asks}
    assert all(rows.values())
    assert names_read(book).regimes == regimes
    assert names_read(replace(book, rows=rows["OPERATOR-AUTHORISED-USE"])).regimes == {"operator"}
    assert names_read(replace(book, rows=rows["EAR-AUTHORISATIONS"])).regimes == {"us-ear"}
    assert names_read(replace(book, rows=())).regimes == frozenset()


def test_a_case_with_an_authorisation_that_no_rule_reads_is_refused_and_its_own_catalogue_counts() -> None:
    case = b"""
- id: X-1
  at: 2026-05-20T09:00:00Z
  members:
    organisations: [{id: a}]
    authorisations:
      - {id: P1, regime: us-era, kind: licence, holder: a, models: [mythos5, mine-1], actions: [infer]}
  catalogue: {mine-1: {kind: model, tier: commodity}}
  request: {subject: {type: organisation, id: a}, model: opus-4.6, action: infer}
  expect: {decision: deny}
"""
    regime, model = unread_names(read_case_files({"x.yaml": case}), names_read(JUDGE.book))
    assert "`us-era`, a regime of which no rule asks for one" in regime.message
    assert "did you mean `us-ear`?" in regime.remedy
    assert "`mythos5`, which is not in the catalogue" in model.message
    assert "did you mean `mythos-5`?" in model.remedy


@pytest.mark.parametrize("name", ["a.yml", "a.yaml.txt", "a.YAML"])
def test_a_case_file_under_another_ending_is_refused_in_any_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.db").write_bytes(b"")
    assert read_cases(tmp_path) == []
    (tmp_path / name).write_bytes(b"[]")
    with pytest.raises(FaultsError, match=r"save it as `a\.yaml`"):
        read_cases(tmp_path)


def refused(file: str, rows: RosterRows = DEMO) -> str:
    """Every fault of a file that is not taken, a line each."""
    with pytest.raises(FaultsError) as raised:
        read_members(file.encode(), "added.yaml", rows, names=names_read(JUDGE.book))
    return "\n".join(map(str, raised.value.faults))


SUSPENDED_LATER: Final = (
    "memberships: [{organisation: harbor-cyber, consortium: glasswing, from: 2026-11-01, to: null, status: suspended}]"
)


def test_a_suspension_beside_an_active_membership_is_refused_with_the_command_that_is_meant() -> None:
    for file in (SUSPENDED_LATER, *reported("suspend-later.yaml")):
        assert "only one can be true; write `policy-engine members suspend harbor-cyber glasswing" in refused(file)


LISTING_OF_A: Final = (
    'listings: [{party: a, list: SDN, entry: "A Trading", entry_version: "2026-05-01", reference: "OFAC 1",'
    " from: 2026-05-01, STATUS}]"
)
PARTY_A: Final = "organisations: [{id: a, incorporated: US, headquarters: US, sector: other, reseller: false}]\n"


def edited(rows: RosterRows, edit: Edit) -> RosterRows:
    """The rows with an edit that was recorded after them."""
    made = rows_of_edit(edit, rows, names_read(JUDGE.book))
    return with_rows(rows, recorded(made, AT - timedelta(days=1)))


def test_a_listing_that_is_cleared_beside_the_match_that_waits_is_refused_and_a_correction_settles_it() -> None:
    potential = PARTY_A + LISTING_OF_A.replace("STATUS", "status: potential")
    cleared = LISTING_OF_A.replace("STATUS", 'status: cleared, cleared_version: "2026-05-01"')
    files = [(potential, cleared)]
    files += list(zip(reported("listing-potential.yaml"), reported("listing-cleared.yaml"), strict=True))
    asked = {"subject": {"type": "organisation", "id": "a"}, "model": "opus-4.6", "action": "infer", "place": US}
    changes = (("status", "cleared"), ("cleared_version", "2026-05-01"))
    for first, second in files:
        waits = with_demo(first)
        assert "LISTED_PARTY_UNRESOLVED" in denied_for(ask(waits, asked))
        assert "`policy-engine members correct listing a SDN" in refused(second, waits)
        correction = Edit(action=EditAction.CORRECT, kind="listing", name=("a", "SDN"), changes=changes)
        assert ask(edited(waits, correction), asked).verdict.allowed


LOWERED: Final = """authorisations: [{id: D-1, regime: us-ear, kind: licence, holder: namhae-lab,
 models: ['weights:4E091', 'technology:4E001.a'], actions: [release], countries: [KR], from: 2026-05-01,
 to: 2030-05-01, cap: {named_users: 2}, conditions: []}]"""
THIRD: Final = {
    "subject": {"type": "person", "id": "bora"},
    "model": "technology:4E001.a",
    "action": "release",
    "place": {"country": "KR"},
}


def test_a_cap_that_was_lowered_below_what_is_drawn_denies_the_next_person_with_its_code() -> None:
    assert ask(DEMO, THIRD).verdict.allowed
    for file in (LOWERED, *reported("licence-cap-lowered.yaml")):
        assert "`policy-engine members correct authorisation D-1" in refused(file)
    correction = Edit(
        action=EditAction.CORRECT, kind="authorisation", name=("D-1",), changes=(("cap", "{named_users: 2}"),)
    )
    assert "AUTHORISATION_CAP_EXHAUSTED" in denied_for(ask(edited(DEMO, correction), THIRD))


def test_shares_that_are_fractions_of_one_are_refused_and_percent_is_asked() -> None:
    fractions = """organisations: [{id: a}, {id: cn}, {id: de}]
ownership:
  - {owner: cn, owned: a, percent: "0.51", from: 2020-01-01}
  - {owner: de, owned: a, percent: "0.49", from: 2020-01-01}
"""
    for file in (fractions, *reported("ownership-fraction.yaml")):
        assert "percent" in refused(file)


def test_a_part_of_the_united_states_in_the_place_of_a_country_is_taken_for_the_country_it_is_of() -> None:
    for file in ("organisations: [{id: a, incorporated: US-DE, headquarters: UK}]", *reported("countries.yaml")):
        told = refused(file).splitlines()
        assert "`US`" in told[0]
        assert "`DE`" not in told[0]
        assert "`GB`" in told[1]


def test_a_share_between_bounds_is_judged_from_its_least_to_its_greatest_and_an_unknown_one_bars() -> None:
    parties = """organisations:
  - {id: a, incorporated: DE, headquarters: DE, sector: other, reseller: false}
  - {id: cn, incorporated: CN, headquarters: CN, sector: other, reseller: false}
"""
    asked = {"subject": {"type": "organisation", "id": "a"}, "model": "opus-4.6", "action": "infer", "place": DE}
    band = parties + 'ownership: [{owner: cn, owned: a, percent: {minimum: "25", maximum: "50"}}]'
    assert ask(with_demo(band), asked).verdict.allowed
    wider = band.replace('"50"', '"50.01"')
    for file in (wider, parties + "ownership: [{owner: cn, owned: a, percent: null}]", *reported("bods-range.yaml")):
        assert "OWNERSHIP_UNRESOLVED" in denied_for(ask(with_demo(file), asked))


def test_an_entity_of_the_list_is_denied_and_a_book_without_the_file_of_that_list_is_no_book() -> None:
    listed = PARTY_A + "listings: [{party: a, list: EL, entry: X, status: confirmed}]"
    asked = {
        "subject": {"type": "organisation", "id": "a"},
        "model": "technology:4E001.a",
        "action": "release",
        "place": US,
    }
    for file in (listed, *reported("entity-list-party.yaml")):
        assert "LISTED_PARTY" in denied_for(ask(with_demo(file), asked))
    data = FILES["rules/us-ear.csv"]
    for name in ("rules/us-ear.xlsx", "rules/us-ear.csv.txt"):
        renamed = {one: content for one, content in FILES.items() if one != "rules/us-ear.csv"} | {name: data}
        with pytest.raises(FaultsError, match=r"the regime `us-ear` has no file"):
            read_book(renamed)


def test_an_organisation_of_which_nothing_is_filed_is_known_to_be_nowhere() -> None:
    asked = {"subject": {"type": "organisation", "id": "noloc"}, "model": "opus-4.6", "action": "infer", "place": DE}
    nothing = "organisations: [{id: noloc, sector: other, reseller: false}]"
    for file in (nothing, *reported("organisation-nothing-filed.yaml")):
        rows = with_demo(file)
        assert not ask(rows, asked).verdict.allowed
        for country in ("XX", "ZZ", "UK"):
            claimed = {
                **asked,
                "subject": {"type": "organisation", "id": "noloc", "properties": {"headquarters": country}},
            }
            with pytest.raises((AssertedValueError, MalformedRequest)):
                ask(rows, claimed)
