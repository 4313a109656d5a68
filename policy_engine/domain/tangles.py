"""The values of companies that own each other in loops (a tangle), exactly or between bounds that are proved.

The problem, for the companies 0 .. n-1 of one tangle, in units of which `whole` make 100 percent:

    x[i] = min(1, (fixed[i] + sum(units * x[owner]) + best[i](x)) / whole)

`fixed` is what owners outside the tangle give. `best` gives away the `rest` of a company, that which nobody knows who
holds, to the owners with open shares who make most of it, to none of them more than its share leaves open. Wanted is
the least solution: a loop that nothing outside feeds is worth nothing.

Two ways, always tried in this order, so that the answer depends on the tangle alone:

- Exactly, by elimination over integers, the company with the fewest links first; what is chosen (`best`, the 1) by
  improving a policy. Its cost grows with the cube of what cannot be pulled apart, and is counted: past
  `TangleLimits.exact` it gives up.
- Between bounds, in integers of 2 ** -96. Every coefficient is positive, so that the right side never falls when an x
  rises. Whatever is reached from 0 by applying the right side, rounded down, is not above the least solution; and any u
  that the right side, rounded up, does not raise, is not below it (Knaster and Tarski). Both are found by sweeps and
  hold whenever these stop; they stop after `TangleLimits.sweeps`. Last, the simplest fractions within the bounds are
  put into the equations: where they solve them, they are the values, so that symmetric tangles are exact at any size.

Work is counted in multiplications of small numbers (several for large ones), never in seconds: the same tangle has the
same answer on every machine.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm
from operator import itemgetter, mul
from typing import Final

Ratio = tuple[int, int]
"""Numerator and positive denominator, not necessarily reduced."""

NONE: Final[Ratio] = (0, 1)
ALL: Final[Ratio] = (1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TangleLimits:
    """How much one question may take.

    `links`: shares above one company; with more nothing about it is sure. `work`: multiplications that the tangles
    above one company take; those that come after are not solved. `exact`: of these, what one elimination may take.
    `sweeps`: what all sweeps over one tangle may take.
    """

    links: int = 250_000
    work: int = 3_000_000
    exact: int = 150_000
    sweeps: int = 3_000_000


LIMITS: Final = TangleLimits()

_ONE: Final = 1 << 96
_STILL: Final = 1 << 16
"""A sweep that raises nothing by more has arrived."""

_SIMPLE: Final = 1 << 24
"""The greatest denominator that is tried; bounds are much closer than two such fractions are to each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """One equation.

    `fixed`: units, from outside owners. `links`: (owner inside, units). `rest`: units to give away, to the owners with
    open shares: `open_links` (owner inside, units at most) and `open_fixed` (value of an owner outside, units at most).
    `capped`: its shares total more than the whole by rounding, so that the 1 may bind.
    """

    fixed: Ratio
    links: Sequence[tuple[int, int]]
    rest: int = 0
    open_links: Sequence[tuple[int, int]] = ()
    open_fixed: Sequence[tuple[Ratio, int]] = ()
    capped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Bounds of every value, the same object where they are exact, and the work that finding them took."""

    lower: list[Ratio]
    upper: list[Ratio]
    work: int

    @property
    def exact(self) -> bool:
        return self.lower is self.upper


def owners_first(starts: Iterable[int], owners_of: Callable[[int], Iterator[int]], done: bytearray) -> list[list[int]]:
    """Companies that own each other in loops together, every group after the groups of its owners (Tarjan 1972).

    What is `done` already is left out, and what was met is done afterwards.
    """
    order, low = [0] * len(done), [0] * len(done)
    groups: list[list[int]] = []
    open_companies: list[int] = []
    clock = 0
    path: list[tuple[int, Iterator[int]]] = []

    def enter(company: int) -> None:
        nonlocal clock
        clock += 1
        order[company] = low[company] = clock
        open_companies.append(company)
        path.append((company, owners_of(company)))

    for start in starts:
        if not done[start]:
            enter(start)
        while path:
            company, owners = path[-1]
            for owner in owners:
                if done[owner]:
                    continue
                if order[owner]:
                    low[company] = min(low[company], order[owner])
                    continue
                enter(owner)
                break
            else:
                path.pop()
                if path:
                    below = path[-1][0]
                    low[below] = min(low[below], low[company])
                if low[company] == order[company]:
                    groups.append(_closed(open_companies, company, done))
    return groups


def _closed(open_companies: list[int], last: int, done: bytearray) -> list[int]:
    """The companies down to the last one off the stack, which are done then."""
    group: list[int] = []
    while not group or group[-1] != last:
        group.append(open_companies.pop())
        done[group[-1]] = 1
    return group


def largest_tangles(links: Iterable[tuple[str, str]], *, at_least: int) -> list[tuple[str, int]]:
    """Of shares as (owner, owned): the first company, by its name, and the size of each tangle of that size or more."""
    numbers: dict[str, int] = {}
    owners: list[list[int]] = []
    for owner, owned in links:
        for name in (owner, owned):
            if name not in numbers:
                numbers[name] = len(owners)
                owners.append([])
        owners[numbers[owned]].append(numbers[owner])
    names = list(numbers)
    groups = owners_first(range(len(names)), lambda company: iter(owners[company]), bytearray(len(names)))
    return sorted((min(names[one] for one in group), len(group)) for group in groups if len(group) >= at_least)


class _TooMuchWork(Exception):
    """The elimination takes more than it may."""


class _Meter:
    """Counts work against an allowance."""

    def __init__(self, allowance: int) -> None:
        self.allowance = allowance
        self.spent = 0

    def spend(self, work: int) -> None:
        self.spent += work
        if self.spent > self.allowance:
            raise _TooMuchWork


def solve(companies: Sequence[Company], whole: int, limits: TangleLimits = LIMITS) -> Solution:
    """The least solution, exactly where that is within the limits and between bounds elsewhere."""
    meter = _Meter(limits.exact)
    try:
        values = _Exact(companies, whole, meter).values()
    except _TooMuchWork:
        bounds = _Bounds(companies, whole, limits.sweeps)
        lower, upper = bounds.values()
        return Solution(lower=lower, upper=upper, work=meter.spent + bounds.spent)
    return Solution(lower=values, upper=values, work=meter.spent)


# --- what feeds what --------------------------------------------------------------------------------------------------

_Gift = tuple[int | None, Ratio, int]
"""Of a rest: the owner inside it goes to, or `None` and the value of one outside; and the units."""


def _fed(companies: Sequence[Company]) -> tuple[list[int], dict[int, _Gift]]:
    """The companies that something outside feeds, in order, and for those fed only by a gift one that feeds them.

    A gift that leads outside cannot close a circle that feeds on itself alone.
    """
    feeds = _feeds(companies)
    gifts = _gifts_from_outside(companies)
    queue = [place for place, company in enumerate(companies) if place in gifts or company.fixed[0]]
    fed = set(queue)
    for owner in queue:
        for place, gift in feeds[owner]:
            if place not in fed:
                fed.add(place)
                queue.append(place)
                if gift is not None:
                    gifts[place] = gift
    return sorted(fed), gifts


def _feeds(companies: Sequence[Company]) -> list[list[tuple[int, _Gift | None]]]:
    """For each company those that it feeds: by shares, and after these by gifts of what may go to it."""
    feeds: list[list[tuple[int, _Gift | None]]] = [[] for _ in companies]
    for place, company in enumerate(companies):
        for owner, units in company.links:
            if units:
                feeds[owner].append((place, None))
    for place, company in enumerate(companies):
        for owner, units in company.open_links:
            if units and company.rest:
                feeds[owner].append((place, (owner, NONE, min(units, company.rest))))
    return feeds


def _gifts_from_outside(companies: Sequence[Company]) -> dict[int, _Gift]:
    """For each company whose rest may go to an owner outside that has a value, the first such gift."""
    gifts: dict[int, _Gift] = {}
    for place, company in enumerate(companies):
        if company.rest:
            gift = next(((value, units) for value, units in company.open_fixed if value[0] and units), None)
            if gift is not None:
                gifts[place] = (None, gift[0], min(gift[1], company.rest))
    return gifts


# --- exactly ----------------------------------------------------------------------------------------------------------


class _Exact:
    """Elimination, with two things that make the equations more than linear settled by improving a policy.

    - The rest of a company goes to the owners with the greatest values. Start with gifts that lead outside and change
      those of a company only where that makes strictly more of them: values never fall, and no circle can close that
      feeds on itself alone.
    - A value is at most 1. Only a company whose shares total more than the whole can pass that. Start with all of them
      at 1 and let go of those whose owners give less.

    A company that nothing feeds has 0 and leaves the system first; what remains then has exactly one solution.
    """

    def __init__(self, companies: Sequence[Company], whole: int, meter: _Meter) -> None:
        self.companies = companies
        self.whole = whole
        self.meter = meter
        self.inside, first = _fed(companies)
        self.gifts: dict[int, tuple[_Gift, ...]] = {place: (gift,) for place, gift in first.items()}

    def values(self) -> list[Ratio]:
        """The least solution; raises `_TooMuchWork`."""
        found: list[Ratio] = [NONE] * len(self.companies)
        choosers = [place for place in self.inside if self.companies[place].rest]
        improved = True
        while improved:
            for place, value in self._capped().items():
                found[place] = value
            changed = [place for place in choosers if self._improve(place, found)]
            improved = bool(changed)
        return found

    def _improve(self, place: int, values: Sequence[Ratio]) -> bool:
        company = self.companies[place]
        options: list[_Gift] = [(None, value, units) for value, units in company.open_fixed]
        options += [(owner, values[owner], units) for owner, units in company.open_links]
        options.sort(key=lambda option: Fraction(*option[1]), reverse=True)
        left, best, total = company.rest, [], Fraction(0)
        for owner, value, units in options:
            given = min(left, units)
            if not given or not value[0]:
                break
            best.append((owner, value, given))
            total += given * Fraction(*value)
            left -= given
        self.meter.spend(16 * len(options))
        held = sum(
            (
                units * Fraction(*(value if owner is None else values[owner]))
                for owner, value, units in self.gifts.get(place, ())
            ),
            Fraction(0),
        )
        if total <= held:
            return False
        self.gifts[place] = tuple(best)
        return True

    def _capped(self) -> dict[int, Ratio]:
        """The values under the gifts made, none above 1."""
        full = {place for place in self.inside if self.companies[place].capped}
        values = self._solved(full)
        while full:
            less = {place for place in full if self._given(place, values) < self.whole}
            if not less:
                break
            full -= less
            values = self._solved(full)
        return values

    def _given(self, place: int, values: dict[int, Ratio]) -> Fraction:
        fixed, links = self._equation(place)
        self.meter.spend(4 * len(links))
        return Fraction(*fixed) + sum(units * Fraction(*values.get(owner, NONE)) for owner, units in links.items())

    def _equation(self, place: int) -> tuple[Ratio, dict[int, int]]:
        """Units that owners outside give, and of each owner inside, with the gifts made."""
        company = self.companies[place]
        above, below = company.fixed
        links: dict[int, int] = {}
        for owner, units in company.links:
            links[owner] = links.get(owner, 0) + units
        for inside, value, units in self.gifts.get(place, ()):
            if inside is not None:
                links[inside] = links.get(inside, 0) + units
            else:
                common = lcm(below, value[1])
                above = above * (common // below) + units * value[0] * (common // value[1])
                below = common
        return (above, below), links

    def _solved(self, full: set[int]) -> dict[int, Ratio]:
        rows: dict[int, _Row] = {}
        live = set(self.inside)
        for place in self.inside:
            if place in full:
                rows[place] = _Row(of=1, constant=1, links={})
                continue
            (above, below), links = self._equation(place)
            inside = {owner: units * below for owner, units in links.items() if owner in live and units}
            rows[place] = _Row(of=self.whole * below, constant=above, links=inside)
            rows[place].reduce()
        return _eliminate(rows, self.meter)


@dataclass(slots=True)
class _Row:
    """of * x = constant + sum(links[owner] * x[owner]), in integers."""

    of: int
    constant: int
    links: dict[int, int]

    def reduce(self) -> None:
        common = gcd(self.of, self.constant, *self.links.values())
        if common > 1:
            self.of //= common
            self.constant //= common
            for owner in self.links:
                self.links[owner] //= common

    def substitute(self, owner: int, row: _Row) -> None:
        """Put the row of an owner in its place."""
        weight = self.links.pop(owner)
        common = gcd(weight, row.of)
        weight //= common
        scale = row.of // common
        if scale > 1:
            self.of *= scale
            self.constant *= scale
            for one in self.links:
                self.links[one] *= scale
        self.constant += weight * row.constant
        for one, units in row.links.items():
            self.links[one] = self.links.get(one, 0) + weight * units
        self.reduce()


def _users_of(rows: Mapping[int, _Row]) -> dict[int, set[int]]:
    """For each company those whose rows have a link to it."""
    users: dict[int, set[int]] = {place: set() for place in rows}
    for place, row in rows.items():
        for owner in row.links:
            users[owner].add(place)
    return users


def _eliminate(rows: dict[int, _Row], meter: _Meter) -> dict[int, Ratio]:
    """The one solution of the rows, where none is negative; consumes them.

    By substitution, the company with the fewest links first (Markowitz). Nothing is ever subtracted but a company's own
    weight, which stays below `of` while something above 0 feeds every company.
    """
    users = _users_of(rows)

    def links(place: int) -> int:
        return (len(users[place]) + 1) * (len(rows[place].links) + 1)

    queue = [(links(place), place) for place in rows]
    heapq.heapify(queue)
    left, order = set(rows), list[int]()
    while left:
        expected, place = heapq.heappop(queue)
        if place not in left or expected != links(place):
            continue
        left.remove(place)
        order.append(place)
        row = rows[place]
        own = row.links.pop(place, 0)
        users[place].discard(place)
        if own:
            row.of -= own
            row.reduce()
        for owner in row.links:
            users[owner].discard(place)
        for user in users[place]:
            substituted = rows[user]
            meter.spend(
                (len(row.links) + len(substituted.links) + 4)
                * (1 + (row.of.bit_length() + substituted.of.bit_length() >> 7))
            )
            substituted.substitute(place, row)
            for owner in row.links:
                users[owner].add(user)
        for changed in {*row.links, *users[place]}:
            heapq.heappush(queue, (links(changed), changed))
    return _substituted_back(rows, order, meter)


def _substituted_back(rows: Mapping[int, _Row], order: Sequence[int], meter: _Meter) -> dict[int, Ratio]:
    """The values of rows of which each has links to later ones of the order alone."""
    values: dict[int, Ratio] = {}
    for place in reversed(order):
        row = rows[place]
        terms = [(units, *values[owner]) for owner, units in row.links.items()]
        common = lcm(*(below for _, _, below in terms))
        meter.spend(len(terms) * (1 + (common.bit_length() >> 7)))
        above = row.constant * common + sum(units * over * (common // below) for units, over, below in terms)
        shared = gcd(above, row.of * common)
        values[place] = above // shared, row.of * common // shared
    return values


# --- between bounds ---------------------------------------------------------------------------------------------------


class _Bounds:
    """The right side over integers of 2 ** -96, rounded down or up, and the sweeps that it takes."""

    def __init__(self, companies: Sequence[Company], whole: int, allowance: int) -> None:
        self.companies = companies
        self.whole = whole
        self.allowance = allowance
        self.inside, _ = _fed(companies)
        self.spent = 0
        self.moved = _ONE
        self.gives = any(company.rest for company in companies)
        # Where a company has one owner, `itemgetter` would give no tuple.
        self.owners = [itemgetter(*(owner for owner, _ in company.links), 0, 0) for company in companies]
        self.units = [[units for _, units in company.links] for company in companies]
        self.fixed_down = [company.fixed[0] * _ONE // company.fixed[1] for company in companies]
        self.fixed_up = [-(-company.fixed[0] * _ONE // company.fixed[1]) for company in companies]
        self.sweep = sum(
            4 + len(company.links) + 8 * (len(company.open_links) + len(company.open_fixed)) for company in companies
        )

    def values(self) -> tuple[list[Ratio], list[Ratio]]:
        """The lower bounds, and the upper ones."""
        low = self._lower()
        high = self._upper(low)
        exact = self._simplest(low, high)
        if exact is None:
            return [(value, _ONE) for value in low], [(value, _ONE) for value in high]
        if self.gives:
            # Solving the equations proves no more than that nothing greater is needed where there was a choice.
            return [(value, _ONE) for value in low], exact
        return exact, exact

    def _best(self, company: Company, x: Sequence[int], *, up: bool) -> int:
        """What the rest of a company makes at most, in units."""
        options = [(x[owner], units) for owner, units in company.open_links]
        for (above, below), units in company.open_fixed:
            options.append((-(-above * _ONE // below) if up else above * _ONE // below, units))
        options.sort(reverse=True)
        left, total = company.rest, 0
        for value, units in options:
            given = min(left, units)
            total += given * value
            left -= given
        return total

    def _full(self) -> set[int]:
        """The companies that are worth 1: all of them is held by what is worth 1, in circles that something feeds."""
        full = set(self.inside)
        need = {}
        users: list[list[tuple[int, int]]] = [[] for _ in self.companies]
        for place in self.inside:
            company = self.companies[place]
            held = sum(units for owner, units in company.links if owner in full)
            above, below = company.fixed
            # Owners outside that are worth less make less of their units than there are, so their units cannot be told.
            need[place] = above + held * below - self.whole * below
            for owner, units in company.links:
                users[owner].append((place, units * below))
        gone = [place for place in self.inside if need[place] < 0]
        full.difference_update(gone)
        while gone:
            for place, units in users[gone.pop()]:
                need[place] = need.get(place, -1) - units
                if place in full and need[place] < 0:
                    full.remove(place)
                    gone.append(place)
        return full

    def _lower(self) -> list[int]:
        """Bounds from below: what sweeps come to that start from nothing."""
        x = [0] * len(self.companies)
        for place in self._full():
            x[place] = _ONE
        while self.moved > _STILL and self.spent + self.sweep <= self.allowance // 2:
            self.spent += self.sweep
            moved = 0
            for place in self.inside:
                company = self.companies[place]
                total = self.fixed_down[place] + sum(map(mul, self.units[place], self.owners[place](x)))
                if company.rest:
                    total += self._best(company, x, up=False)
                value = min(_ONE, total // self.whole)
                if value > x[place]:
                    moved = max(moved, value - x[place])
                    x[place] = value
            self.moved = moved
        return x

    def _upper(self, low: Sequence[int]) -> list[int]:
        """Bounds from above: a little more than the lower ones, raised until the right side raises them no more."""
        x = [0] * len(low)
        raise_by = 16 * max(self.moved, _STILL)
        for place in self.inside:
            x[place] = min(_ONE, low[place] + raise_by)
        raised = True
        while raised:
            self.spent += self.sweep
            if self.spent > self.allowance:
                return [_ONE if value else 0 for value in x]
            raised = False
            for place in self.inside:
                company = self.companies[place]
                total = self.fixed_up[place] + sum(map(mul, self.units[place], self.owners[place](x)))
                if company.rest:
                    total += self._best(company, x, up=True)
                value = -(-total // self.whole)
                if value > x[place] and x[place] < _ONE:
                    x[place] = min(_ONE, value + raise_by)
                    raised = True
        return x

    def _simplest(self, low: Sequence[int], high: Sequence[int]) -> list[Ratio] | None:
        """The simplest fractions within the bounds, where they solve the equations."""
        values: list[Ratio] = [NONE] * len(low)
        for place in self.inside:
            found = _simplest_between(low[place], high[place], _ONE)
            if found[1] > _SIMPLE:
                return None
            values[place] = found
        for place in self.inside:
            if self._right_side(place, values) != Fraction(*values[place]):
                return None
        return values

    def _right_side(self, place: int, values: Sequence[Ratio]) -> Fraction:
        company = self.companies[place]
        total = Fraction(*company.fixed) + sum(units * Fraction(*values[owner]) for owner, units in company.links)
        options = [(Fraction(*values[owner]), units) for owner, units in company.open_links]
        options += [(Fraction(*value), units) for value, units in company.open_fixed]
        left = company.rest
        for value, units in sorted(options, reverse=True):
            given = min(left, units)
            total += given * value
            left -= given
        return min(Fraction(1), total / self.whole)


def _simplest_between(low: int, high: int, of: int) -> Ratio:
    """The fraction with the least denominator from low / of to high / of (continued fractions)."""
    terms: list[int] = []
    above, below, above_high, below_high = low, of, high, of
    while True:
        whole = -(-above // below)
        if whole * below_high <= above_high:
            terms.append(whole)
            break
        whole = above // below
        terms.append(whole)
        above, below, above_high, below_high = (
            below_high,
            above_high - whole * below_high,
            below,
            above - whole * below,
        )
    over, under = terms.pop(), 1
    while terms:
        over, under = terms.pop() * over + under, over
    return over, under
