"""What differs between two books, or between one stretch of a book's time and the next: the exact classes of requesters
whose answer or reason changes.

A class is a pair of answers, before and after, or one answer with another reason than before, and the set of profiles
that have it; one class stands for all actions, models and stretches of time in which the same rows change it alike. The
set is exact. It is told in clauses of which one or more are true of everybody in the class, on the axes that the rows
that differ read. The clauses are told of those who had the old answer: `whole` says that each of those of whom a clause
is true is in the class; otherwise rows that are the same in both books leave some out.

Words may be fewer than a class would need, so that their cost is bounded (`MAX_CLAUSES`, `MAX_EFFORT`); sets never are.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from policy_engine.analysis.counterexample import Counterexample, confirmed, counterexample_of
from policy_engine.analysis.diagram import Cube, Diagram
from policy_engine.analysis.dimensions import COUNTRY_AXES
from policy_engine.analysis.example_facts import facts_of
from policy_engine.analysis.phrases import countries_of, cube_in_words
from policy_engine.analysis.symbolic import NO_SUCH_MODEL, ReasonedAnswer, Scope, SymbolicBooks, Touched, edges_of
from policy_engine.domain.request import Action
from policy_engine.domain.rules import Book

MAX_CLAUSES: Final = 12
"""So many clauses of a class are spelt out."""

MAX_EFFORT: Final = 400_000
"""Nodes that may be visited to spell out one class, after the first clause."""

MAX_WORDINGS: Final = 6
"""Into so many classes a change is parted by what can be said of it; past that it is told as one."""

Progress = Callable[[str, int, int], None]
"""Told at which stage the work is, how many of its steps are done, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A time in which nothing dated in the books changes; `None` is open."""

    start: datetime | None
    end: datetime | None
    instant: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Actions on models, from an instant to another."""

    models: tuple[str, ...]
    actions: tuple[Action, ...]
    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhrasedCase:
    """One way of being in a class: in words, and the values by axis, with all countries that a class of them has."""

    text: str
    values: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A class of requesters whose answer or reason changes: allow, deny or hold before and after.

    `rules` are the rows that decide otherwise for somebody in it, `reasons` each pair of outcomes that occurs, or that
    of the counterexample alone where no others were asked for. The counterexample is answered with `answer_old` and
    `answer_new`. `members` has the exact set, as a diagram of truth values, for each model, action and stretch.
    """

    old: str
    new: str
    rules: tuple[str, ...]
    reasons: tuple[tuple[ReasonedAnswer, ReasonedAnswer], ...]
    where: tuple[Where, ...]
    clauses: tuple[PhrasedCase, ...]
    more_clauses: bool
    whole: bool
    counterexample: Counterexample
    answer_old: ReasonedAnswer
    answer_new: ReasonedAnswer
    members: Mapping[tuple[str, Action, int], Diagram]

    @property
    def changes_answer(self) -> bool:
        """Whether more than the reason changes."""
        return self.old != self.new


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Every difference between two books over the stretches looked at."""

    symbolic: SymbolicBooks
    stretches: tuple[Stretch, ...]
    differences: tuple[Difference, ...]


def stretches_of(books: Iterable[Book]) -> tuple[Stretch, ...]:
    """The stretches of time in which nothing dated in any of the books changes, in order."""
    edges = sorted({edge for book in books for edge in edges_of(book)})
    if not edges:
        return (Stretch(start=None, end=None, instant=_EPOCH),)
    first = Stretch(start=None, end=edges[0], instant=edges[0] - timedelta(microseconds=1))
    ends: list[datetime | None] = [*edges[1:], None]
    rest = [Stretch(start=start, end=end, instant=start) for start, end in zip(edges, ends, strict=True)]
    return (first, *rest)


def _from(stretch: Stretch, since: datetime) -> Stretch:
    """What is left of a stretch that ends after an instant."""
    if stretch.start is not None and stretch.start >= since:
        return stretch
    return Stretch(start=since, end=stretch.end, instant=since)


_EPOCH: Final = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


