"""`policy analyse` and `policy diff` at a terminal: text, documents, CSV, and a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from policy_engine.policy.reader import read_book
from tests.cli.test_cli import Shell
from tests.policy.books import BAR, GRANT, NOTE, book, sheet

pytestmark = pytest.mark.slow

OLD = book()
NEW = book(rules=sheet(GRANT, {**BAR, "place": "located-in:BY,EAR:E:1,CU"}, NOTE))


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.setenv("COLUMNS", "200")
    return Shell(monkeypatch, capsys)


def written(folder: Path, files: Mapping[str, bytes]) -> str:
    """The folder of a book with these files."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return str(folder)


def test_an_analysis_tells_the_answers_the_gaps_and_the_calendar(shell: Shell, tmp_path: Path) -> None:
    told = shell("policy", "analyse", "--policies", written(tmp_path, OLD), "--at", "2026-06-01")
    assert (told.code, told.err) == (0, "")
    assert "allow AD AE AF" in told.out
    assert "gaps, answered by ACTION_NOT_PERMITTED alone: " in told.out
    assert "2020-12-23T00:00:00.000000Z  EAR reads HK as CN\n    no answer changes" in told.out


def test_an_analysis_is_printed_as_one_document_or_as_csv(shell: Shell, tmp_path: Path) -> None:
    folder = written(tmp_path, OLD)
    document = json.loads(shell("policy", "analyse", "--policies", folder, "--at", "2026-06-01", "--json").out)
    assert document["policy_version"] == read_book(OLD).fingerprint
    assert {one["decision"] for one in document["access"]} == {"allow", "deny"}
    lines = shell("policy", "analyse", "--policies", folder, "--at", "2026-06-01", "--csv").out.splitlines()
    assert lines[0].startswith('"perspective","country","us_status","membership","tier","model","action","decision"')
    assert shell("policy", "analyse", "--policies", folder, "--json", "--csv").code == 2


def test_an_analysis_without_an_instant_is_of_now(shell: Shell, tmp_path: Path) -> None:
    document = json.loads(shell("policy", "analyse", "--policies", written(tmp_path, OLD), "--json").out)
    assert document["at"] > "2026-01-01"


def test_a_difference_is_told_in_words_and_as_a_document(shell: Shell, tmp_path: Path) -> None:
    folders = (written(tmp_path / "old", OLD), written(tmp_path / "new", NEW))
    told = shell("policy", "diff", *folders)
    assert told.code == 0
    assert "allow -> deny, by REGION" in told.out
    document = json.loads(shell("policy", "diff", *folders, "--at", "2026-06-01", "--json").out)
    assert (document["old"], document["new"]) == (read_book(OLD).fingerprint, read_book(NEW).fingerprint)
    assert document["changes"] == {"allow -> deny": 1}
    assert "no answer changes" in shell("policy", "diff", folders[0], folders[0]).out


def test_both_are_written_as_pages(shell: Shell, tmp_path: Path) -> None:
    old, new = written(tmp_path / "old", OLD), written(tmp_path / "new", NEW)
    assert (
        shell("policy", "analyse", "--policies", old, "--at", "2026-06-01", "--html", str(tmp_path / "a.html")).code
        == 0
    )
    assert shell("policy", "diff", old, new, "--html", str(tmp_path / "d.html")).code == 0
    assert "ACCESS" in (tmp_path / "a.html").read_text()
    assert "REGION" in (tmp_path / "d.html").read_text()


def test_what_cannot_be_done_is_said_with_its_exit_code(shell: Shell, tmp_path: Path) -> None:
    folder = written(tmp_path / "old", OLD)
    wrong = shell("policy", "diff", folder, folder, "--at", "yesterday")
    assert (wrong.code, "yesterday" in wrong.err) == (2, True)
    assert shell("policy", "diff", folder, str(tmp_path / "none")).code == 1
    unwritable = shell("policy", "diff", folder, folder, "--html", str(tmp_path / "no" / "such.html"))
    assert (unwritable.code, "cannot be written" in unwritable.err) == (2, True)
