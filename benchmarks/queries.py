"""How soon an auditor has the first page, by every filter, in a log of a million decisions on SQLite.

`python -m benchmarks.queries [--records 1000000] [--times 200]`. Some hundred decisions are made; the log is filled
with their records, each many times under other ids, instants and subjects, straight into the tables. A page has 100
records, and the file is in the cache of the system by then.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from policy_engine.app.builder import upgrade
from policy_engine.app.settings import Settings
from policy_engine.decision.conclude import Basis, conclude
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.request import Caller
from policy_engine.domain.roster import Roster
from policy_engine.formats.membership_file import read_members
from policy_engine.formats.record import encode_answer, encode_facts, encode_record
from policy_engine.formats.record_reader import RecordedDecision, read_record
from policy_engine.formats.request_document import request_of
from policy_engine.policy.judge import Judge
from policy_engine.policy.reader import read_book, read_folder
from policy_engine.render.export import Chunk, export
from policy_engine.service.audit.inspect import Inspector
from policy_engine.store.database import open_database
from policy_engine.store.decision_index import Filters, Indexer, marks_of
from policy_engine.store.desk_log import DeskLog
from policy_engine.store.index_search import DecisionIndex

POLICIES: Final = Path(__file__).parent.parent / "policies"
BEGIN: Final = parse_instant("2026-01-01T00:00:00Z")
EPOCH: Final = parse_instant("1970-01-01")
NAME: Final = "01" + "B" * 24
TEMPLATES: Final = 300
PAGE: Final = 100
SUBJECTS: Final = 1_000
"""How many persons share the facts of one on the demonstration roster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A record, what it says, and its marks."""

    body: bytes
    told: RecordedDecision
    marks: tuple[tuple[str, str], ...]


def templates(random: Random) -> list[Template]:
    judge = Judge(read_book(read_folder(POLICIES)))
    rows = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")
    roster = Roster.as_known(rows, revision=1)
    people = sorted(roster.people)
    models = sorted(judge.book.tables.catalogue.entries)
    made = []
    for _ in range(TEMPLATES):
        request = request_of(
            {
                "subject": {"type": "person", "id": random.choice(people)},
                "model": random.choice(models),
                "action": random.choice(["infer", "infer", "infer", "fine_tune", "release"]),
                "purpose": random.choice(["defensive_cybersecurity", "education"]),
                "place": {"country": random.choice("US US US JP DE GB KR FR CN IR".split())},
                "request_id": "r",
            }
        )
        caller = Caller(id="benchmark", gateway=random.choice(["main", "main", "batch", "agents"]))
        at = BEGIN + timedelta(days=random.randrange(300))
        basis = Basis(judge=judge, roster=roster, epoch=1)
        told = conclude(request, caller, basis, decision_id=NAME, at=at)
        body = encode_record(told.decision, encode_facts(told.parties), encode_answer(told.decision))
        read = read_record(body)
        made.append(Template(body=body, told=read, marks=tuple(sorted(marks_of(read)))))
    return made


def fill(file: Path, count: int, random: Random) -> None:
    """Rows straight into the table of decisions; the index is made of them afterwards."""
    made = templates(random)
    database = sqlite3.connect(file, isolation_level=None)
    database.execute("PRAGMA synchronous=OFF")
    database.execute("PRAGMA cache_size=-1000000")
    database.execute("BEGIN")
    decided = []
    for number in range(count):
        template = made[random.randrange(len(made))]
        told = template.told
        name = f"01{number:024}"
        # 330 days, and the clocks of two processes differ by a second.
        instant = micros(BEGIN) + number * (330 * 86_400_000_000 // count) - 1_000_000 * (number % 2)
        decided.append(
            (
                number,
                name,
                _as_another(template, name, number * 50 // count, random.randrange(SUBJECTS)),
                instant,
                instant,
                told.allowed,
                told.hold,
                told.caller.id,
                f"gw-{number}",
                "",
                1,
                1,
                None,
            )
        )
        if len(decided) == 5_000 or number == count - 1:
            database.executemany("INSERT INTO decisions VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)", decided)
            decided = []
    database.execute("COMMIT")
    database.close()


def _as_another(template: Template, name: str, book: int, subject: int) -> bytes:
    """The record under another id, by another book, of another subject."""
    told, request = template.told, template.told.request
    assert request is not None
    body = template.body.replace(NAME.encode(), name.encode())
    body = body.replace(told.policy_version.encode(), f"sha256:{book:064}".encode())
    return body.replace(f'"id":"{request.subject.id}"'.encode(), f'"id":"{request.subject.id}-{subject}"'.encode())


def micros(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Values:
    """Values for filters as decisions have them, so that common ones are asked for more often."""

    made: list[Template]
    random: Random
    count: int

    def of(self, name: str, template: Template) -> Any:
        told, request = template.told, template.told.request
        assert request is not None
        number = self.random.randrange(self.count)
        one = {
            "start": BEGIN + timedelta(days=330 * self.random.random()),
            "end": BEGIN + timedelta(days=330 * self.random.random()),
            "decision": told.decision,
            "hold": told.hold,
            "subject": f"{request.subject.id}-{self.random.randrange(SUBJECTS)}",
            "place_country": request.place.country,
            "model": told.model,
            "tier": told.tier,
            "action": request.action.value,
            "gateway": told.caller.gateway,
            "policy_version": f"sha256:{number * 50 // self.count:064}",
            "request_id": f"gw-{number}",
        }
        if name in one:
            return one[name]
        several = [value for kind, value in template.marks if kind == name]
        return self.random.choice(several) if several else None

    def filters(self, names: Sequence[str]) -> Filters:
        while True:
            template = self.random.choice(self.made)
            found = {name: self.of(name, template) for name in names}
            if None not in found.values():
                return replace(Filters(), **found)


ALONE: Final = (
    *"start end decision hold subject organisation place_country citizenship_country organisation_country".split(),
    *"model tier action regime rule code gateway policy_version request_id authorisation".split(),
)
TOGETHER: Final = (
    ("model", "place_country"),
    ("decision", "rule"),
    ("subject", "start"),
    ("organisation", "code"),
    ("rule", "code", "decision"),
    ("hold", "gateway", "regime"),
    ("request_id", "decision"),
    ("policy_version", "organisation_country", "action"),
)


def main(arguments: Sequence[str]) -> None:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000, help="how many decisions are in the log")
    parser.add_argument("--times", type=int, default=200, help="how often each query is asked")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "queries.db"
        upgrade(Settings(database_url=f"sqlite:///{file}"))
        start = time.perf_counter()
        fill(file, given.records, Random(1))
        took = time.perf_counter() - start
        sys.stdout.write(f"{given.records:,} decisions, {_gib(file):.2f} GiB, filled in {took:.0f} s\n")
        engine = open_database(f"sqlite:///{file}")
        index = DecisionIndex(engine)
        start = time.process_time()
        Indexer(engine).catch_up(given.records)
        each = (time.process_time() - start) / given.records * 1_000_000
        sys.stdout.write(f"indexed at {each:.1f} us of processor time a record, {_gib(file):.2f} GiB then\n")
        inspector = Inspector(index=index, indexer=Indexer(engine), desk_log=DeskLog(engine), cursor_key=b"benchmark")
        values = Values(templates(Random(1)), Random(2), given.records)
        sys.stdout.write(f"{'first page of 100, by filter':<46} {'found':>6} {'p50 ms':>8} {'p99 ms':>8}\n")
        for names in ((), *((name,) for name in ALONE), *TOGETHER):
            _measure(inspector, values, names, given.times)
        for by in ("reason", "place_country", "model", "gateway", "day"):
            _once(f"denials by {by}", partial(index.counts, Filters(decision="deny"), (by,), size=given.records))
        _once("who touched a model", partial(index.touches, values.filters(["model"]), size=given.records))
        some = min(given.records, 100_000)
        for form in ("jsonl", "csv"):
            _once(f"export of {some:,} as {form}", partial(_drain, export(index, Filters(), size=some, form=form)))
        engine.dispose()


def _gib(file: Path) -> float:
    return file.stat().st_size / 2**30


def _measure(inspector: Inspector, values: Values, names: Sequence[str], times: int) -> None:
    asked = [values.filters(names) for _ in range(times)]
    taken, found = [], 0
    for filters in asked:
        start = time.perf_counter()
        page = inspector.page(filters, limit=PAGE, cursor=None)
        taken.append((time.perf_counter() - start) * 1000)
        found += len(page.decisions)
    taken.sort()
    p50, p99 = taken[len(taken) // 2], taken[min(len(taken) - 1, len(taken) * 99 // 100)]
    sys.stdout.write(f"{' + '.join(names) or 'none':<46} {found / times:>6.0f} {p50:8.1f} {p99:8.1f}\n")
    sys.stdout.flush()


def _once(what: str, ask: Callable[[], object]) -> None:
    start = time.perf_counter()
    ask()
    sys.stdout.write(f"{what:<46} {time.perf_counter() - start:8.2f} s\n")


def _drain(chunks: Iterator[Chunk]) -> int:
    return sum(len(chunk.data) for chunk in chunks)


if __name__ == "__main__":
    main(sys.argv[1:])
