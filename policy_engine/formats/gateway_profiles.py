"""The file of gateways' profiles (`gateways.yaml`): strict YAML to `Profiles`, or every fault with place and remedy.

A profile without a source for the place, or for the purpose, is refused: without a place nothing is allowed, and models
of the classified tier need a purpose. Where the catalogue is known, so is an alias that is a model's own name: whoever
asked for that model would be judged as if for another.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final, TypeVar

from policy_engine.domain.catalogue import Catalogue
from policy_engine.domain.facts import ASSERTABLE
from policy_engine.domain.gateways import (
    ANY_METHOD,
    CALLER_RIGHTS,
    Answers,
    CertificateHeader,
    Gives,
    KnownCaller,
    Mcp,
    Network,
    Origin,
    PlaceSource,
    Profile,
    Profiles,
    Rate,
    Route,
    Source,
    SubjectSource,
    Tool,
    path_fault,
)
from policy_engine.domain.request import Action, SubjectType
from policy_engine.formats.documents import Mapping, Node, Scalar, is_null, jsonable, read_document
from policy_engine.formats.faults import FaultsError, Findings, one_of, quoted
from policy_engine.formats.fields import Fields
from policy_engine.shapes.member_rows import RowField, ValueKind

MAX_BYTES: Final = 1024 * 1024

_PROFILE: Final = (
    "subject_from",
    "model_from",
    "place_from",
    "purpose_from",
    "end_user_from",
    "acting_for_from",
    "aliases",
    "routes",
    "trusted_proxies",
    "callers",
    "certificate_from",
    "rate",
)
_ORIGINS: Final = tuple(Origin)
_HEADER: Final = re.compile(r"[a-z0-9][a-z0-9!#$%&'*+.^_`|~-]*")
_SEGMENT: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_NEEDED: Final = {
    "subject_from": "without a subject nothing is allowed",
    "model_from": "without a model nothing is allowed",
    "place_from": "without a place nothing is allowed",
    "purpose_from": "models of the classified tier need a purpose",
}

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


def read_profiles(data: bytes, source: str, catalogue: Catalogue | None = None) -> Profiles:
    """The profiles in a file, held against the catalogue where it is given. Raises `FaultsError` with every fault."""
    node = read_document(data, source, max_bytes=MAX_BYTES)
    findings = Findings(source=source)
    top = Fields.of(node, "the file of gateways", ("gateways",), findings)
    profiles: dict[str, Profile] = {}
    held = None if top is None else top.node_of("gateways")
    if top is not None and held is None:
        top.fault("gateways", "the file names no gateway", "write gateways: {NAME: {...}}")
    if held is not None and not isinstance(held, Mapping):
        findings.add(held.line, held.column, "`gateways` must be a mapping", "write gateways: {NAME: {...}}")
    fingerprint = "sha256:" + hashlib.sha256(_canonical(node)).hexdigest()
    for key, value in held.entries if isinstance(held, Mapping) else ():
        profile = _profile(key.text, value, findings)
        if catalogue is not None:
            _refuse_names_of_models(key.text, value, catalogue, findings)
        if profile is not None:
            profiles[key.text] = replace(profile, fingerprint=fingerprint)
    _refuse_shared_callers(held, profiles, findings)
    if findings.faults:
        raise FaultsError(findings.faults)
    return Profiles(fingerprint=fingerprint, by_gateway=profiles)


def _canonical(node: Node) -> bytes:
    return json.dumps(jsonable(node), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _profile(name: str, node: Node, findings: Findings) -> Profile | None:
    fields = Fields.of(node, f"the profile of {quoted(name)}", _PROFILE, findings)
    if fields is None:
        return None
    for needed, why in _NEEDED.items():
        if not fields.items(needed):
            fields.fault(needed, f"{quoted(needed)} of {fields.what} names no source: {why}", "name where it is from")
    routes = _each(fields, "routes", _route)
    if not routes:
        fields.fault("routes", f"{fields.what} lists no route: what is not listed is denied", "list each route")
    callers = _each(fields, "callers", _caller)
    proxies: tuple[Network, ...] = _each(fields, "trusted_proxies", network_of)
    header = _word(fields, "certificate_from", CertificateHeader)
    _require_certificates(fields, callers, header, proxies)
    return Profile(
        gateway=name,
        fingerprint="",
        subject_from=_each(fields, "subject_from", _subject_source),
        model_from=_each(fields, "model_from", _plain_source),
        place_from=_each(fields, "place_from", _place_source),
        purpose_from=_each(fields, "purpose_from", _plain_source),
        end_user_from=_each(fields, "end_user_from", _subject_source),
        acting_for_from=_each(fields, "acting_for_from", _plain_source),
        aliases=_aliases(fields),
        routes=routes,
        trusted_proxies=proxies,
        callers=callers,
        certificate_from=header,
        rate=_rate(fields),
    )


def _each(fields: Fields, name: str, read: Callable[[Node, str, Findings], T | None]) -> tuple[T, ...]:
    found: list[T] = []
    for node in fields.items(name) or ():
        one = read(node, f"an entry of {quoted(name)}", fields.findings)
        if one is None:
            continue
        if one in found:
            fields.findings.add(node.line, node.column, f"{quoted(name)} has this entry twice", "remove one of the two")
        found.append(one)
    return tuple(found)


def _name(fields: Fields, name: str, *, required: bool = False) -> str | None:
    """A field that is compared byte for byte."""
    found = fields.value(RowField(name=name, value=ValueKind.NAME, fields=(), required=required))
    return found if isinstance(found, str) else None


def _word(fields: Fields, name: str, words: type[E], *, required: bool = False) -> E | None:
    """A field that is one of a closed list of words."""
    found = fields.value(RowField(name=name, value=ValueKind.TEXT, fields=(), required=required, words=words))
    return found if isinstance(found, words) else None


# --- sources ----------------------------------------------------------------------------------------------------------


def _source(fields: Fields) -> Source | None:
    given = [origin for origin in Origin if fields.node_of(origin) is not None]
    if len(given) != 1:
        fields.fault(
            given[1] if given else "",
            f"{fields.what} must name one place to take the value from",
            f"write one of {', '.join(Origin)}",
        )
        return None
    (origin,) = given
    name = _name(fields, origin, required=True)
    if name is None:
        return None
    if origin is Origin.HEADER and not _HEADER.fullmatch(name):
        fields.fault(origin, f"{quoted(name)} is not a header name in small letters", "write it as x-user-id")
        return None
    if origin is Origin.HEADER and name in _KEPT:
        fields.fault(origin, f"{quoted(name)} carries secrets or how a message is sent", "name a header of its own")
        return None
    if origin is Origin.ADDRESS and name != "client":
        fields.fault(origin, f"there is no address {quoted(name)}", "write address: client")
        return None
    return Source(origin=origin, name=name)


_KEPT: Final = frozenset(
    "authorization cookie proxy-authorization x-policy-engine-key x-api-key host content-length transfer-encoding"
    " connection x-request-id".split()
)
"""Headers that are never a source: secrets would come into a record, and the others are another layer's."""


