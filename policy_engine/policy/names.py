"""What the parameters of words may name: actions, catalogue entries, tables, rules. A word about nothing never holds.

A bar whose parameter is misspelt would bar nobody, so every parameter is looked up before a book is used. Where the
file that would say is itself at fault, its names are `None` and nothing is reported a second time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from policy_engine.domain.catalogue import ItemKind, Tier
from policy_engine.domain.countries import is_country, suggest
from policy_engine.domain.places import Places
from policy_engine.domain.request import Action
from policy_engine.domain.roster import AuthorisationKind, Sector, StatementKind
from policy_engine.domain.rules import REGIMES, ROW_WORD, Book, Tables, Term
from policy_engine.domain.words import VOCABULARY
from policy_engine.domain.words.parameters import ANY_REGIME, Named, One, Pair, Several, Shape
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
_EXCEPTION: Final = re.compile(r"[A-Z][A-Z0-9]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class NameProblem:
    """What is wrong with a name, and what to do about it."""

    message: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names that a book declares, by what they name. Of a country group it matters whether it has whole countries
    or only parts of them."""

    groups: Mapping[str, bool] | None
    known: Mapping[Named, Known]


def names_of(
    tables: Tables, groups: Mapping[str, bool] | None, *, catalogue: bool, parameters: bool, archived: bool
) -> Names:
    """The names in a book whose catalogue, and whose parameters, could be read; an `archived` one declares no lists."""
    known: dict[Named, Known] = dict.fromkeys(OF_BOOK)
    if catalogue:
        entries = tables.catalogue.entries.values()
        known |= {
            Named.MODEL: frozenset(tables.catalogue.entries),
            Named.VENDOR: frozenset(entry.vendor for entry in entries if entry.vendor is not None),
            Named.CONSORTIUM: frozenset(entry.consortium for entry in entries if entry.consortium is not None),
        }
    if parameters:
        known |= {
            Named.OWNERSHIP: frozenset(tables.ownership),
            Named.OPERATIONS: frozenset(tables.operations),
            Named.MILITARY: frozenset(tables.military),
            Named.PATTERN: frozenset(tables.patterns),
            Named.PARTS: frozenset(tables.parts),
        }
        if not archived:
            known[Named.LIST] = frozenset(tables.lists)
    if catalogue and parameters:
        known[Named.ECCN] = _eccn_names(tables)
    return Names(groups=groups, known=known)


def group_names(places: Places) -> dict[str, bool]:
    """The country groups, and of each whether it has a whole country."""
    return {name: any(member.subdivision is None for member in group.members) for name, group in places.groups.items()}


def _eccn_names(tables: Tables) -> frozenset[str]:
    """Every classification that the catalogue or a table of the parameters has, and EAR99, which has no columns."""
    found = {"EAR99"}
    found |= {entry.eccn for entry in tables.catalogue.entries.values() if entry.eccn is not None}
    found.update(tables.eccn_columns)
    for test in tables.military.values():
        found.update(test.supplement_eccn)
    for rule in tables.ownership.values():
        found.update(rule.supplement_eccn)
    return frozenset(found)


def country_problem(text: str) -> NameProblem | None:
    """What is wrong with an ISO 3166-1 alpha-2 code."""
    if is_country(text):
        return None
    meant = suggest(text)
    remedy = "write an ISO 3166-1 alpha-2 code such as DE" if meant is None else f"did you mean `{meant}`?"
    return NameProblem(message=f"there is no country {quoted(text)}", remedy=remedy)


def place_problem(text: str, groups: Mapping[str, bool] | None) -> NameProblem | None:
    """What is wrong with a country or country group."""
    if ":" not in text:
        return country_problem(text)
    if groups is None:
        return None
    if text not in groups:
        return NameProblem(message=f"there is no country group {quoted(text)}", remedy=hint(text, groups))
    if not groups[text]:
        return NameProblem(
            message=f"the country group {quoted(text)} has only parts of countries, so no country is in it",
            remedy="use the word `in-part` for parts, or name countries",
        )
    return None


def purpose_problem(text: str) -> NameProblem | None:
    """What is wrong with a purpose."""
    if PURPOSE.fullmatch(text):
        return None
    return NameProblem(
        message=f"{quoted(text)} is not a purpose", remedy="write lower-case letters, digits and underscores"
    )


def eccn_problem(text: str) -> NameProblem | None:
    """What is wrong with a classification."""
    if ECCN.fullmatch(text):
        return None
    meant, near = spoilt_eccn(text), _ECCN_OUT_OF_SHAPE.fullmatch(text)
    remedy = 'write one such as "4E001.a" or "EAR99"'
    if meant is not None and ECCN.fullmatch(meant):
        remedy = f"if a spreadsheet took `{meant}` for a number, make its column text; {remedy}"
    elif near is not None:
        remedy = f"did you mean `{near[1]}{near[2].upper()}{near[3]}{near[4].lower()}`? {remedy}"
    return NameProblem(message=f"{quoted(text)} is not an ECCN", remedy=remedy)


def list_code_problem(text: str) -> NameProblem | None:
    """What is wrong with the spelling of a list's code."""
    if LIST_CODE.fullmatch(text):
        return None
    return NameProblem(
        message=f"{quoted(text)} is not a list code", remedy="write a code in capital letters such as EL"
    )


