"""What the pages of nginx, HAProxy, Caddy and Traefik print, run before a real service: it allows what the rules allow,
and nothing that a client writes makes it allow more."""

from __future__ import annotations

import http.client
import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from policy_engine.app.builder import build
from policy_engine.app.clock import system_clock
from policy_engine.cli.gateway_bench import Verdict
from policy_engine.cli.gateway_probes import engine_is_there
from policy_engine.cli.gateway_stand_in import Canary, Seen, standing_in
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


@pytest.fixture(scope="module")
def doors(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Door]]:
    """One service with the profiles of all the pages, and each proxy that is installed, as its page has it."""
    folder = tmp_path_factory.mktemp("proxies")
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


@pytest.fixture(params=PROXIES)
def door(request: pytest.FixtureRequest, doors: dict[str, Door]) -> Door:
    if request.param not in doors:
        pytest.skip(f"{request.param} is not installed: apt-get install {request.param}")
    return doors[request.param]


def test_what_is_allowed_gets_through_with_the_decision_that_is_on_record(door: Door) -> None:
    answer, reached = door.ask()
    assert answer.status == 200
    (seen,) = reached
    (decision,) = seen.values("x-decision-id")
    recorded = door.recorded(decision)["answer"]
    assert (recorded["decision"], recorded["model"]["id"]) == ("allow", ALLOWED)
    assert PROMPT.encode() in seen.body


def test_the_models_get_neither_the_gateways_key_nor_the_clients(door: Door) -> None:
    _, (seen,) = door.ask()
    assert seen.values("x-policy-engine-key") == ()
    assert seen.values("authorization") == ()
    assert door.key not in repr(seen.headers)


def test_what_is_denied_is_refused_in_the_engines_words(door: Door) -> None:
    answer, reached = door.ask(DENIED, client="ken")
    assert (answer.status, reached) == (403, [])
    assert json.loads(answer.body)["error"]["code"] == "model_access_denied"


def test_a_client_that_is_nobody_is_refused(door: Door) -> None:
    for client in (None, "mallory"):
        answer, reached = door.ask(client=client)
        assert answer.status in {401, 403}
        assert reached == []


def test_the_gateways_own_key_is_no_login_of_a_client(door: Door) -> None:
    lines = [("Authorization", f"Bearer {door.key}"), ("X-Policy-Engine-Key", door.key), ("X-User-Id", "carol")]
    answer, reached = door.ask(client=None, lines=lines)
    assert answer.status in {401, 403}
    assert reached == []


FORGED: Final = {
    "X-User-Id": "carol",
    "X-Model": ALLOWED,
    "X-Country": "US",
    "X-Purpose": "defensive_cybersecurity",
    "X-Forwarded-Uri": "/models/opus-4.6/invoke",
    "X-Forwarded-Method": "POST",
    "X-Original-URI": "/models/opus-4.6/invoke",
    "X-Original-Method": "POST",
    "X-Policy-Engine-Key": "pe_forged",
    "X-Decision-Id": "01FORGED000000000000000000",
    "Connection": "close, X-User-Id, X-Decision-Id, X-Policy-Engine-Key, X-Model",
}


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("name", FORGED)
def test_a_header_of_the_clients_own_opens_nothing(door: Door, name: str, times: int) -> None:
    lines = [(name, FORGED[name])] * times
    answer, reached = door.ask(DENIED, client="ken", lines=lines)
    assert answer.status in {400, 403}
    assert reached == []


def test_a_decision_of_the_clients_own_does_not_reach_the_models(door: Door) -> None:
    for times in (1, 2):
        _, (seen,) = door.ask(lines=[("X-Decision-Id", FORGED["X-Decision-Id"])] * times)
        (decision,) = seen.values("x-decision-id")
        assert decision != FORGED["X-Decision-Id"]
        assert door.recorded(decision)["answer"]["decision"] == "allow"


BODIES: Final = {
    "two members, the denied one last": b'{"model":"opus-4.6","model":"mythos-5"}',
    "two members, the denied one first": b'{"model":"mythos-5","model":"opus-4.6"}',
    "an escaped member after": b'{"model":"opus-4.6","\\u006dodel":"mythos-5"}',
    "an escaped member before": b'{"\\u006dodel":"mythos-5","model":"opus-4.6"}',
    "a member in a string before": b'{"x":"\\"model\\":\\"opus-4.6\\"","model":"mythos-5"}',
    "a member of an object before": b'{"x":{"model":"opus-4.6"},"model":"mythos-5"}',
    "a list": b'{"model":["opus-4.6","mythos-5"]}',
    "fallbacks": b'{"model":"opus-4.6","fallbacks":["mythos-5"]}',
    "models": b'{"model":"opus-4.6","models":["mythos-5"]}',
    "a byte-order mark": b'\xef\xbb\xbf{"model":"mythos-5"}',
    "nothing": b"",
    "an array": b'[{"model":"opus-4.6"}]',
    "in capitals": b'{"model":"OPUS-4.6"}',
    "with a blank": b'{"model":"opus-4.6 "}',
    "a look-alike letter": '{"model":"\u043epus-4.6"}'.encode(),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_names_no_model_in_one_certain_way_is_denied(door: Door, name: str) -> None:
    if door.proxy.in_path:
        # The name is in the path, and the same names are denied there.
        answer, reached = door.ask({"in capitals": "OPUS-4.6", "with a blank": "opus-4.6%20"}.get(name, DENIED))
    else:
        answer, reached = door.ask(client="carol", body=BODIES[name])
    assert answer.status == 403
    assert reached == []


NAMES: Final = (
    *("opus-4.6/../mythos-5", "opus-4.6/%2e%2e/mythos-5", "opus-4.6%2f..%2fmythos-5", "%6dythos-5"),
    *("opus-4.6/..;/mythos-5", "opus-4.6\\..\\mythos-5", "./mythos-5", "/mythos-5"),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_path_that_programs_read_differently_is_denied(door: Door, name: str) -> None:
    answer, reached = door.ask(name, path="/models/{model}/invoke")
    assert answer.status in {400, 403, 404}
    assert reached == []


def test_no_prompt_and_no_key_of_a_client_comes_to_the_engine(door: Door) -> None:
    door.ask()
    door.ask(DENIED, client="ken")
    held = [file for file in door.folder.glob("*") if file.is_file()] + list((door.folder / "ledger").rglob("*"))
    for file in held:
        if file.is_file():
            data = file.read_bytes()
            assert PROMPT.encode() not in data, file
            assert b"sk-carol" not in data, file


def test_without_a_key_the_service_is_known_as_an_engine(doors: dict[str, Door]) -> None:
    port = doors["nginx"].server.port
    assert engine_is_there(f"http://127.0.0.1:{port}/forward-auth", seconds=60).verdict is Verdict.OK
