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

Unknown is not zero. `surely` takes every unknown share as nothing. `possibly` takes the unknown shares of a company as
all that its known shares leave of 100, and gives that to whichever of their owners makes most of it; owners of unknown
standing are seeds then. When the known shares of one company total more than `OVERSUBSCRIBED`, the table is wrong
somewhere, and every share in it is unknown.

Everything is exact: percentages become integers of one unit for each question, and look-through values fractions. The
cost is linear in the shares above the target where these form no loop. A loop is solved by sparse elimination, whose
cost grows with the cube of its tangled core: tens of companies that own each other take milliseconds, several hundred
take long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from math import lcm
from typing import Final

OVERSUBSCRIBED: Final = Decimal("100.5")
"""Percent. Shares in one company that total more than this are not rounding; none of them is known then."""

MAX_STEPS: Final = 64
"""How many steps a capture tells, the nearest to the target first."""

_PERSON: Final = "person:"


class Seed(Enum):
    """Whether an owner is one whose shares count: listed, or headquartered where the test says."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A share in force in one organisation: `owner` is an organisation or `person:<id>`; percent `None` is unknown."""

    owner: str
    percent: Decimal | None


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
    every unknown share of a company in which one of them could matter, as each known one bounds the others.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The ultimate parent, `None` when unknown; `missing` has the unknown shares (owner, owned) that would tell."""

    organisation: str | None
    missing: tuple[tuple[str, str], ...]


HoldingsOf = Callable[[str], Sequence[Holding]]
SeedOf = Callable[[str], Seed]

_Ratio = tuple[int, int]
"""Numerator and positive denominator, not reduced: reducing costs more than it saves where nothing loops."""

_NONE: Final[_Ratio] = (0, 1)
_ALL: Final[_Ratio] = (1, 1)

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


def capture(target: str, holdings_of: HoldingsOf, seed_of: SeedOf, test: OwnershipTest) -> Capture:
    """What the ownership of `target` comes to under the test.

    `holdings_of` gives the shares in force in an organisation; several of one owner add. Only what stands above the
    target is asked for. Raises `ValueError` for a share that is negative or no number.
    """
    cone = _climb(target, holdings_of, seed_of)
    companies = _below_seeds(cone)
    if not companies:
        return _CLEAR
    table = _table(cone, companies)
    groups = _upstream_first(cone, table) if test.look_through else []
    sure = _view(cone, table, groups, test, optimistic=False)
    worst = None
    if not sure.methods and _anything_unknown(cone, table):
        worst = _view(cone, table, groups, test, optimistic=True)
    possible = worst is not None and bool(worst.methods)
    minority = not sure.methods and not possible and _holds_some(table, sure)
    told = worst if worst is not None and possible else sure
    trail = _Trail(cone, table, told)
    if told.methods or minority:
        trail.follow(sure)
    return Capture(
        surely=bool(sure.methods),
        possibly=bool(sure.methods) or possible,
        minority=minority,
        cascade_percent=Decimal(_percent_text(sure.direct, table.places)),
        look_through_percent=100 * Fraction(*sure.x[_TARGET]) if test.look_through else Fraction(0),
        owners=tuple(sorted(cone.names[owner] for owner in trail.seeds)),
        steps=tuple(sorted(trail.steps)),
        methods=told.methods,
        unknown_shares=tuple(sorted(trail.unknown_shares)) if possible else (),
        unknown_seeds=tuple(sorted(cone.names[owner] for owner in trail.unknown_seeds)) if possible else (),
    )


def ultimate_parent(target: str, holdings_of: HoldingsOf) -> Parent:
    """Follow the organisation that holds more than 50 percent, until there is none.

    Natural persons are not followed, and a loop stops where it closes. Unknown where an unknown share of an
    organisation could be more than 50 percent, and where rounding gives two owners more than 50.
    """
    company, passed = target, {target}
    while True:
        known, unknown = _majority_table(holdings_of(company))
        held = sum(known.values(), Fraction(0))
        open_to = {owner for owner in unknown if 100 - (held - known.get(owner, Fraction(0))) > 50}
        holders = sorted(owner for owner, percent in known.items() if percent > 50)
        if len(holders) > 1:
            return Parent(organisation=None, missing=tuple((owner, company) for owner in holders))
        if any(not owner.startswith(_PERSON) and owner not in holders for owner in open_to):
            return Parent(organisation=None, missing=tuple((owner, company) for owner in sorted(unknown)))
        if not holders or holders[0].startswith(_PERSON) or holders[0] in passed:
            return Parent(organisation=company, missing=())
        company = holders[0]
        passed.add(company)


def _majority_table(holdings: Iterable[Holding]) -> tuple[dict[str, Fraction], set[str]]:
    """The known percent of each owner, and the owners with an unknown share."""
    known: dict[str, Fraction] = {}
    unknown: set[str] = set()
    for holding in holdings:
        if holding.percent is None:
            unknown.add(holding.owner)
        else:
            known[holding.owner] = known.get(holding.owner, Fraction(0)) + Fraction(*_ratio(holding.percent))
    if sum(known.values(), Fraction(0)) > Fraction(OVERSUBSCRIBED):
        return {}, unknown | known.keys()
    return known, unknown


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


def _climb(target: str, holdings_of: HoldingsOf, seed_of: SeedOf) -> _Cone:
    cone = _Cone(names=[target], numbers={}, seeds=[Seed.NO], holdings=[()], owned=[[]])
    names, numbers, owned = cone.names, cone.numbers, cone.owned
    pending = [_TARGET]
    while pending:
        company = pending.pop()
        holdings = cone.holdings[company] = holdings_of(names[company])
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

    `stakes` (owner, units) and `hidden` (owners of unknown shares) leave out harmless owners, those that are no seed
    and below none; `held` and `held_hidden` are the same from the owner's side. `rest` is what the known shares of a
    company, those of harmless owners too, leave to the unknown ones.
    """

    places: int
    whole: int
    companies: list[int]
    stakes: list[list[tuple[int, int]]]
    hidden: list[list[int]]
    held: list[list[tuple[int, int]]]
    held_hidden: list[list[int]]
    rest: list[int]
    rounded_up: set[int]
    oversubscribed: set[int]


