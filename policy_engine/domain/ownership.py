"""Ownership measures: whether owners that count hold enough of a company, directly or through others.

Two measures, each over the shares in force above one company:

- Cascade (OFAC FAQ 398 to 401, 31 CFR 587.406; Supp. 8 to 15 CFR Part 744): a company is captured when the direct
  stakes of seeds and of captured companies in it sum to the threshold. A stake counts in full, nothing is multiplied;
  the captured companies are the least set of which this is true, so a loop never captures itself.
- Look-through: x(o) = sum over the owners w of o of share(w, o) * x(w), with x = 1 for a seed and never more than 1:
  the least solution, so that loops have a value and a loop that no seed feeds has 0. A company is captured when 100 * x
  passes the threshold.

Neither contains the other. A seed is an owner whose shares count; the target's own status says nothing about who owns
it, and counts only where the target stands among its own owners.

A share is exact, a range, or unknown, which is the range from 0 to 100. `surely` takes every share at its least, so
that an unknown one is nothing. `possibly` takes what the least shares of a company leave of 100 and gives it to
whichever of its owners make most of it, to none more than its range allows; owners of unknown standing are seeds then.
Both ends of a range belong to it: "more than 25" is filed as 25 or more, which can only bar more. When the least shares
of one company total more than `OVERSUBSCRIBED`, the table is wrong somewhere, and every share in it is unknown.

Percentages become integers of one unit for each question, and look-through values are fractions. The cost is linear in
the shares above the target where these form no loop. What forms loops is a tangle, which `tangles.solve` gives exactly
or between bounds, and which is remembered for every company below it. Where bounds lie on both sides of the threshold,
and past the `tangles.TangleLimits`, capture is possible and not sure, and `unsolved` names what was too much: work has
a bound and no answer is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from math import gcd, lcm
from typing import Final, Protocol

from policy_engine.domain import tangles
from policy_engine.domain.tangles import ALL, LIMITS, NONE, Ratio, TangleLimits

OVERSUBSCRIBED: Final = Decimal("100.5")
"""Percent. Shares in one company that total more than this are not rounding; none of them is known then."""

MAX_STEPS: Final = 64
"""How many steps a capture tells, the nearest to the target first."""

REMEMBERED_FROM: Final = 16
"""Companies. Solving a smaller tangle again costs less than remembering it."""

_PERSON: Final = "person:"


class Seed(Enum):
    """Whether an owner is one whose shares count: listed, or headquartered where the test says."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A share in force in one organisation: `owner` is an organisation or `person:<id>`.

    Where `percent` is `None` the share is from `minimum` to `maximum` percent, both inclusive; an end that is `None` is
    0 or 100, so that neither is an unknown share.
    """

    owner: str
    percent: Decimal | None
    minimum: Decimal | None = None
    maximum: Decimal | None = None

    def __post_init__(self) -> None:
        if self.percent is not None and (self.minimum is not None or self.maximum is not None):
            raise ValueError(f"share of `{self.owner}` is an exact percentage and a range")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipTest:
    """When owners capture a company: at least `threshold` percent, more than it when `strict`, by either method.

    Raises `ValueError` for a test that would capture everything or could capture nothing.
    """

    name: str
    threshold: Decimal
    strict: bool
    cascade: bool
    look_through: bool

    def __post_init__(self) -> None:
        if not self.threshold.is_finite() or not 0 <= self.threshold <= 100 or (not self.threshold and not self.strict):
            raise ValueError(f"threshold of ownership test `{self.name}` is not a percentage above 0: {self.threshold}")
        if not (self.cascade or self.look_through):
            raise ValueError(f"ownership test `{self.name}` has no method")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """What the ownership of one company comes to under one test.

    `surely`: captured on what is known. `possibly`: captured when what is unknown is taken at its worst; `surely`
    implies it. `minority`: neither, yet a seed or a surely captured owner holds a share in it, of known or unknown size
    (under a look-through test also through others).

    `cascade_percent`: the known direct stakes of seeds and surely captured owners. `look_through_percent`: 100 * x on
    what is known, 0 where the test does not look through. `methods`: those that capture.

    `owners`: the seeds met going up from the company through captured companies (looking through: through companies of
    which a seed holds any part), sorted; `steps`: the shares on the way as (owner, owned, percent or `unknown`), the
    `MAX_STEPS` nearest, sorted. They tell of the sure capture, else of the possible one, else of the minority. A seed
    whose share in such a company is unknown is among them: it holds something.

    `unknown_shares` (owner, owned) and `unknown_seeds` say what to find out where capture is possible and not sure:
    every share of a company that is unknown or a range where one of them could matter, as each known one bounds the
    others. `unsolved` names what could not be computed within the bounds, by the first company of each tangle, or by
    the target where everything above it is too much.
    """

    surely: bool
    possibly: bool
    minority: bool
    cascade_percent: Decimal
    look_through_percent: Fraction
    owners: tuple[str, ...]
    steps: tuple[tuple[str, str, str], ...]
    methods: tuple[str, ...]
    unknown_shares: tuple[tuple[str, str], ...]
    unknown_seeds: tuple[str, ...]
    unsolved: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The ultimate parent, `None` when unknown; `missing` has the unknown shares (owner, owned) that would tell."""

    organisation: str | None
    missing: tuple[tuple[str, str], ...]


