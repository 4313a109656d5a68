"""How far something long is, as a terminal is told."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from policy_engine.cli import progress as module
from policy_engine.cli.progress import progress


def terminal(monkeypatch: pytest.MonkeyPatch, *, is_one: bool) -> io.StringIO:
    screen = io.StringIO()
    monkeypatch.setattr(module, "err", Console(file=screen, force_terminal=is_one, width=120))
    return screen


def test_a_terminal_is_told_what_is_done_at_which_stage_and_of_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch, is_one=True)
    with progress("analysing") as tell:
        tell(3, 1_204, stage="who may do what")
    assert "analysing: who may do what" in screen.getvalue()
    assert "3 of 1,204" in screen.getvalue()


def test_names_with_brackets_are_told_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch, is_one=True)
    with progress("judging [red]") as tell:
        tell(1, stage="[bold]acme[/bold]")
    assert "judging [red]: [bold]acme[/bold]" in screen.getvalue()


def test_a_file_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch, is_one=False)
    with progress("analysing", total=4) as tell:
        tell(3, stage="who may do what")
    assert screen.getvalue() == ""
