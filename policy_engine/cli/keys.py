"""`policy-engine keys`: API keys."""

from __future__ import annotations

import secrets
from typing import Annotated

import typer

from policy_engine.app.clock import system_clock
from policy_engine.app.stores import open_keyring
from policy_engine.cli.output import Exit, JsonFlag, err, failed, out, print_json, tell
from policy_engine.cli.settings import settings_with_database
from policy_engine.domain.instants import format_instant
from policy_engine.domain.narrowing import FEEDS
from policy_engine.render.tables import show_rows
from policy_engine.render.words import second
from policy_engine.service.gate.keyring import FEED_RIGHT, RIGHTS, ROLES


def create(
    name: Annotated[str, typer.Argument(help="What the key is for, to tell it from others.")],
    *,
    role: Annotated[list[str] | None, typer.Option(help=f"Rights that go together: {', '.join(ROLES)}.")] = None,
    right: Annotated[
        list[str] | None, typer.Option(help=f"A single right; may be given several times: {', '.join(RIGHTS)}.")
    ] = None,
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
            raise failed(f"`{one}` is not a role: write one of {', '.join(ROLES)}", Exit.USAGE)
        rights.update(ROLES[one])
    if not rights:
        raise failed("a key needs a --role or a --right", Exit.USAGE)
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
    rights_held = sorted(made.key.rights)
    lines = [f"key {made.key.id} ({', '.join(rights_held)})"]
    if made.key.feed:
        lines.append(f"it records rows of these kinds, and does nothing else: {', '.join(sorted(made.key.feed))}")
    lines.append(f"token, shown this once: {made.token}")
    tell({"id": made.key.id, "token": made.token, "rights": rights_held}, "\n".join(lines), as_json=as_json)


def list_keys(*, as_json: JsonFlag = False) -> None:
    """List every key ever made, without its secret.

    Example: policy-engine keys list --json
    """
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
    if not keys:
        out.print("no key was ever made: `policy-engine keys create NAME --role ROLE` makes one")
    show_rows(
        ("id", "name", "rights", "gateway", "person", "feed", "created", "revoked"),
        [
            (
                *(key.id, key.name, " ".join(sorted(key.rights)), key.gateway or "", key.person or ""),
                *(" ".join(sorted(key.feed)), second(key.created_at)),
                second(key.revoked_at) if key.revoked_at else "",
            )
            for key in keys
        ],
        where=out,
        spare=("feed", "gateway", "created"),
        styles=["dim" if key.revoked_at else "" for key in keys],
    )


def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The id, as `keys list` shows it.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Revoke a key. Once this has returned, no decision under the key commits.

    Exit 1 when no key in force has the id.

    Example: policy-engine keys revoke 7e021c17e9fe
    """
    with open_keyring(settings_with_database()) as ring:
        done = ring.revoke(key_id, system_clock())
    if not done:
        raise failed(f"no key `{key_id}` is in force")
    tell({"id": key_id, "revoked": True}, f"key {key_id} is revoked", as_json=as_json)
