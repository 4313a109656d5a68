"""One book looked at whole: who may do what at an instant, which rows do nothing, and what flips when.

Who may do what is told for requesters that are ordinary but for a country, the US status and the membership: employees
of one organisation, on no list, with nobody owning it, who state a purpose that the item permits where it names any.
`can` says which answers are left when every other fact of the declared world is free.

A row never matches, never decides or is always barred when that is so of every possible profile, action and item, in
every stretch of the book's time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Final

from policy_engine.analysis.differences import (
    Difference,
    PhrasedCase,
    Progress,
    Side,
    Stretch,
    clause_of,
    differences_between,
    models_of,
    stretches_of,
    told,
)
from policy_engine.analysis.symbolic import DECISIONS, ReasonedAnswer, Scope, SymbolicBooks
from policy_engine.domain.instants import format_instant
from policy_engine.domain.request import Action
from policy_engine.domain.rules import ROW_WORD, Book, Effect, Row
from policy_engine.domain.verdict import State
from policy_engine.domain.words import dimensions

HOME: Final = "US"
"""Where everything lies that a perspective does not move."""

PERSPECTIVES: Final[Mapping[str, tuple[str, ...]]] = {
    "citizen": (dimensions.CITIZENSHIP,),
    "organisation": (dimensions.INCORPORATED, dimensions.HEADQUARTERS),
    "place": (dimensions.PLACE,),
    "everything": (dimensions.CITIZENSHIP, dimensions.INCORPORATED, dimensions.HEADQUARTERS, dimensions.PLACE),
}
"""What is of the country; the rest is American."""

STATUSES: Final = ("us", "foreign", dimensions.UNKNOWN)
MEMBERSHIPS: Final = (dimensions.NONE, "active", "ended", "suspended")
NO_CONSORTIUM: Final = "no consortium"
NO_TIER: Final = "no tier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """An answer, and everybody who gets it: each combination of the countries, statuses, memberships, models and
    actions.

    `rules` are all rows that decide, of which the outcome names the reason; `can` has the answers that are left when
    every other fact is free.
    """

    perspective: str
    countries: tuple[str, ...]
    statuses: tuple[str, ...]
    memberships: tuple[str, ...]
    tier: str
    models: tuple[str, ...]
    actions: tuple[Action, ...]
    outcome: ReasonedAnswer
    rules: tuple[str, ...]
    can: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleRow:
    """A row that does nothing, and why that is so."""

    rule: str
    effect: Effect
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What nothing grants and nothing bars. No clauses: it is so of everybody whom no row bars."""

    models: tuple[str, ...]
    actions: tuple[Action, ...]
    clauses: tuple[PhrasedCase, ...]
    more_clauses: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """An instant at which something dated changes: the rows and country groups, and whose answer changes."""

    at: datetime
    rows: tuple[tuple[str, str], ...]
    groups: tuple[str, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BookReport:
    """Everything that is said of a book."""

    fingerprint: str
    at: datetime
    countries: int
    classes: tuple[tuple[str, ...], ...]
    access: tuple[Access, ...]
    never_match: tuple[IdleRow, ...]
    never_decide: tuple[IdleRow, ...]
    always_barred: tuple[IdleRow, ...]
    gaps: tuple[Gap, ...]
    calendar: tuple[Flip, ...]


def book_report(book: Book, at: datetime, progress: Progress | None = None) -> BookReport:
    """Look at a book whole; `at` is the instant of who may do what and of the gaps."""
    stretches = stretches_of((book,))
    symbolic = SymbolicBooks((book,), [*(stretch.instant for stretch in stretches), at])
    making = _Making(symbolic, book, at, stretches, progress)
    access = making.access()
    gaps = making.gaps()
    making.meet_all()
    never_match = making.never_match()
    idle = {one.rule for one in never_match}
    return BookReport(
        fingerprint=book.fingerprint,
        at=at,
        countries=sum(len(one.members) for one in symbolic.domain.classes),
        classes=tuple(one.members for one in symbolic.domain.classes),
        access=access,
        gaps=gaps,
        never_match=never_match,
        never_decide=making.never_decide(idle),
        always_barred=making.always_barred(idle),
        calendar=making.calendar(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Met:
    """A scope, and one action on one model at one instant that has it."""

    scope: Scope
    model: str
    action: Action
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """An item by its tier and what the ordinary requester is fitted to: the axis of its consortium, and a purpose that
    it permits."""

    tier: str
    membership: str | None
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    outcome: ReasonedAnswer
    rules: tuple[str, ...]
    can: tuple[str, ...]


_Cells = tuple[tuple[tuple[str, str], _Cell], ...]
_Table = tuple[tuple[tuple[str, str], _Cells], ...]


class _Making:
    """One report while it is made."""

    def __init__(
        self, symbolic: SymbolicBooks, book: Book, at: datetime, stretches: Sequence[Stretch], progress: Progress | None
    ) -> None:
        self._symbolic: Final = symbolic
        self._book: Final = book
        self._at: Final = at
        self._stretches: Final = stretches
        self._models: Final = models_of((book,))
        self._met: Final[dict[Scope, _Met]] = {}
        self._progress: Final = progress
        self._done = 0
        self._steps: Final = 2 * len(stretches) + len(book.rows)

    def _step(self, stage: str) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(stage, min(self._done, self._steps), self._steps)

    def _scopes_at(self, at: datetime) -> dict[Scope, list[tuple[str, Action]]]:
        found: dict[Scope, list[tuple[str, Action]]] = {}
        for model in self._models:
            for action in Action:
                scope = self._symbolic.scope(0, model, action, at)
                found.setdefault(scope, []).append((model, action))
                self._met.setdefault(scope, _Met(scope=scope, model=model, action=action, at=at))
        return found

    def meet_all(self) -> None:
        """Meet every scope of the book's time."""
        for stretch in self._stretches:
            self._step(f"what is asked from {format_instant(stretch.instant)} on")
            self._scopes_at(stretch.instant)

    def access(self) -> tuple[Access, ...]:
        """Who may do what, with what is answered alike told together."""
        self._step("who may do what")
        alike: dict[tuple[_Item, _Table], list[tuple[str, Action]]] = {}
        for scope, places in self._scopes_at(self._at).items():
            by_item: dict[_Item, list[tuple[str, Action]]] = {}
            for model, action in places:
                by_item.setdefault(self._item(model), []).append((model, action))
            for item, held in by_item.items():
                alike.setdefault((item, self._table(scope, item)), []).extend(held)
        found = [one for (item, table), held in alike.items() for one in self._told_together(item, table, held)]
        return tuple(sorted(found, key=_access_order))

    def _item(self, model: str) -> _Item:
        entry = self._book.tables.catalogue.find(model, None)
        axis = f"{dimensions.MEMBERSHIP}{entry.consortium}" if entry is not None else ""
        return _Item(
            tier=entry.tier.value if entry is not None and entry.tier is not None else NO_TIER,
            membership=axis if axis in self._symbolic.domain.order else None,
            purpose=entry.purposes[0] if entry is not None and entry.purposes else dimensions.NONE,
        )

    def _table(self, scope: Scope, item: _Item) -> _Table:
        """By perspective and country, the answer for each status and membership that is possible."""
        symbolic, domain = self._symbolic, self._symbolic.domain
        fixed = {dimensions.REQUESTER, dimensions.US_STATUS, *PERSPECTIVES["everything"]} | ({item.membership} - {None})
        kept = frozenset(domain.order[name] for name in fixed if name is not None)
        left = symbolic.diagrams.parts(symbolic.decisions(scope))
        shadows = {one: symbolic.diagrams.shadow(left[one], kept) for one in DECISIONS if one in left}
        memberships = (NO_CONSORTIUM,) if item.membership is None else MEMBERSHIPS
        cells: dict[tuple[str, str], list[tuple[tuple[str, str], _Cell]]] = {}
        for perspective, moved in PERSPECTIVES.items():
            for country in domain.class_of:
                held = cells.setdefault((perspective, country), [])
                for status in STATUSES if dimensions.CITIZENSHIP in moved else STATUSES[:1]:
                    for membership in memberships:
                        profile = self._profile(item, moved, country, status, membership)
                        if profile is None:
                            continue
                        assignment = domain.assignment(profile)
                        outcome, rules = symbolic.reasons(scope, profile)
                        can = tuple(
                            one for one, shadow in shadows.items() if symbolic.diagrams.at(shadow, assignment) is True
                        )
                        cell = _Cell(outcome=outcome, rules=rules, can=can)
                        held.append(((status, membership), cell))
        return tuple((place, tuple(held)) for place, held in cells.items())

    def _profile(
        self, item: _Item, moved: Sequence[str], country: str, status: str, membership: str
    ) -> dict[str, str] | None:
        domain = self._symbolic.domain
        chosen = dict.fromkeys(PERSPECTIVES["everything"], domain.representative(HOME)) | dict.fromkeys(moved, country)
        chosen |= {
            dimensions.REQUESTER: dimensions.EMPLOYEE,
            dimensions.US_STATUS: status,
            dimensions.PURPOSE: item.purpose,
        }
        if item.membership is not None:
            chosen[item.membership] = membership
        if item.purpose not in domain.index[domain.order[dimensions.PURPOSE]]:
            chosen[dimensions.PURPOSE] = dimensions.OTHER
        return domain.complete({name: [value] for name, value in chosen.items()})

    def _told_together(self, item: _Item, table: _Table, places: Sequence[tuple[str, Action]]) -> Iterator[Access]:
        alike: dict[tuple[str, _Cells], list[str]] = {}
        for (perspective, country), cells in table:
            alike.setdefault((perspective, cells), []).extend(self._symbolic.domain.class_of[country].members)
        for (perspective, cells), countries in alike.items():
            for cell, statuses, memberships in _rectangles(cells):
                for models, actions in _together(places):
                    yield Access(
                        perspective=perspective,
                        countries=tuple(sorted(countries)),
                        statuses=statuses,
                        memberships=memberships,
                        tier=item.tier,
                        models=models,
                        actions=actions,
                        outcome=cell.outcome,
                        rules=cell.rules or (cell.outcome.rule,),
                        can=cell.can,
                    )

    def gaps(self) -> tuple[Gap, ...]:
        """What only the engine's own `ACTION_NOT_PERMITTED` answers."""
        symbolic, diagrams = self._symbolic, self._symbolic.diagrams
        found = []
        for scope, places in self._scopes_at(self._at).items():
            gap = symbolic.ungranted(scope)
            if diagrams.nowhere(gap):
                continue
            grants = [table for table in scope.rows.values() if table.row.effect is Effect.PERMIT]
            granted = diagrams.either(*(diagrams.differing(one.says, diagrams.end(None)) for one in grants))
            clauses: tuple[PhrasedCase, ...] = ()
            more = False
            if diagrams.meet(symbolic.possible, granted):
                decisions = diagrams.parts(symbolic.decisions(scope))
                unbarred = diagrams.either(gap, *(decisions[one] for one in ("allow",) if one in decisions))
                words = told(symbolic, [(gap, unbarred)], diagrams.support(granted))
                clauses, more = tuple(clause_of(symbolic, cube) for cube in words.cubes), words.more
            for models, actions in _together(places):
                found.append(Gap(models=models, actions=actions, clauses=clauses, more_clauses=more))
        return tuple(sorted(found, key=lambda one: (bool(one.clauses), one.models, one.actions)))

    def _somewhere(self, name: str, test: Callable[[_Met], bool]) -> bool:
        return any(test(met) for met in list(self._met.values()) if name in met.scope.rows)

    def never_match(self) -> tuple[IdleRow, ...]:
        """Rows that match nobody."""
        symbolic, diagrams = self._symbolic, self._symbolic.diagrams
        matching: set[str] = set()
        for met in self._met.values():
            for name, table in met.scope.rows.items():
                if name not in matching and diagrams.meet(symbolic.possible, table.counts):
                    matching.add(name)
        met_names = {name for met in self._met.values() for name in met.scope.rows}
        found = []
        for row in self._book.rows:
            if row.id not in matching:
                why = (
                    "its conditions exclude each other" if row.id in met_names else "it reaches no item in any stretch"
                )
                found.append(IdleRow(rule=row.id, effect=row.effect, why=why))
        return tuple(found)

    def never_decide(self, idle: Iterable[str]) -> tuple[IdleRow, ...]:
        """Rows without which everybody would be answered alike; notes that nothing names are not asked for."""
        passed = set(idle)
        lifting = {term.parameter for row in self._book.rows for term in row.unless.terms if term.word == ROW_WORD}
        found = []
        for row in self._book.rows:
            self._step(f"whether {row.id} decides anything")
            if row.id in passed or (row.effect is Effect.NOTE and row.id not in lifting):
                continue
            active = (State.NOTE,) if row.effect is Effect.NOTE else (State.DECIDING,)
            if not self._somewhere(row.id, lambda met, row=row, active=active: met.scope.rows[row.id].state in active):  # type: ignore[misc]
                found.append(IdleRow(rule=row.id, effect=row.effect, why="it is advisory or suspended all the time"))
            elif not self._changes_something(row):
                found.append(IdleRow(rule=row.id, effect=row.effect, why=_WHY_IDLE[row.effect]))
        return tuple(found)

    def _changes_something(self, row: Row) -> bool:
        rest = tuple(one for one in self._book.rows if one.id != row.id)
        number = self._symbolic.add(replace(self._book, rows=rest))

        def changes(met: _Met) -> bool:
            without = self._symbolic.scope(number, met.model, met.action, met.at)
            return self._symbolic.decisions(met.scope) != self._symbolic.decisions(without)

        return self._somewhere(row.id, changes)

    def always_barred(self, idle: Iterable[str]) -> tuple[IdleRow, ...]:
        """Grants that match, and nobody whom they match is allowed."""
        symbolic, diagrams = self._symbolic, self._symbolic.diagrams
        passed = set(idle)

        def allows(met: _Met, name: str) -> bool:
            table = met.scope.rows[name]
            allowed = diagrams.parts(symbolic.decisions(met.scope)).get("allow", diagrams.end(False))
            granted = diagrams.differing(table.says, diagrams.end(None))
            return diagrams.meet(allowed, granted)

        return tuple(
            IdleRow(rule=row.id, effect=row.effect, why="wherever it matches and is in force, a bar stands")
            for row in self._book.rows
            if row.effect is Effect.PERMIT
            and row.id not in passed
            and not self._somewhere(row.id, lambda met, name=row.id: allows(met, name))  # type: ignore[misc]
        )

    def calendar(self) -> tuple[Flip, ...]:
        """Each instant at which something dated changes."""
        found = []
        for before, after in pairwise(self._stretches):
            self._step(f"what flips at {format_instant(after.instant)}")
            sides = [(Side(book=0, at=before.instant), Side(book=0, at=after.instant))]
            differences = differences_between(self._symbolic, self._models, [after], sides, reasons=False)
            found.append(
                Flip(
                    at=after.instant,
                    rows=tuple(_dated(self._book, after.instant)),
                    groups=tuple(_groups_changed(self._book, after.instant)),
                    differences=differences,
                )
            )
        return tuple(found)


_WHY_IDLE: Final = {
    Effect.DENY: "whoever it bars is barred by another row, or granted nothing, as well",
    Effect.PERMIT: "whoever it grants to is granted by another row, or barred, as well",
    Effect.NOTE: "whatever it lifts is lifted, or barred otherwise, as well",
}


def _access_order(one: Access) -> tuple[object, ...]:
    return (
        list(PERSPECTIVES).index(one.perspective),
        one.tier,
        one.models,
        one.actions,
        -len(one.countries),
        one.countries,
        one.statuses,
        one.memberships,
    )


def _rectangles(
    cells: _Cells,
) -> Iterator[tuple[_Cell, tuple[str, ...], tuple[str, ...]]]:
    """Cells that are alike, each as statuses by memberships."""
    by_cell: dict[_Cell, dict[str, list[str]]] = {}
    for (status, membership), cell in cells:
        by_cell.setdefault(cell, {}).setdefault(status, []).append(membership)
    for cell, by_status in by_cell.items():
        alike: dict[tuple[str, ...], list[str]] = {}
        for status, memberships in by_status.items():
            alike.setdefault(tuple(memberships), []).append(status)
        for memberships_alike, statuses in alike.items():
            yield cell, tuple(statuses), memberships_alike


def _together(places: Iterable[tuple[str, Action]]) -> list[tuple[tuple[str, ...], tuple[Action, ...]]]:
    """Models and actions in as few products as their actions allow."""
    order = list(Action)
    actions: dict[str, list[Action]] = {}
    for model, action in sorted(places, key=lambda place: order.index(place[1])):
        actions.setdefault(model, []).append(action)
    models: dict[tuple[Action, ...], list[str]] = {}
    for model, held in actions.items():
        models.setdefault(tuple(held), []).append(model)
    return [(tuple(sorted(names)), held) for held, names in models.items()]


def _dated(book: Book, at: datetime) -> Iterator[tuple[str, str]]:
    """The rows that something happens to at the instant."""
    for row in book.rows:
        if row.valid.start == at:
            yield row.id, "begins"
        if row.valid.end == at:
            yield row.id, "ends"
        for interval in row.suspended:
            if interval.start == at:
                yield row.id, "is suspended"
            if interval.end == at:
                yield row.id, "is in force again"


def _groups_changed(book: Book, at: datetime) -> Iterator[str]:
    places = book.tables.places
    for name, group in sorted(places.groups.items()):
        joined = sorted({one.country for one in group.members if one.valid.start == at})
        left = sorted({one.country for one in group.members if one.valid.end == at})
        if joined:
            yield f"{name} takes in {', '.join(joined)}"
        if left:
            yield f"{name} lets go of {', '.join(left)}"
    for rule in places.treat_as:
        if at in (rule.valid.start, rule.valid.end):
            verb = "reads" if rule.valid.start == at else "no longer reads"
            yield f"{rule.law} {verb} {rule.country} as {rule.read_as}"
