"""What the pages say of configurations that are none of theirs: each is run, and does what the page says."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from policy_engine.cli.gateway_bench import Bench, Client, Plan
from policy_engine.cli.gateway_stand_in import standing_in
from tests.gateways import envoys
from tests.gateways.pages import put_all
from tests.gateways.programs import free_port
from tests.gateways.proxies import CHAT, PROXIES, started
from tests.gateways.seeds import PLAIN, Seed
from tests.gateways.stands import Models, chat, models

SECONDS: Final = 60.0
ALLOWED: Final = "opus-4.6"


def page(name: str, **changes: Mapping[str, str]) -> Seed:
    """A page's configuration with texts in its files changed; the files are named without their ending."""
    proxy = PROXIES[name]
    files = {file: text for file, text in proxy.files.items() if file != "gateways.yaml"}
    for stem, changed in changes.items():
        (file,) = (one for one in files if one.partition(".")[0] == stem)
        files[file] = put_all(files[file], dict(changed))
    return Seed(command=proxy.command, files=files, finds=(), profile=proxy.files["gateways.yaml"], path=proxy.path)


@contextmanager
def running(seed: Seed, folder: Path, login: str = "Bearer sk-carol") -> Iterator[Bench]:
    """The configuration between the stand-in for the engine and the canary; a client of it has that login."""
    if not Path(seed.command[0]).exists():
        pytest.skip(f"{seed.command[0]} is not installed")
    ports = {f"127.0.0.1:{port}": free_port() for port in (8080, 8181, 9000)}
    ports |= {"127.0.0.1:8079": free_port()}
    ports = {address: port for address, port in ports.items() if any(address in text for text in seed.files.values())}
    engine, upstream = (("127.0.0.1", ports[f"127.0.0.1:{port}"]) for port in (8181, 9000))
    plan = Plan(
        method="POST", paths=(seed.path,), headers=(("authorization", login),), allowed=ALLOWED, denied="mythos-5"
    )
    with (
        standing_in(seed.read_profile, ALLOWED, engine=engine, upstream=upstream) as servers,
        started(seed.command, seed.files, folder, ports),
    ):
        url = urlsplit(f"http://127.0.0.1:{ports['127.0.0.1:8080']}")
        bench = Bench(Client(url, seconds=SECONDS, trusted=None), *servers, plan)
        yield bench


# --- nginx ------------------------------------------------------------------------------------------------------------


def test_nginx_a_question_that_announces_a_body_that_never_comes_is_503(tmp_path: Path) -> None:
    with running(page("nginx", nginx={'      proxy_set_header Content-Length "";\n': ""}), tmp_path / "x") as bench:
        trial = bench.attempt(bench.ask(ALLOWED))
    assert (trial.status, trial.reached) == (503, ())


def test_nginx_a_header_that_is_set_in_a_location_drops_those_of_the_level_above(tmp_path: Path) -> None:
    above = "    proxy_http_version 1.1;\n"
    with running(page("nginx", nginx={above: f"{above}    proxy_set_header X-Above 1;\n"}), tmp_path / "x") as bench:
        (seen,) = bench.attempt(bench.ask(ALLOWED)).reached
    assert seen.values("x-above") == ()


def test_nginx_a_model_from_a_header_of_the_clients_is_the_clients_to_write(tmp_path: Path) -> None:
    with running(page("nginx", nginx={"X-Model $policy_models;": "X-Model $http_x_model;"}), tmp_path / "x") as bench:
        trial = bench.attempt(bench.ask("mythos-5", headers=(("x-model", ALLOWED),)))
    assert b"mythos-5" in trial.reached[0].body


# --- HAProxy ----------------------------------------------------------------------------------------------------------


def test_haproxy_without_the_buffer_the_script_does_not_see_a_body_that_comes_after_the_head(tmp_path: Path) -> None:
    option = "    option http-buffer-request\n"
    status = {}
    for kept in (True, False):
        with running(page("haproxy", haproxy={option: option if kept else ""}), tmp_path / str(kept)) as bench:
            status[kept] = _in_two_parts(bench)
            assert bool(bench.canary.reached) is kept
    assert status == {True: b"200", False: b"403"}


def _in_two_parts(bench: Bench) -> bytes:
    """The status of the honest request whose body comes after its head."""
    sent = bench.ask(ALLOWED)
    assert sent.body is not None
    lines = (("host", "models"), ("content-length", str(len(sent.body))), ("connection", "close"), *sent.headers)
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    with socket.create_connection(bench.client.address, timeout=SECONDS) as connection:
        connection.sendall(f"POST {sent.target} HTTP/1.1\r\n{head}\r\n".encode())
        time.sleep(0.3)
        connection.sendall(sent.body)
        return connection.recv(4096).split(b" ")[1]


