"""The page of LiteLLM, followed as it stands: its commands start the proxy, and its questions are answered."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.gateways.programs import free_port
from tests.with_litellm.programs import PAGE, ROOT, blocks, running


def test_whoever_copies_the_page_is_answered_as_it_says(tmp_path: Path) -> None:
    page, engine, port = blocks(), free_port(), free_port()
    (tmp_path / "gateway").mkdir()
    for name in ("gateways.yaml", "litellm.yaml", "users.py"):
        (tmp_path / "gateway" / name).write_text(page[name], encoding="utf-8")
    for name in (".venv", ".venv-gateways", "policies"):
        (tmp_path / name).symlink_to(ROOT / name)
    here = {"http://127.0.0.1:8181": f"http://127.0.0.1:{engine}", "--port 4000": f"--port {port}"}
    start, ask = page["start.sh"], page["ask.sh"].replace("127.0.0.1:4000", f"127.0.0.1:{port}")
    for printed, used in here.items():
        assert printed in start
        start = start.replace(printed, used)
    with (
        running(
            ["sh", "-ec", page["serve.sh"]],
            url=f"http://127.0.0.1:{engine}/readyz",
            log=tmp_path / "engine.log",
            environment={"POLICY_ENGINE_PORT": str(engine)},
        ),
        running(
            ["sh", "-ec", start],
            url=f"http://127.0.0.1:{port}/health/liveliness",
            log=tmp_path / "litellm.log",
            environment={},
        ),
    ):
        told = subprocess.run(["sh", "-ec", ask], capture_output=True, text=True, check=True)  # noqa: S603, S607
    carol, ken = (json.loads(line) for line in told.stdout.splitlines() if line)
    assert carol["choices"][0]["message"]["content"] == "This is opus-4.6."
    assert ken["error"]["code"] == "403"
    assert "every model that is named has an entry" in (tmp_path / "litellm.log").read_text(errors="replace")


@pytest.mark.parametrize("word", ["1.108.7", "openai 3.57.0", "anthropic 2.14.0"])
def test_the_page_names_the_versions_that_are_locked(word: str) -> None:
    assert word in PAGE.read_text(encoding="utf-8")
    locked = (ROOT / "requirements" / "litellm.txt").read_text(encoding="utf-8")
    package = word.replace(" ", "==") if " " in word else f"litellm=={word}"
    assert f"\n{package} \\" in locked
