"""How much the worked examples hold: change one thing in one row at a time, and see whether a case fails.

A mutant is the book with one change. It is killed when some case no longer holds, or can no longer be judged; it
survives when every case still holds, which means that nobody would notice this change. The score is the share that is
killed.

Not generated is what no case could tell apart, where that is seen without judging: a term that is all of its
alternative, or an alternative that is all of its column, which goes with the column; the hold of what is no bar; the
host for a row that asks nothing of a party, and the host beside the parties for a note, which then only speaks more
often, while a case can ask that a note speaks and never that it is silent; a note's enforcement and obligations where
it lifts nothing; and a row's only code, without which it would not load.

A mutant is tried on those cases alone to which its row does not say the same as before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final

from policy_engine.decision.case_runner import CaseResult, run_case
from policy_engine.decision.conclude import Basis, conclude
from policy_engine.domain import logic
from policy_engine.domain.facts import Party, Question
from policy_engine.domain.instants import ALWAYS, Validity, format_instant
from policy_engine.domain.logic import Tri
from policy_engine.domain.persons import ContradictionError
from policy_engine.domain.rules import (
    ANYTHING,
    FACETS,
    ROW_WORD,
    Book,
    CodeRule,
    Condition,
    Effect,
    Enforcement,
    PublicCode,
    Row,
)
from policy_engine.domain.words import STATIC_FACETS, VOCABULARY, answer_condition
from policy_engine.domain.words.parameters import Named
from policy_engine.policy.conditions import UNLESS
from policy_engine.policy.judge import Judge
from policy_engine.policy.layers import CircleError
from policy_engine.policy.names import names_in

SHIFT: Final = timedelta(hours=1)
"""By how much an instant is moved, in either direction."""


class Kind(StrEnum):
    """What is changed in a row."""

    ROW = "row"
    EFFECT = "effect"
    COLUMN = "column"
    ALTERNATIVE = "alternative"
    TERM = "term"
    INSTANT = "instant"
    HOLD = "hold"
    HOST = "host"
    ENFORCEMENT = "enforcement"
    CODE = "code"
    OBLIGATION = "obligation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change to one rule. `row` is the rule with the change, `None` where the change is to drop it."""

    rule: str
    kind: Kind
    description: str
    row: Row | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MutantTrial:
    """What came of a mutant: the id of the first case that failed, `None` when it survives."""

    mutant: Mutant
    killed_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How many mutants were killed, and those that were not."""

    mutants: int
    survivors: tuple[Mutant, ...]

    @staticmethod
    def of(trials: Iterable[MutantTrial]) -> Score:
        held = list(trials)
        return Score(mutants=len(held), survivors=tuple(trial.mutant for trial in held if trial.killed_by is None))

    @property
    def killed(self) -> int:
        return self.mutants - len(self.survivors)

    @property
    def percent(self) -> float:
        """The share that is killed, of a hundred; nothing tried is nothing killed."""
        return 100 * self.killed / self.mutants if self.mutants else 0.0


# --- the changes ------------------------------------------------------------------------------------------------------


def mutants_of(book: Book) -> tuple[Mutant, ...]:
    """Every mutant of the book, by row, each change once."""
    lifting = {term.parameter for row in book.rows for term in row.unless.terms if term.word == ROW_WORD}
    return tuple(mutant for row in book.rows for mutant in _mutants_of(row, lifts=row.id in lifting))


def _mutants_of(row: Row, *, lifts: bool) -> list[Mutant]:
    found = [Mutant(rule=row.id, kind=Kind.ROW, description="the row is dropped", row=None)]
    seen = {row}
    for kind, description, changed in _changes(row, lifts=lifts):
        if changed not in seen:
            seen.add(changed)
            found.append(Mutant(rule=row.id, kind=kind, description=description, row=changed))
    return found


_Change = tuple[Kind, str, Row]


def _changes(row: Row, *, lifts: bool) -> Iterator[_Change]:
    is_bar, is_note = row.effect is Effect.DENY, row.effect is Effect.NOTE
    if not is_note:
        # As a note the row still has to be one that loads.
        note = replace(row, effect=Effect.NOTE, hold=False, unless=ANYTHING, public_code=PublicCode.ALLOWED)
        yield Kind.EFFECT, f"the {row.effect} is a note", note
    for column in (*FACETS, UNLESS):
        yield from _condition_changes(row, column)
    yield from _instant_changes(row)
    if is_bar:
        yield Kind.HOLD, f"the hold is {'taken off' if row.hold else 'put on'}", replace(row, hold=not row.hold)
    if (is_bar or (is_note and row.judges_host)) and _asks_parties(row):
        described = "the host is not judged" if row.judges_host else "the host is judged too"
        yield Kind.HOST, described, replace(row, judges_host=not row.judges_host)
    if not is_note or lifts:
        other = Enforcement.ADVISORY if row.enforcement is Enforcement.ENFORCED else Enforcement.ENFORCED
        yield Kind.ENFORCEMENT, f"{other} and not {row.enforcement}", replace(row, enforcement=other)
        for obligation in row.obligations:
            rest = tuple(one for one in row.obligations if one is not obligation)
            yield Kind.OBLIGATION, f"without the obligation `{obligation.id}`", replace(row, obligations=rest)
    if len(row.codes) > 1:
        for index, code in enumerate(row.codes):
            changed = replace(row, codes=row.codes[:index] + row.codes[index + 1 :])
            if not (is_note and _always_says(changed.codes)):
                yield Kind.CODE, f"without the code `{_text(code)}`", changed


def _condition_changes(row: Row, column: str) -> Iterator[_Change]:
    condition = _cell(row, column)
    alternatives = condition.alternatives
    if not alternatives:
        return
    emptied = "nothing lifts the bar" if column == UNLESS else f"`{column}` asks nothing"
    yield Kind.COLUMN, emptied, _with_cell(row, column, ANYTHING)
    for index, alternative in enumerate(alternatives):
        before, after = alternatives[:index], alternatives[index + 1 :]
        shown = Condition(alternatives=(alternative,)).text
        if before or after:
            changed = Condition(alternatives=before + after)
            description = f"without the alternative `{shown}` of `{column}`"
            yield Kind.ALTERNATIVE, description, _with_cell(row, column, changed)
        if len(alternative) > 1:
            for place, term in enumerate(alternative):
                shorter = alternative[:place] + alternative[place + 1 :]
                changed = Condition(alternatives=(*before, shorter, *after))
                description = f"without `{term.text}` in `{shown}` of `{column}`"
                yield Kind.TERM, description, _with_cell(row, column, changed)


def _instant_changes(row: Row) -> Iterator[_Change]:
    for described, changed in _shifted(row.valid):
        yield Kind.INSTANT, f"in force {described}", replace(row, valid=changed)
    for index, interval in enumerate(row.suspended):
        for described, changed in _shifted(interval):
            suspended = (*row.suspended[:index], changed, *row.suspended[index + 1 :])
            yield Kind.INSTANT, f"suspended {described}", replace(row, suspended=suspended)


def _shifted(interval: Validity) -> Iterator[tuple[str, Validity]]:
    start, end = interval.start, interval.end
    for by, described in ((-SHIFT, "an hour earlier"), (SHIFT, "an hour later")):
        if start is not None and (end is None or start + by < end):
            yield f"from {described} than {format_instant(start)}", replace(interval, start=start + by)
        if end is not None and (start is None or start < end + by):
            yield f"until {described} than {format_instant(end)}", replace(interval, end=end + by)


def _asks_parties(row: Row) -> bool:
    asked = (row.unless, *(row.facet(facet) for facet in FACETS if facet not in STATIC_FACETS))
    return any(condition.alternatives for condition in asked)


def _always_says(codes: Sequence[CodeRule]) -> bool:
    return any(not rule.condition.alternatives and rule.beside is None and not rule.on_unknown for rule in codes)


def _text(code: CodeRule) -> str:
    beside = f" with {code.beside}" if code.beside is not None else ""
    asked = f" if {'unknown ' if code.on_unknown else ''}{code.condition.text}" if code.condition.alternatives else ""
    return f"{code.code}{beside}{asked}"


def _cell(row: Row, column: str) -> Condition:
    return row.unless if column == UNLESS else row.facet(column)


def _with_cell(row: Row, column: str, condition: Condition) -> Row:
    if column == UNLESS:
        return replace(row, unless=condition)
    facets = tuple(condition if name == column else held for name, held in zip(FACETS, row.facets, strict=True))
    return replace(row, facets=facets)


# --- the trials -------------------------------------------------------------------------------------------------------


class MutationBench:
    """The cases that hold, laid out so that many mutants of the book can be tried on them.

    A case that fails as it is tells nothing of a mutant and is left out.
    """

    def __init__(self, results: Iterable[CaseResult]) -> None:
        self._settings = [_Setting(result) for result in results if result.holds]

    def trial(self, mutant: Mutant) -> MutantTrial:
        """Try the mutant up to the first case that fails."""
        for setting in self._settings:
            book = setting.touched_by(mutant)
            if book is not None and setting.fails(book):
                return MutantTrial(mutant=mutant, killed_by=setting.case.id)
        return MutantTrial(mutant=mutant, killed_by=None)


class _Setting:
    """A case that holds, and what it takes from each row of its book."""

    def __init__(self, result: CaseResult) -> None:
        case, question = result.case, _asked(result)
        # Without fallbacks the other models, of which nothing is asked, are not judged.
        asks_on = case.expect.alternatives is not None or bool(case.expect.remedies)
        self.case = case if asks_on else replace(case, request=replace(case.request, fallbacks=()))
        self._book = question.book
        self._named = _named(self._book)
        # Until when an answer holds may depend on any row, whenever it is in force.
        self._at = case.at if case.expect.valid_until is None else None
        questions = (question, *(_others(question) if asks_on else ()))
        # More is judged than these where remedies are supposed; and what a row says of what is not on file is left to
        # the judge.
        known = all(one.entry is not None and all(party.on_file for party in one.parties) for one in questions)
        self._questions = tuple(one.parties for one in questions) if known and not case.expect.remedies else None
        self._weights: dict[str, object] = {}

    def touched_by(self, mutant: Mutant) -> Book | None:
        """The mutant's book, or `None` when the change cannot make a difference to the case."""
        row, changed = self._book.row(mutant.rule), mutant.row
        if row is None:
            return None
        if changed is not None and mutant.rule in dict(self.case.enforcement):
            changed = replace(changed, enforcement=row.enforcement)
        if row.id not in self._weights:
            self._weights[row.id] = self._weight(row)
        if self._weights[row.id] == self._weight(changed):
            return None
        rows = (changed if one is row else one for one in self._book.rows)
        return replace(self._book, rows=tuple(one for one in rows if one is not None))

    def fails(self, book: Book) -> bool:
        """Whether the case fails with the book, or cannot be judged by it: a row matches and has nothing to say."""
        try:
            judge = Judge(book)
        except CircleError:
            return True
        return not run_case(self.case, judge).holds

    def _weight(self, row: Row | None) -> object:
        """All that a case can see of a row: with another row of the same weight the answer is the same to it."""
        if row is None or (self._at is not None and not row.valid.holds(self._at)):
            return None
        if self._at is None:
            return row
        timeless = replace(row, valid=ALWAYS, suspended=(ALWAYS,) if row.suspended_at(self._at) else ())
        if self._questions is None:
            return timeless
        try:
            matches = tuple(_match(row, FACETS, party) for parties in self._questions for party in parties)
        except ContradictionError:
            return timeless
        derived = any(VOCABULARY[word].reads.other_rows for word in row.words - {ROW_WORD})
        said = (matches, derived, replace(timeless, facets=())) if any(matches) else None
        if row.id not in self._named:
            return said
        # Words that name a row see whether it is enforced, whether it reaches the item, and which places it asks for.
        reaches = tuple(_match(row, STATIC_FACETS, parties[0]) is not None for parties in self._questions)
        return said, row.effect, row.enforcement, timeless.suspended, reaches, row.facet("place")


