"""`policy check`: what it tells of a book with faults and of one without, and of the step from the book before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from policy_engine.policy.reader import read_book
from tests.cli.test_cli import Shell, Told
from tests.policy.books import BAR, GRANT, NOTE, PARAMETERS, book, sheet

LIFTED = {**BAR, "unless": "PAPERS"}
ENTRY = b"rule,date,what,why\nREGION,2026-11-20,papers lift it,counsel 7\n"


class Desk:
    """Folders of books, and `policy check` on them."""

    def __init__(self, shell: Shell, folder: Path) -> None:
        self.shell, self._folder = shell, folder

    def write(self, name: str, files: Mapping[str, bytes]) -> str:
        for file, content in files.items():
            path = self._folder / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return str(self._folder / name)

    def __call__(self, files: Mapping[str, bytes], *options: str) -> Told:
        return self.shell("policy", "check", "--policies", self.write("new", files), *options)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Desk:
    monkeypatch.setenv("COLUMNS", "200")
    return Desk(Shell(monkeypatch, capsys), tmp_path)


def test_a_book_without_a_fault_is_told_with_its_rows_its_regimes_and_its_fingerprint(desk: Desk) -> None:
    told = desk(book())
    fingerprint = read_book(book()).fingerprint
    assert (told.code, told.err) == (0, "")
    assert told.out.splitlines() == [
        "3 rules of 1 regime can be read",
        "  vendor             3",
        f"policy version {fingerprint}",
        "compared with their source: 0 of 3 rules, 3 of 3 country groups, 0 of 1 places read as others, 0 of 8 entries"
        " of parameters.yaml; `policy law` says which",
        "no fault",
    ]
    assert desk(book(), "--json").json == {
        "ok": True,
        "fingerprint": fingerprint,
        "rows": 3,
        "compared": {
            "rules": {"compared": 0, "total": 3},
            "country groups": {"compared": 3, "total": 3},
            "places read as others": {"compared": 0, "total": 1},
            "entries of parameters.yaml": {"compared": 0, "total": 8},
        },
        "faults": [],
        "notices": [],
    }


def test_a_declared_list_that_nothing_reads_is_told(desk: Desk) -> None:
    told = desk(book(parameters=PARAMETERS.replace("{EL: ", "{UVL: Unverified List, EL: ")))
    assert told.code == 0
    assert told.err.startswith("note: parameters.yaml: no rule and no table reads the list `UVL`, so a listing on it")


def test_every_fault_of_every_file_is_told_and_counted_by_file(desk: Desk) -> None:
    rules = sheet({**GRANT, "effect": "Permit"}, {**BAR, "codes": "REGION_UNSUPORTED"})
    told = desk(book(rules=rules, settings="enforcement: {}\n"))
    assert told.code == 1
    lines = told.err.splitlines()
    assert lines[0].startswith("rules/vendor.csv:2:15 (C2): in `effect`: `Permit` is not known; did you mean `permit`?")
    assert lines[1].endswith("there is no reason code `REGION_UNSUPORTED`; did you mean `REGION_UNSUPPORTED`?")
    assert lines[-1] == "3 faults: rules/vendor.csv 2, settings.yaml 1"
    assert len(lines) == 4
    document = desk(book(rules=rules, settings="enforcement: {}\n"), "--json").json
    assert (document["ok"], document["fingerprint"], document["rows"]) == (False, None, None)
    assert document["faults"][0] == {
        "file": "rules/vendor.csv",
        "line": 2,
        "column": 15,
        "cell": "C2",
        "message": "in `effect`: `Permit` is not known",
        "remedy": "did you mean `permit`? write one of permit, deny, note",
    }


def test_a_rule_that_changed_its_meaning_since_the_book_before_needs_an_entry(desk: Desk) -> None:
    old = desk.write("old", book())
    changed = book(rules=sheet(GRANT, LIFTED, NOTE))
    told = desk(changed, "--against", old)
    assert told.code == 1
    assert told.err.splitlines()[0] == (
        "rules/vendor.csv:3:1: the rule `REGION` has another meaning than before in `unless`, and no new entry of"
        " CHANGELOG.csv says why; add a line to CHANGELOG.csv: the id, the date, what changed, and why"
    )
    assert desk(changed | {"CHANGELOG.csv": ENTRY}, "--against", old).code == 0


def test_an_entry_about_a_rule_that_did_not_change_is_a_notice(desk: Desk) -> None:
    old = desk.write("old", book())
    document = desk(book() | {"CHANGELOG.csv": ENTRY}, "--against", old, "--json").json
    assert document["ok"] is True
    assert document["notices"] == ["CHANGELOG.csv:2: the meaning of `REGION` has not changed"]


def test_a_book_before_that_cannot_be_read_is_a_fault_and_not_an_agreement(desk: Desk) -> None:
    old = desk.write("old", book(settings=None))
    told = desk(book(), "--against", old, "--json")
    assert told.code == 1
    assert [(fault["file"], fault["message"]) for fault in told.json["faults"]] == [
        (f"{old}: settings.yaml", "the file is missing")
    ]
    assert told.json["notices"] == [f"not compared with {old}: it cannot be read"]
    assert desk(book(), "--against", f"{old}er").code == 1


def test_a_book_that_cannot_be_read_is_not_compared_and_says_so(desk: Desk) -> None:
    old = desk.write("old", book())
    told = desk(book(settings="{}"), "--against", old, "--json")
    assert told.json["notices"] == [f"not compared with {old}: the book cannot be read"]


def test_a_file_that_cannot_be_read_does_not_hide_the_faults_of_the_others(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "new" / "rules" / "us-ear.csv").mkdir(parents=True)
    told = desk(book(rules=sheet({**GRANT, "effect": "Permit"}, {**BAR, "unless": "EAR-STA"})))
    assert told.code == 1
    assert [line.split(": ")[0] for line in told.err.splitlines()[:-1]] == [
        "rules/us-ear.csv:1:1",
        "rules/vendor.csv:2:15 (C2)",
    ]
    assert "the file cannot be read: is a directory" in told.err


def test_a_folder_that_is_not_there_is_the_one_fault(desk: Desk, tmp_path: Path) -> None:
    told = desk.shell("policy", "check", "--policies", str(tmp_path / "nowhere"))
    assert told.code == 1
    assert told.err.splitlines() == [
        f"{tmp_path / 'nowhere'}:1:1: there is no such folder; name the folder of a rule book",
        f"1 fault: {tmp_path / 'nowhere'} 1",
    ]
