"""`gateway lint`: a model that nobody could use, and a configuration by which nobody is asked, are found beforehand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cli.test_cli import Shell, Told
from tests.conftest import POLICIES, ROOT

PROFILES: Final = ROOT / "tests" / "gateways" / "profiles.yaml"
PAGE: Final = ROOT / "docs" / "gateways" / "litellm.md"
PLUGIN: Final = "litellm_settings: {callbacks: [policy_engine.gateways.litellm.instance]}\n"
LITELLM: Final = """\
model_list:
  - {model_name: opus, litellm_params: {model: opus-4.6}}
  - {model_name: mine, litellm_params: {model: openai/opus-4.6}}
  - {model_name: "any/*", litellm_params: {model: "openai/*"}}
router_settings:
  model_group_alias: {mythos: mythos-5, other: {model: opus, hidden: true}}
  fallbacks: [{opus: [gone]}]
"""
ENVOY: Final = """\
static_resources:
  routes:
    - match: {path: /models/opus-4.6/invoke}
    - match: {path: /models/gone/invoke}
    - match: {prefix: /, headers: [{name: x-model, string_match: {exact: lost}}]}
      request_headers_to_add: [{header: {key: x-model, value: opus}}, {header: {key: x-model, value: "%REQ(x)%"}}]
  filters:
    - name: envoy.filters.http.ext_authz
      typed_config: {failure_mode_allow: false}
"""


class Linter:
    """`gateway lint` on a configuration, under the profile `headers` of the tests."""

    def __init__(self, shell: Shell, folder: Path) -> None:
        self._shell, self._file = shell, folder / "config.yaml"

    def __call__(self, config: str, *options: str) -> Told:
        self._file.write_text(config, encoding="utf-8")
        given = ("--profiles", str(PROFILES), "--gateway", "headers", "--policies", str(POLICIES))
        return self._shell("gateway", "lint", str(self._file), *given, *options)

    def document(self, config: str) -> dict[str, Any]:
        return dict(json.loads(self(config, "--json").out))


@pytest.fixture
def lint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Linter:
    monkeypatch.setenv("COLUMNS", "200")
    return Linter(Shell(monkeypatch, capsys), tmp_path)


def test_every_name_of_litellm_without_an_entry_is_missing(lint: Linter) -> None:
    told = lint.document(LITELLM + PLUGIN)
    assert (told["program"], told["traps"]) == ("litellm", [])
    assert told["missing"] == ["gone", "mine", "openai/opus-4.6", "other"]
    found = {(one["what"], one["name"]): (one["model"], one["pattern"]) for one in told["named"]}
    assert found["public name", "opus"] == ("opus-4.6", False)
    assert found["alias", "mythos"] == ("mythos-5", False)
    assert found["deployment", "openai/*"] == (None, True)


def test_every_name_of_envoy_without_an_entry_is_missing(lint: Linter) -> None:
    told = lint.document(ENVOY)
    assert (told["program"], told["traps"], told["missing"]) == ("envoy", [], ["gone", "lost"])


def test_what_is_missing_is_told_with_the_remedy_and_exits_with_1(lint: Linter) -> None:
    told = lint(LITELLM + PLUGIN)
    assert told.code == 1
    assert "4 names without an entry, so denied to everybody: gone, mine, openai/opus-4.6, other" in told.err
    assert "`aliases`" in told.err


def test_where_nothing_is_missing_it_says_so(lint: Linter) -> None:
    told = lint("model_list: [{model_name: opus, litellm_params: {model: opus-4.6}}]\n" + PLUGIN)
    assert (told.code, told.err) == (0, "")
    assert told.out.splitlines()[-1] == "every model that is named has an entry"


TRAPS: Final = {
    "no plugin": (LITELLM, "would not ask the engine"),
    "the plugin after the request": (LITELLM + PLUGIN.replace("callbacks", "success_callback"), "after a request"),
    "no filter": (ENVOY.replace("ext_authz", "other"), "there is no filter ext_authz"),
    "errors that allow": (ENVOY.replace("allow: false", "allow: true"), "makes every error of the engine an allow"),
}


def test_a_configuration_that_names_no_model_is_told_as_that_and_as_nothing_more(lint: Linter) -> None:
    told = lint("static_resources:\n" + ENVOY[ENVOY.index("  filters:") :])
    assert "names no model" in told.out
    assert "has an entry" not in told.out


@pytest.mark.parametrize("trap", TRAPS)
def test_a_setting_by_which_nobody_is_asked_is_found(lint: Linter, trap: str) -> None:
    config, told = TRAPS[trap]
    result = lint(config)
    assert result.code == 1
    assert told in result.err


def test_another_file_is_refused(lint: Linter) -> None:
    told = lint("models: []\n")
    assert (told.code, "not a configuration of LiteLLM or Envoy" in told.err) == (1, True)


def test_the_gateway_is_named_where_there_are_several(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(LITELLM, encoding="utf-8")
    shell = Shell(monkeypatch, capsys)
    told = shell("gateway", "lint", str(tmp_path / "config.yaml"), "--profiles", str(PROFILES))
    assert (told.code, "--gateway is needed" in told.err) == (2, True)
    told = shell("gateway", "lint", str(tmp_path / "config.yaml"))
    assert (told.code, "POLICY_ENGINE_GATEWAYS" in told.err) == (2, True)


def test_the_configuration_of_the_page_has_nothing_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for found in re.finditer(r"^```yaml\n# (\S+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        (tmp_path / found[1]).write_text(found[2], encoding="utf-8")
    given = ("--profiles", str(tmp_path / "gateways.yaml"), "--policies", str(POLICIES))
    told = Shell(monkeypatch, capsys)("gateway", "lint", str(tmp_path / "litellm.yaml"), *given)
    assert (told.code, told.err) == (0, "")


def test_an_alias_that_is_the_name_of_another_model_is_a_fault_with_its_place(lint: Linter, tmp_path: Path) -> None:
    profiles = tmp_path / "gateways.yaml"
    text = PROFILES.read_text().replace("{mythos: mythos-5,", "{mythos-5: opus-4.6,")
    profiles.write_text(text)
    line = 1 + text[: text.index("{mythos-5:")].count("\n")
    told = lint(LITELLM, "--profiles", str(profiles))
    assert told.code == 1
    assert f"gateways.yaml:{line}:" in told.err
    assert "`mythos-5` is the name of a model in the catalogue" in " ".join(told.err.split())
