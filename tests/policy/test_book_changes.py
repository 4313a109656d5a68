"""An approver is told every row, value and worked example that is written otherwise, and nothing that only moved."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.analysis.difference_report import diff_report, read_diff
from policy_engine.domain.instants import parse_instant
from policy_engine.policy.book_changes import BookChanges, book_changes
from policy_engine.policy.case_differences import case_differences
from policy_engine.policy.reader import read_book
from policy_engine.render.difference_text import difference_text
from policy_engine.shapes.reports import CellDocument
from tests.policy.books import BAR, CATALOGUE, GRANT, NOTE, RULES, book, sheet

CASE = """\
- id: {id}
  title: who is not on file
  note: {note}
  at: 2026-11-20T12:00:00Z
  members: {{people: [{{id: ann}}, {{id: bob}}]}}
  request: {{subject: {{type: person, id: nobody}}, model: alpha-1, action: infer}}
  expect: {{decision: {decision}, reason: SUBJECT_UNKNOWN}}
"""


def case(identifier: str, decision: str = "deny", note: str = "so it is") -> str:
    return CASE.format(id=identifier, decision=decision, note=note)


def told(changes: BookChanges) -> dict[str, list[tuple[str, str | None, str | None]]]:
    return {row.rule: [(cell.name, cell.before, cell.after) for cell in row.cells] for row in changes.rows}


def test_a_row_that_changed_is_told_cell_by_cell_and_one_that_did_not_is_not_told() -> None:
    changes = book_changes(book(), book(rules=sheet(GRANT, {**BAR, "place": "located-in:CU", "hold": "yes"}, NOTE)))
    assert told(changes) == {
        "REGION": [("hold", None, "yes"), ("place", "located-in:EAR:E:1,CU", "located-in:CU")],
    }
    assert [row.what for row in changes.rows] == ["changed"]


def test_a_row_that_is_new_or_gone_is_told_with_every_cell_that_says_something() -> None:
    changes = book_changes(book(rules=sheet(GRANT, BAR)), book(rules=sheet(GRANT, NOTE)))
    assert [(row.rule, row.what) for row in changes.rows] == [("PAPERS", "added"), ("REGION", "removed")]
    rows = told(changes)
    assert ("authorisation", None, "holds:vendor/licence") in rows["PAPERS"]
    assert ("place", "located-in:EAR:E:1,CU", None) in rows["REGION"]
    assert (changes.count("added"), changes.count("removed"), changes.count("changed")) == (1, 1, 0)


@given(order=st.permutations([GRANT, BAR, NOTE]), separator=st.sampled_from(",;"), quote_all=st.booleans())
def test_the_order_of_rows_their_separator_and_their_quotation_marks_are_no_change(
    order: list[Mapping[str, str]], separator: str, quote_all: bool
) -> None:
    other = sheet(*order, separator=separator, newline="\r\n", quote_all=quote_all)
    assert book_changes(book(), book(rules=other)) == BookChanges(rows=(), files=())


def test_a_row_that_moved_to_another_file_is_a_change_that_names_both() -> None:
    before = {**book(rules=sheet(GRANT)), "rules/operator.csv": sheet(BAR)}
    after = {**book(rules=sheet(GRANT, BAR)), "rules/operator.csv": sheet()}
    (row,) = book_changes(before, after).rows
    assert (row.before_file, row.after_file, row.cells) == ("rules/operator.csv", RULES, ())
    assert json.loads(msgspec.json.encode(book_changes(before, after).document()))["rows"] == [
        {
            "rule": "REGION",
            "what": "changed",
            "file": RULES,
            "moved_from": "rules/operator.csv",
            "cells": [],
            "reasons": [],
        }
    ]


def test_values_of_a_table_are_told_by_their_path_and_lists_of_mappings_by_item() -> None:
    catalogue = CATALOGUE.replace("tier: commodity", "tier: classified").replace("[research]", "[research, teaching]")
    groups = book()["country_groups.yaml"].decode().replace("{country: KP}", "{country: SY}")
    changes = book_changes(book(), book(catalogue=catalogue, country_groups=groups))
    assert [one.file for one in changes.files] == ["catalogue.yaml", "country_groups.yaml"]
    assert changes.files[0].values == (
        CellDocument(name="alpha-1.tier", before="commodity", after="classified"),
        CellDocument(name="alpha-1.purposes", before="[research]", after="[research, teaching]"),
    )
    before, after = (cell for cell in changes.files[1].values)
    assert (before.name, after.name, before.after, after.before) == ("groups", "groups", None, None)
    assert "{country: KP}" in (before.before or "")
    assert "{country: SY}" in (after.after or "")


def test_a_model_that_is_taken_out_of_the_catalogue_is_told_value_by_value() -> None:
    catalogue = CATALOGUE.split('"technology')[0]
    (file,) = book_changes(book(), book(catalogue=catalogue)).files
    assert CellDocument(name="technology:4E001.a.kind", before="technology", after=None) in file.values


def test_new_entries_of_the_changelog_stand_beside_the_rows_that_they_are_about() -> None:
    head = "rule,date,what,why\n"
    before = {**book(), "CHANGELOG.csv": f"{head}ACCESS,2026-01-01,made,asked\n".encode()}
    more = "REGION,2026-02-01,without Iran,counsel\nACCESS,2026-02-01,as it was,counsel\n"
    after = {
        **book(rules=sheet(GRANT, {**BAR, "place": "located-in:CU"}, NOTE)),
        "CHANGELOG.csv": f"{head}ACCESS,2026-01-01,made,asked\n{more}".encode(),
    }
    changes = book_changes(before, after)
    assert [(entry.what, entry.why) for entry in changes.rows[0].reasons] == [("without Iran", "counsel")]
    assert [entry.rule for entry in changes.other_reasons] == ["ACCESS"]


def test_a_file_that_this_release_cannot_take_apart_is_named_and_not_passed_over() -> None:
    assert book_changes(book(), book(rules=b"\xff\xfe")).unread == (RULES,)
    assert book_changes(book(), book(catalogue="a: [")).unread == ("catalogue.yaml",)
    assert book_changes(book(), {**book(), "CHANGELOG.csv": b"rule;date\n"}).unread == ("CHANGELOG.csv",)
    assert case_differences({}, {"cases/a.yaml": b"a: ["})[1] == ("cases/a.yaml",)


def test_another_file_is_told_by_its_lines() -> None:
    changed = book()["model.conf"].replace(b"[matchers]", b"# here\n[matchers]")
    (file,) = book_changes(book(), book(model=changed)).files
    assert (file.file, [cell.after for cell in file.values]) == ("model.conf", ["# here"])


def test_worked_examples_are_told_by_what_became_of_them_with_each_value_that_changed() -> None:
    before = {"cases/a.yaml": (case("GONE") + case("KEPT")).encode(), "cases/b.yaml": case("OTHER").encode()}
    after = {
        "cases/a.yaml": (case("KEPT", note="better said") + case("NEW", "allow")).encode(),
        "cases/b.yaml": case("OTHER", "allow").encode(),
    }
    found, unread = case_differences(before, after)
    assert (unread, [(one.id, one.what) for one in found]) == (
        (),
        [("GONE", "removed"), ("OTHER", "changed"), ("NEW", "added")],
    )
    assert found[0].expects == "deny, reason SUBJECT_UNKNOWN"
    assert found[1].values == (CellDocument(name="expect.decision", before="deny", after="allow"),)
    moved = {"cases/a.yaml": b"[]", "cases/c.yaml": before["cases/a.yaml"], "cases/b.yaml": before["cases/b.yaml"]}
    assert case_differences(before, moved) == ((), ())


def test_a_difference_that_is_read_from_its_document_tells_the_same() -> None:
    at = parse_instant("2026-11-20T12:00:00Z")
    other = book(rules=sheet(GRANT, {**BAR, "place": "located-in:BY,CU"}, NOTE))
    for instant in (at, None):
        report = diff_report(read_book(book()), read_book(other), instant)
        again = read_diff(report.document())
        assert (again.document(), difference_text(again)) == (report.document(), difference_text(report))
        assert json.loads(report.document())["differences"]
