"""`policy-engine members`: the membership database as files."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from policy_engine.cli.output import Exit, JsonFlag, err, out, print_json
from policy_engine.cli.settings import settings_with_database
from policy_engine.formats.documents import plain, read_document
from policy_engine.policy.names import lists_read
from policy_engine.service.roster import export_members, import_members, rows_about, warn_of_tangles
from policy_engine.wiring import book_in_force, open_members, system_clock

app = typer.Typer(help="Import, export and show members, people, papers and lists.", no_args_is_help=True)


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="A membership file, YAML or JSON.", exists=True, dir_okay=False)],
    *,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "import",
    actor: Annotated[str | None, typer.Option(help="Who, for the record; the login name when absent.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Import a membership file: all of it or nothing, every fault named with its place. Twice changes nothing."""
    settings, at = settings_with_database(), system_clock()
    lists = lists_read(book_in_force(settings, at))
    with open_members(settings) as members:
        change = import_members(
            members,
            file.read_bytes(),
            str(file),
            lists=lists,
            actor=actor or getpass.getuser(),
            reason=reason,
            at=at,
        )
        warnings = warn_of_tangles(members)
    for warning in warnings:
        err.print(warning, markup=False)
    if as_json:
        print_json({"revision": change.revision, "added": change.added})
    else:
        out.print(f"{change.added} rows added; the membership is at revision {change.revision}")


@app.command()
def export(*, as_json: JsonFlag = False) -> None:
    """Write everything ever recorded in the shape of the membership file."""
    with open_members(settings_with_database()) as members:
        text = export_members(members)
    if as_json:
        print_json(_jsonable(plain(read_document(text.encode(), "export"))))
    else:
        typer.echo(text, nl=False)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The id of an organisation, a person or an account.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Show everything on file about one id."""
    with open_members(settings_with_database()) as members:
        text = rows_about(members, name)
    if not text:
        err.print(f"`{name}` is not on file", markup=False)
        raise typer.Exit(Exit.FAILED)
    if as_json:
        print_json(_jsonable(plain(read_document(text.encode(), "show"))))
    else:
        typer.echo(text, nl=False)


def _jsonable(value: object) -> object:
    if isinstance(value, dict):
        return {name: _jsonable(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_jsonable(one) for one in value]
    return value if isinstance(value, str | int | bool | None) else str(value)
