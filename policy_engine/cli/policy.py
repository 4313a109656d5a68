"""`policy-engine policy`: check the rule files, run the worked examples."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from policy_engine.cli.output import Exit, JsonFlag, err, out, print_json
from policy_engine.formats.faults import FaultsError
from policy_engine.policy.cases import CaseResult, read_cases, run_cases
from policy_engine.policy.reader import read_book, read_folder
from policy_engine.wiring import Settings

app = typer.Typer(help="Check and try the rule book.", no_args_is_help=True)

PoliciesOption = Annotated[Path | None, typer.Option("--policies", help="Folder of the rule book.")]


@app.command()
def check(*, policies: PoliciesOption = None, as_json: JsonFlag = False) -> None:
    """Read every rule file and name every fault with file, line and column.

    Example: policy-engine policy check --policies policies
    """
    folder = policies or Settings().policies
    try:
        book = read_book(read_folder(folder))
    except FaultsError as error:
        if as_json:
            print_json(
                {
                    "good": False,
                    "faults": [
                        {
                            "file": fault.source,
                            "line": fault.line,
                            "column": fault.column,
                            "message": fault.message,
                            "remedy": fault.remedy,
                        }
                        for fault in error.faults
                    ],
                }
            )
            raise typer.Exit(Exit.FAILED) from error
        raise
    if as_json:
        print_json({"good": True, "policy_version": book.fingerprint, "rules": len(book.rows), "faults": []})
        return
    counts = Counter(row.regime for row in book.rows)
    out.print(f"{len(book.rows)} rules in {len(counts)} regimes, no fault")
    for regime, count in sorted(counts.items()):
        out.print(f"  {regime:<12} {count:>3}")
    out.print(f"policy version {book.fingerprint}")


@app.command("test")
def run_case_files(
    *,
    cases: Annotated[Path | None, typer.Option(help="Folder of case files; the book's own when absent.")] = None,
    policies: PoliciesOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Run the worked examples and say what came instead of what was expected.

    Example: policy-engine policy test --cases policies/cases
    """
    folder = policies or Settings().policies
    files = read_folder(folder)
    started = time.perf_counter()
    found = read_cases(cases or folder / "cases")
    results = run_cases(
        found, lambda enforcement, catalogue: read_book(files, enforcement=enforcement, extra_catalogue=catalogue)
    )
    seconds = time.perf_counter() - started
    failed = [result for result in results if not result.holds]
    if as_json:
        print_json(
            {
                "cases": len(results),
                "failed": [
                    {"id": one.case.id, "title": one.case.title, "differences": one.differences} for one in failed
                ],
            }
        )
    else:
        _tell(results, failed, seconds)
    raise typer.Exit(Exit.FAILED if failed or not results else Exit.DONE)


def _tell(results: list[CaseResult], failed: list[CaseResult], seconds: float) -> None:
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
