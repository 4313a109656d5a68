"""What each word of the vocabulary reads of a profile, of the item, and of the tables of a book.

The analysis asks the engine for the answer of a word once for each combination of what this module says that it tells
apart. A word that reads more than is said here would be answered wrongly; tests hold both against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from policy_engine.domain.catalogue import Entry, ItemKind
from policy_engine.domain.rules import ROW_WORD, Book
from policy_engine.policy.analysis.axes import (
    ACCOUNT,
    ADDRESS,
    ASSERTION,
    CITIZENSHIP,
    CLAIM,
    CLUSTER,
    CONTRACTOR,
    DESTINATION,
    EARLIER,
    GATEWAY,
    HEADQUARTERS,
    IDENTITY,
    INCORPORATED,
    INDIVIDUAL,
    LISTING,
    MEMBERSHIP,
    NONE,
    OWNER_HOME,
    OWNER_LIST,
    PAPER,
    PART,
    PLACE,
    PURPOSE,
    REQUESTER,
    RESELLER,
    SECTOR,
    SHARE,
    STATEMENT,
    STRANGER,
    UNFILED,
    US_STATUS,
)


def terms_of(book: Book) -> frozenset[tuple[str, str]]:
    """Every word with its parameter that a row of the book uses."""
    return frozenset(
        (term.word, term.parameter)
        for row in book.rows
        for condition in (*row.facets, row.unless, *(rule.condition for rule in row.codes))
        for term in condition.terms
        if term.word != ROW_WORD
    )


def pairs_of(parameter: str, papers: Sequence[str]) -> tuple[str, ...]:
    """The declared papers, as regime/kind, that the parameter of a word about authorisations names."""
    regime, _, kinds = parameter.partition("/")
    wanted = kinds.split(",")
    pairs = [paper.partition("/") for paper in papers]
    return tuple(f"{owner}/{kind}" for owner, _, kind in pairs if regime in ("any", owner) and kind in wanted)


_LIST_WORDS: Final = frozenset(
    {
        "listed",
        "listed-reaching",
        "person-listed",
        "any-listed",
        "listing-potential",
        "listing-outdated",
        "listing-cleared",
    }
)
PAPER_WORDS: Final = frozenset(
    {
        "holds",
        "organisation-holds",
        "holds-or-host",
        "authorisation-ended",
        "authorisation-ended-or-host",
        "authorisation-full",
    }
)
_MEMBER_WORDS: Final = frozenset({"member", "membership-never", "membership-ended", "membership-suspended"})
_OWNERSHIP_WORDS: Final = frozenset({"owned", "owned-unresolved", "owned-minority"})


def _tokens(*texts: str) -> frozenset[str]:
    return frozenset(token for text in texts for token in text.split(",") if token)


_NOTHING: Final[frozenset[str]] = frozenset()
_US: Final = frozenset({"US"})


def column_tokens(book: Book, entry: Entry | None) -> frozenset[str]:
    """The codes and groups in the control columns of an item's ECCN."""
    tokens: set[str] = set()
    names = book.tables.eccn_columns.get(entry.eccn or "", ()) if entry is not None else ()
    for column in (book.tables.columns[name] for name in names):
        tokens.update(column.everywhere_except or ())
        tokens.update(column.covers)
    return frozenset(tokens)


def vendor_tokens(book: Book, entry: Entry | None) -> frozenset[str]:
    """The place lists of an item's vendor."""
    vendor = entry.vendor if entry is not None else None
    names = (f"VENDOR:{vendor}:supported", f"VENDOR:{vendor}:unsupported")
    return frozenset(name for name in names if name in book.tables.places.groups)


Axes = dict[str, frozenset[str] | None]


def reading_of(word: str, parameter: str, book: Book, entry: Entry | None) -> Axes:
    """What the word reads, by the tables of the book, of a profile that asks for the item: every axis on which its
    answer may depend.

    For a country axis it has the codes and groups that the word asks about, so that countries alike in these are one to
    it; for another axis the values that it tells apart from all others, or `None` for every value.

    Raises `LookupError` for a word that is not in the tables, so that a new word is not taken for one that reads
    nothing.
    """
    fixed = _FIXED.get(word)
    if fixed is not None:
        return dict(fixed)
    by_parameter = _BY_PARAMETER.get(word)
    if by_parameter is not None:
        return by_parameter(parameter)
    by_book = _BY_BOOK.get(word)
    if by_book is not None:
        return by_book(parameter, book)
    by_item = _BY_ITEM.get(word)
    if by_item is not None:
        return by_item(parameter, book, entry)
    raise LookupError(f"the analysis does not know what the word `{word}` reads")


_BY_VENDOR: Final = frozenset({"acts-for-vendor", "unsupported-place", "place-conflict"})
_BY_COLUMNS: Final = frozenset({"deemed-covered", "column-destination"})
_BY_PURPOSES: Final = frozenset({"purpose-permitted", "purpose-in-review"})


