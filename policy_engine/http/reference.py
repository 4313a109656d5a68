"""What every route takes and answers, as `/openapi.json` says it (OpenAPI 3.1).

A route names its documents as they are declared in `policy_engine.shapes`, its problems by the errors of the one table,
and its right by the dependency that asks for the key; from these the document is made once, when the service starts. It
says nothing of what is on file or in the rule book.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import groupby
from pathlib import Path
from typing import Any, Final, TypedDict

import msgspec
from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.routing import BaseRoute

from policy_engine import ENGINE_VERSION, shapes
from policy_engine.domain.ports import MembersUnavailable
from policy_engine.formats.request_document import MalformedRequest
from policy_engine.http.errors import INTERNAL, MEDIA_TYPE, BodyTooLarge, Problem, problem_of
from policy_engine.service.gate.issuer_keys import IssuerUnavailable
from policy_engine.service.gate.keyring import Forbidden, InvalidCertificate, InvalidToken, Unauthenticated
from policy_engine.service.gate.pools import Busy
from policy_engine.service.gate.rates import TooMany
from policy_engine.shapes import member_rows
from policy_engine.shapes.document import Body, Document
from policy_engine.shapes.problem import ProblemDocument

Schema = dict[str, Any]
"""A piece of the document: JSON, as OpenAPI lays it out."""

_REF: Final = "#/components/schemas/{name}"
_KEYED: Final = (
    Unauthenticated,
    InvalidToken,
    InvalidCertificate,
    Forbidden,
    TooMany,
    IssuerUnavailable,
    Busy,
    MembersUnavailable,
)
"""What may go wrong wherever a key is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryParameter:
    """A parameter of the query; it may be left out and is given once."""

    name: str
    meaning: str
    schema: Mapping[str, object] = field(default_factory=lambda: {"type": "string"})
    example: str | None = None
    required: bool = False

    def document(self) -> Schema:
        told: Schema = {"name": self.name, "in": "query", "description": self.meaning, "schema": dict(self.schema)}
        if self.required:
            told["required"] = True
        if self.example is not None:
            told["example"] = self.example
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """An answer that is no JSON document, or not always: the kinds of content that it may have, and the headers that
    say more. `document` is what it is as JSON, `event` what an event says of a stream of events."""

    kinds: tuple[str, ...]
    meaning: str
    headers: Mapping[str, str] = field(default_factory=dict)
    document: type[Document] | None = None
    event: type[Document] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A request that the suite sends, and the status that it is answered with on the demonstration roster."""

    name: str
    meaning: str
    body: object
    status: int = HTTPStatus.OK


Answer = type[Document] | tuple[type[Document], ...] | Media
"""A document, one of several by what the caller may see, or something else."""


class Described(TypedDict):
    """The arguments of the framework's decorators that describe a route."""

    response_class: type[Response]
    status_code: int
    response_description: str
    openapi_extra: Schema


def audience(tag: str) -> APIRouter:
    """The routes of one audience, each known by the name of its function."""
    return APIRouter(tags=[tag], generate_unique_id_function=_by_name)


def _by_name(route: APIRoute) -> str:
    return route.name


def described(
    answers: Mapping[int, Answer],
    *,
    body: type[Body] | None = None,
    parameters: Iterable[QueryParameter] = (),
    problems: Iterable[type[Exception] | Problem] = (),
    examples: Iterable[Example] = (),
    keyed: bool = True,
    right: str | None = None,
    by_status: bool = False,
) -> Described:
    """What a route takes and answers, for its decorator.

    `right` is for a route that asks for the key itself; of any other its dependency says which right it needs.
    `by_status`: a route for gateways that read a status, which answers errors in their clients' words.
    """
    own = () if by_status else (*(_KEYED if keyed else ()), INTERNAL)
    asked = [MalformedRequest, *own, *problems]
    extra: Schema = {}
    if body is not None:
        asked.append(BodyTooLarge)
        told: Schema = {"schema": _ref(body)}
        given = {one.name: {"summary": one.meaning, "value": one.body} for one in examples}
        if given:
            told["examples"] = given
        needed = any(name.required for name in msgspec.structs.fields(body))
        extra["requestBody"] = {"required": needed, "content": {"application/json": told}}
    extra["responses"] = {str(int(status)): _answered(answer) for status, answer in answers.items()}
    for one in examples:
        extra["responses"][str(int(one.status))].setdefault("x-examples", []).append(one.name)
    extra["responses"] |= _refused(asked)
    extra["parameters"] = [one.document() for one in parameters]
    if right is not None:
        extra["security"] = [{GATEWAY_SCHEME if by_status else SCHEME: [right]}]
    status = int(next(iter(answers)))
    return Described(
        response_class=Response,
        status_code=status,
        response_description=extra["responses"][str(status)]["description"],
        openapi_extra=extra,
    )


