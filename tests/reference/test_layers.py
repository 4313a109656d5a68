"""Bars that ask which bars stand are judged as their text says, however many of them ask about each other in turn.

The reference answers each bar by asking itself for every other one, without any order; the engine judges in layers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings

from policy_engine.domain.facts import derive
from policy_engine.domain.instants import Validity
from policy_engine.domain.request import Action, Caller, Place, Request, Subject, SubjectType
from policy_engine.domain.roster import Employment, EmploymentKind, PersonEntry, Roster, RosterRows
from policy_engine.domain.rules import FACETS, REGIMES, CodeRule, Condition, Effect, Row, Term
from policy_engine.domain.verdict import State
from policy_engine.formats.faults import FaultsError
from policy_engine.policy.judge import Judge
from policy_engine.policy.layers import CircleError, layers_of
from policy_engine.policy.reader import read_book
from tests.policy.books import BAR, GRANT, book, sheet
from tests.randoms import RANDOMS
from tests.reference.evaluator import instant

SMALL: Final = read_book(book())
LIKE: Final = next(row for row in SMALL.rows if row.effect is Effect.DENY)
RULED: Final = REGIMES[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bar of the reference: whether its plain conditions hold, whether it is lifted, and what it asks of others:
    `(True, regimes)` that one of them bars, `(False, regimes)` that none matched."""

    id: str
    regime: str
    plain: bool
    lifted: bool
    asks: tuple[tuple[bool, frozenset[str]], ...]


def matches(bar: Bar, bars: list[Bar]) -> bool:
    return bar.plain and all(
        any(stands(one, bars) for one in bars if one.regime in regimes)
        if barred
        else not any(matches(one, bars) for one in bars if one.regime in regimes)
        for barred, regimes in bar.asks
    )


def stands(bar: Bar, bars: list[Bar]) -> bool:
    return matches(bar, bars) and not bar.lifted


def some_bars(random: Random) -> list[Bar]:
    """Bars of all regimes, each of which asks only about regimes before its own in an order drawn anew."""
    order = random.sample(RULED, k=len(RULED))
    bars = []
    for number in range(random.randint(2, 12)):
        place = random.randrange(len(order))
        asks = tuple(
            (random.random() < 0.5, frozenset(random.sample(order[:place], k=random.randint(1, min(3, place)))))
            for _ in range(random.choice([0, 1, 1, 2]) if place else 0)
        )
        bars.append(
            Bar(
                id=f"B{number}",
                regime=order[place],
                plain=random.random() < 0.75,
                lifted=random.random() < 0.2,
                asks=asks,
            )
        )
    return bars


def row_of(bar: Bar) -> Row:
    terms = tuple(
        Term(word="barred-by" if barred else "unbarred-by", parameter=",".join(sorted(regimes)))
        for barred, regimes in bar.asks
    )
    plain = Term(word="on-file", negated=not bar.plain)
    return replace(
        LIKE,
        id=bar.id,
        regime=bar.regime,
        valid=Validity(),
        facets=tuple(
            Condition(alternatives=((plain, *terms),)) if facet == "party" else Condition() for facet in FACETS
        ),
        unless=Condition(alternatives=((Term(word="on-file"),),)) if bar.lifted else Condition(),
        codes=(CodeRule(code="CONFLICT_OF_LAWS"),),
    )


ROSTER: Final = Roster.as_known(
    RosterRows(
        people=(PersonEntry(id="ann", employments_filed=True),),
        employments=(Employment(person="ann", organisation="works", kind=EmploymentKind.EMPLOYEE),),
    ),
    instant("2026-08-01"),
)
ASKED: Final = Request(
    subject=Subject(type=SubjectType.PERSON, id="ann"),
    model="alpha-1",
    action=Action.INFER,
    place=Place(country="US"),
)


@settings(max_examples=300)
@given(RANDOMS)
def test_bars_that_ask_about_bars_that_ask_stand_exactly_where_their_text_says(random: Random) -> None:
    bars = some_bars(random)
    grant = next(row for row in SMALL.rows if row.effect is Effect.PERMIT)
    rows = [grant, *map(row_of, bars)]
    random.shuffle(rows)
    judge = Judge(replace(SMALL, rows=tuple(rows)))
    at = instant("2026-08-01")
    assert at is not None
    verdict = judge.verdict(derive(ASKED, ROSTER, judge.book, Caller(id="one"), at))
    standing = {bar.id for bar in bars if stands(bar, bars)}
    assert verdict.allowed == (not standing)
    assert {one.rule for one in verdict.findings if one.state is State.LIFTED} == {
        bar.id for bar in bars if matches(bar, bars) and bar.lifted
    }
    if standing:
        assert {one.rule for one in verdict.deciding} == standing


