"""How long one ownership question takes, uncached, as the register grows.

Run as `python -m benchmarks.ownership`. Every register is drawn from a seed: organisations stand in 12 layers, each
is held by one to five owners (three on the whole), half of them natural persons and half organisations of the layer
above, most of them near by as in a group of companies; two in a hundred are also held by a company below them, which
makes loops. Shares are splits of 100 percent to two decimals; a few are unknown, and so are a few headquarters.

Below that stands a second table, of tangles: companies that all stand above each other. The cores are drawn like the
tangled core of the world's corporate ownership (1,347 companies with 12,191 links, Vitali, Glattfelder and Battiston,
PLoS ONE 2011): a ring, and eight more owners of each company with small shares. In the keiretsu every company holds one
percent of every other one. What counts is one owner outside. The first question solves the tangle; those about other
companies of it take the solution as it is. Work is counted, not timed (`domain.tangles`).

A cone is what stands above one organisation. The times are of whole calls of `capture`, with the register in memory and
frozen, so that the garbage collector does not walk it in the middle of a question.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from time import perf_counter_ns

from policy_engine.domain.ownership import Capture, Holding, OwnershipTest, Seed, capture
from policy_engine.domain.tangles import Solution

LAYERS = 12
NEAR = 12
CASCADE = OwnershipTest(name="cascade", threshold=Decimal(50), strict=False, cascade=True, look_through=False)
BOTH = OwnershipTest(name="both", threshold=Decimal(50), strict=True, cascade=True, look_through=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """A drawn register: the shares in each organisation, the listed owners, and headquarters as seeds."""

    holdings: dict[str, list[Holding]]
    listed: dict[str, Seed]
    headquartered: dict[str, Seed]

    @property
    def edges(self) -> int:
        return sum(map(len, self.holdings.values()))


def draw(organisations: int, *, seed: int, people_share: float = 0.5) -> Register:
    """A register of so many organisations; the same seed draws the same one."""
    dice = random.Random(seed)
    width = -(-organisations // LAYERS)
    layers = [
        [f"org-{number}" for number in range(start, min(start + width, organisations))]
        for start in range(0, organisations, width)
    ]
    holdings: dict[str, list[Holding]] = {}
    people = 0
    for depth, layer in enumerate(layers):
        for place, name in enumerate(layer):
            owners: list[str] = []
            for _ in range(dice.choices((1, 2, 3, 4, 5), (15, 25, 25, 20, 15))[0]):
                if depth == 0 or dice.random() < people_share:
                    people += 1
                    owners.append(f"person:{people}")
                else:
                    owners.append(_near(dice, layers[depth - 1], place))
            if depth < len(layers) - 1 and dice.random() < 0.02:
                owners.append(_near(dice, layers[depth + 1], place))
            holdings[name] = _split(dice, owners)
    owners = [*holdings, *(f"person:{number}" for number in range(1, people + 1))]
    return Register(
        holdings=holdings,
        listed={owner: Seed.YES for owner in owners if dice.random() < 0.005},
        headquartered={name: dice.choices((Seed.YES, Seed.UNKNOWN, Seed.NO), (8, 1, 91))[0] for name in holdings},
    )


def _near(dice: random.Random, layer: Sequence[str], place: int) -> str:
    if dice.random() < 0.03:
        return dice.choice(layer)
    return layer[(place + dice.randint(-NEAR, NEAR)) % len(layer)]


def _split(dice: random.Random, owners: Sequence[str]) -> list[Holding]:
    """Shares that add to 100 percent exactly; one in fifty is unknown."""
    cuts = sorted(dice.randint(0, 10_000) for _ in owners[1:])
    shares = [high - low for low, high in zip([0, *cuts], [*cuts, 10_000], strict=True)]
    return [
        Holding(owner=owner, percent=None if dice.random() < 0.02 else Decimal(share) / 100)
        for owner, share in zip(owners, shares, strict=True)
    ]


def cone_size(register: Register, target: str) -> int:
    """How many organisations and people stand above the target, itself included."""
    met, pending = {target}, [target]
    while pending:
        for holding in register.holdings.get(pending.pop(), ()):
            if holding.owner not in met:
                met.add(holding.owner)
                pending.append(holding.owner)
    return len(met)


def measure(targets: Sequence[str], ask: Callable[[str], Capture]) -> tuple[list[float], int]:
    """Milliseconds of each call, ascending, and how many of the targets are captured."""
    times: list[float] = []
    captured = 0
    for target in targets:
        start = perf_counter_ns()
        result = ask(target)
        times.append((perf_counter_ns() - start) / 1e6)
        captured += result.surely
    return sorted(times), captured


FUND = "fund"
TANGLES = {"core-120": 120, "core-300": 300, "core-1347": 1_347, "keiretsu-60": 60}
CORE_OWNERS = 9
"""12,191 links of 1,347 companies are nine of each, and sixty-eight more."""


def tangle(name: str, *, seed: int = 1) -> dict[str, list[Holding]]:
    """The shares in each company of a tangle of that shape; the same seed draws the same one."""
    dice = random.Random(seed)
    size = TANGLES[name]
    names = [f"{name}-{place}" for place in range(size)]
    if name.startswith("keiretsu"):
        holdings = {
            company: [Holding(owner=owner, percent=Decimal(1)) for owner in names if owner != company]
            for company in names
        }
        holdings[names[0]].append(Holding(owner=FUND, percent=Decimal(3)))
        return holdings
    holdings = {}
    for place, company in enumerate(names):
        others = dice.sample([one for one in range(size) if one not in (place, place - 1)], CORE_OWNERS - 1)
        shares = [Holding(owner=names[place - 1], percent=Decimal(5))]
        shares += [Holding(owner=names[other], percent=Decimal(dice.randint(1, 12)) / 2) for other in others]
        holdings[company] = shares
    for place in dice.sample(range(size), 68) if size == 1_347 else ():
        held = {holding.owner for holding in holdings[names[place]]}
        owner = next(one for one in names if one != names[place] and one not in held)
        holdings[names[place]].append(Holding(owner=owner, percent=Decimal("0.5")))
    holdings[names[0]].append(Holding(owner=FUND, percent=Decimal(3)))
    return holdings


class Kept:
    """Solutions of tangles, kept as a roster keeps them, and the work that each took."""

    def __init__(self) -> None:
        self.held: dict[tuple[bool, tuple[str, ...]], Solution] = {}

    def get(self, key: tuple[bool, tuple[str, ...]]) -> Solution | None:
        """The solution, if it is kept."""
        return self.held.get(key)

    def keep(self, key: tuple[bool, tuple[str, ...]], solution: Solution) -> None:
        """Keep it."""
        self.held[key] = solution


def tangles(questions: int) -> None:
    """Print the table of tangles."""
    print("\ntangle         companies   links  first ms   p50 ms   p99 ms        work  solved")
    for name, size in TANGLES.items():
        holdings = tangle(name)
        kept = Kept()
        gc.collect()
        gc.freeze()

        def ask(target: str, holdings: dict[str, list[Holding]] = holdings, kept: Kept = kept) -> Capture:
            return capture(
                target,
                lambda owned: holdings.get(owned, ()),
                lambda owner: Seed.YES if owner == FUND else Seed.NO,
                BOTH,
                solved=kept,
            )

        first, _ = measure(list(holdings)[:1], ask)
        times, _ = measure((list(holdings)[1:] * questions)[:questions], ask)
        (solution,) = kept.held.values()
        links = sum(map(len, holdings.values()))
        print(
            f"{name:14} {size:9,} {links:7,} {first[0]:9.1f} {statistics.median(times):8.1f}"
            f" {times[len(times) * 99 // 100]:8.1f} {solution.work:11,}  {'exactly' if solution.exact else 'bounds'}"
        )


def main(arguments_given: Sequence[str]) -> None:
    """Print the growth table."""
    parser = argparse.ArgumentParser(description="Time of one ownership question as the register grows.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="organisations")
    parser.add_argument("--questions", type=int, default=1_000, help="organisations asked about, for each size")
    parser.add_argument("--people", type=float, default=0.5, help="share of natural persons among owners; less tangles")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tangles", type=int, default=200, help="companies asked about in each tangle; 0 for none")
    arguments = parser.parse_args(arguments_given)
    print("organisations    edges  cone mean    max  test     captured   p50 ms   p99 ms   max ms")
    for size in arguments.sizes:
        register = draw(size, seed=arguments.seed, people_share=arguments.people)
        names = list(register.holdings)
        gc.collect()
        gc.freeze()
        targets = random.Random(arguments.seed).sample(names, min(arguments.questions, len(names)))
        cones = [cone_size(register, target) for target in targets]
        for test, seeds in ((CASCADE, register.listed), (BOTH, register.headquartered)):

            def ask(
                target: str, test: OwnershipTest = test, seeds: dict[str, Seed] = seeds, register: Register = register
            ) -> Capture:
                return capture(
                    target,
                    lambda owned: register.holdings.get(owned, ()),
                    lambda owner: seeds.get(owner, Seed.NO),
                    test,
                )

            times, captured = measure(targets, ask)
            p99 = times[min(len(times) - 1, len(times) * 99 // 100)]
            print(
                f"{size:13,} {register.edges:8,} {statistics.mean(cones):10.0f} {max(cones):6,}  {test.name:8}"
                f" {captured:8,} {statistics.median(times):8.3f} {p99:8.3f} {times[-1]:8.3f}"
            )
    if arguments.tangles:
        tangles(arguments.tangles)


if __name__ == "__main__":
    main(sys.argv[1:])
