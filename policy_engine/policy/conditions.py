"""The grammar of a condition cell.

    condition   = [ alternative { "|" alternative } ]       an empty cell asks nothing
    alternative = term { "&" term }
    term        = [ "known " ] [ "!" ] word [ ":" parameter ]

Blanks and line breaks may stand around the signs and nowhere inside a term. A parameter may have anything but `|`, `&`,
white space and quotation marks. A word is one of the vocabulary, stands in a column that the vocabulary gives it, and
has a parameter if and only if the vocabulary says so (`claims` may go without). In the column `action` the name of an
action stands for the word `action` with it; in `unless` the id of a rule stands for that note row, neither negated nor
`known`, since what lifts has to hold.

Whether the things that parameters name exist is not asked here but in `names`.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from policy_engine.domain.request import Action
from policy_engine.domain.rules import ANYTHING, FACETS, ROW_WORD, Condition, Term
from policy_engine.domain.spelling import one_spelling
from policy_engine.domain.words import VOCABULARY
from policy_engine.formats.faults import near_miss, quoted
from policy_engine.policy.csv_reader import like_number

UNLESS: Final = "unless"
"""The name, beside those of the facets, of the column that says what lifts a bar."""

RULE_ID: Final = re.compile(r"[A-Z0-9][A-Z0-9.-]*")

_WHITE: Final = " \n"
_QUOTES: Final = "'\"`´‘’‚“”„«»‹›"
_TERM: Final = re.compile(
    rf"(?P<known>known[{_WHITE}]+)?(?P<negated>!)?(?P<name>[^\s|&!:{_QUOTES}]+)(?::(?P<parameter>[^\s|&{_QUOTES}]+))?"
)
_ACTIONS: Final = frozenset(action.value for action in Action)
_MOST_NAMED: Final = 12
_MOST_COMPARED: Final = 2_000
"""Names that a misspelt one is compared with: each costs as much as reading a cell."""
_NEIGHBOURS: Final = 50
"""Of more names than that those are compared which stand so near to the misspelt one in the alphabet."""
MOST_TERMS: Final = 500
_NUMBER_OF_ECCN: Final = re.compile(r"([0-9])(?:[.,]0+)?[eE]\+?([0-9]{1,3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """What is wrong inside a cell; `offset` counts the characters before it."""

    offset: int
    message: str
    remedy: str


class Mistakes(list[Mistake]):
    """What is wrong inside a cell, in the order in which it was met."""

    def add(self, offset: int, message: str, remedy: str) -> None:
        self.append(Mistake(offset=offset, message=message, remedy=remedy))


class ConditionError(ValueError):
    """The text is no condition of this column; `mistakes` has every reason."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        self.mistakes = mistakes
        super().__init__("; ".join(f"{mistake.message}: {mistake.remedy}" for mistake in mistakes))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionReading:
    """A condition as far as it could be read, its terms with the characters before each, and what is wrong."""

    condition: Condition
    terms: tuple[tuple[int, Term], ...]
    mistakes: tuple[Mistake, ...]


def parse_condition(text: str, facet: str | None) -> Condition:
    """The condition in a cell of the column `facet`, of `UNLESS`, or, with `None`, of a reason code.

    For every condition `c` that this can give, `parse_condition(c.text, facet) == c`. Raises `ConditionError`, and
    `ValueError` for a column that there is not.
    """
    reading = read_condition(text, facet)
    if reading.mistakes:
        raise ConditionError(reading.mistakes)
    return reading.condition


def read_condition(text: str, facet: str | None) -> ConditionReading:
    """As `parse_condition`, with the mistakes as values and the places of the terms."""
    if facet is not None and facet != UNLESS and facet not in FACETS:
        raise ValueError(f"there is no column of conditions `{facet}`")
    if not text.strip(_WHITE):
        return ConditionReading(condition=ANYTHING, terms=(), mistakes=())
    if text.count("|") + text.count("&") >= MOST_TERMS:
        message = f"the condition has more than {MOST_TERMS} terms"
        mistake = Mistake(offset=0, message=message, remedy="name a country group, or write several rules")
        return ConditionReading(condition=ANYTHING, terms=(), mistakes=(mistake,))
    mistakes = Mistakes()
    located: list[tuple[int, Term]] = []
    alternatives: list[tuple[Term, ...]] = []
    at = 0
    for alternative in text.split("|"):
        terms = []
        for piece in alternative.split("&"):
            offset = at + len(piece) - len(piece.lstrip(_WHITE))
            term = _term(piece.strip(_WHITE), offset, facet, mistakes)
            if term is not None:
                terms.append(term)
                located.append((offset, term))
            at += len(piece) + 1
        alternatives.append(tuple(terms))
    return ConditionReading(
        condition=Condition(alternatives=tuple(alternatives)), terms=tuple(located), mistakes=tuple(mistakes)
    )