def item_read(word: str, parameter: str, book: Book, entry: Entry | None) -> Hashable:
    """What of the item a word looks at that also looks at the requester; other such words look at nothing of it.

    That there is no item is unlike everything that an item can have: what needs one is unknown then.
    """
    if entry is None:
        return _NO_ITEM
    if word in _BY_VENDOR:
        return entry.vendor
    if word in _BY_COLUMNS:
        return entry.kind, entry.eccn
    if word in _BY_PURPOSES:
        return entry.purposes, entry.purposes_needing_review
    return _classified(_supplement(word, parameter, book), entry)


_NO_ITEM: Final = ("no item",)


def _supplement(word: str, parameter: str, book: Book) -> tuple[str, ...] | None:
    """The ECCNs that a word reaches beyond others, `None` for a word that looks at no ECCN."""
    if word == "military":
        return book.tables.military[parameter].supplement_eccn
    if word in _OWNERSHIP_WORDS or word == "captured-under":
        return book.tables.ownership[parameter.partition("=")[2] or parameter].supplement_eccn
    return None


def _classified(numbers: tuple[str, ...] | None, entry: Entry) -> Hashable:
    """Whether the item's ECCN is one of these; technology and weights without one are unclassified."""
    if numbers is None or (entry.eccn is None and entry.kind in (ItemKind.TECHNOLOGY, ItemKind.WEIGHTS)):
        return None
    return entry.eccn in numbers


_DEEMED: Final = {REQUESTER: frozenset({ACCOUNT}), US_STATUS: None}

_NO_AXES: Final[Mapping[str, frozenset[str] | None]] = MappingProxyType({})

_FIXED: Final[Mapping[str, Mapping[str, frozenset[str] | None]]] = {
    **dict.fromkeys(
        """
        action consortium eccn eccn-on-file eccn-stated in-catalogue kind model operations-below operations-excluded
        operations-reach published requires-end-user tier vendor vendor-has-place-list weights-determined
        end-user-named status-read-by barred-by unbarred-by
        """.split(),
        _NO_AXES,
    ),
    "on-file": {REQUESTER: frozenset({STRANGER})},
    "foreign-person": _DEEMED,
    "us-person": _DEEMED,
    "foreign-organisation": {INCORPORATED: _US},
    "deemed-known": {**_DEEMED, CITIZENSHIP: _NOTHING, INCORPORATED: _US},
    "no-organisation": {REQUESTER: frozenset({INDIVIDUAL})},
    "sector": {SECTOR: None},
    "reseller": {RESELLER: None},
    "own-staff": {REQUESTER: None},
    "employee": {REQUESTER: None},
    "assertion-conflict": {ASSERTION: None},
    "pattern": {CLUSTER: None},
    "receives-abroad": {PLACE: _US, DESTINATION: _US},
    "destination-known": {PLACE: _NOTHING, DESTINATION: _NOTHING},
    "place-stated": {PLACE: _NOTHING, ADDRESS: _NOTHING, DESTINATION: _NOTHING},
    "purpose-stated": {PURPOSE: frozenset({NONE})},
    "purpose": {PURPOSE: None},
    "purpose-permitted": {PURPOSE: None},
    "purpose-in-review": {PURPOSE: None},
    "claims": {CLAIM: None},
}


def reads_nobody(word: str) -> bool:
    """Whether the word looks at the item and the action alone."""
    return _FIXED.get(word) is _NO_AXES


def _ownership(test: str, book: Book) -> Axes:
    rule = book.tables.ownership[test]
    group = _tokens(rule.headquartered_in or "", rule.headquartered_outside or "")
    axes: Axes = {
        SHARE: None,
        OWNER_HOME: group,
        OWNER_LIST: frozenset((*rule.listed, *rule.supplement_lists)),
    }
    if rule.own_establishment:
        axes |= {INCORPORATED: group, HEADQUARTERS: group}
    return axes


def _deemed_covered(_: str, book: Book, entry: Entry | None) -> Axes:
    covered = column_tokens(book, entry)
    return {**_DEEMED, CITIZENSHIP: covered, INCORPORATED: covered | _US}


def _unsupported_place(parameter: str, book: Book, entry: Entry | None) -> Axes:
    listed = vendor_tokens(book, entry)
    parted = listed | {book.tables.parts[parameter].country}
    return (
        {PART: None}
        | dict.fromkeys((PLACE, ADDRESS, DESTINATION), parted)
        | dict.fromkeys((INCORPORATED, HEADQUARTERS), listed)
    )


def _in_part(parameter: str, book: Book) -> Axes:
    country = frozenset({book.tables.parts[parameter.partition(",")[0]].country})
    return {PLACE: country, PART: None, ADDRESS: country, DESTINATION: country}


def _column_destination(_: str, book: Book, entry: Entry | None) -> Axes:
    return dict.fromkeys((PLACE, DESTINATION), column_tokens(book, entry) | _US)


def _place_conflict(parameter: str, book: Book, entry: Entry | None) -> Axes:
    compared = _conflict_tokens(parameter, book, entry)
    return {PLACE: compared, PART: None, ADDRESS: compared}


def _captured_under(parameter: str, book: Book) -> Axes:
    return {**_ownership(parameter.partition("=")[2], book), INCORPORATED: _US}


