"""What the pages of nginx, HAProxy, Caddy and Traefik print, run before a real service: it allows what the rules allow,
and nothing that a client writes makes it allow more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from policy_engine.cli.gateway_bench import Verdict
from policy_engine.cli.gateway_probes import engine_is_there
from tests.gateways.proxies import PROXIES
from tests.gateways.proxy_doors import ALLOWED, DENIED, PROMPT, Door, opened


@pytest.fixture(scope="module")
def doors(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Door]]:
    with opened(migrated, tmp_path_factory.mktemp("proxies")) as found:
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
