"""How far something long is, on a terminal: one line on standard error that goes away when it is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from policy_engine.cli.output import err


class Tell(Protocol):
    """Says that so much is done, of how much where that is known, and of what where the stage has a name."""

    def __call__(self, done: int, of: int | None = None, /, *, stage: str | None = None) -> None: ...


def _nobody(done: int, of: int | None = None, /, *, stage: str | None = None) -> None:
    """Where nobody looks on nothing is told."""


@contextmanager
def progress(what: str, *, total: int | None = None, shown: bool = True) -> Iterator[Tell]:
    """A bar with the time that it took so far; nothing where standard error is no terminal, or `shown` says so."""
    if not (shown and err.is_terminal):
        yield _nobody
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[counted]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(what, total=total, counted="")

        def tell(done: int, of: int | None = None, /, *, stage: str | None = None) -> None:
            known = total if of is None else of
            counted = f"{done:,}" if known is None else f"{done:,} of {known:,}"
            description = what if stage is None else f"{what}: {stage}"
            bar.update(task, completed=done, total=known, counted=counted, description=description)

        yield tell
