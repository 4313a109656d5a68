"""The tables of a book but the catalogue: country groups, parameters of law and settings, from documents to values.

Every field has one type and one place; an unknown field is refused, since a field that nobody reads is a rule that does
not hold. What one table says about another (a group, a column, a part) has to exist. Classifications and postcodes
are texts: `4E091` without quotation marks is the number 4e91.

A reader gives values even where it has noted faults, so that faults elsewhere are found in the same go; a book with a
fault is never made of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Final, TypeVar

from policy_engine.domain.catalogue import (
    Catalogue,
    OperationsTest,
)
from policy_engine.domain.countries import parts_of
from policy_engine.domain.ownership import OwnershipTest
from policy_engine.domain.places import CountryGroup, GroupMember, PartsTest, Places, PostcodeRule, TreatAs
from policy_engine.domain.rules import (
    BookSettings,
    ControlColumn,
    Enforcement,
    LawSource,
    MilitaryTest,
    OwnershipRule,
    PatternTest,
    Requirement,
    Tables,
    spelt,
)
from policy_engine.formats.documents import Mapping as Mapped
from policy_engine.formats.documents import Node, Scalar
from policy_engine.formats.faults import Findings, near_miss, one_of, quoted
from policy_engine.policy.fields import BookFields, Values
from policy_engine.policy.names import (
    RULED,
    UNNAMEABLE,
    NameProblem,
    eccn_problem,
    known_in,
    list_code_problem,
    list_problem,
    place_problem,
    purpose_problem,
)

T = TypeVar("T")

_METHODS: Final = ("cascade", "look_through")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnforcementSetting:
    """A row's enforcement as the settings file has it, with the place."""

    rule: str
    enforcement: Enforcement
    node: Scalar


# --- country groups ---------------------------------------------------------------------------------------------------


def read_places(document: Node | None, findings: Findings) -> Places:
    """The country groups, and the places that a law reads as others."""
    values = Values(findings)
    fields = BookFields(values, document, "the file of country groups")
    treat_as_node = fields.required("treat_as")
    groups: dict[str, CountryGroup] = {}
    for item in values.items(fields.required("groups"), "`groups`"):
        group = _read_group(item, values)
        if group is None:
            continue
        if group.name in groups:
            values.add(item, f"duplicate group {quoted(group.name)}", "keep one of the two")
        groups[group.name] = group
    laws = {name.partition(":")[0] for name in groups}
    treat_as: list[TreatAs] = []
    compared: dict[TreatAs, bool] = {}
    of_place: dict[tuple[str, str], list[TreatAs]] = {}
    for item in values.items(treat_as_node, "`treat_as`"):
        rule, checked = _read_treat_as(item, values, laws)
        if rule is None:
            continue
        if checked is not None:
            compared[rule] = checked
        earlier = of_place.setdefault((rule.law, rule.country), [])
        for other in earlier:
            # Of two readings of one place at one time the order of the file would decide.
            if rule.valid.overlaps(other.valid):
                message = f"{rule.law} reads {rule.country} as {other.read_as} at that time"
                values.add(item, message, "end the one before the other begins")
        earlier.append(rule)
        treat_as.append(rule)
    fields.finish()
    return Places(groups=groups, treat_as=tuple(treat_as), compared=compared)


def _read_treat_as(item: Node, values: Values, laws: Collection[str]) -> tuple[TreatAs | None, bool | None]:
    fields = BookFields(values, item, "a reading")
    country, read_as = values.country(fields.required("country")), values.country(fields.required("as"))
    law = values.checked(fields.required("in"), known_in("law with a group", laws))
    source, checked = values.text(fields.required("source")), values.boolean(fields.optional("checked"))
    valid = values.validity(fields)
    fields.finish()
    if country is None or read_as is None or law is None or source is None:
        return None, None
    return TreatAs(country=country, read_as=read_as, law=law, source=source, valid=valid), checked


