"""`policy-engine serve`: the service, and with --demo everything that it needs to be tried."""

from __future__ import annotations

import errno
import os
import resource
import socket
from contextlib import suppress
from inspect import cleandoc
from typing import Annotated, Final

import typer
import uvicorn

from policy_engine.app import grpc_part
from policy_engine.app.application_log import configure_logging
from policy_engine.app.settings import Settings
from policy_engine.cli.demonstration import demonstration_document, set_up, tell
from policy_engine.cli.output import Exit, JsonFlag, err, print_json
from policy_engine.cli.remote import Misused, RemoteSettings, ServiceUnavailable
from policy_engine.cli.settings import checked_settings, settings_with_database
from policy_engine.http.connections import Limits, guarded


def serve(
    *,
    demo: Annotated[
        bool,
        typer.Option("--demo", help="Set up the database, import the demonstration roster, make demonstration keys."),
    ] = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Put the folder of the rule book in force whenever it is saved, checked and green."
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Run the service (POST /decide and the other routes) until Ctrl-C.

    With --json one document on standard output says where it serves, as soon as it does; with --demo it has the keys
    too.

    Example: policy-engine serve

    Example: POLICY_ENGINE_PORT=8282 policy-engine serve --demo --json
    """
    if watch:
        os.environ["POLICY_ENGINE_WATCH"] = "true"
    settings = checked_settings() if demo else settings_with_database()
    configure_logging(settings.log_level)
    _require_files(settings.connections)
    with _listening(settings.host, settings.port, "PORT") as listener:
        _require_grpc_port(settings)
        base = f"http://{settings.host}:{listener.getsockname()[1]}"
        told: dict[str, object] = {"url": base}
        if demo:
            demonstration = set_up(settings)
            told |= demonstration_document(demonstration)
            if not as_json:
                tell(demonstration, base)
        server = _Server(_configured(settings), base=base, document=told if as_json else None)
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
    if not server.started:
        raise typer.Exit(Exit.UNAVAILABLE)


def _configured(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        # The factory is named, not imported: one process builds the parts once, in the server's own process.
        "policy_engine.asgi:from_environment",
        factory=True,
        http=guarded(
            Limits(
                header_bytes=settings.header_bytes,
                headers=settings.headers,
                request_seconds=settings.request_seconds,
                connections=settings.connections,
                connections_per_address=settings.connections_per_address,
            )
        ),
        ws="none",
        timeout_keep_alive=settings.keep_alive_seconds,
        loop="uvloop",
        log_config=None,
        log_level="warning",
        access_log=False,
        # Nobody here asks from which address a request came.
        proxy_headers=False,
        server_header=False,
    )


class _Server(uvicorn.Server):
    """Says that it serves once it does, and not before."""

    def __init__(self, config: uvicorn.Config, *, base: str, document: dict[str, object] | None = None) -> None:
        """`document` is printed for programs then."""
        super().__init__(config)
        self._base = base
        self._document = document

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            grpc = self.lifespan.state.get(grpc_part.ADDRESS)
            # Whether or not anybody can be told.
            with suppress(OSError):
                if self._document is not None:
                    print_json(self._document if grpc is None else {**self._document, "grpc": grpc})
                beside = "" if grpc is None else f" gRPC for Envoy on {grpc};"
                err.print(f"\nserving on {self._base};{beside} stop with Ctrl-C", markup=False)


def _require_grpc_port(settings: Settings) -> None:
    """Raises `Misused`, `GrpcMissing`, and `ServiceUnavailable` for a port that cannot be had."""
    if settings.grpc_port is None:
        return
    if settings.grpc_port == settings.port != 0:
        told = f"POLICY_ENGINE_PORT and POLICY_ENGINE_GRPC_PORT are both {settings.port}: give gRPC a port of its own"
        raise Misused(told)
    grpc_part.require_grpc()
    _listening(settings.host, settings.grpc_port, "GRPC_PORT").close()


def _listening(host: str, port: int, setting: str) -> socket.socket:
    """A socket that listens, taken before anything else is done. Raises `ServiceUnavailable` where it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = f"is taken by another program: stop that one, or choose another port with POLICY_ENGINE_{setting}"
        else:
            reason = (error.strerror or type(error).__name__).lower()
            why = f"cannot be listened on ({reason}): correct POLICY_ENGINE_HOST and POLICY_ENGINE_{setting}"
        raise ServiceUnavailable(f"port {port} of {host} {why}") from error


_BACKLOG: Final = 2048


_SETTINGS = "\n\n".join(
    f"POLICY_ENGINE_{name.upper()} (default {field.default}): {field.description}"
    for name, field in Settings.model_fields.items()
)
_CLIENT = "\n\n".join(
    f"POLICY_ENGINE_{name.upper()}: {field.description}" for name, field in RemoteSettings.model_fields.items()
)
serve.__doc__ = f"""{cleandoc(serve.__doc__ or "")}

Settings are environment variables:

{_SETTINGS}

Commands that a person does through the service (policy propose and approve, freeze, reviews, log hold) read two more:

{_CLIENT}
"""

_FILES_BESIDE: Final = 128
"""Files that the service holds open beside its connections, at the most: database, log, libraries."""


def _require_files(connections: int) -> None:
    """Have the system allow as many open files as there may be connections. Raises `Misused` where it will not."""
    needed = connections + _FILES_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise Misused(
            f"POLICY_ENGINE_CONNECTIONS is {connections}, for which {needed} open files are needed and the system"
            f" allows {hard}: raise the limit (`ulimit -Hn`, LimitNOFILE= of systemd), or allow fewer connections"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
