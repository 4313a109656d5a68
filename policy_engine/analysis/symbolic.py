"""The exact answer of a book to every profile of the declared world, for one action on one item at one instant.

A word is asked of the engine itself, once for each combination of the values that it tells apart on the axes that it
reads, and becomes a diagram. Conditions combine the diagrams of their words as `logic` combines answers, and rows
combine into an outcome as `verdict` combines findings; that much is written here again, over sets of profiles, and the
tests hold it against the engine profile by profile.

Most rows say the same of many items, actions and stretches of time, so what a word and a row say is kept by all that it
depends on. What two scopes answer is compared only where one of their rows differs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from itertools import product
from operator import itemgetter
from typing import Final

from policy_engine.analysis.diagram import Diagram, Diagrams
from policy_engine.analysis.dimensions import Profile
from policy_engine.analysis.example_facts import (
    REQUEST_AXES,
    ExampleAsked,
    Facts,
    caller_through,
    facts_of,
    gateway_of,
    request_of,
    rows_of,
)
from policy_engine.analysis.profiles import DECIDED_BY, Domain, edges, place_edges
from policy_engine.analysis.word_reads import dimensions_read, item_read, places_read, reads_nobody, split
from policy_engine.domain import logic
from policy_engine.domain.catalogue import Catalogue
from policy_engine.domain.facts import Question, derive
from policy_engine.domain.instants import ALWAYS
from policy_engine.domain.logic import Answer, Tri
from policy_engine.domain.places import Places
from policy_engine.domain.request import Action
from policy_engine.domain.roster import Roster
from policy_engine.domain.rules import (
    FAULT_RULE,
    NO_GRANT_RULE,
    REGIMES,
    ROW_WORD,
    Book,
    CodeRule,
    Condition,
    Effect,
    Row,
    Tables,
    Term,
)
from policy_engine.domain.verdict import State, Verdict
from policy_engine.domain.words import GATES, READS_BARS, VOCABULARY, ask, dimensions, words_looking
from policy_engine.domain.words.parameters import Named
from policy_engine.domain.words.word import Looks
from policy_engine.policy.judge import Judge, state_of
from policy_engine.policy.layers import regimes_asked

NO_SUCH_MODEL: Final = "no-such-model"
"""Stands for every model that is in no catalogue."""

_STANDING: Final = words_looking(Looks.AT_BARS_STANDING)
_FROM_ROWS: Final = words_looking(Looks.AT_ROWS_ENFORCED, Looks.AT_ROWS_REACHED)
"""Words that look at which rows are in force, and not at what these say of anybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonedAnswer:
    """The answer, which is one of `DECISIONS`, and its reason: the rule and the code that decide first."""

    decision: str
    rule: str
    code: str

    @property
    def order(self) -> tuple[int, str, str]:
        return _SORTED.index(self.decision), self.rule, self.code


DECISIONS: Final = ("allow", "deny", "hold")
_SORTED: Final = ("deny", "hold", "allow")

NO_GRANT: Final = ReasonedAnswer(decision="deny", rule=NO_GRANT_RULE, code="ACTION_NOT_PERMITTED")
FAULT: Final = ReasonedAnswer(decision="deny", rule=FAULT_RULE, code="ENGINE_FAULT")


def answer_of(verdict: Verdict) -> ReasonedAnswer:
    """The answer of the engine, as the analysis has it."""
    return _outcome(verdict.reason.rule, verdict.reason_code, allows=verdict.allowed, hold=verdict.hold)


_OPERATIONS: Final = 4_096
"""So many operations are made once for all that ask alike, so that diagrams remember what was done with them."""