def _read_group(item: Node, values: Values) -> CountryGroup | None:
    fields = BookFields(values, item, "a country group")
    name_node, members_node = fields.required("group"), fields.required("members")
    name = values.checked(name_node, _group_problem)
    label, source = values.text(fields.required("label")), values.text(fields.required("source"))
    checked = values.boolean(fields.required("checked"))
    members: dict[GroupMember, None] = {}
    for one in values.items(members_node, "`members`"):
        member = _read_member(one, values)
        if member in members:
            values.add(one, f"duplicate member {member.subdivision or member.country}", "keep one of the two")
        elif member is not None:
            members[member] = None
    if name_node is not None and members_node is not None and not members:
        values.add(
            name_node, f"the group {quoted(name or '')} has no members", "a place is never in it: list its members"
        )
    fields.finish()
    if name is None:
        return None
    return CountryGroup(
        name=name, label=label or "", source=source or "", checked=checked is True, members=tuple(members)
    )


def _group_problem(text: str) -> NameProblem | None:
    law, colon, name = text.partition(":")
    if law and colon and name and UNNAMEABLE.isdisjoint(text):
        return None
    return NameProblem(
        message=f"{quoted(text)} is not the name of a group",
        remedy="write the law, a colon and a name, such as EAR:D:5",
    )


def _read_member(item: Node, values: Values) -> GroupMember | None:
    fields = BookFields(values, item, "a member")
    country, part_node = values.country(fields.required("country")), fields.optional("subdivision")
    part = values.text(part_node)
    valid = values.validity(fields)
    fields.finish()
    if country is None:
        return None
    if part_node is not None and part is not None:
        _check_part(part, country, part_node, values)
    return GroupMember(country=country, subdivision=part, valid=valid)


def _check_part(part: str, country: str, node: Node, values: Values) -> None:
    parts = sorted(parts_of(country))
    if part in parts:
        return
    near = near_miss(part, tuple(parts))
    example = f"did you mean {quoted(near)}? " if near is not None else ""
    remedy = f"{example}write an ISO 3166-2 code such as {parts[0]}" if parts else "ISO 3166-2 has no parts of it"
    values.add(node, f"{quoted(part)} is not a part of {country}", remedy)


# --- parameters of law ------------------------------------------------------------------------------------------------


def read_parameters(
    document: Node | None,
    findings: Findings,
    catalogue: Catalogue,
    places: Places,
    groups: Mapping[str, bool] | None,
    *,
    archived: bool = False,
) -> Tables:
    """Every table, with the parameters of law; `groups` is `None` where the file of groups could not be read.

    A book that is `archived` was accepted when lists did not have to be declared.
    """
    reader = _ParametersReader(values=Values(findings), groups=groups, archived=archived)
    return reader.read(document, catalogue, places)


