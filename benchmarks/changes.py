"""What a change of one member costs a process, as the members grow in number.

`python -m benchmarks.changes [--people 1000 10000 100000] [--times 40]`. So many people, a tenth as many organisations,
each person with an employment, a citizenship and a status, on SQLite in a temporary folder. `whole` is the processor
time of the first reading, which is also what every change cost before. Then one person's citizenship is recorded at a
time, and `change` is the processor time of reading it into the view: p50 and the most of all; `clock` the most by the
clock. The same is measured for the headquarters of an organisation, after which nothing stands that was judged before.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

from policy_engine.app.builder import upgrade
from policy_engine.app.settings import Settings
from policy_engine.domain.freezes import Freeze
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.roster import (
    Citizenship,
    Employment,
    EmploymentKind,
    Organisation,
    PersonEntry,
    RosterRows,
    UsStatus,
    UsStatusKind,
)
from policy_engine.policy.judge import Judge
from policy_engine.policy.library import BookLost
from policy_engine.service.gate.snapshot import StandingView
from policy_engine.store.database import open_database
from policy_engine.store.desk_log import DeskLog
from policy_engine.store.members import Members

NOON: Final = parse_instant("2026-11-20T12:00:00Z")
AT_ONCE: Final = 10_000


class _NoBook:
    def judge(self, fingerprint: str, archive: str, freezes: tuple[Freeze, ...] = ()) -> Judge:
        raise BookLost(f"{fingerprint} {archive} {freezes}")


def _rows(first: int, end: int) -> RosterRows:
    names = [f"person-{number}" for number in range(first, end)]
    homes = [f"org-{number // 10}" for number in range(first, end)]
    return RosterRows(
        organisations=tuple(Organisation(id=name, headquarters="US") for name in dict.fromkeys(homes)),
        people=tuple(
            PersonEntry(id=name, employments_filed=True, us_status_filed=True, citizenships_filed=True)
            for name in names
        ),
        employments=tuple(
            Employment(person=name, organisation=home, kind=EmploymentKind.EMPLOYEE)
            for name, home in zip(names, homes, strict=True)
        ),
        us_statuses=tuple(UsStatus(person=name, kind=UsStatusKind.CITIZEN) for name in names),
        citizenships=tuple(Citizenship(person=name, country="US") for name in names),
    )


def measure(people: int, times: int) -> str:
    """A line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'changes.db'}"
        upgrade(Settings(database_url=url))
        engine = open_database(url)
        members = Members(engine)
        for first in range(0, people, AT_ONCE):
            rows = _rows(first, min(first + AT_ONCE, people))
            members.record(rows, actor="benchmark", reason="benchmark", at=NOON + timedelta(seconds=first))
        view = StandingView(
            members=members, desk=DeskLog(engine), judges=_NoBook(), clock=lambda: NOON, report_fault=lambda _: None
        )
        start = process_time()
        view.refresh()
        whole = (process_time() - start) * 1_000
        cells = []
        for kind in ("person", "organisation"):
            spent, clock = [], []
            for number in range(times):
                name = f"person-{number * 7 % people}"
                rows = RosterRows(citizenships=(Citizenship(person=name, country=f"{'JP' if number % 2 else 'DE'}"),))
                if kind == "organisation":
                    home = Organisation(id=f"org-{number % max(1, people // 10)}", headquarters="JP")
                    rows = replace(rows, citizenships=(), organisations=(replace(home, name=f"name {number}"),))
                at = NOON + timedelta(days=1 + (kind == "organisation"), seconds=number)
                members.record(rows, actor="benchmark", reason="benchmark", at=at)
                begun, start = perf_counter(), process_time()
                view.refresh()
                spent.append((process_time() - start) * 1_000)
                clock.append((perf_counter() - begun) * 1_000)
            cells.append(f"{statistics.median(spent):>9.2f} {max(spent):>9.2f} {max(clock):>9.2f}")
        engine.dispose()
    return f"{people:>10,} {whole:>12,.0f}   {cells[0]}   {cells[1]}\n"


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--times", type=int, default=40, help="how many changes of each kind")
    given = parser.parse_args(arguments)
    heads = f"{'p50':>9} {'most':>9} {'clock':>9}"
    sys.stdout.write(f"{'ms':>10} {'':>12}   {'a person':<29}   {'an organisation':<29}\n")
    sys.stdout.write(f"{'people':>10} {'whole':>12}   {heads}   {heads}\n")
    for people in given.people:
        sys.stdout.write(measure(people, given.times))
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