def models_of(books: Iterable[Book]) -> tuple[str, ...]:
    """Every model of the books' catalogues, and one that stands for all others."""
    return (*sorted({name for book in books for name in book.tables.catalogue.entries}), NO_SUCH_MODEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A book, by its number in an symbolic, and the instant at which it is asked."""

    book: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What the places of one change share: the answers, and the rows that decide otherwise."""

    old: str
    new: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """A kind of change between two scopes: who has it, among those who had the old answer, and the pairs of outcomes.

    `read` are the axes that tell where its rows decide otherwise.
    """

    kind: _Kind
    members: Diagram
    had: Diagram
    read: frozenset[int]
    pairs: tuple[tuple[ReasonedAnswer, ReasonedAnswer], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """An action on a model in a stretch, where the answer changes in one way."""

    model: str
    action: Action
    stretch: int
    sides: tuple[Side, Side]
    change: _Change


def compare(
    old: Book,
    new: Book,
    at: datetime | None = None,
    progress: Progress | None = None,
    *,
    since: datetime | None = None,
) -> Comparison:
    """The differences at an instant, or over all time when none is given, or from an instant on.

    Raises `DisprovedError` when the engine does not answer a counterexample as the analysis says.
    """
    stretches = stretches_of((old, new)) if at is None else (Stretch(start=at, end=at, instant=at),)
    if since is not None:
        stretches = tuple(_from(one, since) for one in stretches if one.end is None or one.end > since)
    symbolic = SymbolicBooks((old, new), [stretch.instant for stretch in stretches])
    sides = [(Side(book=0, at=one.instant), Side(book=1, at=one.instant)) for one in stretches]
    differences = differences_between(symbolic, models_of((old, new)), stretches, sides, progress)
    return Comparison(symbolic=symbolic, stretches=stretches, differences=differences)


def differences_between(
    symbolic: SymbolicBooks,
    models: Sequence[str],
    stretches: Sequence[Stretch],
    sides: Sequence[tuple[Side, Side]],
    progress: Progress | None = None,
    *,
    reasons: bool = True,
) -> tuple[Difference, ...]:
    """The classes of requesters whose answers differ on the two sides, in any stretch.

    Without `reasons`, those who get the same answer for another reason are passed over, and of each class the reasons
    of its counterexample are told alone, which is many times quicker.
    """
    found: dict[_Kind, list[_Place]] = {}
    known: dict[tuple[Hashable, Hashable], list[_Change]] = {}
    steps = len(stretches) * len(models)
    for number, (before, after) in enumerate(sides):
        for step, model in enumerate(models):
            for action in Action:
                pair = (
                    symbolic.scope_key(before.book, model, action, before.at),
                    symbolic.scope_key(after.book, model, action, after.at),
                )
                if pair[0] == pair[1]:
                    # Nothing that either depends on is another, so that no table need be made to find no difference.
                    continue
                if pair not in known:
                    known[pair] = _changes(
                        symbolic,
                        symbolic.scope(before.book, model, action, before.at),
                        symbolic.scope(after.book, model, action, after.at),
                        reasons=reasons,
                    )
                for change in known[pair]:
                    place = _Place(model=model, action=action, stretch=number, sides=(before, after), change=change)
                    found.setdefault(change.kind, []).append(place)
            if progress is not None:
                progress(model, number * len(models) + step + 1, steps)
    differences = [one for kind, places in found.items() for one in _told_apart(symbolic, stretches, kind, places)]
    return tuple(sorted(differences, key=_order))


def _order(one: Difference) -> tuple[object, ...]:
    return not one.changes_answer, one.old, one.new, one.rules, one.clauses[0].text, one.where[0].models


def _changes(symbolic: SymbolicBooks, before: Scope, after: Scope, *, reasons: bool) -> list[_Change]:
    """Each change that occurs between two scopes."""
    touched = symbolic.touched(before, after)
    if not touched:
        return []
    diagrams = symbolic.diagrams
    decisions = diagrams.parts(symbolic.decisions(before))
    turns = _turns(symbolic, before, after, touched, reasons=reasons)
    found = []
    for (old, new), (members, pairs) in sorted(turns.items()):
        rules = {name: one for name, one in touched.items() if diagrams.meet(one.where, members)}
        found.append(
            _Change(
                kind=_Kind(old=old, new=new, rules=tuple(rules)),
                members=members,
                had=decisions[old],
                read=frozenset[int]().union(*(one.read for one in rules.values())),
                pairs=tuple(sorted(pairs, key=_pair_order)),
            )
        )
    return found


_Turn = tuple[str, str]
"""The answers before and after."""

_Turns = Mapping[_Turn, tuple[Diagram, Iterable[tuple[ReasonedAnswer, ReasonedAnswer]]]]
"""By turn those who have it, and the pairs of outcomes that occur among them."""


def _turns(
    symbolic: SymbolicBooks, before: Scope, after: Scope, touched: Mapping[str, Touched], *, reasons: bool
) -> _Turns:
    """Whose answer changes; with `reasons` also for another reason, and every pair of reasons that occurs."""
    diagrams = symbolic.diagrams
    if not reasons:
        turns = diagrams.parts(diagrams.contrast(symbolic.decisions(before), symbolic.decisions(after)))
        return {turn: (members, ()) for turn, members in turns.items() if isinstance(turn, tuple)}
    region = symbolic.reasons_touched(before, after, touched)
    table = diagrams.contrast(symbolic.outcomes(before, region), symbolic.outcomes(after, region))
    pairs: dict[_Turn, list[tuple[ReasonedAnswer, ReasonedAnswer]]] = {}
    for pair in diagrams.values(table):
        if isinstance(pair, tuple):
            pairs.setdefault(_turn(pair), []).append(pair)
    members = diagrams.parts(diagrams.combine(_turn_or_none, table))
    return {turn: (members[turn], found) for turn, found in pairs.items()}


def _pair_order(pair: tuple[ReasonedAnswer, ReasonedAnswer]) -> tuple[object, ...]:
    return pair[0].order, pair[1].order


def _turn(pair: tuple[ReasonedAnswer, ReasonedAnswer]) -> tuple[str, str]:
    """The answers before and after."""
    old, new = pair
    return old.decision, new.decision


def _turn_or_none(pair: tuple[ReasonedAnswer, ReasonedAnswer] | None) -> tuple[str, str] | None:
    return None if pair is None else _turn(pair)


def _told_apart(
    symbolic: SymbolicBooks, stretches: Sequence[Stretch], kind: _Kind, places: Sequence[_Place]
) -> Iterable[Difference]:
    """The classes of one kind of change: one for each set that can be said on the axes that its rows read."""
    read = frozenset[int]().union(*(place.change.read for place in places))
    alike: dict[Diagram, list[_Place]] = {}
    for place in places:
        alike.setdefault(symbolic.diagrams.shadow(place.change.members, read), []).append(place)
    apart = kind.old != kind.new and len(alike) <= MAX_WORDINGS
    groups = list(alike.values()) if apart else [list(places)]
    return [_difference(symbolic, stretches, kind, read, group) for group in groups]


def _difference(
    symbolic: SymbolicBooks, stretches: Sequence[Stretch], kind: _Kind, read: frozenset[int], places: Sequence[_Place]
) -> Difference:
    words = told(symbolic, {(one.change.members, one.change.had) for one in places}, read)
    place = places[0]
    profile = ordinary_member(symbolic, place.change.members)
    asked = [symbolic.asked(side.book, place.model, place.action, side.at) for side in place.sides]
    outcomes = [
        symbolic.outcome(symbolic.scope(side.book, place.model, place.action, side.at), profile) for side in place.sides
    ]
    # Facts are dated from the instant asked about, so each side has its own; at one instant they are the same.
    counterexamples = [counterexample_of(facts_of(profile, one), one) for one in asked]
    for side, one, counterexample, outcome in zip(place.sides, asked, counterexamples, outcomes, strict=True):
        confirmed(counterexample, symbolic.judge(side.book), one, outcome)
    reasons = {pair for one in places for pair in one.change.pairs}
    return Difference(
        old=kind.old,
        new=kind.new,
        rules=kind.rules,
        reasons=tuple(sorted(reasons or {(outcomes[0], outcomes[1])}, key=_pair_order)),
        where=_where(stretches, places),
        clauses=tuple(clause_of(symbolic, cube) for cube in words.cubes),
        more_clauses=words.more,
        whole=words.whole,
        counterexample=counterexamples[1],
        answer_old=outcomes[0],
        answer_new=outcomes[1],
        members={(one.model, one.action, one.stretch): one.change.members for one in places},
    )


def ordinary_member(symbolic: SymbolicBooks, members: Diagram) -> dict[str, str]:
    """The profile of a set of possible profiles that is ordinary on as many of the first axes as can be.

    Raises `LookupError` for an empty set.
    """
    cube = symbolic.diagrams.first(members)
    choices = {
        symbolic.domain.axes[position].name: [symbolic.domain.axes[position].values[index]] for position, index in cube
    }
    profile = symbolic.domain.complete(choices)
    if profile is None:
        raise LookupError("no profile has these values")
    return profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Cubes that together have everybody in a set, but for those that are left out when there are `more`.

    `whole` says that nobody else among those of whom they are told is in one of the cubes.
    """

    cubes: tuple[Cube, ...]
    more: bool
    whole: bool


def told(symbolic: SymbolicBooks, sets: Iterable[tuple[Diagram, Diagram]], read: frozenset[int]) -> Wording:
    """The members of some sets, each within a larger one, in cubes on the axes given."""
    diagrams = symbolic.diagrams
    pairs = sorted(set(sets))
    shadow = diagrams.either(*(diagrams.shadow(members, read) for members, _ in pairs))
    among = diagrams.either(*(diagrams.shadow(had, read) for _, had in pairs))
    inside = diagrams.within(among, shadow, None)
    whole = all(diagrams.both(had, shadow) == members for members, had in pairs)
    left = shadow
    cubes: list[Cube] = []
    effort = 0
    cost = diagrams.size(inside) * (2 * len(read) + 1)
    while not diagrams.nowhere(left) and len(cubes) < MAX_CLAUSES and (not cubes or effort < MAX_EFFORT):
        narrow = {position: frozenset({index}) for position, index in diagrams.first(left)}
        kept = _widened(symbolic, narrow, inside)
        left = diagrams.outside(left, kept)
        cubes.append(tuple(sorted(kept.items())))
        effort += cost
    return Wording(cubes=tuple(cubes), more=not diagrams.nowhere(left), whole=whole)


def _widened(symbolic: SymbolicBooks, cube: Mapping[int, frozenset[int]], inside: Diagram) -> dict[int, frozenset[int]]:
    """The cube with as much more as stays in the set: axes that it can do without, then values that occur."""
    kept = dict(cube)
    for position in sorted(kept, reverse=True):
        fewer = {one: values for one, values in kept.items() if one != position}
        _, false = symbolic.diagrams.spread(inside, fewer, position)
        if not false:
            kept = fewer
    for position in sorted(kept):
        fewer = {one: values for one, values in kept.items() if one != position}
        true, false = symbolic.diagrams.spread(inside, fewer, position)
        kept[position] |= true - false
    return kept


def clause_of(symbolic: SymbolicBooks, cube: Cube) -> PhrasedCase:
    """A cube in words and values."""
    domain = symbolic.domain
    values = {}
    for position, indexes in cube:
        axis = domain.axes[position]
        chosen = [axis.values[index] for index in sorted(indexes)]
        if axis.name in COUNTRY_AXES:
            chosen = [*countries_of(domain, chosen), *(value for value in chosen if value not in domain.class_of)]
        values[axis.name] = tuple(chosen)
    return PhrasedCase(text=cube_in_words(domain, cube), values=values)


def _where(stretches: Sequence[Stretch], places: Sequence[_Place]) -> tuple[Where, ...]:
    """The places with neighbouring stretches joined, and models and actions that go together told together."""
    numbers: dict[tuple[str, Action], list[int]] = {}
    for place in places:
        numbers.setdefault((place.model, place.action), []).append(place.stretch)
    spans: dict[tuple[str, tuple[int, int]], list[Action]] = {}
    for (model, action), held in numbers.items():
        for span in _runs(held):
            spans.setdefault((model, span), []).append(action)
    models: dict[tuple[tuple[Action, ...], tuple[int, int]], list[str]] = {}
    for (model, span), actions in spans.items():
        models.setdefault((tuple(actions), span), []).append(model)
    found = [
        Where(
            models=tuple(sorted(names)),
            actions=actions,
            start=stretches[first].start,
            end=stretches[last].end,
        )
        for (actions, (first, last)), names in models.items()
    ]
    return tuple(found)


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs
