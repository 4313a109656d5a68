"""Clients that ask for decisions without end, and write down what they were told, each into a file of its own.

A client appends the idempotency key, the digest of the request, the decision id and the whole answer to its journal,
and flushes the journal to the disk, only after it has read a 200. What it had asked when the service went away stays
`unanswered`, and is asked again, under the same key, by the client that goes on with the journal.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final

from policy_engine.formats.request_document import request_digest
from tests.faults.process import Server

US: Final = {"country": "US"}
DOCUMENTS: Final[tuple[dict[str, Any], ...]] = (
    {"subject": {"type": "person", "id": "carol"}, "model": "mythos-5", "action": "infer", "place": US,
     "purpose": "defensive_cybersecurity"},
    {"subject": {"type": "person", "id": "ken"}, "model": "opus-4.6", "action": "infer", "place": {"country": "JP"}},
    {"subject": {"type": "person", "id": "alice"}, "model": "mythos-5", "action": "infer", "place": US,
     "purpose": "defensive_cybersecurity"},
    {"subject": {"type": "person", "id": "nobody"}, "model": "opus-4.6", "action": "infer", "place": US},
)  # fmt: skip
"""An allow and denials for different reasons, of the demonstration roster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """One line of a journal."""

    key: str
    digest: str
    decision_id: str
    answer: bytes


@dataclass(slots=True)
class Journal:
    """The file of one client, and what it waits for."""

    path: Path
    seed: int
    unanswered: dict[str, dict[str, Any]] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    """Every status that was not 200."""
    surprises: list[str] = field(default_factory=list)
    """Answers that no service may give: a 5xx that is not 503, a 503 without Retry-After, a 4xx."""
    longest: float = 0.0
    _numbers: count[int] = field(default_factory=count)

    def next(self, random: Random) -> tuple[str, dict[str, Any]]:
        """What to ask now: first what was never answered, then something new."""
        if self.unanswered:
            return next(iter(self.unanswered.items()))
        key = f"client-{self.seed}-{next(self._numbers)}"
        document = {**random.choice(DOCUMENTS), "request_id": key}
        self.unanswered[key] = document
        return key, document

    def keep(self, key: str, document: dict[str, Any], body: bytes) -> None:
        """Write down an answer; on the disk when this returns."""
        answer = json.loads(body)
        line = {
            "key": key,
            "digest": request_digest(document),
            "decision_id": answer["decision_id"],
            "answer": body.decode(),
        }
        self._append(line)
        del self.unanswered[key]

    def keep_checkpoint(self, note: bytes) -> None:
        self._append({"checkpoint": note.decode()})

    def _append(self, line: dict[str, Any]) -> None:
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, json.dumps(line).encode() + b"\n")
            os.fsync(file)
        finally:
            os.close(file)

    def _lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def acknowledged(self) -> list[Acknowledged]:
        """What is in the file, oldest first."""
        return [
            Acknowledged(
                key=line["key"],
                digest=line["digest"],
                decision_id=line["decision_id"],
                answer=line["answer"].encode(),
            )
            for line in self._lines()
            if "key" in line
        ]

    def checkpoints(self) -> list[bytes]:
        """The checkpoints that this client was shown."""
        return [line["checkpoint"].encode() for line in self._lines() if "checkpoint" in line]


class Load:
    """Clients of one service, one thread each, until `stop` or until the service goes away.

    With `patient` clients connect again when their connection breaks, and ask again after a 503.
    """

    def __init__(self, server: Server, journals: Sequence[Journal], *, seed: int = 0, patient: bool = False) -> None:
        self._server = server
        self._patient = patient
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(journal, Random(f"{seed}/{journal.seed}")), daemon=True)
            for journal in journals
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """No more requests; returns when every client has come back."""
        self._stop.set()
        self.join()

    def join(self) -> None:
        """Wait until every client has come back: the service is gone."""
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "a client did not come back"

    def _ask(self, journal: Journal, random: Random) -> None:
        while not self._stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=20)
            try:
                while not self._stop.is_set():
                    self._once(connection, journal, random)
            except (OSError, http.client.HTTPException):
                if not self._patient:
                    return
                time.sleep(0.02)
            finally:
                connection.close()

    def _once(self, connection: http.client.HTTPConnection, journal: Journal, random: Random) -> None:
        if random.random() < 0.05:
            connection.request("GET", "/log/checkpoint", headers=self._server.headers)
            response = connection.getresponse()
            note = response.read()
            if response.status == http.HTTPStatus.OK:
                journal.keep_checkpoint(note)
        key, document = journal.next(random)
        begun = time.monotonic()
        connection.request("POST", "/decide", json.dumps(document).encode(), self._server.headers)
        response = connection.getresponse()
        body = response.read()
        journal.longest = max(journal.longest, time.monotonic() - begun)
        if response.status == http.HTTPStatus.OK:
            journal.keep(key, document, body)
            return
        journal.statuses.append(response.status)
        if response.status != http.HTTPStatus.SERVICE_UNAVAILABLE or not response.getheader("retry-after"):
            journal.surprises.append(f"{response.status} {body!r}")
        if b'"allow"' in body:
            journal.surprises.append(f"an allow in a {response.status}")
        time.sleep(0.02)


def journals(folder: Path, number: int = 8, *, first: int = 0) -> list[Journal]:
    """New journals in a folder."""
    return [Journal(path=folder / f"acks-{seed}.jsonl", seed=seed) for seed in range(first, first + number)]
