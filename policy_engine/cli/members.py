"""`policy-engine members`: the membership database as files."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from policy_engine.app.builder import book_in_force
from policy_engine.app.clock import system_clock
from policy_engine.app.stores import open_members
from policy_engine.cli.output import JsonFlag, err, failed, instant, option, out, print_json, standing_in, tell
from policy_engine.cli.progress import progress
from policy_engine.cli.remote import ASSESSMENT_SECONDS, Misused, RemoteSettings, open_service
from policy_engine.cli.roster_files import sent_document, table_form
from policy_engine.cli.settings import settings_with_database
from policy_engine.domain.in_force import true_at
from policy_engine.domain.instants import format_instant
from policy_engine.formats.documents import jsonable, read_document
from policy_engine.formats.membership_writer import write_members
from policy_engine.policy.names import names_read
from policy_engine.render.administration_text import tell_change
from policy_engine.render.members_text import state_after, told_about
from policy_engine.service.administration.member_edits import Edit, EditFault
from policy_engine.service.administration.roster import (
    RosterChange,
    edit_members,
    export_members,
    import_members,
    rows_about,
    warn_of_tangles,
)
from policy_engine.shapes.member_rows import BY_WORD
from policy_engine.shapes.members import ChangeFileDocument, EditAction

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what it would do, and record nothing.")]
Offline = Annotated[bool, typer.Option("--offline", help="Write to the database directly, for set-up and repair.")]
Why = Annotated[str | None, typer.Option("--reason", help="Why, for the record.")]
Begins = Annotated[
    datetime | None,
    typer.Option(
        "--begins", parser=instant, help="The `from` of the row, where several rows are about the same thing."
    ),
]
_NAMES = ", ".join(f"{kind.word} {' '.join(field.upper() for field in kind.named_by)}" for kind in BY_WORD.values())
Name = Annotated[list[str], typer.Argument(help=f"What the row is about: {_NAMES}.")]
KindWord = Annotated[str, typer.Argument(help=f"One of {', '.join(BY_WORD)}.")]


def import_file(
    file: Annotated[
        Path,
        typer.Argument(help="A membership file (YAML, JSON), or a roster (XLSX, CSV).", exists=True, dir_okay=False),
    ],
    *,
    mapping: Annotated[
        Path | None,
        typer.Option(help="Which column of a roster is which field; see docs/members.md.", exists=True, dir_okay=False),
    ] = None,
    offline: Offline = False,
    reason: Why = None,
    dry_run: DryRun = False,
    as_json: JsonFlag = False,
) -> None:
    """Import a membership file: all of it or nothing, every fault named with its place. Importing it again changes
    nothing.

    It goes through the service at POLICY_ENGINE_URL with the key in POLICY_ENGINE_KEY: what can only narrow is on file
    at once, everything else waits for another person's `members approve`. It says who gains or loses which model.
    Fields that a row leaves out stay as they are on file.

    Example: policy-engine members import roster.yaml --reason "contract of 12 November" --dry-run
    """
    tables = table_form(file, mapping)
    if not offline:
        with sent_document(file, tables) as document:
            _send({"document": document, "source": str(file)}, reason=reason, dry_run=dry_run, as_json=as_json)
        return
    why = _reason_offline(reason)
    settings, at = settings_with_database(), system_clock()
    names = names_read(book_in_force(settings, at))
    with open_members(settings) as members:
        change = import_members(
            members,
            file.read_bytes(),
            str(file),
            names=names,
            actor=getpass.getuser(),
            reason=why,
            at=at,
            tables=tables,
            dry_run=dry_run,
        )
        warnings = warn_of_tangles(members)
    for warning in warnings:
        err.print(warning, markup=False)
    _tell(change, as_json=as_json)


def _reason_offline(reason: str | None) -> str:
    if reason is None or not reason.strip():
        raise Misused("--offline needs --reason TEXT, for the record: why the change does not go through the service")
    return reason


def _send(what: dict[str, object], *, reason: str | None, dry_run: bool, as_json: bool) -> None:
    """Change members through the service."""
    if "url" not in RemoteSettings().model_fields_set:
        raise Misused(
            "a change of the members goes through the service with a person's key: set POLICY_ENGINE_URL and"
            " POLICY_ENGINE_KEY; to write to the database directly, for set-up and repair, give --offline and --reason"
        )
    if not dry_run and (reason is None or not reason.strip()):
        raise Misused("say why, for the record: --reason TEXT")
    body = {**what, "reason": reason, "dry_run": dry_run}
    with progress("the service finds out who gains or loses what"):
        answer = open_service().post("members", "changes", body=body, seconds=ASSESSMENT_SECONDS)
    answer.tell(ChangeFileDocument, partial(tell_change, out=out), as_json=as_json)


def _tell(change: RosterChange, *, as_json: bool) -> None:
    state = state_after(change.after, change.new)
    told = {"revision": change.revision, "added": change.added, "state": state}
    document = told | ({"dry_run": True} if change.dry_run else {})
    tell(document, "\n".join((*state, change.sentence())), as_json=as_json)


def _an_edit(command: Callable[..., Edit]) -> Callable[..., None]:
    """The command with the options of every change; the edit that it gives is made."""

    def run(*, offline: bool, reason: str | None, dry_run: bool, as_json: bool, **named: Any) -> None:
        _edit(command(**named), offline=offline, reason=reason, dry_run=dry_run, as_json=as_json)

    return standing_in(
        run,
        command,
        option("offline", Offline, default=False),
        option("reason", Why),
        option("dry_run", DryRun, default=False),
        option("as_json", JsonFlag, default=False),
    )


def _edit(edit: Edit, *, offline: bool, reason: str | None, dry_run: bool, as_json: bool) -> None:
    if not offline:
        _send({"edits": [_sent(edit)]}, reason=reason, dry_run=dry_run, as_json=as_json)
        return
    why = _reason_offline(reason)
    settings, at = settings_with_database(), system_clock()
    names = names_read(book_in_force(settings, at))
    with open_members(settings) as members:
        try:
            change = edit_members(
                members, edit, names=names, actor=getpass.getuser(), reason=why, at=at, dry_run=dry_run
            )
        except EditFault as error:
            raise failed(error) from error
    _tell(change, as_json=as_json)


def _sent(edit: Edit) -> dict[str, object]:
    return {
        "action": edit.action.value,
        "kind": edit.kind,
        "name": list(edit.name),
        "at": None if edit.at is None else format_instant(edit.at),
        "begins": None if edit.begins is None else format_instant(edit.begins),
        "changes": [list(pair) for pair in edit.changes],
    }


Member = Annotated[str, typer.Argument(help="The member.")]
Consortium = Annotated[str, typer.Argument(help="Its consortium.")]


@_an_edit
def suspend(
    organisation: Member,
    consortium: Consortium,
    *,
    start: Annotated[
        datetime | None,
        typer.Option("--from", parser=instant, help="Since when it is suspended; by default from now on."),
    ] = None,
) -> Edit:
    """Suspend a member: its active row ends at the instant, and a suspended one begins there.

    That can only narrow access, so it is in force when this has returned.

    Example: policy-engine members suspend harbor-cyber glasswing --reason "audit of 30 November"
    """
    return Edit(action=EditAction.SUSPEND, kind="membership", name=(organisation, consortium), at=start)


@_an_edit
def resume(
    organisation: Member,
    consortium: Consortium,
    *,
    start: Annotated[datetime, typer.Option("--from", parser=instant, help="Since when it is active again.")],
) -> Edit:
    """End the suspension of a member: its suspended row ends at the instant, and an active one begins there.

    That widens access, so it waits for another person's `members approve`.

    Example: policy-engine members resume harbor-cyber glasswing --from 2026-12-08 --reason "audit closed"
    """
    return Edit(action=EditAction.RESUME, kind="membership", name=(organisation, consortium), at=start)


@_an_edit
def end(
    kind: KindWord,
    name: Name,
    *,
    to: Annotated[datetime | None, typer.Option("--to", parser=instant, help="When it ends; by default now.")] = None,
    begins: Begins = None,
) -> Edit:
    """End a dated row, such as a membership or an employment, at an instant.

    Example: policy-engine members end employment carol harbor-cyber employee --to 2026-12-31 --reason "has left"
    """
    return Edit(action=EditAction.END, kind=kind, name=tuple(name), at=to, begins=begins)


@_an_edit
def correct(
    kind: KindWord,
    name: Name,
    *,
    changes: Annotated[list[str], typer.Option("--set", help="FIELD=VALUE as in a membership file.")],
    begins: Begins = None,
) -> Edit:
    """Correct a row that was filed wrongly: it is taken back and filed with other values.

    Example: policy-engine members correct citizenship alice CN --set country=DE --reason "passport seen"
    """
    pairs = [change.partition("=") for change in changes]
    if any(not sign for _, sign, _ in pairs):
        raise typer.BadParameter("write FIELD=VALUE", param_hint="--set")
    values = tuple((field, value) for field, _, value in pairs)
    return Edit(action=EditAction.CORRECT, kind=kind, name=tuple(name), begins=begins, changes=values)


@_an_edit
def retract(kind: KindWord, name: Name, *, begins: Begins = None) -> Edit:
    """Say that a row was never true: it no longer counts from now on, and the history keeps it.

    Example: policy-engine members retract citizenship alice CN --reason "a slip in the form"
    """
    return Edit(action=EditAction.RETRACT, kind=kind, name=tuple(name), begins=begins)


def export(*, as_json: JsonFlag = False) -> None:
    """Write everything ever recorded in the shape of the membership file.

    Example: policy-engine members export > members.yaml
    """
    with open_members(settings_with_database()) as members:
        text = export_members(members)
    if as_json:
        print_json(jsonable(read_document(text.encode(), "export")))
    else:
        typer.echo(text, nl=False)


def show(
    name: Annotated[str, typer.Argument(help="The id of an organisation, a person or an account.")],
    *,
    at: Annotated[
        datetime | None,
        typer.Option("--at", parser=instant, help="What is true at this instant; without it every row is shown."),
    ] = None,
    known_at: Annotated[
        datetime | None,
        typer.Option("--known-at", parser=instant, help="As it was known at this instant; by default now."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what is known about one id, row by row, with what is true at an instant.

    With --json in the form of a membership file: null is unknown, [] is known to be none. With --at only what is true
    then.

    Example: policy-engine members show harbor-cyber --at 2026-06-01 --known-at 2026-06-30
    """
    with open_members(settings_with_database()) as members:
        rows = rows_about(members, name, known_at=known_at)
    if rows is None:
        as_known = "" if known_at is None else f", as known at {format_instant(known_at)}"
        raise failed(f"`{name}` is not on file{as_known}")
    text = write_members(rows if at is None else true_at(rows, at), unknown=True)
    said = "\n".join(told_about(rows, at or system_clock()))
    tell(jsonable(read_document(text.encode(), "show")), said, as_json=as_json)
