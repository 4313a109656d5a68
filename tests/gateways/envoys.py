"""The documented configurations of Envoy, put together as the page says, in front of a real service."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
import jwt
import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from policy_engine.app.builder import build
from policy_engine.app.clock import system_clock
from tests.api.service import copied
from tests.faults.process import Installation, Server, installed, running
from tests.gateways.pages import PAGES, blocks, put_all
from tests.gateways.programs import envoy, free_port
from tests.gateways.stands import Models

PAGE: Final = blocks(PAGES / "envoy.md")
AUTHZ: Final = "envoy.filters.http.ext_authz"
_ISSUER_KEY: Final = ec.generate_private_key(ec.SECP256R1())


def jwks() -> str:
    """The keys of the login, as `jwks.json`."""
    key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(_ISSUER_KEY.public_key()))
    return json.dumps({"keys": [{**key, "kid": "1", "alg": "ES256", "use": "sig"}]})


def token(subject: str) -> str:
    """What the login gives somebody."""
    claims = {"iss": "https://login.example.com", "aud": "models", "sub": subject, "exp": int(time.time()) + 3600}
    return jwt.encode(claims, _ISSUER_KEY, "ES256", headers={"kid": "1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A service by the profiles of the pages, and a key for each of its gateways."""

    server: Server
    grpc_port: int
    keys: Mapping[str, str]

    def answer(self, decision: str) -> dict[str, Any]:
        """What was answered, by the record of the decision."""
        status, _, body = self.server.request("GET", f"/decisions/{decision}")
        assert status == 200
        found: dict[str, Any] = json.loads(body)["answer"]
        return found


def revoke(installation: Installation, token: str) -> None:
    """End a key, as an operator does."""
    parts = build(installation.settings)
    try:
        assert parts.ring.revoke(token.split("_")[1], system_clock())
    finally:
        parts.close()


def key_for(installation: Installation, gateway: str) -> str:
    """A gateway's key, made as an operator makes it."""
    parts = build(installation.settings)
    try:
        made = parts.ring.create(
            name=gateway, rights=["decide"], at=system_clock(), random_hex=secrets.token_hex, gateway=gateway
        )
    finally:
        parts.close()
    return made.token


@contextmanager
def engine(migrated: Path, folder: Path, *profiles: str) -> Iterator[Engine]:
    """A real service whose file of gateways holds the profiles of these blocks."""
    together: dict[str, Any] = {}
    for text in profiles:
        together |= yaml.safe_load(text)["gateways"]
    file = folder / "gateways.yaml"
    file.write_text(yaml.safe_dump({"gateways": together}, sort_keys=False))
    installation = installed(copied(migrated, folder), folder)
    keys = {gateway: key_for(installation, gateway) for gateway in together}
    grpc_port = free_port()
    environment = {
        "POLICY_ENGINE_GATEWAYS": str(file),
        "POLICY_ENGINE_GRPC_PORT": str(grpc_port),
        "POLICY_ENGINE_LOG_LEVEL": "debug",
    }
    with running(installation, environment=environment) as server:
        yield Engine(server=server, grpc_port=grpc_port, keys=keys)


def manager_of(config: dict[str, Any]) -> dict[str, Any]:
    """What holds for the listener's requests: its routes and filters."""
    found: dict[str, Any] = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    return found


def filters_of(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The filters that a request passes, in their order."""
    found: list[dict[str, Any]] = manager_of(config)["http_filters"]
    return found


def authz_of(config: dict[str, Any]) -> dict[str, Any]:
    """How the engine is asked."""
    found: dict[str, Any] = next(one for one in filters_of(config) if one["name"] == AUTHZ)["typed_config"]
    return found


def documented() -> dict[str, Any]:
    """The page's configuration: the engine is asked over HTTP, and prompts stay in Envoy."""
    config: dict[str, Any] = yaml.safe_load(PAGE["envoy.yaml"])
    return config


def over_grpc(config: dict[str, Any]) -> dict[str, Any]:
    """With the filter and the cluster that ask over gRPC."""
    filters = filters_of(config)
    filters[[one["name"] for one in filters].index(AUTHZ)] = yaml.safe_load(PAGE["ext_authz-grpc.yaml"])
    config["static_resources"]["clusters"].append(yaml.safe_load(PAGE["cluster-grpc.yaml"]))
    return config


def with_bodies(config: dict[str, Any]) -> dict[str, Any]:
    """With the bodies passed on, for the engine to read the model from."""
    without(config, "envoy.filters.http.json_to_metadata", "write-model")
    authz_of(config).update(yaml.safe_load(PAGE["with-body.yaml"]))
    return config


def without(config: dict[str, Any], *names: str) -> dict[str, Any]:
    """Without these filters."""
    filters = filters_of(config)
    assert {one["name"] for one in filters} >= set(names)
    filters[:] = [one for one in filters if one["name"] not in names]
    return config


def patient(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with its quarter of a second made a minute."""
    made: dict[str, Any] = json.loads(json.dumps(config).replace('"0.25s"', '"60s"'))
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A running Envoy; `ask` sends a client's request to it."""

    client: httpx2.Client
    models: Models

    def ask(
        self,
        path: str = "/v1/chat/completions",
        content: bytes | Iterator[bytes] | None = None,
        *,
        who: str = "carol",
        country: str | None = "US",
        method: str = "POST",
        host: str = "models.example.com",
        headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
    ) -> httpx2.Response:
        """What a client with the token of `who` gets."""
        lines = [("host", host), ("authorization", f"Bearer {token(who)}")]
        if country is not None:
            lines.append(("x-geo-country", country))
        more = list(headers.items()) if isinstance(headers, Mapping) else headers or []
        if content is not None and not any(name == "content-type" for name, _ in more):
            lines.append(("content-type", "application/json"))
        return self.client.request(method, path, headers=[*lines, *more], content=content)


@contextmanager
def door(config: dict[str, Any], folder: Path, models: Models, *, http: int, grpc: int = 1, key: str) -> Iterator[Door]:
    """Envoy by that configuration, with the ports and the key of this test in it."""
    folder.mkdir()
    (folder / "jwks.json").write_text(jwks())
    port = free_port()
    text = yaml.safe_dump(config, sort_keys=False)
    changes = {
        "port_value: 10000": f"port_value: {port}",
        "port_value: 9000": f"port_value: {models.port}",
        "port_value: 8181": f"port_value: {http}",
        "filename: jwks.json": f"filename: {folder / 'jwks.json'}",
        "YOUR-KEY": key,
    }
    if "port_value: 8182" in text:
        changes["port_value: 8182"] = f"port_value: {grpc}"
    with (
        envoy(put_all(text, changes), folder, port),
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        yield Door(client=client, models=models)
