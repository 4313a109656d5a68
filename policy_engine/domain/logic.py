"""Three-valued logic: yes, no and unknown, which is never the same as no.

Kleene's strong logic: a conjunction is no when any part is known to fail, a disjunction is yes when any part is known
to hold, and the negation of unknown is unknown. An unknown answer carries the facts that nobody knew, and a disjunction
or conjunction passes on those of its unknown parts only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Tri(IntEnum):
    """A truth value; the order is the order of Kleene's logic, so that `min` is and, `max` is or."""

    NO = 0
    UNKNOWN = 1
    YES = 2


Detail = tuple[tuple[str, str | tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a word says about a party.

    `missing` names the facts, by path, that left the answer unknown; `detail` has what an officer wants to see beside a
    known answer (which country, which list entry, which percentages).
    """

    value: Tri
    missing: tuple[str, ...] = ()
    detail: Detail = ()


YES: Final = Answer(value=Tri.YES)
NO: Final = Answer(value=Tri.NO)


def yes(*detail: tuple[str, str | tuple[str, ...]]) -> Answer:
    """Known to hold, with what is worth telling about it."""
    return Answer(value=Tri.YES, detail=detail)


def unknown(*missing: str) -> Answer:
    """Not known, for want of the facts named."""
    return Answer(value=Tri.UNKNOWN, missing=missing)


def known(truth: bool) -> Answer:
    """A fact that is on file, one way or the other."""
    return YES if truth else NO


def negation(answer: Answer) -> Answer:
    """Not: unknown stays unknown."""
    if answer.value is Tri.UNKNOWN:
        return answer
    return NO if answer.value is Tri.YES else YES


def any_of(answers: Iterable[Answer]) -> Answer:
    """Or: yes with the detail of every part that holds, else unknown with all that is missing, else no."""
    return _joined(answers, decisive=Tri.YES, neutral=NO)


def all_of(answers: Iterable[Answer]) -> Answer:
    """And: no as soon as a part is known to fail, else unknown with all that is missing, else yes with every detail."""
    return _joined(answers, decisive=Tri.NO, neutral=YES)


def _joined(answers: Iterable[Answer], *, decisive: Tri, neutral: Answer) -> Answer:
    parts = [answer for answer in answers if answer is not neutral]
    if not parts:
        return neutral
    if len(parts) == 1:
        return parts[0]
    deciding = [part for part in parts if part.value is decisive]
    if deciding:
        return Answer(value=decisive, detail=tuple(pair for part in deciding for pair in part.detail))
    open_parts = [part for part in parts if part.value is Tri.UNKNOWN]
    if open_parts:
        missing = dict.fromkeys(name for part in open_parts for name in part.missing)
        return Answer(value=Tri.UNKNOWN, missing=tuple(missing))
    return Answer(value=neutral.value, detail=tuple(pair for part in parts for pair in part.detail))
