"""Connections that cannot silence the service, whoever opens them: no key is known yet while they are held.

1. A request line and headers of more than `header_bytes`, or more than `headers` headers: 431, and for a target that is
   too long by itself 414. Nothing of them is kept beyond that.
2. A request that is not whole `request_seconds` after its first byte: 408. A connection over which no byte came in so
   many seconds is closed without a word, and so is one whose peer takes nothing of its answer for as long.
3. A connection without a request is closed after the keep-alive time, which the server itself keeps.
4. At most `connections` are open, and `connections_per_address` from one address (of IPv6, one network of 64 bits). A
   further one takes the place of one whose peer is waited for: of one that holds its request back, else of one that
   never sent any, else of one that rests between two, and among these of the one that does so longest. One that is
   being answered never loses its place: where all of them are, the further one is told 503.
5. At most `_AHEAD` requests are taken before the first of them is answered: thousands fit into one packet.
6. What frames a body (lengths of chunks, their extensions, trailers) is at most eight times the body and the bytes of
   rule 1. Of a body that is no longer asked for, a megabyte is passed over.

What is refused is answered with a problem document, then closed for writing, and what still comes is passed over for a
moment: an answer would be lost if the connection were torn down while its peer sends. Nothing is logged of it, so that
nobody fills a disk.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application
    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState

_LINGER_SECONDS: Final = 2.0
_PASSED_OVER: Final = 2**20
_FRAMING_OF_A_BYTE: Final = 9
"""Bytes on the wire for one of a body, itself included: the shortest chunks take six, and some senders pad lengths."""
_MAX_SWEEP_SECONDS: Final = 1.0
_AHEAD: Final = 32
_BODY_HEADERS: Final = frozenset((b"content-length", b"transfer-encoding"))


ENDLESS: Final = "policy_engine.endless"
"""In the scope of a request whose answer has no end: it is cut when the server ends, which waits for every other."""


class _NoMoreError(Exception):
    """Ends the parser's work on bytes of which nothing is wanted any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of the service a peer may hold: bytes, headers, seconds and connections."""

    header_bytes: int
    headers: int
    request_seconds: float
    connections: int
    connections_per_address: int


def guarded(limits: Limits) -> type[HttpToolsProtocol]:
    """The protocol of one server, all of whose connections share the limits."""
    door = _Door(limits=limits)

    class Guarded(_Guarded):
        def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], **more: Any) -> None:
            super().__init__(door, config, server_state, app_state, **more)

    return Guarded


