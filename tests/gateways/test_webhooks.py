"""Webhooks of real services to real receivers, while a third program changes what is on file."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from ipaddress import ip_address, ip_network
from itertools import pairwise
from pathlib import Path

import pytest
import structlog

from policy_engine.api.metrics import _text as metrics_of
from policy_engine.app import webhooks as sending
from policy_engine.app.builder import Parts, build
from policy_engine.app.clock import system_clock
from policy_engine.app.stores import open_stores
from policy_engine.app.webhooks import post
from policy_engine.domain.gateways import Network
from policy_engine.domain.ports import LogUnavailable
from policy_engine.domain.webhooks import Cursor, Disabled, Receiver, may_be_at
from policy_engine.formats.faults import FaultsError
from policy_engine.formats.webhooks_file import MOST_RECEIVERS, SecretsFault, read_receivers, read_secrets
from policy_engine.service.gate import webhooks as delivering
from policy_engine.service.gate.endings import Endings
from policy_engine.service.gate.webhooks import (
    GIVE_UP,
    HOLD,
    LONGEST_PAUSE_SECONDS,
    Courier,
    Couriers,
    Outside,
    Undelivered,
)
from policy_engine.store.change_list import ChangeList
from policy_engine.store.database import open_database
from policy_engine.store.webhook_cursors import WebhookCursors
from tests.api.service import NOON, copied
from tests.cli.test_cli import Shell
from tests.faults.process import Installation, installed
from tests.gateways.issuing import for_the_loopback
from tests.gateways.listening import PATIENCE_SECONDS
from tests.gateways.pages import PAGES, blocks
from tests.gateways.receiving import OTHER_SECRET, SECRET, Hook, receiving, written
from tests.gateways.test_watch import confirmed, record, suspended


@pytest.fixture(scope="module")
def installation(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("webhooks")
    return installed(copied(migrated, folder), folder, person="dora")


@pytest.fixture
def receiver() -> Iterator[Hook]:
    with receiving() as one:
        yield one


@contextmanager
def delivering_to(installation: Installation, file: Path) -> Iterator[Parts]:
    """A service whose deliveries are at work, once it holds what it may."""
    parts = build(installation.settings.model_copy(update={"webhooks": file}))
    try:
        parts.webhooks.start()
        yield parts
    finally:
        parts.close()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def held(parts: Parts) -> bool:
    return all(one.is_held for one in parts.webhooks.figures().values())


def names_of(receiver: Hook, count: int) -> list[str]:
    return [one.event["data"]["subjects"][0] for one in receiver.wait(count)]


# --- what is sent -----------------------------------------------------------------------------------------------------


def test_a_receiver_is_told_what_a_listener_is_told_and_by_both_signatures_and_no_fact(
    installation: Installation, receiver: Hook, tmp_path: Path
) -> None:
    file = written(tmp_path, {"edge": f"http://127.0.0.1:{receiver.port}/hook?of=edge"}, SECRET, OTHER_SECRET)
    with delivering_to(installation, file) as parts:
        until(lambda: held(parts))
        record(installation, suspended("weser-ag"))
        (sent,) = receiver.wait(1)
        # A replaced secret counts from the next delivery on.
        (tmp_path / "receiver.secrets").write_text(OTHER_SECRET)
        record(installation, confirmed("a-party"))
        (_, second) = receiver.wait(2)
        told = parts.listeners._endings.after(sent.event["data"]["index"] - 1).told[0]

    assert sent.event["type"] == "grants.ended"
    assert sent.event["data"] == json.loads(told.document)
    assert sent.event["timestamp"] == sent.event["data"]["at"]
    assert sent.event["data"]["subjects"] == ["organisation:weser-ag", "person:hans", "person:joe"]
    assert sent.event["data"]["models"] == ["mythos-5"]
    assert (sent.is_signed_by(SECRET), sent.is_signed_by(OTHER_SECRET)) == (True, True)
    assert (second.is_signed_by(SECRET), second.is_signed_by(OTHER_SECRET)) == (False, True)
    assert abs(int(sent.headers["webhook-timestamp"]) - system_clock().timestamp()) < 60
    assert sent.headers["content-type"] == "application/json"
    for secret in (b"DE", b"citizenship", b"test", b"dora", SECRET.encode()):
        assert secret not in sent.body


def test_each_is_sent_in_the_order_of_the_log_and_again_under_its_id_until_it_is_taken(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "FIRST_PAUSE_SECONDS", 0.05)
    with receiving(statuses=[500, 302, 204]) as receiver:
        receiver.location = f"http://127.0.0.1:{receiver.port}/elsewhere"
        file = written(tmp_path, {"edge": f"http://127.0.0.1:{receiver.port}/"})
        with delivering_to(installation, file) as parts:
            until(lambda: held(parts))
            record(installation, confirmed("first-party"))
            record(installation, confirmed("second-party"))
            told = names_of(receiver, 4)
            until(lambda: parts.webhooks.figures()["edge"].taken == 2)
            figures = metrics_of(parts).decode()
    assert told == ["organisation:first-party"] * 3 + ["organisation:second-party"]
    assert len({one.id for one in receiver.sent[:3]}) == 1
    assert receiver.sent[3].id != receiver.sent[0].id
    assert 'pdp_webhook_attempts_total{outcome="failed",receiver="edge"} 2.0' in figures
    assert 'pdp_webhook_attempts_total{outcome="taken",receiver="edge"} 2.0' in figures


def test_nothing_is_lost_while_the_receiver_and_the_service_are_down(
    installation: Installation, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    file = written(tmp_path, {"late": f"http://127.0.0.1:{port}/"})
    with delivering_to(installation, file) as parts:
        until(lambda: held(parts))
        record(installation, confirmed("while-the-receiver-is-down"))
        until(lambda: parts.webhooks.figures()["late"].failed > 0)
    record(installation, confirmed("while-the-service-is-down"))
    with receiving(port=port) as receiver, delivering_to(installation, file):
        told = names_of(receiver, 2)
    assert told == ["organisation:while-the-receiver-is-down", "organisation:while-the-service-is-down"]


def test_of_two_processes_one_delivers_and_the_other_goes_on_when_it_ends(
    installation: Installation, receiver: Hook, tmp_path: Path
) -> None:
    file = written(tmp_path, {"shared": f"http://127.0.0.1:{receiver.port}/"})
    parties = [f"shared-{number}" for number in range(6)]
    with delivering_to(installation, file) as other:
        until(lambda: held(other))
        with delivering_to(installation, file) as parts:
            for party in parties[:3]:
                record(installation, confirmed(party))
            receiver.wait(3)
            assert not held(parts)
            other.webhooks.close()
            for party in parties[3:]:
                record(installation, confirmed(party))
            receiver.wait(6)
            assert held(parts)
    assert names_of(receiver, 6) == [f"organisation:{party}" for party in parties]


def test_who_says_that_it_is_gone_is_sent_nothing_until_a_person_enables_it(
    installation: Installation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shell = Shell(monkeypatch, capsys)
    with receiving(statuses=[410, 204]) as receiver:
        file = written(tmp_path, {"gone": f"http://127.0.0.1:{receiver.port}/"})
        monkeypatch.setenv("POLICY_ENGINE_WEBHOOKS", str(file))
        monkeypatch.setenv("POLICY_ENGINE_DATABASE_URL", installation.url)
        with structlog.testing.capture_logs() as said, delivering_to(installation, file) as parts:
            until(lambda: held(parts))
            record(installation, confirmed("before-it-went"))
            until(lambda: parts.webhooks.figures()["gone"].is_disabled)
            record(installation, confirmed("after-it-went"))
            time.sleep(0.5)
            assert len(receiver.sent) == 1
            assert 'pdp_webhook_disabled{receiver="gone"} 1.0' in metrics_of(parts).decode()
            rows = {one["name"]: one for one in json.loads(shell("webhooks", "list", "--json").out)}
            assert rows["gone"]["disabled"] == "gone"
            assert shell("webhooks", "enable", "gone").code == 0
            assert names_of(receiver, 3)[1:] == ["organisation:before-it-went", "organisation:after-it-went"]
    assert shell("webhooks", "enable", "gone").code == 1
    told = [(one["event"], one.get("reason")) for one in said if one.get("receiver") == "gone"]
    assert (delivering.DISABLED, "answered 410") in told


def test_who_is_too_far_behind_is_told_once_to_forget_everything(
    installation: Installation, receiver: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "MOST_BEHIND", 100)
    file = written(tmp_path, {"behind": f"http://127.0.0.1:{receiver.port}/"})
    with delivering_to(installation, file) as parts:
        until(lambda: held(parts))
    for number in range(101):
        record(installation, confirmed(f"behind-{number}"))
    with delivering_to(installation, file):
        receiver.wait(1)
        record(installation, confirmed("after-it"))
        (reset, after) = receiver.wait(2)
    with open_stores(installation.settings) as stores:
        assert reset.event["data"]["index"] == stores.changes.last() - 1
    assert (reset.event["type"], after.event["type"]) == ("grants.reset", "grants.ended")
    assert after.event["data"]["subjects"] == ["organisation:after-it"]


def test_the_receiver_of_the_page_forgets_what_it_is_told_and_takes_nothing_that_another_signed(
    installation: Installation, tmp_path: Path
) -> None:
    program = [sys.executable, "-u", "-c", blocks(PAGES / "webhooks.md")["receiver.py"]]
    environment = {**os.environ, "WEBHOOK_SECRET": SECRET, "PORT": "0"}
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environment) as receiver:  # noqa: S603  the page's own
        assert receiver.stdout is not None
        port = int(receiver.stdout.readline().split(":")[-1])
        forged = written(tmp_path, {"page": f"http://127.0.0.1:{port}/"}, OTHER_SECRET)
        with delivering_to(installation, forged) as parts:
            until(lambda: held(parts))
            record(installation, suspended("weser-ag"))
            until(lambda: parts.webhooks.figures()["page"].failed > 0)
            (tmp_path / "receiver.secrets").write_text(SECRET)
            line = receiver.stdout.readline()
        receiver.terminate()
    assert line == "forget ['organisation:weser-ag', 'person:hans', 'person:joe'] ['mythos-5']\n"


# --- when it is sent again --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class World:
    """A courier over the real log, with hands on its clocks; `answers` are statuses, or why nobody answered."""

    now: datetime = NOON
    seconds: float = 0.0
    chance: float = 0.0
    answers: list[int | str] = field(default_factory=lambda: [204])
    said: list[tuple[str, str | None]] = field(default_factory=list)
    posted: int = 0

    def post(self, _receiver: Receiver, _headers: dict[str, str], _body: bytes) -> int:
        self.posted += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, str):
            raise Undelivered(answer)
        return answer

    @property
    def outside(self) -> Outside:
        return Outside(
            post=self.post,
            secrets=lambda _: (SECRET,),
            clock=lambda: self.now,
            monotonic=lambda: self.seconds,
            chance=lambda: self.chance,
            report=lambda _, what, why: self.said.append((what, why)),
        )


def somewhere(
    name: str = "unit", *, host: str = "127.0.0.1", port: int = 1, tls: bool = False, networks: tuple[Network, ...] = ()
) -> Receiver:
    return Receiver(name=name, host=host, port=port, target="/", tls=tls, secrets="x", networks=networks)


@pytest.fixture
def world(installation: Installation) -> Iterator[tuple[World, Courier, Couriers, WebhookCursors]]:
    """A courier that holds its receiver and has one thing to tell."""
    made, engine = World(), open_database(installation.url, derived=True)
    cursors = WebhookCursors(engine)
    parts = build(installation.settings)
    endings = Endings(ChangeList(engine), parts.gate.view)
    name = f"unit-{time.monotonic_ns()}"
    couriers = Couriers([somewhere(name)], holder="this", endings=endings, cursors=cursors, outside=made.outside)
    couriers.claim()
    record(installation, confirmed(f"party-{name}"))
    yield made, couriers.each[0], couriers, cursors
    parts.close()
    engine.dispose()


def on_file(cursors: WebhookCursors, courier: Courier) -> Cursor:
    return next(one for one in cursors.all() if one.name == courier.receiver.name)


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_the_pause_between_attempts_doubles_up_to_five_minutes_and_is_cut_by_chance(
    world: tuple[World, Courier, Couriers, WebhookCursors], chance: float
) -> None:
    made, courier, _, cursors = world
    made.answers, made.chance = [503], chance
    courier.hold(on_file(cursors, courier), until=1e9)
    times: list[float] = []
    while len(times) < 12:
        before = made.posted
        courier.turn()
        if made.posted > before:
            times.append(made.seconds)
        made.seconds += 0.5
    pauses = [after - first for first, after in pairwise(times)]
    assert pauses == [one * (1 - chance / 2) for one in (1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300)]
    assert LONGEST_PAUSE_SECONDS == 300
    assert made.said == [(delivering.FAILING, "answered 503")]


def test_who_takes_nothing_for_three_days_is_disabled_and_whoever_takes_it_in_between_is_not(
    world: tuple[World, Courier, Couriers, WebhookCursors],
) -> None:
    made, courier, couriers, cursors = world
    made.answers = ["connection refused"]
    courier.turn()
    assert on_file(cursors, courier).failing_since == NOON
    # Another process, or this one after a restart, counts from the same instant.
    courier.hold(None, until=0.0)
    made.now, made.seconds = NOON + GIVE_UP - timedelta(seconds=1), 400.0
    couriers.claim()
    courier.turn()
    assert on_file(cursors, courier).disabled is None
    made.now, made.seconds = NOON + GIVE_UP, 800.0
    couriers.claim()
    courier.turn()
    assert on_file(cursors, courier).disabled is Disabled.FAILING
    assert courier.figures().is_disabled
    couriers.claim()
    made.seconds += 1_000
    courier.turn()
    assert made.posted == 3
    assert made.said == [(delivering.FAILING, "connection refused"), (delivering.DISABLED, "connection refused")]
    assert cursors.enable(courier.receiver.name)
    made.answers = [200]
    couriers.claim()
    courier.turn()
    assert (on_file(cursors, courier).failing_since, courier.figures().taken) == (None, 1)


def test_a_hold_that_is_over_delivers_nothing_and_somebody_else_goes_on(
    installation: Installation, world: tuple[World, Courier, Couriers, WebhookCursors]
) -> None:
    made, courier, couriers, cursors = world
    names = [courier.receiver.name]
    assert cursors.claim(names, "other", at=NOON + HOLD, until=NOON + 2 * HOLD) == ()
    later = NOON + HOLD + timedelta(microseconds=1)
    (taken,) = cursors.claim(names, "other", at=later, until=later + HOLD)
    # This process was stopped meanwhile: it delivers once more, and moves nothing that is another's.
    courier.turn()
    assert made.posted == 1
    assert on_file(cursors, courier).told == taken.told
    courier.turn()
    assert made.posted == 1
    made.now = later
    couriers.claim()
    record(installation, confirmed("one-more"))
    courier.turn()
    assert (made.posted, courier.figures().is_held) == (1, False)


def test_a_process_that_was_stopped_goes_on_from_where_somebody_else_has_come_to(
    world: tuple[World, Courier, Couriers, WebhookCursors],
) -> None:
    made, courier, couriers, cursors = world
    later = made.now + 2 * HOLD
    (taken,) = cursors.claim([courier.receiver.name], "other", at=later, until=later + HOLD)
    assert cursors.move(taken.name, "other", told=taken.told + 1)
    cursors.release("other")
    made.now, made.seconds = later, 2 * HOLD.total_seconds()
    couriers.claim()
    courier.turn()
    assert (made.posted, on_file(cursors, courier).told) == (0, taken.told + 1)


def test_without_the_database_nothing_is_claimed_or_told_and_it_goes_on_afterwards(
    world: tuple[World, Courier, Couriers, WebhookCursors], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, courier, couriers, _ = world

    def away(*_: object, **__: object) -> None:
        raise LogUnavailable("the database is away")

    with monkeypatch.context() as broken:
        broken.setattr(ChangeList, "after", away)
        broken.setattr(WebhookCursors, "claim", away)
        broken.setattr(WebhookCursors, "release", away)
        courier.turn()
        couriers.claim()
        couriers.release()
    assert made.posted == 0
    couriers.claim()
    courier.turn()
    assert made.posted == 1


def test_an_error_that_nobody_foresaw_ends_all_deliveries_of_the_process_and_lets_others_go_on(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda told: ended.append(told.exc_type.__name__))
    file = written(tmp_path, {"broken": "http://127.0.0.1:1/"})
    with delivering_to(installation, file) as parts:
        until(lambda: held(parts))
        monkeypatch.setattr(Endings, "after", lambda *_: 1 / 0)
        until(lambda: bool(ended))
        until(lambda: not held(parts))
    assert ended == ["ZeroDivisionError"]


# --- where it is sent -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.1.2.3",
            "224.0.0.1",
        ),
        *("::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1"),
        *("2002:a00:1::", "192.0.0.1", "198.18.0.1", "255.255.255.255", "240.0.0.1"),
    ],
)
def test_a_name_that_leads_into_a_private_network_is_sent_nothing(address: str) -> None:
    public = somewhere(host="hooks.example.com", tls=True)
    assert not may_be_at(public, ip_address(address))


def test_what_a_receiver_may_be_at_is_public_or_in_a_network_that_it_names_or_here_where_it_says_so() -> None:
    public = somewhere(host="hooks.example.com", networks=(ip_network("10.1.0.0/16"),))
    reached = ("8.8.8.8", "2606:4700::1", "10.1.2.3")
    assert all(may_be_at(public, ip_address(one)) for one in reached)
    assert not any(may_be_at(public, ip_address(one)) for one in ("10.2.0.1", "127.0.0.1", "::1"))
    here = somewhere(host="localhost")
    assert [may_be_at(here, ip_address(one)) for one in ("127.0.0.1", "::1", "8.8.8.8")] == [True, True, False]


def test_nothing_is_sent_to_a_name_of_this_machine_that_does_not_say_so(receiver: Hook) -> None:
    for host in ("127.1", "0x7f000001", "::ffff:127.0.0.1", "2130706433"):
        with pytest.raises(Undelivered, match="not public"):
            post(somewhere(host=host, port=receiver.port), {}, b"{}")
    with pytest.raises(Undelivered, match="its name leads nowhere"):
        post(somewhere(host="nowhere.invalid", port=receiver.port), {}, b"{}")
    assert not receiver.sent


def test_a_receiver_over_tls_has_to_prove_who_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, authority = for_the_loopback(tmp_path)
    with receiving(tls=context) as receiver:
        over_tls = somewhere(port=receiver.port, tls=True)
        with pytest.raises(Undelivered, match="its certificate is not trusted"):
            post(over_tls, {}, b"{}")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        assert post(over_tls, {}, b"{}") == HTTPStatus.NO_CONTENT
        assert [one.headers["host"] for one in receiver.sent] == [f"127.0.0.1:{receiver.port}"]


@pytest.mark.parametrize("drip", [b"HTTP/1.1 200 O", b""])
def test_a_receiver_that_does_not_come_to_an_end_is_cut_off(drip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "POST_SECONDS", 0.5)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def dripping() -> None:
            connection, _ = listener.accept()
            with closing(connection):
                for number in range(200):
                    if over.wait(0.1):
                        return
                    try:
                        connection.sendall(drip[number : number + 1])
                    except OSError:
                        return

        thread = threading.Thread(target=dripping)
        thread.start()
        with pytest.raises(Undelivered):
            post(somewhere(port=listener.getsockname()[1]), {}, b"{}")
        over.set()
        thread.join()


# --- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "the file names no receiver"),
        ("receivers: {}", "the file names no receiver"),
        ("receivers: {a: {url: 'https://x.example/', secrets: s, extra: 1}}", "unknown field `extra`"),
        ("receivers: {a: {secrets: s}}", "`url` is missing"),
        ("receivers: {a: {url: 'https://x.example/'}}", "`secrets` is missing"),
        ("receivers: {A_b: {url: 'https://x.example/', secrets: s}}", "`A_b` is not a name for a receiver"),
        ("receivers: {a: {url: 'http://x.example/', secrets: s}}", "is not encrypted"),
        ("receivers: {a: {url: 'http://10.0.0.1/', secrets: s}}", "is not encrypted"),
        ("receivers: {a: {url: 'ftp://x.example/', secrets: s}}", "is not an address"),
        ("receivers: {a: {url: 'https://user:pass@x.example/', secrets: s}}", "is not an address"),
        ("receivers: {a: {url: 'https://x.example/#part', secrets: s}}", "is not an address"),
        ("receivers: {a: {url: 'https://x.example:99999/', secrets: s}}", "is not an address"),
        ("receivers: {a: {url: 'https://[::1/', secrets: s}}", "is not an address"),
        ("receivers: {a: {url: 'https://x.example/', secrets: s, networks: [10.1.2.3/8]}}", "is not a network"),
    ],
)
def test_a_file_that_could_be_misread_is_refused_with_its_place(text: str, told: str) -> None:
    with pytest.raises(FaultsError) as error:
        read_receivers(text.encode(), "webhooks.yaml")
    assert told in str(error.value)
    assert "webhooks.yaml:1:" in str(error.value)


def test_a_file_of_too_many_receivers_is_refused() -> None:
    one = "{url: 'https://x.example/', secrets: s}"
    text = ", ".join(f"d{number}: {one}" for number in range(MOST_RECEIVERS + 1))
    with pytest.raises(FaultsError, match="at most 16"):
        read_receivers(f"receivers: {{{text}}}".encode(), "webhooks.yaml")


@pytest.mark.parametrize(
    "data", [b"", b"\n\n", b"secret", b"whsec_", b"whsec_c2hvcnQ=", b"whsec_***", b"\xff", (SECRET + "\n").encode() * 3]
)
def test_a_file_of_secrets_that_cannot_be_signed_with_is_refused_and_not_repeated(data: bytes) -> None:
    with pytest.raises(SecretsFault) as error:
        read_secrets(data)
    assert "c2hvcnQ" not in str(error.value)


def test_a_service_does_not_begin_with_a_file_that_is_missing_or_secrets_that_are(
    installation: Installation, tmp_path: Path
) -> None:
    def begun(file: Path) -> None:
        build(installation.settings.model_copy(update={"webhooks": file})).close()

    with pytest.raises(FaultsError, match="mend POLICY_ENGINE_WEBHOOKS"):
        begun(tmp_path / "missing.yaml")
    file = written(tmp_path, {"edge": "https://x.example/"})
    (tmp_path / "receiver.secrets").unlink()
    with pytest.raises(FaultsError, match="`policy-engine webhooks secret` makes one"):
        begun(file)


def test_secrets_that_go_away_or_break_while_it_runs_stop_deliveries_and_say_so(tmp_path: Path) -> None:
    of = sending.Secrets(tmp_path)
    with pytest.raises(Undelivered, match="cannot be read"):
        of(somewhere())
    (tmp_path / "x").write_text("nothing")
    with pytest.raises(Undelivered, match="not a secret"):
        of(somewhere())


def test_a_secret_that_the_command_makes_can_be_signed_with(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read_secrets(Shell(monkeypatch, capsys)("webhooks", "secret").out.encode())
