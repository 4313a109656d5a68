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
from policy_engine.domain.request import Caller, Request
from policy_engine.domain.roster import Roster, RosterRows
from policy_engine.domain.rules import Enforcement
from policy_engine.domain.spelling import one_spelling
from policy_engine.formats import documents
from policy_engine.formats.book_names import BookNames
from policy_engine.formats.documents import Node, parse_document, plain
from policy_engine.formats.faults import Fault, FaultsError, Findings, near_miss, one_of, quoted
from policy_engine.formats.membership_file import meant_list, members_of
from policy_engine.formats.request_document import MalformedRequest, request_of
from policy_engine.policy.fields import BookFields, Values
from policy_engine.policy.names import known_in
from policy_engine.policy.reader import CASE_SUFFIX, read_files, read_folder, refuse_stray_cases

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
    faults: list[Fault] = []
    refuse_stray_cases(place, faults, of_book=False)
    paths = {f"{prefix}{path.name}": path for path in sorted(place.glob(f"*{CASE_SUFFIX}"))}
    remedy = f"the case files of a folder have at most {LARGEST_CASES:,} bytes"
    files = read_files(paths, within.resolve(), faults, room=LARGEST_CASES, remedy=remedy)
    if faults:
        raise FaultsError(faults)
    return files


def read_case_files(files: Mapping[str, bytes]) -> list[Case]:
    """Every case of the files, in the order of their names. Raises `FaultsError`."""
    faults: list[Fault] = []
    cases: dict[str, Case] = {}
    for name, data in sorted(files.items()):
        root = parse_document(data, name, faults)
        values = Values(Findings(source=name, faults=faults))
        if not isinstance(root, documents.Sequence):
            place = (1, 1) if root is None else (root.line, root.column)
            values.findings.add(
                *place, "a case file is a list of cases", "write each as `- id: ...` with its facts below"
            )
            continue
        for item in root.items:
            case = _case(item, name, values, faults)
            if case is None:
                continue
            if case.id in cases:
                message = f"duplicate case {quoted(case.id)}: {cases[case.id].source} has one already"
                values.add(item, message, "give one of them another id")
            cases[case.id] = case
    if faults:
        raise FaultsError(faults)
    return list(cases.values())


def _case(node: Node, source: str, values: Values, faults: list[Fault]) -> Case | None:
    before = len(faults)
    fields = BookFields(values, node, "a case")
    identifier, title = values.text(fields.required("id")), values.text(fields.optional("title"))
    fields.optional("note")
    at, known_at = values.instant(fields.required("at")), values.instant(fields.optional("known_at"))
    gateway, catalogue = values.text(fields.optional("gateway")), fields.optional("catalogue")
    members_node, request_node = fields.optional("members"), fields.required("request")
    members = RosterRows() if members_node is None else members_of(members_node, source, faults)
    settings = BookFields(values, fields.optional("settings"), "`settings`")
    assertable = values.names(settings.optional("assertable"), "`assertable`", _assertable)
    enforcement = [
        (key.text, values.choice(held, Enforcement))
        for key, held in values.entries(settings.optional("enforcement"), "`enforcement`")
    ]
    settings.finish()
    expect = _expectation(fields.required("expect"), values)
    fields.finish()
    mapping = values.mapping(request_node, "`request`")
    document = None if mapping is None else plain(mapping)
    if not isinstance(document, dict) or len(faults) > before:
        return None
    try:
        request = request_of(document)
    except MalformedRequest as error:
        for one in error.faults:
            values.add(mapping or node, f"request: {one.field} {one.message}", "")
        return None
    if identifier is None or at is None or expect is None:
        return None
    return Case(
        id=identifier,
        title=title or "",
        source=source,
        line=node.line,
        at=at,
        known_at=known_at or at,
        gateway=gateway,
        members=members,
        catalogue=catalogue,
        enforcement=tuple((rule, kind.value) for rule, kind in enforcement if kind is not None),
        assertable=frozenset(assertable),
        document=document,
        request=request,
        expect=expect,
    )


_assertable: Final = known_in("assertable property", ASSERTABLE)
_decision: Final = known_in("decision", ("allow", "deny"))


def _expectation(node: Node | None, values: Values) -> Expectation | None:
    fields = BookFields(values, node, "`expect`")

    def texts(name: str) -> tuple[str, ...] | None:
        wanted = fields.optional(name)
        return None if wanted is None else values.each(wanted, f"`{name}`", values.text)

    decision, reason = values.checked(fields.required("decision"), _decision), values.text(fields.optional("reason"))
    expect = Expectation(
        decision=decision or "",
        hold=values.boolean(fields.optional("hold")),
        codes=tuple(map(one_spelling, texts("codes") or ())),
        only_rules=texts("only_rules"),
        not_codes=tuple(map(one_spelling, texts("not_codes") or ())),
        rules=texts("rules") or (),
        reason=None if reason is None else one_spelling(reason),
        other=texts("other") or (),
        missing=texts("missing"),
        obligations=texts("obligations") or (),
        alternatives=texts("alternatives"),
        remedies=texts("remedies") or (),
        valid_until=values.instant(fields.optional("valid_until")),
    )
    fields.finish()
    return None if decision is None else expect


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
        authorisations = case.members.authorisations
        for name in sorted({row.regime for row in authorisations} - names.regimes):
            message = f"an authorisation of {quoted(name)}, a regime of which no rule asks for one"
            fault(case, message, one_of(name, regimes))
        own = (
            {key.text for key, _ in case.catalogue.entries} if isinstance(case.catalogue, documents.Mapping) else set()
        )
        for name in sorted({model for row in authorisations for model in row.models} - names.items - own):
            near = near_miss(name, tuple(sorted(names.items | own)))
            meant = "" if near is None else f"did you mean {quoted(near)}? "
            remedy = f"{meant}write the id of an entry of the catalogue"
            fault(case, f"an authorisation for {quoted(name)}, which is not in the catalogue", remedy)
    return tuple(faults)
