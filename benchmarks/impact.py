"""What another book would change: records judged a second by the old and the new book, and standing access.

`python -m benchmarks.impact [--records 5000]`. Everybody on the demonstration roster asks for every model from every
one of so many postcodes that no two requests are the same; then the same few requests come again and again. The new
book has one more order.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from policy_engine.decision.conclude import Basis, conclude
from policy_engine.domain.instants import Validity, parse_instant
from policy_engine.domain.request import Action, Caller, Place, Request, Subject, SubjectType
from policy_engine.domain.roster import Roster
from policy_engine.domain.rules import ANYTHING, FACETS, Book, Condition, Term
from policy_engine.formats.membership_file import read_members
from policy_engine.formats.record import encode_answer, encode_facts, encode_record
from policy_engine.formats.record_reader import read_record
from policy_engine.policy.judge import Judge
from policy_engine.policy.reader import fingerprint_of, read_book, read_folder
from policy_engine.service.administration.impact import impact, standing_access
from policy_engine.service.audit.replay import replay

POLICIES: Final = Path(__file__).parent.parent / "policies"
AT: Final = parse_instant("2026-11-20T12:00:00Z")
EFFECTIVE: Final = parse_instant("2026-12-01T00:00:00Z")
CALLER: Final = Caller(id="benchmark", gateway="main")
MODEL: Final = "opus-4.6"


def with_order(book: Book) -> Book:
    """The book with the order of June 2026 again, for another model."""
    june = next(row for row in book.rows if row.id == "US-COM-2026-06-12")
    item = Condition(alternatives=((Term(word="model", parameter=MODEL),),))
    facets = tuple(item if name == "item" else facet for name, facet in zip(FACETS, june.facets, strict=True))
    order = replace(
        june, id="US-COM-2026-12-01", facets=facets, unless=ANYTHING, valid=Validity(start=EFFECTIVE), suspended=()
    )
    rows = (*book.rows, order)
    return replace(book, rows=rows, fingerprint=fingerprint_of(rows, book.tables, book.settings, book.matcher))


def requests(judge: Judge, roster: Roster) -> Iterator[Request]:
    """Requests of which no two are the same."""
    models = sorted(name for name, entry in judge.book.tables.catalogue.entries.items() if entry.kind.value == "model")
    for postcode in range(1000, 100_000):
        for person in sorted(roster.people):
            for model in models:
                yield Request(
                    subject=Subject(type=SubjectType.PERSON, id=person),
                    model=model,
                    action=Action.INFER,
                    purpose="defensive_cybersecurity",
                    place=Place(country="US", postcode=str(postcode)),
                )


class Past:
    """One roster, one judge and no closed review."""

    def __init__(self, roster: Roster, held: Judge) -> None:
        self._roster, self._held = roster, held

    def roster(self, _: int) -> Roster:
        return self._roster

    def judge(self, _: str, __: int) -> Judge:
        return self._held

    def closings(self, _: int) -> dict[str, int]:
        return {}

    def until(self, _: int, __: datetime) -> datetime | None:
        return None

    def by_instants(self, _fingerprint: str, _epoch: int, _at: datetime) -> tuple[Judge | None, datetime | None] | None:
        return None


def record_of(judge: Judge, roster: Roster, request: Request, number: int) -> bytes:
    """The body of the record of a decision."""
    basis = Basis(judge=judge, roster=roster, closings={}, epoch=1)
    told = conclude(request, CALLER, basis, decision_id=f"01B{number:023}", at=AT)
    return encode_record(told.decision, encode_facts(told.parties), encode_answer(told.decision))


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=5000, help="how many records are judged")
    count = parser.parse_args(arguments).records
    old = Judge(read_book(read_folder(POLICIES)))
    new = Judge(with_order(old.book))
    rows = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")
    roster = Roster.as_known(rows, revision=1)
    nobody = Roster.as_known(replace(rows, people=(), accounts=()))
    bodies = [record_of(old, roster, one, n) for n, one in enumerate(islice(requests(old, roster), count))]

    def line(what: str, done: int, start: float) -> None:
        took = time.perf_counter() - start
        sys.stdout.write(f"{what:<46} {done:>8} {took:8.2f} s {done / took:10.0f} /s\n")

    start = time.perf_counter()
    for body in bodies:
        read_record(body)
    line("records read", count, start)
    past = Past(roster, old)
    start = time.perf_counter()
    same = sum(replay(read_record(body), body, past).same is True for body in bodies)
    line(f"records replayed, {same} to the same bytes", count, start)
    for what, some in (("no two requests the same", bodies), ("requests that come again", bodies[:50])):
        start = time.perf_counter()
        impact(new, old, islice(cycle(some), count), past.roster, effective=EFFECTIVE, roster_now=nobody)
        line(f"impact, {what}", count, start)
    start = time.perf_counter()
    standing = standing_access(new, old, roster, at=EFFECTIVE)
    line("standing access", standing.judged, start)


if __name__ == "__main__":
    main(sys.argv[1:])
