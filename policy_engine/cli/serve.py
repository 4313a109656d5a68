"""`policy-engine serve`: the service, and with --demo everything that it needs to be tried."""

from __future__ import annotations

import json
import os
import secrets
from typing import Annotated, Final

import typer
import uvicorn

from policy_engine.cli.decide import decide_now
from policy_engine.cli.output import err, out
from policy_engine.cli.remote import RemoteSettings
from policy_engine.cli.settings import checked_settings, settings_with_database
from policy_engine.domain.request import Caller
from policy_engine.service.keyring import ROLES
from policy_engine.service.roster import import_members
from policy_engine.wiring import Settings, build, configure_logging, open_members, system_clock, upgrade

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
    if demo:
        _set_up_demonstration(settings)
    # The factory is named, not imported: one process builds the parts once, in the server's own process.
    uvicorn.run(
        "policy_engine.api.app:from_environment",
        factory=True,
        host=settings.host,
        port=settings.port,
        http="httptools",
        loop="uvloop",
        log_config=None,
        log_level="warning",
        access_log=False,
        # Nobody here asks from which address a request came.
        proxy_headers=False,
        server_header=False,
    )


serve.__doc__ = HELP

_FIRST: Final[dict[str, object]] = {
    "subject": {"type": "person", "id": "carol"},
    "model": "mythos-5",
    "action": "infer",
    "purpose": "defensive_cybersecurity",
    "place": {"country": "US"},
}
_SECOND: Final[dict[str, object]] = {
    "subject": {"type": "person", "id": "ken"},
    "model": "opus-4.6",
    "action": "infer",
    "place": {"country": "JP"},
}


_KEYS: Final = (
    ("gateway", "gateway", None),
    ("desk", "desk", None),
    ("compliance (dora)", "compliance", "dora"),
    ("compliance (egon)", "compliance", "egon"),
    ("auditor (ines)", "auditor", "ines"),
    ("admin", "admin", None),
)
"""A key for each role. What needs a person needs one that is bound, and what needs two needs two."""


def _set_up_demonstration(settings: Settings) -> None:
    upgrade(settings)
    roster = settings.policies / "demo" / "roster.yaml"
    with open_members(settings) as members:
        change = import_members(
            members, roster.read_bytes(), str(roster), actor="demo", reason="demonstration roster", at=system_clock()
        )
    parts = build(settings)
    try:
        tokens = {
            name: parts.ring.create(
                name=f"demonstration {name}",
                rights=ROLES[role],
                at=system_clock(),
                random_hex=secrets.token_hex,
                gateway="main",
                person=person,
            ).token
            for name, role, person in _KEYS
        }
        answer = json.loads(decide_now(parts.decider, _FIRST, Caller(id="demo", gateway="main")))
    finally:
        parts.close()
    base = f"http://{settings.host}:{settings.port}"
    out.print(f"the demonstration roster is on file (revision {change.revision}, {change.added} rows new)")
    out.print("keys, fresh at every start:")
    for role, token in tokens.items():
        out.print(f"  {role:<18} {token}", markup=False)
    out.print("\nmay carol of a Glasswing member use mythos-5 for defence from the United States, now?")
    _curl(base, tokens["desk"], "decide", _FIRST)
    out.print("\nmay ken of a Japanese company under a Chinese parent use opus-4.6?")
    _curl(base, tokens["desk"], "decide", _SECOND)
    out.print("\nwhat does the record of a decision hold?")
    _curl(base, tokens["auditor (ines)"], f"decisions/{answer['decision_id']}")
    err.print(f"\nserving on {base}; stop with Ctrl-C", markup=False)


def _curl(base: str, token: str, path: str, body: dict[str, object] | None = None) -> None:
    data = f" -d '{json.dumps(body)}'" if body is not None else ""
    typer.echo(f"curl -s {base}/{path} -H 'Authorization: Bearer {token}'{data}")
