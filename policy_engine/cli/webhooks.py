"""`policy-engine webhooks`: who is told what ended, and how far."""

from __future__ import annotations

import base64
import secrets
from typing import Annotated, Final

import typer

from policy_engine.app.stores import open_stores
from policy_engine.app.webhooks import receivers_of
from policy_engine.cli.output import JsonFlag, failed, out, print_json, tell
from policy_engine.cli.settings import settings_with_database
from policy_engine.domain.instants import format_instant
from policy_engine.domain.webhooks import Cursor
from policy_engine.formats.webhooks_file import SECRET_PREFIX
from policy_engine.render.tables import show_rows
from policy_engine.render.words import second

_SECRET_BYTES: Final = 32


def secret(*, as_json: JsonFlag = False) -> None:
    """Make a secret to sign with. It is kept nowhere: put it into the file of a receiver's secrets.

    Example: policy-engine webhooks secret > edge.secrets
    """
    made = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii")
    tell({"secret": made}, made, as_json=as_json)


def list_receivers(*, as_json: JsonFlag = False) -> None:
    """List the receivers of webhooks: how far each was told, and whether it takes what is sent.

    Example: policy-engine webhooks list --json
    """
    settings = settings_with_database()
    named = {one.name for one in receivers_of(settings)}
    with open_stores(settings) as stores:
        on_file = {one.name: one for one in stores.webhook_cursors.all()}
        last = stores.changes.last()
    rows = [(name, on_file.get(name), name in named) for name in sorted(named | on_file.keys())]
    if as_json:
        print_json([_document(name, one, is_named=is_named) for name, one, is_named in rows])
        return
    if not rows:
        out.print("webhooks are sent nowhere: POLICY_ENGINE_WEBHOOKS names a file of receivers", markup=False)
    show_rows(
        ("name", "told up to", "of", "state", "since"),
        [
            (
                *(name, "" if one is None else str(one.told), str(last), _state(one, is_named=is_named)),
                "" if one is None or (since := one.disabled_at or one.failing_since) is None else second(since),
            )
            for name, one, is_named in rows
        ],
        where=out,
        right=("told up to", "of"),
        spare=("of",),
    )


def enable(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The receiver, as `webhooks list` shows it.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Send to a receiver again that was disabled, from where it was left.

    Exit 1 when no receiver of this name is disabled.

    Example: policy-engine webhooks enable edge
    """
    with open_stores(settings_with_database()) as stores:
        done = stores.webhook_cursors.enable(name)
    if not done:
        raise failed(f"no receiver `{name}` is disabled")
    told = f"webhooks are sent to {name} again, from where it was left"
    tell({"name": name, "enabled": True}, told, as_json=as_json)


def _state(cursor: Cursor | None, *, is_named: bool) -> str:
    if not is_named:
        return "not in the file"
    if cursor is None:
        return "never begun: no service has run with this file"
    if cursor.disabled is not None:
        return f"disabled ({cursor.disabled.value})"
    return "in use" if cursor.failing_since is None else "failing"


def _document(name: str, cursor: Cursor | None, *, is_named: bool) -> dict[str, object]:
    since = None if cursor is None else cursor.failing_since
    disabled = None if cursor is None else cursor.disabled_at
    return {
        "name": name,
        "in_file": is_named,
        "told": None if cursor is None else cursor.told,
        "failing_since": None if since is None else format_instant(since),
        "disabled_at": None if disabled is None else format_instant(disabled),
        "disabled": None if cursor is None or cursor.disabled is None else cursor.disabled.value,
    }
