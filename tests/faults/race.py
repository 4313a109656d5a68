"""Freezes that come and go while single requests and batches are decided: what was sent into one must not be allowed.

An answer counts when its request was sent after the declaration of a freeze had returned, and it came back before the
lift of that freeze was confirmed: all the while the freeze stood.
"""

from __future__ import annotations

import http.client
import json
import secrets
import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from policy_engine.app.builder import build
from policy_engine.app.clock import system_clock
from policy_engine.service.gate.keyring import RIGHTS
from tests.faults.load import US
from tests.faults.process import Installation, Server

ASKED: Final = {
    "subject": {"type": "person", "id": "carol"},
    "model": "opus-4.6",
    "action": "infer",
    "place": US,
}
BATCH: Final = {"requests": [ASKED] * 50}
FREEZE: Final = {"models": ["opus-4.6"], "authority": "the operator", "reason": "a race"}


@dataclass(slots=True)
class Race:
    """What came of it: each answer with the instants at which it was sent and came back, and the freezes that stood."""

    stood: list[tuple[float, float]] = field(default_factory=list)
    answers: list[tuple[float, float, int, int]] = field(default_factory=list)
    """Sent, come back, how many were allowed, how many were denied."""
    unavailable: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def decisions(self) -> int:
        return sum(allowed + denied for _, _, allowed, denied in self.answers)

    def within(self) -> tuple[int, int]:
        """Allowed and denied of the answers that were sent and came back while a freeze stood."""
        begins = [begin for begin, _ in self.stood]
        allowed = denied = 0
        for sent, back, yes, no in self.answers:
            place = bisect_right(begins, sent) - 1
            if place >= 0 and back <= self.stood[place][1]:
                allowed, denied = allowed + yes, denied + no
        return allowed, denied


def key_of(installation: Installation, person: str) -> dict[str, str]:
    """Headers of a new key with every right, bound to a person."""
    parts = build(installation.settings)
    try:
        made = parts.ring.create(
            name="race", rights=RIGHTS, at=system_clock(), random_hex=secrets.token_hex, gateway="main", person=person
        )
    finally:
        parts.close()
    return {"Authorization": f"Bearer {made.token}", "Content-Type": "application/json"}


def race(
    server: Server, people: tuple[dict[str, str], dict[str, str]], *, freezes: int, singles: int = 12, batches: int = 4
) -> Race:
    """Declare and lift a freeze so many times, while so many connections ask without end."""
    seen, over = Race(), threading.Event()

    def asking(path: str, body: bytes, told: Callable[[Any], tuple[int, int]]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        while not over.is_set():
            sent = time.monotonic()
            connection.request("POST", path, body, server.headers)
            response = connection.getresponse()
            answer = response.read()
            back = time.monotonic()
            if response.status == http.HTTPStatus.SERVICE_UNAVAILABLE and b'"allow"' not in answer:
                # No record was possible in time on a machine that does other things too: nothing is allowed.
                seen.unavailable += 1
                continue
            if response.status != http.HTTPStatus.OK:
                seen.broken.append(f"{response.status} {answer[:200]!r}")
                continue
            seen.answers.append((sent, back, *told(json.loads(answer))))
        connection.close()

    def one(answer: Any) -> tuple[int, int]:
        return (1, 0) if answer["allowed"] else (0, 1)

    def many(answer: Any) -> tuple[int, int]:
        allowed = sum(one["allowed"] for one in answer["answers"])
        return allowed, len(answer["answers"]) - allowed

    threads = [
        threading.Thread(target=asking, args=args, daemon=True)
        for args in (
            *(("/decide", json.dumps(ASKED).encode(), one) for _ in range(singles)),
            *(("/decide/batch", json.dumps(BATCH).encode(), many) for _ in range(batches)),
        )
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in range(freezes):
            seen.stood.append(_freeze_and_lift(server, people, seen))
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    return seen


def _freeze_and_lift(server: Server, people: tuple[dict[str, str], dict[str, str]], seen: Race) -> tuple[float, float]:
    dora, egon = people
    before = len(seen.answers)
    status, name = _asked(server, "POST", "/freezes", FREEZE, dora)
    begun = time.monotonic()
    assert status == http.HTTPStatus.CREATED, name
    while len(seen.answers) < before + 20 and time.monotonic() - begun < 1.0:
        time.sleep(0.005)
    status, told = _asked(server, "DELETE", f"/freezes/{name['id']}", {"reason": "the race goes on"}, dora)
    assert status == http.HTTPStatus.ACCEPTED, told
    lifted = time.monotonic()
    status, told = _asked(server, "DELETE", f"/freezes/{name['id']}", {}, egon)
    assert status == http.HTTPStatus.OK, told
    time.sleep(0.02)
    return begun, lifted


def _asked(server: Server, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request(method, path, json.dumps(body).encode(), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()