def parameters_of(route: APIRoute) -> tuple[str, ...]:
    """The names of what may stand in the query."""
    return tuple(one["name"] for one in (route.openapi_extra or {}).get("parameters", ()))


SCHEME: Final = "key"
"""The name of the way to say who asks."""

GATEWAY_SCHEME: Final = "gateway-key"
"""The name of the way in which a gateway does where `Authorization` is its client's."""


def _ref(shape: type[msgspec.Struct]) -> Schema:
    return {"$ref": _REF.format(name=shape.__name__)}


def _answered(answer: Answer) -> Schema:
    if isinstance(answer, Media):
        said: Schema = {}
        if answer.event is not None:
            said = {"schema": {"type": "string", "contentSchema": _ref(answer.event)}}
        told: Schema = {"description": answer.meaning, "content": dict.fromkeys(answer.kinds, said)}
        if answer.document is not None:
            told["content"]["application/json"] = {"schema": _ref(answer.document)}
        if answer.headers:
            told["headers"] = {
                name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in answer.headers.items()
            }
        return told
    several = answer if isinstance(answer, tuple) else (answer,)
    schema = _ref(several[0]) if len(several) == 1 else {"anyOf": [_ref(one) for one in several]}
    meaning = " Or: ".join(_in_one_line(one) for one in several)
    return {"description": meaning, "content": {"application/json": {"schema": schema}}}


def _in_one_line(shape: type[msgspec.Struct]) -> str:
    return " ".join((shape.__doc__ or shape.__name__).split())


def _refused(problems: Iterable[type[Exception] | Problem]) -> Schema:
    """The problems by their status, each with an example."""
    found = {one.name: one for one in (p if isinstance(p, Problem) else problem_of(p) for p in problems)}
    told: Schema = {}
    for status, group in groupby(
        sorted(found.values(), key=lambda one: (one.status, one.name)), lambda one: one.status
    ):
        kinds = tuple(group)
        headers = {name: value for one in kinds for name, value in (one.headers or {}).items()}
        told[str(int(status))] = {
            "description": "; ".join(one.title for one in kinds),
            "content": {
                MEDIA_TYPE: {
                    "schema": {
                        "allOf": [
                            _ref(ProblemDocument),
                            {"properties": {"type": {"enum": [one.type for one in kinds]}}},
                        ]
                    },
                    "examples": {
                        one.name: {"value": {"type": one.type, "title": one.title, "status": int(status)}}
                        for one in kinds
                    },
                }
            },
        }
        if headers:
            told[str(int(status))]["headers"] = {
                name: {"schema": {"type": "string"}, "example": value} for name, value in headers.items()
            }
    return told


DESCRIPTION: Final = """\
Decides who may use which AI model under export control, sanctions, vendor and consortium rules, and says why.

A gateway asks `POST /decide` for every request to a model. An answer is allow or deny, and its record is on disk before
the answer leaves; a denial is an answer (200), and an error is never an allow. Whatever is not known is a deny that
says what is missing.

Every route but those that say whether the service is there, and this reference, needs a key
(`Authorization: Bearer pe_...`) that carries the right which stands with the route. A document that is sent is read
strictly: members that are not declared, duplicate names and anything that is not JSON are refused with the place of
each fault. Errors are problem documents (RFC 9457). `X-Request-ID` comes back as it was sent.

Instants are RFC 3339 with a zone. Absent or `null` is unknown, which is never the same as no; `[]` is "known: none".
"""

