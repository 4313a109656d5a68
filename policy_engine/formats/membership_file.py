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
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final, Generic, TypeVar

from policy_engine.domain.request import Action
from policy_engine.domain.roster import (
    PERSON_PREFIX,
    Account,
    AccountKind,
    Authorisation,
    AuthorisationKind,
    Citizenship,
    ClusterReading,
    Consortium,
    Credit,
    Draw,
    Employment,
    EmploymentKind,
    Listing,
    ListingStatus,
    Membership,
    MembershipStatus,
    Organisation,
    PermanentResidency,
    PersonEntry,
    Recorded,
    RosterRows,
    Sector,
    Stake,
    Statement,
    StatementKind,
    UsStatus,
    UsStatusKind,
    latest_known,
)
from policy_engine.formats.book_names import BookNames
from policy_engine.formats.documents import Mapping, Node, Scalar, is_null, kind_of, parse_document
from policy_engine.formats.faults import Fault, FaultsError, Findings, near_miss, one_of, quoted, whole
from policy_engine.formats.fields import Fields
from policy_engine.formats.fractions import at_one_time, in_percent, together
from policy_engine.formats.membership_merge import left_as_filed, taken_back
from policy_engine.formats.membership_overlaps import (
    AUTHORISATION,
    EMPLOYMENT,
    LISTING,
    MEMBERSHIP,
    STATEMENT,
    US_STATUS,
    Dated,
    Thing,
    find_overlaps,
)
from policy_engine.formats.membership_writer import write_members
from policy_engine.formats.roster_tables import TableForm, read_tables

__all__ = ["NO_ROWS", "members_of", "read_member_tables", "read_members", "write_members"]

NO_ROWS: Final = RosterRows()
"""Nothing on file."""

_MAX_SCHEME: Final = 100
_MAX_SEARCHES: Final = 20
"""Unknown ids for which a near one is looked for; each search looks at every id on file."""

R = TypeVar("R", bound=Recorded)
D = TypeVar("D", bound=Dated)


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
class _Sheet(Generic[R]):
    """The rows of one kind with their places.

    A row in a person's list may be `repeatable`: a second row about the person repeats what was in the first.
    """

    what: str
    repeatable: bool = False
    rows: list[R] = field(default_factory=list)
    places: list[Node] = field(default_factory=list)
    held: set[R] = field(default_factory=set)

    def add(self, row: R, place: Node) -> None:
        if self.repeatable:
            if row in self.held:
                return
            self.held.add(row)
        self.rows.append(row)
        self.places.append(place)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reference:
    """An id that must be on file: of which kind, and where it is named."""

    kind: str
    id: str
    node: Node


_ORGANISATION: Final = "organisation"
_PERSON: Final = "person"
_CONSORTIUM: Final = "consortium"
_AUTHORISATION: Final = "authorisation"
_CLUSTER: Final = "cluster"
_SECTION_OF: Final = {
    _ORGANISATION: "organisations",
    _PERSON: "people",
    _CONSORTIUM: "consortia",
    _AUTHORISATION: "authorisations",
    _CLUSTER: "clusters",
}

_ROWS_OF: Final = {
    "employments": "employments",
    "us_status": "us_statuses",
    "citizenships": "citizenships",
    "permanent_residencies": "permanent_residencies",
}
"""Where the rows of a person's list are, by its name in a file."""

_INTERVAL: Final = ("from", "to")
_ORGANISATION_FIELDS: Final = (
    "id",
    "name",
    "kind",
    "incorporated",
    "headquarters",
    "contract_country",
    "sector",
    "reseller",
    "identifiers",
    "aliases",
)
_MEMBERSHIP_FIELDS: Final = ("organisation", "consortium", *_INTERVAL, "status", "seats", "credit")
_ACCOUNT_FIELDS: Final = ("id", "kind", "organisation", "person", "gateway", "cluster", *_INTERVAL)
_AUTHORISATION_FIELDS: Final = (
    "id",
    "regime",
    "kind",
    "holder",
    "models",
    "actions",
    "countries",
    *_INTERVAL,
    "cap",
    "conditions",
    "persons",
    "nationalities",
    "employees_only",
    "purposes",
)
_LISTING_FIELDS: Final = (
    "party",
    "list",
    "entry",
    "entry_version",
    "reference",
    "status",
    "cleared_version",
    "programmes",
    "requirement",
    *_INTERVAL,
)


