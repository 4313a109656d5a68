"""A real LiteLLM proxy by the configuration of the documentation, a real engine, and a provider who knows every model.

Run by `make test-gateways`, in an environment in which nothing of the engine but its files is installed; the engine
runs from its own.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from tests.gateways.programs import free_port
from tests.with_litellm.programs import ENGINE, LITELLM, ROOT, Between, Provider, between, blocks, provider, running

CAROL: Final = {"Authorization": "Bearer sk-carol"}
"""A citizen of the United States, who may use opus-4.6."""

KEN: Final = {"Authorization": "Bearer sk-ken"}
"""An employee of a company under a Chinese parent, to whom it is denied."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """LiteLLM and what stands around it."""

    url: str
    client: httpx.Client
    provider: Provider
    between: Between
    engine: str
    engine_folder: Path
    key: dict[str, str]
    folder: Path


class EngineRuns:
    """An engine with the demonstration roster on a database of its own."""

    def __init__(self, folder: Path, profiles: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "gateways.yaml").write_text(extended_profiles(profiles), encoding="utf-8")
        self.environment = {
            "POLICY_ENGINE_DATABASE_URL": f"sqlite:///{folder / 'engine.db'}",
            "POLICY_ENGINE_POLICIES": str(ROOT / "policies"),
            "POLICY_ENGINE_GATEWAYS": str(folder / "gateways.yaml"),
            "POLICY_ENGINE_LEDGER": str(folder / "ledger"),
            "POLICY_ENGINE_WITNESS": str(folder / "witness"),
            "POLICY_ENGINE_LOG_KEY": str(folder / "log.key"),
            "POLICY_ENGINE_PORT": str(self.port),
        }

    def command(self, *arguments: str) -> str:
        """What a command of the engine says."""
        done = subprocess.run(  # noqa: S603  this project
            [str(ENGINE), *arguments],
            cwd=self.folder,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRuns]:
    """An engine that serves."""
    made = EngineRuns(tmp_path_factory.mktemp("engine"), blocks()["gateways.yaml"])
    made.command("db", "upgrade")
    roster = str(ROOT / "policies" / "demo" / "roster.yaml")
    made.command("members", "import", roster, "--offline", "--reason", "test")
    with running(
        [ENGINE, "serve"], url=f"{made.url}/readyz", log=made.folder / "engine.log", environment=made.environment
    ):
        yield made


@pytest.fixture(scope="session")
def gateway(engine: EngineRuns, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The proxy of the page, with a provider in the place of answers that are made up, and more models."""
    folder = tmp_path_factory.mktemp("litellm")
    key = json.loads(engine.command("keys", "create", "litellm", "--role", "gateway", "--gateway", "main", "--json"))
    page = blocks()
    (folder / "users.py").write_text(page["users.py"], encoding="utf-8")
    port = free_port()
    with ExitStack() as stack:
        models = stack.enter_context(provider())
        middle = stack.enter_context(between(engine.url))
        config = extended(yaml.safe_load(page["litellm.yaml"]), models.url)
        (folder / "litellm.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        stack.enter_context(
            running(
                [LITELLM, "--config", "litellm.yaml", "--host", "127.0.0.1", "--port", str(port)],
                url=f"http://127.0.0.1:{port}/health/liveliness",
                log=folder / "litellm.log",
                environment=environment(middle.url, key["token"]),
            )
        )
        url = f"http://127.0.0.1:{port}"
        client = stack.enter_context(httpx.Client(base_url=url, trust_env=False, timeout=30))
        yield Gateway(
            url=url,
            client=client,
            provider=models,
            between=middle,
            engine=engine.url,
            engine_folder=engine.folder,
            key={"Authorization": f"Bearer {key['token']}"},
            folder=folder,
        )


def environment(engine: str, key: str) -> dict[str, str]:
    """The environment of the proxy, as the page says it."""
    return {
        "POLICY_ENGINE_PLUGIN_URL": engine,
        "POLICY_ENGINE_PLUGIN_KEY": key,
        "POLICY_ENGINE_PLUGIN_ATTRIBUTES": "user_id,key.country,key.purpose",
        "POLICY_ENGINE_PLUGIN_HEADERS": "x-purpose",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MASTER_KEY": f"sk-{secrets.token_hex(32)}",
        "NO_PROXY": "*",
    }


def extended(config: dict[str, Any], url: str) -> dict[str, Any]:
    """The configuration with a real provider, and with what the checks need beside it."""

    def model(name: str, deployed: str) -> dict[str, Any]:
        params = {"model": deployed, "api_base": f"{url}/v1", "api_key": "none"}
        return {"model_name": name, "litellm_params": params}

    for one in config["model_list"]:
        params = one["litellm_params"]
        assert params.pop("mock_response")
        params["api_base"] = f"{url}/v1"
    config["model_list"] += [
        model("fable-5", "openai/fable-5"),
        model("primary", "openai/broken-a"),
        model("wild/*", "openai/*"),
        model("anthropic-opus", "anthropic/opus-4.6"),
        model("rerank-opus", "cohere/opus-4.6"),
    ]
    config["files_settings"] = [{"custom_llm_provider": "openai", "api_base": f"{url}/v1", "api_key": "none"}]
    config["router_settings"] = {
        "num_retries": 0,
        "model_group_alias": {"mythos": "mythos-5", "hidden": {"model": "mythos-5", "hidden": True}},
        "fallbacks": [{"primary": ["mythos-5", "opus-4.6"]}],
    }
    config["general_settings"]["pass_through_endpoints"] = [
        {"path": "/raw", "target": f"{url}/v1/chat/completions", "headers": {"authorization": "Bearer x"}, "auth": True}
    ]
    return config


def extended_profiles(page: str) -> str:
    """The profiles with what the checks name beside what the page does."""
    document = yaml.safe_load(page)
    main = document["gateways"]["main"]
    main["aliases"] |= {
        "anthropic-opus": "opus-4.6",
        "anthropic/opus-4.6": "opus-4.6",
        "rerank-opus": "opus-4.6",
        "cohere/opus-4.6": "opus-4.6",
        "primary": "opus-4.6",
        "openai/broken-a": "opus-4.6",
        "wild/opus-4.6": "opus-4.6",
    }
    main["routes"].append({"method": "POST", "path": "/raw", "action": "infer"})
    text: str = yaml.safe_dump(document)
    return text


@pytest.fixture(autouse=True)
def _fresh(request: pytest.FixtureRequest) -> None:
    """Before each test nothing was asked and nobody reached, and the engine is itself."""
    if "gateway" in request.fixturenames:
        gateway: Gateway = request.getfixturevalue("gateway")
        gateway.between.behave()
        gateway.provider.reached.clear()