def _ratio(percent: Decimal) -> tuple[int, int]:
    """The percentage as a reduced fraction; raises `ValueError` where it is negative or no number."""
    if not percent.is_finite() or percent < 0:
        raise ValueError(f"share of `{percent}` percent is negative or no number")
    return percent.as_integer_ratio()


def _units(cone: _Cone, companies: list[int]) -> tuple[dict[Decimal, int], int]:
    """Every percentage as an integer, and how many decimal places that took."""
    ratios = {
        percent: _ratio(percent)
        for company in companies
        for holding in cone.holdings[company]
        if (percent := holding.percent) is not None
    }
    denominator, places = lcm(*{below for _, below in ratios.values()}), 0
    while 10**places % denominator:
        places += 1
    return {percent: above * (10**places // below) for percent, (above, below) in ratios.items()}, places


def _table(cone: _Cone, companies: list[int]) -> _Table:
    units, places = _units(cone, companies)
    whole = 100 * 10**places
    limit = Fraction(OVERSUBSCRIBED) * 10**places
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
    )
    matters = bytearray(seed is not Seed.NO for seed in cone.seeds)
    for company in companies:
        matters[company] = 1
    for company in companies:
        holdings = cone.holdings[company]
        total = sum([units[holding.percent] for holding in holdings if holding.percent is not None])
        void = False
        if total <= whole:
            table.rest[company] = whole - total
        elif total <= limit:
            table.rounded_up.add(company)
        else:
            void = True
            table.oversubscribed.add(company)
            table.rest[company] = whole
        for holding in holdings:
            owner = cone.numbers[holding.owner]
            if not matters[owner]:
                continue
            if void or holding.percent is None:
                table.hidden[company].append(owner)
                table.held_hidden[owner].append(company)
            elif share := units[holding.percent]:
                table.stakes[company].append((owner, share))
                table.held[owner].append((company, share))
    return table


def _anything_unknown(cone: _Cone, table: _Table) -> bool:
    return any(seed is Seed.UNKNOWN for seed in cone.seeds) or any(
        table.hidden[company] and table.rest[company] for company in table.companies
    )


# --- the two measures -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _View:
    """The measures on what is known, or, `optimistic`, with what is unknown taken at its worst.

    `counts`: seeds and companies captured by cascade. `captured`: by cascade, whatever the company's own status.
    `direct`: units that owners that count hold in the target. `x`: look-through values, empty where the test does not
    look through; the target's own is not held down to 1.
    """

    optimistic: bool
    seeds: list[bool]
    counts: list[bool]
    captured: list[bool]
    direct: int
    x: list[_Ratio]
    methods: tuple[str, ...]


def _view(cone: _Cone, table: _Table, groups: list[list[int]], test: OwnershipTest, *, optimistic: bool) -> _View:
    above, below = test.threshold.as_integer_ratio()
    # The least number of units that captures.
    quotient, remainder = divmod(above * table.whole, 100 * below)
    least = quotient + 1 if test.strict or remainder else quotient
    seeds = [seed is Seed.YES or (optimistic and seed is Seed.UNKNOWN) for seed in cone.seeds]
    counts, captured = list(seeds), [False] * len(seeds)
    sums = [0] * len(seeds)
    topped_up = bytearray(len(seeds))
    pending = [owner for owner, counted in enumerate(counts) if counted]
    while pending:
        owner = pending.pop()
        gains = table.held[owner]
        if optimistic and table.held_hidden[owner]:
            fresh = {company for company in table.held_hidden[owner] if not topped_up[company]}
            gains = [*gains, *((company, table.rest[company]) for company in fresh)]
            for company in fresh:
                topped_up[company] = 1
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
        methods=("cascade",) if captured[_TARGET] else (),
    )
    if test.look_through:
        view.x = _look_through(table, groups, view)
        share, of = view.x[_TARGET]
        if (100 * share * below > above * of) if test.strict else (100 * share * below >= above * of):
            view.methods = (*view.methods, "look_through")
    return view


