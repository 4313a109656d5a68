"""Each proxy that asks by forward-auth as its page has it, before a real service with the profiles of the pages."""

from __future__ import annotations

import http.client
import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from policy_engine.app.builder import build
from policy_engine.app.clock import system_clock
from policy_engine.cli.gateway_dialects import Seen
from policy_engine.cli.gateway_stand_in import Canary, standing_in
from tests.api.service import copied
from tests.faults.process import Server, installed, running
from tests.gateways.proxies import PROXIES, Proxy, documented

PROMPT: Final = "a sentence that nobody but the model may read"
ALLOWED: Final = "opus-4.6"
DENIED: Final = "mythos-5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    body: bytes


@dataclass(slots=True, kw_only=True)
class Door:
    """A running proxy, the models behind it, and the service that it asks."""

    proxy: Proxy
    port: int
    key: str
    models: Canary
    server: Server
    folder: Path = field(default_factory=Path)

    def ask(
        self,
        model: str = ALLOWED,
        *,
        client: str | None = "carol",
        lines: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        path: str | None = None,
    ) -> tuple[Answer, list[Seen]]:
        """Ask as a client of the proxy does; its answer, and what reached the models."""
        before = len(self.models.reached)
        named = {} if self.proxy.in_path else {"model": model}
        content = json.dumps({**named, "messages": [PROMPT]}).encode() if body is None else body
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.putrequest("POST", (self.proxy.path if path is None else path).replace("{model}", model))
            login = [] if client is None else [("Authorization", self.proxy.login(client))]
            for name, value in (("Content-Type", "application/json"), *login, *lines):
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(content)))
            connection.endheaders(content)
            response = connection.getresponse()
            return Answer(status=response.status, body=response.read()), self.models.reached[before:]
        finally:
            connection.close()

    def recorded(self, decision: str) -> dict[str, Any]:
        """What is on record of a decision."""
        status, _, body = self.server.request("GET", f"/decisions/{decision}")
        assert status == 200
        held: dict[str, Any] = json.loads(body)
        return held


@contextmanager
def opened(migrated: Path, folder: Path) -> Iterator[dict[str, Door]]:
    """One service with the profiles of all the pages, and each proxy that is installed, as its page has it."""
    installation = installed(copied(migrated, folder), folder)
    together: dict[str, Any] = {}
    for proxy in PROXIES.values():
        together |= yaml.safe_load(proxy.files["gateways.yaml"])["gateways"]
    (folder / "gateways.yaml").write_text(yaml.safe_dump({"gateways": together}, sort_keys=False))
    parts = build(installation.settings)
    try:
        keys = {
            name: parts.ring.create(
                name=name, rights=["decide"], at=system_clock(), random_hex=secrets.token_hex, gateway=name
            ).token
            for name in PROXIES
        }
    finally:
        parts.close()
    anywhere = ("127.0.0.1", 0)
    with ExitStack() as stack:
        environment = {"POLICY_ENGINE_GATEWAYS": str(folder / "gateways.yaml"), "POLICY_ENGINE_LOG_LEVEL": "debug"}
        server = stack.enter_context(running(installation, environment=environment))
        _, models = stack.enter_context(
            standing_in(PROXIES["nginx"].profile, ALLOWED, engine=anywhere, upstream=anywhere)
        )
        found = {}
        for name, proxy in PROXIES.items():
            if proxy.installed:
                url = stack.enter_context(
                    documented(
                        proxy,
                        folder / name,
                        engine=server.port,
                        models=models.listening.address[1],
                        key=keys[name],
                    )
                )
                port = int(url.rpartition(":")[2])
                found[name] = Door(proxy=proxy, port=port, key=keys[name], models=models, server=server, folder=folder)
        yield found