def list_problem(text: str, declared: Known) -> NameProblem | None:
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
    return NameProblem(message=f"there is no list {quoted(text)}", remedy=remedy)


def known_in(what: str, known: Collection[str]) -> Callable[[str], NameProblem | None]:
    """Whether a name is one of those known, as a check."""
    return lambda text: _named(what, text, known)


def parameter_problem(term: Term, names: Names) -> NameProblem | None:
    """What is wrong with the parameter of a word, or with the id of a row; `None` when all that it names is there."""
    if term.word == ROW_WORD:
        return name_problem(Named.RULE, term.parameter, names)
    parameter = VOCABULARY[term.word].parameter
    if parameter is None or not term.parameter:
        return None
    return _shape_problem(parameter.shape, term.parameter, names)


def _shape_problem(shape: Shape, text: str, names: Names) -> NameProblem | None:
    match shape:
        case One(named):
            return name_problem(named, text, names)
        case Several(named):
            parts = text.split(",")
            if "" in parts:
                message = f"in the list {quoted(text)} a name is missing"
                return NameProblem(message=message, remedy="put one comma between names")
            return next((problem for part in parts if (problem := name_problem(named, part, names)) is not None), None)
        case Pair():
            first, sign, second = text.partition(shape.sign)
            if not sign:
                message = f"{quoted(text)} is not {shape.form}"
                return NameProblem(message=message, remedy=f"write one such as `{shape.example}`")
            return _shape_problem(shape.first, first, names) or _shape_problem(shape.second, second, names)


def name_problem(named: Named, text: str, names: Names) -> NameProblem | None:
    """What is wrong with a name of this kind."""
    match named:
        case Named.PLACE:
            return place_problem(text, names.groups)
        case Named.LIST:
            return list_problem(text, names.known[Named.LIST])
        case _ if named in _SHAPES:
            pattern, example = _SHAPES[named]
            return _misshapen(named.value, text, pattern, example)
        case _ if named in _CLOSED:
            return _named(named.value, text, _CLOSED[named])
        case _:
            return _named(named.value, text, names.known[named])


def _misshapen(what: str, text: str, pattern: re.Pattern[str], example: str) -> NameProblem | None:
    if pattern.fullmatch(text):
        return None
    near = next((one for one in (text.upper(), text.lower()) if pattern.fullmatch(one)), None)
    remedy = f"write one such as `{example}`" if near is None else f"did you mean {quoted(near)}?"
    return NameProblem(message=f"{quoted(text)} is not {'an' if what[0] in 'aeiou' else 'a'} {what}", remedy=remedy)


def _named(what: str, name: str, known: Known) -> NameProblem | None:
    if known is None or name in known:
        return None
    return NameProblem(message=f"there is no {what} {quoted(name)}", remedy=hint(name, known))


def _values(kinds: type[StrEnum]) -> tuple[str, ...]:
    return tuple(kind.value for kind in kinds)


_SHAPES: Final[Mapping[Named, tuple[re.Pattern[str], str]]] = {
    Named.ORGANISATION: (_ID, "alder-bank"),
    Named.GATEWAY: (_ID, "main"),
    Named.PURPOSE: (PURPOSE, "military_end_use"),
    Named.EXCEPTION: (_EXCEPTION, "STA"),
}
"""Names that no file of a book declares: only their shape can be checked."""

_CLOSED: Final[Mapping[Named, tuple[str, ...]]] = {
    Named.ACTION: _values(Action),
    Named.ITEM_KIND: _values(ItemKind),
    Named.TIER: _values(Tier),
    Named.SECTOR: _values(Sector),
    Named.STATEMENT: _values(StatementKind),
    Named.AUTHORISATION_KIND: _values(AuthorisationKind),
    Named.AUTHORISATION_REGIME: (*RULED, ANY_REGIME),
    Named.REGIME: RULED,
}
"""Names of closed lists."""

OF_BOOK: Final = (
    *(Named.MODEL, Named.VENDOR, Named.CONSORTIUM, Named.ECCN, Named.OPERATIONS, Named.PATTERN, Named.PARTS),
    *(Named.RULE, Named.OWNERSHIP, Named.MILITARY, Named.LIST),
)
"""Names that a book declares."""


def names_in(terms: Iterable[Term], *kinds: Named) -> frozenset[str]:
    """The names of these kinds in the parameters of some terms."""
    return frozenset(
        name for term in terms if term.word != ROW_WORD for name in VOCABULARY[term.word].named(term.parameter, *kinds)
    )


def names_read(book: Book) -> BookNames:
    """The names by which rows of members are read: of a list, a regime or an item that is not among them nobody asks.

    A word that takes authorisations of `any` regime takes those of each that the book has rows of.
    """
    tables = book.tables
    terms = [term for row in book.rows for term in row.terms]
    regimes = names_in(terms, Named.AUTHORISATION_REGIME)
    if ANY_REGIME in regimes:
        regimes = regimes - {ANY_REGIME} | {row.regime for row in book.rows}
    entries = tables.catalogue.entries
    aliases = {(name, entry.id) for entry in entries.values() for _, names in entry.aliases for name in names}
    return BookNames(
        lists=names_in(terms, Named.LIST) | _lists_of_tables(tables),
        regimes=regimes,
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