def _look_through(table: _Table, groups: list[list[int]], view: _View) -> list[_Ratio]:
    x = [_ALL if seed else _NONE for seed in view.seeds]
    for group in groups:
        company = group[0]
        if len(group) > 1 or any(owner == company for owner in _owners(table, company)):
            members = [member for member in group if not view.seeds[member]]
            if members:
                _Loop(members, table, x, optimistic=view.optimistic).settle()
        elif not view.seeds[company]:
            above, below = _weighted(table, x, company, optimistic=view.optimistic)
            x[company] = _ALL if above > below and company != _TARGET else (above, below)
    return x


def _owners(table: _Table, company: int) -> Iterator[int]:
    for owner, _ in table.stakes[company]:
        yield owner
    yield from table.hidden[company]


def _weighted(table: _Table, x: list[_Ratio], company: int, *, optimistic: bool) -> _Ratio:
    """The sum of the shares in a company, each times the value of its owner."""
    terms = [(units, *x[owner]) for owner, units in table.stakes[company] if x[owner][0]]
    if optimistic and table.rest[company] and table.hidden[company]:
        terms.append((table.rest[company], *max((x[owner] for owner in table.hidden[company]), key=_size)))
    if not terms:
        return _NONE
    common = max(below for _, _, below in terms)
    if any(common % below for _, _, below in terms):
        common = lcm(*(below for _, _, below in terms))
    return sum(units * above * (common // below) for units, above, below in terms), common * table.whole


def _size(ratio: _Ratio) -> Fraction:
    return Fraction(*ratio)


def _upstream_first(cone: _Cone, table: _Table) -> list[list[int]]:
    """Companies that own each other in a loop together, every group after the groups of its owners (Tarjan 1972)."""
    size = len(cone.names)
    order, low = [0] * size, [0] * size
    done = bytearray(seed is Seed.YES for seed in cone.seeds)
    groups: list[list[int]] = []
    open_companies: list[int] = []
    clock = 1
    order[_TARGET] = low[_TARGET] = clock
    open_companies.append(_TARGET)
    path = [(_TARGET, _owners(table, _TARGET))]
    while path:
        company, owners = path[-1]
        for owner in owners:
            if done[owner]:
                continue
            if order[owner]:
                low[company] = min(low[company], order[owner])
                continue
            clock += 1
            order[owner] = low[owner] = clock
            open_companies.append(owner)
            path.append((owner, _owners(table, owner)))
            break
        else:
            path.pop()
            if path:
                below = path[-1][0]
                low[below] = min(low[below], low[company])
            if low[company] == order[company]:
                group: list[int] = []
                while not group or group[-1] != company:
                    group.append(open_companies.pop())
                    done[group[-1]] = 1
                groups.append(group)
    return groups


class _Loop:
    """Companies that own each other; the values of all other owners are known.

    Two things make the equations more than linear, and each is settled by improving a policy, which ends and is exact:

    - The unknown shares of a company go to the one of their owners with the greatest value. Start with choices that
      lead to a seed and change one only for a strictly greater value: values never fall, and no choice can close a
      circle that feeds on itself alone.
    - A value is at most 1. Only a company whose shares total more than 100 by rounding can pass that. Start with all
      of them at 1 and let go of those whose owners give less.

    A company that no seed feeds has 0 and leaves the system first; what remains then has exactly one solution.
    """

    def __init__(self, members: list[int], table: _Table, x: list[_Ratio], *, optimistic: bool) -> None:
        self.table = table
        self.x = x
        self.inside = set(members)
        self.choosers = (
            [member for member in members if table.hidden[member] and table.rest[member]] if optimistic else []
        )
        self.choice: dict[int, int] = {}

    def settle(self) -> None:
        """Write the value of every member."""
        self._drop_unfed()
        values: dict[int, Fraction] = {}
        improved = True
        while improved:
            values = self._capped()
            improved = False
            for company in self.choosers:
                chosen = self.choice.get(company)
                value = Fraction(0) if chosen is None else self._value(chosen, values)
                for owner in self.table.hidden[company]:
                    if self._value(owner, values) > value:
                        self.choice[company], value, improved = owner, self._value(owner, values), True
        for company, value in values.items():
            self.x[company] = value.as_integer_ratio()

    def _value(self, owner: int, values: dict[int, Fraction]) -> Fraction:
        found = values.get(owner)
        return Fraction(*self.x[owner]) if found is None else found

    def _drop_unfed(self) -> None:
        """Keep the members that a seed feeds, and choose for each of them an owner that leads to one."""
        choosers = set(self.choosers)
        queue: list[int] = []
        for company in self.inside:
            outside = [owner for owner, _ in self.table.stakes[company] if owner not in self.inside]
            hidden = [owner for owner in self.table.hidden[company] if owner not in self.inside and self.x[owner][0]]
            if company in choosers and hidden:
                self.choice[company] = hidden[0]
            if company in self.choice or any(self.x[owner][0] for owner in outside):
                queue.append(company)
        fed = set(queue)
        for owner in queue:
            for company, _ in self.table.held[owner]:
                if company in self.inside and company not in fed:
                    fed.add(company)
                    queue.append(company)
            for company in self.table.held_hidden[owner]:
                if company in choosers and company in self.inside and company not in fed:
                    self.choice[company] = owner
                    fed.add(company)
                    queue.append(company)
        self.inside = fed
        self.choosers = [company for company in self.choosers if company in fed]

    def _capped(self) -> dict[int, Fraction]:
        """The values under the choices made, none above 1."""
        full = self.inside & self.table.rounded_up
        values = _solve(*self._equations(full))
        while full:
            constants, weights = self._equations(set())
            less = {
                company
                for company in full
                if constants[company] + sum(weight * values[owner] for owner, weight in weights[company].items()) < 1
            }
            if not less:
                break
            full -= less
            values = _solve(*self._equations(full))
        return values

    def _equations(self, full: set[int]) -> tuple[dict[int, Fraction], dict[int, dict[int, Fraction]]]:
        """For each member the part that outside owners give it, and the weights of its inside owners."""
        constants: dict[int, Fraction] = {}
        weights: dict[int, dict[int, Fraction]] = {}
        for company in self.inside:
            if company in full:
                constants[company], weights[company] = Fraction(1), {}
                continue
            shares = list(self.table.stakes[company])
            if company in self.choice:
                shares.append((self.choice[company], self.table.rest[company]))
            constant, row = Fraction(0), dict[int, Fraction]()
            for owner, units in shares:
                weight = Fraction(units, self.table.whole)
                if owner in self.inside:
                    row[owner] = row.get(owner, Fraction(0)) + weight
                else:
                    constant += weight * Fraction(*self.x[owner])
            constants[company], weights[company] = constant, row
        return constants, weights


def _solve(constants: dict[int, Fraction], weights: dict[int, dict[int, Fraction]]) -> dict[int, Fraction]:
    """The solution of x = constants + weights * x, where there is one and none is negative; consumes its arguments.

    Elimination by substitution, the company with the fewest links first. Nothing is ever subtracted but a loop's own
    weight from 1, which stays positive while a constant above 0 feeds every company.
    """
    users: dict[int, set[int]] = {company: set() for company in constants}
    for company, row in weights.items():
        for owner in row:
            users[owner].add(company)
    values: dict[int, Fraction] = {}
    left, substituted = set(constants), list[int]()
    while left:
        company = min(left, key=lambda one: ((len(users[one]) + 1) * (len(weights[one]) + 1), one))
        left.remove(company)
        substituted.append(company)
        row = weights[company]
        own = row.pop(company, None)
        users[company].discard(company)
        if own is not None:
            constants[company] /= 1 - own
            for owner in row:
                row[owner] /= 1 - own
        for owner in row:
            users[owner].discard(company)
        for user in users[company]:
            weight = weights[user].pop(company)
            constants[user] += weight * constants[company]
            for owner, share in row.items():
                weights[user][owner] = weights[user].get(owner, Fraction(0)) + weight * share
                users[owner].add(user)
    for company in reversed(substituted):
        values[company] = constants[company] + sum(share * values[owner] for owner, share in weights[company].items())
    return values


# --- what to tell -----------------------------------------------------------------------------------------------------

_UNKNOWN: Final = "unknown"


def _holds_some(table: _Table, sure: _View) -> bool:
    return (
        sure.direct > 0
        or any(sure.counts[owner] for owner in table.hidden[_TARGET])
        or bool(sure.x and sure.x[_TARGET][0])
    )


@dataclass(slots=True, kw_only=True)
class _Way:
    """How one method goes up: the owners that count, those to go on from, and those that nothing unknown changes."""

    counts: list[bool]
    passes: list[bool]
    settled: list[bool]


def _ways(cone: _Cone, view: _View, sure: _View) -> Iterator[_Way]:
    """One way for each method that captures, or for all of the test where none does."""
    if "cascade" in view.methods or not view.methods:
        # A seed that is itself captured has owners that own the target too, and their listings may be stricter.
        yield _Way(counts=view.counts, passes=view.captured, settled=sure.captured)
    if view.x and ("look_through" in view.methods or not view.methods):
        counts = [above > 0 for above, _ in view.x]
        # A seed has all of its value by itself; what stands above it adds nothing.
        passes = [counted and seed is not Seed.YES for counted, seed in zip(counts, cone.seeds, strict=True)]
        yield _Way(counts=counts, passes=passes, settled=[above >= below for above, below in sure.x])


class _Trail:
    """The seeds and shares that a view rests on, gathered going up from the target."""

    def __init__(self, cone: _Cone, table: _Table, view: _View) -> None:
        self.cone = cone
        self.table = table
        self.view = view
        self.seeds: set[int] = set()
        self.unknown_seeds: set[int] = set()
        self.unknown_shares: set[tuple[str, str]] = set()
        self.steps: list[tuple[str, str, str]] = []

    def follow(self, sure: _View) -> None:
        """Go up from the target by every way of the view."""
        for way in _ways(self.cone, self.view, sure):
            level, passed = {_TARGET}, {_TARGET}
            while level:
                level = self._climb(level, way) - passed
                passed |= level

    def _climb(self, level: set[int], way: _Way) -> set[int]:
        """Note the shares in the companies of a level; the companies to go on from."""
        steps: set[tuple[str, str, str]] = set()
        above: set[int] = set()
        for company in level:
            for owner, percent in self._shares(company):
                if not way.counts[owner]:
                    continue
                steps.add((self.cone.names[owner], self.cone.names[company], percent))
                self._note_seed(owner, way)
                if percent == _UNKNOWN and not way.settled[company]:
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
            if every or holding.percent is None:
                self.unknown_shares.add((holding.owner, self.cone.names[company]))

    def _shares(self, company: int) -> Iterator[tuple[int, str]]:
        """The owners that are no harmless ones, with the percentage that they hold or `unknown`."""
        sums: dict[int, int] = {}
        for owner, units in self.table.stakes[company]:
            sums[owner] = sums.get(owner, 0) + units
        for owner, units in sums.items():
            yield owner, _percent_text(units, self.table.places)
        # At its worst an unknown share is what the known ones leave, which may be nothing.
        if self.table.rest[company] or not self.view.optimistic:
            for owner in self.table.hidden[company]:
                yield owner, _UNKNOWN


def _percent_text(units: int, places: int) -> str:
    whole, part = divmod(units, 10**places)
    return f"{whole}.{part:0{places}d}".rstrip("0").rstrip(".") if places else str(whole)
