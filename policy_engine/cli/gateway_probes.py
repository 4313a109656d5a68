"""What a gateway is tried with, and what would be a fault of it: a request that reaches the model and must not."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import unquote, urlsplit

from policy_engine.cli.gateway_bench import PROMPT, Bench, Finding, GatewayUnreachable, Sent, SetUpFault, Trial, Verdict
from policy_engine.cli.gateway_dialects import (
    DECISION,
    EMPTY,
    KEY,
    MESSAGES,
    UNDECIDED,
    UNSET,
    Dialect,
    Lines,
    Question,
    Reply,
    Seen,
)
from policy_engine.cli.gateway_stand_in import DENIES, JUDGES, REDIRECTED, VALID_SECONDS, Conduct
from policy_engine.domain.gateways import Origin

FORGED: Final = "gateway-check-forged"

_STATUSES_OF_SUCCESS: Final = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The question that an honest request comes to; a forged one must come to the same, or to none."""

    question: Question

    def differs(self, question: Question) -> bool:
        """Whether it is a question, and another one. Whose it is by the key is a part of it."""
        if not question.requests:
            return False
        return question.requests != self.question.requests or question.key != self.question.key


Group = Callable[[Bench, Baseline], Sequence[Finding]]


def examine(bench: Bench, tell: Callable[[int, str], None]) -> tuple[Finding, ...]:
    """Try a gateway with everything; before each group of probes `tell` is given how many findings there are, and the
    name of the group.

    Raises `GatewayUnreachable`, and `SetUpFault` where what follows would mean nothing.
    """
    tell(0, "set-up")
    findings, baseline = _controls(bench)
    for name, group in _GROUPS.items():
        tell(len(findings), name)
        findings += group(bench, baseline)
    return tuple(findings)


def _finding(
    group: str, probe: str, verdict: Verdict, told: str, trial: Trial | None = None, remedy: str = ""
) -> Finding:
    return Finding(
        group=group,
        probe=probe,
        verdict=verdict,
        told=told,
        status=None if trial is None else trial.status,
        seconds=None if trial is None else round(trial.seconds, 3),
        remedy=remedy or None,
    )


# --- the set-up -------------------------------------------------------------------------------------------------------

_PATIENCE: Final = 5
"""So many further requests a gateway has that was started just now, or whose time ran out on a busy machine."""


def _controls(bench: Bench) -> tuple[list[Finding], Baseline]:
    """An allowed request gets through and a denied one does not: else nothing else means anything."""
    plan, group = bench.plan, "set-up"
    trial = bench.attempt(bench.ask(plan.allowed))
    for _ in range(_PATIENCE):
        if trial.reached:
            break
        time.sleep(VALID_SECONDS)
        trial = bench.attempt(bench.ask(plan.allowed))
    if trial.reached and not trial.asked:
        told = "the request reached the model and the engine was not asked: the gateway enforces nothing here"
        remedy = "see that the configuration with the questions is the one that is loaded, and that it covers the path"
        raise SetUpFault(told, _finding(group, "an allowed request", Verdict.FAULT, told, trial, remedy))
    if not trial.asked:
        raise SetUpFault(
            f"the gateway answered {trial.status} and asked nothing: point it at the stand-in (--stand-in), and send"
            " what makes it know its client (--header)"
        )
    question = trial.asked[-1]
    if question.doubt is not None:
        raise SetUpFault(f"what the gateway asks is not a question under its profile: {question.doubt}")
    if not trial.reached:
        raise SetUpFault(
            f"the gateway asked, answered {trial.status}, and nothing came to the canary: name a model that is allowed"
            " with --allowed, and point the gateway's upstream at the canary (--upstream)"
        )
    findings = [_finding(group, "an allowed request", Verdict.OK, "asked, and through to the model", trial)]
    denied = bench.attempt(bench.ask(plan.denied))
    findings.append(_judged(bench, group, "a denied request", denied, remedy=_ASK))
    findings += _leaks(trial)
    return findings, Baseline(question=question)


_ASK: Final = "see that the gateway waits for the answer before it forwards, and forwards on 200 alone"


