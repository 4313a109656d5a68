"""The ownership facts of one organisation as a decision asks them: every ownership word of every test of the book.

`python -m benchmarks.facts [--sizes 1000 10000] [--questions 500]`. The registers are those of `benchmarks.ownership`,
read as a roster with organisations, dated stakes and listings; every organisation is asked for the first time, so that
nothing is remembered from before.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.ownership import Register, cone_size, draw
from policy_engine.domain.facts import derive
from policy_engine.domain.instants import Validity, parse_instant
from policy_engine.domain.ownership import Seed
from policy_engine.domain.request import Action, Caller, Place, Request, Subject, SubjectType
from policy_engine.domain.roster import Listing, ListingStatus, Organisation, PersonEntry, Roster, RosterRows, Stake
from policy_engine.domain.rules import Book
from policy_engine.domain.words import ask
from policy_engine.policy.reader import read_book, read_folder

POLICIES: Final = Path(__file__).parent.parent / "policies"
AT: Final = parse_instant("2026-11-20T12:00:00Z")
SINCE: Final = Validity(start=parse_instant("2020-01-01"))
HEADQUARTERS: Final = {Seed.YES: "CN", Seed.NO: "DE", Seed.UNKNOWN: None}


def roster_of(register: Register) -> Roster:
    """The register as the members have it."""
    people = sorted(
        {one.owner for held in register.holdings.values() for one in held if one.owner.startswith("person:")}
    )
    return Roster.as_known(
        RosterRows(
            organisations=tuple(
                Organisation(
                    id=name,
                    incorporated="DE",
                    headquarters=HEADQUARTERS[register.headquartered.get(name, Seed.NO)],
                    reseller=False,
                )
                for name in register.holdings
            ),
            people=tuple(PersonEntry(id=name.partition(":")[2]) for name in people),
            stakes=tuple(
                Stake(owner=one.owner, owned=owned, percent=one.percent, valid=SINCE)
                for owned, held in register.holdings.items()
                for one in held
            ),
            listings=tuple(
                Listing(
                    party=party,
                    list="SDN" if index % 2 else "EL",
                    entry="an entry",
                    entry_version="1",
                    reference=None,
                    status=ListingStatus.CONFIRMED,
                    valid=SINCE,
                )
                for index, party in enumerate(sorted(register.listed))
            ),
        )
    )


def facts_of(name: str, roster: Roster, book: Book) -> None:
    """Every ownership word of every test, for an organisation as such."""
    request = Request(
        subject=Subject(type=SubjectType.ORGANISATION, id=name),
        model="opus-4.6",
        action=Action.INFER,
        place=Place(country="DE"),
    )
    (party,) = derive(request, roster, book, Caller(id="benchmark"), AT).parties
    for test in book.tables.ownership:
        for word in ("owned", "owned-unresolved", "owned-minority"):
            ask(party, word, test)


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--questions", type=int, default=500)
    options = parser.parse_args(arguments)
    book = read_book(read_folder(POLICIES))
    sys.stdout.write(f"{len(book.tables.ownership)} tests with 3 words each\n")
    sys.stdout.write("organisations    edges  cone mean    max   p50 ms   p99 ms   max ms\n")
    for size in options.sizes:
        register = draw(size, seed=1)
        roster = roster_of(register)
        gc.collect()
        gc.freeze()
        targets = random.Random(1).sample(sorted(register.holdings), min(options.questions, size))
        cones = [cone_size(register, target) for target in targets]
        times = []
        for target in targets:
            start = time.perf_counter_ns()
            facts_of(target, roster, book)
            times.append((time.perf_counter_ns() - start) / 1e6)
        times.sort()
        sys.stdout.write(
            f"{size:13,} {register.edges:8,} {statistics.mean(cones):10.0f} {max(cones):6,} "
            f"{statistics.median(times):8.3f} {times[len(times) * 99 // 100]:8.3f} {times[-1]:8.3f}\n"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
