"""`policy-engine gateway-check` on LiteLLM: no fault of the page's configuration, and one where the plugin is not."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.gateways.programs import free_port
from tests.with_litellm.conftest import environment
from tests.with_litellm.programs import LITELLM, ROOT, blocks, running


@contextmanager
def proxy(folder: Path, engine: int, models: int, **settings: Any) -> Iterator[str]:
    """The proxy of the page with a provider on that port, and other `litellm_settings` where they are given."""
    page, port = blocks(), free_port()
    (folder / "users.py").write_text(page["users.py"], encoding="utf-8")
    (folder / "gateways.yaml").write_text(page["gateways.yaml"], encoding="utf-8")
    config = yaml.safe_load(page["litellm.yaml"]) | settings
    for one in config["model_list"]:
        params = one["litellm_params"]
        assert params.pop("mock_response")
        params["api_base"] = f"http://127.0.0.1:{models}/v1"
    (folder / "litellm.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    with running(
        [LITELLM, "--config", "litellm.yaml", "--host", "127.0.0.1", "--port", str(port)],
        url=f"http://127.0.0.1:{port}/health/liveliness",
        log=folder / "litellm.log",
        environment=environment(f"http://127.0.0.1:{engine}", "pe_key_key"),
    ):
        yield f"http://127.0.0.1:{port}"


def checked(folder: Path, url: str, engine: int, models: int) -> tuple[int, dict[str, Any]]:
    """The page's command at the addresses of this test: its exit code, and what it found."""
    (folder / ".venv").symlink_to(ROOT / ".venv")
    command = blocks()["check.sh"].rstrip()
    for printed, used in {"http://127.0.0.1:4000": url, "gateway/gateways.yaml": "gateways.yaml"}.items():
        assert printed in command
        command = command.replace(printed, used)
    at = f"--stand-in 127.0.0.1:{engine} --upstream 127.0.0.1:{models} --json"
    done = subprocess.run(  # noqa: S603  the page's own
        ["sh", "-c", f"{command} {at}"],  # noqa: S607
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, found


def test_the_documented_proxy_denies_whatever_it_has_to(tmp_path: Path) -> None:
    engine, models = free_port(), free_port()
    with proxy(tmp_path, engine, models) as url:
        code, found = checked(tmp_path, url, engine, models)
    assert [one for one in found["findings"] if one["verdict"] in {"fault", "known"}] == []
    assert code == 0
    denied = {one["group"] for one in found["findings"] if one["verdict"] == "denied"}
    assert denied == {"set-up", "names", "headers", "paths", "time", "failures"}
    assert "a model in `extra_body`" in {one["probe"] for one in found["findings"]}
    failures = [one for one in found["findings"] if one["group"] == "failures"]
    assert len(failures) == 21
    assert {one["status"] for one in failures} == {503}
    assert all(one["seconds"] < 1.5 for one in failures)


def test_a_proxy_that_asks_nobody_is_found_out(tmp_path: Path) -> None:
    engine, models = free_port(), free_port()
    with proxy(tmp_path, engine, models, litellm_settings={}) as url:
        code, found = checked(tmp_path, url, engine, models)
    assert code == 1
    (fault,) = (one for one in found["findings"] if one["verdict"] == "fault")
    assert "the engine was not asked" in fault["told"]
