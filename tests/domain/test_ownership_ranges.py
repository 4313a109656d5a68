"""Ownership by intervals: shares that are ranges, and what is not computed beyond its bound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import permutations, product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from policy_engine.domain.ownership import (
    OVERSUBSCRIBED,
    Capture,
    Holding,
    OwnershipTest,
    Parent,
    Seed,
    capture,
    ultimate_parent,
)
from policy_engine.domain.tangles import LIMITS, Solution, TangleLimits
from tests.domain.test_ownership import (
    HEADQUARTERS,
    LISTED,
    MARKS,
    ORGANISATIONS,
    OWNERS,
    TESTS,
    THROUGH,
    Shares,
    slow_methods,
    with_marks,
)

pytestmark = pytest.mark.slow

Share = str | None | tuple[str | None, str | None]
Graph = Mapping[str, Sequence[Holding]]


def holding(owner: str, share: Share) -> Holding:
    if isinstance(share, tuple):
        low, high = (None if end is None else Decimal(end) for end in share)
        return Holding(owner=owner, percent=None, minimum=low, maximum=high)
    return Holding(owner=owner, percent=None if share is None else Decimal(share))


def graph_of(stakes: Iterable[tuple[str, str, Share]]) -> dict[str, list[Holding]]:
    graph: dict[str, list[Holding]] = {}
    for owner, owned, share in stakes:
        graph.setdefault(owned, []).append(holding(owner, share))
    return graph


def measured(
    target: str,
    stakes: Iterable[tuple[str, str, Share]],
    *,
    seeds: Iterable[str] = ("x",),
    test: OwnershipTest = LISTED,
    limits: TangleLimits = LIMITS,
) -> Capture:
    return on(graph_of(stakes), target, dict.fromkeys(seeds, Seed.YES), test, limits)


def on(
    graph: Graph, target: str, marks: Mapping[str, Seed], test: OwnershipTest, limits: TangleLimits = LIMITS
) -> Capture:
    return capture(
        target, lambda owned: graph.get(owned, ()), lambda owner: marks.get(owner, Seed.NO), test, limits=limits
    )


# --- ranges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "test", "surely", "possibly"),
    [
        (("25", "50"), HEADQUARTERS, False, False),
        (("25", "50"), LISTED, False, True),
        (("25", "49.99"), LISTED, False, False),
        (("25", "75"), HEADQUARTERS, False, True),
        (("50", "75"), HEADQUARTERS, False, True),
        (("50", "75"), LISTED, True, True),
        (("50.01", "75"), HEADQUARTERS, True, True),
        (("50", "50"), HEADQUARTERS, False, False),
        (("50", "50"), LISTED, True, True),
        (("75", None), HEADQUARTERS, True, True),
        ((None, "50"), HEADQUARTERS, False, False),
        ((None, None), HEADQUARTERS, False, True),
        (("0", "100"), HEADQUARTERS, False, True),
    ],
)
@pytest.mark.parametrize("method", ["cascade", "look_through"])
def test_a_range_captures_surely_from_its_least_and_possibly_up_to_its_greatest(
    share: Share, test: OwnershipTest, surely: bool, possibly: bool, method: str
) -> None:
    alone = OwnershipTest(
        name="t",
        threshold=test.threshold,
        strict=test.strict,
        cascade=method == "cascade",
        look_through=method == "look_through",
    )
    result = measured("a", [("x", "a", share)], test=alone)
    assert (result.surely, result.possibly, result.minority) == (surely, possibly, not possibly)
    assert result.unknown_shares == ((("x", "a"),) if possibly and not surely else ())


def test_a_register_band_that_the_law_does_not_reach_is_a_minority_that_is_told_as_a_range() -> None:
    result = measured("a", [("x", "a", ("25", "50"))], test=HEADQUARTERS)
    assert (result.minority, result.owners, result.steps) == (True, ("x",), (("x", "a", "25 to 50"),))
    assert (result.cascade_percent, result.look_through_percent) == (Decimal(25), Fraction(25))
    assert (result.unknown_shares, result.unsolved) == ((), ())


def test_ranges_of_several_owners_add_and_no_more_than_all_can_come_true() -> None:
    bands: list[tuple[str, str, Share]] = [("x", "a", ("10", "25")), ("y", "a", ("10", "25"))]
    assert not measured("a", bands, seeds=["x", "y"], test=HEADQUARTERS).possibly
    assert measured("a", bands, seeds=["x", "y"]).possibly
    assert not measured("a", [*bands, ("z", "a", "50.01")], seeds=["x", "y"]).possibly
    assert measured("a", [*bands, ("z", "a", ("50", "75"))], seeds=["x", "y"]).possibly
    assert not measured("a", [*bands, ("z", "a", ("50.01", "75"))], seeds=["x", "y"]).possibly


def test_the_least_share_of_an_owner_that_does_not_count_leaves_less_to_the_others() -> None:
    assert measured("a", [("x", "a", None), ("y", "a", ("40", "60"))], test=HEADQUARTERS).possibly
    assert not measured("a", [("x", "a", None), ("y", "a", ("50", "75"))], test=HEADQUARTERS).possibly


def test_looking_through_fills_the_ranges_of_the_best_owners_first() -> None:
    """b is worth 100 and c 40: of the 60 that are open, 30 can be b's and 30 are left for c: 30 + 12 above 20."""
    stakes: list[tuple[str, str, Share]] = [
        ("x", "b", "100"),
        ("x", "c", "40"),
        ("b", "a", ("20", "50")),
        ("c", "a", ("20", "100")),
    ]
    at_most = Decimal(20 + 8 + 30) + Decimal(30) * Decimal("0.4")
    for threshold, possible in ((at_most, True), (at_most + Decimal("0.01"), False)):
        test = OwnershipTest(name="t", threshold=threshold, strict=False, cascade=False, look_through=True)
        assert measured("a", stakes, test=test).possibly is possible