def _plain_source(node: Node, what: str, findings: Findings) -> Source | None:
    fields = Fields.of(node, what, _ORIGINS, findings)
    return None if fields is None else _source(fields)


def _subject_source(node: Node, what: str, findings: Findings) -> SubjectSource | None:
    fields = Fields.of(node, what, (*_ORIGINS, "type"), findings)
    if fields is None:
        return None
    source, kind = _source(fields), _word(fields, "type", SubjectType, required=True)
    return None if source is None or kind is None else SubjectSource(source=source, type=kind)


def _place_source(node: Node, what: str, findings: Findings) -> PlaceSource | None:
    fields = Fields.of(node, what, (*_ORIGINS, "gives"), findings)
    if fields is None:
        return None
    source, gives = _source(fields), _word(fields, "gives", Gives, required=True)
    if source is None or gives is None:
        return None
    if source.origin is Origin.ADDRESS and gives is not Gives.IP:
        fields.fault("gives", "an address gives `ip` and no country", "write gives: ip, and name a source of a country")
        return None
    return PlaceSource(source=source, gives=gives)


def network_of(node: Node, what: str, findings: Findings) -> Network | None:
    """A network in the notation of CIDR; `None` after a fault was noted."""
    text = node.text if isinstance(node, Scalar) else ""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        message = f"{what} {quoted(text)} is not a network"
        findings.add(node.line, node.column, message, "write one such as 10.0.0.0/8")
        return None