@dataclass(slots=True, kw_only=True)
class _ParametersReader:
    values: Values
    groups: Mapping[str, bool] | None
    archived: bool
    lists: dict[str, str] = field(default_factory=dict)
    sources: dict[str, LawSource] = field(default_factory=dict)
    programmes: dict[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)

    def read(self, document: Node | None, catalogue: Catalogue, places: Places) -> Tables:
        values = self.values
        fields = BookFields(values, document, "the file of parameters")
        for key, node in values.entries(fields.optional("lists"), "`lists`"):
            problem, title = list_code_problem(key.text), values.text(node)
            if problem is not None:
                values.add(key, problem.message, problem.remedy)
            elif title is None:
                values.add(key, f"the list {quoted(key.text)} has no title", "write its title as its publisher has it")
            # Known with a fault too, so that what names it is not a fault as well.
            self.lists[key.text] = title or ""

        def table(name: str, read: Callable[[Scalar, Node], T]) -> dict[str, T]:
            entries = values.entries(fields.optional(name), f"`{name}`")
            return {key.text: read(key, node) for key, node in entries}

        columns = table("columns", self._column)
        requirements = table("requirements", self._requirement)
        tables = Tables(
            places=places,
            catalogue=catalogue,
            lists=self.lists,
            ownership=table("ownership", self._ownership),
            operations=table("operations", self._operations),
            columns=columns,
            eccn_columns=table("eccn", partial(self._eccn_columns, columns)),
            military=table("military", self._military),
            patterns=table("patterns", self._pattern),
            parts=table("parts", self._parts),
            requirements={spelt(text): requirement for text, requirement in requirements.items()},
        )
        fields.finish()
        return replace(tables, sources=self.sources, programmes=self.programmes)

    def _finish(self, fields: BookFields, name: str) -> None:
        """Read where an entry comes from, and whether it was compared with that: both are said, or neither; and refuse
        every field that is left."""
        source_node, checked_node = fields.optional("source"), fields.optional("checked")
        source, checked = self.values.text(source_node), self.values.boolean(checked_node)
        if (source_node is None) != (checked_node is None):
            node = source_node or checked_node
            if node is not None:
                remedy = "write both `source` and `checked`, or neither"
                self.values.add(node, "a source says whether it was compared with, and a comparison with what", remedy)
        if source is not None and checked is not None:
            self.sources[name] = LawSource(text=source, checked=checked)
        fields.finish()

    def _programmes(self, test: str, node: Node | None, listed: Collection[str]) -> None:
        """Under which programmes of a list's entry an owner counts."""
        found: dict[str, tuple[str, ...]] = {}
        for key, item in self.values.entries(node, "`programmes`"):
            if key.text not in listed:
                message = f"{quoted(key.text)} is not a list that the test counts"
                self.values.add(key, message, one_of(key.text, tuple(listed)))
            names = self.values.names(item, f"the programmes of {quoted(key.text)}", _programme_problem)
            if not names:
                self.values.add(key, f"{quoted(key.text)} has no programme", "list them, or take the list out")
            found[key.text] = names
        if found:
            self.programmes[test] = found

    def _requirement(self, key: Scalar, node: Node) -> Requirement:
        fields = BookFields(self.values, node, "a licence requirement")
        eccn_node, any_classified = fields.optional("eccn"), self.values.boolean(fields.optional("classified"))
        if (eccn_node is None) == (any_classified is not True):
            remedy = "write `classified: true` or `eccn: [...]`, or take the text out: others reach every item"
            self.values.add(key, "a licence requirement has to say in one way what it reaches", remedy)
        eccn = self._eccns(eccn_node, "`eccn`")
        if eccn_node is not None and not eccn:
            self.values.add(eccn_node, "the requirement reaches nothing", "name ECCNs")
        self._finish(fields, f"requirements/{key.text}")
        return Requirement(text=key.text, eccn=eccn)

    def _group(self, node: Node | None) -> str | None:
        return self.values.checked(node, self._group_problem)

    def _group_problem(self, text: str) -> NameProblem | None:
        if ":" not in text:
            return NameProblem(message=f"{quoted(text)} is not a country group", remedy="write one such as EAR:D:5")
        return place_problem(text, self.groups)

    def _places(self, node: Node | None, what: str) -> tuple[str, ...]:
        return self.values.names(node, what, lambda text: place_problem(text, self.groups))

    def _eccns(self, node: Node | None, what: str) -> tuple[str, ...]:
        return self.values.names(node, what, eccn_problem)

    def _lists(self, node: Node | None, what: str) -> tuple[str, ...]:
        return self.values.each(node, what, self._list)

    def _list(self, node: Node | None) -> str | None:
        text = self.values.text(node)
        problem = None if text is None else list_problem(text, None if self.archived else self.lists)
        if node is not None and problem is not None:
            self.values.add(node, problem.message, problem.remedy)
        # Named with a fault too, so that naming it is not also naming none.
        return text

    def _ownership(self, key: Scalar, node: Node) -> OwnershipRule:
        values, what = self.values, f"the ownership test {quoted(key.text)}"
        fields = BookFields(values, node, what)
        threshold_node, methods_node = fields.required("threshold"), fields.required("methods")
        threshold, strict = values.exact(threshold_node, 100), values.boolean(fields.required("strict"))
        if threshold_node is not None and threshold == 0 and not strict:
            values.add(
                threshold_node, "a threshold of 0 that need not be passed captures everything", "write strict: true"
            )
            threshold = None
        methods = values.names(methods_node, "`methods`", known_in("method", _METHODS))
        if methods_node is not None and not methods:
            values.add(methods_node, f"{what} has no method", one_of("", _METHODS))
        owners_node = fields.required("owners")
        owners = BookFields(values, owners_node, f"`owners` of {what}")
        ways = [owners.optional(name) for name in ("headquartered_in", "headquartered_outside", "listed")]
        inside, outside, listed = self._group(ways[0]), self._group(ways[1]), self._lists(ways[2], "`listed`")
        if ways[2] is not None and not listed:
            values.add(ways[2], "`listed` names no list", "name the lists whose parties count")
        self._programmes(key.text, owners.optional("programmes"), listed)
        owners.finish()
        if owners_node is not None and sum(node is not None for node in ways) != 1:
            remedy = "write one of headquartered_in, headquartered_outside and listed"
            values.add(owners_node, f"{what} has to say in one way whose shares count", remedy)
        own_node = fields.optional("own_establishment")
        own = values.boolean(own_node)
        if own_node is not None and own and ways[0] is None:
            values.add(
                own_node, "an own establishment is looked for in `headquartered_in`", "write that group, or false"
            )
        supplement = BookFields(values, fields.optional("supplement"), f"`supplement` of {what}")
        lists_node, eccn_node = supplement.required("lists"), supplement.required("eccn")
        lists = self._lists(lists_node, "`lists`")
        if lists_node is not None and not (lists and set(lists) <= set(listed)):
            values.add(lists_node, "the supplement has to name lists that count", "name some of those in `owners`")
        supplement.finish()
        self._finish(fields, f"ownership/{key.text}")
        return OwnershipRule(
            test=OwnershipTest(
                name=key.text,
                threshold=Decimal(50) if threshold is None else threshold,
                strict=strict is True,
                cascade="cascade" in methods or not methods,
                look_through="look_through" in methods,
            ),
            listed=listed,
            headquartered_in=inside,
            headquartered_outside=outside,
            own_establishment=own is True,
            supplement_lists=lists,
            supplement_eccn=self._eccns(eccn_node, "`eccn`"),
        )

    def _operations(self, key: Scalar, node: Node) -> OperationsTest:
        values = self.values
        fields = BookFields(values, node, f"the operations test {quoted(key.text)}")
        test = OperationsTest(
            name=key.text,
            threshold=values.number(fields.required("threshold")) or Decimal(0),
            generator_share_more_than=values.exact(fields.required("generator_share_more_than"), 1) or Decimal(0),
            derivative_added_max=values.number(fields.required("derivative_added_max")) or Decimal(0),
            derivative_added_share=values.exact(fields.required("derivative_added_share"), 1) or Decimal(0),
        )
        self._finish(fields, f"operations/{key.text}")
        return test

    def _column(self, key: Scalar, node: Node) -> ControlColumn:
        values, what = self.values, f"the column {quoted(key.text)}"
        fields = BookFields(values, node, what)
        except_node, covers_node = fields.optional("everywhere_except"), fields.optional("covers")
        if (except_node is None) == (covers_node is None):
            values.add(
                key, f"{what} has to say in one way which countries it covers", "write everywhere_except or covers"
            )
        everywhere_except = values.each(except_node, "`everywhere_except`", values.country)
        covers = self._places(covers_node, "`covers`")
        if covers_node is not None and not covers:
            values.add(covers_node, f"{what} covers nothing", "name countries or groups")
        self._finish(fields, f"columns/{key.text}")
        return ControlColumn(
            name=key.text, everywhere_except=None if except_node is None else everywhere_except, covers=covers
        )

    def _eccn_columns(self, columns: Mapping[str, ControlColumn], key: Scalar, node: Node) -> tuple[str, ...]:
        self.values.checked(key, eccn_problem)
        if isinstance(node, Mapped):
            fields = BookFields(self.values, node, f"the ECCN {quoted(key.text)}")
            named = fields.required("columns")
            self._finish(fields, f"eccn/{key.text}")
        else:
            named = node
        names = self.values.names(named, f"the columns of {quoted(key.text)}", known_in("column", columns))
        if not names:
            self.values.add(key, f"the ECCN {quoted(key.text)} has no columns", "list them, or take the ECCN out")
        return names

    def _military(self, key: Scalar, node: Node) -> MilitaryTest:
        values, what = self.values, f"the military test {quoted(key.text)}"
        fields = BookFields(values, node, what)
        test = MilitaryTest(
            name=key.text,
            list=self._list(fields.required("list")) or "",
            purpose=values.checked(fields.required("purpose"), purpose_problem) or "",
            any_item_countries=self._places(fields.required("any_item"), "`any_item`"),
            supplement_countries=self._places(fields.required("supplement_countries"), "`supplement_countries`"),
            supplement_eccn=self._eccns(fields.required("supplement_eccn"), "`supplement_eccn`"),
        )
        self._finish(fields, f"military/{key.text}")
        return test

    def _pattern(self, key: Scalar, node: Node) -> PatternTest:
        values = self.values
        fields = BookFields(values, node, f"the pattern {quoted(key.text)}")
        test = PatternTest(
            name=key.text,
            min_shared=values.whole(fields.required("min_shared")) or 1,
            min_accounts=values.whole(fields.required("min_accounts")) or 1,
            min_exchanges_24h=values.whole(fields.required("min_exchanges_24h")) or 1,
            max_age_hours=values.whole(fields.required("max_age_hours")) or 1,
        )
        self._finish(fields, f"patterns/{key.text}")
        return test

    def _parts(self, key: Scalar, node: Node) -> PartsTest:
        values, what = self.values, f"the parts test {quoted(key.text)}"
        fields = BookFields(values, node, what)
        country, parts_node = values.country(fields.required("country")) or "", fields.required("subdivisions")
        parts = values.each(parts_node, "`subdivisions`", values.text)
        for item in values.items(parts_node, "`subdivisions`") if country else ():
            if isinstance(item, Scalar) and item.text in parts:
                _check_part(item.text, country, item, values)
        postcodes = [
            self._postcodes(item, parts)
            for item in values.items(fields.optional("postcodes"), f"`postcodes` of {what}")
        ]
        if parts_node is not None and not parts:
            values.add(parts_node, f"{what} bars no part", "list the parts")
        self._finish(fields, f"parts/{key.text}")
        return PartsTest(name=key.text, country=country, subdivisions=parts, postcodes=tuple(postcodes))

    def _postcodes(self, item: Node, parts: Collection[str]) -> PostcodeRule:
        values = self.values
        fields = BookFields(values, item, "a rule of postcodes")
        digits = values.whole(fields.required("digits")) or 1
        countries = values.each(fields.required("countries"), "`countries`", values.country)
        prefixes: dict[str, str] = {}
        keys: dict[str, Scalar] = {}
        for key, node in values.entries(fields.required("prefixes"), "`prefixes`"):
            part = values.checked(node, known_in("part", parts))
            if not (key.text.isascii() and key.text.isdigit() and len(key.text) <= digits):
                message = f"{quoted(key.text)} is not the beginning of a number of {digits} digits"
                values.add(key, message, 'write digits in quotation marks: "95"')
            prefixes[key.text], keys[key.text] = part or "", key
        for shorter, longer in pairwise(sorted(prefixes)):
            # The first that fits would count, and the order of a mapping has no meaning.
            if longer.startswith(shorter):
                message = f"{quoted(longer)} begins with {quoted(shorter)}"
                values.add(keys[longer], message, "write prefixes of which none begins with another")
        fields.finish()
        return PostcodeRule(digits=digits, countries=countries, prefixes=tuple(prefixes.items()))


