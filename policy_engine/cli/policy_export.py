"""`policy-engine policy export --casbin`: a worked example as files with which Casbin repeats the judgement."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from policy_engine.app.settings import Settings
from policy_engine.cli.output import Exit, JsonFlag, failed, tell, unreadable
from policy_engine.decision.case_runner import run_cases
from policy_engine.formats.faults import one_of, quoted
from policy_engine.policy.cases import read_cases
from policy_engine.policy.reader import BookReader, read_folder
from policy_engine.service.administration.casbin_export import NotExportable, export_case


def export(
    casbin: Annotated[Path, typer.Option("--casbin", help="Folder to write to: a new or an empty one.")],
    case: Annotated[str, typer.Option("--case", help="Id of the worked example.")],
    *,
    policies: Annotated[Path | None, typer.Option("--policies", help="Folder of the rule book.")] = None,
    cases: Annotated[Path | None, typer.Option(help="Folder of case files; by default the book's own.")] = None,
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

    try:
        files = export_case(run_cases(chosen, reader.book_for)[0])
    except NotExportable as error:
        raise failed(error) from error
    _write(casbin, files)
    names = sorted(files)
    said = f"{case} is in {casbin}: {', '.join(names)}; docs/casbin.md says how to read them"
    tell({"case": case, "folder": str(casbin), "files": names}, said, as_json=as_json)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            # What is left of another example would be read as this one's.
            raise failed(f"`{folder}` is not empty: name a folder that is new or empty", Exit.USAGE)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise unreadable(error, folder) from error
