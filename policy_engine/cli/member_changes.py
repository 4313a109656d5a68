"""`policy-engine members changes|approve|withdraw`: changes of members that wait for another person, or did."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated

import typer

from policy_engine.cli.output import JsonFlag, err, out
from policy_engine.cli.progress import progress
from policy_engine.cli.remote import ASSESSMENT_SECONDS, Misused, open_service
from policy_engine.render.administration_text import tell_change, tell_changes
from policy_engine.shapes.members import ChangeFileDocument, ChangesDocument


def changes(
    change: Annotated[str | None, typer.Argument(help="The id of a change: show it whole.")] = None,
    *,
    as_json: JsonFlag = False,
) -> None:
    """List the changes of members, the newest first; or show one with who gains or loses which model.

    Example: policy-engine members changes MC-01K9Z5C0V4R8M2Q7T1X3Y6W0AB
    """
    service = open_service()
    if change is not None:
        service.get("members", "changes", change).tell(
            ChangeFileDocument, partial(tell_change, out=out), as_json=as_json
        )
        return
    service.get("members", "changes").tell(ChangesDocument, partial(tell_changes, out=out), as_json=as_json)


def approve(
    change: Annotated[str, typer.Argument(help="The id of the change.")],
    *,
    shown: Annotated[
        str | None, typer.Option(help="The digest of what was looked at, as `members changes ID` has it.")
    ] = None,
    note: Annotated[str, typer.Option(help="What to say about it, for the record.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Approve another person's change of members: its rows are on file at once.

    What it would do is shown, and you are asked to confirm; without a terminal, --shown says what you have looked at.

    Example: policy-engine members approve MC-01K9Z5C0V4R8M2Q7T1X3Y6W0AB --shown sha256:5d14...
    """
    service = open_service()
    if shown is None:
        looked = service.get("members", "changes", change).read(ChangeFileDocument)
        if looked.status == "waits" and looked.shown:
            tell_change(looked, out)
            if not (sys.stdin.isatty() and err.is_terminal):
                raise Misused(f"approve what was shown: --shown {looked.shown}")
            typer.confirm(f"approve {change}?", abort=True, err=True)
            shown = looked.shown
    body = {"shown": shown, "note": note}
    with progress("the service finds out who gains or loses what"):
        answer = service.post("members", "changes", change, "approve", body=body, seconds=ASSESSMENT_SECONDS)
    answer.tell(ChangeFileDocument, partial(tell_change, out=out), as_json=as_json)


def withdraw(
    change: Annotated[str, typer.Argument(help="The id of the change.")],
    *,
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    as_json: JsonFlag = False,
) -> None:
    """Take back a change of members that waits for another person: it can no longer be approved, and nothing is on
    file.

    Example: policy-engine members withdraw MC-01K9Z5C0V4R8M2Q7T1X3Y6W0AB --reason "the contract was not signed"
    """
    answer = open_service().post("members", "changes", change, "withdraw", body={"reason": reason})
    answer.tell(ChangeFileDocument, partial(tell_change, out=out), as_json=as_json)
