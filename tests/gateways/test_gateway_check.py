"""`policy-engine gateway-check` finds each of the seeded faults, and none in what the pages print."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from policy_engine.cli.gateway_bench import Bench, Client, Finding, Plan, Verdict
from policy_engine.cli.gateway_dialects import EMPTY, UNDECIDED, UNSET
from policy_engine.cli.gateway_probes import BY_STATUS, FAILURES, OVER_GRPC, examine
from policy_engine.cli.gateway_stand_in import standing_in
from policy_engine.domain.gateways import Profile
from policy_engine.formats.gateway_profiles import read_profiles
from tests.cli.test_cli import Shell, Told, shell  # noqa: F401  a fixture
from tests.gateways import envoys
from tests.gateways.pages import command_of
from tests.gateways.programs import free_port
from tests.gateways.proxies import CHAT, PROXIES, Proxy, documented, started
from tests.gateways.seeds import MORE_SEEDS, SEEDS, Seed
from tests.gateways.stands import Models


def tried(
    url: str, profile: Profile, plan: Plan, ports: tuple[int, int], *, seconds: float, over_grpc: int | None = None
) -> tuple[Finding, ...]:
    """Everything that is tried, and what came of it."""
    engine, models = (("127.0.0.1", port) for port in ports)
    called = None if over_grpc is None else ("127.0.0.1", over_grpc)
    with standing_in(profile, plan.allowed, engine=engine, upstream=models, over_grpc=called) as servers:
        client = Client(urlsplit(url), seconds=seconds, trusted=None)
        return examine(Bench(client, *servers, plan), lambda *_: None)


def plan_of_seed(seed: Seed, **more: Any) -> Plan:
    headers = (("authorization", "Bearer sk-carol"),)
    return Plan(method="POST", paths=(seed.path,), headers=headers, allowed="opus-4.6", denied="mythos-5", **more)


@contextmanager
def seeded(seed: Seed, folder: Path, ports: tuple[int, int]) -> Iterator[str]:
    """A gateway with a seeded fault; where it serves."""
    port = free_port()
    at = {"127.0.0.1:8080": port, "127.0.0.1:8181": ports[0], "127.0.0.1:9000": ports[1]}
    with started(seed.command, seed.files, folder, at):
        yield f"http://127.0.0.1:{port}"


def require(proxy: Proxy) -> None:
    if not proxy.installed:
        pytest.skip(f"{proxy.name} is not installed: apt-get install {proxy.name}")


def checked(command: Shell, page: str, profiles: str, folder: Path, url: str, **at: int) -> list[Finding]:
    """What the command of a page finds, with the addresses of this test in it; it says that there is no fault."""
    file = folder / "profiles.yaml"
    file.write_text(profiles)
    given = command_of(page, "policy-engine gateway-check")
    here = {"gateways.yaml": str(file), "Authorization: Bearer TOKEN": f"Authorization: Bearer {envoys.token('carol')}"}
    given = [url if word.startswith("http://") else here.get(word, word) for word in given]
    for option, port in at.items():
        # The page may say where; the last one counts.
        given += [f"--{option.replace('_', '-')}", f"127.0.0.1:{port}"]
    told = command(*given, "--json")
    assert told.code == 0, told.out + told.err
    return [Finding(**{**one, "verdict": Verdict(one["verdict"])}) for one in told.json["findings"]]


def failures_denied(found: Sequence[Finding]) -> set[str]:
    return {one.probe for one in found if one.group == "failures" and one.verdict is Verdict.DENIED}


@pytest.mark.parametrize("name", PROXIES)
def test_a_documented_configuration_denies_whatever_it_has_to(
    name: str,
    tmp_path: Path,
    shell: Shell,  # noqa: F811
) -> None:
    proxy, ports = PROXIES[name], (free_port(), free_port())
    require(proxy)
    with documented(proxy, tmp_path / name, engine=ports[0], models=ports[1]) as url:
        profiles = proxy.files["gateways.yaml"]
        found = checked(shell, f"{name}.md", profiles, tmp_path, url, stand_in=ports[0], upstream=ports[1])

    assert [one for one in found if one.verdict in {Verdict.FAULT, Verdict.KNOWN}] == []
    assert failures_denied(found) == set(FAILURES)
    took = {one.probe: (one.status, one.seconds or 0.0) for one in found if one.group == "failures"}
    if name == "traefik":
        # As its page says: there is no setting.
        assert took["it hangs"][0] == 500
        assert 29 < took["it hangs"][1] < 40
    else:
        assert took["it hangs"][1] < 10


@pytest.mark.parametrize("name", [*SEEDS, *MORE_SEEDS])
def test_a_seeded_fault_is_found(name: str, tmp_path: Path) -> None:
    seed, ports = (SEEDS | MORE_SEEDS)[name], (free_port(), free_port())
    if shutil.which(seed.command[0]) is None:
        pytest.skip(f"{seed.command[0]} is not installed: apt-get install haproxy")
    with seeded(seed, tmp_path / "seed", ports) as url:
        found = tried(url, seed.read_profile, plan_of_seed(seed), ports, seconds=10.0)

    faults = {f"{one.group}: {one.probe}" for one in found if one.verdict is Verdict.FAULT}
    assert set(seed.finds) <= faults
    assert all(one.told and one.remedy for one in found if one.verdict is Verdict.FAULT)


def test_a_server_that_takes_the_model_from_the_gateways_header_is_judged_by_that(tmp_path: Path) -> None:
    seed, ports = MORE_SEEDS["HAProxy: the first of two members"], (free_port(), free_port())
    require(PROXIES["haproxy"])
    with seeded(seed, tmp_path / "seed", ports) as url:
        plan = plan_of_seed(seed, upstream_reads="x-model")
        found = tried(url, seed.read_profile, plan, ports, seconds=10.0)

    assert [one.probe for one in found if one.verdict is Verdict.FAULT] == []


def test_there_are_eight_seeds() -> None:
    assert len(SEEDS) == 8


@contextmanager
def an_envoy(config: dict[str, Any], folder: Path) -> Iterator[tuple[str, dict[str, int]]]:
    """Envoy by that configuration; where it serves, and where it looks for the engine and the models."""
    at = {"stand_in": free_port(), "stand_in_grpc": free_port(), "upstream": free_port()}
    models, key = Models(port=at["upstream"]), "pe_key"
    with envoys.door(config, folder, models, http=at["stand_in"], grpc=at["stand_in_grpc"], key=key) as door:
        yield str(door.client.base_url), at


@pytest.mark.parametrize("by_grpc", [False, True], ids=["http", "grpc"])
def test_the_documented_envoy_denies_whatever_it_has_to(
    tmp_path: Path,
    shell: Shell,  # noqa: F811
    *,
    by_grpc: bool,
) -> None:
    config = envoys.over_grpc(envoys.documented()) if by_grpc else envoys.documented()
    with an_envoy(config, tmp_path / "envoy") as (url, at):
        if not by_grpc:
            del at["stand_in_grpc"]
        found = checked(shell, "envoy.md", envoys.PAGE["gateways.yaml"], tmp_path, url, **at)
    assert [one for one in found if one.verdict in {Verdict.FAULT, Verdict.KNOWN}] == []
    assert [one.probe for one in found if one.verdict is Verdict.NOTE] == ["a stream that had begun"]
    assert failures_denied(found) == set(OVER_GRPC if by_grpc else FAILURES)


def envoy_tried(config: dict[str, Any], folder: Path) -> tuple[Finding, ...]:
    """What is tried on an Envoy that asks over gRPC by that configuration."""
    profile = read_profiles(envoys.PAGE["gateways.yaml"].encode(), "envoy.md").by_gateway["main"]
    headers = (("authorization", f"Bearer {envoys.token('carol')}"), ("x-geo-country", "US"))
    plan = Plan(method="POST", paths=(CHAT,), headers=headers, allowed="opus-4.6", denied="mythos-5")
    with an_envoy(config, folder) as (url, at):
        ports = (at["stand_in"], at["upstream"])
        return tried(url, profile, plan, ports, seconds=10.0, over_grpc=at["stand_in_grpc"])


def test_an_envoy_that_takes_an_empty_call_or_none_for_an_allow_is_found_out_over_grpc(tmp_path: Path) -> None:
    config = envoys.without(envoys.over_grpc(envoys.documented()), "require-decision", "take-away")
    envoys.authz_of(config)["failure_mode_allow"] = True
    found = envoy_tried(config, tmp_path / "envoy")
    faults = {f"{one.group}: {one.probe}" for one in found if one.verdict is Verdict.FAULT}
    assert faults >= {f"failures: {name}" for name in (EMPTY, UNSET, UNDECIDED, "it hangs", "it is down")}
    assert faults >= {"headers: x-decision-id", "headers: x-purpose"}


# --- the command ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """The command on nginx, with its profile in a file."""

    shell: Shell
    profiles: Path
    ports: tuple[int, int]

    def __call__(self, url: str, *more: str) -> Told:
        engine, models = self.ports
        given = (*("--profiles", str(self.profiles)), *("--header", "Authorization: Bearer sk-carol"), "--wait", "10")
        at = ("--stand-in", f"127.0.0.1:{engine}", "--upstream", f"127.0.0.1:{models}")
        return self.shell("gateway-check", url, *given, *at, *more)


@pytest.fixture
def command(shell: Shell, tmp_path: Path) -> Command:  # noqa: F811
    file = tmp_path / "gateways.yaml"
    file.write_text(PROXIES["nginx"].files["gateways.yaml"])
    return Command(shell=shell, profiles=file, ports=(free_port(), free_port()))


def test_a_gateway_that_denies_what_it_must_is_exit_0_and_no_secret_is_told(command: Command, tmp_path: Path) -> None:
    with documented(PROXIES["nginx"], tmp_path / "nginx", engine=command.ports[0], models=command.ports[1]) as url:
        told = command(url, "--json")

    assert (told.code, told.json["faults"], told.json["gateway"]) == (0, 0, url)
    assert told.json["counts"]["denied"] == sum(one["verdict"] == "denied" for one in told.json["findings"])
    assert "sk-carol" not in told.out
    assert "pe_key" not in told.out


def test_a_fault_is_exit_1_with_what_to_look_for(command: Command, tmp_path: Path) -> None:
    seed = SEEDS["nginx: return beside auth_request"]
    command.profiles.write_text(seed.profile)
    with seeded(seed, tmp_path / "seed", command.ports) as url:
        told = command(url, "--path", seed.path, "--open", "/health")

    assert told.code == 1
    assert "paths, /v1/models: the gateway answered 200 by itself, without an answer of the engine" in told.out
    assert "deny before anything is answered" in told.out
    assert "--open says that nobody is asked about it" in told.out


def test_a_gateway_that_never_asks_is_a_fault_and_nothing_more_is_tried(command: Command) -> None:
    told = command(f"http://127.0.0.1:{command.ports[1]}")

    assert told.code == 1
    assert "the engine was not asked" in told.out
    assert "nothing more was tried" in told.out


def test_a_gateway_that_is_not_there_is_exit_4(command: Command) -> None:
    told = command(f"http://127.0.0.1:{free_port()}")

    assert (told.code, told.out) == (4, "")
    assert "cannot be reached" in told.err


@pytest.mark.parametrize(("which", "option"), [(0, "--stand-in"), (1, "--upstream")])
def test_an_address_that_is_taken_is_exit_4_and_named(command: Command, which: int, option: str) -> None:
    with socket.create_server(("127.0.0.1", command.ports[which])):
        told = command(f"http://127.0.0.1:{free_port()}")

    assert told.code == 4
    assert f"port {command.ports[which]} of 127.0.0.1 is taken by another program" in told.err
    assert option in told.err


def test_a_gateway_that_is_not_set_up_for_the_check_is_exit_2(command: Command, tmp_path: Path) -> None:
    with documented(PROXIES["nginx"], tmp_path / "nginx", engine=free_port(), models=command.ports[1]) as url:
        told = command(url)

    assert told.code == 2
    assert "asked nothing: point it at the stand-in (--stand-in)" in told.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--gateway", "nginks"), "did you mean `nginx`?"),
        (("--header", "no colon"), "--header takes NAME: VALUE on one line"),
        (("--stand-in", "9701"), "--stand-in takes HOST:PORT"),
        (("--denied", "opus"), "--allowed and --denied name one model under the profile's aliases"),
        (("--profiles", "nowhere.yaml"), "`nowhere.yaml`: no such file"),
        (("--ca", "nowhere.pem"), "`nowhere.pem`: no such file"),
        (("--any-200", "engine"), "`engine` is not an HTTP address"),
    ],
)
def test_wrong_usage_is_exit_2_and_a_sentence(command: Command, given: tuple[str, str], said: str) -> None:
    told = command("http://127.0.0.1:1", *given)

    assert told.code == 2
    assert said in told.err


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://127.0.0.1", "http://127.0.0.1:99999", "http://"])
def test_an_address_that_is_no_gateways_is_wrong_usage(command: Command, url: str) -> None:
    told = command(url)

    assert told.code == 2
    assert "write http://HOST:PORT" in told.err


def test_where_the_status_alone_is_read_the_address_in_operation_has_to_be_the_engines(
    command: Command, tmp_path: Path
) -> None:
    seed = MORE_SEEDS["Caddy: a decision of the client's own"]
    command.profiles.write_text(seed.profile)
    with seeded(seed, tmp_path / "seed", command.ports) as url:
        told = command(url, "--path", seed.path, "--any-200", f"{url}/forward-auth", "--json")

    found = {one["probe"]: one for one in told.json["findings"]}
    assert told.code == 1
    assert {name for name, one in found.items() if one["verdict"] == "known"} == BY_STATUS
    assert found["the engine in operation"]["verdict"] == "fault"
