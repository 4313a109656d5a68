"""The plugin for LiteLLM's proxy: whom a model is denied to does not reach it, whichever way the request takes.

It is named in LiteLLM's configuration (`litellm_settings: callbacks: [policy_engine.gateways.litellm.instance]`) and
asks the engine (`policy_engine.gateways.questions`; settings `POLICY_ENGINE_PLUGIN_...`):

- before a call, on the public name, what it is an alias of, and the client's own `fallbacks`;
- on each attempt, of LiteLLM's own fallbacks too, on the concrete deployments, when one is chosen from them;
- on each line of a batch file that is uploaded;
- once for a list of models, from which those that are denied are left out.

Who asks is what LiteLLM found out about the key (`UserAPIKeyAuth`), never what the body says. Method, path and lines of
the head are those of the request itself, seen before LiteLLM reads it, so that a line which stands twice is known to.
What the client wrote to the model is not looked at. Without an answer nothing is allowed: 503.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import parse_qsl, quote, urlencode

from policy_engine.gateways.questions import (
    MOST_MODELS,
    Answer,
    Engine,
    Misconfigured,
    PluginSettings,
    Question,
    Unavailable,
    settings_from,
)

if TYPE_CHECKING:

    class CustomLogger:
        """LiteLLM's base of what it calls back."""

else:
    from litellm.integrations.custom_logger import CustomLogger

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]

NAME: Final = "policy_engine.gateways.litellm.instance"
"""What stands under `callbacks` in LiteLLM's configuration."""

_log: Final = logging.getLogger("policy_engine.gateways.litellm")

_REUSED_SECONDS: Final = 2.0
"""For so long an allow for a deployment, asked for when it was chosen, counts at the call to it, and one for a line of
a batch file at the next that asks for the same: less than the engine itself lets an allow be used again."""

_LINE_TARGETS: Final = {
    "acompletion": "/v1/chat/completions",
    "atext_completion": "/v1/completions",
    "aembedding": "/v1/embeddings",
    "aresponses": "/v1/responses",
    "anthropic_messages": "/v1/messages",
}
"""What LiteLLM calls a line of a batch file, and the route that the line is for."""

_UPLOAD: Final = "acreate_file"
_FILES: Final = re.compile(r"(?:/[^/]+)?(?:/v1)?/files")


@dataclass(slots=True)
class _Request:
    """A request of a client as it came in, and what was allowed in it, with until when that counts. Of a batch file's
    lines, which LiteLLM hands in together, one is asked for at a time: most ask for the same. `refused` is what it was
    refused with before anything was called."""

    question: Question
    allowed: dict[Question, float] = field(default_factory=dict)
    one_line: asyncio.Lock = field(default_factory=asyncio.Lock)
    refused: Exception | None = None


_current: Final[ContextVar[_Request | None]] = ContextVar("policy_engine_request", default=None)


class SeesRequests:
    """Sees the head of each request before LiteLLM does, for the hooks that are called in it, and tells a refusal where
    LiteLLM meets an error while it does."""

    def __init__(self, app: App, headers: frozenset[str]) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """As ASGI says."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        request = _Request(question=self._question(scope))
        token = _current.set(request)
        begun = False

        async def sent(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except Exception as error:
            if request.refused is None or begun or scope["type"] != "http":
                raise
            # As on `/v1/batches` where the package of LiteLLM's database is not installed.
            _log.warning("LiteLLM met an error while it told a refusal: %s", type(error).__name__)
            for part in _told(request.refused):
                await send(part)
        finally:
            _current.reset(token)

    def _question(self, scope: Scope) -> Question:
        raw = scope.get("raw_path") or quote(scope["path"]).encode("ascii")
        headers = (
            (name.decode("latin-1").lower(), value.decode("utf-8", "backslashreplace"))
            for name, value in scope["headers"]
        )
        return Question(
            method=scope.get("method", "GET"),
            target=raw.decode("latin-1") + _models_of_query(scope.get("query_string", b"")),
            headers=tuple((name, value) for name, value in headers if name in self._headers),
        )


def _told(refused: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A refusal in the form of OpenAI's interface."""
    body = json.dumps({"error": refused.to_dict()}).encode("ascii")
    lines = {**refused.headers, "content-type": "application/json", "content-length": str(len(body))}
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines.items()]
    start = {"type": "http.response.start", "status": refused.status_code, "headers": headers}
    return start, {"type": "http.response.body", "body": body}


