"""`policy-engine reviews`: held decisions, looked at by people."""

from __future__ import annotations

import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from msgspec import to_builtins
from rich.console import Console
from rich.text import Text

from policy_engine.cli.desk import when, who
from policy_engine.cli.output import JsonFlag, err, out, tell
from policy_engine.cli.remote import Misused, Service, open_service
from policy_engine.cli.tables import show_pairs, show_rows
from policy_engine.formats.documents import jsonable, read_document
from policy_engine.formats.record import answer_in
from policy_engine.shapes.administration import ReviewDocument, ReviewFileDocument, ReviewsDocument
from policy_engine.shapes.document import RowsDocument


class Ending(StrEnum):
    """How a case is to end."""

    REFUSE = "refuse"
    RELEASE = "release"


def list_cases(
    *,
    every: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the cases that wait for somebody, the oldest first.

    Example: policy-engine reviews list --all
    """
    service = open_service()
    query = {"status": "all" if every else "open", "limit": "1000"}
    cases: list[ReviewDocument] = []
    while True:
        page = service.get("reviews", query=query).read(ReviewsDocument)
        cases += page.reviews
        if page.next_cursor is None:
            break
        query["cursor"] = page.next_cursor
    document = {"reviews": to_builtins(cases, order="sorted")}
    tell(document, partial(_tell_cases, cases, "there is no case" if every else "no case waits"), as_json=as_json)


def _tell_cases(cases: list[ReviewDocument], none: str) -> None:
    if not cases:
        out.print(none)
    show_rows(
        ("case", "status", "subject", "model", "action", "purpose", "rule", "due"),
        [
            (one.id, one.status, one.subject, one.model, one.action, one.purpose or "", one.rule, when(one.due_at))
            for one in cases
        ],
        spare=("status", "action", "purpose", "rule"),
    )


def show(
    case: Annotated[str, typer.Argument(help="The id of the case.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Show a case: the request that was held, why, what nobody knows, and what would let it go.

    Example: policy-engine reviews show RV-ABCDEFGH
    """
    open_service().get("reviews", case).tell(ReviewFileDocument, _tell_file, as_json=as_json)


def _tell_file(file: ReviewFileDocument) -> None:
    _tell(file)
    held = answer_in(bytes(file.decision))
    lines = [("held for", f"{held.reason.code}: {held.reason.message}")]
    lines += [
        (f"rule {finding.rule}", " ".join(finding.codes)) for finding in held.findings if finding.state == "deciding"
    ]
    if held.missing:
        lines.append(("nobody knows", ", ".join(held.missing)))
    lines.append(("what lifts it", file.lifts or "nothing but facts under which the rule does not match"))
    show_pairs(lines)
    if file.clearance:
        out.print("\nrows that would clear the listings, for `reviews close --outcome release --members FILE`:")
        typer.echo(file.clearance, nl=False)


def close(
    case: Annotated[str, typer.Argument(help="The id of the case.")],
    *,
    outcome: Annotated[Ending, typer.Option(help="Whether what was held stays denied or is let go.")],
    rationale: Annotated[str, typer.Option(help="Why, for the record; who confirms a release may leave it out.")] = "",
    members: Annotated[
        Path | None,
        typer.Option(
            help="Membership file with what goes on file for a release: this asks for it. Without, it is confirmed.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(help="To confirm a release: the digest of the rows that were shown, as `reviews show` has it."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Close a case: refuse it, ask to release it with rows that go on file, or confirm another person's release.

    Who confirms is shown the rows, and asked on a terminal; elsewhere --rows says which were looked at.

    Example: policy-engine reviews close RV-ABCDEFGH --outcome release --rationale "not the listed party"
    --members clearance.yaml
    """
    service = open_service()
    added = None if members is None else jsonable(read_document(members.read_bytes(), str(members)))
    if outcome is Ending.RELEASE and members is None and rows is None:
        rows = _confirmed(service, case)
    body = {"outcome": outcome.value, "rationale": rationale, "members": added, "rows": rows}
    service.post("reviews", case, "close", body=body).tell(ReviewDocument, _tell_closed, as_json=as_json)


def _tell_closed(review: ReviewDocument) -> None:
    _tell(review)
    if review.status == "release_asked" and review.rows is not None:
        out.print(
            "another person confirms it: policy-engine reviews close"
            f" {review.id} --outcome release --rows {review.rows.digest}",
            markup=False,
        )


def _confirmed(service: Service, case: str) -> str | None:
    """Show the rows that wait, and ask for a yes; the digest of what was shown.

    `None` where nothing waits, which the service says better. Raises `Misused` where nobody can be asked.
    """
    review = service.get("reviews", case).read(ReviewDocument)
    if review.status != "release_asked" or review.rows is None:
        return None
    tell_rows("these rows go on file", review.rows, to=err)
    if not (sys.stdin.isatty() and err.is_terminal):
        raise Misused(f"confirm the rows that were shown: --rows {review.rows.digest}")
    typer.confirm(f"release {review.id} with them?", abort=True, err=True)
    return review.rows.digest


def tell_rows(title: str, rows: RowsDocument, *, to: Console = out) -> None:
    """Rows of the members, one to a line, and their digest."""
    to.print(Text(f"{title}:", style="bold"))
    for row in rows.rows:
        to.print(Text(f"  {row.text}"))
    to.print(Text(f"  rows {rows.digest}", style="dim"))


def _tell(review: ReviewDocument) -> None:
    out.print(Text(f"{review.id}  {review.status}", style="bold"))
    lines = [
        ("request", f"{review.subject}: {review.action} {review.model}"),
        ("purpose", review.purpose or "none stated"),
        ("rule", review.rule),
        ("decision", review.decision_id),
        ("opened", when(review.opened_at)),
        ("due", when(review.due_at)),
    ]
    if review.asked_by is not None:
        lines.append(("release asked by", who(review.asked_by)))
    if review.closed_by is not None:
        lines.append(("closed by", who(review.closed_by)))
    if review.rationale:
        lines.append(("rationale", review.rationale))
    show_pairs(lines)
    if review.rows is not None:
        released = review.status == "released"
        tell_rows("these rows went on file" if released else "these rows go on file with the release", review.rows)