def _leaks(trial: Trial) -> list[Finding]:
    """What goes where it need not, and one thing that must not."""
    group, found = "set-up", []
    question, upstream = trial.asked[-1], trial.reached[-1]
    if not question.key:
        told = f"the question carries no {_KEY_IN[question.dialect]}: the engine would answer 401 and allow nothing"
        found.append(_finding(group, "the gateway's key", Verdict.NOTE, told))
    if upstream.values(KEY):
        told = "the gateway's key reaches the model: whoever runs it could ask in the gateway's name"
        found.append(
            _finding(group, "the gateway's key", Verdict.FAULT, told, remedy="remove the header after the question")
        )
    if PROMPT.encode() in question.seen.body:
        told = "the gateway sends whole bodies with its questions, prompts too; the engine keeps nothing of them"
        found.append(_finding(group, "prompts", Verdict.NOTE, told))
    given = [name for name in ("authorization", "cookie") if any(held == name for held, _ in question.passed)]
    if given:
        told = f"the client's {' and '.join(given)} go to the engine, which does not look at them"
        found.append(_finding(group, "the client's secrets", Verdict.NOTE, told))
    return found


_KEY_IN: Final = {
    Dialect.STATUS: "X-Policy-Engine-Key",
    Dialect.GRPC: "x-policy-engine-key in its metadata",
    Dialect.PLUGIN: "key under Authorization",
}


def _judged(bench: Bench, group: str, probe: str, trial: Trial, *, remedy: str, known: bool = False) -> Finding:
    """Of a request that has to be denied."""
    if trial.reached:
        told = "the request reached the model"
        if known:
            return _finding(group, probe, Verdict.KNOWN, f"{told}: the gateway reads the status alone", trial)
        return _finding(group, probe, Verdict.FAULT, told, trial, remedy)
    if trial.status in _STATUSES_OF_SUCCESS and (not trial.asked or bench.stand_in.conduct.down):
        told = f"the gateway answered {trial.status} by itself, without an answer of the engine"
        return _finding(group, probe, Verdict.FAULT, told, trial, "deny before anything is answered")
    if trial.status is None:
        return _finding(
            group, probe, Verdict.DENIED, f"no answer within {trial.seconds:.1f} s; nothing got through", trial
        )
    if trial.status in range(200, 400):
        told = f"the client got the engine's {trial.status}; nothing got through"
        return _finding(group, probe, Verdict.DENIED, told, trial)
    return _finding(group, probe, Verdict.DENIED, "", trial)


# --- an engine that misbehaves ----------------------------------------------------------------------------------------

_HTML: Final = (("content-type", "text/html"),)
_JSON: Final = (("content-type", "application/json"),)
_ELSEWHERE: Final = (("location", REDIRECTED),)


def _says(status: int, headers: Lines = (), body: bytes = b"") -> Conduct:
    return Conduct(reply=Reply(status=status, headers=headers, body=body))


FAILURES: Final[dict[str, Conduct]] = {
    "it hangs": Conduct(hangs=True),
    "it resets the connection": Conduct(resets=True),
    "500": _says(500, _HTML, b"<h1>error</h1>"),
    "503": _says(503, _JSON, b"{}"),
    "200 with garbage": _says(200, _HTML, b"<html>welcome to the captive portal</html>"),
    "200 with nothing": _says(200),
    '200 with {"decision":"false"}': _says(200, _JSON, b'{"decision":"false"}'),
    "201": _says(201, _JSON, b"{}"),
    "204": _says(204),
    "301": _says(301, _ELSEWHERE),
    "302": _says(302, _ELSEWHERE),
    "400": _says(400, _JSON, b"{}"),
    "401": _says(401, _JSON, b"{}"),
    "404": _says(404, _HTML, b"not here"),
    "429": _says(429, (("retry-after", "1"),), b""),
    "it is down": Conduct(down=True),
}
"""How an engine may fail, or be another service than the engine."""

OVER_GRPC: Final[dict[str, Conduct]] = {
    "it hangs": Conduct(hangs=True),
    "it fails in the call": Conduct(resets=True),
    **{name: Conduct(message=name) for name in MESSAGES},
    "it is down": Conduct(down=True),
}
"""The same over gRPC."""

_ANSWER: Final[dict[str, object]] = {"public_code": "ALLOWED", "public_message": "Allowed.", "fault": None}


