"""`policy-engine gateway-check`: does a gateway deny when it must?"""

from __future__ import annotations

import ssl
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

import typer
from rich.text import Text

from policy_engine.app.grpc_part import INSTALL, GrpcMissing, require_grpc
from policy_engine.cli.gateway_bench import Bench, Client, Finding, GatewayUnreachable, Plan, SetUpFault, Verdict
from policy_engine.cli.gateway_probes import engine_is_there, examine
from policy_engine.cli.gateway_stand_in import standing_in
from policy_engine.cli.output import Exit, JsonFlag, out, tell
from policy_engine.cli.progress import progress
from policy_engine.cli.remote import Misused, ServiceUnavailable
from policy_engine.domain.counted import many
from policy_engine.domain.gateways import Profile
from policy_engine.formats.faults import one_of
from policy_engine.formats.gateway_profiles import read_profiles
from policy_engine.render.tables import show_rows


def gateway_check(
    url: Annotated[str, typer.Argument(help="The gateway, as http://HOST:PORT or https://HOST:PORT.")],
    *,
    profiles: Annotated[Path, typer.Option(envvar="POLICY_ENGINE_GATEWAYS", help="The file of gateways' profiles.")],
    gateway: Annotated[str | None, typer.Option(help="Which of its profiles; needed where it has several.")] = None,
    stand_in: Annotated[str, typer.Option(help="Where the stand-in listens, for the engine.")] = "127.0.0.1:9701",
    stand_in_grpc: Annotated[
        str | None, typer.Option(help="Where it listens for a gateway that asks over gRPC; nowhere when absent.")
    ] = None,
    upstream: Annotated[str, typer.Option(help="Where the canary listens, for the model.")] = "127.0.0.1:9702",
    allowed: Annotated[str, typer.Option(help="A model that the stand-in allows, as clients write it.")] = "opus-4.6",
    denied: Annotated[str, typer.Option(help="A model that the stand-in denies, as clients write it.")] = "mythos-5",
    path: Annotated[
        list[str] | None,
        typer.Option(
            help="Path of a model request; {model} stands for the name. May be given again to try more paths."
        ),
    ] = None,
    method: Annotated[str, typer.Option(help="How.")] = "POST",
    header: Annotated[
        list[str] | None, typer.Option(help="A header by which the gateway knows its client, as NAME: VALUE.")
    ] = None,
    alias: Annotated[
        list[str] | None, typer.Option(help="A name that the gateway itself turns into the denied model.")
    ] = None,
    declared: Annotated[list[str] | None, typer.Option(help="A header that clients are meant to write.")] = None,
    open_path: Annotated[
        list[str] | None, typer.Option("--open", help="A path that the gateway may pass without asking.")
    ] = None,
    upstream_reads: Annotated[
        str | None,
        typer.Option(
            metavar="HEADER",
            help="The model's server takes the model from this header, which the gateway writes, not from the body.",
        ),
    ] = None,
    any_200: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The gateway reads the status alone: prove instead that URL, to which it is pointed in operation, is"
            " an engine's.",
        ),
    ] = None,
    wait: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for an answer.")] = 65.0,
    ca: Annotated[
        Path | None, typer.Option(help="File of certificates (PEM) that the gateway's certificate is checked against.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Test whether a gateway denies when it must, and say where it does not.

    Point a copy of the gateway's configuration at two addresses that this command listens on: in the engine's place the
    stand-in, which judges by the gateway's profile and can misbehave, and in the model's place the canary, which tells
    whether a request got through. The gateway is then sent honest, forged and ambiguous requests while the stand-in
    answers, hangs, fails, or answers nonsense.

    Never run it against a gateway that serves people: while it runs the stand-in's answers are the gateway's.

    Exit codes: 0 everything was denied that had to be, 1 there is a fault, 2 the set-up or the usage is wrong, 4 the
    gateway cannot be reached or an address cannot be listened on.

    Example: policy-engine gateway-check http://127.0.0.1:8080 --profiles gateways.yaml --allowed opus-4.6
    --denied mythos-5 --header "Authorization: Bearer sk-carol"

    Example: policy-engine gateway-check http://127.0.0.1:8080 --profiles gateways.yaml --gateway edge
    --path "/models/{model}/invoke" --stand-in 127.0.0.1:9701 --upstream 127.0.0.1:9702 --json
    """
    place = _place(url)
    if any_200 is not None:
        _place(any_200)
    profile = _profile(profiles, gateway)
    plan = Plan(
        method=method,
        paths=tuple(path or ("/v1/chat/completions",)),
        headers=tuple(map(_header, header or ())),
        allowed=allowed,
        denied=denied,
        aliases=tuple(alias or ()),
        declared=frozenset(one.lower() for one in declared or ()),
        open_paths=frozenset(open_path or ()),
        any_200=any_200 is not None,
        upstream_reads=None if upstream_reads is None else upstream_reads.lower(),
    )
    if profile.aliases.get(allowed, allowed) == profile.aliases.get(denied, denied):
        raise Misused("--allowed and --denied name one model under the profile's aliases: name two")
    client = Client(place, seconds=wait, trusted=_trusted(ca))
    engine, model = _address(stand_in, "--stand-in"), _address(upstream, "--upstream")
    over_grpc = None if stand_in_grpc is None else _grpc_address(stand_in_grpc)
    findings: list[Finding] = []
    unfit: str | None = None
    try:
        if any_200 is not None:
            findings.append(engine_is_there(any_200, seconds=wait))
        with (
            standing_in(
                profile, profile.aliases.get(allowed, allowed), engine=engine, upstream=model, over_grpc=over_grpc
            ) as servers,
            progress("trying the gateway", shown=not as_json) as done,
        ):
            findings += examine(Bench(client, *servers, plan), lambda made, stage: done(made, stage=stage))
    except GatewayUnreachable as error:
        raise ServiceUnavailable(str(error)) from error
    except SetUpFault as error:
        if error.finding is None:
            raise Misused(str(error)) from error
        findings.append(error.finding)
        unfit = "nothing more was tried"
    _tell(url, findings, unfit, as_json=as_json)


def _place(url: str) -> SplitResult:
    try:
        place = urlsplit(url)
        fits = place.scheme in {"http", "https"} and place.hostname is not None and place.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise Misused(f"`{url}` is not an HTTP address: write http://HOST:PORT")
    return place


def _profile(file: Path, name: str | None) -> Profile:
    held = read_profiles(file.read_bytes(), str(file)).by_gateway
    if name is None and len(held) == 1:
        return next(iter(held.values()))
    if name is None:
        raise Misused(f"`{file}` has {len(held)} profiles: say which with --gateway, {one_of('', tuple(held))}")
    if name not in held:
        raise Misused(f"`{file}` has no profile of `{name}`: {one_of(name, tuple(held))}")
    return held[name]


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or any(sign in text for sign in "\r\n"):
        raise Misused("--header takes NAME: VALUE on one line")
    return name.strip(), value.strip()


def _address(text: str, option: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LAST_PORT:
        raise Misused(f"{option} takes HOST:PORT, such as 127.0.0.1:9701, and was given `{text}`")
    return host.strip("[]"), int(port)


def _grpc_address(text: str) -> tuple[str, int]:
    try:
        require_grpc()
    except GrpcMissing as error:
        raise Misused(f"--stand-in-grpc needs what speaks gRPC, which is not installed here: {INSTALL}") from error
    return _address(text, "--stand-in-grpc")


_LAST_PORT: Final = 65_535


def _trusted(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=None if ca is None else ca.read_text(errors="replace"))
    except ssl.SSLError as error:
        raise Misused(f"`{ca}` holds no certificates in PEM") from error


# --- telling ----------------------------------------------------------------------------------------------------------

_STYLES: Final = {Verdict.FAULT: "bold red", Verdict.KNOWN: "yellow", Verdict.NOTE: "yellow", Verdict.UNTRIED: "dim"}


def _tell(url: str, findings: list[Finding], unfit: str | None, *, as_json: bool) -> None:
    faults = [one for one in findings if one.verdict is Verdict.FAULT]
    counts = {verdict.value: sum(one.verdict is verdict for one in findings) for verdict in Verdict}
    document = {"gateway": url, "faults": len(faults), "counts": counts, "findings": list(map(asdict, findings))}

    def say() -> None:
        _show(findings)
        for one in faults:
            out.print(Text(f"\n{one.group}, {one.probe}: {one.told}", style="bold red"))
            if one.remedy is not None:
                out.print(f"  {one.remedy}", markup=False)
        out.print()
        out.print(_sum(url, findings, faults, unfit), markup=False)

    tell(document, say, as_json=as_json)
    if faults:
        raise typer.Exit(Exit.FAILED)


def _show(findings: list[Finding]) -> None:
    show_rows(
        ("group", "probe", "verdict", "answer", "after", "what was seen"),
        [
            (
                one.group,
                one.probe,
                Text(one.verdict.value, style=_STYLES.get(one.verdict, "")),
                "" if one.status is None else str(one.status),
                "" if one.seconds is None else f"{one.seconds:.2f} s",
                one.told,
            )
            for one in findings
        ],
        where=out,
        spare=("after", "group"),
        right=("after",),
    )


def _sum(url: str, findings: list[Finding], faults: list[Finding], unfit: str | None) -> str:
    denied = sum(one.verdict is Verdict.DENIED for one in findings)
    if faults:
        more = "" if unfit is None else f"; {unfit}"
        return f"{many(len(faults), 'fault')}: {url} lets through what it must deny{more}"
    known = sum(one.verdict is Verdict.KNOWN for one in findings)
    also = f", {known} got through as they do where the status alone is read" if known else ""
    return f"{url} denied what it had to: {many(denied, 'probe')}{also}, no fault"
