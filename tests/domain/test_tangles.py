"""Tangles: both ways of solving one against a plain reading, the bounds as bounds, and the work as counted."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.domain.tangles import Company, Solution, TangleLimits, largest_tangles, solve

pytestmark = pytest.mark.slow

WHOLE = 1_000
SWEEPS_ALONE = TangleLimits(exact=-1)
CLOSE = Fraction(1, 2**60)


def values(bounds: Sequence[tuple[int, int]]) -> list[Fraction]:
    return [Fraction(*bound) for bound in bounds]


def gauss(constants: list[Fraction], weights: list[list[Fraction]]) -> list[Fraction]:
    """x = constants + weights * x by elimination with fractions, whatever the order."""
    size = len(constants)
    rows = [
        [Fraction(place == other) - weights[place][other] for other in range(size)] + [constants[place]]
        for place in range(size)
    ]
    for pivot in range(size):
        best = next(place for place in range(pivot, size) if rows[place][pivot])
        rows[pivot], rows[best] = rows[best], rows[pivot]
        rows[pivot] = [value / rows[pivot][pivot] for value in rows[pivot]]
        for place in range(size):
            if place != pivot and rows[place][pivot]:
                factor = rows[place][pivot]
                rows[place] = [value - factor * own for value, own in zip(rows[place], rows[pivot], strict=True)]
    return [row[-1] for row in rows]


def least(constants: list[Fraction], weights: list[list[Fraction]]) -> list[Fraction]:
    """The least solution: what nothing feeds is 0."""
    size = len(constants)
    fed = {place for place in range(size) if constants[place]}
    for _ in range(size):
        fed |= {place for place in range(size) if any(weights[place][owner] for owner in fed)}
    inside = sorted(fed)
    found = gauss(
        [constants[place] for place in inside],
        [[weights[place][owner] for owner in inside] for place in inside],
    )
    answer = [Fraction(0)] * size
    for place, value in zip(inside, found, strict=True):
        answer[place] = value
    return answer


def fillings(company: Company) -> Iterator[tuple[Fraction, dict[int, int]]]:
    """Every corner of the ways to give the rest away: one owner after the other takes what it may."""
    options: list[tuple[int, tuple[int, int] | None, int]] = [
        (owner, None, units) for owner, units in company.open_links
    ]
    options += [(-1, value, units) for value, units in company.open_fixed]
    for order in permutations(options):
        left, fixed, links = company.rest, Fraction(*company.fixed), dict[int, int]()
        for owner, units in company.links:
            links[owner] = links.get(owner, 0) + units
        for owner, value, units in order:
            given_away = min(left, units)
            left -= given_away
            if value is None:
                links[owner] = links.get(owner, 0) + given_away
            else:
                fixed += given_away * Fraction(*value)
        yield fixed, links


def plain(companies: Sequence[Company]) -> list[Fraction]:
    """The greatest of the least solutions over all ways to give every rest away."""
    answer = [Fraction(0)] * len(companies)
    for chosen in product(*(list(fillings(company)) for company in companies)):
        constants = [fixed / WHOLE for fixed, _ in chosen]
        weights = [[Fraction(links.get(owner, 0), WHOLE) for owner in range(len(companies))] for _, links in chosen]
        answer = [max(pair) for pair in zip(answer, least(constants, weights), strict=True)]
    return answer


@st.composite
def tangled(draw: st.DrawFn, *, open_shares: bool) -> list[Company]:
    """Up to four companies with any links, shares in oneself and closed circles that nothing feeds included."""
    size = draw(st.integers(1, 4))
    companies = []
    for _ in range(size):
        cuts = sorted(draw(st.lists(st.integers(0, 20), min_size=3, max_size=3)))
        given_out = [50 * part for part in (cuts[0], cuts[1] - cuts[0], cuts[2] - cuts[1])]
        owners = draw(st.lists(st.integers(0, size - 1), min_size=2, max_size=2))
        worth = draw(st.sampled_from([(0, 1), (1, 3), (1, 1)]))
        outside = given_out[0] * draw(st.integers(0, 1))
        options: list[int] = []
        ends: list[tuple[tuple[int, int], int]] = []
        if open_shares and draw(st.booleans()):
            options = draw(st.lists(st.integers(0, size - 1), max_size=2))
            ends = [(worth, draw(st.sampled_from([50, 300, WHOLE])))] if draw(st.booleans()) else []
        companies.append(
            Company(
                fixed=(outside * worth[0], worth[1]),
                links=[(owner, units) for owner, units in zip(owners, given_out[1:], strict=True) if units],
                rest=WHOLE - outside - given_out[1] - given_out[2] if options or ends else 0,
                open_links=[(owner, draw(st.sampled_from([100, 400, WHOLE]))) for owner in options],
                open_fixed=ends,
            )
        )
    return companies


@given(companies=st.one_of(tangled(open_shares=False), tangled(open_shares=True)))
def test_elimination_finds_the_greatest_of_the_least_solutions(companies: list[Company]) -> None:
    found = solve(companies, WHOLE)
    assert found.exact
    assert values(found.lower) == plain(companies)


@given(companies=st.one_of(tangled(open_shares=False), tangled(open_shares=True)))
def test_bounds_are_on_both_sides_of_the_solution(companies: list[Company]) -> None:
    found = solve(companies, WHOLE, SWEEPS_ALONE)
    for low, value, high in zip(values(found.lower), plain(companies), values(found.upper), strict=True):
        assert 0 <= low <= value <= high <= 1


@given(companies=tangled(open_shares=False))
def test_bounds_are_close_where_every_share_is_known(companies: list[Company]) -> None:
    found = solve(companies, WHOLE, SWEEPS_ALONE)
    assert all(high - low < CLOSE for low, high in zip(values(found.lower), values(found.upper), strict=True))


@given(companies=tangled(open_shares=True), sweeps=st.integers(0, 500))
def test_bounds_hold_wherever_the_sweeps_stop(companies: list[Company], sweeps: int) -> None:
    found = solve(companies, WHOLE, TangleLimits(exact=-1, sweeps=sweeps))
    for low, value, high in zip(values(found.lower), plain(companies), values(found.upper), strict=True):
        assert low <= value <= high


def drawn(size: int, links: int, *, inside: int, seed: int) -> list[Company]:
    """Companies that hold `inside` tenths of a percent of each other, by so many links each; one in seven is fed."""
    dice = random.Random(seed)
    return [
        Company(
            fixed=(dice.randint(1, WHOLE - inside), 1) if place % 7 == 0 else (0, 1),
            links=[
                (owner, inside // links) for owner in dice.sample([one for one in range(size) if one != place], links)
            ],
        )
        for place in range(size)
    ]


@pytest.mark.parametrize(("size", "links"), [(12, 11), (40, 3), (60, 9)])
def test_elimination_and_bounds_agree_with_gauss_on_tangles_of_dozens(size: int, links: int) -> None:
    companies = drawn(size, links, inside=600, seed=size)
    weights = [[Fraction(0)] * size for _ in companies]
    for place, company in enumerate(companies):
        for owner, units in company.links:
            weights[place][owner] += Fraction(units, WHOLE)
    expected = least([Fraction(*company.fixed) / WHOLE for company in companies], weights)
    exact, bounds = solve(companies, WHOLE, TangleLimits(exact=10**9)), solve(companies, WHOLE, SWEEPS_ALONE)
    assert exact.exact
    assert values(exact.lower) == expected
    for low, value, high in zip(values(bounds.lower), expected, values(bounds.upper), strict=True):
        assert low <= value <= high < low + CLOSE


@given(extra=st.lists(st.integers(0, 4), min_size=5, max_size=5), seed=st.integers(0, 1_000))
def test_shares_that_round_to_more_than_all_stay_at_one_both_ways(extra: list[int], seed: int) -> None:
    dice = random.Random(seed)
    companies = []
    for place, more in enumerate(extra):
        cuts = sorted(dice.randint(0, WHOLE + more) for _ in range(2))
        companies.append(
            Company(
                fixed=(cuts[0], 1),
                links=[((place + 1) % 5, cuts[1] - cuts[0]), ((place + 2) % 5, WHOLE + more - cuts[1])],
                capped=more > 0,
            )
        )
    exact, bounds = solve(companies, WHOLE), solve(companies, WHOLE, SWEEPS_ALONE)
    assert exact.exact
    for low, value, high in zip(values(bounds.lower), values(exact.lower), values(bounds.upper), strict=True):
        assert low <= value <= high
        assert value <= 1


def test_a_symmetric_tangle_is_exact_at_any_size() -> None:
    """Each of 200 companies is held 20 percent by ten others and 40 by what counts: x = 0.2 x + 0.4 is half."""
    companies = [
        Company(fixed=(400, 1), links=[((place + step) % 200, 20) for step in range(1, 11)]) for place in range(200)
    ]
    found = solve(companies, WHOLE, SWEEPS_ALONE)
    assert found.exact
    assert set(values(found.lower)) == {Fraction(1, 2)}


def test_a_tangle_that_is_owned_whole_is_worth_one_exactly() -> None:
    """Ten owners of a tenth each; of every seventh company, what counts is one of them."""
    dice = random.Random(1)
    companies = []
    for place in range(300):
        owners = dice.sample([one for one in range(300) if one != place], 10)
        outside = place % 7 == 0
        links = [(owner, 100) for owner in (owners[1:] if outside else owners)]
        companies.append(Company(fixed=(100, 1) if outside else (0, 1), links=links))
    found = solve(companies, WHOLE)
    assert found.exact
    assert set(values(found.lower)) == {Fraction(1)}


def test_what_nothing_feeds_is_worth_nothing_exactly() -> None:
    unfed = [Company(fixed=(0, 1), links=company.links) for company in drawn(300, 9, inside=900, seed=1)]
    assert solve(unfed, WHOLE) == Solution(lower=[(0, 1)] * 300, upper=[(0, 1)] * 300, work=0)


@pytest.mark.parametrize("inside", [600, 990, 999])
def test_no_tangle_takes_more_work_than_its_limits(inside: int) -> None:
    limits = TangleLimits(exact=20_000, sweeps=400_000)
    found = solve(drawn(400, 9, inside=inside, seed=2), WHOLE, limits)
    one_step = 50_000
    assert found.work <= limits.exact + limits.sweeps + one_step
    assert all(low <= high for low, high in zip(values(found.lower), values(found.upper), strict=True))


def test_the_published_size_of_the_tangled_core_is_solved_closely_within_its_limits() -> None:
    found = solve(drawn(1_347, 9, inside=580, seed=3), WHOLE)
    assert found.work < 2_000_000
    assert max(high - low for low, high in zip(values(found.lower), values(found.upper), strict=True)) < CLOSE


def test_a_rest_that_could_go_round_in_a_circle_feeds_on_what_comes_in_alone() -> None:
    """Two companies whose shares nobody knows, each perhaps the other's, and 30 percent of a seed above one."""
    companies = [
        Company(fixed=(0, 1), links=[], rest=WHOLE, open_links=[(1, WHOLE)], open_fixed=[((3, 10), WHOLE)]),
        Company(fixed=(0, 1), links=[], rest=WHOLE, open_links=[(0, WHOLE)]),
    ]
    assert values(solve(companies, WHOLE).upper) == [Fraction(3, 10)] * 2
    bounds = solve(companies, WHOLE, SWEEPS_ALONE)
    assert all(Fraction(3, 10) <= high < Fraction(3, 10) + CLOSE for high in values(bounds.upper))


def test_large_tangles_are_named_by_their_first_company_and_counted() -> None:
    def ring(*names: str) -> list[tuple[str, str]]:
        return list(zip(names, (*names[1:], names[0]), strict=True))

    links = [
        *ring("c", "b", "d"),
        *ring("f", "e"),
        ("c", "f"),
        *ring("h", "g", "i", "j"),
        ("person:a", "c"),
        ("k", "k"),
    ]
    assert largest_tangles(links, at_least=3) == [("b", 3), ("g", 4)]
    assert largest_tangles(links, at_least=2) == [("b", 3), ("e", 2), ("g", 4)]
    assert largest_tangles([], at_least=1) == []
