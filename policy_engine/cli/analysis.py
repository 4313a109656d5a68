"""`policy-engine policy analyse` and `diff`: exactly who may do what, and what a new book changes."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from policy_engine.analysis.book_report import book_report
from policy_engine.analysis.difference_report import diff_of_files
from policy_engine.app.clock import system_clock
from policy_engine.app.settings import Settings
from policy_engine.cli.output import JsonFlag, instant, print_json, unreadable
from policy_engine.cli.progress import progress
from policy_engine.policy.reader import read_book, read_folder
from policy_engine.render.analysis_pages import book_report_page, diff_page
from policy_engine.render.book_report_text import book_report_content, book_report_csv, book_report_text
from policy_engine.render.difference_text import difference_text

HtmlOption = Annotated[Path | None, typer.Option("--html", help="File to write one self-contained page to.")]


def analyse(
    *,
    policies: Annotated[Path | None, typer.Option("--policies", help="Folder of the rule book.")] = None,
    at: Annotated[
        datetime | None, typer.Option("--at", parser=instant, help="The instant to analyse; by default now.")
    ] = None,
    as_json: JsonFlag = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print who may do what as CSV.")] = False,
    html: HtmlOption = None,
) -> None:
    """Say exactly who may do what, which rows do nothing, what nothing grants, and what flips when.

    Nothing is sampled: every possible requester of a declared finite world is in it (docs/adr/0006-exact-analysis.md).

    Example: policy-engine policy analyse --at 2026-06-13T15:00:00Z --html book.html
    """
    if as_json and as_csv:
        raise typer.BadParameter("give either --json or --csv, not both")
    book = read_book(read_folder(policies or Settings().policies))
    with progress("analysing") as tell:
        found = book_report(book, at or system_clock(), lambda stage, done, of: tell(done, of, stage=stage))
    if html is not None:
        _write(html, book_report_page(found))
    if as_json:
        print_json(book_report_content(found))
    elif as_csv:
        typer.echo(book_report_csv(found), nl=False)
    elif html is None:
        typer.echo(book_report_text(found), nl=False)


def diff(
    old: Annotated[Path, typer.Argument(help="Folder of the book before.")],
    new: Annotated[Path, typer.Argument(help="Folder of the book after.")],
    *,
    at: Annotated[
        datetime | None,
        typer.Option("--at", parser=instant, help="Compare at this instant only; by default over all time."),
    ] = None,
    since: Annotated[
        datetime | None, typer.Option("--since", parser=instant, help="Compare from this instant on.")
    ] = None,
    as_json: JsonFlag = False,
    html: HtmlOption = None,
) -> None:
    """Say exactly whose answer or reason changes from one book to another, with a request that shows it.

    Example: policy-engine policy diff policies next --at 2026-06-13T15:00:00Z
    """
    if at is not None and since is not None:
        raise typer.BadParameter(
            "give one of the two: --at compares one instant, --since compares from one on",
            param_hint="--at and --since",
        )
    before, after = read_folder(old), read_folder(new)
    with progress("comparing") as tell:
        report = diff_of_files(before, after, at, lambda stage, done, of: tell(done, of, stage=stage), since=since)
    if html is not None:
        _write(html, diff_page(report))
    if as_json:
        print_json(json.loads(report.document()))
    elif html is None:
        typer.echo(difference_text(report), nl=False)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise unreadable(error, file) from error
