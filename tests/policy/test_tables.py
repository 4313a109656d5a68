"""Catalogue, country groups, parameters and settings: what is read, and everything that is refused, with the place."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from policy_engine.domain.catalogue import DerivedFrom, Entry, ItemKind, OperationsTest, TaughtBy, Tier, Weights
from policy_engine.domain.instants import Validity
from policy_engine.domain.ownership import OwnershipTest
from policy_engine.domain.places import CountryGroup, GroupMember, PartsTest, PostcodeRule, TreatAs
from policy_engine.domain.rules import BookSettings, ControlColumn, MilitaryTest, OwnershipRule, PatternTest
from policy_engine.formats.documents import Mapping, read_document
from policy_engine.formats.faults import FaultsError
from policy_engine.policy.reader import read_book
from tests.policy.books import (
    BAR,
    CATALOGUE,
    COUNTRY_GROUPS,
    PARAMETERS,
    SETTINGS,
    book,
    column_of,
    fault_of,
    faults_of,
    sheet,
)

STUDENT = """\
beta:
  kind: model
  tier: distilled
  vendor: acme
  developer_country: CN
  weights: undetermined
  training_operations: 6.0e+24
  eccn: "4E091"
  purposes: [research, defence]
  purposes_needing_review: [pentest]
  consortium: circle
  lineage: [{teacher: alpha-1, synthetic_share: "0.12"}, {base: alpha-1, added_operations: 3.0e+25}]
  fallbacks: [alpha-1]
  aliases: {main: [b, beta-latest], other: [b]}
  requires_end_user: true
"""
MINIMAL = (
    "{kind: model, tier: null, vendor: null, weights: null, consortium: null, lineage: [], requires_end_user: false"
)


def test_every_field_of_an_entry_is_read() -> None:
    expected = Entry(
        id="beta",
        kind=ItemKind.MODEL,
        tier=Tier.DISTILLED,
        vendor="acme",
        developer_country="CN",
        weights=Weights.UNDETERMINED,
        training_operations=Decimal("6.0e+24"),
        eccn="4E091",
        purposes=("research", "defence"),
        purposes_needing_review=("pentest",),
        consortium="circle",
        taught_by=(TaughtBy(teacher="alpha-1", synthetic_share=Decimal("0.12")),),
        derived_from=(DerivedFrom(base="alpha-1", added_operations=Decimal("3.0e+25")),),
        fallbacks=("alpha-1",),
        aliases=(("main", ("b", "beta-latest")), ("other", ("b",))),
        requires_end_user=True,
    )
    assert expected == read_book(book(catalogue=CATALOGUE + STUDENT)).tables.catalogue.entries["beta"]


def test_every_parameter_is_read() -> None:
    tables = read_book(book()).tables
    half = OwnershipTest(name="half", threshold=Decimal(50), strict=False, cascade=True, look_through=False)
    assert {"half": OwnershipRule(test=half, listed=("EL", "SDN"))} == tables.ownership
    assert {
        "4E091": OperationsTest(
            name="4E091",
            threshold=Decimal("1e26"),
            generator_share_more_than=Decimal("0.10"),
            derivative_added_max=Decimal("2.5e25"),
            derivative_added_share=Decimal("0.25"),
        )
    } == tables.operations
    assert {
        "NS1": ControlColumn(name="NS1", everywhere_except=("CA", "US")),
        "AT1": ControlColumn(name="AT1", covers=("EAR:E:1",)),
    } == tables.columns
    assert tables.eccn_columns == {"4E001.a": ("NS1", "AT1")}
    assert {
        "744.21": MilitaryTest(
            name="744.21",
            list="MEU",
            purpose="military_end_use",
            any_item_countries=("EAR:D:5",),
            supplement_countries=("VE",),
            supplement_eccn=("4A994",),
        )
    } == tables.military
    assert {
        "distillation": PatternTest(
            name="distillation", min_shared=2, min_accounts=100, min_exchanges_24h=100_000, max_age_hours=24
        )
    } == tables.patterns
    postcodes = PostcodeRule(digits=5, countries=("UA",), prefixes=(("95", "UA-43"),))
    expected = PartsTest(name="UA", country="UA", subdivisions=("UA-43",), postcodes=(postcodes,))
    assert {"UA": expected} == tables.parts


def test_the_ways_in_which_owners_count_are_read() -> None:
    ownership = """\
ownership:
  half: {threshold: "50", strict: false, methods: [cascade], owners: {listed: [EL, MEU]},
         supplement: {lists: [MEU], eccn: ["4A994"]}}
  inside: {threshold: "0", strict: true, methods: [look_through], owners: {headquartered_in: "EAR:D:5"},
           own_establishment: true}
  outside: {threshold: "33.3", strict: true, methods: [cascade, look_through],
            owners: {headquartered_outside: "EAR:D:5"}}