@dataclass(slots=True, kw_only=True)
class _Door:
    """Which connections are open, and from where."""

    limits: Limits
    inside: set[_Guarded] = field(default_factory=set)
    by_address: Counter[str] = field(default_factory=Counter)
    sweeping: bool = False

    def admit(self, one: _Guarded) -> bool:
        """Whether the connection may stay; another one may have lost its place for it."""
        limits, address = self.limits, one.address
        if address and self.by_address[address] >= limits.connections_per_address:
            has_place = self._make_place([other for other in self.inside if other.address == address])
        else:
            has_place = len(self.inside) < limits.connections or self._make_place(self.inside)
        if has_place:
            self.inside.add(one)
            self.by_address[address] += 1
            self._sweep_soon(one.loop)
        return has_place

    def leave(self, one: _Guarded) -> None:
        if one in self.inside:
            self.inside.remove(one)
            self.by_address[one.address] -= 1
            if not self.by_address[one.address]:
                del self.by_address[one.address]

    def _make_place(self, among: set[_Guarded] | list[_Guarded]) -> bool:
        waiting = [(*rank, id(other), other) for other in among if (rank := other.rank()) is not None]
        if not waiting:
            return False
        victim = min(waiting)[-1]
        self.leave(victim)
        victim.transport.abort()
        return True

    def _sweep_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self.sweeping:
            self.sweeping = True
            loop.call_later(min(_MAX_SWEEP_SECONDS, self.limits.request_seconds / 4), self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self.sweeping = False
        now = loop.time()
        for one in tuple(self.inside):
            one.expire(now)
        if self.inside:
            self._sweep_soon(loop)


class _Guarded(HttpToolsProtocol):
    """One connection. `_asked_since` is since when a request has been on its way, `_idle_since` since when none is, and
    `_unread_since` since when the peer takes nothing of its answer."""

    def __init__(
        self, door: _Door, config: Config, server_state: ServerState, app_state: dict[str, Any], **more: Any
    ) -> None:
        super().__init__(config, server_state, app_state, **more)
        self.address = ""
        self._door = door
        self._limits = door.limits
        self._asked_since: float | None = None
        self._idle_since: float | None = None
        self._unread_since: float | None = None
        self._framing = 0
        self._passed_over = 0
        self._refused = False
        self._answering: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = _network(self.client)
        self._idle_since = self.loop.time()
        if not self._door.admit(self):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "busy", "Every connection of the service is in use")
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._door.leave(self)
        super().connection_lost(exc)

    def waits_since(self) -> float | None:
        """Since when the peer is waited for; `None` while it is the peer who waits."""
        if self._unread_since is not None:
            return self._unread_since
        return self._asked_since if self._asked_since is not None else self._idle_since

    def rank(self) -> tuple[int, float] | None:
        """Whose place is taken first: who holds a request or the reading of an answer back, then who never sent one,
        then who rests between two, and among these the longest. `None` while the peer is the one who waits."""
        since = self.waits_since()
        if since is None:
            return None
        if self._unread_since is not None or self._asked_since is not None:
            return 0, since
        return (1 if self._latest is None else 2), since

    def expire(self, now: float) -> None:
        """Close what has waited too long for its peer."""
        since, limit = self.waits_since(), self._limits.request_seconds
        if self._refused:
            if since is None or now - since > _LINGER_SECONDS:
                self.transport.abort()
        elif self._unread_since is not None:
            if now - self._unread_since > limit:
                self.transport.abort()
        elif self._asked_since is not None and now - self._asked_since > limit:
            if self.flow.read_paused:
                # It is the service that does not read on.
                self._asked_since = now
            elif self._is_answered():
                self.transport.close()
            else:
                self._refuse(HTTPStatus.REQUEST_TIMEOUT, "too-slow", f"The request was not whole in {limit:g} seconds")
        elif self._idle_since is not None and self._latest is None and now - self._idle_since > limit:
            self.transport.close()

    def _is_answered(self) -> bool:
        """Whether the request that is on its way was answered before its end."""
        latest = self._latest
        return latest is not None and latest.response_complete and latest.scope is self.scope

    @property
    def _latest(self) -> RequestResponseCycle | None:
        """The request that was read last and what becomes of it, which the server declares to be always there."""
        return self.cycle

    def data_received(self, data: bytes) -> None:
        if self._refused:
            self._pass_over(len(data))
            return
        if self._asked_since is None:
            self._asked_since, self._idle_since = self.loop.time(), None
        self._unset_keepalive_if_required()
        self._framing += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # No other protocol is spoken here; the request is answered as any other, and the parser is of no more use.
            if self._latest is not None:
                self._latest.keep_alive = False
        except httptools.HttpParserError:
            self._refuse(HTTPStatus.BAD_REQUEST, "malformed", "This is not an HTTP request")
        if self._framing > self._limits.header_bytes:
            self._refuse_head()

    def on_message_begin(self) -> None:
        if self._refused:
            raise _NoMoreError
        if self._asked_since is None:
            self._asked_since, self._idle_since = self.loop.time(), None
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self._refused:
            return
        headers = self.headers
        length = len(self.url) + sum(len(name) + len(value) + 4 for name, value in headers)
        if length > self._limits.header_bytes or len(headers) > self._limits.headers:
            self._refuse_head()
        elif self.parser.should_upgrade() and any(name in _BODY_HEADERS for name, _ in headers):
            # The parser takes what follows for the other protocol, and a body would be lost without a word.
            title = "No other protocol is spoken here: send a request with a body as HTTP/1.1, without `Upgrade`"
            self._refuse(HTTPStatus.BAD_REQUEST, "no-upgrade", title)
        elif len(self.pipeline) >= _AHEAD:
            self._refuse(
                HTTPStatus.TOO_MANY_REQUESTS, "too-far-ahead", f"Over {_AHEAD} requests wait for their answers"
            )
        else:
            super().on_headers_complete()
            return
        raise _NoMoreError

    def on_body(self, body: bytes) -> None:
        if self._refused:
            return
        self._framing -= _FRAMING_OF_A_BYTE * len(body)
        if self.cycle.response_complete:
            self._pass_over(len(body))
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._refused:
            return
        self._framing = 0
        self._asked_since = None
        super().on_message_complete()
        if self.cycle.response_complete:
            self._idle_since = self.loop.time()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._asked_since is None and self.cycle.response_complete:
            self._idle_since = self.loop.time()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def shutdown(self) -> None:
        super().shutdown()
        cycle = self._answering
        if cycle is not None and not cycle.response_complete and ENDLESS in cycle.scope:
            self.transport.close()

    def pause_writing(self) -> None:
        self._unread_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._unread_since = None
        super().resume_writing()

    def _pass_over(self, length: int) -> None:
        self._passed_over += length
        if self._passed_over > _PASSED_OVER:
            self.transport.abort()

    def _refuse_head(self) -> None:
        limits = self._limits
        if len(self.url or b"") > limits.header_bytes:
            self._refuse(
                HTTPStatus.REQUEST_URI_TOO_LONG, "target-too-long", f"The target has over {limits.header_bytes} bytes"
            )
        else:
            self._refuse(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers-too-large",
                f"The headers have over {limits.header_bytes} bytes, or are more than {limits.headers}",
            )

    def _refuse(self, status: HTTPStatus, name: str, title: str) -> None:
        """Answer the request that is on its way, and nothing more on this connection."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._asked_since = self.loop.time()
        self.pipeline.clear()
        cycle = self._answering
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.abort()
                return
        self.flow.resume_reading()
        document = json.dumps({"type": f"/problems/{name}", "title": title, "status": int(status)}).encode()
        retry = "Retry-After: 1\r\n" if status is HTTPStatus.SERVICE_UNAVAILABLE else ""
        head = (
            f"HTTP/1.1 {int(status)} {status.phrase}\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(document)}\r\n{retry}Connection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + document)
        if self.transport.can_write_eof():
            self.transport.write_eof()


def _network(client: tuple[str, int] | None) -> str:
    """Whose connection it is, for counting; "" where there is no address, as behind a socket of the file system."""
    if client is None:
        return ""
    try:
        address = ipaddress.ip_address(client[0].partition("%")[0])
    except ValueError:
        return ""
    if address.version == 4:
        return str(address)
    mapped = address.ipv4_mapped
    return str(ipaddress.ip_network((address, 64), strict=False)) if mapped is None else str(mapped)