def _parent(parameter: str) -> Axes:
    named = _tokens(parameter)
    return {HEADQUARTERS: named, SHARE: None, OWNER_HOME: named, OWNER_LIST: _NOTHING}


def _listed(parameter: str) -> Axes:
    confirmed = frozenset({"organisation confirmed", "person confirmed"})
    return {LISTING + name: confirmed for name in parameter.split(",")}


def _listed_as(status: str) -> Callable[[str], Axes]:
    told = frozenset({f"organisation {status}", f"person {status}"})
    return lambda parameter: {LISTING + name: told for name in parameter.split(",")}


def _conflict_tokens(parameter: str, book: Book, entry: Entry | None) -> frozenset[str]:
    rules = parameter.split(",")
    tokens: set[str] = set()
    for term in (term for row in book.rows if row.id in rules for term in row.facet("place").terms):
        if term.word == "located-in":
            tokens |= _tokens(term.parameter)
        elif term.word == "unsupported-place":
            tokens |= vendor_tokens(book, entry) | {book.tables.parts[term.parameter].country}
    return frozenset(tokens)


def _military(parameter: str, book: Book) -> Axes:
    test = book.tables.military[parameter]
    any_item = frozenset(test.any_item_countries)
    received = any_item | frozenset(test.supplement_countries)
    return {
        INCORPORATED: any_item,
        HEADQUARTERS: any_item,
        PLACE: received,
        ADDRESS: _NOTHING,
        DESTINATION: received,
        LISTING + test.list: frozenset({"organisation confirmed", "person confirmed"}),
        PURPOSE: frozenset({test.purpose}),
    }


def _paper(parameter: str) -> Axes:
    """A licence is for employees (15 CFR 750.7(a)(3)), and a place of a cap is for a natural person."""
    return {PAPER + parameter: None, REQUESTER: frozenset({CONTRACTOR, ACCOUNT})}


def split(word: str, parameter: str, papers: Sequence[str]) -> tuple[str, ...]:
    """The parameters of which the word says that any is so: a list of lists, or of papers, is one question for each."""
    if word in _LIST_WORDS:
        return tuple(parameter.split(","))
    if word in PAPER_WORDS:
        return pairs_of(parameter, papers)
    return (parameter,)


_BY_PARAMETER: Final[Mapping[str, Callable[[str], Axes]]] = {
    # In the world of the analysis nobody filed a requirement, and it reaches every item.
    **dict.fromkeys(("listed", "listed-reaching", "person-listed", "any-listed"), _listed),
    **{f"listing-{status}": _listed_as(status) for status in ("potential", "outdated", "cleared")},
    **dict.fromkeys(PAPER_WORDS, _paper),
    **dict.fromkeys(_MEMBER_WORDS, lambda parameter: {MEMBERSHIP + parameter: None}),
    "organisation": lambda parameter: {REQUESTER: frozenset({UNFILED}), IDENTITY: frozenset({parameter})},
    "gateway": lambda parameter: {GATEWAY: frozenset({parameter})},
    "established-in": lambda parameter: dict.fromkeys((INCORPORATED, HEADQUARTERS), _tokens(parameter)),
    "itar-within": lambda parameter: {
        REQUESTER: frozenset({ACCOUNT}),
        CITIZENSHIP: _tokens(parameter),
        EARLIER: _tokens(parameter),
    },
    "itar-national": lambda parameter: {**_DEEMED, CITIZENSHIP: _tokens(parameter), EARLIER: _tokens(parameter)},
    **dict.fromkeys(
        ("deemed-within", "deemed-in"),
        lambda parameter: {**_DEEMED, CITIZENSHIP: _tokens(parameter), INCORPORATED: _tokens(parameter) | _US},
    ),
    "headquartered-in": lambda parameter: {HEADQUARTERS: _tokens(parameter)},
    "located-in": lambda parameter: dict.fromkeys(
        (PLACE, ADDRESS, DESTINATION, INCORPORATED, HEADQUARTERS), _tokens(parameter)
    ),
    "receives-in": lambda parameter: dict.fromkeys((PLACE, DESTINATION), _tokens(parameter)),
    **dict.fromkeys(("parent-headquartered-in", "ultimate-parent-in"), _parent),
    "statement": lambda parameter: {STATEMENT + parameter: None},
}

_BY_BOOK: Final[Mapping[str, Callable[[str, Book], Axes]]] = {
    **dict.fromkeys(_OWNERSHIP_WORDS, _ownership),
    "captured-under": _captured_under,
    "in-part": _in_part,
    "military": _military,
}

_BY_ITEM: Final[Mapping[str, Callable[[str, Book, Entry | None], Axes]]] = {
    "acts-for-vendor": lambda _parameter, _book, entry: {IDENTITY: frozenset({entry.vendor or ""} if entry else ())},
    "deemed-covered": _deemed_covered,
    "unsupported-place": _unsupported_place,
    "column-destination": _column_destination,
    "place-conflict": _place_conflict,
}

WORDS: Final = frozenset({*_FIXED, *_BY_PARAMETER, *_BY_BOOK, *_BY_ITEM})
"""Every word of which it is known what it reads."""
