"""The bench on which a gateway is checked: its client before it, the engine's stand-in beside it, the canary behind it.

What a gateway answers says little; what counts is what the stand-in was asked, and what came to the canary.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import SplitResult

from policy_engine.cli.gateway_dialects import Lines, Question, Seen
from policy_engine.cli.gateway_stand_in import JUDGES, Canary, Conduct, StandIn
from policy_engine.domain.gateways import Profile

PROMPT: Final = "gateway-check: this sentence stands for a prompt"
COOKIE: Final = "gateway-check=1"


class Verdict(StrEnum):
    """What came of a probe.

    `ok`: a control went as it should. `denied`: nothing got through. `known`: it got through, as a gateway that reads
    the status alone has it. `note`: nothing that a gateway could deny, and worth knowing. `untried`: not asked for.
    """

    OK = "ok"
    DENIED = "denied"
    FAULT = "fault"
    KNOWN = "known"
    NOTE = "note"
    UNTRIED = "untried"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One probe and what came of it. `status` is what the client was answered after so many `seconds`; `None` where no
    answer came. `remedy` says what to look for."""

    group: str
    probe: str
    verdict: Verdict
    told: str
    status: int | None = None
    seconds: float | None = None
    remedy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to send: where a model is used, as whom, and under which names.

    `paths` may have `{model}` in their first; the model is in the body otherwise. `declared` are headers that clients
    are meant to write, `open_paths` those that nobody is asked about. `any_200` says that the gateway reads the status
    alone. `upstream_reads` is the header from which the model's server takes the model, where it reads no body for it.
    """

    method: str
    paths: tuple[str, ...]
    headers: Lines
    allowed: str
    denied: str
    aliases: tuple[str, ...] = ()
    declared: frozenset[str] = frozenset()
    open_paths: frozenset[str] = frozenset()
    any_200: bool = False
    upstream_reads: str | None = None

    @property
    def in_path(self) -> bool:
        """Whether the path names the model."""
        return "{model}" in self.paths[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request of a client. `chunked` sends the body without saying how long it is."""

    method: str
    target: str
    headers: Lines
    body: bytes | None = None
    chunked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of one request, at its client, at the stand-in and at the canary."""

    status: int | None
    seconds: float
    asked: tuple[Question, ...]
    reached: tuple[Seen, ...]


class GatewayUnreachable(Exception):
    """No connection to the gateway."""


class SetUpFault(Exception):
    """What is tried would mean nothing. `finding` is there where that is the gateway's own fault."""

    def __init__(self, text: str, finding: Finding | None = None) -> None:
        super().__init__(text)
        self.finding = finding


class Client:
    """A client of the gateway: each request on a connection of its own, sent as it is written."""

    def __init__(self, url: SplitResult, *, seconds: float, trusted: ssl.SSLContext | None) -> None:
        """`seconds` is how long an answer is waited for."""
        self._url = url
        self._seconds = seconds
        self._trusted = trusted

    @property
    def address(self) -> tuple[str, int]:
        """Of the gateway."""
        secure = self._url.scheme == "https"
        return self._url.hostname or "", self._url.port or (443 if secure else 80)

    def send(self, sent: Sent) -> int | None:
        """The status, or `None` where no answer came. Raises `GatewayUnreachable`."""
        connection = self._connection()
        try:
            connection.connect()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise GatewayUnreachable(f"the gateway at {self._url.geturl()} cannot be reached: {reason}") from error
        try:
            connection.putrequest(sent.method, sent.target, skip_accept_encoding=True)
            for name, value in sent.headers:
                connection.putheader(name, value.encode("utf-8"))
            if sent.chunked:
                connection.putheader("transfer-encoding", "chunked")
            elif sent.body is not None:
                connection.putheader("content-length", str(len(sent.body)))
            connection.endheaders(sent.body, encode_chunked=sent.chunked)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            return None
        else:
            return response.status
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=self._seconds, context=self._trusted)
        return http.client.HTTPConnection(host, port, timeout=self._seconds)


class Bench:
    """A gateway between its client, the stand-in and the canary."""

    def __init__(self, client: Client, stand_in: StandIn, canary: Canary, plan: Plan) -> None:
        self.client = client
        self.stand_in = stand_in
        self.canary = canary
        self.plan = plan

    @property
    def profile(self) -> Profile:
        """The gateway's profile."""
        return self.stand_in.profile

    def ask(self, model: str, *, headers: Lines = (), body: bytes | None = None, path: str | None = None) -> Sent:
        """A client's request for a model; `body` is the usual one where none is given."""
        plan = self.plan
        target = (plan.paths[0] if path is None else path).replace("{model}", model)
        if body is None:
            named: dict[str, object] = {} if plan.in_path else {"model": model}
            body = json.dumps({**named, "messages": [{"role": "user", "content": PROMPT}]}).encode()
        lines = (*plan.headers, ("content-type", "application/json"), ("cookie", COOKIE), *headers)
        return Sent(method=plan.method, target=target, headers=lines, body=body)

    def attempt(self, sent: Sent, conduct: Conduct = JUDGES) -> Trial:
        """Send a request while the stand-in behaves so."""
        self.stand_in.behave(conduct)
        asked, reached = len(self.stand_in.asked), len(self.canary.reached)
        began = time.monotonic()
        status = self.client.send(sent)
        return Trial(
            status=status,
            seconds=time.monotonic() - began,
            asked=tuple(self.stand_in.asked[asked:]),
            reached=tuple(self.canary.reached[reached:]),
        )
