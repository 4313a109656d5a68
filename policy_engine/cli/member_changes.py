"""`policy-engine members changes|approve|withdraw`: changes of members that wait for another person, or did."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Sequence
from typing import Annotated, TypeVar

import typer
from rich.text import Text

from policy_engine.cli.desk import told_withdrawal, when, who
from policy_engine.cli.output import JsonFlag, err, out
from policy_engine.cli.progress import progress
from policy_engine.cli.remote import ASSESSMENT_SECONDS, Misused, open_service
from policy_engine.cli.reviews import tell_rows
from policy_engine.cli.tables import show_pairs, show_rows
from policy_engine.shapes.members import ChangeFileDocument, ChangesDocument, EffectsDocument

One = TypeVar("One")
Key = TypeVar("Key", bound=Hashable)

TOLD = 20
"""So many who gain, and so many who lose, are told one by one; --json has more."""


def changes(
    change: Annotated[str | None, typer.Argument(help="The id of a change: show it whole.")] = None,
    *,
    as_json: JsonFlag = False,
) -> None:
    """List the changes of members, the newest first; or show one, with who gains or loses which model by it.

    Example: policy-engine members changes MC-01K9Z5C0V4R8M2Q7T1X3Y6W0AB
    """
    service = open_service()
    if change is not None:
        service.get("members", "changes", change).tell(ChangeFileDocument, tell, as_json=as_json)
        return
    service.get("members", "changes").tell(ChangesDocument, _tell_changes, as_json=as_json)


def _tell_changes(listed: ChangesDocument) -> None:
    if not listed.changes:
        out.print("nobody changed members through the service")
    show_rows(
        ("change", "status", "at once", "rows", "proposed by", "at", "approved by", "reason"),
        [
            (
                *(one.id or "", one.status, one.at_once or "", str(one.added or 0)),
                *(who(one.proposed_by), when(one.proposed_at or ""), who(one.approved_by), one.reason or ""),
            )
            for one in listed.changes
        ],
        spare=("rows", "at once", "at", "approved by"),
        right=("rows",),
    )


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

    What comes of it is shown, and asked for on a terminal; elsewhere --shown says what was looked at.

    Example: policy-engine members approve MC-01K9Z5C0V4R8M2Q7T1X3Y6W0AB --shown sha256:5d14...
    """
    service = open_service()
    if shown is None:
        looked = service.get("members", "changes", change).read(ChangeFileDocument)
        if looked.status == "waits" and looked.shown:
            tell(looked)
            if not (sys.stdin.isatty() and err.is_terminal):
                raise Misused(f"approve what was shown: --shown {looked.shown}")
            typer.confirm(f"approve {change}?", abort=True, err=True)
            shown = looked.shown
    body = {"shown": shown, "note": note}
    with progress("the service finds out who gains or loses what"):
        answer = service.post("members", "changes", change, "approve", body=body, seconds=ASSESSMENT_SECONDS)
    answer.tell(ChangeFileDocument, tell, as_json=as_json)


def withdraw(
    change: Annotated[str, typer.Argument(help="The id of the change.")],
    *,
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    as_json: JsonFlag = False,
) -> None:
    """Take back a change of members that waits for another person: nobody approves it any more, and nothing is on file.

    Example: policy-engine members withdraw MC-01K9Z5C0V4R8M2Q7T1X3Y6W0AB --reason "the contract was not signed"
    """
    answer = open_service().post("members", "changes", change, "withdraw", body={"reason": reason})
    answer.tell(ChangeFileDocument, tell, as_json=as_json)


_STATUS = {
    "preview": "nothing was recorded: this is what would come of it",
    "nothing_new": "nothing new: what is on file says so already",
    "waits": "waits for another person",
    "in_force": "on file",
    "stale": "can no longer be approved",
    "withdrawn": "withdrawn: nothing of it is on file",
}


def tell(change: ChangeFileDocument) -> None:
    """A change for a person: where it stands, its rows, and who gains or loses what."""
    head = f"{change.id}  " if change.id is not None else ""
    out.print(Text(f"{head}{_STATUS.get(change.status, change.status)}", style="bold"))
    lines = [
        ("reason", change.reason or ""),
        ("proposed by", who(change.proposed_by)),
        ("approved by", who(change.approved_by)),
        ("withdrawn", told_withdrawal(change.withdrawn)),
    ]
    show_pairs([line for line in lines if line[1]])
    if change.stale:
        out.print(Text(change.stale, style="yellow"))
    if change.rows.rows:
        tell_rows("rows", change.rows)
    shown = {one.text for one in change.rows.rows}
    for line in change.state_after or ():
        # What is filed for the first time says itself what is so afterwards.
        if line not in shown:
            out.print(Text(f"afterwards: {line}"))
    for why, rows in _by(change.widens or (), lambda one: one.why):
        of = rows[0].row if len(rows) == 1 else f"{len(rows)} of the rows"
        out.print(Text(f"may widen, since {why}: {of}", style="yellow"))
    if change.effects:
        _tell_effects(change.effects)
    if change.status == "waits" and change.shown:
        out.print(
            f"another person approves it: policy-engine members approve {change.id} --shown {change.shown}",
            markup=False,
        )


def _tell_effects(effects: EffectsDocument) -> None:
    for word, count, ones in (("gains", effects.gains, effects.gained), ("loses", effects.losses, effects.lost)):
        groups = _by(ones, lambda one: (one.subject, one.organisation, one.since, one.code, tuple(one.assumed)))
        told = 0
        for (subject, organisation, since, code, assumptions), alike in groups[:TOLD]:
            of = f" ({organisation})" if organisation is not None else ""
            assumed = f"; assumed: {', '.join(assumptions)}" if assumptions else ""
            models = ", ".join(one.model for one in alike)
            out.print(Text(f"  {word}: {subject}{of} {models} from {when(since)}: {code}{assumed}"))
            told += len(alike)
        if count > told:
            out.print(Text(f"  {word}: and {count - told} more"))
    left = f"; {effects.left_out} more are touched and were not judged" if effects.left_out else ""
    out.print(
        Text(
            f"{effects.gains} allows gained and {effects.losses} lost, of {effects.judged} who were judged{left}",
            style="dim",
        )
    )


def _by(ones: Sequence[One], of: Callable[[One], Key]) -> list[tuple[Key, list[One]]]:
    """What is alike together, in the order in which it comes up first."""
    groups: dict[Key, list[One]] = {}
    for one in ones:
        groups.setdefault(of(one), []).append(one)
    return list(groups.items())
