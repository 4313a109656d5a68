"""A client of the running service, for the commands that need a person's key."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from policy_engine.cli.output import print_json
from policy_engine.formats.faults import Fault
from policy_engine.shapes.problem import FaultDocument, ProblemDocument

ANSWER_SECONDS: Final = 60.0
"""How long the service may take to answer."""

ASSESSMENT_SECONDS: Final = 900.0
"""How long it may take to try a whole book on its worked examples and on recorded decisions."""

Shape = TypeVar("Shape")


class RemoteSettings(BaseSettings):
    """Which service, and with which key, from the environment."""

    model_config = SettingsConfigDict(env_prefix="POLICY_ENGINE_", extra="ignore")

    url: str = Field("http://127.0.0.1:8181", description="where the service is")
    key: SecretStr = Field(SecretStr(""), description="the key that is bound to the person who runs the command")


@dataclass(frozen=True, slots=True, kw_only=True)
class LostExamples:
    """Worked examples that a book drops or changes, and the digest of the report by which that is acknowledged."""

    digest: str
    removed: tuple[str, ...]
    changed: tuple[str, ...]


class ServiceRefused(Exception):
    """The service does not do it; the text is its problem, `faults` are those of a file that was sent, and `lost` is
    what an approval has to acknowledge first."""

    def __init__(self, text: str, faults: tuple[Fault, ...] = (), lost: LostExamples | None = None) -> None:
        super().__init__(text)
        self.faults = faults
        self.lost = lost


class Misused(Exception):
    """What was asked for is no request, or there is no service or key to ask with."""


class ServiceUnavailable(Exception):
    """The service cannot be reached, or cannot answer now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAnswer:
    """What the service said: its status and its bytes."""

    status: int
    body: bytes

    def read(self, shape: type[Shape]) -> Shape:
        """The document in it. Raises `ServiceUnavailable` for one of another service or release."""
        try:
            return msgspec.json.decode(self.body, type=shape)
        except msgspec.MsgspecError as error:
            raise ServiceUnavailable(f"the service's answer cannot be read: {error}") from error

    def plain(self) -> object:
        """The document, to be printed again."""
        return self.read(object)

    def tell(self, shape: type[Shape], say: Callable[[Shape], object], *, as_json: bool) -> None:
        """Print the document for a program as it came, and for a person as `say` does."""
        if as_json:
            print_json(self.plain())
        else:
            say(self.read(shape))


class Service:
    """The service at the settings' address. It follows no redirection, so that the key goes nowhere else."""

    def __init__(self, settings: RemoteSettings, *, role: str = "compliance") -> None:
        """`role` is one whose keys may do what is wanted. Raises `Misused`."""
        place = urlsplit(settings.url)
        try:
            port = place.port
        except ValueError as error:
            raise Misused(f"POLICY_ENGINE_URL: {error}") from error
        if place.scheme not in ("http", "https") or place.hostname is None:
            raise Misused(f"POLICY_ENGINE_URL is `{settings.url}`; write it as http://host:port or https://host:port")
        if not settings.key.get_secret_value():
            raise Misused(
                "only a person may do this: set POLICY_ENGINE_KEY to a key that is bound to you"
                f' (policy-engine keys create "NAME" --role {role} --person ID)'
            )
        self._settings = settings
        self._secure, self._host, self._port = place.scheme == "https", place.hostname, port
        self._base = place.path.rstrip("/")

    def get(self, *path: str, query: Mapping[str, str] | None = None) -> ServiceAnswer:
        """Ask for a document."""
        return self._ask("GET", path, query=query)

    def post(self, *path: str, body: object, seconds: float = ANSWER_SECONDS) -> ServiceAnswer:
        """Send a document."""
        return self._ask("POST", path, body=body, seconds=seconds)

    def delete(self, *path: str, body: object) -> ServiceAnswer:
        """Ask for something to end."""
        return self._ask("DELETE", path, body=body)

    def _ask(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        body: object = None,
        query: Mapping[str, str] | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> ServiceAnswer:
        target = self._base + "".join(f"/{quote(part, safe='')}" for part in path)
        if query:
            target += f"?{urlencode(query)}"
        headers = {"Authorization": f"Bearer {self._settings.key.get_secret_value()}", "Accept": "application/json"}
        data = None
        if body is not None:
            data = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
            headers["Content-Type"] = "application/json"
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=seconds)
        try:
            connection.request(method, target, body=data, headers=headers)
            response = connection.getresponse()
            answer = ServiceAnswer(status=response.status, body=response.read())
        except TimeoutError as error:
            raise ServiceUnavailable(
                f"the service at {self._settings.url} did not answer within {seconds:g} seconds; it is not"
                " known whether the request was carried out"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise ServiceUnavailable(f"the service at {self._settings.url} cannot be reached: {reason}") from error
        except ValueError as error:
            # A key with a line break in it, for one; the text of the error would show it.
            raise Misused("POLICY_ENGINE_KEY or POLICY_ENGINE_URL has characters that cannot be sent") from error
        finally:
            connection.close()
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            _raise(answer)
        return answer


def _raise(answer: ServiceAnswer) -> None:
    try:
        problem = msgspec.json.decode(answer.body, type=ProblemDocument)
    except msgspec.MsgspecError:
        problem = ProblemDocument(type="", title=f"The service answered {answer.status}", status=answer.status)
    lines = [problem.title]
    if problem.detail:
        lines.append(problem.detail)
    lines += [_line(fault) for fault in problem.errors or ()]
    text = "\n".join(lines)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise ServiceUnavailable(text)
    if problem.type.endswith("/malformed"):
        raise Misused(text)
    faults = tuple(
        Fault(
            source=one.file,
            line=one.line or 0,
            column=one.column or 0,
            message=one.message,
            remedy=one.remedy or "",
            cell=one.cell or "",
        )
        for one in problem.errors or ()
        if one.file
    )
    lost = None
    if problem.cases:
        lost = LostExamples(digest=problem.cases, removed=problem.removed or (), changed=problem.changed or ())
    raise ServiceRefused(text, faults, lost)


def _line(fault: FaultDocument) -> str:
    cell = f" ({fault.cell})" if fault.cell else ""
    place = f"{fault.file}:{fault.line}:{fault.column}{cell}" if fault.file else fault.field or "body"
    remedy = f"; {fault.remedy}" if fault.remedy else ""
    return f"  {place}: {fault.message}{remedy}"


def open_service(*, role: str = "compliance") -> Service:
    """The service of the environment, for what keys of a role may do. Raises `Misused`."""
    return Service(RemoteSettings(), role=role)
