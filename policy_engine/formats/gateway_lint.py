"""The models that a gateway's own configuration names, and where: of LiteLLM and of Envoy.

A model that no entry of the catalogue stands for is denied to everybody: what was forgotten is found here instead of by
the first client. A configuration in which the engine would not be asked, or an error would be an allow, is found too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from policy_engine.domain.catalogue import Catalogue
from policy_engine.domain.gateways import Doubt, Message, Origin, Profile, route_of
from policy_engine.formats.documents import Mapping, Node, Scalar, Sequence, read_document
from policy_engine.formats.faults import Fault, FaultsError, Findings, quoted

MAX_BYTES: Final = 4 * 1024 * 1024

PLUGIN: Final = "policy_engine.gateways.litellm.instance"
"""What stands under `callbacks` of LiteLLM's configuration."""


class Program(StrEnum):
    """Whose configuration it is."""

    LITELLM = "litellm"
    ENVOY = "envoy"


class What(StrEnum):
    """As what a model is named."""

    PUBLIC_NAME = "public name"
    ALIAS = "alias"
    FALLBACK = "fallback"
    DEPLOYMENT = "deployment"
    HEADER = "header"
    PATH = "path"
    ATTRIBUTE = "attribute"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedModel:
    """A model that a configuration names. `model` is the id of its entry in the catalogue; `None` for one without.

    `pattern` is for a name with `*`: which models come by it is known when they are called.
    """

    name: str
    what: What
    line: int
    column: int
    model: str | None
    pattern: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lint:
    """What a configuration names, in its order, and what in it would let requests through unjudged."""

    program: Program
    named: tuple[NamedModel, ...]
    traps: tuple[Fault, ...]

    @property
    def missing(self) -> tuple[NamedModel, ...]:
        """Those without an entry."""
        return tuple(one for one in self.named if one.model is None and not one.pattern)


_Found = tuple[What, str, Node]


def lint(data: bytes, source: str, profile: Profile, catalogue: Catalogue) -> Lint:
    """What a configuration comes to under the profile of its gateway. Raises `FaultsError` for one of another program,
    or that cannot be read."""
    node = read_document(data, source, max_bytes=MAX_BYTES)
    findings = Findings(source=source)
    program, found = _program(node, profile, findings)
    if program is None:
        remedy = "name the file of LiteLLM (with `model_list`) or of Envoy (with `static_resources`)"
        findings.add(1, 1, "this is not a configuration of LiteLLM or Envoy", remedy)
        raise FaultsError(findings.faults)
    return Lint(
        program=program,
        named=tuple(_named(one, profile, catalogue) for one in found),
        traps=tuple(findings.faults),
    )


def _program(node: Node, profile: Profile, findings: Findings) -> tuple[Program | None, list[_Found]]:
    if isinstance(node, Mapping) and node.get("model_list") is not None:
        _plugin_traps(node, findings)
        return Program.LITELLM, list(_in_litellm(node))
    if isinstance(node, Mapping) and any(node.get(name) is not None for name in _ENVOY):
        _envoy_traps(node, findings)
        return Program.ENVOY, list(_in_envoy(node, profile))
    return None, []


def _named(found: _Found, profile: Profile, catalogue: Catalogue) -> NamedModel:
    what, name, node = found
    entry = catalogue.find(profile.aliases.get(name, name), profile.gateway)
    return NamedModel(
        name=name,
        what=what,
        line=node.line,
        column=node.column,
        model=None if entry is None else entry.id,
        pattern="*" in name,
    )


def _at(node: Node | None, *path: str) -> Node | None:
    for name in path:
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def _items(node: Node | None) -> tuple[Node, ...]:
    return node.items if isinstance(node, Sequence) else ()


def _text(node: Node | None) -> str | None:
    return node.text if isinstance(node, Scalar) and node.value is not None else None


# --- LiteLLM ----------------------------------------------------------------------------------------------------------

_SETTINGS: Final = ("litellm_settings", "router_settings")
_FALLBACKS: Final = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "default_fallbacks")
_NEVER_CALLED: Final = ("success_callback", "failure_callback")


