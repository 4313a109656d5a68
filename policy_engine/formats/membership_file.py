"""The membership file: who is on file with what, from YAML or JSON to rows and back.

A file is a mapping of lists, every one optional: organisations, ownership, people (each with employments, us_status,
citizenships and permanent_residencies), accounts, consortia, memberships, authorisations, draws, listings, statements,
clusters. Reading is all or nothing and reports every fault with its place.

- `from` and `to` are instants or bare dates, null or absent for an open side; `recorded_at` may stand on every row, and
  a row without it is for the importer to date (in a case file it counts as always known).
- A person's list that is absent or null was never filed; `[]` is filed and empty.
- An id that another row names must stand in the file or be on file already.
- A correction repeats a row's key with a later `recorded_at`. Two rows with one key and one instant of recording are a
  fault: equal ones as much as different ones, since two equal shares of 20 % might have been meant to be 40 %.
- An import says nothing about what it leaves out (`membership_merge`).
- Contradictions are refused: rows that overlap and say different things of one thing (`membership_overlaps`), an
  interval that ends before it begins, an owner that owns itself. What counts is what is known in the end, with
  corrections applied.
- The shares in one organisation may add up to more than 100 %: registers overlap, and the ownership measures cope.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from policy_engine.domain.roster import (
    PERSON_PREFIX,
    Authorisation,
    AuthorisationKind,
    ClusterReading,
    Credit,
    RosterRows,
    Stake,
    latest_known,
)
from policy_engine.formats.book_names import BookNames
from policy_engine.formats.documents import Mapping, Node, Scalar, is_null, kind_of, parse_document
from policy_engine.formats.faults import Fault, FaultsError, Findings, near_miss, one_of, quoted, whole
from policy_engine.formats.fields import Fields
from policy_engine.formats.fractions import at_one_time, in_percent, together
from policy_engine.formats.membership_merge import left_as_filed, taken_back
from policy_engine.formats.membership_overlaps import THINGS, find_overlaps
from policy_engine.formats.membership_writer import write_members
from policy_engine.formats.roster_tables import TableForm, read_tables
from policy_engine.shapes.member_rows import BY_ROWS, PERSONAL, SECTIONS, RowField, Section, ValueKind

__all__ = ["NO_ROWS", "members_of", "read_member_tables", "read_members", "write_members"]

NO_ROWS: Final = RosterRows()
"""Nothing on file."""

_MAX_SCHEME: Final = 100
_MAX_SEARCHES: Final = 20
"""Unknown ids for which a near one is looked for; each search looks at every id on file."""


def read_members(
    data: bytes, source: str, existing: RosterRows = NO_ROWS, *, names: BookNames | None = None
) -> RosterRows:
    """The rows of a file to be imported on top of the rows that are on file already.

    `names` are those that the book knows: a listing on a list that no rule reads would bar nobody, an authorisation of
    such a regime or for an item that is not in the catalogue would allow nothing or not what was meant, and each is a
    fault, unless the row takes back what was filed or names what the authorisation on file does. `None` takes every
    name, where there is no book to hold it against.

    Raises `FaultsError` with every fault. A row without `recorded_at` will be recorded by the import, so it counts as
    later than whatever is on file.
    """
    faults: list[Fault] = []
    node = parse_document(data, source, faults)
    if node is None:
        raise FaultsError(faults)
    of_the_form = {(fault.line, fault.column) for fault in faults}
    said: list[Fault] = []
    findings = Findings(source=source, faults=said)
    rows = _Reading(findings=findings, existing=existing, undated_is_last=True, names=names).read(node)
    # What is wrong with the form of a value is not told a second time as a wrong value.
    faults.extend(fault for fault in said if (fault.line, fault.column) not in of_the_form)
    if faults:
        raise FaultsError(faults)
    return rows


def read_member_tables(
    data: bytes,
    source: str,
    existing: RosterRows = NO_ROWS,
    *,
    tables: TableForm,
    names: BookNames | None = None,
) -> RosterRows:
    """As `read_members`, from an XLSX workbook or a CSV file whose rows are of one section (see `roster_tables.py`).

    Raises `FaultsError` with every fault of file and mapping, each at its cell.
    """
    faults: list[Fault] = []
    reading = read_tables(data, source, faults, tables)
    said: list[Fault] = []
    findings = replace(reading.findings, faults=said)
    rows = _Reading(findings=findings, existing=existing, undated_is_last=True, names=names).read(reading.document)
    told = {fault.place for fault in faults}
    faults.extend(fault for fault in said if fault.place not in told)
    if faults:
        raise FaultsError(faults)
    return rows


def members_of(node: Node, source: str, faults: list[Fault], existing: RosterRows = NO_ROWS) -> RosterRows:
    """The rows of a `members` mapping inside another document; faults are added to the list.

    A row without `recorded_at` counts as always known, so it is earlier than any dated row with its key. When faults
    were added, the rows are not to be used.
    """
    findings = Findings(source=source, faults=faults)
    return _Reading(findings=findings, existing=existing, undated_is_last=False).read(node)


@dataclass(slots=True, kw_only=True)
class _Sheet:
    """The rows of a section with their places."""

    section: Section
    rows: list[Any] = field(default_factory=list)
    places: list[Node] = field(default_factory=list)
    held: set[Hashable] = field(default_factory=set)

    def add(self, row: Any, place: Node) -> None:
        if self.section.personal:
            # A second row about a person repeats what was in the first.
            if row in self.held:
                return
            self.held.add(row)
        self.rows.append(row)
        self.places.append(place)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reference:
    """An id that must be on file: in which rows, and where it is named."""

    rows: str
    id: str
    node: Node


@dataclass(slots=True, kw_only=True)
class _Reading:
    """One pass over a `members` mapping: rows by kind, ids that stand in it, and ids that it names."""

    findings: Findings
    existing: RosterRows
    undated_is_last: bool
    names: BookNames | None = None
    sheets: dict[str, _Sheet] = field(
        default_factory=lambda: {name: _Sheet(section=section) for name, section in BY_ROWS.items()}
    )
    """By the names of their rows in `RosterRows`."""
    ids: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    references: list[_Reference] = field(default_factory=list)
    emptied: list[tuple[str, str, datetime | None, Node]] = field(default_factory=list)
    authorisations: defaultdict[str, list[Authorisation]] = field(default_factory=lambda: defaultdict(list))
    """Those on file, by id."""

    def read(self, node: Node) -> RosterRows:
        """Everything in the mapping; faults are in the findings."""
        for row in self.existing.authorisations:
            self.authorisations[row.id].append(row)
        sections = {name: section for name, section in SECTIONS.items() if not section.personal}
        if is_null(node):
            self.findings.add(node.line, node.column, "the members are null", "write {} for a roster without rows")
        elif (fields := Fields.of(node, "the members", tuple(sections), self.findings)) is not None:
            for name, section in sections.items():
                for item in fields.items(name) or ():
                    self._row(section, item)
        if self.undated_is_last:
            self._merge()
        self._check()
        return RosterRows(**{name: tuple(sheet.rows) for name, sheet in self.sheets.items()})

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _row(self, section: Section, node: Node, person: str | None = None) -> None:
        """A row of a section; one of a person's list is that person's."""
        fields = Fields.of(node, section.a, section.names, self.findings)
        if fields is None:
            return
        given = {**section.absent, **self._given(section, fields)}
        if person is not None:
            given["person"] = person
        if given.get("id") is not None:
            # It is on file even when the rest of the row is not readable.
            self.ids[section.rows].add(given["id"])
        for one in PERSONAL if section.rows == "people" else ():
            self._list(one, fields, given, node)
        if self._fits(section, fields, given) and None not in [given[name] for name in section.needed]:
            self.sheets[section.rows].add(section.row(**given), node)

    def _given(self, section: Section, fields: Fields) -> dict[str, Any]:
        """What is said of the row's fields. Faults are in the findings."""
        given: dict[str, Any] = {}
        for member in section.members:
            if not (member.required or member.name in fields.values) or member.value in _READ_APART:
                continue
            value = _READERS.get(member.value, _Reading._plain)(self, fields, member)
            if value is not None:
                given.update(zip(member.fields, value if member.value is ValueKind.SHARE else (value,), strict=True))
        if section.dated:
            given["valid"] = fields.validity()
        given["recorded_at"], given["retracted"] = fields.instant("recorded_at"), fields.flag("retracted") is True
        return given

    def _list(self, section: Section, fields: Fields, given: dict[str, Any], node: Node) -> None:
        """One of a person's lists."""
        items = fields.items(section.name)
        given[f"{section.name}_filed"] = items is not None
        for item in items or ():
            self._row(section, item, given["id"] or "")
        if items == ():
            self.emptied.append((section.rows, given["id"] or "", given["recorded_at"], node))

    def _plain(self, fields: Fields, member: RowField) -> object | None:
        value = fields.value(member)
        if value is None or (member.refers is None and member.value is not ValueKind.ID):
            return value
        if isinstance(value, str) and value.startswith(PERSON_PREFIX):
            message = f"{quoted(member.name)} {quoted(value)} has the prefix `person:`"
            fields.fault(member.name, message, "only `owner` and `party` have it, where the id of a person stands")
            return None
        nodes = fields.items(member.name) if member.many else (fields.values[member.name],)
        read = value if isinstance(value, tuple) else (value,)
        for node in nodes or ():
            if member.refers and isinstance(node, Scalar) and node.value in read:
                self.references.append(_Reference(rows=member.refers, id=node.text, node=node))
        return value

    def _party(self, fields: Fields, member: RowField) -> str | None:
        """An organisation's id, or `person:` and a person's."""
        name, value = member.name, fields.value(member)
        if not isinstance(value, str):
            return None
        rows, person = "organisations", value
        if value.startswith(PERSON_PREFIX):
            rows, person = "people", value.removeprefix(PERSON_PREFIX)
            if not person or person != person.strip() or person.startswith(PERSON_PREFIX):
                fields.fault(name, f"{quoted(name)} {quoted(value)} names nobody", "write person: and the person's id")
                return None
        self.references.append(_Reference(rows=rows, id=person, node=fields.values[name]))
        return value

    def _identifiers(self, fields: Fields, member: RowField) -> tuple[tuple[str, str | None], ...] | None:
        name, node = member.name, fields.node_of(member.name)
        if node is None:
            return None
        if not isinstance(node, Mapping):
            fields.fault(name, f"{quoted(name)} must be a mapping and is {kind_of(node)}", "write {lei: null} or {}")
            return None
        found: list[tuple[str, str | None]] = []
        for key, value in node.entries:
            scheme = fields.name_of(name, key)
            if len(key.text) > _MAX_SCHEME:
                message = f"the name of the identifier {quoted(key.text)} is longer than {_MAX_SCHEME} characters"
                self.findings.add(key.line, key.column, message, "write a short name such as lei")
            number = None if is_null(value) else fields.name_of(key.text, value)
            if scheme is not None:
                found.append((scheme, number))
        return tuple(found)

    def _mapping(self, fields: Fields, member: RowField) -> object | None:
        """A credit, or the number of a cap. Null is no cap; a cap that is written says its number, so that an
        unreadable one cannot pass for none."""
        node = fields.node_of(member.name)
        inside = None if node is None else Fields.of(node, member.a, _named(member), self.findings)
        if inside is None:
            return None
        values: dict[str, Any] = {one.name: inside.value(one) for one in member.inside}
        if None in values.values():
            return None
        return Credit(**values) if member.name == "credit" else values[member.fields[0]]

    def _share(self, fields: Fields, member: RowField) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
        """The share as filed: exactly, at least and at most; two equal bounds are exact."""
        node = fields.node_of(member.name)
        if not isinstance(node, Mapping):
            return None if node is None else fields.percent_of(member.name, node), None, None
        share = Fields.of(node, member.a, _named(member), self.findings)
        if share is None:
            return None, None, None
        before = len(self.findings.faults)
        minimum, maximum = (
            None if (one := share.node_of(name)) is None else share.percent_of(name, one) for name in _named(member)
        )
        if len(self.findings.faults) > before:
            return None, None, None
        if minimum is None and maximum is None:
            fields.fault("percent", "the share has neither `minimum` nor `maximum`", "write null for an unknown share")
        elif minimum is not None and maximum is not None and minimum > maximum:
            message = f"`minimum` {minimum:f} is larger than `maximum` {maximum:f}"
            fields.fault("percent", message, "write the smaller number as `minimum`")
        elif minimum == maximum:
            return minimum, None, None
        return None, minimum, maximum

    def _fits(self, section: Section, fields: Fields, given: dict[str, Any]) -> bool:
        """What a row may not say although each of its fields is readable."""
        match section.rows:
            case "stakes" if given["owner"] == given["owned"] and None not in (given["owner"], given["valid"]):
                message = f"the organisation {quoted(given['owner'])} is written as its own owner"
                fields.fault("owned", message, "write another owner, or remove the row: own shares have no owner")
                return False
            case "listings":
                return self._is_read(fields, given["list"], retracted=given["retracted"])
            case "authorisations":
                if None not in [given[name] for name in ("id", "regime", "kind", "holder", "models")]:
                    self._check_scope(fields, given)
                if given["employees_only"] is (given["kind"] is AuthorisationKind.LICENCE):
                    # Written or not, what holds for the kind is one and the same row.
                    given["employees_only"] = None
        return True

    def _is_read(self, fields: Fields, name: str | None, *, retracted: bool) -> bool:
        """Whether a rule reads the list."""
        if name is None or self.names is None or name in self.names.lists or retracted:
            return True
        known = tuple(sorted(self.names.lists))
        meant = meant_list(name, known)
        remedy = (
            one_of(name, known) if meant is None else f"did you mean {quoted(meant)}? write one of {', '.join(known)}"
        )
        fields.fault("list", f"no rule reads the list {quoted(name)}, so that the listing would bar nobody", remedy)
        return False

    def _check_scope(self, fields: Fields, given: dict[str, Any]) -> None:
        """What is on file already stays fileable: a book may have dropped a model for which there was a licence."""
        names = self.names
        if names is None or given["retracted"]:
            return
        regime, filed = given["regime"], self.authorisations[given["id"]]
        if regime not in names.regimes and not any(row.regime == regime for row in filed):
            message = f"no rule asks for an authorisation of the regime {quoted(regime)}"
            fields.fault("regime", message, one_of(regime, tuple(sorted(names.regimes))))
        aliases = dict(names.aliases)
        for model, node in zip(given["models"], fields.items("models") or (), strict=True):
            if model in names.items or any(model in row.models for row in filed):
                continue
            near = near_miss(model, tuple(sorted(names.items)))
            remedy = "write the id of an entry of catalogue.yaml, or add the entry first"
            if model in aliases:
                remedy = f"it is a gateway's name for {quoted(aliases[model])}: write that"
            elif near is not None:
                remedy = f"did you mean {quoted(near)}? {remedy}"
            self.findings.add(node.line, node.column, f"the catalogue has no entry {quoted(model)}", remedy)

    # --- what holds between rows --------------------------------------------------------------------------------------

    def _check(self) -> None:
        self._check_references()
        for sheet in self.sheets.values():
            self._check_once(sheet)
        for thing in THINGS:
            # In a case file rows may overlap: the one that allows least counts, save for a person's US status.
            if self.undated_is_last or thing.always:
                sheet = self.sheets[thing.section.rows]
                existing = getattr(self.existing, thing.section.rows)
                find_overlaps(
                    thing, sheet.rows, sheet.places, existing, self.findings, undated_is_last=self.undated_is_last
                )
        if self.undated_is_last:
            self._check_fractions()

    def _check_references(self) -> None:
        on_file = {
            rows: self.ids[rows] | {row.id for row in getattr(self.existing, rows)}
            for rows in ("organisations", "people", *{reference.rows for reference in self.references})
        }
        searched: dict[tuple[str, str], str | None] = {}
        for reference in self.references:
            if reference.id in on_file[reference.rows]:
                continue
            wanted = (reference.rows, reference.id)
            if wanted not in searched and len(searched) < _MAX_SEARCHES:
                searched[wanted] = _near_id(reference.id, on_file[reference.rows])
            near, section = searched.get(wanted), BY_ROWS[reference.rows]
            remedy = f"add it to {quoted(section.name)}"
            if near is not None:
                remedy = f"did you mean {quoted(near)}? otherwise {remedy}"
            elif reference.rows == "organisations" and reference.id in on_file["people"]:
                remedy = f"a person has this id; where persons may stand, write {quoted(PERSON_PREFIX + reference.id)}"
            message = f"the {section.what} {quoted(reference.id)} is not on file"
            self.findings.add(reference.node.line, reference.node.column, message, remedy)

    def _check_once(self, sheet: _Sheet) -> None:
        """No two rows of the file with one key and one instant of recording, and none that rewrites a row on file."""
        first: dict[tuple[Hashable, datetime | None], int] = {}
        dated: set[tuple[Hashable, datetime | None]] = set()
        for index, row in enumerate(sheet.rows):
            mark = (_identity(row), row.recorded_at)
            if row.recorded_at is not None:
                dated.add(mark)
            held = first.setdefault(mark, index)
            if held == index:
                continue
            place = sheet.places[index]
            same = "" if sheet.rows[held] == row else " with other values"
            other = self.findings.where(sheet.places[held].line)
            message = f"the {_called(sheet.section, row)} on {other} is repeated here{same}"
            remedy = "remove one of the two, or give the one that corrects the other a later `recorded_at`"
            self.findings.add(place.line, place.column, message, remedy)
        for row in getattr(self.existing, sheet.section.rows) if dated else ():
            mark = (_identity(row), row.recorded_at)
            if mark in dated and sheet.rows[first[mark]] != row:
                place, called = sheet.places[first[mark]], _called(sheet.section, row)
                message = f"the {called} is on file with other values recorded at the same instant"
                self.findings.add(place.line, place.column, message, "give the correction a later `recorded_at`")

    def _check_fractions(self) -> None:
        """Shares that together, or at one time, are at most 1 are taken for fractions of one, as registers write them.

        A history is read as it was recorded, and a share with its sign (`0.51 %`) or as a range is meant.
        """
        stakes = self.sheets["stakes"]
        asked: defaultdict[str, list[tuple[Stake, Scalar]]] = defaultdict(list)
        for row, place in zip(stakes.rows, stakes.places, strict=True):
            node = place.get("percent") if isinstance(place, Mapping) else None
            if row.percent is None or row.recorded_at is not None or not isinstance(node, Scalar):
                continue
            if not node.text.endswith("%"):
                asked[row.owned].append((row, node))
        if not asked:
            return
        rows = (*self.existing.stakes, *stakes.rows)
        known: defaultdict[str, list[Stake]] = defaultdict(list)
        for row in latest_known((row for row in rows if row.owned in asked), None):
            known[row.owned].append(row)
        for owned, shares in asked.items():
            total, doubted = together(known[owned]), [row for row, _ in shares]
            if not 0 < total <= 1:
                found = at_one_time(known[owned], doubted)
                total, doubted = together(found), [row for row in doubted if row in found]
            for row, node in shares:
                if total and row.percent is not None and row in doubted:
                    message = (
                        f"the shares in {quoted(owned)} add up to {total:f}, as fractions of one would: "
                        f"{quoted(f'{row.percent:f}')} would be at most one per cent"
                    )
                    told, meant = whole(in_percent(row.percent)), whole(f"{row.percent:f} %")
                    remedy = (
                        f"percent is asked: write {told or 'a hundred times as much'};"
                        f" if the fraction of a per cent is meant, {meant or 'write the sign of per cent after it'}"
                    )
                    self.findings.add(node.line, node.column, message, remedy)

    def _merge(self) -> None:
        """What the file leaves out stays as it is on file, and an empty list takes back what is there."""
        for name, sheet in self.sheets.items():
            sheet.rows[:] = left_as_filed(sheet.rows, sheet.places, getattr(self.existing, name), self.findings)
        for name, person, recorded_at, place in self.emptied:
            sheet = self.sheets[name]
            if not any(row.person == person for row in sheet.rows):
                held = (row for row in getattr(self.existing, name) if row.person == person)
                for row in taken_back(held, recorded_at):
                    sheet.add(row, place)


