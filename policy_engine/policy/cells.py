"""The grammar of the cells of a rule that are not conditions: reason codes, obligations, suspensions.

    codes       = code { ";" code }
    code        = CODE [ "with" OTHER ] [ "if" [ "unknown" ] condition ]
    obligations = [ obligation { ";" obligation } ]
    obligation  = id [ "for" CODE { "," CODE } ] "=" sentence
    suspended   = [ interval { ";" interval } ]
    interval    = [ begin ] "/" [ end ]
    sentences   = sentence { ";" CODE "=" sentence } | CODE "=" sentence { ";" CODE "=" sentence }

`with` names a code that stands before it, since codes are judged in their order. Words in the condition of a code may
be of any column. Of the sentences the one without a code is for every code that has none; it may have semicolons.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Final, Generic, TypeVar

from policy_engine.domain.instants import InstantError, Validity, parse_instant
from policy_engine.domain.rules import ANYTHING, REASON_CODES, CodeRule, Obligation
from policy_engine.domain.spelling import one_spelling
from policy_engine.formats.faults import quoted
from policy_engine.policy.conditions import ConditionReading, Mistake, Mistakes, hint, read_condition
from policy_engine.policy.csv_reader import like_number

T = TypeVar("T")

_CODE: Final = re.compile(
    r"(?P<code>[^\s;=,]+)(?:\s+with\s+(?P<beside>[^\s;=,]+))?(?:\s+if\s+(?P<unknown>unknown\s+)?(?P<condition>\S.*))?",
    re.DOTALL,
)
_OBLIGATION: Final = re.compile(r"(?P<id>[^\s=]+)(?:\s+for\s+(?P<codes>[^=]+?))?\s*=\s*(?P<message>\S.*)", re.DOTALL)
_SENTENCE_OF: Final = re.compile(r"(?:^|;)\s*(?P<code>[A-Za-z]\w*)\s*=(?=\s|$)")
_INSTANT_REMEDY: Final = "write 2026-06-12T21:21:00Z or a bare date 2026-06-12"
_DAYS: Final = re.compile(r"([2-9][0-9]{4})(?:[.,]([0-9]{1,20}))?")
_DAY_ZERO: Final = date(1899, 12, 30)
"""From which spreadsheets count days, so that 45123 is 2023-07-16."""
_LOCAL_DATE: Final = re.compile(r"([0-9]{1,2})[/.-]([0-9]{1,2})[/.-]((?:[0-9]{2})?[0-9]{2})(?P<rest>[ T,].*)?")
_ISO_DATE: Final = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})(?P<rest>[ T].*)?")
_TIME_OF_DAY: Final = re.compile(r"[ T,]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]+)?)?(?: ?([AaPp])\.?[Mm]\.?)?")
_PARTS: Final = 500
"""Codes, obligations or suspensions of one row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed(Generic[T]):
    """What a cell says as far as it could be read, its conditions with their places, and what is wrong."""

    value: T
    conditions: tuple[ConditionReading, ...] = ()
    mistakes: tuple[Mistake, ...] = ()


def parse_codes(text: str) -> Parsed[tuple[CodeRule, ...]]:
    """The reason codes of a row, at least one, in their order."""
    rules: list[CodeRule] = []
    readings: list[ConditionReading] = []
    mistakes = Mistakes()
    for offset, piece in _pieces(text, mistakes):
        matched = _CODE.fullmatch(piece)
        if matched is None:
            message = f"{quoted(piece)} is not a reason code" if piece else "a reason code is missing"
            remedy = "write `CODE`, `CODE if condition`, `CODE if unknown condition` or `CODE with OTHER if condition`"
            mistakes.add(offset, message, remedy)
            continue
        code = one_spelling(matched["code"])
        beside = None if matched["beside"] is None else one_spelling(matched["beside"])
        if code not in REASON_CODES:
            message = f"there is no reason code {quoted(code)}"
            mistakes.add(offset, message, hint(code, REASON_CODES))
        if beside is not None and beside not in {rule.code for rule in rules}:
            message = f"{quoted(code)} is written with {quoted(beside)}, which does not come before it"
            mistakes.add(offset, message, "write the other code first")
        condition = ANYTHING
        if matched["condition"] is not None:
            reading = _moved(read_condition(matched["condition"], None), offset + matched.start("condition"))
            readings.append(reading)
            mistakes += reading.mistakes
            condition = reading.condition
        rules.append(CodeRule(code=code, condition=condition, on_unknown=matched["unknown"] is not None, beside=beside))
    return Parsed(value=tuple(rules), conditions=tuple(readings), mistakes=tuple(mistakes))


