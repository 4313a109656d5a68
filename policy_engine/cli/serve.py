"""`policy-engine serve`: the service, and with --demo everything that it needs to be tried."""

from __future__ import annotations

import os
import resource
from typing import Annotated, Final

import typer
import uvicorn

from policy_engine.cli.demonstration import set_up, tell
from policy_engine.cli.remote import Misused, RemoteSettings
from policy_engine.cli.settings import checked_settings, settings_with_database
from policy_engine.http.connections import Limits, guarded
from policy_engine.wiring import Settings, configure_logging

_SETTINGS = "\n\n".join(
    f"POLICY_ENGINE_{name.upper()} (default {field.default}): {field.description}"
    for name, field in Settings.model_fields.items()
)
_CLIENT = "\n\n".join(
    f"POLICY_ENGINE_{name.upper()}: {field.description}" for name, field in RemoteSettings.model_fields.items()
)
HELP = f"""Serve POST /decide and its siblings.

Settings are environment variables:

{_SETTINGS}

Commands that a person does through the service (policy propose and approve, freeze, reviews, log hold) read two more:

{_CLIENT}
"""


def serve(
    *,
    demo: Annotated[
        bool,
        typer.Option("--demo", help="Set up the database, import the demonstration roster, make demonstration keys."),
    ] = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Put the folder of the rule book in force whenever it is saved, checked and green."
        ),
    ] = False,
) -> None:
    if watch:
        os.environ["POLICY_ENGINE_WATCH"] = "true"
    settings = checked_settings() if demo else settings_with_database()
    configure_logging(settings.log_level)
    _require_files(settings.connections)
    if demo:
        tell(set_up(settings), f"http://{settings.host}:{settings.port}")
    # The factory is named, not imported: one process builds the parts once, in the server's own process.
    uvicorn.run(
        "policy_engine.api.app:from_environment",
        factory=True,
        host=settings.host,
        port=settings.port,
        http=guarded(
            Limits(
                header_bytes=settings.header_bytes,
                headers=settings.headers,
                request_seconds=settings.request_seconds,
                connections=settings.connections,
                connections_per_address=settings.connections_per_address,
            )
        ),
        ws="none",
        timeout_keep_alive=settings.keep_alive_seconds,
        loop="uvloop",
        log_config=None,
        log_level="warning",
        access_log=False,
        # Nobody here asks from which address a request came.
        proxy_headers=False,
        server_header=False,
    )


serve.__doc__ = HELP

_FILES_BESIDE: Final = 128
"""Files that the service holds open beside its connections, at the most: database, log, libraries."""


def _require_files(connections: int) -> None:
    """Have the system allow as many open files as there may be connections. Raises `Misused` where it will not."""
    needed = connections + _FILES_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise Misused(
            f"POLICY_ENGINE_CONNECTIONS is {connections}, for which {needed} open files are needed and the system"
            f" allows {hard}: raise the limit (`ulimit -Hn`, LimitNOFILE= of systemd), or allow fewer connections"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