def test_haproxy_of_a_body_that_is_longer_than_its_buffer_the_script_sees_a_part_and_denies(tmp_path: Path) -> None:
    long = b'{"model":"opus-4.6","messages":"' + b"x" * 1_100_000 + b'"}'
    with running(page("haproxy"), tmp_path / "x") as bench:
        assert bench.attempt(bench.ask(ALLOWED)).reached
        trial = bench.attempt(bench.ask(ALLOWED, body=long))
    assert (trial.status, trial.reached) == (403, ())


# --- Caddy ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("uri", "added"), [("uri /forward-auth?", False), ("uri /forward-auth", True)])
def test_caddy_without_a_question_mark_the_clients_query_is_added_to_the_engines_address(
    tmp_path: Path, uri: str, *, added: bool
) -> None:
    plain = PLAIN["Caddy: forward_auth"]
    files = {"Caddyfile": put_all(plain.files["Caddyfile"], {"uri /forward-auth?": uri})}
    with running(replace(plain, files=files), tmp_path / "x") as bench:
        (question,) = bench.attempt(bench.ask(ALLOWED, path="/models/opus-4.6/invoke?x=y")).asked
    assert question.seen.target.endswith("?x=y") is added


def test_caddy_without_the_removal_the_clients_token_and_cookies_go_to_the_engine(tmp_path: Path) -> None:
    with running(page("caddy", Caddyfile={"\t\t\theader_up -*\n": ""}), tmp_path / "x") as bench:
        (question,) = bench.attempt(bench.ask(ALLOWED)).asked
    assert question.seen.values("authorization") == ("Bearer sk-carol",)
    assert question.seen.values("cookie")


# --- Traefik ----------------------------------------------------------------------------------------------------------

CAROL: Final = PROXIES["traefik"].login("carol")
KEN: Final = PROXIES["traefik"].login("ken")
SENT: Final = "        authRequestHeaders: [X-User-Id, X-Policy-Engine-Key, X-Country, X-Purpose]\n"


def test_traefik_without_a_list_every_header_of_the_clients_goes_to_the_engine(tmp_path: Path) -> None:
    changed = {SENT: "", ", removeHeader: true": ""}
    with running(page("traefik", dynamic=changed), tmp_path / "x", CAROL) as bench:
        (question,) = bench.attempt(bench.ask(ALLOWED, headers=(("x-anything", "1"),))).asked
    assert question.seen.values("authorization") == (CAROL,)
    assert question.seen.values("cookie")
    assert question.seen.values("x-anything") == ("1",)


def test_traefik_who_reaches_the_second_entry_point_writes_a_decision_itself(tmp_path: Path) -> None:
    with running(page("traefik"), tmp_path / "x", CAROL) as bench:
        text = (tmp_path / "x" / "traefik.yaml").read_text()
        port = int(text.partition('decided: {address: "127.0.0.1:')[2].partition('"')[0])
        inner = Bench(
            Client(urlsplit(f"http://127.0.0.1:{port}"), seconds=SECONDS, trusted=None),
            bench.stand_in,
            bench.canary,
            bench.plan,
        )
        without = inner.attempt(inner.ask("mythos-5"))
        forged = inner.attempt(inner.ask("mythos-5", headers=(("x-decision-id", "01FORGED000000000000000000"),)))
    assert (without.status, without.reached) == (404, ())
    assert (forged.asked, len(forged.reached)) == ((), 1)


@pytest.mark.parametrize(
    "trusting",
    [(False, True), (True, False), (True, True)],
    ids=["the entry point alone", "the question alone", "both"],
)
def test_traefik_that_trusts_forwarded_headers_twice_lets_the_client_write_its_path(
    tmp_path: Path, trusting: tuple[bool, bool]
) -> None:
    by_question, by_entry = trusting
    address = 'clients: {address: "127.0.0.1:8080"'
    changed = {"trustForwardHeader: false": f"trustForwardHeader: {str(by_question).lower()}"}
    entry = {address: f"{address}, forwardedHeaders: {{insecure: {str(by_entry).lower()}}}"}
    with running(page("traefik", dynamic=changed, traefik=entry), tmp_path / "x", CAROL) as bench:
        lines = (("x-forwarded-uri", "/models/opus-4.6/invoke"), ("x-forwarded-method", "POST"))
        trial = bench.attempt(bench.ask("mythos-5", headers=lines))
    assert bool(trial.reached) is all(trusting)


