"""The real Envoy by the configurations of its page, in front of a real service, over HTTP and over gRPC."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import httpx2
import pytest
import yaml
from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse

from policy_engine.gateways.grpc_check import CHECK, MESSAGE_LIMIT
from tests.gateways.counting import ALLOWS, DOWN, GARBAGE, OVER_GRPC, OVER_HTTP, asking, counted
from tests.gateways.envoys import (
    PAGE,
    Door,
    Engine,
    documented,
    door,
    engine,
    key_for,
    manager_of,
    over_grpc,
    patient,
    revoke,
    with_bodies,
)
from tests.gateways.stands import Models, chat, models

CHAT: Final = "/v1/chat/completions"
CANARY: Final = "CANARY-PROMPT"
TOKEN: Final = b"eyJhbGciOi"
"""The beginning of every client's token."""
FORGED: Final = {
    "x-user-id": "carol",
    "x-model": "opus-4.6",
    "x-purpose": "defensive_cybersecurity",
    "x-decision-id": "01M8000000000000000000TEST",
    "x-valid-until": "2099-01-01T00:00:00Z",
    "x-obligations": "none",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An engine, the models, and an Envoy for each of the ways."""

    engine: Engine
    models: Models
    doors: dict[str, Door]


@pytest.fixture(scope="module")
def standing(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    folder = tmp_path_factory.mktemp("envoy")
    with ExitStack() as running:
        served = running.enter_context(engine(migrated, folder, PAGE["gateways.yaml"], PAGE["gateways-body.yaml"]))
        stand = running.enter_context(models())
        ways = {
            "http": (documented(), "main"),
            "grpc": (over_grpc(documented()), "main"),
            "http, bodies": (with_bodies(documented()), "bodies"),
            "grpc, bodies": (with_bodies(over_grpc(documented())), "bodies"),
        }
        doors = {
            name: running.enter_context(
                # A machine that does other things too is no reason to deny here.
                door(
                    patient(config),
                    folder / name,
                    stand,
                    http=served.server.port,
                    grpc=served.grpc_port,
                    key=served.keys[gateway],
                )
            )
            for name, (config, gateway) in ways.items()
        }
        yield Standing(engine=served, models=stand, doors=doors)


@pytest.fixture(params=["http", "grpc", "http, bodies", "grpc, bodies"])
def way(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def asked(standing: Standing, way: str) -> Door:
    """Each of the ways to ask."""
    standing.models.taken()
    return standing.doors[way]


@pytest.fixture(params=["http", "grpc"])
def headed(standing: Standing, request: pytest.FixtureRequest) -> Door:
    """The ways in which prompts stay in Envoy."""
    standing.models.taken()
    return standing.doors[request.param]


def test_an_allow_goes_on_with_the_decision_that_is_on_record(standing: Standing, asked: Door) -> None:
    answer = asked.ask(content=chat("opus-4.6"), headers=FORGED)
    assert (answer.status_code, answer.json()["choices"][0]["message"]["content"]) == (200, "hello")
    (got,) = standing.models.taken()
    (decision,) = got.header("x-decision-id")
    recorded = standing.engine.answer(decision)
    assert recorded["allowed"] is True
    assert recorded["valid_until"] == got.header("x-valid-until")[0]


def test_what_a_client_forges_neither_decides_nor_reaches_the_models(standing: Standing, asked: Door) -> None:
    assert asked.ask(content=chat("mythos-5"), who="ken", headers=FORGED).status_code == 403
    assert standing.models.taken() == []
    key = {"x-policy-engine-key": "pe_forged_forged"}
    assert asked.ask(content=chat("opus-4.6"), headers={**FORGED, **key}).status_code == 200
    (got,) = standing.models.taken()
    assert got.header("x-user-id") == ["carol"]
    assert got.header("x-obligations") == got.header("x-policy-engine-key") == got.header("x-purpose") == []
    assert got.header("x-valid-until") != [FORGED["x-valid-until"]]
    assert got.header("authorization") == []


def test_a_denial_reaches_the_client_in_our_words(standing: Standing, asked: Door) -> None:
    answer = asked.ask(content=chat("mythos-5"), who="ken")
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/json")
    assert answer.json()["error"]["code"] == "model_access_denied"
    assert standing.engine.answer(answer.headers["x-decision-id"])["allowed"] is False
    assert answer.headers["x-reason"]
    assert standing.models.taken() == []


def test_without_a_place_or_a_login_nothing_is_allowed(standing: Standing, asked: Door) -> None:
    assert asked.ask(content=chat("opus-4.6"), country=None).status_code == 403
    assert asked.ask(content=chat("opus-4.6"), headers=[("authorization", "Bearer none")]).status_code == 401
    assert asked.client.post("/v1/chat/completions", content=chat("opus-4.6")).status_code == 401
    assert standing.models.taken() == []


def test_the_purpose_is_what_envoy_says_of_the_host_and_never_what_a_client_says(
    standing: Standing, asked: Door
) -> None:
    assert asked.ask(content=chat("mythos-5"), headers=FORGED).status_code == 403
    assert asked.ask(content=chat("mythos-5"), host="defence.example.com").status_code == 200
    assert len(standing.models.taken()) == 1


def test_an_alias_and_a_path_name_the_model_too(standing: Standing, headed: Door) -> None:
    assert headed.ask(content=chat("house-default")).status_code == 200
    (got,) = standing.models.taken()
    assert standing.engine.answer(got.header("x-decision-id")[0])["model"]["id"] == "opus-4.6"
    assert headed.ask("/models/opus-4.6/invoke", b'{"messages":[]}').status_code == 200
    assert headed.ask("/models/opus-4.6/invoke", chat("mythos-5")).status_code == 403
    assert headed.ask("/models/mythos-5/invoke", b'{"messages":[]}').status_code == 403
    assert len(standing.models.taken()) == 1


BODIES: Final[dict[str, tuple[bytes, dict[str, str]]]] = {
    "two members, the denied one last": (b'{"model":"opus-4.6","model":"mythos-5"}', {}),
    "two members, the denied one first": (b'{"model":"mythos-5","model":"opus-4.6"}', {}),
    "an escaped second key": (b'{"model":"opus-4.6","\\u006dodel":"mythos-5"}', {}),
    "a byte-order mark": (b'\xef\xbb\xbf{"model":"mythos-5"}', {}),
    "a list": (b'{"model":["opus-4.6","mythos-5"]}', {}),
    "an object": (b'{"model":{"id":"opus-4.6"}}', {}),
    "a number": (b'{"model":5}', {}),
    "null": (b'{"model":null}', {}),
    "said to be compressed": (b'{"model":"mythos-5"}', {"content-encoding": "gzip"}),
    "another content type": (chat("opus-4.6"), {"content-type": "text/plain"}),
    "a list in a text": (chat("opus-4.6,mythos-5"), {}),
    "a line's end": (chat("mythos-5\r\nx-model: opus-4.6"), {}),
    "a look-alike letter": (chat("\u043epus-4.6"), {}),
    "no JSON": (b"model=opus-4.6", {}),
    "nothing": (b"", {}),
    "five megabytes with the model last": (b'{"messages":"' + b"x" * 5_000_000 + b'","model":"mythos-5"}', {}),
}


@pytest.mark.parametrize("body", BODIES)
def test_a_hostile_body_is_no_allow_of_what_is_denied_and_no_fault_of_ours(
    standing: Standing, asked: Door, body: str
) -> None:
    content, headers = BODIES[body]
    denied = asked.ask(content=content, who="ken", headers=headers)
    assert denied.status_code in {400, 403, 413, 503}
    assert standing.models.taken() == []
    if asked.ask(content=content, headers=headers).status_code == 200:
        (got,) = standing.models.taken()
        # Who is allowed one of the two is allowed the one that a server of models reads, whose parser takes the last.
        judged = standing.engine.answer(got.header("x-decision-id")[0])["model"]["id"]
        assert json.loads(got.body)["model"] == judged == "opus-4.6"
    else:
        assert standing.models.taken() == []
    assert asked.ask(content=chat("opus-4.6")).status_code == 200


def test_a_body_in_chunks_is_read_as_any(standing: Standing, asked: Door) -> None:
    def chunks(model: str) -> Iterator[bytes]:
        yield b'{"mod'
        yield f'el":"{model}"}}'.encode()

    head = [("content-type", "application/json")]
    assert asked.ask(content=chunks("mythos-5"), headers=head).status_code == 403
    assert standing.models.taken() == []
    assert asked.ask(content=chunks("opus-4.6"), headers=head).status_code == 200


PATHS: Final = (
    "/models/opus-4.6/../mythos-5/invoke",
    "/models/opus-4.6%2f..%2fmythos-5/invoke",
    "/models/%6dythos-5/invoke",
    "/models/./mythos-5/invoke",
    "/models//mythos-5/invoke",
    "/models/mythos-5;x/invoke",
    "/models/mythos-5/invoke%00",
    "/models\\mythos-5\\invoke",
    "/models/opus-4.6/invoke?model=mythos-5",
)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_by_another_name_reaches_no_denied_model(standing: Standing, asked: Door, path: str) -> None:
    assert asked.ask(path, b"{}").status_code in {400, 403}
    assert standing.models.taken() == []


def test_prompts_stay_in_envoy_and_the_clients_token_reaches_no_file_of_ours(standing: Standing, asked: Door) -> None:
    """The page's way to pass bodies on keeps neither in a record or in the log."""
    prompt = [{"role": "user", "content": CANARY}]
    for content in (
        chat("opus-4.6", messages=prompt),
        chat("mythos-5", messages=prompt),
        chat({"id": CANARY}, messages=prompt),
        b'{"messages":"' + CANARY.encode(),
    ):
        answer = asked.ask(content=content)
        assert CANARY not in answer.text
    standing.models.taken()
    folder = standing.engine.server.installation.folder
    written = [path for path in folder.glob("*") if path.is_file()]
    written += [path for path in (folder / "ledger").rglob("*") if path.is_file()]
    assert {"service.db", "serve.out"} <= {path.name for path in written}
    assert [path.name for path in written if CANARY.encode() in (data := path.read_bytes()) or TOKEN in data] == []


# --- decision points that misbehave -----------------------------------------------------------------------------------


@pytest.mark.parametrize("by_grpc", [False, True], ids=["http", "grpc"])
def test_a_decision_point_that_misbehaves_lets_nothing_through(tmp_path: Path, by_grpc: bool) -> None:
    faults = OVER_GRPC if by_grpc else OVER_HTTP
    with models() as stand, asking(tmp_path / "envoy", stand, by_grpc=by_grpc, guarded=True) as (one, port):
        rows = counted(one, port, faults, times=2)
    assert {row.does: row.reached for row in rows} == dict.fromkeys(faults, 0)
    assert all(200 not in row.statuses for row in rows)


@pytest.mark.parametrize("by_grpc", [False, True], ids=["http", "grpc"])
def test_without_the_last_guard_envoy_takes_these_for_allows(tmp_path: Path, by_grpc: bool) -> None:
    """The trap that the page tells of; the guard is what the test above holds."""
    faults = OVER_GRPC if by_grpc else OVER_HTTP
    taken = ALLOWS if by_grpc else set(GARBAGE)
    with models() as stand, asking(tmp_path / "envoy", stand, by_grpc=by_grpc, guarded=False) as (one, port):
        rows = counted(one, port, {name: faults[name] for name in taken}, times=1)
    assert {row.does: row.reached for row in rows} == dict.fromkeys(taken, 1)


@pytest.mark.parametrize("by_grpc", [False, True], ids=["http", "grpc"])
def test_the_last_guard_holds_where_envoy_is_told_to_allow_on_failures(tmp_path: Path, by_grpc: bool) -> None:
    names = (DOWN, "resets the connection", "fails in the call") if by_grpc else (DOWN, "hangs", "500")
    faults = {name: (OVER_GRPC if by_grpc else OVER_HTTP)[name] for name in names}
    reached = {}
    with models() as stand:
        for guarded in (True, False):
            place = tmp_path / str(guarded)
            with asking(place, stand, by_grpc=by_grpc, guarded=guarded, failing_open=True) as (one, port):
                reached[guarded] = [row.reached for row in counted(one, port, faults, times=1)]
    assert reached == {True: [0, 0, 0], False: [1, 1, 1]}


def test_a_host_says_its_purpose_over_grpc_without_a_header(standing: Standing, tmp_path: Path) -> None:
    config = patient(over_grpc(documented()))
    routes = manager_of(config)["route_config"]["virtual_hosts"]
    next(one for one in routes if one["name"] == "everybody")["typed_per_filter_config"] = yaml.safe_load(
        PAGE["context-extensions.yaml"]
    )
    served = standing.engine
    ports = {"http": served.server.port, "grpc": served.grpc_port}
    with door(config, tmp_path / "envoy", standing.models, **ports, key=served.keys["main"]) as one:
        assert one.ask(content=chat("mythos-5")).status_code == 200
    standing.models.taken()


# --- the port itself --------------------------------------------------------------------------------------------------


def test_a_call_that_is_no_message_is_a_deny_and_one_that_is_too_long_is_refused(standing: Standing) -> None:
    metadata = (("x-policy-engine-key", standing.engine.keys["main"]),)
    with grpc.insecure_channel(f"127.0.0.1:{standing.engine.grpc_port}") as channel:
        check: Any = channel.unary_unary(CHECK)
        answer = CheckResponse.FromString(check(b"\xff\xff", metadata=metadata, timeout=60))
        assert answer.status.code != 0
        with pytest.raises(grpc.RpcError) as refused:
            check(b"\x00" * (MESSAGE_LIMIT + 1), metadata=metadata, timeout=60)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_two_keys_of_a_gateway_live_together_and_a_revoked_one_opens_no_door(standing: Standing) -> None:
    installation = standing.engine.server.installation
    old, new = standing.engine.keys["main"], key_for(installation, "main")
    with grpc.insecure_channel(f"127.0.0.1:{standing.engine.grpc_port}") as channel:
        check: Any = channel.unary_unary(CHECK)

        def statuses(key: str) -> tuple[int, int]:
            head = {"x-policy-engine-key": key, "x-user-id": "carol", "x-geo-country": "US", "x-model": "opus-4.6"}
            over_http = httpx2.post(f"http://127.0.0.1:{standing.engine.server.port}/ext_authz{CHAT}", headers=head)
            asked = AttributeContext.HttpRequest(method="POST", path=CHAT, headers=head)
            attributes = AttributeContext(request=AttributeContext.Request(http=asked))
            data = CheckRequest(attributes=attributes).SerializeToString()
            told = check(data, metadata=(("x-policy-engine-key", key),), timeout=60)
            answer = CheckResponse.FromString(told)
            return over_http.status_code, answer.denied_response.status.code or 200

        assert statuses(old) == statuses(new) == (200, 200)
        revoke(installation, new)
        assert statuses(new) == (401, 401)
        assert statuses(old) == (200, 200)