def test_only_the_open_shares_of_the_company_in_doubt_are_missing() -> None:
    stakes: list[tuple[str, str, Share]] = [
        ("b", "a", "60"),
        ("x", "b", ("25", "75")),
        ("y", "b", ("5", "5")),
        ("z", "b", ("10", "15")),
        ("w", "a", None),
    ]
    result = measured("a", stakes, test=HEADQUARTERS)
    assert (result.surely, result.possibly) == (False, True)
    assert result.unknown_shares == (("x", "b"), ("z", "b"))
    assert result.steps == (("b", "a", "60"), ("x", "b", "25 to 75"))


def test_ranges_whose_least_shares_total_too_much_are_all_unknown() -> None:
    stakes: list[tuple[str, str, Share]] = [("x", "a", ("10", "20")), ("y", "a", ("95", None))]
    result = measured("a", stakes)
    assert (result.surely, result.possibly) == (False, True)
    assert result.unknown_shares == (("x", "a"), ("y", "a"))


@pytest.mark.parametrize(
    ("percent", "minimum", "maximum", "message"),
    [
        (None, "50", "25", "wrong way round"),
        (None, "-1", "25", "negative or no number"),
        (None, "1", "NaN", "negative or no number"),
        ("30", "25", None, "exact percentage and a range"),
    ],
)
def test_a_range_that_is_none_is_refused(
    percent: str | None, minimum: str | None, maximum: str | None, message: str
) -> None:
    def stated(_: str) -> list[Holding]:
        ends = [None if end is None else Decimal(end) for end in (percent, minimum, maximum)]
        return [Holding(owner="x", percent=ends[0], minimum=ends[1], maximum=ends[2])]

    with pytest.raises(ValueError, match=message):
        capture("a", stated, lambda _: Seed.YES, LISTED)
    with pytest.raises(ValueError, match=message):
        ultimate_parent("a", stated)


@pytest.mark.parametrize(
    ("stakes", "expected"),
    [
        ([("b", "a", ("25", "50"))], Parent(organisation="a", missing=())),
        ([("b", "a", ("50", "75"))], Parent(organisation=None, missing=(("b", "a"),))),
        ([("b", "a", ("50.01", "75"))], Parent(organisation="b", missing=())),
        (
            [("b", "a", ("25", "75")), ("c", "a", ("50", "60"))],
            Parent(organisation=None, missing=(("b", "a"), ("c", "a"))),
        ),
        ([("b", "a", ("25", "75")), ("person:li", "a", ("50", "60"))], Parent(organisation="a", missing=())),
        ([("b", "a", ("20", "30")), ("b", "a", ("20", "20"))], Parent(organisation="a", missing=())),
    ],
)
def test_the_parent_is_told_from_ranges_where_they_tell_it(
    stakes: list[tuple[str, str, Share]], expected: Parent
) -> None:
    graph = graph_of(stakes)
    assert ultimate_parent("a", lambda owned: graph.get(owned, ())) == expected


# --- laws -------------------------------------------------------------------------------------------------------------

ENDS = st.sampled_from([0, 5, 10, 20, 25, 33, 50, 51, 75, 100])


@st.composite
def ranged_graphs(draw: st.DrawFn) -> dict[str, list[Holding]]:
    """Small dense registers in which most shares are ranges; the least ones total at most 100."""
    graph: dict[str, list[Holding]] = {}
    for company in ORGANISATIONS:
        left = 100
        rows: list[Holding] = []
        for owner in draw(st.lists(st.sampled_from(OWNERS), max_size=3)):
            low, high = sorted((draw(ENDS), draw(ENDS)))
            low = min(low, left)
            left -= low
            rows.append(Holding(owner=owner, percent=None, minimum=Decimal(low), maximum=Decimal(high)))
        graph[company] = rows
    return graph