def parse_obligations(text: str) -> Parsed[tuple[Obligation, ...]]:
    """The obligations of a row; an empty cell has none."""
    if not text:
        return Parsed(value=())
    found: list[Obligation] = []
    mistakes = Mistakes()
    for offset, piece in _pieces(text, mistakes):
        matched = _OBLIGATION.fullmatch(piece)
        if matched is None:
            message = f"{quoted(piece)} is not an obligation" if piece else "an obligation is missing"
            remedy = "write `id = sentence` or `id for CODE, CODE = sentence`, and no `;` in the sentence"
            mistakes.add(offset, message, remedy)
            continue
        codes = tuple(one_spelling(code.strip()) for code in matched["codes"].split(",")) if matched["codes"] else ()
        for code in codes:
            if code not in REASON_CODES:
                message = f"there is no reason code {quoted(code)}"
                mistakes.add(offset, message, hint(code, REASON_CODES))
        obligation = Obligation(id=matched["id"], message=matched["message"], codes=codes)
        if any((one.id, one.codes) == (obligation.id, codes) for one in found):
            message = f"duplicate obligation {quoted(obligation.id)}"
            mistakes.add(offset, message, "keep one of the two")
        found.append(obligation)
    return Parsed(value=tuple(found), mistakes=tuple(mistakes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentences:
    """The sentence of a row, the first of its codes' where every code has its own, and those of single codes."""

    otherwise: str
    of_codes: tuple[tuple[str, str], ...] = ()


def parse_sentences(text: str, given: tuple[str, ...]) -> Parsed[Sentences]:
    """The sentences of a row that gives these codes."""
    begun = list(_SENTENCE_OF.finditer(text))
    if not begun:
        return Parsed(value=Sentences(otherwise=text.strip()))
    mistakes = Mistakes()
    found: dict[str, str] = {}
    ends = [*(one.start() for one in begun[1:]), len(text)]
    for one, end in zip(begun, ends, strict=True):
        code, sentence, offset = one_spelling(one["code"]), text[one.end() : end].strip(), one.start("code")
        if code not in given:
            message = f"a sentence is for {quoted(code)}, which the row never gives"
            mistakes.add(offset, message, hint(code, given))
        elif code in found:
            message = f"a sentence for {quoted(code)} stands here already"
            mistakes.add(offset, message, "keep one of the two")
        if not sentence:
            message = f"the sentence for {quoted(code)} is empty"
            mistakes.add(offset, message, "write it, or take the code out")
        found[code] = sentence
    otherwise = text[: begun[0].start()].strip()
    bare = [code for code in given if code not in found]
    if not otherwise and bare:
        message = f"there is no sentence for {quoted(bare[0])}"
        remedy = "write one for it, or a sentence without a code in front, for every code that has none"
        mistakes.add(0, message, remedy)
    value = Sentences(otherwise=otherwise or next(iter(found.values())), of_codes=tuple(found.items()))
    return Parsed(value=value, mistakes=tuple(mistakes))


def parse_suspensions(text: str) -> Parsed[tuple[Validity, ...]]:
    """The intervals in which a row does not decide."""
    if not text:
        return Parsed(value=())
    found: list[Validity] = []
    mistakes = Mistakes()
    for offset, piece in _pieces(text, mistakes):
        begin, slash, end = (part.strip() for part in piece.partition("/"))
        if not slash or not (begin or end):
            message = f"{quoted(piece)} is not an interval" if piece else "an interval is missing"
            mistakes.add(offset, message, "write `begin/end`")
            continue
        interval = parse_interval(begin, end)
        mistakes += (replace(mistake, offset=offset) for mistake in interval.mistakes)
        found.append(interval.value)
    return Parsed(value=tuple(found), mistakes=tuple(mistakes))


def parse_interval(begin: str, end: str) -> Parsed[Validity]:
    """The interval between two instants; an empty text is open."""
    mistakes = Mistakes()
    start, stop = _instant(begin, mistakes), _instant(end, mistakes)
    if start is not None and stop is not None and stop <= start:
        message = f"the end {quoted(end)} is not after the beginning {quoted(begin)}"
        mistakes.add(0, message, "the interval holds from the first to before the second")
    return Parsed(value=Validity(start=start, end=stop), mistakes=tuple(mistakes))


def _instant(text: str, mistakes: Mistakes) -> datetime | None:
    try:
        return parse_instant(text) if text else None
    except InstantError:
        mistakes.add(0, f"{quoted(text)} is not an instant", instant_remedy(text))
        return None


def instant_remedy(text: str, otherwise: str = _INSTANT_REMEDY) -> str:
    """What to write instead of a text that is no instant; what a spreadsheet made of a date is read back.

    A time of day is never left out of what is proposed. Its zone is asked for, since no spreadsheet writes one.
    """
    days = _DAYS.fullmatch(text)
    if days is not None:
        meant = datetime.combine(_DAY_ZERO, time()) + timedelta(days=int(days[1]))
        seconds = round(float(f"0.{days[2] or 0}") * _SECONDS_OF_A_DAY)
        zone = f" if that is UTC, {_OTHER_ZONE}" if seconds else ""
        told = _written(meant + timedelta(seconds=seconds), with_time=seconds != 0)
        return f"a spreadsheet wrote the date as a number: make its column text and write {told}{zone}"
    if like_number(text):
        return f"a spreadsheet wrote the date as a number: make its column text and {otherwise}"
    local, iso = _LOCAL_DATE.fullmatch(text), _ISO_DATE.fullmatch(text)
    if local is not None:
        first, second, year = int(local[1]), int(local[2]), int(local[3]) + (2000 if len(local[3]) == 2 else 0)
        # In which order day and month stand depends on the country of the spreadsheet.
        dates = [_date(year, month, day) for day, month in ((first, second), (second, first))]
    elif iso is not None:
        dates = [_date(int(iso[1]), int(iso[2]), int(iso[3]))]
    else:
        return otherwise
    rest = local["rest"] if local is not None else iso["rest"] if iso is not None else None
    at = None if rest is None else _time_of_day(rest)
    if rest is not None and rest.strip() and at is None:
        return otherwise
    meanings = [datetime.combine(one, at or time()) for one in dates if one is not None]
    told = " or ".join(dict.fromkeys(_written(meant, with_time=at is not None) for meant in meanings))
    if not told:
        return otherwise
    zone = "" if at is None else f" if that is UTC, {_OTHER_ZONE}"
    return f"if it is {told}, write that{zone}; {otherwise}"


_OTHER_ZONE: Final = "else the same with its own zone"
_SECONDS_OF_A_DAY: Final = 86_400


def _written(meant: datetime, *, with_time: bool) -> str:
    # Not strftime, which writes the year 33 as 33.
    return f"{meant.isoformat(timespec='seconds')}Z" if with_time else meant.date().isoformat()


def _time_of_day(text: str) -> time | None:
    found = _TIME_OF_DAY.fullmatch(text)
    if found is None:
        return None
    hour, half = int(found[1]), (found[4] or "").lower()
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "p" else 0)
    try:
        return time(hour, int(found[2]), int(found[3] or 0))
    except ValueError:
        return None


def counts_days(text: str) -> bool:
    """Whether the text is a day as spreadsheets count them, from 1954 on."""
    return _DAYS.fullmatch(text) is not None


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _pieces(text: str, mistakes: Mistakes) -> Iterator[tuple[int, str]]:
    """What stands between semicolons, with the characters before it."""
    if text.count(";") >= _PARTS:
        message = f"the cell has more than {_PARTS} parts"
        mistakes.add(0, message, "write several rules")
        return
    at = 0
    for piece in text.split(";"):
        yield at + len(piece) - len(piece.lstrip()), piece.strip()
        at += len(piece) + 1


def _moved(reading: ConditionReading, by: int) -> ConditionReading:
    return ConditionReading(
        condition=reading.condition,
        terms=tuple((offset + by, term) for offset, term in reading.terms),
        mistakes=tuple(replace(mistake, offset=mistake.offset + by) for mistake in reading.mistakes),
    )