def _models_of_query(query: bytes) -> str:
    """What the query says of models, and nothing else of it: there may be anything in it."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="backslashreplace")
    named = [("model", value) for name, value in pairs if name.strip().lower() == "model"]
    return f"?{urlencode(named)}" if named else ""


class PolicyEngine(CustomLogger):
    """What LiteLLM calls. Each hook raises, or goes on with what is allowed."""

    enforces_request_content = True
    """So that LiteLLM calls for each line of a batch file."""

    def __init__(self, settings: PluginSettings) -> None:
        super().__init__()
        self._settings = settings
        self._engine: Engine | None = None

    # --- what LiteLLM calls ---------------------------------------------------------------------------------------

    async def async_pre_call_hook(
        self, user_api_key_dict: object, cache: object, data: dict[str, Any], call_type: str
    ) -> None:
        """Before a call: the models that it names. Raises `ProxyException`."""
        del cache
        request = _request()
        from litellm.proxy._types import ProxyException  # noqa: PLC0415  the proxy's own, which is loaded by then

        try:
            await self._require_call(request, user_api_key_dict, data, call_type)
        except ProxyException as error:
            request.refused = error
            raise

    async def _require_call(self, request: _Request, key: object, data: dict[str, Any], call_type: str) -> None:
        question = self._about(request, key, _asked_models(data))
        if call_type != _UPLOAD and _FILES.fullmatch(request.question.target) and request.question.method == "POST":
            await self._require_line(request, question, call_type)
            return
        await self._require(question)

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: list[dict[str, Any]],
        messages: object,
        request_kwargs: dict[str, Any] | None = None,
        parent_otel_span: object = None,
    ) -> list[dict[str, Any]]:
        """On each attempt: those of the deployments whose models are allowed. Raises `ProxyException` for none."""
        del model, messages, parent_otel_span
        named = [_deployed(one) for one in healthy_deployments]
        # The model of a pattern is known when it is called.
        known = tuple(dict.fromkeys(name for name in named if name is not None))
        if not known:
            return healthy_deployments
        request = _request()
        question = self._about(request, _key_in(request_kwargs or {}), known)
        answers = await self._answers(question)
        until = time.monotonic() + _REUSED_SECONDS
        for one in answers:
            if one.allowed and one.model is not None:
                request.allowed[replace(question, models=(one.model,))] = until
        allowed = {one.model for one in answers if one.allowed}
        kept = [one for one, name in zip(healthy_deployments, named, strict=True) if name is None or name in allowed]
        if not kept:
            _refuse(answers)
        return kept

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: object) -> None:
        """Right before a deployment is called: its model, unless it was allowed when it was chosen. Raises
        `ProxyException`."""
        del call_type
        request = _request()
        names = tuple(dict.fromkeys((*_names_of(kwargs.get("model")), *_beside(kwargs))))
        question = self._about(request, _key_in(kwargs), names)
        if request.allowed.get(question, 0.0) < time.monotonic():
            await self._require(question)

    async def async_filter_listed_models(self, user_api_key_dict: object, model_names: Sequence[str]) -> Sequence[str]:
        """Those of the names that may be listed. Raises `ProxyException`."""
        request = _request()
        kept: list[str] = []
        for first in range(0, len(model_names), MOST_MODELS):
            names = tuple(model_names[first : first + MOST_MODELS])
            answers = await self._answers(self._about(request, user_api_key_dict, names))
            kept += [name for name, one in zip(names, answers, strict=True) if one.allowed]
        return kept

    # --- asking ---------------------------------------------------------------------------------------------------

    def _about(self, request: _Request, key: object, models: tuple[str, ...]) -> Question:
        if key is None:
            _unavailable("LiteLLM does not say whose key it is")
        return replace(request.question, attributes=tuple(self._attributes(key)), models=models)

    def _attributes(self, key: object) -> Iterator[tuple[str, str]]:
        for name in self._settings.attributes:
            value = attribute(key, name)
            if value is None or value == "":
                continue
            if not isinstance(value, str):
                _refuse_here(f"what LiteLLM knows as `{name}` is not a text")
            yield name, value

    async def _answers(self, question: Question) -> tuple[Answer, ...]:
        if self._engine is None:
            self._engine = Engine(self._settings)
        try:
            answers = await self._engine.ask(question, datetime.now(UTC))
        except Unavailable as error:
            _unavailable(str(error))
        for fault in {one.fault for one in answers if one.fault is not None}:
            _log.warning("the policy engine denies what it could not judge: %s", fault)
        return answers

    async def _require(self, question: Question) -> None:
        answers = await self._answers(question)
        if not all(one.allowed for one in answers):
            _refuse(answers)

    async def _require_line(self, request: _Request, question: Question, call_type: str) -> None:
        target = _LINE_TARGETS.get(call_type)
        if target is None:
            _refuse_here("a line of the file is for a route that is not judged")
        line = replace(question, target=target)
        async with request.one_line:
            if request.allowed.get(line, 0.0) < time.monotonic():
                await self._require(line)
                request.allowed[line] = time.monotonic() + _REUSED_SECONDS


# --- what LiteLLM says ------------------------------------------------------------------------------------------------


def attribute(key: object, name: str) -> object:
    """What LiteLLM knows of a key: one of its fields, `jwt.CLAIM`, `key.NAME` or `team.NAME` of the metadata."""
    where, dot, inner = name.partition(".")
    held = {"jwt": "jwt_claims", "key": "metadata", "team": "team_metadata"}.get(where) if dot else None
    if held is None:
        return getattr(key, name, None)
    values = getattr(key, held, None)
    return values.get(inner) if isinstance(values, Mapping) else None


def _request() -> _Request:
    request = _current.get()
    if request is None:
        _unavailable("LiteLLM does not say for which request it calls")
    return request


def _key_in(held: Mapping[str, Any]) -> object:
    """The key that LiteLLM put beside what it calls with. A client can write a document there, and no object."""
    from litellm.proxy._types import UserAPIKeyAuth  # noqa: PLC0415  the proxy's own, which is loaded by then

    for name in ("litellm_metadata", "metadata"):
        bag = held.get(name)
        found = bag.get("user_api_key_auth") if isinstance(bag, Mapping) else None
        if isinstance(found, UserAPIKeyAuth):
            return found
    return None


def _deployed(deployment: Mapping[str, Any]) -> str | None:
    """The model of a deployment; `None` for a pattern, of which each model is judged when it is called."""
    model = (deployment.get("litellm_params") or {}).get("model")
    if not isinstance(model, str):
        _refuse_here("a deployment has no model")
    return None if "*" in model else model


def _names_of(model: object) -> tuple[str, ...]:
    if model is None:
        return ()
    if not isinstance(model, str):
        _refuse_here("the model is not a text")
    # LiteLLM takes a list with commas for several models.
    return tuple(dict.fromkeys(one.strip() for one in model.split(",")))


def _asked_models(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The public name, what it is an alias of, the client's own fallbacks, and what names a model beside these."""
    named = list(_names_of(data.get("model")))
    named += [target for name in named if (target := _alias(name)) is not None]
    for member in ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks"):
        named += _fallbacks(data.get(member), member)
    return tuple(dict.fromkeys((*named, *_beside(data))))


