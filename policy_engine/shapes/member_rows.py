"""The sections of a membership document, each row declared once.

From a declaration come the strict reader with the place of each fault (`formats/membership_file.py`), the writer, what
a later import may leave out, the columns of a spreadsheet, the words by which a command names a row, and the schema in
`/openapi.json`. What a field may be (required, unknown, a word of which list) follows from the type of the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from enum import StrEnum, auto
from typing import Any, Final, get_args, get_type_hints

from policy_engine.domain import roster
from policy_engine.domain.request import Action


class ValueKind(StrEnum):
    """What the value of a field is, or each item of its list."""

    ID = auto()
    """The id of the row itself."""
    PARTY = auto()
    """The id of an organisation, or `person:` and that of a person."""
    NAME = auto()
    """Another name that is compared byte for byte; with `refers` the id of another row."""
    TEXT = auto()
    COUNTRY = auto()
    WORD = auto()
    FLAG = auto()
    COUNT = auto()
    PERCENT = auto()
    AMOUNT = auto()
    INSTANT = auto()
    BEGIN = auto()
    """The instant from which the row is true."""
    END = auto()
    """The first instant at which it is true no more."""
    SHARE = auto()
    """A percentage, or a mapping with its bounds."""
    MAPPING = auto()
    """A mapping of the fields `inside`."""
    IDENTIFIERS = auto()
    """A mapping of any names to names."""
    ROWS = auto()
    """A person's list, whose rows have a section of their own."""


INSTANTS: Final = frozenset({ValueKind.BEGIN, ValueKind.END, ValueKind.INSTANT})


@dataclass(frozen=True, slots=True, kw_only=True)
class RowField:
    """A field of a row as a document has it.

    `fields` are those of the row that hold it. A `keyed` one is part of what tells one row from another, so that a row
    without it is another row; any other that is left out stays as it is on file. Of a `later` one earlier releases did
    not know. `refers` is the kind of row whose id it is.
    """

    name: str
    value: ValueKind
    fields: tuple[str, ...]
    many: bool = False
    refers: str | None = None
    inside: tuple[RowField, ...] = ()
    a: str = ""
    keyed: bool = False
    later: bool = False
    required: bool = False
    words: type[StrEnum] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The rows of one kind.

    `name` is the section of a document, or the list of a person; `rows` the name in `RosterRows` where it is another;
    `word` calls a row on a command line, `what` and `a` in a sentence. `named_by` are the fields that say what it is
    about.
    """

    name: str
    rows: str = ""
    row: type[roster.Recorded]
    word: str
    what: str = ""
    a: str = ""
    named_by: tuple[str, ...]
    members: tuple[RowField, ...]
    personal: bool = False
    names: tuple[str, ...] = field(init=False)
    """Every name that may stand in a row."""
    absent: Mapping[str, Any] = field(init=False)
    """What the row's fields hold where nothing is said."""
    needed: tuple[str, ...] = field(init=False)
    """The fields without which there is no row."""
    dated: bool = field(init=False)
    """Whether a row has an interval in which it is true."""

    def __post_init__(self) -> None:
        hints = get_type_hints(self.row)
        defaults = {one.name: None if one.default is MISSING else one.default for one in fields(self.row)}
        members = tuple(_typed(member, hints, defaults) for member in self.members)
        what, dated = self.what or self.word, "valid" in defaults
        made: dict[str, object] = {
            "rows": self.rows or self.name,
            "what": what,
            "a": self.a or f"{'an' if what[0] in 'aeiou' else 'a'} {what}",
            "members": members,
            "names": tuple(member.name for member in (*members, *EVERYWHERE)),
            "absent": defaults,
            "needed": (
                *(one.fields[0] for one in members if one.required),
                *(("valid",) if dated else ()),
            ),
            "dated": dated,
        }
        for name, value in made.items():
            object.__setattr__(self, name, value)

    def name_of(self, row: roster.Recorded) -> tuple[str, ...]:
        """What the row is about; a field that is not filed is ""."""
        return tuple(str(getattr(row, name) or "") for name in self.named_by)

    def named_in(self, row: roster.Recorded) -> set[tuple[str, str]]:
        """The other rows that a row names: where they are in `RosterRows`, and their ids."""
        named = {("people", getattr(row, "person"))} if self.personal else set()  # noqa: B009  only these have it
        for member in self.members:
            value = getattr(row, member.fields[0])
            if member.value is ValueKind.PARTY:
                is_person = value.startswith(roster.PERSON_PREFIX)
                named.add(("people" if is_person else "organisations", value.removeprefix(roster.PERSON_PREFIX)))
            elif member.refers is not None and value is not None:
                named |= {(member.refers, one) for one in (value if member.many else (value,))}
        return named

    def field(self, path: str) -> RowField | None:
        """A field by its name, one inside another written with a point; `None` where there is none."""
        name, _, rest = path.partition(".")
        found = next((one for one in (*self.members, *EVERYWHERE) if one.name == name), None)
        if not rest or found is None:
            return found
        if found.value is ValueKind.ROWS:
            return SECTIONS[name].field(rest)
        return next((one for one in found.inside if one.name == rest), None)


