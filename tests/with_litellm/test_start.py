"""LiteLLM with the plugin starts where the plugin is called before each request, and nowhere else."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.gateways.programs import ended, free_port, started
from tests.with_litellm.conftest import environment
from tests.with_litellm.programs import LITELLM, blocks

PLUGIN: Final = "policy_engine.gateways.litellm.instance"


def test_the_plugin_needs_nothing_of_the_engine_but_its_own_two_files() -> None:
    assert [name for name in ("casbin", "sqlalchemy", "msgspec", "structlog") if find_spec(name)] == []
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, policy_engine.gateways.litellm as _\n"
            "print(*sorted(name for name in sys.modules if name.startswith('policy_e')))",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    rooms = ["policy_engine", "policy_engine.gateways"]
    assert told.stdout.split() == [*rooms, f"{rooms[1]}.litellm", f"{rooms[1]}.questions"]


@pytest.mark.parametrize("place", ["success_callback", "failure_callback"])
def test_it_does_not_start_where_it_would_not_be_called(tmp_path: Path, place: str) -> None:
    said = _refused(tmp_path, {place: [PLUGIN]}, environment("http://127.0.0.1:9", "pe_1_2"))
    assert f"{PLUGIN} stands where LiteLLM would not call it" in said
    assert f"callbacks: [{PLUGIN}]" in said


def test_it_does_not_start_without_a_key_of_the_engine(tmp_path: Path) -> None:
    said = _refused(tmp_path, {"callbacks": [PLUGIN]}, environment("http://127.0.0.1:9", ""))
    assert "the engine's key is missing" in said
    assert "POLICY_ENGINE_PLUGIN_KEY_FILE" in said


def _refused(folder: Path, settings: dict[str, list[str]], variables: dict[str, str]) -> str:
    """What LiteLLM says as it ends."""
    page = blocks()
    (folder / "users.py").write_text(page["users.py"], encoding="utf-8")
    config = yaml.safe_load(page["litellm.yaml"]) | {"litellm_settings": settings}
    (folder / "litellm.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    log = folder / "litellm.log"
    command: list[str | Path] = [LITELLM, "--config", "litellm.yaml", "--host", "127.0.0.1", "--port", str(free_port())]
    process = started(command, log=log, environment=variables)
    try:
        assert process.wait(300) != 0
    finally:
        ended(process)
    said = log.read_text(errors="replace")
    # It ends before it listens; what it says of its startup comes while it ends.
    assert "Uvicorn running on" not in said
    return said