def _in_json(model: str) -> dict[str, Conduct]:
    """The same to a plugin that asks about a model."""
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    allow = {"model": model, "decision": "allow", "decision_id": "01CHECK", "valid_until": until, **_ANSWER}
    wrong: dict[str, tuple[object, dict[str, object]]] = {
        '200 with "allowed":"true"': ("true", allow),
        "200 with an allow that has no decision": (True, {**allow, "decision_id": None}),
        "200 with an allow that has ended": (True, {**allow, "valid_until": "2026-01-01T00:00:00Z"}),
        "200 with an allow for another model": (True, {**allow, "model": f"{model}-other"}),
        "200 with an allow whose answer says deny": (True, {**allow, "decision": "deny"}),
    }
    return FAILURES | {
        name: _says(200, _JSON, json.dumps({"allowed": allowed, "answers": [answer]}).encode())
        for name, (allowed, answer) in wrong.items()
    }


BY_STATUS: Final = frozenset({"200 with garbage", "200 with nothing", '200 with {"decision":"false"}', "201", "204"})
"""What a gateway that reads the status alone cannot tell from an allow."""

_KNOWN: Final = BY_STATUS | {EMPTY, UNSET, UNDECIDED}
"""The same, whether it asks over HTTP or over gRPC."""

_ONLY_200: Final = (
    "allow on 200 with x-decision-id alone, and answer 403 or 503 to everything else: look for an error page or handler"
    " that forwards, for a switch that allows on failure, for a rule that denies only what was denied"
)


def failures_of(dialect: Dialect, model: str) -> dict[str, Conduct]:
    """How an engine may fail that is asked so about a model."""
    match dialect:
        case Dialect.GRPC:
            return OVER_GRPC
        case Dialect.PLUGIN:
            return _in_json(model)
        case _:
            return FAILURES


def _failures(bench: Bench, baseline: Baseline) -> list[Finding]:
    found = []
    for name, conduct in failures_of(baseline.question.dialect, bench.plan.allowed).items():
        trial = bench.attempt(bench.ask(bench.plan.allowed), conduct)
        known = bench.plan.any_200 and name in _KNOWN
        found.append(_judged(bench, "failures", name, trial, remedy=_ONLY_200, known=known))
    bench.stand_in.behave(JUDGES)
    return found


# --- answers of the past ----------------------------------------------------------------------------------------------


def _in_time(bench: Bench, _: Baseline) -> list[Finding]:
    group, ask = "time", bench.ask(bench.plan.allowed)
    bench.attempt(ask)
    time.sleep(2 * VALID_SECONDS)
    expired = bench.attempt(ask, DENIES)
    remedy = "reuse no allow after its x-valid-until; better none at all"
    found = [_judged(bench, group, "an allow that has expired", expired, remedy=remedy)]
    went_on = _streamed(bench, ask)
    found.append(went_on)
    after = bench.attempt(ask, DENIES)
    found.append(_judged(bench, group, "the next request after a revocation in mid-stream", after, remedy=remedy))
    return found


_LOOKS: Final = 200


def _streamed(bench: Bench, ask: Sent) -> Finding:
    """Revoke while an answer is streaming, and see whether it goes on."""
    canary, group, probe = bench.canary, "time", "a stream that had begun"
    bench.stand_in.behave(JUDGES)
    before, canary.streams, canary.events = len(canary.reached), True, 0
    client = threading.Thread(target=bench.client.send, args=(ask,), daemon=True)
    client.start()
    for _ in range(_LOOKS):
        if canary.events:
            break
        time.sleep(0.02)
    bench.stand_in.behave(DENIES)
    time.sleep(2 * VALID_SECONDS)
    held = canary.events
    time.sleep(VALID_SECONDS)
    goes_on = canary.events > held
    canary.streams = False
    client.join()
    if len(canary.reached) == before:
        return _finding(group, probe, Verdict.UNTRIED, "the stream did not begin")
    if goes_on:
        told = "it went on after the revocation: a revocation counts from the next request, and `/watch` tells of it"
        return _finding(group, probe, Verdict.NOTE, told)
    return _finding(group, probe, Verdict.DENIED, "it ended with the revocation")


# --- names ------------------------------------------------------------------------------------------------------------

_READ_ALIKE: Final = "ask about the very name that the model's server will read, and deny where there may be two"


