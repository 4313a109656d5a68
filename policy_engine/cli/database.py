"""`policy-engine db`: the schema of the database."""

from __future__ import annotations

import typer

from policy_engine.app.builder import schema, upgrade
from policy_engine.cli.output import Exit, JsonFlag, tell
from policy_engine.cli.settings import checked_settings, settings_with_database


def bring_up(*, as_json: JsonFlag = False) -> None:
    """Bring the database of POLICY_ENGINE_DATABASE_URL to the newest schema; an SQLite file is made. Safe to run again.

    Example: policy-engine db upgrade
    """
    reached = upgrade(checked_settings()).current
    tell({"current": reached}, f"the database is at {reached}", as_json=as_json)


def current(*, as_json: JsonFlag = False) -> None:
    """Say at which schema the database is; exit 1 when it is not the newest.

    Example: policy-engine db current
    """
    found = schema(settings_with_database())
    said = f"the database is at {found.current or 'no schema'}; the newest is {found.newest}"
    tell({"current": found.current, "newest": found.newest}, said, as_json=as_json)
    raise typer.Exit(Exit.DONE if found.current == found.newest else Exit.FAILED)
