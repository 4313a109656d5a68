"""The changelog: no id of a rule gets another meaning, or goes, without a new entry that names it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.domain.rules import Book
from policy_engine.formats.faults import Fault
from policy_engine.policy.changelog import ChangelogEntry, compare, meaning_changes, new_entries, read_changelog
from policy_engine.policy.reader import CHANGELOG, read_book, read_folder
from tests.policy.books import BAR, GRANT, NOTE, book, fault_of, sheet

HEADER = "rule,date,what,why\n"
LINE = "REGION,2026-11-20,CU left the list,counsel 7\n"
LIFTED = {**BAR, "unless": "PAPERS"}


def book_of(*rows: Mapping[str, str]) -> Book:
    return read_book(book(rules=sheet(*rows)))


def entries(text: str) -> tuple[ChangelogEntry, ...]:
    faults: list[Fault] = []
    found = read_changelog(text.encode(), faults)
    assert not faults
    return found


OLD = book_of(GRANT, BAR, NOTE)
REGION = entries(HEADER + LINE)


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("effect", "note"),
        ("hold", "yes"),
        ("judges", "parties and host"),
        ("action", "infer"),
        ("item", "tier:commodity"),
        ("party", "foreign-person"),
        ("place", "located-in:EAR:E:1"),
        ("ownership", "owned:half"),
        ("listing", "listed:EL"),
        ("purpose", "purpose-stated"),
        ("authorisation", "claims"),
        ("unless", "PAPERS"),
        ("codes", "REGION_UNSUPPORTED; LOCATION_UNKNOWN"),
    ],
)
def test_a_rule_that_means_something_else_needs_an_entry(column: str, cell: str) -> None:
    changed = {**BAR, column: cell} | ({"public_code": "ALLOWED"} if column == "effect" else {})
    new = book_of(GRANT, changed, NOTE)
    (fault,) = meaning_changes(OLD, new, ())
    assert (fault.source, fault.line) == ("rules/vendor.csv", 3)
    assert fault.message == (
        f"the rule `REGION` has another meaning than before in `{column}`, and no new entry of CHANGELOG.csv says why"
    )
    assert fault.remedy == "add a line to CHANGELOG.csv: the id, the date, what changed, and why"
    assert not meaning_changes(OLD, new, REGION)


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("message", "Closed."),
        ("public_message", "No."),
        ("citation", "Vendor terms, section 2"),
        ("public_code", "UNDER_REVIEW"),
        ("obligations", "keep = Keep it."),
        ("from", "2026-01-01"),
        ("suspended", "2026-01-01/"),
        ("enforcement", "advisory"),
        ("action", "list | infer"),
        ("place", " located-in:EAR:E:1,CU "),
    ],
)
def test_sentences_times_and_another_order_are_no_other_meaning(column: str, cell: str) -> None:
    assert not meaning_changes(OLD, book_of(GRANT, {**BAR, column: cell}, NOTE), ())


def test_a_rule_that_moved_to_another_regime_needs_an_entry() -> None:
    files = book(rules=sheet(GRANT, NOTE)) | {"rules/operator.csv": sheet({**BAR, "regime": "operator"})}
    (fault,) = meaning_changes(OLD, read_book(files), ())
    assert (fault.source, fault.line) == ("rules/operator.csv", 2)
    assert "in `regime`" in fault.message


def test_a_rule_that_is_gone_needs_an_entry() -> None:
    (fault,) = meaning_changes(OLD, book_of(GRANT, NOTE), ())
    assert str(fault).startswith(
        "CHANGELOG.csv:1:1: the rule `REGION` of rules/vendor.csv is gone, and no new entry says why; add a line to"
    )
    assert not meaning_changes(OLD, book_of(GRANT, NOTE), REGION)


def test_a_rule_that_is_new_needs_no_entry() -> None:
    assert not meaning_changes(book_of(GRANT, BAR), OLD, ())


def test_an_entry_about_one_rule_says_nothing_of_another() -> None:
    faults = meaning_changes(OLD, book_of({**GRANT, "action": "infer"}, LIFTED, NOTE), REGION)
    assert [fault.message[:17] for fault in faults] == ["the rule `ACCESS`"]


def test_an_entry_that_stood_in_the_changelog_before_does_not_count_again() -> None:
    new = book_of(GRANT, LIFTED, NOTE)
    assert [bool(compare(OLD, new, before, REGION).faults) for before in ((), REGION)] == [False, True]
    twice = entries(HEADER + LINE + LINE)
    assert not compare(OLD, new, REGION, twice).faults


def test_an_entry_that_goes_or_is_reworded_is_a_fault() -> None:
    reworded = entries(HEADER + LINE.replace("CU left", "CU and IR left"))
    for after in ((), reworded):
        found = compare(OLD, OLD, REGION, after).faults
        assert found[0].message == "the entry of 2026-11-20 about `REGION` is gone or changed: `CU left the list`"


def test_a_new_entry_about_no_rule_is_a_fault_with_the_nearest_id() -> None:
    comparison = compare(OLD, OLD, (), entries(HEADER + LINE.replace("REGION", "REGOIN")))
    assert [(fault.line, fault.message, fault.remedy) for fault in comparison.faults] == [
        (2, "there is no rule `REGOIN`, in this book or in the one before", "did you mean `REGION`?")
    ]


def test_a_new_entry_about_a_rule_that_means_the_same_is_worth_a_notice() -> None:
    comparison = compare(OLD, OLD, (), REGION)
    assert not comparison.faults
    assert comparison.notices == ("CHANGELOG.csv:2: the meaning of `REGION` has not changed",)


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_new_entries_are_what_has_to_be_added_to_the_old_ones(before: list[str], after: list[str]) -> None:
    def log(rules: list[str]) -> list[ChangelogEntry]:
        return [
            ChangelogEntry(rule=rule, day=date(2026, 1, 1), what="w", why="y", line=line)
            for line, rule in enumerate(rules)
        ]

    added = [entry.rule for entry in new_entries(log(before), log(after))]
    lost = [entry.rule for entry in new_entries(log(after), log(before))]
    assert sorted(before + added) == sorted(after + lost)
    assert set(added).isdisjoint(lost)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rule,date,what\n", [(1, 1, "the column `why` is missing", "add it to the header and a cell to each row")]),
        ("rule,date,what,why,who\n", [(1, 20, "there is no column `who`", "did you mean `why`?")]),
        (
            "rule,date,what,why,why\n",
            [(1, 20, "duplicate column `why`: the 4th has this name already", "keep one of them")],
        ),
        (HEADER + "region,2026-11-20,a,b\n", [(2, 1, "in `rule`: `region` is not the id of a rule", "`REGION`?")]),
        (HEADER + "REGION,20.11.2026,a,b\n", [(2, 8, "in `date`: `20.11.2026` is not a date", "2026-11-20")]),
        (HEADER + "REGION,45981,a,b\n", [(2, 8, "in `date`: `45981` is not a date", "write 2025-11-20")]),
        (
            HEADER + "REGION,2026-02-30,a,b\n",
            [(2, 8, "in `date`: `2026-02-30` is not a date", "write the day as 2026-06-12")],
        ),
        (
            HEADER + "REGION,2026-11-20,,\n",
            [(2, 19, "in `what`: the cell is empty", ""), (2, 20, "in `why`: the cell is empty", "")],
        ),
        (HEADER + "REGION,2026-11-20,=1+1,b\n", [(2, 19, "`=1+1` begins like a formula", "")]),
    ],
)
def test_an_entry_that_cannot_be_read_is_a_fault_of_the_book_with_its_place(
    text: str, expected: list[tuple[int, int, str, str]]
) -> None:
    faults: list[Fault] = []
    read_changelog(text.encode(), faults)
    assert [(line, column, message) for line, column, message, _ in expected] == [
        (fault.line, fault.column, fault.message) for fault in sorted(faults)
    ]
    for (_, _, _, remedy), fault in zip(expected, sorted(faults), strict=True):
        assert remedy in fault.remedy
    told = {fault_of(book() | {CHANGELOG: text.encode()}).source} if len(expected) == 1 else {CHANGELOG}
    assert {CHANGELOG} == told


def test_comments_stand_in_the_changelog_and_no_entry_at_all_is_fine() -> None:
    assert not entries("# why\n" + HEADER)
    assert read_changelog(None, []) == ()


def test_the_changelog_is_read_with_its_folder_and_leaves_the_fingerprint(tmp_path: Path) -> None:
    for name, data in (book() | {CHANGELOG: (HEADER + LINE).encode()}).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    files = read_folder(tmp_path)
    assert (HEADER + LINE).encode() == files[CHANGELOG]
    assert OLD.fingerprint == read_book(files).fingerprint
