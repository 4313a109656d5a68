"""The whole book: what changes its fingerprint, which files belong to it, and whose settings win."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.domain.rules import REGIMES, Book, Enforcement, Row
from policy_engine.formats.faults import FaultsError
from policy_engine.policy.judge import Judge
from policy_engine.policy.reader import read_book, read_folder
from policy_engine.policy.rule_files import COLUMNS
from tests.policy.books import (
    BAR,
    CATALOGUE,
    COUNTRY_GROUPS,
    GRANT,
    NOTE,
    PARAMETERS,
    SETTINGS,
    book,
    fault_of,
    faults_of,
    sheet,
)

POLICIES = Path(__file__).parent.parent.parent / "policies"
FULL: Mapping[str, str] = {
    **BAR,
    "id": "FULL",
    "hold": "no",
    "judges": "parties",
    "item": "published | tier:commodity & !model:alpha-1",
    "party": "known foreign-person",
    "unless": "PAPERS | statement:uvl",
    "codes": "REGION_UNSUPPORTED; LOCATION_UNKNOWN with REGION_UNSUPPORTED if unknown on-file",
    "obligations": "keep = Keep it.; report for LOCATION_UNKNOWN = Report it.",
    "from": "2026-01-01",
    "to": "2027-01-01T00:00:00Z",
    "suspended": "2026-02-01/2026-03-01",
    "enforcement": "enforced",
}
ROWS = (GRANT, BAR, NOTE, FULL)
SMALL = read_book(book(rules=sheet(*ROWS)))


def without_lines(found: Book) -> tuple[Row, ...]:
    return tuple(replace(row, line=0) for row in found.rows)


@given(rows=st.permutations(ROWS), quote_all=st.booleans(), separator=st.sampled_from(",;"))
def test_the_order_of_rows_and_the_way_of_quoting_leave_the_fingerprint(
    rows: list[Mapping[str, str]], quote_all: bool, separator: str
) -> None:
    turned = read_book(book(rules=sheet(*rows, quote_all=quote_all, separator=separator)))
    assert SMALL.fingerprint == turned.fingerprint
    assert without_lines(SMALL) == without_lines(turned)


@given(
    column=st.sampled_from(COLUMNS),
    at=st.integers(0, 80),
    cut=st.integers(0, 1),
    put=st.sampled_from(["", "a", "S", "1", " ", "|", "&", "!", ":", ";", ",", "="]),
)
def test_a_change_of_one_character_changes_the_fingerprint_exactly_when_it_changes_the_row(
    column: str, at: int, cut: int, put: str
) -> None:
    cell = FULL.get(column, "")
    at = min(at, len(cell))
    changed = {**FULL, column: cell[:at] + put + cell[at + cut :]}
    try:
        read = read_book(book(rules=sheet(GRANT, BAR, NOTE, changed)))
    except FaultsError:
        return
    assert (without_lines(read) == without_lines(SMALL)) == (read.fingerprint == SMALL.fingerprint)


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("id", "FULLER"),
        ("effect", "note"),
        ("hold", "yes"),
        ("judges", "parties and host"),
        ("action", "infer"),
        ("item", "published | tier:commodity & model:alpha-1"),
        ("party", "foreign-person"),
        ("place", "located-in:EAR:E:1"),
        ("ownership", "owned:half"),
        ("listing", "listed:EL"),
        ("purpose", "purpose-stated"),
        ("authorisation", "claims"),
        ("unless", "PAPERS"),
        ("codes", "REGION_UNSUPPORTED; LOCATION_UNKNOWN if unknown on-file"),
        ("public_code", "UNDER_REVIEW"),
        ("obligations", "keep = Keep it.; report = Report it."),
        ("from", "2026-01-01T00:00:00.000001Z"),
        ("to", ""),
        ("suspended", "2026-02-01/"),
        ("enforcement", "advisory"),
        ("citation", "Vendor terms"),
        ("message", "Open to anyone on file!"),
        ("public_message", "You may use this  model."),
    ],
)
def test_every_column_but_the_regime_is_in_the_fingerprint(column: str, cell: str) -> None:
    changed = {**FULL, column: cell}
    if column == "effect":
        changed |= {"unless": "", "public_code": "ALLOWED"}
    assert SMALL.fingerprint != read_book(book(rules=sheet(GRANT, BAR, NOTE, changed))).fingerprint


def test_the_regime_of_a_row_is_in_the_fingerprint() -> None:
    files = [
        book(rules=sheet(GRANT)) | {f"rules/{regime}.csv": sheet({**BAR, "regime": regime})} for regime in REGIMES[1:4]
    ]
    assert len({read_book(one).fingerprint for one in files}) == 3


def test_comments_blank_lines_and_white_space_leave_the_fingerprint() -> None:
    rules = b"# a comment\n\n" + sheet(*ROWS, dict.fromkeys(COLUMNS, "")).replace(b" | ", b"  |").replace(
        b",no,", b", no ,"
    )
    files = book(
        rules=rules,
        catalogue="# a comment\n" + CATALOGUE.replace("tier: commodity", "tier:   commodity  # why"),
        country_groups=COUNTRY_GROUPS.replace(", ", ",  "),
        parameters=PARAMETERS + "\n# the end\n",
        settings=SETTINGS.replace("{}", "{ }"),
    )
    assert SMALL.fingerprint == read_book(files).fingerprint


@pytest.mark.parametrize(
    ("file", "text", "written", "instead"),
    [
        ("catalogue", CATALOGUE, "weights: unpublished", "weights: undetermined"),
        ("catalogue", CATALOGUE, "alpha]", "alpha, a]"),
        ("catalogue", CATALOGUE, "1.0e+25", "1.1e+25"),
        ("country_groups", COUNTRY_GROUPS, "{country: CN}, ", ""),
        ("country_groups", COUNTRY_GROUPS, "{country: CN}", "{country: CN, to: 2030-01-01}"),
        ("country_groups", COUNTRY_GROUPS, "source: 85 FR 83788", "source: 85 FR 83789"),
        ("country_groups", COUNTRY_GROUPS, "checked: true", "checked: false"),
        ("country_groups", COUNTRY_GROUPS, "as: CN", "as: TW"),
        ("parameters", PARAMETERS, "strict: false", "strict: true"),
        ("parameters", PARAMETERS, "1.0e+26", "1.1e+26"),
        ("parameters", PARAMETERS, "[CA, US]", "[US]"),
        ("parameters", PARAMETERS, "[NS1, AT1]", "[NS1]"),
        ("parameters", PARAMETERS, "list: MEU", "list: EL"),
        ("parameters", PARAMETERS, "min_accounts: 100", "min_accounts: 101"),
        ("parameters", PARAMETERS, '"95": UA-43', '"96": UA-43'),
        ("settings", SETTINGS, "other: 30", "other: 31"),
        ("settings", SETTINGS, "{}", "{FULL: advisory}"),
    ],
)
def test_every_table_is_in_the_fingerprint(file: str, text: str, written: str, instead: str) -> None:
    assert written in text
    changed = book(rules=sheet(*ROWS), **{file: text.replace(written, instead, 1)})
    assert SMALL.fingerprint != read_book(changed).fingerprint


def test_a_setting_that_says_what_the_row_says_leaves_the_fingerprint() -> None:
    settings = SETTINGS.replace("{}", "{FULL: enforced}")
    assert SMALL.fingerprint == read_book(book(rules=sheet(*ROWS), settings=settings)).fingerprint


def test_the_settings_file_overrides_a_row_and_the_operator_overrides_both() -> None:
    files = book(settings=SETTINGS.replace("{}", "{REGION: advisory}"))

    def enforcement(chosen: Mapping[str, str]) -> Enforcement:
        row = read_book(files, enforcement=chosen).row("REGION")
        assert row is not None
        return row.enforcement

    assert Enforcement.ADVISORY is enforcement({})
    assert Enforcement.ENFORCED is enforcement({"REGION": "enforced"})


def test_what_the_operator_sets_has_to_name_a_rule_and_an_enforcement() -> None:
    faults = faults_of(book(), enforcement={"REGIONS": "advisory", "ACCESS": "off"})
    assert [(fault.source, fault.message) for fault in faults] == [
        ("operator settings", "`off` is not an enforcement of `ACCESS`"),
        ("operator settings", "there is no rule `REGIONS`"),
    ]


@pytest.mark.parametrize("name", ["model", "catalogue", "country_groups", "parameters", "settings"])
def test_a_book_without_one_of_its_files_is_refused(name: str) -> None:
    fault = fault_of(book(**{name: None}))
    assert (f"{name}.{'conf' if name == 'model' else 'yaml'}", "the file is missing") == (fault.source, fault.message)


@pytest.mark.parametrize("name", ["rules/us-ofac.CSV", "rules/more/us-ofac.csv", "us-ofac.csv", "catalogue.yml"])
def test_a_file_that_would_be_passed_over_is_refused(name: str) -> None:
    fault = fault_of(book() | {name: sheet({**BAR, "id": "X", "regime": "us-ofac"})})
    assert (name, f"`{name}` is not a file of a rule book") == (fault.source, fault.message)


@pytest.mark.parametrize("regime", ["engine", "us-ofac.bak", "ofac"])
def test_a_rule_file_is_named_after_a_regime(regime: str) -> None:
    fault = fault_of(book() | {f"rules/{regime}.csv": sheet({**BAR, "id": "X", "regime": regime})})
    assert (f"rules/{regime}.csv", f"`{regime}` is not a regime") == (fault.source, fault.message)


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def test_a_folder_gives_the_files_of_a_book_and_no_others(tmp_path: Path) -> None:
    others = {
        "README.md": b"",
        "cases/a.yaml": b"",
        "demo/roster.yaml": b"",
        "rules/NOTES.md": b"",
        "rules/.~lock.csv": b"",
    }
    assert book() == read_folder(write(tmp_path, book() | others))


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        (
            "rules/us-ear.xlsx",
            "save the sheet as `CSV UTF-8` under `us-ear.csv`, or take it out of the folder of the book",
        ),
        ("rules/us-ear.csv.txt", "save the sheet as `CSV UTF-8` under `us-ear.csv`, or take it"),
        ("rules/us-ear - Copy.ods", "save the sheet as `CSV UTF-8` under `us-ear.csv`, or take it"),
        ("rules/notes.txt", "take it out of the folder of the book"),
        ("rules/old/x.csv", "take it out of the folder of the book"),
        ("us-ear.csv", "take it out of the folder of the book"),
        ("catalogue.yml", "save it as `catalogue.yaml`, or take it out of the folder of the book"),
        ("settings.yaml.txt", "save it as `settings.yaml`, or take it"),
        ("Parameters (1).yaml", "save it as `parameters.yaml`, or take it"),
        ("rule/vendor.csv", "take it out of the folder of the book"),
        ("cases/a.yml", "save it as `a.yaml`, or take it out of the folder"),
        ("cases/old/a.yaml", "save it as `old.yaml`, or take it out of the folder"),
    ],
)
def test_what_nothing_reads_is_refused_with_what_to_do(tmp_path: Path, name: str, remedy: str) -> None:
    with pytest.raises(FaultsError) as refused:
        read_folder(write(tmp_path, book() | {name: b""}))
    (fault,) = refused.value.faults
    assert "nothing reads the" in fault.message
    assert remedy in fault.remedy


def test_a_regime_has_a_file_or_the_book_says_that_it_is_without_it() -> None:
    fault = fault_of(book(settings=SETTINGS.replace("us-ear, ", "")))
    assert (fault.source, fault.message) == (
        "rules/us-ear.csv",
        "the regime `us-ear` has no file, so that none of its rules would hold",
    )
    assert "without: [us-ear]" in fault.remedy


def test_a_book_that_was_accepted_before_is_read_whatever_regimes_it_leaves_out() -> None:
    files = book(settings=SETTINGS.partition("without")[0])
    assert read_book(book()).fingerprint == read_book(files, archived=True).fingerprint


def test_a_list_that_a_rule_or_a_table_names_is_declared_or_the_book_is_refused() -> None:
    undeclared = PARAMETERS.partition("\n")[2]
    rules = sheet(GRANT, BAR, {**BAR, "id": "LISTED", "place": "", "listing": "listed:EL", "codes": "LISTED_PARTY"})
    with pytest.raises(FaultsError) as raised:
        read_book(book(parameters=undeclared, rules=rules))
    assert {(fault.source, fault.message) for fault in raised.value.faults} == {
        ("parameters.yaml", "there is no list `EL`"),
        ("parameters.yaml", "there is no list `SDN`"),
        ("parameters.yaml", "there is no list `MEU`"),
        ("rules/vendor.csv", "in `listing`: there is no list `EL`"),
    }
    assert {"under `lists` in parameters.yaml" in fault.remedy for fault in raised.value.faults} == {True}


def test_a_book_that_was_accepted_before_lists_were_declared_is_read_as_it_was() -> None:
    files = book(parameters=PARAMETERS.partition("\n")[2])
    assert read_book(book()).fingerprint == read_book(files, archived=True).fingerprint


def test_the_same_bytes_are_read_once_and_what_was_read_from_an_archive_never_stands_for_a_strict_reading() -> None:
    accepted, refused = book(rules=sheet(GRANT, {**BAR, "id": "ONCE"})), book(parameters=PARAMETERS.partition("\n")[2])
    strict = read_book(accepted)
    assert read_book(dict(accepted)) is strict
    assert read_book(dict(accepted), archived=True) is strict
    assert read_book(refused, archived=True) is read_book(dict(refused), archived=True)
    with pytest.raises(FaultsError):
        read_book(refused)
    name = "rules/vendor.csv"
    assert read_book({**accepted, name: accepted[name].replace(b"ONCE", b"TWICE")}).row("ONCE") is None


def test_a_book_is_without_regimes_alone() -> None:
    fault = fault_of(book(settings=SETTINGS.replace("us-ear, ", "us-ear, us-eer, ")))
    assert (fault.source, fault.message) == ("settings.yaml", "there is no regime `us-eer`")
    assert "us-ear" in fault.remedy


def test_a_rule_file_with_capital_letters_in_its_ending_is_read_to_be_refused(tmp_path: Path) -> None:
    files = read_folder(write(tmp_path, book() | {"rules/us-ofac.CSV": b""}))
    assert "rules/us-ofac.CSV" in files


def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "policies", book(settings=None) | {".real.yaml": SETTINGS.encode()})
    (tmp_path / "policies" / "settings.yaml").symlink_to(".real.yaml")
    assert book() == read_folder(tmp_path / "policies")


@pytest.mark.parametrize("name", ["settings.yaml", "rules/vendor.csv"])
def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "policies", book())
    (tmp_path / "outside").write_bytes(b"")
    (folder / name).unlink()
    (folder / name).symlink_to(tmp_path / "outside")
    with pytest.raises(FaultsError) as refused:
        read_folder(folder)
    assert [(name, "the file is a link that leads out of the folder")] == [
        (fault.source, fault.message) for fault in refused.value.faults
    ]


def test_a_folder_of_rules_that_lies_elsewhere_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "policies", book())
    (folder / "rules").rename(tmp_path / "rules")
    (folder / "rules").symlink_to(tmp_path / "rules")
    with pytest.raises(FaultsError, match="leads out of the folder"):
        read_folder(folder)


def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    folder = write(tmp_path, book(settings=None))
    (folder / "settings.yaml").mkdir()
    with pytest.raises(FaultsError, match=r"settings.yaml:1:1: the file cannot be read: is a directory"):
        read_folder(folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FaultsError, match="there is no such folder"):
        read_folder(tmp_path / "nowhere")


def test_the_shipped_book_has_no_fault_and_is_judged_by() -> None:
    shipped = read_book(read_folder(POLICIES))
    assert Judge(shipped).book is shipped
    assert shipped.fingerprint.startswith("sha256:")
    assert set(REGIMES[1:]) == {row.regime for row in shipped.rows}


@given(name=st.sampled_from(sorted(book())), data=st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_any_bytes_in_place_of_a_file_are_faults_with_places(name: str, data: bytes) -> None:
    with pytest.raises(FaultsError) as refused:
        read_book(book() | {name: data})
    assert refused.value.faults
    assert all(fault.line >= 1 and fault.column >= 1 for fault in refused.value.faults)
