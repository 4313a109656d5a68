"""What stands behind a gateway and beside it in a test: a server of models, and decision points that misbehave."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final


@dataclass(slots=True, kw_only=True)
class Received:
    """One request that came: all lines of its head, with names in lower case, and its body."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> list[str]:
        return [value for held, value in self.headers if held == name]


@dataclass(slots=True)
class Models:
    """A server of models that keeps what reached it."""

    port: int = 0
    received: list[Received] = field(default_factory=list)

    def taken(self) -> list[Received]:
        """What came since this was asked last."""
        got, self.received = self.received, []
        return got


@contextmanager
def models() -> Iterator[Models]:
    """A server of models on a port that the system chose."""
    kept = Models()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length) if length else self._chunks()
            headers = [(name.lower(), value) for name, value in self.headers.items()]
            kept.received.append(Received(method=self.command, path=self.path, headers=headers, body=body))
            content = b'{"choices":[{"message":{"role":"assistant","content":"hello"}}]}'
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _chunks(self) -> bytes:
            body = b""
            if self.headers.get("transfer-encoding", "").lower() == "chunked":
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            return body

        do_GET = do_POST = _answer  # noqa: N815  the names that the library calls

        def log_message(self, *_: object) -> None:
            """Nothing is said."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    kept.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join(30)
        server.server_close()


def _http(status: str, body: bytes = b"", *head: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *head]
    return "\r\n".join([*lines, "", ""]).encode() + body


HANG: Final = b"hang"
RESET: Final = b"reset"
GARBAGE: Final[dict[str, bytes]] = {
    "200 with garbage": _http("200 OK", b"<html>welcome</html>", "content-type: text/html"),
    "200 without a body": _http("200 OK"),
    '200 with "decision":"false"': _http("200 OK", b'{"decision":"false"}', "content-type: application/json"),
}
"""Who reads a status alone takes these for allows."""

MISBEHAVIOURS: Final[dict[str, bytes]] = {
    "hangs": HANG,
    "resets the connection": RESET,
    "500": _http("500 Internal Server Error"),
    "503": _http("503 Service Unavailable"),
    **GARBAGE,
    "201": _http("201 Created", b"{}"),
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "301": _http("301 Moved Permanently", b"", "location: http://127.0.0.1:1/"),
    "302": _http("302 Found", b"", "location: http://127.0.0.1:1/"),
    "400": _http("400 Bad Request"),
    "401": _http("401 Unauthorized"),
    "404": _http("404 Not Found"),
    "429": _http("429 Too Many Requests"),
}
"""What a decision point may do instead of answering, beside not being there."""


@contextmanager
def misbehaving(port: int, does: bytes) -> Iterator[None]:
    """A decision point on that port that does one wrong thing; each connection is asked once."""
    listener = socket.create_server(("127.0.0.1", port))
    held: list[socket.socket] = []

    def one(connection: socket.socket) -> None:
        with suppress(OSError):
            data = b""
            while b"\r\n\r\n" not in data:
                got = connection.recv(65536)
                if not got:
                    connection.close()
                    return
                data += got
            if does == HANG:
                held.append(connection)
                return
            if does == RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                connection.sendall(does.replace(b"\r\n", b"\r\nconnection: close\r\n", 1))
            connection.close()

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=one, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        # Closing alone would leave the thread in its wait.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(30)
        for connection in held:
            connection.close()


def chat(model: object, **more: object) -> bytes:
    """The body of a chat's request."""
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}], **more}).encode()
