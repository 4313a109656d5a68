"""What is planted in a small book is found, and what is told of it can be trusted on a page and in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser

import pytest

from policy_engine.analysis.book_report import BookReport, book_report
from policy_engine.analysis.difference_report import diff_report
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.request import Action
from policy_engine.domain.rules import Book
from policy_engine.policy.reader import read_book
from policy_engine.render.analysis_pages import book_report_page, diff_page
from policy_engine.render.book_report_text import book_report_content, book_report_csv, book_report_text
from policy_engine.render.difference_text import difference_text
from tests.analysis.worlds import AT
from tests.policy.books import BAR, GRANT, NOTE, book, sheet

pytestmark = pytest.mark.slow


def read(*rows: Mapping[str, str]) -> Book:
    """The small book with these rows."""
    return read_book(book(rules=sheet(*rows)))


def reported(*rows: Mapping[str, str]) -> BookReport:
    """What is said of the small book with these rows."""
    return book_report(read(*rows), AT)


def grant(identifier: str, **cells: str) -> dict[str, str]:
    """A grant of its own on the small book's model."""
    return {**GRANT, "id": identifier, **cells}


def bar(identifier: str, **cells: str) -> dict[str, str]:
    """A bar of its own."""
    return {**BAR, "id": identifier, "place": "", **cells}


# --- rows that do nothing ---------------------------------------------------------------------------------------------


def test_a_row_whose_conditions_exclude_each_other_never_matches() -> None:
    found = reported(GRANT, BAR, grant("NOBODY", party="no-organisation & member:circle"))
    assert [one.rule for one in found.never_match] == ["NOBODY"]


def test_a_row_that_reaches_no_item_never_matches() -> None:
    found = reported(GRANT, BAR, bar("NOTHING", item="kind:weights", party="foreign-person"))
    assert [one.rule for one in found.never_match] == ["NOTHING"]


def test_a_grant_to_those_who_are_not_on_file_never_matches() -> None:
    found = reported(GRANT, BAR, grant("STRANGERS", item="", party="!on-file"))
    assert [one.rule for one in found.never_match] == ["STRANGERS"]


def test_a_bar_within_another_never_changes_an_answer() -> None:
    found = reported(GRANT, BAR, bar("CUBA", place="located-in:CU"))
    assert [one.rule for one in found.never_decide] == ["CUBA"]


def test_a_bar_within_another_that_can_be_lifted_changes_answers() -> None:
    wide = {**BAR, "unless": "PAPERS"}
    found = reported(GRANT, wide, bar("CUBA", place="located-in:CU"), NOTE)
    assert found.never_decide == ()


def test_a_note_that_lifts_only_what_another_bar_holds_never_changes_an_answer() -> None:
    lifted = bar("CUBA", place="located-in:CU", unless="PAPERS")
    found = reported(GRANT, BAR, lifted, NOTE)
    assert [one.rule for one in found.never_decide] == ["CUBA", "PAPERS"]


def test_an_advisory_row_never_changes_an_answer() -> None:
    found = reported(GRANT, BAR, bar("ADVICE", party="foreign-person", enforcement="advisory"))
    assert [(one.rule, one.why) for one in found.never_decide] == [
        ("ADVICE", "it is advisory or suspended all the time")
    ]


def test_a_grant_to_those_whom_a_bar_stops_is_always_barred() -> None:
    cubans = grant("CUBANS", item="kind:model", party="established-in:CU")
    found = reported(GRANT, BAR, cubans)
    assert [one.rule for one in found.always_barred] == ["CUBANS"]


def test_a_grant_that_is_barred_until_a_bar_ends_is_not_always_barred() -> None:
    cubans = grant("CUBANS", item="kind:model", party="established-in:CU")
    found = reported(GRANT, {**BAR, "to": "2026-07-01"}, cubans)
    assert found.always_barred == ()


# --- gaps and answers -------------------------------------------------------------------------------------------------


def test_an_action_that_no_row_grants_is_a_gap_for_everybody() -> None:
    gaps = {(model, action): gap for gap in reported(GRANT, BAR).gaps for model in gap.models for action in gap.actions}
    assert gaps["alpha-1", Action.RELEASE].clauses == ()
    assert ("alpha-1", Action.INFER) in gaps
    assert gaps["alpha-1", Action.INFER].clauses[0].text == "requesters who are not on file"


