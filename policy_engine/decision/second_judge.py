"""A second judge: stock pycasbin judges worked examples again, row by row and as a whole, and must say the same.

The engine compiles the matcher of the Casbin model and keeps what it can; pycasbin interprets the same matcher over the
same rows, knows nothing of what is kept, and reads the same answers of the same words. What it is asked of each party:

- the bars that the engine does not report, together beside a grant for everybody: none of them may stand;
- each bar that the engine reports, by itself: it has to stand for somebody who is judged by it;
- the grants that the engine does not report: none of them may hold for every party;
- each grant that the engine reports, by itself: it has to hold for every party;
- all rows in force together, where one party is judged: their answer is the engine's.

A difference names the row, the party and what each of the two said. Whatever keeps the second judge from judging is a
difference too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from policy_engine.decision.case_runner import CaseResult
from policy_engine.domain.facts import Party, Question, Role
from policy_engine.domain.rules import FAULT_RULE, NO_GRANT_RULE, Effect
from policy_engine.domain.verdict import State, Verdict
from policy_engine.formats.faults import Fault
from policy_engine.policy.judge import Judge, Oracle, deciding_rows, is_asked

REMEDY: Final = (
    "one of the two judges is wrong about this book, so it cannot be put in force: keep the files as they are and"
    " report the fault of the engine with them"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """What the two judges say differently: of a rule, or of all rows together where `rule` is empty."""

    rule: str
    party: str
    engine: str
    casbin: str

    @property
    def text(self) -> str:
        """In a clause that names the rule, the party and what each said."""
        about = f"rule `{self.rule}`" if self.rule else "all rows together"
        party = f", for {self.party}" if self.party else ""
        return f"{about}{party}: the engine says that {self.engine}, pycasbin that {self.casbin}"


def disagreements(results: Iterable[CaseResult]) -> tuple[Fault, ...]:
    """A fault for each difference between what stock pycasbin and the engine make of the cases."""
    oracles: dict[int, Oracle] = {}
    faults = []
    for result in results:
        case, question = result.case, result.conclusion.question
        if question is None:
            found: tuple[Disagreement, ...] = (_unjudged("nothing was judged"),)
        else:
            # The results hold their books, so that no id is given twice.
            if id(question.book) not in oracles:
                oracles[id(question.book)] = Oracle(Judge(question.book))
            found = second_opinion(question, result.conclusion.verdict, oracles[id(question.book)])
        for one in found:
            message = f"pycasbin judges case `{case.id}` differently: {one.text}"
            faults.append(Fault(source=case.source, line=case.line, column=1, message=message, remedy=REMEDY))
    return tuple(faults)


def second_opinion(question: Question, verdict: Verdict, oracle: Oracle) -> tuple[Disagreement, ...]:
    """Where pycasbin differs on a question that the engine has judged."""
    if verdict.reason.rule == FAULT_RULE:
        # What is on file contradicts itself, so that there are no facts to judge by; the engine denies.
        return ()
    try:
        return tuple(_Second(question, verdict, oracle).differences())
    except Exception as error:  # noqa: BLE001  whatever keeps the second judge from judging is a difference
        return (_unjudged(f"it fails: {type(error).__name__}: {error}"),)


def _unjudged(why: str) -> Disagreement:
    return Disagreement(rule="", party="", engine="it has judged", casbin=why)


class _Second:
    """One question, judged again."""

    def __init__(self, question: Question, verdict: Verdict, oracle: Oracle) -> None:
        self._question = question
        self._verdict = verdict
        self._oracle = oracle
        self._parties = [party for party in question.parties if party.role is not Role.HOST]
        rows = deciding_rows(question.book, question.at)
        self._bars = {row.id: row for row in rows if row.effect is Effect.DENY}
        self._grants = {row.id: row for row in rows if row.effect is Effect.PERMIT}
        # Nobody grants to somebody who is not on file, nor what is in no catalogue.
        if question.entry is None or any(not party.on_file for party in self._parties):
            self._grants = {}

    def differences(self) -> Iterator[Disagreement]:
        said_bars = self._said(Effect.DENY, {State.DECIDING})
        said_grants = self._said(Effect.PERMIT, {State.DECIDING, State.NOTE})
        yield from self._of_bars(said_bars)
        yield from self._of_grants(said_grants)
        allowed = bool(said_grants) and not said_bars
        if allowed is not self._verdict.allowed:
            yield self._whole(None, allowed=allowed)
        if len(self._question.parties) == 1:
            (party,) = self._question.parties
            rows = [row for row in (*self._bars.values(), *self._grants.values()) if is_asked(row, party)]
            together = self._oracle.allows(rows, party)
            if together is not self._verdict.allowed:
                yield self._whole(party, allowed=together)

    def _said(self, effect: Effect, states: set[State]) -> list[str]:
        """The rules that the engine reports as standing or holding; its own denies are no rows."""
        return [
            one.rule
            for one in self._verdict.findings
            if one.effect is effect and one.state in states and one.rule != NO_GRANT_RULE
        ]

    def _of_bars(self, said: Sequence[str]) -> Iterator[Disagreement]:
        for party in self._question.parties:
            silent = [row for row in self._bars.values() if row.id not in said and is_asked(row, party)]
            if self._oracle.bars(silent, party):
                for row in silent:
                    if self._oracle.bars([row], party):
                        yield self._of_row(row.id, party, "it does not stand", "it stands")
        for rule in said:
            bar = self._bars.get(rule)
            judged = [] if bar is None else [one for one in self._question.parties if is_asked(bar, one)]
            if bar is None or not any(self._oracle.bars([bar], party) for party in judged):
                yield self._of_row(rule, None, "it stands", "it stands for nobody")

    def _of_grants(self, said: Sequence[str]) -> Iterator[Disagreement]:
        silent = [row for row in self._grants.values() if row.id not in said]
        if silent and all(self._oracle.allows(silent, party) for party in self._parties):
            for row in silent:
                if all(self._oracle.allows([row], party) for party in self._parties):
                    yield self._of_row(row.id, self._parties[0], "it does not hold", "it holds, and for every party")
        for rule in said:
            grant = self._grants.get(rule)
            if grant is None:
                yield self._of_row(rule, None, "it holds", "it can hold for nobody")
                continue
            for party in self._parties:
                if not self._oracle.allows([grant], party):
                    yield self._of_row(rule, party, "it holds", "it does not hold")

    def _of_row(self, rule: str, party: Party | None, engine: str, casbin: str) -> Disagreement:
        return Disagreement(rule=rule, party="" if party is None else _name(party), engine=engine, casbin=casbin)

    def _whole(self, party: Party | None, *, allowed: bool) -> Disagreement:
        engine, casbin = (f"it is {'allowed' if one else 'denied'}" for one in (self._verdict.allowed, allowed))
        return self._of_row("", party, engine, casbin)


def _name(party: Party) -> str:
    who = f"`{party.subject.type}:{party.subject.id}`" if party.subject is not None else f"`{party.organisation_id}`"
    acting = f" acting for `{party.organisation_id}`" if party.subject is not None and party.organisation_id else ""
    return f"the {party.role.value.replace('_', ' ')} {who}{acting}"
