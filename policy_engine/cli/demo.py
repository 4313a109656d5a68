"""`policy-engine demo`: June 2026 as six people lived it, from real decisions."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer
from rich.text import Text

from policy_engine.app.builder import build, upgrade
from policy_engine.app.settings import Settings
from policy_engine.app.stores import open_members
from policy_engine.cli.decide import decide_now
from policy_engine.cli.demonstration import import_roster
from policy_engine.cli.output import JsonFlag, failed, out, print_json, tell
from policy_engine.cli.seeded import NotEmpty, SeededMonth, seed_month
from policy_engine.cli.settings import checked_settings
from policy_engine.domain.instants import format_instant, parse_instant
from policy_engine.domain.request import Caller
from policy_engine.render.tables import show_rows

_INSTANTS: Final = (
    ("before the order", "2026-06-10T15:00:00Z"),
    ("the order is out, the suspension not yet", "2026-06-12T22:00:00Z"),
    ("during the order and the suspension", "2026-06-13T15:00:00Z"),
    ("after the second letter exempted some", "2026-06-27T15:00:00Z"),
    ("after both were lifted", "2026-07-01T15:00:00Z"),
)
_PEOPLE: Final = (
    ("carol", "US citizen at a US member", "US"),
    ("alice", "Chinese citizen at a US member", "US"),
    ("mei", "Chinese citizen at an exempted US member", "US"),
    ("kim", "status unknown, at an exempted US member", "US"),
    ("hans", "German at a German member", "DE"),
    ("rosa", "Peruvian employee of the vendor", "US"),
)
_MODELS: Final = ("mythos-5", "fable-5")


def demo(
    *,
    seed: Annotated[
        bool,
        typer.Option(
            "--seed", help="Instead, fill an empty database with a month of decisions, to try searches and exports on."
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show June 2026 in decisions: who may use Mythos 5 and Fable 5, and why, for six requesters at five instants.

    Every cell is a real decision, recorded in a database that is thrown away at the end. With --seed the decisions of a
    month, the same at every run but for their instants, are kept in the database of POLICY_ENGINE_DATABASE_URL.

    Example: POLICY_ENGINE_DATABASE_URL=sqlite:///var/seeded.db policy-engine demo --seed
    """
    settings = checked_settings()
    if seed:
        _tell_month(settings, as_json=as_json)
        return
    told = []
    with TemporaryDirectory() as folder:
        trial = settings.model_copy(update={"database_url": f"sqlite:///{Path(folder) / 'demo.db'}"})
        upgrade(trial)
        start = parse_instant(_INSTANTS[0][1])
        with open_members(trial) as members:
            import_roster(trial, members, start)
        now = [start]
        parts = build(trial, clock=lambda: now[0])
        try:
            for label, text in _INSTANTS:
                now[0] = parse_instant(text)
                rows = []
                for person, who, country in _PEOPLE:
                    answers = []
                    for model in _MODELS:
                        document = {
                            "subject": {"type": "person", "id": person},
                            "model": model,
                            "action": "infer",
                            "purpose": "defensive_cybersecurity",
                            "place": {"country": country},
                        }
                        answers.append(json.loads(decide_now(parts.gate, document, Caller(id="demo"))))
                    rows.append((person, who, answers))
                told.append((label, now[0], rows))
        finally:
            parts.close()
    if as_json:
        print_json(
            [
                {
                    "instant": format_instant(at),
                    "label": label,
                    "answers": [{"person": person, "answers": answers} for person, _, answers in rows],
                }
                for label, at, rows in told
            ]
        )
        return
    for label, at, rows in told:
        _table(label, at, rows)
    out.print(f"{len(_INSTANTS) * len(_PEOPLE) * len(_MODELS)} decisions were made and recorded for these tables.")


_SEED: Final = 20_260_612


def _tell_month(settings: Settings, *, as_json: bool) -> None:
    try:
        month = seed_month(settings, seed=_SEED)
    except NotEmpty as error:
        raise failed(error) from error
    denied = dict(month.denied.most_common())
    document = {"from": format_instant(month.start), "to": format_instant(month.end), "allowed": month.allowed}
    tell(document | {"denied": denied}, lambda: _show_month(settings, month), as_json=as_json)


def _show_month(settings: Settings, month: SeededMonth) -> None:
    start, end = format_instant(month.start), format_instant(month.end)
    out.print(
        f"{month.allowed + month.denied.total():,} decisions from {start} to {end} are in {settings.database_url}"
    )
    denied = [(f"deny {code}", f"{count:,}") for code, count in month.denied.most_common()]
    show_rows(("answer", "decisions"), [("allow", f"{month.allowed:,}"), *denied], where=out, right=("decisions",))
    out.print("look at them: policy-engine log query --decision deny --limit 10")


def _table(label: str, at: datetime, rows: list[tuple[str, str, list[dict[str, object]]]]) -> None:
    show_rows(
        ("who", *_MODELS),
        [(f"{person}, {who}", *(_cell(answer) for answer in answers)) for person, who, answers in rows],
        where=out,
        title=f"{format_instant(at)[:16]}Z, {label}",
    )
    out.print()


def _cell(answer: dict[str, object]) -> Text:
    allowed = answer["allowed"] is True
    findings = answer["findings"]
    deciding: list[str] = []
    if isinstance(findings, list):
        for finding in findings:
            if finding["state"] == "deciding":
                deciding += finding["codes"]
    style = "green" if allowed else "red"
    return Text(f"{answer['decision']} {' '.join(dict.fromkeys(deciding))}", style=style)