def test_traefik_loses_a_key_in_the_address_where_the_client_logs_in(tmp_path: Path) -> None:
    plain = PLAIN["Traefik: forwardAuth without the second router"]
    in_address = {"http://127.0.0.1:8181": "http://main:key@127.0.0.1:8181"}
    files = plain.files | {"dynamic.yaml": put_all(plain.files["dynamic.yaml"], in_address)}
    seed = replace(plain, files=files)
    with running(seed, tmp_path / "x") as bench:
        (with_login,) = bench.attempt(bench.ask(ALLOWED)).asked
        sent = bench.ask(ALLOWED)
        without = replace(sent, headers=tuple(line for line in sent.headers if line[0] != "authorization"))
        (alone,) = bench.attempt(without).asked
    assert with_login.seen.values("authorization") == ("Bearer sk-carol",)
    assert alone.seen.values("authorization")[0].startswith("Basic ")


def test_traefik_refuses_a_body_that_is_longer_than_it_passes_on(tmp_path: Path) -> None:
    changed = {
        SENT: SENT.replace("X-Purpose]", "X-Purpose, Content-Type]"),
        "      forwardAuth:\n": "      forwardAuth:\n        forwardBody: true\n        maxBodySize: 1000\n",
    }
    with running(page("traefik", dynamic=changed), tmp_path / "x", CAROL) as bench:
        (question,) = bench.attempt(bench.ask(ALLOWED)).asked
        trial = bench.attempt(bench.ask(ALLOWED, body=b"x" * 1001))
    assert b"messages" in question.seen.body
    assert (trial.status, trial.asked, trial.reached) == (401, (), ())


# --- Envoy ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stand() -> Iterator[Models]:
    with models() as kept:
        yield kept


@contextmanager
def envoy(config: dict[str, object], folder: Path, stand: Models) -> Iterator[tuple[envoys.Door, Bench]]:
    """Envoy by that configuration, before the stand-in for the engine."""
    profiles = envoys.PAGE["gateways.yaml"]
    seed = Seed(command=(), files={}, finds=(), profile=profiles)
    anywhere = ("127.0.0.1", 0)
    plan = Plan(method="POST", paths=(CHAT,), headers=(), allowed=ALLOWED, denied="mythos-5")
    with standing_in(seed.read_profile, ALLOWED, engine=anywhere, upstream=anywhere) as servers:
        port = servers[0].doors[0].address[1]
        bench = Bench(Client(urlsplit("http://127.0.0.1:1"), seconds=SECONDS, trusted=None), *servers, plan)
        with envoys.door(envoys.patient(config), folder, stand, http=port, key="pe_key") as door:
            yield door, bench


def test_envoy_answers_413_without_a_question_above_its_buffer(tmp_path: Path, stand: Models) -> None:
    with envoy(envoys.documented(), tmp_path / "envoy", stand) as (door, bench):
        long = b'{"model":"opus-4.6","messages":"' + b"x" * 4_300_000 + b'"}'
        assert door.ask(content=long).status_code == 413
        assert bench.stand_in.asked == []


def test_envoy_answers_413_without_a_question_above_the_bytes_that_it_passes_on(tmp_path: Path, stand: Models) -> None:
    with envoy(envoys.with_bodies(envoys.documented()), tmp_path / "envoy", stand) as (door, bench):
        long = b'{"model":"opus-4.6","messages":"' + b"x" * 1_100_000 + b'"}'
        assert door.ask(content=long).status_code == 413
        assert bench.stand_in.asked == []


def test_envoy_reads_names_as_its_page_says(tmp_path: Path, stand: Models) -> None:
    with envoy(envoys.documented(), tmp_path / "envoy", stand) as (door, bench):

        def asked(content: bytes, **headers: str) -> tuple[str, ...]:
            """The models of the question that it comes to."""
            before = len(bench.stand_in.asked)
            door.ask(content=content, headers=list(headers.items()))
            found = bench.stand_in.asked[before:]
            return tuple(one.model for question in found for one in question.requests)

        text = {"content-type": "text/plain"}
        assert asked(chat(ALLOWED)) == (ALLOWED,)
        assert asked(chat(f" {ALLOWED}")) == (ALLOWED,)
        assert asked(b'{"model":"mythos-5","model":"opus-4.6"}') == (ALLOWED,)
        assert asked(b'{"model":"mythos-5","\\u006dodel":"opus-4.6"}') == (ALLOWED,)
        assert asked(b"\xef\xbb\xbf" + chat(ALLOWED)) == (ALLOWED,)
        assert asked(chat(ALLOWED), **{"content-encoding": "gzip"}) == (ALLOWED,)
        assert asked(chat(ALLOWED), **text) == ()
        assert door.ask(content=chat("opus\x00-4.6")).status_code == 503
