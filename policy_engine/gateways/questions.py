"""How a plugin inside of a gateway asks `POST /gateways/decide`, and what of an answer counts as an allow.

Nothing of the service is imported here, so that a plugin runs in its gateway's own environment: only the standard
library and httpx are needed. An allow is the status 200 with a document that answers the very question, in which every
member says so and is of its type; anything else is `Unavailable`, and a plugin lets nothing through on it.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

MOST_MODELS: Final = 1_000
"""Models of one question."""

SECONDS: Final = 1.0
"""For so long a question about a request is waited for, from its first byte to the last of its answer."""

LIST_SECONDS: Final = 5.0
"""The same of a question about a list: more than `FEW` models."""

FEW: Final = 20

MAX_ANSWER: Final = 4 * 1024 * 1024
"""Bytes of an answer that are read."""

CLOCKS_DIFFER: Final = timedelta(seconds=5)
"""So much the clocks of the gateway and of the engine may differ: an allow that ended longer ago is none."""

_PREFIX: Final = "POLICY_ENGINE_PLUGIN_"
_IDLE_SECONDS: Final = 2.0
"""For so long an idle connection is kept: less than the engine does, so that no question meets one that is closed."""


class Misconfigured(Exception):
    """Why a plugin does not start, with what to do."""


class Unavailable(Exception):
    """There is no answer that counts, so nothing is allowed; its text names no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSettings:
    """Where the engine is, who the gateway is to it, and what is passed on: lines of the head and attributes, by name.

    What is not named is not sent.
    """

    url: str
    key: str
    headers: frozenset[str]
    attributes: tuple[str, ...]


def settings_from(environment: Mapping[str, str]) -> PluginSettings:
    """The settings in `POLICY_ENGINE_PLUGIN_...`. Raises `Misconfigured` with the name of the setting."""
    url = environment.get(f"{_PREFIX}URL", "http://127.0.0.1:8181").rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise Misconfigured(f"{_PREFIX}URL is not an address of the engine: write it as https://engine.internal:8181")
    return PluginSettings(
        url=url,
        key=_key(environment),
        headers=frozenset(name.lower() for name in _names(environment.get(f"{_PREFIX}HEADERS", ""))),
        attributes=tuple(_names(environment.get(f"{_PREFIX}ATTRIBUTES", "user_id"))),
    )


def _key(environment: Mapping[str, str]) -> str:
    key, file = environment.get(f"{_PREFIX}KEY", ""), environment.get(f"{_PREFIX}KEY_FILE", "")
    if bool(key) == bool(file):
        many = "both are set" if key else "neither is set"
        raise Misconfigured(
            f"the engine's key is missing or doubtful: {many} of {_PREFIX}KEY and {_PREFIX}KEY_FILE; make a key with"
            " `policy-engine keys create NAME --role gateway --gateway GATEWAY` and set one of the two"
        )
    if file:
        try:
            key = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(
                f"{_PREFIX}KEY_FILE cannot be read ({type(error).__name__}): correct its path"
            ) from error
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key or not key:
        raise Misconfigured("the engine's key has characters that no key has: copy the token again")
    return key


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the client of a gateway asks for. `target` is its path, with the models that its query names; `headers` are
    lines of its head, `attributes` what the gateway found out about its key. Without `models` the gateway's profile
    says which model it is."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    models: tuple[str, ...] = ()

    def document(self) -> Mapping[str, object]:
        """The body of the question."""
        lines: dict[str, list[str]] = {}
        for name, value in self.headers:
            lines.setdefault(name, []).append(value)
        return {
            "method": self.method,
            "target": self.target,
            "headers": lines,
            "attributes": dict(self.attributes),
            "models": self.models,
            "each": bool(self.models),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The decision about one model; `fault` says why it was no question that could be judged."""

    model: str | None
    allowed: bool
    decision_id: str | None
    code: str
    message: str
    fault: str | None


class Engine:
    """The engine as a plugin asks it. One is used from one event loop."""

    def __init__(self, settings: PluginSettings) -> None:
        self._url = f"{settings.url}/gateways/decide"
        self._head = {"authorization": f"Bearer {settings.key}", "content-type": "application/json"}
        # The environment's proxies are not used: they would be sent the key. Its certificates are.
        self._client = httpx.AsyncClient(
            trust_env=False,
            verify=ssl.create_default_context(),
            timeout=LIST_SECONDS,
            limits=httpx.Limits(max_connections=100, keepalive_expiry=_IDLE_SECONDS),
        )

    async def ask(self, question: Question, now: datetime) -> tuple[Answer, ...]:
        """One answer for each of the question's models, or one where it names none. Raises `Unavailable`."""
        try:
            async with asyncio.timeout(SECONDS if len(question.models) <= FEW else LIST_SECONDS):
                sent = json.dumps(question.document(), ensure_ascii=True).encode("ascii")
                async with self._client.stream("POST", self._url, headers=self._head, content=sent) as response:
                    _require_answer(response)
                    told = await _whole(response)
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, TimeoutError, OSError) as error:
            raise Unavailable(f"the engine did not answer ({type(error).__name__})") from error
        return answers_in(told, question.models, now)