def _typed(member: RowField, hints: Mapping[str, Any], defaults: Mapping[str, object]) -> RowField:
    """The field with what the type of the row says of it."""
    hint = hints[member.fields[0]]
    words = [one for one in (hint, *get_args(hint)) if isinstance(one, type) and issubclass(one, StrEnum)]
    return replace(
        member,
        required=defaults[member.fields[0]] is None and type(None) not in get_args(hint),
        words=member.words or (words[0] if words else None),
    )


def _of(value: ValueKind, name: str, *held: str, **more: Any) -> RowField:
    return RowField(name=name, value=value, fields=held or (name,), **more)


def _to(rows: str, name: str, **more: Any) -> RowField:
    return _of(ValueKind.NAME, name, refers=rows, **more)


def _interval(*, keyed: bool = True, later: bool = False) -> tuple[RowField, RowField]:
    return (
        _of(ValueKind.BEGIN, "from", "valid", keyed=keyed, later=later),
        _of(ValueKind.END, "to", "valid", later=later),
    )


EVERYWHERE: Final = (_of(ValueKind.INSTANT, "recorded_at"), _of(ValueKind.FLAG, "retracted", later=True))
"""What may stand in every row: when it was recorded, and that it was never true."""

_ID: Final = _of(ValueKind.ID, "id")
_PERSON: Final = _to("people", "person")
_ORGANISATION: Final = _to("organisations", "organisation")

