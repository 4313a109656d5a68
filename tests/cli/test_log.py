"""What auditors see on the command line."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
from collections import Counter
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, get_type_hints

import msgspec
import pytest
from rich.console import Console

from policy_engine.app.builder import cursor_key, open_sealing
from policy_engine.app.settings import Settings
from policy_engine.cli import log
from policy_engine.domain.changes import (
    KINDS,
    Actor,
    BookApproved,
    BookFounded,
    BookProposed,
    Event,
    FreezeDeclared,
    KeyRevoked,
)
from policy_engine.domain.freezes import Freeze, FreezeScope
from policy_engine.domain.instants import Validity, format_instant, parse_instant
from policy_engine.domain.ports import NewEvent
from policy_engine.domain.roster import (
    Authorisation,
    AuthorisationKind,
    Consortium,
    Membership,
    MembershipStatus,
    RosterRows,
)
from policy_engine.formats.spreadsheet import BETWEEN
from policy_engine.render.log_text import tell_page
from policy_engine.service.audit.inspect import PARAMETERS, AsOf, Page
from policy_engine.service.sealing.sealed_log import SealedYear
from policy_engine.store.database import open_database, writing
from policy_engine.store.decision_index import marks_of, unread_facts
from policy_engine.store.desk_log import DeskLog
from policy_engine.store.index_search import Logged
from policy_engine.store.log_entries import LogEntries
from policy_engine.store.members import Members
from tests.cli.test_cli import Shell, shell
from tests.records import Entered, entered, lose, put
from tests.service.decisions import DEMO, SHIPPED, asking, demo, record_of
from tests.store.samples import AT, FULL

__all__ = ["shell"]

GIVEN: Final = entered(120)


@pytest.fixture
def auditor(shell: Shell, tmp_path: Path) -> Shell:
    """A command line on a database with 120 decisions."""
    engine = open_database(f"sqlite:///{tmp_path / 'cli.db'}")
    put(engine, GIVEN)
    engine.dispose()
    return shell


def newest_first() -> list[Entered]:
    return sorted(GIVEN, key=lambda one: (one.at, one.log_index), reverse=True)


def test_query_shows_the_newest_decisions_and_where_to_go_on(auditor: Shell) -> None:
    told = auditor("log", "query", "--limit", "3")
    assert told.code == 0
    for one in newest_first()[:3]:
        assert one.id in told.out
    assert newest_first()[3].id not in told.out
    cursor = told.out.split("--cursor ")[1].split()[0]

    following = auditor("log", "query", "--limit", "3", "--cursor", cursor)
    assert newest_first()[3].id in following.out
    assert newest_first()[2].id not in following.out


def test_query_as_json_is_the_page_that_the_service_gives(auditor: Shell) -> None:
    page = auditor("log", "query", "--decision", "allow", "--limit", "1000", "--json").json
    assert [one["answer"]["decision_id"] for one in page["decisions"]] == [
        one.id for one in newest_first() if one.read.allowed
    ]
    assert page["decisions"][0] == json.loads(next(one for one in newest_first() if one.read.allowed).body)
    assert page["next_cursor"] is None
    assert page["as_of"]["root"] is None


def test_every_filter_of_the_service_is_an_option(auditor: Shell) -> None:
    for command in ("query", "export"):
        told = auditor("log", command, "--help").out
        for name in PARAMETERS:
            assert f"--{name.replace('_', '-')}" in told


def test_a_filter_that_is_none_is_wrong_usage_and_named(auditor: Shell) -> None:
    for arguments, named in (
        (("--decision", "maybe"), "decision"),
        (("--from", "yesterday"), "from"),
        (("--cursor", "x"), "cursor"),
        (("--stats", "colour"), "--stats"),
        (("--report", "secrets"), "--report"),
        (("--report", "touched"), "--report"),
        (("--report", "overrides:all"), "--report"),
        (("--report", "book:yesterday"), "--report"),
        (("--report", "subject-after:alice"), "--report"),
        (("--report", "overrides", "--stats", "day"), "--report"),
    ):
        told = auditor("log", "query", *arguments)
        assert told.code == 2, arguments
        assert named in told.err


@pytest.mark.parametrize("by", ["reason", "country", "model", "gateway", "day"])
def test_statistics_count_denials_as_bars_and_as_json(auditor: Shell, by: str) -> None:
    document = auditor("log", "query", "--stats", by, "--json").json
    denied = [one for one in GIVEN if not one.read.allowed]
    assert document["by"] == by
    assert document["total"] == sum(count["number"] for count in document["counts"]) == len(denied)

    told = auditor("log", "query", "--stats", by)
    assert told.code == 0
    assert "█" in told.out
    assert str(document["counts"][0]["value"] or "-") in told.out


def deciding(*, month: str | None = None) -> Counter[str]:
    return Counter(
        row.rule
        for one in GIVEN
        if not one.read.allowed and (month is None or format_instant(one.at).startswith(month))
        for row in one.read.findings
        if row.state == "deciding"
    )


def test_denials_are_counted_by_the_rule_that_decided(auditor: Shell) -> None:
    document = auditor("log", "query", "--stats", "rule", "--json").json
    assert {count["rule"]: count["number"] for count in document["counts"]} == deciding()
    assert document["total"] == sum(not one.read.allowed for one in GIVEN) < sum(deciding().values())
    first = document["counts"][0]["rule"]
    found = auditor("log", "query", "--deciding-rule", first, "--limit", "1000", "--json").json
    assert len(found["decisions"]) == deciding()[first]


def test_counts_of_rules_by_month_are_told_as_csv_that_a_spreadsheet_reads(auditor: Shell) -> None:
    told = auditor("log", "query", "--stats", "rule,month", "--csv")
    rows = list(csv.DictReader(io.StringIO(told.out)))
    assert {row["rule"]: int(row["decisions"]) for row in rows if row["month"] == "2026-06"} == deciding(
        month="2026-06"
    )


def test_counts_by_several_things_fit_a_terminal_of_80_columns(auditor: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    narrow = Console(file=screen, width=80, force_terminal=True, color_system=None, highlight=False, soft_wrap=True)
    monkeypatch.setattr(log, "out", narrow)
    assert auditor("log", "query", "--stats", "rule,month,country").code == 0
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert any("US-COM-2026-06-12" in line and "2026-06" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--stats", "rules"), "did you mean `rule`?"),
        (("--stats", "rule,rule"), "counts by one thing twice"),
        (("--csv",), "needs --stats"),
        (("--stats", "rule", "--csv", "--json"), "combined with --json"),
        (("--deciding-rule", "US-COM-2026-06-1"), "`US-COM-2026-06-1` is no rule of any decision on record"),
    ],
)
def test_counts_that_cannot_be_are_wrong_usage_and_say_what_was_meant(
    auditor: Shell, arguments: tuple[str, ...], told: str
) -> None:
    asked = auditor("log", "query", *arguments)
    assert asked.code == 2
    assert told in " ".join(asked.err.split())


def test_a_search_by_citizenship_says_of_how_many_decisions_none_is_recorded(auditor: Shell) -> None:
    unread = [
        one
        for one in GIVEN
        if not one.read.allowed
        and "citizenship_country" in unread_facts(one.read)
        and ("citizenship_country", "CN") not in marks_of(one.read)
    ]
    arguments = ("log", "query", "--decision", "deny", "--citizenship-country", "CN")
    document = auditor(*arguments, "--json").json
    assert document["unread"] == [
        {
            "filter": "citizenship_country",
            "decisions": len(unread),
            "more": False,
            "why": "no rule read it, so that it is not recorded",
        }
    ]
    told = " ".join(auditor(*arguments).err.split())
    assert f"of the other decisions {len(unread)} have no citizenship recorded, since no rule read it" in told
    assert "--on-file citizenship:CN asks what was on file" in told
    assert "unread" not in auditor("log", "query", "--decision", "deny", "--json").json


def test_decisions_of_citizens_are_found_by_what_was_on_file(auditor: Shell, tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'cli.db'}")
    Members(engine).record(DEMO, actor="test", reason="test", at=AT)
    engine.dispose()
    denied = ("log", "query", "--decision", "deny", "--limit", "1000", "--json")
    by_rules = auditor(*denied, "--citizenship-country", "CN").json["decisions"]
    on_file = auditor(*denied, "--on-file", "citizenship:CN").json["decisions"]
    assert len(by_rules) < len(on_file)
    counted = auditor("log", "query", "--stats", "rule", "--on-file", "citizenship:CN", "--json").json
    assert counted["total"] == len(on_file)
    exported = auditor("log", "export", "--decision", "deny", "--on-file", "citizenship:CN").out
    assert len(exported.splitlines()) == len(on_file)
    for arguments, told in (
        (("--on-file", "citizen:CN"), "did you mean `citizenship:CN`?"),
        (("--on-file", "citizenship:CN", "--report", "overrides"), "cannot be combined with --on-file"),
    ):
        wrong = auditor("log", "query", *arguments)
        assert (wrong.code, told in " ".join(wrong.err.split())) == (2, True)


def test_statistics_are_of_the_decisions_that_the_filters_leave(auditor: Shell) -> None:
    document = auditor("log", "query", "--stats", "reason", "--decision", "allow", "--model", "opus-4.6", "--json").json
    wanted = [one for one in GIVEN if one.read.allowed and one.read.model == "opus-4.6"]
    assert document["total"] == len(wanted) > 0


def test_the_report_of_a_model_says_who_touched_it(auditor: Shell) -> None:
    document = auditor("log", "query", "--report", "touched:mythos-5", "--json").json
    asked = {
        (one.read.request.subject.id, one.read.decision)
        for one in GIVEN
        if one.read.model == "mythos-5" and one.read.request is not None
    }
    assert {(touch["subject"], touch["decision"]) for touch in document["touched"]} == asked

    told = auditor("log", "query", "--report", "touched:mythos-5")
    assert told.code == 0
    assert all(subject in told.out for subject, _ in asked)


def test_the_report_of_a_licence_lists_allows_that_it_carried_and_none_for_which_it_was_merely_on_file(
    shell: Shell, tmp_path: Path
) -> None:
    licence = Authorisation(
        id="L-1",
        regime="us-ear",
        kind=AuthorisationKind.LICENCE,
        holder="harbor-cyber",
        models=("mythos-5",),
        actions=("release", "infer"),
    )
    roster = demo(rows=replace(DEMO, authorisations=(*DEMO.authorisations, licence)))
    given = []
    for number, action in enumerate(("infer", "release")):
        asked = asking("carol", "mythos-5", action, purpose="defensive_cybersecurity", place={"country": "US"})
        at = parse_instant("2026-06-01") + timedelta(hours=number)
        body = record_of(SHIPPED, roster, asked, at, name=f"01-{action}")
        given.append(Entered(log_index=number, id=f"01-{action}", at=at, body=body))
    assert all(one.read.allowed for one in given)
    assert all(
        "L-1" in {paper.id for party in one.read.parties for paper in party.known.authorisations or ()} for one in given
    )
    engine = open_database(f"sqlite:///{tmp_path / 'cli.db'}")
    put(engine, given)
    engine.dispose()

    document = shell("log", "query", "--report", "licence:L-1", "--json").json
    assert [one["answer"]["decision_id"] for one in document["decisions"]] == ["01-release"]
    assert document["total"] == 1
    assert "1 allowed, 0 denied" in shell("log", "query", "--report", "licence:L-1").out
    # On file and usable is what the columns of an export tell.
    with_papers = shell("log", "export", "--format", "csv").out
    assert [row["authorisations"] for row in csv.DictReader(io.StringIO(with_papers))] == ["L-1", "L-1"]


@pytest.mark.parametrize(("report", "who"), [("subject-after", "carol"), ("organisation-after", "harbor-cyber")])
def test_the_report_after_an_instant_lists_what_was_decided_since(auditor: Shell, report: str, who: str) -> None:
    since = "2026-06-01T12:00:00Z"
    document = auditor("log", "query", "--report", f"{report}:{who}@{since}", "--limit", "1000", "--json").json
    found = {one["answer"]["decision_id"] for one in document["decisions"]}
    for one in GIVEN:
        asked = one.read.request
        assert asked is not None
        of_them = asked.subject.id == who or who in {party.organisation for party in one.read.parties}
        if of_them and report == "organisation-after":
            assert (one.id in found) == (one.at >= parse_instant(since))
        if report == "subject-after":
            assert (one.id in found) == (asked.subject.id == who and one.at >= parse_instant(since))
    assert document["total"] == len(found) > 0


@dataclass(frozen=True, slots=True)
class Desk:
    """Events of the desk, put straight into the log."""

    url: str

    def record(
        self, name: str, at: str, person: str, event: BookFounded | BookProposed | BookApproved | FreezeDeclared
    ) -> None:
        engine = open_database(self.url)
        desk = DeskLog(engine)
        entry = NewEvent(id=name, at=parse_instant(at), actor=Actor(key="k", person=person), event=event)
        desk.record([entry], under=desk.standing(held_revision=None, after_index=-1).epoch)
        engine.dispose()


def test_the_reports_of_the_desk_say_who_stopped_what_and_whose_book_was_in_force(shell: Shell, tmp_path: Path) -> None:
    desk = Desk(f"sqlite:///{tmp_path / 'cli.db'}")
    desk.record("e-1", "2026-06-01", "fay", BookFounded(fingerprint="sha256:first", archive="sha256:a"))
    proposed = BookProposed(
        proposal="P-1",
        fingerprint="sha256:second",
        archive="sha256:b",
        base="sha256:first",
        effective=None,
        note="the order",
        rollback=False,
        withdraws=(),
        reports=(),
    )
    desk.record("e-2", "2026-06-10", "pia", proposed)
    approved = BookApproved(
        proposal="P-1",
        fingerprint="sha256:second",
        archive="sha256:b",
        in_force=parse_instant("2026-06-12"),
        note="",
        withdraws=(),
    )
    desk.record("e-3", "2026-06-11", "ada", approved)
    freeze = Freeze(
        id="F-1",
        scope=FreezeScope(models=("mythos-5",)),
        authority="the chief",
        reason="an order",
        start=parse_instant("2026-06-20"),
    )
    desk.record("e-4", "2026-06-20", "flo", FreezeDeclared(freeze=freeze))

    before = shell("log", "query", "--report", "book:2026-06-11T23:59:59Z", "--json").json
    assert (before["fingerprint"], before["taken_by"], before["approved_by"]) == ("sha256:first", "fay", None)
    after = shell("log", "query", "--report", "book:2026-06-12", "--json").json
    assert (after["fingerprint"], after["proposed_by"], after["approved_by"]) == ("sha256:second", "pia", "ada")
    assert "ada" in shell("log", "query", "--report", "book:2026-06-12").out
    assert "no book" in shell("log", "query", "--report", "book:2020-01-01").out

    overrides = shell("log", "query", "--report", "overrides", "--json").json
    assert [(one["kind"], one["actor"]) for one in overrides["changes"]] == [("freeze.declared", "flo")]
    told = shell("log", "query", "--report", "overrides")
    assert all(word in told.out for word in ("flo", "F-1", "an order", "the chief"))
    none = shell("log", "query", "--report", "overrides", "--to", "2026-06-20", "--json").json
    assert none["changes"] == []


def test_help_explains_each_report_with_an_example(auditor: Shell) -> None:
    told = " ".join(auditor("log", "query", "--help").out.replace("│", " ").split())
    for _, _, example in log.REPORTS.values():
        assert example in told


def test_show_tells_the_record_with_its_log_index(auditor: Shell) -> None:
    one = next(one for one in GIVEN if one.read.hold)
    told = auditor("log", "show", one.id)
    assert told.code == 0
    read = one.read
    assert read.request is not None
    words = ("DENY and held", str(one.log_index), one.id, read.reason_code, read.request.subject.id, read.model)
    assert all(word in told.out for word in words)
    assert all(row.rule in told.out for row in read.findings)

    document = auditor("log", "show", one.id, "--json").json
    assert document == {"log_index": one.log_index, "record": json.loads(one.body)}


def test_every_record_can_be_shown(auditor: Shell) -> None:
    for one in GIVEN[:60]:
        assert auditor("log", "show", one.id).code == 0


def test_a_decision_that_is_not_there_fails(auditor: Shell) -> None:
    told = auditor("log", "show", "01NONE")
    assert told.code == 1
    assert "01NONE" in told.err


def test_export_writes_the_exact_records_and_says_what_it_wrote(auditor: Shell, tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    told = auditor("log", "export", "--format", "jsonl", "--output", str(file), "--json").json
    data = b"".join(one.body + b"\n" for one in GIVEN)
    assert file.read_bytes() == data
    assert told["sha256"] == hashlib.sha256(data).hexdigest()
    assert told["bytes"] == len(data)
    assert told["as_of"] == {"size": GIVEN[-1].log_index + 1, "root": None}
    assert list(tmp_path.glob("*.partial")) == []

    engine = open_database(f"sqlite:///{tmp_path / 'cli.db'}")
    put(engine, entered(9, first=GIVEN[-1].log_index + 1, seed=8))
    engine.dispose()
    again = tmp_path / "again.jsonl"
    size = str(told["as_of"]["size"])
    assert auditor("log", "export", "--output", str(again), "--size", size).code == 0
    assert again.read_bytes() == data
    assert auditor("log", "export", "--output", str(again)).code == 0
    assert len(again.read_bytes()) > len(data)


def test_export_as_csv_takes_filters(auditor: Shell, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    assert auditor("log", "export", "--format", "csv", "--output", str(file), "--model", "opus-4.6").code == 0
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["decision_id"] for row in rows] == [one.id for one in GIVEN if one.read.model == "opus-4.6"]


def test_an_export_that_cannot_be_is_wrong_usage(auditor: Shell, tmp_path: Path) -> None:
    file = tmp_path / "out"
    for arguments in (("--format", "xlsx"), ("--size", "100000"), ("--hold", "maybe")):
        assert auditor("log", "export", "--output", str(file), *arguments).code == 2
    assert not file.exists()


def test_a_database_without_the_index_is_unavailable(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLICY_ENGINE_DATABASE_URL", f"sqlite:///{tmp_path / 'empty.db'}")
    assert shell("log", "query").code == 4


def test_a_missing_entry_is_named_and_no_export_is_left_behind(auditor: Shell, tmp_path: Path) -> None:
    auditor("log", "query")
    gone = newest_first()[3].log_index
    engine = open_database(f"sqlite:///{tmp_path / 'cli.db'}")
    lose(engine, gone)
    engine.dispose()

    file = tmp_path / "out.jsonl"
    for arguments in (("query",), ("query", "--json"), ("export",), ("export", "--output", str(file))):
        told = auditor("log", *arguments)
        assert told.code == 1, arguments
        assert f"entry {gone} of the log is missing" in told.err
    assert list(tmp_path.glob("out*")) == []


@pytest.fixture
def host(auditor: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """The same on a machine that has the sealed log."""
    for name, path in (("LEDGER", "ledger"), ("WITNESS", "witness"), ("LOG_KEY", "log.key")):
        monkeypatch.setenv(f"POLICY_ENGINE_{name}", str(tmp_path / path))
    seal(tmp_path)
    return auditor


def seal(folder: Path) -> SealedYear:
    engine = open_database(f"sqlite:///{folder / 'cli.db'}")
    sealed = open_sealing(Settings(), LogEntries(engine)).seal()
    engine.dispose()
    assert sealed is not None
    return sealed


def test_where_the_sealed_log_is_answers_have_the_root_of_the_checkpoint(host: Shell, tmp_path: Path) -> None:
    sealed = seal(tmp_path)
    at = {
        "size": sealed.end,
        "root": base64.b64encode(sealed.signed.checkpoint.root).decode(),
        "checkpoint": {"origin": "policy-engine.local/log/2026", "size": sealed.end},
    }
    first = host("log", "query", "--limit", "2", "--json").json
    assert first["as_of"] == at
    assert host("log", "query", "--stats", "day", "--json").json["as_of"] == at
    assert host("log", "export", "--output", str(tmp_path / "a"), "--json").json["as_of"] == at

    engine = open_database(f"sqlite:///{tmp_path / 'cli.db'}")
    put(engine, entered(9, first=sealed.end, seed=8, changes_too=False))
    engine.dispose()
    told = host("log", "query", "--json")
    assert told.json["as_of"] == at
    assert "9 newer entries of the log are not sealed yet" in told.err

    seal(tmp_path)
    assert host("log", "query", "--json").json["as_of"]["size"] == sealed.end + 9
    following = host("log", "query", "--limit", "2", "--cursor", first["next_cursor"], "--json").json
    assert following["as_of"] == at
    export = ("log", "export", "--size", str(sealed.end), "--output", str(tmp_path / "b"), "--json")
    assert host(*export).json["as_of"] == at


def test_a_sealed_log_of_another_database_lends_no_root(host: Shell, tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'cli.db'}")
    with writing(engine) as writer:
        writer.exec_driver_sql("DROP TRIGGER decisions_refuse_update")
        writer.exec_driver_sql("UPDATE decisions SET body = '{}' WHERE log_index = ?", (GIVEN[-1].log_index,))
    engine.dispose()
    told = host("log", "query", "--json")
    assert told.code == 0
    assert told.json["as_of"]["root"] is None
    assert "no root is given" in told.err


def test_the_key_of_cursors_is_one_for_every_process_with_the_signing_key(tmp_path: Path) -> None:
    keys = [Settings(log_key=tmp_path / name) for name in ("a", "a", "b")]
    first, again, other = map(cursor_key, keys)
    assert first == again != other
    assert len(first) == 32
    assert first != bytes.fromhex((tmp_path / "a").read_text())


def event_of(kind: type[Event]) -> Event:
    """Any event of the kind that people may do."""
    return msgspec.convert(_filled(kind), kind)


def _filled(kind: type[Any]) -> dict[str, Any]:
    some: dict[str, Any] = {
        "freeze": {"id": "F-1", "scope": {}, "authority": "a", "reason": "r", "start": "2026-01-01T00:00:00Z"},
        "hold": {"id": "H-1", "scope": {"everything": True}, "reason": "r"},
        "key": {"subject": "s", "model": "m", "action": "infer", "purpose": "p", "rule": "R"},
        "in_force": "2026-01-01T00:00:00Z",
        "filters": [],
        "effective": None,
        "rollback": True,
        "outcome": "refused",
        "withdraws": [],
        "reports": [],
        "rights": ["decide"],
        "assertable": [],
        "edits": False,
        "feed": [],
    }
    told = {}
    for one in fields(kind):
        kinds = get_type_hints(kind)[one.name]
        told[one.name] = 1 if kinds is int else "text" if kinds is str else some.get(one.name)
    return told


def test_changes_of_every_kind_are_listed_shown_and_named_by_the_id_of_their_entry(
    shell: Shell, tmp_path: Path
) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'cli.db'}")
    desk = DeskLog(engine)
    for number, (kind, event) in enumerate(KINDS.items()):
        at = parse_instant("2026-06-01") + timedelta(days=number)
        entry = NewEvent(id=f"e-{kind}", at=at, actor=Actor(key="k-1", person="pia"), event=event_of(event))
        desk.record([entry], under=desk.standing(held_revision=None, after_index=-1).epoch)
    engine.dispose()

    listed = shell("log", "changes", "--limit", "100", "--json").json
    assert [one["change"]["kind"] for one in listed["changes"]] == list(reversed(KINDS))
    assert [one["log_index"] for one in listed["changes"]] == sorted(range(len(KINDS)), reverse=True)
    assert listed["more"] is False
    told = shell("log", "changes", "--limit", "100")
    assert all(f"e-{kind}" in told.out for kind in KINDS)
    assert "pia" in told.out
    assert "k-1" in told.out

    freezes = shell("log", "changes", "--kind", "freeze", "--json").json["changes"]
    assert [one["change"]["kind"] for one in freezes] == ["freeze.lifted", "freeze.lift_asked", "freeze.declared"]
    one = shell("log", "changes", "--kind", "key.revoked", "--from", "2026-06-02", "--json").json["changes"]
    assert [found["change"]["id"] for found in one] == ["e-key.revoked"]
    assert shell("log", "changes", "--to", "2026-06-01", "--json").json["changes"] == []
    few = shell("log", "changes", "--limit", "2", "--json").json
    assert (len(few["changes"]), few["more"]) == (2, True)
    assert "there are earlier ones" in shell("log", "changes", "--limit", "2").out

    for kind in KINDS:
        document = shell("log", "show", f"e-{kind}", "--json").json
        assert document["change"]["kind"] == kind
        told = shell("log", "show", f"e-{kind}")
        assert told.code == 0
        assert kind in told.out
    overrides = shell("log", "query", "--report", "overrides").out
    assert all(f"e-{kind}" in overrides for kind in ("freeze.declared", "freeze.lifted", "review.closed"))


def test_a_kind_of_change_that_is_none_is_wrong_usage(auditor: Shell) -> None:
    told = auditor("log", "changes", "--kind", "decision")
    assert told.code == 2
    assert "freeze.declared" in told.err
    assert auditor("log", "changes", "--from", "soon").code == 2


def lines_with(text: str, word: str) -> list[str]:
    return [line for line in text.splitlines() if word in line]


def test_through_a_pipe_a_row_is_a_line_whatever_the_width(auditor: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    told = auditor("log", "query", "--limit", "5").out
    for one in newest_first()[:5]:
        (line,) = lines_with(told, one.id)
        assert str(one.log_index) in line
        assert one.read.reason_code in line
    record = auditor("log", "show", newest_first()[0].id).out
    assert lines_with(record, newest_first()[0].read.policy_version)


@pytest.mark.parametrize("width", [60, 80])
def test_on_a_narrow_terminal_ids_stand_on_one_line_and_what_is_left_out_is_said(width: int) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=width, highlight=False, soft_wrap=True)
    ids = [f"01K9Z5C0V4R8M2Q7T1X3Y6W0A{digit}" for digit in "BCD"]
    decisions = tuple(
        Logged(log_index=one.log_index, id=name, at=one.at, body=one.body)
        for name, one in zip(ids, GIVEN, strict=False)
    )
    tell_page(Page(decisions=decisions, next_cursor=None, as_of=AsOf(size=3), retired=()), terminal)
    for name in ids:
        assert len(lines_with(screen.getvalue(), name)) == 1
    # With so little room a row is told as lines of name and value, or what it lacks is said.
    assert ("not shown for want of room: log index" in screen.getvalue()) is (width == 80)
    assert ("log index" in screen.getvalue().partition("\n")[0]) is (width == 60)


@pytest.mark.parametrize("command", ["query", "export", "changes"])
def test_a_period_that_ends_before_it_begins_is_wrong_usage(auditor: Shell, command: str) -> None:
    told = auditor("log", command, "--from", "2026-06-12", "--to", "2026-06-11")
    assert told.code == 2
    assert "before `from`" in told.err
    assert auditor("log", command, "--from", "2026-06-12", "--to", "2026-06-12").code == 0


def test_an_export_to_a_device_writes_it_and_one_to_a_full_device_is_a_sentence(auditor: Shell) -> None:
    told = auditor("log", "export", "--output", "/dev/full")
    assert (told.code, told.err) == (4, "the output cannot be written: no space left on device\n")
    assert Path("/dev/full").is_char_device()
    assert not Path("/dev/full.partial").exists()


@pytest.mark.parametrize("command", ["query", "changes"])
def test_a_query_of_a_database_that_is_not_there_makes_none(
    auditor: Shell, command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "mistyped.db"
    monkeypatch.setenv("POLICY_ENGINE_DATABASE_URL", f"sqlite:///{path}")
    told = auditor("log", command)
    assert (told.code, f"there is no database at `{path}`" in told.err, path.exists()) == (4, True, False)
    monkeypatch.setenv("POLICY_ENGINE_DATABASE_URL", "sqlite://")
    assert auditor("log", command).code == 2


def member(status: MembershipStatus, start: str, end: str | None = None, *, of: str = "glasswing") -> Membership:
    ended = None if end is None else parse_instant(end)
    return Membership(
        organisation="harbor-cyber",
        consortium=of,
        status=status,
        valid=Validity(start=parse_instant(start), end=ended),
    )


def paper(name: str, end: str | None) -> Authorisation:
    return Authorisation(
        id=name,
        regime="us-ear",
        kind=AuthorisationKind.LICENCE,
        holder="harbor-cyber",
        models=("mythos-5",),
        actions=("infer",),
        valid=Validity(start=parse_instant("2026-01-01"), end=None if end is None else parse_instant(end)),
    )


NOON_OF_JUNE_1: Final = "2026-06-01T12:00:00.000000Z"


def recorded(folder: Path, rows: RosterRows, at: str = "2026-06-01T12:00:00Z") -> None:
    engine = open_database(f"sqlite:///{folder / 'cli.db'}")
    Members(engine).record(rows, actor="t", reason="t", at=parse_instant(at))
    engine.dispose()


def revocation(shell: Shell, name: str) -> Any:
    return shell("log", "query", "--report", f"revocation:{name}", "--limit", "1000", "--json").json


def about(who: str) -> list[str]:
    since = parse_instant(NOON_OF_JUNE_1)
    return [
        one.id
        for one in newest_first()
        if one.at >= since and any(party.organisation == who for party in one.read.parties)
    ]


def test_the_report_of_a_revoked_key_finds_the_instant_and_what_was_decided_for_it(
    auditor: Shell, tmp_path: Path
) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'cli.db'}")
    desk = DeskLog(engine)
    entry = NewEvent(
        id="key-1-revoked", at=parse_instant(NOON_OF_JUNE_1), actor=Actor(key="k"), event=KeyRevoked(key="key-1")
    )
    desk.record([entry], under=desk.standing(held_revision=None, after_index=-1).epoch)
    engine.dispose()
    document = revocation(auditor, "key-1")
    assert document["revocation"] == {"what": "key key-1 revoked", "at": NOON_OF_JUNE_1, "change": "key-1-revoked"}
    since = parse_instant(NOON_OF_JUNE_1)
    wanted = [one.id for one in newest_first() if one.at >= since and one.read.caller.id == "key-1"]
    assert [one["answer"]["decision_id"] for one in document["decisions"]] == wanted
    assert document["total"] == len(wanted) > 0
    told = auditor("log", "query", "--report", "revocation:key-1").out
    assert f"key key-1 revoked at {NOON_OF_JUNE_1} by the change key-1-revoked" in told
    assert auditor("log", "query", "--report", "revocation:key-2").code == 2


def test_the_report_of_an_authorisation_or_a_membership_that_is_over_finds_the_instant(
    auditor: Shell, tmp_path: Path
) -> None:
    active, suspended = MembershipStatus.ACTIVE, MembershipStatus.SUSPENDED
    begun, noon = "2026-01-01", NOON_OF_JUNE_1
    rows = RosterRows(
        organisations=tuple(row for row in DEMO.organisations if row.id == "harbor-cyber"),
        consortia=tuple(Consortium(id=name) for name in ("glasswing", "other", "third", "stays")),
        authorisations=(paper("L-over", noon), paper("L-stays", None)),
        memberships=(
            member(active, begun, noon),
            member(active, begun, noon, of="other"),
            member(suspended, noon, of="other"),
            member(active, begun, of="third"),
            member(active, begun, of="stays"),
        ),
    )
    recorded(tmp_path, rows, "2026-05-01T00:00:00Z")
    recorded(tmp_path, RosterRows(memberships=(member(suspended, begun, of="third"),)))
    for name, what in (
        ("L-over", "authorisation L-over of harbor-cyber ended"),
        ("harbor-cyber/glasswing", "membership of harbor-cyber in glasswing ended"),
        ("harbor-cyber/other", "membership of harbor-cyber in other suspended"),
        ("harbor-cyber/third", "membership of harbor-cyber in third suspended"),
    ):
        document = revocation(auditor, name)
        assert document["revocation"] == {"what": what, "at": noon, "change": None}
        found = {one["answer"]["decision_id"] for one in document["decisions"]}
        assert set(about("harbor-cyber")) <= found
        assert all(one["answer"]["decided_at"] >= noon for one in document["decisions"])
    for name, why in (
        ("L-stays", "has no key"),
        ("harbor-cyber/stays", "has no key"),
        ("nothing", "has no key"),
        ("harbor-cyber", "names several"),
    ):
        told = auditor("log", "query", "--report", f"revocation:{name}")
        assert told.code == 2
        assert why in told.err


def test_rows_of_members_stand_in_the_list_and_whole_beside_their_change(shell: Shell, tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'cli.db'}")
    Members(engine).record(FULL, actor="pia", reason="first roster", at=AT)
    engine.dispose()
    (listed,) = shell("log", "changes", "--kind", "members", "--json").json["changes"]
    assert (listed["rows"]["count"], len(listed["rows"]["told"])) == (listed["change"]["event"]["added"], 3)
    told = shell("log", "changes", "--kind", "members").out
    assert "organisation {id: alder-bank" in told
    assert "log show members-1" in told
    whole = shell("log", "show", "members-1", "--json").json["rows"]
    assert whole["count"] == len(whole["told"]) == listed["rows"]["count"]
    shown = shell("log", "show", "members-1").out
    assert all(row in shown for row in whole["told"])


def test_an_export_keeps_two_employers_apart_whose_ids_have_blanks(shell: Shell, tmp_path: Path) -> None:
    roster = tmp_path / "two-employers.yaml"
    roster.write_text(
        "organisations:\n"
        '  - {id: "Nord Werke", incorporated: US, headquarters: US, sector: other, reseller: false}\n'
        '  - {id: "Sued", incorporated: US, headquarters: US, sector: other, reseller: false}\n'
        "people:\n"
        "  - id: pp\n"
        '    employments: [{organisation: "Nord Werke", kind: employee}, {organisation: "Sued", kind: contractor}]\n'
        "    us_status: [{kind: citizen}]\n"
        "    citizenships: [{country: US}]\n"
        "    permanent_residencies: []\n"
    )
    assert shell("members", "import", "--offline", "--reason", "test", str(roster)).code == 0
    asked = '{"subject": {"type": "person", "id": "pp"}, "model": "opus-4.6", "action": "infer"}'
    assert shell("decide", "-", "--record", "--json", stdin=asked).code in (0, 3)
    (row,) = csv.DictReader(io.StringIO(shell("log", "export", "--format", "csv").out, newline=""))
    assert row["organisations"].split(BETWEEN) == ["Nord Werke", "Sued"]