def _require_answer(response: httpx.Response) -> None:
    if response.status_code != httpx.codes.OK:
        raise Unavailable(f"the engine answered with the status {response.status_code}")
    if response.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Unavailable("the answer is not declared as application/json")


async def _whole(response: httpx.Response) -> bytes:
    told = bytearray()
    async for chunk in response.aiter_bytes():
        told += chunk
        if len(told) > MAX_ANSWER:
            raise Unavailable("the answer is too long")
    return bytes(told)


def answers_in(told: bytes, models: Sequence[str], now: datetime) -> tuple[Answer, ...]:
    """The answers in a document. Raises `Unavailable` for one that is no answer to a question about these models."""
    try:
        document = json.loads(told.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Unavailable("the answer is not a JSON document") from error
    if not isinstance(document, dict) or not isinstance(document.get("answers"), list):
        raise Unavailable("the answer is not a document with answers")
    answers = tuple(_answer(one, now) for one in document["answers"])
    if len(answers) != max(len(models), 1):
        raise Unavailable("there are not as many answers as questions")
    if document.get("allowed") is not all(one.allowed for one in answers):
        raise Unavailable("`allowed` does not say what the answers say")
    if models and any(one.allowed and one.model != model for one, model in zip(answers, models, strict=True)):
        raise Unavailable("the answers are about other models")
    return answers


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name appears twice")
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _answer(one: object, now: datetime) -> Answer:
    if not isinstance(one, dict):
        raise Unavailable("an answer is not a document")
    decision = _text(one, "decision")
    if decision not in {"allow", "deny"}:
        raise Unavailable("an answer is neither allow nor deny")
    allowed = decision == "allow"
    decision_id, until = _text_or_none(one, "decision_id"), _text_or_none(one, "valid_until")
    if allowed and (not decision_id or until is None or _instant(until) + CLOCKS_DIFFER < now):
        raise Unavailable("an allow has no decision, or has ended")
    return Answer(
        model=_text_or_none(one, "model"),
        allowed=allowed,
        decision_id=decision_id,
        code=_text(one, "public_code"),
        message=_text(one, "public_message"),
        fault=_text_or_none(one, "fault"),
    )


def _text(one: Mapping[str, object], name: str) -> str:
    value = one.get(name)
    if not isinstance(value, str):
        raise Unavailable(f"`{name}` of an answer is not a text")
    return value


def _text_or_none(one: Mapping[str, object], name: str) -> str | None:
    return None if one.get(name) is None else _text(one, name)


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise Unavailable("an answer has an instant that cannot be read") from error
    if instant.tzinfo is None:
        raise Unavailable("an answer has an instant without a zone")
    return instant