_ALL: Final = (
    Section(
        name="organisations",
        row=roster.Organisation,
        word="organisation",
        named_by=("id",),
        members=(
            _ID,
            _of(ValueKind.TEXT, "name"),
            _of(ValueKind.TEXT, "kind"),
            _of(ValueKind.COUNTRY, "incorporated"),
            _of(ValueKind.COUNTRY, "headquarters"),
            _of(ValueKind.COUNTRY, "contract_country"),
            _of(ValueKind.WORD, "sector"),
            _of(ValueKind.FLAG, "reseller"),
            _of(ValueKind.IDENTIFIERS, "identifiers"),
            _of(ValueKind.TEXT, "aliases", many=True),
        ),
    ),
    Section(
        name="ownership",
        rows="stakes",
        row=roster.Stake,
        word="ownership",
        what="share",
        a="an ownership row",
        named_by=("owner", "owned"),
        members=(
            _of(ValueKind.PARTY, "owner"),
            _to("organisations", "owned"),
            _of(
                ValueKind.SHARE,
                "percent",
                "percent",
                "minimum",
                "maximum",
                a="a share",
                inside=(_of(ValueKind.PERCENT, "minimum"), _of(ValueKind.PERCENT, "maximum")),
            ),
            *_interval(),
            _of(ValueKind.TEXT, "evidence"),
        ),
    ),
    Section(
        name="people",
        row=roster.PersonEntry,
        word="person",
        named_by=("id",),
        members=(
            _ID,
            _of(ValueKind.ROWS, "employments", "employments_filed"),
            _of(ValueKind.ROWS, "us_status", "us_status_filed"),
            _of(ValueKind.ROWS, "citizenships", "citizenships_filed"),
            _of(ValueKind.ROWS, "permanent_residencies", "permanent_residencies_filed"),
        ),
    ),
    Section(
        name="employments",
        row=roster.Employment,
        word="employment",
        named_by=("person", "organisation", "kind"),
        personal=True,
        members=(_ORGANISATION, _of(ValueKind.WORD, "kind"), *_interval()),
    ),
    Section(
        name="us_status",
        rows="us_statuses",
        row=roster.UsStatus,
        word="us-status",
        what="US status",
        named_by=("person", "kind"),
        personal=True,
        members=(_of(ValueKind.WORD, "kind"), *_interval()),
    ),
    Section(
        name="citizenships",
        row=roster.Citizenship,
        word="citizenship",
        named_by=("person", "country"),
        personal=True,
        members=(_of(ValueKind.COUNTRY, "country"), *_interval()),
    ),
    Section(
        name="permanent_residencies",
        row=roster.PermanentResidency,
        word="residency",
        what="permanent residency",
        named_by=("person", "country"),
        personal=True,
        members=(_of(ValueKind.COUNTRY, "country"), *_interval()),
    ),
    Section(
        name="accounts",
        row=roster.Account,
        word="account",
        named_by=("id",),
        members=(
            _ID,
            _of(ValueKind.WORD, "kind"),
            _ORGANISATION,
            _PERSON,
            _of(ValueKind.NAME, "gateway"),
            _to("clusters", "cluster"),
            *_interval(keyed=False, later=True),
        ),
    ),
    Section(
        name="consortia",
        row=roster.Consortium,
        word="consortium",
        named_by=("id",),
        members=(_ID, _of(ValueKind.TEXT, "name")),
    ),
    Section(
        name="memberships",
        row=roster.Membership,
        word="membership",
        named_by=("organisation", "consortium"),
        members=(
            _ORGANISATION,
            _to("consortia", "consortium"),
            *_interval(),
            _of(ValueKind.WORD, "status"),
            _of(ValueKind.COUNT, "seats", later=True),
            _of(
                ValueKind.MAPPING,
                "credit",
                a="a credit",
                later=True,
                inside=(_of(ValueKind.AMOUNT, "amount", required=True), _of(ValueKind.NAME, "period", required=True)),
            ),
        ),
    ),
    Section(
        name="authorisations",
        row=roster.Authorisation,
        word="authorisation",
        named_by=("id",),
        members=(
            _ID,
            _of(ValueKind.NAME, "regime"),
            _of(ValueKind.WORD, "kind"),
            _to("organisations", "holder"),
            _of(ValueKind.NAME, "models", many=True),
            _of(ValueKind.WORD, "actions", many=True, words=Action),
            _of(ValueKind.COUNTRY, "countries", many=True),
            *_interval(keyed=False),
            _of(
                ValueKind.MAPPING,
                "cap",
                "named_users",
                a="a cap",
                inside=(_of(ValueKind.COUNT, "named_users", required=True),),
            ),
            _of(ValueKind.TEXT, "conditions", many=True),
            _to("people", "persons", many=True, later=True),
            _of(ValueKind.COUNTRY, "nationalities", many=True, later=True),
            _of(ValueKind.FLAG, "employees_only", later=True),
            _of(ValueKind.NAME, "purposes", many=True, later=True),
        ),
    ),
    Section(
        name="draws",
        row=roster.Draw,
        word="draw",
        named_by=("authorisation", "person"),
        members=(_to("authorisations", "authorisation"), _PERSON, _of(ValueKind.INSTANT, "at")),
    ),
    Section(
        name="listings",
        row=roster.Listing,
        word="listing",
        named_by=("party", "list", "entry"),
        members=(
            _of(ValueKind.PARTY, "party"),
            _of(ValueKind.NAME, "list"),
            _of(ValueKind.TEXT, "entry", keyed=True),
            _of(ValueKind.NAME, "entry_version", keyed=True),
            _of(ValueKind.TEXT, "reference", keyed=True),
            _of(ValueKind.WORD, "status"),
            _of(ValueKind.NAME, "cleared_version", keyed=True),
            _of(ValueKind.TEXT, "programmes", many=True, later=True),
            _of(ValueKind.TEXT, "requirement", later=True),
            *_interval(),
        ),
    ),
    Section(
        name="statements",
        row=roster.Statement,
        word="statement",
        named_by=("organisation", "kind"),
        members=(_ORGANISATION, _of(ValueKind.WORD, "kind"), *_interval()),
    ),
    Section(
        name="clusters",
        row=roster.ClusterReading,
        word="cluster",
        named_by=("id",),
        members=(
            _ID,
            _of(ValueKind.NAME, "shared", many=True, keyed=True),
            _of(ValueKind.COUNT, "accounts", keyed=True),
            _of(ValueKind.COUNT, "exchanges_24h", keyed=True),
            _of(ValueKind.INSTANT, "as_of"),
        ),
    ),
)

