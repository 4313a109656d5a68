"""`policy-engine freeze` and `unfreeze`: the emergency stop of the running service."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from policy_engine.cli.output import JsonFlag, out
from policy_engine.cli.remote import open_service
from policy_engine.render.administration_text import tell_freeze
from policy_engine.shapes.administration import FreezeDocument


def freeze(
    *,
    model: Annotated[list[str] | None, typer.Option(help="A model, by its id in the catalogue.")] = None,
    country: Annotated[list[str] | None, typer.Option(help="A country, such as KP.")] = None,
    organisation: Annotated[list[str] | None, typer.Option(help="An organisation on file.")] = None,
    gateway: Annotated[list[str] | None, typer.Option(help="The gateway of the calling keys.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything; cannot be combined with the others.")] = False,
    authority: Annotated[str, typer.Option(help="By whose authority.")],
    reason: Annotated[str, typer.Option(help="Why, for the record and for whoever is denied by it.")],
    until: Annotated[
        str | None, typer.Option(help="When it ends by itself; by default it lasts until it is lifted.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Stop something at once. When this has returned, nothing under it is allowed any more, anywhere.

    Several names of one kind freeze each of them; names of two kinds freeze only what is both.

    Example: policy-engine freeze --model mythos-5 --country KP --authority "chief compliance officer"
    --reason "order of 20 November"
    """
    body = {
        "models": model or [],
        "countries": country or [],
        "organisations": organisation or [],
        "gateways": gateway or [],
        "all": everything,
        "authority": authority,
        "reason": reason,
        "until": until,
    }
    answer = open_service().post("freezes", body=body)
    answer.tell(FreezeDocument, partial(tell_freeze, out=out), as_json=as_json)


def unfreeze(
    name: Annotated[str, typer.Argument(metavar="ID", help="The id of the freeze, as `policy show` has it.")],
    *,
    reason: Annotated[str, typer.Option(help="Why; the second person may leave it out.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Ask to lift a freeze, or confirm what another person asked for: then it is lifted.

    Example: policy-engine unfreeze FREEZE-01K9... --reason "the order was withdrawn"
    """
    open_service().delete("freezes", name, body={"reason": reason}).tell(
        FreezeDocument, partial(tell_freeze, out=out), as_json=as_json
    )