TAGS: Final = {
    "gateway": "For gateways: may this requester do this, now?",
    "auditor": "For auditors: decisions as they were recorded, searched, exported and made again.",
    "log": "The sealed log: checkpoints, proofs and tiles (C2SP tlog-tiles), legal holds, years that are retired.",
    "policy": "For policy administration: rule books and their approval.",
    "freezes": "The emergency stop: one person freezes, two lift.",
    "reviews": "Held requests, and their release by two persons.",
    "simulation": "What would be answered; nothing is recorded.",
    "members": "Who is on file: changes are shown first, and what may widen waits for a second person.",
    "operations": "Whether the service is there, and what it is.",
}


def reference(routes: Sequence[BaseRoute]) -> Schema:
    """The document of these routes."""
    told: Schema = get_openapi(
        title="policy engine",
        version=ENGINE_VERSION,
        openapi_version="3.1.0",
        description=DESCRIPTION,
        routes=routes,
        tags=[{"name": name, "description": meaning} for name, meaning in TAGS.items()],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    _show_examples(told)
    components = told.setdefault("components", {})
    components["schemas"] = _schemas()
    components["securitySchemes"][GATEWAY_SCHEME] = {
        "type": "apiKey",
        "in": "header",
        "name": "X-Policy-Engine-Key",
        "description": "The gateway's key, at the doors at which `Authorization` is its client's.",
    }
    shared: Schema = {}
    for operation in _operations(told):
        responses = operation["responses"]
        # The framework's own, for parameters that no route leaves to it.
        responses.pop("422", None)
        for status, response in responses.items():
            if MEDIA_TYPE in response["content"]:
                kinds = response["content"][MEDIA_TYPE]["examples"]
                name = f"problem-{status}-{'-or-'.join(kinds)}"
                shared[name] = response
                responses[status] = {"$ref": f"#/components/responses/{name}"}
        operation["responses"] = dict(sorted(responses.items()))
    components["responses"] = dict(sorted(shared.items()))
    return told


WALKED: Final = "one walk through the service"
"""The name of the example of each route that was made by asking one after the other, and is not asked by itself."""


def _show_examples(told: Schema) -> None:
    """Put beside each route what was sent and what was answered once."""
    examples = msgspec.json.decode(Path(__file__).with_name("examples.json").read_bytes())
    meaning = "As it was sent and answered once; long texts and lists are shortened."
    for path, operations in told["paths"].items():
        for method, operation in operations.items():
            one = examples.get(f"{method.upper()} {path}")
            if one is None:
                continue
            answered = operation["responses"][one["status"]]["content"][one["kind"]]
            answered["examples"] = {WALKED: {"summary": meaning, "value": one["answer"]}}
            if "body" in one:
                sent = operation["requestBody"]["content"]["application/json"]
                sent.setdefault("examples", {})[WALKED] = {"summary": meaning, "value": one["body"]}


def _operations(told: Schema) -> Iterator[Schema]:
    for path in told["paths"].values():
        yield from path.values()


def _schemas() -> Schema:
    """Every declared document, by its name."""
    below = (one for base in (Body, Document) for one in _below(base))
    declared = [one for one in below if one.__module__.startswith(shapes.__name__) and one.__struct_fields__]
    _, found = msgspec.json.schema_components(declared, schema_hook=_anything, ref_template=_REF)
    for shape in found.values():
        shape["description"] = " ".join(shape.get("description", "").split())
    found["MembershipDocument"] = member_rows.document_schema()
    return dict(sorted(found.items()))


def _below(shape: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for one in shape.__subclasses__():
        yield one
        yield from _below(one)


def _anything(kind: type) -> Schema:
    if kind is object:
        return {"description": "Any JSON value."}
    raise NotImplementedError(f"{kind} has no schema")