def least_shares(graph: Graph) -> Shares:
    shares: Shares = {company: {} for company in ORGANISATIONS}
    for company, rows in graph.items():
        for row in rows:
            shares[company][row.owner] = shares[company].get(row.owner, Fraction(0)) + Fraction(row.minimum or 0)
    return shares


def corners(graph: Graph) -> Iterator[Shares]:
    """Every way to fill the ranges of each company up one after the other, while anything is left of 100."""
    least = least_shares(graph)
    options: list[list[dict[str, Fraction]]] = []
    for company in ORGANISATIONS:
        found: list[dict[str, Fraction]] = []
        for order in permutations(graph[company]):
            held = dict(least[company])
            left = 100 - sum(held.values(), Fraction(0))
            for row in order:
                more = min(left, Fraction(row.maximum or 0) - Fraction(row.minimum or 0))
                held[row.owner] += more
                left -= more
            if held not in found:
                found.append(held)
        options.append(found)
    for chosen in product(*options):
        yield dict(zip(ORGANISATIONS, chosen, strict=True))


@given(graph=ranged_graphs(), marks=MARKS, test=TESTS, target=st.sampled_from(ORGANISATIONS))
def test_ranges_are_judged_as_the_plain_reading_of_every_corner_does(
    graph: dict[str, list[Holding]], marks: dict[str, Seed], test: OwnershipTest, target: str
) -> None:
    assume(all(sum(held.values()) <= 100 for held in least_shares(graph).values()))
    result = on(graph, target, marks, test)
    known, feared = with_marks(marks, Seed.YES), with_marks(marks, Seed.YES, Seed.UNKNOWN)
    assert result.surely == bool(slow_methods(least_shares(graph), known, target, test))
    expected: set[str] = set()
    for shares in corners(graph):
        expected |= slow_methods(shares, feared, target, test)
    assert result.possibly == bool(expected)
    if not result.surely:
        assert set(result.methods) == expected


@given(graph=ranged_graphs(), marks=MARKS, test=TESTS, target=st.sampled_from(ORGANISATIONS), data=st.data())
def test_a_narrower_range_never_makes_capture_possible_nor_undoes_it(
    graph: dict[str, list[Holding]],
    marks: dict[str, Seed],
    test: OwnershipTest,
    target: str,
    data: st.DataObject,
) -> None:
    narrower: dict[str, list[Holding]] = {}
    for company, rows in graph.items():
        left = 100 - sum((row.minimum or Decimal(0) for row in rows), Decimal(0))
        narrower[company] = []
        for row in rows:
            low, high = row.minimum or Decimal(0), row.maximum or Decimal(0)
            raised = data.draw(st.integers(int(low), int(max(low, min(high, low + left)))))
            left -= raised - low
            lowered = data.draw(st.integers(raised, int(max(Decimal(raised), high))))
            narrower[company].append(
                Holding(owner=row.owner, percent=None, minimum=Decimal(raised), maximum=Decimal(lowered))
            )
    before, after = on(graph, target, marks, test), on(narrower, target, marks, test)
    assert after.surely >= before.surely
    assert before.possibly >= after.possibly


@given(graph=ranged_graphs(), marks=MARKS, test=TESTS, target=st.sampled_from(ORGANISATIONS))
def test_a_range_of_one_point_is_that_percentage_and_from_nothing_to_all_is_unknown(
    graph: dict[str, list[Holding]], marks: dict[str, Seed], test: OwnershipTest, target: str
) -> None:
    as_ranges = {
        company: [
            Holding(owner=row.owner, percent=None, minimum=row.minimum, maximum=row.minimum)
            if row.maximum != 100
            else Holding(owner=row.owner, percent=None, minimum=Decimal(0), maximum=Decimal(100))
            for row in rows
        ]
        for company, rows in graph.items()
    }
    as_filed = {
        company: [
            Holding(owner=row.owner, percent=row.minimum)
            if row.maximum != 100
            else Holding(owner=row.owner, percent=None)
            for row in rows
        ]
        for company, rows in graph.items()
    }
    assert on(as_ranges, target, marks, test) == on(as_filed, target, marks, test)