SECTIONS: Final[Mapping[str, Section]] = {section.name: section for section in _ALL}
"""Every section of a document, and every list of a person, by its name and in the order of a document."""
BY_ROWS: Final[Mapping[str, Section]] = {
    kind.name: next(section for section in _ALL if section.rows == kind.name) for kind in fields(roster.RosterRows)
}
"""The sections by the names of their rows in `RosterRows`, in the order of the canonical form."""
BY_WORD: Final[Mapping[str, Section]] = {section.word: section for section in BY_ROWS.values()}
BY_TYPE: Final[Mapping[type[object], Section]] = {section.row: section for section in _ALL}
PERSONAL: Final = tuple(section for section in _ALL if section.personal)
"""The lists of a person."""

_SCHEMAS: Final[Mapping[ValueKind, tuple[tuple[str, ...], Mapping[str, object]]]] = {
    ValueKind.COUNTRY: (("string",), {"pattern": "^[A-Z]{2}$"}),
    ValueKind.FLAG: (("boolean",), {}),
    ValueKind.COUNT: (("integer",), {"minimum": 0}),
    ValueKind.PERCENT: (("string", "number"), {}),
    ValueKind.AMOUNT: (("string", "number"), {}),
    ValueKind.SHARE: (("string", "number", "object"), {}),
    ValueKind.MAPPING: (("object",), {}),
    ValueKind.IDENTIFIERS: (("object",), {"additionalProperties": {"type": ["string", "null"]}}),
}
"""The types of JSON that a value has, where it is not a text, and what else the schema says of it."""


def document_schema() -> dict[str, object]:
    """The JSON Schema of a membership document. The reader asks for more than a schema can say."""
    sections = {name: _list_schema(section) for name, section in SECTIONS.items() if not section.personal}
    return {"type": "object", "additionalProperties": False, "properties": sections}


def _list_schema(section: Section) -> dict[str, object]:
    return {"type": ["array", "null"], "items": _object_schema((*section.members, *EVERYWHERE))}


def _object_schema(members: tuple[RowField, ...]) -> dict[str, object]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [one.name for one in members if one.required],
        "properties": {one.name: _member_schema(one) for one in members},
    }


def _member_schema(member: RowField) -> dict[str, object]:
    if member.value is ValueKind.ROWS:
        return _list_schema(SECTIONS[member.name])
    types, more = _SCHEMAS.get(member.value, (("string",), {}))
    if member.inside:
        more = {name: value for name, value in _object_schema(member.inside).items() if name != "type"}
    if member.words is not None:
        more = {"enum": [*(one.value for one in member.words), *(() if member.required or member.many else (None,))]}
    if member.many:
        types, more = ("array",), {"items": {"type": "string", **more}}
    return {"type": [*types, *(() if member.required else ("null",))], **more}
