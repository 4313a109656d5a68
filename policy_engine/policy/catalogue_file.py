"""The catalogue of a book, from documents to entries: every field of one type, and every name of an entry in it.

A case may add to the catalogue or replace entries of it, so that what entries say about each other is looked up once
all documents are read. An alias is one entry's for each gateway and never another's id; a lineage has no circle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from policy_engine.domain.catalogue import Catalogue, DerivedFrom, Entry, ItemKind, TaughtBy, Tier, Weights
from policy_engine.domain.tangles import owners_first
from policy_engine.formats.documents import Node, Scalar
from policy_engine.formats.faults import Findings, quoted
from policy_engine.policy.conditions import hint
from policy_engine.policy.fields import BookFields, Values
from policy_engine.policy.names import UNNAMEABLE, eccn_problem, purpose_problem


@dataclass(frozen=True, slots=True, kw_only=True)
class _Naming:
    """That an entry names another one."""

    target: str
    how: str
    node: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class _Filed:
    entry: Entry
    values: Values
    key: Scalar
    names: tuple[_Naming, ...]
    aliases: tuple[tuple[str, str, Node], ...]


@dataclass(slots=True)
class CatalogueReader:
    """Collects the entries of one document after another; a later entry of the same id replaces the earlier."""

    _filed: dict[str, _Filed] = field(default_factory=dict)

    def add(self, document: Node | None, findings: Findings) -> None:
        """Read a document of entries by id."""
        values = Values(findings)
        for key, node in values.entries(document, "the catalogue"):
            identifier = values.identifier(key)
            if identifier is not None and not UNNAMEABLE.isdisjoint(identifier):
                values.add(
                    key, f"no rule could name {quoted(identifier)}", "leave out blanks and the signs | & ! ; , ' \" `"
                )
            self._filed[key.text] = _read_entry(key, node, values)

    def copy(self) -> CatalogueReader:
        """Another with the entries read so far, to which others are added."""
        return CatalogueReader(dict(self._filed))

    def catalogue(self) -> Catalogue:
        """The catalogue, once what entries say about each other is checked."""
        owners: dict[tuple[str, str], str] = {}
        for filed in self._filed.values():
            for naming in filed.names:
                self._check_naming(filed, naming)
            for gateway, alias, node in filed.aliases:
                other = self._filed.get(alias)
                if other is not None and other is not filed:
                    filed.values.add(node, f"the alias {quoted(alias)} is the id of an entry", "choose another alias")
                owner = owners.setdefault((gateway, alias), filed.entry.id)
                if owner != filed.entry.id:
                    message = f"the alias {quoted(alias)} of {quoted(gateway)} is one of {quoted(owner)} too"
                    filed.values.add(node, message, "keep one of the two")
        for filed in self._circular():
            message = f"the lineage of {quoted(filed.entry.id)} comes back to itself"
            filed.values.add(filed.key, message, "a teacher or base is older than what was made from it")
        return Catalogue(entries={name: filed.entry for name, filed in self._filed.items()})

    def _check_naming(self, filed: _Filed, naming: _Naming) -> None:
        if naming.target not in self._filed:
            message = f"the {naming.how} {quoted(naming.target)} is not in the catalogue"
            filed.values.add(naming.node, message, hint(naming.target, self._filed))
        elif naming.how == "fallback" and naming.target == filed.entry.id:
            filed.values.add(naming.node, "an entry is its own fallback", "take it out")

    def _circular(self) -> list[_Filed]:
        """The entries that are among their own ancestors."""
        numbers = {name: number for number, name in enumerate(self._filed)}
        above = [
            [numbers[one.target] for one in filed.names if one.how != "fallback" and one.target in numbers]
            for filed in self._filed.values()
        ]
        groups = owners_first(range(len(above)), lambda entry: iter(above[entry]), bytearray(len(above)))
        circular = {entry for group in groups for entry in group if len(group) > 1 or entry in above[entry]}
        return [filed for number, filed in enumerate(self._filed.values()) if number in circular]


def _read_entry(key: Scalar, node: Node, values: Values) -> _Filed:
    # What may be left out reads as the stricter answer; without one of the others a bar or a term would be lost.
    what = f"the entry {quoted(key.text)}"
    fields = BookFields(values, node, what)
    names: list[_Naming] = []
    taught_by: list[TaughtBy] = []
    derived_from: list[DerivedFrom] = []
    kind = values.choice(fields.required("kind"), ItemKind)
    tier = values.choice(fields.written("tier"), Tier)
    vendor = values.identifier(fields.written("vendor"))
    weights = values.choice(fields.written("weights"), Weights)
    consortium = values.identifier(fields.written("consortium"))
    requires_end_user = values.boolean(fields.required("requires_end_user"))
    for item in values.items(fields.required("lineage"), f"`lineage` of {what}"):
        _read_ancestor(item, values, names, taught_by, derived_from)
    fallbacks = []
    for item in values.items(fields.optional("fallbacks"), f"`fallbacks` of {what}"):
        name = values.identifier(item)
        if name is not None:
            fallbacks.append(name)
            names.append(_Naming(target=name, how="fallback", node=item))
    aliases: list[tuple[str, str, Node]] = []
    for gateway, listed in values.entries(fields.optional("aliases"), f"`aliases` of {what}"):
        values.identifier(gateway)
        for item in values.items(listed, f"the aliases for {quoted(gateway.text)}"):
            alias = values.identifier(item)
            if alias is not None:
                aliases.append((gateway.text, alias, item))
    entry = Entry(
        id=key.text,
        kind=kind or ItemKind.MODEL,
        tier=tier,
        vendor=vendor,
        developer_country=values.country(fields.optional("developer_country")),
        weights=weights,
        training_operations=values.number(fields.optional("training_operations")),
        eccn=values.checked(fields.optional("eccn"), eccn_problem),
        purposes=_purposes(fields, "purposes", what, values),
        purposes_needing_review=_purposes(fields, "purposes_needing_review", what, values),
        consortium=consortium,
        taught_by=tuple(taught_by),
        derived_from=tuple(derived_from),
        fallbacks=tuple(fallbacks),
        aliases=tuple(
            (gateway, tuple(alias for owner, alias, _ in aliases if owner == gateway))
            for gateway in dict.fromkeys(owner for owner, _, _ in aliases)
        ),
        requires_end_user=bool(requires_end_user),
    )
    fields.finish()
    return _Filed(entry=entry, values=values, key=key, names=tuple(names), aliases=tuple(aliases))


def _read_ancestor(
    item: Node,
    values: Values,
    names: list[_Naming],
    taught_by: list[TaughtBy],
    derived_from: list[DerivedFrom],
) -> None:
    fields = BookFields(values, item, "an ancestor")
    teacher_node, base_node = fields.optional("teacher"), fields.optional("base")
    if (teacher_node is None) == (base_node is None):
        values.add(
            item,
            "an ancestor is either a teacher or a base",
            "write {teacher, synthetic_share} or {base, added_operations}",
        )
        return
    if teacher_node is not None:
        teacher = values.identifier(teacher_node)
        share = values.exact(fields.required("synthetic_share"), 1)
        if teacher is not None:
            names.append(_Naming(target=teacher, how="teacher", node=teacher_node))
            taught_by.append(TaughtBy(teacher=teacher, synthetic_share=share or Decimal(0)))
    elif base_node is not None:
        base = values.identifier(base_node)
        added = values.number(fields.written("added_operations"))
        if base is not None:
            names.append(_Naming(target=base, how="base", node=base_node))
            derived_from.append(DerivedFrom(base=base, added_operations=added))
    fields.finish()


def _purposes(fields: BookFields, name: str, what: str, values: Values) -> tuple[str, ...]:
    return values.names(fields.optional(name), f"`{name}` of {what}", purpose_problem)
