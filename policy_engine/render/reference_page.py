"""The reference as a page for a person, from the OpenAPI document and nothing else.

It has no script and fetches nothing, so that it needs no internet and nobody types a key into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

from markupsafe import Markup

from policy_engine.render.pages import page

Json = Mapping[str, Any]
"""A piece of the document, as OpenAPI lays it out."""


def reference_page(document: Json) -> str:
    """The page of a document."""

    def resolved(piece: Json) -> Json:
        names = piece["$ref"].removeprefix("#/").split("/") if "$ref" in piece else None
        return piece if names is None else reduce(lambda held, name: held[name], names, document)

    return page(
        "reference.html",
        title=f"{document['info']['title']} {document['info']['version']}",
        document=document,
        operations=[
            (method.upper(), path, one)
            for path, methods in document["paths"].items()
            for method, one in methods.items()
        ],
        resolved=resolved,
        inline=_inline,
        kind=_kind,
        meaning=_meaning,
        right_of=_right_of,
    )


def _right_of(operation: Json) -> str | None:
    rights = (right for one in operation.get("security", ()) for named in one.values() for right in named)
    return next(rights, None)


def _meaning(schema: Json) -> str:
    told = schema.get("description") or next((_meaning(one) for one in schema.get("anyOf", ()) if _meaning(one)), "")
    return str(told)


def _kind(schema: Json) -> Markup:
    """What values a schema takes, in a few words."""
    if "$ref" in schema:
        return Markup('<a href="#{0}">{0}</a>').format(schema["$ref"].rpartition("/")[2])
    for several in ("anyOf", "allOf"):
        if several in schema:
            return Markup(" or ").join(_kind(one) for one in schema[several] if "properties" not in one)
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return Markup(", ").join(Markup("<code>{}</code>").format(value) for value in values)
    if schema.get("type") == "array":
        return Markup("list of {}").format(_kind(schema["items"])) if schema.get("items") else Markup("list")
    return Markup("{}").format(schema.get("type", "anything"))


def _inline(text: str) -> Markup:
    """A sentence, with what stands between backticks as code."""
    pieces = enumerate(text.split("`"))
    return Markup("").join(Markup("<code>{}</code>").format(one) if place % 2 else one for place, one in pieces)
