"""`GET /watch` of two services on one database, while a third program changes what is on file."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path

import pytest

from policy_engine.app.builder import build
from policy_engine.app.clock import system_clock
from policy_engine.app.stores import open_keyring, open_stores
from policy_engine.asgi import create_app
from policy_engine.domain.roster import Citizenship, ListingStatus, Membership, MembershipStatus, RosterRows
from policy_engine.http.connections import Limits, guarded
from tests.api.service import copied
from tests.faults.process import ROSTER, Installation, installed
from tests.gateways.listening import PATIENCE_SECONDS, Listener
from tests.gateways.served import at_a_port

LISTENERS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A service of its own at a port, with its own connections to the one database."""

    port: int
    token: str

    def listen(self, last: str | None = None, *, token: str | None = None) -> Listener:
        _listeners.append(Listener(self.port, token or self.token, last))
        return _listeners[-1]

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        connection.request(method, path, body, {"Authorization": f"Bearer {self.token}"})
        response = connection.getresponse()
        told = response.status, response.getheader("content-type", ""), response.read()
        connection.close()
        return told


_listeners: list[Listener] = []


@pytest.fixture(autouse=True)
def _no_listener_is_left() -> Iterator[None]:
    yield
    while _listeners:
        _listeners.pop().close()


@contextmanager
def serving(installation: Installation, *, request_seconds: float = 30) -> Iterator[Door]:
    """A service on the database, behind the guard of connections that `serve` puts before it."""
    parts = build(installation.settings.model_copy(update={"listeners": LISTENERS}))
    limits = Limits(
        header_bytes=32_768, headers=100, request_seconds=request_seconds, connections=64, connections_per_address=64
    )
    try:
        with at_a_port(create_app(parts), http=guarded(limits)) as address:
            yield Door(port=int(address.rpartition(":")[2]), token=installation.token)
    finally:
        parts.close()