_READ_APART: Final = frozenset({ValueKind.BEGIN, ValueKind.END, ValueKind.ROWS})
"""An interval is read at once, and a person's lists when it is known whose they are."""
_READERS: Final[dict[ValueKind, Callable[[_Reading, Fields, RowField], Any]]] = {
    ValueKind.PARTY: _Reading._party,
    ValueKind.SHARE: _Reading._share,
    ValueKind.MAPPING: _Reading._mapping,
    ValueKind.IDENTIFIERS: _Reading._identifiers,
}


def _named(member: RowField) -> tuple[str, ...]:
    return tuple(one.name for one in member.inside)


def _identity(row: Any) -> Hashable:
    """What a row may be filed under once; of a cluster there is one reading of an instant."""
    key: Hashable = (row.id, row.as_of) if isinstance(row, ClusterReading) else row.key
    return key


def _called(section: Section, row: Any) -> str:
    return f"{section.what} {quoted(row.id)}" if section.named_by == ("id",) else section.what


def meant_list(name: str, known: Collection[str]) -> str | None:
    """The list that was meant by another spelling of its code, or by a name that its publisher gives it."""
    folded = " ".join(re.findall(r"[a-z0-9]+", name.lower()))
    for code in known:
        names = (code.lower(), *_LIST_NAMES.get(code, ()))
        if any(f" {one} " in f" {folded} " for one in names):
            return code
    return None


_LIST_NAMES: Final = {
    "EL": ("entity list",),
    "MEU": ("military end user list", "military end user meu list", "military end user"),
    "SDN": ("specially designated nationals", "specially designated national"),
    "UVL": ("unverified list",),
    "DPL": ("denied persons list",),
    "DTC": ("aeca debarred list", "itar debarred"),
}
"""Names by which the publishers of lists, and those who copy them, call them."""


def _near_id(unknown: str, on_file: set[str]) -> str | None:
    """An id on file of nearly the same length that looks like the unknown one."""
    length = len(unknown)
    return near_miss(unknown, tuple(sorted(one for one in on_file if abs(len(one) - length) <= 2)))