_PROGRAMME: Final = re.compile(r"[A-Z][A-Z0-9-]*")


def _programme_problem(text: str) -> NameProblem | None:
    if _PROGRAMME.fullmatch(text):
        return None
    return NameProblem(
        message=f"{quoted(text)} is not a programme", remedy="write it as the list does, such as RUSSIA-EO14024"
    )


# --- settings ---------------------------------------------------------------------------------------------------------


def read_settings(
    document: Node | None, findings: Findings
) -> tuple[BookSettings, tuple[EnforcementSetting, ...], tuple[str, ...]]:
    """The settings, which rows have another enforcement than their own, and the regimes that the book is without."""
    values = Values(findings)
    fields = BookFields(values, document, "the file of settings")
    ages = BookFields(values, fields.required("max_age_seconds"), "`max_age_seconds`")
    classified, other = values.number(ages.required("classified")), values.number(ages.required("other"))
    ages.finish()
    enforcement = []
    for key, node in values.entries(fields.required("enforcement"), "`enforcement`"):
        chosen = values.choice(node, Enforcement)
        if chosen is not None:
            enforcement.append(EnforcementSetting(rule=key.text, enforcement=chosen, node=key))
    without = values.names(fields.optional("without"), "`without`", known_in("regime", RULED))
    fields.finish()
    settings = BookSettings(
        max_age_classified=Decimal(0) if classified is None else classified,
        max_age_other=Decimal(0) if other is None else other,
    )
    return settings, tuple(enforcement), without
