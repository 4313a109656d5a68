"""`policy-engine policy impact`: what a book would have made of the decisions on record, and of everybody on file."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from policy_engine.app.builder import build
from policy_engine.app.clock import system_clock
from policy_engine.cli.output import JsonFlag, out, print_json
from policy_engine.cli.progress import progress
from policy_engine.cli.settings import settings_with_database
from policy_engine.domain.instants import InstantError, parse_instant
from policy_engine.policy.judge import Judge
from policy_engine.policy.reader import read_book, read_folder
from policy_engine.service.impact import ImpactReport
from policy_engine.service.impact import impact as judge_again

DEFAULT_DAYS: Final = 30


def impact(
    new: Annotated[Path, typer.Argument(help="Folder of the book that might be in force.")],
    *,
    since: Annotated[
        str | None, typer.Option(help=f"From when on decisions are judged again; {DEFAULT_DAYS} days back when absent.")
    ] = None,
    effective: Annotated[str | None, typer.Option(help="When the book would be in force; now when absent.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Judge the recorded decisions again under another book, with the facts as they were known then.

    Says who would go from allow to deny and from deny to allow, by organisation, country and model, what would be
    undetermined for want of a fact, and whose standing access would change at the effective instant.

    Example: policy-engine policy impact policies --since 2026-06-01T00:00:00Z
    """
    book = read_book(read_folder(new))
    now = system_clock()
    at = now if effective is None else _instant(effective, "--effective")
    start = now - timedelta(days=DEFAULT_DAYS) if since is None else _instant(since, "--since")
    parts = build(settings_with_database())
    try:
        ground = parts.desk.view.current()
        held = ground.desk.book_at(at) or ground.desk.books[0]
        old = parts.publisher.library.judge(held.fingerprint, held.archive)
        with progress("judging") as tell:
            report: ImpactReport = judge_again(
                Judge(book),
                old,
                parts.desk_log.decisions_since(start),
                parts.past.roster,
                effective=at,
                roster_now=ground.roster,
                progress=lambda what, done: tell(done, stage=what),
            )
    finally:
        parts.close()
    if as_json:
        print_json(json.loads(report.document()))
    else:
        out.print(report.text(), markup=False, end="")


def _instant(text: str, option: str) -> datetime:
    try:
        return parse_instant(text)
    except InstantError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error