_BARS_FIRST: Final = (Effect.DENY, Effect.PERMIT)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowTable:
    """Where a row that reaches the action and the item matches.

    `counts` is whether the row matches as its effect asks (a bar unless it is known to fail), `says` the first of its
    codes where it decides and `None` elsewhere; `mute` is where it matches and has no code to say why. `own` is set for
    a row that looks at what other rows say: where its other conditions let it match.
    """

    row: Row
    state: State
    counts: Diagram
    says: Diagram
    mute: Diagram
    own: Diagram | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scope:
    """What the rows of a book say to every profile about one action on one item while nothing dated changes.

    `ranked` has the rows that may decide, by effect, the one that gives the reason before others first. Scopes that
    were found to be the same are the same object.
    """

    rows: Mapping[str, RowTable]
    ranked: Mapping[Effect, tuple[RowTable, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """Where a row may decide otherwise, among the possible profiles, and the axes on which it looks itself."""

    where: Diagram
    read: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """All that a word may look at beside the profile. `epoch` numbers the times in which no country group changes."""

    book: int
    epoch: int
    asked: ExampleAsked
    enforced: frozenset[str]
    reached: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reached:
    """A row that reaches the action and the item, as the judge found it, in one state.

    `keys` has, by epoch, the number under which its table is kept.
    """

    row: Row
    number: int
    state: State
    static: Tri
    asked: tuple[Condition, ...]
    layer: int
    terms: _Terms
    keys: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """The words that a row asks, less those about bars, and whether some ask about other rows."""

    words: tuple[tuple[str, str], ...]
    by_rows: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _InForce:
    """What holds in a stretch of time in which nothing dated in a book changes: the epoch of its country groups, the
    state of each row in force, and the ids of those that are enforced."""

    epoch: int
    states: Mapping[str, State]
    enforced: frozenset[str]


@dataclass(slots=True)
class _BookState:
    """What is known about one of the books once and for all; `tables` numbers its tables less catalogue and places.

    `timeless` judges by the same rows without their dates, to tell once for all time which reach what.
    """

    book: Book
    judge: Judge
    timeless: Judge
    tables: int
    numbers: Mapping[str, int]
    place_edges: list[datetime]
    edges: list[datetime]
    stretches: dict[int, _InForce] = field(default_factory=dict)
    words: dict[Hashable, int] = field(default_factory=dict)
    reached: dict[tuple[str, Action], dict[str, Mapping[State, _Reached]]] = field(default_factory=dict)
    keys: dict[tuple[str, Action, int], tuple[int, ...]] = field(default_factory=dict)


def edges_of(book: Book) -> list[datetime]:
    """Every instant at which a row, a country group or a reading of one country as another changes."""
    rows = (interval for row in book.rows for interval in (row.valid, *row.suspended))
    return sorted({*edges(rows), *place_edges(book)})


@dataclass(slots=True)
class _Sheet:
    """The tables of one scope while they are made, and what each word and row of it is kept under."""

    setting: Setting
    reached: Mapping[str, _Reached]
    keys: dict[tuple[str, str], int] = field(default_factory=dict)
    matches: dict[str, Diagram] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Regimes:
    """The regimes of the enforced bars below that match, and of those that stand, as far as they are asked about."""

    matched: Diagram
    standing: Diagram


class SymbolicBooks:
    """Books over one declared world."""

    def __init__(self, books: Sequence[Book], instants: Sequence[datetime]) -> None:
        self.domain: Final = Domain(books, instants)
        self.diagrams: Final = Diagrams([len(axis.values) for axis in self.domain.axes])
        self._tokens: list[Tables] = []
        self._numbers: dict[Row, int] = {}
        self._states: Final[list[_BookState]] = []
        self._interned: dict[Hashable, int] = {}
        self._words: dict[int, Diagram] = {}
        self._matches: dict[int, Diagram] = {}
        self._tables: dict[int, RowTable] = {}
        self._scopes: dict[tuple[int, ...], Scope] = {}
        self._operations: dict[tuple[str, str], Callable[[frozenset[str]], Tri]] = {}
        self._decisions: dict[Scope, Diagram] = {}
        self._ordinary: Final = self.domain.complete({}) or {}
        self._rosters: Final[dict[Hashable, Roster]] = {}
        self._rosters_for: tuple[str, Action, datetime] | None = None
        self._on_file: Final = itemgetter(*(axis.name for axis in self.domain.axes if axis.name not in REQUEST_AXES))
        for book in books:
            self.add(book)
        self.possible: Final = self._possible()
        self._stranger: Final = self._among(dimensions.REQUESTER, frozenset({dimensions.STRANGER}))

    def add(self, book: Book) -> int:
        """Take in a book whose words are all among those of the books that the world was declared for; its number."""
        plain = replace(book.tables, catalogue=Catalogue(), places=Places(groups={}))
        if plain not in self._tokens:
            self._tokens.append(plain)
        self._states.append(
            _BookState(
                book=book,
                judge=Judge(book),
                timeless=Judge(
                    replace(book, rows=tuple(replace(row, valid=ALWAYS, suspended=()) for row in book.rows))
                ),
                tables=self._tokens.index(plain),
                numbers={
                    row.id: self._numbers.setdefault(replace(row, line=0), len(self._numbers)) for row in book.rows
                },
                place_edges=place_edges(book),
                edges=edges_of(book),
            )
        )
        return len(self._states) - 1

    def _among(self, axis: str, values: frozenset[str]) -> Diagram:
        position = self.domain.order[axis]
        row = [self.diagrams.end(value in values) for value in self.domain.axes[position].values]
        return self.diagrams.node(position, row)

    def _possible(self) -> Diagram:
        """The profiles whose values all fit: each axis with those before it that decide what fits."""
        whole = self.diagrams.end(True)
        for axis in self.domain.axes:
            deciding = DECIDED_BY.get(axis.name, (dimensions.REQUESTER,))
            whole = self.diagrams.both(whole, self._fitting(axis.name, deciding))
        return whole

    def _fitting(self, name: str, deciding: Sequence[str]) -> Diagram:
        chosen: dict[str, str] = dict(self._ordinary)

        if name == dimensions.REQUESTER:
            return self.diagrams.end(True)

        def build(names: Sequence[str]) -> Diagram:
            first, *rest = names
            position = self.domain.order[first]
            children = []
            for value in self.domain.axes[position].values:
                chosen[first] = value
                if rest:
                    children.append(build(rest))
                else:
                    children.append(self.diagrams.end(self.domain.fits(name, value, chosen)))
            return self.diagrams.node(position, children)

        return build([*deciding, name])

    def judge(self, book: int) -> Judge:
        """The judge of a book, by its place among the books."""
        return self._states[book].judge

    def asked(self, book: int, model: str, action: Action, at: datetime) -> ExampleAsked:
        """What is asked for, as the book's catalogue knows the item."""
        catalogue = self._states[book].book.tables.catalogue
        return ExampleAsked(
            model=model,
            entry=catalogue.find(model, None),
            action=action,
            at=at,
            readings=self.domain.names.readings,
        )

    def facts(self, book: int, profile: Profile, model: str, action: Action, at: datetime) -> Facts:
        """The facts that the profile stands for."""
        return facts_of(profile, self.asked(book, model, action, at))

    def scope(self, book: int, model: str, action: Action, at: datetime) -> Scope:
        """The tables of a book for an action on a model at an instant."""
        key = self.scope_key(book, model, action, at)
        found = self._scopes.get(key)
        if found is None:
            found = self._scopes[key] = self._build(self._sheet(book, model, action, at))
        return found

    def scope_key(self, book: int, model: str, action: Action, at: datetime) -> tuple[int, ...]:
        """What the tables of a scope depend on: scopes of equal keys are the same. No table is made for it."""
        state = self._states[book]
        place = (model, action, bisect_right(state.edges, at))
        found = state.keys.get(place)
        if found is None:
            sheet = self._sheet(book, model, action, at)
            found = state.keys[place] = tuple(self._row_key(sheet, one) for one in sheet.reached.values())
        return found

    def _sheet(self, book: int, model: str, action: Action, at: datetime) -> _Sheet:
        """An empty sheet with the rows that are in force and reach the action and the item."""
        state = self._states[book]
        asked = self.asked(book, model, action, at)
        now = self._in_force(state, at)
        reached = {
            name: by_state[now.states[name]]
            for name, by_state in self._reached(state, asked).items()
            if name in now.states
        }
        setting = Setting(
            book=book,
            epoch=now.epoch,
            asked=asked,
            enforced=now.enforced,
            reached=tuple(one.row for one in reached.values() if one.state is State.DECIDING),
        )
        return _Sheet(setting=setting, reached=reached)

    def _in_force(self, state: _BookState, at: datetime) -> _InForce:
        stretch = bisect_right(state.edges, at)
        found = state.stretches.get(stretch)
        if found is None:
            states = {row.id: state_of(row, at) for row in state.book.rows if row.valid.holds(at)}
            found = state.stretches[stretch] = _InForce(
                epoch=bisect_right(state.place_edges, at),
                states=states,
                enforced=frozenset(name for name, one in states.items() if one is State.DECIDING),
            )
        return found

    def _reached(self, state: _BookState, asked: ExampleAsked) -> Mapping[str, Mapping[State, _Reached]]:
        """The rows that reach the action and the item at some time, as the judge finds them, by id and state."""
        key = (asked.model, asked.action)
        found = state.reached.get(key)
        if found is None:
            candidates = state.timeless.reaching_rows(self._question(state.timeless.book, asked, self._ordinary))
            rows = {row.id: row for row in state.book.rows}
            found = state.reached[key] = {}
            for name, candidate in sorted(candidates.items()):
                terms = _terms(rows[name], candidate.asked)
                found[name] = {
                    one: _Reached(
                        row=rows[name],
                        number=state.numbers[name],
                        state=one,
                        static=candidate.static.value,
                        asked=candidate.asked,
                        layer=candidate.layer,
                        terms=terms,
                    )
                    for one in _STATES
                }
        return found

    def _question(self, book: Book, asked: ExampleAsked, profile: Profile) -> Question:
        caller = caller_through(gateway_of(profile))
        return derive(request_of(profile, asked), self._roster(asked, profile), book, caller, asked.at)

    def _roster(self, asked: ExampleAsked, profile: Profile) -> Roster:
        """What is on file of a profile, kept while the same is asked."""
        wanted = (asked.model, asked.action, asked.at)
        if wanted != self._rosters_for:
            self._rosters_for = wanted
            self._rosters.clear()
        key = self._on_file(profile)
        found = self._rosters.get(key)
        if found is None:
            found = self._rosters[key] = Roster.as_known(rows_of(profile, asked))
        return found

    def _answer(self, setting: Setting, profile: Profile, word: str, parameter: str) -> Tri:
        question = self._question(self._states[setting.book].book, setting.asked, profile)
        question.enforced, question.reached = setting.enforced, setting.reached
        return ask(question.parties[0], word, parameter).value

    def _number(self, key: Hashable) -> int:
        """A number that stands for all that equals the key."""
        return self._interned.setdefault(key, len(self._interned))

    def _row_key(self, sheet: _Sheet, one: _Reached) -> int:
        """The number of all that the table of a row depends on, but for what other rows say of somebody."""
        epoch = sheet.setting.epoch
        found = None if one.terms.by_rows else one.keys.get(epoch)
        if found is None:
            keys: list[int | None] = []
            for word, parameter in one.terms.words:
                if word == ROW_WORD:
                    note = sheet.reached.get(parameter)
                    lifts = note is not None and note.state is State.NOTE
                    keys.append(self._row_key(sheet, note) if note is not None and lifts else None)
                else:
                    keys.append(self._word_key(sheet, word, parameter))
            found = self._number(("row", one.number, one.state, one.static, *keys))
            if not one.terms.by_rows:
                one.keys[epoch] = found
        return found

    def _word_key(self, sheet: _Sheet, word: str, parameter: str) -> int:
        """The number of all that the table of a word depends on."""
        plain = (word, parameter)
        found = sheet.keys.get(plain)
        if found is None:
            setting = sheet.setting
            state = self._states[setting.book]
            if word in _FROM_ROWS:
                found = self._number(self._spelt_out(setting, word, parameter))
            else:
                action = setting.asked.action if reads_nobody(word) else None
                kept = (plain, setting.epoch, setting.asked.model, action)
                found = state.words.get(kept)
                if found is None:
                    found = state.words[kept] = self._number(self._spelt_out(setting, word, parameter))
            sheet.keys[plain] = found
        return found

    def _spelt_out(self, setting: Setting, word: str, parameter: str) -> Hashable:
        entry = setting.asked.entry
        state = self._states[setting.book]
        told = dimensions_read(word, split(word, parameter, self.domain.names.authorisations)[0], state.book, entry)
        if not told:
            return "word", word, parameter, self._answer(setting, self._ordinary, word, parameter)
        item = item_read(word, parameter, state.book, entry)
        rules = VOCABULARY[word].named(parameter, Named.RULE)
        rows = tuple(state.numbers[row.id] for row in setting.reached if row.id in rules)
        places = places_read(word, parameter, told, state.book, entry, setting.asked.at)
        return "word", word, parameter, state.tables, places, item, rows, setting.enforced.intersection(rules)

    def word(self, sheet: _Sheet, word: str, parameter: str) -> Diagram:
        """The answer of a word to every profile, as a `Tri`."""
        key = self._word_key(sheet, word, parameter)
        found = self._words.get(key)
        if found is None:
            found = self.diagrams.end(Tri.NO)
            for single in split(word, parameter, self.domain.names.authorisations):
                found = self._any(found, self._asked_of_engine(sheet.setting, word, single))
            self._words[key] = found
        return found

    def _any(self, *tables: Diagram) -> Diagram:
        return self.diagrams.join(max, Tri.NO, Tri.YES, *tables)

    def _all(self, *tables: Diagram) -> Diagram:
        return self.diagrams.join(min, Tri.YES, Tri.NO, *tables)

    def _asked_of_engine(self, setting: Setting, word: str, parameter: str) -> Diagram:
        book = self._states[setting.book].book
        told = dimensions_read(word, parameter, book, setting.asked.entry)
        read = sorted(self.domain.order[name] for name in told)
        folded = [self.domain.folded(position, told[self.domain.axes[position].name]) for position in read]
        answers: dict[tuple[int, ...], Diagram] = {}
        for classes in product(*(range(len(one)) for one in folded)):
            choices = {
                self.domain.axes[position].name: [
                    self.domain.axes[position].values[index] for index in folded[place][classes[place]]
                ]
                for place, position in enumerate(read)
            }
            profile = self.domain.complete(choices)
            if profile is not None:
                answers[classes] = self.diagrams.end(self._answer(setting, profile, word, parameter))
        nothing = self.diagrams.end(Tri.NO)

        def build(place: int, classes: tuple[int, ...]) -> Diagram:
            if place == len(read):
                return answers.get(classes, nothing)
            children = [nothing] * len(self.domain.axes[read[place]].values)
            for number, members in enumerate(folded[place]):
                child = build(place + 1, (*classes, number))
                for index in members:
                    children[index] = child
            return self.diagrams.node(read[place], children)

        return build(0, ())

    def _build(self, sheet: _Sheet) -> Scope:
        tables: dict[str, RowTable] = {}
        for one in sheet.reached.values():
            if not one.layer:
                key = self._row_key(sheet, one)
                table = self._tables.get(key)
                if table is None:
                    table = self._tables[key] = self._row_table(sheet, one, None)
                tables[one.row.id] = table
        for one in sorted(sheet.reached.values(), key=lambda one: one.layer):
            if one.layer:
                # Those of its own layer are none of the regimes that it asks about.
                tables[one.row.id] = self._row_table(sheet, one, tuple(tables.values()))
        deciding = [table for table in tables.values() if table.state is State.DECIDING]
        deciding.sort(key=_rank)
        return Scope(
            rows=dict(sorted(tables.items())),
            ranked={effect: tuple(table for table in deciding if table.row.effect is effect) for effect in _BARS_FIRST},
        )

    def _row_table(self, sheet: _Sheet, one: _Reached, below: Sequence[RowTable] | None) -> RowTable:
        combine = self.diagrams.combine
        own = None if below is None else combine(_not_no, self._matched(sheet, one, None))
        regimes = None if below is None or own is None else self._regimes(one.row, below, own)
        match = self._matched(sheet, one, regimes)
        bar = one.row.effect is Effect.DENY
        counts = combine(_not_no if bar else _is_yes, match)
        if one.row.effect is Effect.PERMIT:
            counts = self.diagrams.less(counts, self._stranger)
        stands = counts if one.state is State.DECIDING else self.diagrams.end(False)
        if bar and one.state is State.DECIDING:
            for alternative in one.row.unless.alternatives:
                stands = self.diagrams.less(stands, self._relief(sheet, alternative, regimes))
        codes = self._codes(sheet, one, match, stands, regimes)
        return RowTable(
            row=one.row,
            state=one.state,
            counts=counts,
            says=self.diagrams.within(stands, combine(_first, codes), None),
            mute=self.diagrams.within(counts, combine(_none, codes), False),
            own=own,
        )

    def _matched(self, sheet: _Sheet, one: _Reached, regimes: _Regimes | None) -> Diagram:
        """What the row answers. Without the regimes, the most that it can answer: conditions that ask about them are
        passed over."""
        key = None
        if not one.layer:
            key = self._row_key(sheet, one)
            found = self._matches.get(key)
            if found is not None:
                return found
        held = self.diagrams.end(one.static)
        for condition in one.asked:
            if regimes is not None or all(term.word not in READS_BARS for term in condition.terms):
                held = self._all(held, self._condition(sheet, condition, regimes))
        if one.row.words.isdisjoint(GATES):
            held = self.diagrams.combine(_unless_stranger, held, self._stranger)
        if key is not None:
            self._matches[key] = held
        return held

    def _condition(self, sheet: _Sheet, condition: Condition, regimes: _Regimes | None) -> Diagram:
        if not condition.alternatives:
            return self.diagrams.end(Tri.YES)
        return self._any(
            *(self._all(*(self._term(sheet, term, regimes) for term in part)) for part in condition.alternatives)
        )

    def _term(self, sheet: _Sheet, term: Term, regimes: _Regimes | None) -> Diagram:
        if term.word in READS_BARS:
            table = self._from_bars(sheet, term, regimes)
        else:
            table = self.word(sheet, term.word, term.parameter)
        if term.only_known:
            table = self.diagrams.combine(_known_negated if term.negated else _known, table)
        elif term.negated:
            table = self.diagrams.combine(_negated, table)
        return table

    def _from_bars(self, sheet: _Sheet, term: Term, regimes: _Regimes | None) -> Diagram:
        """A word about the regimes that bar, asked of the engine for each set of regimes that occurs."""
        if regimes is None:
            raise LookupError(f"`{term.word}` was asked before the rows that it looks at")
        setting = sheet.setting

        def answer(found: frozenset[str]) -> Tri:
            question = self._question(self._states[setting.book].book, setting.asked, self._ordinary)
            party = question.parties[0]
            question.matched_regimes = found
            question.barred_regimes = {id(party): found}
            return ask(party, term.word, term.parameter).value

        table = regimes.standing if term.word in _STANDING else regimes.matched
        # One operation for each word and parameter, so that what was done with it is remembered.
        return self.diagrams.combine(self._operations.setdefault((term.word, term.parameter), answer), table)

    def _relief(self, sheet: _Sheet, alternative: Sequence[Term], regimes: _Regimes | None) -> Diagram:
        """Where every term of one alternative of `unless` is known to hold."""
        whole = self.diagrams.end(True)
        for term in alternative:
            if term.word != ROW_WORD:
                holds = self._term(sheet, term, regimes)
            else:
                note = sheet.reached.get(term.parameter)
                if note is None or note.state is not State.NOTE:
                    return self.diagrams.end(False)
                if note.layer and regimes is None:
                    raise LookupError(f"`{note.row.id}` lifts a row that is judged before it")
                holds = self._matched(sheet, note, regimes)
            whole = self.diagrams.both(whole, self.diagrams.combine(_is_yes, holds))
        return whole

    def _codes(
        self, sheet: _Sheet, one: _Reached, match: Diagram, stands: Diagram, regimes: _Regimes | None
    ) -> Diagram:
        """The codes that the row would give, as a set; those beside another only where the row decides."""
        whole = self.diagrams.end(frozenset())
        for rule in one.row.codes:
            condition = self._condition(sheet, rule.condition, regimes)
            whole = self.diagrams.combine(_code_operation(rule), whole, match, condition, stands)
        return whole

    def _regimes(self, row: Row, tables: Iterable[RowTable], region: Diagram) -> _Regimes:
        """The regimes of the bars below that a row asks about, in the region where it does."""
        asked_matched = regimes_asked(term for term in row.terms if term.word not in _STANDING)
        asked_standing = regimes_asked(term for term in row.terms if term.word in _STANDING)
        matched = standing = self.diagrams.end(frozenset())
        for table in tables:
            regime = table.row.regime
            if table.row.effect is Effect.DENY and table.state is State.DECIDING:
                add = _adding(regime)
                if regime in asked_matched:
                    counts = self.diagrams.within(region, self.diagrams.combine(_or_none, table.counts), None)
                    matched = self.diagrams.overlay(add, counts, matched)
                if regime in asked_standing:
                    standing = self.diagrams.overlay(add, self.diagrams.within(region, table.says, None), standing)
        return _Regimes(matched=matched, standing=standing)

    def outcomes(self, scope: Scope, region: Diagram) -> Diagram:
        """The `ReasonedAnswer` for every possible profile in the region, and `None` elsewhere."""
        diagrams = self.diagrams
        left = diagrams.both(self.possible, region)
        mute = diagrams.both(left, self._mute(scope))
        whole = diagrams.within(mute, diagrams.end(FAULT), None)
        left = diagrams.less(left, mute)
        for effect in _BARS_FIRST:
            tables = scope.ranked[effect]
            holds = diagrams.both(left, self._stands(table for table in tables if table.row.hold))
            for table in tables:
                here = diagrams.both(left, self._stands((table,)))
                if not diagrams.nowhere(here):
                    told = _outcome_by(table.row.id, allows=effect is Effect.PERMIT)
                    said = diagrams.combine(told, diagrams.within(here, table.says, None), holds)
                    whole = diagrams.filled(whole, said)
                    left = diagrams.less(left, here)
        return diagrams.filled(whole, diagrams.within(left, diagrams.end(NO_GRANT), None))

    def _mute(self, scope: Scope) -> Diagram:
        """Where a row matches and cannot say why."""
        return self.diagrams.either(*(table.mute for table in scope.rows.values()))

    def _stands(self, tables: Iterable[RowTable]) -> Diagram:
        """Where at least one of these rows decides."""
        return self.diagrams.either(*(self.diagrams.combine(_said, table.says) for table in tables))

    def decisions(self, scope: Scope) -> Diagram:
        """Allow, deny or hold for every possible profile, and `None` for the others: the answers without reasons."""
        found = self._decisions.get(scope)
        if found is None:
            diagrams = self.diagrams
            bars, grants = (scope.ranked[effect] for effect in _BARS_FIRST)
            found = diagrams.combine(_granted, self._stands(grants))
            found = diagrams.beyond(self._stands(bars), found, "deny")
            found = diagrams.beyond(self._stands(table for table in bars if table.row.hold), found, "hold")
            found = diagrams.beyond(self._mute(scope), found, FAULT.decision)
            found = self._decisions[scope] = diagrams.within(self.possible, found, None)
        return found

    def ungranted(self, scope: Scope) -> Diagram:
        """The possible profiles that no row grants to and no row bars."""
        rows = self._stands(scope.ranked[Effect.DENY] + scope.ranked[Effect.PERMIT])
        return self.diagrams.less(self.possible, rows, self._mute(scope))

    def outcome(self, scope: Scope, profile: Profile) -> ReasonedAnswer:
        """The answer to one profile. Raises `TypeError` for an impossible one."""
        return self.reasons(scope, profile)[0]

    def reasons(self, scope: Scope, profile: Profile) -> tuple[ReasonedAnswer, tuple[str, ...]]:
        """The answer to one profile, and the ids of all rows that decide, bars before grants: none where nothing grants
        or bars. Raises `TypeError` for an impossible profile."""
        if not self.domain.possible(profile):
            raise TypeError("no requester can have this profile")
        assignment = self.domain.assignment(profile)
        at = self.diagrams.at
        said: dict[Effect, list[tuple[Row, str]]] = {effect: [] for effect in _BARS_FIRST}
        for effect, found in said.items():
            for table in scope.ranked[effect]:
                code = at(table.says, assignment)
                if isinstance(code, str):
                    found.append((table.row, code))
        decided = said[Effect.DENY] or said[Effect.PERMIT]
        names = tuple(sorted(row.id for row, _ in decided))
        if any(at(table.mute, assignment) for table in scope.rows.values()):
            return FAULT, names
        if not decided:
            return NO_GRANT, names
        first, code = decided[0]
        hold = any(row.hold for row, _ in decided)
        return _outcome(first.id, code, allows=first.effect is Effect.PERMIT, hold=hold), names

    def touched(self, before: Scope, after: Scope) -> Mapping[str, Touched]:
        """By row, where it may decide otherwise in one scope than in the other; rows that say the same are left out."""
        found = {}
        for name in sorted(before.rows.keys() | after.rows.keys()):
            one, other = before.rows.get(name), after.rows.get(name)
            if one is not other:
                anywhere = self._touched(one, other)
                where = self.diagrams.both(self.possible, anywhere)
                if not self.diagrams.nowhere(where):
                    owns = [table.own for table in (one, other) if table is not None and table.own is not None]
                    read = frozenset[int]().union(*(self.diagrams.support(own) for own in owns or [anywhere]))
                    found[name] = Touched(where=where, read=read)
        return found

    def reasons_touched(self, before: Scope, after: Scope, touched: Mapping[str, Touched]) -> Diagram:
        """Where the outcomes of two scopes can differ: where a touched row decides otherwise and none that is the same
        in both comes before it, for that one gives the reason on both sides. A row that may hold, or that may be unable
        to say why, is heard wherever it stands."""
        diagrams = self.diagrams
        sides = [
            {table.row.id: table for tables in scope.ranked.values() for table in tables} for scope in (before, after)
        ]
        pairs = {name: [side[name] for side in sides if name in side] for name in sides[0].keys() | sides[1].keys()}
        region = diagrams.either(*(one.where for name, one in touched.items() if name not in pairs))
        passed = diagrams.end(False)
        for name, tables in sorted(pairs.items(), key=lambda pair: min(map(_rank, pair[1]))):
            if name in touched:
                where = touched[name].where
                everywhere = any(table.row.hold or not diagrams.nowhere(table.mute) for table in tables)
                region = diagrams.either(region, where if everywhere else diagrams.less(where, passed))
            first, last = tables[0], tables[-1]
            if len(tables) == len(sides) and first.says == last.says and _rank(first) == _rank(last):
                passed = diagrams.either(passed, self._stands((first,)))
        return region

    def _touched(self, one: RowTable | None, other: RowTable | None) -> Diagram:
        absent, never = self.diagrams.end(None), self.diagrams.end(False)
        mute = self.diagrams.differing(one.mute if one else never, other.mute if other else never)
        says, said = (absent if table is None else table.says for table in (one, other))
        if one is None or other is None or _manner(one.row) == _manner(other.row):
            return self.diagrams.either(mute, self.diagrams.differing(says, said))
        both = (self.diagrams.combine(_said, table) for table in (says, said))
        return self.diagrams.either(mute, *both)


def _rank(table: RowTable) -> tuple[int, int, str]:
    """Where a row that decides stands among those that may give the reason: the least gives it."""
    row = table.row
    return _BARS_FIRST.index(row.effect), REGIMES.index(row.regime), row.id


def _manner(row: Row) -> tuple[object, ...]:
    """How a row decides where it does."""
    return row.regime, row.effect, row.hold


def _terms(row: Row, asked: Sequence[Condition]) -> _Terms:
    conditions = (*asked, row.unless, *(rule.condition for rule in row.codes))
    words = dict.fromkeys((term.word, term.parameter) for condition in conditions for term in condition.terms)
    names = {word for word, _ in words}
    return _Terms(
        words=tuple(one for one in words if one[0] not in READS_BARS),
        by_rows=not names.isdisjoint(_FROM_ROWS | {ROW_WORD}),
    )


_STATES: Final = (State.DECIDING, State.ADVISORY, State.SUSPENDED, State.NOTE)
"""What a row in force is before it is asked."""


def _not_no(value: Tri) -> bool:
    return value is not Tri.NO


def _is_yes(value: Tri) -> bool:
    return value is Tri.YES


def _negated(value: Tri) -> Tri:
    return logic.negation(Answer(value=value)).value


def _known(value: Tri) -> Tri:
    return Tri.NO if value is Tri.UNKNOWN else value


def _known_negated(value: Tri) -> Tri:
    return Tri.NO if value is Tri.UNKNOWN else _negated(value)


def _unless_stranger(value: Tri, stranger: bool) -> Tri:
    return Tri.NO if stranger else value


def _first(codes: frozenset[str]) -> str | None:
    return min(codes, default=None)


def _none(codes: frozenset[str]) -> bool:
    return not codes


def _said(code: str | None) -> bool:
    return code is not None


def _or_none(value: bool) -> bool | None:
    return value or None


def _granted(grant: bool) -> str:
    return "allow" if grant else NO_GRANT.decision


@lru_cache(maxsize=_OPERATIONS)
def _adding(regime: str) -> Callable[[object, frozenset[str]], frozenset[str]]:
    def add(_: object, found: frozenset[str]) -> frozenset[str]:
        return found | {regime}

    return add


@lru_cache(maxsize=_OPERATIONS)
def _code_operation(rule: CodeRule) -> Callable[[frozenset[str], Tri, Tri, bool], frozenset[str]]:
    def give(codes: frozenset[str], match: Tri, condition: Tri, decides: bool) -> frozenset[str]:
        if rule.beside is not None and (not decides or rule.beside not in codes):
            return codes
        unknown = match is Tri.UNKNOWN and condition is Tri.UNKNOWN
        given = unknown if rule.on_unknown else condition is Tri.YES
        return codes | {rule.code} if given else codes

    return give


def _outcome(rule: str, code: str, *, allows: bool, hold: bool) -> ReasonedAnswer:
    return ReasonedAnswer(decision="allow" if allows else "hold" if hold else "deny", rule=rule, code=code)


@lru_cache(maxsize=_OPERATIONS)
def _outcome_by(rule: str, *, allows: bool) -> Callable[[str | None, bool], ReasonedAnswer | None]:
    def told(code: str | None, hold: bool) -> ReasonedAnswer | None:
        return None if code is None else _outcome(rule, code, allows=allows, hold=hold)

    return told
