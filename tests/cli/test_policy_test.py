"""`policy test`: what it tells of the worked examples, and how it exits."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.test_cli import Shell, Told
from tests.policy.books import BAR, GRANT, book, sheet
from tests.policy.examples import ALLOWED, BARRED, example

HELD = example("HELD", "decision: deny, hold: true", country="IR")
LISTED = example("LISTED", "decision: allow", action="list")
LISTED_BARRED = example("LISTED-BARRED", "decision: deny", action="list", country="CU")
HOSTED = example("HOSTED", "decision: allow", extra=", destination: {host: cubana}").replace(
    "organisations: [", "organisations: [{id: cubana, incorporated: CU, headquarters: CU}, "
)


class Bench:
    """A folder with a small book, and `policy test` on it."""

    def __init__(self, shell: Shell, folder: Path) -> None:
        self._shell, self._folder = shell, folder
        for name, content in book(rules=sheet(GRANT, BAR)).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        (folder / "cases").mkdir()

    def __call__(self, cases: tuple[str, ...], *options: str) -> Told:
        (self._folder / "cases" / "small.yaml").write_text("".join(cases) or "[]")
        return self._shell("policy", "test", "--policies", str(self._folder), *options)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Bench:
    monkeypatch.setenv("COLUMNS", "200")
    return Bench(Shell(monkeypatch, capsys), tmp_path / "policies")


def test_without_options_it_tells_the_cases_alone(bench: Bench) -> None:
    told = bench((ALLOWED, BARRED))
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("2 of 2 cases hold (")
    assert bench((ALLOWED, BARRED), "--json").json == {
        "cases": 2,
        "failed": [],
        "second_judge": {"agrees": True, "differences": []},
    }


def test_the_rows_that_no_case_exercises_are_told(bench: Bench) -> None:
    told = bench((ALLOWED,), "--coverage")
    assert told.code == 0
    assert "1 of 2 rows are exercised by a case" in told.out
    assert "REGION" in told.out
    assert "ACCESS" not in told.out
    assert bench((ALLOWED,), "--coverage", "--json").json["coverage"] == {
        "rows": [
            {"rule": "ACCESS", "regime": "vendor", "deciding": 1, "otherwise": 0},
            {"rule": "REGION", "regime": "vendor", "deciding": 0, "otherwise": 0},
        ],
        "unexercised": ["REGION"],
    }
    told = bench((ALLOWED, BARRED), "--coverage")
    assert "2 of 2 rows are exercised by a case" in told.out
    assert "exercised by no case" not in told.out


def test_the_survivors_are_told_by_rule_and_a_low_score_exits_with_1(bench: Bench) -> None:
    told = bench((ALLOWED, BARRED), "--mutation")
    assert told.code == 1
    survivors = told.out.partition("ACCESS survives\n")[2].partition("REGION survives\n")[0]
    assert "    alternative: without the alternative `action:list` of `action`\n" in survivors
    assert "mutants are killed" in told.err
    assert "at least 95 % are required" in told.err
    document = bench((ALLOWED, BARRED), "--mutation", "--json").json["mutation"]
    assert document["least"] == 95
    assert document["killed"] == document["mutants"] - len(document["survivors"])
    survivor = {
        "rule": "ACCESS",
        "kind": "alternative",
        "description": "without the alternative `action:list` of `action`",
    }
    assert survivor in document["survivors"]


def test_a_score_is_good_from_the_least_on(bench: Bench) -> None:
    score = bench((ALLOWED, BARRED), "--mutation", "--json").json["mutation"]["score"]
    assert 0 < score < 95
    assert bench((ALLOWED, BARRED), "--mutation", "--least", str(score)).code == 0
    assert bench((ALLOWED, BARRED), "--mutation", "--least", str(score + 0.1)).code == 1
    assert bench((ALLOWED, BARRED), "--mutation", "--least", "101").code == 2


def test_more_cases_kill_more(bench: Bench) -> None:
    few = bench((ALLOWED, BARRED), "--mutation", "--json").json["mutation"]
    more = bench((ALLOWED, BARRED, LISTED, LISTED_BARRED, HOSTED), "--mutation", "--json").json["mutation"]
    assert more["mutants"] == few["mutants"]
    assert more["killed"] > few["killed"]
    survivors = {(one["rule"], one["description"]) for one in more["survivors"]}
    assert survivors < {(one["rule"], one["description"]) for one in few["survivors"]}


def test_no_mutant_is_tried_while_a_case_fails(bench: Bench) -> None:
    told = bench((ALLOWED, HELD), "--mutation", "--least", "0")
    assert told.code == 1
    assert "HELD fails (small.yaml:" in told.err
    assert "hold: expected true, came false" in told.err
    assert "no mutant was tried" in told.err
    assert bench((ALLOWED, HELD), "--mutation", "--json").json["mutation"] is None


def test_there_is_an_xml_report_for_build_servers(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "report.xml"
    marked = HELD.replace("title: infer from IR", 'title: "<infer> & \\"hold\\" \\ufffe"')
    told = bench((ALLOWED, marked), "--junit", str(file))
    assert told.code == 1
    suite = ElementTree.parse(file).getroot()[0]  # noqa: S314  # written just now
    assert suite.tag == "testsuite"
    assert [suite.get(name) for name in ("tests", "failures", "errors")] == ["2", "1", "0"]
    assert float(suite.get("time", "")) >= 0
    good, bad = suite
    assert (good.get("name"), good.get("classname"), len(good)) == ("ALLOWED infer from US", "small.yaml", 0)
    assert bad.get("name") == 'HELD <infer> & "hold" \N{REPLACEMENT CHARACTER}'
    assert bad[0].tag == "failure"
    assert bad[0].get("message") == bad[0].text == "hold: expected true, came false"


def test_a_report_of_no_case_has_no_test_and_fails(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "report.xml"
    assert bench((), "--junit", str(file), "--mutation", "--coverage").code == 1
    assert ElementTree.parse(file).getroot()[0].get("tests") == "0"  # noqa: S314  # written just now


def test_a_report_that_cannot_be_written_is_wrong_usage(bench: Bench, tmp_path: Path) -> None:
    told = bench((ALLOWED,), "--junit", str(tmp_path / "nowhere" / "report.xml"))
    assert told.code == 2
    assert "cannot be written" in told.err
