"""Worked examples that must hold, as case files say them; `decision.case_runner` runs them against a book.

A case brings the only facts on file, an instant, a request and what is expected of the answer. Its catalogue entries
replace or add to the book's, its settings override enforcement and say which properties the caller may assert. Codes
and rules are compared among the deciding findings; `other` names rules of findings that did not decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from policy_engine.domain.facts import ASSERTABLE
from policy_engine.domain.instants import InstantError, parse_instant
from policy_engine.domain.request import Caller, Request
from policy_engine.domain.roster import Roster, RosterRows
from policy_engine.domain.spelling import one_spelling
from policy_engine.formats import documents
from policy_engine.formats.book_names import BookNames
from policy_engine.formats.documents import Node, plain, read_document
from policy_engine.formats.faults import Fault, FaultsError, near_miss, one_of, quoted
from policy_engine.formats.membership_file import meant_list, members_of
from policy_engine.formats.request_document import MalformedRequest, request_of
from policy_engine.policy.reader import CASE_SUFFIX, read_folder, refuse_stray_cases

CASE_CALLER: Final = "case"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a case expects; `None` is not asked."""

    decision: str
    hold: bool | None = None
    codes: tuple[str, ...] = ()
    only_rules: tuple[str, ...] | None = None
    not_codes: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    reason: str | None = None
    other: tuple[str, ...] = ()
    missing: tuple[str, ...] | None = None
    obligations: tuple[str, ...] = ()
    alternatives: tuple[str, ...] | None = None
    remedies: tuple[str, ...] = ()
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One worked example. `enforcement` and `catalogue` change the book, `assertable` the caller."""

    id: str
    title: str
    source: str
    line: int
    at: datetime
    known_at: datetime
    gateway: str | None
    members: RosterRows
    catalogue: Node | None
    enforcement: tuple[tuple[str, str], ...]
    assertable: frozenset[str]
    document: Mapping[str, object]
    request: Request
    expect: Expectation

    @property
    def caller(self) -> Caller:
        return Caller(
            id=CASE_CALLER, gateway=self.gateway, assertable=self.assertable, explain=bool(self.expect.remedies)
        )

    def roster(self) -> Roster:
        """The case's facts as known at its second clock."""
        return Roster.as_known(self.members, self.known_at)


CASES: Final = "cases/"
"""The folder of the worked examples beside a book, with the slash."""


LARGEST_CASES: Final = 64 * 1024 * 1024
"""Bytes of all the case files of a folder together."""


def case_files(folder: Path) -> dict[str, bytes]:
    """The case files of a book's folder by their names relative to it.

    Raises `FaultsError` when a file cannot be read, there are too many bytes, or a link leads out of the folder.
    """
    return _gathered(folder / CASES, folder, CASES)


def desk_folder(folder: Path) -> dict[str, bytes]:
    """The files of a book's folder with its worked examples, as they are proposed and archived.

    Raises `FaultsError` for a folder that cannot be read.
    """
    return {**read_folder(folder), **case_files(folder)}


def read_cases(folder: Path) -> list[Case]:
    """Every case of every YAML file in the folder, in the order of file names. Raises `FaultsError`."""
    return read_case_files(_gathered(folder, folder, ""))


def _gathered(place: Path, within: Path, prefix: str) -> dict[str, bytes]:
    root = within.resolve()
    files: dict[str, bytes] = {}
    faults: list[Fault] = []
    refuse_stray_cases(place, faults, of_book=False)
    room = LARGEST_CASES
    for path in sorted(place.glob(f"*{CASE_SUFFIX}")):
        name = f"{prefix}{path.name}"
        try:
            if not path.resolve().is_relative_to(root):
                message = "the file is a link that leads out of the folder"
                faults.append(Fault(source=name, line=1, column=1, message=message, remedy="put the file itself there"))
                continue
            size = path.stat().st_size
            if size > room:
                message = f"the file has {size:,} bytes and there is room for {room:,}"
                remedy = f"the case files of a folder have at most {LARGEST_CASES:,} bytes"
                faults.append(Fault(source=name, line=1, column=1, message=message, remedy=remedy))
                continue
            room -= size
            files[name] = path.read_bytes()
        except (OSError, RuntimeError) as error:
            reason = (getattr(error, "strerror", None) or "the link leads nowhere").lower()
            message = f"the file cannot be read: {reason}"
            remedy = "put a file there that the engine may read"
            faults.append(Fault(source=name, line=1, column=1, message=message, remedy=remedy))
    if faults:
        raise FaultsError(tuple(faults))
    return files


