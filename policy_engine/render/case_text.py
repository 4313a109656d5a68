"""What `policy test` tells: the cases that fail, the rows that none exercises, the mutants that survive."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from rich.console import Console

from policy_engine.decision.case_runner import CaseResult
from policy_engine.decision.coverage import RowCoverage
from policy_engine.decision.mutation import Score
from policy_engine.formats.faults import Fault
from policy_engine.render.tables import show_rows


def tell_cases(results: Sequence[CaseResult], seconds: float, out: Console, err: Console) -> None:
    """How many cases hold, and for each that does not what came instead."""
    failed = [result for result in results if not result.holds]
    for result in failed:
        place = f"{result.case.source}:{result.case.line}"
        err.print(f"{result.case.id} fails ({place}): {result.case.title}", markup=False)
        for difference in result.differences:
            err.print(f"    {difference}", markup=False)
    if not results:
        err.print("there is no case in this folder", markup=False)
        return
    held = len(results) - len(failed)
    out.print(f"{held} of {len(results)} cases hold ({seconds * 1000 / len(results):.1f} ms a case)")


def tell_second_judge(differing: Sequence[Fault], count: int, seconds: float, out: Console, err: Console) -> None:
    """Whether pycasbin judges the cases as the engine does, and where it does not."""
    for fault in differing:
        err.print(str(fault), markup=False)
    if not differing:
        each = seconds * 1000 / count
        out.print(f"pycasbin judges each of them as the engine does, row by row ({each:.1f} ms a case)")


def second_judge_document(differing: Sequence[Fault]) -> dict[str, object]:
    return {
        "agrees": not differing,
        "differences": [{"file": one.source, "line": one.line, "message": one.message} for one in differing],
    }


def cases_document(results: Sequence[CaseResult]) -> dict[str, object]:
    failed = (result for result in results if not result.holds)
    return {
        "cases": len(results),
        "failed": [{"id": one.case.id, "title": one.case.title, "differences": one.differences} for one in failed],
    }


def tell_coverage(rows: Sequence[RowCoverage], out: Console) -> None:
    """How many rows some case exercises, and those that none does."""
    missed = [row for row in rows if not row.exercised]
    out.print(f"{len(rows) - len(missed)} of {len(rows)} rows are exercised by a case")
    if missed:
        show_rows(
            ("regime", "row"), [(row.regime, row.rule) for row in missed], where=out, title="exercised by no case"
        )


def coverage_document(rows: Sequence[RowCoverage]) -> dict[str, object]:
    return {
        "rows": [
            {"rule": row.rule, "regime": row.regime, "deciding": row.deciding, "otherwise": row.otherwise}
            for row in rows
        ],
        "unexercised": [row.rule for row in rows if not row.exercised],
    }


def tell_score(score: Score, least: float, out: Console, err: Console) -> None:
    """The score, and the survivors by rule."""
    for rule, survivors in groupby(score.survivors, key=lambda mutant: mutant.rule):
        out.print(f"{rule} survives", markup=False)
        for mutant in survivors:
            out.print(f"    {mutant.kind}: {mutant.description}", markup=False)
    shown = f"{score.killed} of {score.mutants} mutants are killed, {shown_percent(score)} %"
    if score.percent < least:
        err.print(f"{shown}; at least {least:g} % are required", markup=False)
    else:
        out.print(shown, markup=False)


def score_document(score: Score, least: float) -> dict[str, object]:
    return {
        "mutants": score.mutants,
        "killed": score.killed,
        "score": shown_percent(score),
        "least": least,
        "survivors": [
            {"rule": mutant.rule, "kind": mutant.kind, "description": mutant.description} for mutant in score.survivors
        ],
    }


def shown_percent(score: Score) -> float:
    """The score to a tenth, never rounded up: what is not reached must not look so."""
    return math.floor(score.percent * 10) / 10
