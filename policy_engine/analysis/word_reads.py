"""How the analysis asks the engine for the answers of a word: by what the word says that it reads, and by nothing else.

Once for each combination of what the word tells apart of a profile, of the item, and of the tables of a book.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import datetime
from typing import Final

from policy_engine.analysis.dimensions import COUNTRY_AXES
from policy_engine.domain.catalogue import Entry, ItemKind
from policy_engine.domain.rules import ROW_WORD, Book
from policy_engine.domain.words import VOCABULARY
from policy_engine.domain.words.dimensions import NO_REQUESTER, Dimensions
from policy_engine.domain.words.parameters import ANY_REGIME, AUTHORISATIONS, LISTS, Named
from policy_engine.domain.words.word import ItemPart


def terms_of(book: Book) -> frozenset[tuple[str, str]]:
    """Every word with its parameter that a row of the book uses."""
    return frozenset((term.word, term.parameter) for row in book.rows for term in row.terms if term.word != ROW_WORD)


def dimensions_read(word: str, parameter: str, book: Book, entry: Entry | None) -> Dimensions:
    """What the word reads of a profile that asks for the item, by the tables of the book."""
    return VOCABULARY[word].reads.dimensions(parameter, book, entry)


def reads_nobody(word: str) -> bool:
    """Whether the word looks at nothing of the requester."""
    return VOCABULARY[word].reads.dimensions is NO_REQUESTER


def asks_of_authorisations(word: str) -> bool:
    """Whether the parameter of the word names authorisations."""
    return VOCABULARY[word].parameter is AUTHORISATIONS


def pairs_of(parameter: str, authorisations: Sequence[str]) -> tuple[str, ...]:
    """The declared papers, as regime/kind, that the parameter of a word about authorisations names."""
    regime, _, kinds = parameter.partition("/")
    wanted = kinds.split(",")
    pairs = [authorisation.partition("/") for authorisation in authorisations]
    return tuple(f"{owner}/{kind}" for owner, _, kind in pairs if regime in (ANY_REGIME, owner) and kind in wanted)


def split(word: str, parameter: str, authorisations: Sequence[str]) -> tuple[str, ...]:
    """The parameters of which the word says that any is so: a list of lists, or of papers, is one question for each."""
    if VOCABULARY[word].parameter is LISTS:
        return tuple(parameter.split(","))
    return pairs_of(parameter, authorisations) if asks_of_authorisations(word) else (parameter,)


_NO_ITEM: Final = ("no item",)


def item_read(word: str, parameter: str, book: Book, entry: Entry | None) -> Hashable:
    """What of the item a word looks at: items that are alike in it are one to the word.

    That there is no item is unlike everything that an item can have: what needs one is unknown then.
    """
    if entry is None:
        return _NO_ITEM
    read: Hashable
    match VOCABULARY[word].reads.item:
        case ItemPart.NOTHING | ItemPart.REQUIREMENTS:
            # In the declared world nobody filed a requirement, so that every listing reaches every item.
            read = None
        case ItemPart.ENTRY:
            read = entry
        case ItemPart.VENDOR | ItemPart.VENDOR_PLACES:
            read = entry.vendor
        case ItemPart.COLUMNS:
            read = entry.kind, entry.eccn
        case ItemPart.PURPOSES:
            read = entry.purposes, entry.purposes_needing_review
        case ItemPart.SUPPLEMENT:
            read = _in_supplement(word, parameter, book, entry)
    return read


def _in_supplement(word: str, parameter: str, book: Book, entry: Entry) -> Hashable:
    """Whether the item's ECCN is in the test's supplement; technology and weights without one are unclassified."""
    if entry.eccn is None and entry.kind in (ItemKind.TECHNOLOGY, ItemKind.WEIGHTS):
        return None
    tables, asked = book.tables, VOCABULARY[word]
    ownership = (tables.ownership[name].supplement_eccn for name in asked.named(parameter, Named.OWNERSHIP))
    military = (tables.military[name].supplement_eccn for name in asked.named(parameter, Named.MILITARY))
    return tuple(entry.eccn in numbers for numbers in (*ownership, *military))


def places_read(word: str, parameter: str, told: Dimensions, book: Book, entry: Entry | None, at: datetime) -> Hashable:
    """What the country groups that a word asks about hold at the instant, and what each law reads as what."""
    places = book.tables.places
    named = {token for tokens in told.values() for token in tokens or () if ":" in token}
    if VOCABULARY[word].reads.item is ItemPart.VENDOR_PLACES and entry is not None:
        named.update(name for name in places.groups if name.startswith(f"VENDOR:{entry.vendor}:"))
    if not named and not any(axis in COUNTRY_AXES for axis in told):
        return ()
    members = tuple(
        (
            name,
            name in places.groups,
            frozenset(
                (member.country, member.subdivision)
                for member in (places.groups[name].members if name in places.groups else ())
                if member.valid.holds(at)
            ),
        )
        for name in sorted(named)
    )
    # As the EAR reads a country every word may, since that says what the United States are.
    laws = {"EAR", *(token.partition(":")[0] for token in (*named, parameter))}
    read = frozenset(
        (rule.law, rule.country, rule.read_as) for rule in places.treat_as if rule.law in laws and rule.valid.holds(at)
    )
    return members, read