"""
    lists, _, rest = PARAMETERS.partition("\n")
    parameters = f"{lists}\n{ownership}{rest[rest.index('operations:') :]}"
    assert {
        "half": OwnershipRule(
            test=OwnershipTest(name="half", threshold=Decimal(50), strict=False, cascade=True, look_through=False),
            listed=("EL", "MEU"),
            supplement_lists=("MEU",),
            supplement_eccn=("4A994",),
        ),
        "inside": OwnershipRule(
            test=OwnershipTest(name="inside", threshold=Decimal(0), strict=True, cascade=False, look_through=True),
            headquartered_in="EAR:D:5",
            own_establishment=True,
        ),
        "outside": OwnershipRule(
            test=OwnershipTest(name="outside", threshold=Decimal("33.3"), strict=True, cascade=True, look_through=True),
            headquartered_outside="EAR:D:5",
        ),
    } == read_book(book(parameters=parameters)).tables.ownership


def test_country_groups_and_readings_are_read_with_their_times() -> None:
    dated = COUNTRY_GROUPS.replace("{country: RU}", "{country: RU, from: 2022-03-01, to: 2026-01-01T05:00:00-05:00}")
    places = read_book(book(country_groups=dated)).tables.places
    assert (
        TreatAs(
            country="HK",
            read_as="CN",
            law="EAR",
            source="85 FR 83788",
            valid=Validity(start=datetime(2020, 12, 23, tzinfo=UTC)),
        ),
    ) == places.treat_as
    limited = Validity(start=datetime(2022, 3, 1, tzinfo=UTC), end=datetime(2026, 1, 1, 10, tzinfo=UTC))
    assert (
        CountryGroup(
            name="EAR:D:5",
            label="Arms",
            source="Supp. 1",
            checked=True,
            members=(GroupMember(country="CN"), GroupMember(country="RU", valid=limited)),
        )
        == places.groups["EAR:D:5"]
    )
    assert (GroupMember(country="UA", subdivision="UA-43"),) == places.groups["OFAC:regions"].members


def test_norway_is_a_country_with_and_without_quotation_marks() -> None:
    for written in ("NO", '"NO"'):
        groups = COUNTRY_GROUPS.replace("{country: CN}", f"{{country: {written}}}")
        members = read_book(book(country_groups=groups)).tables.places.groups["EAR:D:5"].members
        assert members[0].country == "NO"


def test_settings_are_read_as_exact_numbers() -> None:
    settings = SETTINGS.replace("classified: 5", "classified: 2.5")
    expected = BookSettings(max_age_classified=Decimal("2.5"), max_age_other=Decimal(30))
    assert expected == read_book(book(settings=settings)).settings


@pytest.mark.parametrize(
    ("file", "written", "instead", "at", "message", "remedy"),
    [
        ("catalogue", "kind: model", "kind: Model", "Model", "there is no `Model` here", "did you mean `model`?"),
        ("catalogue", "  kind: model\n", "", "tier", "the entry `alpha-1` has no `kind`", ""),
        (
            "catalogue",
            "  vendor: acme\n",
            "",
            "kind",
            "the entry `alpha-1` has no field `vendor`",
            "as null if there is",
        ),
        ("catalogue", "  lineage: []\n", "", "kind", "the entry `alpha-1` has no `lineage`", ""),
        ("catalogue", "requires_end_user: false", "requires_end_user: no", "no", "true or false is wanted", ""),
        ("catalogue", "requires_end_user: false", "requires_end_user: null", "kind", "has no `requires_end_user`", ""),
        ("catalogue", "fallbacks", "fallback", "fallback", "has no field `fallback`", "did you mean `fallbacks`?"),
        ("catalogue", "developer_country: US", "developer_country: USA", "USA", "there is no country `USA`", "`US`"),
        ("catalogue", "1.0e+25", '"1e25"', '"1e25"', "a number is wanted here and this is a text", "1.0e+26"),
        ("catalogue", "1.0e+25", "-1", "-1", "`-1` is less than 0", ""),
        ("catalogue", "eccn: null", "eccn: 4E091", "4E091", "a text is wanted here and `4E091` is a number", '"4E091"'),
        ("catalogue", "eccn: null", 'eccn: "4E9"', '"4E9"', "`4E9` is not an ECCN", '"4E001.a"'),
        ("catalogue", "[research]", "[Research]", "Research", "`Research` is not a purpose", "lower-case"),
        ("catalogue", "[research]", "[a, a]", "a]", "names `a` twice", "name it once"),
        ("catalogue", "[research]", "[null]", "null", "has an empty entry", ""),
        ("catalogue", "[research]", "research", "research", "is a text", "write a list"),
        (
            "catalogue",
            "fallbacks: []",
            "fallbacks: [alpha]",
            "alpha]",
            "the fallback `alpha` is not in the catalogue",
            "`alpha-1`",
        ),
        ("catalogue", "fallbacks: []", "fallbacks: [alpha-1]", "alpha-1]", "an entry is its own fallback", ""),
        ("catalogue", "[alpha]", '["technology:4E001.a"]', '"tech', "is the id of an entry", "choose another alias"),
        ("catalogue", "[alpha]", '["a\\u200bb"]', '"a', "the text has the invisible character", ""),
        ("catalogue", "[alpha]", '["Ｋ"]', '"Ｋ', "has characters that look like others", "choose another"),
        ("catalogue", "alpha-1:", '"al pha":', '"al pha"', "no rule could name `al pha`", "leave out blanks"),
        ("catalogue", "lineage: []", "lineage: [{teacher: t}]", "{teacher", "an ancestor has no `synthetic_share`", ""),
        ("country_groups", "{country: CN}", "{country: cn}", "cn", "there is no country `cn`", "did you mean `CN`?"),
        ("country_groups", "{country: CN}", "{country: RU}", "{country: RU}]", "duplicate member RU", ""),
        (
            "country_groups",
            "{country: CN}",
            "{country: CN, until: 2026-01-01}",
            "until",
            "a member has no field `until`",
            "",
        ),
        ("country_groups", "{country: CN}", "{country: CN, from: 2026}", "2026", "a text is wanted here", ""),
        ("country_groups", "{country: CN}", "{country: CN, from: soon}", "soon", "`soon` is not an instant", ""),
        (
            "country_groups",
            "{country: CN}",
            "{country: CN, from: 2026-01-02, to: 2026-01-02}",
            "2026-01-02}",
            "not after",
            "",
        ),
        (
            "country_groups",
            "subdivision: UA-43",
            "subdivision: RU-43",
            "RU-43",
            "`RU-43` is not a part of UA",
            "`UA-43`?",
        ),
        ("country_groups", "subdivision: UA-43", "subdivision: UA-11", "UA-11", "`UA-11` is not a part of UA", "UA-05"),
        (
            "country_groups",
            "checked: true, members: [{country: IR}",
            "members: [{country: IR}",
            "{group",
            "no `checked`",
            "",
        ),
        (
            "country_groups",
            "[{country: IR}, {country: KP}]",
            "[]",
            '"EAR:E:1"',
            "the group `EAR:E:1` has no members",
            "",
        ),
        (
            "country_groups",
            '"EAR:E:1"',
            '"EAR:D:5"',
            '{group: "EAR:D:5", label: Arms',
            "duplicate group `EAR:D:5`",
            "",
        ),
        ("country_groups", '"EAR:E:1"', '"E1"', '"E1"', "`E1` is not the name of a group", "a colon and a name"),
        ("country_groups", "in: EAR", "in: EARS", "EARS", "there is no law with a group `EARS`", "did you mean `EAR`?"),
        ("country_groups", "as: CN, ", "", "{country: HK", "a reading has no `as`", ""),
        (
            "country_groups",
            "groups:\n",
            "  - {country: HK, as: GB, in: EAR, from: 2024-01-01, source: x}\ngroups:\n",
            "{country: HK, as: GB",
            "EAR reads HK as CN at that time",
            "end the one before the other begins",
        ),
        ("parameters", '"50"', "50", "50", "a text is wanted here and `50` is a number", '"50"'),
        ("parameters", '"50"', '"101"', '"101"', "`101` is not a decimal from 0 to 100", ""),
        ("parameters", '"50"', '"5e1"', '"5e1"', "`5e1` is not a decimal from 0 to 100", ""),
        ("parameters", '"50"', '"0"', '"0"', "captures everything", "strict: true"),
        (
            "parameters",
            "[cascade]",
            "[cascades]",
            "cascades",
            "there is no method `cascades`",
            "did you mean `cascade`?",
        ),
        ("parameters", "[EL, SDN]", "[El]", "El", "`El` is not a list code", ""),
        ("parameters", "{listed: [EL, SDN]}", "{}", "{}", "in one way whose shares count", "headquartered_in"),
        (
            "parameters",
            "{listed: [EL, SDN]}",
            '{headquartered_in: "EAR:D:6"}',
            '"EAR:D:6"',
            "no country group `EAR:D:6`",
            "`EAR:D:5`",
        ),
        ("parameters", "{listed: [EL, SDN]}", "{headquartered_in: CN}", "CN", "`CN` is not a country group", ""),
        ("parameters", "{listed: [EL, SDN]}", "{listed: [EL]}, own_establishment: true", "true", "looked for in", ""),
        (
            "parameters",
            "{listed: [EL, SDN]}",
            '{listed: [EL]}, supplement: {lists: [MEU], eccn: ["4A994"]}',
            "[MEU]",
            "lists that count",
            "",
        ),
        ("parameters", "1.0e+26", '"1.0e+26"', '"1.0e+26"', "a number is wanted here and this is a text", ""),
        ("parameters", '"0.10"', '"10"', '"10"', "`10` is not a decimal from 0 to 1", ""),
        (
            "parameters",
            '  "4E091"',
            "  4E091",
            "4E091",
            "a key must be a text and `4E091` is a number",
            "put quotes around it",
        ),
        ("parameters", '"EAR:E:1"', '"EAR:E:9"', '"EAR:E:9"', "there is no country group `EAR:E:9`", ""),
        ("parameters", '"EAR:E:1"', '"OFAC:regions"', '"OFAC:regions"', "has only parts of countries", ""),
        ("parameters", "{everywhere_except: [CA, US]}", "{}", "NS1", "in one way which countries it covers", ""),
        ("parameters", "[CA, US]", "[Canada]", "Canada", "there is no country `Canada`", ""),
        ("parameters", "[NS1, AT1]", "[NS2, AT1]", "NS2", "there is no column `NS2`", "did you mean `NS1`?"),
        ("parameters", "[NS1, AT1]", "[]", '"4E001.a"', "the ECCN `4E001.a` has no columns", ""),
        ("parameters", "list: MEU", "list: meu", "meu", "`meu` is not a list code", "`MEU`"),
        ("parameters", "list: MEU", "list: MEUL", "MEUL", "there is no list `MEUL`", "did you mean `MEU`?"),
        ("parameters", "[EL, SDN]", "[EL, SDM]", "SDM", "there is no list `SDM`", "did you mean `SDN`?"),
        ("parameters", "lists: {EL:", "lists: {el:", "el", "`el` is not a list code", "capital letters"),
        ("parameters", "MEU: Military End User List", "MEU: null", "MEU", "the list `MEU` has no title", "write its"),
        ("parameters", "min_shared: 2", "min_shared: 0", "0,", "0 is not a whole number from 1", ""),
        ("parameters", "min_shared: 2", "min_shared: 1.5", "1.5", "1.5 is not a whole number from 1", ""),
        ("parameters", "max_age_hours: 24", "max_age_hour: 24", "max_age_hour:", "has no field `max_age_hour`", ""),
        (
            "parameters",
            '"95": UA-43',
            "95: UA-43",
            "95",
            "a key must be a text and `95` is a number",
            "put quotes around it",
        ),
        ("parameters", '"95": UA-43', '"9x": UA-43', '"9x"', "`9x` is not the beginning of a number of 5 digits", ""),
        ("parameters", '"95": UA-43', '"95": UA-44', "UA-44", "there is no part `UA-44`", "did you mean `UA-43`?"),
        ("parameters", '"95": UA-43', '"9": UA-43, "95": UA-43', '"95"', "`95` begins with `9`", ""),
        ("parameters", "countries: [UA]", "countries: [UKR]", "UKR", "there is no country `UKR`", "did you mean `UA`?"),
        (
            "parameters",
            "subdivisions: [UA-43]",
            "subdivisions: [RU-43, UA-43]",
            "RU-43",
            "`RU-43` is not a part of UA",
            "",
        ),
        ("parameters", "patterns:", "pattern:", "pattern:", "has no field `pattern`", "did you mean `patterns`?"),
        ("settings", "classified: 5", "classified: fast", "fast", "a number is wanted here", ""),
        ("settings", "classified: 5, ", "", "{other", "`max_age_seconds` has no `classified`", ""),
        ("settings", "{}", "{REGION: off}", "off", "there is no `off` here", "write one of enforced, advisory"),
        ("settings", "{}", "{REGIONS: advisory}", "REGIONS", "there is no rule `REGIONS`", "did you mean `REGION`?"),
        ("settings", "enforcement: {}", "enforcements: {}", "enforcements", "has no field `enforcements`", ""),
    ],
)
def test_a_table_that_does_not_say_what_it_should_is_refused_with_the_place(
    file: str, written: str, instead: str, at: str, message: str, remedy: str
) -> None:
    texts = {"catalogue": CATALOGUE, "country_groups": COUNTRY_GROUPS, "parameters": PARAMETERS, "settings": SETTINGS}
    assert written in texts[file]
    changed = texts[file].replace(written, instead, 1)
    faults = faults_of(book(**{file: changed}))
    told = next(fault for fault in faults if message in fault.message)
    assert f"{file}.yaml" == told.source
    assert remedy in told.remedy
    assert changed.split("\n")[told.line - 1][told.column - 1 :].startswith(at)


def test_aliases_of_one_gateway_name_one_entry() -> None:
    fault = fault_of(book(catalogue=CATALOGUE + STUDENT.replace("[b, beta-latest]", "[alpha]")))
    assert "the alias `alpha` of `main` is one of `alpha-1` too" in fault.message


def test_an_ancestor_is_either_a_teacher_or_a_base() -> None:
    for lineage in ("{}", '{teacher: alpha-1, synthetic_share: "1", base: alpha-1}', "{added_operations: 1}"):
        catalogue = CATALOGUE.replace("lineage: []", f"lineage: [{lineage}]", 1)
        fault = fault_of(book(catalogue=catalogue))
        assert (
            fault.source,
            fault.line,
            fault.message,
        ) == ("catalogue.yaml", 12, "an ancestor is either a teacher or a base")


def test_ancestors_are_in_the_catalogue() -> None:
    lineage = '[{teacher: gone, synthetic_share: "1"}, {base: lost, added_operations: null}]'
    faults = faults_of(book(catalogue=CATALOGUE.replace("lineage: []", f"lineage: {lineage}", 1)))
    assert [fault.message for fault in faults] == [
        "the teacher `gone` is not in the catalogue",
        "the base `lost` is not in the catalogue",
    ]


def test_a_lineage_never_comes_back_to_itself() -> None:
    chain = "".join(
        f"{name}: {MINIMAL.replace('lineage: []', lineage)}}}\n"
        for name, lineage in (
            ("one", "lineage: [{base: two, added_operations: 1}]"),
            ("two", 'lineage: [{teacher: three, synthetic_share: "0.5"}, {base: alpha-1, added_operations: 1}]'),
            ("three", "lineage: [{base: one, added_operations: 1}]"),
            ("child", "lineage: [{base: one, added_operations: 1}]"),
        )
    )
    faults = faults_of(book(catalogue=CATALOGUE + chain))
    assert [f"the lineage of `{name}` comes back to itself" for name in ("one", "two", "three")] == [
        fault.message for fault in faults
    ]


def test_a_fallback_may_lead_back() -> None:
    catalogue = CATALOGUE.replace("fallbacks: []", "fallbacks: [beta]") + STUDENT
    assert read_book(book(catalogue=catalogue)).tables.catalogue.entries["alpha-1"].fallbacks == ("beta",)


def test_an_entry_of_a_case_replaces_or_adds_to_the_catalogue() -> None:
    extra = read_document(
        f"alpha-1: {MINIMAL}, eccn: '4E001.a', aliases: {{main: [new]}}}}\nbeta: {MINIMAL}}}".encode(), "case.yaml"
    )
    rules = sheet(BAR)
    catalogue = read_book(book(rules=rules), extra_catalogue=extra).tables.catalogue
    assert sorted(catalogue.entries) == ["alpha-1", "beta", "technology:4E001.a"]
    assert catalogue.entries["alpha-1"].eccn == "4E001.a"
    assert (
        catalogue.find("alpha", "main"),
        getattr(catalogue.find("new", "main"), "id", None),
    ) == (None, "alpha-1")
    assert read_book(book(rules=rules)).fingerprint != read_book(book(rules=rules), extra_catalogue=extra).fingerprint


def test_a_fault_of_a_case_is_told_under_another_name_than_that_of_the_catalogue_file() -> None:
    extra = Mapping(entries=(), line=3, column=7)
    assert read_book(book()).fingerprint == read_book(book(), extra_catalogue=extra).fingerprint
    broken = read_document(f"beta: {MINIMAL}, tears: 1}}".encode(), "case.yaml")
    with pytest.raises(FaultsError) as refused:
        read_book(book(), extra_catalogue=broken)
    assert [(fault.source, fault.line) for fault in refused.value.faults] == [("extra catalogue", 1)]


def test_a_number_where_an_eccn_or_a_postcode_is_wanted_tells_how_to_write_it() -> None:
    fault = fault_of(book(catalogue=CATALOGUE.replace("eccn: null", "eccn: 4E091")))
    assert fault.remedy == 'quote it: "4E091"'
    assert column_of(CATALOGUE.encode(), 8, "null") == fault.column
