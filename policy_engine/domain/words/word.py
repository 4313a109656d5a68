"""A word: one value that says all that anybody asks about it.

A word is made of the function that answers it, with `word` above it. Every part is required, so that a word that
forgets one is a type error and no set elsewhere has to know its name. Judge, reader, record, remedies, analysis and the
pages of words and of the law all look here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum
from types import ModuleType
from typing import Final, Literal

from policy_engine.domain.facts import Party
from policy_engine.domain.logic import Answer
from policy_engine.domain.words.dimensions import NO_REQUESTER, DimensionsRead
from policy_engine.domain.words.parameters import Named, Parameter

Evaluate = Callable[[Party, str], Answer]


class Absent(StrEnum):
    """What a fact is when nobody filed or stated it: `OPEN` is unknown, `CLOSED` is none; of the catalogue and of the
    request there is what they say, and nothing more."""

    OPEN = "open"
    CLOSED = "closed"
    CATALOGUE = "catalogue"
    REQUEST = "request"


class Looks(Enum):
    """At what a word looks, which decides when it can be asked."""

    AT_FACTS = "facts"
    AT_EXISTENCE = "existence"
    """Whether there is the item, or somebody on file: rows that ask it are judged where there is not."""
    AT_ROWS_ENFORCED = "rows enforced"
    """Which rows are enforced and in force."""
    AT_ROWS_REACHED = "rows reached"
    """Which enforced rows in force reach the action and the item, and what they ask."""
    AT_BARS_MATCHED = "bars matched"
    """Of which regimes a bar matched, lifted or not; asked when those bars are judged."""
    AT_BARS_STANDING = "bars standing"
    """Of which regimes a bar stands against the party; asked when those bars are judged."""


class Fact(StrEnum):
    """A fact on file that a record of a decision has by value, under this name."""

    US_STATUS = "us_status"
    CITIZENSHIPS = "citizenships"
    PAST_CITIZENSHIPS = "past_citizenships"
    PERMANENT_RESIDENCIES = "permanent_residencies"
    EMPLOYMENT = "employment"
    INCORPORATED = "incorporated"
    HEADQUARTERS = "headquarters"
    SECTOR = "sector"
    RESELLER = "reseller"
    MEMBERSHIPS = "memberships"
    STATEMENTS = "statements"
    AUTHORISATIONS = "authorisations"
    LISTINGS = "listings"
    CLUSTER = "cluster"


Obtainable = Literal[Fact.MEMBERSHIPS, Fact.STATEMENTS, Fact.AUTHORISATIONS]
"""Facts of which somebody can obtain a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRead:
    """A fact that a word reads of the party; with `host_too` also of the organisation acting and the host, and with
    `whoever` also the authorisations that are not for the natural person."""

    fact: Fact
    host_too: bool
    whoever: bool


def own(*facts: Fact) -> tuple[FactRead, ...]:
    """Facts that are read of the party alone."""
    return tuple(FactRead(fact=fact, host_too=False, whoever=False) for fact in facts)


class ItemPart(Enum):
    """What of the item a word looks at; items that are alike in it are one to the word."""

    NOTHING = "nothing"
    ENTRY = "entry"
    VENDOR = "vendor"
    VENDOR_PLACES = "vendor places"
    """Its vendor, and the country groups that say where the vendor offers it."""
    COLUMNS = "columns"
    """Its kind and ECCN, and the control columns of that."""
    PURPOSES = "purposes"
    SUPPLEMENT = "supplement"
    """Whether its ECCN is in the supplement of the ownership or military test that the parameter names."""
    REQUIREMENTS = "requirements"
    """Whether the licence requirement of a listing reaches it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """What a word reads.

    `facts` are the facts on file that a record has because of it. `obtainable` is the fact of which a row,
    once obtained, makes the word hold, so that a remedy may propose it; `None` where no row would.
    """

    absent: Absent
    looks: Looks
    facts: tuple[FactRead, ...]
    item: ItemPart
    dimensions: DimensionsRead
    obtainable: Obtainable | None

    @property
    def host_too(self) -> bool:
        """Whether a fact is read of the host too."""
        return any(read.host_too for read in self.facts)

    @property
    def other_rows(self) -> bool:
        """Whether what a row does may change the answer: which bars match or stand, or which rows reach the item."""
        return self.looks in (Looks.AT_ROWS_REACHED, Looks.AT_BARS_MATCHED, Looks.AT_BARS_STANDING)


PLAIN: Final = Reads(
    absent=Absent.OPEN,
    looks=Looks.AT_FACTS,
    facts=(),
    item=ItemPart.NOTHING,
    dimensions=NO_REQUESTER,
    obtainable=None,
)
"""What a word reads that looks at nothing by itself; with `replace` for what a word reads beyond that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """What a word takes from the law, from where, and whether it was compared with the text of that."""

    what: str
    source: str
    checked: bool


HOUSE: Final = Clause(what="no law: the word tells what is on file or stated", source="house convention", checked=True)
"""Of words that encode no law of their own; the rows that use them cite what they stand for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word of the vocabulary.

    `columns` are those of a rule file in which it may stand; `parameter` is what follows the colon, `None` for nothing;
    `answer` answers it for a party. `meaning` and `example` are for the author of a rule.
    """

    name: str
    columns: tuple[str, ...]
    parameter: Parameter | None
    reads: Reads
    answer: Evaluate
    meaning: str
    example: str
    clause: Clause

    def names(self, parameter: str) -> Iterable[tuple[Named, str]]:
        """Each name in a parameter of the word, with what it names."""
        return () if self.parameter is None else self.parameter.names(parameter)

    def named(self, parameter: str, *kinds: Named) -> tuple[str, ...]:
        """The names of these kinds in a parameter of the word."""
        return tuple(name for kind, name in self.names(parameter) if kind in kinds)


def word(
    columns: tuple[str, ...], parameter: Parameter | None, reads: Reads, clause: Clause, *, example: str
) -> Callable[[Evaluate], Word]:
    """Makes a word of the function that answers it: the name is that of the function with hyphens, the meaning the
    first paragraph of its docstring. Raises `TypeError` for a function without one."""

    def made(answer: Evaluate) -> Word:
        if answer.__doc__ is None:
            raise TypeError(f"the word `{answer.__name__}` has no docstring that says what it means")
        return Word(
            name=answer.__name__.replace("_", "-"),
            columns=columns,
            parameter=parameter,
            reads=reads,
            answer=answer,
            meaning=" ".join(answer.__doc__.partition("\n\n")[0].split()),
            example=example,
            clause=clause,
        )

    return made


def words_of(family: ModuleType) -> list[Word]:
    """The words that a module makes, in their order."""
    return [one for one in vars(family).values() if isinstance(one, Word) and one.answer.__module__ == family.__name__]
