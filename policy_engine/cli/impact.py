"""`policy-engine policy impact`: what a book would have made of the decisions on record, and of everybody on file."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer
from msgspec import to_builtins

from policy_engine.app.builder import build
from policy_engine.app.clock import system_clock
from policy_engine.cli.output import JsonFlag, instant, tell
from policy_engine.cli.progress import progress
from policy_engine.cli.settings import settings_with_database
from policy_engine.policy.judge import Judge
from policy_engine.policy.reader import read_book, read_folder
from policy_engine.render.impact_text import impact_text
from policy_engine.service.administration.impact import impact as judge_again

DEFAULT_DAYS: Final = 30


def impact(
    new: Annotated[Path, typer.Argument(help="Folder of the book that might be in force.")],
    *,
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=instant,
            help=f"Decisions recorded since this instant are judged again; by default the last {DEFAULT_DAYS} days.",
        ),
    ] = None,
    effective: Annotated[
        datetime | None, typer.Option(parser=instant, help="When the book would be in force; by default now.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Judge the recorded decisions again under another book, with the facts as they were known then.

    Says who would go from allow to deny and from deny to allow, by organisation, country and model, what would be
    undetermined for want of a fact, and whose standing access would change at the effective instant.

    Example: policy-engine policy impact policies --since 2026-06-01T00:00:00Z
    """
    book = read_book(read_folder(new))
    now = system_clock()
    at, start = effective or now, since or now - timedelta(days=DEFAULT_DAYS)
    parts = build(settings_with_database())
    try:
        ground = parts.desk.view.current()
        held = ground.desk.book_at(at) or ground.desk.books[0]
        old = parts.publisher.library.judge(held.fingerprint, held.archive)
        with progress("judging") as shown:
            report = judge_again(
                Judge(book),
                old,
                parts.desk_log.decisions_since(start),
                parts.past.roster,
                effective=at,
                roster_now=ground.roster,
                progress=lambda what, done: shown(done, stage=what),
            )
    finally:
        parts.close()
    tell(to_builtins(report, order="sorted"), partial(typer.echo, impact_text(report), nl=False), as_json=as_json)