# --- callers ----------------------------------------------------------------------------------------------------------

_CERTIFICATE: Final = re.compile(r"sha256:[0-9a-f]{64}|dns:[a-z0-9.*-]+|[a-z][a-z0-9+.-]*://[!-~]+")


def _caller(node: Node, what: str, findings: Findings) -> KnownCaller | None:
    fields = Fields.of(node, what, ("token", "certificate", "rights", "assertable"), findings)
    if fields is None:
        return None
    rights = _names_of(fields, "rights", CALLER_RIGHTS, "right that a profile may give")
    assertable = _names_of(fields, "assertable", sorted(ASSERTABLE), "property that can be asserted")
    token, certificate = fields.node_of("token"), _name(fields, "certificate")
    if (token is None) is (fields.node_of("certificate") is None):
        fields.fault(
            "certificate",
            f"{what} must say by which token or by which certificate it is known, one of the two",
            "write token: {sub: gateway-eu}, or certificate: spiffe://example.com/gateway",
        )
        return None
    if certificate is not None and not _CERTIFICATE.fullmatch(certificate):
        fields.fault(
            "certificate",
            f"{quoted(certificate)} is not a name of a certificate",
            "write a URI, dns:NAME in small letters, or sha256: with 64 hex digits in small letters",
        )
    claims = () if token is None else _claims(fields, token)
    if fields.node_of("rights") is not None and not rights:
        fields.fault("rights", f"{what} may do nothing", "name a right, or leave `rights` out: it is `decide` then")
    return KnownCaller(
        claims=claims,
        certificate=certificate,
        rights=rights or frozenset({"decide"}),
        assertable=assertable,
    )


def _claims(fields: Fields, node: Node) -> tuple[tuple[str, str], ...]:
    if not isinstance(node, Mapping) or not node.entries:
        fields.fault("token", "`token` must say which claims a token has to carry", "write token: {sub: gateway-eu}")
        return ()
    found = []
    for key, value in node.entries:
        if key.text in _CHECKED:
            message = f"the claim {quoted(key.text)} is checked for every token and tells no caller from another"
            fields.findings.add(key.line, key.column, message, "name `sub`, `client_id` or another")
        claim = fields.name_of("token", value)
        if claim is not None:
            found.append((key.text, claim))
    return tuple(sorted(found))


_CHECKED: Final = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti"})


def _names_of(fields: Fields, name: str, known: Sequence[str], what: str) -> frozenset[str]:
    found = fields.value(RowField(name=name, value=ValueKind.NAME, fields=(), many=True))
    given = found if isinstance(found, tuple) else ()
    for one in given:
        if one not in known:
            fields.fault(name, f"{quoted(one)} is no {what}", one_of(one, tuple(known)))
    return frozenset(given)


def _require_certificates(
    fields: Fields, callers: Sequence[KnownCaller], header: CertificateHeader | None, proxies: Sequence[Network]
) -> None:
    """What says nothing, or is believed of everybody, is refused."""
    named = any(one.certificate is not None for one in callers)
    if named and header is None:
        message = "callers are known by a certificate, and `certificate_from` does not say where it is passed on"
        fields.fault("certificate_from", message, f"write one of {', '.join(CertificateHeader)}")
    if header is not None and not named:
        message = "`certificate_from` says where certificates are, and no caller is known by one"
        fields.fault("certificate_from", message, "name the callers, or take it away")
    if header is not None and not proxies:
        message = "certificates are believed of trusted proxies alone, and `trusted_proxies` names none"
        fields.fault("trusted_proxies", message, "name the addresses of the proxy that checks certificates")


def _rate(fields: Fields) -> Rate | None:
    node = fields.node_of("rate")
    told = None if node is None else Fields.of(node, "`rate`", ("per_second", "burst"), fields.findings)
    if told is None:
        return None
    given = {name: told.count(name) for name in ("per_second", "burst")}
    for name, value in given.items():
        if value == 0 or told.node_of(name) is None:
            told.fault(
                name, f"{quoted(name)} of `rate` must be a whole number from 1", "write {per_second: 100, burst: 200}"
            )
    return Rate(per_second=given["per_second"] or 1, burst=given["burst"] or 1)


