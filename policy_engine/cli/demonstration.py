"""What `serve --demo` sets up: the demonstration roster in an empty database, and fresh keys in place of the old."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import typer

from policy_engine.app.builder import book_in_force, build, upgrade
from policy_engine.app.clock import system_clock
from policy_engine.app.settings import Settings
from policy_engine.app.stores import open_members
from policy_engine.cli.decide import decide_now
from policy_engine.cli.output import out
from policy_engine.domain.request import Caller
from policy_engine.policy.names import names_read
from policy_engine.service.administration.roster import RosterChange, import_members
from policy_engine.service.gate.keyring import ROLES
from policy_engine.store.members import Members

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

_NAME: Final = "demonstration "
_KEYS: Final = (
    ("gateway", "gateway", None),
    ("desk", "desk", None),
    ("compliance (dora)", "compliance", "dora"),
    ("compliance (egon)", "compliance", "egon"),
    ("auditor (ines)", "auditor", "ines"),
    ("admin", "admin", None),
)
"""A key for each role. What needs a person needs one that is bound, and what needs two needs two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """What stands now: at which revision the members are, whether they were imported now, how many old keys ended, the
    new keys by whom they are for, and the id of a decision to look at."""

    revision: int
    imported: bool
    ended: int
    tokens: dict[str, str]
    decision_id: str


def set_up(settings: Settings) -> Demonstration:
    """Set up the demonstration. Members that are on file already stay as they are."""
    upgrade(settings)
    with open_members(settings) as members:
        revision = members.control().revision
        imported = revision == 0
        if imported:
            revision = import_roster(settings, members, system_clock()).revision
    parts = build(settings)
    try:
        names = {f"{_NAME}{name}" for name, _, _ in _KEYS}
        old = [key for key in parts.ring.all() if key.revoked_at is None and key.name in names]
        for key in old:
            parts.ring.revoke(key.id, system_clock())
        tokens = {
            name: parts.ring.create(
                name=f"{_NAME}{name}",
                rights=ROLES[role],
                at=system_clock(),
                random_hex=secrets.token_hex,
                gateway="main",
                person=person,
            ).token
            for name, role, person in _KEYS
        }
        parts.gate.view.refresh()
        answer = json.loads(decide_now(parts.gate, _FIRST, Caller(id="demo", gateway="main")))
    finally:
        parts.close()
    return Demonstration(
        revision=revision,
        imported=imported,
        ended=len(old),
        tokens=tokens,
        decision_id=answer["decision_id"],
    )


def import_roster(settings: Settings, members: Members, at: datetime) -> RosterChange:
    """Put the demonstration roster on file."""
    roster = settings.policies / "demo" / "roster.yaml"
    names = names_read(book_in_force(settings, at))
    return import_members(
        members,
        roster.read_bytes(),
        str(roster),
        names=names,
        actor="demo",
        reason="demonstration roster",
        at=at,
    )


def demonstration_document(demonstration: Demonstration) -> dict[str, object]:
    """What stands, for programs."""
    return {
        "revision": demonstration.revision,
        "imported": demonstration.imported,
        "keys": dict(demonstration.tokens),
        "decision_id": demonstration.decision_id,
    }


def tell(demonstration: Demonstration, base: str) -> None:
    """Say what stands, with commands to paste."""
    if demonstration.imported:
        out.print(f"the demonstration roster is on file (revision {demonstration.revision})")
    else:
        out.print(
            f"your members are as you left them (revision {demonstration.revision}); the demonstration roster is"
            " imported into an empty database only"
        )
    ended = f"; the {demonstration.ended} of the last start have ended" if demonstration.ended else ""
    out.print(f"keys, fresh at every start{ended}:")
    for role, token in demonstration.tokens.items():
        out.print(f"  {role:<18} {token}", markup=False)
    out.print("\nmay carol of a Glasswing member use mythos-5 for defence from the United States, now?")
    _curl(base, demonstration.tokens["desk"], "decide", _FIRST)
    out.print("\nmay ken of a Japanese company under a Chinese parent use opus-4.6?")
    _curl(base, demonstration.tokens["desk"], "decide", _SECOND)
    out.print("\nwhat does the record of a decision hold?")
    _curl(base, demonstration.tokens["auditor (ines)"], f"decisions/{demonstration.decision_id}")
    out.print("\nfor the commands of docs/first-hour.md, in another terminal in this folder:")
    typer.echo(
        f'export PATH="$PWD/.venv/bin:$PATH" POLICY_ENGINE_URL={base}'
        f" DORA={demonstration.tokens['compliance (dora)']} EGON={demonstration.tokens['compliance (egon)']}"
    )


def _curl(base: str, token: str, path: str, body: dict[str, object] | None = None) -> None:
    data = f" -d '{json.dumps(body)}'" if body is not None else ""
    typer.echo(f"curl -s {base}/{path} -H 'Authorization: Bearer {token}'{data}")