def _names(bench: Bench, baseline: Baseline) -> list[Finding]:
    tricks = _in_path(bench) if bench.plan.in_path else _in_body(bench)
    tricks |= _aliases(bench)
    if baseline.question.dialect is Dialect.PLUGIN:
        tricks |= _beside(bench)
    target = bench.plan.paths[0].replace("{model}", bench.plan.allowed)
    query = f"{'&' if '?' in target else '?'}model={bench.plan.denied}"
    tricks["another model in the query"] = bench.ask(bench.plan.allowed, path=target + query)
    found = []
    for name, sent in tricks.items():
        trial = bench.attempt(sent)
        through = tuple(seen for seen in trial.reached if "alias" in name or _serves(bench, seen))
        found.append(_judged(bench, "names", name, replace(trial, reached=through), remedy=_READ_ALIKE))
    if bench.plan.in_path:
        told = "the path names the model: the model's server must not read one in the body, or another can be named"
        found.append(_finding("names", "another model in the body", Verdict.UNTRIED, told))
    return found


def _in_body(bench: Bench) -> dict[str, Sent]:
    allowed, denied = bench.plan.allowed, bench.plan.denied
    rest = f'"messages":[{{"role":"user","content":"{PROMPT}"}}]'
    a, d = json.dumps(allowed), json.dumps(denied)
    texts = {
        "two members, the denied one last": f'{{"model":{a},"model":{d},{rest}}}',
        "two members, the denied one first": f'{{"model":{d},"model":{a},{rest}}}',
        "an escaped member after": f'{{"model":{a},"\\u006dodel":{d},{rest}}}',
        "an escaped member before": f'{{"\\u006dodel":{d},"model":{a},{rest}}}',
        "a list of models": f'{{"model":[{a},{d}],{rest}}}',
        "names with a comma between": f'{{"model":{json.dumps(f"{allowed},{denied}")},{rest}}}',
        "an object": f'{{"model":{{"id":{d}}},{rest}}}',
        "`models` beside it": f'{{"model":{a},"models":[{d}],{rest}}}',
        "`fallbacks` of names": f'{{"model":{a},"fallbacks":[{d}],{rest}}}',
        "`fallbacks` of objects": f'{{"model":{a},"fallbacks":[{{"model":{d}}}],{rest}}}',
        "in capitals": f'{{"model":{json.dumps(denied.upper())},{rest}}}',
        "a blank after the name": f'{{"model":{json.dumps(denied + " ")},{rest}}}',
        "a byte-order mark": f'\ufeff{{"model":{d},{rest}}}',
        "no model": f"{{{rest}}}",
        "no JSON": f"model={denied}",
    }
    tricks = {name: bench.ask(allowed, body=text.encode()) for name, text in texts.items()}
    plain = texts["two members, the denied one last"].encode()
    denied_body = f'{{"model":{d},{rest}}}'.encode()
    long = f'{{"messages":[{{"role":"user","content":"{"x" * _LONG}"}}],"model":{d}}}'.encode()
    tricks["chunked, two members"] = replace(bench.ask(allowed, body=plain), chunked=True)
    zipped = bench.ask(allowed, body=gzip.compress(denied_body), headers=(("content-encoding", "gzip"),))
    tricks["a compressed body"] = zipped
    tricks["a body of 5 MB with the model last"] = bench.ask(allowed, body=long)
    text = bench.ask(allowed, body=denied_body)
    kept = tuple(line for line in text.headers if line[0] != "content-type")
    tricks["another content type"] = replace(text, headers=(*kept, ("content-type", "text/plain")))
    return tricks


_LONG: Final = 5_000_000


def _beside(bench: Bench) -> dict[str, Sent]:
    """Members that a gateway of models turns into a call of another one, or writes into the body for its provider."""
    allowed, denied = bench.plan.allowed, bench.plan.denied
    members: dict[str, dict[str, object]] = {
        "`deployment_id`": {"deployment_id": denied},
        "`engine`": {"engine": denied},
        "a model in `extra_body`": {"extra_body": {"model": denied}},
        "`models` in `extra_body`": {"extra_body": {"models": [denied]}},
        "a model in `extra_query`": {"extra_query": {"model": denied}},
        "a fallback with a `deployment_id`": {"fallbacks": [{"model": allowed, "deployment_id": denied}]},
    }
    return {
        name: bench.ask(allowed, body=json.dumps({"model": allowed, **member, "messages": []}).encode())
        for name, member in members.items()
    }