def _refuse_shared_callers(node: Node | None, profiles: dict[str, Profile], findings: Findings) -> None:
    """One who is known to two gateways would be neither's."""
    seen: dict[tuple[tuple[tuple[str, str], ...], str | None], str] = {}
    for key, _ in node.entries if isinstance(node, Mapping) else ():
        profile = profiles.get(key.text)
        for one in () if profile is None else profile.callers:
            known = seen.setdefault((one.claims, one.certificate), key.text)
            if known != key.text:
                message = f"{quoted(key.text)} and {quoted(known)} name the same caller"
                findings.add(key.line, key.column, message, "let it be of one gateway")


# --- aliases and routes -----------------------------------------------------------------------------------------------


def _aliases(fields: Fields) -> dict[str, str]:
    node = fields.node_of("aliases")
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        fields.fault("aliases", "`aliases` must be a mapping", "write aliases: {GATEWAYS-NAME: CATALOGUE-ID}")
        return {}
    found: dict[str, str] = {}
    for key, value in node.entries:
        alias, model = fields.name_of("aliases", key), fields.name_of("aliases", value)
        if alias is not None and model is not None:
            found[alias] = model
    return found


def _refuse_names_of_models(gateway: str, node: Node, catalogue: Catalogue, findings: Findings) -> None:
    aliases = node.get("aliases") if isinstance(node, Mapping) else None
    for key, value in aliases.entries if isinstance(aliases, Mapping) else ():
        if isinstance(value, Scalar) and catalogue.is_another(key.text, value.text, gateway):
            message = (
                f"the alias {quoted(key.text)} is the name of a model in the catalogue: whoever asks for that model"
                f" would be judged as if for {quoted(value.text)}"
            )
            findings.add(key.line, key.column, message, "give it another name at the gateway, or take the alias away")


def _route(node: Node, what: str, findings: Findings) -> Route | None:
    fields = Fields.of(node, what, ("method", "path", "action", "answers", "model", "mcp"), findings)
    if fields is None:
        return None
    path = _name(fields, "path", required=True)
    mcp = _mcp(fields)
    action = _word(fields, "action", Action, required=mcp is None)
    answers = _word(fields, "answers", Answers)
    model = _name(fields, "model")
    method = _name(fields, "method") or ANY_METHOD
    if method != ANY_METHOD and not re.fullmatch(r"[A-Z]{1,20}", method):
        fields.fault(
            "method", f"{quoted(method)} is not a method in capital letters", "write POST, or leave it out for any"
        )
    if action is Action.LICENCE_DETERMINATION:
        fields.fault("action", "`licence_determination` gives no access", "ask POST /decide for it")
    if mcp is not None and (model is not None or action is not None):
        fields.fault("mcp", "`mcp` says model and action for each tool", "leave `model` and `action` of the route out")
    if path is None:
        return None
    fault = path_fault(_SEGMENT.sub(r"\1", path))
    if fault is not None:
        fields.fault("path", f"{quoted(path)} {fault}", "write it as /v1/models/{model}/invoke")
    return Route(
        method=method,
        path=path,
        action=action or Action.INFER,
        answers=answers or (Answers.OPENAI if mcp is None else Answers.MCP),
        model=model,
        mcp=mcp,
    )


def _mcp(fields: Fields) -> Mcp | None:
    node = fields.node_of("mcp")
    if node is None:
        return None
    tables = Fields.of(node, "`mcp`", ("methods", "tools"), fields.findings)
    if tables is None:
        return None
    return Mcp(methods=_tools(tables, "methods"), tools=_tools(tables, "tools"))


def _tools(fields: Fields, name: str) -> dict[str, Tool]:
    node = fields.node_of(name)
    if node is None or is_null(node):
        return {}
    if not isinstance(node, Mapping):
        fields.fault(name, f"{quoted(name)} must be a mapping", "write {NAME: {model: ID, action: infer}}")
        return {}
    found: dict[str, Tool] = {}
    for key, value in node.entries:
        one = Fields.of(value, f"{quoted(key.text)} of {quoted(name)}", ("model", "action"), fields.findings)
        if one is None:
            continue
        model, action = _name(one, "model", required=True), _word(one, "action", Action, required=True)
        if model is not None and action is not None:
            found[key.text] = Tool(model=model, action=action)
    return found
