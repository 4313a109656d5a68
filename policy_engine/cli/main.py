"""`policy-engine`: every command, and the one place where an error becomes a sentence and an exit code."""

from __future__ import annotations

import sys

import typer
from pydantic import ValidationError

from policy_engine.cli import (
    database,
    decide,
    demo,
    desk,
    fetch,
    freezes,
    keys,
    log,
    log_proofs,
    members,
    policy,
    reviews,
    serve,
)
from policy_engine.cli.output import Exit, err
from policy_engine.cli.remote import Misused, Refused, ServiceUnavailable
from policy_engine.cli.settings import DatabaseMissing, told
from policy_engine.domain.counted import many
from policy_engine.domain.facts import AssertedValueError
from policy_engine.domain.ports import LogDamaged, LogUnavailable, MembersUnavailable
from policy_engine.formats.faults import FaultsError
from policy_engine.formats.request_document import MalformedRequest
from policy_engine.ledger.tiles import LogFault
from policy_engine.ledger.witness import WitnessUnreadable
from policy_engine.service.keyring import KeyFault
from policy_engine.service.parquet import ParquetMissing
from policy_engine.service.sealing import HistoryRefused
from policy_engine.store.database import NotDurable

app = typer.Typer(
    name="policy-engine",
    help="Decides who may use which AI model under export control, sanctions and vendor rules, and says why.",
    epilog="Exit codes: 0 done (decide: allow), 1 a check failed, 2 wrong usage, 3 deny (decide only), 4 unavailable.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("serve")(serve.serve)
app.command("decide")(decide.decide)
app.command("demo")(demo.demo)
app.command("freeze")(freezes.freeze)
app.command("unfreeze")(freezes.unfreeze)
for command in (desk.propose, desk.approve, desk.withdraw, desk.rollback, desk.show):
    policy.app.command(command.__name__)(command)
policy.app.command("fetch")(fetch.fetch)
app.add_typer(policy.app, name="policy")
app.add_typer(members.app, name="members")
app.add_typer(reviews.app, name="reviews")
app.add_typer(keys.app, name="keys")
log_proofs.register(log.app)
app.add_typer(log.app, name="log")
app.add_typer(database.app, name="db")

_EXITS: dict[type[Exception], Exit] = {
    ValidationError: Exit.USAGE,
    FaultsError: Exit.FAILED,
    MalformedRequest: Exit.USAGE,
    AssertedValueError: Exit.USAGE,
    KeyFault: Exit.USAGE,
    FileNotFoundError: Exit.USAGE,
    IsADirectoryError: Exit.USAGE,
    NotADirectoryError: Exit.USAGE,
    PermissionError: Exit.USAGE,
    OSError: Exit.UNAVAILABLE,
    DatabaseMissing: Exit.UNAVAILABLE,
    Misused: Exit.USAGE,
    ParquetMissing: Exit.USAGE,
    Refused: Exit.FAILED,
    ServiceUnavailable: Exit.UNAVAILABLE,
    MembersUnavailable: Exit.UNAVAILABLE,
    LogUnavailable: Exit.UNAVAILABLE,
    NotDurable: Exit.UNAVAILABLE,
    HistoryRefused: Exit.UNAVAILABLE,
    LogFault: Exit.UNAVAILABLE,
    LogDamaged: Exit.FAILED,
    WitnessUnreadable: Exit.UNAVAILABLE,
}


def main() -> None:
    """Run the command line."""
    try:
        app()
    except tuple(_EXITS) as error:
        if isinstance(error, FaultsError):
            for fault in error.faults:
                err.print(str(fault), markup=False)
            count = len(error.faults)
            err.print(f"{many(count, 'fault')}; nothing was changed", markup=False)
        else:
            err.print(_sentence(error), markup=False)
        sys.exit(next(_EXITS[kind] for kind in type(error).__mro__ if kind in _EXITS))


def _sentence(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return told(error)
    if isinstance(error, OSError) and error.strerror is not None:
        why = error.strerror.lower()
        if error.filename is None:
            return f"the output cannot be written: {why}"
        remedy = _REMEDIES.get(type(error), "see to it, and try again")
        return f"`{error.filename}`: {why}; {remedy}"
    return str(error) or type(error).__name__


_REMEDIES: dict[type[OSError], str] = {
    FileNotFoundError: "name one that is there",
    IsADirectoryError: "name a file",
    NotADirectoryError: "name a folder",
    PermissionError: "name one that you may open",
}


if __name__ == "__main__":
    main()
