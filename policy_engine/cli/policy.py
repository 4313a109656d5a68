"""`policy-engine policy`: check the rule files, run the worked examples."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from policy_engine.app.settings import Settings
from policy_engine.cli.book_check import check_folder
from policy_engine.cli.output import Exit, JsonFlag, err, failed, out, print_json, tell, unreadable
from policy_engine.cli.progress import progress
from policy_engine.decision.case_runner import CaseResult, run_cases
from policy_engine.decision.coverage import cover
from policy_engine.decision.mutation import MutantTrial, MutationBench, Score, mutants_of
from policy_engine.decision.second_judge import disagreements
from policy_engine.domain.rules import Book
from policy_engine.formats.faults import FaultsError
from policy_engine.policy.cases import read_cases, unread_names
from policy_engine.policy.names import names_read
from policy_engine.policy.reader import BookReader, read_book, read_folder
from policy_engine.render.case_text import (
    cases_document,
    coverage_document,
    score_document,
    second_judge_document,
    tell_cases,
    tell_coverage,
    tell_score,
    tell_second_judge,
)
from policy_engine.render.check_text import compared_document, report_document, tell_report
from policy_engine.render.junit import write_junit
from policy_engine.render.law_page import HANDBOOK, NOT_ENCODED, law_page

PoliciesOption = Annotated[Path | None, typer.Option("--policies", help="Folder of the rule book.")]


def check(
    *,
    policies: PoliciesOption = None,
    against: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the previous book: a rule whose meaning has changed since needs an entry in CHANGELOG.csv."
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Read every file of the rule book and name every fault with file, line, column and remedy.

    With --against, also every rule whose meaning has changed since the previous book, or that is gone, without a new
    line in CHANGELOG.csv that says why. Exits with 1 when there is a fault.

    Example: policy-engine policy check --policies policies --against in-force
    """
    report = check_folder(policies or Settings().policies, against)
    tell(report_document(report), partial(tell_report, report, out, err), as_json=as_json)
    raise typer.Exit(Exit.FAILED if report.faults else Exit.DONE)


def run_case_files(
    *,
    cases: Annotated[Path | None, typer.Option(help="Folder of case files; by default the book's own.")] = None,
    policies: PoliciesOption = None,
    junit: Annotated[Path | None, typer.Option(help="File to write the outcome to as JUnit XML.")] = None,
    coverage: Annotated[bool, typer.Option("--coverage", help="Say which rows no case exercises.")] = False,
    mutation: Annotated[
        bool,
        typer.Option("--mutation", help="Change the rows one thing at a time, and say which change no case notices."),
    ] = False,
    least: Annotated[
        float, typer.Option(min=0, max=100, help="Percentage of the changes that have to make a case fail.")
    ] = 95,
    as_json: JsonFlag = False,
) -> None:
    """Run the worked examples and say where another answer came than expected. If all hold, stock pycasbin judges each
    of them again, row by row.

    Exits with 1 when a case fails, pycasbin judges one differently, or there is none, and with --mutation also when the
    score is under --least.

    Example: policy-engine policy test --cases policies/cases --coverage
    """
    folder = policies or Settings().policies
    reader = BookReader(read_folder(folder))
    book = reader.book()

    examples = read_cases(cases or folder / "cases")
    if unread := unread_names(examples, names_read(book)):
        raise FaultsError(unread)
    started = time.perf_counter()
    results = run_cases(examples, reader.book_for)
    seconds = time.perf_counter() - started
    good = bool(results) and all(result.holds for result in results)
    started = time.perf_counter()
    differing = disagreements(results) if good else ()
    again = time.perf_counter() - started
    if junit is not None:
        try:
            write_junit(junit, results, seconds)
        except OSError as error:
            raise unreadable(error, junit) from error
    rows = cover(book, results) if coverage else None
    score = _try_mutants(book, results) if mutation and good else None
    if as_json:
        document = cases_document(results)
        document["second_judge"] = None if not good else second_judge_document(differing)
        if rows is not None:
            document["coverage"] = coverage_document(rows)
        if mutation:
            document["mutation"] = None if score is None else score_document(score, least)
        print_json(document)
    else:
        tell_cases(results, seconds, out, err)
        if good:
            tell_second_judge(differing, len(results), again, out, err)
        if rows is not None:
            tell_coverage(rows, out)
        if score is not None:
            tell_score(score, least, out, err)
    if mutation and score is None:
        err.print("no mutant was tried: all cases have to hold first", markup=False)
    enough = score is None or score.percent >= least
    raise typer.Exit(Exit.DONE if good and enough and not differing else Exit.FAILED)


def _try_mutants(book: Book, results: Sequence[CaseResult]) -> Score:
    bench, mutants = MutationBench(results), mutants_of(book)
    trials: list[MutantTrial] = []
    with progress("trying mutants", total=len(mutants)) as shown:
        for mutant in mutants:
            trials.append(bench.trial(mutant))
            shown(len(trials))
    return Score.of(trials)


def law(
    *,
    policies: PoliciesOption = None,
    verify: Annotated[
        Path | None, typer.Option(help="A page that was written before: say whether it is what the book says now.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Print, regime by regime, what of the law the book encodes, by which rows and tables, with the source of each and
    whether it was compared with that; what is not encoded; and what counsel has to decide. In Markdown.

    With --verify nothing is printed, and the exit code is 1 when the page differs. With --json, only the counts.

    Example: policy-engine policy law > docs/law.md
    """
    folder = policies or Settings().policies
    book = read_book(read_folder(folder))
    if as_json:
        print_json(compared_document(book))
        raise typer.Exit(Exit.DONE)
    try:
        page = law_page(book, *((folder / name).read_text(encoding="utf-8") for name in (NOT_ENCODED, HANDBOOK)))
        written = None if verify is None else verify.read_text(encoding="utf-8")
    except OSError as error:
        raise unreadable(error, folder, "read") from error
    except ValueError as error:
        raise failed(f"{folder}/{error}") from error
    if verify is None:
        typer.echo(page, nl=False)
    elif written != page:
        raise failed(f"`{verify}` is not what the book says now: write it again with `policy law > {verify}`")
    else:
        out.print(f"{verify} is what the book says", markup=False)