def read_case_files(files: Mapping[str, bytes]) -> list[Case]:
    """Every case of the files, in the order of their names. Raises `FaultsError`."""
    faults: list[Fault] = []
    cases: list[Case] = []
    for name, data in sorted(files.items()):
        try:
            root = read_document(data, name)
        except FaultsError as error:
            faults += error.faults
            continue
        if not isinstance(root, documents.Sequence):
            faults.append(_fault(name, root, "a case file is a list of cases"))
            continue
        for item in root.items:
            case = _case(item, name, faults)
            if case is not None:
                cases.append(case)
    seen: dict[str, Case] = {}
    for case in cases:
        if case.id in seen:
            message = f"case `{case.id}` stands in {seen[case.id].source} already"
            faults.append(Fault(source=case.source, line=case.line, column=1, message=message))
        seen[case.id] = case
    if faults:
        raise FaultsError(tuple(faults))
    return cases


def _fault(source: str, node: Node, message: str, remedy: str = "") -> Fault:
    return Fault(source=source, line=node.line, column=node.column, message=message, remedy=remedy)


_KEYS: Final = (
    "id",
    "title",
    "note",
    "at",
    "known_at",
    "gateway",
    "members",
    "catalogue",
    "settings",
    "request",
    "expect",
)


def _case(node: Node, source: str, faults: list[Fault]) -> Case | None:
    before = len(faults)
    if not isinstance(node, documents.Mapping):
        faults.append(_fault(source, node, "a case is a mapping"))
        return None
    for key, _ in node.entries:
        if key.text not in _KEYS:
            faults.append(_fault(source, key, f"unknown key `{key.text}`", f"write one of {', '.join(_KEYS)}"))
    at = _instant(node, "at", source, faults, required=True)
    known_at = _instant(node, "known_at", source, faults)
    members_node = node.get("members")
    members = members_of(members_node, source, faults) if members_node is not None else RosterRows()
    settings = _plain_mapping(node.get("settings"), source, faults)
    document = _plain_mapping(node.get("request"), source, faults)
    expect = _expectation(node.get("expect"), source, faults)
    request = None
    try:
        request = request_of(document)
    except MalformedRequest as error:
        faults += [
            _fault(source, node.get("request") or node, f"request: {one.field} {one.message}") for one in error.faults
        ]
    assertable = frozenset(_texts(settings.get("assertable")))
    unknown = sorted(assertable - ASSERTABLE)
    if unknown:
        faults.append(_fault(source, node, f"`{unknown[0]}` is not an assertable property"))
    identifier = node.get("id")
    if identifier is None:
        faults.append(_fault(source, node, "a case needs an `id`"))
    if len(faults) > before or at is None or request is None or expect is None or identifier is None:
        return None
    enforcement = settings.get("enforcement")
    gateway = _plain(node.get("gateway"))
    title = _plain(node.get("title"))
    return Case(
        id=str(plain(identifier)),
        title=title if isinstance(title, str) else "",
        source=source,
        line=node.line,
        at=at,
        known_at=known_at or at,
        gateway=gateway if isinstance(gateway, str) else None,
        members=members,
        catalogue=node.get("catalogue"),
        enforcement=tuple((str(k), str(v)) for k, v in enforcement.items()) if isinstance(enforcement, dict) else (),
        assertable=assertable,
        document=document,
        request=request,
        expect=expect,
    )


