"""Connections from outside, to a real service: whoever holds them back, or sends without end, silences nobody else."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.api.service import copied
from tests.faults.process import Server, installed, running

SECONDS = 3
DECIDE = json.dumps(
    {
        "subject": {"type": "person", "id": "carol"},
        "model": "mythos-5",
        "action": "infer",
        "purpose": "defensive_cybersecurity",
        "place": {"country": "US"},
    }
).encode()
HEAD = b"POST /decide HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n"


@contextmanager
def served(migrated_file: Path, folder: Path, **settings: object) -> Iterator[Server]:
    installation = installed(copied(migrated_file, folder), folder)
    more = {f"POLICY_ENGINE_{name.upper()}": str(value) for name, value in settings.items()}
    with running(installation, environment=more) as server:
        yield server


@pytest.fixture(scope="module")
def server(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("connections")
    with served(migrated_file, folder, request_seconds=SECONDS, connections=200, connections_per_address=180) as one:
        yield one


class Peer:
    """A connection that a test writes by hand."""

    def __init__(self, server: Server) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        self.sent = 0

    def send(self, data: bytes) -> bool:
        """Whether the service still took it."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        self.sent += len(data)
        return True

    def read(self) -> bytes:
        """Everything up to the end of the connection."""
        received = b""
        with suppress(ConnectionError):
            while data := self.socket.recv(65536):
                received += data
        return received

    def is_closed(self) -> bool:
        self.socket.setblocking(False)
        try:
            while self.socket.recv(65536):
                pass
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        self.socket.close()


@contextmanager
def peer(server: Server) -> Iterator[Peer]:
    one = Peer(server)
    try:
        yield one
    finally:
        one.close()


def is_answered(server: Server) -> None:
    started = time.monotonic()
    assert server.request("GET", "/livez")[0] == 200
    status, _, body = server.request("POST", "/decide", DECIDE)
    assert (status, json.loads(body)["decision"]) == (200, "allow")
    assert time.monotonic() - started < 10


