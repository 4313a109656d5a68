"""The page of the law is what the book says, and every row and table names its source and whether it was compared."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from policy_engine.cli.main import app
from policy_engine.domain.rules import Effect
from policy_engine.domain.sentences import NOT_CHECKED, cited
from policy_engine.domain.words import VOCABULARY
from policy_engine.domain.words.word import HOUSE
from policy_engine.policy.names import RULED
from policy_engine.render.law_page import HANDBOOK, NOT_ENCODED, counts, entries, gaps_of, law_page
from tests.concluding import decided
from tests.conftest import CASES, POLICIES, ROOT, judge_of, shipped

BOOK: Final = shipped()
RUNNER: Final = CliRunner()


def page_of(folder: Path = POLICIES) -> str:
    return law_page(BOOK, *((folder / name).read_text(encoding="utf-8") for name in (NOT_ENCODED, HANDBOOK)))


def test_the_page_is_what_the_book_says() -> None:
    assert (ROOT / "docs" / "law.md").read_text(encoding="utf-8") == page_of()


def test_every_rule_says_where_it_comes_from_and_whether_it_was_compared_with_that() -> None:
    silent = [row.id for row in BOOK.rows if not row.citation or row.checked is None]
    assert silent == []


def test_every_cell_of_checked_is_filled_in_the_files_themselves() -> None:
    rows = [
        row
        for path in sorted((POLICIES / "rules").glob("*.csv"))
        for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    ]
    assert len(rows) == len(BOOK.rows)
    assert {row["checked"] for row in rows} == {"yes", "no"}


def test_every_table_of_law_says_where_it_comes_from_and_whether_it_was_compared_with_that() -> None:
    places, sources = BOOK.tables.places, BOOK.tables.sources
    assert [group.name for group in places.groups.values() if not group.source] == []
    assert [one.country for one in places.treat_as if not one.source or one not in places.compared] == []
    assert [name for name in entries(BOOK) if name not in sources or not sources[name].text] == []
    assert len(entries(BOOK)) == len(sources)


def test_the_clause_of_every_word_that_encodes_law_is_on_the_page_once() -> None:
    _, _, told = page_of().partition("## What the engine itself takes from the law")
    table = [
        line.strip("| ").split(" | ") for line in told.partition("\n## ")[0].splitlines() if line.startswith("| `")
    ]
    found = {word.strip("`"): cells[1:] for cells in table for word in cells[0].split(", ")}
    assert sum(len(cells[0].split(", ")) for cells in table) == len(found)
    encoding = [word for word in VOCABULARY.values() if word.clause != HOUSE]
    assert found == {
        word.name: [word.clause.what, word.clause.source, "yes" if word.clause.checked else "no"] for word in encoding
    }


def test_the_page_has_every_rule_every_group_and_every_regime_with_what_it_leaves_out() -> None:
    page = page_of()
    assert [row.id for row in BOOK.rows if f"| `{row.id}` |" not in page] == []
    assert [name for name in BOOK.tables.places.groups if f"group `{name}`" not in page] == []
    assert [regime for regime in RULED if f"\n## {regime}: " not in page] == []
    gaps = gaps_of((POLICIES / NOT_ENCODED).read_text(encoding="utf-8"))
    assert [gap for regime in gaps.values() for gap in regime if f"- {gap}\n" not in page] == []


@pytest.mark.parametrize(
    "question",
    ["Affiliates Rule extended before 2026-11-10", "126.1(d)(1) on 2026-10-01", "SDN owner count", "Entity List"],
)
def test_counsel_is_asked_what_the_stored_texts_leave_open(question: str) -> None:
    _, _, asked = page_of().partition("## What counsel has to decide")
    assert question in asked


def test_a_rule_that_nobody_said_anything_of_counts_as_not_compared() -> None:
    bare = replace(BOOK, rows=tuple(replace(row, checked=None) for row in BOOK.rows))
    assert counts(bare)[0].compared == 0
    assert 0 < counts(BOOK)[0].compared < counts(BOOK)[0].total


@pytest.mark.slow
def test_a_finding_says_when_its_rule_was_not_compared_with_what_it_cites() -> None:
    told = {"bars": 0, "notes": 0}
    for case in CASES:
        verdict = decided(judge_of(case), case.roster(), case.request, case.caller, case.at).verdict
        for finding in verdict.findings:
            row = BOOK.row(finding.rule)
            if row is None:
                continue
            assert finding.citation == cited(row)
            assert finding.citation.endswith(NOT_CHECKED) is (row.checked is False and row.effect is not Effect.PERMIT)
            if finding.citation.endswith(NOT_CHECKED):
                told["bars" if row.effect is Effect.DENY else "notes"] += 1
    assert min(told.values()) > 0


def book_folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(POLICIES, tmp_path / "book"))


def test_the_command_prints_the_page_and_holds_a_written_one_to_it(tmp_path: Path) -> None:
    printed = RUNNER.invoke(app, ["policy", "law", "--policies", str(POLICIES)])
    written = tmp_path / "law.md"
    written.write_text(printed.stdout, encoding="utf-8")
    same = RUNNER.invoke(app, ["policy", "law", "--policies", str(POLICIES), "--verify", str(written)])
    assert (printed.exit_code, same.exit_code) == (0, 0)
    assert printed.stdout == page_of()
    written.write_text(printed.stdout.replace("DENIED-PERSONS", "NOBODY", 1), encoding="utf-8")
    other = RUNNER.invoke(app, ["policy", "law", "--policies", str(POLICIES), "--verify", str(written)])
    assert other.exit_code == 1
    assert "is not what the book says now" in other.stderr


@pytest.mark.parametrize(
    ("name", "text", "code", "message"),
    [
        (NOT_ENCODED, "## us-eat\n\n- a\n", 1, "`us-eat` is not a regime"),
        (NOT_ENCODED, "## us-ear\n\nsomething\n", 1, "write every gap in one line"),
        (NOT_ENCODED, "## us-ear\n\n- something\n", 1, "`us-order` has no entry"),
        (HANDBOOK, "# The rule book\n", 1, "there is no table under `## Open questions`"),
        (NOT_ENCODED, None, 2, "cannot be read"),
    ],
)
def test_a_text_beside_the_book_that_cannot_be_read_is_named(
    tmp_path: Path, name: str, text: str | None, code: int, message: str
) -> None:
    folder = book_folder(tmp_path)
    (folder / name).unlink() if text is None else (folder / name).write_text(text, encoding="utf-8")
    result = RUNNER.invoke(app, ["policy", "law", "--policies", str(folder)])
    assert result.exit_code == code
    assert message in result.stderr
    assert NOT_ENCODED in result.stderr or HANDBOOK in result.stderr


def test_the_check_of_a_book_counts_what_was_compared() -> None:
    told = RUNNER.invoke(app, ["policy", "check", "--policies", str(POLICIES)])
    document = RUNNER.invoke(app, ["policy", "check", "--policies", str(POLICIES), "--json"])
    rules = counts(BOOK)[0]
    assert f"compared with their source: {rules.compared} of {rules.total} rules" in told.stdout
    assert json.loads(document.stdout)["compared"]["rules"] == {"compared": rules.compared, "total": rules.total}