@pytest.fixture(scope="module")
def installation(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("watch")
    return installed(copied(migrated, folder), folder, person="dora")


@pytest.fixture(scope="module")
def servers(installation: Installation) -> Iterator[tuple[Door, Door]]:
    with serving(installation) as one, serving(installation) as two:
        yield one, two


def record(installation: Installation, rows: RosterRows) -> None:
    """Put rows on file from this process, which is neither of the services."""
    with open_stores(installation.settings) as stores:
        assert stores.members.record(rows, actor="test", reason="test", at=system_clock()).added


def suspended(organisation: str) -> RosterRows:
    row = next(one for one in ROSTER.memberships if one.organisation == organisation)
    start = system_clock()
    return RosterRows(
        memberships=(replace(row, status=MembershipStatus.SUSPENDED, valid=replace(row.valid, start=start)),)
    )


def confirmed(party: str) -> RosterRows:
    row = replace(ROSTER.listings[0], party=party, status=ListingStatus.CONFIRMED, reference=f"test {time.monotonic()}")
    return RosterRows(listings=(row,))


def test_every_process_tells_which_membership_ended_for_whom_and_for_which_models(
    installation: Installation, servers: tuple[Door, Door]
) -> None:
    listeners = [server.listen() for server in servers]
    begun = [listener.next() for listener in listeners]
    record(installation, suspended("weser-ag"))
    told = [listener.next() for listener in listeners]
    for listener in listeners:
        listener.close()

    assert [one.name for one in begun if one] == ["begin", "begin"]
    (first, second) = [one.data for one in told if one]
    assert first == second
    assert (first["causes"], first["everybody"], first["every_model"]) == (["membership"], False, False)
    assert first["models"] == ["mythos-5"]
    assert first["subjects"] == ["organisation:weser-ag", "person:hans", "person:joe"]


def test_a_listing_is_about_everything_that_the_party_owns_and_whoever_works_there(
    installation: Installation, servers: tuple[Door, Door]
) -> None:
    listener = servers[0].listen()
    listener.next()
    record(installation, confirmed("beihe-holding"))
    told = listener.next()
    listener.close()

    assert told is not None
    assert (told.data["causes"], told.data["every_model"]) == (["listing"], True)
    owned = {"beihe-holding", "kallang-holdco", "keihin-kk", "garance-sa"}
    assert {f"organisation:{one}" for one in owned} | {"person:luc"} <= set(told.data["subjects"])


def test_a_freeze_is_told_and_its_end_is_not_and_the_events_name_no_fact(
    installation: Installation, servers: tuple[Door, Door]
) -> None:
    listener = servers[1].listen()
    listener.next()
    body = {"models": ["mythos-5"], "authority": "BIS", "reason": "a reason that nobody is told of"}
    status, _, _ = servers[0].request("POST", "/freezes", json.dumps(body).encode())
    assert status == HTTPStatus.CREATED
    record(installation, RosterRows(citizenships=(Citizenship(person="carol", country="CN"),)))
    told = [listener.next(), listener.next()]
    listener.close()

    freeze, facts = [one.data for one in told if one]
    assert (freeze["causes"], freeze["everybody"], freeze["models"]) == (["freeze"], True, ["mythos-5"])
    assert (facts["causes"], facts["subjects"]) == (["facts"], ["person:carol"])
    text = json.dumps([freeze, facts])
    for secret in ("CN", "citizenship", "BIS", "nobody is told", "dora"):
        assert secret not in text


def test_nothing_is_told_of_what_only_widens(installation: Installation, servers: tuple[Door, Door]) -> None:
    listener = servers[0].listen()
    listener.next()
    joined = Membership(organisation="prairie-retail", consortium="glasswing", status=MembershipStatus.ACTIVE)
    cleared = replace(ROSTER.listings[0], party="pat-party", status=ListingStatus.CLEARED)
    record(installation, RosterRows(memberships=(joined,)))
    record(installation, RosterRows(listings=(cleared,)))
    record(installation, confirmed("prairie-retail"))
    told = listener.next()
    listener.close()

    assert told is not None
    assert told.data["causes"] == ["listing"]
    assert "organisation:prairie-retail" in told.data["subjects"]


def test_who_comes_back_is_told_everything_since_by_any_process_also_after_a_restart(
    installation: Installation, servers: tuple[Door, Door]
) -> None:
    listener = servers[0].listen()
    begun = listener.next()
    listener.close()
    assert begun is not None
    parties = [f"party-{number}" for number in range(120)]
    for party in parties:
        record(installation, confirmed(party))
    again = servers[1].listen(begun.id)
    again.next()
    half = [again.next() for _ in range(50)]
    again.close()
    with serving(installation) as third:
        rest = third.listen(half[-1].id if half[-1] else "")
        rest.next()
        whole = [*half, *(rest.next() for _ in range(70))]
        rest.close()

    assert [one.data["subjects"] for one in whole if one] == [[f"organisation:{party}"] for party in parties]
    indexes = [int(one.id) for one in whole if one]
    assert indexes == sorted(set(indexes))


def test_an_id_from_another_log_says_to_forget_everything_and_one_that_never_was_is_refused(
    servers: tuple[Door, Door],
) -> None:
    listener = servers[0].listen("99999999")
    told = listener.next()
    listener.close()
    assert told is not None
    assert told.name == "reset"
    assert int(told.id) < 99999999
    for bad in ("-1", "x", "", "1" * 20, "\u0661".encode().decode("latin-1")):
        refused = servers[0].listen(bad)
        assert refused.response.status == HTTPStatus.BAD_REQUEST
        assert b"leave it away to begin" in refused.response.read()
        refused.close()


def test_a_stream_ends_when_its_key_is_revoked_and_a_key_without_the_right_opens_none(
    installation: Installation, servers: tuple[Door, Door]
) -> None:
    with open_keyring(installation.settings) as ring:
        made = [
            ring.create(name="g", rights=rights, at=system_clock(), random_hex=lambda size: "ab" * size, gateway="main")
            if rights == ("watch",)
            else ring.create(name="g", rights=rights, at=system_clock(), random_hex=lambda size: "cd" * size)
            for rights in (("watch",), ("decide",))
        ]
        listener = servers[0].listen(token=made[0].token)
        assert listener.next() is not None
        ring.revoke(made[0].key.id, system_clock())
        assert listener.next() is None
    assert servers[0].listen(token=made[0].token).response.status == HTTPStatus.UNAUTHORIZED
    assert servers[0].listen(token=made[1].token).response.status == HTTPStatus.FORBIDDEN


def test_more_listeners_than_may_are_told_to_come_back_and_one_that_leaves_makes_room(
    servers: tuple[Door, Door],
) -> None:
    listeners = [servers[0].listen() for _ in range(LISTENERS)]
    further = servers[0].listen()
    assert further.response.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert further.response.getheader("Retry-After")
    for listener in listeners:
        listener.close()
    end = time.monotonic() + 20
    while (again := servers[0].listen()).response.status != HTTPStatus.OK:
        assert time.monotonic() < end
        time.sleep(0.1)
    again.close()


def test_signs_of_life_come_while_nothing_ends(servers: tuple[Door, Door], installation: Installation) -> None:
    listener = servers[0].listen()
    listener.next()
    threading.Timer(5.0, record, (installation, confirmed("late-party"))).start()
    assert listener.next() is not None
    assert listener.comments >= 1
    listener.close()


def test_a_head_alone_is_answered_and_ends(servers: tuple[Door, Door]) -> None:
    status, kind, body = servers[0].request("HEAD", "/watch")
    assert (status, kind, body) == (HTTPStatus.OK, "text/event-stream; charset=utf-8", b"")


def test_the_service_ends_while_somebody_listens_also_one_who_reads_nothing(installation: Installation) -> None:
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        with serving(installation, request_seconds=1) as door:
            slow.connect(("127.0.0.1", door.port))
            head = "GET /watch HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 0\r\n"
            slow.sendall(f"{head}Authorization: Bearer {installation.token}\r\n\r\n".encode())
            listener = door.listen()
            assert listener.next() is not None
        assert listener.next() is None
