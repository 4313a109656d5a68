"""What could lawfully change a deny: resolve an unknown, or add a paper, a membership, a statement, an end user.

A change is proposed because a row asks for it: a bar that stands on an unknown, what its `unless` names, a paper whose
absence it bars, or what keeps a grant from holding. Each is tried as a hypothesis, and only what is judged an allow is
offered. Nothing that is on file or was stated is ever taken back: a suspended membership, a confirmed or potential
listing, a stated purpose or place, an asserted conflict and an operator's suspension leave nothing to propose.

Single changes come first; only where none is enough are several tried together, at most `MAX_CHANGES` (all facts that
one remedy resolves are one change), and of those only sets of which no part is enough. The search is bounded by
`MAX_JUDGEMENTS`, so that in a tangle it may offer less than there is, and never what does not hold. A message says what
to establish or to obtain, and never which value would help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from policy_engine.domain.catalogue import Entry
from policy_engine.domain.facts import Party, Question, Role
from policy_engine.domain.hypotheses import (
    Hypothesis,
    Inputs,
    is_supposed,
    resolutions,
    with_authorisation,
    with_end_user,
    with_membership,
    with_statement,
)
from policy_engine.domain.logic import Answer, Detail, Tri
from policy_engine.domain.rules import NO_GRANT_RULE, ROW_WORD, Condition, Effect, Enforcement, Row, Term
from policy_engine.domain.verdict import Finding, State, Verdict
from policy_engine.domain.words import VOCABULARY, answer_condition, answer_term, ask
from policy_engine.domain.words.parameters import ANY_REGIME
from policy_engine.domain.words.word import Fact

MAX_CHANGES: Final = 3
MAX_JUDGEMENTS: Final = 200
MAX_OFFERED: Final = 12
"""How many remedies other than models are offered, the first in order."""

MAX_FACTS: Final = 16
"""Where more is unknown than this, finding it all out is an investigation and no remedy."""

_BREADTH: Final = 12
"""How many of the best partial remedies are built on further."""


class ChangeKind(StrEnum):
    """What is changed, in the order in which remedies are told."""

    FACT = "fact"
    AUTHORISATION = "authorisation"
    MEMBERSHIP = "membership"
    STATEMENT = "statement"
    END_USER = "end_user"
    MODEL = "model"


_ORDER: Final = tuple(ChangeKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemedyChange:
    """One change and what it needs, by name: `facts`; `regime`, `kind`, `holder`, `model` and `action`; `consortium`
    and `organisation`; `kind_of_statement` and `organisation`; nothing for an end user; `to` for a model."""

    kind: ChangeKind
    needs: Detail = ()

    @property
    def order(self) -> tuple[int, Detail]:
        return _ORDER.index(self.kind), self.needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """A change that leads to allow, together with those in `also` where it is not enough alone."""

    change: RemedyChange
    also: tuple[RemedyChange, ...] = ()

    @property
    def message(self) -> str:
        clauses = "; ".join(_clause(change) for change in (self.change, *self.also))
        return f"{clauses[0].upper()}{clauses[1:]}; an allow is possible then."


def to_model(name: str) -> Remedy:
    """Another model, which the same requester may use for the same action and purpose."""
    return Remedy(change=RemedyChange(kind=ChangeKind.MODEL, needs=(("to", name),)))


Judged = tuple[Question, Verdict]
JudgeInputs = Callable[[Inputs], Judged | None]
"""Judges the inputs for the same caller at the same instant; `None` where they cannot be judged."""


def find_remedies(inputs: Inputs, judge: JudgeInputs) -> tuple[Remedy, ...]:
    """What leads from a deny to an allow, other models left out, in a fixed order."""
    return _Search(inputs, judge).run()


# --- what the rows ask for --------------------------------------------------------------------------------------------


def _proposals(question: Question, verdict: Verdict) -> list[RemedyChange]:
    """The changes that some deciding row asks for; none as soon as one bar, or the want of a grant, is past remedy."""
    if question.entry is None or not all(party.on_file for party in question.parties):
        return []
    if len(verdict.missing) > MAX_FACTS:
        return []
    wanted = _facts(verdict.missing, question)
    undetermined = _WEIGHTS in verdict.missing
    for finding in verdict.deciding:
        if finding.rule != NO_GRANT_RULE:
            row = question.book.row(finding.rule)
            ways = set() if row is None else _against(row, finding, question)
            if not ways and (row is None or not (undetermined or _may_fall(row, question))):
                return []
            wanted |= ways
    if not any(_grants(finding) for finding in verdict.findings):
        ways = {way for row in question.reached if row.effect is Effect.PERMIT for way in _granting(row, question)}
        if not ways and not undetermined and "acting_for" not in verdict.missing:
            return []
        wanted |= ways
    return sorted(wanted, key=lambda change: change.order)


def _grants(finding: Finding) -> bool:
    return finding.effect is Effect.PERMIT and finding.state in (State.NOTE, State.DECIDING)


_WEIGHTS: Final = "model.weights"
"""Rows read undetermined weights as not published. Determined, they may take away a bar that stands on no unknown, and
bring a grant."""


def _may_fall(row: Row, question: Question) -> bool:
    """Whether the bar may go when other bars do, or with another organisation for which the subject may be acting."""
    if any(VOCABULARY[word].reads.other_rows for word in row.words - {ROW_WORD}):
        return True
    parties = [party for party in _judged_by(row, question) if party.role is not Role.END_USER]
    return question.request.acting_for is None and not all(_stands(row, party) for party in parties)


def _stands(row: Row, party: Party) -> bool:
    if any(answer_condition(facet, party).value is Tri.NO for facet in row.facets):
        return False
    return not row.unless.alternatives or _towards(row.unless, party) != set()


def _against(row: Row, finding: Finding, question: Question) -> set[RemedyChange]:
    """What may keep the bar from standing against each party for which it does."""
    ways = _facts(finding.missing, question)
    for party in _judged_by(row, question):
        if _stands(row, party):
            for term in (term for facet in row.facets for term in facet.terms if term.negated):
                ways |= _obtained(term, party)
            ways |= _towards(row.unless, party) or set()
    return ways


def _judged_by(row: Row, question: Question) -> list[Party]:
    return [party for party in question.parties if row.judges_host or party.role is not Role.HOST]


def _granting(row: Row, question: Question) -> set[RemedyChange]:
    """What may make the grant hold for all parties; whom the subject acts for may still be left to be said."""
    ways: set[RemedyChange] = set()
    subjects = [party for party in question.parties if party.role is Role.SUBJECT]
    for party in question.parties:
        if party.role is not Role.HOST:
            needed = _all_facets(row, party)
            if needed is None and (party.role is not Role.SUBJECT or len(subjects) == 1):
                return set()
            ways |= needed or set()
    return ways


def _all_facets(row: Row, party: Party) -> set[RemedyChange] | None:
    return _united(_towards(facet, party) for facet in row.facets)


def _united(parts: Iterable[set[RemedyChange] | None]) -> set[RemedyChange] | None:
    ways: set[RemedyChange] = set()
    for part in parts:
        if part is None:
            return None
        ways |= part
    return ways


def _towards(condition: Condition, party: Party) -> set[RemedyChange] | None:
    """What is wanting for the condition to be known to hold: nothing when it is, `None` when no change may do it."""
    if not condition.alternatives:
        return set()
    ways = [
        way
        for alternative in condition.alternatives
        if (way := _united(_towards_term(term, party) for term in alternative)) is not None
    ]
    if not ways or not all(ways):
        return set() if ways else None
    return set().union(*ways)


def _towards_term(term: Term, party: Party) -> set[RemedyChange] | None:
    question = party.question
    if term.word == ROW_WORD:
        row = question.book.row(term.parameter)
        return _all_facets(row, party) if row is not None and _lifts(row, question) else None
    answer = answer_term(term, party)
    if answer.value is Tri.YES:
        return set()
    ways = _facts(_missing(term, answer, party), question)
    if not term.negated:
        ways |= _obtained(term, party)
    return ways or None


def _lifts(row: Row, question: Question) -> bool:
    in_force = row.valid.holds(question.at) and not row.suspended_at(question.at)
    return row.effect is Effect.NOTE and row.enforcement is Enforcement.ENFORCED and in_force


def _missing(term: Term, answer: Answer, party: Party) -> tuple[str, ...]:
    return ask(party, term.word, term.parameter).missing if term.only_known else answer.missing


def _facts(paths: Iterable[str], question: Question) -> set[RemedyChange]:
    found = set()
    for path in paths:
        if path == "end_user":
            found.add(RemedyChange(kind=ChangeKind.END_USER))
        elif resolutions(path, question):
            found.add(_fact(path))
    return found


def _fact(*paths: str) -> RemedyChange:
    return RemedyChange(kind=ChangeKind.FACT, needs=(("facts", tuple(sorted(paths))),))


def _obtained(term: Term, party: Party) -> set[RemedyChange]:
    """The row on file that would make the word hold, for a word that asks for one that can be obtained."""
    question, reads = party.question, VOCABULARY[term.word].reads
    if reads.obtainable is None or question.entry is None:
        return set()
    if ask(party, term.word, term.parameter).value is not Tri.NO:
        return set()
    holder = party.organisation_id
    match reads.obtainable:
        case Fact.AUTHORISATIONS:
            holder = party.acting.id if party.acting is not None else None
            if holder is None and reads.host_too:
                holder = question.request.destination.host
            kind = ChangeKind.AUTHORISATION
            needs = _authorisation(term.parameter, holder or "", question, question.entry)
        case Fact.MEMBERSHIPS:
            rows = question.roster.memberships.get(holder or "", ())
            if any(row.consortium == term.parameter and row.valid.holds(question.at) for row in rows):
                return set()
            kind = ChangeKind.MEMBERSHIP
            needs = (("consortium", term.parameter), ("organisation", holder or ""))
        case Fact.STATEMENTS:
            kind = ChangeKind.STATEMENT
            needs = (("kind_of_statement", term.parameter), ("organisation", holder or ""))
    on_file = holder in question.roster.organisations and not is_supposed(holder or "")
    return {RemedyChange(kind=kind, needs=needs)} if on_file else set()


def _authorisation(parameter: str, holder: str, question: Question, entry: Entry) -> Detail:
    """What an authorisation must name. Of `any` regime it is one that no law asks for: the vendor gives it, or the
    operator where there is no vendor."""
    regime, _, kinds = parameter.partition("/")
    if regime == ANY_REGIME:
        regime = "operator" if entry.vendor is None else "vendor"
    return (
        ("regime", regime),
        ("kind", kinds.partition(",")[0]),
        ("holder", holder),
        ("model", entry.id),
        ("action", question.request.action.value),
    )


def _hypotheses(change: RemedyChange, question: Question) -> tuple[Hypothesis, ...]:
    """The ways to suppose a change; for a fact, its values in turn."""
    needs = {name: value for name, value in change.needs if isinstance(value, str)}
    match change.kind:
        case ChangeKind.AUTHORISATION:
            return (with_authorisation(**needs, at=question.at),)
        case ChangeKind.MEMBERSHIP:
            return (with_membership(**needs, at=question.at),)
        case ChangeKind.STATEMENT:
            return (with_statement(**needs, at=question.at),)
        case ChangeKind.END_USER:
            return (with_end_user(question),)
        case _:
            return tuple(one for path in _paths(change) for one in resolutions(path, question))


def _paths(change: RemedyChange) -> tuple[str, ...]:
    return tuple(path for _, paths in change.needs if not isinstance(paths, str) for path in paths)


# --- the search -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """A change with one way to suppose it."""

    change: RemedyChange
    suppose: Hypothesis


@dataclass(slots=True, kw_only=True, eq=False)
class _Node:
    """Some changes and what is judged of them; `facts` are the facts that were resolved from here, each at its best."""

    steps: tuple[_Step, ...]
    question: Question
    verdict: Verdict
    facts: list[_Step] = field(default_factory=list)

    @property
    def changes(self) -> frozenset[RemedyChange]:
        return frozenset(step.change for step in self.steps)

    @property
    def distance(self) -> int:
        """How much is left between this and an allow: bars, unknowns, and the want of a grant."""
        ungranted = not any(_grants(finding) for finding in self.verdict.findings)
        return len(self.verdict.deciding) + len(self.verdict.missing) + ungranted


class _Search:
    """Breadth first over sets of changes, from none on, until one number of changes gives an allow."""

    def __init__(self, inputs: Inputs, judge: JudgeInputs) -> None:
        self._inputs = inputs
        self._judge = judge
        self._left = MAX_JUDGEMENTS
        self._tried: set[frozenset[RemedyChange]] = set()

    def run(self) -> tuple[Remedy, ...]:
        # Judged anew, since asking a party more would change what the record says was looked at.
        root = self._node(())
        earlier: list[_Node] = []
        latest = [] if root is None else [root]
        for _ in range(MAX_CHANGES):
            found = [*self._facts_together(earlier), *self._onward(latest)]
            allowed = [node for node in found if node.verdict.allowed]
            if allowed:
                return self._offered(allowed)
            earlier, latest = latest, sorted(found, key=lambda node: node.distance)[:_BREADTH]
        return ()

    def _node(self, steps: tuple[_Step, ...]) -> _Node | None:
        if not self._left:
            return None
        self._left -= 1
        inputs = self._inputs
        for step in steps:
            inputs = step.suppose(inputs)
        judged = self._judge(inputs)
        return None if judged is None else _Node(steps=steps, question=judged[0], verdict=judged[1])

    def _onward(self, nodes: Iterable[_Node]) -> Iterator[_Node]:
        for node in nodes:
            for change in _proposals(node.question, node.verdict):
                changes = node.changes | {change}
                if changes in self._tried:
                    continue
                self._tried.add(changes)
                best = self._best(node, change)
                if best is None:
                    continue
                if change.kind is ChangeKind.FACT:
                    node.facts.append(best.steps[-1])
                yield best

    def _best(self, node: _Node, change: RemedyChange) -> _Node | None:
        best: _Node | None = None
        for suppose in _hypotheses(change, node.question):
            child = self._node((*node.steps, _Step(change=change, suppose=suppose)))
            if child is not None and child.verdict.allowed:
                return child
            if child is not None and (best is None or child.distance < best.distance):
                best = child
        return best

    def _facts_together(self, nodes: Iterable[_Node]) -> Iterator[_Node]:
        for node in nodes:
            changes = node.changes | {step.change for step in node.facts}
            if len(node.facts) > 1 and changes not in self._tried:
                self._tried.add(changes)
                child = self._node((*node.steps, *node.facts))
                if child is not None:
                    yield child

    def _offered(self, allowed: Iterable[_Node]) -> tuple[Remedy, ...]:
        found = {frozenset(self._needed(node)) for node in allowed}
        least = [changes for changes in found if not any(other < changes for other in found)]
        remedies = sorted((_remedy(changes) for changes in least), key=_order)
        return tuple(remedies[:MAX_OFFERED])

    def _needed(self, node: _Node) -> list[RemedyChange]:
        """The changes of the node, less those without which it is an allow as well."""
        steps = node.steps
        for step in node.steps:
            fewer = tuple(one for one in steps if one is not step)
            child = self._node(fewer) if fewer else None
            if child is not None and child.verdict.allowed:
                steps = fewer
        return [step.change for step in steps]


def _remedy(changes: Iterable[RemedyChange]) -> Remedy:
    facts = [path for change in changes if change.kind is ChangeKind.FACT for path in _paths(change)]
    merged = [change for change in changes if change.kind is not ChangeKind.FACT]
    first, *also = sorted([*merged, *([_fact(*facts)] if facts else [])], key=lambda change: change.order)
    return Remedy(change=first, also=tuple(also))


def _order(remedy: Remedy) -> list[tuple[int, Detail]]:
    return [change.order for change in (remedy.change, *remedy.also)]


# --- sentences --------------------------------------------------------------------------------------------------------

_STATED: Final = {
    "place.country": "from which country the request comes",
    "place.subdivision": "from which part of the country the request comes, by its ISO 3166-2 code",
    "destination.subdivision": "to which part of the country the item goes, by its ISO 3166-2 code",
    "purpose": "the purpose of the request",
    "acting_for": "for which of the organisations on file the person acts",
}
_FILED: Final = {
    "person.us_status": "the person's US status",
    "person.citizenships": "the person's citizenships",
    "person.permanent_residencies": "the person's permanent residencies",
    "organisation.incorporated": "where the organisation is incorporated",
    "organisation.headquarters": "where the organisation and its owners have their headquarters",
    "organisation.sector": "the organisation's sector",
    "organisation.reseller": "whether the organisation resells access",
    "cluster.as_of": "a fresh reading of the account's cluster",
    "cluster.shared": "what the accounts of the cluster share",
    "cluster.accounts": "how many accounts the cluster has",
    "cluster.exchanges_24h": "how many exchanges the cluster has had in a day",
    "model.weights": "whether the model's weights are published",
    "model.training_operations": "the operations that the model was trained with",
    "model.eccn": "the item's export control classification",
    "model.tier": "the model's market tier",
}


def _clause(change: RemedyChange) -> str:
    needs = dict(change.needs)
    match change.kind:
        case ChangeKind.FACT:
            return _fact_clause(_paths(change))
        case ChangeKind.AUTHORISATION:
            article = "an" if str(needs["kind"])[0] in "aeiou" else "a"
            return (
                f"have {article} {needs['kind']} of regime {needs['regime']} issued to `{needs['holder']}` that names "
                f"`{needs['model']}` and {needs['action']}"
            )
        case ChangeKind.MEMBERSHIP:
            return f"have `{needs['organisation']}` admitted as an active member of `{needs['consortium']}`"
        case ChangeKind.STATEMENT:
            return f"obtain the {needs['kind_of_statement']} statement of `{needs['organisation']}`"
        case ChangeKind.END_USER:
            return "name the end user, who is judged as well"
        case ChangeKind.MODEL:
            return f"ask for `{needs['to']}`"


def _fact_clause(paths: Iterable[str]) -> str:
    stated = [_STATED[path] for path in paths if path in _STATED]
    filed = [_FILED.get(path) or _share(path) for path in paths if path not in _STATED]
    clauses = [f"state {_listed(stated)}"] if stated else []
    if filed:
        clauses.append(f"establish {_listed(filed)}, and put on file what is found")
    return "; ".join(clauses)


def _share(path: str) -> str:
    owner, _, owned = path.partition(":")[2].partition(">")
    return f"the share of `{owner}` in `{owned}`"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
