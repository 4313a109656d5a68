"""From a rule book to verdicts. The only file that imports casbin.

The matcher of the Casbin model is compiled once for each book and applied to every row that can reach the request's
action and item; pycasbin itself, fed with the same rows and facts, is the second judge that must agree (`Oracle`).

How Casbin is fenced here:

* Casbin never reads a file. Rows come typed from the strict reader, with effects that are exactly `allow` or `deny`.
* The matcher may only be a conjunction of `tri(p.X, r.X, p.eft)` over every facet, once each, and `unlifted(p.unless,
  r.relief, p.eft)`. Anything else is refused when the book is built, since a dropped facet would widen a grant.
* No role manager is used, so nothing is written on reading, and no depth limit applies.
* An enforcer is built for each book and never changed; its logger, which writes raw request values, is disabled.
"""

from __future__ import annotations

import logging
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import casbin

from policy_engine.domain import logic
from policy_engine.domain.facts import Edition, Party, Question, Role
from policy_engine.domain.logic import YES, Answer, Detail, Tri
from policy_engine.domain.persons import ContradictionError
from policy_engine.domain.request import Action
from policy_engine.domain.rules import FACETS, ROW_WORD, Book, Condition, Effect, Enforcement, Row, Term
from policy_engine.domain.sentences import Sentence, cited, told_of
from policy_engine.domain.verdict import CapDraw, Finding, State, Verdict, combine
from policy_engine.domain.words import GATES, STATIC_FACETS, answer_condition, answer_term
from policy_engine.policy.layers import layers_of

MODEL_TEMPLATE: Final = """
[request_definition]
r = {facets}, relief

[policy_definition]
p = id, {facets}, unless, eft

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = {matcher}
"""
DEFAULT_MATCHER: Final = " && ".join(
    [*(f"tri(p.{facet}, r.{facet}, p.eft)" for facet in FACETS), "unlifted(p.unless, r.relief, p.eft)"]
)

_TERM: Final = re.compile(r"(tri|unlifted)\(\s*p\.(\w+)\s*,\s*r\.(\w+)\s*,\s*p\.eft\s*\)")


class MatcherError(ValueError):
    """The matcher of the Casbin model is not of the one form that is compiled."""


class JudgingError(RuntimeError):
    """A row matched and could not say why; the book's own fault, met at decision time."""


def compile_matcher(matcher: str) -> tuple[str, ...]:
    """The facets that the matcher asks, in its order.

    Raises `MatcherError` unless the text is a conjunction that has every facet exactly once and `unlifted` last.
    """
    facets: list[str] = []
    terms = [term.strip() for term in matcher.split("&&")]
    for term in terms:
        matched = _TERM.fullmatch(term)
        if matched is None:
            raise MatcherError(f"the matcher has `{term}` where only `tri(p.X, r.X, p.eft)` is known")
        function, ours, theirs = matched.groups()
        if function == "tri":
            if ours != theirs:
                raise MatcherError(f"the matcher compares the column `{ours}` with the facts of `{theirs}`")
            facets.append(ours)
        elif (ours, theirs) != ("unless", "relief") or term is not terms[-1]:
            raise MatcherError("`unlifted(p.unless, r.relief, p.eft)` must stand once, as the last term of the matcher")
    if sorted(facets) != sorted(FACETS):
        raise MatcherError(f"the matcher must ask each of {', '.join(FACETS)} exactly once")
    if not terms[-1].startswith("unlifted"):
        raise MatcherError("the matcher must end with `unlifted(p.unless, r.relief, p.eft)`")
    return tuple(facets)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiled:
    """A row with its conditions in the matcher's order, those of them that ask something: the static ones, that action
    and item answer, and the others. `gated` is whether it is asked too where there is no item, or nobody on file."""

    row: Row
    static: tuple[Condition, ...]
    asked: tuple[Condition, ...]
    gated: bool
    layer: int