HoldingsOf = Callable[[str], Sequence[Holding]]
SeedOf = Callable[[str], Seed]


class Solved(Protocol):
    """Where solutions of tangles are kept, for one test, one roster and the instants at which nothing above changes.

    What is kept follows from the tangle alone, so that forgetting any of it changes no answer.
    """

    def get(self, key: tuple[bool, tuple[str, ...]]) -> tangles.Solution | None: ...

    def keep(self, key: tuple[bool, tuple[str, ...]], solution: tangles.Solution) -> None: ...


_CLEAR: Final = Capture(
    surely=False,
    possibly=False,
    minority=False,
    cascade_percent=Decimal(0),
    look_through_percent=Fraction(0),
    owners=(),
    steps=(),
    methods=(),
    unknown_shares=(),
    unknown_seeds=(),
)


def capture(
    target: str,
    holdings_of: HoldingsOf,
    seed_of: SeedOf,
    test: OwnershipTest,
    *,
    solved: Solved | None = None,
    limits: TangleLimits = LIMITS,
) -> Capture:
    """What the ownership of `target` comes to under the test.

    `holdings_of` gives the shares in force in an organisation; several of one owner add. Only what stands above the
    target is asked for. Raises `ValueError` for a share that is negative or no number, or for a range with its ends
    the wrong way round.
    """
    cone = _climb(target, holdings_of, seed_of, limits.links)
    if cone is None:
        return replace(_CLEAR, possibly=True, unsolved=(target,))
    companies = _below_seeds(cone)
    if not companies:
        return _CLEAR
    table = _table(cone, companies)
    groups = _upstream_first(cone, table) if test.look_through else []
    solver = _Solver(cone=cone, table=table, groups=groups, solved=solved, limits=limits)
    sure = _view(solver, test, optimistic=False)
    worst = sure
    if not sure.methods and _anything_unknown(cone, table):
        worst = _view(solver, test, optimistic=True)
    possible = not sure.methods and bool(worst.at_most)
    minority = not sure.methods and not possible and _holds_some(table, sure)
    told = worst if possible else sure
    methods = told.at_most if possible else told.methods
    trail = _Trail(cone, table, told, methods)
    if methods or minority:
        trail.follow(sure)
    return Capture(
        surely=bool(sure.methods),
        possibly=bool(sure.methods) or possible,
        minority=minority,
        cascade_percent=Decimal(_percent_text(sure.direct, table.places)),
        look_through_percent=100 * Fraction(*sure.x[_TARGET]) if test.look_through else Fraction(0),
        owners=tuple(sorted(cone.names[owner] for owner in trail.seeds)),
        steps=tuple(sorted(trail.steps)),
        methods=methods,
        unknown_shares=tuple(sorted(trail.unknown_shares)) if possible else (),
        unknown_seeds=tuple(sorted(cone.names[owner] for owner in trail.unknown_seeds)) if possible else (),
        unsolved=tuple(sorted(told.unsolved)) if possible and told.methods != told.at_most else (),
    )