A: Final = {**BAR, "id": "A", "place": "", "item": "kind:model", "public_code": "UNDER_REVIEW"}


def in_regime(name: str, *rows: dict[str, str]) -> dict[str, bytes]:
    return {f"rules/{name}.csv": sheet(*({**row, "regime": name} for row in rows))}


def test_a_bar_that_asks_about_a_regime_whose_bars_ask_in_turn_denies() -> None:
    files = {
        **book(rules=sheet(GRANT)),
        **in_regime("us-ear", {**A, "id": "FIRST"}),
        **in_regime("us-itar", {**A, "id": "SECOND", "party": "barred-by:us-ear", "unless": "on-file"}),
        **in_regime("operator", {**A, "id": "THIRD", "party": "!unbarred-by:us-itar"}),
    }
    files |= in_regime("us-ear", {**A, "id": "FIRST", "unless": "on-file"})
    judge = Judge(read_book(files))
    at = instant("2026-08-01")
    assert at is not None
    assert judge.verdict(derive(ASKED, ROSTER, judge.book, Caller(id="one"), at)).allowed
    files |= in_regime("us-ear", {**A, "id": "FIRST"})
    judge = Judge(read_book(files))
    verdict = judge.verdict(derive(ASKED, ROSTER, judge.book, Caller(id="one"), at))
    assert {one.rule for one in verdict.deciding} == {"FIRST", "THIRD"}


def test_a_conflict_of_places_is_a_bar_that_others_see() -> None:
    files = {
        **book(rules=sheet(GRANT, {**BAR, "unless": "on-file"})),
        **in_regime("operator", {**A, "id": "CONFLICT", "place": "place-conflict:REGION"}),
        **in_regime("cn-blocking", {**A, "id": "BLOCKED", "party": "barred-by:operator"}),
    }
    judge = Judge(read_book(files))
    request = replace(ASKED, place=Place(country="US", ip_country="KP"))
    at = instant("2026-08-01")
    assert at is not None
    verdict = judge.verdict(derive(request, ROSTER, judge.book, Caller(id="one"), at))
    assert {one.rule for one in verdict.deciding} == {"CONFLICT", "BLOCKED"}


@pytest.mark.parametrize("through", [False, True])
def test_bars_of_regimes_that_ask_about_each_other_are_no_book(*, through: bool) -> None:
    files = {
        **book(rules=sheet(GRANT)),
        **in_regime("us-ear", {**A, "id": "ONE", "party": "barred-by:us-itar"}),
        **in_regime("us-itar", {**A, "id": "TWO", "party": "unbarred-by:operator" if through else "barred-by:us-ear"}),
        **in_regime("operator", {**A, "id": "THREE", "party": "barred-by:us-ear" if through else ""}),
    }
    with pytest.raises(FaultsError) as refused:
        read_book(files)
    faults = sorted((fault.source, fault.message) for fault in refused.value.faults)
    assert len(faults) == (3 if through else 2)
    assert faults[-1] == (
        "rules/us-itar.csv",
        "in `party`: bars of `us-itar` ask whether `operator` bars, and `operator` in turn asks about `us-itar`"
        if through
        else "in `party`: bars of `us-itar` ask whether `us-ear` bars, and `us-ear` in turn asks about `us-itar`",
    )


def test_rows_without_an_order_are_never_judged() -> None:
    one = row_of(Bar(id="ONE", regime="us-ear", plain=True, lifted=False, asks=((True, frozenset({"vendor"})),)))
    two = row_of(Bar(id="TWO", regime="vendor", plain=True, lifted=False, asks=((True, frozenset({"us-ear"})),)))
    with pytest.raises(CircleError, match="us-ear"):
        layers_of([one, two])
    with pytest.raises(CircleError):
        Judge(replace(SMALL, rows=(one, two)))
