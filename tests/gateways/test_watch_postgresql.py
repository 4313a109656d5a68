"""`GET /watch` and webhooks of two `policy-engine serve` processes on one PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http import HTTPStatus

import pytest

from tests.faults.process import Server, installed, running
from tests.gateways.listening import Listener
from tests.gateways.receiving import Hook, receiving, written
from tests.store.conftest import Postgres, store_on

MODELS = ("mythos-5", "opus-4.6")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Hook]:
    with receiving() as one:
        yield one


@pytest.fixture(scope="module")
def servers(
    postgres: Postgres, receiver: Hook, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Server]]:
    folder = tmp_path_factory.mktemp("watch-postgresql")
    hooks = {"POLICY_ENGINE_WEBHOOKS": str(written(folder, {"both": f"http://127.0.0.1:{receiver.port}/"}))}
    with store_on(postgres) as store, ExitStack() as both:
        installation = installed(store.url, folder, person="dora")
        one, two = (both.enter_context(running(installation, environment=hooks)) for _ in range(2))
        yield one, two


def listen(server: Server, last: str | None = None) -> Listener:
    return Listener(server.port, server.installation.token, last)


def freeze(server: Server, model: str) -> None:
    body = json.dumps({"models": [model], "authority": "BIS", "reason": "a test"}).encode()
    assert server.request("POST", "/freezes", body)[0] == HTTPStatus.CREATED


def told(listener: Listener, count: int) -> list[tuple[str, str]]:
    events = [listener.next() for _ in range(count)]
    assert all(events)
    return [(one.id, one.data["models"][0]) for one in events if one]


def test_what_either_process_changes_is_told_by_both_in_one_order_and_nothing_is_lost_over_reconnects(
    servers: tuple[Server, Server], receiver: Hook
) -> None:
    listeners = [listen(server) for server in servers]
    begun = [listener.next() for listener in listeners]
    freeze(servers[0], MODELS[0])
    assert [told(listener, 1)[0][1] for listener in listeners] == [MODELS[0]] * 2
    # Both write at once: none may be committed behind one that was told.
    with ThreadPoolExecutor(4) as writers:
        list(writers.map(lambda number: freeze(servers[number % 2], MODELS[number // 2 % 2]), range(16)))
    first, second = (told(listener, 16) for listener in listeners)
    assert first == second
    assert [int(one) for one, _ in first] == sorted({int(one) for one, _ in first})
    for listener in listeners:
        listener.close()

    # Who goes on at the other process is told what came after the event that it names, and that alone.
    freeze(servers[1], MODELS[1])
    for server in servers:
        again = listen(server, first[9][0])
        again.next()
        assert told(again, 7)[:6] == first[10:]
        again.close()
    assert begun[0] is not None
    whole = listen(servers[1], begun[0].id)
    whole.next()
    events = told(whole, 18)
    whole.close()
    sent = receiver.wait(18)
    assert [str(one.event["data"]["index"]) for one in sent] == [one for one, _ in events]
    assert len({one.id for one in sent}) == 18


def test_when_a_process_is_killed_its_listeners_and_its_webhooks_go_on_at_the_other(
    servers: tuple[Server, Server], receiver: Hook
) -> None:
    before = len(receiver.sent)
    metrics = [server.request("GET", "/metrics")[2].decode() for server in servers]
    holds = ['pdp_webhook_held{receiver="both"} 1.0' in text for text in metrics]
    assert sorted(holds) == [False, True]
    killed, left = servers if holds[0] else (servers[1], servers[0])
    listener = listen(killed)
    begun = listener.next()
    assert begun is not None
    killed.kill()
    with pytest.raises((OSError, ValueError, AssertionError)):
        assert listener.next() is not None
    listener.close()
    for model in MODELS:
        freeze(left, model)
    again = listen(left, begun.id)
    again.next()
    events = told(again, 2)
    again.close()
    assert [model for _, model in events] == list(MODELS)
    sent = receiver.wait(before + 2)[before:]
    assert [str(one.event["data"]["index"]) for one in sent] == [one for one, _ in events]