def status_and_type(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower()
    assert b"connection: close" in head.lower()
    return int(head.split(b" ")[1]), json.loads(body)["type"]


STALLED = (b"", b"PO", b"POST /decide HTTP/1.1\r\nHost: h\r\nX-Slow: ", HEAD + b"\r\n", HEAD + b"\r\n{")


def test_152_stalled_connections_leave_everybody_else_answered_and_beyond_a_limit_they_replace_each_other(
    migrated_file: Path, tmp_path: Path
) -> None:
    limits = {"connections": 180, "connections_per_address": 170}
    with served(migrated_file, tmp_path, request_seconds=600, **limits) as patient, ExitStack() as opened:
        stalled = []
        for place in range(152):
            one = opened.enter_context(peer(patient))
            one.send(STALLED[place % len(STALLED)])
            stalled.append(one)
        for _ in range(3):
            is_answered(patient)
        assert not any(one.is_closed() for one in stalled)
        for place in range(152, 300):
            one = opened.enter_context(peer(patient))
            one.send(STALLED[place % len(STALLED)])
            stalled.append(one)
        is_answered(patient)
        silent = [one.is_closed() for one in stalled[:: len(STALLED)]]
        held_back = [one.is_closed() for place, one in enumerate(stalled) if place % len(STALLED)]
        # Who holds a request back makes place before who sent nothing yet, and whoever has done so longest goes first.
        assert not any(silent)
        assert held_back[:110] == [True] * 110
        assert held_back[-90:] == [False] * 90


@pytest.mark.parametrize(
    ("begin", "more", "expected"),
    [
        (b"GET /livez HTTP/1.1\r\nX-Endless: ", b"a" * 65536, (431, "/problems/headers-too-large")),
        (b"GET /livez HTTP/1.1\r\nX-Endless: ", b"a" * 100, (431, "/problems/headers-too-large")),
        (b"GET /livez HTTP/1.1\r\n", b"X-A: b\r\n" * 101, (431, "/problems/headers-too-large")),
        (b"GET /livez HTTP/1.1\r\n", b"X" * 65536, (431, "/problems/headers-too-large")),
        (b"GET /", b"a" * 65536, (414, "/problems/target-too-long")),
        (HEAD.replace(b"Content-Length: 100", b"Transfer-Encoding: chunked") + b"\r\n1;", b"a" * 65536, None),
        (HEAD.replace(b"Content-Length: 100", b"Transfer-Encoding: chunked") + b"\r\n0\r\nX: ", b"a" * 65536, None),
    ],
    ids=["value", "a little at a time", "number", "name", "target", "chunk extension", "trailer"],
)
def test_what_never_ends_is_refused_and_closed_and_no_megabytes_of_it_are_taken(
    server: Server, begin: bytes, more: bytes, expected: tuple[int, str] | None
) -> None:
    with peer(server) as one:
        one.send(begin)
        while one.sent < 60 * 2**20 and one.send(more):
            pass
        # What lies in the buffers of the two systems was sent too.
        assert one.sent < 16 * 2**20
    with peer(server) as one:
        one.send(begin + more * (40_000 // len(more) + 1))
        answer = one.read()
        if expected is not None:
            assert status_and_type(answer) == expected
        else:
            assert int(answer.split(b" ")[1]) in (400, 401, 431)


@pytest.mark.parametrize(
    "begin",
    [b"GET /livez HTT", b"GET /livez HTTP/1.1\r\nX-Slow: ", HEAD + b"\r\n{", b"\r\n"],
    ids=["target", "header", "body", "line"],
)
def test_a_request_that_is_not_whole_in_time_is_408_and_closed(server: Server, begin: bytes) -> None:
    key = f"Authorization: {server.headers['Authorization']}\r\n\r\n".encode()
    with peer(server) as one:
        started = time.monotonic()
        one.send(begin.replace(b"\r\n\r\n{", b"\r\n" + key + b"{"))
        answer = one.read()
        assert status_and_type(answer) == (408, "/problems/too-slow")
        assert SECONDS - 1 < time.monotonic() - started < SECONDS + 5


def test_a_drop_at_a_time_does_not_put_the_end_off(server: Server) -> None:
    with peer(server) as one:
        started = time.monotonic()
        one.send(b"GET /livez HTTP/1.1\r\nX-Slow: ")
        while one.send(b"a") and time.monotonic() - started < 30 and not one.is_closed():
            one.socket.setblocking(True)
            time.sleep(0.1)
        assert time.monotonic() - started < SECONDS + 8


def test_a_connection_over_which_nothing_comes_is_closed_without_a_word(server: Server) -> None:
    with peer(server) as one:
        assert one.read() == b""


def test_a_connection_that_was_opened_early_has_the_whole_time_for_its_request(server: Server) -> None:
    with peer(server) as one:
        time.sleep(SECONDS - 1)
        one.send(b"GET /livez HTTP/1.1\r\nHost: h\r\n")
        time.sleep(SECONDS - 1)
        one.send(b"Connection: close\r\n\r\n")
        assert one.read().startswith(b"HTTP/1.1 200")


def test_a_body_that_nobody_asks_for_is_not_taken_without_end(server: Server) -> None:
    with peer(server) as one:
        one.send(b"POST /decide HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        while one.sent < 60 * 2**20 and one.send(b"10000\r\n" + b"a" * 65536 + b"\r\n"):
            pass
        assert one.sent < 16 * 2**20
    is_answered(server)


def test_who_sends_thousands_of_requests_and_never_reads_an_answer_is_closed(server: Server) -> None:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.settimeout(10)
        one.connect(("127.0.0.1", server.port))
        sent = 0
        with suppress(ConnectionError):
            while sent < 10 * 2**20:
                one.sendall(b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n" * 2_000)
                sent += 66_000
        assert sent < 10 * 2**20
        is_answered(server)


def test_who_asks_in_turn_and_reads_nothing_is_closed(server: Server) -> None:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.settimeout(10)
        one.connect(("127.0.0.1", server.port))
        end = time.monotonic() + SECONDS + 60
        with suppress(ConnectionError):
            while time.monotonic() < end:
                one.sendall(b"GET /no HTTP/1.1\r\nHost: h\r\n\r\n" * 20)
                time.sleep(0.002)
        assert time.monotonic() < end
        is_answered(server)


def test_pipelined_requests_are_answered_in_their_order(server: Server) -> None:
    with peer(server) as one:
        one.send(
            b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n" * 20 + b"GET /no HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        )
        answers = [part[:3] for part in one.read().split(b"HTTP/1.1 ")[1:]]
        assert answers == [b"200"] * 20 + [b"404"]


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /liv\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: h\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: h\r\nX-Request-ID: a\x00b\r\n\r\n",
        b"POST /decide HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /decide HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET http://example.com HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        b"GET ? HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    ],
    ids=lambda value: value[:20].decode("latin-1") if isinstance(value, bytes) else "",
)
def test_what_is_no_request_is_a_problem_of_the_peer(server: Server, request_: bytes) -> None:
    with peer(server) as one:
        one.send(request_)
        answer = one.read()
        head, _, body = answer.partition(b"\r\n\r\n")
        assert 400 <= int(head.split(b" ")[1]) < 500
        assert json.loads(body)["type"].startswith("/problems/")


def test_a_client_that_offers_another_protocol_is_answered_in_this_one(server: Server) -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
    with peer(server) as one:
        one.send(b"GET /livez HTTP/1.1\r\nHost: h\r\n" + offer + b"\r\n")
        assert one.read().startswith(b"HTTP/1.1 200")
    with peer(server) as one:
        one.send(b"POST /decide HTTP/1.1\r\nHost: h\r\n" + offer + b"Content-Length: 2\r\n\r\n{}")
        answer = one.read()
        assert status_and_type(answer) == (400, "/problems/no-upgrade")
        assert b"without `Upgrade`" in answer


def test_a_client_that_hangs_up_is_no_fault_of_the_service(server: Server) -> None:
    key = f"Authorization: {server.headers['Authorization']}\r\n".encode()
    for path in (b"/decide", b"/decide/batch", b"/simulate", b"/freezes", b"/policy/check"):
        with peer(server) as one:
            one.send(b"POST " + path + b" HTTP/1.1\r\nHost: h\r\n" + key + b"Content-Length: 100\r\n\r\n{")
            time.sleep(0.2)
    is_answered(server)
    said = (server.installation.folder / "serve.out").read_text()
    assert "unforeseen" not in said
    assert "Exception" not in said


def test_nothing_that_comes_without_a_key_is_logged(server: Server) -> None:
    before = (server.installation.folder / "serve.out").read_bytes()
    for request in (b"nonsense\r\n\r\n", b"GET /livez HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"):
        with peer(server) as one:
            one.send(request)
            one.read()
    assert (server.installation.folder / "serve.out").read_bytes() == before
