"""`policy-engine reviews`: held decisions, looked at by people."""

from __future__ import annotations

import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from msgspec import to_builtins

from policy_engine.cli.output import JsonFlag, err, out, tell
from policy_engine.cli.remote import Misused, Service, open_service
from policy_engine.formats.documents import jsonable, read_document
from policy_engine.render.administration_text import tell_case, tell_cases, tell_closed, tell_rows
from policy_engine.shapes.administration import ReviewDocument, ReviewFileDocument, ReviewsDocument


class CaseOutcome(StrEnum):
    """How a case is to end."""

    REFUSE = "refuse"
    RELEASE = "release"


def list_cases(
    *,
    every: Annotated[bool, typer.Option("--all", help="Include closed cases.")] = False,
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
    none = "there is no case" if every else "no case is waiting"
    document = {"reviews": to_builtins(cases, order="sorted")}
    tell(document, partial(tell_cases, cases, none, out), as_json=as_json)


def show(
    case: Annotated[str, typer.Argument(help="The id of the case.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Show a case: the request that was held, why, which facts are missing, and what would release it.

    Example: policy-engine reviews show RV-ABCDEFGH
    """
    open_service().get("reviews", case).tell(ReviewFileDocument, partial(tell_case, out=out), as_json=as_json)


def close(
    case: Annotated[str, typer.Argument(help="The id of the case.")],
    *,
    outcome: Annotated[CaseOutcome, typer.Option(help="Whether what was held stays denied or is released.")],
    rationale: Annotated[
        str, typer.Option(help="Why, for the record; may be left out when confirming a release.")
    ] = "",
    members: Annotated[
        Path | None,
        typer.Option(
            help="Membership file with the rows of the release that is asked for. Without it, a release is confirmed.",
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

    To confirm, you are shown the rows and asked; without a terminal, --rows says which rows you have looked at.

    Example: policy-engine reviews close RV-ABCDEFGH --outcome release --rationale "not the listed party"
    --members clearance.yaml
    """
    service = open_service()
    added = None if members is None else jsonable(read_document(members.read_bytes(), str(members)))
    if outcome is CaseOutcome.RELEASE and members is None and rows is None:
        rows = _confirmed(service, case)
    body = {"outcome": outcome.value, "rationale": rationale, "members": added, "rows": rows}
    service.post("reviews", case, "close", body=body).tell(
        ReviewDocument, partial(tell_closed, out=out), as_json=as_json
    )


def _confirmed(service: Service, case: str) -> str | None:
    """Show the rows that wait, and ask for a yes; the digest of what was shown.

    `None` where nothing waits, which the service says better. Raises `Misused` where nobody can be asked.
    """
    review = service.get("reviews", case).read(ReviewDocument)
    if review.status != "release_asked" or review.rows is None:
        return None
    tell_rows("these rows go on file", review.rows, err)
    if not (sys.stdin.isatty() and err.is_terminal):
        raise Misused(f"confirm the rows that were shown: --rows {review.rows.digest}")
    typer.confirm(f"release {review.id} with them?", abort=True, err=True)
    return review.rows.digest
