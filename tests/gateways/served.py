"""Programs at a port of the loopback address: an application, and one that answers whatever it is told."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Literal

import uvicorn
from starlette.types import ASGIApp


@contextmanager
def at_a_port(app: ASGIApp, *, lifespan: Literal["on", "off"] = "off", **settings: Any) -> Iterator[str]:
    """The application at a port of the loopback address. It is told of its beginning and end where `lifespan` is on.
    `settings` are of the server."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan=lifespan, port=0, **settings))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


class Misbehaving:
    """Answers every request with the same bytes, or none at all; counts how often it was asked."""

    def __init__(self, answer: bytes, *, hang: bool = False) -> None:
        self._answer = answer
        self._hang = hang
        self.asked = 0
        self.over = threading.Event()

    def serve(self, listener: socket.socket) -> None:
        """Until it is over."""
        listener.settimeout(0.05)
        while not self.over.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with closing(connection):
                connection.settimeout(5)
                connection.recv(65536)
                self.asked += 1
                if self._hang:
                    self.over.wait(5)
                else:
                    connection.sendall(self._answer)


@contextmanager
def misbehaving(answer: bytes, *, hang: bool = False) -> Iterator[tuple[str, Misbehaving]]:
    """One at a port, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = Misbehaving(answer, hang=hang)
        thread = threading.Thread(target=one.serve, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", one
        finally:
            one.over.set()
            thread.join()


def http(status: int, body: bytes = b"", *headers: str) -> bytes:
    """An answer as it goes over the wire."""
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", "connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body
