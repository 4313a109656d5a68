"""How the command line speaks: tables for people, JSON for programs, and the exit codes."""

from __future__ import annotations

import json
from enum import IntEnum
from typing import Annotated, Final

import typer
from rich.console import Console

out: Final = Console(highlight=False, soft_wrap=True)
err: Final = Console(stderr=True, highlight=False, soft_wrap=True)


class Exit(IntEnum):
    """What the command says to the shell: done (for `decide`: allow), a check failed, wrong usage, deny (`decide`
    only), unavailable."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    DENY = 3
    UNAVAILABLE = 4


JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
