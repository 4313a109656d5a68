"""What a gateway says in its own words, and the questions that it comes to: the gateway's profile.

A gateway knows a key and the name of a model, and passes on what its client sent. A profile says, for one gateway, from
where subject, model, place, purpose and end user are taken. Whatever it does not name is not read. A doubt is never
resolved in somebody's favour: two values of one source, sources that differ, a path that two programs may read
differently, a route that is not listed: each is a `Doubt`, which every door answers by a deny.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qsl

from policy_engine.domain.request import Action, Place, Request, Subject, SubjectType

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MCP_VERSION: Final = "2026-07-28"
"""The first version of the Model Context Protocol whose servers refuse a request whose head and body differ; before it
a head says nothing about the tool that is called."""

MCP_HEADERS: Final = ("mcp-protocol-version", "mcp-method", "mcp-name")


class Doubt(Exception):
    """Why what a gateway sent is no question that could be judged; its text names no value of the client's."""


class Origin(StrEnum):
    """Where a value is taken from.

    `header`: one line of the head that the gateway sends. `body`: a member of the JSON body, where the gateway passes
    it on. `path`: the segment of that name in the route. `attribute`: what the gateway itself found out about the key
    of its client. `fixed`: the value that the profile states. `address`: the client's address, from the chain that
    trusted proxies wrote.
    """

    HEADER = "header"
    BODY = "body"
    PATH = "path"
    ATTRIBUTE = "attribute"
    FIXED = "fixed"
    ADDRESS = "address"


class Gives(StrEnum):
    """Which evidence of a place a source gives."""

    COUNTRY = "country"
    IP_COUNTRY = "ip_country"
    SUBDIVISION = "subdivision"
    POSTCODE = "postcode"
    IP = "ip"


