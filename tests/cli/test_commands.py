"""Every command of the command line, found by walking it: it explains itself, and answers programs too."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from policy_engine.cli.main import app

Command = tuple[tuple[str, ...], Any]


def walked(command: Any, path: tuple[str, ...] = ()) -> Iterator[Command]:
    """Every command and group below it, with the words that lead there."""
    yield path, command
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
