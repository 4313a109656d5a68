"""Worked examples that went or changed are told, and a folder of them is read no further than its edge."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy_engine.formats.faults import FaultsError
from policy_engine.policy.case_changes import case_changes
from policy_engine.policy.cases import Case, case_files, read_case_files, read_cases
from policy_engine.service.administration.assess import changes_of_cases

CASE = """\
- id: {id}
  title: t
  note: n
  at: {at}
  catalogue: {{m: {{kind: model, tier: commodity, vendor: acme, weights: {weights}}}}}
  request: {{subject: {{type: person, id: nobody}}, model: opus-4.6, action: infer}}
  expect: {{decision: deny, reason: SUBJECT_UNKNOWN}}
"""


def a_case(name: str, *, at: str = "2026-11-20", weights: str = "published") -> str:
    return CASE.format(id=name, at=at, weights=weights)


def cases(*texts: str) -> list[Case]:
    return read_case_files({"cases/one.yaml": "".join(texts).encode()})


def test_what_went_what_changed_and_what_is_new_is_named() -> None:
    before = cases(a_case("GONE"), a_case("SAME"), a_case("LATER"), a_case("OTHER"))
    after = cases(
        a_case("NEW"), a_case("OTHER", weights="unpublished"), a_case("LATER", at="2026-11-21"), a_case("SAME")
    )
    changes = case_changes(before, after)
    assert (changes.removed, changes.changed, changes.added) == (("GONE",), ("LATER", "OTHER"), ("NEW",))
    assert changes.text == "1 removed (GONE), 2 changed (LATER, OTHER), 1 added (NEW)"


def test_an_example_that_moves_to_another_place_or_file_is_the_same() -> None:
    before = cases(a_case("A"), a_case("B"))
    after = read_case_files({"cases/b.yaml": a_case("B").encode(), "cases/z.yaml": a_case("A").encode()})
    assert case_changes(before, after).text == "none removed, changed or added"


def test_hundreds_of_dropped_examples_are_counted() -> None:
    before = cases(*(a_case(f"C{number:03d}") for number in range(333)))
    assert case_changes(before, before[:1]).text == "332 removed (C001, C002, C003, C004, C005 and 327 more)"


def test_examples_of_before_that_cannot_be_read_are_compared_with_nothing() -> None:
    assert changes_of_cases({"cases/one.yaml": b"- {id: }"}, ()) is None


def test_a_link_out_of_the_folder_is_no_case_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text(a_case("SECRET"))
    book = tmp_path / "book"
    (book / "cases").mkdir(parents=True)
    (book / "cases" / "good.yaml").write_text(a_case("GOOD"))
    (book / "cases" / "within.yaml").symlink_to(book / "cases" / "good.yaml")
    assert sorted(case_files(book)) == ["cases/good.yaml", "cases/within.yaml"]
    (book / "cases" / "bad.yaml").symlink_to(secret)
    for read in (lambda: case_files(book), lambda: read_cases(book / "cases")):
        with pytest.raises(FaultsError) as refused:
            read()
        (fault,) = refused.value.faults
        assert fault.source.endswith("bad.yaml")
        assert fault.message == "the file is a link that leads out of the folder"


def test_a_folder_of_cases_that_is_itself_a_link_out_of_the_book_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "one.yaml").write_text(a_case("ONE"))
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "cases").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FaultsError, match="leads out of the folder"):
        case_files(tmp_path / "book")


def test_a_case_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(FaultsError) as refused:
        read_cases(tmp_path)
    assert {Path(fault.source).name for fault in refused.value.faults} == {"loop.yaml", "folder.yaml"}
