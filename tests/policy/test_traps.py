"""Files that Casbin's own adapter reads as an allow where a deny was written: refused here, or read as written."""

from __future__ import annotations

import pytest

from policy_engine.domain.rules import Effect, Row
from policy_engine.policy.model import template
from policy_engine.policy.reader import read_book
from policy_engine.policy.rule_files import COLUMNS
from tests.policy.books import BAR, GRANT, NOTE, RULES, book, fault_of, faults_of, sheet

PLAIN = sheet(GRANT, BAR, NOTE)


def bar_in(data: bytes) -> Row:
    row = read_book(book(rules=data)).row("REGION")
    assert row is not None
    return row


def lines(*rows: str) -> bytes:
    return "\n".join([",".join(COLUMNS), *rows, ""]).encode()


BAR_LINE = PLAIN.decode().split("\n")[2]


@pytest.mark.parametrize("effect", ["Deny", "DENY", "forbid", "deny;", "eft", "0"])
def test_an_effect_that_is_not_spelt_exactly_is_refused(effect: str) -> None:
    fault = fault_of(book(rules=sheet(GRANT, {**BAR, "effect": effect})))
    assert (RULES, 3, 1 + len("REGION,vendor,")) == (fault.source, fault.line, fault.column)
    assert f"in `effect`: `{effect}` is not known" == fault.message


@pytest.mark.parametrize("row_type", ["p", "P", "p2", "g"])
def test_a_casbin_row_type_before_a_row_is_refused(row_type: str) -> None:
    fault = fault_of(book(rules=lines(f"{row_type},{BAR_LINE}")))
    assert (fault.source, fault.line, fault.message) == (RULES, 2, "the row has 25 cells and the header 24")
    assert "leave out the row type of Casbin" in fault.remedy


def test_a_casbin_row_type_in_place_of_an_id_is_refused() -> None:
    fault = fault_of(book(rules=sheet(GRANT, {**BAR, "id": "p2"})))
    assert (fault.source, fault.line, fault.message) == (RULES, 3, "in `id`: `p2` is not an id")


def test_a_byte_order_mark_changes_nothing() -> None:
    assert bar_in(PLAIN) == bar_in(b"\xef\xbb\xbf" + PLAIN)
    assert read_book(book()).fingerprint == read_book(book(rules=b"\xef\xbb\xbf" + PLAIN)).fingerprint


def test_quoted_cells_are_read_without_their_marks() -> None:
    assert bar_in(PLAIN) == bar_in(sheet(GRANT, BAR, NOTE, quote_all=True))
    assert bar_in(PLAIN).effect is Effect.DENY


def test_semicolons_part_cells_where_the_header_shows_them() -> None:
    assert bar_in(PLAIN) == bar_in(sheet(GRANT, BAR, NOTE, separator=";"))


def test_a_row_parted_otherwise_than_the_header_is_refused() -> None:
    row = ";".join({**BAR, "place": "located-in:CU"}.get(column, "") for column in COLUMNS)
    fault = fault_of(book(rules=lines(row)))
    assert (fault.source, fault.line, fault.message) == (RULES, 2, "the row has 1 cells and the header 24")
    assert "separate the cells with `,` as the header does" in fault.remedy


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("effect", "deny # until June", "`deny # until June` is not known"),
        ("place", "located-in:CU # until June", "`located-in:CU # until June` is more than one term"),
        ("public_code", "NOT_AVAILABLE_REGION # until June", "`NOT_AVAILABLE_REGION # until June` is not known"),
        ("enforcement", "# until June", "`# until June` is not known"),
    ],
)
def test_a_comment_behind_a_cell_is_refused(column: str, cell: str, message: str) -> None:
    fault = fault_of(book(rules=sheet(GRANT, {**BAR, column: cell})))
    assert (RULES, 3, f"in `{column}`: {message}") == (fault.source, fault.line, fault.message)


def test_a_comment_behind_the_last_cell_is_part_of_what_the_requester_is_told() -> None:
    told = {**BAR, "public_message": "Not here. # until June"}
    assert bar_in(sheet(GRANT, told)).public_message == "Not here. # until June"


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b"# to be written\n"])
def test_an_empty_rule_file_is_refused(data: bytes) -> None:
    files = book()
    files["rules/us-ofac.csv"] = data
    fault = fault_of(files)
    assert fault.source == "rules/us-ofac.csv"
    assert fault.message in ("the file is empty", "there is no header line")


def test_a_rule_file_with_a_header_alone_is_refused() -> None:
    files = book()
    files["rules/us-ofac.csv"] = sheet()
    fault = fault_of(files)
    assert (fault.source, fault.line, fault.message) == ("rules/us-ofac.csv", 1, "the file has no rules")


def test_a_book_without_rule_files_is_refused() -> None:
    fault = fault_of(book(rules=None))
    assert (fault.source, fault.message) == ("rules/", "there is no rule file, so nothing is granted")


@pytest.mark.parametrize("sign", ["&&", "||"])
def test_the_signs_of_the_matcher_language_do_not_stand_in_a_cell(sign: str) -> None:
    fault = fault_of(book(rules=sheet(GRANT, {**BAR, "item": f"published {sign} tier:commodity"})))
    assert (fault.source, fault.line, fault.message) == (RULES, 3, "in `item`: a term is missing")


