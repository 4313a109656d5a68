"""`policy-engine`: every command, and the one place where an error becomes a sentence and an exit code.

A command is imported when it is called, for with all of them comes everything that the service is made of.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from policy_engine.cli.output import Exit, err
from policy_engine.domain.counted import many
from policy_engine.formats.faults import FaultsError

if TYPE_CHECKING:
    from pydantic_core import ValidationError

_COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "policy-engine": (
        "Decides who may use which AI model under export control, sanctions and vendor rules, and says why.",
        """serve: serve
           decide: decide
           demo: demo
           gateway_check: gateway-check=gateway_check
           freezes: freeze unfreeze""",
    ),
    "policy": (
        "Check and try the rule book.",
        """policy: check test=run_case_files law
           analysis: analyse diff
           impact: impact
           policy_export: export
           desk: propose approve withdraw rollback show
           fetch: fetch""",
    ),
    "members": (
        "Import, export and show members, people, authorisations and lists.",
        """member_changes: changes approve withdraw
           members: import=import_file suspend resume end correct retract export show""",
    ),
    "reviews": ("List, show and close the reviews of held requests.", "reviews: list=list_cases show close"),
    "keys": ("Make, list and revoke API keys.", "keys: create list=list_keys revoke"),
    "log": (
        "Search, show and export the decisions on record.",
        """log: show changes query export=export_log
           log_proofs: verify reindex replay=replay_decision lookback=look_back receipt evidence
           log_proofs: hold holds release retire""",
    ),
    "gateway": ("Hold a gateway's configuration against its profile.", "gateway: lint"),
    "webhooks": (
        "Look after the receivers of webhooks, which are told what ended.",
        "webhooks: list=list_receivers enable secret",
    ),
    "db": ("Look after the database's schema.", "database: upgrade=bring_up current"),
}
"""What each group is for, and line by line its commands: the module below `policy_engine.cli`, then the names, each
with that of its function where that is another."""


class Command(TyperCommand):
    """A command that is imported when it is called; in a list it stands with its docstring alone."""

    def __init__(self, module: str, name: str) -> None:
        self._module, (name, _, function) = module, name.partition("=")
        self._function = function or name
        super().__init__(name)

    @cached_property
    def called(self) -> Any:
        """The whole command, with its options."""
        alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
        alone.command(self.name)(resolve_name(f"policy_engine.cli.{self._module}:{self._function}"))
        return typer.main.get_command(alone)

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """The context of the whole command, which then is what helps, completes and runs."""
        return self.called.make_context(*args, **kwargs)

    def read_help(self) -> None:
        """Have its docstring as its help."""
        self.help = _docstrings(self._module)[self._function]


@cache
def _docstrings(module: str) -> Mapping[str, str | None]:
    """The docstrings of a module's functions, from its text: nothing is imported for them."""
    source = (Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8")
    return {one.name: ast.get_docstring(one) for one in ast.parse(source).body if isinstance(one, ast.FunctionDef)}


class Group(TyperGroup):
    """A group with the commands that the table has for it."""

    def __init__(self, *, name: str, commands: dict[str, Any], **attributes: Any) -> None:
        lines = (line.split() for line in _COMMANDS[name][1].splitlines())
        below = [Command(module.removesuffix(":"), one) for module, *names in lines for one in names]
        super().__init__(name=name, commands=[*below, *commands.values()], **attributes)

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of its commands, each of which can then be asked for its help."""
        for one in self.commands.values():
            if isinstance(one, Command):
                one.read_help()
        return super().list_commands(ctx)


app = typer.Typer(
    name="policy-engine",
    cls=Group,
    help=_COMMANDS["policy-engine"][0],
    epilog="Exit codes: 0 done (decide: allow), 1 a check failed, 2 wrong usage, 3 deny (decide only), 4 unavailable.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for _name, (_help, _) in _COMMANDS.items():
    if _name != "policy-engine":
        app.add_typer(typer.Typer(cls=Group, help=_help, no_args_is_help=True), name=_name)

EXITS: Final[Mapping[str, Exit]] = {
    "pydantic_core._pydantic_core:ValidationError": Exit.USAGE,
    "policy_engine.formats.faults:FaultsError": Exit.FAILED,
    "policy_engine.formats.request_document:MalformedRequest": Exit.USAGE,
    "policy_engine.domain.facts:AssertedValueError": Exit.USAGE,
    "policy_engine.service.gate.keyring:KeyFault": Exit.USAGE,
    "builtins:FileNotFoundError": Exit.USAGE,
    "builtins:IsADirectoryError": Exit.USAGE,
    "builtins:NotADirectoryError": Exit.USAGE,
    "builtins:PermissionError": Exit.USAGE,
    "builtins:OSError": Exit.UNAVAILABLE,
    "policy_engine.cli.settings:DatabaseMissing": Exit.UNAVAILABLE,
    "policy_engine.cli.remote:Misused": Exit.USAGE,
    "policy_engine.app.grpc_part:GrpcMissing": Exit.USAGE,
    "policy_engine.render.parquet:ParquetMissing": Exit.USAGE,
    "policy_engine.app.tracing:TracingMissing": Exit.USAGE,
    "policy_engine.cli.remote:ServiceRefused": Exit.FAILED,
    "policy_engine.cli.remote:ServiceUnavailable": Exit.UNAVAILABLE,
    "policy_engine.domain.ports:MembersUnavailable": Exit.UNAVAILABLE,
    "policy_engine.domain.ports:LogUnavailable": Exit.UNAVAILABLE,
    "policy_engine.store.database:NotDurable": Exit.UNAVAILABLE,
    "policy_engine.service.sealing.sealed_log:HistoryRefused": Exit.UNAVAILABLE,
    "policy_engine.ledger.tiles:LogFault": Exit.UNAVAILABLE,
    "policy_engine.domain.ports:LogDamaged": Exit.FAILED,
    "policy_engine.ledger.witness:WitnessUnreadable": Exit.UNAVAILABLE,
}
"""The exit code of each error that is told in a sentence. By name: whoever raised it has imported it."""


def main() -> None:
    """Run the command line."""
    try:
        app()
    except Exception as error:
        names = (f"{kind.__module__}:{kind.__qualname__}" for kind in type(error).__mro__)
        code = next((EXITS[name] for name in names if name in EXITS), None)
        if code is None:
            raise
        if isinstance(error, FaultsError):
            for fault in error.faults:
                err.print(str(fault), markup=False)
            count = len(error.faults)
            err.print(f"{many(count, 'fault')}; nothing was changed", markup=False)
        else:
            err.print(_sentence(error), markup=False)
        sys.exit(code)


def _sentence(error: Exception) -> str:
    from pydantic_core import ValidationError  # noqa: PLC0415  for an error alone

    if isinstance(error, ValidationError):
        return _told(error)
    if isinstance(error, OSError) and error.strerror is not None:
        why = error.strerror.lower()
        if error.filename is None:
            return f"the output cannot be written: {why}"
        remedy = _REMEDIES.get(type(error), "correct that, and try again")
        return f"`{error.filename}`: {why}; {remedy}"
    return str(error) or type(error).__name__


def _told(error: ValidationError) -> str:
    """What is wrong with the settings, a line for each."""
    return "\n".join(
        f"POLICY_ENGINE_{'_'.join(map(str, fault['loc'])).upper()} is `{fault['input']}`: {_small(fault['msg'])};"
        " `policy-engine serve --help` says what it may be"
        for fault in error.errors()
    )


def _small(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


_REMEDIES: dict[type[OSError], str] = {
    FileNotFoundError: "name one that is there",
    IsADirectoryError: "name a file",
    NotADirectoryError: "name a folder",
    PermissionError: "name one that you may open",
}


if __name__ == "__main__":
    main()
