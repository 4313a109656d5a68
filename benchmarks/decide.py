"""One decision in process: from a parsed request to the bytes of its record, without HTTP and without the log.

`python -m benchmarks.decide [--seconds 2]`. Every request is decided on the demonstration roster; the table has
microseconds a decision.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from policy_engine.decision.conclude import Basis, conclude
from policy_engine.decision.recording import write
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.request import Caller
from policy_engine.domain.roster import Roster
from policy_engine.formats.membership_file import read_members
from policy_engine.formats.record import encode_facts
from policy_engine.formats.request_document import request_of
from policy_engine.policy.judge import Judge
from policy_engine.policy.reader import read_book, read_folder

POLICIES: Final = Path(__file__).parent.parent / "policies"
AT: Final = parse_instant("2026-11-20T12:00:00Z")
ORDER: Final = parse_instant("2026-06-13T15:00:00Z")
US: Final = {"country": "US"}


def _person(name: str, model: str, place: dict[str, str], **more: object) -> dict[str, Any]:
    return {"subject": {"type": "person", "id": name}, "model": model, "action": "infer", "place": place, **more}


DEFENCE: Final = {"purpose": "defensive_cybersecurity"}
REQUESTS: Final = {
    "allow, commodity model": (AT, _person("pat", "opus-4.6", US)),
    "allow, member and consortium model": (AT, _person("carol", "mythos-5", US, **DEFENCE)),
    "deny, Chinese-controlled by cascade": (AT, _person("ken", "opus-4.6", {"country": "JP"})),
    "deny, order and suspension": (ORDER, _person("alice", "mythos-5", US, **DEFENCE)),
    "deny, two employers": (AT, _person("ann", "mythos-5", US, **DEFENCE)),
    "allow, technology released": (AT, {**_person("dara", "technology:4E001.c", US), "action": "release"}),
}


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="per line of the table")
    seconds = parser.parse_args(arguments).seconds
    judge = Judge(read_book(read_folder(POLICIES)))
    rows = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")
    roster = Roster.as_known(rows)
    caller = Caller(id="benchmark", gateway="main")
    gc.freeze()
    sys.stdout.write(f"{'request':<38} {'p50 us':>8} {'p99 us':>8} {'mean us':>8}\n")
    for name, (at, document) in REQUESTS.items():

        def decide(at: Any = at, document: Any = document) -> None:
            request = request_of(document)
            basis = Basis(judge=judge, roster=roster, closings={}, epoch=1)
            conclusion = conclude(request, caller, basis, decision_id="01BENCHMARK", at=at)
            write(conclusion, encode_facts(conclusion.parties), digest="")

        p50, p99, mean = measured(decide, seconds)
        sys.stdout.write(f"{name:<38} {p50:8.0f} {p99:8.0f} {mean:8.0f}\n")
    sys.stdout.write(f"roster of {len(roster.organisations)} organisations, {len(judge.book.rows)} rules\n")


def measured(work: Callable[[], None], seconds: float) -> tuple[float, float, float]:
    """Median, 99th percentile and mean of one call, in microseconds."""
    for _ in range(50):
        work()
    times = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        start = time.perf_counter_ns()
        work()
        times.append(time.perf_counter_ns() - start)
    times.sort()
    return times[len(times) // 2] / 1000, times[len(times) * 99 // 100] / 1000, sum(times) / len(times) / 1000


if __name__ == "__main__":
    main(sys.argv[1:])
