"""A worked example as files for Casbin in any language: model, policies, facts, and what the engine decides.

`docs/casbin.md` says how they are read. A cell keeps its form, `a & b | c`. What some reader of Casbin takes for more
than text (a comma, a quotation mark, a bracket, `#`, `%`) is percent-encoded, in the policies and in the facts alike.
No policy is empty: Casbin answers an empty one as it would a row that asks nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

import msgspec

from policy_engine.decision.case_runner import CaseResult
from policy_engine.domain.facts import Party, Question, Role
from policy_engine.domain.instants import format_instant
from policy_engine.domain.rules import FACETS, FAULT_RULE, NO_GRANT_RULE, Condition, Effect, Row, Term
from policy_engine.domain.verdict import Verdict
from policy_engine.domain.words import answer_term
from policy_engine.policy.judge import Judge, casbin_model, deciding_rows, is_asked

MODEL: Final = "model.conf"
FACTS: Final = "facts.json"
VERDICT: Final = "verdict.json"
POLICY: Final = "policy.csv"
HOST_POLICY: Final = "policy-host.csv"
UNFILED_POLICY: Final = "policy-not-on-file.csv"
EVERYBODY: Final = "EVERYBODY"
"""The grant beside the bars of a host, who is granted nothing and may only be barred."""

_SAFE: Final = " !+*/:;<=>@^_~.-"


class NotExportable(Exception):
    """Nothing can be judged of the case, so that there is nothing to repeat."""


def export_case(result: CaseResult) -> dict[str, bytes]:
    """The files by name, of a case that was run. Raises `NotExportable`."""
    question, verdict = result.conclusion.question, result.conclusion.verdict
    if question is None or verdict.reason.rule == FAULT_RULE:
        contradiction = dict(verdict.reason.detail).get("fault", "")
        why = "; ".join(result.differences) or f"what is on file contradicts itself: {contradiction}"
        raise NotExportable(f"case `{result.case.id}` cannot be judged, so there is nothing to repeat: {why}")
    judge = Judge(question.book)
    files = {MODEL: casbin_model(question.book.matcher).encode()}
    parties = []
    for party in question.parties:
        name, rows = _policy_of(question, party)
        files[name] = _policy(rows, everybody=name == HOST_POLICY)
        parties.append(_party(judge, party, name, rows))
    files[FACTS] = _json({"case": result.case.id, "at": format_instant(question.at), "parties": parties})
    files[VERDICT] = _json(_verdict(verdict))
    return files


def _policy_of(question: Question, party: Party) -> tuple[str, list[Row]]:
    """The file of the rows that are asked for a party, and these; of somebody who is not on file, or a model that is in
    no catalogue, only the bars that say so."""
    rows = [row for row in deciding_rows(question.book, question.at) if is_asked(row, party)]
    bars = [row for row in rows if row.effect is Effect.DENY]
    if party.role is Role.HOST:
        return HOST_POLICY, bars
    unfiled = any(not one.on_file for one in question.parties if one.role is not Role.HOST)
    return (UNFILED_POLICY, bars) if unfiled or question.entry is None else (POLICY, rows)


def _policy(rows: Iterable[Row], *, everybody: bool) -> bytes:
    lines = []
    for row in rows:
        effect = "deny" if row.effect is Effect.DENY else "allow"
        lines.append([row.id, *map(_cell, row.facets), _cell(row.unless), effect])
    nothing = [""] * (len(FACETS) + 1)
    if everybody:
        lines.append([EVERYBODY, *nothing, "allow"])
    if not lines:
        lines.append([NO_GRANT_RULE, *nothing, "deny"])
    return "".join(f"{', '.join(('p', *line))}\n" for line in lines).encode()


def _party(judge: Judge, party: Party, policy: str, rows: Iterable[Row]) -> dict[str, object]:
    facts: dict[str, str] = {}
    relief: dict[str, str] = {}
    for row in rows:
        for condition in row.facets:
            for term in condition.terms:
                facts[_term(term)] = answer_term(term, party).value.name.lower()
        for term in row.unless.terms:
            relief[_term(term)] = "yes" if judge.lifts(term, party) else "no"
    subject = None if party.subject is None else f"{party.subject.type}:{party.subject.id}"
    return {
        "role": party.role.value,
        "subject": subject,
        "organisation": party.organisation_id,
        "policy": policy,
        "facts": facts,
        "relief": relief,
    }


def _verdict(verdict: Verdict) -> dict[str, object]:
    return {
        "decision": "allow" if verdict.allowed else "deny",
        "reason": {"rule": verdict.reason.rule, "code": verdict.reason_code},
        "rows": [{"rule": one.rule, "effect": one.effect.value, "state": one.state.value} for one in verdict.findings],
    }


def _cell(condition: Condition) -> str:
    return " | ".join(" & ".join(map(_term, alternative)) for alternative in condition.alternatives)


def _term(term: Term) -> str:
    return quote(term.text, safe=_SAFE)


def _json(content: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content, order="sorted"), indent=1) + b"\n"
