"""How webhooks leave this process: threads that deliver, one connection for each delivery, and where it may lead."""

from __future__ import annotations

import http.client
import ipaddress
import random
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Final

import structlog

from policy_engine.app.clock import Clock
from policy_engine.app.settings import Settings
from policy_engine.domain.webhooks import Address, Receiver, may_be_at
from policy_engine.formats.faults import Fault, FaultsError
from policy_engine.formats.webhooks_file import SecretsFault, read_receivers, read_secrets
from policy_engine.service.gate.endings import Endings
from policy_engine.service.gate.webhooks import (
    DISABLED,
    TAKEN,
    Couriers,
    Figures,
    Outside,
    ReceiverCursors,
    Undelivered,
)

CONNECT_SECONDS: Final = 3.0
POST_SECONDS: Final = 10.0
"""How long a receiver has for its whole answer."""

LOOK_SECONDS: Final = 0.2
CLAIM_SECONDS: Final = 1.0
_END_SECONDS: Final = 2.0
_SECRETS_BYTES: Final = 4096
_random: Final = random.SystemRandom()


class Webhooks:
    """The receivers of the settings' file, and the threads that deliver to them. `start` and `close` them."""

    def __init__(
        self, settings: Settings, *, endings: Endings, cursors: ReceiverCursors, clock: Clock, ended: Callable[[], None]
    ) -> None:
        """`ended` is called once nothing is delivered any more.

        Raises `FaultsError` for a file with faults, and for one that cannot be read.
        """
        self._ended = ended
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        receivers = receivers_of(settings)
        secrets_of = Secrets(Path() if settings.webhooks is None else settings.webhooks.parent)
        for one in receivers:
            secrets_of.require(one)
        self.couriers = Couriers(
            receivers,
            holder=secrets.token_hex(8),
            endings=endings,
            cursors=cursors,
            outside=Outside(
                post=post,
                secrets=secrets_of,
                clock=clock,
                monotonic=monotonic,
                chance=_random.random,
                report=_report,
            ),
        )

    def start(self) -> None:
        """Deliver, as far as no other process does."""
        if not self.couriers.each:
            return
        work = [("webhooks", self.couriers.claim, CLAIM_SECONDS)]
        work += [(f"webhook-{one.receiver.name}", one.turn, LOOK_SECONDS) for one in self.couriers.each]
        for name, turn, seconds in work:
            thread = threading.Thread(target=self._repeat, args=(turn, seconds), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """Let other processes go on. What is on its way is waited for a moment, and else sent once more by them."""
        self._stop.set()
        ends = monotonic() + _END_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, ends - monotonic()))
        if self._threads:
            self.couriers.release()
        self._ended()

    def figures(self) -> Mapping[str, Figures]:
        """What became of deliveries in this process, by the names of receivers."""
        return {one.receiver.name: one.figures() for one in self.couriers.each}

    def _repeat(self, turn: Callable[[], None], seconds: float) -> None:
        try:
            while not self._stop.is_set():
                turn()
                self._stop.wait(seconds)
        finally:
            # One that ends by an error that nobody foresaw ends all: a receiver that is held and not delivered to
            # would be nobody's.
            self._stop.set()


def receivers_of(settings: Settings) -> tuple[Receiver, ...]:
    """What the settings' file names; nothing where they name no file.

    Raises `FaultsError` for a file with faults, and one that cannot be read.
    """
    if settings.webhooks is None:
        return ()
    name = settings.webhooks.name
    try:
        data = settings.webhooks.read_bytes()
    except OSError as error:
        remedy = "mend POLICY_ENGINE_WEBHOOKS, or take it away: then no webhooks are sent"
        fault = Fault(
            source=name, line=1, column=1, message=f"the file cannot be read: {_reason(error)}", remedy=remedy
        )
        raise FaultsError([fault]) from error
    return read_receivers(data, name)


