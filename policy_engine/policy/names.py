"""What the parameters of words may name: actions, catalogue entries, tables, rules. A word about nothing never holds.

A bar whose parameter is misspelt would bar nobody, so every parameter is looked up before a book is used. Where the
file that would say is itself at fault, its names are `None` and nothing is reported a second time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from policy_engine.domain.catalogue import ItemKind, Tier
from policy_engine.domain.countries import is_country, suggest
from policy_engine.domain.places import Places
from policy_engine.domain.request import Action
from policy_engine.domain.roster import AuthorisationKind, Sector, StatementKind
from policy_engine.domain.rules import REGIMES, Book, Tables, Term
from policy_engine.formats.book_names import BookNames
from policy_engine.formats.documents import as_written
from policy_engine.formats.faults import quoted
from policy_engine.policy.conditions import hint, spoilt_eccn

Known = Collection[str] | None

RULED: Final = tuple(regime for regime in REGIMES if regime != "engine")
"""The regimes that rows can have; the engine's own row stands in no file."""

ECCN: Final = re.compile(r"[0-9][A-E][0-9]{3}(\.[a-z0-9]+)*(-[0-9][A-E][0-9]{3})?|EAR99")
"""`4E001.a-4A090` is what 4E001.a controls of things that 4A090 controls, where its columns are others."""