def ultimate_parent(target: str, holdings_of: HoldingsOf) -> Parent:
    """Follow the organisation that holds more than 50 percent, until there is none.

    Natural persons are not followed, and a loop stops where it closes. Unknown where an unknown share or a range of an
    organisation could be more than 50 percent, and where rounding gives two owners more than 50.
    """
    company, passed = target, {target}
    while True:
        least, spans = _majority_table(holdings_of(company))
        left = max(Fraction(0), 100 - sum(least.values(), Fraction(0)))
        open_to = {owner for owner, span in spans.items() if least.get(owner, Fraction(0)) + min(span, left) > 50}
        holders = sorted(owner for owner, percent in least.items() if percent > 50)
        if len(holders) > 1:
            return Parent(organisation=None, missing=tuple((owner, company) for owner in holders))
        if any(not owner.startswith(_PERSON) and owner not in holders for owner in open_to):
            return Parent(organisation=None, missing=tuple((owner, company) for owner in sorted(spans)))
        if not holders or holders[0].startswith(_PERSON) or holders[0] in passed:
            return Parent(organisation=company, missing=())
        company = holders[0]
        passed.add(company)


def _majority_table(holdings: Iterable[Holding]) -> tuple[dict[str, Fraction], dict[str, Fraction]]:
    """The least percent of each owner, and what the ranges of each owner with an open share leave open."""
    least: dict[str, Fraction] = {}
    spans: dict[str, Fraction] = {}
    for holding in holdings:
        low, high = (Fraction(*_ratio(end)) for end in _ends(holding))
        if low or holding.percent is not None:
            least[holding.owner] = least.get(holding.owner, Fraction(0)) + low
        if high > low:
            spans[holding.owner] = spans.get(holding.owner, Fraction(0)) + high - low
    if sum(least.values(), Fraction(0)) > Fraction(OVERSUBSCRIBED):
        return {}, dict.fromkeys({*least, *spans}, Fraction(100))
    return least, spans


# --- what stands above the target -------------------------------------------------------------------------------------

_TARGET: Final = 0


@dataclass(slots=True)
class _Cone:
    """The target and all that stands above it, by number.

    `_TARGET` is the target as a company and nobody's owner. A target that stands among its own owners has a second
    number there, with its own status as a seed.
    """

    names: list[str]
    numbers: dict[str, int]
    seeds: list[Seed]
    holdings: list[Sequence[Holding]]
    owned: list[list[int]]


def _climb(target: str, holdings_of: HoldingsOf, seed_of: SeedOf, most: int) -> _Cone | None:
    """All that stands above the target; `None` where that is more than `most` shares."""
    cone = _Cone(names=[target], numbers={}, seeds=[Seed.NO], holdings=[()], owned=[[]])
    names, numbers, owned = cone.names, cone.numbers, cone.owned
    pending = [_TARGET]
    links = 0
    while pending:
        company = pending.pop()
        holdings = cone.holdings[company] = holdings_of(names[company])
        links += len(holdings)
        if links > most:
            return None
        for holding in holdings:
            owner = holding.owner
            number = numbers.get(owner)
            if number is not None:
                owned[number].append(company)
                continue
            number = numbers[owner] = len(names)
            names.append(owner)
            owned.append([company])
            cone.seeds.append(seed_of(owner))
            cone.holdings.append(())
            if not owner.startswith(_PERSON):
                pending.append(number)
    return cone