def _asked(result: CaseResult) -> Question:
    question = result.conclusion.question
    if question is None:
        raise ValueError(f"case `{result.case.id}` holds without a question that was judged")
    return question


def _others(asked: Question) -> Iterator[Question]:
    """The same question of each of the models that the request may fall back to, judged."""
    names = asked.request.fallbacks
    if names is None:
        names = asked.entry.fallbacks if asked.entry is not None else ()
    caller = replace(asked.caller, explain=False)
    for name in names:
        if asked.tables.catalogue.find(name, caller.gateway) is not None:
            request = replace(asked.request, model=name, fallbacks=())
            basis = Basis(judge=Judge(asked.book), roster=asked.roster)
            other = conclude(request, caller, basis, decision_id="", at=asked.at).question
            if other is not None:
                yield other


def _match(row: Row, facets: Iterable[str], party: Party) -> tuple[Tri, tuple[str, ...]] | None:
    """What the facets together answer, with the facts that are missing; `None` when one of them is known to fail."""
    answers = []
    for facet in facets:
        found = answer_condition(row.facet(facet), party)
        if found.value is Tri.NO:
            return None
        answers.append(found)
    together = logic.all_of(answers)
    return together.value, together.missing


def _named(book: Book) -> frozenset[str]:
    """The rows that words of other rows name."""
    return names_in((term for row in book.rows for term in row.terms), Named.RULE)
