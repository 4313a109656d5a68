"""Documents that are sent, read strictly into their declared shapes."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Final, TypeVar

import msgspec

from policy_engine.formats.identifiers import shown
from policy_engine.formats.request_document import json_in, malformed, parse_object, unique, without_mark
from policy_engine.shapes.document import Body

Shape = TypeVar("Shape", bound=Body)
_PLACE: Final = re.compile(r"(?P<message>.*?) - at `\$\.?(?P<field>.*)`", re.DOTALL)
_HALF: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_LONE: Final = re.compile("[\ud800-\udfff]")
_NAMED: Final = re.compile(r"Object (?P<message>.*?) `(?P<field>.*)`", re.DOTALL)


def read_sent(body: bytes, shape: type[Shape]) -> Shape:
    """The body as a small document; an empty body is an empty object. Raises `MalformedRequest` naming the field."""
    return _shaped(parse_object(body or b"{}"), shape, body)


def read_sent_book(body: bytes, shape: type[Shape]) -> Shape:
    """The body as a document with a book's files in it: as `read_sent`, in little more room than the body itself takes.

    Nothing in the shapes is deep, so depth needs no limit but the parser's own.
    """
    document = json_in(without_mark(body), partial(json.loads, object_pairs_hook=unique))
    return _shaped(document, shape, body)


def _shaped(document: object, shape: type[Shape], body: bytes) -> Shape:
    if _HALF.search(body) is not None:
        try:
            _refuse_halves(document, "")
        except RecursionError as error:
            raise malformed("", "is nested too deep") from error
    try:
        return msgspec.convert(document, shape)
    except msgspec.ValidationError as error:
        said = str(error)
        placed = _PLACE.fullmatch(said)
        message, place = (placed["message"], placed["field"]) if placed is not None else (said, "")
        named = _NAMED.fullmatch(message)
        if named is not None:
            message, name = named["message"], shown(named["field"])
            place = f"{place}.{name}" if place else name
        raise malformed(place, message[:1].lower() + message[1:]) from error


def _refuse_halves(value: object, path: str) -> None:
    """Raises `MalformedRequest` for a text with half of a surrogate pair, which nothing can be written with."""
    if isinstance(value, str):
        if _LONE.search(value) is not None:
            raise malformed(path, "has a lone surrogate")
    elif isinstance(value, dict):
        for name, inner in value.items():
            place = f"{path}.{shown(name)}" if path else shown(name)
            _refuse_halves(name, place)
            _refuse_halves(inner, place)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _refuse_halves(inner, f"{path}[{number}]")
