"""`policy-engine decide`: one decision from a file or standard input."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from policy_engine.app.builder import build
from policy_engine.app.clock import system_clock
from policy_engine.cli.output import Exit, JsonFlag, err, failed, instant, out, print_json
from policy_engine.cli.settings import settings_with_database
from policy_engine.domain.instants import format_instant
from policy_engine.domain.request import Caller
from policy_engine.formats.request_document import parse_object, submitted_of
from policy_engine.render.answer_text import tell_answer
from policy_engine.service.administration.roster import first_recorded
from policy_engine.service.administration.simulate import Supposed, simulate
from policy_engine.service.gate.gate import Gate


def decide(
    file: Annotated[Path, typer.Argument(help="A request as for POST /decide; `-` is standard input.")] = Path("-"),
    *,
    at: Annotated[
        datetime | None, typer.Option("--at", parser=instant, help="Judge as of this instant; by default now.")
    ] = None,
    known_at: Annotated[
        datetime | None,
        typer.Option("--known-at", parser=instant, help="With what was on file at this instant; by default now."),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Decide now and record it, as the service does; else it is simulated.")
    ] = False,
    gateway: Annotated[str | None, typer.Option(help="The gateway whose model aliases apply.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Decide a request: exit 0 for allow, 3 for deny.

    It is simulated unless --record is given: nothing is recorded, no place of a cap is taken, no review is opened.

    Example: echo '{"subject": {"type": "person", "id": "carol"}, "model": "opus-4.6", "action": "infer",
    "place": {"country": "US"}}' | policy-engine decide -
    """
    if record and (at is not None or known_at is not None):
        raise failed("`--record` decides now with what is on file now: leave out `--at` and `--known-at`", Exit.USAGE)
    body = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    document = parse_object(body)
    caller = Caller(id="cli", gateway=gateway, explain=True)
    parts = build(settings_with_database())
    try:
        if record:
            answer = decide_now(parts.gate, document, caller)
        else:
            now = system_clock()
            judged, known = at or now, known_at or now
            answer = simulate(parts.desk, parts.publisher, document, caller, Supposed(at=judged, known_at=known))
            recorded_first = first_recorded(parts.desk.log.rows_at(parts.desk.view.current().roster.revision))
            if said := _before_anything(recorded_first, judged, known, chosen=known_at is not None):
                err.print(said, markup=False)
    finally:
        parts.close()
    if as_json:
        told = json.loads(answer)
        print_json(told)
        allowed = told["allowed"] is True
    else:
        allowed = tell_answer(answer, out, recorded=record)
    raise typer.Exit(Exit.DONE if allowed else Exit.DENY)


def _before_anything(first: datetime | None, at: datetime, known_at: datetime, *, chosen: bool) -> str:
    """What is to be said of instants before the first row of the roster was recorded; "" for later ones."""
    if first is None:
        return "the roster is empty, so that nobody is on file: `policy-engine members import FILE` fills it"
    nothing = f"nothing was on file before {format_instant(first)}, when the first row was recorded"
    if known_at < first:
        then = f"at {format_instant(known_at)} nobody was on file"
        return f"{nothing}: {then}; without `--known-at` what is known now counts"
    if at < first and not chosen:
        asks = f"`--known-at {format_instant(at)}` asks what was known then"
        return f"{nothing}: this is judged with what is known now of {format_instant(at)}; {asks}"
    return ""


def decide_now(gate: Gate, document: Mapping[str, object], caller: Caller) -> bytes:
    """A recorded decision: its full answer."""
    return gate.decide_here(submitted_of(document), caller, determines=True).answer
