"""`policy-engine gateway`: what a gateway's own configuration comes to under its profile."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from policy_engine.app.settings import Settings
from policy_engine.cli.output import Exit, JsonFlag, err, misused, out, tell
from policy_engine.domain.counted import many
from policy_engine.domain.gateways import Profile
from policy_engine.formats.gateway_lint import Lint, NamedModel
from policy_engine.formats.gateway_lint import lint as linted
from policy_engine.formats.gateway_profiles import read_profiles
from policy_engine.policy.reader import BookReader, read_folder
from policy_engine.render.tables import show_rows


def lint(
    config: Annotated[Path, typer.Argument(help="The configuration of LiteLLM or of Envoy.")],
    *,
    profiles: Annotated[
        Path | None, typer.Option(help="The file of the gateways' profiles; by default that of POLICY_ENGINE_GATEWAYS.")
    ] = None,
    gateway: Annotated[str | None, typer.Option(help="The gateway; needed where the file has several.")] = None,
    policies: Annotated[Path | None, typer.Option(help="Folder of the rule book, for its catalogue.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Find the models that a gateway's configuration names and the catalogue does not have.

    Lists every public name, alias, fallback and deployment with its entry. A model without one is denied to everybody:
    the catalogue or `aliases` of the profile needs it. Also finds settings by which the engine would not be asked, and
    refuses an alias that is itself the name of a model: whoever asked for that one would be judged as if for another.

    Exits with 1 where an entry is missing, a request could go through unjudged, or a file has faults.

    Example: policy-engine gateway lint litellm.yaml --profiles gateways.yaml --gateway main
    """
    settings = Settings()
    file = profiles or settings.gateways
    if file is None:
        raise misused("--profiles", "is needed, or POLICY_ENGINE_GATEWAYS: name the file of the gateways' profiles")
    profile = _profile(file, gateway)
    catalogue = BookReader(read_folder(policies or settings.policies)).book().tables.catalogue
    read_profiles(file.read_bytes(), str(file), catalogue)
    found = linted(config.read_bytes(), str(config), profile, catalogue)
    tell(_document(found), partial(_say, found, config, file), as_json=as_json)
    raise typer.Exit(Exit.FAILED if found.missing or found.traps else Exit.DONE)


def _profile(file: Path, gateway: str | None) -> Profile:
    held = read_profiles(file.read_bytes(), str(file)).by_gateway
    if gateway is None and len(held) == 1:
        return next(iter(held.values()))
    if gateway is None or gateway not in held:
        what = "is needed" if gateway is None else f"`{gateway}` has no profile in `{file}`"
        raise misused("--gateway", f"{what}: name one of {', '.join(held)}")
    return held[gateway]


def _document(found: Lint) -> dict[str, object]:
    return {
        "program": found.program,
        "named": [
            {
                "name": one.name,
                "what": one.what,
                "line": one.line,
                "column": one.column,
                "model": one.model,
                "pattern": one.pattern,
            }
            for one in found.named
        ],
        "missing": sorted({one.name for one in found.missing}),
        "traps": [{"line": one.line, "column": one.column, "message": one.message} for one in found.traps],
    }


def _say(found: Lint, config: Path, profiles: Path) -> None:
    show_rows(
        ("line", "as", "name", "entry of the catalogue"),
        [(str(one.line), one.what, one.name, _entry(one)) for one in found.named],
        where=out,
        styles=["" if one.model or one.pattern else "red" for one in found.named],
    )
    if not found.named:
        out.print(f"`{config}` names no model", markup=False)
    for trap in found.traps:
        err.print(str(trap), markup=False)
    missing = sorted({one.name for one in found.missing})
    if missing:
        told = f"{many(len(missing), 'name')} without an entry, so denied to everybody: {', '.join(missing)}"
        err.print(f"{told}; write each under `aliases` of `{profiles}`, or file its model", markup=False)
    elif found.named and not found.traps:
        out.print("every model that is named has an entry")


def _entry(one: NamedModel) -> str:
    if one.pattern:
        return one.model or "a pattern: each model that comes by it needs an entry"
    return one.model or "none"