_ECCN_OUT_OF_SHAPE: Final = re.compile(r"([0-9])([A-Ea-e])([0-9]{3})((?:\.[A-Za-z0-9]+)*)")
LIST_CODE: Final = re.compile(r"[A-Z][A-Z0-9-]*")
PURPOSE: Final = re.compile(r"[a-z][a-z0-9_]*")
UNNAMEABLE: Final = frozenset(" |&!;,'\"`")
"""Characters that a condition could not repeat in the parameter of a word, or that mean something there."""
_ID: Final = re.compile(r"[^\s|&!;,'\"`]+")
_ANY: Final = "any"
_EXCEPTION: Final = re.compile(r"[A-Z][A-Z0-9]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with a name, and what to do about it."""

    message: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names in a book. Of a country group it matters whether it has whole countries or only parts of them."""

    models: Known = None
    vendors: Known = None
    consortia: Known = None
    eccn: Known = None
    groups: Mapping[str, bool] | None = None
    ownership: Known = None
    operations: Known = None
    military: Known = None
    patterns: Known = None
    parts: Known = None
    lists: Known = None
    rules: Known = None


def group_names(places: Places) -> dict[str, bool]:
    """The country groups, and of each whether it has a whole country."""
    return {name: any(member.subdivision is None for member in group.members) for name, group in places.groups.items()}


def eccn_names(tables: Tables) -> frozenset[str]:
    """Every classification that the catalogue or a table of the parameters has, and EAR99, which has no columns."""
    found = {"EAR99"}
    found |= {entry.eccn for entry in tables.catalogue.entries.values() if entry.eccn is not None}
    found.update(tables.eccn_columns)
    for test in tables.military.values():
        found.update(test.supplement_eccn)
    for rule in tables.ownership.values():
        found.update(rule.supplement_eccn)
    return frozenset(found)


def country_problem(text: str) -> Problem | None:
    """What is wrong with an ISO 3166-1 alpha-2 code."""
    if is_country(text):
        return None
    meant = suggest(text)
    remedy = "write an ISO 3166-1 alpha-2 code such as DE" if meant is None else f"did you mean `{meant}`?"
    return Problem(message=f"there is no country {quoted(text)}", remedy=remedy)


def place_problem(text: str, groups: Mapping[str, bool] | None) -> Problem | None:
    """What is wrong with a country or country group."""
    if ":" not in text:
        return country_problem(text)
    if groups is None:
        return None
    if text not in groups:
        return Problem(message=f"there is no country group {quoted(text)}", remedy=hint(text, groups))
    if not groups[text]:
        return Problem(
            message=f"the country group {quoted(text)} has only parts of countries, so no country is in it",
            remedy="use the word `in-part` for parts, or name countries",
        )
    return None


def purpose_problem(text: str) -> Problem | None:
    """What is wrong with a purpose."""
    if PURPOSE.fullmatch(text):
        return None
    return Problem(message=f"{quoted(text)} is no purpose", remedy="write lower-case letters, digits and underscores")


def eccn_problem(text: str) -> Problem | None:
    """What is wrong with a classification."""
    if ECCN.fullmatch(text):
        return None
    meant, near = spoilt_eccn(text), _ECCN_OUT_OF_SHAPE.fullmatch(text)
    remedy = 'write one such as "4E001.a" or "EAR99"'
    if meant is not None and ECCN.fullmatch(meant):
        remedy = f"if a spreadsheet took `{meant}` for a number, make its column text; {remedy}"
    elif near is not None:
        remedy = f"did you mean `{near[1]}{near[2].upper()}{near[3]}{near[4].lower()}`? {remedy}"
    return Problem(message=f"{quoted(text)} is no ECCN", remedy=remedy)


def list_code_problem(text: str) -> Problem | None:
    """What is wrong with the spelling of a list's code."""
    if LIST_CODE.fullmatch(text):
        return None
    return Problem(message=f"{quoted(text)} is no list code", remedy="write a code in capital letters such as EL")


def list_problem(text: str, declared: Known) -> Problem | None:
    """What is wrong with a list that a rule or a table names: a listing on one that is not declared bars nobody."""
    misspelt = list_code_problem(text)
    if misspelt is not None:
        meant = text.upper()
        known = meant in declared if declared is not None else list_code_problem(meant) is None
        return replace(misspelt, remedy=f"did you mean {quoted(meant)}?") if known else misspelt
    if declared is None or text in declared:
        return None
    remedy = f"declare it under `lists` in parameters.yaml, as `{as_written(text)}: its title`"
    if declared:
        near = hint(text, declared)
        remedy = f"{near} Else {remedy}" if near.endswith("?") else f"{near}; {remedy}"
    return Problem(message=f"there is no list {quoted(text)}", remedy=remedy)


def known_in(what: str, known: Collection[str]) -> Callable[[str], Problem | None]:
    """Whether a name is one of those known, as a check."""
    return lambda text: _named(what, text, known)


def parameter_problem(term: Term, names: Names) -> Problem | None:
    """What is wrong with the parameter of a word, `row` included; `None` when it names something."""
    if not term.parameter:
        return None
    check = _CHECKS.get(term.word)
    if check is None:
        return Problem(message=f"nobody knows what `{term.word}` may name", remedy="take the word out")
    return check(term.parameter, names)


Check = Callable[[str, Names], Problem | None]


def _named(what: str, name: str, known: Known) -> Problem | None:
    if known is None or name in known:
        return None
    return Problem(message=f"there is no {what} {quoted(name)}", remedy=hint(name, known))


def _of(what: str, known: Collection[str]) -> Check:
    return lambda parameter, _: _named(what, parameter, known)


def _in_names(what: str, pick: Callable[[Names], Known]) -> Check:
    return lambda parameter, names: _named(what, parameter, pick(names))


def _shaped(what: str, pattern: re.Pattern[str], example: str) -> Check:
    def check(parameter: str, _: Names) -> Problem | None:
        if pattern.fullmatch(parameter):
            return None
        near = next((one for one in (parameter.upper(), parameter.lower()) if pattern.fullmatch(one)), None)
        remedy = f"write one such as `{example}`" if near is None else f"did you mean {quoted(near)}?"
        return Problem(message=f"{quoted(parameter)} is no {what}", remedy=remedy)

    return check


def _each(check: Check) -> Check:
    def check_all(parameter: str, names: Names) -> Problem | None:
        parts = parameter.split(",")
        if "" in parts:
            return Problem(
                message=f"the list {quoted(parameter)} has an empty place", remedy="put one comma between names"
            )
        return next((problem for part in parts if (problem := check(part, names)) is not None), None)

    return check_all


def _place(parameter: str, names: Names) -> Problem | None:
    return place_problem(parameter, names.groups)


def _paper(parameter: str, names: Names) -> Problem | None:
    regime, slash, kinds = parameter.partition("/")
    if not slash:
        return Problem(message=f"{quoted(parameter)} is no kind of paper", remedy="write one such as `us-ear/licence`")
    return _named("regime", regime, (*RULED, _ANY)) or _KINDS(kinds, names)


def _rule_and_test(parameter: str, names: Names) -> Problem | None:
    rule, equals, test = parameter.partition("=")
    if not equals:
        remedy = "write a rule, `=` and an ownership test, such as `BIS-AFFILIATES=bis-affiliates`"
        return Problem(message=f"{quoted(parameter)} names no rule and test", remedy=remedy)
    return _RULE(rule, names) or _OWNERSHIP(test, names)


def _values(kinds: type[StrEnum]) -> tuple[str, ...]:
    return tuple(kind.value for kind in kinds)


_RULE: Final = _in_names("rule", lambda names: names.rules)
_OWNERSHIP: Final = _in_names("ownership test", lambda names: names.ownership)
_OPERATIONS: Final = _in_names("operations test", lambda names: names.operations)
_CONSORTIUM: Final = _in_names("consortium in the catalogue", lambda names: names.consortia)
_PARTS: Final = _in_names("parts test", lambda names: names.parts)
_LISTS: Final = _each(lambda parameter, names: list_problem(parameter, names.lists))
_KINDS: Final = _each(_of("kind of paper", _values(AuthorisationKind)))

_CHECKS: Final[Mapping[str, Check]] = {
    "row": _RULE,
    "action": _of("action", _values(Action)),
    "kind": _of("kind of item", _values(ItemKind)),
    "model": _in_names("catalogue entry", lambda names: names.models),
    "tier": _of("tier", _values(Tier)),
    "vendor": _in_names("vendor in the catalogue", lambda names: names.vendors),
    "consortium": _CONSORTIUM,
    "eccn": _in_names("item or table with the ECCN", lambda names: names.eccn),
    "operations-reach": _OPERATIONS,
    "operations-below": _OPERATIONS,
    "operations-excluded": _OPERATIONS,
    "itar-national": _each(_place),
    "itar-within": _each(_place),
    "established-in": _each(_place),
    "deemed-within": _each(_place),
    "deemed-in": _each(_place),
    "headquartered-in": _each(_place),
    "ultimate-parent-in": _each(_place),
    "sector": _of("sector", _values(Sector)),
    "organisation": _shaped("organisation id", _ID, "alder-bank"),
    "gateway": _shaped("gateway id", _ID, "main"),
    "member": _CONSORTIUM,
    "membership-never": _CONSORTIUM,
    "membership-ended": _CONSORTIUM,
    "membership-suspended": _CONSORTIUM,
    "pattern": _in_names("pattern test", lambda names: names.patterns),
    "located-in": _each(_place),
    "unsupported-place": _PARTS,
    "in-part": _PARTS,
    "receives-in": _each(_place),
    "place-conflict": _each(_RULE),
    "owned": _OWNERSHIP,
    "owned-unresolved": _OWNERSHIP,
    "owned-minority": _OWNERSHIP,
    "captured-under": _rule_and_test,
    "parent-headquartered-in": _each(_place),
    "listed": _LISTS,
    "listed-reaching": _LISTS,
    "any-listed": _LISTS,
    "person-listed": _LISTS,
    "listing-potential": _LISTS,
    "listing-outdated": _LISTS,
    "listing-cleared": _LISTS,
    "military": _in_names("military test", lambda names: names.military),
    "purpose": _shaped("purpose", PURPOSE, "military_end_use"),
    "holds": _paper,
    "organisation-holds": _paper,
    "holds-or-host": _paper,
    "authorisation-ended": _paper,
    "authorisation-ended-or-host": _paper,
    "authorisation-full": _paper,
    "statement": _of("kind of statement", _values(StatementKind)),
    "claims": _shaped("licence exception", _EXCEPTION, "STA"),
    "status-read-by": _each(_RULE),
    "unbarred-by": _each(_of("regime", RULED)),
    "barred-by": _each(_of("regime", RULED)),
}


def names_read(book: Book) -> BookNames:
    """The names by which rows of members are read: of a list, a regime or an item that is not among them nobody asks.

    A word that takes papers of `any` regime takes those of each that the book has rows of.
    """
    tables = book.tables
    lists = _lists_of_tables(tables)
    regimes: set[str] = set()
    for row in book.rows:
        for condition in (*row.facets, row.unless, *(code.condition for code in row.codes)):
            for term in condition.terms:
                check = _CHECKS.get(term.word)
                if check is _LISTS:
                    lists.update(term.parameter.split(","))
                elif check is _paper:
                    regimes.add(term.parameter.partition("/")[0])
    if _ANY in regimes:
        regimes = regimes - {_ANY} | {row.regime for row in book.rows}
    entries = tables.catalogue.entries
    aliases = {(name, entry.id) for entry in entries.values() for _, names in entry.aliases for name in names}
    return BookNames(
        lists=frozenset(lists),
        regimes=frozenset(regimes),
        items=frozenset(entries),
        aliases=tuple(sorted(aliases)),
    )


def unread_lists(book: Book) -> tuple[str, ...]:
    """The lists that a book declares and that none of its rules and tables reads, sorted."""
    return tuple(sorted(book.tables.lists.keys() - names_read(book).lists))


def _lists_of_tables(tables: Tables) -> set[str]:
    lists = {test.list for test in tables.military.values()}
    for rule in tables.ownership.values():
        lists.update(rule.listed, rule.supplement_lists)
    return lists


CHECKED: Final = frozenset(_CHECKS)
"""The words whose parameters can be checked; a word that is not among them cannot be used with one."""