class Secrets:
    """The secrets of receivers, read each time, so that a replaced one counts from the next delivery on."""

    def __init__(self, folder: Path) -> None:
        """Files of secrets that are no absolute path are below the folder."""
        self._folder = folder

    def __call__(self, receiver: Receiver) -> tuple[str, ...]:
        try:
            with (self._folder / receiver.secrets).open("rb") as file:
                return read_secrets(file.read(_SECRETS_BYTES))
        except OSError as error:
            raise Undelivered(f"the file of its secrets cannot be read: {_reason(error)}") from error
        except SecretsFault as error:
            raise Undelivered(f"the file of its secrets {error}") from error

    def require(self, receiver: Receiver) -> None:
        """Raises `FaultsError` where there is nothing to sign with."""
        try:
            self(receiver)
        except Undelivered as error:
            message = f"nothing can be signed for `{receiver.name}`: {error}"
            remedy = "`policy-engine webhooks secret` makes one: put it on a line of its own, and tell the receiver"
            fault = Fault(source=receiver.secrets, line=1, column=1, message=message, remedy=remedy)
            raise FaultsError([fault]) from error


def post(receiver: Receiver, headers: dict[str, str], body: bytes) -> int:
    """Send a message to where the name of the receiver leads; the status of the answer, whose body is not read.

    A redirect is an answer like any other: nothing is sent where it leads. Raises `Undelivered`.
    """
    connection = _Connection(receiver, _addresses(receiver))
    ending = threading.Timer(POST_SECONDS, connection.end)
    ending.daemon = True
    try:
        ending.start()
        connection.request("POST", receiver.target, body, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise Undelivered(_reason(error)) from error
    finally:
        ending.cancel()
        connection.close()


def _addresses(receiver: Receiver) -> tuple[Address, ...]:
    """The addresses to which the name leads, all of which something may be sent to. Raises `Undelivered`."""
    try:
        found = socket.getaddrinfo(receiver.host, receiver.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Undelivered(f"its name leads nowhere: {_reason(error)}") from error
    addresses = tuple(dict.fromkeys(ipaddress.ip_address(str(told[0]).partition("%")[0]) for *_, told in found))
    if not addresses or not all(may_be_at(receiver, one) for one in addresses):
        raise Undelivered("its name leads to an address that is not public: name its network under `networks`")
    return addresses


class _Connection(http.client.HTTPConnection):
    """A connection to the first of some addresses that can be reached; the name is never asked for again."""

    def __init__(self, receiver: Receiver, addresses: tuple[Address, ...]) -> None:
        super().__init__(receiver.host, receiver.port, timeout=POST_SECONDS)
        self.default_port = 443 if receiver.tls else 80
        self._receiver = receiver
        self._addresses = addresses

    def connect(self) -> None:
        """Raises `OSError`."""
        raw = self._reached()
        raw.settimeout(POST_SECONDS)
        self.sock = raw
        if self._receiver.tls:
            made = ssl.create_default_context().wrap_socket(
                raw, server_hostname=self._receiver.host, do_handshake_on_connect=False
            )
            # Before the handshake, so that it can be ended too.
            self.sock = made
            made.do_handshake()

    def end(self) -> None:
        """Have whoever waits for the answer wait no longer."""
        held = self.sock
        if held is not None:
            try:
                # Not as TLS ends: who waits then finds a connection that is cut off, and not one without TLS.
                socket.socket.shutdown(held, socket.SHUT_RDWR)
            except OSError:
                # It has ended already.
                return

    def _reached(self) -> socket.socket:
        last: OSError = OSError("no address")
        for address in self._addresses:
            try:
                return socket.create_connection((str(address), self._receiver.port), CONNECT_SECONDS)
            except OSError as error:
                last = error
        raise last


def _reason(error: Exception) -> str:
    """What went wrong, in words that name nobody's address."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    told = error.strerror if isinstance(error, OSError) else None
    return str(told or type(error).__name__).lower()


def _report(name: str, what: str, why: str | None) -> None:
    logger = structlog.get_logger("policy_engine.webhooks")
    told = {"receiver": name} if why is None else {"receiver": name, "reason": why}
    (logger.error if what == DISABLED else logger.info if what == TAKEN else logger.warning)(what, **told)
