"""The engine and the reference evaluator, which was written from the contract alone, agree on generated worlds."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from policy_engine.domain.decision import Decision
from policy_engine.domain.verdict import Finding
from policy_engine.policy.judge import Judge
from tests.concluding import decided
from tests.conftest import POLICIES
from tests.laws import book_of
from tests.reference.evaluator import evaluate
from tests.reference.test_reference import load
from tests.worlds import Read, World, world

CATALOGUE = load(POLICIES / "catalogue.yaml")
GROUPS = load(POLICIES / "country_groups.yaml")

LIFTING_NOTES = {"EAR-AUTHORISATIONS", "ITAR-AUTHORISATIONS", "US-ORDER-LICENCES", "EAR-STA", "EAR-STA-A6", "EAR-AIA"}
"""Notes that lift: the engine reports each that matches, the reference those that were consulted."""


def told(document: World) -> Decision:
    """The engine's answer to a world."""
    read = Read(document)
    return decided(Judge(book_of(read)), read.roster, read.request, read.caller, read.at)


def _finding(finding: Finding) -> tuple[Any, ...]:
    return finding.rule, finding.state.value, finding.hold, _codes(finding.state.value, list(finding.codes))


def _codes(state: str, codes: list[str]) -> list[str]:
    """What a bar that does not decide would say beside its first code is nobody's business."""
    return codes if state == "deciding" else []


def compare(document: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both answers in one shape."""
    ours = told(document)
    verdict = ours.verdict
    engine = {
        "decision": "allow" if verdict.allowed else "deny",
        "hold": verdict.hold,
        "reason": verdict.reason_code,
        "reason_rule": verdict.reason.rule,
        "missing": _comparable(list(verdict.missing), document),
        "alternatives": list(ours.alternatives),
        "findings": [_finding(one) for one in verdict.findings if one.rule not in LIFTING_NOTES],
        "obligations": sorted({one.id for one in verdict.obligations}),
    }
    theirs = evaluate(document, CATALOGUE, GROUPS)
    reference = {
        **{name: theirs[name] for name in ("decision", "hold", "reason", "reason_rule", "alternatives")},
        "missing": _comparable(theirs["missing"], document),
        "findings": [
            (one["rule"], one["state"], one["hold"], _codes(one["state"], one["codes"]))
            for one in theirs["findings"]
            if one["rule"] not in LIFTING_NOTES
        ],
        "obligations": sorted(set(theirs["obligations"])),
    }
    return engine, reference


def _comparable(missing: list[str], document: World) -> list[str]:
    """`missing`, less what the two read apart on purpose.

    Which shares of a chain of doubts are named is a matter of how far up one looks; that some are named is compared,
    unless somebody's headquarters or an owner's listing is unknown as well: then it is open whose shares would count.
    With an end user barred in any case the reference still asks for whom the subject acts.
    """
    names = {"ownership.share" if name.startswith("ownership.share:") else name for name in missing}
    names = {"listing" if name.startswith("listing:") else name for name in names}
    if names & {"organisation.headquarters", "listing"}:
        names.discard("ownership.share")
    if "end_user" in document["request"]:
        names.discard("acting_for")
    return sorted(names)


@pytest.mark.parametrize("seed", range(0, 400, 50))
def test_engine_and_reference_agree(seed: int) -> None:
    for number in range(seed, seed + 50):
        engine, reference = compare(world(Random(number)))
        assert engine == reference, number
