"""An answer as a person reads it on a terminal."""

from __future__ import annotations

import msgspec
from rich.console import Console
from rich.text import Text

from policy_engine.render.tables import STATE_STYLES, show_rows
from policy_engine.shapes.answer import AnswerDocument


def tell_answer(answer: bytes, out: Console, *, recorded: bool) -> bool:
    """Print an answer for a person: the decision, why, and every rule that had something to say; whether it allows."""
    told = msgspec.json.decode(answer, type=AnswerDocument)
    held = " and held for a review" if told.hold else ""
    decision = Text(f"{told.decision.upper()}{held}", style="bold green" if told.allowed else "bold red")
    out.print(decision, Text(f"  {told.reason.code}"))
    out.print(Text(told.reason.message))
    show_rows(
        ("rule", "state", "codes", "detail"),
        [
            (
                *(finding.rule, finding.state, " ".join(finding.codes)),
                "; ".join(f"{name}: {_flat(value)}" for name, value in finding.detail.items()),
            )
            for finding in told.findings
        ],
        where=out,
        styles=[STATE_STYLES[finding.state] for finding in told.findings],
    )
    for name, facts in (("missing", told.missing), ("alternatives", told.alternatives)):
        if facts:
            out.print(Text(f"{name}: {', '.join(facts)}"))
    for remedy in told.remedies:
        out.print(Text(f"remedy {remedy.change}: {remedy.message}"))
    for obligation in told.obligations:
        out.print(Text(f"obligation {obligation.id}: {obligation.message}"))
    kept = f"recorded as {told.decision_id}" if recorded else "simulated, not recorded"
    out.print(Text(f"{kept}; decided at {told.decided_at}; policy {told.policy_version}", style="dim"))
    return told.allowed


def _flat(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ", ".join(value)
