"""The reference as a page for a person, from the OpenAPI document and nothing else.

It has no script and fetches nothing, so that it needs no internet and nobody types a key into it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any, Final

Json = Mapping[str, Any]
"""A piece of the document, as OpenAPI lays it out."""

STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
h1,h2,h3{line-height:1.2}h2{margin-top:3rem;border-bottom:2px solid #d0d7de}h3{margin-top:2.5rem}
code,pre{font:14px/1.45 ui-monospace,monospace}code{background:#f3f5f7;padding:.1em .3em}
pre{background:#f3f5f7;padding:.8rem;overflow-x:auto}
table{border-collapse:collapse;width:100%;margin:.6rem 0}
td,th{border:1px solid #d0d7de;padding:.35rem .6rem;text-align:left;vertical-align:top}
nav ul{columns:2;list-style:none;padding:0}.method{font-weight:700}
"""


def reference_page(document: Json) -> str:
    """The page of a document."""
    info = document["info"]
    found = list(_operations(document))
    parts = [f"<h1>{_text(info['title'])} {_text(info['version'])}</h1>", _paragraphs(info["description"])]
    parts.append('<p>The same for programs: <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1).</p><nav><ul>')
    parts += [f'<li><a href="#{one["operationId"]}">{_called(method, path)}</a></li>' for method, path, one in found]
    parts.append("</ul></nav>")
    for tag in document["tags"]:
        parts.append(f"<h2>{_text(tag['name'])}</h2>{_paragraphs(tag['description'])}")
        parts += [
            _operation(method, path, one, document) for method, path, one in found if one["tags"] == [tag["name"]]
        ]
    parts.append("<h2>Documents</h2>")
    parts += [_shape(name, shape) for name, shape in document["components"]["schemas"].items()]
    return page(info["title"], "".join(parts))


def page(title: str, content: str) -> str:
    """A page with a title around content that is HTML already."""
    head = f'<meta charset="utf-8"><title>{_text(title)}</title><style>{STYLE}</style>'
    viewport = '<meta name="viewport" content="width=device-width">'
    return f'<!doctype html><html lang="en"><head>{head}{viewport}</head><body>{content}</body></html>\n'


def _operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _called(method: str, path: str) -> str:
    return f'<code><span class="method">{_text(method)}</span> {_text(path)}</code>'


def _operation(method: str, path: str, operation: Json, document: Json) -> str:
    rights = [right for one in operation.get("security", ()) for named in one.values() for right in named]
    needs = f"A key with the right <code>{_text(rights[0])}</code>." if rights else "No key is needed."
    parts = [f'<h3 id="{_text(operation["operationId"])}">{_called(method, path)}</h3>']
    parts += [_paragraphs(operation.get("description", "")), f"<p>{needs}</p>"]
    parameters = [
        (
            f"<code>{_text(one['name'])}</code> in the {one['in']}",
            _kind(one["schema"]),
            _inline(one.get("description", "")),
        )
        for one in operation.get("parameters", ())
    ]
    if parameters:
        parts.append(_table(("parameter", "value", "meaning"), parameters))
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        parts.append(f"<p>It is sent {_kind(content['schema'])}.</p>")
        for name, example in content.get("examples", {}).items():
            told = json.dumps(example["value"], indent=2, ensure_ascii=False)
            parts.append(f"<p>{_text(name)}: {_inline(example['summary'])}</p><pre>{_text(told)}</pre>")
    answers = [(status, *_answer(_resolved(one, document))) for status, one in operation["responses"].items()]
    parts.append(_table(("status", "answer", "meaning"), answers))
    return "".join(parts)


def _resolved(piece: Json, document: Json) -> Json:
    found = piece
    if "$ref" in piece:
        found = document
        for name in piece["$ref"].removeprefix("#/").split("/"):
            found = found[name]
    return found


def _answer(response: Json) -> tuple[str, str]:
    kinds = [
        _kind(told["schema"]) if "schema" in told else f"<code>{_text(kind)}</code>"
        for kind, told in response["content"].items()
    ]
    return " or ".join(kinds), _inline(response["description"])


def _shape(name: str, shape: Json) -> str:
    needed = set(shape.get("required", ()))
    fields = [
        (f"<code>{_text(field)}</code>", "always" if field in needed else "maybe", _kind(told), _inline(_meaning(told)))
        for field, told in shape.get("properties", {}).items()
    ]
    values = ", ".join(f"<code>{_text(value)}</code>" for value in shape.get("enum", ()))
    table = _table(("member", "there", "value", "meaning"), fields) if fields else f"<p>One of {values}.</p>"
    return f'<h3 id="{_text(name)}">{_text(name)}</h3>{_paragraphs(shape.get("description", ""))}{table}'


def _meaning(schema: Json) -> str:
    told = schema.get("description") or next((_meaning(one) for one in schema.get("anyOf", ()) if _meaning(one)), "")
    return str(told)


def _kind(schema: Json) -> str:
    """What values a schema takes, in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{_text(name)}">{_text(name)}</a>'
    for several in ("anyOf", "allOf"):
        if several in schema:
            named = [one for one in schema[several] if "properties" not in one]
            return " or ".join(_kind(one) for one in named)
    if "enum" in schema or "const" in schema:
        return ", ".join(f"<code>{_text(value)}</code>" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}" if schema.get("items") else "list"
    return _text(schema.get("type", "anything"))


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are HTML already."""
    heads = "".join(f"<th>{_text(one)}</th>" for one in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{heads}</tr>{body}</table>"


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_inline(one)}</p>" for one in text.split("\n\n") if one.strip())


def _inline(text: str) -> str:
    """A sentence, with what stands between backticks as code."""
    pieces = _text(text).split("`")
    return "".join(f"<code>{one}</code>" if place % 2 else one for place, one in enumerate(pieces))


def _text(value: object) -> str:
    return escape(str(value))