def test_who_is_granted_nothing_and_barred_by_nothing_is_told_as_a_gap() -> None:
    members = grant("ACCESS", party="member:circle")
    (gap,) = (one for one in reported(members, BAR).gaps if one.clauses)
    assert gap.models == ("alpha-1",)
    assert {Action.INFER, Action.LIST} == set(gap.actions)
    assert [clause.text for clause in gap.clauses] == ["not (active membership of circle)"]


def test_the_answers_are_told_by_country_status_and_membership() -> None:
    order = bar("ORDER", party="foreign-person", codes="FOREIGN_PERSON", hold="yes")
    found = reported(grant("ACCESS", party="member:circle"), BAR, order)
    cells = {
        (one.perspective, country, status, membership): (one.outcome.decision, one.outcome.code)
        for one in found.access
        if one.models == ("alpha-1",) and Action.INFER in one.actions
        for country in one.countries
        for status in one.statuses
        for membership in one.memberships
    }
    assert cells["citizen", "JP", "foreign", "active"] == ("hold", "FOREIGN_PERSON")
    assert cells["citizen", "JP", "us", "active"] == ("allow", "COMMODITY_OK")
    assert cells["citizen", "JP", "us", "ended"] == ("deny", "ACTION_NOT_PERMITTED")
    assert cells["organisation", "CU", "us", "active"] == ("deny", "REGION_UNSUPPORTED")
    assert cells["place", "IR", "us", "active"] == ("deny", "REGION_UNSUPPORTED")
    assert ("citizen", "US", "foreign", "active") not in cells


def test_an_answer_says_which_answers_other_facts_could_still_bring() -> None:
    found = reported(GRANT, BAR)
    can = {
        (one.perspective, country): one.can
        for one in found.access
        if one.models == ("alpha-1",) and Action.INFER in one.actions
        for country in one.countries
    }
    assert can["citizen", "CU"] == ("allow", "deny")
    assert can["place", "CU"] == ("deny",)


def test_the_calendar_has_each_dated_change_with_whose_answer_changes() -> None:
    late = bar("ORDER", party="foreign-person", codes="FOREIGN_PERSON", **{"from": "2026-06-12", "to": "2026-06-30"})
    (_, begins, ends) = reported(GRANT, BAR, late).calendar
    assert begins.rows == (("ORDER", "begins"),)
    assert [(one.old, one.new) for one in begins.differences] == [("allow", "deny")]
    assert "foreign persons" in begins.differences[0].clauses[0].text
    assert ends.rows == (("ORDER", "ends"),)
    assert [(one.old, one.new) for one in ends.differences] == [("deny", "allow")]


# --- the difference in words ------------------------------------------------------------------------------------------


def test_a_country_that_is_added_is_told_by_name_with_the_rule_and_the_place() -> None:
    more = {**BAR, "place": "located-in:BY,EAR:E:1,CU"}
    report = diff_report(read(GRANT, BAR), read(GRANT, more), AT)
    text = difference_text(report)
    assert "allow -> deny, by REGION" in text
    assert "place stated in BY" in text
    assert "for alpha-1: infer, list" in text


def test_the_document_of_a_difference_has_a_witness_that_is_a_case() -> None:
    report = diff_report(read(GRANT, BAR), read(GRANT, BAR, bar("ORDER", party="foreign-person")), AT)
    document = json.loads(report.document())
    (one,) = (one for one in document["differences"] if one["old"] == "allow")
    assert one["clauses"][0]["text"] == "foreign persons or US status unknown"
    assert one["witness"]["members"]["people"][0]["us_status"][0]["kind"] == "none"
    assert one["witness"]["new"] == {"decision": "deny", "rule": "ORDER", "code": "REGION_UNSUPPORTED"}
    assert (
        report.document()
        == diff_report(read(GRANT, BAR), read(GRANT, BAR, bar("ORDER", party="foreign-person")), AT).document()
    )


def test_a_bar_that_holds_from_now_on_turns_a_deny_into_a_hold() -> None:
    report = diff_report(read(GRANT, BAR), read(GRANT, {**BAR, "hold": "yes"}), AT)
    assert {("deny", "hold")} == {(one.old, one.new) for one in report.differences}


def test_another_code_for_the_same_deny_is_another_reason() -> None:
    report = diff_report(read(GRANT, BAR), read(GRANT, {**BAR, "codes": "LISTED_PARTY"}), AT)
    assert report.answers == ()
    assert {("deny", "deny")} == {(one.old, one.new) for one in report.reasons}