def hint(name: str, known: Collection[str]) -> str:
    """The remedy for a name that is none of the known ones."""
    if not known:
        return "there are none"
    meant = spoilt_eccn(name)
    if meant is not None and meant != name:
        rest = f"write `{meant}`" if meant in known else "write the ECCN"
        return f"a spreadsheet takes `{meant}` for a number: make its column text and {rest}"
    if len(known) > _MOST_COMPARED:
        near = near_miss(name, _neighbours(name, known)) if isinstance(known, frozenset) else None
        none = f"it is not one of {len(known):,} known names; look for it in the files"
        return none if near is None else f"did you mean {quoted(near)}?"
    names = _in_order(known) if isinstance(known, frozenset) else tuple(sorted(known))
    near = near_miss(name, names)
    if near is not None:
        return f"did you mean {quoted(near)}?"
    return f"known names: {', '.join(names[:_MOST_NAMED])}{' and others' if len(names) > _MOST_NAMED else ''}"


def spoilt_eccn(text: str) -> str | None:
    """The ECCN of which a spreadsheet made this number: 4E091 becomes 4E91, 4E+91 or 4.00E+91; `None` if it is none."""
    matched = _NUMBER_OF_ECCN.fullmatch(text)
    return None if matched is None else f"{matched[1]}E{int(matched[2]):03d}"


def _neighbours(name: str, known: frozenset[str]) -> tuple[str, ...]:
    names = _in_order(known)
    at = bisect.bisect(names, name)
    return names[max(0, at - _NEIGHBOURS) : at + _NEIGHBOURS]


@lru_cache(maxsize=4)
def _in_order(known: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(known))


def _has_two_spellings(name: str) -> bool:
    word = VOCABULARY.get(name)
    return word is not None and word.parameter is not None and word.parameter.either_spelling


def _term(text: str, offset: int, facet: str | None, mistakes: Mistakes) -> Term | None:
    matched = _TERM.fullmatch(text)
    if matched is None:
        message, remedy = _misread(text)
        mistakes.add(offset, message, remedy)
        return None
    name, parameter = matched["name"], matched["parameter"]
    if facet == "action" and parameter is None:
        name = one_spelling(name)
    if parameter is not None and _has_two_spellings(name):
        parameter = one_spelling(parameter)
    only_known, negated = matched["known"] is not None, matched["negated"] is not None
    if facet == "action" and parameter is None and name in _ACTIONS:
        name, parameter = "action", name
    wrong = None
    if facet == UNLESS and parameter is None and RULE_ID.fullmatch(name):
        if negated or only_known:
            message = f"the rule {quoted(name)} is {'negated' if negated else 'marked `known`'}"
            wrong = message, "what lifts is a rule that matches: write its id alone"
        name, parameter = ROW_WORD, name
    else:
        wrong = _misused(name, parameter, facet)
    if wrong is not None:
        mistakes.add(offset, wrong[0], wrong[1])
        return None
    return Term(word=name, parameter=parameter or "", negated=negated, only_known=only_known)


def _misused(name: str, parameter: str | None, facet: str | None) -> tuple[str, str] | None:
    """Why the vocabulary does not allow the word here, and what to do about it."""
    word = VOCABULARY.get(name)
    if word is None:
        if like_number(name):
            return f"{quoted(name)} is a number", "write words; a spreadsheet may have changed it: make the column text"
        return f"there is no word {quoted(name)}", hint(name, _words_for(facet))
    if facet in FACETS and facet not in word.columns:
        return f"the word `{name}` does not belong in this column", f"its column is `{'` or `'.join(word.columns)}`"
    if word.parameter is not None and parameter is None and not word.parameter.optional:
        return f"the word `{name}` needs a parameter", f"write `{name}:` and then {word.parameter.text}"
    if parameter is not None and word.parameter is None:
        return f"the word `{name}` takes no parameter", f"write `{name}` alone"
    return None


def _words_for(facet: str | None) -> list[str]:
    words = [word.name for word in VOCABULARY.values() if facet not in FACETS or facet in word.columns]
    return [*words, *_ACTIONS] if facet == "action" else words


def _misread(text: str) -> tuple[str, str]:
    """Why a text is no term, and what to do about it."""
    if not text:
        return "a term is missing", "write `a & b | c`, each sign once and between two terms"
    if any(quote in text for quote in _QUOTES):
        return f"{quoted(text)} has a quotation mark", "write words and parameters without quotation marks"
    if re.search(r"\s", text):
        remedy = "put `&` or `|` between terms and `!` right before a word; a comment has a line of its own"
        return f"{quoted(text)} is more than one term", remedy
    if text.endswith(":"):
        return f"{quoted(text)} has a colon and no parameter", "write the parameter right after the colon"
    return f"{quoted(text)} is not a word", "write a word of the vocabulary, with `!` before it to negate it"