def _compiled(rows: Iterable[Row], facets: Iterable[str], layers: Mapping[str, int]) -> list[_Compiled]:
    static = [FACETS.index(facet) for facet in facets if facet in STATIC_FACETS]
    others = [FACETS.index(facet) for facet in facets if facet not in STATIC_FACETS]
    return [
        _Compiled(
            row=row,
            static=tuple(row.facets[column] for column in static if row.facets[column].alternatives),
            asked=tuple(row.facets[column] for column in others if row.facets[column].alternatives),
            gated=not row.words.isdisjoint(GATES),
            layer=layers.get(row.id, 0),
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A row that is valid now and that action and item do not exclude, with what is left to ask.

    `layer` says when it is judged: after all bars of the layers below.
    """

    row: Row
    state: State
    static: Answer
    asked: tuple[Condition, ...]
    gated: bool
    layer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidates:
    """What can matter for one action on one item during one stretch of time in which no row changes; bars by layer."""

    bars: tuple[tuple[_Candidate, ...], ...]
    grants: tuple[_Candidate, ...]
    notes: tuple[_Candidate, ...]
    by_id: dict[str, _Candidate]
    reached: tuple[Row, ...]
    next_change: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Match:
    party: Party
    answer: Answer
    lifted_by: tuple[str, ...] = ()


@dataclass(slots=True)
class _Sheet:
    """The findings of one verdict as they come in."""

    bars: list[Finding] = field(default_factory=list)
    grants: list[Finding] = field(default_factory=list)
    others: list[Finding] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    lifters: set[str] = field(default_factory=set)

    def enter_bar(self, candidate: _Candidate, matches: Sequence[_Match], parties: Sequence[Party]) -> None:
        standing = [match for match in matches if not match.lifted_by]
        if candidate.state is not State.DECIDING:
            self.others.append(_finding(candidate, matches))
        elif standing:
            self.bars.append(_finding(candidate, standing))
            if _differs(standing, parties):
                self.missing.add("acting_for")
        else:
            names = sorted({name for match in matches for name in match.lifted_by})
            self.lifters.update(names)
            self.others.append(_finding(candidate, matches, lifted_by=names))

    def enter_grant(self, candidate: _Candidate, parties: Sequence[Party]) -> None:
        answers = [(party, _match(candidate, party)) for party in parties]
        if all(answer.value is Tri.YES for _, answer in answers):
            finding = _finding(candidate, [_Match(party=party, answer=answer) for party, answer in answers])
            if candidate.state is State.DECIDING:
                self.grants.append(finding)
            else:
                self.others.append(finding)
        elif candidate.state is State.DECIDING and not self.bars and _grant_differs(answers):
            self.missing.add("acting_for")

    def enter_note(self, candidate: _Candidate, parties: Sequence[Party], hosts: Sequence[Party]) -> None:
        judged = (*parties, *hosts) if candidate.row.judges_host or candidate.row.id in self.lifters else parties
        held = [
            _Match(party=party, answer=answer)
            for party in judged
            if (answer := _match(candidate, party)).value is Tri.YES
        ]
        if held:
            self.others.append(_finding(candidate, held))


class Judge:
    """Judges questions by one book; immutable but for its memory of which rows reach what."""

    def __init__(self, book: Book) -> None:
        """Raises `MatcherError`, and `CircleError` where bars ask about each other; no book that is read has either."""
        self.book = book
        layers = layers_of(book.rows)
        self._rows = _compiled(book.rows, compile_matcher(book.matcher), layers)
        edges = {
            edge
            for row in book.rows
            for interval in (row.valid, *row.suspended)
            for edge in (interval.start, interval.end)
            if edge is not None
        }
        self._edges = sorted(edges)
        self._candidates: dict[tuple[int, str | None, Action], _Candidates] = {}
        self._enforced: dict[int, frozenset[str]] = {}

    def verdict(self, question: Question) -> Verdict:
        """The verdict on a question whose parties are derived. Pure, apart from the question's own memory.

        Raises `ContradictionError` when the file says two things at once of what has to be read.
        """
        verdict = self._judged(question)
        while verdict.allowed and question.places:
            draws = self._draws(question, verdict)
            beyond = _overbooked(draws, question.places)
            if not beyond:
                return replace(verdict, draws=draws)
            # Two persons of one request cannot share the last place: it is the first one's, and all is judged anew.
            question.take_away(beyond)
            verdict = self._judged(question)
        return verdict

    def _draws(self, question: Question, verdict: Verdict) -> tuple[CapDraw, ...]:
        """The fewest of the places read with which the answer is reached as it was; of equals the first by id."""
        needed = sorted(question.places, key=lambda place: (place.authorisation, place.person))
        for place in reversed(needed):
            others = [one for one in needed if one != place]
            if self._reaches(verdict, question.with_only(others)):
                needed = others
        return tuple(needed)

    def _reaches(self, verdict: Verdict, other: Question) -> bool:
        try:
            return _same_way(verdict, self._judged(other))
        except (ContradictionError, JudgingError):
            # What cannot be judged without the place is not allowed without it.
            return False

    def _judged(self, question: Question) -> Verdict:
        if question.fault is not None:
            raise ContradictionError(question.fault)
        stretch = bisect_right(self._edges, question.at)
        candidates = self._reaching(stretch, question)
        question.enforced = self._enforced_in(stretch, question.at)
        question.reached = candidates.reached
        question.horizon.note(candidates.next_change)
        parties = [party for party in question.parties if party.role is not Role.HOST]
        hosts = [party for party in question.parties if party.role is Role.HOST]
        bars: list[tuple[_Candidate, list[_Match]]] = []
        for layer in candidates.bars:
            bars += [(one, self._bar_matches(one, parties, hosts, candidates)) for one in layer]
            self._remember_bars(question, bars)
        sheet = _Sheet()
        for candidate, matches in bars:
            if matches:
                sheet.enter_bar(candidate, matches, parties)
        for candidate in candidates.grants:
            sheet.enter_grant(candidate, parties)
        for candidate in candidates.notes:
            sheet.enter_note(candidate, parties, hosts)
        return combine(
            sheet.bars,
            sheet.grants,
            sheet.others,
            missing=sheet.missing,
            lifters=frozenset(sheet.lifters),
        )

    def lifts(self, term: Term, party: Party) -> bool:
        """Whether a term of a bar's `unless` is known to hold for the party."""
        return _lifts(term, party, self.reaching_rows(party.question))

    def relief(self, unless: Condition, party: Party) -> tuple[str, ...]:
        """What is known to lift a bar with this `unless` for the party, by name."""
        return _relief(unless, party, self.reaching_rows(party.question))

    def reaching_rows(self, question: Question) -> dict[str, _Candidate]:
        """The rows that are valid now and reach the question's action and item, by id."""
        return self._reaching(bisect_right(self._edges, question.at), question).by_id

    def _reaching(self, stretch: int, question: Question) -> _Candidates:
        entry = question.entry
        unfiled = any(not party.on_file for party in question.parties if party.role is not Role.HOST)
        key = (stretch, None if entry is None else entry.id, question.request.action)
        candidates = self._candidates.get(key)
        if candidates is None:
            candidates = self._build(question)
            self._candidates[key] = candidates
        if unfiled and candidates.grants:
            # Nobody grants to somebody who is not on file; the rows that say so are kept by `_applies`.
            candidates = replace(candidates, grants=())
        return candidates

    def _build(self, question: Question) -> _Candidates:
        # A party of its own, so that what a record says was looked at does not depend on what is remembered here.
        at, probe = question.at, replace(question.parties[0], memo={})
        reached: list[_Candidate] = []
        changes = []
        for compiled in self._rows:
            row = compiled.row
            if question.entry is None and not compiled.gated:
                continue
            static = _conjunction(YES, compiled.static, probe)
            if static.value is Tri.NO:
                continue
            changes.append(row.next_change(at))
            if not row.valid.holds(at):
                continue
            reached.append(
                _Candidate(
                    row=row,
                    state=state_of(row, at),
                    static=static,
                    asked=compiled.asked,
                    gated=compiled.gated,
                    layer=compiled.layer,
                )
            )
        bars = [one for one in reached if one.row.effect is Effect.DENY]
        return _Candidates(
            bars=tuple(
                tuple(one for one in bars if one.layer == layer) for layer in sorted({one.layer for one in bars})
            ),
            grants=tuple(one for one in reached if one.row.effect is Effect.PERMIT),
            notes=tuple(one for one in reached if one.row.effect is Effect.NOTE),
            by_id={one.row.id: one for one in reached},
            reached=tuple(one.row for one in reached if one.state is State.DECIDING),
            next_change=min((change for change in changes if change is not None), default=None),
        )

    def _enforced_in(self, stretch: int, at: datetime) -> frozenset[str]:
        held = self._enforced.get(stretch)
        if held is None:
            held = frozenset(
                row.id for row in self.book.rows if row.valid.holds(at) and state_of(row, at) is State.DECIDING
            )
            self._enforced[stretch] = held
        return held

    def _bar_matches(
        self, candidate: _Candidate, parties: Sequence[Party], hosts: Sequence[Party], candidates: _Candidates
    ) -> list[_Match]:
        judged: Iterable[Party] = (*parties, *hosts) if candidate.row.judges_host else parties
        matches = []
        for party in judged:
            answer = _match(candidate, party)
            if answer.value is Tri.NO:
                continue
            lifted_by: tuple[str, ...] = ()
            if candidate.state is State.DECIDING and candidate.row.unless.alternatives:
                lifted_by = _relief(candidate.row.unless, party, candidates.by_id)
            matches.append(_Match(party=party, answer=answer, lifted_by=lifted_by))
        return matches

    @staticmethod
    def _remember_bars(question: Question, bars: Iterable[tuple[_Candidate, list[_Match]]]) -> None:
        matched: set[str] = set()
        standing: dict[int, frozenset[str]] = {}
        for candidate, matches in bars:
            if candidate.state is not State.DECIDING:
                continue
            for match in matches:
                matched.add(candidate.row.regime)
                if match.lifted_by:
                    continue
                for party in _barred_by(match.party, question.parties):
                    standing[id(party)] = standing.get(id(party), frozenset()) | {candidate.row.regime}
        question.matched_regimes = frozenset(matched)
        question.barred_regimes = standing


def _barred_by(party: Party, parties: Sequence[Party]) -> list[Party]:
    """Against whom a bar on this party stands: one on the host is one on those whose copy it would host."""
    if party.role is not Role.HOST:
        return [party]
    return [party, *(one for one in parties if one.role is not Role.HOST and one.acting is party.acting)]


def state_of(row: Row, at: datetime) -> State:
    """What a row in force at the instant is before it is asked."""
    if row.suspended_at(at):
        return State.SUSPENDED
    if row.enforcement is Enforcement.ADVISORY:
        return State.ADVISORY
    return State.NOTE if row.effect is Effect.NOTE else State.DECIDING


def _applies(candidate: _Candidate, party: Party) -> bool:
    """Whether the row is asked for the party: for somebody who is not on file nothing can be judged but that."""
    return party.on_file or candidate.gated


def _match(candidate: _Candidate, party: Party) -> Answer:
    """The row's answer for the party: facets in the matcher's order, up to the first that is known to fail."""
    if not _applies(candidate, party):
        return logic.NO
    return _conjunction(candidate.static, candidate.asked, party)


def _conjunction(first: Answer, conditions: Iterable[Condition], party: Party) -> Answer:
    """An answer and the conditions for the party, up to the first that is known to fail."""
    answers = [first] if first is not YES else []
    for condition in conditions:
        answer = answer_condition(condition, party)
        if answer.value is Tri.NO:
            return logic.NO
        answers.append(answer)
    return logic.all_of(answers)


def _relief(unless: Condition, party: Party, by_id: dict[str, _Candidate]) -> tuple[str, ...]:
    """What is known to lift the bar for this party, by name; each alternative that holds is named."""
    names = []
    for alternative in unless.alternatives:
        if all(_lifts(term, party, by_id) for term in alternative):
            lifters = [term.parameter for term in alternative if term.word == ROW_WORD]
            names.append(lifters[0] if lifters else " & ".join(term.text for term in alternative))
    return tuple(names)


def _lifts(term: Term, party: Party, by_id: Mapping[str, _Candidate]) -> bool:
    """Whether a term of `unless` is known to hold: a note row that matches, or a word."""
    if term.word != ROW_WORD:
        return answer_term(term, party).value is Tri.YES
    note = by_id.get(term.parameter)
    return note is not None and note.state is State.NOTE and _match(note, party).value is Tri.YES


def _finding(candidate: _Candidate, matches: Sequence[_Match], lifted_by: Sequence[str] = ()) -> Finding:
    row = candidate.row
    sure = [match for match in matches if match.answer.value is Tri.YES]
    pool = sure or matches
    deciding = candidate.state is State.DECIDING and not lifted_by
    codes = sorted({code for match in pool for code in _codes(row, match, deciding=deciding)})
    if not codes:
        raise JudgingError(f"rule `{row.id}` matched and none of its codes applies")
    state = State.LIFTED if lifted_by else candidate.state
    detail = _merged(match.answer.detail for match in pool)
    if len(lifted_by) > 1:
        detail = (*detail, ("lifted_by", tuple(lifted_by)))
    told = told_of(row, codes)
    citation = cited(row)
    obligations = tuple(one for one in row.obligations if sure or not one.for_certain_alone)
    if pool[0].party.question.edition < Edition.UNSTATED:
        told = Sentence(message=row.message, public_code=row.public_code, public_message=row.public_message)
        citation, obligations = row.citation, row.obligations
    return Finding(
        rule=row.id,
        regime=row.regime,
        effect=row.effect,
        state=state,
        hold=row.hold,
        codes=tuple(codes),
        citation=citation,
        message=told.message,
        detail=detail,
        lifted_by=lifted_by[0] if lifted_by else None,
        public_code=told.public_code,
        public_message=told.public_message,
        obligations=obligations,
        missing=tuple(sorted({name for match in pool for name in match.answer.missing})),
    )


def _codes(row: Row, match: _Match, *, deciding: bool) -> set[str]:
    """The codes that apply; one beside another says why nothing lifted the bar, so it is only for one that decides."""
    codes: set[str] = set()
    for rule in row.codes:
        if rule.beside is not None and (not deciding or rule.beside not in codes):
            continue
        value = answer_condition(rule.condition, match.party).value
        if rule.on_unknown:
            if match.answer.value is Tri.UNKNOWN and value is Tri.UNKNOWN:
                codes.add(rule.code)
        elif value is Tri.YES:
            codes.add(rule.code)
    return codes


def _merged(details: Iterable[Detail]) -> Detail:
    merged: dict[str, str | tuple[str, ...]] = {}
    for detail in details:
        for name, value in detail:
            held = merged.get(name)
            if held is None or held == value:
                merged[name] = value
            else:
                several = [*(held if isinstance(held, tuple) else (held,))]
                several += [one for one in (value if isinstance(value, tuple) else (value,)) if one not in several]
                merged[name] = tuple(several)
    return tuple(merged.items())


def _differs(standing: Sequence[_Match], parties: Sequence[Party]) -> bool:
    """Whether the bar stands for one organisation that the subject may be acting for and not for another."""
    subjects = [party for party in parties if party.role is Role.SUBJECT]
    if len(subjects) < 2 or any(match.party.role is Role.END_USER for match in standing):
        return False
    matched = {id(match.party) for match in standing}
    actors = {id(match.party.acting) for match in standing if match.party.role is Role.HOST}
    stands = [id(subject) in matched or id(subject.acting) in actors for subject in subjects]
    return not all(stands)


def _grant_differs(answers: Sequence[tuple[Party, Answer]]) -> bool:
    subjects = [answer.value is Tri.YES for party, answer in answers if party.role is Role.SUBJECT]
    rest = all(answer.value is Tri.YES for party, answer in answers if party.role is not Role.SUBJECT)
    return rest and any(subjects) and not all(subjects)


def _same_way(verdict: Verdict, other: Verdict) -> bool:
    """Whether the other verdict allows by every grant by which this one does."""
    return other.allowed and {one.rule for one in verdict.deciding} <= {one.rule for one in other.deciding}


def _overbooked(draws: Iterable[CapDraw], places: Mapping[CapDraw, int]) -> frozenset[CapDraw]:
    """Those draws for which, in their order, no place is left once the ones before have taken theirs."""
    taken: Counter[str] = Counter()
    beyond = set()
    for draw in draws:
        taken[draw.authorisation] += 1
        if taken[draw.authorisation] > places[draw]:
            beyond.add(draw)
    return frozenset(beyond)


def is_asked(row: Row, party: Party) -> bool:
    """Whether the row is asked for the party at all, be it for a host, somebody who is not on file, or an item that is
    in no catalogue."""
    if party.role is Role.HOST and not row.judges_host:
        return False
    return (party.on_file and party.question.entry is not None) or not row.words.isdisjoint(GATES)


def deciding_rows(book: Book, at: datetime) -> tuple[Row, ...]:
    """The rows that may decide at an instant: grants and bars in force that are neither suspended nor advisory."""
    return tuple(
        row
        for row in book.rows
        if row.effect is not Effect.NOTE and row.valid.holds(at) and state_of(row, at) is State.DECIDING
    )


def casbin_model(matcher: str) -> str:
    """The Casbin model with the matcher."""
    return MODEL_TEMPLATE.format(facets=", ".join(FACETS), matcher=matcher)


_EVERYBODY: Final = ["EVERYBODY", *[""] * (len(FACETS) + 1), "allow"]
"""A grant that asks nothing: beside it pycasbin denies by a bar alone."""


class Oracle:
    """pycasbin's own enforcer over rows of a book, asked about a party with the same facts: the second judge.

    One enforcer serves all rows of a book, some at a time. It never judges by no row at all, which pycasbin would
    answer as it does a row that asks nothing.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        rows = judge.book.rows
        self._by_text = {
            condition.text: condition
            for row in rows
            for condition in (*row.facets, row.unless)
            if condition.alternatives
        }
        self._lines = {
            row.id: [
                row.id,
                *(condition.text for condition in row.facets),
                row.unless.text,
                "deny" if row.effect is Effect.DENY else "allow",
            ]
            for row in rows
        }
        model = casbin.Model()
        model.load_model_from_text(casbin_model(judge.book.matcher))
        self._enforcer = casbin.Enforcer(model)
        for name in list(logging.root.manager.loggerDict):
            if name.startswith("casbin"):
                logging.getLogger(name).disabled = True
        self._enforcer.add_function("tri", self._tri)
        self._enforcer.add_function("unlifted", self._unlifted)

    def allows(self, rows: Sequence[Row], party: Party) -> bool:
        """pycasbin's answer by the rows together; by none it is a deny."""
        return bool(rows) and self._enforced([self._lines[row.id] for row in rows], party)

    def bars(self, rows: Sequence[Row], party: Party) -> bool:
        """Whether pycasbin denies by one of the bars somebody to whom everything is granted."""
        return bool(rows) and not self._enforced([*(self._lines[row.id] for row in rows), _EVERYBODY], party)

    def _enforced(self, lines: list[list[str]], party: Party) -> bool:
        self._enforcer.get_model()["p"]["p"].policy = lines
        return bool(self._enforcer.enforce(*([party] * (len(FACETS) + 1))))

    def _tri(self, text: str, party: Party, effect: str) -> bool:
        if not text:
            return True
        value = answer_condition(self._by_text[text], party).value
        return value is not Tri.NO if effect == "deny" else value is Tri.YES

    def _unlifted(self, text: str, party: Party, effect: str) -> bool:
        if not text or effect != "deny":
            return True
        return not self._judge.relief(self._by_text[text], party)
