"""What a gateway is checked between: a stand-in for the engine that can misbehave, and a canary in the model's place.

Both are small servers on addresses that the gateway's configuration is pointed at. The stand-in reads a question as the
engine does, by the gateway's profile, and allows one model; the canary tells whether a request got through.
"""

from __future__ import annotations

import errno
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Protocol

from policy_engine.cli.gateway_dialects import (
    CallFails,
    Dialect,
    Question,
    Reply,
    Seen,
    allow_by_status,
    answer_in_json,
    deny_by_status,
    question_over_http,
)
from policy_engine.cli.remote import ServiceUnavailable
from policy_engine.domain.gateways import Profile
from policy_engine.domain.request import Request

REDIRECTED: Final = "/allow-whoever-comes"
"""Where a redirection of the stand-in leads to: an allow for whoever follows it."""

VALID_SECONDS: Final = 0.2
"""For how long an allow of the stand-in may be reused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """How the stand-in behaves: it judges, unless something else is said.

    `reply` is what it says to every question, and `message` is the one of `MESSAGES` that it says over gRPC; `hangs`,
    `resets` and `down` are that it says nothing, ends the connection (over gRPC the call), or does not listen.
    """

    reply: Reply | None = None
    message: str | None = None
    denies: bool = False
    hangs: bool = False
    resets: bool = False
    down: bool = False


JUDGES: Final = Conduct()
DENIES: Final = Conduct(denies=True)


class _Handler(BaseHTTPRequestHandler):
    """Reads a request whole and has its server answer; says nothing on the terminal."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def handle(self) -> None:
        with suppress(OSError, ValueError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class names it so
        """Nothing is logged: a request has a client's token in it."""

    def answer(self) -> None:
        """One request, whatever its method."""
        headers = tuple((name.lower(), value) for name, value in self.headers.items())
        target = self.requestline.split(" ")[1]
        seen = Seen(method=self.command, target=target, headers=headers, body=self._body())
        self.server.answer(self, seen)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer  # noqa: N815

    def tell(self, reply: Reply) -> None:
        """Send an answer."""
        self.send_response_only(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        if reply.status >= 200 and reply.status != 204:
            self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD" and reply.status != 204:
            self.wfile.write(reply.body)

    def reset(self) -> None:
        """End the connection with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", "0")))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], answer: Callable[[_Handler, Seen], None]) -> None:
        self.connections: set[socket.socket] = set()
        self.answer = answer
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # Without the look-up of the machine's name that the base class makes.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def shutdown_request(self, request: Any) -> None:
        # No half-close first: it would turn a reset into an orderly end.
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that went away is no matter here."""


class _Listening:
    """A server on an address, which can be taken down and up again."""

    def __init__(self, address: tuple[str, int], answer: Callable[[_Handler, Seen], None], option: str) -> None:
        self._answer = answer
        self._option = option
        self.address = address
        self._server: _Server | None = None
        self.up()

    def up(self) -> None:
        """Listen. Raises `ServiceUnavailable` where the address cannot be had."""
        if self._server is not None:
            return
        host, port = self.address
        try:
            self._server = _Server(self.address, self._answer)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = "is taken by another program" if taken else f"cannot be listened on ({error.strerror})"
            raise ServiceUnavailable(
                f"port {port} of {host} {why}: name another with {self._option}, and point the gateway at it"
            ) from error
        self.address = (host, self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self) -> None:
        """Listen no more, and end what is connected."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        for connection in tuple(server.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Listens(Protocol):
    """A server on an address."""

    address: tuple[str, int]

    def up(self) -> None:
        """Listen. Raises `ServiceUnavailable` where the address cannot be had."""

    def down(self) -> None:
        """Listen no more, and end what is connected."""


@dataclass(slots=True, kw_only=True)
class StandIn:
    """The engine's stand-in: what it was asked, and how it behaves."""

    profile: Profile
    allowed: str
    conduct: Conduct = JUDGES
    asked: list[Question] = field(default_factory=list)
    doors: list[Listens] = field(default_factory=list)
    _released: threading.Event = field(default_factory=threading.Event)
    _count: int = 0

    def behave(self, conduct: Conduct) -> None:
        """From now on behave so; whoever was kept waiting is let go without an answer."""
        self.let_go()
        self._released = threading.Event()
        self.conduct = conduct
        for door in self.doors:
            if conduct.down:
                door.down()
            else:
                door.up()

    def let_go(self) -> None:
        """End what hangs."""
        self._released.set()

    def answer(self, handler: _Handler, seen: Seen) -> None:
        """Answer one question over HTTP."""
        conduct, released = self.conduct, self._released
        if seen.target.startswith(REDIRECTED):
            handler.tell(allow_by_status(self._id(), self._until()))
            return
        question = question_over_http(seen, self.profile)
        self.asked.append(question)
        if conduct.hangs:
            released.wait()
            handler.close_connection = True
        elif conduct.resets:
            handler.reset()
        elif conduct.reply is not None:
            handler.tell(conduct.reply)
        else:
            handler.tell(self._reply(question))

    def answer_call(self, question: Question) -> Reply | str:
        """The answer to a question over gRPC: one by a status, or the one of `MESSAGES`. Raises `CallFails`."""
        conduct, released = self.conduct, self._released
        self.asked.append(question)
        if conduct.hangs:
            released.wait()
        if conduct.hangs or conduct.resets or conduct.reply is not None:
            raise CallFails
        return self._reply(question) if conduct.message is None else conduct.message

    def _reply(self, question: Question) -> Reply:
        denies = self.conduct.denies

        def allows(request: Request) -> bool:
            return not denies and request.model == self.allowed

        if question.dialect is Dialect.PLUGIN:
            return answer_in_json(question, allows, self._id, self._until())
        if question.requests and all(map(allows, question.requests)):
            return allow_by_status(self._id(), self._until())
        return deny_by_status(self._id())

    def _id(self) -> str:
        self._count += 1
        return f"01CHECK{self._count:019d}"

    def _until(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=VALID_SECONDS)


_STREAM_SECONDS: Final = 10.0
_CHAT: Final = json.dumps(
    {
        "id": "canary",
        "object": "chat.completion",
        "created": 1,
        "model": "canary",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "canary"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
).encode()
_EVENT: Final = b"e\r\ndata: canary\n\n\r\n"


@dataclass(slots=True, kw_only=True)
class Canary:
    """What stands where the model would be: what got through to it.

    With `streams` it answers in server-sent events until it is told otherwise, and counts those that it could send.
    """

    reached: list[Seen] = field(default_factory=list)
    streams: bool = False
    events: int = 0
    listening: _Listening = field(init=False)

    def answer(self, handler: _Handler, seen: Seen) -> None:
        """Answer as a model would."""
        self.reached.append(seen)
        if self.streams:
            self._stream(handler)
        else:
            handler.tell(Reply(status=200, headers=(("content-type", "application/json"),), body=_CHAT))

    def _stream(self, handler: _Handler) -> None:
        handler.send_response_only(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        end = time.monotonic() + _STREAM_SECONDS
        while self.streams and time.monotonic() < end:
            handler.wfile.write(_EVENT)
            handler.wfile.flush()
            self.events += 1
            time.sleep(0.02)
        handler.wfile.write(b"0\r\n\r\n")


Address = tuple[str, int]


@contextmanager
def standing_in(
    profile: Profile, allowed: str, *, engine: Address, upstream: Address, over_grpc: Address | None = None
) -> Iterator[tuple[StandIn, Canary]]:
    """Both, listening; down again at the end. The stand-in answers over gRPC too where there is an address for that.

    Raises `ServiceUnavailable` for an address that is taken.
    """
    stand_in, canary = StandIn(profile=profile, allowed=allowed), Canary()
    servers: list[Listens] = []
    try:
        stand_in.doors.append(_Listening(engine, stand_in.answer, "--stand-in"))
        servers += stand_in.doors
        if over_grpc is not None:
            # Its packages are no part of the command's own.
            from policy_engine.cli.gateway_stand_in_grpc import ListeningGrpc  # noqa: PLC0415

            called = ListeningGrpc(over_grpc, profile, stand_in.answer_call)
            called.up()
            stand_in.doors.append(called)
            servers.append(called)
        canary.listening = _Listening(upstream, canary.answer, "--upstream")
        servers.append(canary.listening)
        yield stand_in, canary
    finally:
        canary.streams = False
        stand_in.let_go()
        for server in servers:
            server.down()
