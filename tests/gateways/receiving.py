"""A receiver of webhooks, which keeps what it was sent and answers as it is told to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.gateways.listening import PATIENCE_SECONDS

SECRET = "whsec_" + base64.b64encode(b"the secret that is used by tests").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"another secret for the rotation.").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One request, when it was whole."""

    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def event(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def is_signed_by(self, secret: str) -> bool:
        """By the text of Standard Webhooks, and nobody's library."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = b".".join((self.id.encode(), self.headers["webhook-timestamp"].encode(), self.body))
        wanted = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        return any(hmac.compare_digest(wanted, one) for one in self.headers["webhook-signature"].split(" "))


@dataclass(slots=True)
class Hook:
    """Answers with each of `statuses` once and with the last for good. `location` is where a redirect leads."""

    statuses: list[int] = field(default_factory=lambda: [204])
    location: str = ""
    sent: list[Sent] = field(default_factory=list)
    port: int = 0
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def take(self, headers: dict[str, str], body: bytes) -> int:
        with self.arrived:
            self.sent.append(Sent(headers=headers, body=body, at=time.monotonic()))
            self.arrived.notify_all()
            return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    def wait(self, count: int) -> list[Sent]:
        """The requests, once there are so many."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.sent) >= count, PATIENCE_SECONDS), len(self.sent)
            return list(self.sent)


@contextmanager
def receiving(*, statuses: list[int] | None = None, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Hook]:
    """One at a port of the loopback address."""
    receiver = Hook(statuses or [204])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = receiver.take({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(status)
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    receiver.port = server.server_port
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def written(folder: Path, urls: dict[str, str], *secrets: str) -> Path:
    """The file of receivers, each with the same secrets."""
    (folder / "receiver.secrets").write_text("\n".join(secrets or (SECRET,)) + "\n", encoding="utf-8")
    lines = [f"  {name}: {{url: '{url}', secrets: receiver.secrets}}" for name, url in urls.items()]
    path = folder / "webhooks.yaml"
    path.write_text("\n".join(["receivers:", *lines, ""]), encoding="utf-8")
    return path
