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
from typing import Final, NoReturn

from policy_engine.domain.request import (
    Action,
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
    COUNTRY,
    MAX_LIST,
    MAX_REVISION,
    MAX_TEXT,
    REQUEST_ID,
    SUBDIVISION,
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
_COUNTRY: Final = re.compile(COUNTRY)
_SUBDIVISION: Final = re.compile(SUBDIVISION)
# Possessive, so that a long string is not kept as that many places to go back to; and a string that is never closed
# matches to its end, so that no byte is looked at from two beginnings.
_STRINGS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?+', re.DOTALL)
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_OPENING: Final = frozenset(b"[{")
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_REQUEST_ID: Final = re.compile(REQUEST_ID)


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
            more = FieldFault(field="", message=f"has {left_out} more faults; mend these first")
            faults = (*faults[:MAX_FAULTS], more)
        self.faults = faults
        super().__init__("; ".join(f"{fault.field or 'body'} {fault.message}" for fault in faults))


def parse_object(body: bytes) -> Mapping[str, object]:
    """The JSON object in the body. Raises `MalformedRequest`."""
    body = without_mark(body)
    refuse_depth(body)
    try:
        value = _decoder.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedRequest(FieldFault(field="", message=f"is not UTF-8 at byte {error.start}")) from error
    except MalformedRequest:
        raise
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise MalformedRequest(FieldFault(field="", message=f"is not JSON: {error.msg.lower()} at {place}")) from error
    except ValueError as error:
        raise MalformedRequest(FieldFault(field="", message="has a number that is too long")) from error
    if not isinstance(value, dict):
        raise MalformedRequest(FieldFault(field="", message="must be a JSON object"))
    return value


def without_mark(body: bytes) -> bytes:
    """The body without a byte-order mark of UTF-8. Raises `MalformedRequest` for that of another encoding."""
    if body.startswith(_UTF16_MARKS):
        raise MalformedRequest(FieldFault(field="", message="begins with the byte-order mark of UTF-16: send UTF-8"))
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
            raise MalformedRequest(FieldFault(field="", message=f"is nested deeper than {MAX_DEPTH}"))
        else:
            depth += 1


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise MalformedRequest(FieldFault(field=shown(name), message="stands twice in one object"))
        found[name] = value
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise MalformedRequest(FieldFault(field="", message=f"has `{text}`, which is no JSON number"))


_decoder: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
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
            raise MalformedRequest(FieldFault(field="", message="must be a JSON object"))
        return BatchItem(digest=digest, submitted=Submitted(request=request_of(document), digest=_digest(text)))
    except MalformedRequest as error:
        return BatchItem(digest=digest, fault=str(error))


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return value


def request_of(document: Mapping[str, object]) -> Request:
    """The request in a parsed document. Raises `MalformedRequest` with every fault that it finds."""
    reader = _Reader(document)
    subject = reader.subject("subject", required=True)
    end_user = reader.subject("end_user")
    place = reader.section("place", PlaceBody)
    destination = reader.section("destination", DestinationBody)
    claims = reader.section("claims", ClaimsBody)
    action_name = reader.text("action", required=True)
    action = None
    if action_name is not None:
        try:
            action = Action(action_name)
        except ValueError:
            reader.fault("action", f"has no value `{shown(action_name)}`{_hint(action_name, list(Action))}")
    model = reader.identifier("model", required=True)
    request_id = reader.text("request_id")
    if request_id is not None and not _REQUEST_ID.fullmatch(request_id):
        reader.fault("request_id", "must be 1 to 128 printable ASCII characters without blanks")
    values = (
        reader.identifier("acting_for"),
        reader.text("purpose"),
        reader.texts("fallbacks"),
        reader.integer("min_revision"),
        place.country("country"),
        place.subdivision("subdivision"),
        place.text("postcode"),
        place.text("ip"),
        place.text("ip_country"),
        destination.country("country"),
        destination.subdivision("subdivision"),
        destination.text("postcode"),
        destination.identifier("host"),
        claims.text("exception"),
    )
    acting_for, purpose, fallbacks, min_revision, country, subdivision, postcode, ip, ip_country = values[:9]
    reader.refuse_unknown(RequestBody)
    if reader.faults or subject is None or model is None or action is None:
        raise MalformedRequest(*reader.faults)
    return Request(
        subject=subject,
        model=model,
        action=action,
        acting_for=acting_for,
        purpose=purpose,
        place=Place(country=country, subdivision=subdivision, postcode=postcode, ip=ip, ip_country=ip_country),
        end_user=end_user,
        destination=Destination(country=values[9], subdivision=values[10], postcode=values[11], host=values[12]),
        exception=values[13],
        fallbacks=fallbacks,
        min_revision=min_revision,
        request_id=request_id,
    )


_LIKE: Final = 100
"""Characters of a name by which one that is like it is looked for."""


def _hint(name: str, known: list[str]) -> str:
    close = get_close_matches(name[:_LIKE], known, n=1)
    return f"; did you mean `{close[0]}`?" if close else f"; known are {', '.join(known)}"


class _Reader:
    """One object of the document, by path; every fault goes to one list."""

    def __init__(self, document: Mapping[str, object], path: str = "", faults: list[FieldFault] | None = None) -> None:
        self._document = document
        self._path = path
        self.faults: list[FieldFault] = [] if faults is None else faults

    def fault(self, name: str, message: str) -> None:
        self.faults.append(FieldFault(field=self._path + name, message=message))

    def refuse_unknown(self, shape: type[Body]) -> None:
        known = shape.__struct_encode_fields__
        for name in self._document:
            if name not in known:
                hint = _hint(name, list(known)) if len(self.faults) < MAX_HINTS else ""
                self.fault(shown(name), f"is not a field of this document{hint}")

    def text(self, name: str, *, required: bool = False) -> str | None:
        return self._checked(name, text_fault, required=required)

    def identifier(self, name: str, *, required: bool = False) -> str | None:
        return self._checked(name, identifier_fault, required=required)

    def _checked(self, name: str, check: Callable[[str], str | None], *, required: bool = False) -> str | None:
        value = self._document.get(name)
        if value is None:
            if required:
                self.fault(name, "is required")
            return None
        if not isinstance(value, str):
            self.fault(name, "must be a text")
            return None
        wrong = f"is longer than {MAX_TEXT} characters" if len(value) > MAX_TEXT else check(value)
        if wrong is not None:
            self.fault(name, wrong)
            return None
        return value

    def pattern(self, name: str, pattern: re.Pattern[str], expected: str) -> str | None:
        value = self.text(name)
        if value is not None and not pattern.fullmatch(value):
            self.fault(name, f"must be {expected}, not `{shown(value)}`")
            return None
        return value

    def country(self, name: str) -> str | None:
        return self.pattern(name, _COUNTRY, "an ISO 3166-1 alpha-2 code in capital letters such as DE")

    def subdivision(self, name: str) -> str | None:
        return self.pattern(name, _SUBDIVISION, "an ISO 3166-2 code such as UA-43")

    def integer(self, name: str) -> int | None:
        value = self._document.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_REVISION:
            self.fault(name, "must be a whole number from 0")
            return None
        return value

    def texts(self, name: str) -> tuple[str, ...] | None:
        value = self._document.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) > MAX_LIST:
            self.fault(name, f"must be a list of at most {MAX_LIST} texts")
            return None
        found = []
        for index, item in enumerate(value):
            wrong = identifier_fault(item) if isinstance(item, str) else "must be a text"
            if wrong is not None:
                self.fault(f"{name}[{index}]", wrong)
            else:
                found.append(str(item))
        return tuple(found)

    def section(self, name: str, shape: type[Body]) -> _Reader:
        value = self._document.get(name)
        if value is not None and not isinstance(value, dict):
            self.fault(name, "must be an object")
        reader = _Reader(value if isinstance(value, dict) else {}, f"{self._path}{name}.", self.faults)
        reader.refuse_unknown(shape)
        return reader

    def subject(self, name: str, *, required: bool = False) -> Subject | None:
        if self._document.get(name) is None:
            if required:
                self.fault(name, "is required")
            return None
        section = self.section(name, SubjectBody)
        type_name = section.text("type", required=True)
        subject_id = section.identifier("id", required=True)
        properties = section.properties()
        if type_name is None or subject_id is None:
            return None
        try:
            return Subject(type=SubjectType(type_name), id=subject_id, properties=properties)
        except ValueError:
            section.fault("type", f"has no value `{shown(type_name)}`{_hint(type_name, list(SubjectType))}")
            return None

    def properties(self) -> tuple[Assertion, ...]:
        value = self._document.get("properties")
        if value is None:
            return ()
        if not isinstance(value, dict) or len(value) > MAX_LIST:
            self.fault("properties", f"must be an object of at most {MAX_LIST} properties")
            return ()
        section = _Reader(value, f"{self._path}properties.", self.faults)
        found = []
        for name in value:
            wrong = identifier_fault(name)
            if wrong is not None:
                section.fault(shown(name), wrong)
                continue
            assertion = section.assertion(name)
            if assertion is not None:
                found.append(assertion)
        return tuple(sorted(found, key=lambda one: one.name))

    def assertion(self, name: str) -> Assertion | None:
        value = self._document[name]
        if value is None:
            return None
        if isinstance(value, list):
            return Assertion(name=name, values=self.texts(name) or (), is_list=True)
        if isinstance(value, str):
            text = self.text(name)
            return None if text is None else Assertion(name=name, values=(text,), is_list=False)
        self.fault(name, "must be a text or a list of texts")
        return None
