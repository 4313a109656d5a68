"""What may follow the colon of a word: of which shape it is, and what each name in it names.

The domain only says what is named. Whether a book has a thing of that name is asked where rule books are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ANY_REGIME: Final = "any"
"""Stands for every regime in a word about authorisations."""


class Named(StrEnum):
    """What a name in a parameter names, as a message calls it."""

    ACTION = "action"
    ITEM_KIND = "kind of item"
    MODEL = "catalogue entry"
    TIER = "tier"
    VENDOR = "vendor in the catalogue"
    CONSORTIUM = "consortium in the catalogue"
    ECCN = "item or table with the ECCN"
    OPERATIONS = "operations test"
    PLACE = "country or country group"
    SECTOR = "sector"
    ORGANISATION = "organisation id"
    GATEWAY = "gateway id"
    PATTERN = "pattern test"
    PARTS = "parts test"
    RULE = "rule"
    OWNERSHIP = "ownership test"
    LIST = "list"
    MILITARY = "military test"
    PURPOSE = "purpose"
    AUTHORISATION_REGIME = "regime of authorisations"
    AUTHORISATION_KIND = "kind of authorisation"
    STATEMENT = "kind of statement"
    EXCEPTION = "licence exception"
    REGIME = "regime"


@dataclass(frozen=True, slots=True)
class One:
    """One name."""

    named: Named


@dataclass(frozen=True, slots=True)
class Several:
    """Names separated by commas, of which the word asks whether any is so."""

    named: Named


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two parts with a sign between them; `form` is what both together are, as a message says it."""

    first: One
    sign: str
    second: One | Several
    form: str
    example: str


Shape = One | Several | Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What follows the colon: `text` is what a person is told to write.

    `optional` is that of a word that may also stand without. With `either_spelling` the names are of closed lists that
    have the word licence, so that license is read as the same.
    """

    text: str
    shape: Shape
    optional: bool = False
    either_spelling: bool = False

    def names(self, parameter: str) -> Iterator[tuple[Named, str]]:
        """Each name in a parameter with what it names; nothing where none is given."""
        return names_in(self.shape, parameter) if parameter else iter(())


def names_in(shape: Shape, text: str) -> Iterator[tuple[Named, str]]:
    """Each name in a text of the shape."""
    match shape:
        case One(named):
            yield named, text
        case Several(named):
            yield from ((named, name) for name in text.split(","))
        case Pair():
            first, _, second = text.partition(shape.sign)
            yield from names_in(shape.first, first)
            yield from names_in(shape.second, second)


ACTION: Final = Parameter(text="action", shape=One(Named.ACTION), either_spelling=True)
ITEM_KIND: Final = Parameter(text="model, technology, technical_data or weights", shape=One(Named.ITEM_KIND))
MODEL: Final = Parameter(text="catalogue id", shape=One(Named.MODEL))
TIER: Final = Parameter(text="classified, commodity or distilled", shape=One(Named.TIER))
VENDOR: Final = Parameter(text="vendor id", shape=One(Named.VENDOR))
CONSORTIUM: Final = Parameter(text="consortium id", shape=One(Named.CONSORTIUM))
ECCN: Final = Parameter(text="ECCN", shape=One(Named.ECCN))
OPERATIONS_TEST: Final = Parameter(text="operations test of parameters.yaml", shape=One(Named.OPERATIONS))
PLACES: Final = Parameter(text="country codes or country groups, separated by commas", shape=Several(Named.PLACE))
SECTOR: Final = Parameter(text="government, critical_infrastructure or other", shape=One(Named.SECTOR))
ORGANISATION: Final = Parameter(text="organisation id", shape=One(Named.ORGANISATION))
GATEWAY: Final = Parameter(text="gateway id", shape=One(Named.GATEWAY))
PATTERN_TEST: Final = Parameter(text="pattern test of parameters.yaml", shape=One(Named.PATTERN))
PARTS_TEST: Final = Parameter(text="parts test of parameters.yaml", shape=One(Named.PARTS))
RULES: Final = Parameter(text="rule ids, separated by commas", shape=Several(Named.RULE))
OWNERSHIP_TEST: Final = Parameter(text="ownership test of parameters.yaml", shape=One(Named.OWNERSHIP))
RULE_AND_TEST: Final = Parameter(
    text="rule id = ownership test",
    shape=Pair(
        first=One(Named.RULE),
        sign="=",
        second=One(Named.OWNERSHIP),
        form="a rule, `=` and an ownership test",
        example="BIS-AFFILIATES=bis-affiliates",
    ),
)
LISTS: Final = Parameter(text="lists of parameters.yaml, by code, separated by commas", shape=Several(Named.LIST))
MILITARY_TEST: Final = Parameter(text="military test of parameters.yaml", shape=One(Named.MILITARY))
PURPOSE: Final = Parameter(text="purpose", shape=One(Named.PURPOSE))
AUTHORISATIONS: Final = Parameter(
    text="regime or any / kinds, separated by commas",
    shape=Pair(
        first=One(Named.AUTHORISATION_REGIME),
        sign="/",
        second=Several(Named.AUTHORISATION_KIND),
        form="a regime or `any`, `/` and kinds of authorisation",
        example="us-ear/licence",
    ),
    either_spelling=True,
)
STATEMENT: Final = Parameter(
    text="uvl, sta_consignee, supp8_740, mofcom_order, tsr_assurance or screening_734_20", shape=One(Named.STATEMENT)
)
EXCEPTION: Final = Parameter(text="exception, or nothing", shape=One(Named.EXCEPTION), optional=True)
REGIMES: Final = Parameter(text="regimes, separated by commas", shape=Several(Named.REGIME))
