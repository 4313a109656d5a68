"""A watched folder is put in force when it is whole and good, and whatever happens to it the last good book stays."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from policy_engine.app.builder import Parts, build
from policy_engine.app.settings import Settings
from policy_engine.cli.decide import decide_now
from policy_engine.domain.changes import BookWatched
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.ports import LogUnavailable
from policy_engine.domain.request import Caller
from policy_engine.formats.book_names import BookNames
from policy_engine.formats.record_reader import read_record
from policy_engine.policy.cases import desk_folder
from policy_engine.policy.reader import read_book
from policy_engine.service.administration.publish import put_watched
from policy_engine.service.administration.roster import import_members
from policy_engine.service.administration.watch import Alarm, Watcher
from policy_engine.service.audit.replay import replay
from tests.policy import books, examples

CALLER = Caller(id="test", gateway="main", explain=True)
START = parse_instant("2026-06-01T12:00:00Z")
CASES = "".join(
    (
        examples.example("T-1", "decision: allow, reason: COMMODITY_OK"),
        examples.example("T-2", "decision: deny, reason: REGION_UNSUPPORTED", country="IR"),
    )
).encode()
SMALL = {**books.book(), "cases/small.yaml": CASES}


@dataclass(kw_only=True)
class Watched:
    """A folder, the service's parts over it, and every alarm that was reported."""

    folder: Path
    parts: Parts
    watcher: Watcher
    reported: list[Alarm | None] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def fill(self, files: dict[str, bytes]) -> None:
        """Write the folder anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for name, data in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(data)

    def look(self, times: int = 2) -> None:
        """As when so much time goes by."""
        for _ in range(times):
            self.watcher.look()

    def alarm(self) -> Alarm | None:
        """What the watcher complains of now."""
        return self.watcher.alarm

    @property
    def in_force(self) -> str:
        book = self.parts.desk.view.refresh().desk.book_at(START + timedelta(days=1))
        assert book is not None
        return book.fingerprint


@pytest.fixture
def watched(migrated: Path, tmp_path: Path) -> Iterator[Watched]:
    database, folder = tmp_path / "watch.db", tmp_path / "policies"
    shutil.copyfile(migrated, database)
    ticks = iter(range(10**9))

    def clock() -> datetime:
        return START + timedelta(microseconds=next(ticks))

    for name, data in SMALL.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    parts = build(Settings(database_url=f"sqlite:///{database}", policies=folder), clock=clock)
    reported: list[Alarm | None] = []
    lost: list[str] = []
    watcher = Watcher(
        read=lambda: desk_folder(folder),
        desk=parts.desk,
        library=parts.publisher.library,
        report=reported.append,
        report_lost=lost.append,
    )
    yield Watched(folder=folder, parts=parts, watcher=watcher, reported=reported, lost=lost)
    parts.close()


WITHOUT = next(line for line in SMALL["settings.yaml"].splitlines(keepends=True) if line.startswith(b"without:"))
"""The regimes that the small book has no file of on purpose."""
CHANGED = {**SMALL, "settings.yaml": b"max_age_seconds: {classified: 4, other: 20}\nenforcement: {}\n" + WITHOUT}


def test_a_book_that_is_saved_and_good_is_in_force_and_archived(watched: Watched) -> None:
    before = watched.in_force
    watched.fill(CHANGED)
    watched.look()
    assert watched.in_force != before
    assert watched.in_force == read_book(books.book(settings=CHANGED["settings.yaml"])).fingerprint
    assert watched.alarm() is None
    archive = watched.parts.desk.view.current().desk.archive_of(watched.in_force)
    assert archive is not None
    assert watched.parts.publisher.library.files(archive) == CHANGED


def test_a_saved_book_that_drops_or_changes_worked_examples_is_in_force_and_the_log_and_the_record_name_them(
    watched: Watched,
) -> None:
    watched.fill(CHANGED)
    watched.look()
    other = examples.example("T-1", "decision: allow, reason: COMMODITY_OK", at="2026-06-02T12:00:00Z")
    watched.fill({**CHANGED, "cases/small.yaml": other.encode()})
    watched.look()
    assert watched.alarm() is None
    assert watched.lost == ["worked examples no longer check what they did: 1 removed (T-2), 1 changed (T-1)"]
    events = [change.event for change in watched.parts.desk_log.changes(("book.watched",))]
    first, second = (event.cases for event in events if isinstance(event, BookWatched))
    assert first is None
    assert second is not None
    report = watched.parts.desk_log.content(second)
    assert report is not None
    assert (json.loads(report)["removed"], json.loads(report)["changed"]) == (["T-2"], ["T-1"])


def test_a_folder_that_reads_differently_at_every_look_is_being_written_and_not_taken(watched: Watched) -> None:
    before = watched.in_force
    for seconds in range(5, 25):
        text = f"max_age_seconds: {{classified: 4, other: {seconds}}}\nenforcement: {{}}\n"
        watched.fill({**SMALL, "settings.yaml": text.encode() + WITHOUT})
        watched.look(1)
    assert watched.in_force == before
    watched.look(1)
    assert watched.in_force != before


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_file_cut_off_at_any_byte_leaves_the_last_good_book_in_force_and_raises_an_alarm(
    watched: Watched, name: str
) -> None:
    before = watched.in_force
    whole = SMALL[name]
    for length in range(len(whole.rstrip())):
        (watched.folder / name).write_bytes(whole[:length])
        watched.look()
        assert watched.in_force == before, length
        assert watched.alarm() is not None, length
    (watched.folder / name).write_bytes(whole)
    watched.look()
    assert watched.alarm() is None
    assert watched.reported[-1] is None
    assert watched.in_force == before


def test_deleted_files_and_a_deleted_folder_leave_the_last_good_book_in_force(watched: Watched) -> None:
    before = watched.in_force
    for name in SMALL:
        watched.fill({other: data for other, data in SMALL.items() if other != name})
        watched.look()
        assert (watched.in_force, watched.alarm() is None) == (before, False), name
    shutil.rmtree(watched.folder)
    watched.look()
    assert watched.in_force == before
    assert watched.alarm() is not None


def test_a_folder_swapped_by_a_link_is_taken_whole_and_a_link_that_leads_out_is_not(
    watched: Watched, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(watched.folder, other)
    (other / "settings.yaml").write_bytes(CHANGED["settings.yaml"])
    shutil.rmtree(watched.folder)
    watched.folder.symlink_to(other, target_is_directory=True)
    watched.look()
    taken = watched.in_force
    assert taken == read_book(books.book(settings=CHANGED["settings.yaml"])).fingerprint

    elsewhere = tmp_path / "settings.yaml"
    elsewhere.write_bytes(SMALL["settings.yaml"])
    (other / "settings.yaml").unlink()
    (other / "settings.yaml").symlink_to(elsewhere)
    watched.look()
    assert watched.in_force == taken
    assert "leads out of the folder" in str(watched.alarm())


def test_a_book_whose_worked_examples_fail_is_not_put_in_force(watched: Watched) -> None:
    before = watched.in_force
    failing = CASES.replace(b"decision: allow", b"decision: deny")
    watched.fill({**CHANGED, "cases/small.yaml": failing})
    watched.look()
    assert watched.in_force == before
    assert watched.alarm() == Alarm(failed_cases=("T-1",))


def test_a_rule_that_means_something_else_is_put_in_force_only_with_its_line_in_the_changelog(watched: Watched) -> None:
    before = watched.in_force
    rules = SMALL[books.RULES].replace(b"EAR:E:1,CU", b"EAR:E:1")
    watched.fill({**SMALL, books.RULES: rules})
    watched.look()
    assert watched.in_force == before
    assert "CHANGELOG.csv" in str(watched.alarm())

    (watched.folder / "CHANGELOG.csv").write_bytes(
        b"rule,date,what,why\nREGION,2026-06-01,Cuba is open,A licence was granted\n"
    )
    watched.look()
    assert watched.alarm() is None
    assert watched.in_force != before


RELOADS = 1_000


def test_over_a_thousand_reloads_under_decisions_every_answer_is_reproduced_by_the_book_that_it_names(
    watched: Watched,
) -> None:
    parts = watched.parts
    import_members(
        parts.members,
        examples.MEMBERS.encode(),
        "members",
        names=BookNames(),
        actor="test",
        reason="test",
        at=START + timedelta(seconds=1),
    )
    parts.gate.view.refresh()
    contents = [SMALL, CHANGED]
    fingerprints = [
        read_book({n: d for n, d in one.items() if "/" not in n or n == books.RULES}).fingerprint for one in contents
    ]
    document: dict[str, object] = {
        "subject": {"type": "person", "id": "ann"},
        "model": "alpha-1",
        "action": "infer",
        "place": {"country": "US"},
    }
    answers: list[bytes] = []
    done = threading.Event()

    def decide() -> None:
        while not done.is_set():
            # Whom the books overtake again and again is told to come back, and does.
            with suppress(LogUnavailable):
                answers.append(decide_now(parts.gate, document, CALLER))

    decider = threading.Thread(target=decide)
    decider.start()
    for turn in range(RELOADS):
        put_watched(parts.desk, contents[turn % 2], fingerprints[turn % 2])
    done.set()
    decider.join(30)

    bodies = list(parts.desk_log.decisions_since(START))
    records = [read_record(body) for body in bodies]
    assert len(bodies) == len(answers) > 20
    assert {record.policy_version for record in records} == set(fingerprints)
    replayed = [replay(record, body, parts.past) for record, body in zip(records, bodies, strict=True)]
    assert [one.differences for one in replayed if not one.same] == []