def _beside(data: Mapping[str, Any]) -> Iterator[str]:
    """Models that are named beside `model` and the fallbacks. LiteLLM calls `deployment_id` in the place of `model`,
    writes what is in `extra_body` over the provider's body, and passes on `models`, which some providers fall back to.
    """
    for member in ("deployment_id", "engine"):
        yield from _names_of(data.get(member))
    yield from _fallbacks(data.get("models"), "models")
    for tool in data.get("tools") or ():
        if isinstance(tool, Mapping):
            yield from _names_of(tool.get("model"))
    for member in ("extra_body", "extra_query", "litellm_params"):
        inner = data.get(member)
        if inner is None:
            continue
        if not isinstance(inner, Mapping):
            _refuse_here(f"`{member}` is not an object")
        yield from _asked_models(inner)


def _alias(name: str) -> str | None:
    from litellm.proxy import proxy_server  # noqa: PLC0415  the proxy's own, which is loaded by then

    held = (getattr(proxy_server.llm_router, "model_group_alias", None) or {}).get(name)
    target = held.get("model") if isinstance(held, Mapping) else held
    return target if isinstance(target, str) else None


def _fallbacks(held: object, member: str) -> Iterator[str]:
    if held is None:
        return
    if not isinstance(held, list):
        _refuse_here(f"`{member}` is not a list")
    for one in held:
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping) and isinstance(one.get("model"), str):
            yield from _asked_models(one)
        elif isinstance(one, Mapping) and all(isinstance(names, list) for names in one.values()):
            yield from _fallbacks([name for names in one.values() for name in names], member)
        else:
            _refuse_here(f"an entry of `{member}` names no model")