@given(graph=ranged_graphs(), marks=MARKS, test=TESTS, target=st.sampled_from(ORGANISATIONS), work=st.integers(0, 60))
def test_less_work_only_ever_turns_an_answer_into_a_doubt(
    graph: dict[str, list[Holding]], marks: dict[str, Seed], test: OwnershipTest, target: str, work: int
) -> None:
    whole = on(graph, target, marks, test)
    for limits in (
        TangleLimits(exact=-1),
        TangleLimits(exact=-1, sweeps=work),
        TangleLimits(work=work),
        TangleLimits(exact=work, sweeps=work),
        TangleLimits(links=work // 10),
    ):
        hasty = on(graph, target, marks, test, limits)
        assert hasty.possibly >= whole.possibly
        assert hasty.surely <= whole.surely
        if hasty.possibly and not hasty.surely and not whole.possibly:
            assert hasty.unsolved or hasty.unknown_shares or hasty.unknown_seeds


# --- what is too much -------------------------------------------------------------------------------------------------


def ring(size: int) -> list[tuple[str, str, Share]]:
    """Everybody holds 40 percent of the next, and x 15 of everybody: each is worth exactly a quarter."""
    stakes: list[tuple[str, str, Share]] = []
    for place in range(size):
        stakes += [("x", f"o{place:03}", "15"), (f"o{(place + 1) % size:03}", f"o{place:03}", "40")]
    return stakes


def test_a_tangle_past_its_bound_is_possible_and_not_sure_and_named() -> None:
    hasty = measured("o007", ring(50), test=THROUGH, limits=TangleLimits(exact=-1, sweeps=0))
    assert (hasty.surely, hasty.possibly, hasty.unsolved) == (False, True, ("o000",))
    enough = measured("o007", ring(50), test=THROUGH)
    assert (enough.possibly, enough.look_through_percent, enough.unsolved) == (False, Fraction(25), ())


def test_a_tangle_after_the_work_is_used_up_is_not_solved() -> None:
    hasty = measured("o007", ring(50), test=THROUGH, limits=TangleLimits(work=0))
    assert (hasty.surely, hasty.possibly, hasty.unsolved) == (False, True, ("o000",))


def test_more_shares_than_are_looked_at_leave_the_target_in_doubt() -> None:
    stakes = [*ring(50), ("o007", "below", "60")]
    assert measured("below", stakes, limits=TangleLimits(links=100)) == Capture(
        surely=False,
        possibly=True,
        minority=False,
        cascade_percent=Decimal(0),
        look_through_percent=Fraction(0),
        owners=(),
        steps=(),
        methods=(),
        unknown_shares=(),
        unknown_seeds=(),
        unsolved=("below",),
    )
    assert not measured("below", stakes, limits=TangleLimits(links=101)).possibly


def test_what_the_cascade_captures_is_sure_whatever_a_tangle_takes() -> None:
    result = measured(
        "o007", [*ring(50), ("x", "z", "51"), ("z", "o007", "36")], test=HEADQUARTERS, limits=TangleLimits(work=0)
    )
    assert (result.surely, result.methods, result.unsolved) == (True, ("cascade",), ())


def test_a_deep_chain_of_fine_shares_keeps_its_numbers_in_bounds() -> None:
    depth = 1_500
    chain: list[tuple[str, str, Share]] = [(f"o{place + 1}", f"o{place}", "99.999999999") for place in range(depth)]
    result = measured("o0", chain, seeds=[f"o{depth}"], test=THROUGH)
    assert (result.surely, result.unsolved) == (True, ())
    exact = 100 * Fraction(Decimal("0.99999999999")) ** depth
    assert exact - Fraction(1, 10**60) < result.look_through_percent <= exact


class _Kept:
    """Keeps solutions and counts how often each was asked for and made."""

    def __init__(self) -> None:
        self.held: dict[tuple[bool, tuple[str, ...]], Solution] = {}
        self.made = 0

    def get(self, key: tuple[bool, tuple[str, ...]]) -> Solution | None:
        return self.held.get(key)

    def keep(self, key: tuple[bool, tuple[str, ...]], solution: Solution) -> None:
        self.held[key] = solution
        self.made += 1


def test_a_tangle_is_solved_once_for_all_companies_below_it_and_in_it() -> None:
    graph = graph_of([*ring(50), ("o003", "below", "60"), ("below", "deeper", "60")])
    marks = {"x": Seed.YES}
    kept = _Kept()
    for target in graph:
        alone = on(graph, target, marks, THROUGH)
        shared = capture(
            target,
            lambda owned: graph.get(owned, ()),
            lambda owner: marks.get(owner, Seed.NO),
            THROUGH,
            solved=kept,
        )
        assert shared == alone
    assert kept.made == 1


def test_oversubscription_is_the_same_limit_for_ranges() -> None:
    stakes: list[tuple[str, str, Share]] = [("x", "a", ("50", "60")), ("y", "a", str(OVERSUBSCRIBED - 50))]
    assert measured("a", stakes).surely
    assert not measured("a", [*stakes, ("z", "a", ("0.01", "1"))]).surely