def _below_seeds(cone: _Cone) -> list[int]:
    """The companies that a seed, or what may be one, stands above; the target is one of them, or there are none."""
    queue = [number for number, seed in enumerate(cone.seeds) if seed is not Seed.NO]
    queued = bytearray(len(cone.names))
    for number in queue:
        queued[number] = 1
    companies: list[int] = []
    met = bytearray(len(cone.names))
    for owner in queue:
        for company in cone.owned[owner]:
            if not met[company]:
                met[company] = 1
                companies.append(company)
                if not queued[company]:
                    queued[company] = 1
                    queue.append(company)
    return companies


@dataclass(slots=True)
class _Table:
    """The shares in companies below seeds, in units of which `whole` make 100 percent (10 ** `places` make one).

    `stakes` (owner, units at least) and `hidden` (owner, units that its range leaves open above those) leave out
    harmless owners, those that are no seed and below none; `held` and `held_hidden` are the same from the owner's side.
    `rest` is what the least shares of a company, those of harmless owners too, leave to the open ones.
    """

    places: int
    whole: int
    companies: list[int]
    stakes: list[list[tuple[int, int]]]
    hidden: list[list[tuple[int, int]]]
    held: list[list[tuple[int, int]]]
    held_hidden: list[list[tuple[int, int]]]
    rest: list[int]
    rounded_up: set[int]
    oversubscribed: set[int]
    ranged: set[int]


def _ratio(percent: Decimal) -> tuple[int, int]:
    """The percentage as a reduced fraction; raises `ValueError` where it is negative or no number."""
    if not percent.is_finite() or percent < 0:
        raise ValueError(f"share of `{percent}` percent is negative or no number")
    return percent.as_integer_ratio()


_ZERO: Final = Decimal(0)
_HUNDRED: Final = Decimal(100)


def _ends(holding: Holding) -> tuple[Decimal, Decimal]:
    """The least and the greatest percentage that the share may be; raises `ValueError` where they are no range."""
    if holding.percent is not None:
        return holding.percent, holding.percent
    low = _ZERO if holding.minimum is None else holding.minimum
    high = _HUNDRED if holding.maximum is None else holding.maximum
    _ratio(low)
    _ratio(high)
    if low > high:
        raise ValueError(
            f"share of `{holding.owner}` is from `{low}` to `{high}` percent: the ends are the wrong way round"
        )
    return low, high