class Answers(StrEnum):
    """In whose words a client of the route is refused."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    MCP = "mcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One place from which a value is taken; `name` is that of the header, member or attribute, or the fixed value."""

    origin: Origin
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectSource:
    """A source of a subject's id, and the kind of record that the subject is on file under."""

    source: Source
    type: SubjectType


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceSource:
    """A source of one kind of evidence of a place."""

    source: Source
    gives: Gives


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """What a method or a tool of the Model Context Protocol comes to."""

    model: str
    action: Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Mcp:
    """The calls of an MCP route that are known: by method, and for `tools/call` by tool."""

    methods: Mapping[str, Tool]
    tools: Mapping[str, Tool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A path of the gateway and what is done on it. A segment in braces stands for any one segment.

    `model` is the one that the route always means; `mcp` says that the model and the action come from its tables.
    """

    method: str
    path: str
    action: Action
    answers: Answers = Answers.OPENAI
    model: str | None = None
    mcp: Mcp | None = None


CALLER_RIGHTS: Final = ("decide", "decisions:explain", "decisions:read", "simulate", "policy:read", "members:read")
"""What a profile may let callers do that have no key. Whatever changes something needs a key, which can be revoked."""


class CertificateHeader(StrEnum):
    """In which header a proxy passes on the certificate of its peer (RFC 9440; Envoy)."""

    CLIENT_CERT = "client-cert"
    FORWARDED = "x-forwarded-client-cert"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCaller:
    """Who asks for a gateway without a key, and what for.

    `claims`: texts that a token of the issuer has to carry, all of them. `certificate`: a name that a certificate has
    to carry: a URI, `dns:NAME`, or `sha256:HEX` of the certificate itself. One of the two is given.
    """

    claims: tuple[tuple[str, str], ...] = ()
    certificate: str | None = None
    rights: frozenset[str] = frozenset({"decide"})
    assertable: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many requests a second for each caller, and so many at once after a pause."""

    per_second: int
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How one gateway's requests are read. `fingerprint` is that of the file that the profile is from.

    `callers` are those that need no key; `certificate_from` is where a trusted proxy passes on their certificates.
    `rate` is for each key and each caller of the gateway, in the place of the service's own.
    """

    gateway: str
    fingerprint: str
    subject_from: tuple[SubjectSource, ...]
    model_from: tuple[Source, ...]
    place_from: tuple[PlaceSource, ...]
    purpose_from: tuple[Source, ...]
    end_user_from: tuple[SubjectSource, ...] = ()
    acting_for_from: tuple[Source, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    trusted_proxies: tuple[Network, ...] = ()
    callers: tuple[KnownCaller, ...] = ()
    certificate_from: CertificateHeader | None = None
    rate: Rate | None = None

    @property
    def reads_bodies(self) -> bool:
        """Whether the bodies of requests are read; else they are not looked at, and best never sent."""
        subjects = (one.source for one in (*self.subject_from, *self.end_user_from))
        plain = (*self.model_from, *self.purpose_from, *self.acting_for_from, *(one.source for one in self.place_from))
        return any(source.origin is Origin.BODY for source in (*subjects, *plain))


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiles:
    """The profiles of all gateways, by the name that their keys carry."""

    fingerprint: str = ""
    by_gateway: Mapping[str, Profile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a gateway passes on of its client's request.

    `target` is path and query as the client sent them. `headers` are all lines of the head with names in lower case.
    `body` are the members of the JSON object that was sent; `None` where none was passed on. `models` are the names of
    models that the gateway itself says it will use, in place of the profile's sources. `peer` is the address from which
    the gateway's own request came.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, object] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    peer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The questions that a message comes to: one for each model, all of which must be allowed; `called` are the names
    by which the gateway calls each of the models, in the same order."""

    requests: tuple[Request, ...]
    called: tuple[tuple[str, ...], ...]
    route: Route

    @property
    def named(self) -> tuple[str, ...]:
        """Each of the models as the gateway called it first."""
        return tuple(names[0] for names in self.called)


def asked(message: Message, profile: Profile) -> Asked:
    """The questions of a message under the gateway's profile. Raises `Doubt`."""
    _require_trusted(message, profile)
    route, segments = route_of(message, profile)
    read = _Reader(message, profile, segments)
    subject = read.subject(profile.subject_from, "subject")
    if subject is None:
        raise Doubt("no subject: none of the profile's sources names one")
    tool = None if route.mcp is None else _tool(route.mcp, read)
    models = {tool.model: (tool.model,)} if tool is not None else _models(message, profile, route, read)
    request = Request(
        subject=subject,
        model=next(iter(models)),
        action=route.action if tool is None else tool.action,
        acting_for=read.agreed(profile.acting_for_from, "acting_for"),
        purpose=read.agreed(profile.purpose_from, "purpose"),
        place=read.place(),
        end_user=read.subject(profile.end_user_from, "end user"),
    )
    requests = tuple(replace(request, model=model) for model in models)
    return Asked(requests=requests, called=tuple(models.values()), route=route)


def stated(message: Message, profile: Profile) -> tuple[Place, str | None]:
    """The place and the purpose that the profile's headers and fixed values state, for a message that itself says who
    wants what. Raises `Doubt`."""
    _require_trusted(message, profile)
    apart = tuple(one for one in profile.place_from if one.source.origin in _APART)
    purposes = tuple(one for one in profile.purpose_from if one.origin in _APART)
    read = _Reader(message, replace(profile, place_from=apart), {})
    return read.place(), read.agreed(purposes, "purpose")


_APART: Final = frozenset({Origin.HEADER, Origin.FIXED, Origin.ADDRESS})


def agreed_place(one: Place, other: Place) -> Place:
    """The evidence of two statements of where a requester is. Raises `Doubt` where they differ."""
    found = {
        name: _one((getattr(one, name), getattr(other, name)), f"place ({name})")
        for name in ("country", "ip_country", "subdivision", "postcode", "ip")
    }
    return Place(**found)


def agreed_text(one: str | None, other: str | None, what: str) -> str | None:
    """The text that one or both of two statements give. Raises `Doubt` where they differ."""
    return _one((one, other), what)


# --- what a proxy forwards --------------------------------------------------------------------------------------------

_URIS: Final = ("x-forwarded-uri", "x-original-uri")
_METHODS: Final = ("x-forwarded-method", "x-original-method")


def forwarded(headers: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """Method and target of the client's request, as a proxy that asks by forward-auth writes them into its head.

    Raises `Doubt` where one of them is missing, and where two lines differ.
    """
    lines = tuple(headers)
    target, method = _forwarded(lines, _URIS), _forwarded(lines, _METHODS)
    if target is None:
        raise Doubt("the proxy does not say what its client asked for: X-Forwarded-Uri is missing")
    if method is None:
        raise Doubt("the proxy does not say how its client asked: X-Forwarded-Method is missing")
    return method, target


def _forwarded(headers: Iterable[tuple[str, str]], names: tuple[str, ...]) -> str | None:
    found = {value for name, value in headers if name in names}
    if len(found) > 1:
        raise Doubt("the proxy's headers name two targets or two methods")
    return found.pop() if found else None


# --- the route --------------------------------------------------------------------------------------------------------


def route_of(message: Message, profile: Profile) -> tuple[Route, Mapping[str, str]]:
    """The route of a message, with the named segments of its path. Raises `Doubt` for a path that two programs may read
    differently, and for a route that is not listed."""
    path = message.target.partition("?")[0]
    fault = path_fault(path)
    if fault is not None:
        raise Doubt(f"the path {fault}")
    given = path.split("/")
    for route in profile.routes:
        if route.method not in (message.method, ANY_METHOD):
            continue
        segments = _matched(route.path.split("/"), given)
        if segments is not None:
            return route, segments
    raise Doubt("the route is not listed in the gateway's profile")


ANY_METHOD: Final = "*"

_PLAIN: Final = re.compile(r"/[A-Za-z0-9/._~!$&'()*+,=:@-]*")


def path_fault(path: str) -> str | None:
    """Why a path is not the one way to write it, as the end of a sentence; `None` if it is (RFC 3986 section 6.2)."""
    if not _PLAIN.fullmatch(path):
        return "has an escape, a parameter or a character that programs read differently"
    segments = path.split("/")[1:]
    if "" in segments[:-1]:
        return "has an empty segment"
    if any(segment in {".", ".."} for segment in segments):
        return "has a segment of dots"
    return None


def _matched(wanted: list[str], given: list[str]) -> dict[str, str] | None:
    if len(wanted) != len(given):
        return None
    found: dict[str, str] = {}
    for want, got in zip(wanted, given, strict=True):
        if want.startswith("{") and want.endswith("}"):
            if not got:
                return None
            found[want[1:-1]] = got
        elif want != got:
            return None
    return found


# --- values -----------------------------------------------------------------------------------------------------------


class _Reader:
    """Reads the sources of a profile out of one message."""

    def __init__(self, message: Message, profile: Profile, segments: Mapping[str, str]) -> None:
        self._message = message
        self._profile = profile
        self._segments = segments

    def header(self, name: str) -> str | None:
        found = [value for held, value in self._message.headers if held == name]
        if len(found) > 1:
            raise Doubt(f"the header `{name}` stands in more than one line")
        return found[0] if found else None

    def value(self, source: Source) -> str | None:
        """What a source gives; `None` where it gives nothing, which an empty text is."""
        match source.origin:
            case Origin.HEADER:
                return self.header(source.name) or None
            case Origin.ATTRIBUTE:
                return self._message.attributes.get(source.name) or None
            case Origin.PATH:
                return self._segments.get(source.name)
            case Origin.FIXED:
                return source.name
            case Origin.ADDRESS:
                return self._client_address()
            case Origin.BODY:
                return self._member(source.name)

    def agreed(self, sources: Iterable[Source], what: str) -> str | None:
        """The value of all sources that give one. Raises `Doubt` where they differ."""
        return _one((self.value(source) for source in sources), what)

    def subject(self, sources: Iterable[SubjectSource], what: str) -> Subject | None:
        """The subject of all sources that give one."""
        found = {(one.type, value) for one in sources if (value := self.value(one.source)) is not None}
        if len(found) > 1:
            raise Doubt(f"the sources of the {what} differ")
        return Subject(type=(only := found.pop())[0], id=only[1]) if found else None

    def place(self) -> Place:
        """The evidence of all sources, each kind agreed upon."""
        sources = self._profile.place_from
        told = {
            gives: _one((self.value(one.source) for one in sources if one.gives is gives), f"place ({gives})")
            for gives in Gives
        }
        return Place(
            country=told[Gives.COUNTRY],
            ip_country=told[Gives.IP_COUNTRY],
            subdivision=told[Gives.SUBDIVISION],
            postcode=told[Gives.POSTCODE],
            ip=told[Gives.IP],
        )

    def _member(self, name: str) -> str | None:
        if self._message.body is None:
            raise Doubt("the profile reads the body, and no whole JSON object was passed on")
        value = self._message.body.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise Doubt(f"the member `{name}` of the body is not a text")
        return value

    def _client_address(self) -> str | None:
        """The last address in the chain that no trusted proxy is."""
        if not self._profile.trusted_proxies:
            return self._message.peer
        chain = [one.strip() for one in (self.header("x-forwarded-for") or "").split(",") if one.strip()]
        for one in reversed(chain):
            if not within(one, self._profile.trusted_proxies):
                return one
        return None


def _one(values: Iterable[str | None], what: str) -> str | None:
    found = {value for value in values if value is not None}
    if len(found) > 1:
        raise Doubt(f"the sources of the {what} differ")
    return found.pop() if found else None


def within(address: str, networks: Iterable[Network]) -> bool:
    """Whether an address is in one of the networks. Raises `Doubt` for what is no address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise Doubt("the chain of addresses has one that is not an address") from None
    return any(parsed in network for network in networks)


def _require_trusted(message: Message, profile: Profile) -> None:
    if not profile.trusted_proxies:
        return
    if message.peer is None or not within(message.peer, profile.trusted_proxies):
        raise Doubt("it comes from an address that is not one of the profile's trusted proxies")


# --- models -----------------------------------------------------------------------------------------------------------

MOST_MODELS: Final = 1_000


def _models(message: Message, profile: Profile, route: Route, read: _Reader) -> Mapping[str, tuple[str, ...]]:
    """Every model that the message could reach, under the names of the catalogue, with what the gateway calls it."""
    named: list[str] = []
    if message.models:
        named += message.models
    else:
        told = set()
        for source in profile.model_from:
            if source.origin is Origin.BODY and isinstance(held := (message.body or {}).get(source.name), list):
                told.add(tuple(_listed(held, "models")))
            elif (value := read.value(source)) is not None:
                told.add(tuple(one.strip() for one in value.split(",")))
        if route.model is not None:
            told.add((route.model,))
        if len(told) > 1:
            raise Doubt("the sources of the model differ")
        named += told.pop() if told else ()
    _require_query(message, named)
    if message.body is not None:
        named += _listed(message.body.get("models"), "models") + _listed(message.body.get("fallbacks"), "fallbacks")
    if not named or "" in named:
        raise Doubt("no model: none of the profile's sources names one")
    if len(named) > MOST_MODELS:
        raise Doubt(f"more than {MOST_MODELS} models are named")
    return _resolved(named, profile)


def _resolved(named: Iterable[str], profile: Profile) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name in dict.fromkeys(named):
        model = profile.aliases.get(name, name)
        found[model] = (*found.get(model, ()), name)
    return found


def _listed(value: object, what: str) -> list[str]:
    """The models of a list that a client may send: each a name, or an object with a name."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Doubt(f"`{what}` in the body is not a list")
    found = []
    for one in value:
        name = one.get("model") if isinstance(one, dict) else one
        if not isinstance(name, str):
            raise Doubt(f"`{what}` in the body has an entry that names no model")
        found.append(name)
    return found


def _require_query(message: Message, named: list[str]) -> None:
    """Some gateways let `?model=` win over the body."""
    query = message.target.partition("?")[2]
    if not query:
        return
    pairs = parse_qsl(query, keep_blank_values=True)
    told = [value for name, value in pairs if name.strip().lower() == "model"]
    if any(value not in named for value in told) or len(told) > 1:
        raise Doubt("the query names another model than the profile's sources")


def _tool(mcp: Mcp, read: _Reader) -> Tool:
    """The model and the action of an MCP call. Only from a version on whose servers hold head and body together."""
    version, method, name = map(read.header, MCP_HEADERS)
    if version is None or not _VERSION.fullmatch(version) or version < MCP_VERSION:
        raise Doubt(f"the head names no MCP protocol version from {MCP_VERSION} on")
    if method is None:
        raise Doubt("the head names no `Mcp-Method`")
    table, key = (mcp.tools, name) if method == "tools/call" else (mcp.methods, method)
    tool = table.get(key or "")
    if tool is None:
        raise Doubt("the MCP method or tool is not in the profile's table")
    return tool


_VERSION: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
