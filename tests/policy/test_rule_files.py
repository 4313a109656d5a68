"""Rows of rule files: what is read, and everything for which a row is refused, with the place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from policy_engine.domain.instants import Validity
from policy_engine.domain.rules import CodeRule, Condition, Effect, Enforcement, Obligation, PublicCode, Row, Term
from policy_engine.policy.conditions import parse_condition
from policy_engine.policy.reader import read_book
from policy_engine.policy.rule_files import COLUMNS
from tests.policy.books import BAR, GRANT, NOTE, RULES, book, column_of, fault_in, fault_of, faults_of, sheet


def row_of(row: Mapping[str, str], *others: Mapping[str, str]) -> Row:
    found = read_book(book(rules=sheet(row, *others))).row(row["id"])
    assert found is not None
    return found


def test_every_cell_of_a_row_is_read() -> None:
    full = {
        "id": "A-1.B",
        "regime": "vendor",
        "effect": "deny",
        "hold": "yes",
        "judges": "parties and host",
        "action": "infer",
        "item": "model:alpha-1 & !published",
        "party": "known foreign-person",
        "place": "",
        "ownership": "owned:half",
        "listing": "listed:EL,SDN",
        "purpose": "purpose:research",
        "authorisation": "claims",
        "unless": "PAPERS & statement:uvl",
        "codes": "LICENCE_REQUIRED if foreign-person; AUTHORISATION_EXPIRED with LICENCE_REQUIRED if unknown on-file",
        "public_code": "UNDER_REVIEW",
        "obligations": "keep = Keep it = here.; report for LICENCE_REQUIRED = Report it.",
        "from": "2026-01-01",
        "to": "2026-06-30T18:00:00-04:00",
        "suspended": "2026-02-01/2026-03-01; 2026-05-01/",
        "enforcement": "advisory",
        "citation": "15 CFR 744.21",
        "message": "For the officer.",
        "public_message": "For the requester.",
    }
    empty = Condition()
    expected = Row(
        id="A-1.B",
        regime="vendor",
        effect=Effect.DENY,
        hold=True,
        judges_host=True,
        facets=(
            parse_condition("infer", "action"),
            parse_condition("model:alpha-1 & !published", "item"),
            parse_condition("known foreign-person", "party"),
            empty,
            parse_condition("owned:half", "ownership"),
            parse_condition("listed:EL,SDN", "listing"),
            parse_condition("purpose:research", "purpose"),
            parse_condition("claims", "authorisation"),
        ),
        unless=Condition(
            alternatives=((Term(word="row", parameter="PAPERS"), Term(word="statement", parameter="uvl")),)
        ),
        codes=(
            CodeRule(code="LICENCE_REQUIRED", condition=parse_condition("foreign-person", None)),
            CodeRule(
                code="AUTHORISATION_EXPIRED",
                condition=parse_condition("on-file", None),
                on_unknown=True,
                beside="LICENCE_REQUIRED",
            ),
        ),
        public_code=PublicCode.UNDER_REVIEW,
        obligations=(
            Obligation(id="keep", message="Keep it = here."),
            Obligation(id="report", message="Report it.", codes=("LICENCE_REQUIRED",)),
        ),
        valid=Validity(start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 6, 30, 22, tzinfo=UTC)),
        suspended=(
            Validity(start=datetime(2026, 2, 1, tzinfo=UTC), end=datetime(2026, 3, 1, tzinfo=UTC)),
            Validity(start=datetime(2026, 5, 1, tzinfo=UTC)),
        ),
        enforcement=Enforcement.ADVISORY,
        citation="15 CFR 744.21",
        message="For the officer.",
        public_message="For the requester.",
        line=2,
    )
    assert expected == row_of(full, NOTE)


def test_an_empty_cell_is_no_hold_parties_alone_always_and_enforced() -> None:
    row = row_of(GRANT)
    assert (False, False, Validity(), Enforcement.ENFORCED) == (
        row.hold,
        row.judges_host,
        row.valid,
        row.enforcement,
    )


def test_columns_stand_in_any_order() -> None:
    turned = list(reversed(COLUMNS))
    lines = [",".join(turned), ",".join(GRANT.get(column, "") for column in turned)]
    assert read_book(book(rules=sheet(GRANT))).rows == read_book(book(rules="\n".join(lines))).rows


@pytest.mark.parametrize(
    ("base", "column", "cell", "message", "remedy"),
    [
        (GRANT, "id", "", "the cell is empty", "capital letters"),
        (GRANT, "id", "access", "`access` is not an id", "capital letters"),
        (GRANT, "id", "A B", "`A B` is not an id", "capital letters"),
        (GRANT, "id", "ENGINE-X", "`ENGINE-X` is one of the engine's own ids", ""),
        (GRANT, "regime", "us-ear", "`us-ear` is not the regime of this file", "write `vendor`"),
        (GRANT, "effect", "Permit", "`Permit` is not known", "did you mean `permit`?"),
        (GRANT, "effect", "allow", "`allow` is not known", "did you mean `permit`?"),
        (GRANT, "effect", "", "the cell is empty", "write one of permit, deny, note"),
        (BAR, "effect", "Deny", "`Deny` is not known", "did you mean `deny`?"),
        (BAR, "effect", "deny # for now", "`deny # for now` is not known", ""),
        (BAR, "hold", "Yes", "`Yes` is not known", "did you mean `yes`?"),
        (GRANT, "hold", "yes", "a `permit` opens no review", "only a `deny` holds"),
        (BAR, "judges", "host", "`host` is not known", "parties and host"),
        (BAR, "action", "download", "there is no word `download`", "did you mean `download_weights`?"),
        (BAR, "action", "action:fly", "there is no action `fly`", ""),
        (BAR, "item", "model:alpha-2", "there is no catalogue entry `alpha-2`", "did you mean `alpha-1`?"),
        (BAR, "item", "kind:modell", "there is no kind of item `modell`", "did you mean `model`?"),
        (BAR, "item", "tier:Classified", "there is no tier `Classified`", "did you mean `classified`?"),
        (BAR, "item", "vendor:acne", "there is no vendor in the catalogue `acne`", "did you mean `acme`?"),
        (BAR, "item", "consortium:square", "there is no consortium in the catalogue `square`", "known names: circle"),
        (BAR, "item", "eccn:9A999", "there is no item or table with the ECCN `9A999`", ""),
        (BAR, "item", "operations-reach:4E092", "there is no operations test `4E092`", "did you mean `4E091`?"),
        (BAR, "party", "member:circel", "there is no consortium in the catalogue `circel`", "did you mean `circle`?"),
        (BAR, "party", "sector:state", "there is no sector `state`", ""),
        (BAR, "party", "established-in:UK", "there is no country `UK`", "did you mean `GB`?"),
        (BAR, "party", "established-in:CN,", "in the list `CN,` a name is missing", ""),
        (BAR, "party", "pattern:theft", "there is no pattern test `theft`", "known names: distillation"),
        (BAR, "party", "barred-by:us-eer", "there is no regime `us-eer`", "did you mean `us-ear`?"),
        (BAR, "party", "barred-by:engine", "there is no regime `engine`", ""),
        (BAR, "party", "barred-by:us-ear,vendor", "a bar of `vendor` asks whether `vendor` bars", "name other regimes"),
        (BAR, "party", "unbarred-by:vendor", "a bar of `vendor` asks whether `vendor` bars", "name other regimes"),
        (BAR, "party", "us-person & status-read-by:ACESS", "there is no rule `ACESS`", "did you mean `ACCESS`?"),
        (BAR, "place", "located-in:EAR:E:3", "there is no country group `EAR:E:3`", "did you mean `EAR:E:1`?"),
        (BAR, "place", "located-in:OFAC:regions", "has only parts of countries, so no country is in it", "`in-part`"),
        (BAR, "place", "in-part:RU", "there is no parts test `RU`", "known names: UA"),
        (BAR, "place", "place-conflict:REGION,X", "there is no rule `X`", ""),
        (BAR, "ownership", "owned:all", "there is no ownership test `all`", ""),
        (BAR, "ownership", "captured-under:half", "`half` is not a rule, `=` and an ownership test", ""),
        (BAR, "ownership", "captured-under:NONE=half", "there is no rule `NONE`", ""),
        (BAR, "ownership", "captured-under:REGION=all", "there is no ownership test `all`", ""),
        (BAR, "listing", "listed:el", "`el` is not a list code", "`EL`"),
        (BAR, "listing", "listed:SDNN", "there is no list `SDNN`", "did you mean `SDN`?"),
        (BAR, "listing", "listing-cleared:EL,OFSI", "there is no list `OFSI`", "under `lists` in parameters.yaml"),
        (BAR, "unless", "any-listed:MEUL", "there is no list `MEUL`", "did you mean `MEU`?"),
        (BAR, "listing", "military:744.22", "there is no military test `744.22`", "did you mean `744.21`?"),
        (BAR, "purpose", "purpose:Research", "`Research` is not a purpose", ""),
        (BAR, "authorisation", "holds:licence", "`licence` is not a regime or `any`, `/` and kinds", "us-ear/licence"),
        (
            BAR,
            "authorisation",
            "holds:us-ear/licens",
            "there is no kind of authorisation `licens`",
            "did you mean `licence`?",
        ),
        (BAR, "authorisation", "holds:ear/licence", "there is no regime of authorisations `ear`", ""),
        (BAR, "authorisation", "statement:mofcom", "there is no kind of statement `mofcom`", "`mofcom_order`"),
        (BAR, "authorisation", "claims:sta", "`sta` is not a licence exception", "`STA`"),
        (BAR, "unless", "PAPRES", "there is no rule `PAPRES`", "did you mean `PAPERS`?"),
        (BAR, "unless", "ACCESS", "`ACCESS` is a `permit`", "effect `note`"),
        (BAR, "unless", "REGION", "`REGION` is a `deny`", "effect `note`"),
        (GRANT, "unless", "PAPERS", "a `permit` cannot be lifted", "empty the cell"),
        (BAR, "codes", "", "a reason code is missing", "`CODE if condition`"),
        (BAR, "codes", "REGION_UNSUPPORTED;", "a reason code is missing", ""),
        (BAR, "codes", "REGION_UNSUPORTED", "there is no reason code `REGION_UNSUPORTED`", "`REGION_UNSUPPORTED`"),
        (BAR, "codes", "REGION_UNSUPPORTED when on-file", "`REGION_UNSUPPORTED when on-file` is not a reason code", ""),
        (BAR, "codes", "REGION_UNSUPPORTED if", "`REGION_UNSUPPORTED if` is not a reason code", ""),
        (BAR, "codes", "REGION_UNSUPPORTED if on-fil", "there is no word `on-fil`", "did you mean `on-file`?"),
        (BAR, "codes", "REGION_UNSUPPORTED if PAPERS", "there is no word `PAPERS`", ""),
        (BAR, "codes", "REGION_UNSUPPORTED if member:ring", "there is no consortium in the catalogue `ring`", ""),
        (BAR, "codes", "LISTED_PARTY with LICENCE_REQUIRED", "which does not come before it", "the other code first"),
        (GRANT, "public_code", "UNDER_REVIEW", "`UNDER_REVIEW` does not go with `permit`", "write `ALLOWED`"),
        (BAR, "public_code", "ALLOWED", "`ALLOWED` does not go with `deny`", ""),
        (BAR, "public_code", "", "the cell is empty", "write one of"),
        (BAR, "public_code", "SUSPEND", "`SUSPEND` is not known", "did you mean `SUSPENDED`?"),
        (BAR, "obligations", "keep it", "`keep it` is not an obligation", "`id = sentence`"),
        (BAR, "obligations", "keep = ", "`keep =` is not an obligation", ""),
        (BAR, "obligations", "keep = it.;", "an obligation is missing", ""),
        (BAR, "obligations", "keep = a; keep = b", "duplicate obligation `keep`", ""),
        (BAR, "obligations", "keep for LISTED_PARTY = a", "is for `LISTED_PARTY`, which the row never gives", ""),
        (BAR, "from", "12.06.2026", "`12.06.2026` is not an instant", "2026-06-12T21:21:00Z"),
        (BAR, "from", "2026-06-12T21:21:00", "`2026-06-12T21:21:00` is not an instant", ""),
        (BAR, "to", "2026-02-30", "`2026-02-30` is not an instant", ""),
        (BAR, "suspended", "2026-01-01", "`2026-01-01` is not an interval", "write `begin/end`"),
        (BAR, "suspended", "/", "`/` is not an interval", ""),
        (BAR, "suspended", "2026-02-01/2026-01-01", "is not after the beginning", ""),
        (BAR, "suspended", "2026-02-01/never", "`never` is not an instant", ""),
        (BAR, "enforcement", "Advisory", "`Advisory` is not known", "did you mean `advisory`?"),
        (BAR, "citation", "", "the cell is empty", "a rule that cannot be explained does not load"),
        (BAR, "message", " ", "the cell is empty", "a rule that cannot be explained does not load"),
        (BAR, "public_message", "", "the cell is empty", "a rule that cannot be explained does not load"),
    ],
)
def test_a_cell_that_does_not_say_what_it_should_is_refused_with_its_place(
    base: Mapping[str, str], column: str, cell: str, message: str, remedy: str
) -> None:
    others = [row for row in (GRANT, BAR, NOTE) if row is not base]
    changed = {**base, column: cell}
    if changed["codes"] != base["codes"] and not cell.startswith("REGION"):
        changed["obligations"] = ""
    data = sheet(*others, changed)
    fault = fault_of(book(rules=data))
    assert (fault.source, fault.line) == (RULES, 4)
    assert f"in `{column}`: " in fault.message
    assert message in fault.message
    assert remedy in fault.remedy
    if cell.strip() and cell == cell.strip() and '"' not in data.decode().split("\n")[3]:
        begins = 1 + len(",".join([*(changed.get(name, "") for name in COLUMNS[: COLUMNS.index(column)]), ""]))
        assert begins <= fault.column <= begins + len(cell)


def test_the_place_of_a_fault_is_that_of_the_word_inside_its_cell() -> None:
    data = sheet({**BAR, "item": "published & publish"})
    fault = fault_of(book(rules=data))
    assert (2, column_of(data, 2, "published & publish") + len("published & ")) == (fault.line, fault.column)
    data = sheet({**BAR, "party": "us-person |\n  established-in:GB,UK"})
    fault = fault_of(book(rules=data))
    assert (3, column_of(data, 3, "established-in")) == (fault.line, fault.column)


def test_the_end_of_a_rule_comes_after_its_beginning() -> None:
    fault = fault_in({**BAR, "from": "2026-06-12", "to": "2026-06-12"})
    assert "the end `2026-06-12` is not after the beginning `2026-06-12`" in fault.message


def test_a_grant_that_asks_nothing_is_refused() -> None:
    fault = fault_in({**GRANT, "action": "", "item": ""})
    assert "the row asks nothing, so it grants everything" in fault.message


def test_a_bar_that_asks_nothing_bars_everything() -> None:
    assert not any(facet.alternatives for facet in row_of({**BAR, "action": "", "place": ""}).facets)


def test_what_lifts_cannot_be_lifted() -> None:
    faults = faults_of(book(rules=sheet({**BAR, "unless": "PAPERS"}, {**NOTE, "unless": "on-file"})))
    assert [(fault.line, fault.message) for fault in faults] == [
        (2, "in `unless`: `PAPERS` has an `unless` of its own"),
        (3, "in `unless`: a `note` cannot be lifted"),
    ]


def test_what_lifts_cannot_ask_which_bars_stand_since_that_is_known_only_afterwards() -> None:
    nothing_bars = {**NOTE, "party": "unbarred-by:us-ear"}
    fault = fault_in({**BAR, "unless": "on-file | PAPERS"}, nothing_bars)
    assert "`PAPERS` reads which bars stand" in fault.message
    assert row_of(nothing_bars).effect is Effect.NOTE


def test_a_bar_may_ask_whether_other_regimes_bar() -> None:
    assert "barred-by" in row_of({**BAR, "party": "barred-by:us-ear,us-order"}).words


def test_an_id_stands_once_in_all_files_whatever_its_case() -> None:
    files = book(rules=sheet(GRANT, BAR))
    files["rules/operator.csv"] = sheet({**BAR, "regime": "operator"})
    files["rules/consortium.csv"] = sheet({**GRANT, "regime": "consortium", "id": "Access"})
    faults = faults_of(files)
    assert [(fault.source, fault.line, fault.message) for fault in faults] == [
        ("rules/consortium.csv", 2, "in `id`: `Access` is not an id"),
        ("rules/vendor.csv", 2, "in `id`: duplicate id `ACCESS`: it is in rules/consortium.csv, line 2 already"),
        ("rules/vendor.csv", 3, "in `id`: duplicate id `REGION`: it is in rules/operator.csv, line 2 already"),
    ]


def test_rules_may_name_rules_of_other_files_and_of_lines_further_down() -> None:
    files = book(rules=sheet({**BAR, "unless": "PAPERS"}, GRANT))
    files["rules/us-ear.csv"] = sheet({**NOTE, "regime": "us-ear"})
    assert tuple(row.id for row in read_book(files).rows) == ("ACCESS", "PAPERS", "REGION")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (COLUMNS[1:], [(1, 1, "the column `id` is missing")]),
        ((*COLUMNS, "notes"), [(1, len(",".join(COLUMNS)) + 2, "there is no column `notes`")]),
        ((*COLUMNS, "id"), [(1, len(",".join(COLUMNS)) + 2, "duplicate column `id`: the 1st has this name already")]),
        (
            ("id", "Regime", *COLUMNS[2:]),
            [(1, 1, "the column `regime` is missing"), (1, 4, "there is no column `Regime`")],
        ),
        (("a", "b"), [(1, 1, "the first line does not name the columns of a rule file")]),
    ],
)
def test_a_header_names_each_column_once_and_nothing_else(
    header: tuple[str, ...], expected: list[tuple[int, int, str]]
) -> None:
    cells = ["x"] * len(header)
    faults = faults_of(book(rules=f"{','.join(header)}\n{','.join(cells)}\n"))
    assert expected == [(fault.line, fault.column, fault.message) for fault in faults]


def test_a_misspelt_column_is_answered_with_the_nearest() -> None:
    faults = faults_of(book(rules=sheet(GRANT).replace(b"authorisation", b"authorization")))
    assert "did you mean `authorisation`?" in faults[1].remedy


def test_every_fault_of_all_files_is_told_sorted_by_place() -> None:
    files = book(rules=sheet({**GRANT, "effect": "Permit", "message": ""}, {**BAR, "codes": "X"}), settings="{}")
    files["rules/us-ear.csv"] = sheet({**NOTE, "regime": "vendor"})
    faults = faults_of(files)
    assert [(fault.source, fault.line) for fault in faults] == [
        ("rules/us-ear.csv", 2),
        ("rules/vendor.csv", 2),
        ("rules/vendor.csv", 2),
        ("rules/vendor.csv", 3),
        ("settings.yaml", 1),
        ("settings.yaml", 1),
    ]
    assert list(faults) == sorted(faults)


def test_a_catalogue_that_cannot_be_read_is_no_fault_of_the_rules_that_name_it() -> None:
    rules = sheet({**BAR, "item": "model:gone", "party": "member:gone"})
    fault = fault_of(book(catalogue="alpha-1: [", rules=rules))
    assert fault.source == "catalogue.yaml"


def test_a_row_that_could_not_be_read_is_no_fault_of_the_rows_that_name_it() -> None:
    broken = sheet({**BAR, "unless": "PAPERS"}) + b"PAPERS,vendor,note\n"
    fault = fault_of(book(rules=broken))
    assert (fault.line, fault.message) == (3, "the row has 3 cells and the header 24")
