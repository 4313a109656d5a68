"""The client and the server of `mcp` with the real Envoy between them, by the blocks of both pages."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
import uvicorn
import yaml
from mcp import MCPError
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.mcpserver import MCPServer

from tests.gateways.envoys import (
    PAGE,
    Engine,
    authz_of,
    documented,
    door,
    engine,
    manager_of,
    over_grpc,
    patient,
    token,
)
from tests.gateways.pages import PAGES, blocks
from tests.gateways.stands import models

MCP: Final = blocks(PAGES / "mcp.md")
CANARY: Final = "CANARY-ARGUMENT"


@contextmanager
def tools() -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """A server of two tools: its port, and the calls that they got."""
    called: list[tuple[str, str]] = []
    server = MCPServer("tools", log_level="CRITICAL")

    @server.tool()
    def summarise(text: str) -> str:
        called.append(("summarise", text))
        return "short"

    @server.tool()
    def find_flaws(text: str) -> str:
        called.append(("find_flaws", text))
        return "none"

    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(server.streamable_http_app(), log_level="critical", loop="asyncio")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not running.started and thread.is_alive():
            time.sleep(0.01)
        yield listening.getsockname()[1], called
    finally:
        running.should_exit = True
        thread.join(30)
        listening.close()


def with_mcp(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of Envoy's page with what the page of MCP adds."""
    authz_of(config).update(yaml.safe_load(MCP["with-mcp.yaml"]))
    for host in manager_of(config)["route_config"]["virtual_hosts"]:
        host["routes"].insert(0, yaml.safe_load(MCP["envoy-route-mcp.yaml"]))
    config["static_resources"]["clusters"].append(yaml.safe_load(MCP["envoy-cluster-mcp.yaml"]))
    return config


class Talk:
    """Talks to the tools through Envoy."""

    def __init__(self, url: str, called: list[tuple[str, str]], served: Engine) -> None:
        self.url, self.called, self.engine = url, called, served

    def headers(self, host: str | None = None) -> dict[str, str]:
        more = {} if host is None else {"host": host}
        return {"authorization": f"Bearer {token('carol')}", "x-geo-country": "US", **more}

    def ask(self, does: Callable[[Client], Any]) -> Any:
        """What `does` gives with a client that has begun, or the error of the protocol that it ends with."""

        async def talked() -> Any:
            async with httpx2.AsyncClient(headers=self.headers(), timeout=60) as http:
                transport = streamable_http_client(self.url, http_client=http)
                async with Client(transport) as client:
                    try:
                        return await does(client)
                    except MCPError as error:
                        return error

        return asyncio.run(talked())


@pytest.fixture(scope="module", params=["http", "grpc"])
def talk(request: pytest.FixtureRequest, served: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    folder = tmp_path_factory.mktemp("mcp")
    config = patient(with_mcp(documented() if request.param == "http" else over_grpc(documented())))
    with tools() as (port, called), models() as stand:
        text = json.loads(json.dumps(config).replace('"port_value": 9100', f'"port_value": {port}'))
        http, grpc = served.server.port, served.grpc_port
        with door(text, folder / "envoy", stand, http=http, grpc=grpc, key=served.keys["main"]) as one:
            yield Talk(f"{one.client.base_url}/mcp".replace("//mcp", "/mcp"), called, served)


@pytest.fixture(scope="module")
def served(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    profiles = yaml.safe_load(PAGE["gateways.yaml"])
    profiles["gateways"]["main"]["routes"].append(yaml.safe_load(MCP["route-mcp.yaml"]))
    with engine(migrated, tmp_path_factory.mktemp("engine"), yaml.safe_dump(profiles)) as running:
        yield running


def test_an_allowed_tool_is_called_and_a_denied_one_is_not(talk: Talk) -> None:
    talk.called.clear()
    answer = talk.ask(lambda client: client.call_tool("summarise", {"text": CANARY}))
    assert answer.content[0].text == "short"
    denied = talk.ask(lambda client: client.call_tool("find_flaws", {"text": CANARY}))
    assert isinstance(denied, MCPError)
    assert denied.error.code == -32001
    assert denied.error.data["code"] == "VERIFICATION_NEEDED"
    assert talk.engine.answer(denied.error.data["decision_id"])["allowed"] is False
    assert talk.called == [("summarise", CANARY)]


def test_the_arguments_of_a_tool_are_in_no_file_of_ours(talk: Talk) -> None:
    talk.ask(lambda client: client.call_tool("summarise", {"text": CANARY}))
    folder = talk.engine.server.installation.folder
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert {"service.db", "serve.out"} <= {path.name for path in written}
    assert [path.name for path in written if CANARY.encode() in path.read_bytes()] == []


CALL: Final = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "summarise"}
DENIED: Final[dict[str, dict[str, str]]] = {
    "no version": {"mcp-protocol-version": ""},
    "an older version": {"mcp-protocol-version": "2025-11-25"},
    "a version that is no date": {"mcp-protocol-version": "latest"},
    "no method": {"mcp-method": ""},
    "a method that is in no table": {"mcp-method": "resources/read"},
    "a tool that is in no table": {"mcp-name": "delete_all"},
    "a tool in another case": {"mcp-name": "Summarise"},
    "two tools": {"mcp-name": "summarise,find_flaws"},
}


@pytest.mark.parametrize("what", DENIED)
def test_a_call_that_says_nothing_certain_is_denied_in_the_words_of_json_rpc(talk: Talk, what: str) -> None:
    talk.called.clear()
    head = {**talk.headers(), **CALL, **DENIED[what], "accept": "application/json, text/event-stream"}
    answer = httpx2.post(talk.url, headers=head, json=_body("summarise"), timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, -32001)
    assert talk.called == []


def test_the_server_refuses_the_name_of_one_tool_with_the_body_of_another(talk: Talk) -> None:
    """What the whole of this stands on; the page has its reader try it."""
    talk.called.clear()
    head = {**talk.headers(), **CALL, "accept": "application/json, text/event-stream"}
    answer = httpx2.post(talk.url, headers=head, json=_body("find_flaws"), timeout=60)
    assert (answer.status_code, talk.called) == (400, [])
    assert httpx2.post(talk.url, headers=head, json=_body("summarise"), timeout=60).status_code == 200


def _body(tool: str) -> dict[str, Any]:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    }
    params = {"name": tool, "arguments": {"text": "x"}, "_meta": meta}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
