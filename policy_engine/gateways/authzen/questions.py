"""The documents of the Authorization API 1.0, as far as a decision point reads them (sections 5 to 8).

Members that the specification does not name are passed over; a member of a wrong type, a missing one, a duplicate or
what is no JSON object is a `MalformedRequest`, which is answered with 400. Inside one item of `evaluations` each of
these denies that item alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NoReturn

from policy_engine.domain.request import Semantic
from policy_engine.formats.identifiers import text_fault
from policy_engine.formats.request_document import FieldFault, MalformedRequest, parse_object

MAX_ITEMS: Final = 1_000
"""Items of one request; more are refused."""

Properties = Mapping[str, object]
_NONE: Final[Properties] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A subject or a resource. Without an `id` it is what is searched for."""

    type: str
    id: str | None = None
    properties: Properties = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionNamed:
    """An action by its name."""

    name: str
    properties: Properties = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """May this subject do this to this resource?"""

    subject: Entity
    action: ActionNamed
    resource: Entity
    context: Properties = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An item that is no question, and why."""

    fault: str


Item = Evaluation | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluations:
    """Items in their order. `single`: the request had none, and is a question by itself."""

    items: tuple[Item, ...]
    semantic: Semantic
    single: bool


class Searched(StrEnum):
    """What is searched for."""

    SUBJECT = "subject"
    RESOURCE = "resource"
    ACTION = "action"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which subjects, resources or actions make an evaluation true? The one that is searched for has no id."""

    searched: Searched
    subject: Entity
    resource: Entity
    action: ActionNamed | None
    context: Properties


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of the results: at most `limit`, after the place of a token."""

    token: str | None = None
    limit: int | None = None


def read_evaluation(body: bytes) -> Evaluation:
    """The question of a body. Raises `MalformedRequest`."""
    return _evaluation(_document(body))


def read_evaluations(body: bytes) -> Evaluations:
    """The questions of a body. Raises `MalformedRequest`."""
    document = _document(body)
    items = document.get("evaluations")
    semantic = _semantic(document.get("options"))
    if items is None or items == []:
        return Evaluations(items=(_evaluation(document),), semantic=semantic, single=True)
    if not isinstance(items, list):
        _fault("evaluations", "must be a list")
    if len(items) > MAX_ITEMS:
        _fault("evaluations", f"must have at most {MAX_ITEMS} items")
    return Evaluations(items=tuple(_item(one, document) for one in items), semantic=semantic, single=False)


def read_search(body: bytes, searched: Searched) -> tuple[Search, Page]:
    """The search of a body, and the page that is wanted. Raises `MalformedRequest`."""
    document = _document(body)
    search = Search(
        searched=searched,
        subject=_entity(document, "subject", identified=searched is not Searched.SUBJECT),
        resource=_entity(document, "resource", identified=searched is not Searched.RESOURCE),
        action=None if searched is Searched.ACTION else _action(document),
        context=_object(document, "context"),
    )
    return search, _page(_object(document, "page"))


def question_of(search: Search) -> Mapping[str, object]:
    """The search without its page, as JSON: what a token is good for."""
    return {
        "searched": search.searched.value,
        "subject": [search.subject.type, search.subject.id, search.subject.properties],
        "resource": [search.resource.type, search.resource.id, search.resource.properties],
        "action": None if search.action is None else [search.action.name, search.action.properties],
        "context": search.context,
    }


def _document(body: bytes) -> Mapping[str, object]:
    document = parse_object(body)
    _refuse_surrogates(document)
    return document


def _refuse_surrogates(value: object) -> None:
    if isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            _fault("", "has a lone surrogate")
    elif isinstance(value, Mapping):
        for name, one in value.items():
            _refuse_surrogates(name)
            _refuse_surrogates(one)
    elif isinstance(value, Sequence):
        for one in value:
            _refuse_surrogates(one)


def _item(item: object, defaults: Mapping[str, object]) -> Item:
    try:
        if not isinstance(item, Mapping):
            _fault("", "must be an object")
        # A whole entity of an item takes the place of the request's; members of it are never put together.
        return _evaluation({name: item.get(name, defaults.get(name)) for name in _PARTS})
    except MalformedRequest as error:
        return Refused(fault=str(error))


_PARTS: Final = ("subject", "action", "resource", "context")


def _evaluation(document: Mapping[str, object]) -> Evaluation:
    return Evaluation(
        subject=_entity(document, "subject"),
        action=_action(document),
        resource=_entity(document, "resource"),
        context=_object(document, "context"),
    )


def _semantic(options: object) -> Semantic:
    if options is None:
        return Semantic.EXECUTE_ALL
    if not isinstance(options, Mapping):
        _fault("options", "must be an object")
    named = options.get("evaluations_semantic", Semantic.EXECUTE_ALL.value)
    found = next((one for one in Semantic if one.value == named), None)
    if found is None:
        _fault("options.evaluations_semantic", f"must be one of {', '.join(Semantic)}")
    return found


def _page(page: Mapping[str, object]) -> Page:
    token, limit = page.get("token"), page.get("limit")
    if token is not None and not isinstance(token, str):
        _fault("page.token", "must be a text")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
        _fault("page.limit", "must be a whole number from 0")
    return Page(token=token or None, limit=limit)


def _entity(document: Mapping[str, object], name: str, *, identified: bool = True) -> Entity:
    held = document.get(name)
    if not isinstance(held, Mapping):
        _fault(name, "must be an object" if name in document else "is required")
    kind = _text(held, name, "type")
    identifier = _text(held, name, "id") if identified else None
    return Entity(type=kind, id=identifier, properties=_object(held, "properties", f"{name}."))


def _action(document: Mapping[str, object]) -> ActionNamed:
    held = document.get("action")
    if not isinstance(held, Mapping):
        _fault("action", "must be an object" if "action" in document else "is required")
    return ActionNamed(name=_text(held, "action", "name"), properties=_object(held, "properties", "action."))


def _text(held: Mapping[str, object], name: str, member: str) -> str:
    value = held.get(member)
    if not isinstance(value, str):
        _fault(f"{name}.{member}", "must be a text" if member in held else "is required")
    wrong = text_fault(value)
    if wrong is not None:
        _fault(f"{name}.{member}", wrong)
    return value


def _object(document: Mapping[str, object], name: str, path: str = "") -> Properties:
    held = document.get(name)
    if held is None:
        return _NONE
    if not isinstance(held, Mapping):
        _fault(f"{path}{name}", "must be an object")
    return held


def _fault(name: str, message: str) -> NoReturn:
    raise MalformedRequest(FieldFault(field=name, message=message))
