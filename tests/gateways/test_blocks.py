"""Every block that a page for gateways prints is run or read by a test; a new one without a test is a fault here."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Final

import pytest

from policy_engine.app.settings import Settings
from tests.cli.test_cli import Shell, shell  # noqa: F401  a fixture
from tests.conftest import ROOT
from tests.gateways.pages import PAGES, blocks, command_of, printed
from tests.gateways.proxies import PROXIES

HERE: Final = "tests/gateways/test_blocks.py::"
PROXY: Final = (
    "tests/gateways/test_proxy_pages.py::test_what_is_allowed_gets_through_with_the_decision_that_is_on_record"
)
CHECKED: Final = "tests/gateways/test_gateway_check.py::test_a_documented_configuration_denies_whatever_it_has_to"
ENVOY: Final = "tests/gateways/test_envoy.py::"
MCP: Final = "tests/gateways/test_mcp.py::"
PAGE: Final = "tests/gateways/test_pages.py::"
LITELLM: Final = "tests/with_litellm/test_page.py::test_whoever_copies_the_page_is_answered_as_it_says"
MADE: Final = f"{HERE}test_a_command_that_makes_a_key_makes_one"
ENVOYS_CHECK: Final = "tests/gateways/test_gateway_check.py::test_the_documented_envoy_denies_whatever_it_has_to"

_ALLOW: Final = f"{ENVOY}test_an_allow_goes_on_with_the_decision_that_is_on_record"

TESTED: Final[dict[str, dict[str, str]]] = {
    "README.md": {},
    "authzen.md": {
        "evaluation.json": f"{PAGE}test_the_question_of_the_page_of_authzen_is_allowed",
        "curl": f"{HERE}test_the_question_of_the_page_of_authzen_is_a_command_that_is_answered",
    },
    "callers.md": {
        "policy-engine keys create": f"{HERE}test_the_commands_by_which_a_key_is_changed_do_so",
        "POLICY_ENGINE_TOKEN_ISSUER": f"{HERE}test_the_settings_of_the_page_of_callers_are_settings",
        "gateways:": "tests/gateways/test_callers.py::test_the_profile_of_the_page_is_read_as_it_says",
    },
    "envoy.md": {
        "export": f"{ENVOY}test_two_keys_of_a_gateway_live_together_and_a_revoked_one_opens_no_door",
        "gateways.yaml": _ALLOW,
        "envoy.yaml": _ALLOW,
        "ext_authz-grpc.yaml": _ALLOW,
        "cluster-grpc.yaml": _ALLOW,
        "context-extensions.yaml": f"{ENVOY}test_a_host_says_its_purpose_over_grpc_without_a_header",
        "with-body.yaml": _ALLOW,
        "gateways-body.yaml": _ALLOW,
        "policy-engine gateway-check": ENVOYS_CHECK,
    },
    "gateway-check.md": {
        "policy-engine gateway-check": "tests/gateways/test_gateway_check.py::"
        "test_a_gateway_that_denies_what_it_must_is_exit_0_and_no_secret_is_told",
    },
    "litellm.md": {
        "git clone": f"{HERE}test_what_the_page_of_litellm_has_made_is_a_target_of_make",
        "gateways.yaml": LITELLM,
        "litellm.yaml": LITELLM,
        "users.py": LITELLM,
        "serve.sh": LITELLM,
        "start.sh": LITELLM,
        "ask.sh": LITELLM,
        "check.sh": "tests/with_litellm/test_gateway_check.py::test_the_documented_proxy_denies_whatever_it_has_to",
    },
    "mcp.md": {
        **dict.fromkeys(
            ("route-mcp.yaml", "envoy-route-mcp.yaml", "envoy-cluster-mcp.yaml", "with-mcp.yaml"),
            f"{MCP}test_an_allowed_tool_is_called_and_a_denied_one_is_not",
        ),
        '{"jsonrpc"': "tests/gateways/test_grpc_check.py::test_an_mcp_call_is_denied_in_the_words_of_json_rpc",
    },
    "opa.md": dict.fromkeys(
        ("gateways.yaml", "input.json"),
        f"{PAGE}test_the_input_of_the_page_of_the_open_policy_agents_shape_is_allowed",
    ),
    "python.md": {
        "ask.py": f"{PAGE}test_the_client_of_the_page_of_python_is_answered_and_denied_where_nobody_answers",
        "app.py": f"{PAGE}test_the_middleware_of_the_page_of_python_protects_its_application",
        "inside.py": f"{PAGE}test_the_engine_of_the_page_of_python_decides_in_its_own_process",
    },
    **{
        f"{name}.md": {
            **dict.fromkeys(proxy.files, PROXY),
            "policy-engine keys create": MADE,
            "policy-engine gateway-check": CHECKED,
        }
        for name, proxy in PROXIES.items()
    },
}
"""By page and by the name or the first words of a block."""

APART: Final = {"watch.md", "webhooks.md"}
"""What is told unasked: their tests are those of listeners and receivers."""

_NAMED: Final = re.compile(r"(?:#|//|--) (\S+)\n")


def _called(block: str, known: dict[str, str]) -> str:
    named = _NAMED.match(block)
    if named is not None:
        return named[1]
    return next((words for words in known if block.startswith(words)), block.splitlines()[0])


@pytest.mark.parametrize("page", sorted({path.name for path in PAGES.glob("*.md")} - APART))
def test_every_block_of_a_page_has_a_test(page: str) -> None:
    known = TESTED[page]
    assert {_called(block, known) for block in printed(page)} == set(known)
    for test in known.values():
        path, _, name = test.partition("::")
        held = ast.parse((ROOT / path).read_text()).body
        assert name in {node.name for node in held if isinstance(node, ast.FunctionDef)}, test


@pytest.mark.parametrize("name", PROXIES)
def test_a_command_that_makes_a_key_makes_one(shell: Shell, name: str) -> None:  # noqa: F811
    told = shell(*command_of(f"{name}.md", "policy-engine keys create"))
    assert told.code == 0
    assert "pe_" in told.out
    (held,) = json.loads(shell("keys", "list", "--json").out)
    assert (held["gateway"], "decide" in held["rights"]) == (name, True)


def test_the_commands_by_which_a_key_is_changed_do_so(shell: Shell) -> None:  # noqa: F811
    (block,) = (one for one in printed("callers.md") if one.startswith("policy-engine keys create"))
    create, listing, revoke = (shlex.split(line)[1:] for line in block.splitlines())
    assert shell(*create).code == 0
    (held,) = json.loads(shell(*listing, "--json").out)
    assert held["gateway"] == "main"
    assert shell(*(held["id"] if word == "ID" else word for word in revoke)).code == 0
    (ended,) = json.loads(shell(*listing, "--json").out)
    assert (held["revoked_at"], bool(ended["revoked_at"])) == (None, True)


def test_the_settings_of_the_page_of_callers_are_settings() -> None:
    (block,) = (one for one in printed("callers.md") if one.startswith("POLICY_ENGINE_TOKEN_ISSUER"))
    names = [line.partition("=")[0].removeprefix("POLICY_ENGINE_").lower() for line in block.splitlines()]
    assert set(names) <= set(Settings.model_fields)


def test_the_question_of_the_page_of_authzen_is_a_command_that_is_answered(tmp_path: Path) -> None:
    """Nobody listens at the address, so that curl gets as far as the connection and no further."""
    (tmp_path / "evaluation.json").write_text(blocks(PAGES / "authzen.md")["evaluation.json"])
    (command,) = (one for one in printed("authzen.md") if one.startswith("curl"))
    command = command.replace("127.0.0.1:8181", "127.0.0.1:1")
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, check=False)  # noqa: S603, S607  the page's own
    assert done.returncode == 7


def test_what_the_page_of_litellm_has_made_is_a_target_of_make() -> None:
    (block,) = (one for one in printed("litellm.md") if one.startswith("git clone"))
    (made,) = (shlex.split(line)[1:] for line in block.splitlines() if line.startswith("make"))
    assert made
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(made) <= set(targets)
