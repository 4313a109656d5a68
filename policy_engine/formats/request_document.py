"""The body of a decision request: strict JSON to a `Request`, or every reason why not, by field.

Refused: anything that is no JSON object, duplicate keys, NaN and infinities, nesting deeper than 32, unknown fields,
wrong types, lone surrogates, control and invisible characters, ids that look like others, and codes of places that have
not the shape of one. An absent field and `null` are the same: not stated.

A code of the right shape that names nothing is read, since a gateway may not know better: it is judged as unknown. What
a table of addresses says of an address (`place.ip_country`) is any text: the codes for "anonymous", "satellite" or "not
known" are no country, and what is no country is unknown.

A byte-order mark before the document is passed over. Reading takes time linear in the bytes, whatever they are.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from types import NoneType, UnionType
from typing import Annotated, Any, Final, NoReturn, Union, get_args, get_origin, get_type_hints

from msgspec.structs import asdict, fields

from policy_engine.domain.request import (
    Assertion,
    BatchItem,
    Destination,
    Place,
    Request,
    Subject,
    SubjectType,
    Submitted,
)
from policy_engine.formats.identifiers import identifier_fault, shown, text_fault
from policy_engine.shapes.document import Body
from policy_engine.shapes.request import (
    MAX_LIST,
    MAX_REVISION,
    MAX_TEXT,
    NESTED,
    PLAIN,
    ClaimsBody,
    DestinationBody,
    PlaceBody,
    RequestBody,
    SubjectBody,
)

MAX_DEPTH: Final = 32
MAX_FAULTS: Final = 50
"""So many faults of one body are told."""
MAX_HINTS: Final = 20
"""For so many names of one body that are not known, the nearest known one is looked for."""
# Possessive, so that a long string is not kept as that many places to go back to; and a string that is never closed
# matches to its end, so that no byte is looked at from two beginnings.
_STRINGS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?+', re.DOTALL)
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_OPENING: Final = frozenset(b"[{")
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFault:
    """What is wrong with one field, by its path in the body ("" for the body itself)."""

    field: str
    message: str


class MalformedRequest(ValueError):
    """The body is no request; `faults` names every field that is wrong, and of very many the first."""

    def __init__(self, *faults: FieldFault) -> None:
        left_out = len(faults) - MAX_FAULTS
        if left_out > 0:
            more = FieldFault(field="", message=f"has {left_out} more faults; correct these first")
            faults = (*faults[:MAX_FAULTS], more)
        self.faults = faults
        super().__init__("; ".join(f"{fault.field or 'body'} {fault.message}" for fault in faults))


def malformed(field: str, message: str) -> MalformedRequest:
    """The fault of one field alone, to be raised."""
    return MalformedRequest(FieldFault(field=field, message=message))


def parse_object(body: bytes) -> Mapping[str, object]:
    """The JSON object in the body. Raises `MalformedRequest`."""
    body = without_mark(body)
    refuse_depth(body)
    value = json_in(body, _decoder.decode)
    if not isinstance(value, dict):
        raise malformed("", "must be a JSON object")
    return value


def json_in(body: bytes, read: Callable[[str], object]) -> object:
    """What is read from a body that has no byte-order mark. Raises `MalformedRequest`."""
    try:
        return read(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise malformed("", f"is not UTF-8 at byte {error.start}") from error
    except MalformedRequest:
        raise
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise malformed("", f"is not JSON: {error.msg.lower()} at {place}") from error
    except RecursionError as error:
        raise malformed("", "is nested too deep") from error
    except ValueError as error:
        raise malformed("", "has a number that is too long") from error


def without_mark(body: bytes) -> bytes:
    """The body without a byte-order mark of UTF-8. Raises `MalformedRequest` for that of another encoding."""
    if body.startswith(_UTF16_MARKS):
        raise malformed("", "begins with the byte-order mark of UTF-16: send UTF-8")
    return body.removeprefix(_UTF8_MARK)


def refuse_depth(body: bytes) -> None:
    """Raises `MalformedRequest` where brackets outside of strings are open deeper than `MAX_DEPTH`; one pass."""
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        return
    depth = 0
    for byte in _STRINGS.sub(b"", body).translate(None, _NO_BRACKETS):
        if byte not in _OPENING:
            depth -= 1
        elif depth == MAX_DEPTH:
            raise malformed("", f"is nested deeper than {MAX_DEPTH}")
        else:
            depth += 1


def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The members of an object. Raises `MalformedRequest` for a name that stands twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise malformed(shown(twice), "appears twice in one object")
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise malformed("", f"has `{text}`, which is not a JSON number")


_decoder: Final = json.JSONDecoder(object_pairs_hook=unique, parse_constant=_refuse_constant)
_canonical: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def request_digest(request: Mapping[str, object]) -> str:
    """SHA-256 of the request's canonical JSON in hex; member order, white space and `null` members do not matter."""
    return _digest(_canonical.encode(_without_nulls(request)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def submitted_of(document: Mapping[str, object]) -> Submitted:
    """What is asked for in a parsed document. Raises `MalformedRequest` as `request_of` does."""
    return Submitted(request=request_of(document), digest=request_digest(document))


def batch_item_of(document: object) -> BatchItem:
    """What is asked for in an item of a batch; what is no request is an item with its fault."""
    text = _canonical.encode(_without_nulls(document))
    # What `request_digest` gives of `{"item": document}`, with the document written once for both digests.
    digest = _digest("{}" if document is None else f'{{"item":{text}}}')
    try:
        if not isinstance(document, Mapping):
            raise malformed("", "must be a JSON object")
        return BatchItem(digest=digest, submitted=Submitted(request=request_of(document), digest=_digest(text)))
    except MalformedRequest as error:
        return BatchItem(digest=digest, fault=str(error))


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return value


def request_of(document: Mapping[str, object]) -> Request:
    """The request in a parsed document. Raises `MalformedRequest` with every fault that it finds."""
    faults: list[FieldFault] = []
    found: dict[str, Any] = {}
    later = []
    for name, shape in NESTED.items():
        held = document.get(name)
        if held is None:
            if name == "subject":
                faults.append(FieldFault(field=name, message="is required"))
            continue
        if not isinstance(held, dict):
            faults.append(FieldFault(field=name, message="must be an object"))
            held = {}
        _refuse_unknown(held, shape, f"{name}.", faults)
        if shape is SubjectBody:
            found[name] = _members(held, shape, f"{name}.", faults)
        else:
            later.append((name, held))
    values = _members(document, RequestBody, "", faults)
    for name, held in later:
        found[name] = _members(held, NESTED[name], f"{name}.", faults)
    _refuse_unknown(document, RequestBody, "", faults)
    if faults:
        raise MalformedRequest(*faults)
    return _request(values, found)


def request_from(body: RequestBody) -> Request:
    """The request in a document that was read already."""
    values = asdict(body)
    parts = {name: asdict(part) for name in NESTED if (part := values.pop(name)) is not None}
    return _request(values, parts)


_NOWHERE: Final = Place()
_TO_NOBODY: Final = Destination()


def _request(values: dict[str, Any], parts: dict[str, dict[str, Any]]) -> Request:
    """The request of the members that are values and of those that are documents, where they were stated."""
    return Request(
        subject=_subject(**parts["subject"]),
        end_user=_subject(**parts["end_user"]) if "end_user" in parts else None,
        place=Place(**parts["place"]) if "place" in parts else _NOWHERE,
        destination=Destination(**parts["destination"]) if "destination" in parts else _TO_NOBODY,
        **parts.get("claims", {}),
        **values,
    )


def _subject(*, type: SubjectType, id: str, properties: dict[str, Any] | None = None) -> Subject:  # noqa: A002
    return Subject(
        type=type,
        id=id,
        properties=tuple(
            Assertion(name=name, values=(value,), is_list=False)
            if isinstance(value, str)
            else Assertion(name=name, values=value, is_list=True)
            for name, value in sorted((properties or {}).items())
            if value is not None
        ),
    )


def body_of(request: Request) -> RequestBody:
    """The document of a request; what was not stated is left out."""
    return RequestBody(
        subject=_subject_body(request.subject),
        end_user=None if request.end_user is None else _subject_body(request.end_user),
        place=None if request.place == _NOWHERE else PlaceBody(**_stated(PlaceBody, request.place)),
        destination=(
            None
            if request.destination == _TO_NOBODY
            else DestinationBody(**_stated(DestinationBody, request.destination))
        ),
        claims=None if request.exception is None else ClaimsBody(exception=request.exception),
        **{name: getattr(request, name) for name in PLAIN},
    )


def _stated(shape: type[Body], stated: object) -> dict[str, Any]:
    return {name: getattr(stated, name) for name in shape.__struct_fields__}


def _subject_body(subject: Subject) -> SubjectBody:
    stated: dict[str, str | tuple[str, ...] | None] = {
        one.name: one.values if one.is_list else one.values[0] for one in subject.properties
    }
    return SubjectBody(type=subject.type, id=subject.id, properties=stated or None)


_LIKE: Final = 100
"""Characters of a name by which one that is like it is looked for."""


def _hint(name: str, known: list[str]) -> str:
    close = get_close_matches(name[:_LIKE], known, n=1)
    return f"; did you mean `{close[0]}`?" if close else f"; write one of {', '.join(known)}"


def _refuse_unknown(document: Mapping[str, object], shape: type[Body], path: str, faults: list[FieldFault]) -> None:
    known = shape.__struct_encode_fields__
    for name in document:
        if name not in known:
            hint = _hint(name, list(known)) if len(faults) < MAX_HINTS else ""
            faults.append(FieldFault(field=path + shown(name), message=f"is not a field of this document{hint}"))


def _members(document: Mapping[str, object], shape: type[Body], path: str, faults: list[FieldFault]) -> dict[str, Any]:
    """The values of an object, by the names under which they were stated."""
    found = {}
    for name, required, read in _READS[shape]:
        value = document.get(name)
        if value is not None:
            found[name] = read(value, path + name, faults)
        elif required:
            faults.append(FieldFault(field=path + name, message="is required"))
    return found


Read = Callable[[Any, str, list[FieldFault]], Any]
"""Reads a value that is there, by its path; whatever is given where a fault was noted counts for nothing."""


def _read_text(check: Callable[[str], str | None], pattern: str | None = None, told: str = "") -> Read:
    matches = None if pattern is None else re.compile(pattern)

    def read(value: Any, path: str, faults: list[FieldFault]) -> Any:
        if not isinstance(value, str):
            wrong: str | None = "must be a text"
        else:
            wrong = f"is longer than {MAX_TEXT} characters" if len(value) > MAX_TEXT else check(value)
            if wrong is None and matches is not None and not matches.fullmatch(value):
                wrong = told.format(shown(value))
        if wrong is not None:
            faults.append(FieldFault(field=path, message=wrong))
        return value

    return read


def _read_choice(kind: type[StrEnum]) -> Read:
    def read(value: Any, path: str, faults: list[FieldFault]) -> Any:
        before = len(faults)
        _TEXT(value, path, faults)
        try:
            return kind(value)
        except ValueError:
            if len(faults) == before:
                message = f"has no value `{shown(value)}`{_hint(value, list(kind))}"
                faults.append(FieldFault(field=path, message=message))

    return read


def _read_revision(value: Any, path: str, faults: list[FieldFault]) -> Any:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_REVISION:
        faults.append(FieldFault(field=path, message="must be a whole number from 0"))
    return value


def _read_identifiers(value: Any, path: str, faults: list[FieldFault]) -> Any:
    if not isinstance(value, list) or len(value) > MAX_LIST:
        faults.append(FieldFault(field=path, message=f"must be a list of at most {MAX_LIST} texts"))
        return ()
    for index, item in enumerate(value):
        wrong = identifier_fault(item) if isinstance(item, str) else "must be a text"
        if wrong is not None:
            faults.append(FieldFault(field=f"{path}[{index}]", message=wrong))
    return tuple(value)


def _read_properties(value: Any, path: str, faults: list[FieldFault]) -> Any:
    if not isinstance(value, dict) or len(value) > MAX_LIST:
        faults.append(FieldFault(field=path, message=f"must be an object of at most {MAX_LIST} properties"))
        return {}
    found = {}
    for name, held in value.items():
        wrong = identifier_fault(name)
        if wrong is not None:
            faults.append(FieldFault(field=f"{path}.{shown(name)}", message=wrong))
        elif held is None or isinstance(held, str | list):
            read = _read_identifiers if isinstance(held, list) else _TEXT
            found[name] = None if held is None else read(held, f"{path}.{name}", faults)
        else:
            faults.append(FieldFault(field=f"{path}.{name}", message="must be a text or a list of texts"))
    return found


_TEXT: Final = _read_text(text_fault)
_READ_BY_TYPE: Final[Mapping[object, Read]] = {
    int: _read_revision,
    tuple: _read_identifiers,
    dict: _read_properties,
}


def _read_of(hint: Any) -> Read:
    """How a member is read that is declared so."""
    stated = [one for one in (get_args(hint) if get_origin(hint) in _UNIONS else (hint,)) if one is not NoneType]
    (kind, *more) = get_args(stated[0]) if get_origin(stated[0]) is Annotated else (stated[0],)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _read_choice(kind)
    if kind is not str:
        return _READ_BY_TYPE[get_origin(kind) or kind]
    says = {
        name: value for meta in more for name, value in {**(meta.extra_json_schema or {}), **(meta.extra or {})}.items()
    }
    check = identifier_fault if "identifier" in says else text_fault
    return _read_text(check, says.get("pattern"), says.get("told", ""))


_UNIONS: Final = (Union, UnionType)
_TOLD_FIRST: Final = ("action", "model", "request_id")
"""The members of a request whose faults are told before those of the others."""


def _reads_of(shape: type[Body]) -> tuple[tuple[str, bool, Read], ...]:
    hints = get_type_hints(shape, include_extras=True)
    required = {one.name for one in fields(shape) if one.required}
    names = sorted(hints, key=lambda name: (*_TOLD_FIRST, name).index(name))
    return tuple((name, name in required, _read_of(hints[name])) for name in names if name not in NESTED)


_SHAPES: Final[tuple[type[Body], ...]] = (RequestBody, *NESTED.values())
_READS: Final = {shape: _reads_of(shape) for shape in _SHAPES}