def test_equal_books_differ_in_nothing_and_say_so() -> None:
    report = diff_report(read(GRANT, BAR, NOTE), read(NOTE, BAR, GRANT))
    assert report.differences == ()
    assert "no answer changes" in difference_text(report)


def test_other_words_for_the_same_rule_change_nobodys_answer() -> None:
    said = {**BAR, "message": "Another sentence.", "public_message": "Another."}
    assert diff_report(read(GRANT, BAR), read(GRANT, said)).differences == ()


# --- pages and spreadsheets -------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """The tags and attributes of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(text: str) -> Reader:
    """The page, read."""
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


HOSTILE = "<img/src=x/onerror=alert(1)>"


def hostile_book() -> Book:
    """A small book whose model has a name that is HTML."""
    files = book(rules=sheet({**GRANT, "item": "kind:model"}, BAR))
    files["catalogue.yaml"] = files["catalogue.yaml"].replace(b"alpha-1:", f"'{HOSTILE}':".encode())
    return read_book(files)


@pytest.mark.parametrize("kind", ["report", "diff"])
def test_a_page_needs_nothing_from_elsewhere_and_runs_nothing(kind: str) -> None:
    old, new = read(GRANT, BAR), read(GRANT, {**BAR, "place": "located-in:BY,CU"})
    page = book_report_page(book_report(old, AT)) if kind == "report" else diff_page(diff_report(old, new, AT))
    reader = page_of(page)
    assert {"script", "link", "img", "iframe", "object", "embed", "base", "form"}.isdisjoint(reader.tags)
    references = [value for name, value in reader.attributes if name in ("href", "src", "action", "data", "srcset")]
    assert all(value is not None and value.startswith("#") for value in references)
    assert [name for name, _ in reader.attributes if name.startswith("on")] == []
    assert re.search(r"url\(|@import|https?:", page) is None


def test_what_a_book_says_is_escaped_on_a_page() -> None:
    reader = page_of(book_report_page(book_report(hostile_book(), AT)))
    assert "img" not in reader.tags
    assert HOSTILE in reader.text


def test_a_cell_that_a_spreadsheet_would_read_as_a_formula_begins_with_an_apostrophe() -> None:
    files = book(rules=sheet({**GRANT, "item": "kind:model"}, BAR))
    for sign in "=+-@":
        named = dict(files)
        named["catalogue.yaml"] = files["catalogue.yaml"].replace(b"alpha-1:", f"'{sign}1+cmd':".encode())
        rows = list(csv.DictReader(io.StringIO(book_report_csv(book_report(read_book(named), AT)))))
        models = {row["model"] for row in rows}
        assert f"'{sign}1+cmd" in models
        assert all(not cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


def test_text_document_and_csv_say_the_same_of_an_answer() -> None:
    found = reported(GRANT, BAR)
    document = book_report_content(found)
    rows = list(csv.DictReader(io.StringIO(book_report_csv(found))))
    assert len(rows) == sum(
        len(one.statuses) * len(one.memberships) * len(one.models) * len(one.actions) for one in found.access
    )
    access = document["access"]
    assert isinstance(access, list)
    assert {row["decision"] for row in rows} == {one["decision"] for one in access}
    assert "allow" in book_report_text(found)


def test_a_difference_from_an_instant_on_leaves_out_what_was_over_and_has_what_is_to_come() -> None:
    dated = bar("ORDER", party="foreign-person", **{"from": "2026-03-01", "to": "2026-05-01"})
    old, new = read(GRANT, BAR), read(GRANT, BAR, dated)
    before, within, after = (parse_instant(text) for text in ("2026-02-01", "2026-04-01", "2026-05-01"))
    whole = diff_report(old, new, since=before)
    assert {(one.old, one.new) for one in whole.answers} == {("allow", "deny")}
    assert {where.start for one in whole.answers for where in one.where} == {parse_instant("2026-03-01")}
    assert {where.start for one in diff_report(old, new, since=within).answers for where in one.where} == {within}
    assert diff_report(old, new, since=after).differences == ()


def test_a_report_tells_at_which_stage_it_is_and_ends_with_all_its_steps_done() -> None:
    told: list[tuple[str, int, int]] = []
    book_report(read(GRANT), AT, lambda *one: told.append(one))
    stages = [stage for stage, _, _ in told]
    assert "who may do what" in stages
    assert f"whether {GRANT['id']} decides anything" in stages
    assert [done for _, done, _ in told] == list(range(1, len(told) + 1))
    assert told[-1][1] == told[-1][2]