def _in_path(bench: Bench) -> dict[str, Sent]:
    allowed, denied = bench.plan.allowed, bench.plan.denied
    names = {
        "two dots": f"{allowed}/../{denied}",
        "two dots, escaped": f"{allowed}/%2e%2e/{denied}",
        "a slash, escaped": f"{allowed}%2f..%2f{denied}",
        "a letter, escaped": f"%{ord(denied[0]):02x}{denied[1:]}",
        "two dots with a parameter": f"{allowed}/..;/{denied}",
        "a backslash": f"{allowed}\\..\\{denied}",
        "one dot": f"./{denied}",
        "an empty segment": f"/{denied}",
        "a zero byte, escaped": f"{denied}%00",
        "in capitals": denied.upper(),
    }
    return {f"in the path: {name}": bench.ask(told) for name, told in names.items()}


def _aliases(bench: Bench) -> dict[str, Sent]:
    denied = bench.profile.aliases.get(bench.plan.denied, bench.plan.denied)
    known = [alias for alias, model in bench.profile.aliases.items() if model == denied and alias != bench.plan.denied]
    return {f"the alias `{one}`": bench.ask(one) for one in dict.fromkeys((*bench.plan.aliases, *known))}


def _serves(bench: Bench, seen: Seen) -> bool:
    """Whether the model's server may take a request for one for the denied model, or for none that was allowed."""
    plan = bench.plan
    if plan.upstream_reads is not None:
        return seen.values(plan.upstream_reads) != (plan.allowed,)
    return _mentions(seen, plan.denied)


_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})")


def _mentions(seen: Seen, model: str) -> bool:
    """Whether a request names a model to a server that reads it in one way or another."""
    body = seen.body
    if "gzip" in seen.values("content-encoding"):
        try:
            body = gzip.decompress(body)
        except (OSError, EOFError):
            return True
    text = body.decode("utf-8", "replace") + "\n" + unquote(unquote(seen.target))
    return model.lower() in _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text).lower()


# --- headers ----------------------------------------------------------------------------------------------------------

_FORWARDED: Final = ("x-forwarded-uri", "x-forwarded-method", "x-original-uri", "x-original-method", "x-forwarded-for")
_REWRITING: Final = ("x-original-url", "x-rewrite-url", "x-http-method-override", "x-forwarded-host")

_STRIP: Final = "remove the client's copy before the question is asked, and see that it is removed before and not after"


def _headers(bench: Bench, baseline: Baseline) -> list[Finding]:
    profile = bench.profile
    sources = [
        *profile.model_from,
        *profile.purpose_from,
        *profile.acting_for_from,
        *(one.source for one in (*profile.subject_from, *profile.end_user_from)),
        *(one.source for one in profile.place_from),
    ]
    named = [one.name for one in sources if one.origin is Origin.HEADER]
    found = []
    for name in dict.fromkeys((*named, *_FORWARDED, *_REWRITING, KEY)):
        if name in bench.plan.declared:
            told = "--declared says that clients write it: the engine records it as what they say"
            found.append(_finding("headers", name, Verdict.UNTRIED, told))
        else:
            found.append(_forged(bench, baseline, name))
    found.append(_forged_decision(bench, baseline))
    return found


def _forged(bench: Bench, baseline: Baseline, name: str) -> Finding:
    """A client's own copy of a header: of an allowed request it changes no question, a denied one does not get through
    by it; in one line, in two, and named in `Connection` so that a proxy may drop its own."""
    value = _useful(bench, name)
    forms: dict[str, Lines] = {
        "": ((name, value),),
        " in two lines": ((name, value), (name, value)),
        " named in Connection": (("connection", f"close, {name}"),),
    }
    trial = None
    for form, lines in forms.items():
        trial = bench.attempt(bench.ask(bench.plan.allowed, headers=lines))
        if any(baseline.differs(question) for question in trial.asked):
            told = f"the client's own copy{form} changes what the engine is asked"
            return _finding("headers", name, Verdict.FAULT, told, trial, _STRIP)
        if trial.reached and not trial.asked:
            told = f"with the client's own copy{form} the engine is not asked"
            return _finding("headers", name, Verdict.FAULT, told, trial, _STRIP)
        trial = bench.attempt(bench.ask(bench.plan.denied, headers=lines))
        if trial.reached:
            told = f"with the client's own copy{form} a denied request reached the model"
            return _finding("headers", name, Verdict.FAULT, told, trial, _STRIP)
    return _finding("headers", name, Verdict.DENIED, "the client's own copy changes nothing", trial)