def _in_litellm(top: Mapping) -> Iterator[_Found]:
    for entry in _items(top.get("model_list")):
        for what, path in ((What.PUBLIC_NAME, ("model_name",)), (What.DEPLOYMENT, ("litellm_params", "model"))):
            node = _at(entry, *path)
            if node is not None and (name := _text(node)) is not None:
                yield what, name, node
    for settings in _SETTINGS:
        yield from _aliases(_at(top, settings, "model_group_alias"))
        yield from _aliases(_at(top, settings, "model_alias_map"))
        for member in _FALLBACKS:
            yield from _fallbacks(_at(top, settings, member))


def _aliases(node: Node | None) -> Iterator[_Found]:
    for key, value in node.entries if isinstance(node, Mapping) else ():
        yield What.ALIAS, key.text, key
        target = _at(value, "model") if isinstance(value, Mapping) else value
        if target is not None and (name := _text(target)) is not None:
            yield What.PUBLIC_NAME, name, target


def _fallbacks(node: Node | None) -> Iterator[_Found]:
    for one in _items(node):
        if isinstance(one, Mapping):
            for _, names in one.entries:
                yield from _fallbacks(names)
        elif (name := _text(one)) is not None:
            yield What.FALLBACK, name, one


def _plugin_traps(top: Mapping, findings: Findings) -> None:
    settings = top.get("litellm_settings")
    for member in _NEVER_CALLED:
        for one in _items(_at(settings, member)):
            if _text(one) == PLUGIN:
                message = f"the plugin stands under {quoted(member)}, where LiteLLM calls it after a request"
                findings.add(one.line, one.column, message, f"write callbacks: [{PLUGIN}] under `litellm_settings`")
    if not any(_text(one) == PLUGIN for one in _items(_at(settings, "callbacks"))):
        place = settings or top
        message = "LiteLLM would not ask the engine: the plugin is not under `callbacks` of `litellm_settings`"
        findings.add(place.line, place.column, message, f"write callbacks: [{PLUGIN}] there")


# --- Envoy ------------------------------------------------------------------------------------------------------------

_ENVOY: Final = ("static_resources", "dynamic_resources")
_MATCHES: Final = (("string_match", "exact"), ("exact_match",))


def _in_envoy(top: Mapping, profile: Profile) -> Iterator[_Found]:
    headers = {one.name for one in profile.model_from if one.origin is Origin.HEADER}
    attributes = {one.name for one in profile.model_from if one.origin is Origin.ATTRIBUTE}
    segments = {one.name for one in profile.model_from if one.origin is Origin.PATH}
    for node in _mappings(top):
        yield from _header_models(node, headers)
        extensions = node.get("context_extensions")
        for key, value in extensions.entries if isinstance(extensions, Mapping) else ():
            if key.text in attributes and (name := _text(value)) is not None:
                yield What.ATTRIBUTE, name, value
        path = node.get("path")
        if segments and (text := _text(path)) is not None and text.startswith("/"):
            for name in _path_models(text, profile, segments):
                yield What.PATH, name, path or node


def _header_models(node: Mapping, headers: set[str]) -> Iterator[_Found]:
    """What a header of models is set to, or matched with; a text with `%` is filled in at each request."""
    name = (_text(node.get("key")) or _text(node.get("name")) or "").lower()
    if name not in headers:
        return
    for value in (node.get("value"), *(_at(node, *path) for path in _MATCHES)):
        text = _text(value)
        if value is not None and text is not None and "%" not in text:
            yield What.HEADER, text, value


def _path_models(path: str, profile: Profile, segments: set[str]) -> Iterator[str]:
    for route in profile.routes:
        try:
            _, found = route_of(Message(method=route.method, target=path), profile)
        except Doubt:
            continue
        yield from (value for name, value in found.items() if name in segments)
        return


def _envoy_traps(top: Mapping, findings: Findings) -> None:
    asked = False
    for node in _mappings(top):
        asked = asked or (_text(node.get("name")) or "").endswith("ext_authz")
        allows = node.get("failure_mode_allow")
        if isinstance(allows, Scalar) and allows.value is True:
            message = "`failure_mode_allow` makes every error of the engine an allow"
            findings.add(allows.line, allows.column, message, "write failure_mode_allow: false")
    if not asked:
        findings.add(top.line, top.column, "Envoy would not ask the engine: there is no filter ext_authz", "add it")


def _mappings(node: Node) -> Iterator[Mapping]:
    if isinstance(node, Mapping):
        yield node
        for _, value in node.entries:
            yield from _mappings(value)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _mappings(item)
