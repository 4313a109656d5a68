"""The page about Casbin: its commands run as printed, and its two functions come to what the engine decides."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from typer.testing import CliRunner

from policy_engine.cli.main import app
from policy_engine.decision.case_runner import run_case
from policy_engine.domain.rules import FAULT_RULE
from policy_engine.domain.verdict import State, denied_by_engine
from policy_engine.service.administration.casbin_export import NotExportable, export_case
from tests.conftest import CASES, POLICIES, ROOT, judge_of

PAGE: Final = (ROOT / "docs" / "casbin.md").read_text(encoding="utf-8")
(PROGRAM,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS: Final = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
(PRINTED,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)


def test_every_command_of_the_page_runs_and_prints_what_it_says(tmp_path: Path) -> None:
    shutil.copytree(POLICIES, tmp_path / "policies")
    (tmp_path / "repeat.py").write_text(PROGRAM, encoding="utf-8")
    printed = ""
    for command in COMMANDS:
        name, *arguments = command.split()
        program = [sys.executable] if name == "python" else [str(Path(sys.executable).parent / name)]
        ran = subprocess.run([*program, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)  # noqa: S603  the page's own
        printed = ran.stdout
    assert printed == PRINTED


def decision_of() -> Any:
    """The function `decision` of the page's program, without its last lines, which read the command line."""
    names: dict[str, Any] = {}
    exec(PROGRAM.partition("\nfolder = Path(sys.argv")[0], names)  # noqa: S102  the page's own
    return names["decision"]


def interesting() -> list[Any]:
    """Cases of every kind: several parties, hosts, somebody who is not on file, lifted bars, unknowns, allows; and
    every seventh besides."""
    kinds: dict[object, Any] = {}
    chosen = list(CASES[::7])
    for case in CASES:
        told = run_case(case, judge_of(case)).conclusion
        if told.question is None or told.verdict.reason.rule == FAULT_RULE:
            continue
        roles = tuple(party.role for party in told.question.parties)
        lifted = any(one.state is State.LIFTED for one in told.verdict.findings)
        kind = roles, told.verdict.allowed, lifted, bool(told.verdict.missing), told.question.entry is None
        if kind not in kinds:
            kinds[kind] = case
    return [*chosen, *(one for one in kinds.values() if one not in chosen)]


def test_stock_casbin_comes_from_the_files_to_what_the_engine_decides(tmp_path: Path) -> None:
    decision = decision_of()
    policies: set[str] = set()
    answers = set()
    for case in interesting():
        result = run_case(case, judge_of(case))
        if result.conclusion.verdict.reason.rule == FAULT_RULE:
            continue
        folder = tmp_path / case.id
        folder.mkdir()
        files = export_case(result)
        policies |= files.keys()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        told = msgspec.json.decode(files["verdict.json"])["decision"]
        assert told == ("allow" if result.conclusion.verdict.allowed else "deny")
        assert decision(folder) == told, case.id
        answers.add(told)
    assert answers == {"allow", "deny"}
    assert policies >= {"policy.csv", "policy-host.csv", "policy-not-on-file.csv"}


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["policy", "export", "--policies", str(POLICIES), *arguments])


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_text("mine", encoding="utf-8")
    ran = run("--casbin", str(tmp_path), "--case", "ORD-16")
    assert ran.exit_code == 2
    assert "is not empty" in ran.output
    assert (tmp_path / "facts.json").read_text(encoding="utf-8") == "mine"


def test_a_case_that_is_not_there_is_named_with_one_that_is_near(tmp_path: Path) -> None:
    ran = run("--casbin", str(tmp_path / "out"), "--case", "ORD-1600")
    assert ran.exit_code == 2
    assert "ORD-16" in ran.output
    assert not (tmp_path / "out").exists()


def test_a_case_of_which_nothing_can_be_judged_has_nothing_to_repeat() -> None:
    result = run_case(CASES[0], judge_of(CASES[0]))
    faulty = denied_by_engine(FAULT_RULE, (("fault", "two statuses at once"),))
    conclusion = replace(result.conclusion, decision=replace(result.conclusion.decision, verdict=faulty))
    with pytest.raises(NotExportable, match="nothing to repeat: what is on file contradicts itself: two statuses"):
        export_case(replace(result, conclusion=conclusion))
    with pytest.raises(NotExportable, match="nothing to repeat: engine: it fails"):
        export_case(replace(result, conclusion=replace(conclusion, question=None), differences=("engine: it fails",)))
