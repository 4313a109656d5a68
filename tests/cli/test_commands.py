"""Every command of the command line, found by walking it: it explains itself, and answers programs too."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
import typer

from policy_engine.cli.main import EXITS, app

Command = tuple[tuple[str, ...], Any]


def walked(command: Any, path: tuple[str, ...] = ()) -> Iterator[Command]:
    """Every command and group below it, with the words that lead there."""
    yield path, getattr(command, "called", command)
    for name, below in getattr(command, "commands", {}).items():
        yield from walked(below, (*path, name))


ALL = list(walked(typer.main.get_command(app)))
COMMANDS = [one for one in ALL if not hasattr(one[1], "commands")]
EXAMPLE = re.compile(r"Example: (?P<set>(?:[A-Z_]+=\S+ )*)(?P<command>.*?)(?:\n\n|\Z)", re.DOTALL)


def named(commands: list[Command]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("path", "command"), commands, ids=[" ".join(path) or "policy-engine" for path, _ in commands]
    )


def test_the_walk_finds_the_commands() -> None:
    assert len(COMMANDS) > 40


def told_when(*words: str) -> tuple[str, set[str]]:
    """What a command prints in a process of its own, and every module that it has imported then."""
    program = "import atexit, sys\natexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
    program += "from policy_engine.cli.main import main\nmain()"
    ran = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)  # noqa: S603  this interpreter
    return ran.stdout, set(ran.stderr.split())


def test_the_help_of_all_commands_has_what_each_is_for_and_imports_none() -> None:
    told, imported = told_when("log", "--help")
    for path, command in COMMANDS:
        if path[0] == "log":
            said = re.search(rf"│ {path[1]} +(\S+ \S+)", told)
            assert said is not None, path
            assert said[1].split() == command.help.split()[:2]
    assert not imported & {"sqlalchemy", "casbin", "fastapi", "policy_engine.cli.log"}


def test_a_command_that_reads_a_book_opens_no_database_and_no_service() -> None:
    _, imported = told_when("policy", "check", "--help")
    assert "policy_engine.cli.policy" in imported
    assert not imported & {"sqlalchemy", "fastapi", "uvicorn", "policy_engine.app.builder", "policy_engine.cli.log"}


def test_every_error_with_an_exit_code_is_there_under_its_name() -> None:
    for name in EXITS:
        assert issubclass(resolve_name(name), Exception), name


@named(ALL)
def test_every_command_says_what_it_is_for_and_what_each_of_its_options_is(path: tuple[str, ...], command: Any) -> None:
    assert (command.help or "").strip(), path
    assert [one.name for one in command.params if not one.help] == []


@named(COMMANDS)
def test_every_command_prints_its_result_as_json_when_asked(path: tuple[str, ...], command: Any) -> None:
    assert "--json" in {name for one in command.params for name in one.opts}, path


@named(COMMANDS)
def test_every_command_has_an_example_that_it_understands(
    path: tuple[str, ...], command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    examples = list(EXAMPLE.finditer(command.help or ""))
    assert examples, path
    for example in examples:
        *_, words = _piped(shlex.split(example["command"], comments=False))
        assert words[: 1 + len(path)] == ["policy-engine", *path]
        for word in words:
            # Files that a command wants to be there.
            if re.fullmatch(r"[\w-]+\.[a-z]+", word):
                Path(word).touch()
        given = words[1 + len(path) :]
        if ">" in given:
            given = given[: given.index(">")]
        command.make_context(path[-1], given)


def _piped(words: list[str]) -> list[list[str]]:
    """The commands of a pipe, each for itself."""
    parts: list[list[str]] = [[]]
    for word in words:
        if word == "|":
            parts.append([])
        else:
            parts[-1].append(word)
    return parts