def _useful(bench: Bench, name: str) -> str:
    """What a client would write to gain by it."""
    target = bench.plan.paths[0].replace("{model}", bench.plan.allowed)
    if any(one.origin is Origin.HEADER and one.name == name for one in bench.profile.model_from):
        return bench.plan.allowed
    if name in {"x-forwarded-uri", "x-original-uri", "x-original-url", "x-rewrite-url"}:
        return target
    if "method" in name:
        return bench.plan.method
    return "203.0.113.9" if name == "x-forwarded-for" else FORGED


def _forged_decision(bench: Bench, baseline: Baseline) -> Finding:
    trial = bench.attempt(bench.ask(bench.plan.allowed, headers=((DECISION, FORGED),)))
    if any(FORGED in value for seen in trial.reached for value in seen.values(DECISION)):
        told = "the client's own copy reaches the model, as if a decision stood behind it"
        return _finding("headers", DECISION, Verdict.FAULT, told, trial, _STRIP)
    over_grpc = baseline.question.dialect is Dialect.GRPC
    nothing = OVER_GRPC[EMPTY] if over_grpc else FAILURES["200 with nothing"]
    trial = bench.attempt(bench.ask(bench.plan.allowed, headers=((DECISION, FORGED),)), nothing)
    if trial.reached and not bench.plan.any_200:
        told = "with the client's own copy an answer without a decision counts as an allow"
        return _finding("headers", DECISION, Verdict.FAULT, told, trial, _STRIP)
    return _finding("headers", DECISION, Verdict.DENIED, "the client's own copy changes nothing", trial)


# --- paths ------------------------------------------------------------------------------------------------------------

_OFTEN_OPEN: Final = (
    *("/", "/health", "/healthz", "/health/x", "/healthz/x", "/healthzz", "/livez", "/readyz", "/status", "/metrics"),
    *("/ping", "/favicon.ico", "/robots.txt", "/.well-known/x", "/static/x", "/docs", "/v1/models", "/v1/files"),
)


def _paths(bench: Bench, _: Baseline) -> list[Finding]:
    """Every path asks: while everything is denied nothing gets through."""
    plan = bench.plan
    main = plan.paths[0].replace("{model}", plan.allowed)
    tricks = (f"/health/..{main}", f"/healthz/..;{main}", f"/health%2f..{main}", f"{main}/", main.upper())
    found = []
    remedy = "put the question before every path; where one is meant to be open, let it match exactly, and say --open"
    for path in dict.fromkeys((*plan.paths[1:], *_OFTEN_OPEN, *tricks)):
        if path in plan.open_paths:
            found.append(_finding("paths", path, Verdict.UNTRIED, "--open says that nobody is asked about it"))
            continue
        trials = [
            bench.attempt(replace(bench.ask(plan.denied, path=path), method=method), DENIES)
            for method in dict.fromkeys(("GET", plan.method))
        ]
        findings = [_judged(bench, "paths", path, trial, remedy=remedy) for trial in trials]
        found.append(next((one for one in findings if one.verdict is Verdict.FAULT), findings[-1]))
    return found


_GROUPS: Final[dict[str, Group]] = {
    "names": _names,
    "headers": _headers,
    "paths": _paths,
    "time": _in_time,
    "failures": _failures,
}


# --- the engine in operation ------------------------------------------------------------------------------------------


def engine_is_there(url: str, *, seconds: float) -> Finding:
    """Whether an address is an engine's: asked without a key it refuses in the engine's own words.

    Raises `GatewayUnreachable`.
    """
    place = urlsplit(url)
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = kind(place.hostname or "", place.port, timeout=seconds)
    try:
        connection.request("GET", place.path or "/forward-auth")
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException) as error:
        raise GatewayUnreachable(f"the engine at {url} cannot be reached: {type(error).__name__}") from error
    finally:
        connection.close()
    asks = (response.getheader("www-authenticate") or "").lower() == KEY
    if response.status == http.HTTPStatus.UNAUTHORIZED and asks:
        return _finding("set-up", "the engine in operation", Verdict.OK, f"{url} is an engine's")
    told = f"{url} answered {response.status}, and not as the engine does without a key: what it says would be an allow"
    remedy = "point the gateway at /forward-auth or /ext_authz of the engine, and at nothing else"
    return _finding("set-up", "the engine in operation", Verdict.FAULT, told, remedy=remedy)
