"""A requester with a request that shows what is said of a class: in the shape of a case, judged anew before it is told.

The facts are written as a membership file and read back from that, so that what is shown is what was judged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from policy_engine.analysis.example_facts import CALLER_ID, ExampleAsked, Facts
from policy_engine.analysis.symbolic import ReasonedAnswer, answer_of
from policy_engine.decision.conclude import conclude_alone
from policy_engine.domain.instants import format_instant
from policy_engine.domain.request import Caller, Request
from policy_engine.domain.roster import Roster
from policy_engine.formats.documents import plain, read_document
from policy_engine.formats.faults import Fault, FaultsError
from policy_engine.formats.membership_file import members_of
from policy_engine.formats.membership_writer import write_members
from policy_engine.formats.request_document import request_of
from policy_engine.policy.judge import Judge

SOURCE = "witness"


class DisprovedError(RuntimeError):
    """The engine answers a counterexample otherwise than the analysis says: a fault of the analysis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterexample:
    """Facts on file and a request, as the `members` and `request` of a case, the instant, and the gateway if any."""

    at: str
    gateway: str | None
    members: Mapping[str, object]
    request: Mapping[str, object]

    def case(self, identifier: str, title: str, outcome: ReasonedAnswer) -> dict[str, object]:
        """The counterexample as a case that expects the outcome."""
        return {
            "id": identifier,
            "title": title,
            "at": self.at,
            **({"gateway": self.gateway} if self.gateway is not None else {}),
            "members": dict(self.members),
            "request": dict(self.request),
            "expect": {
                "decision": "allow" if outcome.decision == "allow" else "deny",
                "hold": outcome.decision == "hold",
                "rules": [outcome.rule],
                "reason": outcome.code,
            },
        }


def request_document(request: Request) -> dict[str, object]:
    """The request as the body that asks for it; what is not stated is left out."""
    document: dict[str, object] = {
        "subject": {"type": request.subject.type.value, "id": request.subject.id},
        "model": request.model,
        "action": request.action.value,
    }
    place = {
        "country": request.place.country,
        "subdivision": request.place.subdivision,
        "ip_country": request.place.ip_country,
    }
    stated = {name: value for name, value in place.items() if value is not None}
    optional: dict[str, object] = {
        "acting_for": request.acting_for,
        "purpose": request.purpose,
        "place": stated or None,
        "destination": {"country": request.destination.country} if request.destination.country is not None else None,
        "claims": {"exception": request.exception} if request.exception is not None else None,
    }
    return document | {name: value for name, value in optional.items() if value is not None}


def counterexample_of(facts: Facts, asked: ExampleAsked) -> Counterexample:
    """The facts as documents."""
    members = plain(read_document(write_members(facts.rows, recorded=False).encode(), SOURCE))
    return Counterexample(
        at=format_instant(asked.at),
        gateway=facts.gateway,
        members=members if isinstance(members, dict) else {},
        request=request_document(facts.request),
    )


def judged(shown: Counterexample, judge: Judge, asked: ExampleAsked) -> ReasonedAnswer:
    """What the engine answers to a counterexample's documents. Raises `FaultsError` for members that cannot be read."""
    faults: list[Fault] = []
    rows = members_of(read_document(json.dumps(shown.members).encode(), SOURCE), SOURCE, faults)
    if faults:
        raise FaultsError(faults)
    caller = Caller(id=CALLER_ID, gateway=shown.gateway)
    conclusion = conclude_alone(request_of(shown.request), caller, judge, Roster.as_known(rows), asked.at)
    return answer_of(conclusion.verdict)


def confirmed(shown: Counterexample, judge: Judge, asked: ExampleAsked, expected: ReasonedAnswer) -> Counterexample:
    """The counterexample, once the engine has answered it as expected. Raises `DisprovedError`."""
    came = judged(shown, judge, asked)
    if came != expected:
        raise DisprovedError(f"the analysis says {expected} and the engine {came} of {shown}")
    return shown