# --- how a client is told ---------------------------------------------------------------------------------------------

_REGION: Final = "NOT_AVAILABLE_REGION"


def _refuse(answers: Iterable[Answer]) -> NoReturn:
    denied = next(one for one in answers if not one.allowed)
    headers = {"x-reason": denied.code}
    if denied.decision_id is not None:
        headers["x-decision-id"] = denied.decision_id
    raise _proxy_exception(
        denied.message, "request_forbidden", 403, headers, None if denied.code == _REGION else "model"
    )


def _refuse_here(doubt: str) -> NoReturn:
    """The denial of what is asked of nobody, since it could not be said what it is."""
    _log.warning("denied without a question: %s", doubt)
    raise _proxy_exception(
        f"The request cannot be judged: {doubt}.", "request_forbidden", 403, {"x-reason": "INVALID_REQUEST"}
    )


def _unavailable(doubt: str) -> NoReturn:
    _log.error("nothing is allowed: %s", doubt)
    raise _proxy_exception(
        "Authorization is not available, so nothing is allowed.", "server_error", 503, {"retry-after": "1"}
    )


def _proxy_exception(
    message: str, kind: str, status: int, headers: dict[str, str], param: str | None = None
) -> Exception:
    from litellm.proxy._types import ProxyException  # noqa: PLC0415  the proxy's own, which is loaded by then

    error: Exception = ProxyException(message=message, type=kind, param=param, code=status, headers=headers)
    # Routes of audio and of batches look for this one instead of `code`.
    error.status_code = status  # type: ignore[attr-defined]
    return error


# --- starting ---------------------------------------------------------------------------------------------------------


def _started() -> PolicyEngine:
    """The one instance. LiteLLM asks for it while it reads its configuration; what it then does with it is looked at
    before it answers anybody. Raises `Misconfigured`."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError as error:
        raise Misconfigured(
            f"{NAME} is for the configuration of LiteLLM's proxy, which asks for it as it starts"
        ) from error
    plugin = PolicyEngine(settings_from(os.environ))
    loop.call_soon(_take_up, plugin)
    return plugin


def _take_up(plugin: PolicyEngine) -> None:
    """Ends LiteLLM where it would never call the plugin, and else sees its requests from now on."""
    import litellm  # noqa: PLC0415  as `from litellm.proxy` below: this module is also read where there is none
    from litellm.proxy import proxy_server  # noqa: PLC0415

    if plugin not in litellm.callbacks:
        raise SystemExit(
            f"{NAME} stands where LiteLLM would not call it before a request, so that everything would be allowed."
            f" Write it under `litellm_settings: callbacks: [{NAME}]`, and not under `success_callback` or"
            " `failure_callback`. LiteLLM does not start like this."
        )
    app = proxy_server.app
    app.middleware_stack = SeesRequests(app.middleware_stack or app.build_middleware_stack(), plugin._settings.headers)


def __getattr__(name: str) -> object:
    """`instance` is made when it is first asked for: the settings are needed for it, and LiteLLM's loop."""
    if name != "instance":
        raise AttributeError(f"module {__name__} has no attribute {name}")
    made = _started()
    globals()["instance"] = made
    return made
