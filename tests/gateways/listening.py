"""A gateway that listens at `GET /watch`, and reads the stream as the standard for server-sent events says."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any

PATIENCE_SECONDS = 20.0
"""How long an event may take on a machine that does other things too; what is measured is measured apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event, its id, what it says, and when it was here."""

    name: str
    id: str
    data: dict[str, Any]
    at: float


class Listener:
    """One stream. `close` it."""

    def __init__(self, port: int, token: str, last: str | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        headers = {"Authorization": f"Bearer {token}"}
        if last is not None:
            headers["Last-Event-ID"] = last
        self._connection.request("GET", "/watch", headers=headers)
        self.response = self._connection.getresponse()
        self.comments = 0

    def next(self) -> Event | None:
        """The next event; `None` once the stream has ended."""
        name = data = number = ""
        while line := self.response.readline():
            text = line.decode("utf-8").rstrip("\n")
            if not text and data:
                return Event(name=name, id=number, data=json.loads(data), at=time.monotonic())
            member, _, value = text.partition(": ")
            match member:
                case "":
                    self.comments += bool(text)
                case "event":
                    name = value
                case "id":
                    number = value
                case "data":
                    data += value
        return None

    def close(self) -> None:
        self.response.close()
        self._connection.close()