@dataclass(slots=True, kw_only=True)
class _Reading:
    """One pass over a `members` mapping: rows by kind, ids that stand in it, and ids that it names."""

    findings: Findings
    existing: RosterRows
    undated_is_last: bool
    names: BookNames | None = None
    organisations: _Sheet[Organisation] = field(default_factory=lambda: _Sheet(what="organisation"))
    people: _Sheet[PersonEntry] = field(default_factory=lambda: _Sheet(what="person"))
    employments: _Sheet[Employment] = field(default_factory=lambda: _Sheet(what="employment", repeatable=True))
    us_statuses: _Sheet[UsStatus] = field(default_factory=lambda: _Sheet(what="US status", repeatable=True))
    citizenships: _Sheet[Citizenship] = field(default_factory=lambda: _Sheet(what="citizenship", repeatable=True))
    residencies: _Sheet[PermanentResidency] = field(
        default_factory=lambda: _Sheet(what="permanent residency", repeatable=True)
    )
    accounts: _Sheet[Account] = field(default_factory=lambda: _Sheet(what="account"))
    consortia: _Sheet[Consortium] = field(default_factory=lambda: _Sheet(what="consortium"))
    memberships: _Sheet[Membership] = field(default_factory=lambda: _Sheet(what="membership"))
    stakes: _Sheet[Stake] = field(default_factory=lambda: _Sheet(what="share"))
    authorisations: _Sheet[Authorisation] = field(default_factory=lambda: _Sheet(what="authorisation"))
    draws: _Sheet[Draw] = field(default_factory=lambda: _Sheet(what="draw"))
    listings: _Sheet[Listing] = field(default_factory=lambda: _Sheet(what="listing"))
    statements: _Sheet[Statement] = field(default_factory=lambda: _Sheet(what="statement"))
    clusters: _Sheet[ClusterReading] = field(default_factory=lambda: _Sheet(what="cluster"))
    ids: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    references: list[_Reference] = field(default_factory=list)
    emptied: list[tuple[str, str, datetime | None, Node]] = field(default_factory=list)
    papers: defaultdict[str, list[Authorisation]] = field(default_factory=lambda: defaultdict(list))
    """Authorisations on file, by id."""

    def read(self, node: Node) -> RosterRows:
        """Everything in the mapping; faults are in the findings."""
        sections: dict[str, Callable[[Node], None]] = {
            "organisations": self._organisation,
            "ownership": self._stake,
            "people": self._person,
            "accounts": self._account,
            "consortia": self._consortium,
            "memberships": self._membership,
            "authorisations": self._authorisation,
            "draws": self._draw,
            "listings": self._listing,
            "statements": self._statement,
            "clusters": self._cluster,
        }
        for row in self.existing.authorisations:
            self.papers[row.id].append(row)
        if is_null(node):
            self.findings.add(node.line, node.column, "the members are null", "write {} for a roster without rows")
        elif (fields := Fields.of(node, "the members", tuple(sections), self.findings)) is not None:
            for name, read in sections.items():
                for item in fields.items(name) or ():
                    read(item)
        if self.undated_is_last:
            self._merge()
        self._check()
        return RosterRows(
            organisations=tuple(self.organisations.rows),
            people=tuple(self.people.rows),
            employments=tuple(self.employments.rows),
            us_statuses=tuple(self.us_statuses.rows),
            citizenships=tuple(self.citizenships.rows),
            permanent_residencies=tuple(self.residencies.rows),
            accounts=tuple(self.accounts.rows),
            consortia=tuple(self.consortia.rows),
            memberships=tuple(self.memberships.rows),
            stakes=tuple(self.stakes.rows),
            authorisations=tuple(self.authorisations.rows),
            draws=tuple(self.draws.rows),
            listings=tuple(self.listings.rows),
            statements=tuple(self.statements.rows),
            clusters=tuple(self.clusters.rows),
        )

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _fields(self, node: Node, what: str, *known: str) -> Fields | None:
        return Fields.of(node, what, (*known, "recorded_at", "retracted"), self.findings)

    def _id(self, fields: Fields, kind: str) -> str | None:
        """The row's own id. It is on file even when the rest of the row is not readable."""
        value = self._unprefixed(fields, "id", fields.name("id", required=True))
        if value is not None:
            self.ids[kind].add(value)
        return value

    def _named(self, fields: Fields, name: str, kind: str, *, required: bool = True) -> str | None:
        """The id of another row."""
        return self._refer(fields, name, kind, self._unprefixed(fields, name, fields.name(name, required=required)))

    def _party(self, fields: Fields, name: str) -> str | None:
        """An organisation's id, or `person:` and a person's."""
        value = fields.name(name, required=True)
        if value is None or not value.startswith(PERSON_PREFIX):
            return self._refer(fields, name, _ORGANISATION, value)
        person = value.removeprefix(PERSON_PREFIX)
        if not person or person != person.strip() or person.startswith(PERSON_PREFIX):
            fields.fault(name, f"{quoted(name)} {quoted(value)} names nobody", "write person: and the person's id")
            return None
        self._refer(fields, name, _PERSON, person)
        return value

    def _unprefixed(self, fields: Fields, name: str, value: str | None) -> str | None:
        if value is None or not value.startswith(PERSON_PREFIX):
            return value
        message = f"{quoted(name)} {quoted(value)} has the prefix `person:`"
        fields.fault(name, message, "only `owner` and `party` have it, where the id of a person stands")
        return None

    def _refer(self, fields: Fields, name: str, kind: str, value: str | None) -> str | None:
        if value is not None:
            self.references.append(_Reference(kind=kind, id=value, node=fields.values[name]))
        return value

    def _organisation(self, node: Node) -> None:
        fields = self._fields(node, "an organisation", *_ORGANISATION_FIELDS)
        if fields is None:
            return
        id_ = self._id(fields, _ORGANISATION)
        row = Organisation(
            id=id_ or "",
            name=fields.text("name"),
            kind=fields.text("kind"),
            incorporated=fields.country("incorporated"),
            headquarters=fields.country("headquarters"),
            contract_country=fields.country("contract_country"),
            sector=fields.choice("sector", Sector),
            reseller=fields.flag("reseller"),
            identifiers=self._identifiers(fields),
            aliases=fields.texts("aliases"),
            recorded_at=fields.instant("recorded_at"),
            retracted=_retracted(fields),
        )
        if id_ is not None:
            self.organisations.add(row, node)

    def _identifiers(self, fields: Fields) -> tuple[tuple[str, str | None], ...] | None:
        node = fields.node_of("identifiers")
        if node is None:
            return None
        if not isinstance(node, Mapping):
            message = f"`identifiers` must be a mapping and is {kind_of(node)}"
            fields.fault("identifiers", message, "write {lei: null} or {}")
            return None
        found: list[tuple[str, str | None]] = []
        for key, value in node.entries:
            scheme = fields.name_of("identifiers", key)
            if len(key.text) > _MAX_SCHEME:
                message = f"the name of the identifier {quoted(key.text)} is longer than {_MAX_SCHEME} characters"
                self.findings.add(key.line, key.column, message, "write a short name such as lei")
            number = None if is_null(value) else fields.name_of(key.text, value)
            if scheme is not None:
                found.append((scheme, number))
        return tuple(found)

    def _stake(self, node: Node) -> None:
        fields = self._fields(node, "an ownership row", "owner", "owned", "percent", *_INTERVAL, "evidence")
        if fields is None:
            return
        owner, owned = self._party(fields, "owner"), self._named(fields, "owned", _ORGANISATION)
        (percent, minimum, maximum), evidence = self._share(fields), fields.text("evidence")
        valid, recorded_at = fields.validity(), fields.instant("recorded_at")
        if owner is None or owned is None or valid is None:
            return
        if owner == owned:
            message = f"the organisation {quoted(owner)} is written as its own owner"
            fields.fault("owned", message, "write another owner, or remove the row: own shares have no owner")
            return
        self.stakes.add(
            Stake(
                owner=owner,
                owned=owned,
                percent=percent,
                minimum=minimum,
                maximum=maximum,
                evidence=evidence,
                valid=valid,
                recorded_at=recorded_at,
                retracted=_retracted(fields),
            ),
            node,
        )

    def _share(self, fields: Fields) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
        """The share as filed: exactly, at least and at most; two equal bounds are exact."""
        node = fields.node_of("percent")
        if not isinstance(node, Mapping):
            return fields.percent("percent"), None, None
        share = Fields.of(node, "a share", ("minimum", "maximum"), self.findings)
        if share is None:
            return None, None, None
        before = len(self.findings.faults)
        minimum, maximum = share.percent("minimum"), share.percent("maximum")
        if len(self.findings.faults) > before:
            return None, None, None
        if minimum is None and maximum is None:
            fields.fault("percent", "the share has neither `minimum` nor `maximum`", "write null for an unknown share")
        elif minimum is not None and maximum is not None and minimum > maximum:
            message = f"the share is at least {minimum:f} and at most {maximum:f}, which nothing is"
            fields.fault("percent", message, "write the smaller number as `minimum`")
        elif minimum == maximum:
            return minimum, None, None
        return None, minimum, maximum

    def _person(self, node: Node) -> None:
        lists: dict[str, Callable[[Node, str], None]] = {
            "employments": self._employment,
            "us_status": self._us_status,
            "citizenships": self._citizenship,
            "permanent_residencies": self._residency,
        }
        fields = self._fields(node, "a person", "id", *lists)
        if fields is None:
            return
        id_ = self._id(fields, _PERSON)
        filed = {name: fields.items(name) for name in lists}
        row = PersonEntry(
            id=id_ or "",
            employments_filed=filed["employments"] is not None,
            us_status_filed=filed["us_status"] is not None,
            citizenships_filed=filed["citizenships"] is not None,
            permanent_residencies_filed=filed["permanent_residencies"] is not None,
            recorded_at=fields.instant("recorded_at"),
            retracted=_retracted(fields),
        )
        for name, read in lists.items():
            for item in filed[name] or ():
                read(item, row.id)
            if filed[name] == ():
                self.emptied.append((_ROWS_OF[name], row.id, row.recorded_at, node))
        if id_ is not None:
            self.people.add(row, node)

    def _employment(self, node: Node, person: str) -> None:
        fields = self._fields(node, "an employment", "organisation", "kind", *_INTERVAL)
        if fields is None:
            return
        organisation = self._named(fields, "organisation", _ORGANISATION)
        kind = fields.choice("kind", EmploymentKind, required=True)
        valid, recorded_at = fields.validity(), fields.instant("recorded_at")
        if organisation is not None and kind is not None and valid is not None:
            self.employments.add(
                Employment(
                    person=person,
                    organisation=organisation,
                    kind=kind,
                    valid=valid,
                    recorded_at=recorded_at,
                    retracted=_retracted(fields),
                ),
                node,
            )

    def _us_status(self, node: Node, person: str) -> None:
        fields = self._fields(node, "a US status", "kind", *_INTERVAL)
        if fields is None:
            return
        kind = fields.choice("kind", UsStatusKind, required=True)
        valid, recorded_at = fields.validity(), fields.instant("recorded_at")
        if kind is not None and valid is not None:
            self.us_statuses.add(
                UsStatus(person=person, kind=kind, valid=valid, recorded_at=recorded_at, retracted=_retracted(fields)),
                node,
            )

    def _citizenship(self, node: Node, person: str) -> None:
        fields = self._fields(node, "a citizenship", "country", *_INTERVAL)
        if fields is None:
            return
        country = fields.country("country", required=True)
        valid, recorded_at = fields.validity(), fields.instant("recorded_at")
        if country is not None and valid is not None:
            self.citizenships.add(
                Citizenship(
                    person=person, country=country, valid=valid, recorded_at=recorded_at, retracted=_retracted(fields)
                ),
                node,
            )

    def _residency(self, node: Node, person: str) -> None:
        fields = self._fields(node, "a permanent residency", "country", *_INTERVAL)
        if fields is None:
            return
        country = fields.country("country", required=True)
        valid, recorded_at = fields.validity(), fields.instant("recorded_at")
        if country is not None and valid is not None:
            self.residencies.add(
                PermanentResidency(
                    person=person, country=country, valid=valid, recorded_at=recorded_at, retracted=_retracted(fields)
                ),
                node,
            )

    def _account(self, node: Node) -> None:
        fields = self._fields(node, "an account", *_ACCOUNT_FIELDS)
        if fields is None:
            return
        id_ = self._id(fields, "account")
        kind = fields.choice("kind", AccountKind, required=True)
        organisation = self._named(fields, "organisation", _ORGANISATION)
        person = self._named(fields, "person", _PERSON, required=False)
        gateway = fields.name("gateway")
        cluster = self._named(fields, "cluster", _CLUSTER, required=False)
        valid, recorded_at = fields.validity(), fields.instant("recorded_at")
        if id_ is not None and kind is not None and organisation is not None and valid is not None:
            self.accounts.add(
                Account(
                    id=id_,
                    kind=kind,
                    organisation=organisation,
                    person=person,
                    gateway=gateway,
                    cluster=cluster,
                    valid=valid,
                    recorded_at=recorded_at,
                    retracted=_retracted(fields),
                ),
                node,
            )

    def _consortium(self, node: Node) -> None:
        fields = self._fields(node, "a consortium", "id", "name")
        if fields is None:
            return
        id_, name, recorded_at = self._id(fields, _CONSORTIUM), fields.text("name"), fields.instant("recorded_at")
        if id_ is not None:
            self.consortia.add(
                Consortium(id=id_, name=name, recorded_at=recorded_at, retracted=_retracted(fields)), node
            )

    def _membership(self, node: Node) -> None:
        fields = self._fields(node, "a membership", *_MEMBERSHIP_FIELDS)
        if fields is None:
            return
        organisation = self._named(fields, "organisation", _ORGANISATION)
        consortium = self._named(fields, "consortium", _CONSORTIUM)
        valid, status = fields.validity(), fields.choice("status", MembershipStatus, required=True)
        seats, credit = fields.count("seats"), self._credit(fields)
        recorded_at = fields.instant("recorded_at")
        if organisation is not None and consortium is not None and valid is not None and status is not None:
            self.memberships.add(
                Membership(
                    organisation=organisation,
                    consortium=consortium,
                    status=status,
                    seats=seats,
                    credit=credit,
                    valid=valid,
                    recorded_at=recorded_at,
                    retracted=_retracted(fields),
                ),
                node,
            )

    def _credit(self, fields: Fields) -> Credit | None:
        node = fields.node_of("credit")
        if node is None:
            return None
        credit = Fields.of(node, "a credit", ("amount", "period"), self.findings)
        if credit is None:
            return None
        amount, period = credit.amount("amount", required=True), credit.name("period", required=True)
        return None if amount is None or period is None else Credit(amount=amount, period=period)

    def _authorisation(self, node: Node) -> None:
        fields = self._fields(node, "an authorisation", *_AUTHORISATION_FIELDS)
        if fields is None:
            return
        id_ = self._id(fields, _AUTHORISATION)
        regime = fields.name("regime", required=True)
        kind = fields.choice("kind", AuthorisationKind, required=True)
        holder = self._named(fields, "holder", _ORGANISATION)
        models = fields.names("models", required=True)
        actions = fields.choices("actions", Action, required=True)
        countries, named_users = fields.countries("countries"), self._cap(fields)
        conditions = fields.texts("conditions") or ()
        persons, nationalities = self._persons(fields), fields.countries("nationalities")
        employees_only, purposes = fields.flag("employees_only"), fields.names("purposes")
        valid, recorded_at = fields.validity(), fields.instant("recorded_at")
        if id_ is None or regime is None or kind is None or holder is None or models is None:
            return
        self._check_scope(fields, id_, regime, models)
        if actions is None or valid is None:
            return
        self.authorisations.add(
            Authorisation(
                id=id_,
                regime=regime,
                kind=kind,
                holder=holder,
                models=models,
                actions=tuple(action.value for action in actions),
                countries=countries,
                named_users=named_users,
                conditions=conditions,
                persons=persons,
                nationalities=nationalities,
                # Written or not, what holds for the kind is one and the same row.
                employees_only=None if employees_only is (kind is AuthorisationKind.LICENCE) else employees_only,
                purposes=purposes,
                valid=valid,
                recorded_at=recorded_at,
                retracted=_retracted(fields),
            ),
            node,
        )

    def _persons(self, fields: Fields) -> tuple[str, ...] | None:
        """Ids of people, each of whom must be on file."""
        items = fields.items("persons")
        for node in items or ():
            if (name := fields.name_of("persons", node)) is not None:
                self.references.append(_Reference(kind=_PERSON, id=name, node=node))
        return fields.names("persons")

    def _check_scope(self, fields: Fields, id_: str, regime: str, models: tuple[str, ...]) -> None:
        """What is on file already stays fileable: a book may have dropped a model for which there was a licence."""
        names = self.names
        if names is None or _retracted(fields):
            return
        filed = self.papers[id_]
        if regime not in names.regimes and not any(row.regime == regime for row in filed):
            message = f"no rule asks for an authorisation of the regime {quoted(regime)}"
            fields.fault("regime", message, one_of(regime, tuple(sorted(names.regimes))))
        aliases = dict(names.aliases)
        for model, node in zip(models, fields.items("models") or (), strict=True):
            if model in names.items or any(model in row.models for row in filed):
                continue
            near = near_miss(model, tuple(sorted(names.items)))
            remedy = "write the id of an entry of catalogue.yaml, or add the entry first"
            if model in aliases:
                remedy = f"a gateway calls {quoted(aliases[model])} so: write that"
            elif near is not None:
                remedy = f"did you mean {quoted(near)}? {remedy}"
            self.findings.add(node.line, node.column, f"the catalogue has no entry {quoted(model)}", remedy)

    def _cap(self, fields: Fields) -> int | None:
        """Null is no cap; a cap that is written says its number, so that an unreadable one cannot pass for none."""
        node = fields.node_of("cap")
        if node is None:
            return None
        cap = Fields.of(node, "a cap", ("named_users",), self.findings)
        return cap.count("named_users", required=True) if cap is not None else None

    def _draw(self, node: Node) -> None:
        fields = self._fields(node, "a draw", "authorisation", "person", "at")
        if fields is None:
            return
        authorisation = self._named(fields, "authorisation", _AUTHORISATION)
        person = self._named(fields, "person", _PERSON)
        at, recorded_at = fields.instant("at", required=True), fields.instant("recorded_at")
        if authorisation is not None and person is not None and at is not None:
            self.draws.add(
                Draw(
                    authorisation=authorisation,
                    person=person,
                    at=at,
                    recorded_at=recorded_at,
                    retracted=_retracted(fields),
                ),
                node,
            )

    def _listing(self, node: Node) -> None:
        fields = self._fields(node, "a listing", *_LISTING_FIELDS)
        if fields is None:
            return
        party = self._party(fields, "party")
        list_ = self._list_read(fields, fields.name("list", required=True))
        entry, entry_version = fields.text("entry"), fields.name("entry_version")
        reference, cleared_version = fields.text("reference"), fields.name("cleared_version")
        programmes, requirement = fields.texts("programmes"), fields.text("requirement")
        status = fields.choice("status", ListingStatus, required=True)
        valid, recorded_at = fields.validity(), fields.instant("recorded_at")
        if party is not None and list_ is not None and status is not None and valid is not None:
            self.listings.add(
                Listing(
                    party=party,
                    list=list_,
                    entry=entry,
                    entry_version=entry_version,
                    reference=reference,
                    status=status,
                    cleared_version=cleared_version,
                    programmes=programmes,
                    requirement=requirement,
                    valid=valid,
                    recorded_at=recorded_at,
                    retracted=_retracted(fields),
                ),
                node,
            )

    def _list_read(self, fields: Fields, name: str | None) -> str | None:
        if name is None or self.names is None or name in self.names.lists or _retracted(fields):
            return name
        known = tuple(sorted(self.names.lists))
        meant = meant_list(name, known)
        remedy = (
            one_of(name, known) if meant is None else f"did you mean {quoted(meant)}? write one of {', '.join(known)}"
        )
        fields.fault("list", f"no rule reads the list {quoted(name)}, so that the listing would bar nobody", remedy)
        return None

    def _statement(self, node: Node) -> None:
        fields = self._fields(node, "a statement", "organisation", "kind", *_INTERVAL)
        if fields is None:
            return
        organisation = self._named(fields, "organisation", _ORGANISATION)
        kind = fields.choice("kind", StatementKind, required=True)
        valid, recorded_at = fields.validity(), fields.instant("recorded_at")
        if organisation is not None and kind is not None and valid is not None:
            self.statements.add(
                Statement(
                    organisation=organisation,
                    kind=kind,
                    valid=valid,
                    recorded_at=recorded_at,
                    retracted=_retracted(fields),
                ),
                node,
            )

    def _cluster(self, node: Node) -> None:
        fields = self._fields(node, "a cluster", "id", "shared", "accounts", "exchanges_24h", "as_of")
        if fields is None:
            return
        id_, shared = self._id(fields, _CLUSTER), fields.names("shared")
        accounts, exchanges = fields.count("accounts"), fields.count("exchanges_24h")
        as_of, recorded_at = fields.instant("as_of", required=True), fields.instant("recorded_at")
        if id_ is not None and as_of is not None:
            self.clusters.add(
                ClusterReading(
                    id=id_,
                    shared=shared,
                    accounts=accounts,
                    exchanges_24h=exchanges,
                    as_of=as_of,
                    recorded_at=recorded_at,
                    retracted=_retracted(fields),
                ),
                node,
            )

    # --- what holds between rows --------------------------------------------------------------------------------------

    def _check(self) -> None:
        self._check_references()
        self._check_once(self.organisations, self.existing.organisations)
        self._check_once(self.people, self.existing.people)
        self._check_once(self.employments, self.existing.employments)
        self._check_once(self.us_statuses, self.existing.us_statuses)
        self._check_once(self.citizenships, self.existing.citizenships)
        self._check_once(self.residencies, self.existing.permanent_residencies)
        self._check_once(self.accounts, self.existing.accounts)
        self._check_once(self.consortia, self.existing.consortia)
        self._check_once(self.memberships, self.existing.memberships)
        self._check_once(self.stakes, self.existing.stakes)
        self._check_once(self.authorisations, self.existing.authorisations)
        self._check_once(self.draws, self.existing.draws)
        self._check_once(self.listings, self.existing.listings)
        self._check_once(self.statements, self.existing.statements)
        self._check_once(self.clusters, self.existing.clusters, _reading_of)
        self._check_overlaps()
        if self.undated_is_last:
            self._check_fractions()

    def _check_references(self) -> None:
        on_file: dict[str, set[str]] = {
            _ORGANISATION: {row.id for row in self.existing.organisations},
            _PERSON: {row.id for row in self.existing.people},
            _CONSORTIUM: {row.id for row in self.existing.consortia},
            _AUTHORISATION: {row.id for row in self.existing.authorisations},
            _CLUSTER: {row.id for row in self.existing.clusters},
        }
        for kind, ids in self.ids.items():
            on_file.setdefault(kind, set()).update(ids)
        searched: dict[tuple[str, str], str | None] = {}
        for reference in self.references:
            if reference.id in on_file[reference.kind]:
                continue
            wanted = (reference.kind, reference.id)
            if wanted not in searched and len(searched) < _MAX_SEARCHES:
                searched[wanted] = _near_id(reference.id, on_file[reference.kind])
            near = searched.get(wanted)
            remedy = f"add it to {quoted(_SECTION_OF[reference.kind])}"
            if near is not None:
                remedy = f"did you mean {quoted(near)}? otherwise {remedy}"
            elif reference.kind == _ORGANISATION and reference.id in on_file[_PERSON]:
                remedy = f"a person has this id; where persons may stand, write {quoted(PERSON_PREFIX + reference.id)}"
            message = f"the {reference.kind} {quoted(reference.id)} is not on file"
            self.findings.add(reference.node.line, reference.node.column, message, remedy)

    def _check_once(
        self, sheet: _Sheet[R], existing: Iterable[R], identity: Callable[[R], Hashable] | None = None
    ) -> None:
        """No two rows of the file with one key and one instant of recording, and none that rewrites a row on file."""
        of = identity or _key_of
        first: dict[tuple[Hashable, datetime | None], int] = {}
        dated: set[tuple[Hashable, datetime | None]] = set()
        for index, row in enumerate(sheet.rows):
            mark = (of(row), row.recorded_at)
            if row.recorded_at is not None:
                dated.add(mark)
            held = first.setdefault(mark, index)
            if held == index:
                continue
            place = sheet.places[index]
            same = "again" if sheet.rows[held] == row else "with other values"
            other = self.findings.where(sheet.places[held].line)
            message = f"the {_called(sheet.what, row)} of {other} stands here {same}"
            remedy = "remove one of the two, or give the one that corrects the other a later `recorded_at`"
            self.findings.add(place.line, place.column, message, remedy)
        for row in existing if dated else ():
            mark = (of(row), row.recorded_at)
            if mark in dated and sheet.rows[first[mark]] != row:
                place = sheet.places[first[mark]]
                message = f"the {_called(sheet.what, row)} is on file with other values recorded at the same instant"
                self.findings.add(place.line, place.column, message, "give the correction a later `recorded_at`")

    def _check_fractions(self) -> None:
        """Shares that together, or at one time, are at most 1 are taken for fractions of one, as registers write them.

        A history is read as it was recorded, and a share with its sign (`0.51 %`) or as a range is meant.
        """
        asked: defaultdict[str, list[tuple[Stake, Scalar]]] = defaultdict(list)
        for row, place in zip(self.stakes.rows, self.stakes.places, strict=True):
            node = place.get("percent") if isinstance(place, Mapping) else None
            if row.percent is None or row.recorded_at is not None or not isinstance(node, Scalar):
                continue
            if not node.text.endswith("%"):
                asked[row.owned].append((row, node))
        if not asked:
            return
        rows = (*self.existing.stakes, *self.stakes.rows)
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

    def _check_overlaps(self) -> None:
        """In a case file rows may overlap: the one that allows least counts, save for a person's US status."""
        find = partial(self._overlaps, every=self.undated_is_last)
        find(US_STATUS, self.us_statuses, self.existing.us_statuses, every=True)
        find(MEMBERSHIP, self.memberships, self.existing.memberships)
        find(AUTHORISATION, self.authorisations, self.existing.authorisations)
        find(EMPLOYMENT, self.employments, self.existing.employments)
        find(LISTING, self.listings, self.existing.listings)
        find(STATEMENT, self.statements, self.existing.statements)

    def _overlaps(self, thing: Thing[D], sheet: _Sheet[D], existing: tuple[D, ...], *, every: bool) -> None:
        if every:
            find_overlaps(
                thing, sheet.rows, sheet.places, existing, self.findings, undated_is_last=self.undated_is_last
            )

    def _merge(self) -> None:
        """What the file leaves out stays as it is on file, and an empty list takes back what is there."""
        for name, sheet in self._sheets().items():
            sheet.rows[:] = left_as_filed(sheet.rows, sheet.places, getattr(self.existing, name), self.findings)
        for name, person, recorded_at, place in self.emptied:
            sheet = self._sheets()[name]
            if not any(row.person == person for row in sheet.rows):
                for row in taken_back(
                    (row for row in getattr(self.existing, name) if row.person == person), recorded_at
                ):
                    sheet.add(row, place)

    def _sheets(self) -> dict[str, _Sheet[Any]]:
        """The sheets by the names of their rows in `RosterRows`."""
        return {
            "organisations": self.organisations,
            "people": self.people,
            "employments": self.employments,
            "us_statuses": self.us_statuses,
            "citizenships": self.citizenships,
            "permanent_residencies": self.residencies,
            "accounts": self.accounts,
            "consortia": self.consortia,
            "memberships": self.memberships,
            "stakes": self.stakes,
            "authorisations": self.authorisations,
            "draws": self.draws,
            "listings": self.listings,
            "statements": self.statements,
            "clusters": self.clusters,
        }


def _retracted(fields: Fields) -> bool:
    return fields.flag("retracted") is True


def _key_of(row: Recorded) -> Hashable:
    return row.key


def _reading_of(row: ClusterReading) -> Hashable:
    return (row.id, row.as_of)


def _called(what: str, row: Recorded) -> str:
    if isinstance(row, Organisation | PersonEntry | Account | Consortium | Authorisation | ClusterReading):
        return f"{what} {quoted(row.id)}"
    return what


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
