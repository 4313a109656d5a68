"""`policy-engine keys`: API keys."""

from __future__ import annotations

import secrets
from typing import Annotated

import typer
from rich.table import Table

from policy_engine.cli.output import Exit, JsonFlag, err, out, print_json
from policy_engine.cli.settings import settings_with_database
from policy_engine.domain.instants import format_instant
from policy_engine.domain.narrowing import FEEDS
from policy_engine.service.keyring import FEED_RIGHT, RIGHTS, ROLES
from policy_engine.wiring import open_keyring, system_clock

app = typer.Typer(
    help="Make, list and revoke API keys.",
    epilog=f"Rights: {', '.join(RIGHTS)}. Roles: {', '.join(ROLES)}.",
    no_args_is_help=True,
)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for, to tell it from others.")],
    *,
    role: Annotated[list[str] | None, typer.Option(help=f"Rights that go together: {', '.join(ROLES)}.")] = None,
    right: Annotated[list[str] | None, typer.Option(help="A single right; may be given several times.")] = None,
    gateway: Annotated[str | None, typer.Option(help="The gateway whose model aliases the key uses.")] = None,
    person: Annotated[
        str | None,
        typer.Option(help="The person that the key is bound to: the id on file, or small letters and digits."),
    ] = None,
    assertable: Annotated[list[str] | None, typer.Option(help="A property that the caller may assert.")] = None,
    feed: Annotated[
        str | None,
        typer.Option(
            help="The key of a feed: it records rows of these kinds at once, and does nothing else. Some of"
            f" {','.join(FEEDS)}."
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a key and show its token once.

    Example: policy-engine keys create "main gateway" --role gateway --gateway main

    Example: policy-engine keys create "staff register" --feed people,accounts,employments
    """
    rights = set(right or ())
    kinds = [] if feed is None else [kind.strip() for kind in feed.split(",")]
    if kinds and not rights and not role:
        rights.add(FEED_RIGHT)
    for one in role or ():
        if one not in ROLES:
            err.print(f"`{one}` is no role; known are {', '.join(ROLES)}", markup=False)
            raise typer.Exit(Exit.USAGE)
        rights.update(ROLES[one])
    if not rights:
        err.print("a key needs a --role or a --right", markup=False)
        raise typer.Exit(Exit.USAGE)
    with open_keyring(settings_with_database()) as ring:
        made = ring.create(
            name=name,
            rights=rights,
            at=system_clock(),
            random_hex=secrets.token_hex,
            gateway=gateway,
            person=person,
            assertable=assertable or (),
            feed=kinds,
        )
    for notice in made.notices:
        err.print(f"note: {notice}", style="yellow", markup=False)
    if as_json:
        print_json({"id": made.key.id, "token": made.token, "rights": sorted(made.key.rights)})
    else:
        out.print(f"key {made.key.id} ({', '.join(sorted(made.key.rights))})")
        if made.key.feed:
            out.print(f"it records rows of these kinds, and does nothing else: {', '.join(sorted(made.key.feed))}")
        out.print(f"token, shown this once: {made.token}")


@app.command("list")
def list_keys(*, as_json: JsonFlag = False) -> None:
    """List every key ever made, without its secret."""
    with open_keyring(settings_with_database()) as ring:
        keys = sorted(ring.all(), key=lambda key: key.created_at)
    if as_json:
        print_json(
            [
                {
                    "id": key.id,
                    "name": key.name,
                    "rights": sorted(key.rights),
                    "gateway": key.gateway,
                    "person": key.person,
                    "assertable": sorted(key.assertable),
                    "feed": sorted(key.feed),
                    "created_at": format_instant(key.created_at),
                    "revoked_at": format_instant(key.revoked_at) if key.revoked_at else None,
                }
                for key in keys
            ]
        )
        return
    table = Table("id", "name", "rights", "gateway", "person", "feed", "created", "revoked")
    for key in keys:
        revoked = format_instant(key.revoked_at) if key.revoked_at else ""
        rights = ", ".join(sorted(key.rights))
        kinds, made = ", ".join(sorted(key.feed)), format_instant(key.created_at)
        table.add_row(key.id, key.name, rights, key.gateway or "", key.person or "", kinds, made, revoked)
    out.print(table)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="The id, as `keys list` shows it.")]) -> None:
    """Revoke a key. Once this has returned, no decision under the key commits."""
    with open_keyring(settings_with_database()) as ring:
        done = ring.revoke(key_id, system_clock())
    if not done:
        err.print(f"no key `{key_id}` is in force", markup=False)
        raise typer.Exit(Exit.FAILED)
    out.print(f"key {key_id} is revoked")
