"""Clients of `POST /decide`, synchronous and asynchronous, that fail closed.

Whatever is no certain allow is a deny: an engine that is down, slow or wrong, an answer that has expired, a status that
is not 200, a document without `"allowed": true`. Such a deny has the code `UNAVAILABLE` and no decision behind it.

A question is asked again only if it carries a `request_id`, under which the engine decides it once. An allow is used
again until its `valid_until` where a cache is asked for; the engine does not record such a use.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import httpx

from policy_engine_client.documents import Answer, Reason
from policy_engine_client.question import Question

UNAVAILABLE: Final = "UNAVAILABLE"
"""The code of a deny that the engine did not make: there was no answer that could be used."""

_AGAIN: Final = frozenset({502, 503, 504})
_MOST_BYTES: Final = 1024 * 1024


def now() -> datetime:
    """The instant, in UTC."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Cache:
    """Allows that may be used again, the most recent `size` of them. Threads may share it."""

    size: int
    _held: OrderedDict[str, tuple[datetime, Answer]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, question: Question, at: datetime) -> Answer | None:
        """The allow of an equal question that still holds at the instant."""
        held = self._held.get(question.key())
        return held[1] if held is not None and at < held[0] else None

    def keep(self, question: Question, answer: Answer) -> None:
        """Keep an allow; a deny is never kept."""
        if not answer.allowed or self.size <= 0:
            return
        with self._lock:
            self._held[question.key()] = _instant(answer.valid_until), answer
            self._held.move_to_end(question.key())
            while len(self._held) > self.size:
                self._held.popitem(last=False)

    def forget(self) -> None:
        """Keep nothing of before: somebody's access ended."""
        with self._lock:
            self._held.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    url: str
    key: str
    timeout: float
    retries: int
    cache: Cache
    clock: Callable[[], datetime]

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", "Accept": "application/json"}

    def attempts(self, question: Question) -> Iterator[float]:
        """How long to wait before each attempt; more than one only where a retry is safe."""
        yield 0.0
        if question.request_id is not None:
            for turn in range(self.retries):
                yield min(1.0, 0.1 * 2**turn)

    def read(self, response: httpx.Response) -> Answer | None:
        """The answer, where it is one that may be used; `None` where the engine may be asked again."""
        if response.status_code in _AGAIN:
            return None
        if response.status_code != httpx.codes.OK or len(response.content) > _MOST_BYTES:
            return denied(f"the engine answered {response.status_code}")
        try:
            document = response.json()
            answer = Answer.read(document)
            expired = answer.allowed is True and _instant(answer.valid_until) <= self.clock()
        except (ValueError, KeyError, TypeError, AttributeError):
            return denied("the engine's answer cannot be read")
        if expired or answer.allowed is not (answer.decision == "allow"):
            return denied("the engine's answer has expired, or says two things")
        return answer


def denied(why: str) -> Answer:
    """The deny of what could not be asked."""
    return Answer(
        decision="deny",
        allowed=False,
        hold=False,
        alternatives=(),
        obligations=(),
        decision_id="",
        decided_at="",
        valid_until="",
        policy_version="",
        membership_revision=0,
        reason=Reason(public_code=UNAVAILABLE, public_message=f"Access could not be checked: {why}."),
    )


def _instant(text: str) -> datetime:
    told = datetime.fromisoformat(text)
    if told.tzinfo is None:
        raise ValueError("an instant without a zone")
    return told


_DOWN: Final = "the engine does not answer"


class PolicyEngine:
    """A client for code that waits. Close it, or use it in `with`."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 1.0,
        retries: int = 2,
        cache: int = 0,
        clock: Callable[[], datetime] = now,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`timeout` in seconds bounds each wait of an attempt: for the connection, for room to send, for the next bytes
        of the answer. `cache` is how many allows may be used again."""
        self._settings = _Settings(
            url=url.rstrip("/"), key=key, timeout=timeout, retries=retries, cache=Cache(cache), clock=clock
        )
        self._http = httpx.Client(timeout=timeout, transport=transport, follow_redirects=False)

    @property
    def cache(self) -> Cache:
        """The allows that may be used again."""
        return self._settings.cache

    def decide(self, question: Question) -> Answer:
        """The engine's answer; a deny where there is none. Raises nothing that the network does."""
        settings = self._settings
        held = settings.cache.find(question, settings.clock())
        if held is not None:
            return held
        for pause in settings.attempts(question):
            time.sleep(pause)
            try:
                response = self._http.post(
                    f"{settings.url}/decide", json=question.document(), headers=settings.headers()
                )
            except httpx.HTTPError:
                continue
            answer = settings.read(response)
            if answer is not None:
                settings.cache.keep(question, answer)
                return answer
        return denied(_DOWN)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> PolicyEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncPolicyEngine:
    """As `PolicyEngine`, for code that awaits; `timeout` bounds each attempt as a whole too."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 1.0,
        retries: int = 2,
        cache: int = 0,
        clock: Callable[[], datetime] = now,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = _Settings(
            url=url.rstrip("/"), key=key, timeout=timeout, retries=retries, cache=Cache(cache), clock=clock
        )
        self._http = httpx.AsyncClient(timeout=timeout, transport=transport, follow_redirects=False)

    @property
    def cache(self) -> Cache:
        """The allows that may be used again."""
        return self._settings.cache

    async def decide(self, question: Question) -> Answer:
        """The engine's answer; a deny where there is none. Raises nothing that the network does."""
        settings = self._settings
        held = settings.cache.find(question, settings.clock())
        if held is not None:
            return held
        for pause in settings.attempts(question):
            await asyncio.sleep(pause)
            try:
                # A read that trickles is bounded as a whole, which the timeouts of one read are not.
                async with asyncio.timeout(settings.timeout):
                    response = await self._http.post(
                        f"{settings.url}/decide", json=question.document(), headers=settings.headers()
                    )
            except (httpx.HTTPError, TimeoutError):
                continue
            answer = settings.read(response)
            if answer is not None:
                settings.cache.keep(question, answer)
                return answer
        return denied(_DOWN)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncPolicyEngine:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