def _units(cone: _Cone, companies: list[int]) -> tuple[dict[Decimal, int], int]:
    """Every percentage as an integer, and how many decimal places that took."""
    ratios: dict[Decimal, tuple[int, int]] = {}
    for company in companies:
        for holding in cone.holdings[company]:
            if (percent := holding.percent) is None:
                for end in _ends(holding):
                    ratios[end] = _ratio(end)
            elif percent not in ratios:
                ratios[percent] = _ratio(percent)
    denominator, places = lcm(*{below for _, below in ratios.values()}), 0
    while 10**places % denominator:
        places += 1
    return {percent: above * (10**places // below) for percent, (above, below) in ratios.items()}, places


def _table(cone: _Cone, companies: list[int]) -> _Table:
    units, places = _units(cone, companies)
    whole = 100 * 10**places
    size = len(cone.names)
    table = _Table(
        places=places,
        whole=whole,
        companies=companies,
        stakes=[[] for _ in range(size)],
        hidden=[[] for _ in range(size)],
        held=[[] for _ in range(size)],
        held_hidden=[[] for _ in range(size)],
        rest=[0] * size,
        rounded_up=set(),
        oversubscribed=set(),
        ranged=set(),
    )
    matters = bytearray(seed is not Seed.NO for seed in cone.seeds)
    for company in companies:
        matters[company] = 1
    for company in companies:
        known = _rest(table, company, cone.holdings[company], units)
        for holding in cone.holdings[company]:
            owner = cone.numbers[holding.owner]
            if not matters[owner]:
                continue
            if not known:
                share, span = 0, whole
            elif holding.percent is not None:
                share, span = units[holding.percent], 0
            else:
                low, high = _ends(holding)
                share, span = units[low], units[high] - units[low]
            if span:
                table.hidden[company].append((owner, span))
                table.held_hidden[owner].append((company, span))
            if share:
                table.stakes[company].append((owner, share))
                table.held[owner].append((company, share))
    return table


def _rest(table: _Table, company: int, holdings: Sequence[Holding], units: dict[Decimal, int]) -> bool:
    """Note what the least shares of a company leave; whether they are known, as they do not total too much."""
    total = sum([units[holding.percent] for holding in holdings if holding.percent is not None])
    ranges = [_ends(holding) for holding in holdings if holding.percent is None]
    total += sum([units[low] for low, _ in ranges])
    if total <= table.whole:
        table.rest[company] = table.whole - total
    elif Fraction(100 * total, table.whole) <= Fraction(OVERSUBSCRIBED):
        table.rounded_up.add(company)
    else:
        table.oversubscribed.add(company)
        table.rest[company] = table.whole
        return False
    if any(ends != (_ZERO, _HUNDRED) for ends in ranges):
        table.ranged.add(company)
    return True


def _anything_unknown(cone: _Cone, table: _Table) -> bool:
    return any(seed is Seed.UNKNOWN for seed in cone.seeds) or any(
        table.hidden[company] and table.rest[company] for company in table.companies
    )


# --- the two measures -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _View:
    """The measures on what is known, or, `optimistic`, with what is unknown taken at its worst.

    `counts`: seeds and companies captured by cascade. `captured`: by cascade, whatever the company's own status.
    `direct`: units that owners that count hold in the target. `x` and `y`: look-through values at least and at most,
    the same list where all are exact, empty where the test does not look through; the target's own is not held down to
    1. `unsolved`: the first company of each tangle that is not exact. `methods`: those that capture for certain in this
    view, and `at_most` those that may.
    """

    optimistic: bool
    seeds: list[bool]
    counts: list[bool]
    captured: list[bool]
    direct: int
    x: list[Ratio]
    y: list[Ratio]
    unsolved: set[str]
    methods: tuple[str, ...]
    at_most: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Solver:
    """What both views of one question share: `groups` are those of `_upstream_first`."""

    cone: _Cone
    table: _Table
    groups: list[list[int]]
    solved: Solved | None
    limits: TangleLimits


def _view(solver: _Solver, test: OwnershipTest, *, optimistic: bool) -> _View:
    cone, table = solver.cone, solver.table
    above, below = test.threshold.as_integer_ratio()
    # The least number of units that captures.
    quotient, remainder = divmod(above * table.whole, 100 * below)
    least = quotient + 1 if test.strict or remainder else quotient
    seeds = [seed is Seed.YES or (optimistic and seed is Seed.UNKNOWN) for seed in cone.seeds]
    counts, captured = list(seeds), [False] * len(seeds)
    sums = [0] * len(seeds)
    open_to: dict[int, int] = {}
    pending = [owner for owner, counted in enumerate(counts) if counted]
    while pending:
        owner = pending.pop()
        gains = table.held[owner]
        if optimistic and table.held_hidden[owner]:
            # Of all open shares of a company no more can come true than its least shares leave.
            gains = list(gains)
            for company, span in table.held_hidden[owner]:
                before = open_to.get(company, 0)
                after = open_to[company] = min(table.rest[company], before + span)
                gains.append((company, after - before))
        for company, units in gains:
            sums[company] += units
            if test.cascade and sums[company] >= least and not captured[company]:
                captured[company] = True
                if not counts[company]:
                    counts[company] = True
                    pending.append(company)
    view = _View(
        optimistic=optimistic,
        seeds=seeds,
        counts=counts,
        captured=captured,
        direct=sums[_TARGET],
        x=[],
        y=[],
        unsolved=set(),
        methods=("cascade",) if captured[_TARGET] else (),
        at_most=("cascade",) if captured[_TARGET] else (),
    )
    if test.look_through:
        _LookThrough(solver, view).settle()
        if _passes(view.x[_TARGET], test):
            view.methods = (*view.methods, "look_through")
        if _passes(view.y[_TARGET], test):
            view.at_most = (*view.at_most, "look_through")
    return view


def _passes(value: Ratio, test: OwnershipTest) -> bool:
    share, of = value
    above, below = test.threshold.as_integer_ratio()
    return 100 * share * below > above * of if test.strict else 100 * share * below >= above * of


class _LookThrough:
    """The look-through values of a view, group by group from the top."""

    def __init__(self, solver: _Solver, view: _View) -> None:
        self.solver = solver
        self.cone = solver.cone
        self.table = solver.table
        self.view = view
        self.work = 0
        view.x = view.y = [ALL if seed else NONE for seed in view.seeds]

    def settle(self) -> None:
        """Write the value of every company."""
        view = self.view
        for group in self.solver.groups:
            company = group[0]
            if len(group) > 1 or any(owner == company for owner in _owners(self.table, company)):
                members = [member for member in group if not view.seeds[member]]
                if members:
                    self._tangle(sorted(members, key=self.cone.names.__getitem__))
            elif not view.seeds[company]:
                self._single(company)

    def _single(self, company: int) -> None:
        view = self.view
        at_least = _weighted(self.table, view.x, company, optimistic=view.optimistic)
        at_most = at_least
        if view.y is not view.x:
            at_most = _weighted(self.table, view.y, company, optimistic=view.optimistic)
        if at_least[1] > _BULKY and self._gives_up(company, at_least):
            at_least, at_most = _rounded(at_least, up=False), _rounded(at_most, up=True)
            view.unsolved.add(self.cone.names[company])
        self._write(company, _held_down(at_least, company), _held_down(at_most, company))

    def _gives_up(self, company: int, value: Ratio) -> bool:
        """Whether the fraction has grown so large that only bounds of it are kept; the work that it took is counted."""
        self.work += (1 + len(self.table.stakes[company])) * (value[1].bit_length() >> 6)
        # Reduced, so that it does not depend on the unit of this question.
        return self.work >= self.solver.limits.work or (value[1] > _LARGE and value[1] // gcd(*value) > _LARGE)

    def _write(self, company: int, at_least: Ratio, at_most: Ratio) -> None:
        view = self.view
        if view.y is view.x and at_least != at_most:
            view.y = list(view.x)
        view.x[company] = at_least
        view.y[company] = at_most

    def _tangle(self, members: list[int]) -> None:
        view = self.view
        names = tuple(self.cone.names[member] for member in members)
        solution = self._solution(names, members) if self.work < self.solver.limits.work else None
        if solution is None:
            solution = tangles.Solution(lower=[NONE] * len(members), upper=[ALL] * len(members), work=0)
        self.work += solution.work
        for member, at_least, at_most in zip(members, solution.lower, solution.upper, strict=True):
            if at_least != at_most:
                view.unsolved.add(names[0])
            self._write(member, at_least, at_most)

    def _solution(self, names: tuple[str, ...], members: list[int]) -> tangles.Solution:
        view = self.view
        key = (view.optimistic, names)
        kept = self.solver.solved if len(members) >= REMEMBERED_FROM else None
        found = None if kept is None else kept.get(key)
        if found is not None:
            return found
        solution = tangles.solve(self._equations(members, view.x), self.table.whole, self.solver.limits)
        if view.y is not view.x:
            above = tangles.solve(self._equations(members, view.y), self.table.whole, self.solver.limits)
            solution = tangles.Solution(lower=solution.lower, upper=above.upper, work=solution.work + above.work)
        if kept is not None:
            kept.keep(key, solution)
        return solution

    def _equations(self, members: list[int], values: list[Ratio]) -> list[tangles.Company]:
        places = {member: place for place, member in enumerate(members)}
        table = self.table
        companies = []
        for member in members:
            rest = table.rest[member] if self.view.optimistic and table.hidden[member] else 0
            hidden = table.hidden[member] if rest else ()
            companies.append(
                tangles.Company(
                    fixed=_summed(
                        [(units, *values[owner]) for owner, units in table.stakes[member] if owner not in places]
                    ),
                    links=[(places[owner], units) for owner, units in table.stakes[member] if owner in places],
                    rest=rest,
                    open_links=[(places[owner], units) for owner, units in hidden if owner in places],
                    open_fixed=[(values[owner], units) for owner, units in hidden if owner not in places],
                    capped=member in table.rounded_up,
                )
            )
        return companies


_BULKY: Final = 1 << 2_048
"""Denominators above this are no longer cheap, and counted as work."""

_LARGE: Final = 1 << 20_000
"""Denominators above this are given up for bounds: each further company would cost more than the one before."""

_FINE: Final = 1 << 256


def _rounded(value: Ratio, *, up: bool) -> Ratio:
    above, below = value
    return (-(-above * _FINE // below) if up else above * _FINE // below), _FINE


def _held_down(value: Ratio, company: int) -> Ratio:
    return ALL if value[0] > value[1] and company != _TARGET else value


def _owners(table: _Table, company: int) -> Iterator[int]:
    for owner, _ in table.stakes[company]:
        yield owner
    for owner, _ in table.hidden[company]:
        yield owner


def _weighted(table: _Table, x: list[Ratio], company: int, *, optimistic: bool) -> Ratio:
    """The sum of the shares in a company, each times the value of its owner."""
    terms = [(units, *x[owner]) for owner, units in table.stakes[company] if x[owner][0]]
    if optimistic and table.rest[company] and table.hidden[company]:
        left = table.rest[company]
        for owner, span in sorted(table.hidden[company], key=lambda one: Fraction(*x[one[0]]), reverse=True):
            if not left or not x[owner][0]:
                break
            terms.append((min(left, span), *x[owner]))
            left -= min(left, span)
    above, below = _summed(terms)
    return above, below * table.whole


def _summed(terms: list[tuple[int, int, int]]) -> Ratio:
    """The sum of (units, numerator, denominator)."""
    if not terms:
        return NONE
    common = max([below for _, _, below in terms])
    if any(common % below for _, _, below in terms):
        common = lcm(*[below for _, _, below in terms])
    return sum([units * above * (common // below) for units, above, below in terms]), common


def _upstream_first(cone: _Cone, table: _Table) -> list[list[int]]:
    """The groups of companies below seeds, each after those of its owners; a seed's own owners add nothing to it."""
    done = bytearray(seed is Seed.YES for seed in cone.seeds)
    return tangles.owners_first([_TARGET], lambda company: _owners(table, company), done)


# --- what to tell -----------------------------------------------------------------------------------------------------

_UNKNOWN: Final = "unknown"


def _holds_some(table: _Table, sure: _View) -> bool:
    return (
        sure.direct > 0
        or any(sure.counts[owner] for owner, _ in table.hidden[_TARGET])
        or bool(sure.y and sure.y[_TARGET][0])
    )


@dataclass(slots=True, kw_only=True)
class _Way:
    """How one method goes up: the owners that count, those to go on from, and those that nothing unknown changes."""

    counts: list[bool]
    passes: list[bool]
    settled: list[bool]


def _ways(cone: _Cone, view: _View, sure: _View, methods: tuple[str, ...]) -> Iterator[_Way]:
    """One way for each method that captures, or for all of the test where none does."""
    if "cascade" in methods or not methods:
        # A seed that is itself captured has owners that own the target too, and their listings may be stricter.
        yield _Way(counts=view.counts, passes=view.captured, settled=sure.captured)
    if view.y and ("look_through" in methods or not methods):
        counts = [above > 0 for above, _ in view.y]
        # A seed has all of its value by itself; what stands above it adds nothing.
        passes = [counted and seed is not Seed.YES for counted, seed in zip(counts, cone.seeds, strict=True)]
        yield _Way(counts=counts, passes=passes, settled=[above >= below for above, below in sure.x])


class _Trail:
    """The seeds and shares that a view rests on, gathered going up from the target."""

    def __init__(self, cone: _Cone, table: _Table, view: _View, methods: tuple[str, ...]) -> None:
        self.cone = cone
        self.table = table
        self.view = view
        self.methods = methods
        self.seeds: set[int] = set()
        self.unknown_seeds: set[int] = set()
        self.unknown_shares: set[tuple[str, str]] = set()
        self.steps: list[tuple[str, str, str]] = []

    def follow(self, sure: _View) -> None:
        """Go up from the target by every way of the view."""
        for way in _ways(self.cone, self.view, sure, self.methods):
            level, passed = {_TARGET}, {_TARGET}
            while level:
                level = self._climb(level, way) - passed
                passed |= level

    def _climb(self, level: set[int], way: _Way) -> set[int]:
        """Note the shares in the companies of a level; the companies to go on from."""
        steps: set[tuple[str, str, str]] = set()
        above: set[int] = set()
        for company in level:
            for owner, percent, is_open in self._shares(company):
                if not way.counts[owner]:
                    continue
                if len(self.steps) < MAX_STEPS:
                    steps.add((self.cone.names[owner], self.cone.names[company], percent))
                self._note_seed(owner, way)
                if is_open and not way.settled[company]:
                    self._note_unknown_shares(company)
                if way.passes[owner]:
                    above.add(owner)
        for step in sorted(steps):
            if len(self.steps) < MAX_STEPS and step not in self.steps:
                self.steps.append(step)
        return above

    def _note_seed(self, owner: int, way: _Way) -> None:
        if self.cone.seeds[owner] is Seed.YES:
            self.seeds.add(owner)
        elif self.view.seeds[owner] and not way.settled[owner]:
            self.seeds.add(owner)
            self.unknown_seeds.add(owner)

    def _note_unknown_shares(self, company: int) -> None:
        every = company in self.table.oversubscribed
        for holding in self.cone.holdings[company]:
            if every or _is_open(holding):
                self.unknown_shares.add((holding.owner, self.cone.names[company]))

    def _shares(self, company: int) -> Iterator[tuple[int, str, bool]]:
        """The owners with the percentage that they hold, a range or `unknown`, and whether more of it may come true.

        At its worst an open share is what the least ones leave, which may be nothing.
        """
        table = self.table
        room = bool(table.rest[company]) or not self.view.optimistic
        if company in table.ranged:
            yield from self._ranges(company, room=room)
            return
        sums: dict[int, int] = {}
        for owner, units in table.stakes[company]:
            sums[owner] = sums.get(owner, 0) + units
        for owner, units in sums.items():
            yield owner, _percent_text(units, table.places) if len(self.steps) < MAX_STEPS else "", False
        if room:
            for owner, _ in table.hidden[company]:
                yield owner, _UNKNOWN, True

    def _ranges(self, company: int, *, room: bool) -> Iterator[tuple[int, str, bool]]:
        sums: dict[int, Fraction] = {}
        for holding in self.cone.holdings[company]:
            owner = self.cone.numbers[holding.owner]
            low, high = _ends(holding)
            if low == high:
                sums[owner] = sums.get(owner, Fraction(0)) + Fraction(low)
            elif low or room:
                yield owner, _range_text(low, high), room
        for owner, percent in sums.items():
            if percent:
                yield owner, _percent_text(int(percent * 10**self.table.places), self.table.places), False


def _is_open(holding: Holding) -> bool:
    low, high = _ends(holding)
    return low < high


def _range_text(low: Decimal, high: Decimal) -> str:
    return _UNKNOWN if (low, high) == (_ZERO, _HUNDRED) else f"{_plain(low)} to {_plain(high)}"


def _plain(percent: Decimal) -> str:
    text = f"{percent:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _percent_text(units: int, places: int) -> str:
    whole, part = divmod(units, 10**places)
    return f"{whole}.{part:0{places}d}".rstrip("0").rstrip(".") if places else str(whole)
