"""Runs worked examples against a book, and says of each what came instead of what is expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from policy_engine.decision.conclude import Basis, Conclusion, conclude, refuse
from policy_engine.domain.facts import AssertedValueError
from policy_engine.domain.instants import format_instant
from policy_engine.domain.rules import Book
from policy_engine.domain.verdict import State
from policy_engine.formats.documents import Node
from policy_engine.policy.cases import Case, Expectation
from policy_engine.policy.judge import Judge


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What came of a case: empty `differences` means that it holds."""

    case: Case
    conclusion: Conclusion
    differences: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.differences


BookFor = Callable[[Mapping[str, str], Node | None], Book]
"""Builds the book with enforcement overrides and extra catalogue entries."""


def run_cases(cases: Sequence[Case], book_for: BookFor) -> list[CaseResult]:
    """Run the cases; books and judges are shared among cases that change the book in the same way."""
    judges: dict[object, Judge] = {}
    results = []
    for case in cases:
        key = (case.enforcement, case.catalogue)
        judge = judges.get(key)
        if judge is None:
            judge = judges[key] = Judge(book_for(dict(case.enforcement), case.catalogue))
        results.append(run_case(case, judge))
    return results


def run_case(case: Case, judge: Judge) -> CaseResult:
    """Run one case with a judge of the case's book. One on which the engine fails, or that it refuses, never holds."""
    basis = Basis(judge=judge, roster=case.roster())
    try:
        conclusion = conclude(case.request, case.caller, basis, decision_id=case.id, at=case.at)
    except AssertedValueError as error:
        refused = refuse(str(error), case.caller, basis, decision_id=case.id, at=case.at)
        return CaseResult(case=case, conclusion=refused, differences=(f"request: the engine refuses it: {error}",))
    differences = _differences(case.expect, conclusion)
    if conclusion.error is not None:
        failed = f"{type(conclusion.error).__name__}: {conclusion.error}"
        differences.insert(0, f"engine: it fails on this case: {failed}")
    return CaseResult(case=case, conclusion=conclusion, differences=tuple(differences))


def _differences(expect: Expectation, conclusion: Conclusion) -> list[str]:
    told = conclusion.decision
    verdict = told.verdict
    deciding = verdict.deciding
    rules = {finding.rule for finding in deciding}
    codes = {code for finding in deciding for code in finding.codes}
    others = {finding.rule for finding in verdict.findings if finding.state is not State.DECIDING}
    obligations = {obligation.id for obligation in verdict.obligations}
    remedies = {remedy.change.kind for remedy in told.remedies}
    decision = "allow" if verdict.allowed else "deny"
    checks: list[tuple[str, object, object, bool]] = [
        ("decision", expect.decision, decision, expect.decision == decision),
        ("hold", expect.hold, verdict.hold, expect.hold in (None, verdict.hold)),
        ("codes", expect.codes, sorted(codes), set(expect.codes) <= codes),
        (
            "only_rules",
            expect.only_rules,
            sorted(rules),
            expect.only_rules is None or set(expect.only_rules) == rules,
        ),
        ("not_codes", expect.not_codes, sorted(codes), codes.isdisjoint(expect.not_codes)),
        ("rules", expect.rules, sorted(rules), set(expect.rules) <= rules),
        ("reason", expect.reason, verdict.reason_code, expect.reason in (None, verdict.reason_code)),
        ("other", expect.other, sorted(others), set(expect.other) <= others),
        (
            "missing",
            expect.missing,
            list(verdict.missing),
            expect.missing is None or sorted(expect.missing) == sorted(verdict.missing),
        ),
        ("obligations", expect.obligations, sorted(obligations), set(expect.obligations) <= obligations),
        (
            "alternatives",
            expect.alternatives,
            list(told.alternatives),
            expect.alternatives is None or expect.alternatives == told.alternatives,
        ),
        ("remedies", expect.remedies, sorted(remedies), set(expect.remedies) <= remedies),
        (
            "valid_until",
            expect.valid_until and format_instant(expect.valid_until),
            format_instant(told.valid_until),
            expect.valid_until in (None, told.valid_until),
        ),
    ]
    return [
        f"{name}: expected {_shown(wanted)}, came {_shown(came)}" for name, wanted, came, good in checks if not good
    ]


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(str(one) for one in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)