def _instant(
    node: documents.Mapping, key: str, source: str, faults: list[Fault], *, required: bool = False
) -> datetime | None:
    value = node.get(key)
    if value is None or (isinstance(value, documents.Scalar) and value.value is None):
        if required:
            faults.append(_fault(source, node, f"a case needs `{key}`"))
        return None
    try:
        return parse_instant(value.text if isinstance(value, documents.Scalar) else "")
    except InstantError as error:
        faults.append(_fault(source, value, f"`{key}`: {error}"))
        return None


def _plain(node: Node | None) -> object:
    return None if node is None else plain(node)


def _plain_mapping(node: Node | None, source: str, faults: list[Fault]) -> dict[str, object]:
    if node is None:
        return {}
    value = plain(node)
    if isinstance(value, dict):
        return value
    faults.append(_fault(source, node, "this must be a mapping"))
    return {}


def _codes(value: object) -> tuple[str, ...]:
    return tuple(map(one_spelling, _texts(value)))


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, list) else ()


_EXPECTED: Final = (
    "decision",
    "hold",
    "codes",
    "only_rules",
    "not_codes",
    "rules",
    "reason",
    "other",
    "missing",
    "obligations",
    "alternatives",
    "remedies",
    "valid_until",
)


def _expectation(node: Node | None, source: str, faults: list[Fault]) -> Expectation | None:
    if not isinstance(node, documents.Mapping):
        return None
    for key, _ in node.entries:
        if key.text not in _EXPECTED:
            faults.append(
                _fault(source, key, f"unknown key `{key.text}` in `expect`", f"write one of {', '.join(_EXPECTED)}")
            )
    values = _plain_mapping(node, source, faults)
    if values.get("decision") not in ("allow", "deny"):
        faults.append(_fault(source, node, "`expect.decision` must be `allow` or `deny`"))
        return None
    hold = values.get("hold")
    reason = values.get("reason")
    return Expectation(
        decision=str(values["decision"]),
        hold=hold if isinstance(hold, bool) else None,
        codes=_codes(values.get("codes")),
        only_rules=_optional_texts(values.get("only_rules")),
        not_codes=_codes(values.get("not_codes")),
        rules=_texts(values.get("rules")),
        reason=one_spelling(str(reason)) if reason is not None else None,
        other=_texts(values.get("other")),
        missing=_optional_texts(values.get("missing")),
        obligations=_texts(values.get("obligations")),
        alternatives=_optional_texts(values.get("alternatives")),
        remedies=_texts(values.get("remedies")),
        valid_until=_instant(node, "valid_until", source, faults),
    )


def _optional_texts(value: object) -> tuple[str, ...] | None:
    return None if value is None else _texts(value)


def unread_names(cases: Sequence[Case], names: BookNames) -> tuple[Fault, ...]:
    """A fault for every list, regime and item that the members of a case name and the book does not know.

    The items of a case are those of the book and of its own catalogue.
    """
    lists, regimes = tuple(sorted(names.lists)), tuple(sorted(names.regimes))
    faults = []

    def fault(case: Case, message: str, remedy: str) -> None:
        told = f"case `{case.id}` has {message}"
        faults.append(Fault(source=case.source, line=case.line, column=1, message=told, remedy=remedy))

    for case in cases:
        for name in sorted({row.list for row in case.members.listings} - names.lists):
            meant = meant_list(name, lists)
            remedy = one_of(name, lists) if meant is None else f"did you mean {quoted(meant)}?"
            fault(case, f"a listing on {quoted(name)}, a list that no rule reads", remedy)
        papers = case.members.authorisations
        for name in sorted({row.regime for row in papers} - names.regimes):
            message = f"an authorisation of {quoted(name)}, a regime of which no rule asks for one"
            fault(case, message, one_of(name, regimes))
        own = (
            {key.text for key, _ in case.catalogue.entries} if isinstance(case.catalogue, documents.Mapping) else set()
        )
        for name in sorted({model for row in papers for model in row.models} - names.items - own):
            near = near_miss(name, tuple(sorted(names.items | own)))
            meant = "" if near is None else f"did you mean {quoted(near)}? "
            remedy = f"{meant}write the id of an entry of the catalogue"
            fault(case, f"an authorisation for {quoted(name)}, which is not in the catalogue", remedy)
    return tuple(faults)
