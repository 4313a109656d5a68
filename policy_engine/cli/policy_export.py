"""`policy-engine policy export --casbin`: a worked example as files with which Casbin repeats the judgement."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from policy_engine.app.settings import Settings
from policy_engine.cli.output import Exit, JsonFlag, err, out, print_json
from policy_engine.decision.case_runner import run_cases
from policy_engine.domain.rules import Book
from policy_engine.formats.documents import Node
from policy_engine.formats.faults import one_of, quoted
from policy_engine.policy.cases import read_cases
from policy_engine.policy.reader import BookReader, read_folder
from policy_engine.service.casbin_export import NotExportable, export_case


def export(
    casbin: Annotated[Path, typer.Option("--casbin", help="Folder to write to: a new or an empty one.")],
    case: Annotated[str, typer.Option("--case", help="Id of the worked example.")],
    *,
    policies: Annotated[Path | None, typer.Option("--policies", help="Folder of the rule book.")] = None,
    cases: Annotated[Path | None, typer.Option(help="Folder of case files; the book's own when absent.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write the Casbin model, the rows in force and the facts of a worked example, so that Casbin in any language can
    repeat the judgement (docs/casbin.md).

    Example: policy-engine policy export --casbin out --case ORD-16
    """
    folder = policies or Settings().policies
    reader = BookReader(read_folder(folder))
    examples = read_cases(cases or folder / "cases")
    chosen = [one for one in examples if one.id == case]
    if not chosen:
        known = one_of(case, tuple(sorted(one.id for one in examples)))
        raise typer.BadParameter(f"there is no worked example {quoted(case)}: {known}", param_hint="--case")

    def book_for(enforcement: Mapping[str, str], catalogue: Node | None) -> Book:
        return reader.book(enforcement=enforcement, extra_catalogue=catalogue)

    try:
        files = export_case(run_cases(chosen, book_for)[0])
    except NotExportable as error:
        err.print(str(error), markup=False)
        raise typer.Exit(Exit.FAILED) from error
    _write(casbin, files)
    if as_json:
        print_json({"case": case, "folder": str(casbin), "files": sorted(files)})
    else:
        listed = ", ".join(sorted(files))
        out.print(f"{case} is in {casbin}: {listed}; docs/casbin.md says how to read them", markup=False)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            # What is left of another example would be read as this one's.
            err.print(f"`{folder}` is not empty: name a folder that is new or empty", markup=False)
            raise typer.Exit(Exit.USAGE)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        err.print(f"`{error.filename or folder}` cannot be written: {reason}", markup=False)
        raise typer.Exit(Exit.USAGE) from error