def test_an_exclamation_mark_inside_a_name_is_part_of_the_name() -> None:
    odd = book()["catalogue.yaml"].decode().replace("vendor: acme", "vendor: ac!me")
    row = read_book(book(catalogue=odd, rules=sheet({**BAR, "item": "!vendor:ac!me"}))).row("REGION")
    assert row is not None
    (term,) = row.facet("item").terms
    assert (term.word, term.parameter, term.negated) == ("vendor", "ac!me", True)


def test_lines_that_end_in_crlf_are_read_as_those_in_lf() -> None:
    assert bar_in(PLAIN) == bar_in(sheet(GRANT, BAR, NOTE, newline="\r\n"))


@pytest.mark.parametrize(
    ("line", "cells"),
    [(BAR_LINE.rpartition(",")[0], 23), (f"{BAR_LINE},", 25), ("REGION", 1), (f"{BAR_LINE}{BAR_LINE}", 47)],
)
def test_a_row_with_too_few_or_too_many_cells_is_refused(line: str, cells: int) -> None:
    fault = fault_of(book(rules=lines(line)))
    assert (RULES, 2, f"the row has {cells} cells and the header 24") == (fault.source, fault.line, fault.message)


def test_a_second_header_row_is_refused() -> None:
    fault = fault_of(book(rules=lines(BAR_LINE, ",".join(COLUMNS))))
    assert (fault.source, fault.line, fault.message) == (RULES, 3, "in `id`: duplicate header line")


def test_an_id_that_stands_in_two_files_is_refused() -> None:
    files = book()
    files["rules/operator.csv"] = sheet({**GRANT, "id": "REGION", "regime": "operator"})
    fault = fault_of(files)
    assert (fault.source, fault.line) == (RULES, 3)
    assert "duplicate id `REGION`: it is in rules/operator.csv, line 2 already" in fault.message


MODEL = template()
EFFECT = "some(where (p.eft == allow)) && !some(where (p.eft == deny))"


@pytest.mark.parametrize(
    ("written", "instead", "line", "message"),
    [
        (EFFECT, "some(where (p.eft == allow))", 9, "the definition `e` is not the one that is compiled"),
        (EFFECT, "!some(where (p.eft == deny))", 9, "the definition `e` is not the one that is compiled"),
        (EFFECT, "priority(p.eft) || deny", 9, "the definition `e` is not the one that is compiled"),
        (EFFECT, f"{EFFECT} # sic", 9, "the definition `e` is not the one that is compiled"),
        ("unless, eft", "unless", 6, "the definition `p` is not the one that is compiled"),
        ("id, action", "action, id", 6, "the definition `p` is not the one that is compiled"),
        (", relief", "", 3, "the definition `r` is not the one that is compiled"),
        (" && tri(p.party, r.party, p.eft)", "", 12, "must ask each of"),
        ("tri(p.party, r.party, p.eft)", "tri(p.party, r.place, p.eft)", 12, "compares the column `party`"),
        ("tri(p.party, r.party, p.eft)", "tri(p.place, r.place, p.eft)", 12, "must ask each of"),
        (" && tri(p.party", " || tri(p.party", 12, "the matcher has"),
        (" && unlifted", " && 1 == 1 && unlifted", 12, "the matcher has `1 == 1`"),
        (" && unlifted(p.unless, r.relief, p.eft)", "", 12, "must end with `unlifted"),
        ("m = ", "m2 = ", 12, "the definition `m2` does not belong to the model"),
        ("[matchers]", "[role_definition]\ng = _, _\n[matchers]", 11, "the section `role_definition` does not belong"),
        ("[matchers]", "p2 = id, eft\n[matchers]", 11, "the definition `p2` does not belong to the model"),
        ("[matchers]", "[policy_effect]\n[matchers]", 11, "duplicate of the section `policy_effect`"),
        ("[matchers]", f"e = {EFFECT}\n[matchers]", 11, "duplicate of the definition `e`, which is on line 9 already"),
        ("[matchers]", "nonsense\n[matchers]", 11, "the definition `nonsense` does not belong to the model"),
        ("p = id", "p = id \\\n", 6, "the definition `p` is not the one that is compiled"),
    ],
)
def test_a_model_that_is_not_the_compiled_one_is_refused(written: str, instead: str, line: int, message: str) -> None:
    assert written in MODEL
    faults = faults_of(book(model=MODEL.replace(written, instead)))
    told = {(fault.source, fault.line): fault.message for fault in faults}
    assert message in told["model.conf", line]


def test_a_model_without_an_effect_is_refused() -> None:
    faults = faults_of(book(model=MODEL.replace(f"[policy_effect]\ne = {EFFECT}\n", "")))
    assert [fault.message for fault in faults] == [
        "the definition `e` of [policy_effect] is missing",
        "the section [policy_effect] is missing",
    ]


def test_comments_and_white_space_in_the_model_change_nothing() -> None:
    spread = "# a comment\n" + MODEL.replace(", ", " ,  ").replace(" = ", "=").replace("\n", "\r\n")
    assert read_book(book()).fingerprint == read_book(book(model=spread)).fingerprint


def test_the_order_of_the_matcher_is_free_and_part_of_the_fingerprint() -> None:
    first, second = "tri(p.action, r.action, p.eft)", "tri(p.item, r.item, p.eft)"
    turned = read_book(book(model=MODEL.replace(f"{first} && {second}", f"{second} && {first}")))
    assert turned.matcher.startswith(f"{second} && {first} && ")
    assert read_book(book()).fingerprint != turned.fingerprint
